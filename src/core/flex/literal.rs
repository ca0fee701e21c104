//! Python literals: some senders write a list the way Python prints it, `"['u1', 'u2']"`.

use serde_json::{Map, Value};

/// Deepest nesting that is followed.
const DEPTH_MAX: u32 = 16;

/// Reads a Python list, tuple or dictionary of texts, numbers, `True`, `False` and `None`.
/// None for anything else.
pub(super) fn parse(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text.trim() };
    let value = reader.value(0)?;
    reader.rest.trim().is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn value(&mut self, depth: u32) -> Option<Value> {
        self.skip_space();
        match self.rest.chars().next()? {
            _ if depth > DEPTH_MAX => None,
            '[' => self.list('[', ']', depth),
            '(' => self.list('(', ')', depth),
            '{' => self.dictionary(depth),
            quote @ ('\'' | '"') => self.quoted(quote).map(Value::String),
            _ => self.word(),
        }
    }

    fn list(&mut self, open: char, close: char, depth: u32) -> Option<Value> {
        self.take(open)?;
        let mut items = Vec::new();
        while self.take(close).is_none() {
            items.push(self.value(depth + 1)?);
            self.separator(close)?;
        }
        Some(Value::Array(items))
    }

    fn dictionary(&mut self, depth: u32) -> Option<Value> {
        self.take('{')?;
        let mut members = Map::new();
        while self.take('}').is_none() {
            let Value::String(name) = self.value(depth + 1)? else { return None };
            self.take(':')?;
            members.insert(name, self.value(depth + 1)?);
            self.separator('}')?;
        }
        Some(Value::Object(members))
    }

    /// A comma, or the sight of the closing sign.
    fn separator(&mut self, close: char) -> Option<()> {
        match self.take(',') {
            Some(()) => Some(()),
            None => self.rest.starts_with(close).then_some(()),
        }
    }

    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut signs = self.rest.char_indices().skip(1);
        while let Some((at, sign)) = signs.next() {
            match sign {
                '\\' => text.push(escaped(signs.next()?.1)),
                _ if sign == quote => {
                    self.rest = self.rest.get(at + sign.len_utf8()..)?;
                    return Some(text);
                }
                _ => text.push(sign),
            }
        }
        None
    }

    fn word(&mut self) -> Option<Value> {
        let end = self.rest.find([',', ']', ')', '}', ':']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word.trim() {
            "None" => Some(Value::Null),
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            number => number.parse().ok().map(Value::Number),
        }
    }

    fn take(&mut self, sign: char) -> Option<()> {
        self.skip_space();
        self.rest = self.rest.strip_prefix(sign)?;
        self.skip_space();
        Some(())
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

/// Addresses hold no other escapes; an unknown one stands for its own sign.
fn escaped(sign: char) -> char {
    match sign {
        'n' => '\n',
        't' => '\t',
        other => other,
    }
}
