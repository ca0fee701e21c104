//! Orders of SalebotCRM.

use super::envelope::{Content, Form};
use super::fault::{Refusal, RefusalKind};
use super::{DealLanguage, SalebotApi, pair};
use crate::core::fault::Fault;
use crate::core::flex::{Flex, Object};
use crate::core::id::{ClientId, OrderId, StateId};
use crate::core::model::{Order, OrderStatus, Variables};
use crate::ports::remote::{NewOrder, Priority, Wanted};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// What `order_status` means (Salebot API page, `get_orders`).
const STATUSES: [(OrderStatus, u32); 3] = [(OrderStatus::Active, 0), (OrderStatus::Won, 1), (OrderStatus::Lost, 2)];
/// The budget's name; it is a number and not localised (Salebot's page on deals).
const BUDGET: &str = "budget";

impl DealLanguage {
    /// The wire's names of `name` and `description`.
    fn names(self) -> [(&'static str, &'static str); 2] {
        match self {
            DealLanguage::Russian => [("name", "Название"), ("description", "Описание")],
            DealLanguage::English => [("name", "Name"), ("description", "Description")],
        }
    }
}

impl SalebotApi {
    /// `order_id` is documented as a list under a singular name; a single id and nothing are taken too.
    pub(super) async fn list_orders(
        &self,
        client: ClientId,
        status: OrderStatus,
        priority: Priority,
    ) -> Result<Vec<OrderId>, Fault> {
        let number = STATUSES.iter().find(|(known, _)| *known == status).map_or(0, |(_, number)| *number);
        let query = vec![pair("client_id", client), pair("order_status", number)];
        let reply = self.get("get_orders", query, priority).await?;
        let text = reply.text();
        match reply.open(&text, Form::Envelope) {
            Ok(Content::Object(object)) => {
                let ids = ["order_id", "order_ids"].iter().find_map(|name| object.some(name));
                Ok(ids.map(Flex::ids).unwrap_or_default().into_iter().map(OrderId).collect())
            }
            Ok(Content::List(items)) => Ok(items.into_iter().filter_map(Flex::id).map(OrderId).collect()),
            Ok(Content::Done | Content::Words) => Err(reply.incomplete("it lists no orders")),
            Err(Refusal { kind: RefusalKind::OrderMissing, .. }) => Ok(Vec::new()),
            Err(refusal) => Err(reply.fault(&refusal)),
        }
    }

    /// Asked list by list: no request tells the status of one order.
    pub(super) async fn find_status(
        &self,
        client: ClientId,
        order: OrderId,
        priority: Priority,
    ) -> Result<Option<OrderStatus>, Fault> {
        for (status, _) in STATUSES {
            if self.list_orders(client, status, priority).await?.contains(&order) {
                return Ok(Some(status));
            }
        }
        Ok(None)
    }

    pub(super) async fn read_current_order(
        &self,
        client: ClientId,
        priority: Priority,
    ) -> Result<Option<OrderId>, Fault> {
        let reply = self.get("get_current_order_id", vec![pair("client_id", client)], priority).await?;
        let text = reply.text();
        match reply.open(&text, Form::Envelope) {
            Ok(Content::Object(object)) => Ok(object.id("order_id").map(OrderId)),
            Ok(_) => Err(reply.incomplete("its answer is no object")),
            Err(Refusal { kind: RefusalKind::OrderMissing, .. }) => Ok(None),
            Err(refusal) => Err(reply.fault(&refusal)),
        }
    }

    /// Two requests: variables, then the stage. The variables say whether the order is there; a
    /// stage that is "not found" is usual for orders that never reached one.
    ///
    /// Variables are asked for by name, which is the documented form. An answer without any value is a
    /// fault: an order of ours has its description, and the other reading would empty all that is mapped.
    pub(super) async fn read_order(
        &self,
        client: ClientId,
        order: OrderId,
        wanted: Wanted<'_>,
        priority: Priority,
    ) -> Result<Option<Order>, Fault> {
        let mut body = json!({ "client_id": client, "order_id": order });
        match wanted {
            Wanted::Own => body["variables"] = json!(asked_names(&BTreeSet::new())),
            Wanted::Named(names) => body["variables"] = json!(asked_names(names)),
            Wanted::Anything => {}
        }
        let reply = self.post("get_order_vars", &body, priority, true).await?;
        let text = reply.text();
        let variables = match reply.open(&text, Form::Envelope) {
            Ok(Content::Object(object)) => {
                let told = object.get("result").and_then(Flex::object).filter(|result| !result.is_empty());
                let variables = told.as_ref().map(order_variables).unwrap_or_default();
                // Somebody else's order may have nothing; then it is told of each name that it has not.
                let is_without = wanted == Wanted::Own && told.is_some();
                if variables.is_empty() && !is_without {
                    return Err(reply.incomplete("it tells no value of the order"));
                }
                variables
            }
            Ok(_) => return Err(reply.incomplete("its answer is no object")),
            Err(refusal) if matches!(refusal.kind, RefusalKind::ClientMissing | RefusalKind::OrderMissing) => {
                return Ok(None);
            }
            Err(refusal) => return Err(reply.fault(&refusal)),
        };
        Ok(Some(Order { state: self.read_state(client, order, priority).await?, variables }))
    }

    async fn read_state(&self, client: ClientId, order: OrderId, priority: Priority) -> Result<Option<StateId>, Fault> {
        let query = vec![pair("client_id", client), pair("order_id", order)];
        let reply = self.get("get_order_state", query, priority).await?;
        let text = reply.text();
        match reply.open(&text, Form::Envelope) {
            Ok(Content::Object(object)) => Ok(object.id("state_id").map(StateId)),
            Ok(_) => Err(reply.incomplete("its answer is no object")),
            Err(refusal) if refusal.is_missing() => Ok(None),
            Err(refusal) => Err(reply.fault(&refusal)),
        }
    }

    pub(super) async fn make_order(&self, order: &NewOrder, priority: Priority) -> Result<OrderId, Fault> {
        let mut body = json!({
            "client_id": order.client, "name": order.name, "description": order.description, "budget": order.budget,
        });
        if let Some(state) = order.state {
            body["state_id"] = json!(state);
        }
        let reply = self.post("create_order", &body, priority, false).await?;
        let text = reply.text();
        let object = reply.object(&text, Form::Envelope)?;
        object.id("order_id").map(OrderId).ok_or_else(|| reply.incomplete("it names no order"))
    }

    pub(super) async fn write_order(
        &self,
        client: ClientId,
        order: OrderId,
        variables: &Variables,
        priority: Priority,
    ) -> Result<(), Fault> {
        if variables.is_empty() {
            return Ok(());
        }
        let values: Map<String, Value> =
            variables.iter().map(|(name, value)| (wire_name(self.language, name), wire_value(name, value))).collect();
        let body = json!({ "client_id": client, "order_id": order, "variables": values });
        self.post("set_order_vars", &body, priority, true).await?.done()
    }

    /// Acts on the client's current order: no order id is documented.
    pub(super) async fn move_order(&self, client: ClientId, state: StateId, priority: Priority) -> Result<(), Fault> {
        let body = json!({ "client_id": client, "state_id": state });
        self.post("set_order_state", &body, priority, true).await?.done()
    }
}

/// Variables with the order's own fields under our names, whichever language they came in. A
/// localised field wins over a variable that happens to be called `name`.
fn order_variables(object: &Object<'_>) -> Variables {
    let mut variables = object.variables();
    for language in [DealLanguage::English, DealLanguage::Russian] {
        for (name, localised) in language.names() {
            if let Some(value) = variables.remove(localised) {
                variables.insert(name.to_owned(), value);
            }
        }
    }
    variables
}

/// The names to ask for. An order's own fields are asked for in every spelling in which they are read.
fn asked_names(names: &BTreeSet<String>) -> BTreeSet<&str> {
    let own = [DealLanguage::English, DealLanguage::Russian].map(DealLanguage::names).into_iter().flatten();
    let own = own.flat_map(|(name, localised)| [name, localised]);
    names.iter().map(String::as_str).chain(own).chain([BUDGET]).collect()
}

fn wire_name(language: DealLanguage, name: &str) -> String {
    let localised = language.names().into_iter().find(|(own, _)| *own == name);
    localised.map_or(name, |(_, localised)| localised).to_owned()
}

/// The budget must be a number; clearing it means zero. A text that is none goes as it is, to be
/// refused by the service in its own words.
fn wire_value(name: &str, value: &str) -> Value {
    match (name, value.trim()) {
        (BUDGET, "") => json!(0),
        (BUDGET, text) => text.parse::<i64>().map_or_else(|_| json!(value), |budget| json!(budget)),
        _ => json!(value),
    }
}
