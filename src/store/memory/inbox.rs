//! Pushed bodies.

use crate::core::id::{ClientId, InboxId, MessageId};
use crate::core::time::Millis;
use crate::ports::store::{InboxRow, NewInbox, Received, Source};
use std::collections::{BTreeMap, BTreeSet};

/// A body that waits or is dead.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) source: Source,
    pub(super) client: Option<ClientId>,
    pub(super) message: Option<MessageId>,
    pub(super) received_at: Millis,
    pub(super) reason: String,
    due: Millis,
    dedupe: Option<String>,
    body: Vec<u8>,
}

/// The bodies of a bridge.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: BTreeMap<i64, Body>,
    dead: BTreeMap<i64, Body>,
    /// Keys of bodies that are here.
    present: BTreeSet<(Source, String)>,
    /// Keys of bodies that were dealt with, by age.
    done: BTreeMap<(Millis, i64), (Source, String)>,
}

impl Inbox {
    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// When the oldest waiting one came.
    pub(super) fn oldest(&self) -> Option<Millis> {
        self.waiting.values().map(|body| body.received_at).min()
    }

    /// When the newest waiting one came.
    pub(super) fn newest(&self) -> Option<Millis> {
        self.waiting.values().map(|body| body.received_at).max()
    }

    /// When each waiting one is due.
    pub(super) fn dues(&mut self) -> impl Iterator<Item = &mut Millis> {
        self.waiting.values_mut().map(|body| &mut body.due)
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Millis> {
        self.waiting.values().map(|body| body.due).min()
    }

    /// Those that cannot be dealt with.
    pub(super) fn dead(&self) -> impl Iterator<Item = (i64, &Body)> {
        self.dead.iter().map(|(id, body)| (*id, body))
    }

    /// Takes one in.
    pub(super) fn receive(&mut self, new: NewInbox, last_id: &mut i64) -> Received {
        if let Some(dedupe) = &new.dedupe
            && !self.present.insert((new.source, dedupe.clone()))
        {
            return Received::Known;
        }
        *last_id += 1;
        let body = Body {
            source: new.source,
            client: new.client,
            message: new.message,
            received_at: new.received_at,
            reason: new.broken.clone().unwrap_or_default(),
            due: new.received_at,
            dedupe: new.dedupe,
            body: new.body,
        };
        let bodies = if new.broken.is_some() { &mut self.dead } else { &mut self.waiting };
        bodies.insert(*last_id, body);
        Received::Stored(InboxId(*last_id))
    }

    /// Due bodies without a client, then what waits of the clients that are due first; of a dialogue that is held what is due.
    pub(super) fn due(&self, now: Millis, clients_max: usize, rows_max: usize) -> Vec<InboxRow> {
        let mut due: Vec<(Millis, ClientId)> = Vec::new();
        let mut rows: BTreeMap<Option<ClientId>, Vec<(Option<MessageId>, i64)>> = BTreeMap::new();
        for (id, body) in &self.waiting {
            if let (true, Some(client)) = (body.due <= now, body.client) {
                due.push((body.due, client));
            }
            if body.client.is_some() || body.due <= now {
                rows.entry(body.client).or_default().push((body.message, *id));
            }
        }
        due.sort_unstable();
        let mut chosen: BTreeSet<Option<ClientId>> = BTreeSet::from([None]);
        for (_, client) in due {
            if chosen.len() <= clients_max {
                chosen.insert(Some(client));
            }
        }
        let mut listed = Vec::new();
        for (_, mut rows) in rows.into_iter().filter(|(client, _)| chosen.contains(client)) {
            rows.sort_unstable();
            let due_at = |id: &i64| self.waiting.get(id).map_or(now, |body| body.due);
            let held_until = rows.first().map(|(_, id)| due_at(id)).filter(|due| *due > now);
            rows.retain(|(_, id)| held_until.is_none() || due_at(id) <= now);
            listed.extend(rows.into_iter().take(rows_max).filter_map(|(_, id)| self.row(id, held_until)));
        }
        listed
    }

    fn row(&self, id: i64, held_until: Option<Millis>) -> Option<InboxRow> {
        let body = self.waiting.get(&id)?;
        Some(InboxRow {
            id: InboxId(id),
            source: body.source,
            client: body.client,
            message: body.message,
            received_at: body.received_at,
            held_until,
            body: body.body.clone(),
        })
    }

    /// Deals with bodies; their keys stay.
    pub(super) fn done(&mut self, ids: &[InboxId]) {
        for InboxId(id) in ids {
            let body = self.waiting.remove(id).or_else(|| self.dead.remove(id));
            if let Some(Body { dedupe: Some(dedupe), source, received_at, .. }) = body {
                self.done.insert((received_at, *id), (source, dedupe));
            }
        }
    }

    /// Makes a body a dead letter, or gives a dead one another reason.
    pub(super) fn kill(&mut self, id: InboxId, reason: String) {
        if let Some(body) = self.waiting.remove(&id.0).or_else(|| self.dead.remove(&id.0)) {
            self.dead.insert(id.0, Body { reason, ..body });
        }
    }

    /// Lets a dead body wait again.
    pub(super) fn retry(&mut self, id: InboxId, due: Millis) {
        if let Some(body) = self.dead.remove(&id.0) {
            self.waiting.insert(id.0, Body { due, reason: String::new(), ..body });
        }
    }

    /// A dead body and what it holds.
    pub(super) fn dead_one(&self, id: i64) -> Option<(&Body, &[u8])> {
        self.dead.get(&id).map(|body| (body, body.body.as_slice()))
    }

    /// Puts a client's waiting bodies off.
    pub(super) fn hold(&mut self, client: ClientId, due: Millis) {
        self.waiting.values_mut().filter(|body| body.client == Some(client)).for_each(|body| body.due = due);
    }

    /// Puts these bodies off, where they wait.
    pub(super) fn wait(&mut self, rows: &[(InboxId, Millis)]) {
        for (id, due) in rows {
            if let Some(body) = self.waiting.get_mut(&id.0) {
                body.due = *due;
            }
        }
    }

    /// Drops keys that are old enough, oldest first.
    pub(super) fn prune(&mut self, before: Millis, rows_max: usize) -> u64 {
        let old: Vec<_> = self.done.range(..(before, i64::MIN)).take(rows_max).map(|(place, _)| *place).collect();
        for place in &old {
            if let Some(key) = self.done.remove(place) {
                self.present.remove(&key);
            }
        }
        old.len() as u64
    }
}
