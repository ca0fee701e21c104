//! Random steps, done to two kinds of store at once: whatever can be asked must be answered alike.
//!
//! The memory is the model. Ids may differ (a database may skip some), so rows are compared by the order in
//! which they were given out.

use super::{SHOP, callback, load_client, note, update, variables};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use salebridge::core::action::{Action, Side};
use salebridge::core::fault::{Fault, FaultKind};
use salebridge::core::id::{ActionId, ClientId, ContactId, InboxId, LeadId, MessageId};
use salebridge::core::link::{Base, Bases, ClientLink, ContactSeen, DealLink};
use salebridge::core::model::Client;
use salebridge::core::people::MatchKey;
use salebridge::core::run::{Run, RunKind};
use salebridge::core::time::Millis;
use salebridge::ports::remote::Priority;
use salebridge::ports::store::{
    Change, Cursor, DeadLetter, JournalEntry, Mark, NewAction, NewInbox, OutboxRow, Received, Source, Store, Subject,
};
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Sequences that are tried; each has a bridge of its own.
const CASES: u32 = 240;

/// A server is asked over a socket, three times as slowly as a file.
const CASES_OF_SERVER: u32 = 80;

/// Bodies that may wait: few, so that some are refused.
const WAITING_MAX: u64 = 6;

#[derive(Debug, Clone)]
enum Step {
    Receive { source: Source, key: Option<u8>, client: Option<u64>, message: Option<u64>, at: i64, broken: bool },
    Commit(Vec<Op>),
    Claim { side: Side, now: i64, rows_max: u32 },
    Rescue,
    SetBack { now: i64, by_ms: i64 },
    Prune { before: i64, rows_max: u32 },
}

/// A change before its ids are known: rows are named by the order in which they were given out.
#[derive(Debug, Clone)]
enum Op {
    Done(Vec<usize>),
    Hold(u64, i64),
    BodyDead(usize),
    Unmark { subject: Subject, stale: bool },
    ActionDone(usize),
    Retry { row: usize, not_before: i64, attempts: u32, in_doubt: bool },
    ActionDead { row: usize, at: i64 },
    As(Change),
}

fn time() -> impl Strategy<Value = i64> {
    0..20i64
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        (1..4u64).prop_map(|id| Subject::Contact(ContactId(id))),
        (1..3u64).prop_map(|id| Subject::Lead(LeadId(id))),
        (1..3u64).prop_map(|id| Subject::Client(ClientId(id))),
        (1..3u64).prop_map(|id| Subject::ContactHint(ContactId(id))),
        (1..3u64).prop_map(|id| Subject::LeadHint(LeadId(id))),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (1..3u64, "[ab]").prop_map(|(id, value)| variables(id, &value)),
        (1..3u64).prop_map(|id| callback(id, "x")),
        (1..3u64).prop_map(update),
        (1..3u64).prop_map(load_client),
        (1..3u64).prop_map(|id| note(id, "x")),
    ]
}

fn new_action() -> impl Strategy<Value = Change> {
    let priority = prop_oneof![Just(Priority::Person), Just(Priority::Poll), Just(Priority::Background)];
    (action(), option::of("[st]"), priority, time(), time()).prop_map(|(action, slot, priority, not_before, at)| {
        let (not_before, created_at) = (Millis(not_before), Millis(at));
        Change::AddAction(Box::new(NewAction { action, slot, priority, not_before, created_at, run: None }))
    })
}

fn link() -> impl Strategy<Value = Change> {
    let client = (1..4u64, option::of(1..4u64), option::of("[a-c]"), 0..9i64);
    let client = client.prop_map(|(id, contact, name, revision)| {
        let link = ClientLink::new(Client { name, ..Client::unknown(ClientId(id)) });
        Change::PutClient(Box::new(ClientLink { contact: contact.map(ContactId), revision, ..link }))
    });
    let deal = (1..3u64, option::of(1..4u64), any::<bool>()).prop_map(|(lead, contact, open)| {
        let base = Base { amo: Some(vec!["a".to_owned()]), ..Base::default() };
        Change::PutDeal(Box::new(DealLink {
            contact: contact.map(ContactId),
            ordered: open,
            open,
            version: 1,
            fingerprint: "f".to_owned(),
            bases: Bases::from([("rule".to_owned(), base)]),
            ..DealLink::new(LeadId(lead))
        }))
    });
    prop_oneof![client, deal]
}

fn key() -> impl Strategy<Value = MatchKey> {
    "[1-4]".prop_map(|digit| MatchKey::Phone(format!("+7999000000{digit}")))
}

fn record() -> impl Strategy<Value = Change> {
    let seen = (1..4u64, 0..3i64).prop_map(|(id, version)| ContactSeen {
        contact: ContactId(id),
        fingerprint: "f".to_owned(),
        version,
    });
    let line = (time(), 1..3u64).prop_map(|(at, id)| {
        let (subject, detail) = (format!("client:{id}"), serde_json::json!({ "at": at }));
        Change::Journal(JournalEntry { at: Millis(at), subject, kind: "done", detail })
    });
    let cursor = (prop_oneof![Just("contacts"), Just("leads")], time());
    prop_oneof![
        seen.prop_map(Change::PutContact),
        (1..4u64).prop_map(|id| Change::ForgetContact(ContactId(id))),
        (1..4u64, vec(key(), 0..3)).prop_map(|(id, keys)| Change::PutKeys(ContactId(id), keys)),
        line,
        cursor.prop_map(|(name, at)| Change::PutCursor(name, Cursor { at: Millis(at), moved_at: Millis(at) })),
        "[a-c]".prop_map(|text| Change::PutText("account", text)),
    ]
}

fn mark() -> impl Strategy<Value = Change> {
    (subject(), time(), 0..3u32, option::of(time())).prop_map(|(subject, due, attempts, run)| {
        let run = run.map(|at| Run { at: Millis(at), kind: RunKind::Poll });
        Change::Mark(Mark { subject, due: Millis(due), attempts, run })
    })
}

fn op() -> impl Strategy<Value = Op> {
    let row = || 0..12usize;
    let retry = (row(), time(), 0..4u32, any::<bool>());
    prop_oneof![
        2 => vec(row(), 0..3).prop_map(Op::Done),
        1 => (1..4u64, time()).prop_map(|(client, due)| Op::Hold(client, due)),
        1 => row().prop_map(Op::BodyDead),
        2 => (subject(), any::<bool>()).prop_map(|(subject, stale)| Op::Unmark { subject, stale }),
        2 => row().prop_map(Op::ActionDone),
        2 => retry.prop_map(|(row, not_before, attempts, in_doubt)| Op::Retry { row, not_before, attempts, in_doubt }),
        1 => (row(), time()).prop_map(|(row, at)| Op::ActionDead { row, at }),
        1 => "[st]".prop_map(|slot| Op::As(Change::CancelSlot(slot))),
        // A change that cannot be stored: nothing of its commit may remain.
        1 => prop::bool::weighted(0.2).prop_map(|bad| {
            Op::As(Change::PutKeys(ContactId(if bad { u64::MAX } else { 1 }), Vec::new()))
        }),
        5 => new_action().prop_map(Op::As),
        4 => link().prop_map(Op::As),
        5 => record().prop_map(Op::As),
        3 => mark().prop_map(Op::As),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let source = prop_oneof![Just(Source::Salebot), Just(Source::Amo)];
    let ids = (option::of(1..5u8), option::of(1..4u64), option::of(1..6u64));
    let receive = (source, ids, time(), prop::bool::weighted(0.15));
    let side = prop_oneof![Just(Side::Amo), Just(Side::Salebot)];
    prop_oneof![
        4 => receive.prop_map(|(source, (key, client, message), at, broken)| {
            Step::Receive { source, key, client, message, at, broken }
        }),
        6 => vec(op(), 1..6).prop_map(Step::Commit),
        3 => (side, time(), 0..5u32).prop_map(|(side, now, rows_max)| Step::Claim { side, now, rows_max }),
        1 => Just(Step::Rescue),
        1 => (time(), 0..6i64).prop_map(|(now, by_ms)| Step::SetBack { now, by_ms }),
        1 => (time(), 0..4u32).prop_map(|(before, rows_max)| Step::Prune { before, rows_max }),
    ]
}

/// A store and the ids it has given out in one case.
struct Player {
    store: Arc<dyn Store>,
    bridge: String,
    bodies: Vec<InboxId>,
    actions: Vec<ActionId>,
}

impl Player {
    fn new(store: &Arc<dyn Store>, bridge: &str) -> Player {
        Player { store: Arc::clone(store), bridge: bridge.to_owned(), bodies: Vec::new(), actions: Vec::new() }
    }

    /// Does a step and tells what came back, in words that do not depend on ids.
    async fn step(&mut self, step: Step) -> String {
        let (store, bridge) = (Arc::clone(&self.store), self.bridge.clone());
        match step {
            Step::Receive { source, key, client, message, at, broken } => {
                let body = NewInbox {
                    bridge,
                    source,
                    dedupe: key.map(|key| key.to_string()),
                    client: client.map(ClientId),
                    message: message.map(MessageId),
                    received_at: Millis(at),
                    body: format!("{source:?} {message:?}").into_bytes(),
                    broken: broken.then(|| "odd".to_owned()),
                };
                match store.receive(body).await {
                    Ok(Received::Stored(id)) => {
                        self.bodies.push(id);
                        "stored".to_owned()
                    }
                    other => format!("{other:?}"),
                }
            }
            Step::Commit(ops) => self.commit(ops).await,
            Step::Claim { side, now, rows_max } => {
                let rows = store.claim(&bridge, side, Millis(now), rows_max).await.expect("claims");
                self.rows(rows)
            }
            Step::SetBack { now, by_ms } => {
                let change = Change::SetBack { now: Millis(now), by_ms };
                format!("{:?}", store.commit(&bridge, vec![change]).await)
            }
            Step::Rescue => format!("{:?}", store.rescue(&bridge).await),
            Step::Prune { before, rows_max } => {
                format!("{:?}", store.prune(&bridge, Millis(before), rows_max).await)
            }
        }
    }

    async fn commit(&mut self, ops: Vec<Op>) -> String {
        let mut changes = Vec::new();
        for op in ops {
            changes.extend(self.change(op).await);
        }
        match self.store.commit(&self.bridge, changes).await {
            Ok(ids) => {
                for id in &ids {
                    if !self.actions.contains(id) {
                        self.actions.push(*id);
                    }
                }
                format!("{:?}", ids.into_iter().map(|id| self.action_place(id)).collect::<Vec<_>>())
            }
            Err(error) => error.to_string(),
        }
    }

    async fn change(&self, op: Op) -> Option<Change> {
        let fault = Fault::new(FaultKind::Uncertain, "no answer");
        Some(match op {
            Op::Done(rows) => {
                Change::InboxDone(rows.into_iter().filter_map(|row| self.bodies.get(row).copied()).collect())
            }
            Op::Hold(client, due) => Change::InboxHold(ClientId(client), Millis(due)),
            Op::BodyDead(row) => Change::InboxDead(*self.bodies.get(row)?, "given up".to_owned()),
            Op::Unmark { subject, stale } => Change::Unmark(subject, self.revision(subject).await? - i64::from(stale)),
            Op::ActionDone(row) => Change::ActionDone(*self.actions.get(row)?),
            Op::Retry { row, not_before, attempts, in_doubt } => {
                let (id, not_before) = (*self.actions.get(row)?, Millis(not_before));
                Change::ActionRetry { id, not_before, attempts, in_doubt, fault }
            }
            Op::ActionDead { row, at } => Change::ActionDead { id: *self.actions.get(row)?, fault, at: Millis(at) },
            Op::As(change) => change,
        })
    }

    async fn revision(&self, subject: Subject) -> Option<i64> {
        let marks = self.store.marks_due(&self.bridge, Millis(99), 99).await.expect("reads");
        marks.into_iter().find(|row| row.mark.subject == subject).map(|row| row.revision)
    }

    fn action_place(&self, id: ActionId) -> Option<usize> {
        self.actions.iter().position(|known| *known == id)
    }

    fn rows(&self, rows: Vec<OutboxRow>) -> String {
        let told = rows.into_iter().map(|row| (self.action_place(row.id), OutboxRow { id: ActionId(0), ..row }));
        format!("{:#?}", told.collect::<Vec<_>>())
    }

    fn letters(&self, letters: Vec<DeadLetter>) -> String {
        let place = |letter: &DeadLetter| match letter.queue {
            "inbox" => self.bodies.iter().position(|id| id.0 == letter.id),
            _ => self.action_place(ActionId(letter.id)),
        };
        let told = letters.into_iter().map(|letter| (place(&letter), DeadLetter { id: 0, ..letter }));
        format!("{:#?}", told.collect::<Vec<_>>())
    }

    /// Everything that can be read.
    async fn picture(&self) -> Vec<String> {
        let mut told = self.queues().await;
        told.extend(self.records().await);
        told
    }

    async fn queues(&self) -> Vec<String> {
        let (store, bridge) = (&self.store, self.bridge.as_str());
        let mut told = Vec::new();
        for (now, clients_max, rows_max) in [(99, 99, 99), (10, 1, 99), (12, 99, 1)] {
            let rows = store.inbox_due(bridge, Millis(now), clients_max, rows_max).await.expect("reads");
            let place = |id| self.bodies.iter().position(|known| *known == id);
            let rows = rows
                .into_iter()
                .map(|row| (place(row.id), row.client, row.message, row.received_at, row.held_until, row.body));
            told.push(format!("{:?}", rows.collect::<Vec<_>>()));
        }
        for (now, rows_max) in [(99, 99), (10, 2)] {
            let marks = store.marks_due(bridge, Millis(now), rows_max).await.expect("reads");
            told.push(format!("{:?}", marks.into_iter().map(|row| row.mark).collect::<Vec<_>>()));
        }
        let keys = ["client:1", "contact:1", "notes:lead:1"].map(str::to_owned);
        told.push(self.rows(store.pending(bridge, &keys).await.expect("reads")));
        for name in ["save_variables", "callback", "update_contact", "load_client", "add_note"] {
            told.push(self.rows(store.pending_named(bridge, name, 3).await.expect("reads")));
        }
        told.push(self.letters(store.dead_letters(bridge, 99).await.expect("reads")));
        told.push(self.letters(store.dead_letters(bridge, 2).await.expect("reads")));
        told.push(format!("{:?}", store.next_due(bridge).await));
        told.push(format!("{:?}", store.counts(bridge).await));
        told
    }

    async fn records(&self) -> Vec<String> {
        let (store, bridge) = (&self.store, self.bridge.as_str());
        let contacts = [ContactId(3), ContactId(1), ContactId(2)];
        let keys: Vec<MatchKey> = (1..5).map(|digit| MatchKey::Phone(format!("+7999000000{digit}"))).collect();
        vec![
            format!("{:?}", store.clients(bridge, &[ClientId(2), ClientId(1), ClientId(3)]).await),
            format!("{:?}", store.clients_of(bridge, &contacts).await),
            format!("{:?}", store.deals(bridge, &[LeadId(2), LeadId(1)]).await),
            format!("{:?}", store.deals_of(bridge, &contacts[..2]).await),
            format!("{:?}", store.deals_of_clients(bridge, &[ClientId(2), ClientId(1)]).await),
            format!("{:?}", store.contacts(bridge, &contacts).await),
            format!("{:?}", store.contacts_by_key(bridge, &keys).await),
            format!("{:?}", store.cursors(bridge).await),
            format!("{:?}", store.cursor(bridge, "leads").await),
            format!("{:?}", store.text(bridge, "account").await),
            format!("{:?}", store.journal(bridge, "client:1", 99).await),
            format!("{:?}", store.journal(bridge, "client:2", 2).await),
        ]
    }
}

/// Steps between two comparisons of everything: it takes most of the time.
const PICTURE_EVERY: usize = 3;

/// Does the steps to both stores and compares as they go.
async fn play(model: &Arc<dyn Store>, other: &Arc<dyn Store>, bridge: &str, steps: Vec<Step>) -> Result<(), String> {
    let (mut one, mut two) = (Player::new(model, bridge), Player::new(other, bridge));
    let last = steps.len().saturating_sub(1);
    for (place, step) in steps.into_iter().enumerate() {
        let (expected, found) = (one.step(step.clone()).await, two.step(step.clone()).await);
        if expected != found {
            return Err(format!("step {place} {step:?}: expected {expected}, found {found}"));
        }
        if place % PICTURE_EVERY != 0 && place != last {
            continue;
        }
        for (expected, found) in one.picture().await.into_iter().zip(two.picture().await) {
            if expected != found {
                return Err(format!("after step {place} {step:?}: expected {expected}, found {found}"));
            }
        }
    }
    Ok(())
}

/// Holds a store to the model, in so many sequences.
fn hold(runtime: &Runtime, other: &Arc<dyn Store>, cases: u32) {
    let model = runtime.block_on(super::memory_store(WAITING_MAX));
    let seed = RngSeed::Fixed(20_261_101);
    let config = Config { cases, rng_seed: seed, failure_persistence: None, ..Config::default() };
    let case = std::cell::Cell::new(0);
    let outcome = TestRunner::new(config).run(&vec(step(), 1..25), |steps| {
        case.set(case.get() + 1);
        let bridge = format!("{SHOP}{}", case.get());
        let played = runtime.block_on(play(&model.store, other, &bridge, steps));
        played.map_err(TestCaseError::fail)
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

#[test]
fn sqlite_does_the_same_as_memory() {
    let runtime = runtime();
    let sqlite = runtime.block_on(super::sqlite_store(WAITING_MAX));
    hold(&runtime, &sqlite.store, CASES);
}

#[test]
fn postgres_does_the_same_as_memory() {
    let runtime = runtime();
    if let Some(postgres) = runtime.block_on(super::postgres_store(WAITING_MAX)) {
        hold(&runtime, &postgres.store, CASES_OF_SERVER);
    }
}
