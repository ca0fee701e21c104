//! The amoCRM adapter against saved answers, and against a real socket.

mod contract;
mod faults;
mod network;
mod oauth;
mod reading;
mod v4;
mod writing;

use async_trait::async_trait;
use salebridge::core::time::Millis;
use salebridge::ports::env::Env;
use salebridge::remote::amocrm::{AmoV2, AmoV4, Bearer, LongLivedToken};
use salebridge::remote::http::{RawAnswer, RawRequest, Transport, TransportError};
use salebridge::remote::lane::{Lane, LaneOptions};
use secrecy::{ExposeSecret, SecretString};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// The token that must not be seen anywhere.
const TOKEN: &str = "token-that-must-not-leak";
/// Monday, 13 November 2023, 22:13:20 UTC.
const NOW_MS: i64 = 1_699_913_600_000;

/// A saved answer of the documentation or of recorded ones, with synthetic values.
macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/amocrm_v2/", $name, ".json"))
    };
}
use fixture;

/// A clock that moves when somebody sleeps.
struct SkippingClock(AtomicI64);

#[async_trait]
impl Env for SkippingClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, millis: i64) {
        self.0.fetch_add(millis.max(0), Ordering::SeqCst);
    }

    fn fraction(&self) -> f64 {
        0.5
    }
}

/// What was sent.
#[derive(Debug, Clone)]
struct Seen {
    method: &'static str,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

type Handler = Box<dyn FnMut(&Seen) -> Result<RawAnswer, TransportError> + Send>;

/// A service that answers by a function and keeps what it was asked.
struct Script {
    seen: Mutex<Vec<Seen>>,
    handler: Mutex<Handler>,
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: RawRequest) -> Result<RawAnswer, TransportError> {
        let headers =
            request.headers.iter().map(|(name, value)| ((*name).to_owned(), value.expose_secret().to_owned()));
        let seen = Seen {
            method: request.method.name(),
            url: request.url.expose_secret().to_owned(),
            headers: headers.collect(),
            body: String::from_utf8(request.body).unwrap(),
        };
        self.seen.lock().unwrap().push(seen.clone());
        (self.handler.lock().unwrap())(&seen)
    }
}

/// An adapter on top of a script.
struct Setup {
    amo: AmoV2,
    script: Arc<Script>,
}

impl Setup {
    fn answering(handler: impl FnMut(&Seen) -> Result<RawAnswer, TransportError> + Send + 'static) -> Setup {
        let script = Arc::new(Script { seen: Mutex::default(), handler: Mutex::new(Box::new(handler)) });
        let env: Arc<dyn Env> = Arc::new(SkippingClock(AtomicI64::new(NOW_MS)));
        let lane = Arc::new(Lane::new(LaneOptions::new("amoCRM", 7.0), env.clone()));
        let token = Arc::new(Bearer(LongLivedToken(SecretString::from(TOKEN))));
        let amo = AmoV2::new("https://example.test/", token, script.clone(), lane, env);
        Setup { amo, script }
    }

    /// The same answer to everything.
    fn always(answer: RawAnswer) -> Setup {
        Setup::answering(move |_| Ok(answer.clone()))
    }

    /// These answers one after the other; more requests than answers fail the test.
    fn each(answers: impl IntoIterator<Item = RawAnswer>) -> Setup {
        let mut answers: VecDeque<_> = answers.into_iter().collect();
        Setup::answering(move |seen| Ok(answers.pop_front().unwrap_or_else(|| panic!("not expected: {}", seen.url))))
    }

    /// The other version over the same script.
    fn v4(&self) -> AmoV4 {
        let env: Arc<dyn Env> = Arc::new(SkippingClock(AtomicI64::new(NOW_MS)));
        let lane = Arc::new(Lane::new(LaneOptions::new("amoCRM", 7.0), env.clone()));
        let token = Arc::new(Bearer(LongLivedToken(SecretString::from(TOKEN))));
        AmoV4::new("https://example.test/", token, self.script.clone(), lane, env)
    }

    fn seen(&self) -> Vec<Seen> {
        self.script.seen.lock().unwrap().clone()
    }
}

fn answer(status: u16, body: impl Into<Vec<u8>>) -> RawAnswer {
    let headers = vec![
        ("content-type".to_owned(), "application/hal+json".to_owned()),
        ("runtime-timestamp".to_owned(), "1700000500".to_owned()),
    ];
    RawAnswer { status, headers, body: body.into() }
}

fn with_header(mut answer: RawAnswer, name: &str, value: &str) -> RawAnswer {
    answer.headers.retain(|(known, _)| known != name);
    answer.headers.push((name.to_owned(), value.to_owned()));
    answer
}
