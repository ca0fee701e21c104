//! Wake-ups between nodes: what was stored at one is begun at once by the one that drives the bridge. A wake-up that
//! is lost costs seconds: every queue is looked at now and then anyway.

use super::PostgresStore;
use sqlx::postgres::PgListener;
use std::sync::PoisonError;
use std::time::Duration;

/// The channel; its messages are the names of bridges.
const CHANNEL: &str = "salebridge";

/// Tells every node that there is something new for a bridge.
pub(super) const NOTIFY: &str = "SELECT pg_notify('salebridge', $1)";

/// How long to rest before the channel is opened again.
const REST: Duration = Duration::from_secs(1);

impl PostgresStore {
    /// Says for which bridges nobody else need be woken, since they are driven by this process.
    pub fn drives(&self, bridge: &str, is_driven: bool) {
        let mut driven = self.inner.driven.lock().unwrap_or_else(PoisonError::into_inner);
        if is_driven {
            driven.insert(bridge.to_owned());
        } else {
            driven.remove(bridge);
        }
    }

    /// Calls `heard` with the name of each bridge for which something was stored elsewhere. Never comes back; end it
    /// by dropping it.
    pub async fn listen(&self, heard: impl Fn(&str)) {
        loop {
            if let Err(error) = self.listen_once(&heard).await {
                tracing::debug!(%error, "wake-ups of other nodes are not heard at the moment; queues are looked at every few seconds");
            }
            tokio::time::sleep(REST).await;
        }
    }

    async fn listen_once(&self, heard: &impl Fn(&str)) -> Result<(), sqlx::Error> {
        let pool = self.inner.address.readers(1);
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(CHANNEL).await?;
        loop {
            heard(listener.recv().await?.payload());
        }
    }
}
