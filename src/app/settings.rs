//! Reading the configuration with everything the check asks of the world.

use crate::app::env::SystemEnv;
use crate::config::{Checks, Config, Faults, Secrets, TemplateKind, check_text, load, load_partly};
use crate::core::policy::CreateClient;
use crate::core::template;
use crate::ports::env::Env;
use std::path::{Path, PathBuf};

/// Where a packaged daemon has its configuration.
pub const INSTALLED: &str = "/etc/salebridge/salebridge.toml";
/// Where a checkout has it.
const LOCAL: &str = "./config/salebridge.toml";

/// The file that was named, else the installed one, else the one of a checkout.
pub fn path(named: Option<PathBuf>) -> PathBuf {
    named.unwrap_or_else(|| {
        let installed = PathBuf::from(INSTALLED);
        // One that may not be looked at is meant, too: a checkout's would be blamed for what is missing there.
        if matches!(installed.try_exists(), Ok(false)) { PathBuf::from(LOCAL) } else { installed }
    })
}

/// Reads and checks a file, templates included.
pub fn read(path: &Path, secrets: Secrets) -> Result<Config, Faults> {
    with_checks(|checks| load(path, &checks.secrets(secrets)))
}

/// What can be made of a file, and what is wrong with it.
pub fn read_partly(path: &Path) -> (Option<Config>, Option<Faults>) {
    with_checks(|checks| load_partly(path, &checks.secrets(Secrets::Tolerant)))
}

/// Checks a text that is to become the file `path`.
pub fn read_text(path: &Path, text: &str) -> Result<Config, Faults> {
    let folder = path.parent().unwrap_or(Path::new(""));
    with_checks(|checks| check_text(&path.display().to_string(), folder, text, &checks))
}

/// Checks the form of a text that is to become the file `path`, without its secrets.
pub fn check_shape(path: &Path, text: &str) -> Result<(), Faults> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let name = path.display().to_string();
    with_checks(|checks| check_text(&name, folder, text, &checks.secrets(Secrets::Shape))).map(drop)
}

fn with_checks<T>(use_them: impl FnOnce(Checks<'_>) -> T) -> T {
    let env = |name: &str| std::env::var(name).ok();
    let compile = |kind: TemplateKind, source: &str| {
        let kind = match kind {
            TemplateKind::Note => template::TemplateKind::Note,
            TemplateKind::Callback => template::TemplateKind::Callback,
        };
        template::check(kind, source)
    };
    let now = jiff::Timestamp::from_millisecond(SystemEnv.now().0).unwrap_or_default();
    use_them(Checks::new(&env, now).template(&compile))
}

/// What a configuration asks for and this version does not do yet, in words for the operator. It is
/// accepted, so that one file serves later versions too; it must not be believed to work.
pub fn not_yet(config: &Config) -> Vec<String> {
    let of_bridge = |bridge: &crate::config::Bridge| {
        let people = &bridge.policy.people;
        let asked = [(
            people.create_client == CreateClient::CreateOrder,
            "people.create_client = \"create_order\": no clients are made this way; use \"load_clients\"",
        )];
        let name = bridge.name.clone();
        asked
            .into_iter()
            .filter(|(is_asked, _)| *is_asked)
            .map(move |(_, what)| format!("bridge {name}: this version ignores {what}"))
    };
    config.bridges.iter().flat_map(of_bridge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_done_is_said() {
        let text = |extra: &str, people: &str| {
            format!(
                "[[bridge]]\nname = \"shop\"\n[bridge.amo]\nurl = \"https://example.amocrm.ru\"\ntoken = \"t\"\n\
                 [bridge.salebot]\napi_key = \"abc\"\nwebhook_secret = \"0123456789abcdef\"\n{extra}\n[bridge.people]\n{people}\n"
            )
        };
        let read = |text: &str| {
            let env = |_: &str| None;
            let checks = Checks::new(&env, jiff::Timestamp::UNIX_EPOCH);
            crate::config::check_text("test.toml", Path::new("."), text, &checks).unwrap()
        };
        assert_eq!(not_yet(&read(&text("", ""))), Vec::<String>::new());
        let asked = not_yet(&read(&text("functions_token = \"fedcba9876543210\"", "create_client = \"create_order\"")));
        assert_eq!(asked.len(), 1, "{asked:?}");
    }
}
