//! What a bot gets back: one flat JSON object with short names, so that a block can keep its values
//! (Salebot reference, what to answer). `ok` is 1 or 0; with 0 `error` is a word to branch on and `message`
//! tells the bot's author what to do.

use super::Function;
use crate::core::model::Variables;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Most values of an answer that are saved as variables when it comes late.
const SAVED_MAX: usize = 60;

/// A flat JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Answer(Map<String, Value>);

impl Answer {
    /// It was done.
    pub fn done() -> Answer {
        Answer::of(json!({ "ok": 1 }))
    }

    /// It is stored and will be done; the bot is called back then.
    pub fn queued(function: Function) -> Answer {
        Answer::of(json!({ "ok": 1, "queued": 1, "function": function.name() }))
    }

    /// It will not be done. `message` is ours, and quotes nothing of the call.
    pub fn refused(error: &str, message: impl Into<String>) -> Answer {
        Answer::of(json!({ "ok": 0, "error": error, "message": message.into() }))
    }

    /// Too much waits already: somebody calls faster than amoCRM allows.
    pub fn busy() -> Answer {
        Answer::refused("busy", "too many writes wait for amoCRM; nothing was done, call again later")
    }

    fn of(value: Value) -> Answer {
        match value {
            Value::Object(map) => Answer(map),
            _ => Answer(Map::new()),
        }
    }

    /// The same with one more value.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Answer {
        self.0.insert(name.into(), value.into());
        self
    }

    /// True where it was done.
    pub fn is_ok(&self) -> bool {
        self.0.get("ok") == Some(&json!(1))
    }

    /// The word for what went wrong; none where nothing did.
    pub fn error(&self) -> Option<&str> {
        self.0.get("error").and_then(Value::as_str)
    }

    /// A value.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The JSON text.
    pub fn text(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    /// The client variables that tell a bot of an answer that came late. Empty ones clear what an earlier
    /// answer left.
    pub fn variables(&self, function: Function) -> Variables {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let mut variables: Variables =
            self.0.iter().take(SAVED_MAX).map(|(name, value)| (format!("amo_result_{name}"), text(value))).collect();
        variables.entry("amo_result_error".to_owned()).or_default();
        variables.entry("amo_result_message".to_owned()).or_default();
        variables.insert("amo_result_function".to_owned(), function.name().to_owned());
        variables
    }

    /// The text with which the bot is started when an answer comes late.
    pub fn callback(&self, function: Function) -> String {
        let word = if self.is_ok() { "done" } else { "failed" };
        format!("amo_function_{word} {}", function.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_flat_and_say_whether_it_worked() {
        let answer = Answer::done().with("lead_id", 301).with("name", "Чай");
        assert!(answer.is_ok());
        assert_eq!(answer.text(), r#"{"lead_id":301,"name":"Чай","ok":1}"#);
        let refused = Answer::refused("lead_not_found", "there is no lead");
        assert_eq!((refused.is_ok(), refused.error()), (false, Some("lead_not_found")));
    }

    #[test]
    fn a_late_answer_is_told_in_variables_and_a_callback() {
        let done = Answer::done().with("lead_id", 301);
        let variables = done.variables(Function::AddLead);
        assert_eq!(variables["amo_result_lead_id"], "301");
        assert_eq!(variables["amo_result_ok"], "1");
        assert_eq!(variables["amo_result_error"], "");
        assert_eq!(done.callback(Function::AddLead), "amo_function_done amo_add_lead");
        assert_eq!(Answer::refused("x", "y").callback(Function::SetTags), "amo_function_failed amo_set_tags");
    }
}
