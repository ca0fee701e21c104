//! The needs on amoCRM's side: reachable, token, clock, rights, metadata, records.

use super::{Need, Outcome, Subject, clock};
use crate::app::wire::{self, Asked};
use crate::config::{AmoAuth, Api, Bridge};
use crate::core::fault::{Fault, FaultKind};
use crate::core::model::Account;
use crate::core::policy::CreateContact;
use crate::core::time::Millis;
use crate::core::token;
use crate::ports::remote::{PageRequest, Priority};
use crate::remote::amocrm::{Standing, TokenUser};
use secrecy::ExposeSecret;

/// What rests on a good token.
const ON_TOKEN: [Subject; 4] = [Subject::AMO_CLOCK, Subject::AMO_RIGHTS, Subject::AMO_ACCOUNT, Subject::AMO_RECORDS];
const DAY_MS: i64 = 86_400_000;
/// A token that ends sooner is worth a word.
const TOKEN_WARNING_DAYS: i64 = 30;

/// What was found.
pub(super) struct OfAmo {
    /// Each need.
    pub(super) needs: Vec<Need>,
    /// The account, where it could be read.
    pub(super) account: Option<Account>,
}

/// Tries amoCRM: four requests in v2, eight or so in v4.
pub(super) async fn examine(bridge: &Bridge, asked: &Asked) -> OfAmo {
    let without = |mut needs: Vec<Need>, rest: &[Subject], reason: &str| {
        needs.extend(rest.iter().map(|subject| Need::not_tried(*subject, reason)));
        OfAmo { needs, account: None }
    };
    if matches!(&bridge.amo.auth, AmoAuth::Token(token) if token.expose_secret().is_empty()) {
        let needs = vec![Need::not_tried(Subject::AMO, "the token could not be read")];
        return without(needs, &[&[Subject::AMO_TOKEN], &ON_TOKEN[..]].concat(), "the token could not be read");
    }
    let before = wire::now();
    let standing = match asked.inquiry.standing().await {
        Ok(standing) => standing,
        Err(fault) if is_about_token(&fault) => {
            let needs = vec![Need::fine(Subject::AMO, format!("{} answers", bridge.amo.url)), refused(bridge, &fault)];
            return without(needs, &ON_TOKEN, "the token must be good first");
        }
        Err(fault) => {
            let needs = vec![unreachable(Subject::AMO, &bridge.amo.url, &fault)];
            return without(needs, &[&[Subject::AMO_TOKEN], &ON_TOKEN[..]].concat(), "amoCRM must be reachable first");
        }
    };
    let after = wire::now();
    let mut needs = vec![
        Need::fine(Subject::AMO, account_words(bridge, &standing)),
        token_need(bridge, &standing, after),
        clock(Subject::AMO_CLOCK, standing.server_time, before, after),
        rights(bridge, standing.user.as_ref()),
    ];
    let account = match asked.amo.account(Priority::Person).await {
        Ok(account) => {
            needs.push(Need::fine(Subject::AMO_ACCOUNT, counts(&account)));
            Some(account)
        }
        Err(fault) => {
            needs.push(unreachable(Subject::AMO_ACCOUNT, "the account", &fault));
            None
        }
    };
    needs.push(records(bridge, asked).await);
    OfAmo { needs, account }
}

/// True where the answer came from amoCRM and is about the token.
pub fn is_about_token(fault: &Fault) -> bool {
    fault.kind == FaultKind::Auth && !fault.reason.contains("moved")
}

fn account_words(bridge: &Bridge, standing: &Standing) -> String {
    let version = match bridge.amo.api {
        Api::V2 => "v2",
        Api::V4 => "v4",
    };
    format!("{} answers in API {version}: account {} \"{}\"", bridge.amo.url, standing.account, standing.name)
}

fn refused(bridge: &Bridge, fault: &Fault) -> Need {
    Need::failed(Subject::AMO_TOKEN, &fault.reason, token_remedy(bridge, fault))
}

/// What to do about a refusal that is about the token: a bridge with OAuth has no token that people make.
pub(super) fn token_remedy(bridge: &Bridge, fault: &Fault) -> String {
    if fault.reason.contains("subscription") {
        return "pay the account's subscription; until then amoCRM takes no changes".to_owned();
    }
    if fault.reason.contains("address is not on") {
        return "add this machine's address to the account's list of allowed addresses".to_owned();
    }
    match bridge.amo.auth {
        AmoAuth::Token(_) => "make a new long-lived token in amoCRM (settings, Integrations, your integration, Keys and access), and put it where amo.token points".to_owned(),
        AmoAuth::OAuth(_) => format!("salebridge auth login --bridge {}", bridge.name),
    }
}

/// What keeps a service from answering, with what to do.
pub(super) fn unreachable(subject: Subject, what: &str, fault: &Fault) -> Need {
    Need::failed(subject, format!("{what}: {}", fault.reason), unreachable_remedy(fault))
}

/// What to do about a service that does not answer as it should.
pub fn unreachable_remedy(fault: &Fault) -> &'static str {
    let told = fault.reason.to_lowercase();
    match fault.kind {
        FaultKind::Blocked => "send nothing for a while, and ask amoCRM's support to lift the block",
        FaultKind::Throttled { .. } => {
            "too many requests come from somewhere: wait a minute, see what else uses this account"
        }
        FaultKind::Auth if told.contains("moved") => "write the account's present address into the configuration",
        FaultKind::Auth => "give the token's user, or the key, the right to this",
        FaultKind::Broken | FaultKind::Rejected => {
            "check the address letter by letter: scheme and host, nothing behind"
        }
        _ if told.contains("dns") || told.contains("lookup") => {
            "check the address letter by letter; else this machine's name servers do not answer (see: getent hosts amocrm.ru)"
        }
        _ if told.contains("certificate") || told.contains("tls") => {
            "install the system's root certificates (Debian: apt-get install ca-certificates), and set this machine's clock"
        }
        _ => {
            "see that this machine reaches the internet (curl -I https://www.amocrm.ru); if it does, the service is down: try again later"
        }
    }
}

fn token_need(bridge: &Bridge, standing: &Standing, now: Millis) -> Need {
    let whose = match &standing.user {
        Some(TokenUser { name: Some(name), .. }) => format!("accepted, it acts as {name}"),
        Some(user) => format!("accepted, it acts as user {}", user.id),
        None => "accepted".to_owned(),
    };
    let AmoAuth::Token(token) = &bridge.amo.auth else { return Need::fine(Subject::AMO_TOKEN, whose) };
    let Some(end) = token::expiry(token.expose_secret()) else {
        return Need::fine(Subject::AMO_TOKEN, format!("{whose}; its end cannot be read from it"));
    };
    let days = end.since(now).div_euclid(DAY_MS);
    let day =
        jiff::Timestamp::from_millisecond(end.0).map(|end| end.strftime("%Y-%m-%d").to_string()).unwrap_or_default();
    let found = format!("{whose}; it ends on {day}, in {days} days");
    if days < TOKEN_WARNING_DAYS {
        return Need::warning(
            Subject::AMO_TOKEN,
            found,
            "make a new one in amoCRM before that day: everything stops with this one",
        );
    }
    Need::fine(Subject::AMO_TOKEN, found)
}

/// What the user needs for what the bridge is told to do.
fn rights(bridge: &Bridge, user: Option<&TokenUser>) -> Need {
    let subject = Subject::AMO_RIGHTS;
    let Some(user) = user else { return Need::not_tried(subject, "amoCRM does not tell whose token it is") };
    if user.is_admin == Some(true) {
        return Need::fine(subject, "an administrator: everything may be seen and edited");
    }
    if user.rights.is_empty() {
        let found = "amoCRM does not tell them; only an administrator's token certainly has all";
        return Need::warning(subject, found, "use a token that an administrator has made");
    }
    let mut needed = vec!["contact_view", "contact_edit"];
    if bridge.policy.people.create_contact != CreateContact::Never {
        needed.push("contact_add");
    }
    if bridge.policy.orders.enabled || bridge.policy.notes.on_lead {
        needed.extend(["lead_view", "lead_edit"]);
    }
    let limited: Vec<(&str, &str)> = needed
        .iter()
        .filter_map(|name| Some((*name, user.rights.get(*name)?.as_str())))
        .filter(|(_, right)| *right != "A")
        .collect();
    if limited.is_empty() {
        return Need::fine(subject, format!("no administrator, and may {}", needed.join(", ")));
    }
    let words = limited.iter().map(|(name, right)| format!("{name}: {}", right_words(right)));
    let found = words.collect::<Vec<_>>().join("; ");
    let remedy = "give the user these rights for all records in amoCRM, or use a token that an administrator has made";
    let is_denied = limited.iter().any(|(_, right)| *right == "D");
    let outcome = if is_denied { Outcome::Failed } else { Outcome::Warning };
    Need::new(subject, outcome, found, Some(remedy.to_owned()))
}

fn right_words(right: &str) -> &str {
    match right {
        "M" => "only its own records",
        "G" => "only its group's records",
        "D" => "denied",
        other => other,
    }
}

fn counts(account: &Account) -> String {
    format!(
        "{} contact fields, {} lead fields, {} pipelines, {} users, {}",
        account.contact_fields.len(),
        account.lead_fields.len(),
        account.pipelines.len(),
        account.users.len(),
        account.time_zone
    )
}

/// One row of each listing.
async fn records(bridge: &Bridge, asked: &Asked) -> Need {
    let request = PageRequest { since: None, offset: 0, limit: 1 };
    let contacts = asked.amo.contacts(request, Priority::Person).await.map(|page| page.received);
    let leads = asked.amo.leads(request, Priority::Person).await.map(|page| page.received);
    let (contacts, leads) = match (contacts, leads) {
        (Ok(contacts), Ok(leads)) => (contacts, leads),
        (Err(fault), _) => return unreachable(Subject::AMO_RECORDS, "contacts", &fault),
        (_, Err(fault)) => return unreachable(Subject::AMO_RECORDS, "leads", &fault),
    };
    let version = match bridge.amo.api {
        Api::V2 => "v2",
        Api::V4 => "v4",
    };
    let found = |count: u32| if count > 0 { "can be read" } else { "none is there" };
    Need::fine(Subject::AMO_RECORDS, format!("API {version}: contacts: {}, leads: {}", found(contacts), found(leads)))
}
