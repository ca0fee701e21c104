//! Outcomes become links, bases and the end of the action, in one transaction.

use super::lookup::note_subject;
use super::{Bridge, Outcome};
use crate::core::action::{Action, Confirm, Edit, LinkRef, NoteTarget, Side, contact_key, lead_key};
use crate::core::fault::{Fault, FaultKind};
use crate::core::function::{Answer, Call};
use crate::core::guard::Frozen;
use crate::core::id::{ClientId, ContactId, LeadId};
use crate::core::link::{Base, ClientLink, ContactSeen, DealLink};
use crate::core::model::Client;
use crate::core::plan::Notice;
use crate::core::plan::stage::STAGE_PAIR;
use crate::core::plan::undo;
use crate::core::policy::Direction;
use crate::core::retry::{self, Next};
use crate::core::run::{Run, RunKind, WROTE, WroteLine};
use crate::core::time::Millis;
use crate::core::undo::OVERTAKEN;
use crate::engine::looked::MISSING_MS;
use crate::engine::record::Owners;
use crate::ports::meter::End;
use crate::ports::remote::Priority;
use crate::ports::store::{Change, Mark, NewAction, OutboxRow, StoreError, Stored, Subject};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Links that a settlement changes, loaded once and written once.
#[derive(Default)]
pub(super) struct Links {
    clients: BTreeMap<ClientId, ClientLink>,
    deals: BTreeMap<LeadId, DealLink>,
    touched_clients: BTreeSet<ClientId>,
    touched_deals: BTreeSet<LeadId>,
    frozen: Vec<Frozen>,
    /// Answers for bots, by the tickets of their calls.
    pub(super) answers: Vec<(Call, Answer)>,
}

impl Links {
    fn client(&mut self, id: ClientId) -> &mut ClientLink {
        self.touched_clients.insert(id);
        self.clients.entry(id).or_insert_with(|| ClientLink::new(Client::unknown(id)))
    }

    pub(super) fn deal(&mut self, id: LeadId) -> Option<&mut DealLink> {
        self.touched_deals.insert(id);
        self.deals.get_mut(&id)
    }

    /// The contact a client belongs to.
    pub(super) fn client_contact(&self, id: ClientId) -> Option<ContactId> {
        self.clients.get(&id).and_then(|link| link.contact)
    }

    /// Stores a lead's link where there is none.
    pub(super) fn put_deal_if_new(&mut self, deal: DealLink) {
        self.touched_deals.insert(deal.lead);
        self.deals.entry(deal.lead).or_insert(deal);
    }

    fn base(&mut self, link: LinkRef, rule: &str) -> Option<&mut Base> {
        let bases = match link {
            LinkRef::Client(id) => &mut self.client(id).bases,
            LinkRef::Lead(id) => &mut self.deal(id)?.bases,
        };
        Some(bases.entry(rule.to_owned()).or_default())
    }

    fn into_changes(self) -> impl Iterator<Item = Change> {
        let (touched_clients, touched_deals) = (self.touched_clients, self.touched_deals);
        let clients = self.clients.into_values().filter(move |link| touched_clients.contains(&link.client.id));
        let deals = self.deals.into_values().filter(move |link| touched_deals.contains(&link.lead));
        clients.map(|link| Change::PutClient(Box::new(link))).chain(deals.map(|link| Change::PutDeal(Box::new(link))))
    }
}

impl Bridge {
    /// Settles a batch. Holds plans off while it does.
    pub(super) async fn settle(&self, rows: &[OutboxRow], outcomes: Vec<Outcome>) -> Result<(), StoreError> {
        let Some(first) = rows.first() else { return Ok(()) };
        let gate = self.in_flight.lock().await;
        let mut links = self.links_of(rows, &outcomes).await?;
        let owners: Owners = links.clients.values().map(|link| (link.client.id, link.contact)).collect();
        let mut changes = Vec::new();
        let mut ends = Vec::new();
        for (row, outcome) in rows.iter().zip(outcomes) {
            let failed = matches!(outcome, Outcome::Failed(_) | Outcome::Overtaken(_));
            let held = outcome == Outcome::Untouched;
            let before = changes.len();
            self.settle_one(row, outcome, &mut links, &mut changes);
            let end = changes[before..].iter().find_map(|change| end_of(change, failed)).filter(|_| !held);
            ends.extend(end.map(|end| (row, end)));
        }
        let answers = std::mem::take(&mut links.answers);
        let found = std::mem::take(&mut links.frozen);
        for pair in self.freeze(found, &mut changes).await? {
            if let Some(base) = links.base(pair.link, &pair.rule) {
                base.flips.frozen = false;
            }
        }
        changes.extend(links.into_changes());
        changes.extend(self.missed_leads(&changes, &owners).await?);
        self.commit(changes).await?;
        drop(gate);
        for (row, end) in ends {
            let age_ms = self.now().since(row.created_at);
            self.meter.settled(row.action.name(), row.action.side(), end, age_ms);
        }
        self.tell_bots(first.action.side().name(), answers).await;
        Ok(())
    }

    async fn links_of(&self, rows: &[OutboxRow], outcomes: &[Outcome]) -> Stored<Links> {
        let (mut clients, mut leads) = (Vec::new(), Vec::new());
        for row in rows {
            for confirm in row.action.confirms() {
                match confirm.link {
                    LinkRef::Client(id) => clients.push(id),
                    LinkRef::Lead(id) => leads.push(id),
                }
            }
            match &row.action {
                Action::CreateContact { clients: of, .. } => clients.extend(of),
                Action::Function(call) => clients.push(call.client),
                Action::AddNote { target: NoteTarget::Lead(_), client, .. } => clients.push(*client),
                Action::CreateOrder { lead, .. } | Action::SetOrderState { lead, .. } => leads.push(*lead),
                _ => {}
            }
        }
        clients.extend(outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Client(id) => Some(*id),
            _ => None,
        }));
        leads.extend(outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Ended(ending) => ending.touched_lead(),
            _ => None,
        }));
        let clients = self.store().clients(self.name(), &clients).await?;
        let deals = self.store().deals(self.name(), &leads).await?;
        Ok(Links {
            clients: clients.into_iter().map(|link| (link.client.id, link)).collect(),
            deals: deals.into_iter().map(|link| (link.lead, link)).collect(),
            ..Links::default()
        })
    }

    fn settle_one(&self, row: &OutboxRow, outcome: Outcome, links: &mut Links, changes: &mut Vec<Change>) {
        match outcome {
            Outcome::GoesOn(call) => self.goes_on(row, *call, changes),
            Outcome::Ended(ending) => self.ended(row, *ending, links, changes),
            Outcome::Failed(fault) if matches!(row.action, Action::Function(_)) => {
                self.function_failed(row, fault, links, changes)
            }
            Outcome::Failed(fault) => self.failed(row, fault, links, changes),
            Outcome::Overtaken(written) => {
                for Confirm { link, rule, base, .. } in &written {
                    self.confirmed(row.action.side(), *link, rule, base, links);
                }
                let fault = Fault::new(FaultKind::Changed, "somebody changed the record in the meantime");
                self.failed(row, fault, links, changes);
            }
            Outcome::Unclear(wait_ms) => {
                let fault = row
                    .fault
                    .clone()
                    .unwrap_or_else(|| Fault::new(FaultKind::Uncertain, "its outcome is not known yet"));
                changes.push(Change::ActionRetry {
                    id: row.id,
                    not_before: self.now().plus(wait_ms),
                    attempts: row.attempts,
                    in_doubt: row.in_doubt,
                    fault,
                });
            }
            Outcome::Waits(fault, wait_ms) => changes.push(Change::ActionRetry {
                id: row.id,
                not_before: self.now().plus(wait_ms),
                attempts: row.attempts,
                in_doubt: row.in_doubt,
                fault,
            }),
            Outcome::GivenUp(fault) => {
                tracing::error!(bridge = self.name(), action = row.action.name(), action.id = row.id.0, subject = %row.action.key(), "an action waits for something that does not come; it is a dead letter now, the others go on: {fault}");
                changes.push(Change::ActionDead { id: row.id, fault, at: self.now() });
            }
            Outcome::Untouched => {
                let fault = row
                    .fault
                    .clone()
                    .unwrap_or_else(|| Fault::new(FaultKind::Interrupted, "an earlier action goes first"));
                changes.push(Change::ActionRetry {
                    id: row.id,
                    not_before: self.now(),
                    attempts: row.attempts,
                    in_doubt: row.in_doubt,
                    fault,
                });
            }
            done => {
                self.succeeded(row, &done, links, changes);
                changes.push(Change::ActionDone(row.id));
                self.worked(row.action.side().name());
            }
        }
    }

    /// What is remembered once an action is done, and the line about it.
    fn succeeded(&self, row: &OutboxRow, outcome: &Outcome, links: &mut Links, changes: &mut Vec<Change>) {
        let confirms = row.action.confirms();
        for confirm @ Confirm { link, rule, base, .. } in confirms {
            if links.base(*link, rule).is_some_and(|held| has_followed(confirms, confirm, held)) {
                continue;
            }
            self.confirmed(row.action.side(), *link, rule, base, links);
        }
        let mark = |subject: Subject| Change::Mark(Mark { subject, due: self.now(), attempts: 0, run: row.run });
        match (&row.action, outcome) {
            (Action::CreateContact { clients, keys, bases, .. }, Outcome::Contact(contact) | Outcome::Met(contact)) => {
                let is_ours = matches!(outcome, Outcome::Contact(_));
                for (index, id) in clients.iter().enumerate() {
                    let link = links.client(*id);
                    (link.contact, link.unmatched) = (Some(*contact), false);
                    // A contact that somebody else made is met for the first time: what it lacks was not cleared.
                    link.bases = if index == 0 && is_ours { bases.clone() } else { Default::default() };
                    changes.push(Change::InboxHold(*id, self.now()));
                    changes.push(mark(Subject::Client(*id)));
                }
                changes.push(Change::PutKeys(*contact, keys.iter().cloned().collect()));
                // Its first sight in a listing is no news, and still planned.
                changes.push(seen(*contact, "", 0));
            }
            (Action::UpdateContact { contact, .. }, Outcome::Changed { version, fingerprint }) => {
                changes.push(seen(*contact, fingerprint, *version));
            }
            (Action::CreateOrder { lead, client, .. }, Outcome::Order(order)) => {
                if let Some(deal) = links.deal(*lead) {
                    (deal.order, deal.client) = (Some(*order), Some(*client));
                }
                changes.push(mark(Subject::Lead(*lead)));
            }
            (Action::UpdateLead { lead, edits, .. }, Outcome::ChangedLead { version }) => {
                // Our own move is no news to tell a bot.
                let moved = edits.iter().find_map(|edit| match edit {
                    Edit::Stage { pipeline, status } => Some((*pipeline, *status)),
                    _ => None,
                });
                if let Some(deal) = links.deal(*lead) {
                    deal.stage = moved.or(deal.stage);
                    written(deal, *version);
                }
            }
            (Action::LoadClient { contact, .. }, Outcome::Client(client)) => {
                // A client that belongs to somebody already stays with them.
                let link = links.client(*client);
                link.contact = link.contact.or(Some(*contact));
                changes.push(mark(Subject::Client(*client)));
            }
            _ => {}
        }
        let (subject, mut detail) = done_line(&row.action, outcome);
        chain(row, &mut detail);
        changes.push(self.journal(Notice { subject, kind: "done", detail }));
        if let (Some(run), Some(line)) = (row.run, WroteLine::of(&row.action)) {
            changes.push(self.journal(Notice { subject: run.subject(), kind: WROTE, detail: json!(line) }));
        }
    }

    /// Both sides agree on what was written. A pair that travels both ways counts its turns.
    fn confirmed(&self, side: Side, link: LinkRef, rule: &str, base: &Base, links: &mut Links) {
        let Some(held) = links.base(link, rule) else { return };
        let before = held.flips;
        // What an undo puts back is no turn of the pair.
        let flips = match self.turns(rule) && !base.undone {
            true => before.written(side, self.now(), self.parts.policy.guard.freeze_after_flips),
            false => before,
        };
        *held = match base.undone {
            true => undo::settled(held, side, base),
            false => Base { flips, ..base.clone() },
        };
        if flips.frozen && !before.frozen {
            links.frozen.push(Frozen { link, rule: rule.to_owned(), since: self.now() });
        }
    }

    /// True for pairs that are carried both ways.
    fn turns(&self, rule: &str) -> bool {
        let policy = &self.parts.policy;
        let travels = policy.rules.iter().any(|pair| pair.direction == Direction::Both && pair.key() == rule);
        travels || (rule == STAGE_PAIR && policy.orders.direction == Direction::Both)
    }

    /// A note for a lead that is gone goes to the person's contact, as it would have without the lead; where the contact has
    /// a copy of its own, nothing is lost with it. Until the person has one it waits. Gives back what else there is to be done
    /// about the fault.
    fn lead_is_gone(
        &self,
        row: &OutboxRow,
        fault: Fault,
        links: &mut Links,
        changes: &mut Vec<Change>,
    ) -> Option<Fault> {
        let (
            Action::AddNote { target: NoteTarget::Lead(lead), client, text, created_at, messages },
            FaultKind::Gone,
            false,
        ) = (&row.action, fault.kind, self.parts.policy.notes.on_contact)
        else {
            return Some(fault);
        };
        let Some(contact) = links.client_contact(*client) else {
            let is_nobody = links.clients.get(client).is_some_and(|link| link.unmatched);
            self.settle_one(row, self.without_contact(row, is_nobody), links, changes);
            return None;
        };
        let now = self.now();
        let action = Action::AddNote {
            target: NoteTarget::Contact(contact),
            client: *client,
            text: text.clone(),
            created_at: *created_at,
            messages: messages.clone(),
        };
        let (priority, run) = (row.priority, row.run);
        let new = NewAction { action, slot: None, priority, not_before: now, created_at: row.created_at, run };
        changes.push(Change::AddAction(Box::new(new)));
        changes.push(Change::Mark(Mark { subject: Subject::Lead(*lead), due: now, attempts: 0, run }));
        changes.push(Change::ActionDone(row.id));
        None
    }

    fn failed(&self, row: &OutboxRow, fault: Fault, links: &mut Links, changes: &mut Vec<Change>) {
        let now = self.now();
        let fault = doubted(row, fault, now);
        if concerns_the_service(fault.kind) {
            self.troubled(row.action.side().name(), &fault, "actions fail; they are tried again");
        }
        if let (Action::AddNote { target: NoteTarget::Contact(contact), .. }, FaultKind::Gone) =
            (&row.action, fault.kind)
        {
            // The note follows the person: the contact is looked at, and the note waits for the next one.
            changes.push(Change::Mark(Mark {
                subject: Subject::Contact(*contact),
                due: now,
                attempts: 0,
                run: row.run,
            }));
            changes.push(Change::ActionRetry {
                id: row.id,
                not_before: now.plus(GONE_MS),
                attempts: row.attempts,
                // A merge takes the notes along: one that was perhaps written is looked for at the next contact.
                in_doubt: row.in_doubt,
                fault,
            });
            return;
        }
        let fault = match self.lead_is_gone(row, fault, links, changes) {
            Some(fault) => fault,
            None => return,
        };
        match retry::decide(self.parts.retry, row.attempts, row.in_doubt, &fault, now, self.parts.env.fraction()) {
            Next::Again { at, attempts, in_doubt } => {
                tracing::debug!(bridge = self.name(), action = row.action.name(), action.id = row.id.0, attempt = attempts, %fault, "an action failed and is tried again");
                changes.push(Change::ActionRetry { id: row.id, not_before: at, attempts, in_doubt, fault });
            }
            Next::Replan => {
                changes.push(Change::ActionDone(row.id));
                // Somebody edited it between the reading and the writing of an undo: it is left, and told.
                if let (Some(run @ Run { kind: RunKind::Undo, .. }), Some(line)) = (row.run, WroteLine::of(&row.action))
                {
                    changes.push(self.journal(Notice { subject: run.subject(), kind: OVERTAKEN, detail: json!(line) }));
                }
                // What amoCRM does not have is asked for, and unlinked. What Salebot does not have would be planned the same
                // again at once, and without end.
                let is_missing = fault.kind == FaultKind::Gone && row.action.side() == Side::Salebot;
                let due = if is_missing { now.plus(MISSING_MS) } else { now };
                let run = row.run.filter(|run| run.kind != RunKind::Undo);
                for subject in subjects(&row.action) {
                    changes.push(Change::Mark(Mark { subject, due, attempts: 0, run }));
                    changes.extend(is_missing.then(|| self.told_missing(subject)).flatten());
                }
            }
            Next::GiveUp => {
                tracing::error!(bridge = self.name(), action = row.action.name(), action.id = row.id.0, subject = %row.action.key(), "an action cannot be carried out; it is a dead letter now, the others go on: {fault}");
                acknowledge(&row.action, links);
                if let Action::CreateContact { clients, .. } = &row.action {
                    // Until somebody sees to it, the next message or variable may bring what is missing.
                    for id in clients {
                        links.client(*id).unmatched = true;
                    }
                }
                changes.push(Change::ActionDead { id: row.id, fault, at: now });
            }
        }
    }
}

/// A lead was changed by us. What it was like before is no state to compare the next row with: somebody who puts that
/// back at once makes news. Rows older than the change are no news.
pub(super) fn written(deal: &mut DealLink, version: i64) {
    deal.fingerprint.clear();
    deal.version = deal.version.max(version);
}

/// How the attempt ended that this change is about, if it is about one.
fn end_of(change: &Change, failed: bool) -> Option<End> {
    match change {
        Change::ActionDone(_) if failed => Some(End::Dropped),
        Change::ActionDone(_) => Some(End::Done),
        Change::ActionRetry { .. } => Some(End::Retried),
        Change::ActionDead { .. } => Some(End::Dead),
        _ => None,
    }
}

/// True for a client whose value another one's replaced in the same write, and which holds that value by now: its own
/// write may be done first, and what it confirmed is newer than what this one confirms.
fn has_followed(confirms: &[Confirm], confirm: &Confirm, held: &Base) -> bool {
    let last = confirms.iter().rev().find(|other| other.rule == confirm.rule);
    last.is_some_and(|last| last.base.amo != confirm.base.amo && held.amo == last.base.amo)
}

fn seen(contact: ContactId, fingerprint: &str, version: i64) -> Change {
    Change::PutContact(ContactSeen { contact, fingerprint: fingerprint.to_owned(), version })
}

/// The journal's line about a done action: about which record, and what.
fn done_line(action: &Action, outcome: &Outcome) -> (String, serde_json::Value) {
    let name = action.name();
    match (action, outcome) {
        (Action::CreateContact { clients, .. }, Outcome::Contact(contact)) => {
            (contact_key(*contact), json!({ "action": name, "clients": clients }))
        }
        (Action::CreateContact { clients, .. }, Outcome::Met(contact)) => {
            (contact_key(*contact), json!({ "action": name, "clients": clients, "was_there": true }))
        }
        (Action::UpdateContact { edits, .. } | Action::UpdateLead { edits, .. }, _) => (
            action.key(),
            json!({ "action": name, "changed": edits.iter().map(Edit::place).collect::<Vec<_>>(), "values": edits }),
        ),
        (Action::AddNote { messages, .. }, Outcome::Note(target, note)) => {
            (note_subject(*target), json!({ "action": name, "note": note, "messages": messages }))
        }
        (Action::SaveVariables { variables, .. } | Action::SetOrderVariables { variables, .. }, _) => {
            (action.key(), json!({ "action": name, "values": variables }))
        }
        (Action::CreateOrder { lead, client, .. }, Outcome::Order(order)) => {
            (lead_key(*lead), json!({ "action": name, "client": client, "order": order }))
        }
        (Action::LoadClient { contact, .. }, Outcome::Client(client)) => {
            (contact_key(*contact), json!({ "action": name, "client": client }))
        }
        _ => (action.key(), json!({ "action": name })),
    }
}

/// What `explain` tells of an action besides: which pairs led to it, what set it off, when it was decided and first
/// sent. Bounded by the mapping.
fn chain(row: &OutboxRow, detail: &mut serde_json::Value) {
    let rules: BTreeSet<&str> = row.action.confirms().iter().map(|confirm| confirm.rule.as_str()).collect();
    if !rules.is_empty() {
        detail["rules"] = json!(rules);
    }
    detail["trigger"] = match row.priority {
        Priority::Person => "person",
        Priority::Poll => "poll",
        Priority::Background => "background",
    }
    .into();
    if let Some(run) = row.run {
        detail["run"] = json!(run);
    }
    detail["decided_at"] = json!(row.created_at);
    detail["sent_at"] = json!(row.first_attempt_at);
    detail["attempts"] = row.attempts.into();
}

/// The fault with the time since which it is not known whether the action was done.
pub(super) fn doubted(row: &OutboxRow, mut fault: Fault, now: Millis) -> Fault {
    if fault.kind == FaultKind::Uncertain {
        fault.at = Some(now);
    } else if row.in_doubt {
        // What was unknown before is still unknown, and since when.
        fault.at = row.fault.as_ref().and_then(|before| before.at);
    }
    fault
}

/// True for faults that tell of the service and not of one record.
pub(super) fn concerns_the_service(kind: FaultKind) -> bool {
    match kind {
        FaultKind::Transient
        | FaultKind::Uncertain
        | FaultKind::Throttled { .. }
        | FaultKind::Auth
        | FaultKind::Blocked => true,
        FaultKind::Changed | FaultKind::Gone | FaultKind::Rejected | FaultKind::Interrupted | FaultKind::Broken => {
            false
        }
    }
}

/// How long a note waits after its contact was found gone.
const GONE_MS: i64 = 3_000;

/// The records an action was planned from.
fn subjects(action: &Action) -> Vec<Subject> {
    let contact = |id: &ContactId| Subject::Contact(*id);
    match action {
        Action::UpdateContact { contact: id, .. } | Action::LoadClient { contact: id, .. } => vec![contact(id)],
        Action::UpdateLead { lead, .. }
        | Action::CreateOrder { lead, .. }
        | Action::SetOrderVariables { lead, .. }
        | Action::SetOrderState { lead, .. } => {
            vec![Subject::Lead(*lead)]
        }
        Action::SaveVariables { client, .. } | Action::Callback { client, .. } => vec![Subject::Client(*client)],
        Action::CreateContact { clients, .. } => clients.iter().copied().map(Subject::Client).collect(),
        Action::AddNote { target: NoteTarget::Contact(id), .. } => vec![contact(id)],
        Action::AddNote { target: NoteTarget::Lead(lead), .. } => vec![Subject::Lead(*lead)],
        Action::Function(_) => Vec::new(),
    }
}

/// A write that will not happen: the value it came from counts as seen, so that it is not planned
/// over and over, until somebody changes it again. What was perhaps written counts as sent.
fn acknowledge(action: &Action, links: &mut Links) {
    let to_amo = matches!(action, Action::UpdateContact { .. } | Action::UpdateLead { .. });
    for Confirm { link, rule, base, .. } in action.confirms() {
        let Some(held) = links.base(*link, rule) else { continue };
        if to_amo {
            held.salebot.clone_from(&base.salebot);
            held.sent_amo.clone_from(&base.sent_amo);
        } else {
            held.amo.clone_from(&base.amo);
            held.sent_salebot.clone_from(&base.sent_salebot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody may put back at once what was there before our write.
    #[test]
    fn after_our_write_the_old_state_is_news_and_an_older_row_is_none() {
        let fingerprint = "what it was like".to_owned();
        let mut deal = DealLink { version: 100, fingerprint, revision: 1, ..DealLink::new(LeadId(7)) };
        written(&mut deal, 105);
        assert_ne!(deal.fingerprint, "what it was like", "the same state again is a change");
        assert_eq!(deal.version, 105);
        written(&mut deal, 90);
        assert_eq!(deal.version, 105, "an answer that comes late makes nothing older");
    }

    #[test]
    fn who_follows_another_client_is_not_set_back_to_its_own_value() {
        let base = |text: &str| {
            let content = Some(vec![text.to_owned()]);
            Base { amo: content.clone(), salebot: content, ..Base::default() }
        };
        let confirm = |id: u64, rule: &str, text: &str| Confirm {
            link: LinkRef::Client(ClientId(id)),
            rule: rule.to_owned(),
            base: base(text),
            replaced: None,
        };
        // The first wrote "one", and the second "two" on top of it.
        let confirms = [confirm(1, "a", "one"), confirm(2, "a", "two"), confirm(1, "b", "other")];
        assert!(has_followed(&confirms, &confirms[0], &base("two")), "its variable was written first");
        assert!(!has_followed(&confirms, &confirms[0], &base("none")), "it waits to be written");
        assert!(!has_followed(&confirms, &confirms[1], &base("two")), "the last word is confirmed");
        assert!(!has_followed(&confirms, &confirms[2], &base("other")), "another pair");
    }
}
