//! The same call once more: what the journal tells of it.

use super::{Answer, Call};
use crate::core::time::Millis;
use serde_json::Value;

/// The journal's word for a call that was taken …
pub const CALLED: &str = "called";
/// … and for its answer.
pub const ANSWERED: &str = "answered";

/// For so long a call without an answer is under way, though a later one was taken.
const OPEN_MS: i64 = 60_000;

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
    // The last one, and what a clock that was set back puts before it. An answer of long ago may be beyond the lines.
    let last = called.clone().max();
    let is_open = |at: &Millis| answered(*at).is_none() && (Some(*at) == last || call.at.is_near(*at, OPEN_MS));
    if let Some(waits) = called.clone().filter(is_open).max() {
        return Some(Met::Waits(waits));
    }
    let known = |at: Millis| answered(at).and_then(|(_, detail)| answer_of(detail)).filter(Answer::is_ok);
    let near = called.filter(|at| call.at.is_near(*at, once_ms));
    near.filter_map(|at| Some((at, known(at)?))).max_by_key(|(at, _)| *at).map(|(_, answer)| Met::Known(answer))
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
    #[case::failed_before_it_was(
        vec![called(10 * HOUR + 30_000), refused(10 * HOUR + 30_000), called(10 * HOUR - 500), answered(10 * HOUR - 500, 2)],
        known(2)
    )]
    #[case::an_old_one_whose_answer_is_beyond_the_lines(
        vec![called(8 * HOUR), called(9 * HOUR), refused(9 * HOUR)],
        None
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
