//! The keys: the schema, the reader, the printed defaults and the examples name the same ones.

use super::super::raw::Root;
use super::super::read::{Key, Need, Read};
use super::super::{default_text, schema};
use super::*;
use serde_json::Value;
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

const EXAMPLE: &str = include_str!("../../../config/salebridge.toml");
const CONTRACT: &str = include_str!("../../../tests/it/config/spec.toml");

/// Every key with its full name, without the numbers of lists.
fn known(keys: &'static [Key], under: &str) -> Vec<(String, Key)> {
    keys.iter()
        .flat_map(|key| {
            let path = if under.is_empty() { key.name.to_owned() } else { format!("{under}.{}", key.name) };
            let inner = known(key.inner, &path);
            std::iter::once((path, *key)).chain(inner)
        })
        .collect()
}

/// The keys of the reader and their texts in the default configuration.
fn written(table: &DeTable<'_>, text: &str, under: &str, into: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let path = if under.is_empty() { name.get_ref().to_string() } else { format!("{under}.{}", name.get_ref()) };
        into.insert(path.clone(), text[value.span()].to_owned());
        // A secret that stands elsewhere is a value, not a section.
        let is_secret = |table: &DeTable<'_>| table.keys().any(|key| matches!(key.get_ref().as_ref(), "file" | "env"));
        match value.get_ref() {
            DeValue::Table(inner) if !is_secret(inner) => written(inner, text, &path, into),
            DeValue::Array(items) => items
                .iter()
                .filter_map(|item| item.get_ref().as_table())
                .for_each(|inner| written(inner, text, &path, into)),
            _ => {}
        }
    }
}

/// The keys of the schema.
fn described(root: &Value, schema: &Value, under: &str, into: &mut BTreeMap<String, Value>) {
    let target = |schema: &Value| -> Option<Value> {
        let reference = schema.get("$ref").or_else(|| schema.pointer("/allOf/0/$ref"))?.as_str()?;
        root.pointer(reference.strip_prefix('#')?).cloned()
    };
    let schema = target(schema).unwrap_or_else(|| schema.clone());
    if let Some(items) = schema.get("items") {
        return described(root, items, under, into);
    }
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if under.is_empty() { name.clone() } else { format!("{under}.{name}") };
        into.insert(path.clone(), property.clone());
        described(root, property, &path, into);
    }
}

/// The printed defaults with every key that is off switched on.
fn with_all_keys() -> String {
    let on = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest.to_owned(),
        _ => line.to_owned(),
    };
    default_text().lines().map(|line| on(line) + "\n").collect()
}

fn keys_written_in(text: &str) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    written(DeTable::parse(text).unwrap().get_ref(), text, "", &mut keys);
    keys
}

#[test]
fn schema_reader_and_printed_defaults_name_the_same_keys() {
    let reader: Vec<String> = {
        let mut paths: Vec<_> = known(Root::KEYS, "").into_iter().map(|(path, _)| path).collect();
        paths.sort();
        paths
    };
    let mut schema_keys = BTreeMap::new();
    described(&schema(), &schema(), "", &mut schema_keys);
    assert_eq!(schema_keys.into_keys().collect::<Vec<_>>(), reader);
    assert_eq!(keys_written_in(&with_all_keys()).into_keys().collect::<Vec<_>>(), reader);
}

#[test]
fn printed_defaults_are_the_defaults() {
    let keys = keys_written_in(&with_all_keys());
    let off = keys_written_in(default_text());
    for (path, key) in known(Root::KEYS, "") {
        match key.need {
            Need::Default(text) if key.inner.is_empty() => assert_eq!(keys[&path], text, "{path}"),
            // One of `token` and `oauth` has to be on.
            Need::Optional(_) if path == "bridge.amo.token" => {}
            Need::Optional(_) => assert!(!off.contains_key(&path), "{path} is on"),
            Need::Default(_) | Need::Required(_) => {}
        }
    }
    let example = default_text();
    let bare: String = keys_required(example);
    assert_eq!(format!("{:?}", check_shape(example).unwrap()), format!("{:?}", check_shape(&bare).unwrap()));
}

/// The required keys of the printed defaults and nothing else.
fn keys_required(text: &str) -> String {
    let required = ["name", "token", "api_key", "webhook_secret", "url = \"https://example.amocrm.ru\""];
    let kept = |line: &&str| {
        ["[[bridge]]", "[bridge.amo]", "[bridge.salebot]"].contains(line)
            || required.iter().any(|key| line.starts_with(key))
    };
    text.lines().filter(kept).map(|line| format!("{line}\n")).collect()
}

#[test]
fn every_default_and_example_can_be_read() {
    for (path, key) in known(Root::KEYS, "") {
        let (Need::Required(text) | Need::Default(text) | Need::Optional(text)) = key.need;
        assert!(text.starts_with('[') || DeValue::parse(text).is_ok(), "{path}: {text}");
        assert!(!key.doc.trim().is_empty(), "{path}");
    }
    assert!(check_shape(SMALL).is_ok());
}

#[test]
fn the_schema_tells_kinds_needs_and_defaults() {
    let schema = schema();
    let mut keys = BTreeMap::new();
    described(&schema, &schema, "", &mut keys);
    assert_eq!(keys["bridge.amo.requests_per_second"]["default"], 6);
    assert_eq!(keys["bridge.people.match"]["default"], serde_json::json!(["phone", "email"]));
    assert_eq!(keys["bridge.amo.api"]["enum"], serde_json::json!(["v2", "v4"]));
    assert_eq!(schema["required"], serde_json::json!(["bridge"]));
    assert_eq!(schema["additionalProperties"], false);
    let amo = &schema["definitions"]["Amo"];
    assert_eq!((&amo["required"], &amo["additionalProperties"]), (&serde_json::json!(["url"]), &Value::Bool(false)));
    assert!(keys.values().all(|key| key["description"].as_str().is_some_and(|text| !text.is_empty())));
}

#[test]
fn the_example_passes() {
    let config = check_shape(EXAMPLE).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config.bridges[0].policy.rules.len(), 4);
}

#[test]
fn the_example_says_what_the_contract_says() {
    let config = |text| format!("{:?}", check_shape(text).unwrap_or_else(|faults| panic!("{faults}")));
    assert_eq!(config(EXAMPLE), config(CONTRACT));
}

#[test]
fn the_contract_passes_with_oauth_in_place_of_the_token() {
    let text: String = CONTRACT
        .lines()
        .filter(|line| !line.starts_with("token ="))
        .map(|line| format!("{}\n", line.trim_start_matches("#oauth ")))
        .collect();
    let config = check_shape(&text).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(
        matches!(&config.bridges[0].amo.auth, crate::config::AmoAuth::OAuth(oauth) if oauth.client_id == "client-id")
    );
}
