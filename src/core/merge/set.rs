//! Tags and choices of a multi-list: sets, in a variable separated by commas.
//!
//! Every item is merged for itself: whether each side has it now, and whether each side had it. An
//! item on one side only was either added there, or removed on the other, or was left where it is
//! before (refused, dropped by a service) and stays so. Only what came from Salebot is removed from
//! there; what a manager set comes back.

use super::{Base, Content, Direction, Merged, Pair, Side, Standing, text_of, variable, writable};
use crate::core::shape::{self, Form};
use crate::core::text;
use std::collections::BTreeSet;

type Keys = BTreeSet<String>;

/// The items of a variable. A name with commas in it is known from the other side.
fn split(pair: &Pair<'_>, content: &Content) -> Content {
    let text = text_of(content);
    match pair.form {
        Form::Choices(choices) => text::listed_among(text, choices.values().map(String::as_str)),
        _ => {
            let lists = pair.base.amo.iter().chain(&pair.base.sent_amo);
            text::listed_among(text, pair.amo.iter().chain(lists.flatten()).map(String::as_str))
        }
    }
}

fn keys(pair: &Pair<'_>, items: &Content) -> Keys {
    items.iter().filter_map(|item| pair.meaning(item)).collect()
}

fn has(pair: &Pair<'_>, keys: &Keys, item: &str) -> bool {
    pair.meaning(item).is_some_and(|key| keys.contains(&key))
}

fn only(items: &Content, is_wanted: impl Fn(&str) -> bool) -> Content {
    items.iter().filter(|item| is_wanted(item)).cloned().collect()
}

/// What both sides have and had, by meaning.
struct Seen {
    amo: Keys,
    salebot: Keys,
    amo_before: Keys,
    salebot_before: Keys,
    ours: Keys,
}

impl Seen {
    fn new(pair: &Pair<'_>, items: &Content) -> Seen {
        let ours = pair.ours_left().iter().filter_map(|own| pair.meaning(own)).collect();
        let (amo, salebot) = (keys(pair, pair.amo), keys(pair, items));
        let amo_before = amo_before(pair, &amo);
        let salebot_before = salebot_before(pair, &salebot);
        Seen { amo, salebot, amo_before, salebot_before, ours }
    }

    fn is_entered(&self, key: &str) -> bool {
        !self.amo.contains(key) && self.salebot.contains(key) && !self.salebot_before.contains(key)
    }

    fn is_withdrawn(&self, key: &str) -> bool {
        self.is_missing(key) && self.amo_before.contains(key) && self.ours.contains(key)
    }

    /// In amoCRM alone, and gone from the variable since.
    fn is_missing(&self, key: &str) -> bool {
        self.amo.contains(key) && !self.salebot.contains(key) && self.salebot_before.contains(key)
    }

    fn is_to_be_shown(&self, key: &str) -> bool {
        let is_added = self.amo.contains(key) && !self.salebot.contains(key) && !self.amo_before.contains(key);
        is_added || (self.is_missing(key) && !self.is_withdrawn(key))
    }

    fn is_to_be_hidden(&self, key: &str) -> bool {
        let was_on_both = self.amo_before.contains(key) && self.salebot_before.contains(key);
        !self.amo.contains(key) && self.salebot.contains(key) && was_on_both
    }
}

/// What amoCRM had. An item that it cut when we wrote it counts as it became.
fn amo_before(pair: &Pair<'_>, now: &Keys) -> Keys {
    let mut before = keys(pair, &pair.base.amo.clone().unwrap_or_default());
    let missing = |item: &&String| !has(pair, now, item);
    for sent in pair.base.sent_amo.iter().flatten().filter(missing) {
        let became = |item: &&String| !has(pair, &before, item) && pair.is_rewritten(sent, item);
        if let Some(became) = pair.amo.iter().find(became) {
            before.extend(pair.meaning(became));
            pair.meaning(sent).map(|key| before.remove(&key));
        }
    }
    before
}

/// What the variable had. Where Salebot cut the text we wrote, the items that went missing and the
/// stump of one are nobody's edit.
fn salebot_before(pair: &Pair<'_>, now: &Keys) -> Keys {
    let mut before = keys(pair, &split(pair, &pair.base.salebot.clone().unwrap_or_default()));
    let text = pair.salebot_now();
    for sent in &pair.base.sent_salebot {
        let sent_keys = keys(pair, &split(pair, sent));
        if sent_keys != *now && pair.is_rewritten(text_of(sent), text_of(&text)) {
            before.retain(|key| now.contains(key) || !sent_keys.contains(key));
            before.extend(now.difference(&sent_keys).cloned());
        }
    }
    before
}

pub(super) fn merge(pair: Pair<'_>) -> Merged {
    if pair.direction == Direction::ToSalebot {
        return follow(&pair);
    }
    let items = split(&pair, &pair.salebot_now());
    let seen = Seen::new(&pair, &items);
    let is = |test: fn(&Seen, &str) -> bool, item: &str| pair.meaning(item).is_some_and(|key| test(&seen, &key));
    let (entered, refused) = taken(&pair, only(&items, |item| is(Seen::is_entered, item)));
    let withdrawn = only(pair.amo, |item| is(Seen::is_withdrawn, item));
    let mut change = Change { entered, withdrawn, ..Change::default() };
    if pair.direction.writes_salebot() {
        change.shown = only(pair.amo, |item| is(Seen::is_to_be_shown, item));
        change.hidden = only(&items, |item| is(Seen::is_to_be_hidden, item));
    }
    Merged { refused, ..change.decided(&pair, &items) }
}

/// New items in amoCRM's own form, each once; those that it cannot hold are left out, and why.
fn taken(pair: &Pair<'_>, items: Content) -> (Content, Option<String>) {
    let (mut taken, mut seen, mut refused) = (Content::new(), Keys::new(), None);
    let mut is_new = |item: &String| pair.meaning(item).is_some_and(|key| seen.insert(key));
    for item in items {
        match writable(pair, &item) {
            Ok(content) => taken.extend(content.into_iter().filter(&mut is_new)),
            Err(reason) => refused = Some(reason),
        }
    }
    (taken, refused)
}

/// What is to become of the items that only one side has.
#[derive(Default)]
struct Change {
    /// From Salebot, to be added to amoCRM.
    entered: Content,
    /// To be removed from amoCRM.
    withdrawn: Content,
    /// From amoCRM, to be added to the variable.
    shown: Content,
    /// To be removed from the variable.
    hidden: Content,
}

impl Change {
    fn decided(&self, pair: &Pair<'_>, items: &Content) -> Merged {
        let (withdrawn, hidden) = (keys(pair, &self.withdrawn), keys(pair, &self.hidden));
        let mut amo = only(pair.amo, |item| !has(pair, &withdrawn, item));
        amo.extend(self.entered.iter().cloned());
        let mut left = only(items, |item| !has(pair, &hidden, item));
        left.extend(self.shown.iter().cloned());
        let salebot = variable(shape::salebot_text(pair.form, &left));
        let writes_amo = !(self.entered.is_empty() && self.withdrawn.is_empty());
        let writes_salebot = !(self.shown.is_empty() && self.hidden.is_empty());
        let mut ours = pair.ours_left();
        ours.retain(|own| !has(pair, &withdrawn, own));
        let base = Base {
            sent_amo: if writes_amo { vec![amo.clone()] } else { Vec::new() },
            sent_salebot: if writes_salebot { vec![salebot.clone()] } else { Vec::new() },
            ours: ours.clone(),
            ..pair.settled()
        };
        ours.extend(self.entered.iter().cloned());
        // Each write may be carried out without the other, in any order: the base that goes with one
        // does not know of the other yet, so that what is still to be done shows again.
        let write_amo = writes_amo.then(|| {
            let shown = keys(pair, &self.shown);
            let mut known = only(&amo, |item| !has(pair, &shown, item));
            known.extend(self.hidden.iter().cloned());
            (amo.clone(), Base { amo: Some(known), ours, ..base.clone() })
        });
        let write_salebot = writes_salebot.then(|| {
            let ours = pair.ours_left().into_iter().chain(self.entered.iter().cloned()).collect();
            let entered = keys(pair, &self.entered);
            let mut known = only(&left, |item| !has(pair, &entered, item));
            known.extend(self.withdrawn.iter().cloned());
            let known = variable(shape::salebot_text(pair.form, &known));
            (salebot.clone(), Base { salebot: Some(known), ours, ..base.clone() })
        });
        let is_quiet = write_amo.is_none() && write_salebot.is_none();
        let now = if is_quiet { base } else { self.waiting(pair) };
        Merged { write_amo, write_salebot, base: Some(now), ..Merged::default() }
    }
}

impl Change {
    /// The base while writes are on their way. What is to come back in the variable counts as news
    /// from amoCRM, not as an edit of Salebot's that would be undone for ever.
    fn waiting(&self, pair: &Pair<'_>) -> Base {
        let shown = keys(pair, &self.shown);
        let without = |items: &Content| only(items, |item| !has(pair, &shown, item));
        let salebot = |content: &Content| variable(shape::salebot_text(pair.form, &without(&split(pair, content))));
        Base {
            amo: pair.base.amo.as_ref().map(without),
            salebot: pair.base.salebot.as_ref().map(salebot),
            ours: pair.ours_left(),
            ..pair.base.clone()
        }
    }
}

/// One way: the variable says what amoCRM has.
fn follow(pair: &Pair<'_>) -> Merged {
    let amo = keys(pair, pair.amo);
    let salebot = keys(pair, &split(pair, &pair.salebot_now()));
    let agreed = pair.is_salebot_known() && amo == salebot;
    let unchanged = pair.base.amo.is_some() && amo_before(pair, &amo) == amo;
    let erases = amo.is_empty() && (pair.base.amo.is_none() || pair.base.salebot.is_none());
    if agreed || unchanged || erases {
        return pair.nothing();
    }
    let given_up = pair.salebot_standing() != Standing::Same && !salebot.is_subset(&amo);
    let lost = given_up.then(|| (Side::Salebot, pair.salebot_now()));
    let write = pair.salebot_write(variable(shape::salebot_text(pair.form, pair.amo)));
    Merged { write_salebot: Some(write), base: Some(pair.while_salebot_waits()), lost, ..Merged::default() }
}
