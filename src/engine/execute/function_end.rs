//! How the call of a bot ends: what is remembered, and how the bot gets the answer.

use super::settle::{Links, concerns_the_service, doubted, written};
use super::{Bridge, Outcome};
use crate::core::action::{Action, NoteTarget, contact_key, lead_key};
use crate::core::fault::{Fault, FaultKind};
use crate::core::function::once::{self, ANSWERED};
use crate::core::function::{Answer, Call, LEFT, TOLD, Work};
use crate::core::id::{ContactId, LeadId, PipelineId, StatusId, UserId};
use crate::core::link::DealLink;
use crate::core::model::Lead;
use crate::core::plan::Notice;
use crate::core::retry::{self, Next};
use crate::core::run::RunKind;
use crate::core::time::Millis;
use crate::engine::function::gone;
use crate::ports::remote::Priority;
use crate::ports::store::{Change, JournalEntry, JournalRow, Mark, NewAction, OutboxRow, Stored, Subject};
use serde_json::json;

/// Journal lines in which it is looked who came first.
const LINES_MAX: u32 = 16;
/// After this nobody waits at another node any more.
const GONE_MS: i64 = 3_000;

/// How soon a change is made again after somebody else's came in between.
const CHANGED_MS: i64 = 300;

/// A call's answer and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct Ending {
    /// What the bot is told.
    pub(super) answer: Answer,
    /// What is remembered.
    pub(super) then: Then,
}

/// What is remembered of a call that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) enum Then {
    /// Its answer alone.
    Nothing,
    /// A lead was made for this contact.
    NewLead(LeadId, ContactId),
    /// A lead is like this now. That the bot hears of its own change is no news.
    ChangedLead {
        /// Which.
        lead: LeadId,
        /// Its stage.
        stage: (PipelineId, StatusId),
        /// Who is responsible.
        responsible: Option<UserId>,
        /// Its `updated_at`.
        version: i64,
    },
    /// A note or a task was made: `note` or `task`, where, and its id.
    Made(&'static str, NoteTarget, u64),
}

impl Then {
    /// A lead as a change leaves it, with the `updated_at` it gets.
    pub(super) fn changed(lead: &Lead, version: i64) -> Then {
        let stage = (lead.pipeline, lead.status);
        Then::ChangedLead { lead: lead.id, stage, responsible: lead.responsible, version }
    }
}

impl Ending {
    /// A record was made.
    pub(super) fn made(call: &Call, target: NoteTarget, id: u64) -> Ending {
        let answer = match target {
            NoteTarget::Contact(contact) => Answer::done().with("contact_id", contact.0),
            NoteTarget::Lead(lead) => Answer::done().with("lead_id", lead.0),
        };
        match (&call.work, target) {
            (Work::Lead { .. }, NoteTarget::Contact(contact)) => {
                Ending { answer: answer.with("lead_id", id), then: Then::NewLead(LeadId(id), contact) }
            }
            (Work::Task { .. }, _) => {
                Ending { answer: answer.with("task_id", id), then: Then::Made("task", target, id) }
            }
            _ => Ending { answer: answer.with("note_id", id), then: Then::Made("note", target, id) },
        }
    }

    /// The lead whose link it changes.
    pub(super) fn touched_lead(&self) -> Option<LeadId> {
        match self.then {
            Then::NewLead(lead, _) | Then::ChangedLead { lead, .. } => Some(lead),
            Then::Nothing | Then::Made(..) => None,
        }
    }
}

impl Outcome {
    /// A call that ends with nothing but its answer.
    pub(in crate::engine) fn ended(answer: Answer) -> Outcome {
        Outcome::Ended(Box::new(Ending { answer, then: Then::Nothing }))
    }
}

impl Bridge {
    /// The call goes on in amoCRM with the record that was found, or looks for one.
    pub(super) fn goes_on(&self, row: &OutboxRow, call: Call, changes: &mut Vec<Change>) {
        changes.push(Change::ActionDone(row.id));
        changes.push(self.person_action(Action::Function(Box::new(call))));
    }

    /// It was carried out, or refused.
    pub(super) fn ended(&self, row: &OutboxRow, ending: Ending, links: &mut Links, changes: &mut Vec<Change>) {
        changes.push(Change::ActionDone(row.id));
        let Action::Function(call) = &row.action else { return };
        let name = row.action.name();
        let function = call.function.name();
        let done = |subject: String, detail| self.journal(Notice { subject, kind: "done", detail });
        match ending.then {
            Then::Nothing => {}
            Then::NewLead(lead, contact) => {
                links.new_deal(lead, contact, call);
                changes.push(Change::Mark(Mark {
                    subject: Subject::Lead(lead),
                    due: self.now(),
                    attempts: 0,
                    run: self.run_of(RunKind::Call),
                }));
                let detail = json!({ "action": name, "function": function, "lead": lead, "client": call.client });
                changes.push(done(contact_key(contact), detail));
            }
            Then::ChangedLead { lead, stage, responsible, version } => {
                links.changed_deal(lead, stage, responsible, version);
                changes
                    .push(done(lead_key(lead), json!({ "action": name, "function": function, "wanted": call.work })));
            }
            Then::Made(kind, target, id) => {
                let subject = super::lookup::note_subject(target);
                changes.push(done(subject, json!({ "action": name, "function": function, kind: id })));
            }
        }
        if ending.answer.is_ok() {
            self.worked(row.action.side().name());
        }
        self.answer(call, ending.answer, links, changes);
    }

    /// What follows from a fault. A bot gets an answer to everything that it can do something about; what a service is
    /// to blame for is tried again like any other action.
    pub(super) fn function_failed(&self, row: &OutboxRow, fault: Fault, links: &mut Links, changes: &mut Vec<Change>) {
        let Action::Function(call) = &row.action else { return };
        let now = self.now();
        let fault = doubted(row, fault, now);
        if concerns_the_service(fault.kind) {
            self.troubled(row.action.side().name(), &fault, "calls of bots fail; they are tried again");
        }
        let again = |at, attempts, in_doubt, fault| Change::ActionRetry {
            id: row.id,
            not_before: at,
            attempts,
            in_doubt,
            fault,
        };
        match fault.kind {
            FaultKind::Gone if let Some(call) = call.without_record(false) => self.goes_on(row, call, changes),
            FaultKind::Gone | FaultKind::Rejected => {
                tracing::warn!(
                    bridge = self.name(),
                    function = call.function.name(),
                    "amoCRM refused what a bot asked for: {fault}"
                );
                let answer = match (fault.kind, call.target) {
                    (FaultKind::Gone, Some(target)) => gone(target),
                    _ => Answer::refused("refused", format!("amoCRM refuses it: {}", fault.reason)),
                };
                changes.push(Change::ActionDone(row.id));
                self.answer(call, answer, links, changes);
            }
            FaultKind::Changed if row.attempts + 1 < self.parts.retry.attempts_max => {
                changes.push(again(now.plus(CHANGED_MS), row.attempts + 1, row.in_doubt, fault));
            }
            _ => match retry::decide(
                self.parts.retry,
                row.attempts,
                row.in_doubt,
                &fault,
                now,
                self.parts.env.fraction(),
            ) {
                Next::Again { at, attempts, in_doubt } => changes.push(again(at, attempts, in_doubt, fault)),
                Next::Replan | Next::GiveUp => {
                    tracing::error!(
                        bridge = self.name(),
                        function = call.function.name(),
                        action.id = row.id.0,
                        "a bot's call cannot be carried out; it is a dead letter now: {fault}"
                    );
                    changes.push(Change::ActionDead { id: row.id, fault, at: now });
                    let message = "it could not be carried out and waits for the operator (salebridge dead-letters)";
                    self.answer(call, Answer::refused("failed", message), links, changes);
                }
            },
        }
    }

    /// Remembers the answer of a call that must not happen twice, and has it told to the bot: to one that waits
    /// once this is stored, else by variables and a callback.
    fn answer(&self, call: &Call, answer: Answer, links: &mut Links, changes: &mut Vec<Change>) {
        if call.once_ms.is_some() {
            let detail = json!({ "at": call.at, "answer": answer });
            changes.push(self.journal(Notice { subject: call.subject(), kind: ANSWERED, detail }));
        }
        if call.waits_until.is_some() {
            let (at, subject) = (call.at, call.subject());
            let detail = json!({ "at": call.at, "answer": answer });
            changes.push(Change::Journal(JournalEntry { at, subject, kind: TOLD, detail }));
        }
        if self.desk.awaits(&call.ticket) || call.waits_until.is_some() {
            links.answers.push((call.clone(), answer));
        } else {
            changes.extend(self.late(call, &answer));
        }
    }

    /// Tells those who wait. Who has left meanwhile is told like everybody to whom the answer comes late. The calls have
    /// left the outbox, so nobody comes back to them: where the store fails now it is asked until it answers.
    pub(super) async fn tell_bots(&self, part: &'static str, answers: Vec<(Call, Answer)>) {
        let told_at = self.now();
        // Who waits here needs no store.
        let tell = |(call, answer): &(Call, Answer)| self.desk.tell(&call.ticket, answer.clone());
        let others: Vec<(Call, Answer)> = answers.into_iter().filter(|one| !tell(one)).collect();
        while let Err(error) = self.tell_others(&others, told_at).await {
            self.store_failed(part, &error).await;
            if self.is_stopping() {
                tracing::warn!(
                    bridge = self.name(),
                    calls = others.len(),
                    "bots that do not wait any more are not called back: the store failed until the stop"
                );
                return;
            }
        }
    }

    async fn tell_others(&self, answers: &[(Call, Answer)], told_at: Millis) -> Stored<()> {
        let mut late = Vec::new();
        for (call, answer) in answers {
            if !self.is_told_elsewhere(call, told_at).await? {
                late.extend(self.late(call, answer));
            }
        }
        self.commit(late).await
    }

    /// True when the node at which the bot waits takes the answer: it has not left before the answer was told. One
    /// that would have left long before that is not there any more.
    async fn is_told_elsewhere(&self, call: &Call, told_at: Millis) -> Stored<bool> {
        let Some(until) = call.waits_until else { return Ok(false) };
        let lines = self.store().journal(self.name(), &call.subject(), LINES_MAX).await?;
        let of_call = |line: &&JournalRow| once::at_of(&line.detail) == Some(call.at);
        // Newest first, and of one time in the order of their commits: the last of these two came first.
        let first = lines.iter().filter(of_call).rfind(|line| line.kind == TOLD || line.kind == LEFT);
        let has_left = first.is_some_and(|line| line.kind == LEFT);
        let is_gone = told_at.since(until) > GONE_MS && !lines.iter().filter(of_call).any(|line| line.kind == LEFT);
        Ok(!has_left && !is_gone)
    }

    fn late(&self, call: &Call, answer: &Answer) -> [Change; 2] {
        let (client, variables) = (call.client, answer.variables(call.function));
        let text = answer.callback(call.function);
        [
            self.person_action(Action::SaveVariables { client, variables, confirms: Vec::new() }),
            self.person_action(Action::Callback { client, text }),
        ]
    }

    fn person_action(&self, action: Action) -> Change {
        let now = self.now();
        let new =
            NewAction { action, slot: None, priority: Priority::Person, not_before: now, created_at: now, run: None };
        Change::AddAction(Box::new(new))
    }
}

impl Links {
    /// A lead that a bot made is its person's from the first moment. A listing may have seen it before.
    fn new_deal(&mut self, lead: LeadId, contact: ContactId, call: &Call) {
        let is_theirs = self.client_contact(call.client) == Some(contact);
        let client = is_theirs.then_some(call.client);
        self.put_deal_if_new(DealLink { contact: Some(contact), client, ..DealLink::new(lead) });
    }

    fn changed_deal(&mut self, lead: LeadId, stage: (PipelineId, StatusId), responsible: Option<UserId>, version: i64) {
        if let Some(deal) = self.deal(lead).filter(|deal| deal.stage.is_some()) {
            (deal.stage, deal.responsible) = (Some(stage), responsible);
            deal.open = !stage.1.is_closed();
            written(deal, version);
        }
    }
}
