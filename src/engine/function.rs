//! Calls of bots: stored, waited for, and whom they are about.
//!
//! A call is an action like any other (`Action::Function`); `execute/function.rs` carries it out and
//! `execute/function_end.rs` remembers its answer. Here is what stands before and beside that: a bot waits at the
//! [`Desk`] until its answer comes or its time is up; then the answer is told by variables and a callback.

mod target;

use super::Bridge;
use crate::core::action::{Action, NoteTarget};
use crate::core::fingerprint;
use crate::core::function::effect;
use crate::core::function::once::{self, CALLED, Met};
use crate::core::function::report::report;
use crate::core::function::{Answer, Call, WAITING_MAX, Work};
use crate::core::plan::Notice;
use crate::core::plan::ground::Ground;
use crate::core::shape::Record;
use crate::core::time::Millis;
use crate::ports::function::Functions;
use crate::ports::remote::Priority;
use crate::ports::store::{Change, NewAction, Stored};
use async_trait::async_trait;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use target::Target;
use tokio::sync::watch;

/// Journal lines in which an earlier answer is looked for.
const LINES_MAX: u32 = 8;
/// Least time between two readings of the account for the sake of unknown names.
const REFRESH_MS: i64 = 60_000;

/// Bots that wait for an answer.
#[derive(Default)]
pub(super) struct Desk {
    seats: Mutex<BTreeMap<String, Seat>>,
    /// Calls are accepted one after the other, so that the same one is not taken twice.
    turn: tokio::sync::Mutex<()>,
    /// Tells calls of one millisecond apart.
    count: AtomicU64,
    /// When the account was last read because a call named something unknown.
    refreshed_at: AtomicI64,
}

/// Those who wait for one call's answer.
struct Seat {
    waiters: usize,
    answer: watch::Sender<Option<Answer>>,
}

/// One who waits. Leaves the desk when dropped.
struct Waiter<'a> {
    desk: &'a Desk,
    ticket: String,
    answer: watch::Receiver<Option<Answer>>,
    has_left: bool,
}

/// What became of a call at the door.
enum Accepted<'a> {
    /// Its answer is there already.
    Known(Answer),
    /// It is stored.
    Stored(Waiter<'a>),
}

impl Desk {
    fn seats(&self) -> MutexGuard<'_, BTreeMap<String, Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sit(&self, ticket: &str) -> Waiter<'_> {
        let mut seats = self.seats();
        let seat =
            seats.entry(ticket.to_owned()).or_insert_with(|| Seat { waiters: 0, answer: watch::Sender::new(None) });
        seat.waiters += 1;
        let answer = seat.answer.subscribe();
        Waiter { desk: self, ticket: ticket.to_owned(), answer, has_left: false }
    }

    /// True while somebody waits for this answer.
    pub(super) fn awaits(&self, ticket: &str) -> bool {
        self.seats().contains_key(ticket)
    }

    /// Hands an answer to those who wait; false where nobody does any more.
    pub(super) fn tell(&self, ticket: &str, answer: Answer) -> bool {
        let mut seats = self.seats();
        let seat = seats.remove(ticket);
        seat.is_some_and(|seat| seat.answer.send(Some(answer)).is_ok())
    }
}

impl Waiter<'_> {
    /// Goes away with the answer, if it has come in this moment. Under one lock with [`Desk::tell`], so that every
    /// answer is either taken here or known to be taken by nobody.
    fn leave(&mut self) -> Option<Answer> {
        let mut seats = self.desk.seats();
        let answer = self.answer.borrow().clone();
        if !self.has_left && answer.is_none() {
            self.has_left = true;
            if let Some(seat) = seats.get_mut(&self.ticket) {
                seat.waiters = seat.waiters.saturating_sub(1);
                if seat.waiters == 0 {
                    seats.remove(&self.ticket);
                }
            }
        }
        answer
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[async_trait]
impl Functions for Bridge {
    async fn call(&self, mut call: Call, wait_ms: i64) -> Stored<Answer> {
        let until = self.now().plus(wait_ms.max(0));
        if call.function.only_reads()
            && let Some(answer) = self.read_in_time(&call, until).await?
        {
            return Ok(answer);
        }
        if call.once_ms.is_none() {
            let count = self.desk.count.fetch_add(1, Ordering::Relaxed);
            call.ticket = fingerprint::of(&(&call.ticket, self.now(), count));
        }
        let function = call.function;
        match self.accept(call).await? {
            Accepted::Known(answer) => Ok(answer),
            Accepted::Stored(waiter) => Ok(self.wait(waiter, until).await.unwrap_or_else(|| Answer::queued(function))),
        }
    }
}

impl Bridge {
    /// The answer to a call that only reads; none where it does not come in time.
    async fn read_in_time(&self, call: &Call, until: Millis) -> Stored<Option<Answer>> {
        tokio::select! {
            biased;
            answer = self.read(call) => answer,
            () = self.parts.env.sleep(until.since(self.now()).max(0)) => Ok(None),
            () = self.parts.stop.cancelled() => Ok(None),
        }
    }

    /// None: it cannot be read now.
    async fn read(&self, call: &Call) -> Stored<Option<Answer>> {
        let Some(ground) = self.ground() else { return Ok(None) };
        let target = match self.whom(&ground, call).await? {
            Ok(Target::Found(target)) => target,
            Ok(Target::Refused(answer)) => return Ok(Some(answer)),
            Ok(Target::Later) | Err(_) => return Ok(None),
        };
        let Ok(records) = self.read_records(&[target], Priority::Person).await else { return Ok(None) };
        let Some(record) = records.get(target) else {
            let is_sure = call.target.is_some() && !records.is_unreadable(target);
            return Ok(is_sure.then(|| gone(target)));
        };
        let ground = self.ground_for(ground, &[(record, &call.work)]).await;
        Ok(Some(report(&ground, record, &call.work)))
    }

    /// The ground, read anew where a call names what the account did not have: managers add fields and stages. Not
    /// more often than once a minute, so that a bot with a wrong number costs no more than that.
    pub(super) async fn ground_for(&self, ground: Arc<Ground>, works: &[(Record<'_>, &Work)]) -> Arc<Ground> {
        let now = self.now();
        let last = Millis(self.desk.refreshed_at.load(Ordering::Relaxed));
        let is_unknown = works.iter().any(|(record, work)| effect::is_unknown(&ground, *record, work));
        if !is_unknown || now.is_near(last, REFRESH_MS) {
            return ground;
        }
        self.desk.refreshed_at.store(now.0, Ordering::Relaxed);
        self.refresh_account().await.unwrap_or(ground)
    }

    /// Stores a call, unless it is one that was stored already.
    async fn accept(&self, mut call: Call) -> Stored<Accepted<'_>> {
        let _turn = self.desk.turn.lock().await;
        if let Some(known) = self.met_before(&call).await? {
            return Ok(known);
        }
        if self.store().outbox_waiting(self.name(), WAITING_MAX).await? >= u64::from(WAITING_MAX) {
            return Ok(Accepted::Known(Answer::busy()));
        }
        // What waits for the same client goes first: it may make the record that this one is about.
        if call.target.is_none() && self.earlier(&call).await?.is_empty() {
            call.target = self.known_target(&call).await?;
            call.is_found = call.target.is_some();
        }
        let waiter = self.desk.sit(&call.ticket);
        let mut changes = Vec::new();
        if call.once_ms.is_some() {
            changes.push(self.journal(Notice {
                subject: call.subject(),
                kind: CALLED,
                detail: json!({ "at": call.at }),
            }));
        }
        let now = self.now();
        let action = Action::Function(Box::new(call));
        let new =
            NewAction { action, slot: None, priority: Priority::Person, not_before: now, created_at: now, run: None };
        changes.push(Change::AddAction(Box::new(new)));
        self.commit(changes).await?;
        Ok(Accepted::Stored(waiter))
    }

    /// The same call within its time: its answer, or a place beside those who wait for it.
    async fn met_before(&self, call: &Call) -> Stored<Option<Accepted<'_>>> {
        if call.once_ms.is_none() {
            return Ok(None);
        }
        let lines = self.store().journal(self.name(), &call.subject(), LINES_MAX).await?;
        let lines = lines.iter().map(|line| (line.kind.as_str(), &line.detail));
        Ok(once::met_before(lines, call).map(|met| match met {
            Met::Known(answer) => Accepted::Known(answer),
            Met::Waits(_) => Accepted::Stored(self.desk.sit(&call.ticket)),
        }))
    }

    async fn wait(&self, mut waiter: Waiter<'_>, until: Millis) -> Option<Answer> {
        let mut answers = waiter.answer.clone();
        tokio::select! {
            biased;
            _ = answers.wait_for(Option::is_some) => {}
            () = self.parts.env.sleep(until.since(self.now()).max(0)) => {}
            () = self.parts.stop.cancelled() => {}
        }
        waiter.leave()
    }
}

/// It may have been done on a contact that is gone since, and nobody knows who has what was made there.
pub(super) fn uncertain() -> Answer {
    let message = "the contact was merged or deleted while it was not known whether the call had been carried out: look in amoCRM before you call again";
    Answer::refused("uncertain", message)
}

/// The record is not there, or not any more.
pub(super) fn gone(target: NoteTarget) -> Answer {
    match target {
        NoteTarget::Lead(lead) => Answer::refused("lead_not_found", format!("amoCRM has no lead {lead}")),
        NoteTarget::Contact(contact) => {
            Answer::refused("contact_not_found", format!("amoCRM has no contact {contact}"))
        }
    }
}
