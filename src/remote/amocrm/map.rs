//! Their records into ours.

use super::wire::{ContactRow, FieldRow, LeadRow, NamedRow, NoteRow, TaskRow, ValueRow};
use crate::core::id::{CompanyId, ContactId, EnumId, FieldId, LeadId, NoteId, PipelineId, StatusId, UserId};
use crate::core::model::{Company, Contact, Element, Fields, Lead, Note};
use crate::core::selector::AddressPart;
use crate::ports::remote::Task;
use std::collections::BTreeSet;

/// A contact; an error names what is missing.
pub(super) fn contact(row: ContactRow) -> Result<Contact, String> {
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

/// A lead; an error names what is missing.
pub(super) fn lead(row: LeadRow) -> Result<Lead, String> {
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

/// A note, with the record it stands on and its type; an error names what is missing.
pub(super) fn note(row: NoteRow) -> Result<(Option<u64>, Option<u64>, Note), String> {
    let id = NoteId(row.id.positive().ok_or("the id is missing")?);
    let params = row.params.0.and_then(|params| params.text.filled());
    let text = row.text.filled().or(params).unwrap_or_default();
    Ok((row.element_id.positive(), row.note_type.positive(), Note { id, text, created_at: row.created_at.seconds() }))
}

/// A task; an error names what is missing.
pub(super) fn task(row: TaskRow) -> Result<Task, String> {
    Ok(Task {
        id: row.id.positive().ok_or("the id is missing")?,
        element: row.element_id.positive(),
        text: row.text.or_empty(),
        due_at: row.complete_till_at.seconds(),
    })
}

fn linked(ids: Option<super::wire::IdsRow>) -> impl Iterator<Item = u64> {
    ids.into_iter().flat_map(|ids| ids.id.0).filter_map(|id| id.positive())
}

fn tags(rows: Vec<NamedRow>) -> BTreeSet<String> {
    rows.into_iter().filter_map(|tag| tag.name.filled()).collect()
}

fn fields(rows: Vec<FieldRow>) -> Fields {
    let mut fields = Fields::new();
    for row in rows {
        let elements: Vec<_> = row.values.0.into_iter().filter_map(element).collect();
        if let Some(id) = row.id.positive().filter(|_| !elements.is_empty()) {
            fields.entry(FieldId(id)).or_default().extend(elements);
        }
    }
    fields
}

/// A value; none for one that holds nothing.
fn element(row: ValueRow) -> Option<Element> {
    let choice_text = row.choice.filled();
    let choice = choice_text.as_deref().and_then(|text| text.trim().parse().ok()).filter(|id| *id > 0).map(EnumId);
    // Where `enum` is no id it is the kind's name, as on write.
    let name = choice_text.filter(|text| choice.is_none() && text != "0");
    let part = row.subtype.filled().and_then(|text| AddressPart::parse(text.trim()));
    let value = row.value.or_empty();
    (!value.is_empty() || choice.is_some()).then_some(Element { value, choice, code: row.code.filled().or(name), part })
}
