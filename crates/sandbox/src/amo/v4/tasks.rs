//! Tasks (tasks page).

use serde_json::{Value, json};

use super::batch::{self, Checked};
use super::listing::{Span, filter_ids, filter_texts, is_asked, order, sheet, written};
use super::{
    Refusal, entity_type, flag, kind_named, missing, number, only, problem, self_link, sent, single, single_answer,
    text, time, user,
};
use crate::amo::answer;
use crate::amo::call::Call;
use crate::amo::state::records::{Element, Task};
use crate::amo::state::world::World;
use crate::amo::wire::Object;
use crate::http::Response;

/// What an item may have.
const MEMBERS: [&str; 14] = [
    "id",
    "responsible_user_id",
    "entity_id",
    "entity_type",
    "is_completed",
    "task_type_id",
    "text",
    "duration",
    "complete_till",
    "result",
    "created_by",
    "created_at",
    "updated_at",
    "request_id",
];

/// Members that only reading has.
const READ_ONLY: [&str; 5] = ["updated_by", "group_id", "account_id", "_links", "_embedded"];

/// `/api/v4/tasks`.
pub(super) fn serve(world: &mut World, call: &Call) -> Response {
    match call.request.method.as_str() {
        "GET" => list(world, call),
        "POST" => write(world, call, false),
        "PATCH" => write(world, call, true),
        _ => problem(call, 405, "this method is not supported here"),
    }
}

/// `/api/v4/tasks/{id}`.
pub(super) fn serve_one(world: &mut World, call: &Call, id: u64) -> Response {
    let Some(task) = world.tasks.get(id) else { return missing(call) };
    match call.request.method.as_str() {
        "GET" => answer::json(call, 200, &item(world, task)),
        "PATCH" => {
            let items = match single(call, id) {
                Ok(item) => [item],
                Err(response) => return response,
            };
            let result = batch::write(world, call, &items, |world, item| checked(world, call, item, true));
            result.map_or_else(|response| response, |items| single_answer(call, items))
        }
        _ => problem(call, 405, "this method is not supported here"),
    }
}

fn list(world: &World, call: &Call) -> Response {
    let (ids, entities) = (filter_ids(call, "id"), filter_ids(call, "entity_id"));
    let (users, done) = (filter_ids(call, "responsible_user_id"), filter_ids(call, "is_completed"));
    let types = filter_texts(call, "entity_type");
    let updated = Span::of(call, "updated_at", |at| (at, i64::MAX));
    let rows = world.tasks.ordered(order(call)).filter(|task| {
        is_asked(ids.as_ref(), &task.id)
            && is_asked(entities.as_ref(), &task.element.id)
            && is_asked(users.as_ref(), &task.responsible_user_id)
            && is_asked(done.as_ref(), &u64::from(task.is_completed))
            && is_asked(types.as_ref(), &entity_type(task.element.kind).to_owned())
            && updated.contains(task.updated_at)
    });
    sheet(call).answer(call, "tasks", rows, |task| item(world, task))
}

fn item(world: &World, task: &Task) -> Value {
    json!({
        "id": task.id,
        "created_by": task.created_by,
        "updated_by": task.created_by,
        "created_at": task.created_at,
        "updated_at": task.updated_at,
        "responsible_user_id": task.responsible_user_id,
        "group_id": world.account.group_of(task.responsible_user_id),
        "entity_id": task.element.id,
        "entity_type": entity_type(task.element.kind),
        "duration": 0,
        "is_completed": task.is_completed,
        "task_type_id": task.task_type,
        "text": task.text,
        "result": task.result.as_ref().map_or_else(|| json!([]), |text| json!({ "text": text })),
        "complete_till": task.complete_till_at,
        "account_id": world.account.id,
        "_links": self_link(&format!("/api/v4/tasks/{}", task.id)),
    })
}

fn write(world: &mut World, call: &Call, is_change: bool) -> Response {
    let items = match batch::items(call) {
        Ok(items) => items,
        Err(response) => return response,
    };
    let result = batch::write(world, call, &items, |world, item| checked(world, call, item, is_change));
    result.map_or_else(|response| response, |items| written(call, "tasks", items))
}

fn checked<'a>(world: &World, call: &'a Call<'a>, item: &Object, is_change: bool) -> Result<Checked<'a>, Refusal> {
    let echoed: &[&str] = if is_change && !call.options.v4.refuses_echo { &READ_ONLY } else { &[] };
    only(item, "", &[&MEMBERS, echoed].concat())?;
    if is_change { changed(world, call, item) } else { made(world, call, item) }
}

fn made<'a>(world: &World, call: &'a Call<'a>, item: &Object) -> Result<Checked<'a>, Refusal> {
    let blank = |path: &str| Refusal::new("NotBlank", path, "This value should not be blank.");
    let created_at = time(item, "created_at")?.unwrap_or(call.now_s());
    let task = Task {
        id: 0,
        element: element(world, item)?,
        task_type: task_type(world, item)?.unwrap_or(1),
        text: text(item, "", "text")?.filter(|text| !text.is_empty()).ok_or_else(|| blank("text"))?.to_owned(),
        complete_till_at: time(item, "complete_till")?.ok_or_else(|| blank("complete_till"))?,
        is_completed: flag(item, "is_completed")?.unwrap_or(false),
        created_at,
        updated_at: time(item, "updated_at")?.unwrap_or(created_at),
        created_by: number(item, "", "created_by")?.unwrap_or(call.author),
        responsible_user_id: user(world, call, item, "responsible_user_id")?.unwrap_or(call.author),
        result: outcome(item)?,
        changed_at_ms: call.now_ms,
    };
    Ok(Box::new(move |world| json!({ "id": world.add_task(task, call.now_ms) })))
}

fn changed<'a>(world: &World, call: &'a Call<'a>, item: &Object) -> Result<Checked<'a>, Refusal> {
    let task = number(item, "", "id")?.and_then(|id| world.tasks.get(id));
    let task = task.ok_or_else(|| Refusal::new("NotFound", "id", "The task was not found."))?.clone();
    let changed = Task {
        text: text(item, "", "text")?.map_or(task.text, str::to_owned),
        complete_till_at: time(item, "complete_till")?.unwrap_or(task.complete_till_at),
        is_completed: flag(item, "is_completed")?.unwrap_or(task.is_completed),
        task_type: task_type(world, item)?.unwrap_or(task.task_type),
        responsible_user_id: user(world, call, item, "responsible_user_id")?.unwrap_or(task.responsible_user_id),
        result: outcome(item)?.or_else(|| task.result.clone()),
        updated_at: time(item, "updated_at")?.unwrap_or(call.now_s()),
        changed_at_ms: call.now_ms,
        ..task
    };
    Ok(Box::new(move |world| {
        let answer = json!({ "id": changed.id, "updated_at": changed.updated_at });
        world.tasks.change(changed.id, call.now_ms, |task| *task = changed);
        answer
    }))
}

/// What came of it: `{"text":…}`; the empty form of reading says nothing.
fn outcome(item: &Object) -> Result<Option<String>, Refusal> {
    match sent(item, "result") {
        None => Ok(None),
        Some(Value::Array(none)) if none.is_empty() => Ok(None),
        Some(Value::Object(result)) => Ok(text(result, "result", "text")?.map(str::to_owned)),
        Some(_) => Err(Refusal::of_type("result")),
    }
}

fn element(world: &World, item: &Object) -> Result<Element, Refusal> {
    let kind = text(item, "", "entity_type")?.and_then(kind_named).ok_or_else(|| Refusal::of_choice("entity_type"))?;
    let id = number(item, "", "entity_id")?.ok_or_else(|| Refusal::of_choice("entity_id"))?;
    let element = kind.element(id);
    if world.exists(element) { Ok(element) } else { Err(Refusal::new("NotFound", "entity_id", "Not found.")) }
}

fn task_type(world: &World, item: &Object) -> Result<Option<u64>, Refusal> {
    let sent = number(item, "", "task_type_id")?;
    match sent.filter(|kind| !world.account.task_types.contains_key(kind)) {
        Some(_) => Err(Refusal::of_choice("task_type_id")),
        None => Ok(sent),
    }
}
