//! A PostgreSQL server of our own for tests: started when the programs are installed, gone when the tests are.
//!
//! The programs are looked for in `PATH` and where Debian keeps them. Where there are none, tests that need a server
//! say so and pass; with `SALEBRIDGE_REQUIRE_POSTGRES=1` they fail instead. The server listens on a socket in its own
//! folder only. A shell stands between it and us and watches a pipe: when this process is gone, however it ended,
//! the shell stops the server and removes the folder.

use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long a server may take to start or stop.
const DEADLINE: Duration = Duration::from_secs(60);

/// The user of the database; nobody needs a password in a folder of one's own.
const USER: &str = "salebridge";

/// Starts the server, then does what the pipe says until it ends. `$1`: the folder of the programs; `$2`: the
/// server's own.
const KEEPER: &str = r#"
begin() {
    "$1/pg_ctl" -D "$2/data" -l "$2/log" -s -w -o "-k $2 -c listen_addresses= -c fsync=off -c max_connections=300 \
        -c shared_buffers=64MB -c log_min_messages=warning" start
}
halt() {
    "$1/pg_ctl" -D "$2/data" -s -w -m "$3" stop
}
trap : TERM INT HUP
begin "$@"
while read -r word; do
    case $word in
        stop) halt "$@" fast ;;
        crash) halt "$@" immediate ;;
        start) begin "$@" ;;
    esac
done
halt "$@" immediate
rm -rf "$2"
"#;

/// A running server.
pub(crate) struct Server {
    folder: PathBuf,
    keeper: Mutex<Child>,
    databases: AtomicU32,
}

/// Where the programs are.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).collect::<Vec<_>>();
    let mut packaged: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).collect())
        .unwrap_or_default();
    packaged.sort();
    let mut all = in_path.into_iter().chain(packaged.into_iter().rev());
    let found = all.find(|folder| folder.join("postgres").is_file() && folder.join("initdb").is_file())?;
    // A link leads to the folder in which the server finds its other files.
    found.join("postgres").canonicalize().ok()?.parent().map(Path::to_owned)
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id is there");
    output.stdout.starts_with(b"0\n")
}

/// A user without rights: PostgreSQL refuses to run as root.
fn ordinary_user() -> &'static str {
    let is_there = |user: &&str| Command::new("id").arg(user).output().is_ok_and(|output| output.status.success());
    ["postgres", "nobody"].into_iter().find(is_there).expect("an ordinary user")
}

/// A command that runs a shell script as a user who may start the server.
fn shell(script: &str, arguments: &[&Path]) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        let user = ordinary_user();
        command.args(["--reuid", user, "--regid", user, "--clear-groups", "--", "sh"]);
        // `nobody` has a group of another name on Debian.
        if user == "nobody" {
            command = Command::new("setpriv");
            command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--", "sh"]);
        }
        command
    } else {
        Command::new("sh")
    };
    command.args(["-c", script, "sh"]).args(arguments).current_dir("/").env_remove("PGDATA");
    command
}

impl Server {
    /// Starts one; none where PostgreSQL is not installed.
    pub(crate) fn start() -> Option<Server> {
        let Some(programs) = programs() else {
            skipped();
            return None;
        };
        let folder = tempfile::Builder::new().prefix("salebridge-pg-").tempdir().expect("a temporary folder").keep();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).expect("our own folder");
        if is_root() {
            let given = Command::new("chown").arg(ordinary_user()).arg(&folder).status().expect("chown is there");
            assert!(given.success());
        }
        let made = shell(
            &format!("\"$1/initdb\" -D \"$2/data\" -U {USER} -A trust -E UTF8 --locale=C -N"),
            &[&programs, &folder],
        )
        .output()
        .expect("a shell");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let keeper = shell(KEEPER, &[&programs, &folder])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        Some(Server { folder, keeper: Mutex::new(keeper), databases: AtomicU32::new(0) })
    }

    /// The address of a database; it need not be there.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@localhost/{database}?host={}", self.folder.display())
    }

    /// A connection for what a store never would.
    pub(crate) async fn connect(&self, database: &str) -> PgConnection {
        connect(&self.url(database)).await
    }

    /// A new database; its address.
    pub(crate) async fn database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection = self.connect("postgres").await;
        let text = format!("CREATE DATABASE {name}");
        connection.execute(sqlx::AssertSqlSafe(text)).await.expect("makes a database");
        connection.close().await.expect("closes");
        self.url(&name)
    }

    fn tell(&self, word: &str) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let pipe = keeper.stdin.as_mut().expect("the keeper listens");
        writeln!(pipe, "{word}").expect("the keeper listens");
    }

    /// Stops the server; its clients are cut off.
    pub(crate) fn stop(&self) {
        self.tell("stop");
    }

    /// True while nobody can reach it.
    pub(crate) fn is_down(&self) -> bool {
        !self.folder.join(".s.PGSQL.5432").exists()
    }

    /// Ends the server as a loss of power would.
    pub(crate) fn crash(&self) {
        self.tell("crash");
    }

    /// Starts the server again.
    pub(crate) fn go_on(&self) {
        self.tell("start");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(keeper.stdin.take());
        let _ = keeper.wait();
    }
}

/// Connects as soon as the server answers.
pub(crate) async fn connect(url: &str) -> PgConnection {
    let options = sqlx::postgres::PgConnectOptions::from_str(url).expect("an address").disable_statement_logging();
    let began = Instant::now();
    loop {
        match options.connect().await {
            Ok(connection) => return connection,
            Err(error) => assert!(began.elapsed() < DEADLINE, "the server does not start: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A new database on the server that all tests of this process share; none where PostgreSQL is not installed.
pub(crate) async fn database() -> Option<String> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    let server = tokio::task::spawn_blocking(|| SHARED.get_or_init(Server::start)).await.expect("starts");
    Some(server.as_ref()?.database().await)
}

/// Says that PostgreSQL is missing, past the test runner, who keeps what passing tests print to himself.
fn skipped() {
    let text = "PostgreSQL is not installed, so its tests are SKIPPED (Debian: apt-get install postgresql)";
    let is_needed = std::env::var_os("SALEBRIDGE_REQUIRE_POSTGRES").is_some_and(|value| value == "1");
    assert!(!is_needed, "{text}, and SALEBRIDGE_REQUIRE_POSTGRES=1 forbids that");
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        // The runner's capture knows the macros only.
        let _ = writeln!(std::io::stderr(), "{text}");
    });
}
