//! Leads that were read, with their orders and clients.

use super::looked::{AGAIN_MS, Looked};
use super::poll::is_made_since;
use super::record::{Draft, Word, doubts, was_tried};
use super::{Bridge, Failure};
use crate::core::action::{Action, Confirm, LinkRef, NoteTarget, client_key, lead_key};
use crate::core::fault::Fault;
use crate::core::function::{Call, WAITING_MAX};
use crate::core::id::{ClientId, ContactId, LeadId};
use crate::core::link::{ClientLink, DealLink};
use crate::core::model::{Contact, Lead, Order, OrderStatus, Variables};
use crate::core::plan::deal::{self, DealSeen};
use crate::core::plan::ground::Ground;
use crate::core::selector::SalebotField;
use crate::core::time::Millis;
use crate::ports::remote::{Priority, Wanted};
use crate::ports::store::{Change, OutboxRow, StoreError, Stored, Subject};
use std::collections::BTreeMap;

/// How soon a lead looks again whether what it waits for was done; the longer that takes, the later.
const WORD_MS: i64 = 1_000;
const WORD_MS_MAX: i64 = 60_000;

/// What Salebot says about a lead.
#[derive(Default)]
struct Speech {
    variables: Option<Variables>,
    order: Option<Order>,
    order_status: Option<OrderStatus>,
}

/// What is remembered around a page of leads.
struct Memory {
    deals: BTreeMap<LeadId, DealLink>,
    /// The leads of their contacts, also of those whose they were before; as they are remembered …
    stored: Vec<DealLink>,
    /// … and as this page shows them.
    by_contact: Vec<DealLink>,
    clients: Vec<ClientLink>,
    contacts: BTreeMap<ContactId, Contact>,
}

impl Bridge {
    /// Plans deals from leads that were just read. `news_since`: leads made later are news.
    pub(super) async fn look_at_deals(
        &self,
        ground: &Ground,
        leads: Vec<Lead>,
        priority: Priority,
        news_since: Option<Millis>,
        looked: &mut Looked,
    ) -> Result<(), StoreError> {
        let memory = match self.remember_with_owners(ground, &leads, priority, looked).await {
            Ok(memory) => memory,
            Err(Failure::Store(error)) => return Err(error),
            Err(Failure::Fault(fault)) => {
                let marked = leads
                    .iter()
                    .filter(|_| looked.marks_failures)
                    .map(|lead| self.look_again(Subject::Lead(lead.id), AGAIN_MS));
                looked.drafts.extend(marked.collect::<Vec<_>>());
                looked.put_off(leads.iter().map(|lead| Subject::Lead(lead.id)), fault);
                return Ok(());
            }
        };
        let making = self.leads_being_made(&leads, &memory).await?;
        for lead in &leads {
            let link = memory.deals.get(&lead.id);
            let version = link.map(|link| link.version);
            if self.is_shown_older(Subject::Lead(lead.id), lead.updated_at, version, looked) {
                continue;
            }
            if let Some(row) = making.iter().find(|row| link.is_none() && makes(&row.action, lead)) {
                let again = self.look_again(Subject::Lead(lead.id), self.later_for(row));
                looked.drafts.push(Draft { subjects: vec![Subject::Lead(lead.id)], ..again });
                continue;
            }
            match self.plan_deal(ground, lead, link, &memory, priority, news_since).await? {
                Ok(draft) => looked.drafts.push(draft),
                Err(fault) => {
                    if looked.marks_failures {
                        looked.drafts.push(self.look_again(Subject::Lead(lead.id), AGAIN_MS));
                    }
                    looked.put_off([Subject::Lead(lead.id)], fault);
                }
            }
        }
        Ok(())
    }

    /// What is remembered, after a look at who had these leads before.
    async fn remember_with_owners(
        &self,
        ground: &Ground,
        leads: &[Lead],
        priority: Priority,
        looked: &mut Looked,
    ) -> Result<Memory, Failure> {
        let memory = self.remember(ground, leads, priority).await?;
        let moved = leads.iter().filter_map(|lead| {
            let owner = memory.deals.get(&lead.id)?.contact?;
            lead.person().filter(|person| *person != owner).map(|_| owner)
        });
        self.look_at_former_owners(ground, moved.collect(), priority, looked).await?;
        Ok(memory)
    }

    async fn remember(&self, ground: &Ground, leads: &[Lead], priority: Priority) -> Result<Memory, Failure> {
        let ids: Vec<LeadId> = leads.iter().map(|lead| lead.id).collect();
        let deals = self.store().deals(self.name(), &ids).await?;
        let persons = leads.iter().filter_map(Lead::person);
        let mut contacts: Vec<ContactId> = persons.chain(deals.iter().filter_map(|deal| deal.contact)).collect();
        contacts.sort_unstable();
        contacts.dedup();
        let mut clients = self.store().clients_of(self.name(), &contacts).await?;
        // An order stays with its client, also when the client has no contact for a moment or another one.
        let owners: Vec<ClientId> = deals.iter().filter(|deal| deal.ordered).filter_map(|deal| deal.client).collect();
        let owners = self.store().clients(self.name(), &owners).await?;
        clients.retain(|link| owners.iter().all(|owner| owner.client.id != link.client.id));
        clients.extend(owners);
        let stored = self.store().deals_of(self.name(), &contacts).await?;
        // Callbacks name the contact; without any, nobody needs to read it.
        let named: Vec<ContactId> = clients.iter().filter_map(|link| link.contact).collect();
        let mut read = BTreeMap::new();
        if !ground.policy.triggers.is_empty() && !named.is_empty() {
            let page = self.parts.amo.contacts_by_id(&named, priority).await?;
            read.extend(page.rows.into_iter().map(|contact| (contact.id, contact)));
        }
        let deals: BTreeMap<LeadId, DealLink> = deals.into_iter().map(|deal| (deal.lead, deal)).collect();
        let by_contact = as_shown(leads, &deals, &stored);
        Ok(Memory { deals, stored, by_contact, clients, contacts: read })
    }

    async fn plan_deal(
        &self,
        ground: &Ground,
        lead: &Lead,
        link: Option<&DealLink>,
        memory: &Memory,
        priority: Priority,
        news_since: Option<Millis>,
    ) -> Stored<Result<Draft, Fault>> {
        let contact = lead.person();
        let client = deal::chosen_client(link, contact, &memory.clients);
        let pending = self.deal_pending(lead.id, client).await?;
        let would_speak = deal::is_current(lead, client, &memory.by_contact);
        // What another lead still tells the client goes first, and is no news of this one.
        let before = pending.iter().find(|row| would_speak && tells_of_another(&row.action, lead.id));
        let is_current = would_speak && before.is_none();
        let Speech { variables, order, order_status } =
            match self.read_deal(ground, lead, client, link, is_current, priority).await {
                Ok(read) => read,
                Err(fault) => return Ok(Err(fault)),
            };
        let in_doubt: Vec<Confirm> = pending.iter().flat_map(doubts).collect();
        let seen = DealSeen {
            lead,
            link,
            contact: contact.and_then(|contact| memory.contacts.get(&contact)),
            client,
            variables: variables.as_ref(),
            order: order.as_ref(),
            order_status,
            is_current,
            siblings: &memory.by_contact,
            is_news: is_made_since(lead.created_at, news_since),
            in_doubt: &in_doubt,
        };
        let (plan, next) = deal::plan(ground, seen);
        let mut draft = Draft::about(Subject::Lead(lead.id));
        draft.keys.insert(lead_key(lead.id));
        draft.keys.extend(client.map(|client| client_key(client.client.id)));
        draft.keys.extend(deal::former_client(&seen).map(client_key));
        match link {
            Some(link) => draft.rests_on_deal(link),
            None => draft.revisions.push((LinkRef::Lead(lead.id), 0)),
        }
        draft.word = contact.filter(|_| is_current).map(|contact| Word::of(contact, lead.id, &memory.stored));
        if let Some(before) = before {
            draft.changes.push(self.marked(Subject::Lead(lead.id), self.later_for(before)));
        }
        if let Some(link) = link {
            self.pass_the_word(link, &next, memory, &mut draft);
        }
        draft.changes.push(Change::PutDeal(Box::new(next)));
        draft.cleared = plan.cleared;
        draft.changes.extend(self.plan_changes(plan, priority));
        Ok(Ok(draft))
    }

    /// Who had the word before has it again once this lead is closed, or with another contact or client.
    fn pass_the_word(&self, before: &DealLink, now: &DealLink, memory: &Memory, draft: &mut Draft) {
        let has_left = before.contact != now.contact;
        let has_gone_silent = has_left || before.client != now.client;
        for other in deal::outspoken(before, &memory.stored).filter(|_| has_gone_silent) {
            draft.rests_on_deal(other);
            draft.changes.push(Change::PutDeal(Box::new(DealLink { spoke: 0, ..other.clone() })));
        }
        if before.open && (has_left || !now.open) {
            let next = deal::next_speaker(before, &memory.by_contact);
            draft.changes.extend(next.map(|next| self.marked(Subject::Lead(next), 0)));
        }
    }

    /// Leads that a reading by id did not have: they are closed, and who waits for that is told.
    pub(super) async fn leads_gone(
        &self,
        ground: &Ground,
        deals: &[&DealLink],
        priority: Priority,
    ) -> Stored<Result<Vec<Draft>, Fault>> {
        if deals.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let leads: Vec<Lead> = deals.iter().map(|link| deal::gone_lead(link)).collect();
        let memory = match self.remember(ground, &leads, priority).await {
            Ok(memory) => memory,
            Err(Failure::Store(error)) => return Err(error),
            Err(Failure::Fault(fault)) => return Ok(Err(fault)),
        };
        let drafts = deals.iter().zip(&leads).map(|(link, lead)| {
            let contact = lead.person();
            let client = deal::chosen_client(Some(link), contact, &memory.clients);
            let contact = contact.and_then(|contact| memory.contacts.get(&contact));
            let (plan, next) = deal::plan_gone(ground, lead, link, contact, client);
            let mut draft = Draft::about(Subject::Lead(lead.id));
            draft.rests_on_deal(link);
            draft.unlinked = 1;
            self.pass_the_word(link, &next, &memory, &mut draft);
            draft.changes.push(Change::PutDeal(Box::new(next)));
            draft.changes.extend(self.plan_changes(plan, priority));
            draft
        });
        Ok(Ok(drafts.collect()))
    }

    /// The client's variables and its order, as far as some pair lets them speak.
    async fn read_deal(
        &self,
        ground: &Ground,
        lead: &Lead,
        client: Option<&ClientLink>,
        link: Option<&DealLink>,
        is_current: bool,
        priority: Priority,
    ) -> Result<Speech, Fault> {
        let Some(client) = client.map(|client| client.client.id) else { return Ok(Speech::default()) };
        let speaks = |rule: &crate::core::plan::ResolvedRule| {
            rule.rule.direction.writes_amo() && matches!(rule.rule.salebot, SalebotField::Client(_))
        };
        let variables = match is_current && ground.lead_rules.iter().any(speaks) {
            true => self.parts.salebot.variables(client, priority).await?,
            false => None,
        };
        let follows = ground.leads_follow_orders() && lead.is_open();
        let Some(id) = link.and_then(|link| link.order).filter(|_| follows || ground.reads_order_variables()) else {
            return Ok(Speech { variables, ..Speech::default() });
        };
        let order = self.parts.salebot.order(client, id, Wanted::Named(&ground.order_variables()), priority).await?;
        let order_status = match &order {
            Some(_) if follows => self.parts.salebot.order_status(client, id, priority).await?,
            _ => None,
        };
        Ok(Speech { variables, order, order_status })
    }

    /// Calls of bots that are making leads, or have made them as far as we know, where one of these may be such a lead: it is the
    /// bot's, and no news, once that is told or found out.
    async fn leads_being_made(&self, leads: &[Lead], memory: &Memory) -> Stored<Vec<OutboxRow>> {
        if leads.iter().all(|lead| memory.deals.contains_key(&lead.id)) {
            return Ok(Vec::new());
        }
        let rows = self.store().pending_named(self.name(), "function_lead", WAITING_MAX).await?;
        Ok(rows.into_iter().filter(was_tried).collect())
    }

    /// How soon is looked again at what waits for this action: the longer that takes, the later.
    fn later_for(&self, row: &OutboxRow) -> i64 {
        self.now().since(row.created_at).clamp(WORD_MS, WORD_MS_MAX)
    }

    /// What waits to be written to a lead and its client.
    async fn deal_pending(&self, lead: LeadId, client: Option<&ClientLink>) -> Stored<Vec<OutboxRow>> {
        let Some(client) = client else { return Ok(Vec::new()) };
        self.store().pending(self.name(), &[lead_key(lead), client_key(client.client.id)]).await
    }
}

/// True for a call that may have made this lead for its contact.
fn makes(action: &Action, lead: &Lead) -> bool {
    let is_for = |call: &Call| call.target.is_some() && call.target == lead.person().map(NoteTarget::Contact);
    matches!(action, Action::Function(call) if is_for(call) && call.may_have_made(lead))
}

/// True for what a client's variables are to be told of another lead.
fn tells_of_another(action: &Action, lead: LeadId) -> bool {
    let is_another = |confirm: &Confirm| matches!(confirm.link, LinkRef::Lead(other) if other != lead);
    matches!(action, Action::SaveVariables { .. }) && action.confirms().iter().any(is_another)
}

/// Leads of contacts as a page shows them: of two that are read together, each is known to the other. One that left its
/// contact is closed to those who stay, and still the one who had the word.
fn as_shown(leads: &[Lead], known: &BTreeMap<LeadId, DealLink>, stored: &[DealLink]) -> Vec<DealLink> {
    let mut all: BTreeMap<(LeadId, Option<ContactId>), DealLink> =
        stored.iter().map(|deal| ((deal.lead, deal.contact), deal.clone())).collect();
    for lead in leads {
        let link = known.get(&lead.id);
        if link.is_some_and(|link| link.version > lead.updated_at) {
            continue;
        }
        if let Some(left) = link.and_then(|link| all.get_mut(&(lead.id, link.contact))) {
            left.open = false;
        }
        all.insert((lead.id, lead.person()), deal::shown(lead, link));
    }
    all.into_values().collect()
}
