//! `/api/v2/leads` (amoCRM v2 leads page).

use serde_json::{Value, json};

use super::batch::{BatchCodes, Done, Fault, Subject};
use super::cards::{self, CardCodes, CardForm};
use super::fields::{self, FieldCodes};
use super::listing::{self, CardFilter, Query};
use super::wire::{self, Object};
use super::{Call, answer, dates, read};
use crate::amo::account::is_closing;
use crate::amo::state::patch::{Patch, RecordKind, Stage};
use crate::amo::state::records::{ElementKind, Lead};
use crate::amo::state::table::Table;
use crate::amo::state::world::World;
use crate::http::Response;

/// Leads as v2 offers them.
pub(super) struct Leads;

const FORM: CardForm = CardForm {
    kind: RecordKind::Lead,
    codes: CardCodes {
        not_created: 217,
        not_updated: 217,
        incomplete: 217,
        add_fields: FieldCodes { unknown: 240, unfit: 240 },
        update_fields: FieldCodes { unknown: 240, unfit: 240 },
    },
};

impl Subject for Leads {
    const PATH: &'static str = "/api/v2/leads";
    const CODES: BatchCodes = BatchCodes { no_request: 214, nothing_to_add: 213, nothing_to_update: 216 };

    fn list(world: &World, call: &Call) -> Response {
        let query = Query::of(call);
        let filter = LeadFilter::of(world, call);
        let rows = if call.has_with("only_deleted") {
            query.page(world.leads.trash().filter(|row| {
                let asked = query.ids.as_ref();
                listing::is_asked_for(asked, row.card.id) && query.is_visible(call, *row)
            }))
        } else {
            select(world, call, &query, &filter)
        };
        query.answer(call, rows.into_iter().map(|row| item(world, call, row)).collect())
    }

    fn add(world: &mut World, call: &Call, item: &Object) -> Result<Done, Fault> {
        let mut patch = FORM.new_record(world, call, item)?;
        complete(world, item, None, &mut patch)?;
        check_contacts(world, call, None, &patch)?;
        Ok(FORM.create(world, call, patch))
    }

    fn update(world: &mut World, call: &Call, item: &Object) -> Result<Done, Fault> {
        let stored = |id| world.leads.get(id).map(|lead| lead.card.updated_at);
        let id = FORM.locked(item, stored)?;
        let lacks = |key| item.get(key).is_none_or(Value::is_null);
        if call.options.writing.lead_update_needs_all && (lacks("name") || lacks("status_id")) {
            return Err(refusal("id, updated_at, status_id and name are required"));
        }
        let mut patch = FORM.change(world, call, item)?;
        let lead = world.leads.get(id);
        complete(world, item, lead, &mut patch)?;
        check_contacts(world, call, lead, &patch)?;
        FORM.apply(world, call, id, patch)
    }

    fn unknown_field(world: &World, item: &Value) -> Option<u64> {
        fields::unknown_in(FORM.fields(world), item)
    }
}

fn refusal(text: &str) -> Fault {
    Fault::new(FORM.codes.not_updated, text)
}

/// Adds what only leads have: stage and budget.
fn complete(world: &World, item: &Object, lead: Option<&Lead>, patch: &mut Patch) -> Result<(), Fault> {
    let sent = |key: &str| item.get(key).filter(|value| !value.is_null());
    if let Some(sale) = sent("sale") {
        patch.price = Some(wire::integer(sale).ok_or_else(|| refusal("sale must be whole"))?);
    }
    let number = |key: &str| match sent(key) {
        None => Ok(None),
        Some(value) => wire::number(value).map(Some).ok_or_else(|| refusal("no such stage")),
    };
    let pipeline_id = number("pipeline_id")?;
    patch.stage = match number("status_id")? {
        Some(status_id) => Some(stage(world, status_id, pipeline_id, lead)?),
        None => pipeline_id.map(|id| first_stage(world, id)).transpose()?,
    };
    Ok(())
}

/// The stage meant: its number is enough but for the closing ones, which every pipeline has.
fn stage(world: &World, status_id: u64, pipeline_id: Option<u64>, lead: Option<&Lead>) -> Result<Stage, Fault> {
    let account = &world.account;
    let of_lead = lead.map(|lead| lead.pipeline_id);
    let pipeline_id = pipeline_id
        .or_else(|| account.pipeline_of(status_id).map(|pipeline| pipeline.id))
        .or(of_lead)
        .or_else(|| account.main_pipeline().map(|pipeline| pipeline.id));
    let pipeline = pipeline_id.and_then(|id| account.pipelines.get(&id));
    match pipeline.filter(|pipeline| pipeline.status(status_id).is_some()) {
        Some(pipeline) => Ok(Stage { pipeline_id: pipeline.id, status_id }),
        None => Err(refusal("no such stage")),
    }
}

fn first_stage(world: &World, pipeline_id: u64) -> Result<Stage, Fault> {
    let pipeline = world.account.pipelines.get(&pipeline_id);
    let status = pipeline.and_then(|pipeline| pipeline.statuses.first());
    let status = status.ok_or_else(|| refusal("no such pipeline"))?;
    Ok(Stage { pipeline_id, status_id: status.id })
}

fn check_contacts(world: &World, call: &Call, lead: Option<&Lead>, patch: &Patch) -> Result<(), Fault> {
    let mut ids: Vec<u64> = lead.map(|lead| lead.contact_ids.clone()).unwrap_or_default();
    for element in patch.links.iter().filter(|element| element.kind == ElementKind::Contact) {
        if world.exists(*element) && !ids.contains(&element.id) {
            ids.push(element.id);
        }
    }
    let most = call.options.writing.max_contacts_per_lead;
    if ids.len() > most { Err(cards::too_many_links()) } else { Ok(()) }
}

fn select<'w>(world: &'w World, call: &Call, query: &Query, filter: &LeadFilter) -> Vec<&'w Lead> {
    let table = &world.leads;
    let mut rows = query.select(call, table, |row| filter.keeps(world, call, table, row));
    if let Some(ids) = query.ids.as_ref().filter(|_| call.options.listing.deleted_leads_by_id) {
        rows.extend(ids.iter().filter_map(|&id| table.get_deleted(id)));
    }
    rows
}

/// The filters of leads (amoCRM v2 leads page).
struct LeadFilter {
    common: CardFilter,
    statuses: Option<std::collections::BTreeSet<u64>>,
    created: Span,
    modified: Span,
    only_active: bool,
    tasks: Option<u64>,
}

impl LeadFilter {
    fn of(world: &World, call: &Call) -> Self {
        LeadFilter {
            common: CardFilter::of(call),
            statuses: listing::id_params(call, "status"),
            created: Span::of(world, call, "filter[date_create]"),
            modified: Span::of(world, call, "filter[date_modify]"),
            only_active: call.request.param("filter[active]") == Some("1"),
            tasks: call.request.param("filter[tasks]").and_then(|tasks| tasks.parse().ok()),
        }
    }

    fn keeps(&self, world: &World, call: &Call, table: &Table<Lead>, lead: &Lead) -> bool {
        listing::is_asked_for(self.statuses.as_ref(), lead.status_id)
            && self.created.contains(lead.card.created_at)
            && self.modified.contains(lead.card.updated_at)
            && !(self.only_active && is_closing(lead.status_id))
            && self.suits_tasks(world, lead)
            && self.common.keeps(call, table, lead)
    }

    /// 1: without tasks; 2: with unfinished ones.
    fn suits_tasks(&self, world: &World, lead: &Lead) -> bool {
        let mut tasks = world.tasks_on(RecordKind::Lead.element(lead.card.id));
        match self.tasks {
            Some(1) => tasks.next().is_none(),
            Some(2) => tasks.any(|task| !task.is_completed),
            _ => true,
        }
    }
}

/// A span of time, both ends included.
pub(super) struct Span {
    from: i64,
    to: i64,
}

impl Span {
    /// Reads `{name}[from]` and `{name}[to]`: Unix seconds or local dates.
    pub(super) fn of(world: &World, call: &Call, name: &str) -> Self {
        let end = |key: &str| {
            let text = call.request.param(&format!("{name}[{key}]"))?;
            dates::unix_s(text, &world.zone)
        };
        Span { from: end("from").unwrap_or(i64::MIN), to: end("to").unwrap_or(i64::MAX) }
    }

    pub(super) fn contains(&self, unix_s: i64) -> bool {
        (self.from..=self.to).contains(&unix_s)
    }
}

fn item(world: &World, call: &Call, lead: &Lead) -> Value {
    let element = RecordKind::Lead.element(lead.card.id);
    let fields = FORM.fields(world);
    let mut object = read::card(world, call, Leads::PATH, element, &lead.card, fields);
    object.insert("is_deleted".into(), lead.is_deleted.into());
    object.insert("status_id".into(), lead.status_id.into());
    object.insert("sale".into(), lead.price.into());
    object.insert("closed_at".into(), lead.closed_at.into());
    object.insert("loss_reason_id".into(), 0.into());
    object.insert("pipeline".into(), pipeline(lead.pipeline_id));
    if call.has_with("is_price_modified_by_robot") {
        object.insert("is_price_modified_by_robot".into(), false.into());
    }
    if call.has_with("loss_reason_name") {
        object.insert("loss_reason_name".into(), "".into());
    }
    // Contacts in the trash left the lead's side of the link; a deleted lead keeps its own side.
    let live = lead.contact_ids.iter().copied().filter(|&id| world.contacts.contains(id));
    let contact_ids: Vec<u64> = live.collect();
    read::put(call, &mut object, "company", read::company(world, lead.company_id));
    read::put(call, &mut object, "main_contact", main_contact(contact_ids.first().copied()));
    read::put(call, &mut object, "contacts", read::id_list("/api/v2/contacts", &contact_ids));
    Value::Object(object)
}

fn pipeline(id: u64) -> Value {
    json!({ "id": id, "_links": answer::record_links("/api/v2/pipelines", [id]) })
}

fn main_contact(id: Option<u64>) -> Option<Value> {
    id.map(|id| json!({ "id": id, "_links": answer::record_links("/api/v2/contacts", [id]) }))
}
