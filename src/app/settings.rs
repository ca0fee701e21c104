//! Reading the configuration with everything the check asks of the world.

use crate::app::env::SystemEnv;
use crate::config::{Checks, Config, Faults, Secrets, TemplateKind, load};
use crate::core::template;
use crate::ports::env::Env;
use std::path::{Path, PathBuf};

/// Where a packaged daemon has its configuration.
const INSTALLED: &str = "/etc/salebridge/salebridge.toml";
/// Where a checkout has it.
const LOCAL: &str = "./config/salebridge.toml";

/// The file that was named, else the installed one, else the one of a checkout.
pub fn path(named: Option<PathBuf>) -> PathBuf {
    named.unwrap_or_else(|| {
        let installed = PathBuf::from(INSTALLED);
        if installed.exists() { installed } else { PathBuf::from(LOCAL) }
    })
}

/// Reads and checks a file, templates included.
pub fn read(path: &Path, secrets: Secrets) -> Result<Config, Faults> {
    let env = |name: &str| std::env::var(name).ok();
    let compile = |kind: TemplateKind, source: &str| {
        let kind = match kind {
            TemplateKind::Note => template::TemplateKind::Note,
            TemplateKind::Callback => template::TemplateKind::Callback,
        };
        template::check(kind, source)
    };
    let now = jiff::Timestamp::from_millisecond(SystemEnv.now().0).unwrap_or_default();
    load(path, &Checks::new(&env, now).secrets(secrets).template(&compile))
}
