//! Their records into ours.

use super::wire::{ContactRow, IdsRow, LeadRow, NoteRow};
use crate::core::id::{CompanyId, ContactId, LeadId, NoteId, PipelineId, StatusId, UserId};
use crate::core::model::{Company, Contact, Lead, Note};
use crate::remote::amocrm::page::Wire;
use crate::remote::amocrm::values::{fields, tags};

impl Wire for ContactRow {
    type Record = Contact;

    fn record(self) -> Result<Contact, String> {
        contact(self)
    }
}

impl Wire for LeadRow {
    type Record = Lead;

    fn record(self) -> Result<Lead, String> {
        lead(self)
    }
}

/// A note with the record it stands on and its type.
pub(super) struct FiledNote {
    /// The record, where the answer tells it.
    pub(super) element: Option<u64>,
    /// 4: written by hand or by a program as one would by hand.
    pub(super) note_type: Option<u64>,
    /// The note.
    pub(super) note: Note,
}

impl Wire for NoteRow {
    type Record = FiledNote;

    fn record(self) -> Result<FiledNote, String> {
        let id = NoteId(self.id.positive().ok_or("the id is missing")?);
        let params = self.params.0.and_then(|params| params.text.filled());
        let text = self.text.filled().or(params).unwrap_or_default();
        let note = Note { id, text, created_at: self.created_at.seconds() };
        Ok(FiledNote { element: self.element_id.positive(), note_type: self.note_type.positive(), note })
    }
}

fn contact(row: ContactRow) -> Result<Contact, String> {
    let company = row.company.0.and_then(|company| {
        let id = CompanyId(company.id.positive()?);
        Some(Company { id, name: company.name.filled() })
    });
    Ok(Contact {
        id: ContactId(row.id.positive().ok_or("the id is missing")?),
        name: row.name.or_empty(),
        first_name: row.first_name.filled(),
        last_name: row.last_name.filled(),
        responsible: row.responsible_user_id.positive().map(UserId),
        company,
        leads: linked(row.leads.0).map(LeadId).collect(),
        tags: tags(row.tags.0),
        fields: fields(row.custom_fields.0),
        created_at: row.created_at.seconds(),
        updated_at: row.updated_at.seconds(),
    })
}

fn lead(row: LeadRow) -> Result<Lead, String> {
    let pipeline = row.pipeline.0.and_then(|pipeline| pipeline.id.positive());
    let is_deleted = row.is_deleted.positive().is_some();
    // A deleted lead may come with its id alone; it needs no stage any more.
    let stage = |id: Option<u64>, missing: &'static str| match id {
        Some(id) => Ok(id),
        None if is_deleted => Ok(0),
        None => Err(missing),
    };
    Ok(Lead {
        id: LeadId(row.id.positive().ok_or("the id is missing")?),
        name: row.name.or_empty(),
        price: row.sale.0.unwrap_or(0),
        pipeline: PipelineId(stage(pipeline.or(row.pipeline_id.positive()), "the pipeline is missing")?),
        status: StatusId(stage(row.status_id.positive(), "the stage is missing")?),
        responsible: row.responsible_user_id.positive().map(UserId),
        tags: tags(row.tags.0),
        main_contact: row.main_contact.0.and_then(|contact| contact.id.positive()).map(ContactId),
        contacts: linked(row.contacts.0).map(ContactId).collect(),
        fields: fields(row.custom_fields.0),
        is_deleted,
        created_at: row.created_at.seconds(),
        updated_at: row.updated_at.seconds(),
    })
}

fn linked(ids: Option<IdsRow>) -> impl Iterator<Item = u64> {
    ids.into_iter().flat_map(|ids| ids.id.0).filter_map(|id| id.positive())
}
