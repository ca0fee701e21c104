//! Puts the configuration and its secrets in place: whole or not at all, readable by their owner alone, and over
//! nothing that is there unless that was asked for.

use super::{Answers, new_secret};
use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The folder of the secrets, beside the configuration.
const FOLDER: &str = "secrets";
/// The file of one secret, as the configuration names it.
pub fn secret_file(bridge: &str, what: &str) -> String {
    format!("{FOLDER}/{bridge}-{what}")
}

/// What is to be written.
pub struct Plan<'a> {
    /// The configuration.
    pub output: &'a Path,
    /// What it was made from.
    pub answers: &'a Answers,
    /// Its text.
    pub text: &'a str,
    /// Whether files that are there may be replaced.
    pub force: bool,
}

/// What was written.
#[derive(Debug)]
pub struct Made {
    /// In the order in which it was written.
    pub files: Vec<PathBuf>,
    /// Secrets of addresses that were there and stay, because Salebot or a bot knows them already.
    pub kept: Vec<PathBuf>,
}

/// Files that are in the way.
pub fn conflicts(output: &Path, bridge: &str) -> Vec<PathBuf> {
    let secrets = SECRETS.map(|what| folder_of(output).join(secret_file(bridge, what)));
    std::iter::once(output.to_owned()).chain(secrets).filter(|path| path.exists()).collect()
}

/// The secrets of a bridge by the ends of their files' names.
const SECRETS: [&str; 4] = ["amo-token", "salebot-api-key", "salebot-webhook", "salebot-functions"];

fn folder_of(output: &Path) -> PathBuf {
    output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

impl Plan<'_> {
    /// Writes secrets first, so that the configuration never names a file that is not there.
    ///
    /// Errors: a file is in the way, a folder or file cannot be written; what was written before stays.
    pub fn write(&self) -> anyhow::Result<Made> {
        let folder = folder_of(self.output);
        let in_the_way = conflicts(self.output, &self.answers.name);
        if !in_the_way.is_empty() && !self.force {
            let names: Vec<String> = in_the_way.iter().map(|path| path.display().to_string()).collect();
            bail!("{} is there already: --force replaces it, --output writes elsewhere", names.join(", "));
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        let secrets = folder.join(FOLDER);
        if !secrets.is_dir() {
            let made = std::fs::DirBuilder::new().mode(0o700).create(&secrets);
            made.with_context(|| format!("the folder {} cannot be made", secrets.display()))?;
        }
        let mut made = Made { files: Vec::new(), kept: Vec::new() };
        for what in SECRETS {
            let path = folder.join(secret_file(&self.answers.name, what));
            let value = match what {
                "amo-token" => self.answers.amo.token.clone(),
                "salebot-api-key" => self.answers.salebot.api_key.clone(),
                _ if path.exists() => {
                    made.kept.push(path);
                    continue;
                }
                _ => new_secret()?,
            };
            self.put(&path, &value, 0o600)?;
            made.files.push(path);
        }
        // It holds no secret, and the service's group may read it.
        self.put(self.output, &SecretString::from(self.text), 0o640)?;
        made.files.push(self.output.to_owned());
        Ok(made)
    }

    /// A file is written beside its place, synced, and moved there in one step.
    fn put(&self, path: &Path, text: &SecretString, mode: u32) -> anyhow::Result<()> {
        let failed = || format!("{} cannot be written", path.display());
        let mut file = NamedTempFile::new_in(folder_of(path)).with_context(failed)?;
        file.as_file().set_permissions(Permissions::from_mode(mode)).with_context(failed)?;
        let text = text.expose_secret();
        file.write_all(text.as_bytes()).with_context(failed)?;
        if !text.ends_with('\n') {
            file.write_all(b"\n").with_context(failed)?;
        }
        file.as_file().sync_all().with_context(failed)?;
        let moved = if self.force { file.persist(path) } else { file.persist_noclobber(path) };
        moved.map(drop).map_err(|error| error.error).with_context(failed)
    }
}
