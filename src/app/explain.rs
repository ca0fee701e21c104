//! `explain`: which event, rule and action gave a value, from the journal, the outbox and the links. Asks no service.

use crate::app::dead_letters::bridges;
use crate::config::Config;
use crate::core::action::{client_key, contact_key, lead_key};
use crate::core::gap::JOURNAL_KEPT_DAYS;
use crate::core::id::{ClientId, ContactId, LeadId};
use crate::core::link::{Bases, Content};
use crate::core::model::Account;
use crate::core::plan::ground;
use crate::core::policy::Policy;
use crate::core::run::Run;
use crate::core::time::Millis;
use crate::ports::store::{DeadContent, JournalRow, OutboxRow, Store};
use anyhow::bail;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Most lines of the journal that are told of one record, the newest.
pub const LINES_MAX: u32 = 1_000;
/// Most dead letters that are looked through.
const LISTED_MAX: u32 = 10_000;

/// Which record is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A contact, with its clients.
    Contact(ContactId),
    /// A client, with its contact.
    Client(ClientId),
    /// A lead, with its client.
    Lead(LeadId),
}

impl Asked {
    /// `contact:101`.
    pub fn key(self) -> String {
        match self {
            Asked::Contact(id) => contact_key(id),
            Asked::Client(id) => client_key(id),
            Asked::Lead(id) => lead_key(id),
        }
    }
}

/// A step of the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// When.
    pub at: Millis,
    /// About which record.
    pub record: String,
    /// `done`, `conflict`, `waits`, `dead` …
    pub what: String,
    /// The pairs that led to it.
    pub rules: Vec<String>,
    /// In words.
    pub told: String,
}

/// Record, pair, amoCRM's value, Salebot's value; none: never seen.
pub type LastSeen = (String, String, Option<Content>, Option<Content>);

/// What is known about a record.
#[derive(Debug, Clone)]
pub struct Story {
    /// The bridge.
    pub bridge: String,
    /// The account's time zone; UTC where it is not known.
    pub zone: TimeZone,
    /// The records that belong together, the one that is asked about first.
    pub records: Vec<String>,
    /// What happened, oldest first; then what waits.
    pub steps: Vec<Step>,
    /// What both sides were last seen to have.
    pub seen: Vec<LastSeen>,
    /// How far the journal reaches.
    pub reach: String,
}

impl Story {
    /// A moment as people of the account read it.
    pub fn moment(&self, at: Millis) -> String {
        let moment = Timestamp::from_millisecond(at.0).unwrap_or_default().to_zoned(self.zone.clone());
        moment.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
    }

    /// For programs. Times are Unix milliseconds.
    pub fn json(&self) -> Value {
        let steps = self.steps.iter().map(|step| {
            let Step { at, record, what, rules, told } = step;
            json!({ "at": at, "local": self.moment(*at), "record": record, "what": what, "rules": rules, "told": told })
        });
        let seen = self.seen.iter().map(
            |(record, pair, amo, salebot)| json!({ "record": record, "pair": pair, "amo": amo, "salebot": salebot }),
        );
        json!({
            "bridge": self.bridge, "records": self.records, "steps": steps.collect::<Vec<_>>(),
            "last_seen": seen.collect::<Vec<_>>(), "journal": self.reach,
        })
    }
}

/// Tells of a record, or of one field of it, in every bridge that knows it.
///
/// # Errors
/// No bridge knows the record, or no pair has such a field.
pub async fn explain(
    config: &Config,
    store: &dyn Store,
    only: Option<&str>,
    asked: Asked,
    field: Option<&str>,
) -> anyhow::Result<Vec<Story>> {
    let chosen = bridges(config, only)?;
    let mut stories = Vec::new();
    for bridge in config.bridges.iter().filter(|bridge| chosen.contains(&bridge.name.as_str())) {
        let wanted = field.map(|field| pairs(&bridge.policy, field)).transpose()?;
        if let Some(story) = tell(store, &bridge.name, asked, wanted.as_ref()).await? {
            stories.push(story);
        }
    }
    if stories.is_empty() {
        bail!(
            "{} is not known: neither a link nor a line of the journal is about it (the journal keeps {JOURNAL_KEPT_DAYS} days)",
            asked.key()
        );
    }
    Ok(stories)
}

/// The pairs a field belongs to: by either side's name, or the name's end.
fn pairs(policy: &Policy, field: &str) -> anyhow::Result<BTreeSet<String>> {
    let kept = crate::core::plan::identifiers();
    let all = || policy.rules.iter().chain(&kept);
    let is_named = |name: &str| name == field || name.split_once('.').is_some_and(|(_, rest)| rest == field);
    let fits = |rule: &&crate::core::policy::Rule| {
        rule.key() == field || is_named(&rule.amo.to_string()) || is_named(&rule.salebot.to_string())
    };
    let mut found: BTreeSet<String> = all().filter(fits).map(|rule| rule.key()).collect();
    let stage = crate::core::plan::stage::STAGE_PAIR;
    if policy.orders.enabled && (field == stage || stage.split('=').any(is_named)) {
        found.insert(stage.to_owned());
    }
    if found.is_empty() {
        let names: Vec<String> = all().map(|rule| rule.key()).collect();
        bail!("no pair has a field {field}; the mapping has {}", names.join(", "));
    }
    Ok(found)
}

async fn tell(
    store: &dyn Store,
    bridge: &str,
    asked: Asked,
    wanted: Option<&BTreeSet<String>>,
) -> anyhow::Result<Option<Story>> {
    let (records, bases) = belongings(store, bridge, asked).await?;
    let is_wanted = |rules: &[String]| wanted.is_none_or(|wanted| rules.iter().any(|rule| wanted.contains(rule)));
    let mut steps = Vec::new();
    let mut is_cut = false;
    for record in &records {
        let lines = store.journal(bridge, record, LINES_MAX).await?;
        is_cut |= lines.len() as u64 == u64::from(LINES_MAX);
        steps.extend(lines.into_iter().map(|line| done_step(line, wanted)).filter(|step| is_wanted(&step.rules)));
    }
    if bases.is_empty() && steps.is_empty() && records.len() == 1 && wanted.is_none() {
        return Ok(None);
    }
    steps.sort_by_key(|step| step.at);
    let mut open = waiting(store, bridge, &records).await?;
    open.retain(|step| is_wanted(&step.rules));
    let oldest = steps.first().map(|step| step.at);
    steps.extend(open);
    let seen = bases.into_iter().flat_map(|(record, bases)| {
        let of = move |(rule, base): (String, crate::core::link::Base)| (record.clone(), rule, base.amo, base.salebot);
        bases.into_iter().map(of).collect::<Vec<_>>()
    });
    let seen = seen.filter(|(_, rule, _, _)| is_wanted(std::slice::from_ref(rule))).collect();
    let zone = zone(store, bridge).await?;
    let mut story = Story { bridge: bridge.to_owned(), zone, records, steps, seen, reach: String::new() };
    story.reach = reach(&story, oldest, is_cut);
    Ok(Some(story))
}

/// How far the journal tells.
fn reach(story: &Story, oldest: Option<Millis>, is_cut: bool) -> String {
    let kept = format!("The journal keeps {JOURNAL_KEPT_DAYS} days");
    match oldest {
        None => format!(
            "{kept} and holds nothing about this: what gave the value is older, or it was the same on both sides when they were first compared."
        ),
        Some(oldest) if is_cut => {
            format!("The newest {LINES_MAX} lines of a record are told; they begin at {}.", story.moment(oldest))
        }
        Some(oldest) => format!("{kept}; its first line about this is of {}.", story.moment(oldest)),
    }
}

/// The record with those linked to it, and what was last seen of their values.
async fn belongings(
    store: &dyn Store,
    bridge: &str,
    asked: Asked,
) -> anyhow::Result<(Vec<String>, Vec<(String, Bases)>)> {
    let (mut records, mut bases) = (vec![asked.key()], Vec::new());
    let mut clients = match asked {
        Asked::Contact(id) => store.clients_of(bridge, &[id]).await?,
        Asked::Client(id) => store.clients(bridge, &[id]).await?,
        Asked::Lead(id) => {
            for deal in store.deals(bridge, &[id]).await? {
                records.extend(deal.client.map(client_key));
                bases.push((lead_key(deal.lead), deal.bases));
            }
            Vec::new()
        }
    };
    for link in std::mem::take(&mut clients) {
        records.push(client_key(link.client.id));
        records.extend(link.contact.map(contact_key));
        bases.push((client_key(link.client.id), link.bases));
    }
    let mut known = BTreeSet::new();
    records.retain(|record| known.insert(record.clone()));
    Ok((records, bases))
}

async fn zone(store: &dyn Store, bridge: &str) -> anyhow::Result<TimeZone> {
    let kept = store.text(bridge, ground::KEPT_ACCOUNT).await?;
    let account = kept.and_then(|text| serde_json::from_str::<Account>(&text).ok());
    Ok(account.and_then(|account| TimeZone::get(&account.time_zone).ok()).unwrap_or(TimeZone::UTC))
}

/// A line of the journal as a step; of what was written together only what is asked about.
fn done_step(mut line: JournalRow, wanted: Option<&BTreeSet<String>>) -> Step {
    if let (Some(wanted), Some(values)) = (wanted, line.detail["values"].as_object_mut()) {
        let names: Vec<&str> =
            wanted.iter().filter_map(|rule| Some(rule.split_once('=')?.1.split_once('.')?.1)).collect();
        values.retain(|name, _| names.contains(&name.as_str()));
    }
    let detail = &line.detail;
    let mut rules: Vec<String> =
        detail["rules"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    rules.extend(detail["rule"].as_str().map(str::to_owned));
    rules.retain(|rule| wanted.is_none_or(|wanted| wanted.contains(rule)));
    let told = match line.kind.as_str() {
        "done" => done(line.at, detail),
        "conflict" => {
            let side = if detail["gave_up"] == "amo" { "amoCRM" } else { "Salebot" };
            format!("both sides were edited; this value of {side} gave way: {}", detail["value"])
        }
        "refused" => format!("it was not carried over: {}", detail["reason"].as_str().unwrap_or_default()),
        _ => detail.to_string(),
    };
    Step { at: line.at, record: line.subject, what: line.kind, rules, told }
}

/// Event, action and confirmation of what was done.
fn done(at: Millis, detail: &Value) -> String {
    let run = detail["run"].as_str().and_then(|run| run.parse::<Run>().ok());
    if let Some(run) = run {
        return format!("set off by {} (run {run}) → {}", run.kind.told(), action_told(at, detail));
    }
    let event = match detail["trigger"].as_str() {
        _ if is_call(detail) => "set off by a bot's call",
        _ if detail["action"] == "add_note" => "set off by a message",
        Some("person") => "set off by a message, a hook, a call or a marked record",
        Some("poll") => "set off by a poll",
        Some("background") => "set off by a backfill or a sweep",
        _ => "set off by what an earlier version did not note",
    };
    format!("{event} → {}", action_told(at, detail))
}

/// What a bot asked for, by the action's name.
fn is_call(detail: &Value) -> bool {
    detail["action"].as_str().is_some_and(|name| name.starts_with("function"))
}

/// Action and confirmation.
fn action_told(at: Millis, detail: &Value) -> String {
    let action = detail["action"].as_str().unwrap_or("an action");
    let values = if detail["values"].is_null() { String::new() } else { format!(" {}", detail["values"]) };
    let waited = detail["decided_at"].as_i64().map(|decided| at.0.saturating_sub(decided).max(0));
    let waited = waited.map(|waited| format!(", confirmed {waited} ms after it was decided")).unwrap_or_default();
    let attempts = detail["attempts"].as_u64().filter(|attempts| *attempts > 0);
    let attempts = attempts.map(|attempts| format!(", after {attempts} failed attempts")).unwrap_or_default();
    format!("{action}{values}{waited}{attempts}")
}

/// What waits, runs or was given up.
async fn waiting(store: &dyn Store, bridge: &str, records: &[String]) -> anyhow::Result<Vec<Step>> {
    let mut keys = records.to_vec();
    keys.extend(records.iter().map(|record| format!("notes:{record}")));
    keys.extend(records.iter().filter_map(|record| Some(format!("new:{}", record.strip_prefix("client:")?))));
    let mut steps: Vec<Step> = store.pending(bridge, &keys).await?.iter().map(|row| open_step(row, "waits")).collect();
    for letter in store.dead_letters(bridge, LISTED_MAX).await? {
        if letter.queue == "outbox"
            && records.contains(&letter.subject)
            && let Some(detail) = store.dead_letter(bridge, letter.queue, letter.id).await?
            && let DeadContent::Action(row) = detail.content
        {
            steps.push(open_step(&row, "dead"));
        }
    }
    Ok(steps)
}

fn open_step(row: &OutboxRow, what: &str) -> Step {
    let rules: BTreeSet<String> = row.action.confirms().iter().map(|confirm| confirm.rule.clone()).collect();
    let fault = row.fault.as_ref().map(|fault| format!("; the last attempt failed: {fault}")).unwrap_or_default();
    Step {
        at: row.created_at,
        record: row.action.key(),
        what: what.to_owned(),
        rules: rules.into_iter().collect(),
        told: format!("outbox:{} {} was decided then{fault}", row.id.0, row.action.name()),
    }
}
