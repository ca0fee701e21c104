//! From what a call wants to the edits of a record as it is at this moment.

use super::{Answer, Wanted, Work};
use crate::core::action::Edit;
use crate::core::id::{FieldId, PipelineId, StatusId, UserId};
use crate::core::model::{Account, Lead};
use crate::core::plan::ground::Ground;
use crate::core::selector::{AmoField, AmoPart, Entity, FieldRef};
use crate::core::shape::{self, Form, Record, Slot};
use std::collections::BTreeSet;

/// Errors that a newer reading of the account may mend.
const UNKNOWN: [&str; 3] = ["status_not_found", "user_not_found", "field_not_found"];

/// True where a call names a stage, a user or a field that the account, as it was read last, does not have.
pub fn is_unknown(ground: &Ground, record: Record<'_>, work: &Work) -> bool {
    let refused = match work {
        Work::Change(wanted) => edits(ground, record, wanted).err(),
        Work::Field(field) => slot(ground, record, field).err(),
        Work::Lead { responsible, .. } | Work::Task { responsible, .. } => {
            responsible.and_then(|user| known_user(&ground.account, user).err())
        }
        Work::Note(_) | Work::Info => None,
    };
    refused.is_some_and(|answer| answer.error().is_some_and(|error| UNKNOWN.contains(&error)))
}

/// Who is responsible for a new lead of which no one says it: the employee that was made first (Salebot calculator
/// page, `amo_add_lead`).
pub fn first_user(account: &Account) -> Option<UserId> {
    account.users.keys().next().copied()
}

/// The edits; none where the record is as wanted. The error is the answer to the bot.
pub fn edits(ground: &Ground, record: Record<'_>, wanted: &[Wanted]) -> Result<Vec<Edit>, Answer> {
    let mut edits: Vec<Edit> = Vec::new();
    for wanted in wanted {
        edits.push(edit(ground, record, wanted)?);
    }
    Ok(edits)
}

fn edit(ground: &Ground, record: Record<'_>, wanted: &Wanted) -> Result<Edit, Answer> {
    Ok(match wanted {
        Wanted::Name(name) => Edit::Name(name.clone()),
        Wanted::FirstName(name) => Edit::FirstName(name.clone()),
        Wanted::LastName(name) => Edit::LastName(name.clone()),
        Wanted::Budget(budget) => Edit::Price(*budget),
        Wanted::Tags(tags) => Edit::Tags(tags.clone()),
        Wanted::MoreTags(tags) => Edit::Tags(with_tags(record, tags)),
        Wanted::Responsible(user) => Edit::Responsible(known_user(&ground.account, *user)?),
        Wanted::Stage { status, pipeline } => match record {
            Record::Lead(lead) => {
                Edit::Stage { pipeline: pipeline_of(&ground.account, lead, *status, *pipeline)?, status: *status }
            }
            Record::Contact(_) => return Err(Answer::refused("wrong_argument", "a contact has no stage")),
        },
        Wanted::Field { field, value } => field_edit(ground, record, field, value)?,
    })
}

/// The tags that are there, and those that no tag of the record is in another case.
fn with_tags(record: Record<'_>, more: &BTreeSet<String>) -> BTreeSet<String> {
    let held = match record {
        Record::Lead(lead) => &lead.tags,
        Record::Contact(contact) => &contact.tags,
    };
    let is_new = |tag: &&String| !held.iter().any(|own| own.to_lowercase() == tag.to_lowercase());
    held.iter().chain(more.iter().filter(is_new)).cloned().collect()
}

/// A user of the account. Others are refused at once; an account that names none is believed.
pub fn known_user(account: &Account, user: UserId) -> Result<UserId, Answer> {
    if account.users.is_empty() || account.users.contains_key(&user) {
        return Ok(user);
    }
    Err(Answer::refused("user_not_found", format!("the account has no user {user}")))
}

/// The pipeline of a stage: the one that was named, else the lead's own where it has the stage, else the one that
/// has it. Won and lost are in every pipeline, so they stay in the lead's own.
fn pipeline_of(
    account: &Account,
    lead: &Lead,
    status: StatusId,
    named: Option<PipelineId>,
) -> Result<PipelineId, Answer> {
    let has = |pipeline: &PipelineId| {
        status.is_closed() || account.pipelines.get(pipeline).is_some_and(|one| one.statuses.contains_key(&status))
    };
    let found = match named {
        Some(pipeline) => Some(pipeline).filter(|pipeline| account.pipelines.contains_key(pipeline) && has(pipeline)),
        None if has(&lead.pipeline) => Some(lead.pipeline),
        None => account.pipelines.keys().find(|pipeline| has(pipeline)).copied(),
    };
    found.ok_or_else(|| {
        let place = named.map(|pipeline| format!(" in pipeline {pipeline}")).unwrap_or_default();
        Answer::refused("status_not_found", format!("the account has no stage {status}{place}"))
    })
}

/// The field as the account has it.
pub fn slot(ground: &Ground, record: Record<'_>, field: &str) -> Result<Slot, Answer> {
    let entity = match record {
        Record::Contact(_) => Entity::Contact,
        Record::Lead(_) => Entity::Lead,
    };
    let by_id = field.trim().parse().ok().map(|id| FieldRef::Id(FieldId(id)));
    let by_name = FieldRef::Name(field.trim().trim_matches('"').to_owned());
    let resolved = by_id.into_iter().chain([by_name]).find_map(|field| {
        let part = AmoPart::Custom { field, address: None };
        shape::resolve(&AmoField { entity, part }, &ground.account).ok()
    });
    resolved.ok_or_else(|| {
        Answer::refused(
            "field_not_found",
            "the account has no such field; the number stands in the settings of the field",
        )
    })
}

fn field_edit(ground: &Ground, record: Record<'_>, field: &str, value: &str) -> Result<Edit, Answer> {
    let slot = slot(ground, record, field)?;
    let mut content = shape::from_salebot(&slot.form, value)
        .map_err(|reason| Answer::refused("wrong_value", format!("the field does not take the value: {reason}")))?;
    if matches!(slot.form, Form::Phones | Form::Emails | Form::Several) {
        // One more number: what somebody else has written stays.
        let held = shape::read(&slot, record, &ground.zone);
        let meaning = |text: &String| shape::meaning(&slot.form, text, ground.region());
        let added: Vec<String> =
            content.into_iter().filter(|new| !held.iter().any(|own| meaning(own) == meaning(new))).collect();
        content = held.into_iter().chain(added).collect();
    }
    let edit = shape::edit(&slot, &content, Some(record), ground.region());
    let edit = edit.ok_or_else(|| Answer::refused("wrong_value", "the field cannot be written"))?;
    Ok(ground.with_named_kinds(edit))
}

#[cfg(test)]
mod tests;
