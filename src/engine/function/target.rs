//! Whom a call is about: the record it names, else the one our links name, else the one the client's variables
//! name, else what amoCRM itself says of the person.

use super::super::execute::Outcome;
use super::{gone, uncertain};
use crate::core::action::{Action, NoteTarget, calls_key, leads_key};
use crate::core::fault::Fault;
use crate::core::function::{Answer, Call};
use crate::core::id::{ContactId, LeadId};
use crate::core::link::ClientLink;
use crate::core::model::{Client, Lead, Variables};
use crate::core::plan::arrival::{self, Arrival, Newcomer, named_contact};
use crate::core::plan::ground::Ground;
use crate::core::run::RunKind;
use crate::engine::Bridge;
use crate::ports::remote::{AMO_IDS_MAX, Priority};
use crate::ports::store::{Change, Mark, OutboxRow, Stored, Subject};
use std::collections::BTreeSet;

/// How soon a call looks again for the contact or the lead that is being found or made; later and later, up to
/// [`LATER_MS_MAX`].
const SOON_MS: i64 = 300;
const LATER_MS_MAX: i64 = 300_000;
/// For how long it does: longer than amoCRM is away, or blocks us, or our clock is wrong.
const PATIENCE_MS: i64 = 86_400_000;

/// What is known of a call's record.
pub(super) enum Target {
    /// It is this one.
    Found(NoteTarget),
    /// There is none: the answer to the bot.
    Refused(Answer),
    /// The person's contact is yet to be found or made.
    Later,
}

type Looked<T> = Stored<Result<T, Fault>>;

impl Bridge {
    /// The record as far as it can be told without asking anybody.
    pub(super) async fn known_target(&self, call: &Call) -> Stored<Option<NoteTarget>> {
        if call.target.is_some() {
            return Ok(call.target);
        }
        let Some(contact) = self.linked_contact(call).await? else { return Ok(None) };
        if !call.function.is_about_lead() {
            return Ok(Some(NoteTarget::Contact(contact)).filter(|target| !call.has_lost(*target)));
        }
        let deals = self.store().deals_of(self.name(), &[contact]).await?;
        let open = deals.iter().filter(|deal| deal.open).map(|deal| NoteTarget::Lead(deal.lead));
        Ok(open.filter(|target| !call.has_lost(*target)).max())
    }

    /// Calls of the same client that wait for their record or make one.
    pub(super) async fn earlier(&self, call: &Call) -> Stored<Vec<OutboxRow>> {
        self.store().pending(self.name(), &[calls_key(call.client), leads_key(call.client)]).await
    }

    async fn linked_contact(&self, call: &Call) -> Stored<Option<ContactId>> {
        let links = self.store().clients(self.name(), &[call.client]).await?;
        Ok(links.first().and_then(|link| link.contact))
    }

    /// The record, and who has to be asked is asked.
    pub(super) async fn whom(&self, ground: &Ground, call: &Call) -> Looked<Target> {
        if let Some(target) = self.known_target(call).await? {
            return Ok(Ok(Target::Found(target)));
        }
        let variables = match self.parts.salebot.variables(call.client, Priority::Person).await {
            Ok(Some(variables)) => variables,
            Ok(None) => return Ok(Ok(Target::Refused(no_client(call)))),
            Err(fault) => return Ok(Err(fault)),
        };
        if call.function.is_about_lead()
            && let Some(lead) = named_lead(&variables).map(NoteTarget::Lead).filter(|lead| !call.has_lost(*lead))
        {
            return Ok(Ok(Target::Found(lead)));
        }
        let is_there = |contact: &ContactId| !call.has_lost(NoteTarget::Contact(*contact));
        let linked = self.linked_contact(call).await?;
        match linked.or(named_contact(&variables).filter(is_there)) {
            None if call.in_doubt => Ok(Ok(Target::Refused(uncertain()))),
            None => self.unknown_person(ground, call, &variables).await,
            Some(contact) if call.function.is_about_lead() => self.lead_of(contact).await,
            Some(contact) if is_there(&contact) => Ok(Ok(Target::Found(NoteTarget::Contact(contact)))),
            Some(contact) => self.lost_contact(call, contact).await,
        }
    }

    /// The linked contact was gone when the call's turn came: whose its client is now is decided where all contacts are
    /// looked at.
    async fn lost_contact(&self, call: &Call, contact: ContactId) -> Looked<Target> {
        let target = NoteTarget::Contact(contact);
        match self.parts.amo.contacts_by_id(&[contact], Priority::Person).await {
            Ok(page) if page.rows.is_empty() && page.broken.is_empty() => {}
            Ok(_) => return Ok(Ok(Target::Found(target))),
            Err(fault) => return Ok(Err(fault)),
        }
        if self.is_late(call) {
            return Ok(Ok(Target::Refused(gone(target))));
        }
        let run = self.run_of(RunKind::Call);
        let mark = Mark { subject: Subject::Contact(contact), due: self.now(), attempts: 0, run };
        self.commit(vec![Change::Mark(mark)]).await?;
        Ok(Ok(Target::Later))
    }

    fn is_late(&self, call: &Call) -> bool {
        self.now().since(call.at) > PATIENCE_MS
    }

    /// The person's newest open lead, as amoCRM tells it: a manager may have made it a moment ago.
    async fn lead_of(&self, contact: ContactId) -> Looked<Target> {
        let page = match self.parts.amo.contacts_by_id(&[contact], Priority::Person).await {
            Ok(page) => page,
            Err(fault) => return Ok(Err(fault)),
        };
        let ids: Vec<LeadId> = page.rows.iter().flat_map(|contact| &contact.leads).copied().collect();
        let ids = &ids[ids.len().saturating_sub(AMO_IDS_MAX)..];
        let leads = match self.parts.amo.leads_by_id(ids, Priority::Person).await {
            _ if ids.is_empty() => Vec::new(),
            Ok(page) => page.rows,
            Err(fault) => return Ok(Err(fault)),
        };
        let newest = leads.iter().filter(|lead| Lead::is_open(lead)).map(|lead| lead.id).max();
        let none =
            "the person has no open lead, and amo_lead_id is not set: make one with amo_add_lead or pass lead_id";
        Ok(Ok(match newest {
            Some(lead) => Target::Found(NoteTarget::Lead(lead)),
            None => Target::Refused(Answer::refused("lead_not_found", none)),
        }))
    }

    /// Nobody in amoCRM yet: the person is looked for, or made, in the way of every newcomer.
    async fn unknown_person(&self, ground: &Ground, call: &Call, variables: &Variables) -> Looked<Target> {
        let link = self.store().clients(self.name(), &[call.client]).await?.into_iter().next();
        let is_hopeless = match &link {
            Some(link) => match self.is_nobody(ground, link, variables).await? {
                Ok(is_nobody) => is_nobody,
                Err(fault) => return Ok(Err(fault)),
            },
            None => false,
        };
        if self.is_late(call) || is_hopeless {
            let none = "the person has no contact in amoCRM: pass contact_id, or let people.create_contact make one";
            return Ok(Ok(Target::Refused(Answer::refused("contact_not_found", none))));
        }
        let gate = self.in_flight.lock().await;
        let mut changes = Vec::new();
        if link.is_none() && self.store().clients(self.name(), &[call.client]).await?.is_empty() {
            changes.push(Change::PutClient(Box::new(ClientLink::new(Client::unknown(call.client)))));
        }
        changes.push(Change::Mark(Mark {
            subject: Subject::Client(call.client),
            due: self.now(),
            attempts: 0,
            run: self.run_of(RunKind::Call),
        }));
        self.commit(changes).await?;
        drop(gate);
        Ok(Ok(Target::Later))
    }

    /// True for somebody who gets no contact from what is known now: a bot that asks for the number calls a moment after it was
    /// told, so that nobody was known when they were last looked for says little.
    async fn is_nobody(&self, ground: &Ground, link: &ClientLink, variables: &Variables) -> Looked<bool> {
        if link.client.is_group_chat() {
            return Ok(Ok(true));
        }
        if !link.unmatched {
            return Ok(Ok(false));
        }
        Ok(self.candidates(ground, link, variables, Priority::Person).await?.map(|candidates| {
            let being_made = &BTreeSet::new();
            let newcomer =
                Newcomer { client: &link.client, variables, candidates: &candidates, being_made, now: self.now() };
            matches!(arrival::arrive(ground, newcomer), Arrival::Nobody)
        }))
    }

    fn soon(&self, call: &Call) -> i64 {
        (self.now().since(call.at).saturating_abs() / 10).clamp(SOON_MS, LATER_MS_MAX)
    }

    /// Finds the record of a call that waits in the outbox.
    pub(in crate::engine) async fn find_record(&self, row: &OutboxRow, call: &Call) -> Stored<Outcome> {
        let Some(ground) = self.ground() else { return Ok(Outcome::Unclear(SOON_MS)) };
        // A lead that an earlier call makes was recorded behind this one.
        let earlier = self.earlier(call).await?;
        let makes_lead = |other: &OutboxRow| matches!(&other.action, Action::Function(other) if other.target.is_some() && other.at <= call.at);
        if earlier.iter().any(|other| other.id != row.id && makes_lead(other)) {
            return Ok(Outcome::Unclear(self.soon(call)));
        }
        Ok(match self.whom(&ground, call).await? {
            Ok(Target::Found(target)) => Outcome::GoesOn(Box::new(call.about(target))),
            Ok(Target::Refused(answer)) => Outcome::ended(answer),
            Ok(Target::Later) => Outcome::Unclear(self.soon(call)),
            Err(fault) => Outcome::Failed(fault),
        })
    }
}

fn named_lead(variables: &Variables) -> Option<LeadId> {
    let named = variables.get("amo_lead_id")?.trim().parse().ok();
    named.filter(|id| *id > 0).map(LeadId)
}

fn no_client(call: &Call) -> Answer {
    let message = format!("the Salebot project has no client {}: pass \"client_id\": \"#{{client_id}}\"", call.client);
    Answer::refused("client_not_found", message)
}
