//! What came over the wire: names and values, whatever form the bot wrote them in.
//!
//! A bot sends JSON, JSON within a JSON text, a form, a query, or one of them under the content type
//! of another (Salebot reference, what arrives). So the form is told by the bytes alone. Values are texts.

use crate::core::flex::{self, Flex, Kind, Object, ShapeError};
use std::collections::BTreeMap;

/// More names than any function has; what follows is dropped.
const NAMES_MAX: usize = 200;
/// How often JSON may be wrapped in a JSON text.
const WRAPPED_MAX: usize = 4;
/// The name under which arguments come by their order.
const LIST: &str = "args";

/// Names and values of a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arguments {
    /// By name, in lower case. Values that say nothing are not here.
    named: BTreeMap<String, String>,
    /// By order.
    listed: Vec<Option<String>>,
}

/// Why a body cannot be read. Quotes nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It begins like JSON.
    #[error(
        "the body is not JSON: {0}. A line break or a double quote inside a text breaks JSON: send the call as POST-data (key=value) instead"
    )]
    Json(ShapeError),
    /// It begins like nothing that is known.
    #[error("the body is neither a JSON object nor key=value pairs")]
    Form,
}

impl Arguments {
    /// Reads a query and a body. The same name in both: the body counts.
    pub fn read(query: &str, body: &[u8]) -> Result<Arguments, Unreadable> {
        let mut arguments = Arguments::default();
        arguments.take_pairs(query);
        let text = String::from_utf8_lossy(body);
        arguments.take_body(text.trim_start_matches('\u{feff}').trim(), 0)?;
        Ok(arguments)
    }

    /// A query alone.
    pub fn of_query(query: &str) -> Arguments {
        let mut arguments = Arguments::default();
        arguments.take_pairs(query);
        arguments
    }

    /// The value under a name; none where it is absent in any spelling.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.named.get(name).map(String::as_str)
    }

    /// The value of an argument: by one of its names, else by its place in the order.
    pub fn of(&self, names: impl IntoIterator<Item = &'static str>, place: usize) -> Option<&str> {
        let named = names.into_iter().find_map(|name| self.get(name));
        named.or_else(|| self.listed.get(place).and_then(Option::as_deref))
    }

    fn take_body(&mut self, text: &str, wrapped: usize) -> Result<(), Unreadable> {
        match text.as_bytes().first() {
            None => Ok(()),
            Some(b'{') => Object::parse(text).map(|object| self.take_object(&object)).map_err(Unreadable::Json),
            Some(b'[') => Flex::parse(text).map(|list| self.take_list(list)).map_err(Unreadable::Json),
            Some(b'"') => {
                let inner = Flex::parse(text).map_err(Unreadable::Json)?.text().unwrap_or_default();
                if wrapped >= WRAPPED_MAX { Err(Unreadable::Form) } else { self.take_body(inner.trim(), wrapped + 1) }
            }
            // JSON that was encoded like a form.
            Some(b'%') if wrapped < WRAPPED_MAX => {
                let decoded = percent_decoded(text);
                if decoded.trim_start().starts_with(['{', '[', '"']) {
                    return self.take_body(decoded.trim(), wrapped + 1);
                }
                self.take_form(text)
            }
            Some(_) => self.take_form(text),
        }
    }

    fn take_form(&mut self, text: &str) -> Result<(), Unreadable> {
        if !text.contains('=') {
            return if flex::is_absent(text) { Ok(()) } else { Err(Unreadable::Form) };
        }
        self.take_pairs(text);
        Ok(())
    }

    fn take_object(&mut self, object: &Object<'_>) {
        for (name, value) in object.members().take(NAMES_MAX) {
            if name.trim().eq_ignore_ascii_case(LIST) {
                self.take_list(value);
            } else {
                self.put(name, value.variable().unwrap_or_default());
            }
        }
    }

    fn take_list(&mut self, value: Flex<'_>) {
        let inner = value.text().unwrap_or_default();
        let list = match value.kind() {
            Kind::Text => Flex::parse(inner.trim()).ok().and_then(Flex::list),
            _ => value.list(),
        };
        let items = list.unwrap_or_default().into_iter().take(NAMES_MAX);
        self.listed = items.map(|item| item.variable().filter(|text| !is_left_out(text))).collect();
    }

    fn take_pairs(&mut self, text: &str) {
        for pair in text.split('&').filter(|pair| !pair.is_empty()).take(NAMES_MAX) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (percent_decoded(name), percent_decoded(value));
            if name.trim().eq_ignore_ascii_case(LIST) {
                if let Ok(list) = Flex::parse(value.trim()) {
                    self.take_list(list);
                }
            } else {
                self.put(&name, value);
            }
        }
    }

    /// A value that says nothing takes nothing away: the same name may stand in the query and in the body.
    fn put(&mut self, name: &str, value: String) {
        if !is_left_out(&value) && self.named.len() < NAMES_MAX {
            self.named.insert(name.trim().to_ascii_lowercase(), value);
        }
    }
}

/// True for the ways in which bots leave an argument out: nothing, `None` and `null` in any case, a pair of
/// quotes (the calculator's way), `undefined`, and a variable that was never filled in.
pub fn is_left_out(text: &str) -> bool {
    let text = text.trim();
    flex::is_absent(text)
        || ["none", "null", "undefined", "''", "\"\""].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Undoes the encoding of forms. What is no escape stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        match (escaped, first) {
            (Some(byte), _) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
                continue;
            }
            (None, b'+') => bytes.push(b' '),
            (None, byte) => bytes.push(*byte),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests;
