//! The values a run wrote, put back where nobody has edited them since.
//!
//! Three inputs for each value, as in a merge: what stood there before the run, what the run wrote, and what stands
//! there now. Only a value that is as the run left it is put back. The other side of its pair is left alone: the run
//! did not change it. So that the pair does not carry either value over again, it rests (`Base::undone`) until
//! somebody edits one of its sides.

use super::ground::Ground;
use super::stage::STAGE_PAIR;
use super::{deal, is_identifier, person, push_edit};
use crate::core::action::{Action, Confirm, Edit, LinkRef, Replaced, Side};
use crate::core::id::{ClientId, OrderId};
use crate::core::link::{Base, Bases, ClientLink, Content, DealLink};
use crate::core::merge;
use crate::core::model::{Contact, Lead, Order, Variables};
use crate::core::run::{Target, Written, WroteLine};
use crate::core::selector::AmoField;
use crate::core::shape::{self, Form, Place, Record, Slot};
use crate::core::undo::{Line, What};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// A value that a run changed, over all its writes to that place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The pair that led to it (`Rule::key`); the first of several.
    pub rule: String,
    /// What stood there before; none where nobody had read it.
    pub before: Option<Content>,
    /// What the run left there.
    pub after: Content,
}

/// A record as it is now.
#[derive(Debug, Clone, Copy)]
pub enum Now<'a> {
    /// A contact.
    Contact(&'a Contact),
    /// A lead.
    Lead(&'a Lead),
    /// A client's variables.
    Client(&'a Variables),
    /// An order.
    Order(&'a Order),
}

/// What is remembered around a record.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The clients whose pairs may stand on it.
    pub clients: &'a [ClientLink],
    /// The deals whose pairs may stand on it.
    pub deals: &'a [DealLink],
    /// Confirmations of writes to it that wait or are under way.
    pub waiting: &'a [Confirm],
}

/// What is decided about a record.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decided {
    /// The write that puts its values back, and its slot.
    pub action: Option<(String, Action)>,
    /// What becomes of each value.
    pub lines: Vec<Line>,
}

impl Changed {
    /// The order's variable of its pair, which need not be mapped any more.
    pub fn order_variable(&self) -> Option<&str> {
        let (_, salebot) = self.rule.rsplit_once('=')?;
        salebot.strip_prefix("order.")
    }
}

/// What an undo decided before it was stopped, from its own writes that wait and its own lines of the journal. Its place moves page by page, and it
/// may have been killed within one: then a value that it wrote, and that somebody edited again since, must not be taken
/// for one that waits for it.
#[derive(Debug, Clone, Default)]
pub struct Earlier {
    /// The places it wrote to.
    wrote: BTreeSet<(Target, String)>,
    /// The values it left.
    left: BTreeMap<(Target, String), Line>,
}

impl Earlier {
    /// It wrote these, or is about to, or came too late to.
    pub fn wrote(&mut self, line: &WroteLine) {
        let places = line.values.iter().map(|value| (line.target, line.target.place(&value.rule).to_owned()));
        self.wrote.extend(places);
    }

    /// It left this one.
    pub fn left(&mut self, line: Line) {
        self.left.insert((line.target, line.place.clone()), line);
    }

    /// True for a record that was decided before; then that is what is told, and nothing is written.
    pub fn settles(&self, target: Target, decided: &mut Decided) -> bool {
        let of = |place: &str| (target, place.to_owned());
        let is_ours = |place: &str| self.wrote.contains(&of(place));
        let is_known = |line: &Line| is_ours(&line.place) || self.left.contains_key(&of(&line.place));
        if !decided.lines.iter().any(is_known) {
            return false;
        }
        for line in &mut decided.lines {
            if is_ours(&line.place) {
                (line.what, line.told) = (What::PutBack, String::new());
            } else if let Some(left) = self.left.get(&of(&line.place)) {
                line.clone_from(left);
            } else if line.what == What::PutBack {
                (line.what, line.told) = (What::Edited, EDITED.to_owned());
            }
        }
        decided.action = None;
        true
    }
}

/// Why an edited value is left.
const EDITED: &str = "it was edited since";

/// Gathers what a run wrote, record by record. `lines` are its lines of the journal, oldest first. Of a place that was
/// written several times the value before the first write and after the last one count, unless somebody edited it in
/// between: then their edit is what stood there before.
pub fn gathered(ground: &Ground, lines: impl IntoIterator<Item = WroteLine>) -> BTreeMap<Target, Vec<Changed>> {
    let mut places: BTreeMap<(Target, String), Changed> = BTreeMap::new();
    for line in lines {
        // Several pairs may stand on one place; it was written once.
        let mut written = BTreeSet::new();
        for value in line.values.into_iter().filter(|value| !is_identifier(&value.rule)) {
            let place = (line.target, line.target.place(&value.rule).to_owned());
            if written.insert(place.1.clone()) {
                add(ground, places.entry(place), value);
            }
        }
    }
    let mut all: BTreeMap<Target, Vec<Changed>> = BTreeMap::new();
    for ((target, _), changed) in places {
        if changed.before.as_ref() != Some(&changed.after) {
            all.entry(target).or_default().push(changed);
        }
    }
    all
}

fn add(ground: &Ground, place: Entry<'_, (Target, String), Changed>, value: Written) {
    let Written { rule, before, after, .. } = value;
    match place {
        Entry::Vacant(place) => drop(place.insert(Changed { rule, before, after })),
        Entry::Occupied(mut place) => {
            let held = place.get_mut();
            let form = slot_of(ground, &rule).map_or(Form::Text { chars_max: None }, |slot| slot.form);
            let is_left = |before: &Content| merge::is_as_left(&form, ground.region(), &held.after, before);
            if before.as_ref().is_some_and(|before| !is_left(before)) {
                held.before = before;
            }
            held.after = after;
        }
    }
}

/// Where a pair stands in amoCRM, whether the mapping still has it or not.
fn slot_of(ground: &Ground, rule: &str) -> Result<Slot, String> {
    let amo = rule.rsplit_once('=').and_then(|(amo, _)| amo.parse::<AmoField>().ok());
    let amo = amo.ok_or_else(|| format!("`{rule}` is no pair that this version knows"))?;
    shape::resolve(&amo, &ground.account)
}

/// Decides about one record; `now`: none where its service does not have it any more.
pub fn decide(
    ground: &Ground,
    target: Target,
    now: Option<Now<'_>>,
    changed: &[Changed],
    around: Around<'_>,
) -> Decided {
    let mut decided = Decided::default();
    let mut writes = Writes::default();
    for changed in changed {
        let place = target.place(&changed.rule);
        let held = Held::find(ground, place, &changed.rule, now);
        let (what, told) = judge(ground, changed, &held, around);
        let current = held.as_ref().ok().map(|held| held.content.clone());
        if let (What::PutBack, Ok(held), Some(before)) = (what, &held, &changed.before) {
            writes.take(ground, target, place, held, before, around);
        }
        decided.lines.push(Line {
            target,
            place: place.to_owned(),
            rule: changed.rule.clone(),
            what,
            told,
            before: changed.before.clone(),
            after: changed.after.clone(),
            now: current,
        });
    }
    decided.action = now.and_then(|now| writes.into_action(target, now, around));
    if decided.action.is_none() {
        for line in decided.lines.iter_mut().filter(|line| line.what == What::PutBack) {
            (line.what, line.told) = (What::Refused, "nothing is remembered of its deal any more".to_owned());
        }
    }
    decided
}

/// A place of a record as it is now.
struct Held<'a> {
    content: Content,
    form: Form,
    /// Where it stands in a record of amoCRM.
    slot: Option<(Slot, Record<'a>)>,
}

/// Why a place cannot be looked at.
enum Missing {
    /// The record is gone.
    Record,
    /// The place cannot be put back, and why.
    Place(String),
}

impl<'a> Held<'a> {
    fn find(ground: &Ground, place: &str, rule: &str, now: Option<Now<'a>>) -> Result<Held<'a>, Missing> {
        if rule == STAGE_PAIR {
            return Err(Missing::Place(
                "stages are not moved back: that would start bots and automations again".to_owned(),
            ));
        }
        let now = now.ok_or(Missing::Record)?;
        let slot = slot_of(ground, rule);
        let record = match now {
            Now::Contact(contact) => Record::Contact(contact),
            Now::Lead(lead) => Record::Lead(lead),
            Now::Client(variables) => return Ok(Held::text(variables, place, slot.ok())),
            Now::Order(order) => return Ok(Held::text(&order.variables, place, slot.ok())),
        };
        let slot = slot.map_err(Missing::Place)?;
        let content = shape::read(&slot, record, &ground.zone);
        Ok(Held { content, form: slot.form.clone(), slot: Some((slot, record)) })
    }

    /// A variable. A field that the account does not have any more is no hindrance: then it is a text.
    fn text(variables: &Variables, place: &str, slot: Option<Slot>) -> Held<'a> {
        let name = place.split_once('.').map_or(place, |(_, name)| name);
        let content = variables.get(name).filter(|text| !text.is_empty()).cloned().into_iter().collect();
        let form = slot.map_or(Form::Text { chars_max: None }, |slot| slot.form);
        Held { content, form, slot: None }
    }
}

/// What becomes of a value, and why in words where it is left.
fn judge(ground: &Ground, changed: &Changed, held: &Result<Held<'_>, Missing>, around: Around<'_>) -> (What, String) {
    let held = match held {
        Ok(held) => held,
        Err(Missing::Record) => return (What::Gone, "the record is not there any more".to_owned()),
        Err(Missing::Place(reason)) => return (What::Refused, reason.clone()),
    };
    let Some(before) = &changed.before else {
        return (What::Unknown, "what stood there before was never read".to_owned());
    };
    let is = |then: &Content| merge::is_as_left(&held.form, ground.region(), then, &held.content);
    if around.waiting.iter().any(|confirm| confirm.rule == changed.rule) {
        return (What::Edited, "a newer write to it waits".to_owned());
    }
    match (is(&changed.after), is(before)) {
        (_, true) if held.content == *before => (What::Already, String::new()),
        (true, _) if !is_writable(ground, held, before) => {
            (What::Refused, "amoCRM has no way to take it back".to_owned())
        }
        (true, _) => (What::PutBack, String::new()),
        (false, true) => (What::Already, String::new()),
        (false, false) => (What::Edited, EDITED.to_owned()),
    }
}

fn is_writable(ground: &Ground, held: &Held<'_>, before: &Content) -> bool {
    held.slot.as_ref().is_none_or(|(slot, record)| shape::edit(slot, before, Some(*record), ground.region()).is_some())
}

/// The writes that put a record's values back.
#[derive(Default)]
struct Writes {
    edits: Vec<Edit>,
    variables: Variables,
    confirms: Vec<Confirm>,
}

impl Writes {
    fn take(
        &mut self,
        ground: &Ground,
        target: Target,
        place: &str,
        held: &Held<'_>,
        before: &Content,
        around: Around<'_>,
    ) {
        match &held.slot {
            Some((slot, record)) => {
                if let Some(edit) = shape::edit(slot, before, Some(*record), ground.region()) {
                    push_edit(&mut self.edits, slot, ground.with_named_kinds(edit));
                }
            }
            None => {
                let name = place.split_once('.').map_or(place, |(_, name)| name);
                self.variables.insert(name.to_owned(), before.first().cloned().unwrap_or_default());
            }
        }
        let side = if held.slot.is_some() { Side::Amo } else { Side::Salebot };
        let replaced = Replaced { before: Some(held.content.clone()), after: before.clone() };
        let own = held.slot.as_ref().map(|(slot, _)| &slot.place);
        for (link, rule, base) in standing_on(ground, target, place, own, around) {
            let base = rested(base, side, before);
            self.confirms.push(Confirm { link, rule, base, replaced: Some(replaced.clone()) });
        }
    }

    fn into_action(self, target: Target, now: Now<'_>, around: Around<'_>) -> Option<(String, Action)> {
        let Writes { edits, variables, confirms } = self;
        if edits.is_empty() && variables.is_empty() {
            return None;
        }
        let action = match (target, now) {
            (Target::Contact(contact), Now::Contact(record)) => {
                let seen = person::edited_fingerprint(record, &edits);
                Action::UpdateContact { contact, edits, seen, confirms }
            }
            (Target::Lead(lead), Now::Lead(record)) => {
                let seen = deal::edited_fingerprint(record, &edits);
                Action::UpdateLead { lead, edits, seen, confirms }
            }
            (Target::Client(client), _) => Action::SaveVariables { client, variables, confirms },
            (Target::Order(client, order), _) => {
                let lead = deal_of(around, order)?.lead;
                Action::SetOrderVariables { client, order, lead, variables, confirms }
            }
            _ => return None,
        };
        Some((format!("{target}/undo"), action))
    }
}

fn deal_of<'a>(around: Around<'a>, order: OrderId) -> Option<&'a DealLink> {
    around.deals.iter().find(|deal| deal.order == Some(order))
}

/// Every pair that stands on a place, whether the mapping still has it or not: each remembers what was last seen there.
fn standing_on<'a>(
    ground: &Ground,
    target: Target,
    place: &str,
    slot: Option<&Place>,
    around: Around<'a>,
) -> Vec<(LinkRef, String, &'a Base)> {
    let is_same_slot = |key: &str| {
        let mut rules = ground.contact_rules.iter().chain(&ground.lead_rules);
        slot.is_some_and(|slot| rules.any(|rule| rule.key == key && rule.slot.place == *slot))
    };
    let stands = |key: &String| target.place(key) == place || is_same_slot(key);
    let of = |link: LinkRef, bases: &'a Bases| {
        bases
            .iter()
            .filter(|(key, _)| stands(key))
            .map(move |(key, base)| (link, key.clone(), base))
            .collect::<Vec<_>>()
    };
    let of_client = |link: &'a ClientLink| of(LinkRef::Client(link.client.id), &link.bases);
    let of_deal = |deal: &'a DealLink| of(LinkRef::Lead(deal.lead), &deal.bases);
    let own_deal = |deal: &&DealLink, client: ClientId| deal.client == Some(client);
    match target {
        Target::Contact(id) => {
            around.clients.iter().filter(|link| link.contact == Some(id)).flat_map(of_client).collect()
        }
        Target::Lead(id) => around.deals.iter().filter(|deal| deal.lead == id).flat_map(of_deal).collect(),
        Target::Client(id) => {
            let links = around.clients.iter().filter(|link| link.client.id == id).flat_map(of_client);
            links.chain(around.deals.iter().filter(|deal| own_deal(deal, id)).flat_map(of_deal)).collect()
        }
        Target::Order(_, order) => {
            around.deals.iter().filter(|deal| deal.order == Some(order)).flat_map(of_deal).collect()
        }
    }
}

/// A base once one side was put back. The other side stays as it was last seen: an edit there is still news.
fn rested(base: &Base, side: Side, content: &Content) -> Base {
    let base = Base { undone: true, ..base.clone() };
    match side {
        Side::Amo => {
            let is_there = |element: &String| content.contains(element);
            Base {
                amo: Some(content.clone()),
                sent_amo: vec![content.clone()],
                ours: base.ours.iter().filter(|own| is_there(own)).cloned().collect(),
                bound: base.bound.clone().filter(is_there),
                ..base
            }
        }
        Side::Salebot => Base { salebot: Some(content.clone()), sent_salebot: vec![content.clone()], ..base },
    }
}

/// What is remembered once an undo's write is done. Another write of the same undo may have put the pair's other side
/// back meanwhile, so that only this side is taken.
pub fn settled(held: &Base, side: Side, confirmed: &Base) -> Base {
    let held = Base { undone: true, ..held.clone() };
    match side {
        Side::Amo => Base {
            amo: confirmed.amo.clone(),
            sent_amo: confirmed.sent_amo.clone(),
            ours: confirmed.ours.clone(),
            bound: confirmed.bound.clone(),
            ..held
        },
        Side::Salebot => {
            Base { salebot: confirmed.salebot.clone(), sent_salebot: confirmed.sent_salebot.clone(), ..held }
        }
    }
}
