//! What amoCRM's webhooks and events name: marked, gathered, read together.
//!
//! No hook makes a request of its own. The first hint after a quiet time is looked at at once; what comes after it is
//! gathered for a moment, and a record that is told of again and again is read now and then. The polls find what no
//! hint told.

use super::Bridge;
use super::looked::Looked;
use super::passes::due_again;
use super::poll::{contact_has_news, first_listed, lead_has_news};
use super::{Failure, poll::CONTACTS};
use crate::core::hint::Hints;
use crate::core::id::{ContactId, LeadId};
use crate::core::model::{Contact, Lead};
use crate::core::plan::ground::Ground;
use crate::core::time::Millis;
use crate::ports::remote::Priority;
use crate::ports::store::{Change, InboxRow, Mark, MarkRow, StoreError, Stored, Subject};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// After a look for hints' sake others are gathered for so long: at most four requests a second for contacts and leads,
/// and a change is still on the other side within a second.
const GATHER_MS: i64 = 500;
/// A record that was just looked at for a hint's sake is looked at again after so long.
const AGAIN_MS: i64 = 2_000;

/// When hints were last looked at. Lost at a restart, which costs one look.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    turn: Option<Millis>,
    /// Only the newest: older than [`AGAIN_MS`] they say nothing.
    looks: BTreeMap<Subject, Millis>,
}

/// Records among marks that amoCRM hinted at.
#[derive(Debug, Default)]
pub(super) struct Hinted {
    pub(super) contacts: BTreeSet<ContactId>,
    pub(super) leads: BTreeSet<LeadId>,
}

impl Pace {
    /// When a record that was named now is to be looked at.
    fn due(&self, subject: Subject, now: Millis) -> Millis {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // A time to come is one of a clock that was set back since: it would put everything off until then.
        let after = |at: Option<&Millis>, wait_ms: i64| at.filter(|at| **at <= now).map_or(now, |at| at.plus(wait_ms));
        now.max(after(last.turn.as_ref(), GATHER_MS)).max(after(last.looks.get(&subject), AGAIN_MS))
    }

    /// Which of the marks that are due are looked at, and what puts the others off: a record that is named again while it
    /// is looked at keeps the time it was due before.
    pub(super) fn ripe(&self, rows: Vec<MarkRow>, now: Millis) -> (Vec<MarkRow>, Vec<Change>) {
        let (mut ripe, mut early) = (Vec::new(), Vec::new());
        for row in rows {
            let subject = row.mark.subject;
            let is_hint = matches!(subject, Subject::ContactHint(_) | Subject::LeadHint(_));
            let due = if is_hint { self.due(subject, now) } else { now };
            if due > now {
                early.extend(due_again(std::slice::from_ref(&row), due));
            } else {
                ripe.push(row);
            }
        }
        (ripe, early)
    }

    /// These marks are looked at now.
    pub(super) fn turn(&self, rows: &[MarkRow], now: Millis) -> Hinted {
        let mut hinted = Hinted::default();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            match row.mark.subject {
                Subject::ContactHint(id) => hinted.contacts.insert(id),
                Subject::LeadHint(id) => hinted.leads.insert(id),
                Subject::Contact(_) | Subject::Lead(_) | Subject::Client(_) => continue,
            };
            last.turn = Some(now);
            last.looks.insert(row.mark.subject, now);
        }
        last.looks.retain(|_, at| now.is_near(*at, AGAIN_MS));
        hinted
    }
}

impl Bridge {
    /// A stored webhook becomes marks.
    pub(super) fn take_hook(&self, row: &InboxRow, changes: &mut Vec<Change>) {
        // Without a reader the address was taken out of the configuration while this waited; the polls find it.
        let hints = self.watch.as_ref().map_or_else(|| Ok(Hints::default()), |watch| watch.reader.hints(&row.body));
        match hints {
            Ok(hints) => {
                changes.extend(self.hint_marks(&hints));
                changes.push(Change::InboxDone(vec![row.id]));
            }
            Err(reason) => changes.push(self.unreadable(row.id, reason)),
        }
    }

    /// Marks for records that were named.
    pub(super) fn hint_marks(&self, hints: &Hints) -> Vec<Change> {
        let contacts = hints.contacts.iter().copied().map(Subject::ContactHint);
        let subjects = contacts.chain(hints.leads.iter().copied().map(Subject::LeadHint));
        let now = self.now();
        subjects
            .map(|subject| Change::Mark(Mark { subject, due: self.hints.due(subject, now), attempts: 0, run: None }))
            .collect()
    }

    /// What was made after this is news at its first sight, however it came to be seen: a poll may be about to show it,
    /// or have shown it late.
    pub(super) async fn news_since(&self, cursor: &str) -> Stored<Option<Millis>> {
        let timing = &self.parts.timing;
        let back_ms = timing.overlap_ms.max(timing.recheck_window_ms);
        let Some(known) = self.store().cursor(self.name(), cursor).await? else { return Ok(None) };
        let first = self.store().text(self.name(), first_listed(cursor)).await?;
        let first = first.and_then(|text| text.parse().ok()).map(Millis);
        Ok(Some(first.map_or(known.at.minus(back_ms), |first| first.max(known.at.minus(back_ms)))))
    }

    /// Of contacts that were named and read only those with news are planned, as in a listing.
    pub(super) async fn look_at_hinted_contacts(
        &self,
        ground: &Ground,
        mut rows: Vec<Contact>,
        news_since: Option<Millis>,
        looked: &mut Looked,
    ) -> Result<(), StoreError> {
        // Until everything was listed once, a contact that is met here would seem to be known.
        if rows.is_empty() || self.store().cursor(self.name(), CONTACTS).await?.is_none() {
            return Ok(());
        }
        let seen = self.contacts_seen(&rows).await?;
        rows.retain(|contact| contact_has_news(ground, contact, seen.get(&contact.id)));
        let named: Vec<ContactId> = rows.iter().map(|contact| contact.id).collect();
        let marks_failures = std::mem::replace(&mut looked.marks_failures, true);
        let done = self.look_at_contacts_with_news(ground, rows, Priority::Poll, news_since, looked).await;
        looked.marks_failures = marks_failures;
        match done {
            Ok(()) => Ok(()),
            Err(Failure::Store(error)) => Err(error),
            Err(Failure::Fault(fault)) => {
                looked.put_off(named.into_iter().map(Subject::ContactHint), fault);
                Ok(())
            }
        }
    }

    /// The same for leads.
    pub(super) async fn look_at_hinted_leads(
        &self,
        ground: &Ground,
        mut rows: Vec<Lead>,
        news_since: Option<Millis>,
        looked: &mut Looked,
    ) -> Result<(), StoreError> {
        let ids: Vec<LeadId> = rows.iter().map(|lead| lead.id).collect();
        let deals = self.store().deals(self.name(), &ids).await?;
        let deals: BTreeMap<LeadId, _> = deals.into_iter().map(|deal| (deal.lead, deal)).collect();
        rows.retain(|lead| lead_has_news(ground, lead, deals.get(&lead.id)));
        if rows.is_empty() {
            return Ok(());
        }
        let marks_failures = std::mem::replace(&mut looked.marks_failures, true);
        let done = self.look_at_deals(ground, rows, Priority::Poll, news_since, looked).await;
        looked.marks_failures = marks_failures;
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(subject: Subject) -> MarkRow {
        MarkRow { mark: Mark { subject, due: Millis(0), attempts: 0, run: None }, revision: 1 }
    }

    #[test]
    fn a_storm_is_gathered_and_a_single_hint_is_not_kept_waiting() {
        let (pace, now) = (Pace::default(), Millis(1_000_000));
        let (one, other) = (Subject::ContactHint(ContactId(1)), Subject::LeadHint(LeadId(1)));
        assert_eq!(pace.due(one, now), now, "after a quiet time at once");
        let hinted = pace.turn(&[row(one), row(Subject::Contact(ContactId(2)))], now);
        assert_eq!((hinted.contacts.len(), hinted.leads.len()), (1, 0), "other marks are none of its business");
        assert_eq!(pace.due(other, now.plus(10)), now.plus(GATHER_MS), "others are gathered");
        assert_eq!(pace.due(one, now.plus(10)), now.plus(AGAIN_MS), "the same again waits longer");
        assert_eq!(pace.due(other, now.plus(GATHER_MS)), now.plus(GATHER_MS));
        assert_eq!(pace.due(one, now.plus(AGAIN_MS)), now.plus(AGAIN_MS));
        let (ripe, early) = pace.ripe(vec![row(one), row(Subject::Contact(ContactId(1)))], now.plus(10));
        assert_eq!((ripe.len(), early.len()), (1, 2), "a hint that is due too early is put off, other marks are not");
        // A clock that is set back keeps nobody waiting.
        let before = now.minus(3_600_000);
        assert_eq!(pace.due(one, before), before);
        pace.turn(&[row(one)], before);
        assert_eq!(pace.due(one, before.plus(10)), before.plus(AGAIN_MS), "and is gone by from then on");
    }

    #[test]
    fn what_is_remembered_stays_small() {
        let pace = Pace::default();
        for turn in 0..1_000 {
            let rows: Vec<MarkRow> = (0..10).map(|id| row(Subject::LeadHint(LeadId(turn * 10 + id)))).collect();
            pace.turn(&rows, Millis(turn as i64 * 500));
        }
        assert!(pace.last.lock().unwrap().looks.len() <= 50);
    }
}
