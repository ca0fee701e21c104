//! amoCRM's token: seen to while the daemon runs, and told of in `status`, on the health page and in the log.

use crate::app::wire::Wired;
use crate::config::{AmoAuth, Bridge};
use crate::core::time::Millis;
use crate::core::token::{self, Standing, TokenState};
use crate::ports::env::Env;
use crate::ports::store::{Store, Stored};
use crate::remote::amocrm::{self, TokenSource};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// How often the store is looked at for a token that a command has put there, and the clock for one that is due.
const LOOK_MS: i64 = 2_000;

/// Sees to a bridge's token until the stop: it is renewed ahead of time though nobody sends anything, and one that
/// `salebridge auth` has stored is found. What changes is logged, once.
pub fn watch(wired: &Wired, env: Arc<dyn Env>, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
    let (bridge, source) = (wired.bridge.name().to_owned(), Arc::clone(&wired.token));
    async move {
        let mut told = TokenState::Ok;
        while !stop.is_cancelled() {
            source.tend().await;
            told = tell(&bridge, source.as_ref(), told, env.now());
            tokio::select! {
                () = stop.cancelled() => {}
                () = env.sleep(LOOK_MS) => {}
            }
        }
        // A renewal under way holds the only copy of the next refresh token.
        source.settle().await;
    }
}

/// A line when the state has changed; the state that was told last.
fn tell(bridge: &str, source: &dyn TokenSource, told: TokenState, now: Millis) -> TokenState {
    let Some(standing) = source.standing(now) else { return told };
    if standing.state == told {
        return told;
    }
    let note = standing.note.unwrap_or_default();
    match standing.state {
        TokenState::Ok => tracing::info!(bridge, "amoCRM's token is in order again"),
        TokenState::Expiring | TokenState::Uncertain => tracing::warn!(bridge, "{note}"),
        TokenState::Expired | TokenState::Missing | TokenState::Refused => tracing::error!(bridge, "{note}"),
    }
    standing.state
}

/// How a token stands, in the form that is kept stable. Times as text, ages in seconds.
pub fn told(standing: &Standing, now: Millis) -> Value {
    let spelled =
        |at: Option<Millis>| at.and_then(|at| jiff::Timestamp::from_millisecond(at.0).ok()).map(|at| at.to_string());
    json!({
        "kind": standing.kind,
        "state": standing.state,
        "age_s": standing.obtained_at.map(|at| now.since(at).max(0) / 1000),
        "expires_at": spelled(standing.expires_at),
        "refresh_expires_at": spelled(standing.refresh_expires_at),
        "note": standing.note,
    })
}

/// How a bridge's token stands by the configuration and the store, without a daemon.
pub async fn standing(bridge: &Bridge, store: &dyn Store, now: Millis) -> Stored<Standing> {
    match &bridge.amo.auth {
        AmoAuth::Token(token) => Ok(token::long_lived(token.expose_secret(), now)),
        AmoAuth::OAuth(_) => {
            let tokens = amocrm::kept(store, &bridge.name).await?;
            Ok(token::oauth(&bridge.name, tokens.pair.map(|pair| pair.times()), tokens.trouble.as_ref(), now))
        }
    }
}

/// How a bridge's token stands: what its daemon says, which hears of refusals first, else what the store holds.
pub async fn known(bridge: &Bridge, store: &dyn Store, live: Option<&Value>, now: Millis) -> Stored<Value> {
    let of_daemon =
        live.and_then(|live| live.get("reasons")?.get(&bridge.name)?.get("token").filter(|told| told.is_object()));
    match of_daemon {
        Some(told) => Ok(told.clone()),
        None => Ok(told(&standing(bridge, store, now).await?, now)),
    }
}
