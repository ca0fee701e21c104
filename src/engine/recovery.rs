//! Messages that Salebot never delivered: found in the histories of clients that were active, and put
//! into the inbox by the road of the delivered ones. A copy that is delivered meanwhile has the same
//! key, so each is stored once.

use super::health::Hearing;
use super::reconcile::CLIENTS;
use super::{Bridge, Failure};
use crate::core::action::client_key;
use crate::core::fault::{Fault, FaultKind};
use crate::core::gap::{self, Candidate, Clock, Round, Said};
use crate::core::id::ClientId;
use crate::core::model::{Client, Message};
use crate::core::plan::Notice;
use crate::core::time::Millis;
use crate::ports::remote::{HistoryLine, Priority, SALEBOT_HISTORY_MAX};
use crate::ports::store::{Change, Cursor, NewInbox, Received, Source, StoreError, Stored};
use futures::future::try_join_all;
use serde_json::json;

/// The name of the cursor: no message from before it is missing.
pub const HEARD: &str = "heard";
/// Where it is kept when this bridge began to listen, in milliseconds: what was said before is no news.
const FLOOR: &str = "heard_from";
/// Where it is kept how the service's times are to be read.
pub(super) const CLOCK: &str = "salebot_clock";
/// Histories read in one look, about a minute and a half of an otherwise idle lane: the newest page of
/// clients is looked at in between.
const HISTORIES_MAX: usize = 200;
/// Waiting bodies above which no more are recovered, half of what the store takes: what is delivered
/// meanwhile must find room, and what is in the histories stays there.
const WAITING_MAX: u64 = 500_000;
/// Messages stored at the same time; they share commits.
const STORED_TOGETHER: usize = 500;
/// The largest body that the store takes (`ports::store::NewInbox`).
const BODY_BYTES_MAX: usize = 1 << 20;

/// How far the bridge has heard everything.
pub(super) struct Listening {
    /// Nothing is missing from before this.
    pub heard: Millis,
    /// True once a walk was complete since the start.
    pub has_caught_up: bool,
    /// The walk under way.
    pub round: Option<Round>,
    /// How many messages had been turned away when it began …
    pub missed: u64,
    /// … and how many of all have been looked for.
    pub found: u64,
    /// How the service's times are to be read.
    pub clock: Clock,
    floor: Millis,
}

impl Listening {
    /// True while histories wait to be read.
    pub(super) fn is_behind(&self) -> bool {
        self.round.as_ref().is_some_and(|round| round.waiting() > 0)
    }

    /// A walk came to its end: what was turned away before it began is found.
    pub(super) fn ends_round(&mut self) {
        self.round = None;
        self.found = self.missed;
    }
}

impl Bridge {
    /// Where the bridge left off. A new one begins to listen now; none at the stop.
    pub(super) async fn begin_listening(&self) -> Option<Listening> {
        while !self.is_stopping() {
            match self.listening().await {
                Ok(listening) => {
                    let late_after_ms = gap::late_after_ms(&self.parts.timing.reconcile, self.now());
                    self.health.hears(Hearing { heard: listening.heard, is_complete: false, late_after_ms });
                    return Some(listening);
                }
                Err(error) => self.store_failed(CLIENTS, &error).await,
            }
        }
        None
    }

    async fn listening(&self) -> Stored<Listening> {
        let now = self.now();
        let heard = self.store().cursor(self.name(), HEARD).await?;
        let floor = self.store().text(self.name(), FLOOR).await?.and_then(|text| text.parse().ok()).map(Millis);
        let (heard, floor) = match (heard, floor) {
            (Some(heard), floor) => (heard.at, floor.unwrap_or(heard.at)),
            (None, _) => {
                // What was said while the store could not be reached yet is missed like anything later.
                let since = self.started_at.get().copied().unwrap_or(now).min(now);
                let heard = Change::PutCursor(HEARD, Cursor { at: since, moved_at: now });
                self.commit(vec![heard, Change::PutText(FLOOR, since.0.to_string())]).await?;
                (since, since)
            }
        };
        let clock = self.store().text(self.name(), CLOCK).await?.and_then(|text| Clock::parse(&text));
        Ok(Listening {
            heard,
            has_caught_up: false,
            round: None,
            missed: 0,
            found: 0,
            clock: clock.unwrap_or_default(),
            floor,
        })
    }

    /// Reads some histories; true when one of them could not be read.
    pub(super) async fn recover(&self, listening: &mut Listening) -> Result<bool, Failure> {
        let (floor, clock) = (listening.floor, listening.clock);
        let Some(round) = &mut listening.round else { return Ok(false) };
        let candidates = round.candidates(HISTORIES_MAX);
        if candidates.is_empty() {
            return Ok(false);
        }
        if self.store().counts(self.name()).await?.inbox > WAITING_MAX {
            let full =
                Fault::new(FaultKind::Transient, "too many messages wait for their notes; histories are read later");
            return Err(full.into());
        }
        let (mut unread, mut recovered) = (false, 0);
        for Candidate { client, .. } in candidates {
            if self.is_stopping() {
                break;
            }
            match self.parts.salebot.history(client.id, Priority::Background).await {
                Ok(lines) => {
                    let lines = said(lines, clock);
                    recovered += self.take_history(&client, lines, round.since, floor).await?;
                    round.settled(client.id);
                }
                Err(fault) => unread |= self.unread(round, client.id, fault).await?,
            }
        }
        if recovered > 0 {
            tracing::info!(
                bridge = self.name(),
                messages = recovered,
                "messages that were never delivered are recovered"
            );
        }
        Ok(unread)
    }

    /// Stores what we do not know; returns how many that were.
    async fn take_history(
        &self,
        client: &Client,
        lines: Vec<Said>,
        since: Millis,
        floor: Millis,
    ) -> Result<usize, StoreError> {
        let now = self.now();
        let oldest = lines.iter().find_map(|(_, at, _)| *at);
        let is_cut = lines.len() >= SALEBOT_HISTORY_MAX as usize && oldest.is_some_and(|at| at > since.max(floor));
        if is_cut {
            self.tell(client.id, "history_cut", json!({ "oldest": oldest, "since": since })).await?;
        }
        let found = gap::to_recover(lines, since, floor, now);
        let mut bodies = Vec::with_capacity(found.len());
        for (message, at) in found {
            match self.recovered_body(client, message, at, now) {
                Ok(body) => bodies.push(body),
                Err(bytes) => self.tell(client.id, "message_too_large", json!({ "bytes": bytes })).await?,
            }
        }
        let mut stored = 0;
        for portion in bodies.chunks(STORED_TOGETHER) {
            let receiving = portion.iter().map(|body| self.store().receive(body.clone()));
            let received = try_join_all(receiving).await?;
            stored += received.iter().filter(|received| matches!(received, Received::Stored(_))).count();
        }
        if stored > 0 {
            self.tell(client.id, "recovered", json!({ "messages": stored, "since": since })).await?;
            self.parts.arrived.bell.ring();
        }
        Ok(stored)
    }

    /// The body it would have come in, or its size if that is more than the store takes.
    fn recovered_body(&self, client: &Client, message: Message, at: Millis, now: Millis) -> Result<NewInbox, usize> {
        let message = Message { client: client.clone(), ..message };
        let body = self.parts.decoder.encode(&message, at);
        if body.len() > BODY_BYTES_MAX {
            return Err(body.len());
        }
        Ok(NewInbox {
            bridge: self.name().to_owned(),
            source: Source::Salebot,
            dedupe: message.id.map(|id| self.parts.decoder.dedupe(id)),
            client: Some(client.id),
            message: message.id,
            received_at: now,
            body,
            broken: None,
        })
    }

    /// A history that could not be read: a client that is gone has none, one that is refused again and
    /// again is given up, anything else ends the look. True when it is to be tried again.
    async fn unread(&self, round: &mut Round, client: ClientId, fault: Fault) -> Result<bool, Failure> {
        match fault.kind {
            FaultKind::Gone => {
                round.settled(client);
                Ok(false)
            }
            FaultKind::Rejected | FaultKind::Broken | FaultKind::Changed => {
                let is_over = round.failed(client);
                if is_over {
                    tracing::warn!(bridge = self.name(), %client, "a client's history cannot be read: messages of it that were not delivered stay unknown: {fault}");
                    self.tell(client, "history_unread", json!({ "reason": fault.reason })).await?;
                }
                Ok(!is_over)
            }
            FaultKind::Transient
            | FaultKind::Throttled { .. }
            | FaultKind::Uncertain
            | FaultKind::Auth
            | FaultKind::Blocked
            | FaultKind::Interrupted => Err(fault.into()),
        }
    }

    async fn tell(&self, client: ClientId, kind: &'static str, detail: serde_json::Value) -> Stored<()> {
        let notice = Notice { subject: client_key(client), kind, detail };
        self.commit(vec![self.journal(notice)]).await
    }
}

fn said(lines: Vec<HistoryLine>, clock: Clock) -> Vec<Said> {
    let instant = |line: HistoryLine| (line.message, line.at.map(|at| clock.instant(at)), line.is_notice);
    lines.into_iter().map(instant).collect()
}
