//! Mapped values, orders and stages: both sides say the same.

use super::people::{national, phones};
use super::{Row, Truth};
use crate::app::town::{STAGES, TRIGGER};
use crate::sandbox::amo::account::is_closing;
use crate::sandbox::amo::fixture::{FIELD_CLIENT_ID, FIELD_EMAIL, FIELD_LEAD_SOURCE, FIELD_POSITION, FIELD_SELECT};
use crate::sandbox::amo::records::{Contact, Lead};
use crate::sandbox::salebot::project::plain_text;
use crate::sandbox::salebot::state::{Client, Order};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn rows(truth: &Truth<'_>) -> Vec<Row> {
    let (mut compared, mut different) = (0, Vec::new());
    for (client, contact) in &truth.linked {
        let (Some(client), Some(contact)) = (truth.salebot.client(*client), truth.amo.contact(*contact)) else {
            continue;
        };
        for (name, agrees) in person_values(truth, client, contact) {
            compared += 1;
            if !agrees {
                different.push(format!("{name} of contact {} and client {}", contact.card.id, client.id));
            }
        }
    }
    let mut rows = vec![Row::all("values of people, equal on both sides", compared, &different)];
    rows.extend(orders(truth));
    rows
}

/// Each mapped pair of a person, and whether it agrees. Of several phones the client has one.
fn person_values<'a>(truth: &Truth<'_>, client: &Client, contact: &Contact) -> Vec<(&'a str, bool)> {
    let variable = |name: &str| client.variables.get(name).map(plain_text).unwrap_or_default();
    let one = |field: u64| contact.card.texts(field).first().copied().unwrap_or_default().to_owned();
    let emails: Vec<String> = contact.card.texts(FIELD_EMAIL).into_iter().map(str::to_lowercase).collect();
    let (phones, phone) = (phones(contact), variable("phone"));
    let account = &truth.amo.options().account;
    let manager = account.users.get(&contact.card.responsible_user_id).map(|user| user.name.clone());
    let theirs = truth.linked.iter().filter(|(_, of)| **of == contact.card.id);
    let clients: Vec<String> = theirs.map(|(client, _)| client.to_string()).collect();
    vec![
        ("name", variable("crm_name") == contact.card.name),
        ("phone", if phones.is_empty() { phone.is_empty() } else { phones.contains(&national(&phone)) }),
        (
            "e-mail",
            if emails.is_empty() {
                variable("email").is_empty()
            } else {
                emails.contains(&variable("email").to_lowercase())
            },
        ),
        ("position", variable("position") == one(FIELD_POSITION)),
        ("category", variable("category") == one(FIELD_SELECT)),
        ("manager", variable("manager") == manager.unwrap_or_default()),
        ("contact number", variable("amo_contact_id") == contact.card.id.to_string()),
        ("client number", clients.contains(&one(FIELD_CLIENT_ID))),
    ]
}

/// Leads and the orders made from them: by the mark that an order's description carries.
fn orders(truth: &Truth<'_>) -> Vec<Row> {
    let mut made: BTreeMap<u64, Vec<&Order>> = BTreeMap::new();
    let all = truth.salebot.clients().flat_map(|client| truth.salebot.orders(client.id));
    for order in all {
        let lead = order.variables.get("Описание").map(plain_text);
        let lead = lead.and_then(|text| text.trim().strip_prefix("amoCRM lead ").and_then(|id| id.parse().ok()));
        made.entry(lead.unwrap_or_default()).or_default().push(order);
    }
    let linked: BTreeSet<u64> = truth.linked.values().copied().collect();
    let due: Vec<&Lead> = truth.amo.leads().filter(|lead| becomes_order(lead, &linked)).collect();
    let (mut not_one, mut unequal, mut unmoved) = (Vec::new(), Vec::new(), Vec::new());
    for lead in &due {
        let id = lead.card.id;
        let [order] = made.get(&id).map(Vec::as_slice).unwrap_or_default() else {
            not_one.push(format!("lead {id}: {} orders", made.get(&id).map_or(0, Vec::len)));
            continue;
        };
        if !values_agree(lead, order) {
            unequal.push(format!("lead {id} and order {}", order.id));
        }
        if state_of(lead).is_some_and(|state| order.state_id != Some(state)) {
            unmoved.push(format!("lead {id} and order {}", order.id));
        }
    }
    vec![
        Row::all("leads of linked people, each one order", due.len(), &not_one),
        Row::all("budgets and sources, equal on both sides", due.len(), &unequal),
        Row::all("orders in the stage of their lead", due.len(), &unmoved),
        callbacks(truth),
    ]
}

/// Open leads become orders; those that were closed all along do not.
fn becomes_order(lead: &Lead, linked: &BTreeSet<u64>) -> bool {
    let has_client = lead.contact_ids.first().is_some_and(|contact| linked.contains(contact));
    has_client && !lead.is_deleted && !is_closing(lead.status_id)
}

fn values_agree(lead: &Lead, order: &Order) -> bool {
    let variable = |name: &str| order.variables.get(name).map(plain_text).unwrap_or_default();
    let source = lead.card.texts(FIELD_LEAD_SOURCE).first().copied().unwrap_or_default();
    let budget = variable("budget").parse::<f64>().unwrap_or(0.0);
    #[expect(clippy::cast_precision_loss, reason = "budgets of the sandbox are far below 2^53")]
    let price = lead.price as f64;
    variable("source") == source && (budget - price).abs() < 0.5
}

fn state_of(lead: &Lead) -> Option<i64> {
    let row = STAGES.iter().find(|(pipeline, status, _)| (*pipeline, *status) == (lead.pipeline_id, lead.status_id));
    row.map(|(_, _, state)| *state)
}

/// Every lead that reached the trigger's stage started its bot once.
fn callbacks(truth: &Truth<'_>) -> Row {
    let mut counts: BTreeMap<u64, usize> = truth.triggered.iter().map(|lead| (*lead, 0)).collect();
    for callback in truth.salebot.callbacks() {
        let lead = callback.text.strip_prefix(TRIGGER.2).and_then(|lead| lead.trim().parse().ok());
        if let Some(lead) = lead {
            *counts.entry(lead).or_default() += 1;
        }
    }
    let wrong: Vec<String> = counts
        .iter()
        .filter(|(lead, count)| **count != usize::from(truth.triggered.contains(lead)))
        .map(|(lead, count)| format!("lead {lead}: {count} callbacks"))
        .collect();
    Row::all("bots started by a stage, each once", truth.triggered.len(), &wrong)
}
