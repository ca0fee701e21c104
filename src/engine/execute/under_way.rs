//! What is under way in Salebot: actions of different people at the same time, those of one person one after the other.
//!
//! An action is taken when there is room for it and settled when it has come to its end, not with all that were taken
//! together: the lane lets requests through one after the other, a first import has hours of them, and whoever waits for
//! an answer must not wait for those.

use super::super::{Bridge, Step};
use super::Outcome;
use crate::core::action::{Action, Side};
use crate::core::model::Variables;
use crate::ports::remote::Priority;
use crate::ports::store::{OutboxRow, StoreError};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

/// The name of this queue for health.
pub(in crate::engine) const SALEBOT_OUTBOX: &str = "salebot outbox";

/// Actions under way at the same time. Many at once let clients with the same values share a request; few let an urgent
/// action be taken soon, and leave few in doubt after a crash.
const UNDER_WAY_MAX: usize = 64;

/// How often is looked, while something is under way, whether more has become due: of two lanes one may be closed for long.
const DUE_MS: i64 = 1_000;

/// What one request is for: an action, or several that give clients the same values.
pub(super) type Unit = Vec<OutboxRow>;

/// A unit that came to its end.
pub(super) type Ended = (Unit, Result<Vec<Outcome>, StoreError>);

/// Actions that were claimed and are not settled yet.
struct UnderWay<'b> {
    bridge: &'b Bridge,
    running: Running<'b>,
    /// Behind the running one of their key, in order.
    waiting: BTreeMap<String, VecDeque<OutboxRow>>,
    rows: usize,
}

/// Units whose requests are on their way, and those that came to their end.
#[derive(Default)]
struct Running<'b> {
    units: FuturesUnordered<BoxFuture<'b, Ended>>,
    ended: Vec<Ended>,
}

impl Running<'_> {
    /// Waits for something while all go on: one of them may hold what it waits for.
    async fn beside<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = std::pin::pin!(other);
        loop {
            tokio::select! {
                biased;
                came_to = other.as_mut() => return came_to,
                Some(ended) = self.units.next(), if !self.units.is_empty() => self.ended.push(ended),
            }
        }
    }

    /// Waits until one came to its end or `other` did, and takes all that have.
    async fn ended(&mut self, other: impl Future<Output = ()>) -> Vec<Ended> {
        if self.ended.is_empty() {
            tokio::select! {
                biased;
                Some(ended) = self.units.next(), if !self.units.is_empty() => self.ended.push(ended),
                () = other => {}
            }
        }
        while let Some(Some(ended)) = self.units.next().now_or_never() {
            self.ended.push(ended);
        }
        std::mem::take(&mut self.ended)
    }
}

impl Bridge {
    /// Carries out what waits for Salebot, until nothing is left that is due. What becomes due meanwhile, and what is more
    /// urgent, is taken as soon as there is room.
    pub(in crate::engine) async fn salebot_step(&self) -> Result<Step, StoreError> {
        if self.ground().is_none() {
            return Ok(Step::Idle(self.until_grounded()));
        }
        let mut under_way = UnderWay { bridge: self, running: Running::default(), waiting: BTreeMap::new(), rows: 0 };
        loop {
            if under_way.room() > 0 && !self.is_stopping() {
                match under_way.running.beside(self.claim(Side::Salebot, under_way.room())).await {
                    Ok(rows) => under_way.take(rows),
                    Err(error) if under_way.rows == 0 => return Err(error),
                    // What is under way goes on to its end, however often the store must be asked.
                    Err(error) => under_way.running.beside(self.store_failed(SALEBOT_OUTBOX, &error)).await,
                }
            }
            if under_way.rows == 0 {
                return self.idle_until(Side::Salebot).await;
            }
            let ended = match under_way.room() {
                0 => under_way.running.ended(std::future::pending()).await,
                _ => under_way.running.ended(self.more_for_salebot()).await,
            };
            under_way.end(ended).await;
        }
    }

    /// Until something was added, or may have become due.
    async fn more_for_salebot(&self) {
        tokio::select! {
            biased;
            () = self.bells.salebot.heard() => {}
            () = self.parts.env.sleep(DUE_MS) => {}
        }
    }
}

impl<'b> UnderWay<'b> {
    fn room(&self) -> u32 {
        u32::try_from(UNDER_WAY_MAX.saturating_sub(self.rows)).unwrap_or_default()
    }

    /// The first of each key begins.
    fn take(&mut self, rows: Vec<OutboxRow>) {
        self.rows += rows.len();
        let mut firsts = Vec::new();
        for row in rows {
            match self.waiting.entry(row.action.key()) {
                Entry::Occupied(mut behind) => behind.get_mut().push_back(row),
                Entry::Vacant(place) => {
                    place.insert(VecDeque::new());
                    firsts.push(row);
                }
            }
        }
        self.start(firsts);
    }

    /// Begins actions of which no other of their key is under way.
    fn start(&mut self, firsts: Vec<OutboxRow>) {
        let bridge = self.bridge;
        self.running.units.extend(units(firsts).into_iter().map(|unit| bridge.carry_out(unit).boxed()));
    }

    /// Settles what came to its end, and lets begin what stands behind it. What stands behind a failed action goes back to
    /// wait.
    async fn end(&mut self, ended: Vec<Ended>) {
        let (mut rows, mut outcomes) = (Vec::new(), Vec::new());
        for (unit, came_to) in ended {
            match came_to {
                Ok(came_to) => {
                    rows.extend(unit);
                    outcomes.extend(came_to);
                }
                Err(error) => self.lose(unit, error).await,
            }
        }
        let is_stuck = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_) | Outcome::Unclear(_));
        let stuck: Vec<&OutboxRow> =
            rows.iter().zip(&outcomes).filter(|(_, outcome)| is_stuck(outcome)).map(|(row, _)| row).collect();
        let held = self.behind(stuck);
        let settling = async {
            self.bridge.settle(&rows, outcomes).await?;
            self.bridge.settle(&held, held.iter().map(|_| Outcome::Untouched).collect()).await
        };
        match self.running.beside(settling).await {
            Ok(()) => {
                self.bridge.worked(SALEBOT_OUTBOX);
                self.rows -= rows.len() + held.len();
                let next = rows.iter().filter_map(|row| self.next(&row.action.key())).collect();
                self.leave(&rows).await;
                self.start(next);
            }
            Err(error) => self.lose(rows.into_iter().chain(held).collect(), error).await,
        }
    }

    /// The store failed: these, and what stands behind them, wait again.
    async fn lose(&mut self, mut rows: Vec<OutboxRow>, error: StoreError) {
        rows.extend(self.behind(rows.iter().collect()));
        let ids = rows.iter().map(|row| row.id).collect();
        self.running.beside(self.bridge.put_back(Side::Salebot, ids, error)).await;
        self.rows -= rows.len();
        self.leave(&rows).await;
    }

    /// Lets plans about these records be made again, but for those of which an action goes on.
    async fn leave(&mut self, rows: &[OutboxRow]) {
        let mut in_flight = self.running.beside(self.bridge.in_flight.lock()).await;
        for key in rows.iter().map(|row| row.action.key()).filter(|key| !self.waiting.contains_key(key)) {
            in_flight.remove(&key);
        }
    }

    /// Takes out what stands behind these rows.
    fn behind(&mut self, rows: Vec<&OutboxRow>) -> Vec<OutboxRow> {
        rows.into_iter().filter_map(|row| self.waiting.remove(&row.action.key())).flatten().collect()
    }

    /// The next one of a key, whose running one has come to its end. Without one nothing of the key is under way any more.
    fn next(&mut self, key: &str) -> Option<OutboxRow> {
        let next = self.waiting.get_mut(key)?.pop_front();
        if next.is_none() {
            self.waiting.remove(key);
        }
        next
    }
}

/// Actions as they are sent: those that give clients the same values together.
fn units(rows: Vec<OutboxRow>) -> Vec<Unit> {
    let mut saves: BTreeMap<(Variables, Priority), Unit> = BTreeMap::new();
    let mut singles = Vec::new();
    for row in rows {
        match &row.action {
            Action::SaveVariables { variables, .. } => {
                saves.entry((variables.clone(), row.priority)).or_default().push(row)
            }
            _ => singles.push(vec![row]),
        }
    }
    saves.into_values().chain(singles).collect()
}
