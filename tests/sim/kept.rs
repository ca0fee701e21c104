//! The store of a world, of whatever make: each call is answered while the simulated time stands still.

#[expect(
    dead_code,
    clippy::disallowed_methods,
    reason = "the integration tests ask more of their server, and wait for it"
)]
#[path = "../it/postgres.rs"]
mod postgres;

use futures::FutureExt;
use salebridge::ports::store::Store;
use salebridge::store::Access;
use salebridge::store::memory::MemoryStore;
use salebridge::store::postgres::{PostgresOptions, PostgresStore};
use salebridge::store::sqlite::{SqliteOptions, SqliteStore};
use std::future::Future;
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub struct Kept {
    pub store: Arc<dyn Store>,
    /// Databases have tasks of their own, and the simulation has none to give.
    runtime: Option<&'static Runtime>,
    _folder: Option<TempDir>,
}

/// Where databases do their work.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
    })
}

impl Kept {
    pub fn in_memory() -> Kept {
        Kept { store: Arc::new(MemoryStore::default()), runtime: None, _folder: None }
    }

    pub fn in_sqlite() -> Kept {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = SqliteOptions::new(folder.path().join("bridge.db"), Access::Driver);
        let store = runtime().block_on(SqliteStore::open(options)).expect("opens");
        Kept { store: Arc::new(store), runtime: Some(runtime()), _folder: Some(folder) }
    }

    /// None where PostgreSQL is not installed.
    pub fn in_postgres() -> Option<Kept> {
        let url = runtime().block_on(postgres::database())?;
        let store = runtime().block_on(PostgresStore::open(PostgresOptions::new(url, Access::Driver)));
        Some(Kept { store: Arc::new(store.expect("opens")), runtime: Some(runtime()), _folder: None })
    }

    /// What a call to the store comes to.
    pub fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        match self.runtime {
            Some(runtime) => runtime.block_on(call),
            None => call.now_or_never().expect("the memory store answers at once"),
        }
    }
}
