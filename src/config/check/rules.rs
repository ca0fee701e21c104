//! Checks the mapped pairs: each by itself, and that no two of them fight.

use super::Checker;
use crate::config::raw;
use crate::config::report::{At, Place};
use crate::core::policy::{Direction, Rule};
use crate::core::selector::{AmoField, AmoPart, Entity, Fact, FieldRef, SalebotField};
use std::str::FromStr;

/// More pairs than an account has fields.
const RULES_MAX: usize = 1000;

/// Client variables that the bridge writes itself, to find its people again.
const KEPT: [&str; 3] = ["amo_contact_id", "amo_client_id", "amo_lead_id"];

/// The order's own values: Salebot keeps them under other names, so a client variable of the same name is not shadowed
/// (Salebot reference: `Название`/`Name` and `Описание`/`Description`).
const ORDER_OWN: [&str; 2] = ["name", "description"];

/// A pair and where its parts stand.
struct Placed<'a> {
    rule: Rule,
    raw: &'a At<raw::Field>,
}

impl Placed<'_> {
    fn amo_place(&self) -> &Place {
        self.raw.value.amo.as_ref().map_or(&self.raw.place, |amo| &amo.place)
    }

    fn salebot_place(&self) -> &Place {
        self.raw.value.salebot.as_ref().map_or(&self.raw.place, |salebot| &salebot.place)
    }
}

impl Checker<'_> {
    pub(super) fn rules(&mut self, raw: &raw::Bridge) -> Option<Vec<Rule>> {
        let fields = raw.field.as_ref()?;
        if fields.value.len() > RULES_MAX {
            self.report.fault(&fields.place, format!("has more than {RULES_MAX} pairs"));
            return None;
        }
        let orders = raw.orders.as_ref().is_none_or(|orders| orders.value.enabled.as_ref().is_none_or(|on| on.value));
        let read: Vec<_> = fields.value.iter().map(|field| self.rule(field)).collect();
        let whole = read.iter().all(Option::is_some);
        let rules: Vec<Placed<'_>> = read.into_iter().flatten().collect();
        for (index, placed) in rules.iter().enumerate() {
            self.check_alone(placed, orders);
            self.check_beside(placed, &rules[..index]);
        }
        whole.then(|| rules.into_iter().map(|placed| placed.rule).collect())
    }

    fn rule<'a>(&mut self, raw: &'a At<raw::Field>) -> Option<Placed<'a>> {
        let field = &raw.value;
        let amo = field.amo.as_ref().and_then(|text| self.selector::<AmoField>(text));
        let salebot = field.salebot.as_ref().and_then(|text| self.selector::<SalebotField>(text));
        let direction = field.direction.as_ref()?.value;
        let rule = Rule { amo: amo?, salebot: salebot?, direction, owner: field.owner.as_ref()?.value };
        Some(Placed { rule, raw })
    }

    fn selector<T: FromStr<Err: std::fmt::Display>>(&mut self, text: &At<String>) -> Option<T> {
        text.value.parse().map_err(|error| self.report.fault(&text.place, format!("{error}"))).ok()
    }

    /// What must hold of a pair by itself.
    fn check_alone(&mut self, placed: &Placed<'_>, orders: bool) {
        let rule = &placed.rule;
        let place = placed.salebot_place();
        if let SalebotField::Client(name) = &rule.salebot
            && KEPT.contains(&name.as_str())
        {
            self.report.fault(place, "is kept by the bridge itself and cannot be mapped");
        }
        if matches!(rule.salebot, SalebotField::Fact(_)) && rule.direction != Direction::ToAmo {
            let place = placed.raw.value.direction.as_ref().map_or(place, |direction| &direction.place);
            let message = format!("must be \"to_amo\": `{}` can only be read", rule.salebot);
            self.report.fault_with_help(place, message, "write direction = \"to_amo\"");
        }
        if is_of_order(&rule.salebot) {
            self.check_order_value(rule, place, orders);
        }
    }

    fn check_order_value(&mut self, rule: &Rule, place: &Place, orders: bool) {
        if rule.amo.entity == Entity::Contact {
            self.report.fault_with_help(
                place,
                "cannot be mapped to a contact: a person may have several orders",
                "map it to a value of the lead, or write client.NAME",
            );
        } else if !orders {
            self.report.fault_with_help(
                place,
                "belongs to an order, but orders are off",
                "write enabled = true in [bridge.orders], or client.NAME",
            );
        }
    }

    /// What must hold of a pair beside those before it.
    fn check_beside(&mut self, placed: &Placed<'_>, before: &[Placed<'_>]) {
        for other in before {
            let path = &other.raw.place.path;
            if let Some((place, message)) = conflict(placed, other) {
                self.report.fault(place, format!("{message}, see {path}"));
                return;
            }
        }
    }
}

/// Why two pairs cannot stand side by side, and where.
fn conflict<'a>(placed: &'a Placed<'_>, other: &Placed<'_>) -> Option<(&'a Place, String)> {
    let (rule, before) = (&placed.rule, &other.rule);
    let same_amo = comparable(&rule.amo) == comparable(&before.amo);
    let same_salebot = rule.salebot == before.salebot;
    if same_amo && same_salebot {
        return Some((&placed.raw.place, "is a pair that is already mapped".to_owned()));
    }
    if same_salebot && rule.direction.writes_salebot() && before.direction.writes_salebot() {
        let message = format!("`{}` would be written from two values of amoCRM", rule.salebot);
        return Some((placed.salebot_place(), message));
    }
    let writes_amo = rule.direction.writes_amo() && before.direction.writes_amo();
    if same_amo && writes_amo && holds_one_value(&rule.amo.part) {
        let message = format!("`{}` would be written from two values of Salebot", rule.amo);
        return Some((placed.amo_place(), message));
    }
    let shadowed = match (&rule.salebot, &before.salebot) {
        (SalebotField::Client(a), SalebotField::Order(b)) | (SalebotField::Order(a), SalebotField::Client(b)) => {
            a == b && !ORDER_OWN.contains(&a.as_str())
        }
        _ => false,
    };
    shadowed.then(|| {
        let message =
            format!("an order's variable hides the client's of the same name from the bot: `{}`", rule.salebot);
        (placed.salebot_place(), message)
    })
}

/// True when the value belongs to an order.
fn is_of_order(field: &SalebotField) -> bool {
    matches!(field, SalebotField::Order(_) | SalebotField::Fact(Fact::OrderId))
}

/// True for parts that surely hold one value, so that two sources would overwrite each other for ever.
/// Lists are merged by element, and a custom field may be a list.
fn holds_one_value(part: &AmoPart) -> bool {
    match part {
        AmoPart::Id
        | AmoPart::Name
        | AmoPart::FirstName
        | AmoPart::LastName
        | AmoPart::Responsible
        | AmoPart::Company
        | AmoPart::Price => true,
        AmoPart::Phone | AmoPart::Email | AmoPart::Tags | AmoPart::Custom { .. } => false,
    }
}

/// The field in a form in which names of fields compare without regard to case.
fn comparable(field: &AmoField) -> AmoField {
    let mut field = field.clone();
    if let AmoPart::Custom { field: FieldRef::Name(name), .. } = &mut field.part {
        *name = name.to_lowercase();
    }
    field
}
