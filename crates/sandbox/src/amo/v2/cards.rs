//! The write form that contacts, leads and companies share, turned into a checked patch.

use serde_json::Value;

use super::Call;
use super::batch::{Done, Fault, STALE};
use super::fields::{self, FieldCodes};
use super::wire::{self, Object};
use crate::amo::account::Field;
use crate::amo::state::patch::{Patch, RecordKind, TagName};
use crate::amo::state::records::{Element, ElementKind};
use crate::amo::state::world::World;
use crate::amo::texts;

/// Error numbers of one kind of record.
#[derive(Debug, Clone, Copy)]
pub(super) struct CardCodes {
    /// An item of `add` was not written.
    pub(super) not_created: u16,
    /// An item of `update` was not written.
    pub(super) not_updated: u16,
    /// An item of `update` lacks its id or its time.
    pub(super) incomplete: u16,
    /// Custom fields of `add`.
    pub(super) add_fields: FieldCodes,
    /// Custom fields of `update`.
    pub(super) update_fields: FieldCodes,
}

/// Too many contacts on one lead (error codes page, 330).
const TOO_MANY_LINKS: u16 = 330;

/// The form of one kind of record.
#[derive(Debug, Clone, Copy)]
pub(super) struct CardForm {
    pub(super) kind: RecordKind,
    pub(super) codes: CardCodes,
}

impl CardForm {
    /// The custom fields of the kind.
    pub(super) fn fields(self, world: &World) -> &[Field] {
        world.fields_of(self.kind)
    }

    /// The id and the time of an update, which must be newer than what is stored.
    pub(super) fn locked(self, item: &Object, stored: impl FnOnce(u64) -> Option<i64>) -> Result<u64, Fault> {
        let id = item.get("id").and_then(wire::number);
        let updated_at = item.get("updated_at").and_then(wire::integer);
        let (Some(id), Some(updated_at)) = (id, updated_at) else {
            return Err(Fault::new(self.codes.incomplete, "id and updated_at are required"));
        };
        match stored(id) {
            None => Err(Fault::new(self.codes.not_updated, format!("record {id} was not found"))),
            Some(stored) if updated_at <= stored => Err(Fault::new(self.codes.not_updated, STALE)),
            Some(_) => Ok(id),
        }
    }

    /// Reads an item of `add`.
    pub(super) fn new_record(self, world: &World, call: &Call, item: &Object) -> Result<Patch, Fault> {
        let patch = self.patch(world, call, item, self.codes.not_created, self.codes.add_fields)?;
        if patch.name.as_ref().is_none_or(String::is_empty) {
            return Err(Fault::new(self.codes.not_created, "name is required"));
        }
        Ok(patch)
    }

    /// Reads an item of `update`.
    pub(super) fn change(self, world: &World, call: &Call, item: &Object) -> Result<Patch, Fault> {
        let patch = self.patch(world, call, item, self.codes.not_updated, self.codes.update_fields)?;
        if patch.name.as_ref().is_some_and(String::is_empty) {
            return Err(Fault::new(self.codes.not_updated, "name must not be empty"));
        }
        Ok(patch)
    }

    /// Makes the record.
    pub(super) fn create(self, world: &mut World, call: &Call, mut patch: Patch) -> Done {
        let updated_at = patch.updated_at.unwrap_or(call.now_s());
        patch.updated_at = Some(updated_at);
        let id = world.create(self.kind, patch, call.author, call.now_ms);
        Done { id, updated_at }
    }

    /// Writes the change.
    pub(super) fn apply(self, world: &mut World, call: &Call, id: u64, patch: Patch) -> Result<Done, Fault> {
        let updated_at = world.update(self.kind, id, patch, call.author, call.now_ms);
        let lost = || Fault::new(self.codes.not_updated, format!("record {id} was not found"));
        updated_at.map(|updated_at| Done { id, updated_at }).ok_or_else(lost)
    }

    fn patch(
        self,
        world: &World,
        call: &Call,
        item: &Object,
        code: u16,
        field_codes: FieldCodes,
    ) -> Result<Patch, Fault> {
        let form = Form { world, call, item, code };
        let is_contact = self.kind == RecordKind::Contact;
        let own_name = |key| if is_contact { form.text(key) } else { Ok(None) };
        let sent_fields = item.get("custom_fields").unwrap_or(&Value::Null);
        Ok(Patch {
            name: form.text("name")?,
            first_name: own_name("first_name")?,
            last_name: own_name("last_name")?,
            responsible_user_id: form.user("responsible_user_id")?,
            created_by: form.number("created_by")?,
            created_at: form.time("created_at")?,
            updated_at: form.time("updated_at")?,
            tags: form.tags(self.kind)?,
            fields: fields::parse(world, call, self.fields(world), field_codes, sent_fields)?,
            company_name: form.text("company_name")?.filter(|name| !name.is_empty()),
            links: form.links(item)?,
            unlinks: form.unlinks()?,
            stage: None,
            price: None,
        })
    }
}

/// The keys that name other records, in an item and in its `unlink`.
const LINK_KEYS: [(&str, ElementKind); 4] = [
    ("leads_id", ElementKind::Lead),
    ("contacts_id", ElementKind::Contact),
    ("company_id", ElementKind::Company),
    ("customers_id", ElementKind::Customer),
];

/// Reads the keys of an item.
pub(super) struct Form<'a> {
    pub(super) world: &'a World,
    pub(super) call: &'a Call<'a>,
    pub(super) item: &'a Object,
    pub(super) code: u16,
}

impl Form<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.item.get(key).filter(|value| !value.is_null())
    }

    fn bad(&self, key: &str) -> Fault {
        Fault::new(self.code, format!("{key} is not valid"))
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Fault> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let text = wire::text(value).ok_or_else(|| self.bad(key))?;
        Ok(Some(texts::stored(self.call, text.trim())))
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, Fault> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        wire::number(value).map(Some).ok_or_else(|| self.bad(key))
    }

    pub(super) fn time(&self, key: &str) -> Result<Option<i64>, Fault> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        wire::integer(value).map(Some).ok_or_else(|| self.bad(key))
    }

    /// A user who may be in charge.
    pub(super) fn user(&self, key: &str) -> Result<Option<u64>, Fault> {
        let id = self.number(key)?;
        let Some(known) = id else { return Ok(None) };
        let is_active = self.world.account.users.get(&known).is_some_and(|user| user.is_active);
        if !is_active && self.call.options.writing.refuses_unknown_users {
            return Err(self.bad(key));
        }
        Ok(id)
    }

    /// One text with commas is the full new set; leads also take a list of numbers.
    fn tags(&self, kind: RecordKind) -> Result<Option<Vec<TagName>>, Fault> {
        match self.get("tags") {
            None => Ok(None),
            Some(Value::String(text)) => {
                let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                Ok(Some(names.map(|name| TagName::Text(name.to_owned())).collect()))
            }
            Some(Value::Array(ids)) if kind == RecordKind::Lead => {
                let ids: Option<Vec<u64>> = ids.iter().map(wire::number).collect();
                let ids = ids.ok_or_else(|| self.bad("tags"))?;
                Ok(Some(ids.into_iter().map(TagName::Id).collect()))
            }
            Some(_) => Err(self.bad("tags")),
        }
    }

    fn links(&self, object: &Object) -> Result<Vec<Element>, Fault> {
        let mut found = Vec::new();
        for (key, kind) in LINK_KEYS {
            let Some(value) = object.get(key) else {
                continue;
            };
            let ids = wire::ids(value).ok_or_else(|| self.bad(key))?;
            found.extend(ids.into_iter().map(|id| Element { kind, id }));
        }
        let refuses = self.call.options.writing.refuses_unknown_links;
        match found.iter().find(|element| refuses && !self.world.exists(**element)) {
            Some(element) => Err(Fault::new(self.code, format!("linked record {} was not found", element.id))),
            None => Ok(found),
        }
    }

    fn unlinks(&self) -> Result<Vec<Element>, Fault> {
        match self.get("unlink") {
            None => Ok(Vec::new()),
            Some(Value::Object(keys)) => self.links(keys),
            Some(Value::Array(keys)) if keys.is_empty() => Ok(Vec::new()),
            Some(_) => Err(self.bad("unlink")),
        }
    }
}

/// Refuses a patch that would give a lead more contacts than allowed.
pub(super) fn check_room(world: &World, call: &Call, contact_id: Option<u64>, patch: &Patch) -> Result<(), Fault> {
    let most = call.options.writing.max_contacts_per_lead;
    let leads = patch.links.iter().filter(|element| element.kind == ElementKind::Lead);
    for lead in leads.filter_map(|element| world.leads.get(element.id)) {
        let is_there = contact_id.is_some_and(|id| lead.contact_ids.contains(&id));
        if !is_there && lead.contact_ids.len() >= most {
            return Err(too_many_links());
        }
    }
    Ok(())
}

/// The error of a lead with too many contacts.
pub(super) fn too_many_links() -> Fault {
    Fault::new(TOO_MANY_LINKS, "too many linked records")
}
