//! Salebot's newest clients, looked at on a schedule: what changed there without a message that
//! reached us, and messages that never did (`recovery.rs`).

use super::health::Hearing;
use super::recovery::{CLOCK, HEARD, Listening};
use super::{Bridge, Failure, GROUND_MS};
use crate::core::fault::FaultKind;
use crate::core::gap::{self, Clock, Listed, Round};
use crate::core::id::ClientId;
use crate::core::link::ClientLink;
use crate::core::model::ClientRow;
use crate::core::plan::ground::Ground;
use crate::core::run::RunKind;
use crate::core::schedule;
use crate::core::time::Millis;
use crate::ports::remote::{Priority, SALEBOT_PAGE_MAX};
use crate::ports::store::{Change, Cursor, Mark, StoreError, Stored, Subject};

/// The name of the cursor.
pub const CLIENTS: &str = "clients";
/// Pages read in one look once the bridge has caught up: with four looks an hour, eight requests of
/// an idle project however many clients it has.
const PAGES_MAX: u32 = 2;
/// Pages read in one look until then; the next look follows at once.
const CATCH_UP_PAGES_MAX: u32 = 10;
/// How soon messages are looked for that were turned away.
const MISSED_MS: i64 = 10_000;
/// The wait after a look that failed; it doubles, and ends with the schedule.
const RETRY_MS: i64 = 15_000;
/// Journal lines and dedupe keys are kept this long …
const KEPT_MS: i64 = crate::core::gap::JOURNAL_KEPT_DAYS * 86_400_000;
/// … or until so long before what is proven: a message that may be read again must still be known …
const KEPT_BEHIND_MS: i64 = 86_400_000;
/// … and dropped in portions of this many rows of each kind …
const PRUNED_MAX: u32 = 5_000;
/// … of which a look takes as many as there are, up to this many: a million rows …
const PORTIONS_MAX: u32 = 200;
/// … with a rest in between, in which others write.
const PORTION_REST_MS: i64 = 50;

/// A page of the client list.
struct ClientPage {
    rows: Vec<Listed>,
    received: u32,
    server_time: Option<Millis>,
}

/// When the next look is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// By the schedule.
    Scheduled,
    /// At once: there is more to read.
    Now,
    /// Soon: something could not be read.
    Soon,
}

impl Bridge {
    /// The first look is at once: what was sent while no daemon ran is not sent again.
    pub(super) async fn reconcile_loop(&self) {
        let Some(mut listening) = self.begin_listening().await else { return };
        let mut failures: u32 = 0;
        self.health.begins(CLIENTS);
        while !self.is_stopping() {
            if self.ground().is_none() {
                self.pause_until(self.now().plus(GROUND_MS)).await;
                continue;
            }
            let next = self.look(&mut listening).await;
            failures = if next == Next::Soon { failures.saturating_add(1) } else { 0 };
            let Some(scheduled) = schedule::next(&self.parts.timing.reconcile, self.now()) else { return };
            let due = match next {
                Next::Scheduled => scheduled,
                Next::Now => self.now(),
                Next::Soon => {
                    scheduled.min(self.now().plus(RETRY_MS.saturating_mul(1 << failures.saturating_sub(1).min(16))))
                }
            };
            tokio::select! {
                biased;
                () = self.parts.arrived.another_missed() => {
                    // Whoever was turned away together is looked for together, and not while the store fails.
                    self.pause_until(self.now().plus(MISSED_MS)).await;
                }
                () = self.pause_until(due) => {}
            }
        }
    }

    /// True while messages were turned away that no walk that began later has looked for.
    fn has_missed(&self, listening: &Listening) -> bool {
        self.parts.arrived.missed() > listening.found
    }

    /// One look, and what is told of it.
    async fn look(&self, listening: &mut Listening) -> Next {
        self.health.begins(CLIENTS);
        let looked = self.reconcile(listening).await;
        // What is too old goes however the look ended: a service that refuses us for weeks is no reason to keep it all.
        let looked = match (looked, self.prune(listening.heard).await) {
            (Ok(_), Err(error)) => Err(error.into()),
            (looked, _) => looked,
        };
        if matches!(looked, Ok(Next::Scheduled)) {
            self.health.ends(CLIENTS);
        }
        let is_complete = |looked: &Result<_, _>, listening: &Listening| {
            looked.is_ok() && listening.has_caught_up && !listening.is_behind() && !self.has_missed(listening)
        };
        let now = self.now();
        // A time to come, as our clock was set back, would never be overdue.
        let heard = self.clock.comparable(listening.heard, now, self.started_at.get().copied()).min(listening.heard);
        let hearing = |is_complete| Hearing {
            heard,
            is_complete,
            late_after_ms: gap::late_after_ms(&self.parts.timing.reconcile, now),
        };
        self.health.hears(hearing(is_complete(&looked, listening)));
        match looked {
            Ok(next) => {
                self.worked(CLIENTS);
                next
            }
            Err(Failure::Fault(fault)) if fault.kind == FaultKind::Interrupted => Next::Scheduled,
            Err(Failure::Fault(fault)) => {
                self.troubled(
                    CLIENTS,
                    &fault,
                    "Salebot's clients and their histories could not be read; the look is repeated",
                );
                Next::Soon
            }
            Err(Failure::Store(error)) => {
                self.store_failed(CLIENTS, &error).await;
                Next::Soon
            }
        }
    }

    /// Lists what it may, reads the histories of some who were active, and moves the cursor when
    /// none is left.
    async fn reconcile(&self, listening: &mut Listening) -> Result<Next, Failure> {
        self.list_clients(listening).await?;
        let unread = self.recover(listening).await?;
        if listening.round.as_ref().is_some_and(Round::is_complete) {
            self.proven(listening).await?;
        }
        let has_histories = listening.is_behind();
        let has_pages = listening.round.as_ref().is_some_and(Round::wants_page) && !listening.has_caught_up;
        Ok(match () {
            () if unread => Next::Soon,
            // A walk that was under way says nothing of what came after its beginning.
            () if self.has_missed(listening) && listening.round.is_none() => Next::Now,
            () if has_histories || has_pages => Next::Now,
            () => Next::Scheduled,
        })
    }

    /// Drops what is too old, a portion at a time. What was sent after `heard` may still come once more, and is known.
    async fn prune(&self, heard: Millis) -> Stored<()> {
        let kept_from = self.now().minus(KEPT_MS).min(heard.minus(KEPT_BEHIND_MS));
        for _ in 0..PORTIONS_MAX {
            if self.is_stopping() {
                return Ok(());
            }
            let pruned = self.store().prune(self.name(), kept_from, PRUNED_MAX).await?;
            if pruned < u64::from(PRUNED_MAX) {
                return Ok(());
            }
            self.parts.env.sleep(PORTION_REST_MS).await;
        }
        Ok(())
    }

    /// The newest page every time, and the next ones of the walk.
    async fn list_clients(&self, listening: &mut Listening) -> Result<(), Failure> {
        let pages_max = if listening.has_caught_up { PAGES_MAX } else { CATCH_UP_PAGES_MAX };
        if listening.round.is_none() {
            listening.missed = self.parts.arrived.missed();
        }
        let started_at = self.now();
        let page = self.client_page(0, &mut listening.clock).await?;
        // The service's own clock, where it is behind ours: its times are compared with the cursor.
        let started_at = page.server_time.map_or(started_at, |server| server.min(started_at));
        let heard = listening.heard;
        let round = listening.round.get_or_insert_with(|| Round::new(heard, started_at));
        let cursor = self.store().cursor(self.name(), CLIENTS).await?;
        let since = cursor.map_or(round.since, |cursor| cursor.at.minus(gap::OVERLAP_MS));
        let mut changes = self.marks(&page.rows, since).await?;
        changes.push(Change::PutCursor(CLIENTS, Cursor { at: started_at, moved_at: self.now() }));
        self.commit(changes).await?;
        round.take(&page.rows, 0, page.received, SALEBOT_PAGE_MAX);
        for _ in 1..pages_max {
            if !round.wants_page() || self.is_stopping() {
                break;
            }
            let offset = round.offset;
            let page = self.client_page(offset, &mut listening.clock).await?;
            self.commit(self.marks(&page.rows, round.since).await?).await?;
            round.take(&page.rows, offset, page.received, SALEBOT_PAGE_MAX);
        }
        Ok(())
    }

    /// A page, its times read by the clock as far as that is known.
    async fn client_page(&self, offset: u32, clock: &mut Clock) -> Result<ClientPage, Failure> {
        let page = self.parts.salebot.clients(offset, SALEBOT_PAGE_MAX, false, Priority::Poll).await?;
        let now = page.server_time.unwrap_or_else(|| self.now());
        let before = *clock;
        page.rows.iter().filter_map(|row| row.updated_at).for_each(|moment| clock.learn(moment, now));
        if *clock != before {
            self.commit(vec![Change::PutText(CLOCK, clock.text())]).await?;
        }
        let listed = |row: ClientRow| Listed {
            updated_at: row.updated_at.map(|moment| clock.instant(moment)),
            client: row.client,
        };
        let rows = page.rows.into_iter().map(listed).collect();
        Ok(ClientPage { rows, received: page.received, server_time: page.server_time })
    }

    /// Marks of linked clients that changed since.
    async fn marks(&self, rows: &[Listed], since: Millis) -> Stored<Vec<Change>> {
        let is_new = |row: &&Listed| row.updated_at.is_none_or(|at| at >= since);
        let ids: Vec<ClientId> = rows.iter().filter(is_new).map(|row| row.client.id).collect();
        let links = self.store().clients(self.name(), &ids).await?;
        let listens = |ground: &Ground| ground.reads_client_variables() || ground.leads_listen();
        let speaks = self.ground().is_some_and(|ground| listens(&ground));
        let mark = |link: ClientLink| {
            Change::Mark(Mark {
                subject: Subject::Client(link.client.id),
                due: self.now(),
                attempts: 0,
                run: self.run_of(RunKind::Reconcile),
            })
        };
        Ok(links.into_iter().filter(|link| speaks || link.unmatched).map(mark).collect())
    }

    /// Nothing is missing from before the walk began.
    async fn proven(&self, listening: &mut Listening) -> Result<(), StoreError> {
        let Some(round) = &listening.round else { return Ok(()) };
        let at = round.started_at.max(listening.heard);
        self.commit(vec![Change::PutCursor(HEARD, Cursor { at, moved_at: self.now() })]).await?;
        listening.heard = at;
        listening.has_caught_up = true;
        listening.ends_round();
        Ok(())
    }
}
