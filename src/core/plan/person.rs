//! A contact and its clients: every mapped value, both ways.

use super::ground::{Ground, client_fact};
use super::{Doubts, Plan, ResolvedRule, push_edit};
use crate::core::action::{Action, Confirm, Edit, LinkRef, Replaced, Side, client_key, contact_key};
use crate::core::apply;
use crate::core::fingerprint;
use crate::core::id::ClientId;
use crate::core::link::{Base, ClientLink, Content};
use crate::core::merge::{self, Merged, Pair};
use crate::core::model::{Contact, Variables};
use crate::core::selector::SalebotField;
use crate::core::shape::{self, Record};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A client as it was seen.
#[derive(Debug, Clone, Copy)]
pub struct ClientSeen<'a> {
    /// What is remembered of it.
    pub link: &'a ClientLink,
    /// Its variables; none where they were not read.
    pub variables: Option<&'a Variables>,
}

/// A person as seen on both sides.
#[derive(Debug, Clone, Copy)]
pub struct PersonSeen<'a> {
    /// The contact.
    pub contact: &'a Contact,
    /// Its clients, in any order.
    pub clients: &'a [ClientSeen<'a>],
    /// Confirmations of writes that were tried and whose outcome is not known.
    pub in_doubt: &'a [Confirm],
}

/// Plans a person.
pub fn plan(ground: &Ground, seen: PersonSeen<'_>) -> Plan {
    let mut clients: Vec<_> = seen.clients.to_vec();
    clients.sort_by_key(|client| client.link.client.id);
    let mut writes = Writes::default();
    let mut plan = Plan::default();
    // Without a client there is nothing to compare with; most contacts of a first import have none.
    for rule in ground.contact_rules.iter().filter(|_| !clients.is_empty()) {
        let at = Standing { seen: &seen, contact: writes.applied_to(seen.contact) };
        plan_rule(ground, rule, &at, &clients, &mut writes, &mut plan);
    }
    writes.into_actions(&seen, &clients, &mut plan);
    plan
}

/// A person while pairs are planned one after the other.
struct Standing<'a> {
    /// What was seen.
    seen: &'a PersonSeen<'a>,
    /// The contact with what the pairs before want written: several may add to one list.
    contact: Cow<'a, Contact>,
}

impl Standing<'_> {
    fn record(&self) -> Record<'_> {
        Record::Contact(&self.contact)
    }
}

/// Writes gathered over all pairs.
#[derive(Default)]
struct Writes {
    edits: Vec<Edit>,
    edit_confirms: Vec<Confirm>,
    variables: BTreeMap<ClientId, (Variables, Vec<Confirm>)>,
}

/// One pair over all clients. Clients that change the contact go first, each on top of the other;
/// the rest then follows what the contact will hold.
fn plan_rule(
    ground: &Ground,
    rule: &ResolvedRule,
    at: &Standing<'_>,
    clients: &[ClientSeen<'_>],
    writes: &mut Writes,
    plan: &mut Plan,
) {
    let mut content = shape::read(&rule.slot, at.record(), &ground.zone);
    let mut confirms: Vec<(ClientSeen<'_>, Confirm)> = Vec::new();
    let has_written = |confirms: &[(ClientSeen<'_>, Confirm)], client: &ClientSeen<'_>| {
        confirms.iter().any(|(writer, _)| writer.link.client.id == client.link.client.id)
    };
    // One client's write can be what another one has to say something about; each speaks once.
    while let Some((client, merged, written, base)) = clients
        .iter()
        .filter(|client| !has_written(&confirms, client))
        .find_map(|client| writer(ground, rule, at, *client, &content))
    {
        let link = LinkRef::Client(client.link.client.id);
        plan.note(link, &client_key(client.link.client.id), rule, &merged);
        follow(ground, rule, client, merged, writes, plan);
        confirms.push((client, Confirm { link, rule: rule.key.clone(), base, replaced: None }));
        content = written;
    }
    for client in clients.iter().filter(|client| !has_written(&confirms, client)) {
        let merged = refused_once(merge_client(ground, rule, at.seen, *client, &content));
        plan.note(LinkRef::Client(client.link.client.id), &client_key(client.link.client.id), rule, &merged);
        follow(ground, rule, *client, merged, writes, plan);
    }
    write_contact(ground, rule, at, &content, confirms, writes, plan);
}

/// What a client wants written to the contact, if amoCRM has a way to take it.
fn writer<'a>(
    ground: &Ground,
    rule: &ResolvedRule,
    at: &Standing<'_>,
    client: ClientSeen<'a>,
    content: &Content,
) -> Option<(ClientSeen<'a>, Merged, Content, Base)> {
    let merged = merge_client(ground, rule, at.seen, client, content);
    let (written, base) = merged.write_amo.clone()?;
    shape::edit(&rule.slot, &written, Some(at.record()), ground.region())?;
    Some((client, merged, written, base))
}

/// The contact's part of a pair: one edit for what the last client wrote on top of the others.
fn write_contact(
    ground: &Ground,
    rule: &ResolvedRule,
    at: &Standing<'_>,
    content: &Content,
    confirms: Vec<(ClientSeen<'_>, Confirm)>,
    writes: &mut Writes,
    plan: &mut Plan,
) {
    if confirms.is_empty() {
        return;
    }
    plan.cleared += u64::from(content.is_empty());
    let before = shape::read(&rule.slot, at.record(), &ground.zone);
    for (client, mut confirm) in confirms {
        confirm.replaced = Some(Replaced { before: Some(before.clone()), after: content.clone() });
        if confirm.base.amo.as_ref() != Some(content) {
            overwritten(ground, rule, client, content, &mut confirm, writes, plan);
        }
        writes.edit_confirms.push(confirm);
    }
    if let Some(edit) = shape::edit(&rule.slot, content, Some(at.record()), ground.region()) {
        push_edit(&mut writes.edits, &rule.slot, ground.with_named_kinds(edit));
    }
}

/// Another client wrote on top of what this one wrote: to this one that is a change in amoCRM, and
/// it follows at once.
fn overwritten(
    ground: &Ground,
    rule: &ResolvedRule,
    client: ClientSeen<'_>,
    content: &Content,
    confirm: &mut Confirm,
    writes: &mut Writes,
    plan: &mut Plan,
) {
    confirm.base.sent_amo.clear();
    let merged = merge_with(ground, rule, client, content, &confirm.base);
    if let Some(base) = &merged.base {
        confirm.base = base.clone();
    }
    if let (Some(_), Some(lost)) = (&merged.write_salebot, confirm.base.salebot.clone()) {
        let lost = Merged { lost: Some((Side::Salebot, lost)), ..Merged::default() };
        plan.note(confirm.link, &client_key(client.link.client.id), rule, &lost);
    }
    follow(ground, rule, client, merged, writes, plan);
}

/// A value that amoCRM has no way to take counts as seen, so that it is refused once and not in every pass.
fn refused_once(mut merged: Merged) -> Merged {
    if let Some((_, wanted)) = merged.write_amo.take() {
        let held = merged.base.take().unwrap_or_default();
        merged.base = Some(Base { salebot: wanted.salebot, ..held });
        merged.refused.get_or_insert_with(|| "amoCRM has no way to take it".to_owned());
    }
    merged
}

fn merge_client(
    ground: &Ground,
    rule: &ResolvedRule,
    seen: &PersonSeen<'_>,
    client: ClientSeen<'_>,
    amo: &Content,
) -> Merged {
    let doubts = Doubts { link: LinkRef::Client(client.link.client.id), key: &rule.key, confirms: seen.in_doubt };
    let observed = shape::read(&rule.slot, Record::Contact(seen.contact), &ground.zone);
    let base = doubts.base(&client.link.bases, &observed, salebot_content(ground, rule, client).as_ref());
    let mut merged = merge_with(ground, rule, client, amo, &base);
    if merged.base.is_none() && client.link.bases.get(&rule.key) != Some(&base) {
        merged.base = Some(base);
    }
    merged
}

/// What Salebot has: none where it was not read.
pub(super) fn salebot_content(ground: &Ground, rule: &ResolvedRule, client: ClientSeen<'_>) -> Option<Content> {
    match &rule.rule.salebot {
        SalebotField::Client(name) => Some(client.variables?.get(name).cloned().into_iter().collect()),
        SalebotField::Fact(fact) => Some(client_fact(&client.link.client, *fact, &ground.zone).into_iter().collect()),
        SalebotField::Order(_) => None,
    }
}

fn merge_with(ground: &Ground, rule: &ResolvedRule, client: ClientSeen<'_>, amo: &Content, base: &Base) -> Merged {
    if matches!(rule.rule.salebot, SalebotField::Order(_)) {
        return Merged::default();
    }
    let salebot = salebot_content(ground, rule, client);
    merge::merge(Pair {
        form: &rule.slot.form,
        direction: rule.rule.direction,
        owner: rule.rule.owner,
        region: ground.region(),
        amo,
        salebot: salebot.as_ref(),
        base,
    })
}

/// Takes the write to the client's variable, if there is one.
fn follow(
    ground: &Ground,
    rule: &ResolvedRule,
    client: ClientSeen<'_>,
    merged: Merged,
    writes: &mut Writes,
    plan: &mut Plan,
) {
    let SalebotField::Client(name) = &rule.rule.salebot else { return };
    let Some((content, base)) = merged.write_salebot else { return };
    let text = content.first().cloned().unwrap_or_default();
    if text.is_empty() {
        plan.cleared += 1;
    }
    let known = || client.link.bases.get(&rule.key).and_then(|base| base.salebot.clone());
    let before = salebot_content(ground, rule, client).or_else(known);
    let replaced = Some(Replaced { before, after: content });
    let client = client.link.client.id;
    let (variables, confirms) = writes.variables.entry(client).or_default();
    variables.insert(name.clone(), text);
    confirms.push(Confirm { link: LinkRef::Client(client), rule: rule.key.clone(), base, replaced });
}

impl Writes {
    /// The contact as it will be.
    fn applied_to<'a>(&self, contact: &'a Contact) -> Cow<'a, Contact> {
        if self.edits.is_empty() {
            return Cow::Borrowed(contact);
        }
        let mut after = contact.clone();
        apply::to_contact(&mut after, &self.edits);
        Cow::Owned(after)
    }

    fn into_actions(mut self, seen: &PersonSeen<'_>, clients: &[ClientSeen<'_>], plan: &mut Plan) {
        let update = (!self.edits.is_empty()).then(|| Action::UpdateContact {
            contact: seen.contact.id,
            seen: edited_fingerprint(seen.contact, &self.edits),
            edits: self.edits,
            confirms: self.edit_confirms,
        });
        plan.fill(format!("{}/values", contact_key(seen.contact.id)), update);
        for client in clients {
            let id = client.link.client.id;
            let save = self.variables.remove(&id).map(|(variables, confirms)| Action::SaveVariables {
                client: id,
                variables,
                confirms,
            });
            plan.fill(slot_of_client(id), save);
        }
    }
}

/// The slot of what a client is to be told of its contact.
pub fn slot_of_client(client: ClientId) -> String {
    format!("{}/contact", client_key(client))
}

/// Fingerprint of what a contact holds in the places that edits are to change: equal as long as
/// nobody else touched them.
pub fn edited_fingerprint(contact: &Contact, edits: &[Edit]) -> String {
    let held = |edit: &Edit| match edit {
        Edit::Name(_) => fingerprint::of(&contact.name),
        Edit::FirstName(_) => fingerprint::of(&contact.first_name),
        Edit::LastName(_) => fingerprint::of(&contact.last_name),
        Edit::Tags(_) => fingerprint::of(&contact.tags),
        Edit::Responsible(_) => fingerprint::of(&contact.responsible),
        Edit::CompanyName(_) => fingerprint::of(&contact.company),
        Edit::Field { id, .. } => fingerprint::of(&contact.fields.get(id)),
        Edit::Contact(_) | Edit::Price(_) | Edit::Stage { .. } => String::new(),
    };
    fingerprint::of(&edits.iter().map(held).collect::<Vec<_>>())
}
