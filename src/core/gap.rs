//! Messages that were never delivered to us: where to look for them, which they are, and which
//! time is not proven to be without any.

use super::flex::Moment;
use super::id::ClientId;
use super::model::{Client, Message};
use super::schedule;
use super::time::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// What changed within this before a proven time is looked at again: the clocks of both sides may
/// differ, and a change may be listed a moment after it was made.
pub const OVERLAP_MS: i64 = 300_000;
/// Rows that consecutive pages share, for clients that are deleted while pages are read.
const SHARED_ROWS: u32 = 5;
/// Clients whose histories wait to be read; more pages are read when there are fewer again.
const CANDIDATES_MAX: usize = 5_000;
/// How often a history is asked for that is refused or cannot be read.
const FAILURES_MAX: u32 = 5;

/// How far a service's clock times that name no zone are ahead of UTC.
///
/// Whether they are the project's local times or UTC is not documented, so it is learned: a time that
/// lies ahead of now tells that they are local, and the newest one of a busy project by how much. Zones
/// behind UTC cannot be told this way; there, times are read as UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    ahead_ms: i64,
}

/// Days for which lines of the journal are kept.
pub const JOURNAL_KEPT_DAYS: i64 = 30;

/// Time zones differ by whole half hours, but for a few with quarters.
const ZONE_STEP_MS: i64 = 1_800_000;
/// No zone is further ahead of UTC than this.
pub const ZONE_MAX_MS: i64 = 14 * 3_600_000;
/// What clocks may differ by without telling anything.
const CLOCK_SKEW_MS: i64 = 120_000;

impl Clock {
    /// What was learned before, as [`Clock::text`] gave it.
    pub fn parse(text: &str) -> Option<Clock> {
        text.parse().ok().map(|ahead_ms| Clock { ahead_ms })
    }

    /// For the store.
    pub fn text(self) -> String {
        self.ahead_ms.to_string()
    }

    /// Looks at a time that is past or present. What was learned from an old one is too little, never
    /// too much, so the most counts.
    pub fn learn(&mut self, moment: Moment, now: Millis) {
        let ahead_ms = moment.at.since(now) - CLOCK_SKEW_MS;
        if moment.zone_known || ahead_ms <= 0 {
            return;
        }
        let steps = ahead_ms.saturating_add(ZONE_STEP_MS - 1) / ZONE_STEP_MS;
        self.ahead_ms = self.ahead_ms.max((steps * ZONE_STEP_MS).min(ZONE_MAX_MS));
    }

    /// The instant that is meant.
    pub fn instant(self, moment: Moment) -> Millis {
        if moment.zone_known { moment.at } else { moment.at.minus(self.ahead_ms) }
    }
}

/// A client as listed, and when it last changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The client.
    pub client: Client,
    /// When it last changed, where that is told.
    pub updated_at: Option<Millis>,
}

/// A client with news since the time that is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The client, as it was listed.
    pub client: Client,
    failures: u32,
}

/// One walk over the client list and the histories of those who were active. Once it is complete,
/// nothing is missing from before its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// When it began: what it proves.
    pub started_at: Millis,
    /// Clients without a change since then have nothing new.
    pub since: Millis,
    /// Rows to skip for the next page.
    pub offset: u32,
    is_listed: bool,
    is_by_activity: bool,
    has_older_ids_first: bool,
    todo: BTreeMap<ClientId, Candidate>,
    read: BTreeSet<ClientId>,
}

impl Round {
    /// A walk that begins now; everything before `heard` is proven.
    pub fn new(heard: Millis, now: Millis) -> Round {
        Round {
            started_at: now,
            since: heard.minus(OVERLAP_MS),
            offset: 0,
            is_listed: false,
            is_by_activity: true,
            has_older_ids_first: false,
            todo: BTreeMap::new(),
            read: BTreeSet::new(),
        }
    }

    /// Takes a page that began at `offset`, had `received` rows and might have had `limit`. A page from elsewhere
    /// than the next place names candidates and does not bring the walk on.
    pub fn take(&mut self, rows: &[Listed], offset: u32, received: u32, limit: u32) {
        for row in rows {
            if !self.is_candidate(row) {
                continue;
            }
            let fresh = Candidate { client: row.client.clone(), failures: 0 };
            self.todo.entry(row.client.id).or_insert(fresh);
        }
        if offset != self.offset || self.is_listed {
            return;
        }
        self.learn_order(rows);
        let last = rows.last().and_then(|row| row.updated_at);
        let is_past = self.is_by_activity && self.has_older_ids_first && last.is_some_and(|at| at < self.since);
        self.is_listed = is_past || received < limit;
        self.offset += received.saturating_sub(SHARED_ROWS).max(1);
    }

    /// A client may have news when it changed since, or when nothing tells that it did not. Once its
    /// history was read in this walk, everything from before the walk's start was in it.
    fn is_candidate(&self, row: &Listed) -> bool {
        let created_at = row.client.created_at.map(Millis::from_seconds);
        let is_new = row.updated_at.or(created_at).is_none_or(|at| at >= self.since);
        is_new && !row.client.is_group_chat() && !self.read.contains(&row.client.id)
    }

    /// What the list is sorted by is not documented. Only a page on which younger clients stand behind
    /// older ones, and times fall all the same, tells that it is sorted by activity.
    fn learn_order(&mut self, rows: &[Listed]) {
        let falls = |pair: &[Listed]| matches!((pair[0].updated_at, pair[1].updated_at), (Some(a), Some(b)) if a >= b);
        self.is_by_activity &= rows.windows(2).all(falls);
        self.has_older_ids_first |= rows.windows(2).any(|pair| pair[0].client.id < pair[1].client.id);
    }

    /// True while more pages are to be read and there is room for what they name.
    pub fn wants_page(&self) -> bool {
        !self.is_listed && self.todo.len() < CANDIDATES_MAX
    }

    /// Some clients whose histories are to be read.
    pub fn candidates(&self, most: usize) -> Vec<Candidate> {
        self.todo.values().take(most).cloned().collect()
    }

    /// The client's history was read, or cannot be had for good.
    pub fn settled(&mut self, client: ClientId) {
        self.todo.remove(&client);
        self.read.insert(client);
    }

    /// The client's history was refused or could not be read; true when it is given up.
    pub fn failed(&mut self, client: ClientId) -> bool {
        let Some(candidate) = self.todo.get_mut(&client) else { return false };
        candidate.failures += 1;
        let is_over = candidate.failures >= FAILURES_MAX;
        if is_over {
            self.settled(client);
        }
        is_over
    }

    /// True when every client that may have news was read.
    pub fn is_complete(&self) -> bool {
        self.is_listed && self.todo.is_empty()
    }

    /// How many histories wait.
    pub fn waiting(&self) -> usize {
        self.todo.len()
    }
}

/// A line of a history: the message, when it was written, and whether nobody wrote it.
pub type Said = (Message, Option<Millis>, bool);

/// Messages written since, oldest first, with their times; whether we know them is for the store to say.
/// `floor`: when this bridge began to listen, which is never looked behind.
///
/// A line without a time has that of the line before it. Without an id a message cannot be told from one
/// that was delivered, so it is left out. A time to come is taken for now: some of the service's times
/// name no zone.
pub fn to_recover(lines: Vec<Said>, since: Millis, floor: Millis, now: Millis) -> Vec<(Message, Millis)> {
    let from = since.max(floor).seconds();
    let mut last = None;
    let mut found = Vec::new();
    for (message, at, is_notice) in lines {
        last = at.or(last);
        match last {
            Some(at) if !is_notice && message.id.is_some() && at.seconds() >= from => {
                found.push((message, at.min(now)));
            }
            _ => {}
        }
    }
    found
}

/// A time in which messages may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Everything before this is proven.
    pub from: Millis,
    /// Nothing after this has been looked at.
    pub to: Millis,
}

/// What is not proven. Nothing is said of the usual wait for the next look: only of one that is
/// overdue, or of a recovery that is under way.
pub fn unproven(heard: Millis, is_complete: bool, late_after_ms: i64, now: Millis) -> Option<Interval> {
    let is_late = now.since(heard) > late_after_ms;
    ((is_late || !is_complete) && now > heard).then_some(Interval { from: heard, to: now })
}

/// After how long a look that is due by this cron line counts as overdue: two of its intervals.
pub fn late_after_ms(line: &str, now: Millis) -> i64 {
    let first = schedule::next(line, now);
    let second = first.and_then(|first| schedule::next(line, first));
    first.zip(second).map_or(0, |(first, second)| second.since(first).saturating_mul(2))
}

#[cfg(test)]
mod tests;
