//! `find_clients`: conditions on variables of clients or of deals.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Salebot;
use super::answer::{Answer, json_answer};
use super::clients::id_list;
use super::index::ValueIndex;
use super::project::plain_text;
use super::routes::Call;
use super::state::Variables;

/// What one name of `q` asks for; values are compared as texts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// Equality, and `_in`.
    OneOf(Vec<String>),
    /// `_not` and `_not_in`.
    NoneOf(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    name: String,
    test: Test,
    numeric: bool,
}

impl Condition {
    fn holds(&self, variables: &Variables) -> bool {
        let value = variables.get(&self.name).map(plain_text);
        match &self.test {
            Test::OneOf(values) => value.is_some_and(|value| values.contains(&value)),
            // A client without the variable does not have the unwanted value either.
            Test::NoneOf(values) => value.is_none_or(|value| !values.contains(&value)),
        }
    }

    fn read(name: &str, value: &Value) -> Option<Self> {
        let (test, numeric) = match value {
            Value::Object(operator) => read_operator(operator)?,
            Value::Array(_) | Value::Null => return None,
            scalar => (Test::OneOf(vec![plain_text(scalar)]), scalar.is_number()),
        };
        Some(Self { name: name.to_owned(), test, numeric })
    }
}

fn read_operator(operator: &Map<String, Value>) -> Option<(Test, bool)> {
    let (name, value) = operator.iter().next().filter(|_| operator.len() == 1)?;
    let many = |value: &Value| -> Option<(Vec<String>, bool)> {
        let values = value.as_array()?;
        Some((values.iter().map(plain_text).collect(), values.iter().any(Value::is_number)))
    };
    match name.as_str() {
        "_in" => many(value).map(|(values, numeric)| (Test::OneOf(values), numeric)),
        "_not_in" => many(value).map(|(values, numeric)| (Test::NoneOf(values), numeric)),
        "_not" if !value.is_array() && !value.is_object() => {
            Some((Test::NoneOf(vec![plain_text(value)]), value.is_number()))
        }
        _ => None,
    }
}

impl Salebot {
    /// `find_clients`: all conditions must hold unless `include_all` is false.
    pub(super) fn find_clients(&mut self, call: &Call) -> Answer {
        let q = call.arguments.value("q").ok_or_else(|| fail("Parameter \"q\" required"))?;
        let q = q.as_object().filter(|q| !q.is_empty()).ok_or_else(|| fail("Error in parameter format"))?;
        let conditions: Option<Vec<Condition>> = q.iter().map(|(name, value)| Condition::read(name, value)).collect();
        let conditions = conditions.ok_or_else(|| fail("Error in parameter format"))?;
        let in_orders = match call.arguments.text("search_in").as_deref() {
            None | Some("") => false,
            Some("order") => true,
            Some(_) => return Err(fail("Error in parameter format")),
        };
        let all = call.arguments.value("include_all").is_none() || call.arguments.flag("include_all");
        let index = if in_orders { &self.order_values } else { &self.client_values };
        // Numbers compare only where every value of the variable in the project is a number.
        if conditions.iter().any(|condition| condition.numeric && !index.all_numbers(&condition.name)) {
            return Err(fail("Something went wrong"));
        }
        let found = if in_orders {
            self.owners(self.matching_orders(&conditions, all).into_iter()).collect()
        } else {
            self.matching_clients(&conditions, all)
        };
        Ok(id_list(&found.into_iter().collect::<Vec<_>>()))
    }

    fn matching_clients(&self, conditions: &[Condition], all: bool) -> BTreeSet<i64> {
        let variables = |id: &i64| self.clients.get(id).map(|client| &client.variables);
        match candidates(&self.client_values, conditions, all) {
            Some(ids) => matching(ids.into_iter(), variables, conditions, all),
            None => matching(self.clients.keys().copied(), variables, conditions, all),
        }
    }

    fn matching_orders(&self, conditions: &[Condition], all: bool) -> BTreeSet<i64> {
        let variables = |id: &i64| self.orders.get(id).map(|order| &order.variables);
        match candidates(&self.order_values, conditions, all) {
            Some(ids) => matching(ids.into_iter(), variables, conditions, all),
            None => matching(self.orders.keys().copied(), variables, conditions, all),
        }
    }
}

/// The few that the index names, where one positive condition must hold; else everybody is read.
fn candidates(index: &ValueIndex, conditions: &[Condition], all: bool) -> Option<BTreeSet<i64>> {
    if !all && conditions.len() > 1 {
        return None;
    }
    conditions.iter().find_map(|condition| match &condition.test {
        Test::OneOf(values) => Some(values.iter().flat_map(|value| index.holders(&condition.name, value)).collect()),
        Test::NoneOf(_) => None,
    })
}

fn matching<'a>(
    ids: impl Iterator<Item = i64>,
    variables: impl Fn(&i64) -> Option<&'a Variables>,
    conditions: &[Condition],
    all: bool,
) -> BTreeSet<i64> {
    ids.filter(|id| {
        variables(id).is_some_and(|variables| {
            let mut held = conditions.iter().map(|condition| condition.holds(variables));
            if all { held.all(|holds| holds) } else { held.any(|holds| holds) }
        })
    })
    .collect()
}

fn fail(message: &str) -> super::Response {
    json_answer(200, &json!({ "status": "fail", "message": message }))
}
