//! The envelopes of Salebot's answers: what counts as success, and what a refusal says.
//!
//! A failure may be an HTTP status, or a 200 whose `status` is any other word than `success`; a
//! success may be an envelope, a flat object, a bare list or the text `ok` (Salebot reference,
//! response envelope).

use super::fault::Refusal;
use crate::core::flex::{Flex, Kind, Object};
use crate::remote::http::RawAnswer;

/// Largest body that is looked at for a refusal without having been asked: refusals are short, and
/// pages of clients need not be read twice.
const REFUSAL_MAX_BYTES: usize = 4_096;
/// Members of an object that says nothing but how the request went.
const ENVELOPE_NAMES: [&str; 6] = ["status", "message", "error", "error_message", "code", "detail"];

/// What an answer that is no refusal holds.
#[derive(Debug, Clone)]
pub(super) enum Content<'a> {
    /// An object, the envelope's `status` included.
    Object(Object<'a>),
    /// A bare list.
    List(Vec<Flex<'a>>),
    /// Bare words of success, or 204.
    Done,
    /// A text that is neither JSON nor HTML nor a known word.
    Words,
}

/// How to read a `status` that is not `success`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As a refusal, always.
    Envelope,
    /// As a refusal only where it stands alone with a message: among other members it is a
    /// variable of a client that somebody named `status`.
    Flat,
}

/// Reads an answer whose body is `text`.
pub(super) fn open<'a>(answer: &RawAnswer, text: &'a str, form: Form) -> Result<Content<'a>, Refusal> {
    let trimmed = text.trim();
    let value = Flex::parse(trimmed).ok();
    let object = value.and_then(Flex::object);
    if !answer.is_success() {
        return Err(Refusal::of_status(answer, object.as_ref(), trimmed));
    }
    match (object, value) {
        (Some(object), _) => open_object(answer, object, form),
        (None, Some(value)) if value.kind() == Kind::List => Ok(Content::List(value.list().unwrap_or_default())),
        (None, Some(value)) => open_words(answer, &value.scalar().unwrap_or_default()),
        (None, None) => open_words(answer, trimmed),
    }
}

fn open_object<'a>(answer: &RawAnswer, object: Object<'a>, form: Form) -> Result<Content<'a>, Refusal> {
    let status = object.some("status").map(|status| status.scalar().unwrap_or_default().to_lowercase());
    match status.as_deref() {
        None | Some("success" | "ok" | "true") => Ok(Content::Object(object)),
        Some(_) if form == Form::Flat && !object.has_only(&ENVELOPE_NAMES) => Ok(Content::Object(object)),
        Some(_) => {
            let refusal = Refusal::of_words(answer, &object);
            // A client whose one variable is called `status` is no failure.
            let is_variable = form == Form::Flat && !refusal.is_understood && object.has_only(&["status"]);
            if is_variable { Ok(Content::Object(object)) } else { Err(refusal) }
        }
    }
}

fn open_words<'a>(answer: &RawAnswer, text: &str) -> Result<Content<'a>, Refusal> {
    match text.to_lowercase().as_str() {
        "ok" | "true" | "success" => Ok(Content::Done),
        "" if answer.status == 204 => Ok(Content::Done),
        "" => Err(Refusal::unreadable(answer, "an empty answer")),
        words if words.starts_with(['<', '{', '[']) => {
            Err(Refusal::unreadable(answer, "an answer that is neither JSON nor a known word"))
        }
        words => match Refusal::of_text(answer, words) {
            Some(refusal) => Err(refusal),
            None => Ok(Content::Words),
        },
    }
}

/// The refusal in an answer, if it is one whatever the action was.
pub(super) fn refusal(answer: &RawAnswer) -> Option<Refusal> {
    if answer.is_success() && answer.body.len() > REFUSAL_MAX_BYTES {
        return None;
    }
    open(answer, &String::from_utf8_lossy(&answer.body), Form::Flat).err()
}
