//! Phones, e-mails and other lists of which a plain variable carries one element.
//!
//! Which element a variable stands for: the one it is bound to, else the first. It is bound to a
//! value that was entered in Salebot (or found there) and is not the first of the list: that is how a
//! second client of one person keeps a number of its own. What a manager's edits do to it:
//!
//! | the manager | the variable |
//! |---|---|
//! | edits its element in place | takes the new value, and stays bound to it |
//! | reorders the list | stays with its element if bound, else takes the new first |
//! | removes its element | takes the first, and is bound no more |
//! | empties the list | is emptied |
//! | edits other elements | stays as it is |
//!
//! And what an edit of the variable does to the list: it replaces the element the variable stood for
//! and no other; where a manager changed that element too, the owner decides whether the variable
//! follows or its value is added. Emptied, it takes its element along only if that came from Salebot,
//! and then carries what is first.

use super::{Base, Content, Direction, Merged, Owner, Pair, Side, Standing, text_of, variable, with_base, writable};

pub(super) fn merge(pair: Pair<'_>) -> Merged {
    let carried = Carried::find(&pair);
    let salebot = pair.salebot_now();
    let text = text_of(&salebot);
    if pair.is_salebot_known() && same(&pair, carried.text(&pair), text) {
        return kept(&pair, carried);
    }
    let blank = pair.meaning(text).is_none();
    let is_waiting = pair.base.amo.is_none() && pair.amo.is_empty() && pair.direction == Direction::Both;
    match pair.salebot_standing() {
        // What was to replace it is gone before it came.
        Standing::Same if is_waiting && pair.salebot.is_some() => entered(&pair, carried, text, Standing::New),
        Standing::Same => amo_alone(&pair, carried, None),
        Standing::New | Standing::Changed if pair.direction == Direction::ToSalebot => {
            amo_alone(&pair, carried, pair.salebot.cloned().filter(|_| !blank))
        }
        Standing::New if blank => restored(&pair, carried, None),
        Standing::Changed if blank => cleared(&pair, carried),
        standing => entered(&pair, carried, text, standing),
    }
}

fn same(pair: &Pair<'_>, a: &str, b: &str) -> bool {
    pair.meaning(a) == pair.meaning(b)
}

fn position(pair: &Pair<'_>, list: &[String], text: &str) -> Option<usize> {
    let key = pair.meaning(text);
    list.iter().position(|element| pair.meaning(element) == key)
}

/// The element a variable stands for.
#[derive(Debug, Clone, Copy)]
struct Carried {
    /// Its place in amoCRM's list; none in an empty one.
    at: Option<usize>,
    /// True when the variable keeps to it wherever it stands.
    is_bound: bool,
}

impl Carried {
    fn find(pair: &Pair<'_>) -> Carried {
        let bound = pair.base.bound.as_ref().and_then(|bound| bound_place(pair, bound));
        match bound {
            Some(at) => Carried { at: Some(at), is_bound: true },
            None => Carried { at: (!pair.amo.is_empty()).then_some(0), is_bound: false },
        }
    }

    fn text<'a>(&self, pair: &'a Pair<'_>) -> &'a str {
        self.at.and_then(|at| pair.amo.get(at)).map(String::as_str).unwrap_or_default()
    }

    fn bound(&self, pair: &Pair<'_>) -> Option<String> {
        Some(self.text(pair).to_owned()).filter(|_| self.is_bound)
    }
}

/// Where the bound element stands now, or what a manager (or amoCRM) made of it in its place.
fn bound_place(pair: &Pair<'_>, bound: &str) -> Option<usize> {
    if let Some(at) = position(pair, pair.amo, bound) {
        return Some(at);
    }
    let before = pair.base.amo.as_deref().unwrap_or_default();
    if before.len() != pair.amo.len() {
        return None;
    }
    let is_new = |at: &usize| position(pair, before, &pair.amo[*at]).is_none();
    let in_place = position(pair, before, bound).filter(is_new);
    let mut new = (0..pair.amo.len()).filter(is_new);
    in_place.or_else(|| new.next().filter(|_| new.next().is_none()))
}

/// Both sides stay as they are.
fn kept(pair: &Pair<'_>, carried: Carried) -> Merged {
    let base = Base { bound: carried.bound(pair), ours: pair.ours_left(), ..pair.settled() };
    Merged { base: Some(base), ..Merged::default() }
}

/// The variable is made to say what amoCRM carries.
fn follow(pair: &Pair<'_>, carried: Carried, lost: Option<Content>) -> Merged {
    let lost = lost.map(|lost| (Side::Salebot, lost));
    let is_unknown = pair.base.amo.as_ref().is_none_or(Vec::is_empty) || pair.base.salebot.is_none();
    if !pair.direction.writes_salebot() {
        return Merged { lost, ..kept(pair, carried) };
    }
    if carried.at.is_none() && is_unknown {
        return kept(pair, carried);
    }
    let (content, base) = pair.salebot_write(variable(carried.text(pair).to_owned()));
    let base = Base { bound: carried.bound(pair), ours: pair.ours_left(), ..base };
    Merged { write_salebot: Some((content, base)), base: Some(pair.while_salebot_waits()), lost, ..Merged::default() }
}

/// Salebot's value is as it was, or does not count: carry over what a manager did to the element.
fn amo_alone(pair: &Pair<'_>, carried: Carried, lost: Option<Content>) -> Merged {
    let now = carried.text(pair);
    let is_seen = pair.base.amo.as_ref().is_some_and(|list| same(pair, &stood_for(pair, list), now));
    let is_ours = |sent: &Content| {
        let sent = stood_for(pair, sent);
        same(pair, &sent, now) || pair.is_rewritten(&sent, now)
    };
    match is_seen || pair.base.sent_amo.iter().any(is_ours) {
        true => kept(pair, carried),
        false => follow(pair, carried, lost),
    }
}

/// The element of an earlier list that the variable stood for; empty in an empty list.
fn stood_for(pair: &Pair<'_>, list: &Content) -> String {
    let bound = pair.base.bound.as_ref().filter(|bound| position(pair, list, bound).is_some());
    bound.or(list.first()).cloned().unwrap_or_default()
}

/// What the variable stood for when it was last seen, if it really said so: a value that the other
/// side would not take stands for nothing there.
fn said(pair: &Pair<'_>) -> Option<String> {
    let element = pair.base.amo.as_ref().map(|list| stood_for(pair, list)).filter(|element| !element.is_empty())?;
    let text = pair.base.salebot.as_ref().map(text_of).unwrap_or_default();
    let is_said = same(pair, &element, text)
        || pair.is_rewritten(&element, text) && !text.is_empty()
        || pair.is_rewritten(text, &element);
    is_said.then_some(element)
}

/// Where that element stands now, unless a manager changed it.
fn untouched(pair: &Pair<'_>, carried: Carried, element: &str) -> Option<usize> {
    let is_rewritten = !pair.base.sent_amo.is_empty() && pair.is_rewritten(element, carried.text(pair));
    position(pair, pair.amo, element).or(carried.at.filter(|_| is_rewritten))
}

/// The base while the list is on its way. What the variable stood for must be told from a later
/// list, so an earlier one is kept. Where there was none, the variable counts as unseen, so that it is
/// still given what amoCRM has should it be emptied meanwhile.
fn while_list_waits(pair: &Pair<'_>) -> Base {
    let base = Base { ours: pair.ours_left(), ..pair.base.clone() };
    match base.amo {
        Some(_) => base,
        None => Base { amo: Some(pair.amo.clone()), salebot: None, sent_salebot: Vec::new(), ..base },
    }
}

/// The variable was emptied. Only an element that came from Salebot goes with it; one that a
/// manager typed comes back.
fn cleared(pair: &Pair<'_>, carried: Carried) -> Merged {
    let at = said(pair).and_then(|element| untouched(pair, carried, &element)).filter(|_| pair.direction.writes_amo());
    let ours = pair.ours_left();
    let is_ours = |element: &&String| ours.iter().any(|own| same(pair, own, element));
    let Some(element) = at.and_then(|at| pair.amo.get(at)).filter(is_ours) else {
        return restored(pair, carried, None);
    };
    let rest: Content = pair.amo.iter().filter(|other| !same(pair, other, element)).cloned().collect();
    let own = ours.iter().filter(|own| !same(pair, own, element)).cloned().collect();
    let (content, base) = pair.amo_write(rest);
    // Whatever is left is news to the variable, which carries what is first.
    let base = Base { amo: Some(Content::new()), sent_amo: Vec::new(), ours: own, bound: None, ..base };
    Merged { write_amo: Some((content, base)), base: Some(while_list_waits(pair)), ..Merged::default() }
}

/// The variable loses its edit to what amoCRM carries. Until it has that, amoCRM counts as unseen.
fn restored(pair: &Pair<'_>, carried: Carried, lost: Option<Content>) -> Merged {
    with_base(follow(pair, carried, lost), |base| Base { amo: None, sent_amo: Vec::new(), ..base })
}

/// The variable stands for another element of the list from now on.
fn bind(pair: &Pair<'_>, at: usize) -> Merged {
    kept(pair, Carried { at: Some(at), is_bound: at > 0 })
}

/// The variable was given a value.
fn entered(pair: &Pair<'_>, carried: Carried, text: &str, standing: Standing) -> Merged {
    if let Some(at) = position(pair, pair.amo, text) {
        return bind(pair, at);
    }
    let value = match writable(pair, text) {
        Ok(content) => text_of(&content).to_owned(),
        Err(reason) => return Merged { refused: Some(reason), ..kept(pair, carried) },
    };
    if let Some(at) = position(pair, pair.amo, &value) {
        return bind(pair, at);
    }
    let said = said(pair).filter(|_| standing == Standing::Changed);
    match said.as_ref().map(|element| untouched(pair, carried, element)) {
        Some(Some(at)) => replaced(pair, at, value),
        // Both changed it: the owner decides, and nothing a manager typed is replaced.
        Some(None) if carried.at.is_some() && pair.owner == Owner::Amo => {
            restored(pair, carried, Some(vec![text.to_owned()]))
        }
        _ => replaced(pair, pair.amo.len(), value),
    }
}

/// The list with the value in this place; past its end it is added.
fn replaced(pair: &Pair<'_>, at: usize, value: String) -> Merged {
    let mut list = pair.amo.clone();
    list.truncate(at);
    list.push(value.clone());
    list.extend(pair.amo.iter().skip(at + 1).cloned());
    let mut ours = pair.ours_left();
    ours.retain(|own| position(pair, &list, own).is_some());
    ours.insert(value.clone());
    let bound = (at > 0 || pair.base.bound.is_some()).then_some(value);
    let (content, base) = pair.amo_write(list);
    Merged {
        write_amo: Some((content, Base { ours, bound, ..base })),
        base: Some(while_list_waits(pair)),
        ..Merged::default()
    }
}
