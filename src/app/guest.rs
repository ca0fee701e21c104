//! Calls of bots that arrive at a node which does not drive their bridge: stored, and answered through the store by
//! the node that does.
//!
//! The bot gets its answer once: here, or by variables and a callback. Both nodes write a line into the journal under
//! the call's own time, the driver `told`, the one that gives up `left`; the store puts them into an order that
//! both can read. Whoever finds the other's line before its own yields.

use crate::core::action::Action;
use crate::core::fingerprint;
use crate::core::function::once::{self, ANSWERED, CALLED, Met};
use crate::core::function::{Answer, Call, LEFT, TOLD, WAITING_MAX};
use crate::core::time::Millis;
use crate::ports::env::Env;
use crate::ports::remote::Priority;
use crate::ports::store::{Change, JournalEntry, JournalRow, NewAction, Store, Stored};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Mutex, Notify};

/// How often it is looked whether the answer is there: a wake-up may be lost.
const LOOK_MS: i64 = 150;
/// Journal lines in which an answer is looked for.
const LINES_MAX: u32 = 16;
/// Room for the last look and the way back, of the time a bot waits.
const LEAVE_MS: i64 = 300;

/// The guests' door of one bridge.
pub struct Guest {
    store: Arc<dyn Store>,
    env: Arc<dyn Env>,
    bridge: String,
    node: String,
    /// Calls are accepted one after the other, so that the same one is not taken twice.
    turn: Mutex<()>,
    count: AtomicU64,
    heard: Notify,
}

impl Guest {
    /// `node` tells this node's calls from others'.
    pub fn new(store: Arc<dyn Store>, env: Arc<dyn Env>, bridge: &str, node: &str) -> Guest {
        Guest {
            store,
            env,
            bridge: bridge.to_owned(),
            node: node.to_owned(),
            turn: Mutex::default(),
            count: AtomicU64::new(0),
            heard: Notify::new(),
        }
    }

    /// Something was stored: perhaps an answer.
    pub fn wake(&self) {
        self.heard.notify_waiters();
    }

    /// Stores a call and waits for its answer, see [`crate::ports::function::Functions::call`].
    pub async fn call(&self, mut call: Call, wait_ms: i64) -> Stored<Answer> {
        let until = self.env.now().plus((wait_ms - LEAVE_MS).max(0));
        if call.once_ms.is_none() {
            let count = self.count.fetch_add(1, Ordering::Relaxed);
            call.ticket = fingerprint::of(&(&call.ticket, &self.node, self.env.now(), count));
        }
        let (at, is_ours) = match self.accept(&mut call, until).await? {
            Accepted::Known(answer) => return Ok(answer),
            Accepted::Waits(at) => (at, false),
            Accepted::Stored => (call.at, true),
        };
        while self.env.now() < until {
            let heard = self.heard.notified();
            if let Some(answer) = told(&self.lines(&call).await?, at) {
                return Ok(answer);
            }
            tokio::select! {
                () = heard => {}
                () = self.env.sleep(until.since(self.env.now()).clamp(1, LOOK_MS)) => {}
            }
        }
        let answer = if is_ours { self.leave(&call).await? } else { told(&self.lines(&call).await?, at) };
        Ok(answer.unwrap_or_else(|| Answer::queued(call.function)))
    }

    async fn lines(&self, call: &Call) -> Stored<Vec<JournalRow>> {
        self.store.journal(&self.bridge, &call.subject(), LINES_MAX).await
    }

    fn line(&self, call: &Call, kind: &'static str) -> Change {
        let detail = json!({ "at": call.at });
        Change::Journal(JournalEntry { at: call.at, subject: call.subject(), kind, detail })
    }

    /// Stores a call, unless it is one that was stored already.
    async fn accept(&self, call: &mut Call, until: Millis) -> Stored<Accepted> {
        let _turn = self.turn.lock().await;
        let mut changes = Vec::new();
        if call.once_ms.is_some() {
            let lines = self.lines(call).await?;
            match once::met_before(lines.iter().map(|line| (line.kind.as_str(), &line.detail)), call) {
                Some(Met::Known(answer)) => return Ok(Accepted::Known(answer)),
                Some(Met::Waits(at)) => return Ok(Accepted::Waits(at)),
                None => changes.push(self.line(call, CALLED)),
            }
        }
        if self.store.outbox_waiting(&self.bridge, WAITING_MAX).await? >= u64::from(WAITING_MAX) {
            return Ok(Accepted::Known(Answer::busy()));
        }
        call.waits_until = Some(until);
        let action = Action::Function(Box::new(call.clone()));
        // At once, whatever the clock of the node is that drives the bridge.
        let (not_before, created_at) = (Millis(0), self.env.now());
        let new = NewAction { action, slot: None, priority: Priority::Person, not_before, created_at, run: None };
        changes.push(Change::AddAction(Box::new(new)));
        self.store.commit(&self.bridge, changes).await?;
        Ok(Accepted::Stored)
    }

    /// Goes away. With the answer where the driver told it before it could see that nobody waits.
    async fn leave(&self, call: &Call) -> Stored<Option<Answer>> {
        self.store.commit(&self.bridge, vec![self.line(call, LEFT)]).await?;
        let lines = self.lines(call).await?;
        // Newest first, and of one time in the order of their commits.
        let place =
            |kind: &str| lines.iter().position(|line| line.kind == kind && once::at_of(&line.detail) == Some(call.at));
        let is_ours = matches!((place(TOLD), place(LEFT)), (Some(told), Some(left)) if told > left);
        Ok(if is_ours { told(&lines, call.at) } else { None })
    }
}

/// What became of a call at the door.
enum Accepted {
    /// Its answer is there already.
    Known(Answer),
    /// The same call, accepted at this time, is under way.
    Waits(Millis),
    /// It is stored.
    Stored,
}

/// The answer to the call that was accepted at this time.
fn told(lines: &[JournalRow], at: Millis) -> Option<Answer> {
    let is_told =
        |line: &&JournalRow| (line.kind == TOLD || line.kind == ANSWERED) && once::at_of(&line.detail) == Some(at);
    lines.iter().find(is_told).and_then(|line| once::answer_of(&line.detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::env::SystemEnv;
    use crate::core::function::{Function, Work};
    use crate::core::id::{ClientId, ContactId};
    use crate::store::memory::MemoryStore;

    #[tokio::test]
    async fn where_too_much_waits_no_call_is_taken() {
        let store = Arc::new(MemoryStore::default());
        let new = |contact| NewAction {
            action: Action::UpdateContact {
                contact: ContactId(contact),
                edits: Vec::new(),
                seen: String::new(),
                confirms: Vec::new(),
            },
            slot: None,
            priority: Priority::Poll,
            not_before: Millis(0),
            created_at: Millis(0),
            run: None,
        };
        let many = (0..u64::from(WAITING_MAX)).map(|contact| Change::AddAction(Box::new(new(contact)))).collect();
        store.commit("shop", many).await.expect("commits");
        let call = Call {
            ticket: "ticket".to_owned(),
            function: Function::GetContactInfo,
            client: ClientId(5),
            target: None,
            is_found: false,
            lost: None,
            in_doubt: false,
            work: Work::Info,
            at: Millis(1),
            once_ms: None,
            waits_until: None,
        };
        let guest = Guest::new(Arc::clone(&store) as Arc<dyn Store>, Arc::new(SystemEnv), "shop", "node");
        assert_eq!(guest.call(call, 0).await.expect("answers"), Answer::busy());
        assert_eq!(store.counts("shop").await.expect("reads").outbox, u64::from(WAITING_MAX));
    }
}
