//! `/api/v2/companies`: as contacts, with the links the other way round.

use serde_json::Value;

use super::batch::{BatchCodes, Done, Fault, Subject};
use super::cards::CardForm;
use super::contacts;
use super::fields;
use super::listing::{CardFilter, Query};
use super::wire::Object;
use super::{Call, read};
use crate::amo::state::patch::RecordKind;
use crate::amo::state::records::Company;
use crate::amo::state::world::World;
use crate::http::Response;

/// Companies as v2 offers them.
pub(super) struct Companies;

const FORM: CardForm = CardForm { kind: RecordKind::Company, codes: contacts::CODES };

impl Subject for Companies {
    const PATH: &'static str = "/api/v2/companies";
    const CODES: BatchCodes = contacts::Contacts::CODES;

    fn list(world: &World, call: &Call) -> Response {
        let query = Query::of(call);
        let filter = CardFilter::of(call);
        let table = &world.companies;
        let rows = query.select(call, table, |row| filter.keeps(call, table, row));
        query.answer(call, rows.into_iter().map(|row| item(world, call, row)).collect())
    }

    fn add(world: &mut World, call: &Call, item: &Object) -> Result<Done, Fault> {
        let patch = FORM.new_record(world, call, item)?;
        Ok(FORM.create(world, call, patch))
    }

    fn update(world: &mut World, call: &Call, item: &Object) -> Result<Done, Fault> {
        let stored = |id| world.companies.get(id).map(|company| company.card.updated_at);
        let id = FORM.locked(item, stored)?;
        let patch = FORM.change(world, call, item)?;
        FORM.apply(world, call, id, patch)
    }

    fn unknown_field(world: &World, item: &Value) -> Option<u64> {
        fields::unknown_in(FORM.fields(world), item)
    }
}

fn item(world: &World, call: &Call, company: &Company) -> Value {
    let element = RecordKind::Company.element(company.card.id);
    let fields = FORM.fields(world);
    let mut object = read::card(world, call, Companies::PATH, element, &company.card, fields);
    let contact_ids: Vec<u64> = company.contact_ids.iter().copied().collect();
    let lead_ids: Vec<u64> = company.lead_ids.iter().copied().collect();
    read::put(call, &mut object, "contacts", read::id_list("/api/v2/contacts", &contact_ids));
    read::put(call, &mut object, "leads", read::id_list("/api/v2/leads", &lead_ids));
    read::put(call, &mut object, "customers", None);
    Value::Object(object)
}
