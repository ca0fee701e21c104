//! A lead, its order and its client: the order itself, its stage, mapped values, callbacks.

use super::ground::Ground;
use super::{Doubts, Notice, Plan, ResolvedRule, push_edit, stage};
use crate::core::action::{Action, Confirm, Edit, LinkRef, Replaced, Side, client_key, lead_key};
use crate::core::apply;
use crate::core::fingerprint;
use crate::core::id::{ClientId, ContactId, LeadId, PipelineId, StatusId};
use crate::core::link::{Base, ClientLink, Content, DealLink};
use crate::core::merge::{self, Merged, Pair};
use crate::core::model::{Contact, Fields, Lead, Order, OrderStatus, Variables};
use crate::core::policy::{Direction, Owner, Trigger, TriggerEvent};
use crate::core::selector::{Fact, SalebotField};
use crate::core::shape::{self, Record};
use crate::core::template::{self, CallbackNames, ContactNames, LeadNames};
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A lead as seen on both sides.
#[derive(Debug, Clone, Copy)]
pub struct DealSeen<'a> {
    /// The lead.
    pub lead: &'a Lead,
    /// What is remembered of it; none for a lead met for the first time.
    pub link: Option<&'a DealLink>,
    /// Its contact, where it was read: for callbacks.
    pub contact: Option<&'a Contact>,
    /// The client whose order it is or becomes; none where the person has no client.
    pub client: Option<&'a ClientLink>,
    /// The client's variables, where they were read.
    pub variables: Option<&'a Variables>,
    /// The order, where there is one and it was read.
    pub order: Option<&'a Order>,
    /// Whether the order is worked on, where that was asked for.
    pub order_status: Option<OrderStatus>,
    /// True when the client's variables speak of this lead: its newest open one.
    pub is_current: bool,
    /// The leads of its contact that are known, itself or not.
    pub siblings: &'a [DealLink],
    /// True when the lead was made since the last poll; then a first meeting is news.
    pub is_news: bool,
    /// Confirmations of writes that were tried and whose outcome is not known.
    pub in_doubt: &'a [Confirm],
}

/// Plans a deal: what is to be done, and what is remembered of it from now on.
pub fn plan(ground: &Ground, seen: DealSeen<'_>) -> (Plan, DealLink) {
    let mut plan = Plan::default();
    let mut link = next_link(ground, &seen);
    // What waits to be told to its former client would count as agreed on with this one.
    plan.emptied.extend(former_client(&seen).map(|former| slot_of_client(former, seen.lead.id)));
    if let Some(client) = seen.client {
        plan_values(ground, &seen, client.client.id, &mut plan);
        if ground.policy.orders.enabled {
            plan_order(ground, seen.lead, client.client.id, &mut link, &mut plan);
        }
        plan_callbacks(ground, &seen, client.client.id, &mut plan);
    }
    for (_, rule, base) in plan.bases.drain(..) {
        link.bases.insert(rule, base);
    }
    (plan, link)
}

/// A lead that is gone, as far as it is remembered: for its callbacks.
pub fn gone_lead(link: &DealLink) -> Lead {
    let (pipeline, status) = link.stage.unwrap_or((PipelineId(0), StatusId(0)));
    Lead {
        id: link.lead,
        name: String::new(),
        price: 0,
        pipeline,
        status,
        responsible: link.responsible,
        tags: BTreeSet::new(),
        main_contact: link.contact,
        contacts: link.contact.into_iter().collect(),
        fields: Fields::new(),
        is_deleted: true,
        created_at: 0,
        updated_at: link.version,
    }
}

/// Plans the end of a lead that is gone: its callbacks, and no values, since none of it are known.
/// Should it be listed again, that is news.
pub fn plan_gone(
    ground: &Ground,
    lead: &Lead,
    link: &DealLink,
    contact: Option<&Contact>,
    client: Option<&ClientLink>,
) -> (Plan, DealLink) {
    let mut plan = Plan::default();
    let seen = DealSeen {
        lead,
        link: Some(link),
        contact,
        client,
        variables: None,
        order: None,
        order_status: None,
        is_current: false,
        siblings: &[],
        is_news: false,
        in_doubt: &[],
    };
    if let Some(client) = client {
        plan_callbacks(ground, &seen, client.client.id, &mut plan);
    }
    (plan, DealLink { open: false, fingerprint: String::new(), ..link.clone() })
}

fn next_link(ground: &Ground, seen: &DealSeen<'_>) -> DealLink {
    let lead = seen.lead;
    let before = seen.link;
    let mut bases = before.map(|link| link.bases.clone()).unwrap_or_default();
    if before.is_some_and(|link| is_with_another_client(seen, link)) {
        // Pairs that are not mapped at present: should they be again, the former client's words are none of this one's.
        bases.retain(|key, _| !speaks_of_client(key) || ground.lead_rules.iter().any(|rule| rule.key == *key));
    }
    DealLink {
        lead: lead.id,
        contact: lead.person(),
        client: client_of(seen),
        spoke: place(seen),
        order: before.and_then(|link| link.order),
        ordered: before.is_some_and(|link| link.ordered),
        stage: Some((lead.pipeline, lead.status)),
        state: before.and_then(|link| link.state),
        responsible: lead.responsible,
        open: lead.is_open(),
        version: lead.updated_at,
        fingerprint: ground.lead_fingerprint(lead),
        bases,
        revision: before.map_or(0, |link| link.revision),
    }
}

/// True for the key of a pair with something of the client.
fn speaks_of_client(rule: &str) -> bool {
    rule.rsplit_once('=').is_some_and(|(_, salebot)| salebot.starts_with("client."))
}

/// Whose order it is, else whose variables speak of it.
fn client_of(seen: &DealSeen<'_>) -> Option<ClientId> {
    let (bound, now) = (seen.link.and_then(|link| link.client), seen.client.map(|client| client.client.id));
    if seen.link.is_some_and(|link| link.ordered) { bound.or(now) } else { now.or(bound) }
}

/// True once its client is not the one whose variables it spoke in.
fn is_with_another_client(seen: &DealSeen<'_>, link: &DealLink) -> bool {
    !link.ordered && link.client.zip(seen.client).is_some_and(|(before, now)| before != now.client.id)
}

/// The client whose variables it spoke in, once that is another one.
pub fn former_client(seen: &DealSeen<'_>) -> Option<ClientId> {
    seen.link.filter(|link| is_with_another_client(seen, link)).and_then(|link| link.client)
}

/// Its place among those that have had the word, once it is planned; in the variables of another client it has had none.
fn place(seen: &DealSeen<'_>) -> u64 {
    let before = seen.link.filter(|link| !is_with_another_client(seen, link)).map_or(0, |link| link.spoke);
    let speaks = seen.is_current && seen.client.is_some();
    if speaks && before <= seen.spoken() { seen.spoken().saturating_add(1) } else { before }
}

impl<'a> DealSeen<'a> {
    /// The contact's other leads that have had the word in this client's variables.
    fn speakers(&self) -> impl Iterator<Item = &'a DealLink> {
        let client = self.client.map(|client| client.client.id);
        let others = siblings(self.lead.id, self.lead.person(), self.siblings);
        others.filter(move |deal| deal.spoke > 0 && deal.client == client)
    }

    /// The place of the last of them; 0: there is none.
    fn spoken(&self) -> u64 {
        self.speakers().map(|deal| deal.spoke).max().unwrap_or_default()
    }

    /// True for a lead that a bot had made, and that was not looked at since.
    fn is_made_by_bot(&self) -> bool {
        self.link.is_some_and(|link| link.stage.is_none())
    }
}

/// True for a lead that was known and has the word in these variables again, or for the first time in this client's: what
/// they hold is not about it.
fn takes_the_word(seen: &DealSeen<'_>) -> bool {
    let (Some(link), Some(_), true) = (seen.link, seen.client, seen.is_current) else { return false };
    is_with_another_client(seen, link) || link.spoke == 0 || link.spoke < seen.spoken()
}

/// True where what the variable holds was left there by another lead: it says nothing of this one, which never told it
/// anything. What a bot said may be about the lead that it had made next, also where it was carried to the one before; and a
/// variable that no lead tells anything speaks of the client.
fn is_left_behind(seen: &DealSeen<'_>, rule: &ResolvedRule, text: Option<&Content>) -> bool {
    let (Some(text), true) = (text, seen.is_current && rule.rule.direction.writes_salebot()) else { return false };
    let holds = |base: &Base| {
        let is_seen = base.salebot.as_ref() == Some(text);
        let is_told = base.sent_salebot.contains(text) || is_seen && base.flips.last == Some(Side::Salebot);
        is_told || is_seen && !seen.is_made_by_bot()
    };
    seen.speakers().filter_map(|speaker| speaker.bases.get(&rule.key)).any(holds)
}

/// Who wins where both sides changed. What was said while another lead had the word replaces nothing in this one that it was
/// not said of.
fn owner(seen: &DealSeen<'_>, rule: &ResolvedRule, is_first: bool) -> Owner {
    let is_of_client = matches!(rule.rule.salebot, SalebotField::Client(_));
    let is_anothers = is_first && is_of_client && !seen.is_made_by_bot() && seen.speakers().next().is_some();
    if is_anothers { Owner::Amo } else { rule.rule.owner }
}

/// The base of a pair that is to be told anew: as if both sides had agreed on what the variable holds, so that what amoCRM
/// has is the only edit.
fn retold(rule: &ResolvedRule, before: &Base, text: Option<&Content>) -> Base {
    let flips = before.flips;
    let Some(text) = text else { return Base { flips, ..Base::default() } };
    let held = text.first().and_then(|text| shape::from_salebot(&rule.slot.form, text).ok()).unwrap_or_default();
    Base { amo: Some(held), salebot: Some(text.clone()), flips, ..Base::default() }
}

/// The mark in an order's description by which an order whose answer was lost is found again.
pub fn order_mark(lead: LeadId) -> String {
    format!("amoCRM lead {lead}")
}

/// The order is made for an open lead that has none.
fn plan_order(ground: &Ground, lead: &Lead, client: ClientId, link: &mut DealLink, plan: &mut Plan) {
    if link.order.is_some() || link.ordered || !lead.is_open() {
        return;
    }
    let state = ground.policy.orders.state_for(lead.pipeline, lead.status);
    (link.ordered, link.state) = (true, state);
    let (name, budget) = (lead.name.clone(), lead.price);
    let confirms = agreed_at_first(ground, lead);
    plan.actions.push((None, Action::CreateOrder { client, lead: lead.id, name, budget, state, confirms }));
}

/// Pairs that a new order is made with.
fn agreed_at_first(ground: &Ground, lead: &Lead) -> Vec<Confirm> {
    let (nothing, unseen) = (Content::new(), Base::default());
    let agreed = |rule: &ResolvedRule| {
        let SalebotField::Order(name) = &rule.rule.salebot else { return None };
        let made_with = match name.as_str() {
            "name" => lead.name.clone(),
            "budget" => lead.price.to_string(),
            _ => return None,
        };
        let amo = shape::read(&rule.slot, Record::Lead(lead), &ground.zone);
        let merged = merge::merge(Pair {
            form: &rule.slot.form,
            direction: Direction::ToSalebot,
            owner: rule.rule.owner,
            region: ground.region(),
            amo: &amo,
            salebot: Some(&nothing),
            base: &unseen,
        });
        let (_, base) = merged.write_salebot.filter(|(content, _)| content.first() == Some(&made_with))?;
        Some(Confirm { link: LinkRef::Lead(lead.id), rule: rule.key.clone(), base, replaced: None })
    };
    ground.lead_rules.iter().filter_map(agreed).collect()
}

/// Mapped values of the lead: with the order's variables, and with the client's where this is the
/// client's current lead.
fn plan_values(ground: &Ground, seen: &DealSeen<'_>, client: ClientId, plan: &mut Plan) {
    let mut edits: Vec<Edit> = Vec::new();
    let mut edit_confirms = Vec::new();
    let mut of_client = (Variables::new(), Vec::new());
    let mut of_order = (Variables::new(), Vec::new());
    for rule in &ground.lead_rules {
        // With what the pairs before want written: several may add to one list.
        let lead = applied(seen.lead, &edits);
        let Some(merged) = merge_rule(ground, rule, seen, &lead, client) else { continue };
        let link = LinkRef::Lead(seen.lead.id);
        plan.note(link, &lead_key(seen.lead.id), rule, &merged);
        let edit = merged.write_amo.and_then(|(content, base)| {
            plan.cleared += u64::from(content.is_empty());
            let edit = shape::edit(&rule.slot, &content, Some(Record::Lead(&lead)), ground.region())?;
            let before = shape::read(&rule.slot, Record::Lead(&lead), &ground.zone);
            Some((edit, base, Replaced { before: Some(before), after: content }))
        });
        if let Some((edit, base, replaced)) = edit {
            push_edit(&mut edits, &rule.slot, ground.with_named_kinds(edit));
            edit_confirms.push(Confirm { link, rule: rule.key.clone(), base, replaced: Some(replaced) });
        }
        let (target, name) = match &rule.rule.salebot {
            SalebotField::Client(name) => (&mut of_client, name),
            SalebotField::Order(name) => (&mut of_order, name),
            SalebotField::Fact(_) => continue,
        };
        if let Some((content, base)) = merged.write_salebot {
            plan.cleared += u64::from(content.is_empty());
            target.0.insert(name.clone(), content.first().cloned().unwrap_or_default());
            let known = seen.link.and_then(|link| link.bases.get(&rule.key)).and_then(|base| base.salebot.clone());
            let before = salebot_content(ground, rule, seen, client).flatten().or(known);
            let replaced = Some(Replaced { before, after: content });
            target.1.push(Confirm { link, rule: rule.key.clone(), base, replaced });
        }
    }
    if let Some((edit, confirm)) =
        ground.policy.orders.enabled.then(|| stage::plan(ground, seen, client, plan)).flatten()
    {
        edits.push(edit);
        edit_confirms.push(confirm);
    }
    let lead = seen.lead.id;
    let update = (!edits.is_empty()).then(|| Action::UpdateLead {
        lead,
        seen: edited_fingerprint(seen.lead, &edits),
        edits,
        confirms: edit_confirms,
    });
    plan.fill(format!("{}/values", lead_key(lead)), update);
    let (variables, confirms) = of_client;
    let save = (!variables.is_empty()).then_some(Action::SaveVariables { client, variables, confirms });
    plan.fill(slot_of_client(client, lead), save);
    if let Some(order) = seen.link.and_then(|link| link.order) {
        let (variables, confirms) = of_order;
        let set =
            (!variables.is_empty()).then_some(Action::SetOrderVariables { client, order, lead, variables, confirms });
        plan.fill(format!("order:{order}/values"), set);
    }
}

/// The slot of what a client is to be told of a lead.
fn slot_of_client(client: ClientId, lead: LeadId) -> String {
    format!("{}/{}", client_key(client), lead_key(lead))
}

/// What Salebot has for a pair of a lead: `None` where the other side of it does not exist, or speaks of another lead;
/// `Some(None)` where it was not read.
pub(super) fn salebot_content(
    ground: &Ground,
    rule: &ResolvedRule,
    seen: &DealSeen<'_>,
    client: ClientId,
) -> Option<Option<Content>> {
    let order = seen.link.and_then(|link| link.order);
    Some(match &rule.rule.salebot {
        SalebotField::Client(_) if !seen.is_current => return None,
        SalebotField::Client(name) => {
            seen.variables.map(|variables| variables.get(name).cloned().into_iter().collect())
        }
        SalebotField::Order(name) => {
            order?;
            seen.order.map(|order| order.variables.get(name).cloned().into_iter().collect())
        }
        SalebotField::Fact(Fact::OrderId) => Some(vec![format!("{client}-{}", order?)]),
        SalebotField::Fact(fact) => Some(
            seen.client
                .and_then(|link| super::ground::client_fact(&link.client, *fact, &ground.zone))
                .into_iter()
                .collect(),
        ),
    })
}

/// A lead as it will be.
fn applied<'a>(lead: &'a Lead, edits: &[Edit]) -> Cow<'a, Lead> {
    if edits.is_empty() {
        return Cow::Borrowed(lead);
    }
    let mut after = lead.clone();
    apply::to_lead(&mut after, edits);
    Cow::Owned(after)
}

/// One pair; none where the other side of it does not exist, or speaks of another lead. `lead`: with what is to be written
/// to it already.
fn merge_rule(
    ground: &Ground,
    rule: &ResolvedRule,
    seen: &DealSeen<'_>,
    lead: &Lead,
    client: ClientId,
) -> Option<Merged> {
    let text = salebot_content(ground, rule, seen, client)?;
    let observed = shape::read(&rule.slot, Record::Lead(seen.lead), &ground.zone);
    let amo = shape::read(&rule.slot, Record::Lead(lead), &ground.zone);
    let empty = Default::default();
    let bases = seen.link.map_or(&empty, |link| &link.bases);
    let doubts = Doubts { link: LinkRef::Lead(seen.lead.id), key: &rule.key, confirms: seen.in_doubt };
    let is_of_client = matches!(rule.rule.salebot, SalebotField::Client(_));
    let base = match bases.get(&rule.key) {
        Some(before) if is_of_client && takes_the_word(seen) => retold(rule, before, text.as_ref()),
        None if is_of_client && is_left_behind(seen, rule, text.as_ref()) => {
            retold(rule, &Base::default(), text.as_ref())
        }
        _ => doubts.base(bases, &observed, text.as_ref()),
    };
    let mut merged = merge::merge(Pair {
        form: &rule.slot.form,
        direction: rule.rule.direction,
        owner: owner(seen, rule, !bases.contains_key(&rule.key)),
        region: ground.region(),
        amo: &amo,
        salebot: text.as_ref(),
        base: &base,
    });
    if merged.base.is_none() && bases.get(&rule.key) != Some(&base) {
        merged.base = Some(base);
    }
    if text.is_none() || seen.lead.is_deleted {
        merged.write_amo = None;
    }
    Some(merged)
}

/// Callbacks for what happened to the lead since it was last seen.
fn plan_callbacks(ground: &Ground, seen: &DealSeen<'_>, client: ClientId, plan: &mut Plan) {
    let names = CallbackNames {
        contact: seen.contact.map(|contact| contact_names(ground, contact)).unwrap_or_default(),
        lead: lead_names(ground, seen.lead),
    };
    let events = events(ground, seen);
    for event in &events {
        for trigger in ground.policy.triggers.iter().filter(|trigger| fits(trigger, *event, seen.lead)) {
            callback(plan, client, &lead_key(seen.lead.id), trigger, &names);
        }
    }
    let closed = events.contains(&TriggerEvent::LeadStage) && seen.lead.status.is_closed() && !seen.lead.is_deleted;
    let unmapped =
        ground.policy.orders.enabled && ground.policy.orders.state_for(seen.lead.pipeline, seen.lead.status).is_none();
    let told = ground.policy.triggers.iter().any(|trigger| fits(trigger, TriggerEvent::LeadStage, seen.lead));
    if closed && unmapped && !told && seen.link.is_some_and(|link| link.ordered) {
        // Salebot's API cannot close an order (reference, what it cannot do): a bot block has to.
        let word = if seen.lead.status == crate::core::id::StatusId::WON { "won" } else { "lost" };
        plan.actions.push((None, Action::Callback { client, text: format!("amo_lead_{word} {}", seen.lead.id) }));
    }
}

/// What happened. A lead that gets its first client is news only if it was made a short while ago; one that a bot made
/// is none.
fn events(ground: &Ground, seen: &DealSeen<'_>) -> Vec<TriggerEvent> {
    let lead = seen.lead;
    let is_untold = seen.link.is_none_or(|link| link.client.is_none() && link.stage.is_some());
    if seen.is_news && is_untold {
        return if lead.is_deleted { Vec::new() } else { vec![TriggerEvent::LeadCreated] };
    }
    let Some(before) = seen.link.filter(|link| link.stage.is_some()) else { return Vec::new() };
    if lead.is_deleted {
        let was_known = before.open;
        return if was_known { vec![TriggerEvent::LeadDeleted] } else { Vec::new() };
    }
    let mut events = Vec::new();
    if before.stage != Some((lead.pipeline, lead.status)) && !stage::is_ours(ground, seen) {
        events.push(TriggerEvent::LeadStage);
    }
    if before.responsible != lead.responsible {
        events.push(TriggerEvent::LeadResponsible);
    }
    events
}

fn fits(trigger: &Trigger, event: TriggerEvent, lead: &Lead) -> bool {
    trigger.on == event
        && trigger.pipeline.is_none_or(|pipeline| pipeline == lead.pipeline)
        && trigger.status.is_none_or(|status| status == lead.status)
}

/// Renders and adds a callback; a template that fails becomes a notice.
pub fn callback(plan: &mut Plan, client: ClientId, subject: &str, trigger: &Trigger, names: &CallbackNames) {
    match template::render(&trigger.callback, names) {
        Ok(text) if !text.trim().is_empty() => {
            plan.actions.push((None, Action::Callback { client, text: text.trim().to_owned() }))
        }
        Ok(_) => {}
        Err(reason) => plan.notices.push(Notice {
            subject: subject.to_owned(),
            kind: "notice",
            detail: json!({ "trigger": reason }),
        }),
    }
}

/// A contact's names for a callback.
pub fn contact_names(ground: &Ground, contact: &Contact) -> ContactNames {
    let first = |code: &str| {
        let id = shape::system_field(&ground.account, code).ok();
        let element = id.and_then(|id| contact.fields.get(&id)).and_then(|elements| elements.first());
        element.map(|element| element.value.clone()).unwrap_or_default()
    };
    ContactNames {
        id: contact.id.to_string(),
        name: contact.name.clone(),
        phone: first("PHONE"),
        email: first("EMAIL"),
        responsible: user_name(ground, contact.responsible),
    }
}

fn lead_names(ground: &Ground, lead: &Lead) -> LeadNames {
    let pipeline = ground.account.pipelines.get(&lead.pipeline);
    let stage = pipeline.and_then(|pipeline| pipeline.statuses.get(&lead.status)).cloned();
    LeadNames {
        id: lead.id.to_string(),
        name: lead.name.clone(),
        price: lead.price.to_string(),
        pipeline: pipeline.map_or_else(|| lead.pipeline.to_string(), |pipeline| pipeline.name.clone()),
        pipeline_id: lead.pipeline.to_string(),
        stage: stage.unwrap_or_else(|| lead.status.to_string()),
        status_id: lead.status.to_string(),
        responsible: user_name(ground, lead.responsible),
    }
}

fn user_name(ground: &Ground, user: Option<crate::core::id::UserId>) -> String {
    user.map(|user| ground.account.users.get(&user).cloned().unwrap_or_else(|| user.to_string())).unwrap_or_default()
}

/// Fingerprint of what a lead holds in the places that edits are to change.
pub fn edited_fingerprint(lead: &Lead, edits: &[Edit]) -> String {
    let held = |edit: &Edit| match edit {
        Edit::Name(_) => fingerprint::of(&lead.name),
        Edit::Tags(_) => fingerprint::of(&lead.tags),
        Edit::Responsible(_) => fingerprint::of(&lead.responsible),
        Edit::Price(_) => fingerprint::of(&lead.price),
        Edit::Stage { .. } => fingerprint::of(&(lead.pipeline, lead.status)),
        Edit::Field { id, .. } => fingerprint::of(&lead.fields.get(id)),
        Edit::FirstName(_) | Edit::LastName(_) | Edit::CompanyName(_) | Edit::Contact(_) => String::new(),
    };
    fingerprint::of(&edits.iter().map(held).collect::<Vec<_>>())
}

/// Whose order it is: the one it became, else the person's client that wrote last.
pub fn chosen_client<'a>(
    link: Option<&DealLink>,
    contact: Option<ContactId>,
    clients: &'a [ClientLink],
) -> Option<&'a ClientLink> {
    let own = clients
        .iter()
        .filter(|client| contact.is_some() && client.contact == contact && !client.client.is_group_chat());
    let bound = link.and_then(|link| Some((link.client?, link.ordered)));
    let bound_client = bound.and_then(|(bound, ordered)| {
        clients.iter().find(|client| client.client.id == bound && (ordered || client.contact == contact))
    });
    bound_client.or_else(|| own.max_by_key(|client| (client.last_message_at, client.client.id)))
}

/// A lead that is shown now, as others of its contact see it: whose it is, and whether it is open.
pub fn shown(lead: &Lead, link: Option<&DealLink>) -> DealLink {
    let known = link.cloned().unwrap_or_else(|| DealLink::new(lead.id));
    DealLink { contact: lead.person(), open: lead.is_open(), ..known }
}

/// The other leads of its contact.
fn siblings(lead: LeadId, contact: Option<ContactId>, deals: &[DealLink]) -> impl Iterator<Item = &DealLink> {
    deals.iter().filter(move |deal| deal.contact == contact && deal.lead != lead)
}

/// Those who had the word in the same variables before a lead did that is with another contact now: what the variables hold
/// is not about them.
pub fn outspoken<'a>(before: &'a DealLink, deals: &'a [DealLink]) -> impl Iterator<Item = &'a DealLink> {
    let others = siblings(before.lead, before.contact, deals).filter(|deal| deal.client == before.client);
    others.filter(|deal| (1..before.spoke).contains(&deal.spoke))
}

/// The newest open lead of the contact of one that is closed.
pub fn next_speaker(closed: &DealLink, deals: &[DealLink]) -> Option<LeadId> {
    closed.contact?;
    siblings(closed.lead, closed.contact, deals).filter(|deal| deal.open).map(|deal| deal.lead).max()
}

/// True when the client's variables speak of this lead: it is the newest open one of the client's contact. `deals`: those of
/// the contact that are known.
pub fn is_current(lead: &Lead, client: Option<&ClientLink>, deals: &[DealLink]) -> bool {
    let others = siblings(lead.id, lead.person(), deals).filter(|deal| deal.open);
    let is_its_clients = client.is_some_and(|client| client.contact.is_some() && client.contact == lead.person());
    is_its_clients && lead.is_open() && others.map(|deal| deal.lead).max() < Some(lead.id)
}
