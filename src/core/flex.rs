//! Lenient reading of JSON from a service that writes one thing in many ways.
//!
//! Salebot sends an id as `5`, `"5"` or `5.0`, a flag as `1`, `"1"` or `true`, a missing value as
//! `null`, `""` or `"NONE"` (Salebot reference, minimal tolerant types). Values are kept as written
//! until somebody asks for a meaning, so one odd value never spoils its neighbours: members nobody
//! asks for may nest too deep, exceed every number type or stand twice.

mod attachments;
mod literal;
mod moment;
mod notice;

pub use attachments::attachments;
pub use moment::Moment;
pub use notice::{Notices, Reading};

use super::id::ClientId;
use super::model::{Client, Variables};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Why a text is not the JSON it should be. Never quotes the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at line {line}, column {column}")]
pub struct ShapeError {
    /// What is wrong, in words of ours.
    pub what: &'static str,
    /// Line, counted from 1; 0 where there is none.
    pub line: usize,
    /// Column in bytes, counted from 1.
    pub column: usize,
}

impl ShapeError {
    fn of(error: &serde_json::Error) -> ShapeError {
        let what = match error.classify() {
            serde_json::error::Category::Eof => "the text ends too early",
            serde_json::error::Category::Syntax => "not JSON",
            serde_json::error::Category::Data | serde_json::error::Category::Io => "not the expected kind of value",
        };
        ShapeError { what, line: error.line(), column: error.column() }
    }
}

/// What kind of JSON a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true`, `false`
    Boolean,
    /// A number.
    Number,
    /// A text.
    Text,
    /// `[…]`
    List,
    /// `{…}`
    Object,
}

/// A JSON value as written.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(transparent)]
pub struct Flex<'a>(#[serde(borrow)] &'a RawValue);

impl<'a> Flex<'a> {
    /// Reads one value; nothing may follow it.
    pub fn parse(text: &'a str) -> Result<Flex<'a>, ShapeError> {
        serde_json::from_str(text).map_err(|error| ShapeError::of(&error))
    }

    /// What kind of value it is.
    pub fn kind(self) -> Kind {
        match self.0.get().as_bytes().first() {
            Some(b'"') => Kind::Text,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::List,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// A text as it is, the empty one included. Half an emoji (a lone surrogate) becomes `�`.
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self.kind() {
            Kind::Text => serde_json::from_str::<Lossy<'a>>(self.0.get()).ok().map(|lossy| lossy.0),
            _ => None,
        }
    }

    /// A text, or a number or boolean in its own spelling: `1` stays `1`.
    pub fn scalar(self) -> Option<Cow<'a, str>> {
        match self.kind() {
            Kind::Text => self.text(),
            Kind::Number | Kind::Boolean => Some(Cow::Borrowed(self.0.get())),
            Kind::Null | Kind::List | Kind::Object => None,
        }
    }

    /// A scalar that says something; see [`is_absent`].
    pub fn present(self) -> Option<String> {
        self.scalar().filter(|text| !is_absent(text)).map(Cow::into_owned)
    }

    /// The value of a variable: a present scalar, or a list or object as its JSON text, the way bots
    /// keep structures in variables.
    pub fn variable(self) -> Option<String> {
        match self.kind() {
            Kind::List | Kind::Object => Some(self.0.get().to_owned()),
            _ => self.present(),
        }
    }

    /// A whole number, also in quotes or with an empty fraction (`5.0`, `1.5e3`).
    pub fn integer(self) -> Option<i64> {
        match self.kind() {
            Kind::Number | Kind::Text => whole(self.scalar()?.trim()),
            _ => None,
        }
    }

    /// An id: a whole number above zero.
    pub fn id(self) -> Option<u64> {
        self.integer().and_then(|number| u64::try_from(number).ok()).filter(|&id| id > 0)
    }

    /// Ids from a list, a single id, or nothing. What is no id is left out.
    pub fn ids(self) -> Vec<u64> {
        match self.list() {
            Some(items) => items.into_iter().filter_map(Flex::id).collect(),
            None => self.id().into_iter().collect(),
        }
    }

    /// A flag: a boolean, 0 or 1, or either as a text.
    pub fn truth(self) -> Option<bool> {
        match self.scalar()?.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "1.0" => Some(true),
            "false" | "0" | "0.0" => Some(false),
            _ => None,
        }
    }

    /// An instant, see [`Moment::parse`].
    pub fn moment(self) -> Option<Moment> {
        match self.kind() {
            Kind::Number | Kind::Text => Moment::parse(&self.scalar()?),
            _ => None,
        }
    }

    /// The members of an object.
    pub fn object(self) -> Option<Object<'a>> {
        match self.kind() {
            Kind::Object => serde_json::from_str(self.0.get()).ok(),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn list(self) -> Option<Vec<Flex<'a>>> {
        match self.kind() {
            Kind::List => serde_json::from_str(self.0.get()).ok(),
            _ => None,
        }
    }

    /// The whole tree; none where it nests deeper than 128 levels or a number fits no type.
    pub fn tree(self) -> Option<serde_json::Value> {
        serde_json::from_str(self.0.get()).ok()
    }
}

/// The members of a JSON object in the order of the text.
#[derive(Debug, Clone, Default)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Flex<'a>)>);

impl<'a> Object<'a> {
    /// Reads an object; nothing may follow it.
    pub fn parse(text: &'a str) -> Result<Object<'a>, ShapeError> {
        serde_json::from_str(text).map_err(|error| ShapeError::of(&error))
    }

    /// A member. Of two with the same name the later counts, as in most languages.
    pub fn get(&self, name: &str) -> Option<Flex<'a>> {
        self.0.iter().rev().find(|(own, _)| own == name).map(|&(_, value)| value)
    }

    /// A member that is there and not null.
    pub fn some(&self, name: &str) -> Option<Flex<'a>> {
        self.get(name).filter(|value| value.kind() != Kind::Null)
    }

    /// The id under a name.
    pub fn id(&self, name: &str) -> Option<u64> {
        self.get(name)?.id()
    }

    /// The present scalar under a name.
    pub fn present(&self, name: &str) -> Option<String> {
        self.get(name)?.present()
    }

    /// True when every member's name is one of these.
    pub fn has_only(&self, names: &[&str]) -> bool {
        self.0.iter().all(|(own, _)| names.contains(&own.as_ref()))
    }

    /// Names and values in the order of the text.
    pub fn members(&self) -> impl Iterator<Item = (&str, Flex<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    /// True without members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All members as variables; those without a value are left out.
    pub fn variables(&self) -> Variables {
        self.members().filter_map(|(name, value)| Some((name.to_owned(), value.variable()?))).collect()
    }

    /// The members as a Salebot client; none without an id.
    ///
    /// The person's id is misspelt `recepient` in the webhook (Salebot API page) and `platform_id`
    /// elsewhere; `recipient` is taken too.
    pub fn client(&self) -> Option<Client> {
        let platform_id = ["recepient", "recipient", "platform_id"].into_iter().find_map(|name| self.present(name));
        Some(Client {
            id: ClientId(self.id("id")?),
            platform_id,
            group: self.present("group"),
            messenger: self.get("client_type").and_then(Flex::integer),
            name: self.present("name"),
            tag: self.present("tag"),
            created_at: self.get("created_at").and_then(Flex::moment).map(|moment| moment.at.seconds()),
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<'a>, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(Cow<'de, str>, Flex<'de>)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some((Lossy(name), value)) = map.next_entry::<Lossy<'de>, Flex<'de>>()? {
                    members.push((name, value));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Members).map(Object)
    }
}

/// A JSON text read as bytes, so that lone surrogates do not refuse the whole.
struct Lossy<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Lossy<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Lossy<'a>, D::Error> {
        struct Bytes;

        impl<'de> Visitor<'de> for Bytes {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(String::from_utf8_lossy(bytes))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Cow::Owned(String::from_utf8_lossy(bytes).into_owned()))
            }
        }

        deserializer.deserialize_bytes(Bytes).map(Lossy)
    }
}

/// True for the ways in which "no value" is written: the empty text, `None` in any of its
/// spellings, and a placeholder `#{name}` that was never filled in.
///
/// Only for names, ids and variables: a person may well write "None".
pub fn is_absent(text: &str) -> bool {
    let text = text.trim();
    matches!(text, "" | "NONE" | "None" | "none" | "null") || (text.starts_with("#{") && text.ends_with('}'))
}

/// A whole number from its decimal text, without rounding.
fn whole(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    // Past 2^53 a float no longer tells neighbours apart, and a wrong id is worse than none.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let is_decimal = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
    let number: f64 = if is_decimal { text.parse().ok()? } else { return None };
    (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
}

#[cfg(test)]
mod tests;
