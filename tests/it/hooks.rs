//! What amoCRM tells on its own account, through the real engine: webhooks, events, deletions, merges, triggers.

mod arriving;
mod events;
mod gone;
mod triggers;

use crate::version;
use salebridge::app::daemon::Daemon;
use salebridge::app::town::{self, BRIDGE, Pace, TownConfig};
use salebridge::config::{Checks, Config, check_text};
use salebridge::core::hint::EVENTS;
use salebridge::sandbox::amo::edit::{ContactDraft, LeadDraft};
use salebridge::sandbox::amo::options::v4::Filters;
use salebridge::sandbox::faults::Faults;
use salebridge::sandbox::salebot::NewClient;
use salebridge::sandbox::salebot::options::DEFAULT_KEY;
use salebridge::sandbox::town::{Town, TownOptions};
use serde_json::Value;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const TOKEN: &str = "amo-token-0123456789abcdef";
const SECRET: &str = "hooks-of-amo-0123456789abcdef";
const SALEBOT_SECRET: &str = "hooks-of-salebot-0123456789";
/// Far longer than any of it takes.
const DEADLINE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// How the bridge of a test comes to hear of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// Webhooks alone: after the first listing nothing is polled.
    Hook,
    /// Polls alone.
    Poll,
    /// Both.
    Both,
    /// Neither: the list of events alone.
    Events,
}

/// A town, a daemon between its services, and one person who is a contact.
struct Shop {
    town: Town,
    folder: TempDir,
    daemon: Option<Daemon>,
    by: By,
    api: &'static str,
    extra: String,
    /// The client of a person who is a contact.
    client: i64,
    contact: u64,
}

impl Shop {
    async fn open(by: By) -> Shop {
        Shop::with(by, version::spoken(), "", |_| {}).await
    }

    /// In an account where many records can be read by id in one request, which in v4 takes filters.
    async fn with_filters(by: By) -> Shop {
        Shop::with(by, version::spoken(), "", |options| {
            options.amo.v4.filters = Filters::Heeded;
            options.amo.v4.filters_flag = Some(true);
        })
        .await
    }

    /// `extra` stands at the end of the configuration.
    async fn with(by: By, api: &'static str, extra: &str, change: impl FnOnce(&mut TownOptions)) -> Shop {
        let mut options = TownOptions { seed: 7, contacts: 20, people: 10, ..TownOptions::new(town::clock()) };
        options.amo.token = TOKEN.to_owned();
        change(&mut options);
        let town = Town::found(options, Faults::none()).await.expect("free ports");
        let client = town.enter(0, 0).expect("a regular");
        let contact = town.cast().people[0].contact.expect("a regular is a contact");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut shop = Shop { town, folder, daemon: None, by, api, extra: extra.to_owned(), client, contact };
        shop.start().await;
        shop
    }

    fn config(&self) -> Config {
        let config = TownConfig {
            store_url: format!("sqlite://{}", self.folder.path().join("salebridge.db").display()),
            listen: "127.0.0.1:0".to_owned(),
            amo_url: self.town.amo_url(),
            token: TOKEN.to_owned(),
            salebot_url: self.town.salebot_url(),
            api_key: DEFAULT_KEY.to_owned(),
            webhook_secret: SALEBOT_SECRET.to_owned(),
            pace: Pace::Lively,
        };
        let polls = matches!(self.by, By::Poll | By::Both);
        let mut text = config.text();
        if !polls {
            for line in ["*/2 * * * * *", "1/2 * * * * *"] {
                text = text.replace(line, "0 0 0 1 1 *");
            }
        }
        let events = if self.by == By::Events { "1s" } else { "24h" };
        let more = format!(
            "[bridge.amo]\napi = \"{}\"\nwebhook_secret = \"{SECRET}\"\nrecheck = {{ every = \"{events}\", window = \"24h\" }}\n",
            self.api
        );
        let text = text.replace("[bridge.amo]\n", &more) + &self.extra;
        let env = |_: &str| None;
        let checks = Checks::new(&env, jiff::Timestamp::UNIX_EPOCH);
        check_text("shop.toml", Path::new(""), &text, &checks)
            .unwrap_or_else(|faults| panic!("{}", faults.render(false)))
    }

    /// Starts the daemon, waits until everything was listed once, and subscribes it where the test wants hooks.
    async fn start(&mut self) {
        self.daemon = Some(Daemon::start(&self.config(), None).await.expect("it starts"));
        self.town.deliver_to(&self.url(&format!("/hooks/salebot/{BRIDGE}/{SALEBOT_SECRET}"))).expect("a client");
        eventually("the person's client knows the contact", || async {
            self.variable(self.client, "amo_contact_id") == self.contact.to_string()
        })
        .await;
        self.idle().await;
        if matches!(self.by, By::Hook | By::Both) {
            let url = self.hook();
            self.town.amo(|amo, now_ms| amo.subscribe(now_ms, &url, &EVENTS));
        }
    }

    async fn restart(&mut self) {
        self.daemon.take().expect("it runs").stop().await;
        self.start().await;
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.daemon.as_ref().expect("it runs").address())
    }

    fn hook(&self) -> String {
        self.url(&format!("/hooks/amo/{BRIDGE}/{SECRET}"))
    }

    async fn status(&self) -> Value {
        let daemon = self.daemon.as_ref().expect("it runs");
        let live: Value =
            http().get(self.url("/health/ready")).send().await.expect("answers").json().await.expect("JSON");
        let live = live["reasons"].get(BRIDGE).cloned();
        let store = daemon.store();
        salebridge::app::status::one(BRIDGE, store.as_ref(), live.as_ref(), self.town_now()).await.expect("a status")
    }

    fn town_now(&self) -> salebridge::core::time::Millis {
        salebridge::core::time::Millis(self.town.now_ms())
    }

    async fn idle(&self) {
        let began = Instant::now();
        loop {
            let status = self.status().await;
            if status["idle"] == true {
                return;
            }
            assert!(began.elapsed() < DEADLINE, "something waits: {status}");
            tokio::time::sleep(LOOK).await;
        }
    }

    fn variable(&self, client: i64, name: &str) -> String {
        self.town.look(|_, salebot| {
            let value = salebot.client(client).and_then(|client| client.variables.get(name));
            value.and_then(Value::as_str).unwrap_or_default().to_owned()
        })
    }

    /// Callbacks of a client, in order.
    fn callbacks(&self, client: i64) -> Vec<String> {
        self.town.look(|_, salebot| {
            salebot.callbacks().filter(|callback| callback.client_id == client).map(|one| one.text.clone()).collect()
        })
    }

    /// A lead of the person, as a manager makes it.
    fn lead(&self, name: &str) -> u64 {
        self.lead_of(name, self.contact)
    }

    fn lead_of(&self, name: &str, contact: u64) -> u64 {
        let draft = LeadDraft { name: name.into(), contact_ids: vec![contact], price: 100, ..LeadDraft::default() };
        self.town.amo(|amo, now_ms| amo.create_lead(now_ms, draft))
    }

    fn contact_named(&self, name: &str, phones: &[&str]) -> u64 {
        let phones = phones.iter().map(|phone| (*phone).to_owned()).collect();
        let draft = ContactDraft { name: name.into(), phones, ..ContactDraft::default() };
        self.town.amo(|amo, now_ms| amo.add_contact(now_ms, draft))
    }

    /// A client whom nobody in amoCRM knows.
    fn newcomer(&self, number: &str, phone: Option<&str>) -> i64 {
        self.town.salebot(|salebot, now_ms| {
            let new = NewClient { client_type: 1, platform_id: number, group: "some_bot", name: Some("Мария") };
            let client = salebot.add_client(now_ms, new);
            if let Some(phone) = phone {
                salebot.set_variable(now_ms, client, "client.phone", phone);
            }
            client
        })
    }

    fn calls(&self, route: &str) -> u64 {
        self.town.look(|amo, _| amo.statistics().calls(route))
    }

    /// How often amoCRM was asked for a list or for one of its records.
    fn reads(&self, list: &str) -> u64 {
        let route = format!("GET /api/{}/{list}", self.api);
        self.calls(&route) + self.calls(&format!("{route}/{{id}}"))
    }

    fn amo_requests(&self) -> u64 {
        self.town.look(|amo, _| amo.statistics().requests)
    }

    fn salebot_requests(&self) -> u64 {
        self.town.look(|_, salebot| salebot.statistics().total)
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
