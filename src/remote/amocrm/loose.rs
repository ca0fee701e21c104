//! Reading amoCRM's JSON as it really comes: numbers as strings, empty containers as `{}`, lists
//! as maps keyed by id, and nothing at all where a container was promised.
//!
//! No error made here quotes a value.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// A whole number, written as a number or as text. Empty text, `null` and `false` are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Whole(pub(super) Option<i64>);

impl Whole {
    /// As an id or a count: none when it is zero or less.
    pub(super) fn positive(self) -> Option<u64> {
        self.0.and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0)
    }

    /// As Unix seconds. Now and then amoCRM writes milliseconds (13 digits).
    pub(super) fn seconds(self) -> i64 {
        const MILLISECONDS_FROM: i64 = 100_000_000_000;
        let number = self.0.unwrap_or(0);
        if number.abs() >= MILLISECONDS_FROM { number / 1000 } else { number }
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor)
    }
}

struct WholeVisitor;

impl<'de> Visitor<'de> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Whole, E> {
        Ok(Whole(Some(number)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
        i64::try_from(number).map(|number| Whole(Some(number))).map_err(|_| E::custom("the number is too large"))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        if number.fract() != 0.0 || number.abs() > EXACT_MAX {
            return Err(E::custom("the number is not whole"));
        }
        // Exact: checked to be whole and below 2^53 just above.
        Ok(Whole(Some(number as i64)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Whole, E> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Whole(None));
        }
        if let Ok(number) = text.parse() {
            return Ok(Whole(Some(number)));
        }
        let fraction: f64 = text.parse().map_err(|_| E::custom("the text is no whole number"))?;
        self.visit_f64(fraction)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Whole, E> {
        Ok(Whole(flag.then_some(1)))
    }

    fn visit_unit<E: Error>(self) -> Result<Whole, E> {
        Ok(Whole(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Whole, A::Error> {
        match items.next_element::<IgnoredAny>()? {
            None => Ok(Whole(None)),
            Some(_) => Err(A::Error::custom("a list stands where a number belongs")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Whole, A::Error> {
        match entries.next_entry::<IgnoredAny, IgnoredAny>()? {
            None => Ok(Whole(None)),
            Some(_) => Err(A::Error::custom("an object stands where a number belongs")),
        }
    }
}

/// Text, or a scalar as text. `null` is none; `true` and `false` are `1` and `0`; an object, such
/// as a legal entity, is kept as its JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Text(pub(super) Option<String>);

impl Text {
    /// The text, empty when there is none.
    pub(super) fn or_empty(self) -> String {
        self.0.unwrap_or_default()
    }

    /// The text, none when it is empty.
    pub(super) fn filled(self) -> Option<String> {
        self.0.filter(|text| !text.is_empty())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(Some(text.to_owned())))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Text, E> {
        Ok(Text(Some(text)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Text, E> {
        Ok(Text(Some(number.to_string())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Text, E> {
        Ok(Text(Some(number.to_string())))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Text, E> {
        Ok(Text(Some(number.to_string())))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Text, E> {
        Ok(Text(Some(if flag { "1" } else { "0" }.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Text, A::Error> {
        let value = serde_json::Value::deserialize(serde::de::value::SeqAccessDeserializer::new(items))?;
        Ok(as_json(&value))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Text, A::Error> {
        let value = serde_json::Value::deserialize(MapAccessDeserializer::new(entries))?;
        Ok(as_json(&value))
    }
}

fn as_json(value: &serde_json::Value) -> Text {
    let is_empty = value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(|map| map.is_empty());
    Text((!is_empty).then(|| value.to_string()))
}

/// A list, also when it comes as a map (its keys are dropped), as a single scalar or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        List(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<T> ListVisitor<T> {
    fn one<'de, E: Error>(scalar: impl Deserializer<'de, Error = E>) -> Result<List<T>, E>
    where
        T: Deserialize<'de>,
    {
        Ok(List(vec![T::deserialize(scalar)?]))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<List<T>, A::Error> {
        let mut list = Vec::new();
        while let Some((_, item)) = entries.next_entry::<IgnoredAny, T>()? {
            list.push(item);
        }
        Ok(List(list))
    }

    fn visit_unit<E: Error>(self) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<List<T>, E> {
        if flag { Self::one(serde::de::value::BoolDeserializer::new(flag)) } else { Ok(List::default()) }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<List<T>, E> {
        Self::one(serde::de::value::U64Deserializer::new(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<List<T>, E> {
        Self::one(serde::de::value::I64Deserializer::new(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<List<T>, E> {
        if text.is_empty() {
            return Ok(List::default());
        }
        Self::one(serde::de::value::StrDeserializer::new(text))
    }
}

/// An object that may be missing, `null`, `false`, `{}` or `[]`, or stand alone in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Maybe<T>(pub(super) Option<T>);

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Maybe(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MaybeVisitor(PhantomData))
    }
}

struct MaybeVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MaybeVisitor<T> {
    type Value = Maybe<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Maybe<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(entries)).map(|inner| Maybe(Some(inner)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Maybe<T>, A::Error> {
        let first = items.next_element()?;
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Maybe(first))
    }

    fn visit_unit<E: Error>(self) -> Result<Maybe<T>, E> {
        Ok(Maybe(None))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Maybe<T>, E> {
        Ok(Maybe(None))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Maybe<T>, E> {
        if text.is_empty() { Ok(Maybe(None)) } else { Err(E::custom("a text stands where an object belongs")) }
    }
}

/// Why a JSON text could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// What and where, without values.
    pub(super) reason: String,
    /// True when the text ends too early.
    pub(super) is_cut: bool,
}

/// Reads a JSON text. The place of a fault is only looked for once there is one.
pub(super) fn decode<T: DeserializeOwned>(text: &str) -> Result<T, Unreadable> {
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let error = match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Err(error) => error,
        Ok(_) => return Err(Unreadable { reason: "something follows the JSON text".to_owned(), is_cut: false }),
    };
    let path = error.path().to_string();
    let what = explain(&error.inner().to_string());
    let reason = if path == "." { what } else { format!("{what} at `{path}`") };
    Err(Unreadable { reason, is_cut: error.inner().is_eof() })
}

/// serde's words without the values they quote, and without a position that means nothing to anyone.
fn explain(error: &str) -> String {
    let error = error.split(" at line ").next().unwrap_or_default();
    match error.split_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None if error.starts_with("invalid ") => "unexpected content".to_owned(),
        None => error.to_owned(),
    }
}

/// Replaces halves of surrogate pairs: what is left of an emoji that was cut in two.
pub(super) fn mend_surrogates(json: &str) -> String {
    let unit = |at: usize| {
        let is_escape = json.get(at..at + 2) == Some("\\u");
        is_escape.then(|| u16::from_str_radix(json.get(at + 2..at + 6)?, 16).ok()).flatten()
    };
    let mut mended = String::with_capacity(json.len());
    let mut at = 0;
    while let Some(found) = json[at..].find('\\').map(|offset| at + offset) {
        mended.push_str(&json[at..found]);
        let pair = unit(found).is_some_and(|high| (0xD800..0xDC00).contains(&high))
            && unit(found + 6).is_some_and(|low| (0xDC00..0xE000).contains(&low));
        let lone = !pair && unit(found).is_some_and(|half| (0xD800..0xE000).contains(&half));
        let length = if pair {
            12
        } else if lone {
            6
        } else {
            1 + json[found + 1..].chars().next().map_or(0, char::len_utf8)
        };
        mended.push_str(if lone { "\\ufffd" } else { &json[found..found + length] });
        at = found + length;
    }
    mended.push_str(&json[at..]);
    mended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_surrogates_are_mended_and_nothing_else() {
        for (json, mended) in [
            (r#""a\ud83d b""#, r#""a\ufffd b""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\ud83d\\ude00""#, r#""\ufffd\\ude00""#),
            (r#""\u0041\n\u12""#, r#""\u0041\n\u12""#),
            ("\"я\\", "\"я\\"),
            ("\\ud8я", "\\ud8я"),
        ] {
            assert_eq!(mend_surrogates(json), mended);
        }
    }

    #[test]
    fn whole_numbers_come_in_many_forms() {
        for (json, expected) in [
            ("7", Some(7)),
            ("\" 7 \"", Some(7)),
            ("7.0", Some(7)),
            ("\"7.00\"", Some(7)),
            ("-7", Some(-7)),
            ("\"\"", None),
            ("null", None),
            ("false", None),
            ("[]", None),
            ("{}", None),
        ] {
            assert_eq!(decode::<Whole>(json), Ok(Whole(expected)), "{json}");
        }
        for json in ["7.5", "\"seven\"", "18446744073709551615", "1e300", "[7]", "{\"a\":7}"] {
            let error = decode::<Whole>(json).unwrap_err();
            assert!(!error.reason.contains("seven"), "{}", error.reason);
        }
    }
}
