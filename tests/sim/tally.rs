//! What the daemon did, read from what it stored and sent.

use salebridge::core::id::ActionId;
use salebridge::ports::store::{Change, OutboxRow, Subject};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// An action claimed in doubt: its name, and how many requests that could be it had been sent by then.
type Doubted = BTreeMap<i64, (&'static str, u64)>;

/// Counts by what happened.
#[derive(Debug, Default)]
pub struct Tally {
    counts: Mutex<BTreeMap<String, u64>>,
    posts: Mutex<BTreeMap<&'static str, u64>>,
    doubted: Mutex<Doubted>,
}

impl Tally {
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.lock().unwrap().clone()
    }

    fn count(&self, what: String) {
        *self.counts.lock().unwrap().entry(what).or_default() += 1;
    }

    /// What a service answered.
    pub fn answered(&self, what: &str) {
        self.count(what.to_owned());
    }

    /// A request that writes what must not be written twice.
    pub fn posted(&self, path: &str, body: &str) {
        let name = match path.rsplit('/').next().unwrap_or_default() {
            "contacts" if body.starts_with("{\"add\"") => "create_contact",
            "notes" => "add_note",
            "create_order" => "create_order",
            _ => return,
        };
        *self.posts.lock().unwrap().entry(name).or_default() += 1;
    }

    fn posts(&self, name: &str) -> u64 {
        self.posts.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    /// Actions that are carried out now.
    pub fn claimed(&self, rows: &[OutboxRow]) {
        for row in rows {
            let name = row.action.name();
            if row.in_doubt && matches!(name, "create_contact" | "add_note" | "create_order") {
                self.doubted.lock().unwrap().insert(row.id.0, (name, self.posts(name)));
            }
        }
    }

    /// Changes that were committed.
    pub fn committed(&self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::AddAction(new) => self.count(format!("planned {}", new.action.name())),
                Change::Unmark(Subject::ContactHint(_) | Subject::LeadHint(_), _) => {
                    self.count("hinted looks".to_owned())
                }
                Change::ActionDone(id) => self.done(*id),
                Change::ActionDead { .. } => self.count("actions dead".to_owned()),
                Change::CancelSlot(_) => self.count("slots emptied".to_owned()),
                Change::ForgetContact(_) => self.count("contacts found gone".to_owned()),
                Change::ActionRetry { fault, .. } => self.count(format!("again after {}", fault.kind.name())),
                Change::Journal(entry) => {
                    let is_turned = |word: &str| entry.detail.get(word).is_some();
                    let kind = if is_turned("was_there") { "met somebody else's contact" } else { entry.kind };
                    self.count(format!("journal: {kind}"));
                    if is_turned("instead_of") {
                        self.count("merges followed".to_owned());
                    }
                    if is_turned("unlinked") {
                        self.count("journal: unlinked".to_owned());
                    }
                }
                _ => {}
            }
        }
    }

    /// Done while in doubt: found, or sent again since nothing was found.
    fn done(&self, id: ActionId) {
        let Some((name, before)) = self.doubted.lock().unwrap().remove(&id.0) else { return };
        let how = if self.posts(name) == before { "found" } else { "not found" };
        self.count(format!("looked for {name}: {how}"));
    }
}
