//! The demo: the sandbox, a temporary database and the daemon between them, in one process.
//!
//! `story` is played on a `stage::Stage` and shown by a `view::View`; `verdict` then compares what both
//! services hold, without asking the daemon.

mod stage;
mod story;
mod verdict;
mod view;

use anyhow::Context;
use std::path::PathBuf;

/// What the demo is played with.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// The same seed tells the same story.
    pub seed: u64,
    /// People who write.
    pub people: usize,
    /// Where database, log and configuration stay; none: in a temporary folder that is removed.
    pub keep: Option<PathBuf>,
}

/// Plays the demo; true when everything it promises was found to be so.
pub async fn run(options: &DemoOptions) -> anyhow::Result<bool> {
    let mut view = view::View::of_stdout();
    let stage = stage::Stage::build(options).await?;
    let played = tokio::select! {
        verdict = story::play(&stage, options, &mut view) => verdict,
        stopped = tokio::signal::ctrl_c() => {
            stopped.context("the demo cannot be interrupted")?;
            Err(anyhow::anyhow!("interrupted"))
        }
    };
    view.end();
    let outcome = played.map(|verdict| {
        anstream::println!("\n{}", verdict.table());
        verdict.holds()
    });
    stage.strike(matches!(outcome, Ok(true))).await;
    outcome
}
