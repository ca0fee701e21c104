//! What happened to records: from it come webhooks and the list of events.

use super::patch::{RecordKind, Stage};

/// Most happenings that wait to be told of; older ones are forgotten, as where nobody listens.
const WAITING_MAX: usize = 10_000;

/// What happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::amo) enum What {
    Added,
    Updated,
    Deleted,
    Restored,
    /// Somebody else is in charge: who was before.
    Responsible(u64),
    /// A lead moved: where it stood before.
    Moved(Stage),
    /// Others were merged into it.
    Merged,
}

/// One happening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::amo) struct News {
    pub(in crate::amo) kind: RecordKind,
    pub(in crate::amo) id: u64,
    pub(in crate::amo) what: What,
    pub(in crate::amo) by: u64,
    pub(in crate::amo) at_ms: i64,
}

/// Happenings that nobody was told of yet.
#[derive(Debug, Default)]
pub(in crate::amo) struct Waiting(std::collections::VecDeque<News>);

impl Waiting {
    pub(in crate::amo) fn add(&mut self, news: News) {
        self.0.push_back(news);
        if self.0.len() > WAITING_MAX {
            self.0.pop_front();
        }
    }

    /// Forgets what happened to this record since there were so many.
    pub(in crate::amo) fn forget(&mut self, kind: RecordKind, id: u64, since: usize) {
        let mut place = 0;
        self.0.retain(|news| {
            place += 1;
            place <= since || (news.kind, news.id) != (kind, id)
        });
    }

    pub(in crate::amo) fn len(&self) -> usize {
        self.0.len()
    }

    pub(in crate::amo) fn take(&mut self) -> Vec<News> {
        self.0.drain(..).collect()
    }
}
