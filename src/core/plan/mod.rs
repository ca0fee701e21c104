//! From what was seen and what is remembered to what is to be done. A plan leaves no choices, and
//! planning cannot fail: what cannot be carried over becomes a notice.
//!
//! - [`ground`]: the policy resolved against the account, made once.
//! - [`arrival`]: who is this client? An existing contact, a new one, or nobody yet.
//! - [`person`]: a contact and its clients: values both ways.
//! - [`deal`]: a lead, its order and its client: values, callbacks; [`stage`]: its stage.
//! - [`inspect`]: what a plan makes of each pair, for people who ask.
//! - [`undo`]: the values a run wrote, put back where nobody has edited them since.

pub mod arrival;
pub mod deal;
pub mod ground;
pub mod inspect;
pub mod person;
pub mod stage;
pub mod undo;

use super::action::{Action, Confirm, Edit, LinkRef};
use super::link::{Base, Bases, Content};
use super::merge::Merged;
use super::policy::Rule;
use super::selector::{AmoField, AmoPart, Entity, SalebotField};
use super::shape::{self, Place, Record, Slot};
use super::text;
use jiff::tz::TimeZone;
use serde_json::json;
use std::sync::LazyLock;

/// What is to be done about a person or a deal.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Actions in order. One with a slot replaces the waiting one of that slot.
    pub actions: Vec<(Option<String>, Action)>,
    /// Slots that hold nothing any more: whatever waits there is dropped.
    pub emptied: Vec<String>,
    /// Bases that change at once.
    pub bases: Vec<(LinkRef, String, Base)>,
    /// What the user may want to know.
    pub notices: Vec<Notice>,
    /// How many values the plan clears, for the guards.
    pub cleared: u64,
}

/// A line for the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// About which record.
    pub subject: String,
    /// `conflict`, `refused`, `notice`.
    pub kind: &'static str,
    /// Details.
    pub detail: serde_json::Value,
}

impl Plan {
    /// True when it writes nothing outside.
    pub fn is_quiet(&self) -> bool {
        self.actions.is_empty()
    }

    /// Puts an action into its slot, or empties the slot.
    fn fill(&mut self, slot: String, action: Option<Action>) {
        match action {
            Some(action) => self.actions.push((Some(slot), action)),
            None => self.emptied.push(slot),
        }
    }

    /// Takes over what a merge found besides its writes.
    fn note(&mut self, link: LinkRef, subject: &str, rule: &ResolvedRule, merged: &Merged) {
        if let Some(base) = &merged.base {
            self.bases.push((link, rule.key.clone(), base.clone()));
        }
        if let Some((side, value)) = &merged.lost {
            let detail = json!({ "rule": rule.key, "gave_up": side.name(), "value": value });
            self.notices.push(Notice { subject: subject.to_owned(), kind: "conflict", detail });
        }
        if let Some(reason) = &merged.refused {
            let detail = json!({ "rule": rule.key, "reason": reason });
            self.notices.push(Notice { subject: subject.to_owned(), kind: "refused", detail });
        }
    }
}

/// A pair of values, resolved against the account.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedRule {
    /// `Rule::key`.
    pub key: String,
    /// The pair and how it is carried, for fingerprints: made once, as there is one for each value of each record.
    pub label: String,
    /// The amoCRM value.
    pub slot: Slot,
    /// The pair as configured.
    pub rule: Rule,
}

/// The pairs that are always kept, so that bots can name their contact and lead
/// (Salebot reference, variables of the removed integration).
pub fn identifiers() -> Vec<Rule> {
    let kept = |entity, name: &str| Rule {
        amo: AmoField { entity, part: AmoPart::Id },
        salebot: SalebotField::Client(name.to_owned()),
        direction: super::policy::Direction::ToSalebot,
        owner: super::policy::Owner::Amo,
    };
    vec![
        kept(Entity::Contact, "amo_contact_id"),
        kept(Entity::Contact, "amo_client_id"),
        kept(Entity::Lead, "amo_lead_id"),
    ]
}

/// True for the name (`Rule::key`) of one of the [`identifiers`]: kept whatever anybody does, so an undo leaves them.
pub fn is_identifier(rule: &str) -> bool {
    static KEYS: LazyLock<Vec<String>> = LazyLock::new(|| identifiers().iter().map(Rule::key).collect());
    KEYS.iter().any(|key| key == rule)
}

/// Writes to one pair that were tried and whose outcome is not known.
struct Doubts<'a> {
    link: LinkRef,
    /// `Rule::key`.
    key: &'a str,
    confirms: &'a [Confirm],
}

impl Doubts<'_> {
    /// The base as a merge is to see it. A write whose value is met has happened: both sides had
    /// agreed on it, whatever was edited since. Of the others it is known only that meeting their
    /// value is no edit.
    fn base(&self, bases: &Bases, amo: &Content, salebot: Option<&Content>) -> Base {
        self.resolve(bases.get(self.key).cloned().unwrap_or_default(), amo, salebot)
    }

    fn resolve(&self, mut base: Base, amo: &Content, salebot: Option<&Content>) -> Base {
        let own = |confirm: &&Confirm| confirm.link == self.link && confirm.rule == self.key;
        for Confirm { base: tried, .. } in self.confirms.iter().filter(own) {
            let met_amo = tried.sent_amo.iter().any(|sent| is_met(sent, amo));
            let met_salebot = tried.sent_salebot.iter().any(|sent| salebot.is_some_and(|now| is_met(sent, now)));
            if met_amo || met_salebot {
                base = Base { flips: base.flips, ..tried.clone() };
            } else {
                push_new(&mut base.sent_amo, &tried.sent_amo);
                push_new(&mut base.sent_salebot, &tried.sent_salebot);
            }
        }
        base
    }
}

/// Of a write to amoCRM whose outcome is not known, the pairs whose value the record shows: there it has happened, whatever
/// somebody else did to the rest of the record.
pub fn happened(rules: &[ResolvedRule], record: Record<'_>, zone: &TimeZone, confirms: &[Confirm]) -> Vec<Confirm> {
    let is_there = |confirm: &&Confirm| {
        let rule = rules.iter().find(|rule| rule.key == confirm.rule);
        let now = rule.map(|rule| shape::read(&rule.slot, record, zone));
        now.is_some_and(|now| confirm.base.sent_amo.iter().any(|sent| is_met(sent, &now)))
    };
    confirms.iter().filter(is_there).cloned().collect()
}

/// True when a service shows what was sent, or what it may have made of it.
fn is_met(sent: &Content, now: &Content) -> bool {
    sent.len() == now.len() && sent.iter().zip(now).all(|(sent, now)| text::is_rewritten(sent, now))
}

/// Adds an edit. Parts of one address become one edit: a part that is not sent is erased. An edit of the same place rests on
/// the one before it and takes its place.
fn push_edit(edits: &mut Vec<Edit>, slot: &Slot, edit: Edit) {
    if let (Place::Field(id, Some(part)), Edit::Field { elements, .. }) = (&slot.place, &edit) {
        let held = edits.iter_mut().find_map(|edit| match edit {
            Edit::Field { id: held, elements, .. } if held == id => Some(elements),
            _ => None,
        });
        if let Some(held) = held {
            held.retain(|element| element.part != Some(*part));
            held.extend(elements.iter().filter(|element| element.part == Some(*part)).cloned());
            held.sort_by_key(|element| element.part);
            return;
        }
    }
    match edits.iter_mut().find(|held| is_of_same_place(held, &edit)) {
        Some(held) => *held = edit,
        None => edits.push(edit),
    }
}

fn is_of_same_place(a: &Edit, b: &Edit) -> bool {
    match (a, b) {
        (Edit::Field { id: a, .. }, Edit::Field { id: b, .. }) => a == b,
        _ => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}

/// Most values in doubt that are kept for one pair and side.
const SENT_MAX: usize = 8;

fn push_new(sent: &mut Vec<Content>, more: &[Content]) {
    for content in more {
        if !sent.contains(content) {
            sent.push(content.clone());
        }
    }
    let excess = sent.len().saturating_sub(SENT_MAX);
    sent.drain(..excess);
}

#[cfg(test)]
mod tests;
