//! Marked records are looked at again: read on both sides, planned, recorded.

use super::guard::{REST_MS, tally};
use super::looked::Looked;
use super::people::Clients;
use super::poll::{CONTACTS, LEADS};
use super::portion::Portion;
use super::record::{Draft, REPLAN_MS};
use super::{Bridge, Failure, Step};
use crate::core::action::{LinkRef, client_key, contact_key, lead_key};
use crate::core::check;
use crate::core::fault::{Fault, FaultKind};
use crate::core::id::{ClientId, ContactId, LeadId};
use crate::core::link::{ClientLink, DealLink};
use crate::core::plan::ground::Ground;
use crate::core::run::{Run, RunKind};
use crate::core::time::Millis;
use crate::ports::remote::Priority;
use crate::ports::store::{Change, Mark, MarkRow, StoreError, Subject};
use std::collections::{BTreeMap, BTreeSet};

/// The name of this pass for the guards.
const MARKS: &str = "marks";
/// Marks that are due among which the urgent ones are looked for. An import leaves fewer: its own requests come after
/// those of its marks.
const MARKS_DUE_MAX: u32 = 2_000;
/// Records looked at in one go, of those that somebody waits for …
const MARKS_MAX: usize = 100;
/// … and of those that an import or a sweep leaves behind, at first and at least: whoever writes meanwhile waits for these.
const PATIENT: u32 = 10;
const PATIENT_MIN: u32 = 5;
/// So long that may take: at what Salebot allows, a few of them; where it answers at once, as many as of the others.
const PATIENT_MS: i64 = 4_000;
/// The wait after the first failed look; it doubles up to [`PUT_OFF_MS_MAX`].
const PUT_OFF_MS: i64 = 2_000;
const PUT_OFF_MS_MAX: i64 = 300_000;
/// The failed look at which the record is named: about a quarter of an hour after the first.
const UNREAD_TOLD_AT: u32 = 10;

/// How many marks of an import are looked at in one go.
pub(super) fn patient_at_once() -> Portion {
    Portion::new(PATIENT_MIN, PATIENT, MARKS_MAX as u32)
}

impl Bridge {
    /// Takes the marks that are due.
    pub(super) async fn marks_step(&self) -> Result<Step, StoreError> {
        let Some(ground) = self.ground() else { return Ok(Step::Idle(self.until_grounded())) };
        let rows = self.store().marks_due(self.name(), self.now(), MARKS_DUE_MAX).await?;
        if rows.is_empty() {
            if self.look_at_parked(&ground).await? {
                return Ok(Step::More);
            }
            let due = self.store().next_due(self.name()).await?.marks;
            return Ok(Step::Idle(due));
        }
        let (rows, priority) = urgent_first(rows, self.patient_marks.size());
        let began_ms = self.parts.env.elapsed_ms();
        let (rows, early) = self.hints.ripe(rows, self.now());
        if !early.is_empty() {
            self.commit(early).await?;
        }
        let rows = self.put_off_busy(rows).await?;
        if rows.is_empty() {
            return Ok(Step::More);
        }
        let looks = rows.iter().map(|row| (row.mark.subject, row.mark.attempts)).collect();
        let mut looked = Looked { looks, ..Looked::default() };
        let (clients, mut contacts, mut leads) = split(&rows);
        let hinted = self.hints.turn(&rows, self.now());
        let links = self.store().clients(self.name(), &clients).await?;
        leads.extend(self.leads_of(&ground, &links).await?);
        contacts.extend(links.iter().filter_map(|link| link.contact));
        let newcomers: Vec<ClientLink> = links.into_iter().filter(|link| link.contact.is_none()).collect();
        self.look_at_newcomers(&ground, newcomers, priority, &mut looked).await?;
        self.look_at_contacts(&ground, &contacts, &hinted.contacts, priority, &mut looked).await?;
        self.look_at_leads(&ground, &leads, &hinted.leads, priority, &mut looked).await?;
        self.finish(rows, looked).await?;
        if priority != Priority::Person {
            self.patient_marks.cost(self.parts.env.elapsed_ms() - began_ms, PATIENT_MS / 4, PATIENT_MS);
        }
        Ok(Step::More)
    }

    /// Records with a write under way would be read in vain: nothing planned about them could be recorded. Worse, reading
    /// them again and again goes before the very write they wait for where that has a lower priority.
    async fn put_off_busy(&self, rows: Vec<MarkRow>) -> Result<Vec<MarkRow>, StoreError> {
        let in_flight = self.in_flight.lock().await.clone();
        if in_flight.is_empty() {
            return Ok(rows);
        }
        let (clients, contacts, _) = split(&rows);
        let own = self.store().clients(self.name(), &clients).await?;
        let mut of: BTreeSet<ContactId> = contacts;
        of.extend(own.iter().filter_map(|link| link.contact));
        let links = self.store().clients_of(self.name(), &of.into_iter().collect::<Vec<_>>()).await?;
        let is_busy = |key: String| in_flight.contains(&key);
        let of_contact = |contact: ContactId| {
            is_busy(contact_key(contact))
                || links.iter().any(|link| link.contact == Some(contact) && is_busy(client_key(link.client.id)))
        };
        let of_client = |client: ClientId| {
            let contact = own.iter().find(|link| link.client.id == client).and_then(|link| link.contact);
            is_busy(client_key(client)) || contact.is_some_and(of_contact)
        };
        let (busy, free): (Vec<MarkRow>, Vec<MarkRow>) = rows.into_iter().partition(|row| match row.mark.subject {
            Subject::Contact(id) => of_contact(id),
            Subject::Client(id) => of_client(id),
            Subject::Lead(id) => is_busy(lead_key(id)),
            // They are gathered, and what has not changed costs them nothing.
            Subject::ContactHint(_) | Subject::LeadHint(_) => false,
        });
        self.commit(due_again(&busy, self.now().plus(REPLAN_MS))).await?;
        Ok(free)
    }

    /// Open leads that these clients, or the orders they have, may have news for.
    async fn leads_of(&self, ground: &Ground, links: &[ClientLink]) -> Result<Vec<LeadId>, StoreError> {
        if links.is_empty() || !ground.leads_listen() {
            return Ok(Vec::new());
        }
        let clients: Vec<ClientId> = links.iter().map(|link| link.client.id).collect();
        let deals = self.store().deals_of_clients(self.name(), &clients).await?;
        Ok(deals.into_iter().filter(|deal| deal.open).map(|deal| deal.lead).collect())
    }

    /// Under the guard: a stopped pass records nothing but that its marks come again later, so that others go on.
    async fn finish(&self, rows: Vec<MarkRow>, looked: Looked) -> Result<(), StoreError> {
        let excess = check::blast_radius(&self.parts.policy.guard, tally(&looked.drafts));
        if !self.lets_through(MARKS, excess).await? {
            return self.commit(due_again(&rows, self.now().plus(REST_MS))).await;
        }
        self.settle_marks(rows, looked).await?;
        // Until the marks of the stopped pass are due again, one without an excess is another pass.
        if excess.is_some() || self.has_rested(MARKS) { self.went_through(MARKS).await } else { Ok(()) }
    }

    /// Names a record that was put off for a quarter of an hour as its answer is no good, once: others are read
    /// meanwhile, so that the part as a whole works again and again.
    fn tell_unread(&self, mark: &Mark, fault: Option<&Fault>) {
        let is_its_own = |fault: &&Fault| matches!(fault.kind, FaultKind::Rejected | FaultKind::Broken);
        let Some(fault) = fault.filter(is_its_own).filter(|_| mark.attempts == UNREAD_TOLD_AT) else { return };
        let record = mark.subject.key();
        tracing::warn!(
            bridge = self.name(),
            "{record} cannot be read, or is read together with one that cannot; it is tried every five minutes: {fault}"
        );
    }

    /// Clears the marks that were dealt with and puts off those that were not.
    async fn settle_marks(&self, rows: Vec<MarkRow>, mut looked: Looked) -> Result<(), StoreError> {
        let now = self.now();
        if let Some(fault) = &looked.fault {
            self.troubled("passes", fault, "records could not be read; they are looked at again");
        } else {
            self.worked("passes");
        }
        // Marks are cleared before the drafts are applied, so that a draft may set one again.
        let mut first = Draft::default();
        let has_mark = |lead: LeadId| {
            rows.iter().any(|row| matches!(row.mark.subject, Subject::Lead(id) | Subject::LeadHint(id) if id == lead))
        };
        // A lead may have been here for its client's sake: a mark of its own brings it back.
        for subject in &looked.put_off {
            if matches!(subject, Subject::Lead(lead) if !has_mark(*lead)) {
                let due = now.plus(PUT_OFF_MS);
                first.changes.push(Change::Mark(Mark { subject: *subject, due, attempts: 1, run: None }));
            }
        }
        let runs = Runs::of(&rows, now);
        for draft in &mut looked.drafts {
            draft.run = draft.run.or(Some(runs.led_to(draft)));
        }
        for row in rows {
            let subject = row.mark.subject;
            let contact_failed = looked.put_off.contains(&subject);
            first.changes.push(Change::Unmark(subject, row.revision));
            if contact_failed {
                self.tell_unread(&row.mark, looked.fault.as_ref());
                let wait_ms = PUT_OFF_MS.saturating_mul(1 << row.mark.attempts.min(16)).min(PUT_OFF_MS_MAX);
                first.changes.push(Change::Mark(Mark {
                    subject,
                    due: now.plus(wait_ms),
                    attempts: row.mark.attempts + 1,
                    run: row.mark.run,
                }));
            } else if let Some(wait_ms) = looked.again.get(&subject) {
                let wait_ms = wait_ms.saturating_mul(1 << row.mark.attempts.min(16)).min(PUT_OFF_MS_MAX);
                let due = now.plus(wait_ms);
                first.changes.push(Change::Mark(Mark {
                    subject,
                    due,
                    attempts: row.mark.attempts + 1,
                    run: row.mark.run,
                }));
            }
        }
        let drafts = std::iter::once(first).chain(looked.drafts).collect();
        self.record(drafts, Vec::new()).await.map(|_| ())
    }

    /// Contacts by id, read now, with their clients. Of those that amoCRM hinted at only what has changed is looked at;
    /// all of them travel in the same requests.
    async fn look_at_contacts(
        &self,
        ground: &Ground,
        marked: &BTreeSet<ContactId>,
        hinted: &BTreeSet<ContactId>,
        priority: Priority,
        looked: &mut Looked,
    ) -> Result<(), StoreError> {
        let ids: Vec<ContactId> = marked.union(hinted).copied().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let links = self.store().clients_of(self.name(), &ids).await?;
        let subjects = |id: ContactId| {
            let clients =
                links.iter().filter(move |link| link.contact == Some(id)).map(|link| Subject::Client(link.client.id));
            [Subject::Contact(id), Subject::ContactHint(id)].into_iter().chain(clients).collect::<Vec<_>>()
        };
        let page = match self.parts.amo.contacts_by_id(&ids, urgency(marked, priority)).await {
            Ok(page) => page,
            Err(fault) => {
                looked.put_off(ids.iter().flat_map(|id| subjects(*id)), fault);
                return Ok(());
            }
        };
        let read: BTreeSet<ContactId> = page.rows.iter().map(|contact| contact.id).collect();
        let broken: BTreeSet<u64> = page.broken.iter().filter_map(|row| row.id).collect();
        let absent: Vec<ContactId> =
            ids.iter().copied().filter(|id| !read.contains(id) && !broken.contains(&id.0)).collect();
        match self.contacts_gone(ground, &absent, urgency(marked, priority)).await {
            Ok(drafts) => looked.drafts.extend(drafts),
            Err(Failure::Store(error)) => return Err(error),
            Err(Failure::Fault(fault)) => looked.put_off(absent.iter().flat_map(|id| subjects(*id)), fault),
        }
        let news_since = self.news_since(CONTACTS).await?;
        let (rows, hints): (Vec<_>, Vec<_>) = page.rows.into_iter().partition(|contact| marked.contains(&contact.id));
        self.look_at_people(ground, rows, Clients::linked(links), priority, news_since, looked).await?;
        self.look_at_hinted_contacts(ground, hints, news_since, looked).await
    }

    async fn look_at_leads(
        &self,
        ground: &Ground,
        marked: &BTreeSet<LeadId>,
        hinted: &BTreeSet<LeadId>,
        priority: Priority,
        looked: &mut Looked,
    ) -> Result<(), StoreError> {
        let ids: Vec<LeadId> = marked.union(hinted).copied().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let page = match self.parts.amo.leads_by_id(&ids, urgency(marked, priority)).await {
            Ok(page) => page,
            Err(fault) => {
                looked.put_off(ids.iter().flat_map(|lead| [Subject::Lead(*lead), Subject::LeadHint(*lead)]), fault);
                return Ok(());
            }
        };
        let mut there: BTreeSet<LeadId> = page.rows.iter().map(|lead| lead.id).collect();
        there.extend(page.broken.iter().filter_map(|row| row.id).map(LeadId));
        self.close_absent(ground, ids.iter().copied().filter(|id| !there.contains(id)).collect(), priority, looked)
            .await?;
        let news_since = self.news_since(LEADS).await?;
        let (rows, hints): (Vec<_>, Vec<_>) = page.rows.into_iter().partition(|lead| marked.contains(&lead.id));
        self.look_at_deals(ground, rows, priority, news_since, looked).await?;
        self.look_at_hinted_leads(ground, hints, news_since, looked).await
    }

    /// Leads that are known, open, and were not there when they were asked for.
    async fn close_absent(
        &self,
        ground: &Ground,
        absent: Vec<LeadId>,
        priority: Priority,
        looked: &mut Looked,
    ) -> Result<(), StoreError> {
        if absent.is_empty() {
            return Ok(());
        }
        let deals = self.store().deals(self.name(), &absent).await?;
        // One that was never seen may simply not be shown yet.
        let gone: Vec<&DealLink> = deals.iter().filter(|deal| deal.open && deal.stage.is_some()).collect();
        match self.leads_gone(ground, &gone, priority).await? {
            Ok(drafts) => looked.drafts.extend(drafts),
            Err(fault) => looked
                .put_off(gone.iter().flat_map(|deal| [Subject::Lead(deal.lead), Subject::LeadHint(deal.lead)]), fault),
        }
        Ok(())
    }
}

/// Nobody waits for what amoCRM hinted at as somebody waits for an answer.
fn urgency<T>(marked: &BTreeSet<T>, priority: Priority) -> Priority {
    if marked.is_empty() { Priority::Poll } else { priority }
}

/// The marks to look at now, and how urgent that is: those of imports and sweeps when there is nothing else.
fn urgent_first(rows: Vec<MarkRow>, patient_max: u32) -> (Vec<MarkRow>, Priority) {
    let is_patient =
        |row: &MarkRow| row.mark.run.is_some_and(|run| matches!(run.kind, RunKind::Backfill | RunKind::Sweep));
    let (mut patient, mut urgent): (Vec<MarkRow>, Vec<MarkRow>) = rows.into_iter().partition(is_patient);
    patient.truncate(patient_max as usize);
    urgent.truncate(MARKS_MAX);
    match urgent.is_empty() {
        true => (patient, Priority::Poll),
        false => (urgent, Priority::Person),
    }
}

/// The same marks, due at another time.
pub(super) fn due_again(rows: &[MarkRow], due: Millis) -> Vec<Change> {
    let later =
        |row: &MarkRow| [Change::Unmark(row.mark.subject, row.revision), Change::Mark(Mark { due, ..row.mark })];
    rows.iter().flat_map(later).collect()
}

fn split(rows: &[MarkRow]) -> (Vec<ClientId>, BTreeSet<ContactId>, BTreeSet<LeadId>) {
    let (mut clients, mut contacts, mut leads) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for row in rows {
        match row.mark.subject {
            Subject::Client(id) => clients.push(id),
            Subject::Contact(id) => {
                contacts.insert(id);
            }
            Subject::Lead(id) => {
                leads.insert(id);
            }
            Subject::ContactHint(_) | Subject::LeadHint(_) => {}
        }
    }
    (clients, contacts, leads)
}

/// Which run led to the look at each record.
struct Runs {
    by_subject: BTreeMap<Subject, Run>,
    otherwise: Run,
}

impl Runs {
    fn of(rows: &[MarkRow], now: Millis) -> Runs {
        let run = |mark: &Mark| {
            let kind = match mark.subject {
                Subject::ContactHint(_) | Subject::LeadHint(_) => RunKind::Hook,
                Subject::Contact(_) | Subject::Lead(_) | Subject::Client(_) => RunKind::Mark,
            };
            mark.run.unwrap_or(Run { at: now, kind })
        };
        let by_subject = rows.iter().map(|row| (row.mark.subject, run(&row.mark))).collect();
        Runs { by_subject, otherwise: Run { at: now, kind: RunKind::Mark } }
    }

    /// The run of a record's own mark, else of the client or the hint for whose sake it was looked at.
    fn led_to(&self, draft: &Draft) -> Run {
        let hints = draft.subjects.iter().filter_map(|subject| match subject {
            Subject::Contact(id) => Some(Subject::ContactHint(*id)),
            Subject::Lead(id) => Some(Subject::LeadHint(*id)),
            Subject::Client(_) | Subject::ContactHint(_) | Subject::LeadHint(_) => None,
        });
        let clients = draft.revisions.iter().filter_map(|(link, _)| match link {
            LinkRef::Client(id) => Some(Subject::Client(*id)),
            LinkRef::Lead(_) => None,
        });
        let keys = draft.keys.iter().filter_map(|key| key.strip_prefix("client:")?.parse().ok());
        let keys = keys.map(|id| Subject::Client(ClientId(id)));
        let mut all = draft.subjects.iter().copied().chain(clients).chain(hints).chain(keys);
        all.find_map(|subject| self.by_subject.get(&subject).copied()).unwrap_or(self.otherwise)
    }
}
