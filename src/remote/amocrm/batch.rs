//! Writes in batches: how they are cut, and how each item gets its own answer.
//!
//! - An item is answered by its `request_id` (add) or its id (update), never by its place; only
//!   where the service names no `request_id` at all, reports no error and answers as many items
//!   as were sent does the order decide (the official example of `add` is such an answer).
//! - An item found neither among the written nor among the refused: `Uncertain` for an add;
//!   `Transient` for an update, which `updated_at` makes harmless to repeat and which a limit of
//!   attempts bounds.
//! - A whole batch refused for its content (400, 413, 422): one bad item must not condemn
//!   forty-nine good ones, so it is cut in half and each half is sent, down to single items. That
//!   is no repeat of the same request, and amoCRM refuses a whole request before it writes any of
//!   it; where such an answer names written items all the same, they are settled as usual.
//! - Where the refusal names the bad items (v4 does), changes are sent again without them. Whether
//!   it wrote the others is not documented, so what was to be made is `Uncertain`: looked up first.

use super::fault::{Problem, fault, item_fault};
use super::loose::{List, Text, Unreadable, Whole};
use crate::core::fault::{Fault, FaultKind};
use crate::ports::remote::{AMO_BATCH_MAX, Priority};
use crate::remote::http::{Call, RawAnswer, Sender};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// Request ids start here, so that a key in `errors.add` below it can only be a place in the batch.
const REQUEST_ID_FIRST: u64 = 1_001;

/// How one version of the API writes batches.
pub(super) trait Dialect: Sync {
    /// The request that carries these items.
    fn call(&self, verb: Verb, items: Vec<&Value>, priority: Priority) -> Call;

    /// The `request_id` an item carries, where it carries one.
    fn request_id(&self, verb: Verb, key: u64) -> Option<Value>;

    /// What an answer names.
    fn named(&self, verb: Verb, answer: &RawAnswer) -> Result<Named, Unreadable>;
}

/// The items an answer names.
#[derive(Default)]
pub(super) struct Named {
    /// Those that were written.
    pub(super) written: Vec<WrittenRow>,
    /// Those that were refused: a map `id or request id or place -> what`, or a list of objects with a code.
    pub(super) refused: Option<Value>,
}

impl Named {
    /// Reads what was written; a row that cannot be read names nobody.
    pub(super) fn new(rows: List<Box<RawValue>>, refused: Option<Value>) -> Named {
        let written = rows.0.iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect();
        Named { written, refused }
    }
}

/// An item that was written.
#[derive(Deserialize)]
pub(super) struct WrittenRow {
    #[serde(default)]
    id: Whole,
    #[serde(default)]
    request_id: Text,
}

/// What a batch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// Makes records: not repeatable.
    Add,
    /// Changes records: the lock makes it repeatable.
    Update,
}

impl Verb {
    /// What an item means that the answer does not mention, or whose answer cannot be read.
    fn unanswered(self) -> FaultKind {
        match self {
            Verb::Add => FaultKind::Uncertain,
            Verb::Update => FaultKind::Transient,
        }
    }
}

/// One item on its way: where its answer belongs, how the answer will name it, its JSON.
#[derive(Clone)]
struct Item {
    place: usize,
    key: u64,
    json: Value,
}

/// Sends all items and returns the id of each, in their order. `items` holds the JSON of each, or
/// why it cannot be written; `id` is that of the record for an update.
pub(super) async fn send<W: Serialize>(
    sender: &Sender,
    dialect: &dyn Dialect,
    verb: Verb,
    items: Vec<Result<W, Fault>>,
    priority: Priority,
) -> Vec<Result<u64, Fault>> {
    let mut results: Vec<Option<Result<u64, Fault>>> = Vec::new();
    let mut ready = Vec::new();
    for (place, item) in items.into_iter().enumerate() {
        let json = item.and_then(|item| {
            serde_json::to_value(item).map_err(|error| Fault::new(FaultKind::Broken, format!("no JSON: {error}")))
        });
        match json {
            Ok(json) => {
                ready.push((place, json));
                results.push(None);
            }
            Err(fault) => results.push(Some(Err(fault))),
        }
    }
    // A stack of batches still to be sent; a refused one comes back as its halves.
    let mut batches: Vec<Vec<Item>> = batches(dialect, verb, ready);
    batches.reverse();
    while let Some(batch) = batches.pop() {
        match send_one(sender, dialect, verb, &batch, priority).await {
            Sent::Settled(settled) => {
                for (item, result) in batch.iter().zip(settled) {
                    results[item.place] = Some(result);
                }
            }
            Sent::Partly(settled) => {
                let mut open = Vec::new();
                for (item, result) in batch.into_iter().zip(settled) {
                    match result {
                        Some(result) => results[item.place] = Some(result),
                        None => open.push(item),
                    }
                }
                batches.push(open);
            }
            Sent::Refused => {
                let (left, right) = batch.split_at(batch.len() / 2);
                batches.push(right.to_vec());
                batches.push(left.to_vec());
            }
        }
    }
    let unanswered = || Err(Fault::new(verb.unanswered(), "the item was not sent"));
    results.into_iter().map(|result| result.unwrap_or_else(unanswered)).collect()
}

/// Cuts items into batches. Two updates of one record never share a batch: their answers could not
/// be told apart.
fn batches(dialect: &dyn Dialect, verb: Verb, ready: Vec<(usize, Value)>) -> Vec<Vec<Item>> {
    let mut batches: Vec<Vec<Item>> = Vec::new();
    for (place, mut json) in ready {
        let current = batches.last().filter(|batch| batch.len() < AMO_BATCH_MAX);
        let key = match verb {
            Verb::Add => REQUEST_ID_FIRST + current.map_or(0, |batch| batch.len() as u64),
            Verb::Update => json["id"].as_u64().unwrap_or(0),
        };
        let fits = current.is_some_and(|batch| batch.iter().all(|item| item.key != key));
        if let Some(request_id) = dialect.request_id(verb, key) {
            json["request_id"] = request_id;
        }
        let item = Item { place, key, json };
        match batches.last_mut().filter(|_| fits) {
            Some(batch) => batch.push(item),
            None => batches.push(vec![item]),
        }
    }
    batches
}

enum Sent {
    /// An answer for each item of the batch.
    Settled(Vec<Result<u64, Fault>>),
    /// The batch was refused for some of its items, which are named; those without an answer are harmless to send
    /// again. There are fewer of them than were sent.
    Partly(Vec<Option<Result<u64, Fault>>>),
    /// The whole batch was refused for its content, and it has more than one item.
    Refused,
}

async fn send_one(sender: &Sender, dialect: &dyn Dialect, verb: Verb, batch: &[Item], priority: Priority) -> Sent {
    let repeatable = verb == Verb::Update;
    let all = |fault: Fault| Sent::Settled(vec![Err(fault); batch.len()]);
    let items: Vec<_> = batch.iter().map(|item| &item.json).collect();
    let answer = match sender.call(dialect.call(verb, items, priority)).await {
        Ok(answer) => answer,
        Err(fault) => return all(fault),
    };
    let named = dialect.named(verb, &answer);
    match fault(&answer, repeatable, sender.now()) {
        None => match named {
            Ok(named) => Sent::Settled(closed(verb, settle(verb, batch, named))),
            Err(error) => {
                let reason = format!("the answer to a write cannot be read: {}", error.reason);
                all(Fault::new(verb.unanswered(), reason))
            }
        },
        Some(fault) if fault.kind != FaultKind::Rejected => all(fault),
        // A refusal that names items after all.
        Some(fault) => match named.ok().filter(|named| !named.written.is_empty() || named.refused.is_some()) {
            Some(named) => partly(verb, settle(verb, batch, named)),
            None if batch.len() == 1 => all(fault),
            None => Sent::Refused,
        },
    }
}

/// After a refusal that names items: what it does not name was most likely not written. A change is sent again without
/// the refused ones; whether something was made is looked up first.
fn partly(verb: Verb, settled: Vec<Option<Result<u64, Fault>>>) -> Sent {
    let is_smaller = settled.iter().any(Option::is_some) && settled.iter().any(Option::is_none);
    if verb == Verb::Update && is_smaller { Sent::Partly(settled) } else { Sent::Settled(closed(verb, settled)) }
}

/// Every item has an answer: those that were not mentioned get theirs.
fn closed(verb: Verb, settled: Vec<Option<Result<u64, Fault>>>) -> Vec<Result<u64, Fault>> {
    let unanswered = || Err(Fault::new(verb.unanswered(), "the answer does not mention this item"));
    settled.into_iter().map(|result| result.unwrap_or_else(unanswered)).collect()
}

/// Gives each item of a batch its own answer; none where it is not mentioned.
fn settle(verb: Verb, batch: &[Item], named: Named) -> Vec<Option<Result<u64, Fault>>> {
    let refusals = Refusals::read(named.refused, batch, verb);
    let written = written(verb, batch, &named.written, refusals.is_empty());
    let open = batch.iter().filter(|item| !written.contains_key(&item.key) && !refusals.named.contains_key(&item.key));
    // Refusals that name nobody can only be given out when there is one for each that is open.
    let mut spare = if open.count() == refusals.nameless.len() { refusals.nameless } else { Vec::new() }.into_iter();
    let answer_of = |item: &Item| match (written.get(&item.key), refusals.named.get(&item.key)) {
        (_, Some(problem)) => Some(Err(item_fault(problem, verb == Verb::Update))),
        (Some(id), None) => Some(Ok(*id)),
        (None, None) => spare.next().map(|problem| Err(item_fault(&problem, verb == Verb::Update))),
    };
    batch.iter().map(answer_of).collect()
}

/// The id of each written item by its key.
fn written(verb: Verb, batch: &[Item], rows: &[WrittenRow], no_errors: bool) -> HashMap<u64, u64> {
    let key_of = |row: &WrittenRow| match verb {
        Verb::Add => row.request_id.0.as_deref().and_then(|text| text.trim().parse().ok()),
        Verb::Update => row.id.positive(),
    };
    let ours = |key: &u64| batch.iter().any(|item| item.key == *key);
    let named: HashMap<u64, u64> =
        rows.iter().filter_map(|row| Some((key_of(row).filter(ours)?, row.id.positive()?))).collect();
    let nobody_named = rows.iter().all(|row| row.request_id.0.as_deref().is_none_or(str::is_empty));
    if verb == Verb::Add && nobody_named && no_errors && rows.len() == batch.len() {
        return batch.iter().zip(rows).filter_map(|(item, row)| Some((item.key, row.id.positive()?))).collect();
    }
    named
}

/// The refused items of a batch.
#[derive(Default)]
struct Refusals {
    named: HashMap<u64, Problem>,
    nameless: Vec<Problem>,
}

impl Refusals {
    fn is_empty(&self) -> bool {
        self.named.is_empty() && self.nameless.is_empty()
    }

    /// From a map `id or place -> what`, or a list of objects with a code (recorded answers).
    fn read(errors: Option<Value>, batch: &[Item], verb: Verb) -> Refusals {
        let mut refusals = Refusals::default();
        match errors {
            Some(Value::Object(map)) => {
                for (key, what) in &map {
                    let key = key.trim().parse().ok().and_then(|number| key_for(number, batch));
                    refusals.add(key.or_else(|| named_inside(what, batch, verb)), what);
                }
            }
            Some(Value::Array(list)) => {
                for what in &list {
                    refusals.add(named_inside(what, batch, verb), what);
                }
            }
            _ => {}
        }
        refusals
    }

    fn add(&mut self, key: Option<u64>, what: &Value) {
        let problem = Problem::from_value(what);
        match key {
            Some(key) => _ = self.named.insert(key, problem),
            None => self.nameless.push(problem),
        }
    }
}

/// The item a number means: by its key, else by its place in the batch.
fn key_for(number: u64, batch: &[Item]) -> Option<u64> {
    let by_key = batch.iter().find(|item| item.key == number);
    let by_place = || usize::try_from(number).ok().and_then(|place| batch.get(place));
    by_key.or_else(by_place).map(|item| item.key)
}

fn named_inside(what: &Value, batch: &[Item], verb: Verb) -> Option<u64> {
    let names: &[&str] = match verb {
        Verb::Add => &["request_id"],
        Verb::Update => &["id", "entity_id", "request_id"],
    };
    names.iter().find_map(|name| {
        let number = serde_json::from_value::<Whole>(what.get(name)?.clone()).ok()?.positive()?;
        batch.iter().any(|item| item.key == number).then_some(number)
    })
}
