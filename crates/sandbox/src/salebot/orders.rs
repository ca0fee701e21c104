//! Actions on deals of SalebotCRM.

use serde_json::{Map, Value};

use super::Salebot;
use super::answer::{Answer, error_answer, order_not_found, status_answer, success_with};
use super::options::{NoDeal, OrderVariables};
use super::project::{messenger, plain_text};
use super::routes::Call;
use super::state::OrderStatus;
use super::variables::check_variables;

impl Salebot {
    /// `get_current_order_id`.
    pub(super) fn get_current_order_id(&mut self, call: &Call) -> Answer {
        let client_id = self.known_client(call, "client_id")?;
        let current = self.clients.get(&client_id).and_then(|client| self.current_order(client));
        Ok(match (current, self.options.no_deal) {
            (None, NoDeal::NotFound) => order_not_found(None),
            (current, _) => success_with("order_id", current),
        })
    }

    /// `get_orders`: an array under the singular key; open deals unless another status is asked for.
    pub(super) fn get_orders(&mut self, call: &Call) -> Answer {
        let client_id = self.known_client(call, "client_id")?;
        let wanted = OrderStatus::from_number(call.arguments.id("order_status").unwrap_or(0));
        let orders = self.orders(client_id).into_iter();
        let ids: Vec<i64> = orders.filter(|order| Some(order.status) == wanted).map(|order| order.id).collect();
        Ok(success_with("order_id", ids))
    }

    /// `get_order_state`, of the current deal when none is named.
    pub(super) fn get_order_state(&mut self, call: &Call) -> Answer {
        let client_id = call.arguments.id("client_id").filter(|id| self.clients.contains_key(id));
        let client_id = client_id.ok_or_else(|| order_not_found(None))?;
        let order_id = match call.arguments.id("order_id") {
            Some(order_id) => self.own_order(client_id, order_id),
            None => self.clients.get(&client_id).and_then(|client| self.current_order(client)),
        };
        let state = order_id.and_then(|id| self.orders.get(&id)).and_then(|order| order.state_id);
        Ok(state.map_or_else(|| order_not_found(None), |state_id| success_with("state_id", state_id)))
    }

    /// `get_order_vars`: the named variables, absent ones as null; what it tells where none is named is not documented.
    pub(super) fn get_order_vars(&mut self, call: &Call) -> Answer {
        let order_id = self.named_order(call)?;
        let held = self.orders.get(&order_id).map(|order| &order.variables).ok_or_else(|| order_not_found(None))?;
        let result: Map<String, Value> = match (self.options.order_variables, call.arguments.list("variables")) {
            (OrderVariables::Named | OrderVariables::NamedElseAll, Some(names)) => {
                let names = names.iter().map(plain_text);
                names.map(|name| (name.clone(), held.get(&name).cloned().unwrap_or(Value::Null))).collect()
            }
            (OrderVariables::Named, None) => Map::new(),
            (OrderVariables::All | OrderVariables::NamedElseAll, _) => {
                held.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
            }
        };
        Ok(success_with("result", result))
    }

    /// `set_order_vars`: name and description under their localised names, `budget` a number.
    pub(super) fn set_order_vars(&mut self, call: &Call) -> Answer {
        let variables = call.arguments.object("variables").ok_or_else(|| error_answer("variables required"))?;
        check_variables(variables)?;
        if variables.get("budget").is_some_and(|budget| !is_budget(budget)) {
            return Err(error_answer("budget must be a number"));
        }
        let order_id = self.named_order(call)?;
        for (name, value) in variables {
            self.write_order_variable(order_id, name, value);
        }
        Ok(status_answer("success"))
    }

    /// `create_order`: a new deal on each call; a phone or e-mail nobody has makes a client.
    pub(super) fn create_order(&mut self, call: &Call) -> Answer {
        let arguments = &call.arguments;
        let state_id = arguments.id("state_id");
        if state_id.is_some_and(|id| self.project.stage(id).is_none()) {
            return Err(error_answer("state not found"));
        }
        if arguments.value("budget").is_some_and(|budget| !is_budget(budget)) {
            return Err(error_answer("budget must be a number"));
        }
        let client_id = self.order_client(call)?;
        let order_id = self.make_order(call.now_ms, client_id, state_id);
        let installation = self.options.installation;
        let fields = [
            ("name", installation.deal_name()),
            ("description", installation.deal_description()),
            ("budget", "budget"),
        ];
        for (argument, variable) in fields {
            if let Some(value) = arguments.value(argument) {
                self.write_order_variable(order_id, variable, value);
            }
        }
        Ok(success_with("order_id", order_id))
    }

    /// Only one of `client_id`, `phone`, `email` is used, in this order.
    fn order_client(&mut self, call: &Call) -> Result<i64, super::Response> {
        if call.arguments.filled("client_id").is_some() {
            return self.known_client(call, "client_id");
        }
        let (kind, address, found) = if let Some(phone) = call.arguments.filled("phone") {
            let found = self.clients_by_phone(&phone);
            (messenger::WHATSAPP, phone, found)
        } else if let Some(email) = call.arguments.filled("email") {
            let found = self.clients_by_email(&email);
            (messenger::EMAIL, email, found)
        } else {
            return Err(self.options.client_not_found());
        };
        if let Some(client_id) = found.first() {
            return Ok(*client_id);
        }
        let group = self.project.first_channel(kind).map(|channel| channel.group());
        let made = group.and_then(|group| self.find_or_make(call.now_ms, kind, &address, &group));
        made.ok_or_else(|| self.options.client_not_found())
    }

    /// `set_order_state`: the current deal.
    pub(super) fn set_order_state(&mut self, call: &Call) -> Answer {
        let client_id = self.known_client(call, "client_id")?;
        let state_id = call.arguments.id("state_id").filter(|id| self.project.stage(*id).is_some());
        let state_id = state_id.ok_or_else(|| error_answer("state not found"))?;
        let current = self.clients.get(&client_id).and_then(|client| self.current_order(client));
        let order_id = current.ok_or_else(|| order_not_found(None))?;
        self.move_order(call.now_ms, order_id, state_id);
        Ok(self.options.acknowledge())
    }

    /// `move_order_to_next_state`: one stage on each call; the last stage stays.
    pub(super) fn move_order_to_next_state(&mut self, call: &Call) -> Answer {
        let order_id = self.named_order(call)?;
        let state = self.orders.get(&order_id).and_then(|order| order.state_id);
        let next = match state {
            Some(state_id) => self.project.next_stage(state_id),
            None => self.project.first_stage(),
        };
        let next = next.ok_or_else(|| error_answer("state not found"))?;
        if state != Some(next) {
            self.move_order(call.now_ms, order_id, next);
        }
        Ok(success_with("state_id", next))
    }

    /// The deal a request names, if it is that client's.
    fn named_order(&self, call: &Call) -> Result<i64, super::Response> {
        let client_id = self.known_client(call, "client_id")?;
        let order_id = call.arguments.id("order_id");
        order_id.and_then(|id| self.own_order(client_id, id)).ok_or_else(|| order_not_found(order_id))
    }

    fn own_order(&self, client_id: i64, order_id: i64) -> Option<i64> {
        self.orders.get(&order_id).filter(|order| order.client_id == client_id).map(|order| order.id)
    }
}

/// A number, or a text that reads as one; the empty text clears it.
fn is_budget(value: &Value) -> bool {
    let text = plain_text(value);
    text.is_empty() || text.trim().parse::<f64>().is_ok_and(f64::is_finite)
}
