//! Answers: headers, envelopes, and the several forms of errors.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::call::Call;
use super::options::{LinksKey, ProblemShape, RejectionBody};
use crate::http::Response;

/// The type of successful answers (amoCRM v2 contacts page, response headers).
const HAL_JSON: &str = "application/hal+json";

/// The type of errors made by the application.
const PROBLEM_JSON: &str = "application/problem+json";

/// A JSON answer.
pub(super) fn json(call: &Call, status: u16, value: &Value) -> Response {
    with_body(call, status, HAL_JSON, value.to_string())
}

/// An answer without a body.
pub(super) fn empty(call: &Call, status: u16) -> Response {
    with_body(call, status, HAL_JSON, String::new())
}

/// An error of the whole request. `code` is amoCRM's own number (v2 error codes page).
pub(super) fn problem(call: &Call, status: u16, code: u16, text: &str) -> Response {
    let body = match call.options.shapes.problems {
        ProblemShape::Problem => json!({
            "title": title(status),
            "type": format!("https://httpstatus.es/{status}"),
            "status": status,
            "detail": format!("{code}: {text}"),
        }),
        ProblemShape::Legacy => json!({
            "response": {
                "error": text,
                "error_code": code.to_string(),
                "server_time": call.now_s(),
            },
        }),
    };
    with_body(call, status, PROBLEM_JSON, body.to_string())
}

/// An error of the whole request in words of the caller's own.
pub(super) fn error(call: &Call, status: u16, body: &Value) -> Response {
    with_body(call, status, PROBLEM_JSON, body.to_string())
}

/// 405.
pub(super) fn wrong_method(call: &Call) -> Response {
    problem(call, 405, 405, "this method is not supported here")
}

/// 429, from the proxy before the application.
pub(super) fn too_many(call: &Call) -> Response {
    let limits = &call.options.limits;
    let mut response = match limits.rejection_body {
        RejectionBody::Html => page(call, 429, "Too Many Requests"),
        RejectionBody::Problem => problem(call, 429, 429, "too many requests"),
    };
    if let Some(seconds) = limits.retry_after_s {
        response.headers.push(("retry-after".into(), seconds.to_string()));
    }
    response
}

/// 403 for callers who passed the limit again and again.
pub(super) fn blocked(call: &Call) -> Response {
    page(call, 403, "Forbidden")
}

/// 504, from the proxy before the application.
pub(super) fn gateway_timeout(call: &Call) -> Response {
    page(call, 504, "Gateway Time-out")
}

/// A page of the proxy: it knows nothing of the application's headers.
fn page(call: &Call, status: u16, title: &str) -> Response {
    let html = format!(
        "<html>\r\n<head><title>{status} {title}</title></head>\r\n\
         <body><center><h1>{status} {title}</h1></center></body>\r\n</html>\r\n"
    );
    let headers = vec![("content-type".into(), "text/html".into()), ("date".into(), http_date(call.now_ms))];
    Response { status, headers, body: html.into_bytes() }
}

fn with_body(call: &Call, status: u16, content_type: &str, body: String) -> Response {
    let headers = vec![
        ("content-type".into(), content_type.into()),
        ("date".into(), http_date(call.now_ms)),
        ("runtime-timestamp".into(), call.now_s().to_string()),
    ];
    Response { status, headers, body: body.into_bytes() }
}

fn http_date(now_ms: i64) -> String {
    let moment = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

pub(super) fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Payload Too Large",
        429 => "Too Many Requests",
        _ => "Error",
    }
}

/// `{"self":{"href":…,"method":…}}`.
pub(super) fn links(href: &str, method: &str) -> Value {
    json!({ "self": { "href": href, "method": method } })
}

/// The link to one record or several.
pub(super) fn record_links(path: &str, ids: impl IntoIterator<Item = u64>) -> Value {
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    links(&format!("{path}?id={}", ids.join(",")), "get")
}

/// The name of the links in answers to writes.
pub(super) fn write_links_key(call: &Call) -> &'static str {
    match call.options.shapes.write_links {
        LinksKey::Links => "_links",
        LinksKey::Link => "_link",
    }
}
