//! Reads a TOML tree into sections without stopping at the first fault, keeping the place of everything.
//!
//! Every key is named once, in a `section!` of `raw.rs`: the reader, the JSON schema and the list of
//! known keys come from there. (Serde would stop at the first fault and lose the places in nested forms.)

use super::report::{At, Place, Report};
use crate::core::nearest::nearest;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::SecretString;
use std::borrow::Cow;
use toml::de::{DeTable, DeValue};

/// Whether a key may be left out, and how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// It must be there; an example of its value, or of the table's head.
    Required(&'static str),
    /// What holds when it is not there, written as in the file.
    Default(&'static str),
    /// Without it something stays off; an example of its value.
    Optional(&'static str),
}

/// A key of a section.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub name: &'static str,
    pub doc: &'static str,
    pub need: Need,
    /// True when the value must never be quoted.
    pub secret: bool,
    /// The keys of the table, or of the tables, that stand under this key.
    pub inner: &'static [Key],
}

/// Something that can be read from a TOML value.
pub(super) trait Read: JsonSchema + Sized {
    /// What must stand here, for "must be …".
    const WHAT: &'static str;
    /// True when the value must never be quoted.
    const SECRET: bool = false;
    /// The keys of the table.
    const KEYS: &'static [Key] = &[];

    /// The value, or `None` after its fault was reported.
    fn read(value: &DeValue<'_>, place: &Place, report: &mut Report) -> Option<Self>;
}

/// Reports that a value is of the wrong kind.
pub(super) fn wrong_kind<T: Read>(value: &DeValue<'_>, place: &Place, report: &mut Report) {
    if T::SECRET || !T::KEYS.is_empty() || value.is_table() || value.is_array() {
        hide_leaves(value, place, report);
    }
    let found = match value.type_str() {
        "string" => "a text",
        "integer" | "float" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "table" => "a table",
        _ => "a date",
    };
    report.fault(place, format!("must be {}, not {found}", T::WHAT));
}

/// Keeps the plain values under `value` from being quoted: what was written at the wrong place may be a secret.
fn hide_leaves(value: &DeValue<'_>, place: &Place, report: &mut Report) {
    match value {
        DeValue::Array(items) => {
            items.iter().for_each(|item| hide_leaves(item.get_ref(), &at(place, item.span()), report))
        }
        DeValue::Table(table) => {
            table.values().for_each(|item| hide_leaves(item.get_ref(), &at(place, item.span()), report))
        }
        _ => report.hide(place.span.clone()),
    }
}

/// The same key, other bytes.
fn at(place: &Place, span: std::ops::Range<usize>) -> Place {
    Place { path: place.path.clone(), span }
}

/// The place of a key in a table.
fn child(parent: &Place, key: &str, span: std::ops::Range<usize>) -> Place {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let key = if plain { Cow::Borrowed(key) } else { Cow::Owned(format!("{key:?}")) };
    let path = if parent.path.is_empty() { key.into_owned() } else { format!("{}.{key}", parent.path) };
    Place { path, span }
}

/// The table that `value` is, after reporting the keys it should not have.
pub(super) fn table<'v, 'i, T: Read>(
    value: &'v DeValue<'i>,
    place: &Place,
    report: &mut Report,
) -> Option<&'v DeTable<'i>> {
    let Some(table) = value.as_table() else {
        wrong_kind::<T>(value, place, report);
        return None;
    };
    for (name, value) in table {
        let known = || T::KEYS.iter().map(|key| key.name);
        if known().any(|key| key == name.get_ref()) {
            continue;
        }
        let parent = place;
        let place = child(parent, name.get_ref(), name.span());
        hide_leaves(value.get_ref(), &at(&place, value.span()), report);
        match nearest(name.get_ref(), known()) {
            Some(key) => report.fault_with_help(&place, "is no known key", format!("did you mean `{key}`?")),
            None => {
                let help = format!("known here: {}", known().collect::<Vec<_>>().join(", "));
                report.unknown(&place, &parent.path, help);
            }
        }
    }
    Some(table)
}

/// The value of one key of a table: as written, or its default.
pub(super) fn field<T: Read>(table: &DeTable<'_>, key: &Key, section: &Place, report: &mut Report) -> Option<At<T>> {
    if let Some((name, value)) = table.get_key_value(key.name) {
        // The head `[bridge.amo]` is the span of a table; a table made by its children has only the key's.
        let span = if value.span().is_empty() { name.span() } else { value.span() };
        let place = child(section, key.name, span);
        return T::read(value.get_ref(), &place, report).map(|value| At { value, place });
    }
    let place = child(section, key.name, section.span.clone());
    match key.need {
        Need::Optional(_) => None,
        Need::Required(example) => {
            let line = if example.starts_with('[') { example.to_owned() } else { format!("{} = {example}", key.name) };
            report.missing(&place, key.name, "is required and missing", format!("add, for example: {line}"));
            None
        }
        Need::Default(text) => {
            let value = DeValue::parse(text).expect("a test parses the default of every key");
            T::read(value.get_ref(), &place, report).map(|value| At { value, place })
        }
    }
}

/// The JSON schema of a section.
pub(super) fn section_schema(doc: &str, keys: Vec<(&'static Key, Schema)>) -> Schema {
    let required: Vec<_> =
        keys.iter().filter(|(key, _)| matches!(key.need, Need::Required(_))).map(|(key, _)| key.name).collect();
    let properties: serde_json::Map<_, _> =
        keys.into_iter().map(|(key, schema)| (key.name.to_owned(), key_schema(key, schema).to_value())).collect();
    json_schema!({
        "type": "object",
        "description": doc.trim(),
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// The schema of a key's value with what is known of the key.
fn key_schema(key: &Key, mut schema: Schema) -> Schema {
    schema.insert("description".to_owned(), key.doc.trim().into());
    if let Need::Default(text) = key.need
        && let Some(value) = json(text)
    {
        schema.insert("default".to_owned(), value);
    }
    schema
}

/// A value as JSON, from how it is written in the file.
fn json(text: &str) -> Option<serde_json::Value> {
    let table: toml::Table = format!("value = {text}").parse().ok()?;
    serde_json::to_value(table.get("value")?).ok()
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl Read for String {
    const WHAT: &'static str = "a text in quotes";

    fn read(value: &DeValue<'_>, place: &Place, report: &mut Report) -> Option<Self> {
        match value.as_str() {
            Some(text) => Some(text.to_owned()),
            None => {
                wrong_kind::<Self>(value, place, report);
                None
            }
        }
    }
}

impl Read for bool {
    const WHAT: &'static str = "true or false, without quotes";

    fn read(value: &DeValue<'_>, place: &Place, report: &mut Report) -> Option<Self> {
        let read = value.as_bool();
        if read.is_none() {
            wrong_kind::<Self>(value, place, report);
        }
        read
    }
}

impl Read for i64 {
    const WHAT: &'static str = "a whole number, without quotes";

    fn read(value: &DeValue<'_>, place: &Place, report: &mut Report) -> Option<Self> {
        let Some(number) = value.as_integer() else {
            wrong_kind::<Self>(value, place, report);
            return None;
        };
        let read = i64::from_str_radix(number.as_str(), number.radix()).ok();
        if read.is_none() {
            report.fault(place, "is too large a number");
        }
        read
    }
}

impl Read for f64 {
    const WHAT: &'static str = "a number, without quotes";

    fn read(value: &DeValue<'_>, place: &Place, report: &mut Report) -> Option<Self> {
        let read = match value {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n as f64),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => {
                wrong_kind::<Self>(value, place, report);
                return None;
            }
        };
        let read = read.filter(|number: &f64| number.is_finite());
        if read.is_none() {
            report.fault(place, "must be a finite number");
        }
        read
    }
}

impl<T: Read> Read for Vec<At<T>> {
    const WHAT: &'static str = "a list";
    const SECRET: bool = T::SECRET;
    const KEYS: &'static [Key] = T::KEYS;

    fn read(value: &DeValue<'_>, place: &Place, report: &mut Report) -> Option<Self> {
        let Some(items) = value.as_array() else {
            let whole = if T::KEYS.is_empty() { "" } else { ": write its head in double brackets" };
            if whole.is_empty() || !value.is_table() {
                wrong_kind::<Self>(value, place, report);
            } else {
                hide_leaves(value, place, report);
                report.fault_with_help(place, format!("is a list of tables{whole}"), "for example: [[…]]");
            }
            return None;
        };
        let read = items.iter().enumerate().map(|(index, item)| {
            let place = Place { path: format!("{}[{index}]", place.path), span: item.span() };
            T::read(item.get_ref(), &place, report).map(|value| At { value, place })
        });
        // Every item is read, so that the faults of all are reported, before one fault spoils the list.
        read.collect::<Vec<_>>().into_iter().collect()
    }
}

/// Where the value of a secret comes from.
#[derive(Debug, Clone)]
pub(super) enum Secret {
    /// It stands in the configuration itself.
    Literal(SecretString),
    /// It stands in a file.
    File(At<String>),
    /// It is the value of an environment variable.
    Env(At<String>),
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let table = |key: &str| {
            serde_json::json!({
                "type": "object", "properties": { key: { "type": "string" } }, "required": [key], "additionalProperties": false
            })
        };
        json_schema!({
            "description": "A secret: the text itself, { file = \"path\" } or { env = \"NAME\" }.",
            "oneOf": [{ "type": "string" }, table("file"), table("env")],
        })
    }
}

impl Read for Secret {
    const WHAT: &'static str = "a text, { file = \"path\" } or { env = \"NAME\" }";
    const SECRET: bool = true;

    fn read(value: &DeValue<'_>, place: &Place, report: &mut Report) -> Option<Self> {
        match value {
            DeValue::String(text) => {
                report.hide(place.span.clone());
                Some(Secret::Literal(SecretString::from(text.as_ref())))
            }
            DeValue::Table(table) => secret_table(value, table, place, report),
            _ => {
                wrong_kind::<Self>(value, place, report);
                None
            }
        }
    }
}

/// A secret that stands elsewhere.
fn secret_table(value: &DeValue<'_>, table: &DeTable<'_>, place: &Place, report: &mut Report) -> Option<Secret> {
    let mut entries = table.iter();
    let read = match (entries.next(), entries.next()) {
        (Some((name, source)), None) => source.get_ref().as_str().and_then(|text| {
            let text = At { value: text.to_owned(), place: child(place, name.get_ref(), source.span()) };
            match name.get_ref().as_ref() {
                "file" => Some(Secret::File(text)),
                "env" => Some(Secret::Env(text)),
                _ => None,
            }
        }),
        _ => None,
    };
    if read.is_none() {
        hide_leaves(value, place, report);
        report.fault_with_help(place, "is no secret in a known form", format!("write {}", Secret::WHAT));
    }
    read
}

/// Defines a section of the file: its struct, its reader and its schema, with every key named once.
macro_rules! section {
    (
        $(#[doc = $doc:literal])*
        $name:ident {$(
            $(#[doc = $key_doc:literal])*
            $key:ident: $type:ty, $need:ident $example:literal;
        )*}
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        pub(super) struct $name {
            $(pub $key: Option<At<$type>>,)*
        }

        impl Read for $name {
            const WHAT: &'static str = "a table";
            const KEYS: &'static [Key] = &[$(Key {
                name: $crate::config::read::key_name(stringify!($key)),
                doc: concat!($($key_doc, "\n"),*),
                need: Need::$need($example),
                secret: <$type as Read>::SECRET,
                inner: <$type as Read>::KEYS,
            },)*];

            fn read(value: &DeValue<'_>, place: &Place, report: &mut Report) -> Option<Self> {
                let table = $crate::config::read::table::<Self>(value, place, report)?;
                let mut keys = Self::KEYS.iter();
                Some(Self {$(
                    $key: keys
                        .next()
                        .and_then(|key| $crate::config::read::field::<$type>(table, key, place, report)),
                )*})
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let schemas = [$(generator.subschema_for::<$type>(),)*];
                let doc = concat!($($doc, "\n"),*);
                $crate::config::read::section_schema(doc, Self::KEYS.iter().zip(schemas).collect())
            }
        }
    };
}
pub(super) use section;

/// The name of a key from the identifier that stands for it: `r#match` is `match`.
pub(super) const fn key_name(identifier: &'static str) -> &'static str {
    match identifier.as_bytes() {
        [b'r', b'#', ..] => identifier.split_at(2).1,
        _ => identifier,
    }
}

/// Gives an enum the words that stand for it in the file, each named once.
macro_rules! choices {
    ($name:ident: $($word:literal => $value:ident),* $(,)?) => {
        impl Read for $name {
            const WHAT: &'static str = concat!("one of the words", $(" \"", $word, "\""),*);

            fn read(value: &DeValue<'_>, place: &Place, report: &mut Report) -> Option<Self> {
                match value.as_str() {
                    $(Some($word) => Some($name::$value),)*
                    Some(word) => {
                        $crate::config::read::unknown_word(word, &[$($word),*], place, report);
                        None
                    }
                    None => {
                        $crate::config::read::wrong_kind::<Self>(value, place, report);
                        None
                    }
                }
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$($word),*] })
            }
        }
    };
}
pub(super) use choices;

/// Reports a word that is not among the known ones.
pub(super) fn unknown_word(word: &str, known: &[&str], place: &Place, report: &mut Report) {
    let message = format!("must be one of {}", known.join(", "));
    match nearest(word, known.iter().copied()) {
        Some(word) => report.fault_with_help(place, message, format!("did you mean \"{word}\"?")),
        None => report.fault(place, message),
    }
}
