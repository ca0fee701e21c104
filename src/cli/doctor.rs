//! `salebridge doctor`: what is there, what is missing, what to do.

use super::{EXIT_CONFIG, Failure};
use crate::app::doctor::{self, Diagnosis, Need, Outcome};
use crate::config::Config;
use anstyle::{AnsiColor, Style};
use secrecy::ExposeSecret;
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only this bridge
    #[arg(long, value_name = "BRIDGE")]
    bridge: Option<String>,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    /// Print the webhook addresses whole, with the secrets in them, to be entered in Salebot
    #[arg(long)]
    addresses: bool,
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let diagnosis = examine(path, arguments.bridge.as_deref(), arguments.json).await?;
    if arguments.json {
        anstream::println!("{}", serde_json::to_string_pretty(&diagnosis.json())?);
    } else {
        anstream::println!("\n{}", verdict(&diagnosis));
        if let Some(config) = addressed(path, arguments) {
            print_addresses(&config, arguments.bridge.as_deref());
        }
    }
    Ok(exit_code(&diagnosis))
}

/// Examines, and prints each need as soon as it was tried unless `quiet`.
pub(super) async fn examine(path: &Path, bridge: Option<&str>, quiet: bool) -> anyhow::Result<Diagnosis> {
    let mut shown: Option<String> = None;
    let mut tell = |need: &Need| {
        if quiet {
            return;
        }
        if need.bridge != shown {
            shown.clone_from(&need.bridge);
            anstream::println!("\nbridge {}", need.bridge.as_deref().unwrap_or_default());
        }
        anstream::print!("{}", line(need));
    };
    let diagnosis = doctor::examine(path, bridge, &mut tell).await?;
    // One reason for everything is told once.
    let unsound = diagnosis.needs.iter().filter(|need| need.found == doctor::UNSOUND).count();
    if unsound > 0 && !quiet {
        anstream::println!("– {unsound} other needs: {}", doctor::UNSOUND);
    }
    Ok(diagnosis)
}

/// The need as people read it: what was found, and for what is not met why it matters and what to do.
fn line(need: &Need) -> String {
    let colour = match need.outcome {
        Outcome::Fine => AnsiColor::Green.on_default(),
        Outcome::Warning => AnsiColor::Yellow.on_default(),
        Outcome::Failed => AnsiColor::Red.on_default().bold(),
        Outcome::NotTried => Style::new().dimmed(),
    };
    let (sign, title) = (need.outcome.sign(), need.subject.title);
    let mut text = format!("{colour}{sign}{colour:#} {title}: {}\n", need.found);
    if matches!(need.outcome, Outcome::Warning | Outcome::Failed) {
        text.push_str(&format!("    Why it matters: {}\n", need.subject.why));
    }
    if let Some(remedy) = &need.remedy {
        text.push_str(&format!("    What to do: {remedy}.\n"));
    }
    text
}

/// The last line, in words.
fn verdict(diagnosis: &Diagnosis) -> String {
    let (failed, warnings) = (diagnosis.count(Outcome::Failed), diagnosis.count(Outcome::Warning));
    let doubts = match warnings {
        0 => String::new(),
        1 => " One thing may not be as it was meant (!).".to_owned(),
        many => format!(" {many} things may not be as they were meant (!)."),
    };
    match failed {
        0 if warnings == 0 => "Everything that could be tried is in order.".to_owned(),
        0 => format!("Nothing is in the way.{doubts}"),
        1 => format!("One thing is in the way (✗): do what stands under it, then run this again.{doubts}"),
        many => format!("{many} things are in the way (✗): do what stands under them, then run this again.{doubts}"),
    }
}

fn exit_code(diagnosis: &Diagnosis) -> ExitCode {
    match () {
        () if diagnosis.faults.is_some() => ExitCode::from(EXIT_CONFIG),
        () if diagnosis.is_well() => ExitCode::SUCCESS,
        () => ExitCode::FAILURE,
    }
}

fn addressed(path: &Path, arguments: &Arguments) -> Option<Config> {
    let config = arguments.addresses.then(|| super::read_config(path, crate::config::Secrets::Read).ok()).flatten();
    if !arguments.addresses {
        anstream::println!("`salebridge doctor --addresses` prints the webhook addresses to enter in Salebot.");
    }
    config
}

/// Prints the addresses of webhooks whole.
pub(super) fn print_addresses(config: &Config, only: Option<&str>) {
    for bridge in config.bridges.iter().filter(|bridge| only.is_none_or(|only| bridge.name == only)) {
        match doctor::webhook_address(config, bridge) {
            Some(address) => {
                anstream::println!(
                    "\nWebhook of {}, for Salebot's project settings:\n{}",
                    bridge.name,
                    address.expose_secret()
                );
            }
            None => anstream::println!("\n{}: set http.public_url, and its webhook address can be told.", bridge.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Subject;

    fn need(outcome: Outcome, remedy: Option<&str>) -> Need {
        let remedy = remedy.map(str::to_owned);
        Need { bridge: None, subject: Subject::AMO_TOKEN, outcome, found: "found".to_owned(), remedy }
    }

    #[test]
    fn what_is_missing_is_told_with_why_and_what_to_do() {
        let plain = |need: &Need| anstream::adapter::strip_str(&line(need)).to_string();
        assert_eq!(plain(&need(Outcome::Fine, None)), "✓ amoCRM token: found\n");
        let failed = plain(&need(Outcome::Failed, Some("make a new one")));
        assert!(failed.starts_with("✗ amoCRM token: found\n    Why it matters: "), "{failed}");
        assert!(failed.ends_with("    What to do: make a new one.\n"), "{failed}");
    }

    #[test]
    fn the_verdict_counts() {
        let told = |outcomes: &[Outcome]| {
            let needs = outcomes.iter().map(|outcome| need(*outcome, None)).collect();
            verdict(&Diagnosis { needs, faults: None })
        };
        assert_eq!(told(&[Outcome::Fine, Outcome::NotTried]), "Everything that could be tried is in order.");
        assert!(told(&[Outcome::Warning]).starts_with("Nothing is in the way. One thing"));
        assert!(told(&[Outcome::Failed, Outcome::Failed, Outcome::Warning]).starts_with("2 things are in the way"));
    }
}
