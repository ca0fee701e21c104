//! The account's list of events (amoCRM events page).

use std::collections::VecDeque;

use super::state::news::{News, What};
use super::state::patch::RecordKind;

/// Events kept, oldest forgotten first.
const KEPT_MAX: usize = 10_000;

/// One event.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) number: u64,
    pub(super) name: &'static str,
    pub(super) entity: &'static str,
    pub(super) entity_id: u64,
    pub(super) by: u64,
    pub(super) at_s: i64,
}

/// The events of an account, oldest first.
#[derive(Debug, Default)]
pub(super) struct Events {
    kept: VecDeque<Event>,
    count: u64,
}

impl Events {
    /// Enters what happened, where there is an event for it.
    pub(super) fn add(&mut self, news: &News) {
        let Some((name, entity)) = named(news) else { return };
        self.count += 1;
        let at_s = news.at_ms.div_euclid(1_000);
        self.kept.push_back(Event { number: self.count, name, entity, entity_id: news.id, by: news.by, at_s });
        if self.kept.len() > KEPT_MAX {
            self.kept.pop_front();
        }
    }

    /// All that are kept, newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Event> {
        self.kept.iter().rev()
    }
}

fn named(news: &News) -> Option<(&'static str, &'static str)> {
    let (contact, lead) = (RecordKind::Contact, RecordKind::Lead);
    let kind = |kind| if kind == contact { "contact" } else { "lead" };
    Some(match (news.kind, news.what) {
        (RecordKind::Company, _) => return None,
        (of, What::Added) => (if of == contact { "contact_added" } else { "lead_added" }, kind(of)),
        (of, What::Deleted) => (if of == contact { "contact_deleted" } else { "lead_deleted" }, kind(of)),
        (of, What::Restored) => (if of == contact { "contact_restored" } else { "lead_restored" }, kind(of)),
        (of, What::Merged) => ("entity_merged", kind(of)),
        (of, What::Responsible(_)) => ("entity_responsible_changed", kind(of)),
        (of, What::Moved(_)) if of == lead => ("lead_status_changed", "lead"),
        (_, What::Updated | What::Moved(_)) => return None,
    })
}
