//! The pages for people in docs/ru and docs/en: configurations that check, commands that parse, messages that the
//! program really says, links that lead somewhere, and two languages that tell the same.
//!
//! A block is told by the words behind its fence:
//! - `toml`: a whole configuration, checked as it stands;
//! - `toml fragment`: tables that belong into one; they are completed here and checked;
//! - `sh`: commands of ours alone, each of which must parse;
//! - `sh not-run`: commands for a server that no test has; ours among them must parse as well.

mod page;

use page::{Block, Page, commands, pages};
use salebridge::app::settings;
use salebridge::cli;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A bridge that lacks nothing, for what a fragment leaves out.
const BASE: &str = r#"
[[bridge]]
name = "shop"
amo = { url = "https://example.amocrm.ru", token = "t" }
salebot = { api_key = "k", webhook_secret = "0123456789abcdef0123456789abcdef" }
"#;

/// Pages whose first column quotes the program, and nothing but the program.
const QUOTING: &str = "runbook.md";
/// Shorter pieces between gaps are found in any text.
const PIECE_CHARS_MIN: usize = 6;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn both() -> Vec<Page> {
    let all = [pages(&root(), "ru"), pages(&root(), "en")].concat();
    assert!(all.len() >= 16, "{} pages were found", all.len());
    all
}

/// The base with the tables of a fragment in their places. A part of a bridge takes the place of the base's keys by name.
fn completed(fragment: &str) -> Result<String, String> {
    let parse = |text: &str| text.parse::<toml::Table>().map_err(|error| error.to_string());
    let (mut whole, part) = (parse(BASE)?, parse(fragment)?);
    for (name, value) in part {
        match (name.as_str(), whole.get_mut("bridge").and_then(|bridges| bridges.get_mut(0)), value) {
            ("bridge", Some(toml::Value::Table(bridge)), toml::Value::Table(tables)) => merge(bridge, tables),
            (_, _, value) => drop(whole.insert(name, value)),
        }
    }
    Ok(whole.to_string())
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (name, value) in from {
        if name == "oauth" {
            into.remove("token");
        }
        match (into.get_mut(&name), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(from)) => merge(into, from),
            (_, value) => drop(into.insert(name, value)),
        }
    }
}

/// What `config check --no-secrets` says.
fn checked(name: &str, text: &str) -> Result<(), String> {
    settings::check_shape(Path::new(name), text).map_err(|faults| faults.render(false))
}

fn trouble_of_block(name: &str, block: &Block) -> Option<String> {
    match block.info.as_str() {
        "toml" => checked(name, &block.text).err(),
        "toml fragment" => completed(&block.text).and_then(|text| checked(name, &text)).err(),
        "sh" => {
            block.lines().find(|line| commands(line).is_empty()).map(|line| format!("`{line}` is no command of ours"))
        }
        "yaml" => serde_yaml_ng::from_str::<serde_json::Value>(&block.text).err().map(|error| error.to_string()),
        "sh not-run" | "json" | "nginx" | "caddy" | "text" => None,
        other => Some(format!("nothing is known of blocks of `{other}`")),
    }
}

/// What clap says of a command that cannot be typed.
fn refusal(words: &[String]) -> Option<String> {
    use clap::error::ErrorKind;
    let error = cli::command().try_get_matches_from(words).err()?;
    let tells =
        [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
    (!tells.contains(&error.kind())).then(|| error.to_string())
}

/// Every text of the program, with the joints of long ones taken out.
fn sources() -> String {
    let mut text = String::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut lines = text.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |joined, line| joined + line.trim_start()).replace("\\\"", "\"")
}

fn none_of(troubles: &[String]) {
    assert!(troubles.is_empty(), "{} faults:\n{}", troubles.len(), troubles.join("\n"));
}

#[test]
fn configurations_in_the_pages_are_sound() {
    let mut count = 0;
    let mut troubles = Vec::new();
    for page in both() {
        for block in &page.blocks {
            count += usize::from(block.info.starts_with("toml"));
            let name = format!("{}:{}", page.name, block.line);
            troubles.extend(trouble_of_block(&name, block).map(|trouble| format!("{name}: {trouble}")));
        }
    }
    none_of(&troubles);
    assert!(count >= 30, "{count} configurations were found");
}

#[test]
fn commands_in_the_pages_can_be_typed() {
    let mut seen = BTreeSet::new();
    let mut troubles = Vec::new();
    let others = ["README.md", "README.ru.md", "docs/dead-letters.md", "docs/outbox.md", "docs/postgres.md"];
    let others = others.map(|name| Page::read(&root().join(name), name));
    for page in both().iter().chain(&others) {
        for (line, words) in page.commands() {
            seen.extend(words.get(1).cloned());
            troubles.extend(refusal(&words).map(|error| format!("{}:{line}: {error}", page.name)));
        }
    }
    none_of(&troubles);
    let wanted =
        ["auth", "backfill", "config", "dead-letters", "doctor", "hooks", "init", "release", "run", "status", "undo"];
    assert!(wanted.iter().all(|name| seen.contains(*name)), "{seen:?}");
}

#[test]
fn what_the_runbook_quotes_is_what_the_program_says() {
    let sources = sources();
    let mut count = 0;
    let mut troubles = Vec::new();
    for page in both().iter().filter(|page| page.name.ends_with(QUOTING)) {
        for (line, quote) in page.quotes() {
            count += 1;
            let pieces = quote.split('…').map(str::trim).filter(|piece| piece.chars().count() >= PIECE_CHARS_MIN);
            let strange = pieces.filter(|piece| !sources.contains(*piece));
            troubles.extend(strange.map(|piece| format!("{}:{line}: nothing says `{piece}`", page.name)));
        }
    }
    none_of(&troubles);
    assert!(count >= 60, "{count} messages were found");
}

#[test]
fn both_languages_tell_the_same() {
    let (russian, english) = (pages(&root(), "ru"), pages(&root(), "en"));
    let names = |pages: &[Page]| pages.iter().map(|page| page.file.clone()).collect::<Vec<_>>();
    assert_eq!(names(&russian), names(&english));
    for (one, other) in russian.iter().zip(&english) {
        assert_eq!(one.headings, other.headings, "headings of {}", one.file);
        assert_eq!(one.rows, other.rows, "rows of tables of {}", one.file);
        let infos = |page: &Page| page.blocks.iter().map(|block| block.info.clone()).collect::<Vec<_>>();
        assert_eq!(infos(one), infos(other), "blocks of {}", one.file);
        let typed = |page: &Page| page.blocks.iter().map(Block::keys).collect::<Vec<_>>();
        assert_eq!(typed(one), typed(other), "what the configurations of {} set", one.file);
    }
}

#[test]
fn links_in_the_pages_lead_somewhere() {
    let mut troubles = Vec::new();
    let mut count = 0;
    let readmes = ["README.md", "README.ru.md", "docs/guarantees.md"].map(|name| Page::read(&root().join(name), name));
    for page in both().iter().chain(&readmes) {
        let folder = root().join(&page.name);
        let folder = folder.parent().unwrap();
        for (line, link) in page.links() {
            count += 1;
            let path = link.split('#').next().unwrap_or_default();
            if !path.is_empty() && !folder.join(path).exists() {
                troubles.push(format!("{}:{line}: {link} is not there", page.name));
            }
        }
    }
    none_of(&troubles);
    assert!(count > 40, "{count} links were found");
}

#[test]
fn faults_in_a_page_are_found() {
    let block = |info: &str, text: &str| Block { info: info.to_owned(), text: text.to_owned(), line: 1 };
    let trouble = |info: &str, text: &str| trouble_of_block("x.md", &block(info, text));
    assert_eq!(
        trouble(
            "toml fragment",
            "[bridge.amo.oauth]\nclient_id = \"1\"\nclient_secret = \"s\"\nredirect_uri = \"https://a.test/o\"\n"
        ),
        None
    );
    assert!(trouble("toml", "[http]\nlisten = \"127.0.0.1:8080\"\n").is_some(), "a fragment is no whole");
    assert!(trouble("toml fragment", "[bridge.notes]\nonn = []\n").is_some());
    assert!(
        trouble("toml fragment", "[[bridge.trigger]]\non = \"lead.stage\"\ncallback = \"{{ nobody }}\"\n").is_some()
    );
    assert!(trouble("sh", "rm -r x\n").is_some() && trouble("bash", "x").is_some());
    let words = |line: &str| commands(line).remove(0);
    assert_eq!(words("$ sudo -u salebridge salebridge auth login --code 'a b'  # c").len(), 5);
    assert_eq!(refusal(&words("salebridge status --watch 5")), None);
    assert!(refusal(&words("salebridge status --wach")).is_some());
    assert!(refusal(&words("salebridge dead-letters retry")).is_some());
    assert!(commands("journalctl -u salebridge").is_empty() && commands("chown salebridge x").is_empty());
}
