//! Connecting: with which settings, how long we wait, and what is refused.

use super::migrations;
use super::trouble::{Tried, Trouble};
use crate::ports::store::StoreError;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Executor, PgConnection};
use std::str::FromStr;
use std::time::Duration;

/// The oldest PostgreSQL whose answers we rely on; older ones are out of support (PostgreSQL: "Versioning Policy").
const SERVER_OLDEST: i64 = 130_000;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a read waits for one of the readers.
const READER_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements a connection keeps. The whole adapter has fewer.
const STATEMENTS_MAX: usize = 128;

/// What every connection is told first. Statements end by themselves after half a minute; a transaction whose
/// program was stopped in the middle of it must not hold up the node that takes over, so the server ends it; the
/// session may be stricter than the server's default about durability, never laxer.
const SETTINGS: &str = "SET statement_timeout = '30s'; \
     SET lock_timeout = '10s'; \
     SET idle_in_transaction_session_timeout = '3s'; \
     SET default_transaction_isolation = 'read committed'; \
     SET TimeZone = 'UTC'; \
     SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// A refusal, in words that say what to do.
pub(super) fn refused(text: String) -> Trouble {
    Trouble::Told(StoreError::Unavailable(text))
}

/// Where the database is, and how we show who we are. Never prints the password.
#[derive(Clone)]
pub(super) struct Address {
    options: PgConnectOptions,
    /// For people: user, host and database.
    pub(super) place: String,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.place)
    }
}

impl Address {
    /// Reads an address such as `postgres://user@host/database?sslmode=verify-full`.
    pub(super) fn read(url: &str) -> Tried<Address> {
        // The library's own words may quote the address, and with it the password.
        let options = PgConnectOptions::from_str(url).map_err(|_| {
            refused("store.url cannot be read: write postgres://user:password@host:5432/database".to_owned())
        })?;
        let options =
            options.application_name("salebridge").statement_cache_capacity(STATEMENTS_MAX).disable_statement_logging();
        let host = match options.get_socket() {
            Some(folder) => folder.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let user = options.get_username();
        let place = format!("the PostgreSQL database {} of {user} at {host}", options.get_database().unwrap_or(user));
        Ok(Address { options, place })
    }

    /// A connection that is set up.
    pub(super) async fn connect(&self) -> Tried<PgConnection> {
        let connecting = async {
            let mut connection = self.options.connect().await?;
            set_up(&mut connection).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(refused(format!("{} does not answer", self.place))),
        }
    }

    /// Connections that read. No transaction is ever begun on one of them, so none can be left open.
    pub(super) fn readers(&self, connections_max: u32) -> PgPool {
        PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(READER_TIMEOUT)
            .idle_timeout(Duration::from_secs(600))
            .after_connect(|connection, _| {
                Box::pin(async move {
                    set_up(connection).await?;
                    connection.execute("SET default_transaction_read_only = on").await.map(drop)
                })
            })
            .connect_lazy_with(self.options.clone())
    }
}

async fn set_up(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute(SETTINGS).await.map(drop)
}

/// Refuses a server that is too old.
pub(super) async fn check_server(connection: &mut PgConnection, place: &str) -> Tried<()> {
    let version: String =
        sqlx::query_scalar("SELECT current_setting('server_version_num')").fetch_one(&mut *connection).await?;
    if version.parse::<i64>().is_ok_and(|version| version < SERVER_OLDEST) {
        let oldest = SERVER_OLDEST / 10_000;
        return Err(refused(format!("{place}: its server is older than PostgreSQL {oldest}: update it")));
    }
    Ok(())
}

/// Warns of a server that loses what it has confirmed.
async fn warn_of_fsync(connection: &mut PgConnection, place: &str) -> Tried<()> {
    let fsync: String = sqlx::query_scalar("SELECT current_setting('fsync')").fetch_one(&mut *connection).await?;
    if fsync == "off" {
        tracing::warn!(
            "{place}: the server runs with fsync = off: what was answered with 200 can be lost with the power"
        );
    }
    Ok(())
}

/// A connection to a database that has every migration this program knows.
pub(super) async fn prepared(address: &Address, migrate: bool) -> Tried<PgConnection> {
    let mut connection = address.connect().await?;
    check_server(&mut connection, &address.place).await?;
    if migrate {
        warn_of_fsync(&mut connection, &address.place).await?;
        // Another node may be migrating: then we wait for it, longer than statements usually may take.
        connection.execute("SET statement_timeout = 0; SET lock_timeout = '60s'").await?;
        migrations::apply(&mut connection, &address.place).await?;
        set_up(&mut connection).await?;
    } else {
        let version = migrations::version(&mut connection).await?;
        migrations::check(&address.place, version)?;
    }
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_never_shows_its_password() {
        let address =
            Address::read("postgres://bridge:hush@db.example.ru:6432/sales?sslmode=verify-full").expect("reads");
        let told = format!("{address:?} {}", address.place);
        assert!(told.contains("sales of bridge at db.example.ru:6432") && !told.contains("hush"), "{told}");
        for bad in [
            "postgres://bridge:hush@[broken/sales",
            "postgres://bridge:hush@host:port/sales",
            "postgres://bridge:hush@host/sales?sslmode=hush",
        ] {
            let Err(Trouble::Told(error)) = Address::read(bad) else { panic!("{bad} is read") };
            assert!(!error.to_string().contains("hush"), "{error}");
        }
    }
}
