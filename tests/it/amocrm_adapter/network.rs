//! The adapter over a real socket: what the network does to a request, and what the log tells of it.

use super::{TOKEN, fixture};
use crate::watch::Log;
use async_trait::async_trait;
use salebridge::core::action::Edit;
use salebridge::core::fault::{Fault, FaultKind};
use salebridge::core::id::ContactId;
use salebridge::core::time::Millis;
use salebridge::ports::env::Env;
use salebridge::ports::remote::{Amo, Draft, PageRequest, Priority};
use salebridge::remote::amocrm::{AmoV2, Bearer, LongLivedToken};
use salebridge::remote::http::{BODY_MAX_BYTES, Method, RawRequest, ReqwestTransport, Transport, TransportError};
use salebridge::remote::lane::{Lane, LaneOptions};
use secrecy::SecretString;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const ALL: PageRequest = PageRequest { since: None, offset: 0, limit: 500 };

struct RealClock;

#[async_trait]
impl Env for RealClock {
    fn now(&self) -> Millis {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
        Millis(i64::try_from(since.as_millis()).unwrap())
    }

    async fn sleep(&self, millis: i64) {
        tokio::time::sleep(Duration::from_millis(millis.unsigned_abs())).await;
    }

    fn fraction(&self) -> f64 {
        0.5
    }
}

/// What the server does with the one connection it takes.
enum Play {
    /// Writes these bytes and closes.
    Says(Vec<u8>),
    /// Reads and never answers.
    Silent,
}

/// A server on loopback that reads a whole request, hands it over and plays its part.
async fn server(play: Play) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut received = Vec::new();
        let mut chunk = [0; 4096];
        while !is_whole(&received) {
            let read = stream.read(&mut chunk).await.unwrap();
            assert_ne!(read, 0, "the request was cut short");
            received.extend_from_slice(&chunk[..read]);
        }
        match play {
            Play::Says(bytes) => stream.write_all(&bytes).await.unwrap(),
            // Until the client gives up and closes.
            Play::Silent => while stream.read(&mut chunk).await.unwrap_or(0) > 0 {},
        }
        String::from_utf8(received).unwrap()
    });
    (address, task)
}

fn is_whole(received: &[u8]) -> bool {
    let text = String::from_utf8_lossy(received);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    body.len() >= length
}

fn http(status: &str, headers: &str, body: &str) -> Play {
    let text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len());
    Play::Says(text.into_bytes())
}

fn transport() -> Arc<ReqwestTransport> {
    // Another test may have been first; both install the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Arc::new(ReqwestTransport::new(false, BODY_MAX_BYTES).unwrap())
}

fn adapter(url: &str) -> AmoV2 {
    let env: Arc<dyn Env> = Arc::new(RealClock);
    let lane = Arc::new(Lane::new(LaneOptions::new("amoCRM", 1_000.0), env.clone()));
    let token = Arc::new(Bearer(LongLivedToken(SecretString::from(TOKEN))));
    AmoV2::new(url, token, transport(), lane, env)
}

async fn create(url: &str) -> Result<ContactId, Fault> {
    let draft = Draft { edits: vec![Edit::Name("Анна Тестова".to_owned())], created_at: 1_700_000_000 };
    adapter(url).create_contacts(&[draft], Priority::Person).await.remove(0)
}

#[tokio::test]
async fn a_page_arrives() {
    let (url, task) =
        server(http("200 OK", "runtime-timestamp: 1508320306\r\n", fixture!("contacts_list_answer"))).await;
    let request = PageRequest { since: Some(Millis(1_741_082_400_000)), ..ALL };
    let page = adapter(&url).contacts(request, Priority::Poll).await.unwrap();
    assert_eq!((page.rows.len(), page.server_time), (1, Some(Millis(1_508_320_306_000))));
    let request = task.await.unwrap();
    assert!(request.starts_with("GET /api/v2/contacts?limit_rows=500 HTTP/1.1\r\n"), "{request}");
    for header in [
        "if-modified-since: Tue, 04 Mar 2025 10:00:00 UTC\r\n",
        "authorization: Bearer token-that-must-not-leak\r\n",
        "accept-encoding: gzip\r\n",
        "user-agent: salebridge/",
    ] {
        assert!(request.contains(header), "{request}");
    }
}

#[tokio::test]
async fn a_write_arrives_and_is_answered() {
    let (url, task) = server(http("200 OK", "", fixture!("contacts_add_answer"))).await;
    assert_eq!(create(&url).await, Ok(ContactId(1_099_235)));
    let request = task.await.unwrap();
    assert!(request.contains("content-type: application/json\r\n") && request.contains("Анна Тестова"), "{request}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (url, task) = server(http("301 Moved Permanently", "location: http://127.0.0.1:1/other\r\n", "")).await;
    let fault = adapter(&url).contacts(ALL, Priority::Poll).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Auth, "{fault}");
    task.await.unwrap();
}

#[tokio::test]
async fn an_answer_cut_short_may_have_been_a_success() {
    let cut = || Play::Says(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"_embedded\"".to_vec());
    let hung_up = || Play::Says(Vec::new());
    for play in [cut, hung_up] {
        let (url, task) = server(play()).await;
        assert_eq!(create(&url).await.unwrap_err().kind, FaultKind::Uncertain);
        task.await.unwrap();
        let (url, task) = server(play()).await;
        assert_eq!(adapter(&url).contacts(ALL, Priority::Poll).await.unwrap_err().kind, FaultKind::Transient);
        task.await.unwrap();
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let fault = create(&url).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Transient, "{fault}");
    // A connection without TLS is none either.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move { listener.accept().await.map(drop) });
    let fault = create(&url).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Transient, "{fault}");
    task.await.unwrap().unwrap();
}

fn raw(url: &str, timeout_ms: i64, header: &str) -> RawRequest {
    RawRequest {
        method: Method::Post,
        url: SecretString::from(format!("{url}/secret-path?key={TOKEN}")),
        route: "/route",
        headers: vec![("authorization", SecretString::from(header))],
        body: b"{}".to_vec(),
        timeout_ms,
    }
}

#[tokio::test]
async fn no_transport_error_shows_the_address() {
    let (silent, task) = server(Play::Silent).await;
    let error = transport().send(raw(&silent, 200, TOKEN)).await.unwrap_err();
    assert!(matches!(error, TransportError::MaybeSent(_)), "{error}");
    task.await.unwrap();
    let (large, task) = server(http("200 OK", "", &"x".repeat(2_000))).await;
    let small = ReqwestTransport::new(false, 1_000).unwrap();
    let too_large = small.send(raw(&large, 5_000, TOKEN)).await.unwrap_err();
    assert_eq!(too_large, TransportError::TooLarge { limit: 1_000 });
    task.await.unwrap();
    let invalid = transport().send(raw(&large, 5_000, "a\nb")).await.unwrap_err();
    assert!(matches!(invalid, TransportError::Invalid(_)), "{invalid}");
    let unresolved = transport().send(raw("http://host.invalid", 5_000, TOKEN)).await.unwrap_err();
    assert!(matches!(unresolved, TransportError::NotSent(_)), "{unresolved}");
    for error in [error, invalid, unresolved] {
        let text = format!("{error} {error:?}");
        assert!(!text.contains(TOKEN) && !text.contains("secret-path"), "{text}");
    }
    assert_eq!(format!("{:?}", raw("http://x", 1, TOKEN)), "POST /route (2 bytes)");
}

#[tokio::test]
async fn the_log_tells_the_route_and_no_secret() {
    let (url, task) = server(http("200 OK", "", fixture!("contacts_add_answer"))).await;
    let (log, _guard) = Log::start();
    create(&url).await.unwrap();
    task.await.unwrap();
    let text = log.text();
    assert!(text.contains("amocrm POST /api/v2/contacts 200 in "), "{text}");
    for secret in [TOKEN, "Анна"] {
        assert!(!text.contains(secret), "{text}");
    }
}
