//! The envelopes of Salebot's answers.

use serde::Serialize;
use serde_json::{Value, json};

use super::options::{Acknowledgement, ClientNotFound, FinderMiss, Refusal, SalebotOptions};
use crate::http::Response;

/// An answer, or the answer that ends the work early.
pub(super) type Answer = Result<Response, Response>;

/// A JSON answer.
pub(super) fn json_answer(status: u16, body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body).expect("maps with text keys and plain values always serialize");
    Response { status, headers: vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())], body }
}

/// A plain text answer.
pub(super) fn text_answer(status: u16, text: &str) -> Response {
    let headers = vec![("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())];
    Response { status, headers, body: text.as_bytes().to_vec() }
}

/// An answer with nothing in it.
pub(super) fn empty_answer(status: u16) -> Response {
    Response { status, headers: Vec::new(), body: Vec::new() }
}

/// 200 with `{"status":<text>}`: failures often look like this.
pub(super) fn status_answer(text: &str) -> Response {
    json_answer(200, &json!({ "status": text }))
}

/// 200 with `{"status":"error","message":<text>}`.
pub(super) fn error_answer(message: &str) -> Response {
    json_answer(200, &json!({ "status": "error", "message": message }))
}

/// `{"status":"success"}` with one more member.
pub(super) fn success_with(name: &str, value: impl Into<Value>) -> Response {
    json_answer(200, &json!({ "status": "success", name: value.into() }))
}

/// `order <id> not found`, as `set_order_vars` words it.
pub(super) fn order_not_found(order_id: Option<i64>) -> Response {
    match order_id {
        Some(id) => status_answer(&format!("order {id} not found")),
        None => status_answer("order not found"),
    }
}

impl SalebotOptions {
    /// The bare success.
    pub(super) fn acknowledge(&self) -> Response {
        match self.acknowledgement {
            Acknowledgement::Json => status_answer("success"),
            Acknowledgement::Text => text_answer(200, "ok"),
        }
    }

    /// No such client, said by the actions that change or send something.
    pub(super) fn client_not_found(&self) -> Response {
        let status = match self.client_not_found {
            ClientNotFound::InBody => 200,
            ClientNotFound::With404 => 404,
        };
        json_answer(status, &json!({ "status": "client_not_found" }))
    }

    /// No such client, said by a finder of one.
    pub(super) fn nobody_found(&self) -> Response {
        match self.finder_miss {
            FinderMiss::NotFound => empty_answer(404),
            FinderMiss::StatusInBody => status_answer("client_not_found"),
            FinderMiss::NullId => json_answer(200, &json!({ "client_id": null })),
        }
    }
}

/// The door stays shut.
pub(super) fn refuse(refusal: Refusal) -> Response {
    match refusal {
        Refusal::NotFound => empty_answer(404),
        Refusal::Unauthorized => json_answer(401, &json!({ "status": "error", "message": "unauthorized" })),
        Refusal::Forbidden => json_answer(403, &json!({ "status": "error", "message": "forbidden" })),
        Refusal::StatusInBody => error_answer("access denied"),
    }
}
