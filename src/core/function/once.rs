//! The same call once more: what the journal tells of it.

use super::{Answer, Call};
use crate::core::time::Millis;
use serde_json::Value;

/// The journal's word for a call that was taken …
pub const CALLED: &str = "called";
/// … and for its answer.
pub const ANSWERED: &str = "answered";

/// What became of a call that was taken before.
#[derive(Debug, Clone, PartialEq)]
pub enum Met {
    /// It was answered.
    Known(Answer),
    /// Accepted at this time, it is under way.
    Waits(Millis),
}

/// The same call within its time (`Call::once_ms`); none: it is to be carried out. One that failed made nothing, so it may be
/// tried again. `lines`: the journal about it, a kind and a detail each, in any order: a clock that was set back mixes them.
pub fn met_before<'a>(lines: impl Iterator<Item = (&'a str, &'a Value)> + Clone, call: &Call) -> Option<Met> {
    let once_ms = call.once_ms?;
    let answered = |at: Millis| lines.clone().find(|(kind, detail)| *kind == ANSWERED && at_of(detail) == Some(at));
    let called = lines.clone().filter(|(kind, _)| *kind == CALLED).filter_map(|(_, detail)| at_of(detail));
    if let Some(waits) = called.clone().filter(|at| answered(*at).is_none()).max() {
        return Some(Met::Waits(waits));
    }
    let last = called.filter(|at| call.at.is_near(*at, once_ms)).max()?;
    answered(last).and_then(|(_, detail)| answer_of(detail)).filter(Answer::is_ok).map(Met::Known)
}

/// When the call was accepted that a line is about.
pub fn at_of(detail: &Value) -> Option<Millis> {
    detail.get("at").and_then(Value::as_i64).map(Millis)
}

/// The answer that a line tells.
pub fn answer_of(detail: &Value) -> Option<Answer> {
    serde_json::from_value(detail.get("answer")?.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::super::{Arguments, Function};
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    const HOUR: i64 = 3_600_000;

    fn called(at: i64) -> (&'static str, Value) {
        (CALLED, json!({ "at": at }))
    }

    fn answered(at: i64, lead: u64) -> (&'static str, Value) {
        (ANSWERED, json!({ "at": at, "answer": Answer::done().with("lead_id", lead) }))
    }

    fn refused(at: i64) -> (&'static str, Value) {
        (ANSWERED, json!({ "at": at, "answer": Answer::refused("refused", "no") }))
    }

    fn known(lead: u64) -> Option<Met> {
        Some(Met::Known(Answer::done().with("lead_id", lead)))
    }

    #[rstest]
    #[case::never(vec![], None)]
    #[case::a_moment_ago(vec![called(10 * HOUR - 500), answered(10 * HOUR - 500, 1)], known(1))]
    #[case::long_ago(vec![called(9 * HOUR), answered(9 * HOUR, 1)], None)]
    #[case::failed(vec![called(10 * HOUR - 500), refused(10 * HOUR - 500)], None)]
    #[case::under_way(vec![called(10 * HOUR - 500)], Some(Met::Waits(Millis(10 * HOUR - 500))))]
    #[case::before_the_clock_was_set_back(vec![called(12 * HOUR), answered(12 * HOUR, 1)], None)]
    #[case::since_it_was(
        vec![called(12 * HOUR), answered(12 * HOUR, 1), called(10 * HOUR - 500), answered(10 * HOUR - 500, 2)],
        known(2)
    )]
    #[case::under_way_since_it_was(
        vec![called(12 * HOUR), answered(12 * HOUR, 1), called(10 * HOUR - 500)],
        Some(Met::Waits(Millis(10 * HOUR - 500)))
    )]
    fn the_same_call_is_known_for_its_time(#[case] lines: Vec<(&str, Value)>, #[case] expected: Option<Met>) {
        let arguments = Arguments::read("", br#"{"client_id": 5, "lead_data": {"name": "New"}}"#).unwrap();
        let call = Call::read(Function::AddLead, &arguments, Millis(10 * HOUR)).unwrap();
        for turned in [false, true] {
            let mut lines = lines.clone();
            if turned {
                lines.reverse();
            }
            let lines = lines.iter().map(|(kind, detail)| (*kind, detail));
            assert_eq!(met_before(lines, &call), expected);
        }
    }
}
