//! What the parts cost that only compute: `cargo bench --bench pure`.
//!
//! Pages are those of the simulated amoCRM, read through the adapters as in a backfill; the network is a copy in memory.

use async_trait::async_trait;
use divan::{Bencher, black_box};
use salebridge::app::town::{Pace, TownConfig, clock};
use salebridge::core::flex::Notices;
use salebridge::core::id::ClientId;
use salebridge::core::link::{Base, ClientLink};
use salebridge::core::merge::{self, Pair};
use salebridge::core::model::{Client, Contact, Variables};
use salebridge::core::people::phone_key;
use salebridge::core::plan::ground::Ground;
use salebridge::core::plan::person::{self, ClientSeen, PersonSeen};
use salebridge::core::policy::{Direction, Owner};
use salebridge::core::shape::Form;
use salebridge::core::time::Millis;
use salebridge::inbound::SalebotDecoder;
use salebridge::ports::env::Env;
use salebridge::ports::remote::{Amo as _, Decoder as _, PageRequest, Priority};
use salebridge::remote::amocrm::{AmoV2, AmoV4, Bearer, LongLivedToken};
use salebridge::remote::http::{RawAnswer, RawRequest, Transport, TransportError};
use salebridge::remote::lane::{Lane, LaneOptions};
use salebridge::sandbox::amo::edit::ContactDraft;
use salebridge::sandbox::amo::fixture::FIELD_POSITION;
use salebridge::sandbox::amo::records::FieldValue;
use salebridge::sandbox::amo::{Amo, AmoOptions};
use salebridge::sandbox::http::Request;
use salebridge::sandbox::salebot::options::{DEFAULT_KEY, SalebotOptions};
use salebridge::sandbox::salebot::{NewClient, Salebot};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Contacts of the account.
const CONTACTS: usize = 1_000;
/// Friday, 20 November 2026, 00:00 UTC.
const NOW_MS: i64 = 1_795_132_800_000;

fn main() {
    divan::main();
}

/// A page of 500 contacts of API v2, from bytes to our own form.
#[divan::bench]
fn decode_page_v2_500(bencher: Bencher<'_, '_>) {
    let outside = Outside::new();
    let amo = AmoV2::new(AMO, outside.bearer(), outside.recorder(), outside.lane(), outside.env());
    let request = PageRequest { since: None, offset: 0, limit: 500 };
    let read = || runtime().block_on(amo.contacts(request, Priority::Poll)).expect("a page").rows;
    assert_eq!(read().len(), 500);
    bencher.counter(500_usize).bench_local(read);
}

/// A page of 250 contacts of API v4.
#[divan::bench]
fn decode_page_v4_250(bencher: Bencher<'_, '_>) {
    let outside = Outside::new();
    let amo = AmoV4::new(AMO, outside.bearer(), outside.recorder(), outside.lane(), outside.env());
    let request = PageRequest { since: None, offset: 0, limit: 250 };
    let read = || runtime().block_on(amo.contacts(request, Priority::Poll)).expect("a page").rows;
    assert_eq!(read().len(), 250);
    bencher.counter(250_usize).bench_local(read);
}

/// What a contact means to us: the test whether it is known as it is.
#[divan::bench]
fn fingerprint_of_contact(bencher: Bencher<'_, '_>) {
    let world = &*WORLD;
    bencher.bench_local(|| world.ground.contact_fingerprint(black_box(&world.contacts[0])));
}

/// Phone numbers and e-mail addresses of a contact, in the form they are compared in.
#[divan::bench]
fn keys_of_contact(bencher: Bencher<'_, '_>) {
    let world = &*WORLD;
    bencher.bench_local(|| world.ground.contact_keys(black_box(&world.contacts[0])));
}

/// A phone number as people type it, to its international form.
#[divan::bench(args = ["+7 999 000-00-01", "8 (999) 000-00-01", "79990000001", "+1 212 555 0123", "позвонить завтра"])]
fn phone_number(text: &str) -> bool {
    phone_key(black_box(text), "RU").is_some()
}

/// One pair of values that changed on one side.
#[divan::bench(args = ["text", "phones"])]
fn merge_one_pair(bencher: Bencher<'_, '_>, kind: &str) {
    let (form, amo, then) = match kind {
        "text" => (Form::Text { chars_max: None }, "Закупщик", "Директор"),
        _ => (Form::Phones, "+7 999 000-00-01", "8 (999) 000-00-02"),
    };
    let (amo, then) = (vec![amo.to_owned()], vec![then.to_owned()]);
    let base = Base { amo: Some(then.clone()), salebot: Some(then.clone()), ..Base::default() };
    let (direction, owner) = (Direction::Both, Owner::Amo);
    let pair = Pair { form: &form, direction, owner, region: "RU", amo: &amo, salebot: Some(&then), base: &base };
    assert!(merge::merge(pair).write_salebot.is_some());
    bencher.bench_local(|| merge::merge(black_box(pair)));
}

/// A contact with one client that is met for the first time: every pair of the mapping.
#[divan::bench]
fn plan_new_person(bencher: Bencher<'_, '_>) {
    let world = &*WORLD;
    let link = ClientLink { contact: Some(world.contacts[0].id), ..ClientLink::new(Client::unknown(ClientId(5))) };
    let variables = Variables::from([("client.phone".to_owned(), "79990000000".to_owned())]);
    let clients = [ClientSeen { link: &link, variables: Some(&variables) }];
    let seen = PersonSeen { contact: &world.contacts[0], clients: &clients, in_doubt: &[] };
    bencher.bench_local(|| person::plan(&world.ground, black_box(seen)));
}

/// The body of a webhook, as it is read when it is worked on.
#[divan::bench]
fn decode_webhook(bencher: Bencher<'_, '_>) {
    let body = webhook();
    let decoder = SalebotDecoder::new(Notices::new(Vec::new()));
    assert!(decoder.decode(&body).is_ok());
    bencher.bench_local(|| decoder.decode(black_box(&body)));
}

/// Where nobody is.
const AMO: &str = "https://example.test";

/// Contacts and the ground they are planned on.
struct World {
    ground: Ground,
    contacts: Vec<Contact>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let outside = Outside::new();
    let amo = AmoV2::new(AMO, outside.bearer(), outside.recorder(), outside.lane(), outside.env());
    let request = PageRequest { since: None, offset: 0, limit: 500 };
    let (account, page) = runtime().block_on(async {
        let account = amo.account(Priority::Poll).await.expect("an account");
        (account, amo.contacts(request, Priority::Poll).await.expect("a page"))
    });
    let config = TownConfig {
        store_url: "sqlite://nowhere.db".to_owned(),
        listen: "127.0.0.1:8080".to_owned(),
        amo_url: "http://127.0.0.1:8071".to_owned(),
        token: "sandbox-token-0123456789".to_owned(),
        salebot_url: "http://127.0.0.1:8072".to_owned(),
        api_key: DEFAULT_KEY.to_owned(),
        webhook_secret: "sandbox-0123456789abcdef".to_owned(),
        pace: Pace::Usual,
    };
    let config = config.checked("town").unwrap_or_else(|faults| panic!("{}", faults.render(false)));
    World { ground: Ground::new(config.bridges[0].policy.clone(), account), contacts: page.rows }
});

fn webhook() -> Vec<u8> {
    let mut salebot = Salebot::new(SalebotOptions::default());
    let new = NewClient {
        client_type: 1, platform_id: "600000001", group: "some_bot", name: Some("Анна Бондарь")
    };
    let client = salebot.add_client(NOW_MS, new);
    salebot.person_writes(NOW_MS, client, Some("Здравствуйте! Подскажите, когда привезут заказ?"), &[]);
    salebot.take_webhooks().remove(0).body
}

fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().expect("a runtime"));
    &RUNTIME
}

/// The world around an adapter.
struct Outside {
    recorder: Arc<Recorder>,
    env: Arc<SkippingClock>,
}

impl Outside {
    fn new() -> Outside {
        let mut options = AmoOptions::default();
        options.limits.requests_per_second = None;
        let token = options.token.clone();
        let mut amo = Amo::new(options);
        for number in 0..CONTACTS {
            let draft = ContactDraft {
                name: format!("Анна Бондарь {number}"),
                phones: vec![format!("+7 999 000-{:02}-{:02}", number / 100, number % 100)],
                emails: vec![format!("person{number}@example.test")],
                fields: BTreeMap::from([(FIELD_POSITION, vec![FieldValue::plain("Закупщик")])]),
                ..ContactDraft::default()
            };
            amo.add_contact(NOW_MS, draft);
        }
        let recorder = Recorder { amo: Mutex::new(amo), token, kept: Mutex::default() };
        Outside { recorder: Arc::new(recorder), env: Arc::new(SkippingClock(AtomicI64::new((clock())()))) }
    }

    fn bearer(&self) -> Arc<Bearer<LongLivedToken>> {
        Arc::new(Bearer(LongLivedToken(SecretString::from(self.recorder.token.clone()))))
    }

    fn recorder(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.recorder) as Arc<dyn Transport>
    }

    fn env(&self) -> Arc<dyn Env> {
        Arc::clone(&self.env) as Arc<dyn Env>
    }

    fn lane(&self) -> Arc<Lane> {
        Arc::new(Lane::new(LaneOptions::new("amoCRM", 7.0), self.env()))
    }
}

/// Asks the simulated amoCRM once and says the same from then on.
struct Recorder {
    amo: Mutex<Amo>,
    token: String,
    kept: Mutex<BTreeMap<String, RawAnswer>>,
}

#[async_trait]
impl Transport for Recorder {
    async fn send(&self, request: RawRequest) -> Result<RawAnswer, TransportError> {
        let url = request.url.expose_secret().to_owned();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.entry(url.clone()).or_insert_with(|| self.ask(&request, &url)).clone())
    }
}

impl Recorder {
    fn ask(&self, request: &RawRequest, url: &str) -> RawAnswer {
        let url = reqwest::Url::parse(url).expect("an address");
        let header = |(name, value): &(&str, SecretString)| ((*name).to_owned(), value.expose_secret().to_owned());
        let request = Request {
            method: request.method.name().to_owned(),
            path: url.path().to_owned(),
            query: url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
            headers: request.headers.iter().map(header).collect(),
            body: request.body.clone(),
        };
        let response = self.amo.lock().unwrap_or_else(PoisonError::into_inner).handle(NOW_MS, &request);
        let headers = response.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
        RawAnswer { status: response.status, headers, body: response.body }
    }
}

/// A clock that moves when somebody sleeps, so that no lane waits.
struct SkippingClock(AtomicI64);

#[async_trait]
impl Env for SkippingClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::Relaxed))
    }

    async fn sleep(&self, millis: i64) {
        self.0.fetch_add(millis.max(0), Ordering::Relaxed);
    }

    fn fraction(&self) -> f64 {
        0.5
    }
}
