//! `salebridge completions` and `salebridge man`: made from the commands themselves, so that they cannot fall behind.

use super::Failure;
use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// For which shell
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// Write a page for each command into this folder
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// Prints what a shell reads.
pub(super) fn completions(arguments: &Completions) -> Result<ExitCode, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Arguments::command(), "salebridge", &mut text);
    std::io::stdout().write_all(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the main page in roff, or writes all pages.
pub(super) fn man(arguments: &Man) -> Result<ExitCode, Failure> {
    let Some(folder) = &arguments.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(super::Arguments::command()).render(&mut page)?;
        std::io::stdout().write_all(&page)?;
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    for (name, page) in pages()? {
        let path = folder.join(name);
        std::fs::write(&path, page).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Every page by the name of its file: `salebridge.1`, `salebridge-config-check.1` …
fn pages() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut command = super::Arguments::command();
    command.build();
    let mut pages = Vec::new();
    collect(&command, "salebridge", &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    pages.push((format!("{name}.1"), page));
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        collect(inner, &format!("{name}-{}", inner.get_name()), pages)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    /// Every command, those inside of commands too.
    fn names(command: &Command, found: &mut Vec<String>) {
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            found.push(inner.get_name().to_owned());
            names(inner, found);
        }
    }

    #[test]
    fn every_command_is_completed_and_has_a_page() {
        let mut all = Vec::new();
        names(&super::super::Arguments::command(), &mut all);
        assert!(["doctor", "init", "status", "retry", "check"].iter().all(|name| all.contains(&(*name).to_owned())));
        for shell in Shell::value_variants() {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut super::super::Arguments::command(), "salebridge", &mut text);
            let text = String::from_utf8(text).expect("UTF-8");
            assert!(all.iter().all(|name| text.contains(name.as_str())), "{shell}");
        }
        let pages = pages().expect("they can be made");
        assert_eq!(pages.len(), all.len() + 1);
        let main = String::from_utf8(pages[0].1.clone()).expect("UTF-8").replace('\\', "");
        for command in super::super::Arguments::command().get_subcommands() {
            let name = command.get_name();
            assert!(main.contains(&format!("salebridge-{name}(1)")), "{name} is not in the main page");
            assert!(command.get_about().is_some(), "{name} does not say what it does");
            assert!(pages.iter().any(|(file, _)| *file == format!("salebridge-{name}.1")), "{name} has no page");
        }
    }
}
