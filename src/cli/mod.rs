//! The commands: one file each.

mod auth;
mod backfill;
mod config;
mod dead_letters;
mod demo;
mod doctor;
mod explain;
mod hooks;
mod init;
mod manual;
mod migrate;
mod plan;
mod release;
mod run;
mod sandbox;
mod status;
mod store;
mod undo;
mod verify;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Keeps an amoCRM account and a Salebot project in step, both ways.
#[derive(Debug, Parser)]
#[command(name = "salebridge", version, about, arg_required_else_help = true)]
struct Arguments {
    /// The configuration; without it /etc/salebridge/salebridge.toml, else ./config/salebridge.toml
    #[arg(long, global = true, env = "SALEBRIDGE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch it work: both services simulated, people writing, managers editing, and a verdict
    Demo(demo::Arguments),
    /// The daemon
    Run,
    /// A first import, or a repair: everything is looked at once more, beside a running daemon or without one
    Backfill(backfill::Arguments),
    /// Ask for addresses and keys, look at both services, and write a configuration to begin with
    Init(Box<init::Arguments>),
    /// Try everything a bridge needs, and say what to do about what is missing
    Doctor(doctor::Arguments),
    /// What would be written now, value by value; writes nothing
    Plan(plan::Arguments),
    /// Which event, pair and action gave a value: of a contact, a client or a lead
    Explain(explain::Arguments),
    /// Do both sides agree? Every difference with its cause; writes nothing
    Verify(verify::Arguments),
    /// Put back what a backfill or another run changed; without --yes it only says what it would do
    Undo(undo::Arguments),
    /// How every bridge is doing
    Status(status::Arguments),
    /// What will not succeed without a human: list, show, retry, discard
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// amoCRM's webhooks, which bring changes within a second: install, status, remove
    #[command(subcommand)]
    Hooks(hooks::Command),
    /// Let go what guards hold back: stopped passes and frozen pairs
    Release(release::Arguments),
    /// Tokens of bridges that authorise at amoCRM by OAuth: login, import, status
    #[command(subcommand)]
    Auth(auth::Command),
    /// Simulated amoCRM and Salebot on this machine, for trying a configuration
    Sandbox(sandbox::Arguments),
    /// Bring the database to this version's form (also done on start)
    Migrate,
    /// Move everything to another database
    #[command(subcommand)]
    Store(store::Command),
    /// Check the configuration, print the default one, or its schema
    #[command(subcommand)]
    Config(config::Command),
    /// Print completions for a shell
    Completions(manual::Completions),
    /// Print the manual page, or write those of all commands
    Man(manual::Man),
}

/// How a command ended, apart from success.
#[derive(Debug)]
enum Failure {
    /// The configuration is faulty: the report.
    Config(String),
    /// Anything else.
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Other(error.into())
    }
}

/// clap's own for what cannot be typed so.
const EXIT_USAGE: u8 = 2;
/// sysexits.h: the configuration is at fault, or the program is older than its database. systemd is told not to restart on it.
const EXIT_CONFIG: u8 = 78;

/// The commands with all their flags, for what is written about them: pages and their tests.
pub fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs the command of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&Failure::Other(error.into())),
    };
    match runtime.block_on(dispatch(arguments)) {
        Ok(code) => code,
        Err(failure) => failed(&failure),
    }
}

async fn dispatch(arguments: Arguments) -> Result<ExitCode, Failure> {
    let named = arguments.config.clone();
    let path = crate::app::settings::path(arguments.config);
    match arguments.command {
        Command::Demo(options) => demo::run(options).await,
        Command::Sandbox(options) => sandbox::run(options).await,
        Command::Run => run::run(&path).await,
        Command::Backfill(options) => backfill::run(&path, &options).await,
        Command::Init(options) => init::run(named, &options).await,
        Command::Doctor(options) => doctor::run(&path, &options).await,
        Command::Plan(options) => plan::run(&path, &options).await,
        Command::Explain(options) => explain::run(&path, &options).await,
        Command::Verify(options) => verify::run(&path, &options).await,
        Command::Undo(options) => undo::run(&path, &options).await,
        Command::Status(options) => status::run(&path, &options).await,
        Command::DeadLetters(command) => dead_letters::run(&path, &command).await,
        Command::Hooks(command) => hooks::run(&path, &command).await,
        Command::Release(options) => release::run(&path, &options).await,
        Command::Auth(command) => auth::run(&path, &command).await,
        Command::Migrate => migrate::run(&path).await,
        Command::Store(command) => store::run(&command).await,
        Command::Config(command) => config::run(&path, &command),
        Command::Completions(options) => manual::completions(&options),
        Command::Man(options) => manual::man(&options),
    }
}

/// Refuses what clap cannot see by itself, in its words and with its exit code.
fn misused(subcommand: &str, told: &str) -> Result<ExitCode, Failure> {
    let mut command = command();
    command.build();
    let error = match command.find_subcommand_mut(subcommand) {
        Some(found) => found.error(clap::error::ErrorKind::ValueValidation, told),
        None => command.error(clap::error::ErrorKind::ValueValidation, told),
    };
    error.print()?;
    Ok(ExitCode::from(EXIT_USAGE))
}

fn failed(failure: &Failure) -> ExitCode {
    match failure {
        Failure::Config(report) => {
            anstream::eprintln!("{}", report.trim_end());
            ExitCode::from(EXIT_CONFIG)
        }
        Failure::Other(error) => {
            anstream::eprintln!("salebridge: {error:#}");
            if crate::app::lifecycle::is_too_old(error) { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE }
        }
    }
}

/// Reads the configuration with its secrets; tells its warnings.
fn settings(path: &std::path::Path) -> Result<crate::config::Config, Failure> {
    let config = read_config(path, crate::config::Secrets::Read)?;
    for warning in config.warnings.iter().chain(&crate::app::settings::not_yet(&config)) {
        anstream::eprintln!("warning: {warning}");
    }
    Ok(config)
}

fn read_config(path: &std::path::Path, secrets: crate::config::Secrets) -> Result<crate::config::Config, Failure> {
    crate::app::settings::read(path, secrets).map_err(|faults| Failure::Config(faults.render(true)))
}
