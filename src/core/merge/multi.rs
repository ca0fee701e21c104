//! Phones, e-mails and other lists of which a plain variable carries one element.

use super::{Base, Content, Direction, Merged, Owner, Pair, Side, Standing, variable};
use crate::core::shape;

pub(super) fn merge(pair: Pair<'_>) -> Merged {
    let carried = carried(&pair);
    let salebot = pair.salebot_now();
    let text = salebot.first().cloned().unwrap_or_default();
    if pair.salebot.is_some() && same(&pair, carried.as_deref().unwrap_or_default(), &text) {
        return Merged { base: Some(kept(&pair, carried)), ..Merged::default() };
    }
    match pair.salebot_standing() {
        Standing::Same => amo_alone(&pair, carried),
        Standing::New | Standing::Changed if pair.direction == Direction::ToSalebot => {
            follow(&pair, carried, pair.salebot.cloned())
        }
        Standing::New if text.is_empty() => follow(&pair, carried, None),
        Standing::Changed if text.is_empty() => cleared(&pair, carried),
        Standing::New | Standing::Changed if position(&pair, &text).is_some() => {
            Merged { base: Some(Base { bound: Some(text), ..pair.settled() }), ..Merged::default() }
        }
        standing => entered(&pair, carried, text, standing),
    }
}

fn same(pair: &Pair<'_>, a: &str, b: &str) -> bool {
    pair.meaning(a) == pair.meaning(b)
}

fn position(pair: &Pair<'_>, text: &str) -> Option<usize> {
    pair.amo.iter().position(|element| same(pair, element, text))
}

/// The element the variable stands for: its own while it is there, or what a manager made of it;
/// else the first.
fn carried(pair: &Pair<'_>) -> Option<String> {
    let first = pair.amo.first().cloned();
    let Some(bound) = &pair.base.bound else { return first };
    if let Some(at) = position(pair, bound) {
        return pair.amo.get(at).cloned();
    }
    let before = pair.base.amo.as_deref().unwrap_or_default();
    let mut new = pair.amo.iter().filter(|element| !before.iter().any(|old| same(pair, old, element)));
    match (new.next(), new.next()) {
        (Some(edited), None) if before.len() == pair.amo.len() => Some(edited.clone()),
        _ => first,
    }
}

/// The base when both agree on `carried`.
fn kept(pair: &Pair<'_>, carried: Option<String>) -> Base {
    let is_first = carried.as_ref() == pair.amo.first();
    let bound = if is_first { None } else { carried };
    let ours = pair.base.ours.iter().filter(|element| position(pair, element).is_some()).cloned().collect();
    Base { bound, ours, ..pair.settled() }
}

/// The variable is made to say what amoCRM carries.
fn follow(pair: &Pair<'_>, carried: Option<String>, lost: Option<Content>) -> Merged {
    let unknown_and_empty = carried.is_none() && pair.base.amo.as_ref().is_none_or(Vec::is_empty);
    if !pair.direction.writes_salebot() || unknown_and_empty {
        return Merged { base: Some(kept(pair, carried)), ..Merged::default() };
    }
    let content = variable(carried.clone().unwrap_or_default());
    let (content, base) = pair.salebot_write(content, pair.amo);
    let base = Base { bound: kept(pair, carried).bound, ..base };
    let lost = lost.filter(|lost| !lost.is_empty()).map(|lost| (Side::Salebot, lost));
    Merged { write_salebot: Some((content, base)), lost, ..Merged::default() }
}

/// Salebot is as it was: carry over what a manager did to the carried element.
fn amo_alone(pair: &Pair<'_>, carried: Option<String>) -> Merged {
    let known = |list: &Content| {
        let bound = pair.base.bound.as_ref().filter(|bound| list.iter().any(|element| same(pair, element, bound)));
        bound.or(list.first()).cloned().unwrap_or_default()
    };
    let before = pair.base.amo.iter().chain(&pair.base.sent_amo).map(known);
    let now = carried.clone().unwrap_or_default();
    let mut before = before.peekable();
    let unseen = before.peek().is_none();
    if !unseen && before.any(|before| same(pair, &before, &now) || crate::core::text::is_rewritten(&before, &now)) {
        return Merged { base: Some(kept(pair, carried)), ..Merged::default() };
    }
    follow(pair, carried, None)
}

/// The variable was emptied. Only an element that came from Salebot goes with it; one that a
/// manager typed comes back.
fn cleared(pair: &Pair<'_>, carried: Option<String>) -> Merged {
    let ours = carried.as_ref().filter(|element| pair.base.ours.iter().any(|own| same(pair, own, element)));
    let Some(element) = ours.filter(|_| pair.direction.writes_amo()) else { return follow(pair, carried, None) };
    let rest: Content = pair.amo.iter().filter(|other| !same(pair, other, element)).cloned().collect();
    let own = pair.base.ours.iter().filter(|own| !same(pair, own, element)).cloned().collect();
    let (content, base) = pair.amo_write(rest);
    // What is left is carried next: an unknown variable takes the first element.
    let salebot = if content.is_empty() { base.salebot.clone() } else { None };
    let base = Base { ours: own, bound: None, salebot, ..base };
    Merged { write_amo: Some((content, base)), ..Merged::default() }
}

/// The variable holds a value that amoCRM lacks.
fn entered(pair: &Pair<'_>, carried: Option<String>, text: String, standing: Standing) -> Merged {
    let value = match shape::from_salebot(pair.form, &text) {
        Ok(content) => content.into_iter().next().unwrap_or_default(),
        Err(reason) => return Merged { base: Some(pair.settled()), refused: Some(reason), ..Merged::default() },
    };
    let was = pair.base.bound.clone().or_else(|| pair.base.amo.as_ref().and_then(|list| list.first().cloned()));
    let untouched = was.as_ref().and_then(|was| position(pair, was));
    let mut list = pair.amo.clone();
    match (standing, untouched) {
        (Standing::Changed, Some(at)) => list[at] = value.clone(),
        // Both changed it: the owner decides, and nothing a manager typed is replaced.
        (Standing::Changed, None) if was.is_some() && carried.is_some() && pair.owner == Owner::Amo => {
            return follow(pair, carried, Some(vec![text]));
        }
        _ => list.push(value.clone()),
    }
    let mut ours = pair.base.ours.clone();
    ours.retain(|own| list.iter().any(|element| same(pair, own, element)));
    ours.insert(value.clone());
    let bound = (list.first() != Some(&value)).then_some(value);
    let (content, base) = pair.amo_write(list);
    Merged { write_amo: Some((content, Base { ours, bound, ..base })), ..Merged::default() }
}
