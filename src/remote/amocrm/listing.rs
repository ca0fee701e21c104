//! Pages of rows: how they are asked for, and how they are read without one row costing another.

use super::loose::{decode, mend_surrogates};
use super::wire::{ContactRow, Envelope, IdRow, LeadRow, NoteRow, TaskRow};
use super::{fault, map};
use crate::core::fault::{Fault, FaultKind};
use crate::core::model::{Contact, Lead, Note};
use crate::core::time::Millis;
use crate::ports::remote::{BrokenRow, Page, PageRequest, Task};
use crate::remote::http::RawAnswer;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The header of an incremental listing (v2 contacts page): only rows changed later.
pub(super) const SINCE_HEADER: &str = "if-modified-since";

/// Prints an instant as the header wants it: `Tue, 04 Mar 2025 10:00:00 UTC`, whole seconds.
pub(super) fn since(instant: Millis) -> Result<String, Fault> {
    let timestamp = Timestamp::from_second(instant.seconds())
        .map_err(|_| Fault::new(FaultKind::Broken, "the time to read from lies outside the calendar"))?;
    Ok(timestamp.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string())
}

/// The query of a page. `limit_offset` works only together with `limit_rows`, and is left out
/// where it says nothing (v2 contacts page).
pub(super) fn query(request: PageRequest) -> Vec<(String, String)> {
    let mut query = vec![("limit_rows".to_owned(), request.limit.to_string())];
    if request.offset > 0 {
        query.push(("limit_offset".to_owned(), request.offset.to_string()));
    }
    query
}

/// A kind of record that is read in pages.
pub(super) trait Row: Sized {
    /// Its wire form.
    type Wire: DeserializeOwned;

    /// From its wire form; an error names what is missing.
    fn from_wire(wire: Self::Wire) -> Result<Self, String>;
}

impl Row for Contact {
    type Wire = ContactRow;

    fn from_wire(wire: ContactRow) -> Result<Contact, String> {
        map::contact(wire)
    }
}

impl Row for Lead {
    type Wire = LeadRow;

    fn from_wire(wire: LeadRow) -> Result<Lead, String> {
        map::lead(wire)
    }
}

/// A note with the record it stands on and its type.
pub(super) struct FiledNote {
    /// The record, where the answer tells it.
    pub(super) element: Option<u64>,
    /// 4: written by hand or by a program as one would by hand.
    pub(super) note_type: Option<u64>,
    /// The note.
    pub(super) note: Note,
}

impl Row for FiledNote {
    type Wire = NoteRow;

    fn from_wire(wire: NoteRow) -> Result<FiledNote, String> {
        map::note(wire).map(|(element, note_type, note)| FiledNote { element, note_type, note })
    }
}

impl Row for Task {
    type Wire = TaskRow;

    fn from_wire(wire: TaskRow) -> Result<Task, String> {
        map::task(wire)
    }
}

/// Reads a page from an answer that is no fault. 204, 304, an empty body and an empty container
/// all mean that there are no rows (v2 errors page, code 2002).
pub(super) fn page<R: Row>(answer: &RawAnswer) -> Result<Page<R>, Fault> {
    let mut page = Page { rows: Vec::new(), broken: Vec::new(), received: 0, server_time: server_time(answer) };
    for raw in items(answer)? {
        page.received += 1;
        match row(&raw) {
            Ok(row) => page.rows.push(row),
            Err(broken) => page.broken.push(broken),
        }
    }
    Ok(page)
}

fn items(answer: &RawAnswer) -> Result<Vec<Box<RawValue>>, Fault> {
    let text = String::from_utf8_lossy(&answer.body);
    let text = text.trim_start_matches('\u{feff}').trim();
    // What is no success here is "nothing found": every other status was a fault before.
    if matches!(answer.status, 204 | 304) || !answer.is_success() || matches!(text, "" | "[]" | "{}" | "null") {
        return Ok(Vec::new());
    }
    if !answer.looks_like_json() {
        // A maintenance page under a success code.
        return Err(Fault::new(FaultKind::Transient, "a page came instead of data"));
    }
    let envelope: Envelope = decode(text).map_err(|error| {
        let kind = if error.is_cut { FaultKind::Transient } else { FaultKind::Broken };
        Fault::new(kind, format!("the list cannot be read: {}", error.reason))
    })?;
    match envelope.embedded.0 {
        Some(embedded) => Ok(embedded.items.0),
        None if text.contains("\"_embedded\"") || fault::is_nothing_found(answer) => Ok(Vec::new()),
        None => Err(Fault::new(FaultKind::Broken, "there is no list in the answer")),
    }
}

fn row<R: Row>(raw: &RawValue) -> Result<R, BrokenRow> {
    let text = raw.get();
    let wire = decode::<R::Wire>(text).or_else(|error| match text.contains("\\u") {
        true => decode(&mend_surrogates(text)).map_err(|_| error),
        false => Err(error),
    });
    wire.map_err(|error| error.reason).and_then(R::from_wire).map_err(|reason| {
        let id = decode::<IdRow>(text).ok().and_then(|row| row.id.positive());
        BrokenRow { id, reason }
    })
}

/// The server's clock: `Runtime-Timestamp` in Unix seconds (v2 contacts page), else `Date`.
pub(super) fn server_time(answer: &RawAnswer) -> Option<Millis> {
    let runtime = answer.header("runtime-timestamp").and_then(|text| text.trim().parse().ok());
    runtime.filter(|seconds| *seconds > 0).map(Millis::from_seconds).or_else(|| answer.date())
}

/// Puts pages of one reading together.
pub(super) fn join<R>(pages: Vec<Page<R>>) -> Page<R> {
    let mut whole = Page { rows: Vec::new(), broken: Vec::new(), received: 0, server_time: None };
    for page in pages {
        whole.rows.extend(page.rows);
        whole.broken.extend(page.broken);
        whole.received += page.received;
        // The earliest: later ones may have missed what the first still saw.
        whole.server_time = match (whole.server_time, page.server_time) {
            (Some(earlier), Some(later)) => Some(earlier.min(later)),
            (known, new) => known.or(new),
        };
    }
    whole
}
