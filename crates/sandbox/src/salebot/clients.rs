//! Actions on clients: listing, loading, assigning, lists, deleting.

use serde_json::{Value, json};

use super::Salebot;
use super::answer::{Answer, error_answer, json_answer, success_with};
use super::arguments::as_id;
use super::options::SalebotOptions;
use super::project::{messenger, plain_text};
use super::routes::Call;
use super::state::Client;

/// Default and largest page of `get_clients` (Salebot API page).
const PAGE_LIMIT: i64 = 500;
/// Most ids in one `delete_clients` (Salebot API page).
const DELETE_LIMIT: usize = 500;

impl Salebot {
    /// `get_clients`: newest first; `reverse` turns that round unless a list is asked for.
    pub(super) fn get_clients(&mut self, call: &Call) -> Answer {
        let arguments = &call.arguments;
        let offset = usize::try_from(arguments.id("offset").unwrap_or(0)).unwrap_or(0);
        let limit = arguments.id("limit").unwrap_or(PAGE_LIMIT).clamp(0, PAGE_LIMIT);
        let limit = usize::try_from(limit).unwrap_or(0);
        let rows = |clients: &mut dyn Iterator<Item = &Client>| -> Vec<Value> {
            clients.skip(offset).take(limit).map(|client| client_row(&self.options, client)).collect()
        };
        let page = match arguments.id("list") {
            Some(list) => {
                let members = self.lists.get(&list).into_iter().flatten().rev();
                rows(&mut members.filter_map(|id| self.clients.get(id)))
            }
            None if arguments.flag("reverse") => rows(&mut self.clients.values()),
            None => rows(&mut self.clients.values().rev()),
        };
        Ok(success_with("clients", page))
    }

    /// `load_clients`: finds or makes a client for each element of the top-level array.
    pub(super) fn load_clients(&mut self, call: &Call) -> Answer {
        let wanted = call.arguments.array().ok_or_else(|| error_answer("an array of clients is expected"))?;
        let items: Vec<Value> = wanted.iter().map(|item| self.load_client(call.now_ms, item)).collect();
        Ok(success_with("items", items))
    }

    fn load_client(&mut self, now_ms: i64, item: &Value) -> Value {
        let member = |name: &str| item.get(name).cloned().unwrap_or(Value::Null);
        let (platform, group) = (member("platform_id"), member("group_id"));
        let client_type = as_id(&member("client_type"));
        let loaded =
            client_type.and_then(|kind| self.find_or_make(now_ms, kind, &plain_text(&platform), &plain_text(&group)));
        let Some(client) = loaded.and_then(|id| self.clients.get(&id)) else {
            return json!({ "platform_id": platform, "group_id": group, "client_type": client_type, "status": "error" });
        };
        json!({
            "platform_id": client.platform_id, "group_id": group, "client_type": client_type,
            "status": "success", "id": client.id,
        })
    }

    /// The client of a connected bot; none when the bot is not connected or the id is empty.
    /// Telephony has no bots, its group is empty.
    pub(super) fn find_or_make(&mut self, now_ms: i64, client_type: i64, platform: &str, group: &str) -> Option<i64> {
        let connected = match client_type {
            messenger::TELEPHONY => group.is_empty(),
            _ => self.project.channel(client_type, group).is_some(),
        };
        if !connected || platform.is_empty() {
            return None;
        }
        let found = self.find_client(client_type, platform, group);
        Some(found.unwrap_or_else(|| self.make_client(now_ms, client_type, platform, group)))
    }

    /// `assign_to_user`: without an e-mail the system's own distribution takes the first operator.
    pub(super) fn assign_to_user(&mut self, call: &Call) -> Answer {
        let email = call.arguments.filled("email");
        let operators = &self.project.operators;
        let operator = match &email {
            Some(email) => operators.iter().find(|operator| operator.email == *email),
            None => operators.first(),
        };
        let operator = operator.map(|operator| operator.email.clone()).ok_or_else(|| error_answer("user not found"))?;
        let client_id = self.known_client(call, "client_id")?;
        if let Some(client) = self.clients.get_mut(&client_id) {
            client.operator = Some(operator);
            client.updated_ms = call.now_ms;
        }
        Ok(self.options.acknowledge())
    }

    /// `add_to_list`.
    pub(super) fn add_to_list(&mut self, call: &Call) -> Answer {
        let (list_id, clients) = list_and_clients(call)?;
        let members = self.lists.entry(list_id).or_default();
        members.extend(clients.into_iter().filter(|id| self.clients.contains_key(id)));
        Ok(self.options.acknowledge())
    }

    /// `remove_from_list`.
    pub(super) fn remove_from_list(&mut self, call: &Call) -> Answer {
        let (list_id, clients) = list_and_clients(call)?;
        if let Some(members) = self.lists.get_mut(&list_id) {
            for id in clients {
                members.remove(&id);
            }
        }
        Ok(self.options.acknowledge())
    }

    /// `delete_clients`: a person who returns gets a new client id.
    pub(super) fn delete_clients(&mut self, call: &Call) -> Answer {
        let ids = call.arguments.list("client_ids").ok_or_else(|| error_answer("client_ids required"))?;
        if ids.len() > DELETE_LIMIT {
            return Err(error_answer("too many clients"));
        }
        for id in ids.iter().filter_map(as_id) {
            self.remove_client(id);
        }
        Ok(self.options.acknowledge())
    }

    /// The client an argument names, or the answer that there is none.
    pub(super) fn known_client(&self, call: &Call, name: &str) -> Result<i64, super::Response> {
        let id = call.arguments.id(name).filter(|id| self.clients.contains_key(id));
        id.ok_or_else(|| self.options.client_not_found())
    }
}

/// `find_client_id_by_platform_id`'s and `get_clients`' common members differ: this is the latter.
fn client_row(options: &SalebotOptions, client: &Client) -> Value {
    json!({
        "id": client.id,
        "platform_id": client.platform_id,
        "client_type": client.client_type,
        "name": client.name,
        "avatar": client.avatar,
        "message_id": client.block_id.map(|id| options.number(id)),
        "project_id": options.project_id,
        "created_at": options.time(client.created_ms),
        "updated_at": options.time(client.updated_ms),
        "custom_answer": null,
        "tag": client.tag,
        "group": client.group,
        "operator_start_dialog": null,
    })
}

fn list_and_clients(call: &Call) -> Result<(i64, Vec<i64>), super::Response> {
    let list_id = call.arguments.id("list_id").ok_or_else(|| error_answer("list_id required"))?;
    let clients = call.arguments.list("clients").ok_or_else(|| error_answer("clients required"))?;
    Ok((list_id, clients.iter().filter_map(as_id).collect()))
}

/// An array of ids as the finders answer it.
pub(super) fn id_list(ids: &[i64]) -> super::Response {
    json_answer(200, &json!({ "status": "success", "client_ids": ids }))
}
