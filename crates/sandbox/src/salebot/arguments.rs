//! What a request asks for: query and body as one set of named values.
//!
//! The body is read as JSON whatever its content type says. `value_…` parameters name the body
//! key that holds a value, and `delimiter` lets them name a path (Salebot API page, "Как
//! использовать универсальный webhook" and "Получение вложенных данных клиента").

use serde_json::{Map, Value};

use super::project::plain_text;
use crate::http::Request;

/// The values that `value_…` and `delimiter_value_…` can point at, and the argument each becomes.
const INDIRECT: [(&str, &str); 6] = [
    ("client_id", "client_id"),
    ("phone", "client_phone"),
    ("email", "client_email"),
    ("user_id", "user_id"),
    ("group_id", "group_id"),
    ("message", "message"),
];

/// The named values of one request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Arguments {
    named: Map<String, Value>,
    array: Option<Vec<Value>>,
    extra: Map<String, Value>,
}

/// The body is neither empty nor a JSON object or array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

impl Arguments {
    /// Reads query and body; a name in the body wins over the same name in the query.
    pub fn read(request: &Request) -> Result<Self, Unreadable> {
        let mut named = Map::new();
        for (name, value) in &request.query {
            named.entry(name.clone()).or_insert_with(|| Value::String(value.clone()));
        }
        let mut arguments = Self { named, array: None, extra: Map::new() };
        if request.method == "GET" {
            arguments.extra.clone_from(&arguments.named);
        }
        arguments.read_body(&request.body)?;
        arguments.follow_pointers();
        Ok(arguments)
    }

    fn read_body(&mut self, body: &[u8]) -> Result<(), Unreadable> {
        if body.trim_ascii().is_empty() {
            return Ok(());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => {
                for (name, value) in object {
                    self.extra.insert(name.clone(), value.clone());
                    self.named.insert(name, value);
                }
            }
            Ok(Value::Array(array)) => self.array = Some(array),
            _ => return Err(Unreadable),
        }
        Ok(())
    }

    /// Puts the values that were pointed at under the names the actions know.
    fn follow_pointers(&mut self) {
        let delimiter = self.text("delimiter").filter(|text| !text.is_empty());
        for (pointer, name) in INDIRECT {
            let direct = self.text(&format!("value_{pointer}"));
            let path = delimiter.as_ref().zip(self.text(&format!("delimiter_value_{pointer}")));
            let found = match (direct, path) {
                (Some(key), _) => self.named.get(&key).cloned(),
                (None, Some((delimiter, path))) => nested(&self.named, &path, delimiter),
                (None, None) => None,
            };
            if let Some(value) = found {
                self.named.insert(name.to_owned(), value);
            }
        }
    }

    /// The top-level array of the body, if it was one.
    pub fn array(&self) -> Option<&[Value]> {
        self.array.as_deref()
    }

    /// A value as sent.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.named.get(name).filter(|value| !value.is_null())
    }

    /// A value as a text; numbers become their digits.
    pub fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(plain_text)
    }

    /// A text that is not empty.
    pub fn filled(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// An id: a number, a numeric text, or a float without a fraction.
    pub fn id(&self, name: &str) -> Option<i64> {
        self.value(name).and_then(as_id)
    }

    /// A number of seconds or the like, with a fraction.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.value(name).and_then(as_number)
    }

    /// True for `true`, `"True"`, `1` and `"1"`.
    pub fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text == "1" || text.eq_ignore_ascii_case("true"))
    }

    /// An array as sent.
    pub fn list(&self, name: &str) -> Option<&[Value]> {
        self.value(name)?.as_array().map(Vec::as_slice)
    }

    /// An object as sent.
    pub fn object(&self, name: &str) -> Option<&Map<String, Value>> {
        self.value(name)?.as_object()
    }

    /// Every name and value, for finders that take any name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.named.iter()
    }

    /// What the body (of a GET: the query) holds beside the known names: values to keep as variables.
    pub fn extra(&self, known: &[&str]) -> Vec<(String, Value)> {
        let pointed: Vec<String> =
            INDIRECT.iter().filter_map(|(pointer, _)| self.text(&format!("value_{pointer}"))).collect();
        self.extra
            .iter()
            .filter(|(name, _)| !known.contains(&name.as_str()) && !pointed.contains(name) && !is_pointer(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

/// An id in any of the forms senders use.
pub(super) fn as_id(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
        Value::String(text) => text.trim().parse().ok().or_else(|| text.trim().parse::<f64>().ok().and_then(whole)),
        _ => None,
    }
}

fn as_number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number: &f64| number.is_finite())
}

/// Floats hold whole numbers exactly up to 2^53.
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

fn is_pointer(name: &str) -> bool {
    name == "delimiter"
        || INDIRECT.iter().any(|(pointer, _)| {
            name.strip_prefix("delimiter_").unwrap_or(name).strip_prefix("value_") == Some(*pointer)
        })
}

fn nested(named: &Map<String, Value>, path: &str, delimiter: &str) -> Option<Value> {
    let mut keys = path.split(delimiter).filter(|key| !key.is_empty());
    let first = named.get(keys.next()?)?;
    keys.try_fold(first, |value, key| value.get(key)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, query: &[(&str, &str)], body: &str) -> Request {
        Request {
            method: method.to_owned(),
            path: String::new(),
            query: query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn ids_come_in_four_forms() {
        let body = r#"{"a":5,"b":"5","c":5.0,"d":"5e0","e":5.5,"f":"x"}"#;
        let arguments = Arguments::read(&request("POST", &[], body)).expect("readable");
        for name in ["a", "b", "c", "d"] {
            assert_eq!(arguments.id(name), Some(5), "{name}");
        }
        assert_eq!(arguments.id("e"), None);
        assert_eq!(arguments.id("f"), None);
    }

    #[test]
    fn the_official_pointer_example_is_followed() {
        let body = r#"{"my_client":49177759,"message":"Hello world"}"#;
        let arguments = Arguments::read(&request("POST", &[("value_client_id", "my_client")], body)).expect("readable");
        assert_eq!(arguments.id("client_id"), Some(49_177_759));
        assert_eq!(arguments.extra(&["message"]), []);
    }

    #[test]
    fn a_delimiter_reaches_into_objects() {
        let query =
            [("delimiter", "1"), ("delimiter_value_client_id", "lead1owner"), ("delimiter_value_phone", "lead1tel")];
        let body = r#"{"lead":{"owner":"7","tel":"+7 999 000-00-01"}}"#;
        let arguments = Arguments::read(&request("POST", &query, body)).expect("readable");
        assert_eq!(arguments.id("client_id"), Some(7));
        assert_eq!(arguments.text("client_phone").as_deref(), Some("+7 999 000-00-01"));
    }

    #[test]
    fn extra_is_the_body_of_a_post_and_the_query_of_a_get() {
        let post = Arguments::read(&request("POST", &[("q", "1")], r#"{"utm":"a"}"#)).expect("readable");
        assert_eq!(post.extra(&[]), [("utm".to_owned(), Value::from("a"))]);
        let query = [("utm", "b"), ("value_phone", "tel"), ("delimiter", "1"), ("delimiter_value_email", "a1b")];
        let get = Arguments::read(&request("GET", &query, "")).expect("readable");
        assert_eq!(get.extra(&[]), [("utm".to_owned(), Value::from("b"))]);
    }

    #[test]
    fn a_body_that_is_no_json_is_unreadable() {
        assert_eq!(Arguments::read(&request("POST", &[], "a=1&b=2")), Err(Unreadable));
        assert!(Arguments::read(&request("POST", &[], " \n")).is_ok());
    }
}
