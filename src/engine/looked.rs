//! What became of records that were looked at, and which of them are looked at again.

use super::Bridge;
use super::backfill::Tallied;
use super::record::Draft;
use crate::core::fault::Fault;
use crate::core::run::Run;
use crate::core::seldom::Seldom;
use crate::ports::store::{Change, Mark, Subject};
use std::collections::{BTreeMap, BTreeSet};

/// How soon a record is read again that could not be read, or was shown in an older state than is known.
pub(super) const AGAIN_MS: i64 = 5_000;

/// After so many looks, two and a half minutes, an older state is how things are: somebody edited the record in the second
/// in which we wrote to it, and our write is dated one second later. No list is late for so long.
const OLDER_LOOKS: u32 = 5;

/// For so long a record is marked once for being shown in an older state: a mark that is set anew begins to count anew.
const OLDER_MS: i64 = 600_000;

/// Records that were marked because they were shown in an older state. Lost at a restart, which costs a few looks.
pub(super) type ShownOlder = Seldom<Subject, OLDER_MS>;

/// For so long it is told once that Salebot does not know a record any more, and no longer is it left alone.
pub(super) const MISSING_MS: i64 = 21_600_000;

/// Records that were told to be missing in Salebot. Lost at a restart, which costs a line each.
pub(super) type Missing = Seldom<Subject, MISSING_MS>;

/// What became of the records of one go.
#[derive(Default)]
pub(super) struct Looked {
    /// True where the records came from a listing: one that fails gets a mark of its own.
    pub marks_failures: bool,
    /// What was decided.
    pub drafts: Vec<Draft>,
    /// Records that could not be read: they are looked at again later.
    pub put_off: BTreeSet<Subject>,
    /// Why, for the log.
    pub fault: Option<Fault>,
    /// What was recorded on the way, where somebody counts it.
    pub recorded: Option<Tallied>,
    /// True where nothing is recorded: everything decided stays in `drafts`.
    pub is_dry: bool,
    /// Records to be looked at again soon, later each time: the first wait in milliseconds.
    pub again: BTreeMap<Subject, i64>,
    /// How often the records were looked at before that are here for their own mark.
    pub looks: BTreeMap<Subject, u32>,
    /// The run whose work this is; none where each record has its own.
    pub run: Option<Run>,
}

impl Looked {
    pub(super) fn put_off(&mut self, subjects: impl IntoIterator<Item = Subject>, fault: Fault) {
        self.put_off.extend(subjects);
        self.fault = Some(fault);
    }

    /// Takes what was decided, signed with the run.
    pub(super) fn take_drafts(&mut self) -> Vec<Draft> {
        let drafts = std::mem::take(&mut self.drafts);
        drafts.into_iter().map(|draft| Draft { run: draft.run.or(self.run), ..draft }).collect()
    }
}

impl Bridge {
    /// True for a record that is shown in an older state: the newer one was seen or written already. It is looked at again
    /// until that is shown, or the older one is believed.
    pub(super) fn is_shown_older(
        &self,
        subject: Subject,
        updated_at: i64,
        version: Option<i64>,
        looked: &mut Looked,
    ) -> bool {
        if version.is_none_or(|version| updated_at >= version) {
            return false;
        }
        match looked.looks.get(&subject) {
            Some(looks) if *looks >= OLDER_LOOKS => return false,
            Some(_) => drop(looked.again.insert(subject, AGAIN_MS)),
            // In a listing, or here for its client's sake: a mark of its own brings it back.
            None if self.shown_older.asks(subject, self.now()) => {
                looked.drafts.push(self.look_again(subject, AGAIN_MS));
            }
            None => {}
        }
        true
    }

    /// A mark for a record that is to be looked at later.
    pub(super) fn look_again(&self, subject: Subject, wait_ms: i64) -> Draft {
        Draft::of(self.marked(subject, wait_ms))
    }

    /// The record is to be looked at after so long.
    pub(super) fn marked(&self, subject: Subject, wait_ms: i64) -> Change {
        Change::Mark(Mark { subject, due: self.now().plus(wait_ms), attempts: 0, run: None })
    }
}
