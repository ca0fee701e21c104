//! A daemon among others: the service manager's socket and notices, signals, the watchdog.

use crate::app::daemon::{Daemon, Insight};
use crate::config::Config;
use crate::ports::store::StoreError;
use anyhow::Context;
use sd_notify::NotifyState;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// How long work under way may take after the end was asked for, of a daemon and of a command that drives: the service
/// manager waits longer.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(25);

/// Runs until SIGTERM or SIGINT. A second signal ends at once: what is under way is looked up at the
/// next start.
pub async fn run(config: &Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let daemon = tokio::select! {
        started = Daemon::start(config, inherited_socket()?) => started?,
        // It may wait for its database.
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    notify(&[NotifyState::Ready, NotifyState::Status("running")]);
    {
        let watchdog = watchdog(daemon.insight());
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = watchdog => {}
        }
    }
    tracing::info!("stopping: work under way is finished first; a second signal stops at once");
    notify(&[NotifyState::Stopping]);
    tokio::select! {
        () = daemon.stop() => tracing::info!("stopped"),
        _ = terminate.recv() => tracing::warn!("stopped at once"),
        _ = interrupt.recv() => tracing::warn!("stopped at once"),
    }
    Ok(())
}

/// True where a newer program has changed the database: to start again is of no use.
pub fn is_too_old(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(StoreError::Newer(_))))
}

/// The socket that systemd holds for us: while we restart, deliveries wait in its queue.
fn inherited_socket() -> anyhow::Result<Option<TcpListener>> {
    let Some(socket) = listenfd::ListenFd::from_env()
        .take_tcp_listener(0)
        .context("the socket given by the service manager is no TCP socket")?
    else {
        return Ok(None);
    };
    socket.set_nonblocking(true)?;
    Ok(Some(TcpListener::from_std(socket)?))
}

/// Feeds the service manager's watchdog, at half its interval, as long as the engine makes progress.
/// An idle engine makes progress too: its polls do. Never comes back.
async fn watchdog(insight: Arc<Insight>) {
    let Some(interval) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let (mut seen, mut still) = (insight.beats(), Duration::ZERO);
    loop {
        tokio::time::sleep(interval / 2).await;
        let beats = insight.beats();
        still = if beats == seen { still + interval / 2 } else { Duration::ZERO };
        seen = beats;
        if still < STILL_MAX.max(interval) {
            notify(&[NotifyState::Watchdog]);
        }
    }
}

/// Polls may be rare by configuration; no progress for this long means that the engine hangs.
const STILL_MAX: Duration = Duration::from_secs(900);

fn notify(states: &[NotifyState<'_>]) {
    // Without a service manager there is nobody to tell.
    let _ = sd_notify::notify(states);
}
