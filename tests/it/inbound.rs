//! The HTTP side over a real socket: what is stored, what is turned away, and how it ends.

mod amo;
mod crowd;

use crate::inbound_store::{InboxDouble, Mood};
use crate::watch::{Log, SystemEnv};
use rstest::rstest;
use salebridge::core::flex::Notices;
use salebridge::core::id::{ClientId, MessageId};
use salebridge::inbound::{BodyLimits, Door, Inbound, PushCounts, Readiness, ReadyReport, ServerLimits, router, serve};
use salebridge::ports::env::Arrivals;
use salebridge::ports::store::Source;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const SECRET: &str = "a-long-random-secret";
const HOOK: &str = "/hooks/salebot/shop/a-long-random-secret";
const LETTER: &str = "very-private-letter";
/// No wait of these tests is meant to take this long. A full listen queue drops a caller, who tries
/// again after one, three, seven, fifteen and thirty-one seconds.
const DEADLINE: Duration = Duration::from_secs(90);

struct Switch(AtomicBool);

impl Readiness for Switch {
    fn report(&self) -> ReadyReport {
        let ready = self.0.load(Ordering::Relaxed);
        let reasons = if ready { serde_json::json!([]) } else { serde_json::json!(["the store is down"]) };
        ReadyReport { ready, reasons }
    }
}

/// A running server.
struct Site {
    address: SocketAddr,
    store: Arc<InboxDouble>,
    arrivals: Arc<Arrivals>,
    state: Arc<Inbound>,
    readiness: Arc<Switch>,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
}

impl Site {
    async fn open(mood: Mood) -> Site {
        Site::with(mood, BodyLimits::default(), ServerLimits::default()).await
    }

    async fn with(mood: Mood, body_limits: BodyLimits, server_limits: ServerLimits) -> Site {
        let store = Arc::new(InboxDouble::new(mood));
        let (arrivals, readiness) = (Arc::new(Arrivals::default()), Arc::new(Switch(AtomicBool::new(true))));
        let door = Door::new(&SecretString::from(SECRET), arrivals.clone(), Notices::default())
            .with_amo_hooks(&SecretString::from("another-long-random-secret"));
        let doors = [("shop".to_owned(), door)].into();
        let state = Arc::new(Inbound::new(doors, store.clone(), Arc::new(SystemEnv), readiness.clone(), body_limits));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(serve(listener, router(state.clone()), shutdown.clone(), server_limits));
        Site { address, store, arrivals, state, readiness, shutdown, server }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the server listens")
    }

    /// Sends bytes and reads until the server closes.
    async fn exchange(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request).await.expect("the server reads");
        read_to_end(stream).await
    }

    async fn post(&self, path: &str, body: &[u8]) -> String {
        self.exchange(&post(path, body)).await
    }

    async fn get(&self, path: &str) -> String {
        self.exchange(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await
    }

    /// Ends the server and everything it has begun.
    async fn close(self) -> PushCounts {
        self.shutdown.cancel();
        within(self.server).await.expect("the server ends by itself");
        within(self.state.settle()).await;
        self.state.counts()
    }
}

async fn within<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future.into_future()).await.expect("it happens in time")
}

async fn read_to_end(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    within(stream.read_to_end(&mut answer)).await.expect("the server answers");
    String::from_utf8(answer).expect("answers are text")
}

fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn message(id: u64, client: u64) -> Vec<u8> {
    format!(
        r#"{{"id":{id},"client":{{"id":{client},"recepient":"1"}},"message":"{LETTER}","project_id":400000,"is_input":1}}"#
    )
    .into_bytes()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[tokio::test]
async fn a_message_is_stored_as_it_came_and_rings_the_bell() {
    let site = Site::open(Mood::Takes).await;
    let sent = message(22_222_222_222, 5);
    let answer = site.post(HOOK, &sent).await;
    assert_eq!((status(&answer), body(&answer)), (200, "ok\n"));
    within(site.arrivals.bell.heard()).await;
    let row = site.store.rows().remove(0);
    assert_eq!((row.bridge.as_str(), row.source, row.body), ("shop", Source::Salebot, sent));
    assert_eq!((row.client, row.message), (Some(ClientId(5)), Some(MessageId(22_222_222_222))));
    assert_eq!((row.dedupe.as_deref(), row.broken), (Some("22222222222"), None));
    assert!(row.received_at.0 > 1_700_000_000_000);
    assert_eq!(site.close().await, PushCounts { stored: 1, ..PushCounts::default() });
}

#[tokio::test]
async fn a_repeated_message_is_stored_once() {
    let site = Site::open(Mood::Takes).await;
    for _ in 0..2 {
        assert_eq!(status(&site.post(HOOK, &message(7, 5)).await), 200);
    }
    assert_eq!(site.store.rows().len(), 1);
    assert_eq!(site.close().await, PushCounts { stored: 1, known: 1, ..PushCounts::default() });
}

#[tokio::test]
async fn nothing_is_answered_before_it_is_stored() {
    let site = Site::open(Mood::Waits).await;
    let mut stream = site.connect().await;
    stream.write_all(&post(HOOK, &message(7, 5))).await.expect("the server reads");
    within(site.store.entered.notified()).await;
    // The store has the body and does not come back: there must be nothing to read.
    let early = tokio::time::timeout(Duration::from_millis(50), stream.readable()).await;
    assert!(early.is_err(), "an answer left before the body was stored");
    site.store.gate.add_permits(1);
    assert_eq!(status(&read_to_end(stream).await), 200);
    assert_eq!(site.store.rows().len(), 1);
}

#[rstest]
#[case("/hooks/salebot/shop/wrong")]
#[case("/hooks/salebot/shop/a-long-random-secre")]
#[case("/hooks/salebot/shop/a-long-random-secret2")]
#[case("/hooks/salebot/other/a-long-random-secret")]
#[case("/hooks/salebot/shop/%FF")]
#[case("/hooks/salebot/shop")]
#[case("/hooks/salebot/shop/")]
#[case("/hooks/salebot/shop/a-long-random-secret/")]
#[case("/nowhere")]
#[tokio::test]
async fn a_wrong_address_is_not_found_and_stores_nothing(#[case] path: &str) {
    let site = Site::open(Mood::Takes).await;
    let answer = site.post(path, &message(7, 5)).await;
    assert_eq!((status(&answer), body(&answer)), (404, "not found\n"));
    assert_eq!(site.store.rows(), []);
    assert_eq!(site.close().await.stored, 0);
}

#[tokio::test]
async fn a_percent_encoded_secret_is_the_same_secret() {
    let site = Site::open(Mood::Takes).await;
    assert_eq!(status(&site.post("/hooks/salebot/shop/a-long%2Drandom-secret", &message(7, 5)).await), 200);
}

#[tokio::test]
async fn an_announced_giant_is_refused_unread() {
    let site = Site::open(Mood::Takes).await;
    let head = format!("POST {HOOK} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", 1024 * 1024 + 1);
    let answer = site.exchange(head.as_bytes()).await;
    assert_eq!((status(&answer), body(&answer)), (413, "too large\n"));
    assert_eq!(site.close().await, PushCounts { refused: 1, ..PushCounts::default() });
}

#[rstest]
#[case(0, 200)]
#[case(1, 413)]
#[tokio::test]
async fn a_chunked_giant_is_found_out(#[case] excess: usize, #[case] expected: u16) {
    let limits = BodyLimits { bytes_max: 4_096, ..BodyLimits::default() };
    let site = Site::with(Mood::Takes, limits, ServerLimits::default()).await;
    let text = message(7, 5);
    let padded = [text.as_slice(), &vec![b' '; 4_096 + excess - text.len()]].concat();
    let mut request =
        format!("POST {HOOK} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n");
    for part in padded.chunks(1_000) {
        request.push_str(&format!("{:x}\r\n{}\r\n", part.len(), String::from_utf8_lossy(part)));
    }
    request.push_str("0\r\n\r\n");
    assert_eq!(status(&site.exchange(request.as_bytes()).await), expected);
    assert_eq!(site.store.rows().len(), usize::from(expected == 200));
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let limits = BodyLimits { time_max_ms: 50, ..BodyLimits::default() };
    let site = Site::with(Mood::Takes, limits, ServerLimits::default()).await;
    let head = format!("POST {HOOK} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{\"id\":");
    let answer = site.exchange(head.as_bytes()).await;
    assert_eq!((status(&answer), body(&answer)), (408, "too slow\n"));
    assert_eq!(site.store.rows(), []);
}

#[tokio::test]
async fn a_body_broken_off_is_not_stored() {
    let site = Site::open(Mood::Takes).await;
    let mut stream = site.connect().await;
    let head = format!("POST {HOOK} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{}}");
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    drop(stream);
    let store = site.store.clone();
    assert_eq!(site.close().await.stored, 0);
    assert_eq!(store.rows(), []);
}

#[rstest]
#[case(Mood::Full)]
#[case(Mood::Panics)]
#[tokio::test]
async fn what_cannot_be_stored_is_answered_503(#[case] mood: Mood) {
    let site = Site::open(mood).await;
    let answer = site.post(HOOK, &message(7, 5)).await;
    assert_eq!(status(&answer), 503);
    assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    let ring = tokio::time::timeout(Duration::ZERO, site.arrivals.bell.heard()).await;
    assert!(ring.is_err(), "the bell rang for nothing");
    assert_eq!(site.arrivals.missed(), u64::from(mood == Mood::Full), "it is looked for in the history");
    let ready = status(&site.get("/health/ready").await);
    assert_eq!(ready, if mood == Mood::Full { 503 } else { 200 }, "one of ours is no matter of the store");
    // The next one finds the door open.
    *site.store.mood.lock().expect("not poisoned") = Mood::Takes;
    assert_eq!(status(&site.post(HOOK, &message(7, 5)).await), 200);
    assert_eq!(status(&site.get("/health/ready").await), 200);
}

#[rstest]
#[case(b"".as_slice(), "the body is empty")]
#[case(b"hello".as_slice(), "at the body: not JSON at line 1, column 1")]
#[case(b"{'id': 5}".as_slice(), "at the body: not JSON at line 1, column 2")]
#[case(b"[]".as_slice(), "at the body: not the expected kind of value at line 1, column 0")]
#[case(br#"{"client":{"id":"x"}}"#.as_slice(), "at `client.id`: no readable id")]
#[case(b"\xff\xfe".as_slice(), "at the body: not JSON at line 1, column 1")]
#[tokio::test]
async fn unreadable_bodies_become_dead_letters(#[case] sent: &[u8], #[case] reason: &str) {
    let site = Site::open(Mood::Takes).await;
    assert_eq!(status(&site.post(HOOK, sent).await), 200);
    let row = site.store.rows().remove(0);
    assert_eq!((row.body.as_slice(), row.broken.as_deref(), row.dedupe), (sent, Some(reason), None));
    assert_eq!(site.close().await, PushCounts { stored: 1, broken: 1, ..PushCounts::default() });
}

#[tokio::test]
async fn a_body_nested_without_end_is_only_a_dead_letter() {
    let site = Site::open(Mood::Takes).await;
    assert_eq!(status(&site.post(HOOK, "[".repeat(500_000).as_bytes()).await), 200);
    assert_eq!(status(&site.post(HOOK, "{\"a\":".repeat(100_000).as_bytes()).await), 200);
    assert_eq!(status(&site.post(HOOK, &message(7, 5)).await), 200);
    let broken: Vec<bool> = site.store.rows().iter().map(|row| row.broken.is_some()).collect();
    assert_eq!(broken, [true, true, false]);
}

#[tokio::test]
async fn bytes_are_kept_as_they_came() {
    let site = Site::open(Mood::Takes).await;
    let sent = b"{\"id\":7,\"client\":{\"id\":5},\"message\":\"caf\xe9\"}";
    assert_eq!(status(&site.post(HOOK, sent).await), 200);
    let row = site.store.rows().remove(0);
    assert_eq!((row.body.as_slice(), row.client, row.broken), (sent.as_slice(), Some(ClientId(5)), None));
}

#[tokio::test]
async fn a_body_of_nobody_is_counted_and_dropped() {
    let site = Site::open(Mood::Takes).await;
    assert_eq!(status(&site.post(HOOK, br#"{"id":7,"message":"x"}"#).await), 200);
    assert_eq!(site.store.rows(), []);
    assert_eq!(site.close().await, PushCounts { dropped: 1, ..PushCounts::default() });
}

#[tokio::test]
async fn a_sender_who_hangs_up_is_stored_all_the_same() {
    let limits = ServerLimits { connections_max: 1, ..ServerLimits::default() };
    let site = Site::with(Mood::Waits, BodyLimits::default(), limits).await;
    let mut stream = site.connect().await;
    stream.write_all(&post(HOOK, &message(7, 5))).await.expect("the server reads");
    within(site.store.entered.notified()).await;
    drop(stream);
    // There is one slot: an answer to somebody else means that the first connection is gone.
    assert_eq!(status(&site.get("/health/live").await), 200);
    assert_eq!(site.store.rows(), []);
    site.store.gate.add_permits(1);
    within(site.store.stored(1)).await;
    within(site.arrivals.bell.heard()).await;
    assert_eq!(site.close().await.stored, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_senders_at_once() {
    let site = Arc::new(Site::open(Mood::Takes).await);
    let senders: Vec<_> = (1..=200_u64)
        .map(|id| {
            let site = site.clone();
            tokio::spawn(async move { status(&site.post(HOOK, &message(id, id % 7 + 1)).await) })
        })
        .collect();
    for sender in senders {
        assert_eq!(within(sender).await.expect("no panic"), 200);
    }
    let mut ids: Vec<_> = site.store.rows().iter().filter_map(|row| row.message).collect();
    ids.sort();
    assert_eq!(ids, (1..=200).map(MessageId).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_connection_carries_many_messages() {
    let site = Site::open(Mood::Takes).await;
    let mut stream = site.connect().await;
    for id in 1..=3 {
        let body = message(id, 5);
        let head = format!("POST {HOOK} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), &body].concat()).await.expect("the server reads");
        let mut answer = [0; 1_024];
        let length = within(stream.read(&mut answer)).await.expect("the server answers");
        assert_eq!(status(&String::from_utf8_lossy(&answer[..length])), 200);
    }
    // An idle connection does not hold up the end.
    assert_eq!(site.close().await.stored, 3);
    assert_eq!(read_to_end(stream).await, "");
}

#[tokio::test]
async fn a_head_that_never_ends_is_closed() {
    let limits = ServerLimits { head_time_max_ms: 50, ..ServerLimits::default() };
    let site = Site::with(Mood::Takes, BodyLimits::default(), limits).await;
    let silent = site.connect().await;
    let mut half = site.connect().await;
    half.write_all(b"POST /hooks/sale").await.expect("the server reads");
    for stream in [silent, half] {
        let answer = read_to_end(stream).await;
        assert!(answer.is_empty() || status(&answer) == 408, "{answer}");
    }
}

#[tokio::test]
async fn a_giant_head_is_refused() {
    let limits = ServerLimits { head_bytes_max: 8_192, ..ServerLimits::default() };
    let site = Site::with(Mood::Takes, BodyLimits::default(), limits).await;
    let request = format!("GET /health/live HTTP/1.1\r\nhost: x\r\nx-fill: {}\r\n\r\n", "x".repeat(9_000));
    assert_eq!(status(&site.exchange(request.as_bytes()).await), 431);
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_their_turn() {
    let limits = ServerLimits { connections_max: 1, ..ServerLimits::default() };
    let site = Arc::new(Site::with(Mood::Waits, BodyLimits::default(), limits).await);
    let first = site.clone();
    let first = tokio::spawn(async move { status(&first.post(HOOK, &message(1, 5)).await) });
    within(site.store.entered.notified()).await;
    let second = site.clone();
    let second = tokio::spawn(async move { status(&second.post(HOOK, &message(2, 5)).await) });
    // The second waits in the listen queue and has not come in.
    let early = tokio::time::timeout(Duration::from_millis(50), site.store.entered.notified()).await;
    assert!(early.is_err(), "there was a slot for the second connection");
    site.store.gate.add_permits(2);
    assert_eq!(within(first).await.expect("no panic"), 200);
    assert_eq!(within(second).await.expect("no panic"), 200);
    let order: Vec<_> = site.store.rows().iter().filter_map(|row| row.message).collect();
    assert_eq!(order, [MessageId(1), MessageId(2)]);
}

#[tokio::test]
async fn the_end_waits_for_requests_under_way() {
    let site = Site::open(Mood::Waits).await;
    let mut stream = site.connect().await;
    stream.write_all(&post(HOOK, &message(7, 5))).await.expect("the server reads");
    within(site.store.entered.notified()).await;
    let (store, address) = (site.store.clone(), site.address);
    let closing = tokio::spawn(site.close());
    // The socket closes first: new senders are refused while the old one is still served.
    within(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!closing.is_finished());
    store.gate.add_permits(1);
    assert_eq!(status(&read_to_end(stream).await), 200);
    assert_eq!(within(closing).await.expect("it ends").stored, 1);
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let limits = ServerLimits { grace_ms: 50, ..ServerLimits::default() };
    let site = Site::with(Mood::Waits, BodyLimits::default(), limits).await;
    let mut stream = site.connect().await;
    stream.write_all(&post(HOOK, &message(7, 5))).await.expect("the server reads");
    within(site.store.entered.notified()).await;
    site.shutdown.cancel();
    within(site.server).await.expect("the server ends by itself");
    assert_eq!(read_to_end(stream).await, "");
    // The body outlives its connection.
    site.store.gate.add_permits(1);
    within(site.state.settle()).await;
    assert_eq!(site.store.rows().len(), 1);
}

#[tokio::test]
async fn half_a_head_does_not_hold_up_the_end() {
    let hour_ms = 3_600_000;
    let limits = ServerLimits { head_time_max_ms: hour_ms, grace_ms: hour_ms, ..ServerLimits::default() };
    let site = Site::with(Mood::Takes, BodyLimits::default(), limits).await;
    let mut half = site.connect().await;
    half.write_all(b"POST /hooks/sale").await.expect("the server reads");
    assert_eq!(status(&site.get("/health/live").await), 200);
    site.close().await;
}

#[tokio::test]
async fn health_tells_life_and_readiness() {
    let site = Site::open(Mood::Takes).await;
    assert_eq!(body(&site.get("/health/live").await), "live\n");
    let ready = site.get("/health/ready").await;
    assert_eq!((status(&ready), body(&ready)), (200, r#"{"ready":true,"reasons":[]}"#));
    site.readiness.0.store(false, Ordering::Relaxed);
    let waiting = site.get("/health/ready").await;
    assert_eq!((status(&waiting), body(&waiting)), (503, r#"{"ready":false,"reasons":["the store is down"]}"#));
    assert_eq!(status(&site.get("/health/live").await), 200);
}

#[tokio::test]
async fn logs_hold_neither_secrets_nor_letters() {
    let (log, _guard) = Log::start();
    let limits = BodyLimits { time_max_ms: 50, ..BodyLimits::default() };
    let site = Site::with(Mood::Takes, limits, ServerLimits::default()).await;
    let guess = "/hooks/salebot/shop/a-long-random-guess";
    for path in [HOOK, guess, "/hooks/salebot/a-long-random-secret/shop", "/a-long-random-secret"] {
        site.post(path, &message(7, 5)).await;
        site.get(path).await;
    }
    site.post(HOOK, format!("{LETTER} {SECRET}").as_bytes()).await;
    site.post(HOOK, format!(r#"{{"message":"{LETTER}"}}"#).as_bytes()).await;
    site.exchange(format!("POST {HOOK} HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{LETTER}").as_bytes()).await;
    for mood in [Mood::Full, Mood::Panics] {
        *site.store.mood.lock().expect("not poisoned") = mood;
        site.post(HOOK, &message(8, 5)).await;
    }
    let text = format!("{}\n{:?}", log.text(), site.state);
    assert!(text.contains("/hooks/salebot/{bridge}/{secret}"), "the matched route is logged");
    assert!(text.contains("could not be stored"), "failures are logged");
    for secret in ["a-long-random", LETTER] {
        let place = text.find(secret).map(|at| text[at.saturating_sub(200)..at].to_owned());
        assert_eq!(place, None, "a secret follows this");
    }
}
