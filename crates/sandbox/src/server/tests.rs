//! The server and the webhook sender over real loopback sockets.

use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::faults::{Fault, FaultKind, RandomFaults, ScriptedFault};
use crate::salebot::options::{DEFAULT_KEY, SalebotOptions};
use crate::salebot::project::messenger;
use crate::salebot::{NewClient, NewOrder, Salebot};

/// How long a state may take to come: far longer than it ever does.
const DEADLINE: Duration = Duration::from_secs(20);
const NOW_MS: i64 = 1_779_978_822_500;

/// Keeps every request, answers with one status.
struct Recorder {
    status: u16,
    requests: Vec<Request>,
}

impl Service for Recorder {
    fn handle(&mut self, _now_ms: i64, request: &Request) -> Response {
        self.requests.push(request.clone());
        Response { status: self.status, headers: Vec::new(), body: Vec::new() }
    }
}

fn recorder(status: u16) -> Arc<Mutex<Recorder>> {
    Arc::new(Mutex::new(Recorder { status, requests: Vec::new() }))
}

fn salebot() -> (Arc<Mutex<Salebot>>, i64) {
    let mut salebot = Salebot::new(SalebotOptions::default());
    let id = add_person(&mut salebot, "100");
    (Arc::new(Mutex::new(salebot)), id)
}

fn add_person(salebot: &mut Salebot, platform_id: &str) -> i64 {
    let client_type = messenger::TELEGRAM;
    salebot.add_client(NOW_MS, NewClient { client_type, platform_id, group: "some_bot", name: None })
}

fn fixed_clock() -> Clock {
    Arc::new(|| NOW_MS)
}

async fn start<S: Service + 'static>(
    service: &Arc<Mutex<S>>,
    script: Vec<ScriptedFault>,
) -> (Server, Arc<Mutex<Faults>>) {
    let faults = Arc::new(Mutex::new(Faults::new(script, None)));
    let stop = CancellationToken::new();
    let options = ServerOptions { name: ServiceName::Salebot, port: 0, clock: fixed_clock(), stop };
    let server = Server::start(Arc::clone(service), Arc::clone(&faults), options).await.expect("a free port");
    (server, faults)
}

fn sender_options(url: String) -> SenderOptions {
    let (wake, stop) = (Arc::new(Notify::new()), CancellationToken::new());
    SenderOptions { url, concurrency: 4, timeout_ms: 20_000, clock: fixed_clock(), wake, stop }
}

/// Everything that comes back on a connection of its own; nothing when it is dropped.
async fn exchange(address: SocketAddr, method: &str, target: &str, body: &[u8]) -> String {
    let talk = async {
        let mut stream = TcpStream::connect(address).await.expect("a listening server");
        let length = body.len();
        let head =
            format!("{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("an open connection");
        // A server that refuses the body may close before it has taken all of it.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::time::timeout(DEADLINE, talk).await.expect("an end of the connection")
}

fn status_of(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

fn body_of(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    serde_json::from_str(body).expect("a JSON body")
}

/// Waits until the state is there.
async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let wait = async {
        while !reached() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("{what} did not come about"));
}

#[tokio::test]
async fn a_request_is_decoded_and_answered() {
    let (salebot, id) = salebot();
    lock(&salebot).set_variable(NOW_MS, id, "client.город", "Псков + область");
    let (server, _) = start(&salebot, Vec::new()).await;
    assert!(server.address().ip().is_loopback());
    let val = "%D0%9F%D1%81%D0%BA%D0%BE%D0%B2+%2B%20%D0%BE%D0%B1%D0%BB%D0%B0%D1%81%D1%82%D1%8C";
    let target = format!("/api/{DEFAULT_KEY}/find_client_id_by_var?var=%D0%B3%D0%BE%D1%80%D0%BE%D0%B4&val={val}");
    let answer = exchange(server.address(), "GET", &target, b"").await;
    assert_eq!((status_of(&answer), body_of(&answer)), ("200", json!({ "status": "success", "client_id": id })));
    assert!(answer.contains("content-type: application/json"));
    server.stop().await;
}

#[tokio::test]
async fn a_lost_answer_leaves_the_deal_and_drops_the_connection() {
    let (salebot, id) = salebot();
    let script = vec![ScriptedFault::once(ServiceName::Salebot, Fault::LostAnswer).on("/create_order")];
    let (server, faults) = start(&salebot, script).await;
    let (target, body) = (format!("/api/{DEFAULT_KEY}/create_order"), json!({ "client_id": id }).to_string());
    assert_eq!(exchange(server.address(), "POST", &target, body.as_bytes()).await, "");
    assert_eq!(lock(&salebot).orders(id).len(), 1, "the work was done");
    assert_eq!(lock(&faults).fired()[&FaultKind::LostAnswer], 1);
    let again = exchange(server.address(), "POST", &target, body.as_bytes()).await;
    assert_eq!((status_of(&again), lock(&salebot).orders(id).len()), ("200", 2));
    server.stop().await;
}

#[tokio::test]
async fn a_lost_request_changes_nothing_and_drops_the_connection() {
    let (salebot, id) = salebot();
    let script = vec![ScriptedFault::once(ServiceName::Salebot, Fault::LostRequest)];
    let (server, _) = start(&salebot, script).await;
    let (target, body) = (format!("/api/{DEFAULT_KEY}/create_order"), json!({ "client_id": id }).to_string());
    assert_eq!(exchange(server.address(), "POST", &target, body.as_bytes()).await, "");
    assert_eq!(lock(&salebot).orders(id).len(), 0);
    assert_eq!(lock(&salebot).statistics().total, 0);
    server.stop().await;
}

#[tokio::test]
async fn scripted_statuses_and_headers_reach_the_caller() {
    let service = recorder(204);
    let fault = Fault::Status { code: 429, body: Some("{\"a\":1}".to_owned()), retry_after: Some(7) };
    let (server, _) = start(&service, vec![ScriptedFault::once(ServiceName::Salebot, fault)]).await;
    let answer = exchange(server.address(), "POST", "/hook", b"x").await;
    assert_eq!((status_of(&answer), body_of(&answer)), ("429", json!({ "a": 1 })));
    assert!(answer.contains("retry-after: 7"));
    assert_eq!(status_of(&exchange(server.address(), "POST", "/hook", b"x").await), "204");
    server.stop().await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_unread() {
    let service = recorder(200);
    let (server, _) = start(&service, Vec::new()).await;
    let fits = vec![b'x'; BODY_LIMIT];
    assert_eq!(status_of(&exchange(server.address(), "POST", "/", &fits).await), "200");
    let mut stream = TcpStream::connect(server.address()).await.expect("a listening server");
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", BODY_LIMIT + 1);
    stream.write_all(head.as_bytes()).await.expect("an open connection");
    let mut answer = [0; 12];
    tokio::time::timeout(DEADLINE, stream.read_exact(&mut answer)).await.expect("an answer").expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");
    assert_eq!(lock(&service).requests.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_stop_lets_slow_answers_out_and_ends_idle_connections() {
    let service = recorder(200);
    let slow = ScriptedFault::once(ServiceName::Salebot, Fault::Slow { ms: 3_600_000 });
    let (server, _) = start(&service, vec![slow]).await;
    let address = server.address();
    let mut idle = TcpStream::connect(address).await.expect("a listening server");
    let waiting = tokio_util::task::TaskTracker::new().spawn(async move { exchange(address, "GET", "/", b"").await });
    until("the slow request", || lock(&service).requests.len() == 1).await;
    assert!(!waiting.is_finished(), "the answer is an hour away");
    tokio::time::timeout(DEADLINE, server.stop()).await.expect("a stop");
    assert_eq!(status_of(&waiting.await.expect("an answer")), "200");
    let mut rest = Vec::new();
    tokio::time::timeout(DEADLINE, idle.read_to_end(&mut rest)).await.expect("an end").expect("a clean end");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let service = recorder(200);
    let (server, faults) = start(&service, Vec::new()).await;
    let stop = CancellationToken::new();
    let port = server.address().port();
    let options = ServerOptions { name: ServiceName::Salebot, port, clock: fixed_clock(), stop };
    assert!(Server::start(service, faults, options).await.is_err());
    server.stop().await;
}

#[tokio::test]
async fn a_webhook_is_delivered_exactly_once_with_the_exact_body() {
    let (salebot, id) = salebot();
    let receiver = recorder(200);
    let (hooks, _) = start(&receiver, Vec::new()).await;
    let (server, _) = start(&salebot, Vec::new()).await;
    let mut options = sender_options(format!("http://{}/hooks/secret", hooks.address()));
    options.wake = server.answered();
    let sender = WebhookSender::start(Arc::clone(&salebot), options).expect("a client");
    let (target, body) =
        (format!("/api/{DEFAULT_KEY}/message"), json!({ "client_id": id, "message": "привет" }).to_string());
    exchange(server.address(), "POST", &target, body.as_bytes()).await;
    until("the delivery", || sender.counts().delivered == 1).await;
    let second = lock(&salebot).person_writes(NOW_MS, id, Some("и вам"), &[]).expect("the client");
    until("the second delivery", || sender.counts().delivered == 2).await;
    assert_eq!(sender.log().last(), Some(&WebhookOutcome { id: second, status: Some(200), at_ms: NOW_MS }));
    assert_eq!(sender.stop().await, WebhookCounts { delivered: 2, ..WebhookCounts::default() });
    let requests = std::mem::take(&mut lock(&receiver).requests);
    assert_eq!(requests.len(), 2);
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("POST", "/hooks/secret"));
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
    let expected = format!(
        r#"{{"id":{},"client":{{"id":{id},"recepient":"100","client_type":1,"name":null,"avatar":null,"created_at":1779978822,"tag":null,"group":"some_bot","variables":{{}}}},"message":"привет","attachments":[],"message_id":null,"project_id":400000,"is_input":0,"delivered":1,"error_message":null,"internal_id":null}}"#,
        second - 1
    );
    assert_eq!(String::from_utf8_lossy(&requests[0].body), expected);
    server.stop().await;
    hooks.stop().await;
}

#[tokio::test]
async fn each_clients_webhooks_keep_their_order() {
    let salebot = Arc::new(Mutex::new(Salebot::new(SalebotOptions::default())));
    let people: Vec<i64> = (0..10).map(|number| add_person(&mut lock(&salebot), &number.to_string())).collect();
    for round in 0..30 {
        for id in &people {
            lock(&salebot).person_writes(NOW_MS, *id, Some(&round.to_string()), &[]);
        }
    }
    let receiver = recorder(200);
    let (hooks, faults) = start(&receiver, Vec::new()).await;
    // Answers of uneven length: workers that shared a client would overtake each other.
    let uneven = RandomFaults { slow: 500, slow_ms: 5, ..RandomFaults::seeded(1) };
    *lock(&faults) = Faults::new(Vec::new(), Some(uneven));
    let sender =
        WebhookSender::start(salebot, sender_options(format!("http://{}/", hooks.address()))).expect("a client");
    until("all deliveries", || sender.counts().delivered == 300).await;
    sender.stop().await;
    for id in people {
        let told: Vec<i64> = lock(&receiver)
            .requests
            .iter()
            .map(|request| serde_json::from_slice::<Value>(&request.body).expect("a JSON body"))
            .filter(|body| body["client"]["id"] == json!(id))
            .filter_map(|body| body["id"].as_i64())
            .collect();
        assert!(told.len() == 30 && told.is_sorted(), "{told:?}");
    }
    hooks.stop().await;
}

#[tokio::test]
async fn refused_and_failed_webhooks_are_not_repeated() {
    let (salebot, id) = salebot();
    let receiver = recorder(500);
    let (hooks, _) = start(&receiver, vec![ScriptedFault::once(ServiceName::Salebot, Fault::LostAnswer)]).await;
    let url = format!("http://{}/", hooks.address());
    let sender = WebhookSender::start(Arc::clone(&salebot), sender_options(url)).expect("a client");
    for text in ["lost", "refused"] {
        lock(&salebot).person_writes(NOW_MS, id, Some(text), &[]);
    }
    until("both ends", || sender.log().len() == 2).await;
    let statuses: Vec<Option<u16>> = sender.log().iter().map(|outcome| outcome.status).collect();
    assert_eq!(statuses, [None, Some(500)]);
    assert_eq!(sender.stop().await, WebhookCounts { refused: 1, failed: 1, ..WebhookCounts::default() });
    assert_eq!(lock(&receiver).requests.len(), 2);
    hooks.stop().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    /// Sends everybody to the next door.
    struct Redirector(Vec<String>);
    impl Service for Redirector {
        fn handle(&mut self, _now_ms: i64, request: &Request) -> Response {
            self.0.push(request.path.clone());
            let headers = vec![("location".to_owned(), "/elsewhere".to_owned())];
            Response { status: 307, headers, body: Vec::new() }
        }
    }
    let (salebot, id) = salebot();
    let redirector = Arc::new(Mutex::new(Redirector(Vec::new())));
    let (hooks, _) = start(&redirector, Vec::new()).await;
    let options = sender_options(format!("http://{}/hook", hooks.address()));
    let sender = WebhookSender::start(Arc::clone(&salebot), options).expect("a client");
    lock(&salebot).person_writes(NOW_MS, id, Some("a"), &[]);
    until("the end of the post", || !sender.log().is_empty()).await;
    assert_eq!(sender.stop().await, WebhookCounts { refused: 1, ..WebhookCounts::default() });
    assert_eq!(lock(&redirector).0, ["/hook"]);
    hooks.stop().await;
}

#[tokio::test]
async fn timed_messages_go_out_when_the_clock_says_so() {
    let (salebot, id) = salebot();
    let receiver = recorder(200);
    let (hooks, _) = start(&receiver, Vec::new()).await;
    let now = Arc::new(AtomicI64::new(NOW_MS));
    let mut options = sender_options(format!("http://{}/", hooks.address()));
    let seen = Arc::clone(&now);
    options.clock = Arc::new(move || seen.load(Ordering::SeqCst));
    let sender = WebhookSender::start(Arc::clone(&salebot), options).expect("a client");
    let body = json!({ "client_id": id, "message": "later", "time_shift": 60 }).to_string().into_bytes();
    let path = format!("/api/{DEFAULT_KEY}/message");
    let request = Request { method: "POST".to_owned(), path, query: Vec::new(), headers: Vec::new(), body };
    assert_eq!(lock(&salebot).handle(NOW_MS, &request).status, 200);
    assert_eq!(lock(&salebot).history(id).len(), 0);
    now.store(NOW_MS + 60_000, Ordering::SeqCst);
    until("the delivery", || sender.counts().delivered == 1).await;
    sender.stop().await;
    hooks.stop().await;
}

#[tokio::test]
async fn a_stopped_sender_counts_what_it_did_not_send() {
    /// Owes a hundred webhooks at once.
    struct Debtor(i64);
    impl Service for Debtor {
        fn handle(&mut self, _now_ms: i64, _request: &Request) -> Response {
            Response { status: 404, headers: Vec::new(), body: Vec::new() }
        }
        fn take_webhooks(&mut self) -> Vec<OutgoingWebhook> {
            let from = std::mem::replace(&mut self.0, 100);
            let webhook = |id| OutgoingWebhook {
                id,
                lane: 1,
                destination: None,
                content_type: "text/plain",
                headers: Vec::new(),
                body: Vec::new(),
            };
            (from..100).map(webhook).collect()
        }
    }
    let receiver = recorder(200);
    let slow = ScriptedFault::once(ServiceName::Salebot, Fault::Slow { ms: 3_600_000 });
    let (hooks, _) = start(&receiver, vec![slow]).await;
    let mut options = sender_options(format!("http://{}/", hooks.address()));
    options.concurrency = 1;
    let stop = options.stop.clone();
    let sender = WebhookSender::start(Arc::new(Mutex::new(Debtor(0))), options).expect("a client");
    until("the first post", || lock(&receiver).requests.len() == 1).await;
    stop.cancel();
    hooks.stop().await;
    let counts = tokio::time::timeout(DEADLINE, sender.stop()).await.expect("a stop");
    assert_eq!((counts.delivered, counts.abandoned), (1, 99));
}

#[tokio::test]
async fn the_demo_can_touch_the_service_while_it_is_served() {
    let (salebot, id) = salebot();
    let (server, _) = start(&salebot, Vec::new()).await;
    let order_id = lock(&salebot).add_order(NOW_MS, id, NewOrder::default());
    let target = format!("/api/{DEFAULT_KEY}/get_current_order_id?client_id={id}");
    let answer = exchange(server.address(), "GET", &target, b"").await;
    assert_eq!(body_of(&answer)["order_id"], json!(order_id));
    server.stop().await;
}
