//! Our edits into their JSON (v2 contacts page, v2 leads page).

use super::wire::{FieldWrite, NoteWrite, RecordWrite, TaskWrite, ValueWrite};
use crate::core::action::{Edit, NoteTarget};
use crate::core::fault::Fault;
use crate::core::id::FieldId;
use crate::core::model::{Element, FieldKind};
use crate::core::selector::AddressPart;
use crate::ports::remote::{Change, Draft, NewNote, NewTask};
use crate::remote::amocrm::writing::{is_yes, never_written, new_name, no_choice, no_part, rejected};
use std::collections::BTreeSet;

/// The common note (v2 notes page).
pub(super) const NOTE_COMMON: u64 = 4;

/// A record to be made. Without a name it takes what first and last name give; `name` is required.
pub(super) fn draft(draft: &Draft) -> Result<RecordWrite, Fault> {
    let start = RecordWrite { created_at: Some(draft.created_at), ..RecordWrite::default() };
    let mut write = apply(start, &draft.edits)?;
    let parts = [write.first_name.as_deref(), write.last_name.as_deref()];
    write.name = Some(new_name(write.name.as_deref(), parts)?);
    Ok(write)
}

/// Changes of a record.
pub(super) fn change<Id>(change: &Change<Id>, id: u64) -> Result<RecordWrite, Fault> {
    let start = RecordWrite { id: Some(id), updated_at: Some(change.updated_at), ..RecordWrite::default() };
    apply(start, &change.edits)
}

/// A note.
pub(super) fn note(note: &NewNote) -> NoteWrite {
    let (element_type, element_id) = element(note.target);
    NoteWrite { element_id, element_type, note_type: 4, text: note.text.clone(), created_at: note.created_at }
}

/// A task.
pub(super) fn task(task: &NewTask) -> TaskWrite {
    let (element_type, element_id) = element(task.target);
    TaskWrite {
        element_id,
        element_type,
        complete_till_at: task.due_at,
        task_type: task.task_type,
        text: task.text.clone(),
        responsible_user_id: task.responsible.map(|user| user.0),
    }
}

/// amoCRM's number of the kind of record (v2 notes page: 1 contact, 2 lead), and the id.
fn element(target: NoteTarget) -> (u8, u64) {
    match target {
        NoteTarget::Contact(id) => (1, id.0),
        NoteTarget::Lead(id) => (2, id.0),
    }
}

fn apply(mut write: RecordWrite, edits: &[Edit]) -> Result<RecordWrite, Fault> {
    for edit in edits {
        match edit {
            Edit::Name(name) => write.name = Some(name.clone()),
            Edit::FirstName(name) => write.first_name = Some(name.clone()),
            Edit::LastName(name) => write.last_name = Some(name.clone()),
            Edit::Tags(names) => write.tags = Some(tags(names)?),
            Edit::Responsible(user) => write.responsible_user_id = Some(user.0),
            Edit::CompanyName(name) => write.company_name = Some(name.clone()),
            Edit::Contact(contact) => write.contacts_id = Some(vec![contact.0]),
            Edit::Price(price) => write.sale = Some(*price),
            Edit::Stage { pipeline, status } => {
                (write.pipeline_id, write.status_id) = (Some(pipeline.0), Some(status.0));
            }
            Edit::Field { id, kind, elements } => {
                write.custom_fields.push(FieldWrite { id: id.0, values: values(*id, *kind, elements)? });
            }
        }
    }
    Ok(write)
}

/// All tags in one text, separated by commas: so a tag cannot hold one.
fn tags(names: &BTreeSet<String>) -> Result<String, Fault> {
    if names.iter().any(|name| name.contains(',')) {
        return Err(rejected("a tag with a comma cannot be written through API v2"));
    }
    Ok(names.iter().map(String::as_str).collect::<Vec<_>>().join(","))
}

fn values(id: FieldId, kind: FieldKind, elements: &[Element]) -> Result<Vec<ValueWrite>, Fault> {
    if let FieldKind::Other(number) = kind {
        return Err(never_written(id, number));
    }
    if elements.is_empty() {
        return Ok(cleared(kind));
    }
    elements.iter().map(|element| value(id, kind, element)).collect()
}

/// What empties a field. An address goes by its parts: one empty part erases the others, since
/// parts that are not sent are erased (v2 contacts page).
fn cleared(kind: FieldKind) -> Vec<ValueWrite> {
    match kind {
        FieldKind::Multiselect => Vec::new(),
        FieldKind::SmartAddress => {
            vec![ValueWrite::Value { value: String::new(), choice: None, subtype: Some(AddressPart::Line1.name()) }]
        }
        _ => vec![plain(String::new())],
    }
}

fn value(id: FieldId, kind: FieldKind, element: &Element) -> Result<ValueWrite, Fault> {
    let choice = element.choice.map(|choice| choice.to_string());
    Ok(match kind {
        FieldKind::Multitext => {
            ValueWrite::Value { value: element.value.clone(), choice: element.code.clone().or(choice), subtype: None }
        }
        FieldKind::Select => plain(choice.ok_or_else(|| no_choice(id))?),
        FieldKind::Multiselect => ValueWrite::Choice(choice.ok_or_else(|| no_choice(id))?),
        FieldKind::SmartAddress => {
            let part = element.part.ok_or_else(|| no_part(id))?;
            ValueWrite::Value { value: element.value.clone(), choice: None, subtype: Some(part.name()) }
        }
        FieldKind::Checkbox => plain(if is_yes(&element.value) { "1" } else { "0" }.to_owned()),
        FieldKind::Text
        | FieldKind::TextArea
        | FieldKind::Numeric
        | FieldKind::Date
        | FieldKind::DateTime
        | FieldKind::Birthday
        | FieldKind::Url
        | FieldKind::StreetAddress => plain(element.value.clone()),
        FieldKind::Other(number) => return Err(never_written(id, number)),
    })
}

fn plain(value: String) -> ValueWrite {
    ValueWrite::Value { value, choice: None, subtype: None }
}
