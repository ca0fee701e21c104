//! Tests of the configuration, by subject, and what they share.

mod keys;
mod mapping;
mod report;
mod secrets;
mod values;

use super::{Checks, Config, Faults, Secrets, check_text};
use jiff::Timestamp;
use std::path::Path;

/// A configuration with what is required and nothing else; its secrets stand in it.
const SMALL: &str = r#"[[bridge]]
name = "shop"

[bridge.amo]
url = "https://example.amocrm.ru"
token = "MARKER-amo-token"

[bridge.salebot]
api_key = "MARKER-salebot-key"
webhook_secret = "MARKER-salebot-webhook"
"#;

/// A Friday in 2026: tests do not depend on the day they run.
fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn no_variables(_: &str) -> Option<String> {
    None
}

/// Checks a text as `shop.toml` without variables or files.
fn check(text: &str) -> Result<Config, Faults> {
    check_text("shop.toml", Path::new("/nowhere"), text, &Checks::new(&no_variables, now()))
}

/// The same, without reading secrets that stand elsewhere.
fn check_shape(text: &str) -> Result<Config, Faults> {
    let checks = Checks::new(&no_variables, now()).secrets(Secrets::Shape);
    check_text("shop.toml", Path::new("/nowhere"), text, &checks)
}

/// `SMALL` with a line set in a section: in place of the line with the same key, else under the head of the
/// section, else in the section, new at the end.
fn set(section: &str, line: &str) -> String {
    set_in(SMALL, section, line)
}

fn set_in(text: &str, section: &str, line: &str) -> String {
    let head = format!("[{section}]");
    let key = line.split('=').next().unwrap().trim();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let Some(start) = lines.iter().position(|known| *known == head || *known == format!("[{head}]")) else {
        let text = format!("{text}\n{head}\n{line}\n");
        // Tables of the file itself stand before the bridge.
        return if section.starts_with("bridge") { text } else { format!("{head}\n{line}\n\n{SMALL}") };
    };
    let end = lines[start + 1..].iter().position(|line| line.starts_with('[')).map_or(lines.len(), |at| start + 1 + at);
    match lines[start + 1..end].iter().position(|known| known.split('=').next().unwrap().trim() == key) {
        Some(at) => lines[start + 1 + at] = line.to_owned(),
        None => lines.insert(start + 1, line.to_owned()),
    }
    lines.join("\n") + "\n"
}

/// Asserts that the only fault of `text` stands at `path`, on the line `line`, and says `says`.
fn assert_fault(text: &str, path: &str, line: &str, says: &str) {
    let faults = check(text).expect_err(&format!("accepted: {line}"));
    let [fault] = faults.list() else { panic!("not one fault for {line}:\n{faults}") };
    assert_eq!(fault.path, path, "{faults}");
    let number = 1 + text.lines().position(|known| known == line).unwrap();
    assert_eq!(fault.line, number, "{faults}");
    let told = format!("{}; {}", fault.message, fault.help.clone().unwrap_or_default());
    assert!(told.contains(says), "{says:?} is not in {told:?}");
}

/// Asserts that the text is accepted.
fn accept(text: &str) -> Config {
    check(text).unwrap_or_else(|faults| panic!("{faults}\n{text}"))
}
