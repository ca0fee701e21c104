//! What a bridge is told to do, held against the account as it is: fields, stages, users, choices.
//!
//! For `doctor`: everything that would fail later, found before, with the nearest right name.

use super::id::{PipelineId, StatusId};
use super::model::{Account, FieldInfo, FieldKind, Variables};
use super::nearest::nearest;
use super::policy::{Direction, Policy, Rule};
use super::selector::{AmoField, AmoPart, Entity, FieldRef, SalebotField};
use super::shape::{self, Form, Slot};
use super::text;
use std::collections::{BTreeMap, BTreeSet};

/// Something a mapping asks of the account and does not get, or not as it seems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// True: it cannot work. False: it may not be what was meant.
    pub is_fault: bool,
    /// What was found.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    fn fault(what: String, remedy: String) -> Finding {
        Finding { is_fault: true, what, remedy }
    }

    fn doubt(what: String, remedy: String) -> Finding {
        Finding { is_fault: false, what, remedy }
    }
}

/// Most names that are listed in one sentence.
const NAMES_MAX: usize = 12;
/// Longest text that is repeated from a record.
const QUOTE_CHARS_MAX: usize = 40;

/// Mapped fields that are missing, of a type that cannot be written, of a name that two fields have, or mapped so that
/// two variables stand for one element.
pub fn fields(policy: &Policy, account: &Account) -> Vec<Finding> {
    let mut found = twins(policy, account);
    for rule in &policy.rules {
        match shape::resolve(&rule.amo, account) {
            Err(reason) => found.push(Finding::fault(reason, missing_remedy(&rule.amo, account))),
            Ok(slot) => {
                found.extend(unwritable(rule, &slot));
                found.extend(ambiguous(rule, account));
                found.extend(without_choices(rule, &slot));
            }
        }
    }
    found
}

/// The names of the fields, to choose from.
fn missing_remedy(selector: &AmoField, account: &Account) -> String {
    let fields = fields_of(selector.entity, account);
    match &selector.part {
        AmoPart::Custom { field: FieldRef::Name(name), address: None } => {
            let names: Vec<&str> = fields.values().map(|info| info.name.as_str()).collect();
            match near(name, &names) {
                Some(near) => format!("did you mean \"{near}\"? Else make the field in amoCRM, or drop the pair"),
                None => format!("the account has {}: use one of them, or make the field", listed(&names)),
            }
        }
        AmoPart::Custom { field: FieldRef::Id(id), address: None } => {
            let ids: Vec<String> = fields.keys().map(ToString::to_string).collect();
            let near = nearest(&id.to_string(), ids.iter().map(String::as_str))
                .and_then(|near| fields.iter().find(|(id, _)| id.to_string() == near));
            match near {
                Some((id, info)) => {
                    format!("did you mean {id} (\"{}\")? A field's number is in its address in amoCRM", info.name)
                }
                None => {
                    let names: Vec<String> = fields.iter().map(|(id, info)| format!("{id} {}", info.name)).collect();
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    format!("the account has {}: use one of them, or make the field", listed(&names))
                }
            }
        }
        AmoPart::Custom { .. } => "only an address field has parts: drop the last word".to_owned(),
        _ => "amoCRM made no such field in this account: map a field of your own instead".to_owned(),
    }
}

/// The name a mistyped one is nearest to; one that begins alike counts too.
fn near<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let folded = text::folded(name);
    let folds: Vec<String> = known.iter().map(|known| text::folded(known)).collect();
    let place = nearest(&folded, folds.iter().map(String::as_str))
        .and_then(|near| folds.iter().position(|known| known == near))
        .or_else(|| folds.iter().position(|known| known.starts_with(&folded) || folded.starts_with(known.as_str())));
    place.and_then(|place| known.get(place).copied())
}

fn fields_of(entity: Entity, account: &Account) -> &BTreeMap<super::id::FieldId, FieldInfo> {
    match entity {
        Entity::Contact => &account.contact_fields,
        Entity::Lead => &account.lead_fields,
    }
}

fn unwritable(rule: &Rule, slot: &Slot) -> Option<Finding> {
    let is_read_only = slot.form == Form::ReadOnly && rule.amo.part != AmoPart::Id;
    (is_read_only && rule.direction.writes_amo()).then(|| {
        let number = match slot.kind {
            Some(FieldKind::Other(number)) if number > 0 => format!(" (type {number})"),
            _ => String::new(),
        };
        Finding::fault(
            format!("`{}` is a field of a type that is never written{number}", rule.amo),
            "set direction = \"to_salebot\" for this pair, or map a text field".to_owned(),
        )
    })
}

fn ambiguous(rule: &Rule, account: &Account) -> Option<Finding> {
    let AmoPart::Custom { field: FieldRef::Name(name), .. } = &rule.amo.part else { return None };
    let folded = text::folded(name);
    let twins: Vec<String> = fields_of(rule.amo.entity, account)
        .iter()
        .filter(|(_, info)| text::folded(&info.name) == folded)
        .map(|(id, _)| id.to_string())
        .collect();
    (twins.len() > 1).then(|| {
        Finding::doubt(
            format!("{} fields are called \"{name}\"; the first is taken: {}", twins.len(), twins[0]),
            format!("name the field by its number, one of {}", twins.join(", ")),
        )
    })
}

fn without_choices(rule: &Rule, slot: &Slot) -> Option<Finding> {
    let is_empty = matches!(&slot.form, Form::Choice(choices) | Form::Choices(choices) if choices.is_empty());
    (is_empty && rule.direction.writes_amo()).then(|| {
        Finding::doubt(
            format!("`{}` is a list without choices: nothing can be written into it", rule.amo),
            "add its choices in amoCRM".to_owned(),
        )
    })
}

/// Variables that stand for the first element of one list: who fills in the second one replaces the first number.
fn twins(policy: &Policy, account: &Account) -> Vec<Finding> {
    let mut lists: Vec<(Entity, Slot, Vec<&Rule>)> = Vec::new();
    for rule in policy.rules.iter().filter(|rule| rule.direction == Direction::Both) {
        let Ok(slot) = shape::resolve(&rule.amo, account) else { continue };
        if !matches!(slot.form, Form::Phones | Form::Emails | Form::Several) {
            continue;
        }
        let entity = rule.amo.entity;
        match lists.iter_mut().find(|(of, list, _)| *of == entity && list.place == slot.place) {
            Some((_, _, rules)) => rules.push(rule),
            None => lists.push((entity, slot, vec![rule])),
        }
    }
    let told = |(_, _, rules): &(Entity, Slot, Vec<&Rule>)| {
        let names: Vec<String> = rules.iter().map(|rule| format!("`{}`", rule.salebot)).collect();
        let [_, second, ..] = rules.as_slice() else { return None };
        Some(Finding::doubt(
            format!(
                "{} {} hold the first value of `{}`, and an edit of any of them changes that one",
                listed(&names.iter().map(String::as_str).collect::<Vec<_>>()),
                if names.len() == 2 { "both" } else { "all" },
                second.amo
            ),
            format!(
                "set direction = \"to_amo\" for `{}`: what it is told is added to the list; or map it to a field of its own",
                second.salebot
            ),
        ))
    };
    lists.iter().filter_map(told).collect()
}

/// Rows of the stage table, and filters of triggers, that the account has no stage for; stages of the table's
/// pipelines that no row covers.
pub fn stages(policy: &Policy, account: &Account) -> Vec<Finding> {
    let mut found = Vec::new();
    let rows = policy.orders.stages.iter().map(|row| ("orders.stage", Some(row.pipeline), Some(row.status)));
    let triggers = policy.triggers.iter().map(|trigger| ("trigger", trigger.pipeline, trigger.status));
    for (place, pipeline, status) in rows.chain(triggers) {
        found.extend(unknown_stage(place, pipeline, status, account));
    }
    found.dedup();
    if policy.orders.enabled {
        found.extend(uncovered(policy, account));
    }
    found
}

fn unknown_stage(
    place: &str,
    pipeline: Option<PipelineId>,
    status: Option<StatusId>,
    account: &Account,
) -> Option<Finding> {
    let all = || -> String {
        let names: Vec<String> = account.pipelines.iter().map(|(id, pipe)| format!("{id} {}", pipe.name)).collect();
        listed(&names.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let Some(pipeline) = pipeline else {
        let status = status?;
        let is_known = account.pipelines.values().any(|pipe| pipe.statuses.contains_key(&status));
        return (!is_known).then(|| {
            Finding::fault(
                format!("{place}: no pipeline has the stage {status}"),
                format!("name the pipeline too: {}", all()),
            )
        });
    };
    let Some(known) = account.pipelines.get(&pipeline) else {
        return Some(Finding::fault(
            format!("{place}: the account has no pipeline {pipeline}"),
            format!("its pipelines are {}", all()),
        ));
    };
    let status = status.filter(|status| !known.statuses.contains_key(status))?;
    let names: Vec<String> = known.statuses.iter().map(|(id, name)| format!("{id} {name}")).collect();
    Some(Finding::fault(
        format!("{place}: the pipeline {pipeline} ({}) has no stage {status}", known.name),
        format!("its stages are {}", listed(&names.iter().map(String::as_str).collect::<Vec<_>>())),
    ))
}

/// Open stages only: won and lost are told to the bot without a row.
fn uncovered(policy: &Policy, account: &Account) -> Option<Finding> {
    let pipelines: BTreeSet<PipelineId> = policy.orders.stages.iter().map(|row| row.pipeline).collect();
    let missing: Vec<String> = pipelines
        .iter()
        .filter_map(|id| Some((id, account.pipelines.get(id)?)))
        .flat_map(|(id, pipe)| pipe.statuses.iter().map(move |(status, name)| (*id, *status, name)))
        .filter(|(pipe, status, _)| !status.is_closed() && policy.orders.state_for(*pipe, *status).is_none())
        .map(|(pipe, status, name)| format!("{pipe}:{status} {name}"))
        .collect();
    (!missing.is_empty()).then(|| {
        let names: Vec<&str> = missing.iter().map(String::as_str).collect();
        Finding::doubt(
            format!("stages without a row move nothing: {}", listed(&names)),
            "add a [[bridge.orders.stage]] for each that should move the order".to_owned(),
        )
    })
}

/// What stands in the way of pairs of the responsible user.
pub fn users(policy: &Policy, account: &Account) -> Vec<Finding> {
    let rules: Vec<&Rule> = policy.rules.iter().filter(|rule| rule.amo.part == AmoPart::Responsible).collect();
    let Some(rule) = rules.first() else { return Vec::new() };
    let mut found = Vec::new();
    if account.users.is_empty() {
        found.push(Finding::doubt(
            format!("`{}` is mapped, and amoCRM does not show this token the users: they stand as numbers", rule.amo),
            "use a token that an administrator has made".to_owned(),
        ));
    }
    let mut seen = BTreeSet::new();
    let twins: BTreeSet<&str> =
        account.users.values().filter(|name| !seen.insert(text::folded(name))).map(String::as_str).collect();
    if !twins.is_empty() && rules.iter().any(|rule| rule.direction.writes_amo()) {
        found.push(Finding::doubt(
            format!("users of the same name cannot be told apart: {}", listed(&twins.into_iter().collect::<Vec<_>>())),
            "give them different names in amoCRM, or set direction = \"to_salebot\"".to_owned(),
        ));
    }
    found
}

/// Values of a client's variables that are no choice of the list they are mapped to.
pub fn choices(policy: &Policy, account: &Account, variables: &Variables) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in policy.rules.iter().filter(|rule| rule.direction.writes_amo()) {
        let SalebotField::Client(name) = &rule.salebot else { continue };
        let (Some(value), Ok(slot)) = (variables.get(name), shape::resolve(&rule.amo, account)) else { continue };
        let (choices, values) = match &slot.form {
            Form::Choice(choices) => (choices, vec![value.clone()]),
            Form::Choices(choices) => (choices, text::listed_among(value, choices.values().map(String::as_str))),
            _ => continue,
        };
        let names: Vec<&str> = choices.values().map(String::as_str).collect();
        for value in values.iter().filter(|value| !value.trim().is_empty()) {
            if names.iter().any(|name| text::folded_item(name) == text::folded_item(value)) {
                continue;
            }
            let remedy = match near(value, &names) {
                Some(near) => format!("did you mean \"{near}\"? Write it so in the bot, or add the choice in amoCRM"),
                None => format!("its choices are {}: write one of them in the bot, or add it", listed(&names)),
            };
            let value = text::one_line(value, QUOTE_CHARS_MAX);
            let what = format!("client.{name} holds \"{value}\", which is no choice of `{}`", rule.amo);
            found.push(Finding::doubt(what, remedy));
        }
    }
    found
}

/// A few of them, and how many more there are.
pub fn listed(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        _ if names.len() <= NAMES_MAX => names.join(", "),
        _ => format!("{}, and {} more", names[..NAMES_MAX].join(", "), names.len() - NAMES_MAX),
    }
}

#[cfg(test)]
mod tests;
