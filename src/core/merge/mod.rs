//! The three-way merge of one pair of values: what amoCRM has, what Salebot has, and what each side
//! was last seen to have.
//!
//! A side has changed only if it differs from its own base. One side changed: it is carried over,
//! clearing included. Both changed to the same meaning: agreed. Both changed differently: the owner
//! wins, and the losing value is returned for the journal. Multi-values are merged by element.
//!
//! At first sight nothing was seen on either side: then a value goes where there is none, and of two
//! values the owner's stays. A value that is to be replaced counts as seen from then on: the decision
//! stands until it is carried out or given up, and a write that is refused does not let the loser win.

mod multi;
mod set;

use crate::core::action::Side;
use crate::core::link::{Base, Content};
use crate::core::policy::{Direction, Owner};
use crate::core::shape::{self, Form};
use crate::core::text;
use std::collections::BTreeSet;

/// One pair to be merged.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// How values are read and compared.
    pub form: &'a Form,
    /// Which way they travel.
    pub direction: Direction,
    /// Who wins when both changed.
    pub owner: Owner,
    /// The country of phone numbers without a country code.
    pub region: &'a str,
    /// amoCRM's value, in its own form.
    pub amo: &'a Content,
    /// Salebot's value, in its own form: one text or none. `None`: it was not read, because nothing
    /// can have changed there or it is of no concern. Then amoCRM is never written.
    pub salebot: Option<&'a Content>,
    /// What each side was last seen to have.
    pub base: &'a Base,
}

/// What a merge decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merged {
    /// amoCRM is to hold this, and what the base becomes once it does.
    pub write_amo: Option<(Content, Base)>,
    /// Salebot is to hold this, in its own form, and what the base becomes once it does.
    pub write_salebot: Option<(Content, Base)>,
    /// The base as of now, where it differs from the given one.
    pub base: Option<Base>,
    /// A value that is given up, and by whom it was held.
    pub lost: Option<(Side, Content)>,
    /// Why a value could not be carried over.
    pub refused: Option<String>,
}

/// Merges one pair. It cannot fail. Of a frozen pair nothing is written and nothing counts as seen, so that after its
/// release both sides' edits are met as they are then.
pub fn merge(pair: Pair<'_>) -> Merged {
    if pair.base.flips.frozen {
        return Merged::default();
    }
    // Where Salebot's value counts, an unknown one is no ground for any decision.
    if !pair.is_salebot_known() && pair.direction != Direction::ToSalebot {
        return Merged::default();
    }
    if !pair.base.undone {
        return of_form(pair);
    }
    if pair.rests() {
        return Merged::default();
    }
    // Somebody edited one of the sides: from now on it is a pair like any other.
    let woken = Base { undone: false, ..pair.base.clone() };
    let merged = of_form(Pair { base: &woken, ..pair });
    Merged { base: merged.base.or(Some(woken)), ..merged }
}

fn of_form(pair: Pair<'_>) -> Merged {
    let mut merged = match pair.form {
        Form::Tags | Form::Choices(_) => set::merge(pair),
        Form::Phones | Form::Emails | Form::Several => multi::merge(pair),
        _ => single(pair),
    };
    if merged.base.as_ref() == Some(pair.base) {
        merged.base = None;
    }
    merged
}

/// How a side stands to its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Never seen before.
    New,
    /// As it was, or what a service made of what we wrote.
    Same,
    /// Edited.
    Changed,
}

/// The one text of a value; empty for none.
fn text_of(content: &Content) -> &str {
    content.first().map(String::as_str).unwrap_or_default()
}

impl Pair<'_> {
    fn meaning(&self, text: &str) -> Option<String> {
        shape::meaning(self.form, text, self.region)
    }

    /// Salebot's value as it is, or as it was last seen where nobody read it.
    fn salebot_now(&self) -> Content {
        self.salebot.or(self.base.salebot.as_ref()).cloned().unwrap_or_default()
    }

    /// Where one text stands to the one last seen and those written since.
    fn standing(&self, now: &Content, seen: Option<&Content>, sent: &[Content]) -> Standing {
        let now = text_of(now);
        let is_same = |then: &Content| self.meaning(text_of(then)) == self.meaning(now);
        let is_ours = |sent: &Content| is_same(sent) || self.is_rewritten(text_of(sent), now);
        match seen {
            Some(seen) if is_same(seen) => Standing::Same,
            _ if sent.iter().any(is_ours) => Standing::Same,
            Some(_) => Standing::Changed,
            None => Standing::New,
        }
    }

    /// True while both sides are as an undo left them, or as a service rewrote what it put back.
    fn rests(&self) -> bool {
        let is_left = |now: &Content, seen: Option<&Content>, sent: &[Content]| {
            let met = |then: &Content| is_as_left(self.form, self.region, then, now);
            seen.is_some_and(met) || sent.iter().any(met)
        };
        let salebot = |now| is_left(now, self.base.salebot.as_ref(), &self.base.sent_salebot);
        is_left(self.amo, self.base.amo.as_ref(), &self.base.sent_amo) && self.salebot.is_none_or(salebot)
    }

    fn salebot_standing(&self) -> Standing {
        match self.salebot {
            None if self.base.salebot.is_some() => Standing::Same,
            None => Standing::New,
            Some(now) => self.standing(now, self.base.salebot.as_ref(), &self.base.sent_salebot),
        }
    }

    /// True when `seen` is what a service may have made of `sent`.
    fn is_rewritten(&self, sent: &str, seen: &str) -> bool {
        is_rewritten(self.form, sent, seen)
    }

    /// True for what erases nothing at first sight. An unset variable is not a box unchecked by someone.
    fn is_blank(&self, content: &Content) -> bool {
        match self.form {
            Form::Checkbox => text_of(content).trim().is_empty(),
            _ => self.meaning(text_of(content)).is_none(),
        }
    }

    fn is_salebot_known(&self) -> bool {
        self.salebot.is_some() || self.base.salebot.is_some()
    }

    /// Both sides as they are now: nothing is outstanding. A side that was never read stays unknown.
    fn settled(&self) -> Base {
        Base {
            amo: Some(self.amo.clone()),
            salebot: self.salebot.or(self.base.salebot.as_ref()).cloned(),
            sent_amo: Vec::new(),
            sent_salebot: Vec::new(),
            ..self.base.clone()
        }
    }

    /// The base while amoCRM's value is on its way: what it replaces has been seen, so that it is not
    /// taken for news if the write should be refused.
    fn while_salebot_waits(&self) -> Base {
        let salebot = self.salebot.or(self.base.salebot.as_ref()).cloned();
        Base { salebot, ours: self.ours_left(), ..self.base.clone() }
    }

    /// The same while Salebot's value is on its way.
    fn while_amo_waits(&self) -> Base {
        Base { amo: Some(self.amo.clone()), ..self.base.clone() }
    }

    /// What came from Salebot and is still there. An element that a manager took away is the
    /// manager's if it ever comes back.
    fn ours_left(&self) -> BTreeSet<String> {
        if self.base.ours.is_empty() {
            return BTreeSet::new();
        }
        let keys: BTreeSet<String> = self.amo.iter().filter_map(|element| self.meaning(element)).collect();
        let is_left = |own: &&String| self.meaning(own).is_some_and(|key| keys.contains(&key));
        self.base.ours.iter().filter(is_left).cloned().collect()
    }

    /// The write to Salebot of what amoCRM has.
    fn salebot_write(&self, content: Content) -> (Content, Base) {
        let base = Base { salebot: Some(content.clone()), sent_salebot: vec![content.clone()], ..self.settled() };
        (content, base)
    }

    /// The write to amoCRM of what Salebot has.
    fn amo_write(&self, content: Content) -> (Content, Base) {
        let base = Base { amo: Some(content.clone()), sent_amo: vec![content.clone()], ..self.settled() };
        (content, base)
    }

    /// Nothing is to be written.
    fn nothing(&self) -> Merged {
        Merged { base: Some(self.settled()), ..Merged::default() }
    }
}

/// True when `now` is what was left there, or what a service may have made of it: element by element, in order but for
/// sets.
pub fn is_as_left(form: &Form, region: &str, then: &Content, now: &Content) -> bool {
    let meaning = |text: &String| shape::meaning(form, text, region);
    let is_blank = |content: &Content| content.iter().all(|text| text.trim().is_empty());
    let is_same =
        |(then, now): (&String, &String)| then == now || meaning(then) == meaning(now) || is_rewritten(form, then, now);
    if matches!(form, Form::Tags | Form::Choices(_)) && then.len() == now.len() {
        let set = |content: &Content| content.iter().filter_map(meaning).collect::<BTreeSet<String>>();
        return set(then) == set(now);
    }
    (is_blank(then) && is_blank(now)) || (then.len() == now.len() && then.iter().zip(now).all(is_same))
}

fn is_rewritten(form: &Form, sent: &str, seen: &str) -> bool {
    match form {
        Form::Number | Form::Price | Form::Checkbox | Form::Date | Form::Day => false,
        Form::Text { .. } | Form::Name | Form::ReadOnly => text::is_rewritten(sent, seen),
        _ => text::is_rewritten(&text::folded(sent), &text::folded(seen)),
    }
}

/// The text of a variable as content: no entry for no value.
fn variable(text: String) -> Content {
    if text.is_empty() { Content::new() } else { vec![text] }
}

/// Which side's value is to be carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Amo,
    Salebot,
    Nobody,
}

fn single(pair: Pair<'_>) -> Merged {
    let salebot = pair.salebot_now();
    if pair.is_salebot_known() && pair.meaning(text_of(pair.amo)) == pair.meaning(text_of(&salebot)) {
        return pair.nothing();
    }
    let amo_standing = pair.standing(pair.amo, pair.base.amo.as_ref(), &pair.base.sent_amo);
    let salebot_standing = pair.salebot_standing();
    let (source, conflict) = single_source(&pair, amo_standing, salebot_standing);
    let is_given_up = conflict && !pair.is_blank(&salebot);
    match source {
        // Where only amoCRM may be written, an edit that loses is given up all the same.
        Source::Nobody => {
            let lost = is_given_up.then_some((Side::Salebot, salebot));
            Merged { lost, ..pair.nothing() }
        }
        Source::Amo => {
            let merged = carry_to_salebot(&pair, is_given_up.then_some(salebot));
            let is_plain = amo_standing == Standing::Changed && salebot_standing == Standing::Same;
            match is_plain || pair.direction != Direction::Both {
                true => merged,
                false => with_base(merged, |base| Base { amo: None, sent_amo: Vec::new(), ..base }),
            }
        }
        Source::Salebot if pair.salebot.is_none() => Merged::default(),
        Source::Salebot => match writable(&pair, text_of(&salebot)) {
            Ok(content) => {
                let merged = carry_to_amo(&pair, content, conflict);
                let is_plain = salebot_standing == Standing::Changed && amo_standing == Standing::Same;
                match is_plain || pair.direction != Direction::Both {
                    true => merged,
                    false => with_base(merged, |base| Base { salebot: None, sent_salebot: Vec::new(), ..base }),
                }
            }
            Err(reason) => {
                let amo_stands = conflict && amo_standing != Standing::Same && !pair.is_blank(pair.amo);
                let merged = match amo_stands && pair.direction.writes_salebot() {
                    true => carry_to_salebot(&pair, is_given_up.then_some(salebot)),
                    false => pair.nothing(),
                };
                Merged { refused: Some(reason), ..merged }
            }
        },
    }
}

/// A value that is on its way for another reason than that its side alone changed counts as unseen:
/// else, with the other side seen by now, nothing would show that the two are still to be settled.
fn with_base(merged: Merged, change: impl Fn(Base) -> Base) -> Merged {
    match merged.write_amo.is_none() && merged.write_salebot.is_none() {
        true => merged,
        false => Merged { base: merged.base.map(change), ..merged },
    }
}

fn carry_to_salebot(pair: &Pair<'_>, lost: Option<Content>) -> Merged {
    let write = pair.salebot_write(variable(shape::salebot_text(pair.form, pair.amo)));
    let lost = lost.map(|lost| (Side::Salebot, lost));
    Merged { write_salebot: Some(write), base: Some(pair.while_salebot_waits()), lost, ..Merged::default() }
}

fn carry_to_amo(pair: &Pair<'_>, content: Content, conflict: bool) -> Merged {
    // What amoCRM could hold of the text is there already.
    if pair.meaning(text_of(&content)) == pair.meaning(text_of(pair.amo)) {
        return pair.nothing();
    }
    let lost = (conflict && !pair.is_blank(pair.amo)).then(|| (Side::Amo, pair.amo.clone()));
    let write = pair.amo_write(content);
    Merged { write_amo: Some(write), base: Some(pair.while_amo_waits()), lost, ..Merged::default() }
}

/// Salebot's text in amoCRM's form, or why amoCRM cannot hold it.
fn writable(pair: &Pair<'_>, text: &str) -> Result<Content, String> {
    let content = shape::from_salebot(pair.form, text)?;
    match pair.form {
        Form::Name if content.is_empty() => Err("a name cannot be emptied".to_owned()),
        Form::User(_) if content.is_empty() => Err("somebody has to be responsible".to_owned()),
        Form::Company if !pair.amo.is_empty() => Err("there is a company already".to_owned()),
        _ => Ok(content),
    }
}

/// Where the two values differ: whose is carried over, and whether the other one is a loss.
fn single_source(pair: &Pair<'_>, amo: Standing, salebot: Standing) -> (Source, bool) {
    use Standing::{Changed, New, Same};
    let owner = match pair.owner {
        Owner::Amo => Source::Amo,
        Owner::Salebot => Source::Salebot,
    };
    let (amo_blank, salebot_blank) = (pair.is_blank(pair.amo), pair.is_blank(&pair.salebot_now()));
    match (pair.direction, amo, salebot) {
        (_, Same, Same) => (Source::Nobody, false),
        (Direction::ToSalebot, Same, _) => (Source::Nobody, false),
        (Direction::ToSalebot, New, _) | (Direction::ToSalebot, _, New) if amo_blank => (Source::Nobody, false),
        (Direction::ToSalebot, _, standing) => (Source::Amo, standing != Same),
        (Direction::ToAmo, _, Same) => (Source::Nobody, false),
        (Direction::ToAmo, New, _) | (Direction::ToAmo, _, New) if salebot_blank => (Source::Nobody, false),
        (Direction::ToAmo, Same, _) => (Source::Salebot, false),
        (Direction::ToAmo, _, standing) if pair.owner == Owner::Amo && !amo_blank => {
            (Source::Nobody, standing == Changed)
        }
        (Direction::ToAmo, _, _) => (Source::Salebot, true),
        (Direction::Both, Changed, Same) => (Source::Amo, false),
        (Direction::Both, Same, Changed) => (Source::Salebot, false),
        (Direction::Both, Changed, Changed) => (owner, true),
        // Decided at first sight and not carried out yet; unless what decided is gone meanwhile.
        (Direction::Both, New, Same) if amo_blank => (Source::Salebot, false),
        (Direction::Both, New, Same) => (Source::Amo, true),
        (Direction::Both, Same, New) if salebot_blank => (Source::Amo, false),
        (Direction::Both, Same, New) => (Source::Salebot, true),
        (Direction::Both, New | Changed, New | Changed) if salebot_blank => (Source::Amo, false),
        (Direction::Both, New | Changed, New | Changed) if amo_blank => (Source::Salebot, false),
        (Direction::Both, New | Changed, New | Changed) => (owner, true),
    }
}

#[cfg(test)]
mod tests;
