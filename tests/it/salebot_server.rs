//! A server on loopback that answers as it was told and keeps what it was asked.

use crate::watch::SystemEnv;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use salebridge::core::flex::Notices;
use salebridge::remote::http::{BODY_MAX_BYTES, ReqwestTransport};
use salebridge::remote::lane::{Lane, LaneOptions};
use salebridge::remote::salebot::{DealLanguage, SalebotApi, SalebotOptions};
use secrecy::SecretString;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// The key of every test.
pub const KEY: &str = "5a1eb07500c0ffee00c0ffee00c0ffee";

/// What the server was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub method: String,
    /// Behind `/api/{key}`.
    pub action: String,
    /// As it stood on the wire.
    pub query: String,
    pub content_type: Option<String>,
    pub body: serde_json::Value,
}

struct Answer {
    status: u16,
    body: String,
    headers: Vec<(&'static str, &'static str)>,
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    asked: Vec<Asked>,
}

/// The fake project and an adapter that talks to it.
pub struct Project {
    script: Arc<Mutex<Script>>,
    pub api: SalebotApi,
    pub lane: Arc<Lane>,
    pub save_lane: Arc<Lane>,
}

impl Project {
    /// A project that answers these, in order; after them 599.
    pub async fn answering(answers: &[(u16, &str)]) -> Project {
        let project = Project::start(DealLanguage::Russian, KEY).await;
        for (status, body) in answers {
            project.answer(*status, body, &[]);
        }
        project
    }

    pub async fn start(language: DealLanguage, key: &str) -> Project {
        let script = Arc::new(Mutex::new(Script::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!(" http://{}/ ", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(reply).with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let (lane, save_lane) = (lane("Salebot"), lane("Salebot variables"));
        let api = api(url, language, key, &lane, &save_lane);
        Project { script, api, lane, save_lane }
    }

    pub fn answer(&self, status: u16, body: &str, headers: &[(&'static str, &'static str)]) {
        let answer = Answer { status, body: body.to_owned(), headers: headers.to_vec() };
        self.script().answers.push_back(answer);
    }

    /// What was asked so far; forgets it.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.script().asked)
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn lane(name: &str) -> Arc<Lane> {
    Arc::new(Lane::new(LaneOptions::new(name, 1_000.0), Arc::new(SystemEnv)))
}

/// An adapter for whatever is at this address.
pub fn api(url: String, language: DealLanguage, key: &str, lane: &Arc<Lane>, save_lane: &Arc<Lane>) -> SalebotApi {
    // The first test of the process installs it; the others find it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let transport = ReqwestTransport::new(false, BODY_MAX_BYTES).expect("a provider is installed");
    let options = SalebotOptions {
        url,
        api_key: SecretString::from(key),
        language,
        notices: Notices::default(),
        lane: lane.clone(),
        save_lane: save_lane.clone(),
    };
    SalebotApi::new(options, Arc::new(transport), Arc::new(SystemEnv))
}

async fn reply(
    State(script): State<Arc<Mutex<Script>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
    script.asked.push(Asked {
        method: method.to_string(),
        action: uri.path().strip_prefix(&format!("/api/{KEY}/")).unwrap_or("outside the project").to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        content_type: headers.get("content-type").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    });
    let nothing = Answer { status: 599, body: String::new(), headers: Vec::new() };
    let answer = script.answers.pop_front().unwrap_or(nothing);
    let status = StatusCode::from_u16(answer.status).expect("a status of three digits");
    let mut response = (status, answer.body).into_response();
    for (name, value) in answer.headers {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}
