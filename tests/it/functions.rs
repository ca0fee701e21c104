//! Calls of bots over HTTP, through the real engine, to the simulated services.

mod calling;
mod conversation;
mod door;
mod each;
mod failing;
mod gone;
mod matrix;
mod once;

use crate::version;
use salebridge::app::daemon::Daemon;
use salebridge::app::town::{self, BRIDGE, Pace, TownConfig};
use salebridge::config::{Checks, Config, check_text};
use salebridge::sandbox::amo::edit::LeadDraft;
use salebridge::sandbox::amo::records::{Contact, Element, ElementKind, Lead};
use salebridge::sandbox::faults::Faults;
use salebridge::sandbox::salebot::options::DEFAULT_KEY;
use salebridge::sandbox::town::{Town, TownOptions};
use serde_json::{Value, json};
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const TOKEN: &str = "functions-token-0123456789";
const AMO_TOKEN: &str = "amo-token-0123456789abcdef";
const SECRET: &str = "functions-webhook-0123456789";
/// Far longer than any of it takes.
const DEADLINE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(25);

/// A town, a daemon between its services, and a bot.
struct Shop {
    town: Town,
    folder: TempDir,
    daemon: Option<Daemon>,
    /// The client of a person who is a contact.
    client: i64,
    contact: u64,
    /// The version of amoCRM's API that the daemon speaks.
    api: &'static str,
}

impl Shop {
    async fn open() -> Shop {
        Shop::speaking(version::spoken()).await
    }

    async fn speaking(api: &'static str) -> Shop {
        let mut options = TownOptions { seed: 7, contacts: 20, people: 10, ..TownOptions::new(town::clock()) };
        options.amo.token = AMO_TOKEN.to_owned();
        let town = Town::found(options, Faults::none()).await.expect("free ports");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let client = town.enter(0, 0).expect("a regular");
        let contact = town.cast().people[0].contact.expect("a regular is a contact");
        let mut shop = Shop { town, folder, daemon: None, client, contact, api };
        shop.start().await;
        shop
    }

    /// A shop that knows the person already.
    async fn acquainted() -> Shop {
        let shop = Shop::open().await;
        let answer = shop.call("amo_get_contact_info", json!({})).await;
        assert_eq!(answer["contact_id"], shop.contact, "{answer}");
        shop
    }

    fn config(&self) -> Config {
        let config = TownConfig {
            store_url: format!("sqlite://{}", self.folder.path().join("salebridge.db").display()),
            listen: "127.0.0.1:0".to_owned(),
            amo_url: self.town.amo_url(),
            token: AMO_TOKEN.to_owned(),
            salebot_url: self.town.salebot_url(),
            api_key: DEFAULT_KEY.to_owned(),
            webhook_secret: SECRET.to_owned(),
            pace: Pace::Lively,
        };
        let secret = format!("webhook_secret = \"{SECRET}\"\n");
        let text = config.text().replace(&secret, &format!("{secret}functions_token = \"{TOKEN}\"\n"));
        let url = format!("[bridge.amo]\nurl = \"{}\"\n", self.town.amo_url());
        let text = text.replace(&url, &format!("{url}api = \"{}\"\n", self.api));
        assert!(text.contains(&format!("api = \"{}\"", self.api)), "{text}");
        let env = |_: &str| None;
        let checks = Checks::new(&env, jiff::Timestamp::UNIX_EPOCH);
        check_text("shop.toml", Path::new(""), &text, &checks).expect("a good configuration")
    }

    async fn start(&mut self) {
        self.daemon = Some(Daemon::start(&self.config(), None).await.expect("it starts"));
        self.town.deliver_to(&format!("{}/hooks/salebot/{BRIDGE}/{SECRET}", self.url(""))).expect("a client");
        eventually("the daemon is ready", || async {
            http().get(self.url("/health/ready")).send().await.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }

    async fn restart(&mut self) {
        self.daemon.take().expect("it runs").stop().await;
        self.start().await;
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.daemon.as_ref().expect("it runs").address())
    }

    fn function(&self, name: &str) -> String {
        self.url(&format!("/functions/{BRIDGE}/{name}"))
    }

    /// Calls a function for the person's client, in the usual way.
    async fn call(&self, name: &str, arguments: Value) -> Value {
        let mut body = json!({ "client_id": self.client.to_string() });
        for (name, value) in arguments.as_object().expect("arguments by name") {
            body[name] = value.clone();
        }
        let (status, answer) = self.send(name, body.to_string()).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Sends this body with the right token.
    async fn send(&self, name: &str, body: String) -> (u16, Value) {
        let request = http().post(self.function(name)).bearer_auth(TOKEN).body(body);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// A lead of the person, as a manager makes it.
    fn lead(&self, name: &str) -> u64 {
        let draft =
            LeadDraft { name: name.into(), contact_ids: vec![self.contact], price: 100, ..LeadDraft::default() };
        self.town.amo(|amo, now_ms| amo.create_lead(now_ms, draft))
    }

    fn look_lead<T>(&self, id: u64, look: impl FnOnce(&Lead) -> T) -> T {
        self.town.look(|amo, _| look(amo.lead(id).expect("the lead")))
    }

    fn look_contact<T>(&self, look: impl FnOnce(&Contact) -> T) -> T {
        self.town.look(|amo, _| look(amo.contact(self.contact).expect("the contact")))
    }

    fn lead_count(&self, name: &str) -> usize {
        self.town.look(|amo, _| amo.leads().filter(|lead| lead.card.name == name).count())
    }

    fn notes(&self, element: Element) -> Vec<String> {
        self.town.look(|amo, _| amo.notes_of(element).map(|note| note.words().to_owned()).collect())
    }

    fn tasks(&self, lead: u64) -> Vec<(String, u64, u64)> {
        let element = Element { kind: ElementKind::Lead, id: lead };
        let task = |task: &salebridge::sandbox::amo::records::Task| {
            (task.text.clone(), task.task_type, task.responsible_user_id)
        };
        self.town.look(|amo, _| amo.tasks_of(element).map(task).collect())
    }

    fn variable(&self, name: &str) -> String {
        self.town.look(|_, salebot| {
            let value = salebot.client(self.client).and_then(|client| client.variables.get(name));
            value.and_then(Value::as_str).unwrap_or_default().to_owned()
        })
    }

    fn callbacks(&self, text: &str) -> usize {
        self.town.look(|_, salebot| {
            salebot.callbacks().filter(|callback| callback.client_id == self.client && callback.text == text).count()
        })
    }

    async fn close(mut self) {
        self.daemon.take().expect("it runs").stop().await;
        self.town.close().await;
    }
}

fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().expect("a client")
}

async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < DEADLINE, "not so in time: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

fn on_lead(id: u64) -> Element {
    Element { kind: ElementKind::Lead, id }
}

fn on_contact(id: u64) -> Element {
    Element { kind: ElementKind::Contact, id }
}
