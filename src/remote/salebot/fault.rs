//! From Salebot's refusals to faults of ours.

use super::envelope;
use crate::core::fault::{Fault, FaultKind};
use crate::core::flex::Object;
use crate::core::time::Millis;
use crate::remote::http::RawAnswer;
use crate::remote::lane::Outcome;

/// Most characters of an answer that enter a reason.
const WORDS_MAX: usize = 200;

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefusalKind {
    /// No such client.
    ClientMissing,
    /// No such order.
    OrderMissing,
    /// Something else is not there.
    Missing,
    /// 404 without a word: the thing, or the whole address. A wrong key looks the same.
    BareNotFound,
    /// Too fast, or the quota is used up.
    Throttled {
        /// Milliseconds the service asked for.
        after_ms: Option<i64>,
    },
    /// Key, permissions or plan.
    Auth,
    /// A failure of the service or of a gateway before it; it may pass.
    Unavailable,
    /// The service refuses this content.
    Rejected,
    /// A redirect: the configured address is not the service's.
    Moved,
}

/// An answer that says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) kind: RefusalKind,
    /// False where no word of the answer was known to us.
    pub(super) is_understood: bool,
    status: u16,
    /// Words of the answer that cannot have been written by a person.
    words: String,
}

impl Refusal {
    /// Of an answer whose HTTP status is no success. `text` is the body, without outer space.
    pub(super) fn of_status(answer: &RawAnswer, object: Option<&Object<'_>>, text: &str) -> Refusal {
        let words = match object {
            Some(object) => envelope_words(object),
            None if text.starts_with('<') => String::new(),
            None => text.chars().take(WORDS_MAX).collect::<String>().to_lowercase(),
        };
        let kind = match answer.status {
            401..=403 => RefusalKind::Auth,
            429 => throttled(answer),
            300..=399 => RefusalKind::Moved,
            501 => RefusalKind::Rejected,
            408 | 500..=599 => RefusalKind::Unavailable,
            404 | 410 => missing(&words).unwrap_or(RefusalKind::BareNotFound),
            _ => by_words(answer, &words).unwrap_or(RefusalKind::Rejected),
        };
        Refusal { kind, is_understood: true, status: answer.status, words: safe_words(&words) }
    }

    /// Of a 200 whose envelope says something else than success.
    pub(super) fn of_words(answer: &RawAnswer, object: &Object<'_>) -> Refusal {
        let words = envelope_words(object);
        let known = by_words(answer, &words);
        let kind = known.unwrap_or(RefusalKind::Rejected);
        Refusal { kind, is_understood: known.is_some(), status: answer.status, words: safe_words(&words) }
    }

    /// Of a 200 with a bare text, where the text says no.
    pub(super) fn of_text(answer: &RawAnswer, text: &str) -> Option<Refusal> {
        let kind = by_words(answer, text)?;
        Some(Refusal { kind, is_understood: true, status: answer.status, words: safe_words(text) })
    }

    /// Of a 200 in which nothing can be read; `what` in words of ours.
    pub(super) fn unreadable(answer: &RawAnswer, what: &str) -> Refusal {
        let kind = RefusalKind::Unavailable;
        Refusal { kind, is_understood: false, status: answer.status, words: what.to_owned() }
    }

    /// True when it only says that the thing asked for is not there.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self.kind, RefusalKind::ClientMissing | RefusalKind::OrderMissing | RefusalKind::Missing)
    }

    /// What follows from it. `repeatable`: sending the request twice is harmless.
    pub(super) fn fault(&self, action: &str, repeatable: bool) -> Fault {
        let kind = match self.kind {
            RefusalKind::ClientMissing | RefusalKind::OrderMissing => FaultKind::Gone,
            RefusalKind::Missing | RefusalKind::Rejected => FaultKind::Rejected,
            RefusalKind::BareNotFound | RefusalKind::Auth => FaultKind::Auth,
            RefusalKind::Throttled { after_ms } => FaultKind::Throttled { after_ms },
            RefusalKind::Unavailable if repeatable => FaultKind::Transient,
            RefusalKind::Unavailable => FaultKind::Uncertain,
            RefusalKind::Moved => FaultKind::Broken,
        };
        let hint = match self.kind {
            RefusalKind::BareNotFound => " (wrong key or address?)",
            RefusalKind::Moved => " (a redirect: check the address in the configuration)",
            _ => "",
        };
        let colon = if self.words.is_empty() { "" } else { ": " };
        Fault::new(kind, format!("Salebot {action} answered {}{hint}{colon}{}", self.status, self.words))
    }
}

/// How the account stands after an answer, for its lane.
pub(super) fn outcome(answer: &RawAnswer, now: Millis) -> Outcome {
    match envelope::refusal(answer).map(|refusal| refusal.kind) {
        Some(RefusalKind::Throttled { .. }) => Outcome::Throttled { after_ms: answer.retry_after_ms(now) },
        Some(RefusalKind::Auth) => Outcome::Auth,
        // A bare 404 may mean the key: whoever can tell asks, see `SalebotApi::missing_or_key`.
        Some(RefusalKind::Unavailable | RefusalKind::BareNotFound | RefusalKind::Moved) => Outcome::Unclear,
        Some(_) | None => Outcome::Accepted,
    }
}

/// The fault of a success that lacks what it must hold. A creation may have happened all the same.
pub(super) fn incomplete(action: &str, what: &str, repeatable: bool) -> Fault {
    let kind = if repeatable { FaultKind::Broken } else { FaultKind::Uncertain };
    Fault::new(kind, format!("Salebot {action} succeeded, but {what}"))
}

fn throttled(answer: &RawAnswer) -> RefusalKind {
    // Only a date needs a clock of ours, and then the answer brings its own.
    RefusalKind::Throttled { after_ms: answer.retry_after_ms(answer.date().unwrap_or_default()) }
}

/// The texts of an envelope, lower case, each once.
fn envelope_words(object: &Object<'_>) -> String {
    let mut texts: Vec<String> = Vec::new();
    for name in ["status", "message", "error", "error_message", "detail"] {
        let text = object.get(name).and_then(|value| value.text()).unwrap_or_default().to_lowercase();
        if !text.is_empty() && !texts.contains(&text) {
            texts.push(text.chars().take(WORDS_MAX).collect());
        }
    }
    texts.join(": ")
}

fn by_words(answer: &RawAnswer, words: &str) -> Option<RefusalKind> {
    const QUOTA: [&str; 4] = ["limit", "quota", "лимит", "too many"];
    const AUTH: [&str; 12] = [
        "access",
        "permission",
        "forbidden",
        "unauthori",
        "api key",
        "api_key",
        "token",
        "ключ",
        "доступ",
        "нет прав",
        "tariff",
        "тариф",
    ];
    // What a service says when it does not know itself what went wrong.
    const PASSING: [&str; 6] = ["something went wrong", "internal", "unavailable", "timeout", "try again", "temporar"];
    const WRONG: [&str; 8] =
        ["parameter", "format", "required", "invalid", "must be", "unknown", "not json", "unsupported"];
    // What has a limit where it is not requests: a client is full, or a value is too long.
    const CONTENT: [&str; 4] = ["variable", "переменн", "value", "значени"];
    const REQUESTS: [&str; 2] = ["request", "запрос"];
    let has = |list: &[&str]| list.iter().any(|part| words.contains(part));
    match () {
        () if has(&QUOTA) && has(&CONTENT) && !has(&REQUESTS) => Some(RefusalKind::Rejected),
        () if has(&QUOTA) => Some(throttled(answer)),
        () if has(&PASSING) => Some(RefusalKind::Unavailable),
        () if missing(words).is_some() => missing(words),
        () if has(&WRONG) => Some(RefusalKind::Rejected),
        () if has(&AUTH) => Some(RefusalKind::Auth),
        // Nothing but the bare word: worth another try, since nothing speaks against it.
        () if matches!(words, "error" | "fail" | "failed") => Some(RefusalKind::Unavailable),
        () if has(&["error", "fail"]) => Some(RefusalKind::Rejected),
        () => None,
    }
}

fn missing(words: &str) -> Option<RefusalKind> {
    let is_missing = ["not_found", "not found", "не найден"].iter().any(|part| words.contains(part));
    match () {
        () if !is_missing => None,
        () if words.contains("client") || words.contains("клиент") => Some(RefusalKind::ClientMissing),
        () if words.contains("order") || words.contains("сделк") => Some(RefusalKind::OrderMissing),
        // Web frameworks word a missing page like this; it says nothing about a record.
        () if words == "not found" => None,
        () => Some(RefusalKind::Missing),
    }
}

/// The words of an answer that are known to be the service's own. Anything else could be a name, a
/// number or a letter of a person that the service quotes, and becomes `…`.
fn safe_words(text: &str) -> String {
    const KNOWN: &str = " a access action already an and api are at be body by cannot client client_id client_ids \
        client_not_found client_type clients code data date denied does empty error exceeded exist expired fail \
        failed forbidden format found funnel group_id id in incorrect internal invalid is it json key limit \
        list many message missing must no not not_found null number object of off on order order_id order_not_found \
        parameter parameters permission permissions platform_id project query quota rate request requests required \
        server service so something state state_id status string success tariff text time timeout to token too \
        type unauthorized unavailable unknown unsupported value variable variables went wrong ";
    let mut kept: Vec<&str> = Vec::new();
    for word in text.split(|sign: char| !sign.is_alphanumeric() && sign != '_').filter(|word| !word.is_empty()) {
        let is_known = KNOWN.contains(&format!(" {word} "));
        let word = if is_known { word } else { "…" };
        if kept.last() != Some(&"…") || word != "…" {
            kept.push(word);
        }
    }
    kept.join(" ").chars().take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn kind(status: u16, body: &str) -> Option<RefusalKind> {
        let answer = RawAnswer { status, headers: Vec::new(), body: body.as_bytes().to_vec() };
        envelope::refusal(&answer).map(|refusal| refusal.kind)
    }

    #[rstest]
    #[case(200, r#"{"status":"success"}"#, None)]
    #[case(200, r#"{"status":"SUCCESS","order_id":1}"#, None)]
    #[case(200, r#"{"status":"ok"}"#, None)]
    #[case(200, "ok", None)]
    #[case(200, " true\n", None)]
    #[case(200, "\"success\"", None)]
    #[case(200, "[]", None)]
    #[case(200, "{}", None)]
    #[case(200, "received", None)]
    #[case(204, "", None)]
    #[case(200, r#"{"status":"paid","avatar":null}"#, None)]
    #[case(200, r#"{"status":"paid"}"#, None)]
    #[case(200, r#"{"status":"paid","message":"tomorrow"}"#, Some(RefusalKind::Rejected))]
    #[case(200, r#"{"status":"client_not_found"}"#, Some(RefusalKind::ClientMissing))]
    #[case(404, r#"{"status":"client_not_found"}"#, Some(RefusalKind::ClientMissing))]
    #[case(404, "client_not_found", Some(RefusalKind::ClientMissing))]
    #[case(200, r#"{"status":"order not found"}"#, Some(RefusalKind::OrderMissing))]
    #[case(200, r#"{"status":"order 12345 not found"}"#, Some(RefusalKind::OrderMissing))]
    #[case(200, r#"{"status":"error","message":"state not found"}"#, Some(RefusalKind::Missing))]
    #[case(200, r#"{"status":"fail","message":"Parameter \"q\" required"}"#, Some(RefusalKind::Rejected))]
    #[case(200, r#"{"status":"fail","message":"Error in parameter format"}"#, Some(RefusalKind::Rejected))]
    #[case(200, r#"{"status":"fail","message":"Something went wrong"}"#, Some(RefusalKind::Unavailable))]
    #[case(200, r#"{"status":"error"}"#, Some(RefusalKind::Unavailable))]
    #[case(200, r#"{"status":"error","message":"access denied"}"#, Some(RefusalKind::Auth))]
    #[case(200, r#"{"status":"error","message":"Превышен лимит"}"#, Some(RefusalKind::Throttled { after_ms: None }))]
    #[case(200, r#"{"status":"request quota exceeded"}"#, Some(RefusalKind::Throttled { after_ms: None }))]
    #[case(200, r#"{"status":"error","message":"too many requests: save_variables"}"#, Some(RefusalKind::Throttled { after_ms: None }))]
    #[case(200, r#"{"status":"error","message":"too many variables"}"#, Some(RefusalKind::Rejected))]
    #[case(400, r#"{"status":"error","message":"Превышен лимит переменных клиента"}"#, Some(RefusalKind::Rejected))]
    #[case(200, "rate limit", Some(RefusalKind::Throttled { after_ms: None }))]
    #[case(200, "", Some(RefusalKind::Unavailable))]
    #[case(200, "<html>", Some(RefusalKind::Unavailable))]
    #[case(200, r#"{"status":"success","#, Some(RefusalKind::Unavailable))]
    #[case(404, "", Some(RefusalKind::BareNotFound))]
    #[case(404, "<html>not found</html>", Some(RefusalKind::BareNotFound))]
    #[case(404, r#"{"status":404,"error":"Not Found"}"#, Some(RefusalKind::BareNotFound))]
    #[case(401, "", Some(RefusalKind::Auth))]
    #[case(403, r#"{"status":"error","message":"forbidden"}"#, Some(RefusalKind::Auth))]
    #[case(429, "", Some(RefusalKind::Throttled { after_ms: None }))]
    #[case(400, r#"{"status":"error","message":"body is not JSON"}"#, Some(RefusalKind::Rejected))]
    #[case(422, "budget must be a number", Some(RefusalKind::Rejected))]
    #[case(408, "", Some(RefusalKind::Unavailable))]
    #[case(500, r#"{"status":"client_not_found"}"#, Some(RefusalKind::Unavailable))]
    #[case(502, "<html>Bad Gateway</html>", Some(RefusalKind::Unavailable))]
    #[case(501, "", Some(RefusalKind::Rejected))]
    #[case(302, "", Some(RefusalKind::Moved))]
    fn refusals_by_status_and_words(#[case] status: u16, #[case] body: &str, #[case] expected: Option<RefusalKind>) {
        assert_eq!(kind(status, body), expected);
    }

    #[test]
    fn reasons_hold_no_words_of_people() {
        let body = r#"{"status":"error","message":"Client Иван Petrov +7 999 000-00-01 not found, anna@example.test"}"#;
        let answer = RawAnswer { status: 200, headers: Vec::new(), body: body.as_bytes().to_vec() };
        let reason = envelope::refusal(&answer).expect("a refusal").fault("callback", true).reason;
        assert_eq!(reason, "Salebot callback answered 200: error client … not found …");
    }

    #[test]
    fn what_cannot_be_repeated_is_uncertain() {
        let answer = RawAnswer { status: 502, headers: Vec::new(), body: Vec::new() };
        let refusal = envelope::refusal(&answer).expect("a refusal");
        assert_eq!(refusal.fault("create_order", false).kind, FaultKind::Uncertain);
        assert_eq!(refusal.fault("save_variables", true).kind, FaultKind::Transient);
    }
}
