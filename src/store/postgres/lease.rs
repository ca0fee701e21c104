//! Leases: which node drives a bridge, by the clock of the database.
//!
//! A lease ends by itself unless it is renewed. Whoever takes one raises its epoch and writes it into the bridge's
//! row, which every transaction locks: from then on nobody who names an earlier epoch can write.

use super::PostgresStore;
use super::open;
use super::trouble::{Tried, Trouble};
use crate::ports::store::Stored;
use sqlx::{PgConnection, Row};
use std::time::Duration;

/// How long a statement about leases may take: it waits for a commit of the node before, which the server ends
/// when that node is stopped in the middle of it.
const TIMEOUT: Duration = Duration::from_secs(8);

const ADD_BRIDGE: &str = "INSERT INTO bridges (name) SELECT name FROM unnest($1::text[]) AS new (name) \
     WHERE NOT EXISTS (SELECT 1 FROM bridges WHERE bridges.name = new.name) ON CONFLICT (name) DO NOTHING";

const TAKE: &str = concat!(
    "WITH taken AS (INSERT INTO leases AS held (bridge, node, at, epoch, until) \
         SELECT id, $2, $3, 1, ",
    now!(),
    " + $4 FROM bridges WHERE name = $1 \
         ON CONFLICT (bridge) DO UPDATE SET node = excluded.node, at = excluded.at, epoch = held.epoch + 1, \
         until = excluded.until WHERE held.until < ",
    now!(),
    " RETURNING bridge, epoch), \
     fenced AS (UPDATE bridges SET epoch = taken.epoch FROM taken WHERE bridges.id = taken.bridge) \
     SELECT epoch FROM taken"
);

const RENEW: &str = concat!(
    "UPDATE leases SET until = ",
    now!(),
    " + $2 FROM bridges, unnest($3::text[], $4::bigint[]) AS mine (name, epoch) \
     WHERE bridges.name = mine.name AND leases.bridge = bridges.id AND leases.epoch = mine.epoch AND leases.node = $1 \
     RETURNING bridges.name"
);

const GIVE_UP: &str = "UPDATE leases SET until = 0 FROM bridges \
     WHERE bridges.name = $1 AND leases.bridge = bridges.id AND leases.epoch = $2";

/// Bridges whose lease somebody holds, and where.
pub(super) const HOLDERS: &str = concat!(
    "SELECT bridges.name, leases.at, leases.node FROM leases JOIN bridges ON bridges.id = leases.bridge \
     WHERE leases.until >= ",
    now!(),
    " ORDER BY bridges.name"
);

/// Who holds the lease of a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The bridge.
    pub bridge: String,
    /// Where that node listens, for people.
    pub at: String,
    /// The node.
    pub node: String,
}

impl PostgresStore {
    /// A handle that writes under this epoch: once the lease has gone to another node, every write of it fails with
    /// `StoreError::Driven`.
    #[must_use]
    pub fn under(&self, epoch: i64) -> PostgresStore {
        PostgresStore { epoch: Some(epoch), ..self.clone() }
    }

    /// Takes the lease of a bridge for so long, if nobody has it. Returns its epoch.
    pub async fn take_lease(&self, bridge: &str, node: &str, at: &str, lasts_ms: i64) -> Stored<Option<i64>> {
        self.about_leases(async |connection: &mut PgConnection| {
            sqlx::query(ADD_BRIDGE).bind(vec![bridge]).execute(&mut *connection).await?;
            let query = sqlx::query_scalar(TAKE).bind(bridge).bind(node).bind(at).bind(lasts_ms);
            Ok(query.fetch_optional(connection).await?)
        })
        .await
    }

    /// Renews leases, each named by bridge and epoch; the bridges whose leases are still this node's. One that had
    /// run out is still ours when nobody took it.
    pub async fn renew_leases(&self, node: &str, mine: &[(String, i64)], lasts_ms: i64) -> Stored<Vec<String>> {
        let (names, epochs): (Vec<String>, Vec<i64>) = mine.iter().cloned().unzip();
        self.about_leases(async |connection: &mut PgConnection| {
            let query = sqlx::query_scalar(RENEW).bind(node).bind(lasts_ms).bind(&names).bind(&epochs);
            Ok(query.fetch_all(connection).await?)
        })
        .await
    }

    /// Gives a lease up, so that another node need not wait for its end.
    pub async fn give_up_lease(&self, bridge: &str, epoch: i64) -> Stored<()> {
        self.about_leases(async |connection: &mut PgConnection| {
            sqlx::query(GIVE_UP).bind(bridge).bind(epoch).execute(connection).await?;
            Ok(())
        })
        .await
    }

    /// Who holds which lease at this moment, by bridge.
    pub async fn holders(&self) -> Stored<Vec<Holder>> {
        self.about_leases(async |connection: &mut PgConnection| {
            let rows = sqlx::query(HOLDERS).fetch_all(connection).await?;
            let holder = |row: &sqlx::postgres::PgRow| {
                Ok(Holder { bridge: row.try_get(0)?, at: row.try_get(1)?, node: row.try_get(2)? })
            };
            Ok(rows.iter().map(holder).collect::<Result<Vec<_>, sqlx::Error>>()?)
        })
        .await
    }

    /// Asks on the connection that is for leases alone: nothing slow is ever in front of a renewal.
    async fn about_leases<T>(&self, ask: impl AsyncFnOnce(&mut PgConnection) -> Tried<T>) -> Stored<T> {
        let inner = &self.inner;
        let mut place = inner.lease_connection.lock().await;
        // Out of its place while it is used: whoever leaves early takes it along.
        let known = place.take();
        let asking = async {
            let mut connection = match known {
                Some(connection) => connection,
                None => open::prepared(&inner.address, false).await?,
            };
            let answer = ask(&mut connection).await?;
            Ok::<_, Trouble>((connection, answer))
        };
        match tokio::time::timeout(TIMEOUT, asking).await {
            Ok(Ok((connection, answer))) => {
                *place = Some(connection);
                Ok(answer)
            }
            Ok(Err(trouble)) => Err(self.told(trouble)),
            Err(_) => Err(self.told(open::refused(format!("{} does not answer", inner.address.place)))),
        }
    }
}
