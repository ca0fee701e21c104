//! Reading JSON the way amoCRM does: numbers may come as texts and texts as numbers.

use serde_json::{Map, Value};

/// A JSON object.
pub(super) type Object = Map<String, Value>;

/// A non-negative number, also in quotes.
pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A whole number, also in quotes.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A text; numbers and booleans become one.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(true) => Some("1".into()),
        Value::Bool(false) => Some("0".into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Ids: one, several, or several in one text with commas. Nothing and zero are no ids.
pub(super) fn ids(value: &Value) -> Option<Vec<u64>> {
    let found: Option<Vec<u64>> = match value {
        Value::Null => Some(Vec::new()),
        Value::Array(items) => items.iter().map(number).collect(),
        Value::Object(map) if map.is_empty() => Some(Vec::new()),
        Value::String(text) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts.map(|part| part.parse().ok()).collect()
        }
        other => number(other).map(|id| vec![id]),
    };
    found.map(|ids| ids.into_iter().filter(|&id| id != 0).collect())
}

/// On or off, in any of the forms seen.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => number.as_u64().filter(|&n| n < 2).map(|n| n == 1),
        Value::String(text) => match text.as_str() {
            "1" | "Y" | "y" | "true" => Some(true),
            "0" | "N" | "n" | "false" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_come_in_many_forms() {
        assert_eq!(ids(&json!([1, "2"])), Some(vec![1, 2]));
        assert_eq!(ids(&json!("3, 4")), Some(vec![3, 4]));
        assert_eq!(ids(&json!(5)), Some(vec![5]));
        assert_eq!(ids(&json!("")), Some(vec![]));
        assert_eq!(ids(&json!(0)), Some(vec![]));
        assert_eq!(ids(&json!({})), Some(vec![]));
        assert_eq!(ids(&json!("x")), None);
        assert_eq!(ids(&json!([{}])), None);
    }

    #[test]
    fn flags_come_in_many_forms() {
        assert_eq!(flag(&json!("1")), Some(true));
        assert_eq!(flag(&json!(0)), Some(false));
        assert_eq!(flag(&json!("maybe")), None);
    }
}
