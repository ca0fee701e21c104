//! Attachments in every form Salebot was seen to write them.

use super::{Flex, literal};
use crate::core::model::Attachment;
use serde_json::{Map, Value};

/// Most files of one message that are kept: more is no message but an attack.
const ATTACHMENTS_MAX: usize = 100;
/// Members that hold the address, most telling first.
const ADDRESSES: [&str; 5] = ["attachment_url", "url", "file", "link", "src"];
/// Members that say what the file is.
const KINDS: [&str; 3] = ["attachment_type", "type", "kind"];

/// Reads `attachments`: null, `[]` or `{}`; a list of addresses or of objects with an address and a
/// kind; one such object; an object from kinds to addresses; or a text that holds an address, a JSON
/// list or a Python list (Salebot reference, project webhook).
///
/// What cannot be read gives no attachment: it must not lose the message. A file with a kind and no
/// address (seen with voice messages) is kept with an empty address.
pub fn attachments(value: Flex<'_>) -> Vec<Attachment> {
    let mut found = Vec::new();
    if let Some(tree) = value.tree() {
        collect(&unpacked(tree), None, &mut found);
    }
    found
}

/// A text that holds a list stands for the list.
fn unpacked(tree: Value) -> Value {
    let Value::String(text) = &tree else { return tree };
    match text.trim_start().chars().next() {
        Some('[' | '{' | '(') => {
            serde_json::from_str(text).ok().or_else(|| literal::parse(text)).unwrap_or(Value::Null)
        }
        _ => tree,
    }
}

fn collect(tree: &Value, kind: Option<&str>, found: &mut Vec<Attachment>) {
    if found.len() >= ATTACHMENTS_MAX {
        return;
    }
    match tree {
        Value::String(url) => push(url, kind, found),
        Value::Array(items) => items.iter().for_each(|item| collect(item, kind, found)),
        Value::Object(members) => collect_members(members, kind, found),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn collect_members(members: &Map<String, Value>, kind: Option<&str>, found: &mut Vec<Attachment>) {
    let text = |names: &[&'static str]| names.iter().find_map(|&name| members.get(name)?.as_str());
    let own_kind = text(&KINDS);
    match text(&ADDRESSES) {
        Some(url) => push(url, own_kind.or(kind), found),
        None if own_kind.is_some() => push("", own_kind, found),
        // Names are kinds here: `{"image": "https://…"}`, `{"file": ["https://…"]}`.
        None => members.iter().filter(|(_, value)| leads_to_address(value)).for_each(|(name, value)| {
            collect(value, Some(name), found);
        }),
    }
}

fn leads_to_address(value: &Value) -> bool {
    match value {
        Value::String(text) => text.starts_with("http://") || text.starts_with("https://"),
        Value::Array(_) | Value::Object(_) => true,
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn push(url: &str, kind: Option<&str>, found: &mut Vec<Attachment>) {
    let url = url.trim();
    let kind = kind.filter(|kind| !super::is_absent(kind)).map(str::to_owned);
    if found.len() < ATTACHMENTS_MAX && (!url.is_empty() || kind.is_some()) {
        found.push(Attachment { url: url.to_owned(), kind });
    }
}
