//! The door alone: bounds, a store that refuses, a bot that hangs up.

use super::{TOKEN, eventually, http};
use crate::inbound_store::{InboxDouble, Mood};
use crate::watch::SystemEnv;
use async_trait::async_trait;
use salebridge::core::flex::Notices;
use salebridge::core::function::{Answer, Call};
use salebridge::inbound::{BodyLimits, Door, Inbound, Readiness, ReadyReport, ServerLimits, router, serve};
use salebridge::ports::function::Functions;
use salebridge::ports::store::{StoreError, Stored};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// As many bots as may wait at a time.
const WAITING_MAX: usize = 256;

/// Holds every call until it is let go; refuses to store where it is full.
struct Engine {
    gate: Semaphore,
    entered: AtomicUsize,
    left: AtomicUsize,
    is_full: bool,
}

#[async_trait]
impl Functions for Engine {
    async fn call(&self, _: Call, wait_ms: i64) -> Stored<Answer> {
        assert!((0..=5_000).contains(&wait_ms), "{wait_ms}");
        if self.is_full {
            return Err(StoreError::Full("0 bytes left".to_owned()));
        }
        self.entered.fetch_add(1, Ordering::Relaxed);
        self.gate.acquire().await.expect("the gate stays").forget();
        self.left.fetch_add(1, Ordering::Relaxed);
        Ok(Answer::done())
    }
}

struct Ready;

impl Readiness for Ready {
    fn report(&self) -> ReadyReport {
        ReadyReport { ready: true, reasons: json!([]) }
    }
}

struct Site {
    engine: Arc<Engine>,
    url: String,
    stop: CancellationToken,
}

impl Site {
    async fn open(is_full: bool) -> Site {
        let engine =
            Engine { gate: Semaphore::new(0), entered: AtomicUsize::new(0), left: AtomicUsize::new(0), is_full };
        let engine = Arc::new(engine);
        let token = SecretString::from(TOKEN);
        let door = Door::new(&SecretString::from("some-webhook-secret"), Arc::default(), Notices::default());
        let doors = [
            ("shop".to_owned(), door.with_functions(&token, Arc::clone(&engine) as Arc<dyn Functions>)),
            ("closed".to_owned(), Door::new(&token, Arc::default(), Notices::default())),
        ];
        let store = Arc::new(InboxDouble::new(Mood::Takes));
        let state = Inbound::new(doors.into(), store, Arc::new(SystemEnv), Arc::new(Ready), BodyLimits::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/functions", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        let limits = ServerLimits { grace_ms: 100, ..ServerLimits::default() };
        tokio::spawn(serve(listener, router(Arc::new(state)), stop.clone(), limits));
        Site { engine, url, stop }
    }

    fn request(&self, bridge: &str) -> reqwest::RequestBuilder {
        http().get(format!("{}/{bridge}/amo_get_lead_info?client_id=5", self.url)).bearer_auth(TOKEN)
    }

    async fn answered(&self, bridge: &str) -> (u16, Value) {
        let answer = self.request(bridge).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }
}

#[tokio::test]
async fn a_wrong_wait_is_told_how_long_is_waited_at_most() {
    let site = Site::open(false).await;
    site.engine.gate.add_permits(1);
    for (wait, is_taken) in [("-1", false), ("long", false), ("60", true)] {
        let answer = site.request("shop").query(&[("wait", wait)]).send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        let message = answer["message"].as_str().unwrap_or_default();
        let told = message.contains("wait must be seconds, 0 or more; 4.5 at most are waited");
        assert_eq!(told, !is_taken, "{answer}");
    }
    site.stop.cancel();
}

#[tokio::test]
async fn so_many_wait_and_no_more() {
    let site = Site::open(false).await;
    let client = http();
    let waiting: Vec<_> = (0..WAITING_MAX)
        .map(|_| {
            let request = client.get(format!("{}/shop/amo_get_lead_info?client_id=5", site.url)).bearer_auth(TOKEN);
            tokio::spawn(request.send())
        })
        .collect();
    eventually("all of them wait", || async { site.engine.entered.load(Ordering::Relaxed) == WAITING_MAX }).await;
    let (status, answer) = site.answered("shop").await;
    assert_eq!((status, &answer["error"]), (503, &json!("busy")));
    site.engine.gate.add_permits(WAITING_MAX);
    for answer in waiting {
        assert_eq!(answer.await.expect("no panic").expect("an answer").status(), 200);
    }
    site.stop.cancel();
}

#[tokio::test]
async fn a_bot_that_hangs_up_loses_nothing() {
    let site = Site::open(false).await;
    let call = tokio::spawn(site.request("shop").send());
    eventually("the call is there", || async { site.engine.entered.load(Ordering::Relaxed) == 1 }).await;
    call.abort();
    assert!(call.await.is_err_and(|error| error.is_cancelled()));
    site.engine.gate.add_permits(1);
    eventually("the call goes on", || async { site.engine.left.load(Ordering::Relaxed) == 1 }).await;
    site.stop.cancel();
}

#[tokio::test]
async fn what_is_not_stored_is_not_promised() {
    let site = Site::open(true).await;
    let (status, answer) = site.answered("shop").await;
    assert_eq!((status, &answer["ok"], &answer["error"]), (503, &json!(0), &json!("busy")));
    site.stop.cancel();
}

#[tokio::test]
async fn a_bridge_without_a_token_takes_no_calls() {
    let site = Site::open(false).await;
    for bridge in ["closed", "nobody"] {
        let (status, answer) = site.answered(bridge).await;
        assert_eq!((status, &answer["error"]), (401, &json!("wrong_token")), "{bridge}");
    }
    site.stop.cancel();
}
