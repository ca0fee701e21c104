//! Answers that hold rows, read without one row costing another.

use super::fault;
use super::loose::{List, Maybe, decode, mend_surrogates};
use super::values::IdRow;
use crate::core::fault::{Fault, FaultKind};
use crate::core::time::Millis;
use crate::ports::remote::{BrokenRow, Page};
use crate::remote::http::RawAnswer;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The envelope of every answer. What is inside stays raw, so that one bad row costs no other.
#[derive(Deserialize)]
pub(super) struct Envelope {
    /// The lists of the answer by name.
    #[serde(default, rename = "_embedded")]
    pub(super) embedded: Maybe<BTreeMap<String, Box<RawValue>>>,
    /// Where the answer goes on, and itself.
    #[serde(default, rename = "_links")]
    links: Value,
}

impl Envelope {
    /// The rows of one list; none where it is not there.
    pub(super) fn list(&self, name: &str) -> Result<List<Box<RawValue>>, Fault> {
        match self.embedded.0.as_ref().and_then(|lists| lists.get(name)) {
            Some(raw) => decode(raw.get()).map_err(|error| unreadable(&error.reason, error.is_cut)),
            None => Ok(List::default()),
        }
    }
}

/// A kind of record as it stands in an answer.
pub(super) trait Wire: DeserializeOwned {
    /// Our own form of it.
    type Record;

    /// Into our own form; an error names what is missing.
    fn record(self) -> Result<Self::Record, String>;
}

/// The rows of one answer in its order.
pub(super) struct Rows<R> {
    /// Each row, or why it cannot be read.
    pub(super) rows: Vec<Result<R, BrokenRow>>,
    /// Whether the answer says that there is more; none where it does not speak of it.
    pub(super) has_next: Option<bool>,
    /// The server's clock.
    pub(super) server_time: Option<Millis>,
}

impl<R> Rows<R> {
    /// True where more may follow: the answer says so, or says nothing and holds as many rows as a full one has.
    pub(super) fn goes_on(&self, full: u32) -> bool {
        !self.rows.is_empty() && self.has_next.unwrap_or(self.rows.len() >= full as usize)
    }

    /// As a page of its own.
    pub(super) fn into_page(self) -> Page<R> {
        let received = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let mut page = Page { rows: Vec::new(), broken: Vec::new(), received, server_time: self.server_time };
        for row in self.rows {
            match row {
                Ok(row) => page.rows.push(row),
                Err(broken) => page.broken.push(broken),
            }
        }
        page
    }
}

/// Reads the rows of the list `name` from an answer that is no fault. 204, 304, an empty body and an empty container
/// all mean that there are none (v2 errors page, code 2002; v4 contacts page).
pub(super) fn rows<W: Wire>(answer: &RawAnswer, name: &str) -> Result<Rows<W::Record>, Fault> {
    let mut rows = Rows { rows: Vec::new(), has_next: Some(false), server_time: server_time(answer) };
    let Some(envelope) = envelope(answer)? else { return Ok(rows) };
    rows.has_next = envelope.links.as_object().map(|links| links.get("next").is_some_and(is_address));
    rows.rows = envelope.list(name)?.0.iter().map(|raw| row::<W>(raw)).collect();
    Ok(rows)
}

/// Reads a page of the list `name`.
pub(super) fn page<W: Wire>(answer: &RawAnswer, name: &str) -> Result<Page<W::Record>, Fault> {
    rows::<W>(answer, name).map(Rows::into_page)
}

/// Reads the one record an answer is; none where there is none.
pub(super) fn single<W: Wire>(answer: &RawAnswer) -> Result<Option<Result<W::Record, BrokenRow>>, Fault> {
    let text = String::from_utf8_lossy(&answer.body);
    match filled(answer, &text)? {
        None => Ok(None),
        Some(text) => {
            let raw: Box<RawValue> = decode(text).map_err(|error| unreadable(&error.reason, error.is_cut))?;
            Ok(Some(row::<W>(&raw)))
        }
    }
}

fn is_address(next: &Value) -> bool {
    next.get("href").is_some_and(Value::is_string) || next.is_string()
}

fn envelope(answer: &RawAnswer) -> Result<Option<Envelope>, Fault> {
    let text = String::from_utf8_lossy(&answer.body);
    let Some(text) = filled(answer, &text)? else { return Ok(None) };
    let envelope: Envelope = decode(text).map_err(|error| unreadable(&error.reason, error.is_cut))?;
    match envelope.embedded.0 {
        Some(_) => Ok(Some(envelope)),
        None if text.contains("\"_embedded\"") || fault::is_nothing_found(answer) => Ok(None),
        None => Err(Fault::new(FaultKind::Broken, "there is no list in the answer")),
    }
}

/// The text of an answer that holds something.
fn filled<'a>(answer: &RawAnswer, text: &'a str) -> Result<Option<&'a str>, Fault> {
    let text = text.trim_start_matches('\u{feff}').trim();
    // What is no success here is "nothing found": every other status was a fault before.
    if matches!(answer.status, 204 | 304) || !answer.is_success() || matches!(text, "" | "[]" | "{}" | "null") {
        return Ok(None);
    }
    if !answer.looks_like_json() {
        // A maintenance page under a success code.
        return Err(Fault::new(FaultKind::Transient, "a page came instead of data"));
    }
    Ok(Some(text))
}

fn unreadable(reason: &str, is_cut: bool) -> Fault {
    let kind = if is_cut { FaultKind::Transient } else { FaultKind::Broken };
    Fault::new(kind, format!("the list cannot be read: {reason}"))
}

fn row<W: Wire>(raw: &RawValue) -> Result<W::Record, BrokenRow> {
    let text = raw.get();
    let wire = decode::<W>(text).or_else(|error| match text.contains("\\u") {
        true => decode(&mend_surrogates(text)).map_err(|_| error),
        false => Err(error),
    });
    wire.map_err(|error| error.reason).and_then(W::record).map_err(|reason| {
        let id = decode::<IdRow>(text).ok().and_then(|row| row.id.positive());
        BrokenRow { id, reason }
    })
}

/// The server's clock: `Runtime-Timestamp` in Unix seconds (v2 contacts page), else `Date`.
pub(super) fn server_time(answer: &RawAnswer) -> Option<Millis> {
    let runtime = answer.header("runtime-timestamp").and_then(|text| text.trim().parse().ok());
    runtime.filter(|seconds| *seconds > 0).map(Millis::from_seconds).or_else(|| answer.date())
}

/// The earlier of two clocks: later pages may have missed what the first still saw.
pub(super) fn earlier(known: Option<Millis>, new: Option<Millis>) -> Option<Millis> {
    match (known, new) {
        (Some(known), Some(new)) => Some(known.min(new)),
        (known, new) => known.or(new),
    }
}

/// A page without rows.
pub(super) fn empty<R>() -> Page<R> {
    Page { rows: Vec::new(), broken: Vec::new(), received: 0, server_time: None }
}

/// Puts pages of one reading together.
pub(super) fn join<R>(pages: Vec<Page<R>>) -> Page<R> {
    let mut whole = empty();
    for page in pages {
        whole.rows.extend(page.rows);
        whole.broken.extend(page.broken);
        whole.received += page.received;
        whole.server_time = earlier(whole.server_time, page.server_time);
    }
    whole
}
