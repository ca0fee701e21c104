//! What amoCRM's statuses, codes and words mean (v2 errors page; what clients met besides).

use crate::core::fault::{Fault, FaultKind};
use crate::core::time::Millis;
use crate::remote::http::RawAnswer;
use crate::remote::lane::Outcome;
use serde_json::Value;

/// "Nothing found": no error, whatever status it comes with.
const NOTHING_FOUND: u32 = 2002;
/// A body larger than this is data and no error report.
const PROBLEM_MAX_BYTES: usize = 64 * 1024;
/// Longest quotation of amoCRM's own words.
const QUOTE_CHARS_MAX: usize = 120;

/// What an error body says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Problem {
    /// amoCRM's number of the fault.
    pub(super) code: Option<u32>,
    /// Its words, bare of anything that looks like a value.
    pub(super) text: Option<String>,
}

impl Problem {
    /// From one of the shapes in use: `{"response":{"error","error_code"}}`,
    /// `{"title","detail","status"}`, an item `{"code","message"}`, a bare text or number.
    pub(super) fn from_value(value: &Value) -> Problem {
        let inner = value.get("response").filter(|inner| inner.is_object()).unwrap_or(value);
        let code = ["error_code", "code"].iter().find_map(|name| number(inner.get(name)?)).or_else(|| number(value));
        let words = ["error", "message", "detail", "text", "title"].iter().find_map(|name| inner.get(name)?.as_str());
        let words = words.or_else(|| value.as_str().filter(|_| code.is_none()));
        let code = code.or_else(|| words.and_then(leading_code));
        Problem { code, text: words.map(quote).filter(|text| !text.is_empty()) }
    }

    /// From a body; none when the body is no error report in JSON.
    fn from_answer(answer: &RawAnswer) -> Option<Problem> {
        if answer.body.len() > PROBLEM_MAX_BYTES || !answer.looks_like_json() {
            return None;
        }
        let text = String::from_utf8_lossy(&answer.body);
        if text.contains("\"_embedded\"") {
            return None;
        }
        Some(Problem::from_value(&serde_json::from_str(&text).ok()?))
    }

    /// For the reader of a log: `code 209 (a change needs id and updated_at)`.
    fn words(&self) -> String {
        let meaning = self.code.and_then(meaning).map(str::to_owned).or_else(|| self.text.clone());
        match (self.code, meaning) {
            (Some(code), Some(meaning)) => format!("code {code} ({meaning})"),
            (Some(code), None) => format!("code {code}"),
            (None, Some(meaning)) => meaning,
            (None, None) => "no reason given".to_owned(),
        }
    }
}

/// A number at the head of the words, as details of v4 quote it: `244: …`.
fn leading_code(words: &str) -> Option<u32> {
    let (head, _) = words.split_once(':')?;
    head.trim().parse().ok().filter(|code| (100..3_000).contains(code))
}

fn number(value: &Value) -> Option<u32> {
    match value {
        Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Their words, shortened, with everything quoted, every address and every longer number left out:
/// an error may repeat what somebody typed.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::new();
    let mut closing = None;
    for word in text.split_inclusive(char::is_whitespace) {
        let hides = word.contains('@') || word.chars().filter(char::is_ascii_digit).count() > 4;
        if hides && closing.is_none() {
            out.push_str("… ");
            continue;
        }
        for letter in word.chars() {
            match (closing, letter) {
                (Some(end), _) if letter == end => closing = None,
                (Some(_), _) => {}
                (None, '"' | '`' | '\'') => (closing, _) = (Some(letter), out.push('…')),
                (None, '«') => (closing, _) = (Some('»'), out.push('…')),
                (None, _) if letter.is_control() => out.push(' '),
                (None, _) => out.push(letter),
            }
        }
    }
    let out = out.trim();
    match out.char_indices().nth(QUOTE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &out[..end]),
        None => out.to_owned(),
    }
}

/// Codes of the v2 errors page in our words.
fn meaning(code: u32) -> Option<&'static str> {
    Some(match code {
        101 => "no such account",
        110 | 111 => "the key is wrong or was refused",
        112 => "the user is switched off or not in this account",
        113 => "our address is not on the account's list of allowed addresses",
        102 => "the request must be JSON",
        103 => "no parameters",
        104 => "unknown method",
        201 | 208 | 213 | 216 | 218 | 224 | 227 | 230 => "the list of items was empty",
        202 | 244 | 288 => "the token's user lacks the right",
        203 | 210 => "a custom field could not be processed",
        204 | 211 | 240 => "no such custom field",
        205 => "the contact was not created",
        206 | 214 | 222 | 228 => "the request was empty",
        207 | 215 | 223 | 229 => "wrong method",
        209 => "a change needs id and updated_at",
        212 => "the contact was not changed",
        217 => "a change of a lead needs id, updated_at, status_id and name here",
        219 => "the search failed",
        221 => "the kind of record is missing",
        225 => "no such note",
        226 => "no such record",
        231 => "no such task",
        232 => "wrong kind or id of the record",
        233 | 236 => "no such contact",
        234 | 237 => "no such lead",
        235 => "the kind of record is missing",
        238 => "a custom field has no value",
        330 => "too many linked records",
        400 => "the structure or a custom field's id is wrong",
        402 => "the subscription has ended",
        403 => "blocked for too many requests",
        405 => "wrong method",
        425 => "the feature is not available",
        426 => "the feature is switched off",
        429 => "too many requests",
        _ => return None,
    })
}

/// How the account stands after this answer; what the lane wants to know.
pub(super) fn outcome(answer: &RawAnswer, now: Millis) -> Outcome {
    match fault(answer, true, now) {
        None => Outcome::Accepted,
        Some(fault) => match fault.kind {
            FaultKind::Throttled { after_ms } => Outcome::Throttled { after_ms },
            FaultKind::Blocked => Outcome::Blocked,
            // Rights to one thing are missing: the rest goes on.
            FaultKind::Auth if lacks_a_right(answer) => Outcome::Accepted,
            FaultKind::Auth => Outcome::Auth,
            FaultKind::Transient | FaultKind::Uncertain => Outcome::Unclear,
            // A wrong address tells nothing about the account.
            FaultKind::Broken if !answer.is_success() => Outcome::Unclear,
            FaultKind::Changed | FaultKind::Gone | FaultKind::Rejected | FaultKind::Interrupted | FaultKind::Broken => {
                Outcome::Accepted
            }
        },
    }
}

/// True for the code that means an empty result.
pub(super) fn is_nothing_found(answer: &RawAnswer) -> bool {
    Problem::from_answer(answer).is_some_and(|problem| problem.code == Some(NOTHING_FOUND))
}

/// True for an error report in JSON without one of amoCRM's numbers.
pub(super) fn is_unnumbered(answer: &RawAnswer) -> bool {
    Problem::from_answer(answer).is_some_and(|problem| problem.code.is_none())
}

fn lacks_a_right(answer: &RawAnswer) -> bool {
    let code = Problem::from_answer(answer).and_then(|problem| problem.code);
    matches!(code, Some(202 | 244 | 288))
}

/// What a whole answer means; none when it is to be read further. `repeatable`: sending the
/// request again is harmless.
pub(super) fn fault(answer: &RawAnswer, repeatable: bool, now: Millis) -> Option<Fault> {
    let status = answer.status;
    if answer.is_success() || status == 304 {
        return hidden_fault(answer, repeatable, now);
    }
    let problem = Problem::from_answer(answer);
    let code = problem.as_ref().and_then(|problem| problem.code);
    if code == Some(NOTHING_FOUND) {
        return None;
    }
    let words = problem.as_ref().map_or_else(|| "no reason given".to_owned(), Problem::words);
    let lost = if repeatable { FaultKind::Transient } else { FaultKind::Uncertain };
    let (kind, reason) = match status {
        300..400 => (FaultKind::Auth, "the account has moved: write its present address into amo.url".to_owned()),
        401 => (FaultKind::Auth, format!("the token is not accepted: {words}")),
        402 => (FaultKind::Auth, "the account's subscription has ended".to_owned()),
        403 => forbidden(problem.is_some(), code, &words),
        404 => (FaultKind::Broken, "no such address: check the account's address in amo.url".to_owned()),
        408 => (lost, "the service waited too long for our request".to_owned()),
        409 | 412 => (FaultKind::Changed, format!("the record has changed: {words}")),
        410 => (FaultKind::Gone, format!("the record is gone: {words}")),
        429 => (FaultKind::Throttled { after_ms: answer.retry_after_ms(now) }, "too many requests".to_owned()),
        // What was refused, and whether all of it was, stood in the part that did not come.
        400..500 if is_cut(answer) => (lost, format!("status {status} came cut short")),
        400..500 => (FaultKind::Rejected, format!("refused with status {status}: {words}")),
        501 => (FaultKind::Broken, "the service does not know this request".to_owned()),
        500..600 => (lost, format!("the service failed with status {status}")),
        _ => (FaultKind::Broken, format!("status {status} is not understood")),
    };
    Some(Fault::new(kind, reason))
}

/// True for a body that begins as JSON and does not end as such.
fn is_cut(answer: &RawAnswer) -> bool {
    let text = String::from_utf8_lossy(&answer.body);
    let error = serde_json::from_str::<serde::de::IgnoredAny>(&text).err();
    text.trim_start().starts_with(['{', '[']) && error.is_some_and(|error| error.is_eof())
}

fn forbidden(is_json: bool, code: Option<u32>, words: &str) -> (FaultKind, String) {
    match code {
        Some(403) => (FaultKind::Blocked, "blocked for too many requests".to_owned()),
        // Proxies answer blocked accounts with a page; the API itself answers in JSON.
        None if !is_json => (FaultKind::Blocked, "blocked: a page came instead of an answer".to_owned()),
        _ => (FaultKind::Auth, format!("forbidden: {words}")),
    }
}

/// An error report under a success code.
fn hidden_fault(answer: &RawAnswer, repeatable: bool, now: Millis) -> Option<Fault> {
    let problem = Problem::from_answer(answer)?;
    let kind = match problem.code {
        Some(NOTHING_FOUND) => return None,
        Some(429) => FaultKind::Throttled { after_ms: answer.retry_after_ms(now) },
        Some(403) => FaultKind::Blocked,
        Some(101 | 110..=113 | 202 | 244 | 288 | 402) => FaultKind::Auth,
        Some(_) => item_fault(&problem, repeatable).kind,
        None if problem.text.is_none() => return None,
        // Words alone, where data was promised: better asked again than taken for "no rows".
        None if repeatable => FaultKind::Transient,
        None => FaultKind::Uncertain,
    };
    Some(Fault::new(kind, format!("an error came under a success code: {}", problem.words())))
}

/// The words of the optimistic lock (recorded answers of v2).
pub(super) fn is_lock(text: &str) -> bool {
    text.to_lowercase().contains("last modified date")
}

/// What a refusal of a single item means.
pub(super) fn item_fault(problem: &Problem, repeatable: bool) -> Fault {
    let text = problem.text.as_deref().unwrap_or_default().to_lowercase();
    let kind = match problem.code {
        Some(429) => FaultKind::Throttled { after_ms: None },
        // "Search error, try later": nothing was written.
        Some(219) => FaultKind::Transient,
        Some(225 | 226 | 231 | 233 | 234 | 236 | 237) => FaultKind::Gone,
        Some(code) if (500..600).contains(&code) && repeatable => FaultKind::Transient,
        Some(code) if (500..600).contains(&code) => FaultKind::Uncertain,
        // The optimistic lock has no code, only words (recorded answers).
        _ if is_lock(&text) => FaultKind::Changed,
        // Of a custom field it would mean that the account has changed, and the record is there.
        None if text.contains("custom field") || text.contains("custom_field") => FaultKind::Rejected,
        None if text.contains("not found") || text.contains("notfound") => FaultKind::Gone,
        _ => FaultKind::Rejected,
    };
    Fault::new(kind, format!("refused: {}", problem.words()))
}
