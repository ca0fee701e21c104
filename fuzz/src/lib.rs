//! The doors through which strangers' bytes come in, each as a function of bytes that must not panic.
//!
//! The fuzz targets call them, and so does `tests/it/hostile.rs`, on the stable toolchain.

use async_trait::async_trait;
use salebridge::config::{Checks, Secrets, TemplateKind, check_text};
use salebridge::core::action::{Edit, NoteTarget};
use salebridge::core::flex::{Flex, Moment, Notices, attachments};
use salebridge::core::function::{Arguments, Call, Function};
use salebridge::core::id::{ClientId, ContactId, LeadId, OrderId};
use salebridge::core::model::Event;
use salebridge::core::selector::{AmoField, SalebotField};
use salebridge::core::template::{self, CallbackNames, LineNames};
use salebridge::core::time::Millis;
use salebridge::core::{note, people, text as texts};
use salebridge::inbound::{AmoReader, SalebotDecoder};
use salebridge::ports::env::Env;
use salebridge::ports::remote::{
    Amo, Change, ClientAddress, Decoder, Draft, NewNote, PageRequest, Priority, Salebot, Wanted,
};
use salebridge::ports::watch::HintReader;
use salebridge::remote::amocrm::{AmoV2, AmoV4, Bearer, LongLivedToken};
use salebridge::remote::http::{Credentials, RawAnswer, RawRequest, Transport, TransportError};
use salebridge::remote::lane::{Lane, LaneOptions};
use salebridge::remote::salebot::{DealLanguage, SalebotApi, SalebotOptions};
use secrecy::SecretString;
use std::fmt::{Debug, Display};
use std::path::Path;
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};

/// Reads bytes; panics where something is wrong.
pub type Door = fn(&[u8]);

/// Every door by the name of its fuzz target.
pub const DOORS: [(&str, Door); 10] = [
    ("webhook", webhook),
    ("amo_hook", amo_hook),
    ("function", function),
    ("salebot_wire", salebot_wire),
    ("amo_wire", amo_wire),
    ("amo_v4_wire", amo_v4_wire),
    ("config", config),
    ("template", template),
    ("selector", selector),
    ("text", text),
];

/// Longest reason for a dead letter, in bytes: it stands in logs and tables.
const REASON_BYTES_MAX: usize = 1_000;
/// Most characters a template may make.
const RENDERED_CHARS_MAX: usize = 100_000;
/// Deepest nesting that is walked here; the readers have a bound of their own.
const DEPTH_MAX: usize = 8;
/// Far more than what never waits can take.
const POLLS_MAX: usize = 100_000;
/// Where nobody is.
const AMO: &str = "https://example.test";
/// Friday, 20 November 2026, 00:00 UTC.
const NOW_MS: i64 = 1_795_132_800_000;

/// A body pushed by Salebot.
pub fn webhook(body: &[u8]) {
    let decoder = SalebotDecoder::new(Notices::new(vec!["ignored".to_owned()]));
    match decoder.decode(body) {
        Err(reason) => assert!(!reason.is_empty() && reason.len() <= REASON_BYTES_MAX, "a reason is short: {reason:?}"),
        Ok(Event::Message(message)) => {
            for attachment in &message.attachments {
                is_harmless(note::public_address(&attachment.url));
            }
        }
        Ok(Event::Notice { .. } | Event::Nothing { .. }) => {}
    }
    // The same body means the same at every reading: the first one stores it, the second one works on it.
    assert_eq!(decoder.decode(body), decoder.decode(body));
}

/// A body pushed by amoCRM.
pub fn amo_hook(body: &[u8]) {
    match AmoReader.hints(body) {
        Err(reason) => assert!(!reason.is_empty() && reason.len() <= REASON_BYTES_MAX, "a reason is short: {reason:?}"),
        Ok(hints) => {
            let ids = hints.contacts.iter().map(|id| id.0).chain(hints.leads.iter().map(|id| id.0));
            assert!(ids.into_iter().all(|id| id > 0 && i64::try_from(id).is_ok()), "every id can be stored");
        }
    }
    // The same body means the same at every reading: the first one stores it, the second one works on it.
    assert_eq!(AmoReader.hints(body), AmoReader.hints(body));
}

/// A bot's call of every function: the query, an end of line, the body.
pub fn function(bytes: &[u8]) {
    let place = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (query, body) = bytes.split_at(place);
    let query = String::from_utf8_lossy(query);
    let arguments = match Arguments::read(&query, body) {
        Ok(arguments) => arguments,
        Err(reason) => {
            let reason = reason.to_string();
            return assert!(reason.len() <= REASON_BYTES_MAX, "a reason is short: {reason:?}");
        }
    };
    for function in Function::ALL {
        match Call::read(function, &arguments, Millis(NOW_MS)) {
            Ok(call) => {
                assert_eq!(Ok(call), Call::read(function, &arguments, Millis(NOW_MS)), "the same call means the same");
            }
            Err(answer) => {
                assert!(!answer.is_ok() && answer.error().is_some());
                assert!(answer.text().len() <= REASON_BYTES_MAX, "an answer is short");
            }
        }
    }
    let _ = Function::find(&query);
}

/// An answer of Salebot, to every question that we ask.
pub fn salebot_wire(body: &[u8]) {
    if let Ok(value) = Flex::parse(&String::from_utf8_lossy(body)) {
        walk(value, 0);
    }
    for status in [200, other_status(body)] {
        let api = salebot(status, body);
        block_on(ask_salebot(&api));
    }
}

/// An answer of amoCRM's API v2, to every question that we ask.
pub fn amo_wire(body: &[u8]) {
    for status in [200, other_status(body)] {
        let Outside { credentials, transport, lane, env } = amo(status, body);
        let amo = AmoV2::new(AMO, credentials, transport, lane, env);
        block_on(ask_amo(&amo, |received, rows| received == rows));
    }
}

/// The same of API v4.
pub fn amo_v4_wire(body: &[u8]) {
    for status in [200, other_status(body)] {
        let Outside { credentials, transport, lane, env } = amo(status, body);
        let amo = AmoV4::new(AMO, credentials, transport, lane, env);
        // Places are counted: a page that is short though more follows has empty ones.
        block_on(ask_amo(&amo, |received, rows| received >= rows));
    }
}

/// A status beside success; the input chooses it, so that each costs but one more reading.
fn other_status(body: &[u8]) -> u16 {
    [207, 400, 401, 403, 429, 500, 504][body.len() % 7]
}

/// A configuration file. Secrets stay where they are: a fuzzer would read any file.
pub fn config(bytes: &[u8]) {
    let env = |_: &str| None;
    let compile = |kind: TemplateKind, source: &str| match kind {
        TemplateKind::Note => template::check(template::TemplateKind::Note, source),
        TemplateKind::Callback => template::check(template::TemplateKind::Callback, source),
    };
    let now = jiff::Timestamp::from_millisecond(NOW_MS).unwrap_or_default();
    let checks = Checks::new(&env, now).secrets(Secrets::Shape).template(&compile);
    match check_text("salebridge.toml", Path::new(""), &String::from_utf8_lossy(bytes), &checks) {
        Ok(config) => assert!(!config.bridges.is_empty(), "a configuration without a bridge does nothing"),
        Err(faults) => {
            assert!(!faults.render(false).is_empty());
            assert!(!faults.render(true).is_empty());
        }
    }
}

/// A template of a note or a callback.
pub fn template(bytes: &[u8]) {
    let source = String::from_utf8_lossy(bytes);
    let hostile = "{{ 7 * 7 }} {% raw %} {# \u{202E}".to_owned();
    let line = LineNames {
        arrow: "←",
        direction: "in",
        author: "client",
        channel: "Telegram".to_owned(),
        bot: "some_bot".to_owned(),
        time: "31.12.2026 15:30".to_owned(),
        name: hostile.clone(),
        client_id: "5".to_owned(),
        text: hostile,
    };
    let rendered = [template::render(&source, &line), template::render(&source, &CallbackNames::default())];
    for text in rendered.into_iter().flatten() {
        assert!(text.chars().count() <= RENDERED_CHARS_MAX);
    }
}

/// The name of a mapped value. What can be read is read again from what it is shown as.
pub fn selector(bytes: &[u8]) {
    let source = String::from_utf8_lossy(bytes);
    reads_back::<AmoField>(&source);
    reads_back::<SalebotField>(&source);
}

/// What people type: phones, addresses, dates, numbers.
pub fn text(bytes: &[u8]) {
    let source = String::from_utf8_lossy(bytes);
    for region in ["RU", "US", "??"] {
        if let Some(key) = people::phone_key(&source, region) {
            assert!(!key.text().is_empty() && key.queries().iter().all(|query| !query.is_empty()));
            // A number is found by any of its spellings.
            assert!(key.spellings().iter().all(|spelling| !spelling.is_empty()));
        }
    }
    if let Some(key) = people::email_key(&source) {
        assert!(key.queries().iter().all(|query| !query.is_empty()));
        assert_eq!(people::email_key(&key.queries()[0]).as_ref(), Some(&key), "a key is its own key");
    }
    let once = texts::unified(&source);
    assert_eq!(texts::unified(&once), once, "unified text stays as it is");
    texts::folded(&source);
    texts::truth(&source);
    texts::number(&source);
    texts::whole(&source);
    texts::date(&source);
    texts::day(&source);
    texts::shown_date(&source);
    texts::is_rewritten(&source, &texts::without_controls(&source));
    assert!(texts::without_supplementary(&source, "?").chars().all(|sign| sign.len_utf8() < 4));
    is_harmless(note::public_address(&source));
    Moment::parse(&source);
    Notices::default().read(&source);
}

/// What is written into a note is an address of the web, and not one that holds a bot's token.
fn is_harmless(address: Option<&str>) {
    if let Some(address) = address {
        let folded = address.to_lowercase();
        assert!(folded.starts_with("http://") || folded.starts_with("https://"), "no address of the web");
        assert!(!folded.contains("api.telegram.org/file/bot"), "a bot's token would be shown");
    }
}

fn reads_back<T>(source: &str)
where
    T: FromStr + Display + PartialEq + Debug,
    T::Err: Display,
{
    match source.parse::<T>() {
        Ok(read) => {
            let shown = read.to_string();
            assert_eq!(shown.parse::<T>().ok().as_ref(), Some(&read), "shown as {shown:?}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Every reading of every value, down to a depth.
fn walk(value: Flex<'_>, depth: usize) {
    value.kind();
    value.text();
    value.scalar();
    value.present();
    value.variable();
    value.integer();
    value.ids();
    value.truth();
    value.moment();
    value.tree();
    attachments(value);
    assert_ne!(value.id(), Some(0), "no record has the number 0");
    if depth == DEPTH_MAX {
        return;
    }
    for item in value.list().unwrap_or_default() {
        walk(item, depth + 1);
    }
    if let Some(object) = value.object() {
        object.client();
        object.variables();
        for (_, member) in object.members() {
            walk(member, depth + 1);
        }
    }
}

async fn ask_salebot(api: &SalebotApi) {
    let (client, order, priority) = (ClientId(5), OrderId(7), Priority::Poll);
    let values = ["+79990000001".to_owned()];
    let addresses = ["1", "2"].map(|platform_id| ClientAddress {
        platform_id: platform_id.to_owned(),
        group_id: "some_bot".to_owned(),
        client_type: 1,
    });
    // The answers are of no use here: to come back at all is what is asked.
    let _ = api.variables(client, priority).await;
    let _ = api.find_by_values("client.phone", &values, priority).await;
    let _ = api.history(client, priority).await;
    let _ = api.active_orders(client, priority).await;
    let _ = api.current_order(client, priority).await;
    let _ = api.order(client, order, Wanted::Own, priority).await;
    let _ = api.channels(priority).await;
    let _ = api.callback(client, "text", priority).await;
    assert_eq!(api.load_clients(&addresses, priority).await.len(), addresses.len(), "one result for each");
}

async fn ask_amo(amo: &impl Amo, counts: fn(usize, usize) -> bool) {
    let priority = Priority::Poll;
    let request = PageRequest { since: Some(Millis(NOW_MS)), offset: 0, limit: 500 };
    if let Ok(page) = amo.contacts(request, priority).await {
        assert!(counts(page.received as usize, page.rows.len() + page.broken.len()), "every row is counted");
        assert!(page.broken.iter().all(|row| row.reason.len() <= REASON_BYTES_MAX), "reasons are short");
        assert!(page.rows.iter().all(|contact| contact.id.0 > 0));
    }
    if let Ok(page) = amo.leads(request, priority).await {
        assert!(counts(page.received as usize, page.rows.len() + page.broken.len()), "every row is counted");
    }
    let ids = [ContactId(1), ContactId(2)];
    let _ = amo.contacts_by_id(&ids, priority).await;
    let _ = amo.leads_by_id(&[LeadId(1)], priority).await;
    let _ = amo.search_contacts("9990000001", priority).await;
    let target = NoteTarget::Contact(ContactId(1));
    let _ = amo.notes(target, priority).await;
    let _ = amo.tasks(target, priority).await;
    let _ = amo.account(priority).await;
    let drafts = [(); 2].map(|()| Draft { edits: Vec::new(), created_at: 1_700_000_000 });
    assert_eq!(amo.create_contacts(&drafts, priority).await.len(), drafts.len(), "one result for each");
    let changes = ids.map(|id| Change { id, edits: vec![Edit::Name(String::new())], updated_at: 1_700_000_000 });
    assert_eq!(amo.update_contacts(&changes, priority).await.len(), changes.len(), "one result for each");
    let notes = ["a", "b"].map(|text| NewNote { target, text: text.to_owned(), created_at: 1_700_000_000 });
    let written: Vec<_> = amo.add_notes(&notes, priority).await.into_iter().flatten().collect();
    assert!(written.len() < 2 || written[0] != written[1], "two notes are not one");
}

fn salebot(status: u16, body: &[u8]) -> SalebotApi {
    let env: Arc<dyn Env> = Arc::new(SkippingClock(AtomicI64::new(NOW_MS)));
    let lane = || Arc::new(Lane::new(LaneOptions::new("Salebot", 100.0), Arc::clone(&env)));
    let options = SalebotOptions {
        url: "https://example.test".to_owned(),
        api_key: SecretString::from("0123456789abcdef"),
        language: DealLanguage::Russian,
        notices: Notices::default(),
        lane: lane(),
        save_lane: lane(),
    };
    SalebotApi::new(options, Arc::new(Parrot { status, body: body.to_vec() }), env)
}

/// What an adapter of amoCRM is made of.
struct Outside {
    credentials: Arc<dyn Credentials>,
    transport: Arc<dyn Transport>,
    lane: Arc<Lane>,
    env: Arc<dyn Env>,
}

fn amo(status: u16, body: &[u8]) -> Outside {
    let env: Arc<dyn Env> = Arc::new(SkippingClock(AtomicI64::new(NOW_MS)));
    Outside {
        credentials: Arc::new(Bearer(LongLivedToken(SecretString::from("token")))),
        transport: Arc::new(Parrot { status, body: body.to_vec() }),
        lane: Arc::new(Lane::new(LaneOptions::new("amoCRM", 7.0), Arc::clone(&env))),
        env,
    }
}

/// Runs what never waits for anything outside: every clock skips, every answer is there.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..POLLS_MAX {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
    panic!("it waits for ever");
}

/// A service that says the same to everything.
struct Parrot {
    status: u16,
    body: Vec<u8>,
}

#[async_trait]
impl Transport for Parrot {
    async fn send(&self, _: RawRequest) -> Result<RawAnswer, TransportError> {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Ok(RawAnswer { status: self.status, headers, body: self.body.clone() })
    }
}

/// A clock that moves when somebody sleeps, so that nobody waits.
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
