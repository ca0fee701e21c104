//! Our edits into their JSON (v4 contacts, leads and custom fields pages).

use super::wire::{Beginning, FieldWrite, LinkedId, Name, NoteText, NoteWrite, RecordWrite, TaskWrite, ValueWrite};
use crate::core::action::{Edit, NoteTarget};
use crate::core::fault::Fault;
use crate::core::id::{ContactId, FieldId};
use crate::core::model::{Element, FieldKind};
use crate::core::text;
use crate::ports::remote::{Change, Draft, NewNote, NewTask};
use crate::remote::amocrm::writing::{is_yes, never_written, new_name, no_choice, no_part, rejected};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::BTreeSet;

/// The note people write by hand (v4 events and notes page).
pub(super) const NOTE_COMMON: &str = "common";

/// A record to be written, and what takes requests of its own.
pub(super) struct Write {
    /// The record.
    pub(super) record: RecordWrite,
    /// All tags it is to have.
    pub(super) tags: Option<BTreeSet<String>>,
    /// The company to be made and linked: v4 has no `company_name`.
    pub(super) company: Option<String>,
    /// The contact a new lead is about.
    contact: Option<ContactId>,
}

/// A record to be made. Without a name it takes what first and last name give.
pub(super) fn draft(draft: &Draft, zone: &TimeZone) -> Result<Write, Fault> {
    let start = RecordWrite { created_at: Some(draft.created_at), ..RecordWrite::default() };
    let mut write = apply(start, &draft.edits, zone)?;
    let record = &mut write.record;
    let parts = [record.first_name.as_deref(), record.last_name.as_deref()];
    record.name = Some(new_name(record.name.as_deref(), parts)?);
    let contacts: Vec<LinkedId> = write.contact.iter().map(|contact| LinkedId { id: contact.0 }).collect();
    let tags = write.tags.take().map(named);
    record.embedded = (tags.is_some() || !contacts.is_empty()).then_some(Beginning { tags, contacts });
    Ok(write)
}

/// Changes of a record.
pub(super) fn change<Id>(change: &Change<Id>, id: u64, zone: &TimeZone) -> Result<Write, Fault> {
    let start = RecordWrite { id: Some(id), updated_at: Some(change.updated_at), ..RecordWrite::default() };
    apply(start, &change.edits, zone)
}

/// True where the time zone of the account matters.
pub(super) fn has_dates(edits: &[Edit]) -> bool {
    edits.iter().any(|edit| match edit {
        Edit::Field { kind, elements, .. } => is_date(*kind) && !elements.is_empty(),
        _ => false,
    })
}

/// Tags by their names.
pub(super) fn named(names: impl IntoIterator<Item = String>) -> Vec<Name> {
    names.into_iter().map(|name| Name { name }).collect()
}

/// A note.
pub(super) fn note(note: &NewNote) -> NoteWrite {
    NoteWrite {
        entity_id: entity(note.target).1,
        note_type: NOTE_COMMON,
        params: NoteText { text: note.text.clone() },
        created_at: note.created_at,
    }
}

/// A task.
pub(super) fn task(task: &NewTask) -> TaskWrite {
    let (entity_type, entity_id) = entity(task.target);
    TaskWrite {
        entity_id,
        entity_type,
        complete_till: task.due_at,
        task_type_id: task.task_type,
        text: task.text.clone(),
        responsible_user_id: task.responsible.map(|user| user.0),
    }
}

/// amoCRM's name of the kind of record, and the id.
pub(super) fn entity(target: NoteTarget) -> (&'static str, u64) {
    match target {
        NoteTarget::Contact(id) => ("contacts", id.0),
        NoteTarget::Lead(id) => ("leads", id.0),
    }
}

fn apply(mut record: RecordWrite, edits: &[Edit], zone: &TimeZone) -> Result<Write, Fault> {
    let (mut tags, mut company, mut about) = (None, None, None);
    for edit in edits {
        match edit {
            Edit::Name(name) => record.name = Some(name.clone()),
            Edit::FirstName(name) => record.first_name = Some(name.clone()),
            Edit::LastName(name) => record.last_name = Some(name.clone()),
            Edit::Tags(names) => tags = Some(names.clone()),
            Edit::Responsible(user) => record.responsible_user_id = Some(user.0),
            Edit::CompanyName(name) => company = Some(name.clone()).filter(|name| !name.trim().is_empty()),
            Edit::Contact(contact) => about = Some(*contact),
            Edit::Price(price) => record.price = Some(*price),
            Edit::Stage { pipeline, status } => {
                (record.pipeline_id, record.status_id) = (Some(pipeline.0), Some(status.0));
            }
            Edit::Field { id, kind, elements } => {
                record
                    .custom_fields_values
                    .push(FieldWrite { field_id: id.0, values: values(*id, *kind, elements, zone)? });
            }
        }
    }
    Ok(Write { record, tags, company, contact: about })
}

/// The values of a field; none clears it.
fn values(
    id: FieldId,
    kind: FieldKind,
    elements: &[Element],
    zone: &TimeZone,
) -> Result<Option<Vec<ValueWrite>>, Fault> {
    if let FieldKind::Other(number) = kind {
        return Err(never_written(id, number));
    }
    let values: Result<Vec<_>, _> = elements.iter().map(|element| value(id, kind, element, zone)).collect();
    values.map(|values| Some(values).filter(|values| !values.is_empty()))
}

fn value(id: FieldId, kind: FieldKind, element: &Element, zone: &TimeZone) -> Result<ValueWrite, Fault> {
    let text = || Value::from(element.value.clone());
    Ok(match kind {
        FieldKind::Multitext => {
            // Either tells the kind; the id is the account's own and so the surer one.
            let enum_id = element.choice.map(|choice| choice.0);
            let enum_code = element.code.clone().filter(|_| enum_id.is_none());
            ValueWrite { value: Some(text()), enum_id, enum_code }
        }
        FieldKind::Select | FieldKind::Multiselect => {
            let choice = element.choice.ok_or_else(|| no_choice(id))?;
            ValueWrite { enum_id: Some(choice.0), ..ValueWrite::default() }
        }
        FieldKind::SmartAddress => {
            let part = element.part.ok_or_else(|| no_part(id))?;
            ValueWrite { value: Some(text()), enum_id: None, enum_code: Some(part.name().to_owned()) }
        }
        FieldKind::Checkbox => plain(Value::from(is_yes(&element.value))),
        FieldKind::Date | FieldKind::DateTime | FieldKind::Birthday => {
            plain(Value::from(moment(id, &element.value, zone)?))
        }
        FieldKind::Text | FieldKind::TextArea | FieldKind::Numeric | FieldKind::Url | FieldKind::StreetAddress => {
            plain(text())
        }
        FieldKind::Other(number) => return Err(never_written(id, number)),
    })
}

fn plain(value: Value) -> ValueWrite {
    ValueWrite { value: Some(value), ..ValueWrite::default() }
}

fn is_date(kind: FieldKind) -> bool {
    matches!(kind, FieldKind::Date | FieldKind::DateTime | FieldKind::Birthday)
}

/// A local text or Unix seconds as RFC 3339 with the account's offset: it names the same day and the same moment,
/// whichever of the two amoCRM keeps.
fn moment(id: FieldId, value: &str, zone: &TimeZone) -> Result<String, Fault> {
    let no_date = || rejected(format!("a value of date {id} is no date"));
    let local = text::local_date(value, zone).ok_or_else(no_date)?;
    let local = if local.contains(' ') { local.replace(' ', "T") } else { format!("{local}T00:00:00") };
    let local: DateTime = local.parse().map_err(|_| no_date())?;
    let zoned = local.to_zoned(zone.clone()).map_err(|_| no_date())?;
    Ok(zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_name_their_day_and_their_moment() {
        let moscow = TimeZone::get("Europe/Moscow").unwrap();
        for (value, expected) in [
            ("2026-12-31", Some("2026-12-31T00:00:00+03:00")),
            ("2026-12-31 15:30:00", Some("2026-12-31T15:30:00+03:00")),
            ("1798704000", Some("2026-12-31T11:00:00+03:00")),
            ("soon", None),
        ] {
            assert_eq!(moment(FieldId(1), value, &moscow).ok().as_deref(), expected, "{value}");
        }
    }
}
