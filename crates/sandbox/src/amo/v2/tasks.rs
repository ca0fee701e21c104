//! `/api/v2/tasks` (amoCRM v2 tasks page).

use serde_json::{Value, json};

use super::batch::{BatchCodes, Done, Fault, STALE, Subject};
use super::cards::Form;
use super::leads::Span;
use super::listing::{self, Query};
use super::wire::{self, Object};
use super::{Call, answer};
use crate::amo::state::records::{Element, ElementKind, Task};
use crate::amo::state::world::World;
use crate::http::Response;

/// Tasks as v2 offers them.
pub(super) struct Tasks;

/// Wrong structure (error codes page, 400).
const BAD_STRUCTURE: u16 = 400;

impl Subject for Tasks {
    const PATH: &'static str = "/api/v2/tasks";
    const CODES: BatchCodes = BatchCodes { no_request: 228, nothing_to_add: 227, nothing_to_update: 230 };

    fn list(world: &World, call: &Call) -> Response {
        let query = Query::of(call);
        let filter = TaskFilter::of(world, call);
        let rows = query.select(call, &world.tasks, |task| filter.keeps(task));
        query.answer(call, rows.into_iter().map(|row| item(world, row)).collect())
    }

    fn add(world: &mut World, call: &Call, item: &Object) -> Result<Done, Fault> {
        let task = parse(world, call, item)?;
        let updated_at = task.updated_at;
        Ok(Done { id: world.add_task(task, call.now_ms), updated_at })
    }

    fn update(world: &mut World, call: &Call, item: &Object) -> Result<Done, Fault> {
        let form = Form { world, call, item, code: BAD_STRUCTURE };
        let (Some(id), Some(updated_at), Some(text)) =
            (form.number("id")?, form.time("updated_at")?, form.text("text")?)
        else {
            return Err(Fault::new(BAD_STRUCTURE, "id, updated_at and text are required"));
        };
        let task = world.tasks.get(id);
        let task = task.ok_or_else(|| Fault::new(231, format!("task {id} was not found")))?;
        if updated_at < task.updated_at {
            return Err(Fault::new(BAD_STRUCTURE, STALE));
        }
        let changed = Task { text, updated_at, ..rescheduled(&form, task)? };
        world.tasks.change(id, call.now_ms, |task| *task = changed);
        Ok(Done { id, updated_at })
    }
}

/// The task with what may be changed beside its text.
fn rescheduled(form: &Form, task: &Task) -> Result<Task, Fault> {
    let task = task.clone();
    Ok(Task {
        task_type: task_type(form)?.unwrap_or(task.task_type),
        complete_till_at: deadline(form)?.unwrap_or(task.complete_till_at),
        is_completed: is_completed(form)?.unwrap_or(task.is_completed),
        result: task.result.clone(),
        responsible_user_id: form.user("responsible_user_id")?.unwrap_or(task.responsible_user_id),
        changed_at_ms: form.call.now_ms,
        ..task
    })
}

fn parse(world: &World, call: &Call, item: &Object) -> Result<Task, Fault> {
    let form = Form { world, call, item, code: BAD_STRUCTURE };
    let required = |key: &str| Fault::new(BAD_STRUCTURE, format!("{key} is required"));
    let created_at = form.time("created_at")?.unwrap_or(call.now_s());
    Ok(Task {
        id: 0,
        element: element(&form)?,
        task_type: task_type(&form)?.ok_or_else(|| required("task_type"))?,
        text: form.text("text")?.filter(|t| !t.is_empty()).ok_or_else(|| required("text"))?,
        complete_till_at: deadline(&form)?.ok_or_else(|| required("complete_till_at"))?,
        is_completed: is_completed(&form)?.unwrap_or(false),
        result: None,
        created_at,
        updated_at: form.time("updated_at")?.unwrap_or(created_at),
        created_by: form.number("created_by")?.unwrap_or(call.author),
        responsible_user_id: form.user("responsible_user_id")?.unwrap_or(call.author),
        changed_at_ms: call.now_ms,
    })
}

fn element(form: &Form) -> Result<Element, Fault> {
    let kind = form.number("element_type")?.and_then(ElementKind::from_number);
    let kind = kind.filter(|kind| *kind != ElementKind::Task);
    let kind = kind.ok_or_else(|| Fault::new(235, "element_type is required"))?;
    let id = form.number("element_id")?;
    let id = id.ok_or_else(|| Fault::new(235, "element_id is required"))?;
    let element = Element { kind, id };
    if form.world.exists(element) {
        return Ok(element);
    }
    let code = if kind == ElementKind::Lead { 237 } else { 236 };
    Err(Fault::new(code, format!("element {id} was not found")))
}

fn task_type(form: &Form) -> Result<Option<u64>, Fault> {
    let sent = form.number("task_type")?;
    match sent.filter(|kind| !form.world.account.task_types.contains_key(kind)) {
        Some(kind) => Err(Fault::new(BAD_STRUCTURE, format!("task type {kind} was not found"))),
        None => Ok(sent),
    }
}

/// The examples say `complete_till_at`, the table of parameters `complete_till`.
fn deadline(form: &Form) -> Result<Option<i64>, Fault> {
    Ok(form.time("complete_till_at")?.or(form.time("complete_till")?))
}

fn is_completed(form: &Form) -> Result<Option<bool>, Fault> {
    let Some(sent) = form.item.get("is_completed").filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let flag = wire::flag(sent);
    flag.map(Some).ok_or_else(|| Fault::new(BAD_STRUCTURE, "is_completed is not valid"))
}

/// The filters of tasks.
struct TaskFilter {
    kind: Option<ElementKind>,
    ids: [Option<std::collections::BTreeSet<u64>>; 5],
    created: Span,
    modified: Span,
}

impl TaskFilter {
    fn of(world: &World, call: &Call) -> Self {
        let names = ["element_id", "responsible_user_id", "filter[status]", "filter[task_type]", "filter[created_by]"];
        TaskFilter {
            kind: call.request.param("type").and_then(kind_named),
            ids: names.map(|name| listing::id_params(call, name)),
            created: Span::of(world, call, "filter[date_create]"),
            modified: Span::of(world, call, "filter[date_modify]"),
        }
    }

    fn keeps(&self, task: &Task) -> bool {
        let values =
            [task.element.id, task.responsible_user_id, u64::from(task.is_completed), task.task_type, task.created_by];
        let mut asked = self.ids.iter().zip(values);
        self.kind.is_none_or(|kind| task.element.kind == kind)
            && asked.all(|(ids, value)| listing::is_asked_for(ids.as_ref(), value))
            && self.created.contains(task.created_at)
            && self.modified.contains(task.updated_at)
    }
}

fn kind_named(name: &str) -> Option<ElementKind> {
    match name {
        "contact" => Some(ElementKind::Contact),
        "lead" => Some(ElementKind::Lead),
        "company" => Some(ElementKind::Company),
        "customer" => Some(ElementKind::Customer),
        _ => None,
    }
}

fn item(world: &World, task: &Task) -> Value {
    json!({
        "id": task.id,
        "element_id": task.element.id,
        "element_type": task.element.kind.number(),
        "complete_till_at": task.complete_till_at,
        "task_type": task.task_type,
        "text": task.text,
        "created_at": task.created_at,
        "updated_at": task.updated_at,
        "responsible_user_id": task.responsible_user_id,
        "is_completed": task.is_completed,
        "created_by": task.created_by,
        "account_id": world.account.id,
        "group_id": world.account.group_of(task.responsible_user_id),
        "result": {},
        "_links": answer::record_links(Tasks::PATH, [task.id]),
    })
}
