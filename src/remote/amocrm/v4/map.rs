//! Their records into ours.

use super::wire::{CompanyRow, ContactRow, FieldInfoRow, LeadRow, NoteRow, PipelineRow};
use crate::core::id::{CompanyId, ContactId, EnumId, FieldId, LeadId, NoteId, PipelineId, StatusId, UserId};
use crate::core::model::{Company, Contact, FieldInfo, FieldKind, Fields, Lead, Note, Pipeline};
use crate::core::text;
use crate::remote::amocrm::loose::{List, Text};
use crate::remote::amocrm::page::Wire;
use crate::remote::amocrm::values::{FieldRow, NamedRow, fields, named, tags};
use jiff::tz::TimeZone;
use std::collections::BTreeSet;

const NO_ID: &str = "the id is missing";

/// A record with what a listing needs to know of it.
pub(super) struct Filed<R> {
    /// Its id.
    pub(super) id: u64,
    /// Its last change, Unix seconds.
    pub(super) updated_at: i64,
    /// Its fields that hold dates, as moments until they are told in the account's zone.
    pub(super) dates: BTreeSet<FieldId>,
    /// The record; none for one in the trash that we have no form for.
    pub(super) record: Option<R>,
}

/// A kind of record that can be listed and read by id.
pub(super) trait Entity: Sized + Send {
    /// Its form in an answer.
    type Wire: Wire<Record = Filed<Self>>;
    /// Its listing.
    const PATH: &'static str;
    /// A single one of them, as the log has it.
    const SINGLE: &'static str;
    /// Its list in answers, and its name in links.
    const LIST: &'static str;
    /// What is to come with each record.
    const WITH: Option<&'static str>;

    /// Its custom fields, where we read any.
    fn fields(&mut self) -> Option<&mut Fields>;
}

impl<E: Entity> Filed<E> {
    /// Tells dates as v2 does: as local texts of the account's zone. The engine compares what it wrote with what it
    /// reads.
    pub(super) fn tell_dates(&mut self, zone: &TimeZone) {
        let Some(fields) = self.record.as_mut().and_then(Entity::fields) else { return };
        for element in fields.iter_mut().filter(|(id, _)| self.dates.contains(id)).flat_map(|(_, elements)| elements) {
            if let Some(local) = text::local_date(&element.value, zone) {
                element.value = local;
            }
        }
    }
}

fn date_fields(rows: &List<FieldRow>) -> BTreeSet<FieldId> {
    rows.0.iter().filter_map(FieldRow::date_field).collect()
}

impl Entity for Contact {
    type Wire = ContactRow;
    const PATH: &'static str = "/api/v4/contacts";
    const SINGLE: &'static str = "/api/v4/contacts/{id}";
    const LIST: &'static str = "contacts";
    const WITH: Option<&'static str> = Some("leads");

    fn fields(&mut self) -> Option<&mut Fields> {
        Some(&mut self.fields)
    }
}

impl Entity for Lead {
    type Wire = LeadRow;
    const PATH: &'static str = "/api/v4/leads";
    const SINGLE: &'static str = "/api/v4/leads/{id}";
    const LIST: &'static str = "leads";
    const WITH: Option<&'static str> = Some("contacts");

    fn fields(&mut self) -> Option<&mut Fields> {
        Some(&mut self.fields)
    }
}

impl Wire for ContactRow {
    type Record = Filed<Contact>;

    /// The company comes with its id alone. A contact in the trash is none.
    fn record(self) -> Result<Filed<Contact>, String> {
        let id = self.id.positive().ok_or(NO_ID)?;
        let dates = date_fields(&self.custom_fields_values);
        let linked = self.embedded.0.unwrap_or_default();
        let company = linked.companies.0.into_iter().find_map(|company| {
            let id = CompanyId(company.id.positive()?);
            Some(Company { id, name: company.name.filled() })
        });
        let contact = Contact {
            id: ContactId(id),
            name: self.name.or_empty(),
            first_name: self.first_name.filled(),
            last_name: self.last_name.filled(),
            responsible: self.responsible_user_id.positive().map(UserId),
            company,
            leads: linked.leads.0.into_iter().filter_map(|lead| lead.id.positive()).map(LeadId).collect(),
            tags: tags(linked.tags.0),
            fields: fields(self.custom_fields_values.0),
            created_at: self.created_at.seconds(),
            updated_at: self.updated_at.seconds(),
        };
        let is_deleted = self.is_deleted.positive().is_some();
        Ok(Filed { id, updated_at: contact.updated_at, dates, record: (!is_deleted).then_some(contact) })
    }
}

impl Wire for LeadRow {
    type Record = Filed<Lead>;

    fn record(self) -> Result<Filed<Lead>, String> {
        let id = self.id.positive().ok_or(NO_ID)?;
        let is_deleted = self.is_deleted.positive().is_some();
        // A lead in the trash comes with its id and times alone; it needs no stage any more.
        let stage = |id: Option<u64>, missing: &'static str| match id {
            Some(id) => Ok(id),
            None if is_deleted => Ok(0),
            None => Err(missing),
        };
        let dates = date_fields(&self.custom_fields_values);
        let linked = self.embedded.0.unwrap_or_default();
        let main = linked.contacts.0.iter().find(|contact| contact.is_main.positive().is_some());
        let lead = Lead {
            id: LeadId(id),
            name: self.name.or_empty(),
            price: self.price.0.unwrap_or(0),
            pipeline: PipelineId(stage(self.pipeline_id.positive(), "the pipeline is missing")?),
            status: StatusId(stage(self.status_id.positive(), "the stage is missing")?),
            responsible: self.responsible_user_id.positive().map(UserId),
            tags: tags(linked.tags.0),
            main_contact: main.and_then(|contact| contact.id.positive()).map(ContactId),
            contacts: linked.contacts.0.iter().filter_map(|contact| contact.id.positive()).map(ContactId).collect(),
            fields: fields(self.custom_fields_values.0),
            is_deleted,
            created_at: self.created_at.seconds(),
            updated_at: self.updated_at.seconds(),
        };
        Ok(Filed { id, updated_at: lead.updated_at, dates, record: Some(lead) })
    }
}

/// A company with its name.
pub(super) struct Firm {
    /// Its name.
    pub(super) name: String,
    /// Nobody and nothing is linked to it.
    pub(super) is_unused: bool,
}

impl Entity for Firm {
    type Wire = CompanyRow;
    const PATH: &'static str = "/api/v4/companies";
    const SINGLE: &'static str = "/api/v4/companies/{id}";
    const LIST: &'static str = "companies";
    const WITH: Option<&'static str> = None;

    fn fields(&mut self) -> Option<&mut Fields> {
        None
    }
}

impl Wire for CompanyRow {
    type Record = Filed<Firm>;

    fn record(self) -> Result<Filed<Firm>, String> {
        let id = self.id.positive().ok_or(NO_ID)?;
        let linked = self.embedded.0.unwrap_or_default();
        let is_unused = linked.contacts.0.is_empty() && linked.leads.0.is_empty();
        let firm = Firm { name: self.name.or_empty(), is_unused };
        let is_deleted = self.is_deleted.positive().is_some();
        Ok(Filed { id, updated_at: 0, dates: BTreeSet::new(), record: (!is_deleted).then_some(firm) })
    }
}

/// A note with the record it stands on and its type.
pub(super) struct FiledNote {
    /// The record, where the answer tells it.
    pub(super) entity: Option<u64>,
    /// `common`: written by hand or by a program as one would by hand.
    pub(super) note_type: Option<String>,
    /// The note.
    pub(super) note: Note,
}

impl Wire for NoteRow {
    type Record = FiledNote;

    fn record(self) -> Result<FiledNote, String> {
        let id = NoteId(self.id.positive().ok_or(NO_ID)?);
        let text = self.params.0.map(|params| params.text.or_empty()).unwrap_or_default();
        let note = Note { id, text, created_at: self.created_at.seconds() };
        Ok(FiledNote { entity: self.entity_id.positive(), note_type: self.note_type.filled(), note })
    }
}

impl Wire for FieldInfoRow {
    type Record = (FieldId, FieldInfo);

    fn record(self) -> Result<(FieldId, FieldInfo), String> {
        let id = FieldId(self.id.positive().ok_or(NO_ID)?);
        let choices = self.enums.0.into_iter().map(|(id, text)| (EnumId(id), text)).collect();
        let info = FieldInfo { name: self.name.or_empty(), kind: kind(&self.kind), code: self.code.filled(), choices };
        Ok((id, info))
    }
}

/// What a field holds, by amoCRM's name (v4 custom fields page). A type whose form on write is not a text, a choice
/// or a date is never written.
fn kind(name: &Text) -> FieldKind {
    match name.0.as_deref().unwrap_or_default() {
        "text" | "tracking_data" => FieldKind::Text,
        "textarea" => FieldKind::TextArea,
        "numeric" | "price" | "monetary" => FieldKind::Numeric,
        "checkbox" => FieldKind::Checkbox,
        "select" | "radiobutton" => FieldKind::Select,
        "multiselect" => FieldKind::Multiselect,
        "date" => FieldKind::Date,
        "date_time" => FieldKind::DateTime,
        "birthday" => FieldKind::Birthday,
        "url" => FieldKind::Url,
        "multitext" => FieldKind::Multitext,
        "streetaddress" => FieldKind::StreetAddress,
        "smart_address" => FieldKind::SmartAddress,
        _ => FieldKind::Other(0),
    }
}

impl Wire for PipelineRow {
    type Record = (PipelineId, Pipeline);

    fn record(self) -> Result<(PipelineId, Pipeline), String> {
        let id = PipelineId(self.id.positive().ok_or(NO_ID)?);
        let stages = self.embedded.0.unwrap_or_default();
        Ok((id, Pipeline { name: self.name.or_empty(), statuses: named(stages.statuses.0, StatusId) }))
    }
}

impl Wire for NamedRow {
    type Record = (u64, String);

    fn record(self) -> Result<(u64, String), String> {
        Ok((self.id.positive().ok_or(NO_ID)?, self.name.or_empty()))
    }
}
