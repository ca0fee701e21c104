//! `salebridge init`: asks on a terminal, takes flags everywhere, writes a configuration to begin with.

use super::{Failure, doctor};
use crate::app::init::{
    self, AmoAnswers, AmoSeen, Answers, Findings, Made, Plan, Refused, SALEBOT_URL, SalebotAnswers, SalebotSeen,
};
use crate::app::settings::INSTALLED;
use crate::config::{Api, fault_of_address, fault_of_name};
use anyhow::{Context, bail};
use clap::ValueEnum;
use dialoguer::{Confirm, Input, Password};
use secrecy::SecretString;
use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where a configuration is written unless it is named.
const OUTPUT: &str = "salebridge.toml";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// amoCRM's address: https://example.amocrm.ru
    #[arg(long, value_name = "URL")]
    amo_url: Option<String>,
    /// A file with the long-lived token of amoCRM
    #[arg(long, value_name = "FILE", conflicts_with = "amo_token_env")]
    amo_token_file: Option<PathBuf>,
    /// An environment variable with the long-lived token of amoCRM
    #[arg(long, value_name = "NAME")]
    amo_token_env: Option<String>,
    /// The version of amoCRM's API
    #[arg(long, value_name = "VERSION", default_value = "v2")]
    api: Version,
    /// A file with the API key of the Salebot project
    #[arg(long, value_name = "FILE", conflicts_with = "salebot_api_key_env")]
    salebot_api_key_file: Option<PathBuf>,
    /// An environment variable with the API key of the Salebot project
    #[arg(long, value_name = "NAME")]
    salebot_api_key_env: Option<String>,
    /// Salebot's address, for projects at another installation
    #[arg(long, value_name = "URL", default_value = SALEBOT_URL)]
    salebot_url: String,
    /// A name for the bridge: small Latin letters, digits and `-`
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The https address of the web server in front, by which Salebot reaches this machine
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The address and port to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// The store: sqlite:///path or postgres://…; without it beside an own configuration, in /var/lib for an installed one
    #[arg(long, value_name = "URL")]
    store_url: Option<String>,
    /// The file to write; secrets go into the folder `secrets` beside it
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Ask nothing: flags and defaults decide
    #[arg(long, short)]
    yes: bool,
    /// Replace files that are there; webhook secrets that are there stay, since Salebot knows them
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Version {
    V2,
    V4,
}

pub(super) async fn run(named: Option<PathBuf>, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let output = arguments.output.clone().or(named).unwrap_or_else(|| PathBuf::from(OUTPUT));
    let asks = !arguments.yes && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None if asks => {
            sound_line("A name for this bridge (small Latin letters, digits, -)", Some("shop"), fault_of_name)?
        }
        None => "shop".to_owned(),
    };
    refuse_unsound("--name", Some(&name), fault_of_name)?;
    refuse_unsound("--public-url", arguments.public_url.as_deref(), fault_of_address)?;
    refuse_conflicts(&output, &name, arguments.force)?;
    let (amo, amo_seen) = amo(arguments, asks).await?;
    anstream::println!("✓ amoCRM: {}", amo_seen.words);
    let (salebot, salebot_seen) = salebot(arguments, asks).await?;
    anstream::println!("✓ Salebot: {} connected bots", salebot_seen.channels.len());
    let answers = Answers {
        name,
        amo,
        salebot,
        public_url: public_url(arguments, asks)?,
        listen: arguments.listen.clone(),
        store_url: arguments.store_url.clone().unwrap_or_else(|| init::usual_store(&output)),
    };
    let findings = Findings { account: amo_seen.account, salebot: salebot_seen };
    let text = init::compose(&output, &answers, &findings)?;
    show_proposals(&findings);
    if asks && !Confirm::new().with_prompt(format!("Write {}?", output.display())).default(true).interact()? {
        anstream::println!("Nothing was written.");
        return Ok(ExitCode::FAILURE);
    }
    let made = Plan { output: &output, answers: &answers, text: &text, force: arguments.force }.write()?;
    tell(&made);
    anstream::println!("\nNow everything is tried:");
    let diagnosis = doctor::examine(&output, None, false).await?;
    closing(&output, diagnosis.is_well())?;
    Ok(ExitCode::SUCCESS)
}

fn refuse_conflicts(output: &Path, name: &str, force: bool) -> anyhow::Result<()> {
    let in_the_way = init::conflicts(output, name);
    if force || in_the_way.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = in_the_way.iter().map(|path| path.display().to_string()).collect();
    bail!("{} is there already: --force replaces it, --output writes elsewhere", names.join(", "));
}

/// Asks for amoCRM until it answers; without a terminal the first refusal ends it.
async fn amo(arguments: &Arguments, asks: bool) -> anyhow::Result<(AmoAnswers, AmoSeen)> {
    let mut url = match &arguments.amo_url {
        Some(url) => url.clone(),
        None if asks => sound_line("amoCRM's address, for example https://example.amocrm.ru", None, fault_of_address)?,
        None => bail!("amoCRM's address is missing: --amo-url https://example.amocrm.ru"),
    };
    let api = match arguments.api {
        Version::V2 => Api::V2,
        Version::V4 => Api::V4,
    };
    let given = given(arguments.amo_token_file.as_deref(), arguments.amo_token_env.as_deref())?;
    let mut token = match given {
        Some(token) => token,
        None if asks => {
            while let Err(refused) = init::look_for_amo(&url, api).await {
                again(&refused, asks)?;
                url = corrected("amoCRM's address", &url)?;
            }
            hidden("amoCRM's long-lived token (not shown)")?
        }
        None => bail!("amoCRM's token is missing: --amo-token-file FILE, or --amo-token-env NAME"),
    };
    loop {
        let answers = AmoAnswers { url: url.clone(), token: token.clone(), api };
        let refused = match init::look_at_amo(&answers).await {
            Ok(seen) => return Ok((answers, seen)),
            Err(refused) => refused,
        };
        again(&refused, asks)?;
        if refused.is_about_key {
            token = hidden("amoCRM's long-lived token (not shown)")?;
        } else {
            url = corrected("amoCRM's address", &url)?;
        }
    }
}

/// The same for Salebot.
async fn salebot(arguments: &Arguments, asks: bool) -> anyhow::Result<(SalebotAnswers, SalebotSeen)> {
    let mut url = arguments.salebot_url.clone();
    let given = given(arguments.salebot_api_key_file.as_deref(), arguments.salebot_api_key_env.as_deref())?;
    let mut api_key = match given {
        Some(key) => key,
        None if asks => hidden("The API key of the Salebot project (not shown)")?,
        None => bail!("Salebot's key is missing: --salebot-api-key-file FILE, or --salebot-api-key-env NAME"),
    };
    loop {
        let answers = SalebotAnswers { url: url.clone(), api_key: api_key.clone() };
        let refused = match init::look_at_salebot(&answers).await {
            Ok(seen) => return Ok((answers, seen)),
            Err(refused) => refused,
        };
        again(&refused, asks)?;
        if refused.is_about_key {
            api_key = hidden("The API key of the Salebot project (not shown)")?;
        } else {
            url = corrected("Salebot's address", &url)?;
        }
    }
}

/// Tells what was wrong and goes on, where there is somebody to ask again.
fn again(refused: &Refused, asks: bool) -> anyhow::Result<()> {
    if !asks {
        bail!("{refused}");
    }
    anstream::eprintln!("✗ {refused}");
    Ok(())
}

/// A secret that was given by a flag.
fn given(file: Option<&Path>, variable: Option<&str>) -> anyhow::Result<Option<SecretString>> {
    let text = match (file, variable) {
        (Some(file), _) => std::fs::read_to_string(file).with_context(|| {
            format!("the file {} cannot be read: put the secret into it, or correct the path", file.display())
        })?,
        (None, Some(name)) => {
            std::env::var(name).map_err(|_| anyhow::anyhow!("the environment variable {name} is not set"))?
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(SecretString::from(text.trim())))
}

/// A refused answer stands there to be corrected: a key pressed too early must not give it once more.
fn corrected(prompt: &str, refused: &str) -> anyhow::Result<String> {
    sound(Input::new().with_prompt(prompt).with_initial_text(refused), fault_of_address)
}

/// Asks for one line; with a default, an empty one is that.
fn sound_line(prompt: &str, default: Option<&str>, fault: fn(&str) -> Option<String>) -> anyhow::Result<String> {
    let input = Input::new().with_prompt(prompt);
    let input = match default {
        Some(default) => input.default(default.to_owned()),
        None => input,
    };
    sound(input, fault)
}

/// Asks until nothing is wrong with the answer.
fn sound(input: Input<'_, String>, fault: fn(&str) -> Option<String>) -> anyhow::Result<String> {
    let is_sound = move |text: &String| fault(text.trim()).map_or(Ok(()), Err);
    Ok(input.validate_with(is_sound).interact_text()?.trim().to_owned())
}

/// Before anybody is asked for anything else.
fn refuse_unsound(flag: &str, text: Option<&str>, fault: fn(&str) -> Option<String>) -> anyhow::Result<()> {
    match text.and_then(fault) {
        Some(fault) => bail!("{flag} {fault}"),
        None => Ok(()),
    }
}

fn hidden(prompt: &str) -> anyhow::Result<SecretString> {
    Ok(SecretString::from(Password::new().with_prompt(prompt).interact()?.trim()))
}

fn public_url(arguments: &Arguments, asks: bool) -> anyhow::Result<Option<String>> {
    if arguments.public_url.is_some() || !asks {
        return Ok(arguments.public_url.clone());
    }
    let input = Input::<String>::new()
        .with_prompt("The https address by which the world reaches this machine (empty if there is none yet)")
        .allow_empty(true)
        .validate_with(|text: &String| match text.trim() {
            "" => Ok(()),
            text => fault_of_address(text).map_or(Ok(()), Err),
        })
        .interact_text()?;
    Ok(Some(input.trim().to_owned()).filter(|url| !url.is_empty()))
}

fn show_proposals(findings: &Findings) {
    let (sure, unsure): (Vec<_>, Vec<_>) = findings.proposals().into_iter().partition(|pair| pair.is_certain);
    anstream::println!("\nMapped:");
    for pair in &sure {
        anstream::println!("  {} = {}   ({}: {})", pair.amo, pair.salebot, pair.name, pair.why);
    }
    if !unsure.is_empty() {
        anstream::println!("{} more pairs are proposed as comments: look at them in the file.", unsure.len());
    }
}

fn tell(made: &Made) {
    anstream::println!();
    for path in &made.files {
        anstream::println!("wrote {}", path.display());
    }
    for path in &made.kept {
        anstream::println!("kept  {} (its address may be known already)", path.display());
    }
}

/// What is to be done next, in the order in which it is to be done.
fn closing(output: &Path, is_well: bool) -> Result<(), Failure> {
    let config = super::read_config(output, crate::config::Secrets::Read)?;
    doctor::print_addresses(&config, None);
    // As root the daemon would make a database that its service could not open.
    let is_installed = output == Path::new(INSTALLED);
    let at = match is_installed {
        true => "sudo -u salebridge salebridge".to_owned(),
        false => format!("salebridge --config {}", output.display()),
    };
    let start = match is_installed {
        true => "systemctl enable --now salebridge.socket salebridge.service".to_owned(),
        false => format!("{at} run"),
    };
    let is_roots = std::fs::metadata(output).is_ok_and(|metadata| metadata.uid() == 0);
    let give = format!("chown -R salebridge: {} {}", output.display(), output.with_file_name("secrets").display());
    let why = if is_installed { "the service runs as this user" } else { "if the daemon runs as this user" };
    let give = if is_roots { format!("  {give}    {why}\n") } else { String::new() };
    let first = if is_well { "" } else { "Do what stands under ✗ above, and see with:\n" };
    anstream::println!(
        "\nNext:\n{give}{first}  {at} doctor      tries everything again\n  {at} backfill --dry-run    what the first start would write; nothing is written\n  {start}         starts the daemon\n  {at} status      how it is doing"
    );
    Ok(())
}
