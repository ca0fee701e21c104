//! The one way into the store for what was decided.

use super::Bridge;
use crate::core::action::{Action, Confirm, LinkRef, Side, client_key, contact_key, lead_key, new_contact_key};
use crate::core::id::{ClientId, ContactId, LeadId};
use crate::core::link::{Base, ClientLink, ContactSeen, DealLink};
use crate::core::model::Contact;
use crate::core::plan::{Notice, Plan, is_identifier};
use crate::core::run::{DECIDED, RUNS, Run, RunKind, WroteLine};
use crate::ports::remote::Priority;
use crate::ports::store::{Change, JournalEntry, Mark, NewAction, OutboxRow, Store, Stored, Subject};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Everything decided about one person or deal: recorded whole, or planned again.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Planned again instead of recorded when one of these has an action under way.
    pub keys: BTreeSet<String>,
    /// Revisions of the links the plan was made from.
    pub revisions: Vec<(LinkRef, i64)>,
    /// Marked when it must be planned again.
    pub subjects: Vec<Subject>,
    /// What is recorded.
    pub changes: Vec<Change>,
    /// The run whose work it is: its actions and marks get it.
    pub run: Option<Run>,
    /// How many values it clears, for the guards.
    pub cleared: u64,
    /// A contact, and what was remembered of it when this was planned: recorded only while that is still so.
    pub sight: Option<(ContactId, Option<ContactSeen>)>,
    /// For a lead that has the word in its client's variables: recorded only while no other one took it.
    pub word: Option<Word>,
    /// How many contacts it unlinks, or leads it closes, because they are gone.
    pub unlinked: u64,
}

/// Who had the word with a contact when a plan was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// The contact.
    pub contact: ContactId,
    /// Who is to have it.
    pub lead: LeadId,
    /// The other leads that had it before, and the revisions of what is remembered of them.
    pub others: BTreeSet<(LeadId, i64)>,
}

impl Word {
    pub(super) fn of(contact: ContactId, lead: LeadId, deals: &[DealLink]) -> Word {
        let others = deals.iter().filter(|deal| deal.contact == Some(contact) && deal.lead != lead && deal.spoke > 0);
        Word { contact, lead, others: others.map(|deal| (deal.lead, deal.revision)).collect() }
    }
}

/// The contacts of clients.
pub(super) type Owners = BTreeMap<ClientId, Option<ContactId>>;

/// How soon a plan that came too late is made again.
pub(super) const REPLAN_MS: i64 = 300;

impl Draft {
    /// One change that rests on nothing.
    pub(super) fn of(change: Change) -> Draft {
        Draft { changes: vec![change], ..Draft::default() }
    }

    pub(super) fn about(subject: Subject) -> Draft {
        Draft { subjects: vec![subject], ..Draft::default() }
    }

    /// The plan rests on this link and writes to its records.
    pub(super) fn rests_on_client(&mut self, link: &ClientLink) {
        self.keys.insert(client_key(link.client.id));
        // A contact that is being made for it at this moment.
        self.keys.insert(new_contact_key(link.client.id));
        self.keys.extend(link.contact.map(contact_key));
        self.revisions.push((LinkRef::Client(link.client.id), link.revision));
    }

    pub(super) fn rests_on_deal(&mut self, link: &DealLink) {
        self.keys.insert(lead_key(link.lead));
        self.revisions.push((LinkRef::Lead(link.lead), link.revision));
    }

    pub(super) fn put_client(&mut self, link: ClientLink) {
        self.changes.push(Change::PutClient(Box::new(link)));
    }

    pub(super) fn put_contact(&mut self, seen: ContactSeen) {
        self.changes.push(Change::PutContact(seen));
    }
}

impl Draft {
    /// What is recorded, signed with the run.
    fn into_changes(mut self) -> Vec<Change> {
        for change in &mut self.changes {
            match change {
                Change::AddAction(new) => new.run = new.run.or(self.run),
                Change::Mark(mark) => mark.run = mark.run.or(self.run),
                _ => {}
            }
        }
        self.changes
    }
}

impl Bridge {
    /// A run that begins now.
    pub(super) fn run_of(&self, kind: RunKind) -> Option<Run> {
        Some(Run { at: self.now(), kind })
    }

    /// A line for the list of runs, for each that decided to change values.
    fn runs_of(&self, changes: &[Change]) -> Vec<Change> {
        let mut runs: BTreeMap<Run, usize> = BTreeMap::new();
        for change in changes {
            if let Change::AddAction(new) = change
                && let Some(run) = new.run
                && let Some(line) = WroteLine::of(&new.action)
            {
                let values = line.values.iter().filter(|value| !is_identifier(&value.rule)).count();
                if values > 0 {
                    *runs.entry(run).or_default() += values;
                }
            }
        }
        let line = |(run, values): (Run, usize)| {
            let detail = json!({ "run": run, "decided": values });
            self.journal(Notice { subject: RUNS.to_owned(), kind: DECIDED, detail })
        };
        runs.into_iter().map(line).collect()
    }

    /// Turns a plan into changes. Bases go into the given links by the caller.
    pub(super) fn plan_changes(&self, plan: Plan, priority: Priority) -> Vec<Change> {
        let now = self.now();
        let mut changes: Vec<Change> = plan.emptied.into_iter().map(Change::CancelSlot).collect();
        for (slot, action) in plan.actions {
            changes.push(Change::AddAction(Box::new(NewAction {
                action,
                slot,
                priority,
                not_before: now,
                created_at: now,
                run: None,
            })));
        }
        changes.extend(plan.notices.into_iter().map(|notice| self.journal(notice)));
        changes
    }

    /// A line for the journal, now.
    pub(super) fn journal(&self, notice: Notice) -> Change {
        self.meter.noticed(notice.kind);
        Change::Journal(JournalEntry {
            at: self.now(),
            subject: notice.subject,
            kind: notice.kind,
            detail: notice.detail,
        })
    }

    /// Records drafts in one transaction, `last` behind them. A draft whose links changed meanwhile,
    /// or that has an action under way, is marked to be planned again instead. Returns how many were
    /// recorded as planned.
    pub(super) async fn record(&self, drafts: Vec<Draft>, last: Vec<Change>) -> Stored<usize> {
        let in_flight = self.in_flight.lock().await;
        let (current, owners) = self.current_links(&drafts).await?;
        let sights = self.current_sights(&drafts).await?;
        let words = self.current_words(&drafts).await?;
        let mut changes = Vec::new();
        let mut recorded = 0;
        let (mut written, mut spoken) = (BTreeSet::new(), BTreeSet::new());
        for draft in drafts {
            let is_busy = draft.keys.iter().any(|key| in_flight.contains(key));
            // What a draft before this one changes is no longer what this one rests on.
            let is_stale = draft
                .revisions
                .iter()
                .any(|(link, revision)| written.contains(link) || current.get(link).copied().unwrap_or(0) != *revision);
            let is_too_late = draft.word.as_ref().is_some_and(|word| {
                spoken.contains(&word.contact) || *word != Word::of(word.contact, word.lead, &words)
            });
            let is_overtaken = draft.sight.as_ref().is_some_and(|(contact, seen)| sights.get(contact) != seen.as_ref());
            if is_busy || is_stale || is_too_late || is_overtaken {
                let due = self.now().plus(REPLAN_MS);
                let again =
                    |subject: &Subject| Change::Mark(Mark { subject: *subject, due, attempts: 0, run: draft.run });
                changes.extend(draft.subjects.iter().map(again));
            } else {
                recorded += 1;
                written.extend(draft.changes.iter().filter_map(written_link));
                spoken.extend(draft.word.as_ref().map(|word| word.contact));
                changes.extend(draft.into_changes());
            }
        }
        changes.extend(self.missed_leads(&changes, &owners).await?);
        changes.extend(self.runs_of(&changes));
        changes.extend(last);
        self.commit(changes).await?;
        drop(in_flight);
        Ok(recorded)
    }

    /// Looks at leads of nobody whose contact gets a client in the same moment: each was planned before the other was
    /// recorded, and neither would be looked at again.
    pub(super) async fn missed_leads(&self, changes: &[Change], owners: &Owners) -> Stored<Vec<Change>> {
        let (mut met, mut unowned) = (BTreeSet::new(), Vec::new());
        for change in changes {
            match change {
                Change::PutClient(link) if is_person(link) && owners.get(&link.client.id) != Some(&link.contact) => {
                    met.extend(link.contact)
                }
                Change::PutDeal(deal) if is_unowned(deal) => unowned.extend(deal.contact.map(|it| (it, deal.lead))),
                _ => {}
            }
        }
        let mut leads = BTreeSet::new();
        if !met.is_empty() {
            let contacts: Vec<ContactId> = met.iter().copied().collect();
            let deals = self.store().deals_of(self.name(), &contacts).await?;
            leads.extend(deals.iter().filter(|deal| is_unowned(deal)).map(|deal| deal.lead));
        }
        if !unowned.is_empty() {
            let contacts: Vec<ContactId> = unowned.iter().map(|(contact, _)| *contact).collect();
            let clients = self.store().clients_of(self.name(), &contacts).await?;
            met.extend(clients.iter().filter(|link| is_person(link)).filter_map(|link| link.contact));
            leads.extend(unowned.iter().filter(|(contact, _)| met.contains(contact)).map(|(_, lead)| *lead));
        }
        Ok(leads.into_iter().map(|lead| self.marked(Subject::Lead(lead), 0)).collect())
    }

    /// The revisions of the links that these rest on, and whose the clients among them are.
    async fn current_links(&self, drafts: &[Draft]) -> Stored<(BTreeMap<LinkRef, i64>, Owners)> {
        let all = || drafts.iter().flat_map(|draft| &draft.revisions).map(|(link, _)| *link);
        let clients: Vec<_> =
            all().filter_map(|link| if let LinkRef::Client(id) = link { Some(id) } else { None }).collect();
        let leads: Vec<_> =
            all().filter_map(|link| if let LinkRef::Lead(id) = link { Some(id) } else { None }).collect();
        let (mut current, mut owners) = (BTreeMap::new(), Owners::new());
        if !clients.is_empty() {
            let links = self.store().clients(self.name(), &clients).await?;
            owners.extend(links.iter().map(|link| (link.client.id, link.contact)));
            current.extend(links.into_iter().map(|link| (LinkRef::Client(link.client.id), link.revision)));
        }
        if !leads.is_empty() {
            let links = self.store().deals(self.name(), &leads).await?;
            current.extend(links.into_iter().map(|link| (LinkRef::Lead(link.lead), link.revision)));
        }
        Ok((current, owners))
    }

    async fn current_words(&self, drafts: &[Draft]) -> Stored<Vec<DealLink>> {
        let contacts: BTreeSet<ContactId> =
            drafts.iter().filter_map(|draft| Some(draft.word.as_ref()?.contact)).collect();
        if contacts.is_empty() {
            return Ok(Vec::new());
        }
        self.store().deals_of(self.name(), &contacts.into_iter().collect::<Vec<_>>()).await
    }

    async fn current_sights(&self, drafts: &[Draft]) -> Stored<BTreeMap<ContactId, ContactSeen>> {
        let ids: Vec<ContactId> = drafts.iter().filter_map(|draft| draft.sight.as_ref()).map(|(id, _)| *id).collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let seen = self.store().contacts(self.name(), &ids).await?;
        Ok(seen.into_iter().map(|seen| (seen.contact, seen)).collect())
    }

    /// Commits, then rings the bells of the queues that got something.
    pub(super) async fn commit(&self, changes: Vec<Change>) -> Stored<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let rings = |wanted: fn(&Change) -> bool| changes.iter().any(wanted);
        let marks = rings(|change| matches!(change, Change::Mark(_)));
        let inbox = rings(|change| matches!(change, Change::InboxHold(..)));
        let to = |side: Side| {
            changes.iter().any(|change| match change {
                Change::AddAction(new) => new.action.side() == side,
                Change::ActionRetry { .. } => true,
                _ => false,
            })
        };
        let (amo, salebot) = (to(Side::Amo), to(Side::Salebot));
        self.store().commit(self.name(), changes).await?;
        if marks {
            self.bells.marks.ring();
        }
        if inbox {
            self.parts.arrived.bell.ring();
        }
        if amo {
            self.bells.amo.ring();
        }
        if salebot {
            self.bells.salebot.ring();
        }
        Ok(())
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.parts.store.as_ref()
    }
}

fn is_person(link: &ClientLink) -> bool {
    !link.client.is_group_chat()
}

fn is_unowned(deal: &DealLink) -> bool {
    deal.open && deal.client.is_none()
}

/// The link that a change replaces.
fn written_link(change: &Change) -> Option<LinkRef> {
    match change {
        Change::PutClient(link) => Some(LinkRef::Client(link.client.id)),
        Change::PutDeal(link) => Some(LinkRef::Lead(link.lead)),
        _ => None,
    }
}

/// True for actions that a plan of values may have written before: their confirmations are in doubt
/// while an attempt's outcome is unknown.
pub(super) fn doubts(row: &OutboxRow) -> Vec<Confirm> {
    if was_tried(row) { row.action.confirms().to_vec() } else { Vec::new() }
}

/// The same of a contact's making that is in doubt, for a client that is linked with it just now: one that was made is met in
/// a listing before its answer is, and is no stranger's then. It was made when we said, and nothing was agreed on since.
pub(super) fn doubts_of_making(row: &OutboxRow, contact: &Contact, clients: &[&ClientLink]) -> Vec<Confirm> {
    let Action::CreateContact { clients: of, bases, created_at, .. } = &row.action else { return Vec::new() };
    let is_ours = row.in_doubt && (contact.created_at - created_at).abs() <= 1;
    let is_met = clients.iter().any(|link| of.first() == Some(&link.client.id) && link.bases.is_empty());
    let Some(client) = of.first().filter(|_| is_ours && is_met) else { return Vec::new() };
    let link = LinkRef::Client(*client);
    let agreed =
        |(rule, base): (&String, &Base)| Confirm { link, rule: rule.clone(), base: base.clone(), replaced: None };
    bases.iter().map(agreed).collect()
}

/// True for an action that may have been carried out, also one that may simply be repeated.
pub(super) fn was_tried(row: &OutboxRow) -> bool {
    row.in_doubt || row.attempts > 0 || row.first_attempt_at.is_some()
}
