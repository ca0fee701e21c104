//! The way of somebody new: sandbox, init, doctor, run, an edit, status.

use super::{Daemon, client, eventually, free_port, salebridge, text};
use serde_json::{Value, json};
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A sandbox started by its command, and a folder for everything.
struct Newcomer {
    folder: tempfile::TempDir,
    sandbox: Daemon,
    amo: String,
    token: String,
    salebot: String,
    key: String,
    port: u16,
}

impl Newcomer {
    async fn arrives() -> Newcomer {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("sandbox.txt");
        let mut command = salebridge();
        command.args(["sandbox", "--amo-port", "0", "--salebot-port", "0", "--people", "10"]);
        let child =
            command.stdin(Stdio::null()).stdout(File::create(&out).expect("a file")).spawn().expect("it starts");
        let sandbox = Daemon { child };
        let printed = || std::fs::read_to_string(&out).unwrap_or_default();
        eventually("it has told everything", || async { printed().contains("Ctrl-C ends it.") }).await;
        let told = printed();
        let word = |line: &str, place: usize| -> String {
            let line = told.lines().find(|told| told.starts_with(line)).expect("the line");
            line.split_whitespace().nth(place).expect("the word").to_owned()
        };
        let (amo, token, salebot, key) = (word("amoCRM", 1), word("amoCRM", 3), word("Salebot", 1), word("Salebot", 3));
        let newcomer = Newcomer { sandbox, amo, token, salebot, key, port: free_port(), folder };
        std::fs::write(newcomer.path("token.txt"), format!("{}\n", newcomer.token)).expect("a file");
        std::fs::write(newcomer.path("key.txt"), format!("{}\n", newcomer.key)).expect("a file");
        newcomer
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("etc/salebridge.toml")
    }

    fn init(&self) -> Command {
        let mut command = salebridge();
        command.args(["init", "--yes", "--amo-url", &self.amo, "--salebot-url", &self.salebot, "--name", "shop"]);
        command.arg("--amo-token-file").arg(self.path("token.txt"));
        command.arg("--salebot-api-key-file").arg(self.path("key.txt"));
        command.arg("--listen").arg(format!("127.0.0.1:{}", self.port));
        command.arg("--public-url").arg(format!("http://127.0.0.1:{}", self.port));
        command.arg("--output").arg(self.config()).stdin(Stdio::null());
        command
    }

    fn command(&self, arguments: &[&str]) -> Output {
        salebridge().arg("--config").arg(self.config()).args(arguments).output().expect("it runs")
    }

    async fn salebot(&self, action: &str) -> Value {
        let url = format!("{}/api/{}/{action}", self.salebot, self.key);
        client().get(url).send().await.expect("answers").json().await.expect("JSON")
    }

    /// A client that the bridge has tied to a contact: both ids.
    async fn linked(&self) -> Option<(u64, u64)> {
        for row in self.salebot("get_clients?limit=50").await["clients"].as_array()? {
            let id = row["id"].as_u64()?;
            let variables = self.salebot(&format!("get_variables?client_id={id}")).await;
            let contact = variables["amo_contact_id"].as_str().and_then(|text| text.parse().ok());
            if let Some(contact) = contact {
                return Some((id, contact));
            }
        }
        None
    }

    /// A manager gives the contact another e-mail.
    async fn edits(&self, contact: u64, email: &str) {
        let now = jiff_seconds();
        let field = json!({ "id": 4_396_819, "values": [{ "value": email, "enum": "WORK" }] });
        let body = json!({ "update": [{ "id": contact, "updated_at": now, "custom_fields": [field] }] });
        let answer = client()
            .post(format!("{}/api/v2/contacts", self.amo))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .expect("answers");
        assert_eq!(answer.status().as_u16(), 200);
        let answer: Value = answer.json().await.expect("JSON");
        assert!(answer["_embedded"]["errors"].is_null(), "{answer}");
    }
}

fn jiff_seconds() -> i64 {
    salebridge::app::wire::now().0 / 1000 + 2
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn from_nothing_to_a_bridge_that_works() {
    let new = Newcomer::arrives().await;
    let output = new.init().output().expect("it runs");
    let told = text(&output);
    assert!(output.status.success(), "{told}");
    assert!(!told.contains('✗') && !told.contains("! "), "{told}");
    assert!(!told.contains(&new.token) && !told.contains(&new.key), "{told}");
    let secrets = new.path("etc/secrets");
    let secret = std::fs::read_to_string(secrets.join("shop-salebot-webhook")).expect("it was written");
    assert_eq!(secret.trim().len(), 64);
    let address = format!("http://127.0.0.1:{}/hooks/salebot/shop/{}", new.port, secret.trim());
    assert!(told.contains(&address), "the address to paste is told: {told}");
    assert_eq!(mode(&secrets), 0o700);
    for file in std::fs::read_dir(&secrets).expect("a folder") {
        assert_eq!(mode(&file.expect("a file").path()), 0o600);
    }
    let checked = new.command(&["config", "check"]);
    assert!(checked.status.success(), "{}", text(&checked));
    let doctor = new.command(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(0), "{}", text(&doctor));
    assert!(text(&doctor).contains("Everything that could be tried is in order."), "{}", text(&doctor));
    let stopped = new.command(&["status"]);
    assert!(text(&stopped).contains("salebridge run"), "no database yet: {}", text(&stopped));

    let log = File::create(new.path("log.txt")).expect("a file");
    let mut run = salebridge();
    run.arg("--config").arg(new.config()).arg("run").stdin(Stdio::null());
    let child = run.stdout(log.try_clone().expect("the same file")).stderr(log).spawn().expect("it starts");
    let daemon = Daemon { child };
    eventually("a client and a contact are tied", || async { new.linked().await.is_some() }).await;
    let (id, contact) = new.linked().await.expect("just seen");
    new.edits(contact, "first.run@example.test").await;
    eventually("the edit has arrived", || async {
        let variables = new.salebot(&format!("get_variables?client_id={id}")).await;
        variables["email"] == "first.run@example.test"
    })
    .await;
    eventually("all is well", || async { text(&new.command(&["status"])).starts_with("All is well.") }).await;
    let beside = new.command(&["doctor"]);
    assert_eq!(beside.status.code(), Some(0), "{}", text(&beside));
    assert_eq!(daemon.stop().await.code(), Some(0));
    let stopped = text(&new.command(&["status"]));
    assert!(stopped.starts_with("One thing needs you:") && stopped.contains("systemctl start salebridge"), "{stopped}");
    assert_eq!(new.sandbox.stop().await.code(), Some(0));
}

#[tokio::test]
async fn nothing_is_replaced_unasked() {
    let new = Newcomer::arrives().await;
    assert!(new.init().output().expect("it runs").status.success());
    let read = |name: &str| std::fs::read_to_string(new.path(name)).expect("it is there");
    let (secret, token) = ("etc/secrets/shop-salebot-webhook", "etc/secrets/shop-amo-token");
    let webhook = read(secret);
    std::fs::write(new.config(), "# mine\n").expect("a file");
    let again = new.init().output().expect("it runs");
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again).contains("--force") && text(&again).contains("salebridge.toml"), "{}", text(&again));
    assert_eq!(read("etc/salebridge.toml"), "# mine\n");
    let forced = new.init().arg("--force").output().expect("it runs");
    assert!(forced.status.success(), "{}", text(&forced));
    assert!(read("etc/salebridge.toml").contains("[[bridge]]"));
    assert_eq!(read(secret), webhook, "Salebot knows this address");
    assert_eq!(read(token).trim(), new.token);
}

#[tokio::test]
async fn wrong_answers_are_told_at_once_and_nothing_is_written() {
    let new = Newcomer::arrives().await;
    let refused = |command: &mut Command, parts: &[&str]| {
        let output = command.output().expect("it runs");
        let told = text(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(parts.iter().all(|part| told.contains(part)), "{parts:?} in {told}");
        assert!(!new.path("etc").exists(), "{told}");
    };
    std::fs::write(new.path("token.txt"), "another-token").expect("a file");
    refused(&mut new.init(), &["amoCRM: the token is not accepted", "make a new long-lived token"]);
    std::fs::write(new.path("token.txt"), &new.token).expect("a file");
    std::fs::write(new.path("key.txt"), "another-key").expect("a file");
    refused(&mut new.init(), &["Salebot", "What to do: copy the project's API key"]);
    std::fs::remove_file(new.path("key.txt")).expect("our own file");
    refused(&mut new.init(), &["key.txt cannot be read"]);
    std::fs::write(new.path("key.txt"), &new.key).expect("a file");
    let of = |flag: &str, value: &str| {
        let mut command = salebridge();
        command.args(["init", "--yes", "--name", "shop", "--output"]).arg(new.config()).stdin(Stdio::null());
        command.arg("--amo-token-file").arg(new.path("token.txt")).args([flag, value]);
        command.arg("--salebot-api-key-file").arg(new.path("key.txt"));
        command
    };
    refused(&mut of("--amo-url", "example.amocrm.ru"), &["must begin with https://"]);
    refused(&mut of("--amo-url", &format!("http://127.0.0.1:{}", free_port())), &["no connection", "What to do"]);
    refused(&mut of("--salebot-url", &new.salebot), &["--amo-url"]);
    let both = |flag: &str, value: &str| {
        let mut command = of("--amo-url", &new.amo);
        command.args(["--salebot-url", &new.salebot, flag, value]);
        command
    };
    refused(&mut both("--listen", "nowhere"), &["http.listen", "127.0.0.1:8080"]);
    // Before anybody is asked for anything.
    let unreachable = format!("http://127.0.0.1:{}", free_port());
    let early = |flag: &str, value: &str| {
        let mut command = salebridge();
        command.args(["init", "--yes", "--amo-url", &unreachable, flag, value]).stdin(Stdio::null());
        command.arg("--output").arg(new.config());
        command
    };
    refused(&mut early("--public-url", "bridge.example.ru"), &["--public-url", "https://"]);
    refused(&mut early("--name", "Мой магазин"), &["--name", "small Latin letter"]);
}
