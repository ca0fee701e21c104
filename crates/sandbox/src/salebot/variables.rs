//! Actions on variables: `save_variables`, `get_variables`.
//!
//! A plain name goes to the client's current deal, `client.` to the client, `project.` to the
//! project. Reading merges them, deal before client before project, without prefixes.

use serde_json::{Map, Value, json};

use super::Salebot;
use super::answer::{Answer, empty_answer, error_answer, json_answer, status_answer};
use super::arguments::as_id;
use super::options::{AbsentForm, UnknownVariables, VariablesForm, WithoutDeal};
use super::project::plain_text;
use super::record::VARIABLE_LIMIT;
use super::routes::Call;
use super::state::{Client, Variables};

/// Limits of the Salebot page on variables: characters of a name and of a value.
const NAME_LIMIT: usize = 500;
const VALUE_LIMIT: usize = 100_000;

/// Who holds a variable, by its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Deal,
    Client,
    Project,
}

impl Scope {
    /// The scope of a written name, and the name it is read by.
    fn split(name: &str) -> (Self, &str) {
        let prefixes = [
            ("client.", Self::Client),
            ("клиент.", Self::Client),
            ("project.", Self::Project),
            ("проект.", Self::Project),
        ];
        let found = prefixes.iter().find_map(|(prefix, scope)| Some((*scope, name.strip_prefix(prefix)?)));
        found.unwrap_or((Self::Deal, name))
    }
}

impl Salebot {
    /// `save_variables`, for one client or for many; unknown ones among many are passed over.
    pub(super) fn save_variables(&mut self, call: &Call) -> Answer {
        let variables = call.arguments.object("variables").ok_or_else(|| error_answer("variables required"))?;
        check_variables(variables)?;
        let clients = match call.arguments.list("clients") {
            Some(ids) => ids.iter().filter_map(as_id).filter(|id| self.clients.contains_key(id)).collect(),
            None => vec![self.known_client(call, "client_id")?],
        };
        for &client_id in &clients {
            self.check_room(client_id, variables)?;
        }
        for client_id in clients {
            self.write_scoped(call.now_ms, client_id, variables.iter());
        }
        Ok(self.options.acknowledge())
    }

    /// Writes each value where its prefix says.
    pub(super) fn write_scoped<'a>(
        &mut self,
        now_ms: i64,
        client_id: i64,
        variables: impl Iterator<Item = (&'a String, &'a Value)>,
    ) {
        for (name, value) in variables {
            match Scope::split(name) {
                (Scope::Client, name) => self.write_client_variable(now_ms, client_id, name, value),
                (Scope::Project, name) => self.write_project_variable(name, value),
                (Scope::Deal, name) => self.write_deal_variable(now_ms, client_id, name, value),
            }
        }
    }

    fn write_deal_variable(&mut self, now_ms: i64, client_id: i64, name: &str, value: &Value) {
        let order_id = match self.options.without_deal {
            WithoutDeal::Dropped => self.clients.get(&client_id).and_then(|client| self.current_order(client)),
            WithoutDeal::ImplicitDeal => self.current_or_implicit_order(now_ms, client_id),
        };
        if let Some(order_id) = order_id {
            self.write_order_variable(order_id, name, value);
        }
    }

    fn check_room(&self, client_id: i64, variables: &Map<String, Value>) -> Result<(), super::Response> {
        let Some(client) = self.clients.get(&client_id) else { return Ok(()) };
        let none = Variables::new();
        let order = self.current_order(client).and_then(|id| self.orders.get(&id));
        for (scope, held) in
            [(Scope::Client, &client.variables), (Scope::Deal, order.map_or(&none, |order| &order.variables))]
        {
            let new = variables.keys().map(|name| Scope::split(name));
            let new = new.filter(|(of, name)| *of == scope && !held.contains_key(*name)).count();
            if new > 0 && held.len() + new > VARIABLE_LIMIT {
                return Err(error_answer("too many variables"));
            }
        }
        Ok(())
    }

    /// `get_variables`.
    pub(super) fn get_variables(&mut self, call: &Call) -> Answer {
        let client = call.arguments.id("client_id").and_then(|id| self.clients.get(&id));
        let client = client.ok_or_else(|| match self.options.unknown_variables {
            UnknownVariables::NotFound => empty_answer(404),
            UnknownVariables::StatusInBody => status_answer("client_not_found"),
            UnknownVariables::EmptyObject => json_answer(200, &json!({})),
        })?;
        let merged = self.merged_variables(client);
        Ok(match self.options.variables_form {
            VariablesForm::Flat => json_answer(200, &merged),
            VariablesForm::Wrapped => json_answer(200, &json!({ "variables": merged })),
        })
    }

    /// Project, client, deal and built-in values in one object, the later ones on top.
    pub(super) fn merged_variables(&self, client: &Client) -> Map<String, Value> {
        let order = self.current_order(client).and_then(|id| self.orders.get(&id));
        let layers = [Some(&self.project_variables), Some(&client.variables), order.map(|order| &order.variables)];
        let mut merged = Map::new();
        for (name, value) in layers.into_iter().flatten().flatten() {
            merged.insert(name.clone(), value.clone());
        }
        merged.append(&mut self.built_in(client, order.map(|order| order.id)));
        merged
    }

    fn built_in(&self, client: &Client, order_id: Option<i64>) -> Map<String, Value> {
        let text = |text: &Option<String>| text.as_deref().map_or_else(|| self.absent(), Value::from);
        let number = |number: Option<i64>| number.map_or_else(|| self.absent(), Value::from);
        let created = self.options.local(client.created_ms);
        let values = [
            ("client_id", Value::from(client.id)),
            ("platform_id", Value::from(client.platform_id.as_str())),
            ("client_type", Value::from(client.client_type)),
            ("group", Value::from(client.group.as_str())),
            ("name", text(&client.name)),
            ("full_name", text(&client.name)),
            ("avatar", text(&client.avatar)),
            ("tag", text(&client.tag)),
            ("message_id", number(client.block_id)),
            ("main_client_id", number(client.main_client_id)),
            ("date_of_creation", Value::from(created.strftime("%d.%m.%Y").to_string())),
            ("time_of_creation", Value::from(created.strftime("%H:%M").to_string())),
        ];
        let mut built_in: Map<String, Value> =
            values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if let Some(order_id) = order_id {
            built_in.insert("order_id".to_owned(), Value::from(format!("{}-{order_id}", client.id)));
        }
        built_in
    }

    fn absent(&self) -> Value {
        match self.options.absent {
            AbsentForm::NoneText => Value::from("NONE"),
            AbsentForm::Null => Value::Null,
            AbsentForm::EmptyText => Value::from(""),
        }
    }
}

/// Names and values within the documented limits; anything else refuses the whole request.
pub(super) fn check_variables(variables: &Map<String, Value>) -> Result<(), super::Response> {
    for (name, value) in variables {
        if !is_variable_name(Scope::split(name).1) {
            return Err(error_answer("wrong variable name"));
        }
        if plain_text(value).chars().count() > VALUE_LIMIT {
            return Err(error_answer("variable value is too long"));
        }
    }
    Ok(())
}

/// First a letter of any alphabet, then letters, digits and `_`.
pub(super) fn is_variable_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(char::is_alphabetic)
        && characters.all(|character| character.is_alphanumeric() || character == '_')
        && name.chars().count() <= NAME_LIMIT
}

/// As [`is_variable_name`], with or without a prefix.
pub(super) fn is_scoped_name(name: &str) -> bool {
    is_variable_name(Scope::split(name).1)
}
