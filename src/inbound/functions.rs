//! Calls of bots: `POST` or `GET /functions/{bridge}/{function}`.
//!
//! The answer is flat JSON, and 200 wherever a bot's author can do something about it: how a block behaves on
//! another status is not known (Salebot reference, what to answer). 401: the token; 404: no such function; 408, 413:
//! the body; 503: too many wait, or the store does not take it. The token comes as a bearer, or as `token` in the
//! body or the query. Nothing of the arguments is logged.

use super::secret::Digest;
use super::{BodyLimits, Counters, Door, Inbound, body};
use crate::core::function::{Answer, Arguments, Call, Function};
use crate::ports::function::Functions;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How long a bot waits for an answer at most; it may ask for less.
const WAIT_MS_MAX: i64 = 4_500;
/// Most bytes of a call: the longest text and many fields.
const BYTES_MAX: usize = 256 * 1024;
/// Bots of one bridge that wait at a time. Beyond that they are turned away, and nothing is done.
const WAITING_MAX: usize = 256;

/// The calls of one bridge's bots.
pub(super) struct FunctionDoor {
    token: Digest,
    functions: Arc<dyn Functions>,
    waiting: Arc<Semaphore>,
}

impl FunctionDoor {
    pub(super) fn new(token: &SecretString, functions: Arc<dyn Functions>) -> FunctionDoor {
        FunctionDoor { token: Digest::of_secret(token), functions, waiting: Arc::new(Semaphore::new(WAITING_MAX)) }
    }
}

/// `POST` or `GET /functions/{bridge}/{function}`
pub(super) async fn call(
    State(state): State<Arc<Inbound>>,
    address: Result<Path<(String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(Path((bridge, name))) = address else { return refuse(&state, StatusCode::NOT_FOUND, &not_utf8()) };
    let query = query.unwrap_or_default();
    let door = state.doors.get(&bridge).and_then(|door| door.functions.as_ref());
    // A wrong token in the head is turned away before the body is read.
    let shown = bearer(&headers).or_else(|| Arguments::of_query(&query).get("token").map(str::to_owned));
    if shown.as_deref().is_some_and(|token| !is_right(door, token)) {
        return refuse(&state, StatusCode::UNAUTHORIZED, &wrong_token());
    }
    let limits = BodyLimits { bytes_max: BYTES_MAX.min(state.limits.bytes_max), ..state.limits };
    let bytes = match body::read(&headers, body, limits).await {
        Ok(bytes) => bytes,
        Err(status) => {
            return refuse(&state, status, &Answer::refused("unreadable_body", "too large, too slow or cut off"));
        }
    };
    let arguments = Arguments::read(&query, &bytes);
    let token = shown.or_else(|| arguments.as_ref().ok()?.get("token").map(str::to_owned)).unwrap_or_default();
    let Some(door) = door.filter(|door| is_right(Some(door), &token)) else {
        return refuse(&state, StatusCode::UNAUTHORIZED, &wrong_token());
    };
    let function = match Function::find(&name) {
        Ok(function) => function,
        Err(nearest) => return refuse(&state, StatusCode::NOT_FOUND, &unknown_function(nearest)),
    };
    let answer = match arguments {
        Ok(arguments) => perform(&state, door, function, &arguments).await,
        Err(unreadable) => Ok(Answer::refused("unreadable_body", unreadable.to_string())),
    };
    let Ok(answer) = answer else { return unavailable(&state, &bridge, function) };
    tracing::info!(
        bridge,
        function = function.name(),
        ok = answer.is_ok(),
        queued = answer.get("queued").is_some(),
        error = answer.error(),
        "a bot called a function"
    );
    json(StatusCode::OK, &answer)
}

/// Nothing was done, and it may be tried again.
struct Unavailable;

async fn perform(
    state: &Arc<Inbound>,
    door: &FunctionDoor,
    function: Function,
    arguments: &Arguments,
) -> Result<Answer, Unavailable> {
    let call = match Call::read(function, arguments, state.env.now()) {
        Ok(call) => call,
        Err(refused) => return Ok(refused),
    };
    let wait_ms = match wait(arguments) {
        Ok(wait_ms) => wait_ms,
        Err(refused) => return Ok(refused),
    };
    let permit = Arc::clone(&door.waiting).try_acquire_owned().map_err(|_| Unavailable)?;
    // The bot may hang up now, which drops this future: the call goes on in a task of ours.
    let functions = Arc::clone(&door.functions);
    let calling = state.tasks.spawn(async move {
        let answer = functions.call(call, wait_ms).await;
        drop(permit);
        answer
    });
    match calling.await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            tracing::error!(function = function.name(), "a bot's call could not be stored: {error}");
            Err(Unavailable)
        }
        Err(_) => Err(Unavailable),
    }
}

/// `wait`: seconds that the bot waits for the answer; 0 never waits.
fn wait(arguments: &Arguments) -> Result<i64, Answer> {
    let Some(text) = arguments.get("wait") else { return Ok(WAIT_MS_MAX) };
    match text.trim().parse::<f64>() {
        #[expect(clippy::cast_possible_truncation, reason = "clamped to a few thousand")]
        Ok(seconds) if seconds >= 0.0 => Ok((seconds * 1_000.0).min(WAIT_MS_MAX as f64) as i64),
        _ => Err(Answer::refused("wrong_argument", "wait must be seconds, 0 or more; 4.5 at most are waited")
            .with("argument", "wait")),
    }
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, token) = value.split_once(' ').unwrap_or(("", value));
    (scheme.is_empty() || scheme.eq_ignore_ascii_case("bearer")).then(|| token.trim().to_owned())
}

/// A bridge that is unknown, or takes no calls, takes as long as a wrong token.
fn is_right(door: Option<&FunctionDoor>, token: &str) -> bool {
    door.map_or(&Digest::NOBODY, |door| &door.token).is(token) && door.is_some()
}

fn wrong_token() -> Answer {
    Answer::refused(
        "wrong_token",
        "the token is wrong or missing, or functions are off for this bridge: send `Authorization: Bearer …` or `token` with the value of salebot.functions_token",
    )
}

fn unknown_function(nearest: Option<&str>) -> Answer {
    let message = match nearest {
        Some(near) => format!("there is no such function; did you mean {near}?"),
        None => "there is no such function; their names begin with amo_".to_owned(),
    };
    let answer = Answer::refused("unknown_function", message);
    match nearest {
        Some(near) => answer.with("nearest", near),
        None => answer,
    }
}

fn not_utf8() -> Answer {
    Answer::refused("unknown_function", "the address is not UTF-8")
}

fn refuse(state: &Inbound, status: StatusCode, answer: &Answer) -> Response {
    Counters::add(&state.counters.refused);
    json(status, answer)
}

fn unavailable(state: &Inbound, bridge: &str, function: Function) -> Response {
    Counters::add(&state.counters.failed);
    tracing::warn!(bridge, function = function.name(), "a bot's call was not taken, and nothing was done");
    let answer = Answer::refused("busy", "nothing was done; call again in a second");
    let mut response = json(StatusCode::SERVICE_UNAVAILABLE, &answer);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn json(status: StatusCode, answer: &Answer) -> Response {
    let headers = [(CONTENT_TYPE, "application/json; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (status, headers, answer.text()).into_response()
}

impl Door {
    /// The same door, open to the calls of bots that know the token.
    #[must_use]
    pub fn with_functions(self, token: &SecretString, functions: Arc<dyn Functions>) -> Door {
        Door { functions: Some(FunctionDoor::new(token, functions)), ..self }
    }
}
