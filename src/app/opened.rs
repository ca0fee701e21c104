//! The configured store, whichever it is.

use crate::config::{Config, StoreUrl};
use crate::ports::store::Store;
use crate::store::Access;
use crate::store::counters::Written;
use crate::store::postgres::{PostgresOptions, PostgresStore};
use crate::store::sqlite::{SqliteOptions, SqliteStore};
use anyhow::bail;
use backon::{ExponentialBuilder, Retryable};
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::Duration;

/// How soon a database that does not answer is asked again, at first and at last.
const ASK_FIRST: Duration = Duration::from_millis(200);
const ASK_LAST: Duration = Duration::from_secs(5);

/// An open store.
#[derive(Clone)]
pub enum Opened {
    /// One file, one daemon.
    Sqlite(Arc<SqliteStore>),
    /// One database, any number of nodes.
    Postgres(PostgresStore),
}

impl Opened {
    /// Opens the configured store.
    pub async fn open(config: &Config, access: Access) -> anyhow::Result<Opened> {
        Ok(match &config.store {
            StoreUrl::Sqlite(path) => {
                Opened::Sqlite(Arc::new(SqliteStore::open(SqliteOptions::new(path, access)).await?))
            }
            StoreUrl::Postgres(url) => {
                Opened::Postgres(PostgresStore::open(PostgresOptions::new(url.expose_secret(), access)).await?)
            }
            StoreUrl::Unread => bail!("store.url was not read"),
        })
    }

    /// Waits for as long as a PostgreSQL server does not answer; a refusal is left to the one who opens it.
    pub async fn wait_for(config: &Config) {
        let StoreUrl::Postgres(url) = &config.store else { return };
        let place = PostgresStore::place(url.expose_secret());
        let ask = async || match PostgresStore::reaches(url.expose_secret()).await {
            Ok(false) => Err(()),
            Ok(true) | Err(_) => Ok(()),
        };
        let pauses =
            ExponentialBuilder::default().with_min_delay(ASK_FIRST).with_max_delay(ASK_LAST).without_max_times();
        let told = std::sync::Once::new();
        let waiting = ask.retry(pauses).notify(|(), _| {
            told.call_once(|| tracing::warn!("{place} does not answer; salebridge starts as soon as it does"));
        });
        // It ends with an answer only.
        let _ = waiting.await;
    }

    /// True while somebody drives this bridge, or it cannot be told.
    pub async fn is_driven(&self, bridge: &str) -> bool {
        match self {
            Opened::Sqlite(store) => store.is_driven(),
            Opened::Postgres(store) => {
                store.holders().await.map_or(true, |held| held.iter().any(|holder| holder.bridge == bridge))
            }
        }
    }

    /// Who drives the store now, in words; none where nobody does, or it cannot be told. Bridges of several nodes: the
    /// first one's.
    pub async fn driver(&self) -> Option<String> {
        match self {
            Opened::Sqlite(store) => store.driver(),
            Opened::Postgres(store) => {
                let held = store.holders().await.unwrap_or_default();
                held.first().map(|holder| format!("the node at {}", holder.at))
            }
        }
    }

    /// What the writer has done since the start.
    pub fn written(&self) -> Written {
        match self {
            Opened::Sqlite(store) => store.counters().read(),
            Opened::Postgres(store) => store.counters().read(),
        }
    }

    /// The store itself.
    pub fn store(&self) -> Arc<dyn Store> {
        match self {
            Opened::Sqlite(store) => Arc::clone(store) as Arc<dyn Store>,
            Opened::Postgres(store) => Arc::new(store.clone()),
        }
    }

    /// Finishes what waits and closes it.
    pub async fn close(&self) {
        match self {
            Opened::Sqlite(store) => store.close().await,
            Opened::Postgres(store) => store.close().await,
        }
    }
}
