//! What guards hold back, and asking the daemon to let it go.

use crate::app::dead_letters::bridges;
use crate::config::Config;
use crate::core::guard::{self, Frozen, Stop};
use crate::core::time::Millis;
use crate::ports::store::{Change, Store};
use serde_json::{Value, json};

/// What a bridge's guards hold back.
pub struct Held {
    /// The bridge.
    pub bridge: String,
    /// In words, a line each.
    pub lines: Vec<String>,
}

/// Everything that is held back, bridge by bridge; bridges without any are left out.
pub async fn held(config: &Config, store: &dyn Store, only: Option<&str>) -> anyhow::Result<Vec<Held>> {
    let mut all = Vec::new();
    for bridge in bridges(config, only)? {
        let (stops, frozen) = kept(store, bridge).await?;
        let stops = stops.iter().map(|stop| format!("the pass over {}: {}", stop.pass, stop.reason));
        let pairs = frozen.iter().map(|pair| format!("{} of {}", pair.rule, pair.subject()));
        let lines: Vec<String> = stops.chain(pairs).collect();
        if !lines.is_empty() {
            all.push(Held { bridge: bridge.to_owned(), lines });
        }
    }
    Ok(all)
}

/// Asks the daemon to release what is held back now. What is stopped later stays stopped.
pub async fn ask(store: &dyn Store, bridge: &str, now: Millis) -> anyhow::Result<()> {
    store.commit(bridge, vec![Change::PutText(guard::RELEASE, now.0.to_string())]).await?;
    Ok(())
}

/// Stopped passes and frozen pairs of a bridge.
pub async fn kept(store: &dyn Store, bridge: &str) -> anyhow::Result<(Vec<Stop>, Vec<Frozen>)> {
    let stops = guard::kept(store.text(bridge, guard::STOPS).await?.as_deref());
    let frozen = guard::kept(store.text(bridge, guard::FROZEN).await?.as_deref());
    Ok((stops, frozen))
}

/// The same for `status`, in the form of its errors.
pub fn errors(bridge: &str, stops: &[Stop], frozen: &[Frozen]) -> Vec<Value> {
    let stops = stops.iter().map(|stop| json!({ "part": "guard", "reason": stop.told(bridge), "since": stop.since }));
    let pairs = frozen.iter().map(|pair| json!({ "part": "frozen", "reason": pair.told(bridge), "since": pair.since }));
    stops.chain(pairs).collect()
}
