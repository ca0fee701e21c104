//! The three-way merge of one pair of values: what amoCRM has, what Salebot has, and what each side
//! was last seen to have.
//!
//! A side has changed only if it differs from its own base. One side changed: it is carried over,
//! clearing included. Both changed to the same meaning: agreed. Both changed differently: the owner
//! wins, and the losing value is returned for the journal. Multi-values are merged by element.

mod multi;
mod set;

use crate::core::action::Side;
use crate::core::link::{Base, Content};
use crate::core::policy::{Direction, Owner};
use crate::core::shape::{self, Form};
use crate::core::text;

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
    /// Salebot's value, in its own form: one text or none. `None`: it was not read.
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

/// Merges one pair. It cannot fail.
pub fn merge(pair: Pair<'_>) -> Merged {
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

fn standing(
    now: &Content,
    seen: Option<&Content>,
    sent: &[Content],
    equal: impl Fn(&Content, &Content) -> bool,
) -> Standing {
    let rewritten = |sent: &Content| {
        let texts = sent.len() == now.len() && sent.iter().zip(now).all(|(sent, now)| text::is_rewritten(sent, now));
        equal(sent, now) || texts
    };
    match seen {
        Some(seen) if equal(seen, now) => Standing::Same,
        _ if sent.iter().any(rewritten) => Standing::Same,
        Some(_) => Standing::Changed,
        None => Standing::New,
    }
}

impl Pair<'_> {
    fn meaning(&self, text: &str) -> Option<String> {
        shape::meaning(self.form, text, self.region)
    }

    /// Salebot's value as it is, or as it was last seen where nobody read it.
    fn salebot_now(&self) -> Content {
        self.salebot.or(self.base.salebot.as_ref()).cloned().unwrap_or_default()
    }

    fn salebot_standing(&self) -> Standing {
        let equal = |a: &Content, b: &Content| self.salebot_meaning(a) == self.salebot_meaning(b);
        match self.salebot {
            None if self.base.salebot.is_some() => Standing::Same,
            None => Standing::New,
            Some(now) => standing(now, self.base.salebot.as_ref(), &self.base.sent_salebot, equal),
        }
    }

    fn salebot_meaning(&self, content: &Content) -> Option<String> {
        match self.form {
            Form::Tags | Form::Choices(_) => {
                Some(set::keys(self, &set::split(content)).into_iter().collect::<Vec<_>>().join(","))
            }
            _ => self.meaning(content.first().map(String::as_str).unwrap_or_default()),
        }
    }

    /// Both sides as they are now: nothing is outstanding.
    fn settled(&self) -> Base {
        Base {
            amo: Some(self.amo.clone()),
            salebot: Some(self.salebot_now()),
            sent_amo: Vec::new(),
            sent_salebot: Vec::new(),
            ..self.base.clone()
        }
    }

    /// The write to Salebot of what amoCRM has.
    fn salebot_write(&self, content: Content, amo: &Content) -> (Content, Base) {
        let base = Base {
            amo: Some(amo.clone()),
            salebot: Some(content.clone()),
            sent_salebot: vec![content.clone()],
            ..self.settled()
        };
        (content, base)
    }

    /// The write to amoCRM of what Salebot has.
    fn amo_write(&self, content: Content) -> (Content, Base) {
        let base = Base { amo: Some(content.clone()), sent_amo: vec![content.clone()], ..self.settled() };
        (content, base)
    }
}

/// The text of a variable as content: no entry for no value.
fn variable(text: String) -> Content {
    if text.is_empty() { Content::new() } else { vec![text] }
}

/// Which side's value is to be carried over.
enum Source {
    Amo,
    Salebot,
    Nobody,
}

fn single(pair: Pair<'_>) -> Merged {
    let meaning = |content: &Content| pair.meaning(content.first().map(String::as_str).unwrap_or_default());
    let salebot = pair.salebot_now();
    if pair.salebot.is_some() && meaning(pair.amo) == meaning(&salebot) {
        return Merged { base: Some(pair.settled()), ..Merged::default() };
    }
    let amo_standing = standing(pair.amo, pair.base.amo.as_ref(), &pair.base.sent_amo, |a, b| meaning(a) == meaning(b));
    let (source, conflict) = single_source(&pair, amo_standing, pair.salebot_standing(), &salebot);
    match source {
        Source::Nobody => Merged { base: Some(settled_where_unchanged(&pair)), ..Merged::default() },
        Source::Amo => {
            let write = pair.salebot_write(variable(shape::salebot_text(pair.form, pair.amo)), pair.amo);
            let lost = (conflict && !salebot.is_empty()).then_some((Side::Salebot, salebot));
            Merged { write_salebot: Some(write), lost, ..Merged::default() }
        }
        Source::Salebot => {
            match shape::from_salebot(pair.form, salebot.first().map(String::as_str).unwrap_or_default()) {
                Ok(content) => {
                    let lost = (conflict && !pair.amo.is_empty()).then(|| (Side::Amo, pair.amo.clone()));
                    Merged { write_amo: Some(pair.amo_write(content)), lost, ..Merged::default() }
                }
                Err(reason) => Merged { base: Some(pair.settled()), refused: Some(reason), ..Merged::default() },
            }
        }
    }
}

/// The settled base, but a side that may not be written from and was never read stays unknown.
fn settled_where_unchanged(pair: &Pair<'_>) -> Base {
    let salebot = pair.salebot.cloned().or_else(|| pair.base.salebot.clone());
    Base { salebot, ..pair.settled() }
}

/// Where the two values differ: whose is carried over, and whether the other one is a loss.
fn single_source(pair: &Pair<'_>, amo: Standing, salebot: Standing, salebot_now: &Content) -> (Source, bool) {
    let owner = || match pair.owner {
        Owner::Amo => Source::Amo,
        Owner::Salebot => Source::Salebot,
    };
    match (pair.direction, amo, salebot) {
        (Direction::ToSalebot, Standing::Same, Standing::Same | Standing::Changed) => (Source::Nobody, false),
        // An empty side that was never seen with a value erases nothing.
        (Direction::ToSalebot, Standing::New, _) if pair.amo.is_empty() => (Source::Nobody, false),
        (Direction::ToSalebot, _, standing) => (Source::Amo, standing != Standing::Same),
        (Direction::ToAmo, _, Standing::Same) => (Source::Nobody, false),
        (Direction::ToAmo, _, Standing::New) if salebot_now.is_empty() => (Source::Nobody, false),
        (Direction::ToAmo, Standing::Same, _) => (Source::Salebot, false),
        (Direction::ToAmo, Standing::New | Standing::Changed, _) => match pair.owner {
            Owner::Amo if !pair.amo.is_empty() => (Source::Nobody, false),
            Owner::Amo | Owner::Salebot => (Source::Salebot, true),
        },
        (Direction::Both, Standing::Same, Standing::Same) => (Source::Nobody, false),
        (Direction::Both, Standing::Changed, Standing::Same) => (Source::Amo, false),
        (Direction::Both, Standing::Same, Standing::Changed) => (Source::Salebot, false),
        (Direction::Both, Standing::Changed, Standing::Changed) => (owner(), true),
        (Direction::Both, Standing::New, _) | (Direction::Both, _, Standing::New) => {
            if salebot_now.is_empty() {
                (Source::Amo, false)
            } else if pair.amo.is_empty() {
                (Source::Salebot, false)
            } else {
                (owner(), true)
            }
        }
    }
}

#[cfg(test)]
mod tests;
