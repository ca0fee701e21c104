//! Answers to the functions that read: every value under a name of its own, one level deep.

use super::effect::slot;
use super::{Answer, Work};
use crate::core::id::UserId;
use crate::core::model::{Account, Contact, Fields, Lead};
use crate::core::plan::ground::Ground;
use crate::core::shape::{self, Record};

/// What was asked of a record.
pub fn report(ground: &Ground, record: Record<'_>, work: &Work) -> Answer {
    match (work, record) {
        (Work::Field(field), record) => value(ground, record, field),
        (_, Record::Lead(lead)) => lead_info(ground, lead),
        (_, Record::Contact(contact)) => contact_info(ground, contact),
    }
}

/// Several values of one field stand in one text, with commas between.
fn value(ground: &Ground, record: Record<'_>, field: &str) -> Answer {
    let slot = match slot(ground, record, field) {
        Ok(slot) => slot,
        Err(refused) => return refused,
    };
    let content = shape::read(&slot, record, &ground.zone);
    let text = match content.len() {
        0 | 1 => shape::salebot_text(&slot.form, &content),
        _ => content.join(", "),
    };
    record_ids(record).with("value", text)
}

fn record_ids(record: Record<'_>) -> Answer {
    match record {
        Record::Lead(lead) => Answer::done().with("lead_id", lead.id.0),
        Record::Contact(contact) => Answer::done().with("contact_id", contact.id.0),
    }
}

fn lead_info(ground: &Ground, lead: &Lead) -> Answer {
    let pipeline = ground.account.pipelines.get(&lead.pipeline);
    let status = pipeline.and_then(|pipeline| pipeline.statuses.get(&lead.status)).cloned();
    let answer = record_ids(Record::Lead(lead))
        .with("name", lead.name.as_str())
        .with("budget", lead.price)
        .with("status_id", lead.status.0)
        .with("status", status.unwrap_or_default())
        .with("pipeline_id", lead.pipeline.0)
        .with("pipeline", pipeline.map(|pipeline| pipeline.name.clone()).unwrap_or_default())
        .with("tags", joined(lead.tags.iter()))
        .with("contact_id", lead.person().map_or(0, |contact| contact.0))
        .with("is_closed", i64::from(!lead.is_open()))
        .with("created_at", lead.created_at)
        .with("updated_at", lead.updated_at);
    with_fields(ground, with_responsible(&ground.account, answer, lead.responsible), Record::Lead(lead), &lead.fields)
}

fn contact_info(ground: &Ground, contact: &Contact) -> Answer {
    let first = |code: &str| {
        let id = shape::system_field(&ground.account, code).ok();
        let element = id.and_then(|id| contact.fields.get(&id)).and_then(|elements| elements.first());
        element.map(|element| element.value.clone()).unwrap_or_default()
    };
    let answer = record_ids(Record::Contact(contact))
        .with("name", contact.name.as_str())
        .with("first_name", contact.first_name.clone().unwrap_or_default())
        .with("last_name", contact.last_name.clone().unwrap_or_default())
        .with("phone", first("PHONE"))
        .with("email", first("EMAIL"))
        .with("tags", joined(contact.tags.iter()))
        .with("company", contact.company.as_ref().and_then(|company| company.name.clone()).unwrap_or_default())
        .with("lead_ids", joined(contact.leads.iter().map(ToString::to_string).collect::<Vec<_>>().iter()))
        .with("created_at", contact.created_at)
        .with("updated_at", contact.updated_at);
    let answer = with_responsible(&ground.account, answer, contact.responsible);
    with_fields(ground, answer, Record::Contact(contact), &contact.fields)
}

fn with_responsible(account: &Account, answer: Answer, user: Option<UserId>) -> Answer {
    let name = user.and_then(|user| account.users.get(&user)).cloned().unwrap_or_default();
    answer.with("responsible_id", user.map_or(0, |user| user.0)).with("responsible", name)
}

/// Custom fields as `field_582601`.
fn with_fields(ground: &Ground, mut answer: Answer, record: Record<'_>, fields: &Fields) -> Answer {
    for id in fields.keys() {
        let shown = value(ground, record, &id.to_string());
        if let Some(text) = shown.get("value") {
            answer = answer.with(format!("field_{id}"), text.clone());
        }
    }
    answer
}

fn joined<'a>(items: impl Iterator<Item = &'a String>) -> String {
    items.map(String::as_str).collect::<Vec<_>>().join(", ")
}
