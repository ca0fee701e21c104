//! `verify`: every difference between the two sides, with its cause. Writes nothing.
//!
//! What a merge would leave alone agrees. For everything else the store is asked why it is not written yet; what
//! nothing explains, even after a second look, is lost, and that is the alarm.

use crate::app::inspect::{Ended, Looked, Reader, TOGETHER, Trouble, TroubleKind};
use crate::core::action::{Action, LinkRef, Side, client_key, lead_key};
use crate::core::id::{ContactId, LeadId};
use crate::core::link::Content;
use crate::core::plan::inspect::{Compared, Why};
use crate::core::policy::Direction;
use crate::core::time::Millis;
use crate::ports::store::{DeadContent, JournalRow, OutboxRow, Stored, Subject};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Most differences that are told one by one; all are counted.
pub const TOLD_MAX: usize = 10_000;
/// Rows of the store that are read together while records are chosen.
const CHOSEN_AT_ONCE: u32 = 1_000;
/// Most marks and dead letters that are looked through.
const LISTED_MAX: u32 = 10_000;
/// Most lines of the journal that are looked through for one record.
const JOURNAL_MAX: u32 = 200;
/// The wait before what seems lost is looked at again: a write under way has ended by then.
const AGAIN_MS: i64 = 3_000;

/// Why two values differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Nothing explains it: the alarm.
    Lost,
    /// A service does not have the record any more.
    Gone,
    /// A dead letter stands for it, or one was discarded.
    Dead,
    /// Both sides were edited; the loser stands in the journal.
    Conflict,
    /// The pair is frozen.
    Frozen,
    /// An undo put one side back.
    Undone,
    /// A write for it waits or runs.
    Queued,
    /// The record is to be looked at again.
    Marked,
    /// Nobody has looked since it was edited.
    Unseen,
    /// The pair does not carry it, or the other service cannot hold it.
    NotCarried,
    /// The record could not be read.
    Unread,
}

impl Cause {
    /// Every cause, the worst first.
    pub const ALL: [Cause; 11] = [
        Cause::Lost,
        Cause::Gone,
        Cause::Dead,
        Cause::Conflict,
        Cause::Frozen,
        Cause::Undone,
        Cause::Queued,
        Cause::Marked,
        Cause::Unseen,
        Cause::NotCarried,
        Cause::Unread,
    ];

    /// The word for tables and programs.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Lost => "lost",
            Cause::Gone => "gone",
            Cause::Dead => "dead",
            Cause::Conflict => "conflict",
            Cause::Frozen => "frozen",
            Cause::Undone => "undone",
            Cause::Queued => "queued",
            Cause::Marked => "marked",
            Cause::Unseen => "unseen",
            Cause::NotCarried => "not_carried",
            Cause::Unread => "unread",
        }
    }

    /// What it means and what to do.
    pub fn meaning(self) -> &'static str {
        match self {
            Cause::Lost => "nothing explains it: salebridge backfill repairs it; please report how it came about",
            Cause::Gone => "one service does not have the record any more; the sweep unlinks it",
            Cause::Dead => "a write was given up: salebridge dead-letters list",
            Cause::Conflict => "both sides were edited; the losing value stands in salebridge explain",
            Cause::Frozen => "the pair changed direction too often: salebridge release",
            Cause::Undone => "salebridge undo put one side back; an edit of either side carries on from there",
            Cause::Queued => "a write waits or runs",
            Cause::Marked => "the record will be looked at again by itself",
            Cause::Unseen => "edited since the last look; the next poll or message shows it",
            Cause::NotCarried => "the mapping does not carry it, or the other side cannot hold it",
            Cause::Unread => "a service did not answer; run this again",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The bridge.
    pub bridge: String,
    /// `client:5`, `lead:301`.
    pub record: String,
    /// The record it is linked to; empty where that is the same.
    pub with: String,
    /// `Rule::key`; empty where it is about the whole record.
    pub pair: String,
    /// Why.
    pub cause: Cause,
    /// The same with details, in words.
    pub told: String,
    /// amoCRM's value.
    pub amo: Content,
    /// Salebot's value; none where it was not read.
    pub salebot: Option<Content>,
}

impl Difference {
    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "bridge": self.bridge, "record": self.record, "with": self.with, "pair": self.pair,
            "cause": self.cause.name(), "why": self.told, "amo": self.amo, "salebot": self.salebot,
        })
    }
}

/// What a look at one bridge came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// People that were looked at.
    pub people: u64,
    /// Leads with a client that were looked at.
    pub leads: u64,
    /// Pairs of values that were compared.
    pub pairs: u64,
    /// Differences, in the order of their records; [`TOLD_MAX`] at most.
    pub differences: Vec<Difference>,
    /// All differences by cause.
    pub counts: BTreeMap<Cause, u64>,
    /// Why it was not finished.
    pub stopped: Option<String>,
}

impl Report {
    /// Differences of any cause but that a record could not be read.
    pub fn differing(&self) -> u64 {
        self.counts.iter().filter(|(cause, _)| **cause != Cause::Unread).map(|(_, count)| count).sum()
    }

    /// True when some of it could not be asked for.
    pub fn is_partial(&self) -> bool {
        self.stopped.is_some() || self.counts.contains_key(&Cause::Unread)
    }

    /// For programs.
    pub fn json(&self, bridge: &str) -> Value {
        let counts: BTreeMap<&str, u64> = self.counts.iter().map(|(cause, count)| (cause.name(), *count)).collect();
        json!({
            "name": bridge, "people": self.people, "leads": self.leads, "pairs": self.pairs, "counts": counts,
            "differences": self.differences.iter().map(Difference::json).collect::<Vec<_>>(),
            "stopped": self.stopped,
        })
    }

    fn take(&mut self, differences: Vec<Difference>) {
        for difference in differences {
            *self.counts.entry(difference.cause).or_default() += 1;
            if self.differences.len() < TOLD_MAX {
                self.differences.push(difference);
            }
        }
    }
}

/// Looks at all linked records of a bridge, or at `sample` people and as many leads, spread evenly; `tell` hears how
/// many were looked at, and of how many. A service that cannot be asked ends it; what was found stands in the report.
pub async fn look(reader: &Reader, sample: Option<u64>, tell: &mut dyn FnMut(u64, u64)) -> anyhow::Result<Report> {
    let mut report = Report::default();
    match look_into(reader, sample, &mut report, tell).await {
        Ok(()) => Ok(report),
        Err(Ended::Later(reason)) => Ok(Report { stopped: Some(reason), ..report }),
        Err(Ended::Failed(error)) => Err(error),
    }
}

async fn look_into(
    reader: &Reader,
    sample: Option<u64>,
    report: &mut Report,
    tell: &mut dyn FnMut(u64, u64),
) -> Result<(), Ended> {
    let (people, leads) = (count_people(reader).await?, count_leads(reader).await?);
    let chosen = |all: u64| sample.map_or(all, |sample| sample.min(all));
    let total = chosen(people) + chosen(leads);
    let (mut after, mut index) = (None, 0);
    loop {
        let ids = reader.store.linked_contacts(&reader.bridge, after, CHOSEN_AT_ONCE).await?;
        let Some(last) = ids.last() else { break };
        after = Some(*last);
        let ids = spread(ids, &mut index, people, sample);
        for ids in ids.chunks(TOGETHER) {
            let looked = reader.people(ids).await?;
            report.people += looked.len() as u64;
            judge_people(reader, &looked, report).await?;
            tell(report.people + report.leads, total);
        }
    }
    let (mut after, mut index, mut read) = (None, 0, 0);
    loop {
        let deals = reader.store.deals_after(&reader.bridge, after, CHOSEN_AT_ONCE).await?;
        let Some(last) = deals.last() else { break };
        after = Some(last.lead);
        let ids: Vec<LeadId> = deals.iter().filter(|deal| deal.client.is_some()).map(|deal| deal.lead).collect();
        let ids = spread(ids, &mut index, leads, sample);
        for ids in ids.chunks(TOGETHER) {
            let looked = reader.leads(ids).await?;
            read += ids.len() as u64;
            report.leads += looked.len() as u64;
            judge_leads(reader, &looked, report).await?;
            tell(report.people + read, total);
        }
    }
    Ok(())
}

/// Every record, or so many of `all` with the same distance between them: the same ones each time.
fn spread<Id>(ids: Vec<Id>, index: &mut u64, all: u64, sample: Option<u64>) -> Vec<Id> {
    let Some(sample) = sample.filter(|sample| *sample < all) else { return ids };
    let place = |index: u64| (u128::from(index) * u128::from(sample) / u128::from(all.max(1))) as u64;
    let mut chosen = Vec::new();
    for id in ids {
        // The first record of each stretch.
        if *index == 0 || place(*index) != place(*index - 1) {
            chosen.push(id);
        }
        *index += 1;
    }
    chosen
}

async fn count_people(reader: &Reader) -> Stored<u64> {
    let (mut count, mut after): (u64, Option<ContactId>) = (0, None);
    loop {
        let ids = reader.store.linked_contacts(&reader.bridge, after, CHOSEN_AT_ONCE).await?;
        let Some(last) = ids.last() else { return Ok(count) };
        (count, after) = (count + ids.len() as u64, Some(*last));
    }
}

async fn count_leads(reader: &Reader) -> Stored<u64> {
    let (mut count, mut after): (u64, Option<LeadId>) = (0, None);
    loop {
        let deals = reader.store.deals_after(&reader.bridge, after, CHOSEN_AT_ONCE).await?;
        let Some(last) = deals.last() else { return Ok(count) };
        (count, after) = (count + deals.iter().filter(|deal| deal.client.is_some()).count() as u64, Some(last.lead));
    }
}

async fn judge_people(reader: &Reader, looked: &[Looked], report: &mut Report) -> Result<(), Ended> {
    report.pairs += looked.iter().map(|looked| looked.pairs.len() as u64).sum::<u64>();
    let mut found = judge(reader, looked).await?;
    let ids: BTreeSet<ContactId> = lost(&found, "contact:").into_iter().map(ContactId).collect();
    if !ids.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(AGAIN_MS.unsigned_abs())).await;
        let again = reader.people(&ids.into_iter().collect::<Vec<_>>()).await?;
        replace(&mut found, judge(reader, &again).await?, &again);
    }
    report.take(found.into_iter().map(|(_, difference)| difference).collect());
    Ok(())
}

async fn judge_leads(reader: &Reader, looked: &[Looked], report: &mut Report) -> Result<(), Ended> {
    report.pairs += looked.iter().map(|looked| looked.pairs.len() as u64).sum::<u64>();
    let mut found = judge(reader, looked).await?;
    let ids: BTreeSet<LeadId> = lost(&found, "lead:").into_iter().map(LeadId).collect();
    if !ids.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(AGAIN_MS.unsigned_abs())).await;
        let again = reader.leads(&ids.into_iter().collect::<Vec<_>>()).await?;
        replace(&mut found, judge(reader, &again).await?, &again);
    }
    report.take(found.into_iter().map(|(_, difference)| difference).collect());
    Ok(())
}

/// Ids of records with a value that seems lost.
fn lost(found: &[(String, Difference)], kind: &str) -> Vec<u64> {
    let of = found.iter().filter(|(_, difference)| difference.cause == Cause::Lost);
    of.filter_map(|(record, _)| record.strip_prefix(kind)?.parse().ok()).collect()
}

/// What was found by a second look stands for these records.
fn replace(found: &mut Vec<(String, Difference)>, again: Vec<(String, Difference)>, looked: &[Looked]) {
    found.retain(|(record, _)| looked.iter().all(|looked| looked.record != *record));
    found.extend(again);
}

/// What the store knows around a page of records.
struct Evidence {
    marks: BTreeSet<Subject>,
    dead: Vec<OutboxRow>,
}

async fn judge(reader: &Reader, looked: &[Looked]) -> Result<Vec<(String, Difference)>, Ended> {
    let is_quiet = |looked: &Looked| looked.troubles.is_empty() && looked.pairs.iter().all(|pair| pair.agrees);
    let differing: Vec<&Looked> = looked.iter().filter(|looked| !is_quiet(looked)).collect();
    let mut found = Vec::new();
    if differing.is_empty() {
        return Ok(found);
    }
    let evidence = evidence(reader, &differing).await?;
    for looked in differing {
        let mut journal: BTreeMap<String, Vec<JournalRow>> = BTreeMap::new();
        for subject in looked.clients.iter().map(|id| client_key(*id)).chain([looked.record.clone()]) {
            let lines = reader.store.journal(&reader.bridge, &subject, JOURNAL_MAX).await?;
            journal.insert(subject, lines);
        }
        for trouble in &looked.troubles {
            let difference = troubled(reader, looked, trouble, &evidence);
            found.push((looked.record.clone(), difference));
        }
        for pair in looked.pairs.iter().filter(|pair| !pair.agrees) {
            let (cause, told) = cause(looked, pair, &evidence, &journal);
            let record = subject_of(pair.link);
            let with = if record == looked.record { String::new() } else { looked.record.clone() };
            let (amo, salebot) = (pair.amo.clone(), pair.salebot.clone());
            let bridge = reader.bridge.clone();
            let difference = Difference { bridge, record, with, pair: pair.rule.clone(), cause, told, amo, salebot };
            found.push((looked.record.clone(), difference));
        }
    }
    Ok(found)
}

async fn evidence(reader: &Reader, differing: &[&Looked]) -> Result<Evidence, Ended> {
    let rows = reader.store.marks_due(&reader.bridge, Millis(i64::MAX), LISTED_MAX).await?;
    let marks = rows.into_iter().map(|row| row.mark.subject).collect();
    let subjects: BTreeSet<String> = differing
        .iter()
        .flat_map(|looked| looked.clients.iter().map(|id| client_key(*id)).chain([looked.record.clone()]))
        .collect();
    let mut dead = Vec::new();
    for letter in reader.store.dead_letters(&reader.bridge, LISTED_MAX).await? {
        if letter.queue != "outbox" || !subjects.contains(&letter.subject) {
            continue;
        }
        if let Some(detail) = reader.store.dead_letter(&reader.bridge, letter.queue, letter.id).await?
            && let DeadContent::Action(row) = detail.content
        {
            dead.push(*row);
        }
    }
    Ok(Evidence { marks, dead })
}

fn troubled(reader: &Reader, looked: &Looked, trouble: &Trouble, evidence: &Evidence) -> Difference {
    let makes =
        |row: &&OutboxRow| matches!(row.action, Action::CreateOrder { lead, .. } if lead_key(lead) == looked.record);
    let (cause, told) = match trouble.kind {
        TroubleKind::Gone => (Cause::Gone, trouble.told.clone()),
        TroubleKind::Unread => (Cause::Unread, trouble.told.clone()),
        TroubleKind::NoOrder => {
            if let Some(row) = looked.pending.iter().find(makes) {
                (Cause::Queued, waits(row))
            } else if let Some(row) = evidence.dead.iter().find(makes) {
                (Cause::Dead, given_up(row))
            } else if is_marked(looked, evidence) {
                (Cause::Marked, "the record is to be looked at again".to_owned())
            } else if looked.besides.is_empty() {
                (Cause::Lost, trouble.told.clone())
            } else {
                (Cause::Unseen, format!("{}; the next look makes it", trouble.told))
            }
        }
    };
    let with = if trouble.record == looked.record { String::new() } else { looked.record.clone() };
    let (bridge, record) = (reader.bridge.clone(), trouble.record.clone());
    Difference { bridge, record, with, pair: String::new(), cause, told, amo: Content::new(), salebot: None }
}

fn subject_of(link: LinkRef) -> String {
    match link {
        LinkRef::Client(id) => client_key(id),
        LinkRef::Lead(id) => lead_key(id),
    }
}

/// Why a value differs, from what the store holds.
fn cause(
    looked: &Looked,
    pair: &Compared,
    evidence: &Evidence,
    journal: &BTreeMap<String, Vec<JournalRow>>,
) -> (Cause, String) {
    let concerns = |row: &&OutboxRow| {
        row.action.confirms().iter().any(|confirm| confirm.link == pair.link && confirm.rule == pair.rule)
    };
    if pair.why == Why::Frozen {
        return (Cause::Frozen, pair.why.told());
    }
    if pair.why == Why::Undone {
        return (Cause::Undone, pair.why.told());
    }
    let queued = looked.pending.iter().find(concerns);
    let last = last_line(journal, pair);
    if let Some(line) = last.filter(|line| line.kind == "conflict") {
        let side = line.detail["gave_up"].as_str().unwrap_or_default();
        let side = if side == Side::Amo.name() { "amoCRM" } else { "Salebot" };
        let rest = queued.map_or_else(String::new, |row| format!("; {}", waits(row)));
        return (Cause::Conflict, format!("both sides were edited and {side}'s value gave way{rest}"));
    }
    if let Some(row) = queued {
        return (Cause::Queued, waits(row));
    }
    if let Some(row) = evidence.dead.iter().find(concerns) {
        return (Cause::Dead, given_up(row));
    }
    if is_marked(looked, evidence) {
        return (Cause::Marked, format!("the record is to be looked at again; {}", pair.why.told()));
    }
    match (&pair.why, last.map(|line| line.kind.as_str())) {
        (Why::AsSeen, Some("discarded")) => (Cause::Dead, "its dead letter was discarded".to_owned()),
        (Why::AsSeen, Some("refused")) => {
            let reason = last.and_then(|line| line.detail["reason"].as_str()).unwrap_or_default();
            (Cause::NotCarried, format!("it could not be carried over: {reason}"))
        }
        (Why::NotCarried | Why::Refused(_), _) => (Cause::NotCarried, pair.why.told()),
        (Why::Unread, _) => (Cause::Unread, pair.why.told()),
        // What is carried was not edited since; so the side that is only written to was.
        (Why::AsSeen, _) if pair.direction != Direction::Both => (
            Cause::NotCarried,
            "the side that is only written to was edited there, and the pair carries that nowhere".to_owned(),
        ),
        (Why::AsSeen, _) => (Cause::Lost, pair.why.told()),
        // Salebot tells of edits only with a message; amoCRM's record was looked at, and nothing came of it.
        (Why::Edited(Side::Salebot) | Why::GivenUp(_), _) => (Cause::Unseen, pair.why.told()),
        _ if looked.is_seen => (Cause::Lost, format!("{}, and amoCRM's record was looked at since", pair.why.told())),
        _ => (Cause::Unseen, pair.why.told()),
    }
}

/// The newest line about a pair.
fn last_line<'a>(journal: &'a BTreeMap<String, Vec<JournalRow>>, pair: &Compared) -> Option<&'a JournalRow> {
    let own = subject_of(pair.link);
    let names = |line: &&JournalRow, subject: &str| {
        let rules = line.detail["rules"].as_array();
        let of_many = rules.is_some_and(|rules| rules.iter().any(|rule| rule.as_str() == Some(&pair.rule)));
        of_many || (subject == own && line.detail["rule"].as_str() == Some(&pair.rule))
    };
    let lines = journal.iter().filter_map(|(subject, lines)| lines.iter().find(|line| names(line, subject)));
    lines.max_by_key(|line| line.at)
}

fn is_marked(looked: &Looked, evidence: &Evidence) -> bool {
    let id = |kind: &str| looked.record.strip_prefix(kind).and_then(|id| id.parse::<u64>().ok());
    let of_contact = id("contact:").map(ContactId).map(|id| [Subject::Contact(id), Subject::ContactHint(id)]);
    let of_lead = id("lead:").map(LeadId).map(|id| [Subject::Lead(id), Subject::LeadHint(id)]);
    let of_clients = looked.clients.iter().map(|id| Subject::Client(*id));
    of_contact
        .into_iter()
        .flatten()
        .chain(of_lead.into_iter().flatten())
        .chain(of_clients)
        .any(|subject| evidence.marks.contains(&subject))
}

fn waits(row: &OutboxRow) -> String {
    let fault = row.fault.as_ref().map(|fault| format!(": {fault}")).unwrap_or_default();
    let since = jiff::Timestamp::from_millisecond(row.created_at.0).map(|at| at.to_string()).unwrap_or_default();
    format!("outbox:{} ({}) waits since {since}, {} attempts{fault}", row.id.0, row.action.name(), row.attempts)
}

fn given_up(row: &OutboxRow) -> String {
    let fault = row.fault.as_ref().map(|fault| format!(": {fault}")).unwrap_or_default();
    format!("outbox:{} ({}) was given up{fault}", row.id.0, row.action.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_evenly_and_the_same_each_time() {
        for (all, sample) in [(10, 3), (10, 10), (10, 20), (7, 1), (1_000, 999), (5, 2)] {
            let chosen = || {
                let mut index = 0;
                let pages = (0..all).collect::<Vec<u64>>();
                pages
                    .chunks(4)
                    .flat_map(|page| spread(page.to_vec(), &mut index, all, Some(sample)))
                    .collect::<Vec<_>>()
            };
            assert_eq!(chosen().len() as u64, sample.min(all), "{sample} of {all}");
            assert_eq!(chosen(), chosen());
            let gaps: BTreeSet<u64> = chosen().windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(gaps.last().zip(gaps.first()).is_none_or(|(most, least)| most - least <= 1), "{gaps:?}");
        }
    }
}
