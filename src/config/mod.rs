//! The configuration: one TOML file in, a checked [`Config`] or a report of all its [`Faults`] out.
//!
//! `raw.rs` names every key once; `read.rs` reads the file's tree into it and keeps every place; `check`
//! decides whether it makes sense; `report.rs` and `fault.rs` tell what is wrong, with secrets hidden.

mod check;
mod fault;
mod mask;
mod raw;
mod read;
mod report;
mod secret;
mod settings;

pub use fault::{Fault, Faults, SHOWN_MAX};
pub use settings::{
    Amo, AmoAuth, Api, Bridge, Config, Http, Log, LogFormat, OAuth, Recheck, Salebot, SecretSource, StoreUrl,
};

use jiff::Timestamp;
use mask::Openness;
use read::{Key, Read};
use report::{Place, Report};
use std::io::Read as _;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// What is wrong with the name of a bridge that somebody is about to write; none where nothing is.
pub fn fault_of_name(text: &str) -> Option<String> {
    check::fault_of_name(text)
}

/// What is wrong with an address, scheme and host, that somebody is about to write; none where nothing is.
pub fn fault_of_address(text: &str) -> Option<String> {
    check::address::fault_of_address(text)
}

/// A longer file is no configuration: a thousand bridges of fifty fields take half of it.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Whether the secrets that stand elsewhere are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// Files and variables are read; one that cannot be read is a fault.
    Read,
    /// The same, and what cannot be read stands empty in the [`Config`] that [`load_partly`] gives.
    Tolerant,
    /// Only the form is checked; what stands elsewhere is empty in the [`Config`]. For checking examples
    /// on a machine that does not have the secrets.
    Shape,
}

/// What a template is for; decides which values it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateKind {
    /// `bridge.notes.template`
    Note,
    /// `bridge.trigger.callback`
    Callback,
}

/// What the check asks of the world.
#[derive(Clone, Copy)]
pub struct Checks<'a> {
    /// The value of an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The time after which every schedule must come at least once.
    pub now: Timestamp,
    /// Whether secrets are read.
    pub secrets: Secrets,
    /// Compiles a template; `Err` tells what is wrong with it.
    pub template: &'a dyn Fn(TemplateKind, &str) -> Result<(), String>,
}

impl<'a> Checks<'a> {
    /// Checks that read secrets and take every template for good.
    pub fn new(env: &'a dyn Fn(&str) -> Option<String>, now: Timestamp) -> Self {
        Self { env, now, secrets: Secrets::Read, template: &|_, _| Ok(()) }
    }

    /// The same, with secrets read or not.
    pub fn secrets(self, secrets: Secrets) -> Self {
        Self { secrets, ..self }
    }

    /// The same, with templates compiled by `template`.
    pub fn template(self, template: &'a dyn Fn(TemplateKind, &str) -> Result<(), String>) -> Self {
        Self { template, ..self }
    }
}

/// Reads and checks a configuration file. Paths of secrets count from the file's folder.
pub fn load(path: &Path, checks: &Checks<'_>) -> Result<Config, Faults> {
    let name = path.display().to_string();
    let text = read_text(path).map_err(|(message, help)| Faults::unreadable(&name, message, help))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let (config, has_literals) = check_all(&name, folder, &text, checks)?;
    Ok(warned(config, path, has_literals))
}

fn warned(mut config: Config, path: &Path, has_literals: bool) -> Config {
    if has_literals && secret::is_world_readable(path) {
        let name = path.display();
        config.warnings.push(format!("{name} holds secrets and may be read by everybody: chmod o-rwx {name}"));
    }
    config
}

/// Reads and checks a configuration file for who wants to look further in spite of faults: what could be made of it,
/// and what is wrong. With [`Secrets::Tolerant`] a secret that cannot be read is a fault and empty.
pub fn load_partly(path: &Path, checks: &Checks<'_>) -> (Option<Config>, Option<Faults>) {
    let name = path.display().to_string();
    let text = match read_text(path) {
        Ok(text) => text,
        Err((message, help)) => return (None, Some(Faults::unreadable(&name, message, help))),
    };
    let (config, report, has_literals) = checked(path.parent().unwrap_or(Path::new("")), &text, checks);
    let faults = (!report.is_clean()).then(|| report.into_faults(&name, &text, openness));
    let config = config.map(|config| warned(config, path, has_literals));
    (config, faults)
}

/// Checks the text of a configuration that is called `name` in reports and lies in `folder`.
pub fn check_text(name: &str, folder: &Path, text: &str, checks: &Checks<'_>) -> Result<Config, Faults> {
    check_all(name, folder, text, checks).map(|(config, _)| config)
}

/// The JSON schema (draft 7) of the configuration file, for editors.
pub fn schema() -> serde_json::Value {
    let generator = schemars::generate::SchemaSettings::draft07().into_generator();
    generator.into_root_schema_for::<raw::Root>().to_value()
}

/// A configuration that lists every key with its default and the reason for it.
pub fn default_text() -> &'static str {
    include_str!("../../config/default.toml")
}

/// The checked configuration, and whether secrets stand in the text itself.
fn check_all(name: &str, folder: &Path, text: &str, checks: &Checks<'_>) -> Result<(Config, bool), Faults> {
    match checked(folder, text, checks) {
        (Some(config), report, has_literals) if report.is_clean() => Ok((config, has_literals)),
        (_, report, _) => Err(report.into_faults(name, text, openness)),
    }
}

/// What could be made of the text, what is wrong with it, and whether secrets stand in it.
fn checked(folder: &Path, text: &str, checks: &Checks<'_>) -> (Option<Config>, Report, bool) {
    let mut report = Report::default();
    let root = read_root(text, &mut report);
    let mut checker = check::Checker::new(checks, folder, report);
    let config = root.and_then(|root| checker.config(&root));
    let (report, has_literals) = checker.finish();
    (config, report, has_literals)
}

/// The tree of the file, with every fault of its syntax and shape reported.
fn read_root(text: &str, report: &mut Report) -> Option<raw::Root> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        report.syntax(error.message(), error.span().unwrap_or(0..0));
    }
    let place = Place { path: String::new(), span: 0..0 };
    raw::Root::read(&DeValue::Table(tree.into_inner()), &place, report)
}

/// What may be quoted of a key of this name.
fn openness(name: &str) -> Openness {
    let known = |secret: bool| any_key(raw::Root::KEYS, &|key| key.name == name && key.secret == secret);
    match (known(false), known(true)) {
        // The address of the store may hold a password; `mask` looks at the value of every address itself.
        (true, false) => Openness::Value,
        _ if name == "url" => Openness::Value,
        (_, true) => Openness::Name,
        (false, false) => Openness::Nothing,
    }
}

/// True when `found` holds for a key or for one of the keys below it.
fn any_key(keys: &[Key], found: &dyn Fn(&Key) -> bool) -> bool {
    keys.iter().any(|key| found(key) || any_key(key.inner, found))
}

/// The text of the file, or what keeps it from being read and what to do.
fn read_text(path: &Path) -> Result<String, (String, Option<String>)> {
    let file = std::fs::File::open(path).map_err(|error| {
        let help = match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                let path = path.display();
                format!(
                    "type it as the user who may read the file: sudo -u salebridge salebridge …; or give that user the \
                     file: chown salebridge: {path}; chmod 0600 {path}"
                )
            }
            _ => "name the file with --config or SALEBRIDGE_CONFIG; `salebridge init` writes one".to_owned(),
        };
        (format!("the configuration cannot be opened: {error}"), Some(help))
    })?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| (format!("the configuration cannot be read: {error}"), None))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(("the configuration is longer than 1 MiB".to_owned(), None));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
        (format!("line {line} is not UTF-8"), Some("save the file as UTF-8".to_owned()))
    })
}

#[cfg(test)]
mod tests;
