//! A mapping to begin with: which field of amoCRM is which variable of Salebot, by their names.
//!
//! For `init`. What is not sure is proposed as such, so that it ends up as a comment and not as a write.

mod names;

use super::id::{FieldId, StateId};
use super::model::{Account, FieldInfo, FieldKind};
use super::nearest::nearest;
use super::policy::Direction;
use super::selector::SalebotField;
use std::collections::{BTreeMap, BTreeSet};

/// What was seen of a Salebot project: its API lists neither variables nor stages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// Names of variables that some clients have.
    pub client_variables: BTreeSet<String>,
    /// Names of variables that some orders have.
    pub order_variables: BTreeSet<String>,
    /// Stages in which some orders are.
    pub states: BTreeSet<StateId>,
}

/// A proposed pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The selector of amoCRM's value.
    pub amo: String,
    /// What people call it there.
    pub name: String,
    /// The selector of Salebot's value.
    pub salebot: String,
    /// Which way it should travel.
    pub direction: Direction,
    /// False: it stands as a comment until somebody has looked at it.
    pub is_certain: bool,
    /// Why these two, in words.
    pub why: String,
}

/// Variables that Salebot fills itself, beside those that no selector takes (Salebot page on variables), and ours.
const SERVICE: [&str; 17] = [
    "notSubscribed",
    "clientBlocked",
    "avito_profile",
    "avito_order_id",
    "avito_order_url",
    "ok_user_id",
    "viewed_page",
    "story_url",
    "callback_order_id",
    "callback_query_id",
    "text_to_merge_contact",
    "amo_contact_id",
    "amo_client_id",
    "amo_lead_id",
    "failed_reason",
    "achived_reason",
    "name",
];

/// Proposes pairs, those of contacts first.
pub fn propose(account: &Account, seen: &Seen) -> Vec<Proposal> {
    let mut found = of_every_account(account);
    let taken: BTreeSet<String> = found.iter().map(|pair| pair.salebot.clone()).collect();
    found.extend(of_fields(&account.contact_fields, "contact", "client", &seen.client_variables, &taken));
    found.push(certain("lead.price", "Бюджет", "order.budget", "an order has a budget of its own"));
    found.extend(of_fields(&account.lead_fields, "lead", "order", &seen.order_variables, &BTreeSet::new()));
    found
}

/// What every account has.
fn of_every_account(account: &Account) -> Vec<Proposal> {
    let has = |code: &str| account.contact_fields.values().any(|info| info.code.as_deref() == Some(code));
    let mut found = Vec::new();
    if has("PHONE") {
        found.push(certain("contact.phone", "Телефон", "client.phone", "Salebot's own name for the phone"));
    }
    if has("EMAIL") {
        found.push(certain("contact.email", "Email", "client.email", "Salebot's own name for the e-mail"));
    }
    let to_salebot = |amo: &str, name: &str, salebot: &str| Proposal {
        direction: Direction::ToSalebot,
        is_certain: false,
        why: "useful in a bot's texts; the variable is new".to_owned(),
        ..certain(amo, name, salebot, "")
    };
    found.push(to_salebot("contact.name", "Имя контакта", "client.crm_name"));
    found.push(to_salebot("contact.responsible", "Ответственный", "client.crm_manager"));
    found
}

fn certain(amo: &str, name: &str, salebot: &str, why: &str) -> Proposal {
    Proposal {
        amo: amo.to_owned(),
        name: name.to_owned(),
        salebot: salebot.to_owned(),
        direction: Direction::Both,
        is_certain: true,
        why: why.to_owned(),
    }
}

/// How a field found its variable.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Match {
    /// The name, in one spelling or another.
    Same(String),
    /// Another word for the same.
    Synonym(String),
    /// Nearly the name.
    Near(String),
    /// No variable was seen; this one would be new.
    New(String),
    /// A fact of the client.
    Fact(&'static str, bool),
}

fn of_fields(
    fields: &BTreeMap<FieldId, FieldInfo>,
    record: &str,
    scope: &str,
    variables: &BTreeSet<String>,
    taken: &BTreeSet<String>,
) -> Vec<Proposal> {
    let free = |name: &&String| {
        let selector = format!("{scope}.{name}");
        let is_variable = matches!(selector.parse(), Ok(SalebotField::Client(_) | SalebotField::Order(_)));
        is_variable && !SERVICE.contains(&name.as_str()) && !taken.contains(&selector)
    };
    let variables: Vec<&str> = variables.iter().filter(free).map(String::as_str).collect();
    let mut found: Vec<Proposal> = fields
        .iter()
        .filter(|(_, info)| is_mappable(info))
        .map(|(id, info)| proposal(*id, info, record, scope, matched(info, record, &variables)))
        .collect();
    let mut uses: BTreeMap<String, usize> = taken.iter().map(|name| (name.clone(), 1)).collect();
    for pair in &found {
        *uses.entry(pair.salebot.clone()).or_default() += 1;
    }
    for pair in found.iter_mut().filter(|pair| pair.is_certain && uses[&pair.salebot] > 1) {
        pair.is_certain = false;
        pair.why = "more than one field fits this variable".to_owned();
    }
    found
}

/// Phones and e-mails have selectors of their own; other lists of several values have no variable's form.
fn is_mappable(info: &FieldInfo) -> bool {
    info.kind != FieldKind::Multitext && !info.name.trim().is_empty()
}

fn matched(info: &FieldInfo, record: &str, variables: &[&str]) -> Match {
    let wanted = names::key(&info.name);
    if record == "contact"
        && let Some(fact) = fact(&wanted)
    {
        return fact;
    }
    if let Some(same) = variables.iter().find(|name| names::key(name) == wanted) {
        return Match::Same((*same).to_owned());
    }
    let concept = names::concept(&info.name);
    if let Some(concept) = concept
        && let Some(other) = variables.iter().find(|name| names::concept(name) == Some(concept))
    {
        return Match::Synonym((*other).to_owned());
    }
    let keys: Vec<String> = variables.iter().map(|name| names::key(name)).collect();
    let near = nearest(&wanted, keys.iter().map(String::as_str))
        .and_then(|near| keys.iter().position(|key| key == near))
        .or_else(|| keys.iter().position(|key| is_part(key, &wanted)));
    match near.and_then(|place| variables.get(place)) {
        Some(near) => Match::Near((*near).to_owned()),
        None => Match::New(concept.map_or_else(|| names::variable(&info.name), str::to_owned)),
    }
}

/// One holds the other, and both are long enough for that to say something.
fn is_part(one: &str, other: &str) -> bool {
    one.len() >= PART_MIN && other.len() >= PART_MIN && (one.contains(other) || other.contains(one))
}

const PART_MIN: usize = 5;

/// Fields that hold what a client is.
fn fact(key: &str) -> Option<Match> {
    let is_id = key.contains("salebot") && key.contains("id");
    match key {
        _ if is_id => Some(Match::Fact("client.id", true)),
        "messendzher" | "mesenger" | "mesendzher" => Some(Match::Fact("client.messenger", false)),
        "bot" => Some(Match::Fact("client.bot", false)),
        _ => None,
    }
}

fn proposal(id: FieldId, info: &FieldInfo, record: &str, scope: &str, matched: Match) -> Proposal {
    let variable = |name: &str| format!("{scope}.{name}");
    let is_writable = !matches!(info.kind, FieldKind::Other(_));
    let (salebot, is_certain, why) = match &matched {
        Match::Same(name) => (variable(name), true, "the same name".to_owned()),
        Match::Synonym(name) => (variable(name), true, "another word for the same".to_owned()),
        Match::Near(name) => (variable(name), false, "the names are alike".to_owned()),
        Match::New(name) => (variable(name), false, "no such variable was seen; it would be new".to_owned()),
        Match::Fact(fact, is_certain) => {
            ((*fact).to_owned(), *is_certain, "what Salebot knows of the client".to_owned())
        }
    };
    let direction = match matched {
        Match::Fact(..) => Direction::ToAmo,
        _ if !is_writable => Direction::ToSalebot,
        _ => Direction::Both,
    };
    let is_certain = is_certain && (is_writable || direction == Direction::ToSalebot);
    Proposal { amo: format!("{record}.field.{id}"), name: info.name.clone(), salebot, direction, is_certain, why }
}

#[cfg(test)]
mod tests;
