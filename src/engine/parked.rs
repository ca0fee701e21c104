//! People whom nobody knows, and whose messages wait for that: how much of it is kept, and the look once a day whether
//! somebody knows them by now. Nobody waits for that look, and with ten thousands of them it takes hours: it comes when no
//! marked record is due.

use super::Bridge;
use super::inbox::{Fates, Said, wait_with_the_rest};
use super::looked::Looked;
use crate::core::action::client_key;
use crate::core::id::ClientId;
use crate::core::link::ClientLink;
use crate::core::parked;
use crate::core::plan::Notice;
use crate::core::plan::ground::Ground;
use crate::core::policy::CreateContact;
use crate::core::run::RunKind;
use crate::core::time::Millis;
use crate::ports::remote::Priority;
use crate::ports::store::{Change, Mark, Stored};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long a dialogue waits before it is looked at again: the person's next message, or a variable found by the reconcile
/// scan, leads to a look at once.
const PARKED_MS: i64 = 86_400_000;
/// People who wait for their look, at most …
const LOOKS_MAX: usize = 10_000;
/// … and when those are asked for again who found no room.
const NO_ROOM_MS: i64 = 3_600_000;
/// How long it holds how many bodies wait: counting them reads a whole index.
const COUNTED_MS: i64 = 600_000;
/// How long these looks rest after one that failed. Whom it was about is looked at the next day.
const REST_MS: i64 = 60_000;

/// Looks at people whom nobody knows. Lost at a restart, which leaves them for the next day.
#[derive(Default)]
pub(super) struct Parked(Mutex<State>);

#[derive(Default)]
struct State {
    looks: VecDeque<ClientId>,
    rests_until: Option<Millis>,
    /// Whether too many bodies wait, and since when that is known.
    crowded: Option<(Millis, bool)>,
}

impl Parked {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a look; false if too many wait for theirs.
    fn ask(&self, client: ClientId) -> bool {
        let mut state = self.state();
        let has_room = state.looks.len() < LOOKS_MAX;
        if has_room {
            state.looks.push_back(client);
        }
        has_room
    }

    /// Those who are to be looked at now.
    fn next(&self, people_max: u32, now: Millis) -> Vec<ClientId> {
        let mut state = self.state();
        // A clock that was set back makes nobody wait for it to catch up.
        if state.rests_until.is_some_and(|until| (0..=REST_MS).contains(&until.since(now))) {
            return Vec::new();
        }
        let taken = state.looks.len().min(people_max as usize);
        state.looks.drain(..taken).collect()
    }
}

impl Bridge {
    /// What becomes of the lines of a person whom nobody knows: those that are kept wait. Where nothing was said since the last
    /// look, one that nobody waits for is asked for.
    pub(super) async fn park(
        &self,
        client: ClientId,
        lines: Vec<Said>,
        seen: Seen,
        fates: &mut Fates,
        changes: &mut Vec<Change>,
    ) -> Stored<()> {
        let now = self.now();
        let (is_whole, there) = (seen.held_until.is_none(), lines.len());
        let lines = if is_whole { self.kept(client, lines, fates, changes).await? } else { lines };
        if is_whole && seen.is_full && lines.len() < there {
            // At least half of it was dealt with, and the rest is due as well: it is taken at once.
            return Ok(());
        }
        let wait_ms = if seen.is_news || self.parked.ask(client) { PARKED_MS } else { NO_ROOM_MS };
        if !lines.is_empty() {
            let rows = lines.iter().map(|said| said.row);
            wait_with_the_rest(client, seen.held_until, now.plus(wait_ms), rows, fates, changes);
        }
        Ok(())
    }

    /// Gives up what is too much or too old, and tells of it. The lines are the beginning of the dialogue: what comes behind
    /// them is newer, and makes room for itself when it is looked at.
    async fn kept(
        &self,
        client: ClientId,
        lines: Vec<Said>,
        fates: &mut Fates,
        changes: &mut Vec<Change>,
    ) -> Stored<Vec<Said>> {
        if self.parts.policy.people.create_contact == CreateContact::Always {
            // Everybody gets a contact: theirs was refused, and waits for somebody who sees to it.
            return Ok(lines);
        }
        let now = self.now();
        let arrived: Vec<Millis> = lines.iter().map(|said| said.arrived).collect();
        let given_up = parked::given_up(&arrived, self.is_crowded(now).await?, now);
        let mut given_up = given_up.into_iter();
        let (ended, kept): (Vec<Said>, Vec<Said>) =
            lines.into_iter().partition(|_| given_up.next().is_some_and(|is_given_up| is_given_up));
        if !ended.is_empty() {
            let detail = json!({ "messages": ended.len(), "until": ended.iter().map(|said| said.arrived).max() });
            changes.push(self.journal(Notice { subject: client_key(client), kind: "unwritten", detail }));
            fates.done.extend(ended.iter().map(|said| said.row));
        }
        Ok(kept)
    }

    /// True while too many bodies wait.
    async fn is_crowded(&self, now: Millis) -> Stored<bool> {
        let known = self.parked.state().crowded.filter(|(at, _)| (0..COUNTED_MS).contains(&now.since(*at)));
        if let Some((_, is_crowded)) = known {
            return Ok(is_crowded);
        }
        let is_crowded = self.store().counts(self.name()).await?.inbox > parked::ROWS_MAX;
        self.parked.state().crowded = Some((now, is_crowded));
        Ok(is_crowded)
    }

    /// Looks whether somebody knows a few of these people by now; false if nobody waits for that.
    pub(super) async fn look_at_parked(&self, ground: &Ground) -> Stored<bool> {
        let ids = self.parked.next(self.patient_marks.size(), self.now());
        if ids.is_empty() {
            return Ok(false);
        }
        let links = self.store().clients(self.name(), &ids).await?;
        let links: Vec<ClientLink> =
            links.into_iter().filter(|link| link.contact.is_none() && link.unmatched).collect();
        let mut looked = Looked { run: self.run_of(RunKind::Mark), ..Looked::default() };
        self.look_at_newcomers(ground, links, Priority::Poll, &mut looked).await?;
        match &looked.fault {
            Some(fault) => {
                self.troubled("passes", fault, "records could not be read; they are looked at again");
                self.parked.state().rests_until = Some(self.now().plus(REST_MS));
            }
            None => self.worked("passes"),
        }
        let again = looked.again.into_iter().map(|(subject, wait_ms)| {
            Change::Mark(Mark { subject, due: self.now().plus(wait_ms), attempts: 1, run: looked.run })
        });
        self.commit(again.collect()).await?;
        Ok(true)
    }
}

/// How a dialogue was seen in a pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// What came before these bodies waits until then.
    pub held_until: Option<Millis>,
    /// Something of it came after the last look.
    pub is_news: bool,
    /// As much as fits into a pass: there may be more.
    pub is_full: bool,
}
