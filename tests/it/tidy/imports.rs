//! Who may import whom: core decides, ports name what it needs of the world, engine drives, the
//! adapters act and do not know each other, app builds, cli asks.

use super::Breach;
use super::scan::{Token, closing, code, line, tokens};
use std::collections::BTreeSet;

/// What a module may import.
struct Rule {
    module: &'static str,
    /// Modules of ours, itself included.
    ours: &'static [&'static str],
    libraries: Libraries,
}

/// Which libraries a module may use.
enum Libraries {
    /// These alone, and only in the files whose path begins so; `""` is every file of the module.
    Only(&'static [(&'static str, &'static [&'static str])]),
    /// All but these.
    AllBut(&'static [&'static str]),
}

const ANYWHERE: &[&str] = &[""];

/// The table. A module that is not in it breaks the rule until it is.
const RULES: [Rule; 10] = [
    Rule {
        module: "core",
        ours: &["core"],
        libraries: Libraries::Only(&[
            ("serde", ANYWHERE),
            ("serde_json", ANYWHERE),
            ("jiff", ANYWHERE),
            ("thiserror", ANYWHERE),
            ("sha2", ANYWHERE),
            ("hmac", &["src/core/probe.rs"]),
            ("cron", &["src/core/schedule.rs"]),
            ("chrono", &["src/core/schedule.rs"]),
            ("rlibphonenumber", &["src/core/people.rs", "src/core/text.rs"]),
            ("idna", &["src/core/people.rs", "src/core/text.rs"]),
            ("unicode_normalization", &["src/core/people.rs", "src/core/text.rs"]),
            ("minijinja", &["src/core/template.rs"]),
        ]),
    },
    Rule {
        module: "ports",
        ours: &["core", "ports"],
        libraries: Libraries::Only(&[
            ("async_trait", ANYWHERE),
            ("serde", ANYWHERE),
            ("serde_json", ANYWHERE),
            ("thiserror", ANYWHERE),
            ("tokio::sync", &["src/ports/env.rs"]),
        ]),
    },
    Rule {
        module: "engine",
        ours: &["core", "ports", "engine"],
        libraries: Libraries::AllBut(&[
            // Its clock is the Env port's, and it spawns nothing.
            "tokio::time",
            "tokio::task",
            "tokio::spawn",
            "tokio::net",
            "tokio::fs",
            "sqlx",
            "libsqlite3_sys",
            "reqwest",
            "rustls",
            "axum",
            "hyper",
            "hyper_util",
            "tower",
            "tower_http",
            "governor",
            "clap",
            "anyhow",
        ]),
    },
    Rule {
        module: "remote",
        ours: &["core", "ports", "remote"],
        libraries: Libraries::AllBut(&["sqlx", "libsqlite3_sys", "axum", "tower_http", "clap", "anyhow"]),
    },
    Rule {
        module: "store",
        ours: &["core", "ports", "store"],
        libraries: Libraries::AllBut(&[
            "reqwest",
            "rustls",
            "axum",
            "hyper",
            "tower_http",
            "governor",
            "clap",
            "anyhow",
        ]),
    },
    Rule {
        module: "inbound",
        ours: &["core", "ports", "inbound"],
        libraries: Libraries::AllBut(&["sqlx", "libsqlite3_sys", "reqwest", "governor", "clap", "anyhow"]),
    },
    Rule {
        module: "config",
        ours: &["core", "config"],
        libraries: Libraries::AllBut(&[
            "tokio",
            "tracing",
            "sqlx",
            "libsqlite3_sys",
            "reqwest",
            "axum",
            "hyper",
            "governor",
            "clap",
            "anyhow",
        ]),
    },
    Rule {
        module: "app",
        ours: &["core", "ports", "engine", "remote", "store", "inbound", "config", "sandbox", "app"],
        libraries: Libraries::AllBut(&["clap"]),
    },
    Rule {
        module: "cli",
        ours: &["core", "config", "app", "cli"],
        libraries: Libraries::AllBut(&["sqlx", "libsqlite3_sys", "reqwest", "rustls", "axum", "hyper", "governor"]),
    },
    Rule { module: "main.rs", ours: &["app", "cli"], libraries: Libraries::AllBut(&["sqlx", "reqwest", "axum"]) },
];

/// Libraries that only tests have; what uses them is a test.
const TEST_LIBRARIES: [&str; 4] = ["assert_cmd", "insta", "proptest", "rstest"];
/// Collections without an order: what is decided must not depend on chance.
const UNORDERED: [&str; 4] = ["HashMap", "HashSet", "hash_map", "hash_set"];

/// What a path in the code names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Module(String),
    Library(String),
    Unordered(String),
}

/// Imports that the table does not allow. `path` counts from the root of the repository.
pub(super) fn scan(path: &str, text: &str) -> Vec<Breach> {
    let Some(inner) = path.strip_prefix("src/") else { return Vec::new() };
    let module = inner.split('/').next().unwrap_or_default();
    if module == "lib.rs" {
        return Vec::new();
    }
    let name = module.strip_suffix(".rs").filter(|_| module != "main.rs").unwrap_or(module);
    let Some(rule) = RULES.iter().find(|rule| rule.module == name) else {
        return vec![Breach::new(1, format!("module `{name}` has no rule about its imports"))];
    };
    let code = code(text);
    let found: BTreeSet<(usize, Named)> =
        named(inner, &code).into_iter().map(|(at, named)| (line(&code, at), named)).collect();
    found.into_iter().filter_map(|(line, named)| Some(Breach::new(line, complaint(rule, path, &named)?))).collect()
}

fn complaint(rule: &Rule, path: &str, named: &Named) -> Option<String> {
    let module = rule.module;
    match named {
        Named::Module(name) if rule.ours.contains(&name.as_str()) => None,
        Named::Module(name) => Some(format!("`{module}` must not know `{name}`")),
        Named::Unordered(name) if module == "core" => {
            Some(format!("`{name}` has no order of its own: use a BTree one"))
        }
        Named::Unordered(_) => None,
        Named::Library(name) if TEST_LIBRARIES.contains(&name.as_str()) => None,
        Named::Library(name) => match &rule.libraries {
            Libraries::AllBut(banned) if banned.iter().any(|entry| is_of(name, entry)) => {
                Some(format!("`{module}` must not use the library `{name}`"))
            }
            Libraries::AllBut(_) => None,
            Libraries::Only(allowed) => {
                let places = allowed.iter().find(|(library, _)| is_of(name, library)).map(|(_, places)| *places);
                match places {
                    None => Some(format!("`{module}` must not use the library `{name}`")),
                    Some(places) if places.iter().any(|place| path.starts_with(place)) => None,
                    Some(places) => Some(format!("`{name}` belongs into {} alone", places.join(" and "))),
                }
            }
        },
    }
}

/// True for an entry of the table and for everything below it.
fn is_of(name: &str, entry: &str) -> bool {
    name.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Everything the paths of a file name, with where.
fn named(inner: &str, code: &str) -> Vec<(usize, Named)> {
    let tokens = tokens(code);
    let libraries = libraries();
    let depths = depths(inner, &tokens);
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        if UNORDERED.contains(&token.text) {
            found.push((token.at, Named::Unordered(token.text.to_owned())));
        }
        let begins = index == 0 || tokens[index - 1].text != "::" || is_absolute(&tokens, index);
        if !begins {
            continue;
        }
        // A package of its own, and beside that a module like any other.
        if token.text == "salebridge_sandbox" {
            found.push((token.at, Named::Module("sandbox".to_owned())));
            continue;
        }
        let root = match token.text {
            "crate" | "salebridge" => Some(index),
            "super" => top(&tokens, index, depths[index]),
            _ => None,
        };
        if let Some(root) = root {
            let modules = heads(&tokens, root).into_iter().map(|(at, name)| (at, Named::Module(name)));
            found.extend(modules.filter(|(_, named)| !is_root_item(named)));
        } else if libraries.contains(token.text) && is_path_or_import(&tokens, index) {
            let names = parts(&tokens, index);
            found.extend(names.into_iter().map(|name| (token.at, Named::Library(name))));
        }
    }
    found
}

/// The names a path gives a library: of tokio its parts, of which some are a module's and some not.
fn parts(tokens: &[Token<'_>], index: usize) -> Vec<String> {
    let name = tokens[index].text;
    match heads(tokens, index) {
        heads if name == "tokio" && !heads.is_empty() => {
            heads.into_iter().map(|(_, part)| format!("{name}::{part}")).collect()
        }
        _ => vec![name.to_owned()],
    }
}

/// True for `::name` at the beginning of a path, as in `use ::name`; not for `a::name`.
fn is_absolute(tokens: &[Token<'_>], index: usize) -> bool {
    let before = index.checked_sub(2).map_or("", |before| tokens[before].text);
    before == "use" || !before.ends_with(|last: char| last == '>' || last == '_' || last.is_alphanumeric())
}

/// Followed by a path, or the whole of a `use`.
fn is_path_or_import(tokens: &[Token<'_>], index: usize) -> bool {
    let text = |index: Option<usize>| index.and_then(|index| tokens.get(index)).map_or("", |token| token.text);
    let (next, before) = (text(Some(index + 1)), text(index.checked_sub(1)));
    match before {
        // A method, whatever its name.
        "." => false,
        "use" | "::" if matches!(next, ";" | "as") => true,
        _ => next == "::",
    }
}

/// Names of the crate itself, which are no modules: `crate::Thing`, `crate::*`.
fn is_root_item(named: &Named) -> bool {
    matches!(named, Named::Module(name) if name.starts_with(char::is_uppercase))
}

/// The first names behind the root of the crate: one, or those of a group.
fn heads(tokens: &[Token<'_>], root: usize) -> Vec<(usize, String)> {
    if tokens.get(root + 1).is_none_or(|token| token.text != "::") {
        return Vec::new();
    }
    let Some(head) = tokens.get(root + 2) else { return Vec::new() };
    if head.text != "{" {
        return vec![(head.at, head.text.to_owned())];
    }
    let end = closing(tokens, root + 2);
    let mut names = Vec::new();
    let mut index = root + 3;
    while index < end {
        match tokens[index].text {
            "{" => index = closing(tokens, index),
            _ if matches!(tokens[index - 1].text, "{" | ",") => {
                names.push((tokens[index].at, tokens[index].text.to_owned()));
            }
            _ => {}
        }
        index += 1;
    }
    names
}

/// The last `super` of a chain that ends at the root of the crate.
fn top(tokens: &[Token<'_>], index: usize, depth: usize) -> Option<usize> {
    let steps =
        tokens[index..].chunks(2).take_while(|pair| pair.len() == 2 && pair[0].text == "super" && pair[1].text == "::");
    let steps = steps.count();
    (steps > 0 && steps == depth).then(|| index + 2 * (steps - 1))
}

/// How many modules deep each token stands: those of the file's path, and those opened in it.
fn depths(inner: &str, tokens: &[Token<'_>]) -> Vec<usize> {
    let parts = inner.split('/').count();
    let of_file = if inner.ends_with("/mod.rs") || inner == "main.rs" { parts - 1 } else { parts };
    let mut depths = vec![of_file; tokens.len()];
    for index in 0..tokens.len().saturating_sub(2) {
        if tokens[index].text == "mod" && tokens[index + 2].text == "{" {
            let end = closing(tokens, index + 2);
            depths[index + 3..end].iter_mut().for_each(|depth| *depth += 1);
        }
    }
    depths
}

/// Names of all libraries the package declares, as code writes them.
fn libraries() -> BTreeSet<String> {
    let manifest: toml::Table = include_str!("../../../Cargo.toml").parse().unwrap();
    let of = |section: &str| manifest.get(section).and_then(toml::Value::as_table).cloned().unwrap_or_default();
    let declared = of("dependencies").into_iter().chain(of("dev-dependencies"));
    declared.map(|(name, _)| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<usize> {
        scan(path, text).into_iter().map(|breach| breach.line).collect()
    }

    #[test]
    fn core_knows_nobody() {
        let planted = [
            "use crate::engine::Bridge;",
            "use crate::{id::ClientId, ports::store::Store};",
            "use super::super::ports::env::Env;",
            "use tokio::sync::Mutex;",
            "fn f() { tracing::info!(\"x\"); }",
            "use std::collections::HashMap;",
            "use std::collections::{BTreeMap, hash_map::Entry};",
            "use ::sqlx as database;",
            "use reqwest;",
            "fn f() -> crate::remote::lane::Lane { g() }",
            "use cron::Schedule;",
            "use minijinja::Environment;",
            "mod tests { use super::super::super::store::memory; }",
        ];
        for text in planted {
            let text = format!("use crate::core::id;\n{text}\n");
            assert!(found("src/core/merge.rs", &text).contains(&2), "{text}");
        }
    }

    #[test]
    fn what_core_may_use_is_let_through() {
        let fine = "use super::id::ClientId;\nuse crate::core::{text, id::{LeadId, OrderId}};\nuse serde::Serialize;\n\
                    use std::collections::BTreeMap;\n// use tokio::spawn; crate::engine\nlet x = \"crate::store::y\";\n\
                    let cron = a.tokio::<u8>();\n#[cfg(test)]\nmod tests { use super::super::text; use rstest::rstest; }\n";
        assert!(found("src/core/merge.rs", fine).is_empty());
        assert!(found("src/core/schedule.rs", "use cron::Schedule;\nuse chrono::Utc;").is_empty());
        assert!(found("src/core/template.rs", "use minijinja::Environment;").is_empty());
        assert!(found("src/core/plan/ground.rs", "use super::super::id;\nuse super::{Plan};").is_empty());
    }

    #[test]
    fn adapters_do_not_know_each_other() {
        assert_eq!(found("src/remote/http.rs", "use crate::core::fault::Fault;\nuse crate::store::sqlite;"), [2]);
        assert_eq!(found("src/store/sqlite/mod.rs", "use crate::ports::store;\nuse crate::remote::lane;"), [2]);
        assert_eq!(found("src/inbound/mod.rs", "use super::engine::Health;\nuse sqlx::Row;"), [1, 2]);
        assert_eq!(
            found("src/engine/mod.rs", "use crate::remote::http;\nuse axum::Router;\nuse std::collections::HashMap;"),
            [1, 2]
        );
        assert_eq!(found("src/config/mod.rs", "use crate::core::schedule;\nuse crate::app::wire;"), [2]);
        assert_eq!(found("src/engine/mod.rs", "use crate::core::id;\nuse salebridge_sandbox::amo;"), [2]);
    }

    #[test]
    fn ports_use_tokio_for_the_bell_alone() {
        assert!(found("src/ports/env.rs", "use tokio::sync::Notify;").is_empty());
        assert_eq!(found("src/ports/env.rs", "use tokio::{sync::Notify, time};"), [1]);
        assert_eq!(found("src/ports/store.rs", "use tokio::sync::Notify;"), [1]);
        assert_eq!(found("src/ports/store.rs", "use crate::engine::Bridge;"), [1]);
    }

    #[test]
    fn the_engine_has_no_clock_and_no_tasks_of_its_own() {
        let text = "use tokio::sync::Mutex;\nuse tokio::{select, time::sleep};\nfn f() { tokio::spawn(g()); }\nuse tokio_util::sync::CancellationToken;\n";
        assert_eq!(found("src/engine/mod.rs", text), [2, 3]);
    }

    #[test]
    fn app_builds_and_cli_asks() {
        assert_eq!(
            found(
                "src/app/wire.rs",
                "use crate::{core, engine, remote, store, inbound, sandbox};\nuse crate::cli::run;"
            ),
            [2]
        );
        assert_eq!(found("src/cli/run.rs", "use crate::app::run;\nuse crate::store::sqlite;\nuse sqlx::Row;"), [2, 3]);
        assert_eq!(found("src/main.rs", "use salebridge::cli;\nuse salebridge::store::sqlite;"), [2]);
        assert_eq!(found("src/novel/mod.rs", ""), [1]);
    }
}
