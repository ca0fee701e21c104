//! Logs: to the journal with fields under systemd, else to standard error as text or JSON.

use crate::config::{Log, LogFormat};
use anyhow::Context;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Mutex;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// Libraries whose own words are of no use to an operator below a warning.
const QUIET: &str = "sqlx=warn,hyper=warn,reqwest=warn,rustls=warn,h2=warn";

/// A library that quotes phone numbers as it reads them: no level brings it back.
const SILENT: &str = "rlibphonenumber=off";

/// Starts logging. The level was checked with the configuration. A second call changes nothing.
pub fn start(log: &Log) {
    let filter = filter(log);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match (log.format, journal()) {
        (LogFormat::Auto, Some(journal)) => Box::new(journal),
        (LogFormat::Json, _) => Box::new(tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr)),
        (LogFormat::Auto | LogFormat::Text, _) => {
            let plain = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
            Box::new(plain.with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()))
        }
    };
    // Only a second start can fail here, and then logging runs already.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
}

/// Starts logging into a file, as text. For commands whose own output is read by people.
pub fn start_in_file(log: &Log, path: &Path) -> anyhow::Result<()> {
    let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Mutex::new(file));
    // Only a second start can fail here, and then logging runs already.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter(log))).try_init();
    Ok(())
}

fn filter(log: &Log) -> EnvFilter {
    EnvFilter::try_new(format!("{QUIET},{},{SILENT}", log.level)).unwrap_or_else(|_| EnvFilter::new(QUIET))
}

/// The journal, when standard error is connected to it.
fn journal() -> Option<tracing_journald::Layer> {
    std::env::var_os("JOURNAL_STREAM")?;
    tracing_journald::layer().ok()
}
