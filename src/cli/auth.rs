//! `salebridge auth`: obtains the tokens of a bridge that authorises by OAuth, and tells how they stand.

use super::{Failure, status::word};
use crate::app::auth::{self, FILE_BYTES_MAX, Login, LoginError};
use crate::app::{status, token, wire};
use crate::config::{Bridge, Config};
use anyhow::{Context, anyhow};
use serde_json::Value;
use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Authorise at amoCRM: prints the address of its page and takes the code
    Login {
        #[command(flatten)]
        which: Which,
        /// The code, or the whole address the browser was sent to; without it you are asked
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
    },
    /// Store a pair of tokens got elsewhere: the JSON answer of the token endpoint
    Import {
        /// The file; - reads standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        which: Which,
    },
    /// Age and end of the token, and what to do next
    Status {
        /// Of this bridge alone
        #[arg(long, value_name = "BRIDGE")]
        bridge: Option<String>,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The bridge; needed where the configuration has several
    #[arg(long, value_name = "BRIDGE")]
    bridge: Option<String>,
}

/// sysexits.h: nothing is wrong with the request, it can be made later.
const EXIT_LATER: u8 = 75;
/// The daemon looks for a new token this often; said to people.
const FOUND: &str = "A running daemon finds it within seconds, another one when it starts.";

pub(super) async fn run(path: &Path, command: &Command) -> Result<ExitCode, Failure> {
    let config = super::settings(path)?;
    match command {
        Command::Login { which, code } => {
            login(&config, auth::bridge(&config, which.bridge.as_deref())?, code.as_deref()).await
        }
        Command::Import { file, which } => import(&config, auth::bridge(&config, which.bridge.as_deref())?, file).await,
        Command::Status { bridge, json } => tell(&config, bridge.as_deref(), *json).await,
    }
}

async fn login(config: &Config, bridge: &Bridge, code: Option<&str>) -> Result<ExitCode, Failure> {
    let Some(login) = Login::new(bridge, auth::store(config).await?) else {
        anstream::println!(
            "Bridge {} has a long-lived token in amo.token: it needs no login. `salebridge auth status` tells how long it is good for.",
            bridge.name
        );
        return Ok(ExitCode::SUCCESS);
    };
    let pasted = match code {
        Some(code) => code.to_owned(),
        None => {
            anstream::println!(
                "Open this address as an administrator of the account {}, and allow the access:\n",
                bridge.amo.url
            );
            anstream::println!("{}\n", login.address().await?);
            anstream::println!(
                "The browser is then sent to the redirect address of the integration, which need not exist: what counts is the address line."
            );
            if !std::io::stdin().is_terminal() {
                anstream::println!(
                    "Within 20 minutes: salebridge auth login --bridge {} --code 'ADDRESS OR CODE'",
                    bridge.name
                );
                return Ok(ExitCode::from(EXIT_LATER));
            }
            ask("Paste it here, whole, or the code alone: ")?
        }
    };
    match login.finish(&pasted).await {
        Ok(_) => {
            anstream::println!("Bridge {} is authorised. {FOUND}", bridge.name);
            Ok(ExitCode::SUCCESS)
        }
        Err(LoginError::Later(reason)) => {
            anstream::eprintln!("salebridge: {reason}");
            Ok(ExitCode::from(EXIT_LATER))
        }
        Err(LoginError::Other(error)) => Err(error.into()),
    }
}

fn ask(question: &str) -> anyhow::Result<String> {
    anstream::print!("{question}");
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().take(FILE_BYTES_MAX).read_line(&mut line)?;
    Ok(line)
}

async fn import(config: &Config, bridge: &Bridge, file: &Path) -> Result<ExitCode, Failure> {
    let Some(login) = Login::new(bridge, auth::store(config).await?) else {
        return Err(anyhow!(
            "bridge {} has a long-lived token in amo.token: a pair is for [bridge.amo.oauth]",
            bridge.name
        )
        .into());
    };
    let pair = auth::pair_of_file(&text_of(file)?)?;
    login.keep(&pair).await?;
    anstream::println!("The pair for bridge {} is stored. {FOUND}", bridge.name);
    anstream::println!(
        "Whoever had it before must not renew it any more: the first of two that do takes it from the other."
    );
    Ok(ExitCode::SUCCESS)
}

fn text_of(file: &Path) -> anyhow::Result<Vec<u8>> {
    let source: Box<dyn Read> = match file.to_str() {
        Some("-") => Box::new(std::io::stdin()),
        _ => Box::new(std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?),
    };
    let mut text = Vec::new();
    source
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .with_context(|| format!("cannot read {}", file.display()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(anyhow!("{} is larger than {FILE_BYTES_MAX} bytes: this is no pair of tokens", file.display()));
    }
    Ok(text)
}

async fn tell(config: &Config, only: Option<&str>, json: bool) -> Result<ExitCode, Failure> {
    let store = auth::store(config).await?;
    let live = status::ask_daemon(config).await;
    let mut all = serde_json::Map::new();
    for bridge in &config.bridges {
        if only.is_none_or(|only| only == bridge.name) {
            let told = token::known(bridge, store.as_ref(), live.as_ref(), wire::now()).await?;
            all.insert(bridge.name.clone(), told);
        }
    }
    if let Some(only) = only.filter(|_| all.is_empty()) {
        auth::bridge(config, Some(only))?;
    }
    match json {
        true => anstream::println!("{}", serde_json::to_string_pretty(&all)?),
        false => all.iter().for_each(|(name, told)| anstream::print!("{}", lines(name, told))),
    }
    Ok(ExitCode::SUCCESS)
}

/// A block of lines for a bridge.
fn lines(name: &str, told: &Value) -> String {
    let is_pair = told["kind"] == "oauth";
    let mut text = format!(
        "{name}: {}, {}\n",
        if is_pair { "a pair of OAuth" } else { "a long-lived token" },
        word(&told["state"])
    );
    let known = |key: &str| told[key].as_str().map(str::to_owned);
    if let Some(age_s) = told["age_s"].as_i64() {
        text.push_str(&format!("  {:<22}{}\n", if is_pair { "obtained" } else { "issued" }, age(age_s)));
    }
    match known("expires_at") {
        Some(end) => {
            text.push_str(&format!("  {:<22}{end}\n", if is_pair { "access token until" } else { "good until" }))
        }
        None if !is_pair => {
            text.push_str("  It does not tell how long it is good for: see the Keys tab of the integration.\n")
        }
        None => {}
    }
    if let Some(end) = known("refresh_expires_at") {
        text.push_str(&format!("  {:<22}{end}, if it is not renewed before\n", "refresh token until"));
    }
    match known("note") {
        Some(note) => text.push_str(&format!("  {note}\n")),
        None => text.push_str("  Nothing needs to be done.\n"),
    }
    text
}

fn age(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}
