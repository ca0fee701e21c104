//! Fetches secrets from where they stand.

use super::Secrets;
use super::check::Checker;
use super::read::Secret;
use super::report::{At, Place};
use super::settings::SecretSource;
use secrecy::{ExposeSecret, SecretString};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// No key or token is nearly as long; a longer file is the wrong one.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// A secret as far as it is known.
#[derive(Debug, Clone)]
pub(super) enum Fetched {
    /// The value.
    Known(SecretString),
    /// It stands elsewhere and is not to be read.
    Unread,
}

impl Fetched {
    /// The value; an empty one when it was not read.
    pub fn into_value(self) -> SecretString {
        match self {
            Fetched::Known(value) => value,
            Fetched::Unread => SecretString::from(""),
        }
    }
}

/// True when every user of the machine may read the file.
pub(super) fn is_world_readable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

impl Checker<'_> {
    /// The value of a secret, or `None` after its fault was reported.
    pub(super) fn fetch(&mut self, secret: &At<Secret>) -> Option<Fetched> {
        let value = match &secret.value {
            Secret::Literal(value) => value.clone(),
            Secret::File(path) | Secret::Env(path) if path.value.trim().is_empty() => {
                self.report.fault(&path.place, "must not be empty");
                return None;
            }
            Secret::File(_) | Secret::Env(_) if self.checks.secrets == Secrets::Shape => return Some(Fetched::Unread),
            Secret::File(path) => {
                let value = self.fetch_file(path);
                let file = Some(self.folder.join(&path.value));
                self.sources.push(SecretSource { key: secret.place.path.clone(), file, is_read: value.is_some() });
                let Some(value) = value else { return self.unread() };
                value
            }
            Secret::Env(name) => {
                let value = self.fetch_variable(name);
                let key = secret.place.path.clone();
                self.sources.push(SecretSource { key, file: None, is_read: value.is_some() });
                let Some(value) = value else { return self.unread() };
                value
            }
        };
        if value.expose_secret().is_empty() {
            self.report.fault(&secret.place, "is empty");
            return None;
        }
        Some(Fetched::Known(value))
    }

    /// What stands for a secret that could not be read, where the rest is to be looked at all the same.
    fn unread(&self) -> Option<Fetched> {
        (self.checks.secrets == Secrets::Tolerant).then_some(Fetched::Unread)
    }

    /// The content of a file without the line's end after it.
    fn fetch_file(&mut self, path: &At<String>) -> Option<SecretString> {
        let file = self.folder.join(&path.value);
        let text = match read_file(&file) {
            Ok(text) => text,
            Err((message, help)) => {
                self.report.fault_with_help(&path.place, format!("the file {} {message}", file.display()), help);
                return None;
            }
        };
        if is_world_readable(&file) {
            let file = file.display();
            self.warnings.push(format!(
                "{}: {file} holds a secret and may be read by everybody: chmod o-rwx {file}",
                path.place.path
            ));
        }
        Some(SecretString::from(text.trim_end_matches(['\n', '\r'])))
    }

    /// The value of an environment variable.
    fn fetch_variable(&mut self, name: &At<String>) -> Option<SecretString> {
        let value = (self.checks.env)(&name.value);
        if value.is_none() {
            let message = format!("the environment variable {} is not set", name.value);
            let help = "set it where salebridge is started (systemd: Environment= or EnvironmentFile=), or use { file = \"…\" }";
            self.report.fault_with_help(&name.place, message, help);
        }
        value.map(SecretString::from)
    }

    /// A secret that travels in a header or an address: signs that can be printed, no spaces, and none of
    /// `forbidden`.
    pub(super) fn visible_secret(&mut self, secret: &At<Secret>, forbidden: &str) -> Option<SecretString> {
        if let Secret::Literal(_) = secret.value {
            self.has_literals = true;
        }
        let fetched = self.fetch(secret)?;
        if let Fetched::Known(value) = &fetched {
            let fits = |c: char| c.is_ascii_graphic() && !forbidden.contains(c);
            if !value.expose_secret().chars().all(fits) {
                let others = if forbidden.is_empty() { String::new() } else { format!(" and none of {forbidden}") };
                self.report.fault(
                    &secret.place,
                    format!("must be one word of Latin letters, digits and signs, without spaces or line ends{others}"),
                );
                return None;
            }
        }
        Some(fetched.into_value())
    }

    /// A secret that stands, or may stand, in an address we serve, hard to guess, and different from the others.
    pub(super) fn webhook_secret(&mut self, secret: &At<Secret>) -> Option<SecretString> {
        if let Secret::Literal(_) = secret.value {
            self.has_literals = true;
        }
        let fetched = self.fetch(secret)?;
        if let Fetched::Known(value) = &fetched {
            self.check_webhook_secret(value, &secret.place)?;
        }
        Some(fetched.into_value())
    }

    fn check_webhook_secret(&mut self, value: &SecretString, place: &Place) -> Option<()> {
        let text = value.expose_secret();
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if text.len() < 16 || text.len() > 256 || !text.chars().all(fits) {
            self.report.fault_with_help(
                place,
                "must have 16 to 256 signs, each a Latin letter, a digit, `_` or `-`: it stands in an address",
                "make one with: openssl rand -hex 32",
            );
            return None;
        }
        let twin = self.webhook_secrets.iter().find(|(known, _)| known.expose_secret() == text);
        if let Some((_, path)) = twin {
            let message = format!("is the same secret as {path}");
            self.report.fault_with_help(place, message, "make one for each address: openssl rand -hex 32");
            return None;
        }
        self.webhook_secrets.push((value.clone(), place.path.clone()));
        Some(())
    }
}

/// The text of a file, or what is wrong with it, to follow its name, and what to do.
fn read_file(path: &Path) -> Result<String, (String, String)> {
    let mut text = String::new();
    let file =
        std::fs::File::open(path).map_err(|error| (format!("cannot be opened: {error}"), opening(&error, path)))?;
    file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| {
        (format!("cannot be read: {error}"), "it must be a text file that holds the secret alone".to_owned())
    })?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(("is longer than 64 KiB".to_owned(), "name the file that holds the secret alone".to_owned()));
    }
    Ok(text)
}

/// Where systemd puts the copies that a service's `LoadCredential=` asks for (systemd.exec: "Credentials"); in its unit's
/// folder there, which is gone when it stops.
const CREDENTIALS: &str = "/run/credentials";

/// What to do about a file that cannot be opened.
fn opening(error: &std::io::Error, path: &Path) -> String {
    let is_copy = path.starts_with(CREDENTIALS);
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied if is_copy => {
            "this is the service's own copy, there while it runs: start it (systemctl start salebridge), with a \
             LoadCredential= line for this name (systemctl edit salebridge), and type the command as its user or root"
                .to_owned()
        }
        std::io::ErrorKind::NotFound => {
            "put the secret into this file, mode 0600, or correct the path; it counts from the configuration's folder"
                .to_owned()
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("give it to the user salebridge runs as: chown salebridge {path}; chmod 0600 {path}")
        }
        _ => "correct the path; it counts from the configuration's folder".to_owned(),
    }
}
