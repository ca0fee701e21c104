//! Rules about the sources themselves: who may import whom, sizes, words, what has to be there.
//!
//! Each rule is a function of a text, tried here on a planted breach, and then held against every
//! file. Breaches that existed before a rule stand in a list that may only shrink: an entry that is
//! no breach any more fails the test until it is taken out.

mod imports;
mod names;
mod scan;
mod sizes;
mod words;

use salebridge::config::{Checks, Secrets, check_text};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Breach {
    /// Counted from 1.
    line: usize,
    /// What is wrong and what to do.
    what: String,
}

impl Breach {
    fn new(line: usize, what: impl Into<String>) -> Breach {
        Breach { line, what: what.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.what)
    }
}

/// A text file of the repository; the path counts from its root and uses `/`.
struct Source {
    path: String,
    text: String,
}

/// Places that hold no text of ours. What cargo builds is told by its tag, wherever it lies.
const FOREIGN: [&str; 2] = [".git", "target"];

/// Every text file of the repository, in order of path.
fn texts() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if is_foreign(&path) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Some(text) = fs::read(&path).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
                found.push(Source { path: relative(root, &path), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn is_foreign(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    FOREIGN.contains(&name) || path.join("CACHEDIR.TAG").exists()
}

fn relative(root: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(root).unwrap().components();
    parts.map(|part| part.as_os_str().to_str().unwrap()).collect::<Vec<_>>().join("/")
}

/// Every Rust file.
fn rust_sources() -> Vec<Source> {
    texts().into_iter().filter(|source| source.path.ends_with(".rs")).collect()
}

/// Holds a rule against sources and shows every breach at once.
fn hold(sources: &[Source], rule: impl Fn(&Source) -> Vec<Breach>) {
    let found: Vec<String> = sources
        .iter()
        .flat_map(|source| rule(source).into_iter().map(|breach| format!("{}:{breach}", source.path)))
        .collect();
    assert!(found.is_empty(), "{} breaches:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_walk_finds_what_it_is_to_watch() {
    let paths: Vec<String> = texts().into_iter().map(|source| source.path).collect();
    for path in ["Cargo.toml", "src/lib.rs", "src/core/retry.rs", "tests/it/tidy.rs", ".ci/run"] {
        assert!(paths.iter().any(|found| found == path), "{path} is not among {} files", paths.len());
    }
    assert!(paths.iter().all(|path| !path.starts_with("target/") && !path.starts_with(".git/")));
}

#[test]
fn modules_import_only_what_they_may() {
    hold(&rust_sources(), |source| imports::scan(&source.path, &source.text));
}

#[test]
fn files_stay_short() {
    let lengths: Vec<_> = rust_sources()
        .into_iter()
        .map(|source| {
            let breach = sizes::long_file(&source.text).map(|lines| format!("{lines} lines"));
            (source.path, breach)
        })
        .collect();
    sizes::hold_shrinking(&lengths, &sizes::LONG_FILES);
}

#[test]
fn functions_stay_short() {
    let mut lengths = Vec::new();
    for source in rust_sources() {
        for function in sizes::functions(&source.text) {
            let breach = (function.lines > sizes::FUNCTION_LINES_MAX)
                .then(|| format!("{} lines, at line {}", function.lines, function.line));
            lengths.push((format!("{}: {}", source.path, function.name), breach));
        }
    }
    sizes::hold_shrinking(&lengths, &sizes::LONG_FUNCTIONS);
}

#[test]
fn every_file_says_what_it_is() {
    hold(&rust_sources(), |source| words::heading(&source.text));
}

#[test]
fn nothing_is_left_undone_or_silenced() {
    hold(&rust_sources(), |source| words::unfinished(&source.text));
}

#[test]
fn the_repository_speaks_of_itself_alone() {
    hold(&texts(), |source| words::workplace(&source.text));
}

#[test]
fn every_library_comes_from_the_public_registry() {
    let locks: Vec<Source> = texts().into_iter().filter(|source| source.path == "Cargo.lock").collect();
    assert_eq!(locks.len(), 1);
    hold(&locks, |source| words::foreign_registry(&source.text));
}

#[test]
fn migrations_are_numbered_alike() {
    let folder = |name: &str| -> Option<Vec<String>> {
        let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(name);
        let entries = fs::read_dir(path).ok()?;
        Some(entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
    };
    let found = names::migrations(folder("sqlite").as_deref(), folder("postgres").as_deref());
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn what_a_reader_expects_is_there() {
    let sources = texts();
    let found = |path: &str| sources.iter().find(|source| source.path == path).map(|source| source.text.as_str());
    assert_eq!(names::missing(&found), Vec::<String>::new());
}

/// A promise is worth no more than the test that it names.
#[test]
fn the_tests_that_promises_name_are_there() {
    let sources: String = rust_sources().into_iter().map(|source| source.text).collect();
    let pages = texts().into_iter().filter(|source| source.path == "docs/guarantees.md");
    let named: Vec<String> = pages.flat_map(|page| test_names(&page.text)).collect();
    assert!(named.len() > 20, "{named:?}");
    let missing: Vec<&String> = named.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert_eq!(missing, Vec::<&String>::new());
}

/// What differs between the two versions of amoCRM's API is named with the test that shows it.
#[test]
fn the_tests_that_versions_name_are_there() {
    let sources: String = rust_sources().into_iter().map(|source| source.text).collect();
    let page = texts().into_iter().find(|source| source.path == "docs/api-versions.md").expect("the page");
    let rows: Vec<&str> = page.text.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 17, "every row of the map: {}", rows.len());
    let unshown: Vec<&&str> = rows.iter().filter(|row| test_names(row).is_empty()).collect();
    assert_eq!(unshown, Vec::<&&str>::new());
    let named = test_names(&page.text);
    let missing: Vec<&String> = named.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert_eq!(missing, Vec::<&String>::new());
}

/// What stands in the last column of a table, between backticks, and is spelled like a function.
fn test_names(page: &str) -> Vec<String> {
    let last = |line: &str| line.trim_end_matches('|').rsplit('|').next().unwrap_or_default().to_owned();
    let cells = page.lines().filter(|line| line.starts_with("| ")).map(last);
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
        .collect()
}

#[test]
fn configurations_that_are_shown_are_sound() {
    let sources = texts();
    let mut checked = 0;
    for source in &sources {
        let shown = match source.path.as_str() {
            "README.md" | "README.ru.md" => names::toml_block(&source.text).expect("the page shows a configuration"),
            path if path.starts_with("config/") && path.ends_with(".toml") => &source.text,
            _ => continue,
        };
        checked += 1;
        let checks = Checks::new(&|_| None, jiff::Timestamp::UNIX_EPOCH).secrets(Secrets::Shape);
        if let Err(faults) = check_text(&source.path, Path::new("."), shown, &checks) {
            panic!("{}", faults.render(false));
        }
    }
    assert!(checked >= 4, "{checked} configurations were found");
}
