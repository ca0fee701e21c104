//! `/api/v2/contacts` (amoCRM v2 contacts page).

use serde_json::Value;

use super::batch::{BatchCodes, Done, Fault, Subject};
use super::cards::{self, CardCodes, CardForm};
use super::fields::{self, FieldCodes};
use super::listing::{CardFilter, Query};
use super::wire::Object;
use super::{Call, read};
use crate::amo::state::patch::RecordKind;
use crate::amo::state::records::Contact;
use crate::amo::state::world::World;
use crate::http::Response;

/// Contacts as v2 offers them.
pub(super) struct Contacts;

/// The error numbers of contacts; companies have the same.
pub(super) const CODES: CardCodes = CardCodes {
    not_created: 205,
    not_updated: 212,
    incomplete: 209,
    add_fields: FieldCodes { unknown: 204, unfit: 203 },
    update_fields: FieldCodes { unknown: 211, unfit: 210 },
};

const FORM: CardForm = CardForm { kind: RecordKind::Contact, codes: CODES };

impl Subject for Contacts {
    const PATH: &'static str = "/api/v2/contacts";
    const CODES: BatchCodes = BatchCodes { no_request: 206, nothing_to_add: 201, nothing_to_update: 208 };

    fn list(world: &World, call: &Call) -> Response {
        let query = Query::of(call);
        let filter = CardFilter::of(call);
        let table = &world.contacts;
        let rows = query.select(call, table, |row| filter.keeps(call, table, row));
        query.answer(call, rows.into_iter().map(|row| item(world, call, row)).collect())
    }

    fn add(world: &mut World, call: &Call, item: &Object) -> Result<Done, Fault> {
        let patch = FORM.new_record(world, call, item)?;
        cards::check_room(world, call, None, &patch)?;
        Ok(FORM.create(world, call, patch))
    }

    fn update(world: &mut World, call: &Call, item: &Object) -> Result<Done, Fault> {
        let stored = |id| world.contacts.get(id).map(|contact| contact.card.updated_at);
        let id = FORM.locked(item, stored)?;
        let patch = FORM.change(world, call, item)?;
        cards::check_room(world, call, Some(id), &patch)?;
        FORM.apply(world, call, id, patch)
    }

    fn unknown_field(world: &World, item: &Value) -> Option<u64> {
        fields::unknown_in(FORM.fields(world), item)
    }
}

fn item(world: &World, call: &Call, contact: &Contact) -> Value {
    let element = RecordKind::Contact.element(contact.card.id);
    let fields = FORM.fields(world);
    let mut object = read::card(world, call, Contacts::PATH, element, &contact.card, fields);
    if call.options.shapes.name_parts {
        object.insert("first_name".into(), contact.first_name.clone().into());
        object.insert("last_name".into(), contact.last_name.clone().into());
    }
    let lead_ids: Vec<u64> = contact.lead_ids.iter().copied().collect();
    let customer_ids: Vec<u64> = contact.customer_ids.iter().copied().collect();
    read::put(call, &mut object, "company", read::company(world, contact.company_id));
    read::put(call, &mut object, "leads", read::id_list("/api/v2/leads", &lead_ids));
    read::put(call, &mut object, "customers", read::id_list("/api/v2/customers", &customer_ids));
    Value::Object(object)
}
