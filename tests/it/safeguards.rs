//! Does the simulation notice? A test that cannot fail proves nothing: each safeguard of `tests/sim/safeguards.toml` is taken out
//! of a copy of the sources, and seeds are played until one fails. That takes half an hour; that the list still fits the sources
//! and `docs/testing.md` is looked at in every run.

use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// So many seeds are played behind the one that noticed last time: a change of the engine moves them.
const FURTHER: u64 = 200;
/// So many are played at once; the first that fails is the lowest of those that did.
const PORTION: u64 = 50;
/// Longer than any portion that ends.
const PATIENCE_SECONDS: u64 = 300;

#[derive(Deserialize)]
struct List {
    safeguard: Vec<Safeguard>,
}

#[derive(Deserialize)]
struct Safeguard {
    what: String,
    /// What is seen then.
    r#as: String,
    /// By which seed it was noticed.
    seed: u64,
    edit: Vec<Edit>,
}

#[derive(Deserialize)]
struct Edit {
    file: String,
    old: String,
    new: String,
}

fn list() -> Vec<Safeguard> {
    let text = include_str!("../sim/safeguards.toml");
    toml::from_str::<List>(text).expect("tests/sim/safeguards.toml is read").safeguard
}

impl Safeguard {
    /// Puts the edits into the sources below `root`.
    fn take_out(&self, root: &Path) {
        for Edit { file, old, new } in &self.edit {
            let path = root.join(file);
            let text = std::fs::read_to_string(&path).expect("the source is there");
            std::fs::write(&path, text.replacen(old, new, 1)).expect("the copy is written");
        }
    }

    fn put_back(&self, root: &Path) {
        for Edit { file, .. } in &self.edit {
            std::fs::copy(Path::new(ROOT).join(file), root.join(file)).expect("the file is copied");
        }
    }

    /// How `docs/testing.md` shows it.
    fn row(&self, seed: u64) -> String {
        format!("| {} | {seed} | {}", self.what, self.r#as)
    }
}

#[test]
fn the_list_of_safeguards_fits_the_sources_and_the_page() {
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/testing.md")).expect("the page is there");
    for safeguard in list() {
        for Edit { file, old, new } in &safeguard.edit {
            let text = std::fs::read_to_string(Path::new(ROOT).join(file)).expect("the source is there");
            assert_eq!(text.matches(old.as_str()).count(), 1, "{}: not once in {file}:\n{old}", safeguard.what);
            assert_ne!(old, new, "{}: nothing is taken out", safeguard.what);
        }
        let row = safeguard.row(safeguard.seed);
        assert!(page.contains(&row), "docs/testing.md has no row that begins:\n{row}");
    }
}

/// `cargo test --test it safeguards -- --ignored --nocapture`; `SAFEGUARDS` chooses those that have this in their name. Prints
/// the rows of the table.
#[test]
#[ignore = "takes half an hour: a build and some hundred seeds for each"]
fn each_safeguard_that_is_taken_out_is_noticed() {
    let wanted = std::env::var("SAFEGUARDS").unwrap_or_default();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("safeguards");
    let copy = place.join("sources");
    if copy.exists() {
        std::fs::remove_dir_all(&copy).expect("the last copy is removed");
    }
    let skipped = BTreeSet::from(["target", ".git"]);
    copy_folder(Path::new(ROOT), &copy, &skipped);
    let mut unnoticed = Vec::new();
    for safeguard in list().iter().filter(|safeguard| safeguard.what.contains(&wanted)) {
        safeguard.take_out(&copy);
        let noticed = noticed(&copy, &place.join("target"), safeguard.seed + FURTHER);
        safeguard.put_back(&copy);
        match noticed {
            Ok(Some((seed, why))) => println!("{}\n    {why}", safeguard.row(seed)),
            Ok(None) => unnoticed.push(format!("{}: no seed noticed", safeguard.what)),
            Err(why) => unnoticed.push(format!("{}: it does not build\n{why}", safeguard.what)),
        }
    }
    assert!(unnoticed.is_empty(), "{}", unnoticed.join("\n"));
}

/// The first seed that notices, and what it says; none up to `last`. An error tells why it does not build.
fn noticed(sources: &Path, target: &Path, last: u64) -> Result<Option<(u64, String)>, String> {
    let binary = build(sources, target)?;
    let failed = (0..=last).step_by(PORTION as usize).find_map(|first| {
        let mut play = assert_cmd::Command::new(&binary);
        play.args(["range", "--exact", "--nocapture"]).env("SIM_SEEDS", format!("{first}..{}", first + PORTION));
        let patience = std::time::Duration::from_secs(PATIENCE_SECONDS);
        let played = play.current_dir(sources).timeout(patience).output().expect("the simulation runs");
        (!played.status.success()).then(|| first_failure(&played, first))
    });
    Ok(failed)
}

fn first_failure(played: &Output, first: u64) -> (u64, String) {
    let told = [&played.stderr, &played.stdout].map(|bytes| String::from_utf8_lossy(bytes)).concat();
    let lines: Vec<&str> = told.lines().collect();
    let failed = lines.iter().enumerate().filter_map(|(at, line)| {
        let seed = line.strip_prefix("seed ")?.strip_suffix(':')?.parse().ok()?;
        Some((seed, lines.get(at + 1).map_or_else(String::new, |why| why.trim().to_owned())))
    });
    failed.min_by_key(|(seed, _)| *seed).unwrap_or((first, "it does not come to an end".to_owned()))
}

/// Builds the simulation; where its program is.
fn build(sources: &Path, target: &Path) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["test", "--locked", "--test", "sim", "--no-run"]).current_dir(sources).env("CARGO_TARGET_DIR", target);
    let built = build.output().expect("cargo runs");
    let told = String::from_utf8_lossy(&built.stderr);
    if !built.status.success() {
        return Err(told.into_owned());
    }
    let path =
        told.lines().find_map(|line| line.trim().strip_prefix("Executable tests/sim/main.rs (")?.strip_suffix(')'));
    Ok(PathBuf::from(path.expect("cargo tells where it is")))
}

fn copy_folder(from: &Path, to: &Path, skipped: &BTreeSet<&str>) {
    std::fs::create_dir_all(to).expect("a folder for the copy");
    for entry in std::fs::read_dir(from).expect("the folder is read") {
        let entry = entry.expect("the folder is read");
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| skipped.contains(name)) {
            continue;
        }
        let (path, copy) = (entry.path(), to.join(&name));
        match entry.file_type().expect("is known").is_dir() {
            true => copy_folder(&path, &copy, skipped),
            false => drop(std::fs::copy(&path, &copy).expect("the file is copied")),
        }
    }
}
