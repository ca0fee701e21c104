//! Finding clients, and finding or making them.

use super::envelope::{Content, Form};
use super::{CLIENTS_MAX, Reply, SalebotApi};
use crate::core::fault::{Fault, FaultKind};
use crate::core::flex::{Flex, Object};
use crate::core::id::ClientId;
use crate::core::model::FoundClient;
use crate::ports::remote::{ClientAddress, Priority};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Most values in one search, to keep its body and its cost there modest.
const VALUES_MAX: usize = 1_000;
/// Telephony, whose clients belong to no bot (Salebot API page, `load_clients`).
const TELEPHONY: i64 = 13;
/// WhatsApp, whose ids are phone numbers.
const WHATSAPP: i64 = 6;

impl SalebotApi {
    /// A refusal is never taken for "nobody": only an empty list and the words "not found" are.
    pub(super) async fn search_values(
        &self,
        name: &str,
        values: &[String],
        priority: Priority,
    ) -> Result<Vec<ClientId>, Fault> {
        let values: Vec<&String> = values.iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut found = BTreeSet::new();
        for chunk in values.chunks(VALUES_MAX) {
            let condition = Map::from_iter([(name.to_owned(), json!({ "_in": chunk }))]);
            let reply = self.post("find_clients", &json!({ "q": condition }), priority, true).await?;
            let text = reply.text();
            match reply.open(&text, Form::Envelope) {
                Ok(Content::Object(object)) => found.extend(listed_ids(&reply, &object)?),
                Ok(Content::List(items)) => found.extend(items.into_iter().filter_map(Flex::id)),
                Ok(Content::Done | Content::Words) => return Err(reply.incomplete("it lists no clients")),
                Err(refusal) => self.missing_or_key(refusal, reply.action, priority).await?,
            }
        }
        Ok(found.into_iter().map(ClientId).collect())
    }

    pub(super) async fn search_platform(
        &self,
        platform_ids: &[String],
        group_id: &str,
        priority: Priority,
    ) -> Result<Vec<FoundClient>, Fault> {
        let ids: Vec<&String> = platform_ids.iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut found = Vec::new();
        for chunk in ids.chunks(VALUES_MAX) {
            let group = self.group_value(group_id, priority).await;
            let body = json!({ "platform_ids": chunk, "group_id": group });
            let reply = self.post("find_client_id_by_platform_id", &body, priority, true).await?;
            let text = reply.text();
            match reply.open(&text, Form::Envelope) {
                Ok(Content::List(items)) => found.extend(items.into_iter().filter_map(found_client)),
                Ok(Content::Object(object)) => {
                    let items = ["clients", "result", "items"].iter().find_map(|name| object.get(name)?.list());
                    let items = items.ok_or_else(|| reply.incomplete("it lists no clients"))?;
                    found.extend(items.into_iter().filter_map(found_client));
                }
                Ok(Content::Done | Content::Words) => return Err(reply.incomplete("it lists no clients")),
                Err(refusal) => self.missing_or_key(refusal, reply.action, priority).await?,
            }
        }
        Ok(found)
    }

    /// Get or make, so a repeat is harmless. Results in the order asked.
    pub(super) async fn load(&self, clients: &[ClientAddress], priority: Priority) -> Vec<Result<ClientId, Fault>> {
        let mut results = Vec::with_capacity(clients.len());
        for chunk in clients.chunks(CLIENTS_MAX) {
            match self.load_chunk(chunk, priority).await {
                Ok(loaded) => results.extend(loaded),
                Err(fault) => results.extend(chunk.iter().map(|_| Err(fault.clone()))),
            }
        }
        results
    }

    async fn load_chunk(
        &self,
        chunk: &[ClientAddress],
        priority: Priority,
    ) -> Result<Vec<Result<ClientId, Fault>>, Fault> {
        let mut rows = Vec::with_capacity(chunk.len());
        for address in chunk {
            let group = match address.client_type {
                TELEPHONY => json!(""),
                _ => self.group_value(&address.group_id, priority).await,
            };
            rows.push(json!({
                "platform_id": address.platform_id, "group_id": group, "client_type": address.client_type,
            }));
        }
        let reply = self.post("load_clients", &Value::Array(rows), priority, true).await?;
        let text = reply.text();
        let items = match reply.open(&text, Form::Envelope).map_err(|refusal| reply.fault(&refusal))? {
            Content::Object(object) => object.get("items").and_then(Flex::list),
            Content::List(items) => Some(items),
            Content::Done | Content::Words => None,
        };
        let items = items.ok_or_else(|| reply.incomplete("it lists no clients"))?;
        Ok(matched(chunk, &items, &reply))
    }
}

/// `client_ids` by any of the names it may have.
fn listed_ids(reply: &Reply, object: &Object<'_>) -> Result<Vec<u64>, Fault> {
    let ids = ["client_ids", "result", "client_id"].iter().find_map(|name| object.get(name));
    ids.map(Flex::ids).ok_or_else(|| reply.incomplete("it lists no clients"))
}

/// A row without an id names nobody.
fn found_client(row: Flex<'_>) -> Option<FoundClient> {
    let object = row.object()?;
    let variables = object.get("variables").and_then(Flex::object).map(|variables| variables.variables());
    Some(FoundClient { client: object.client()?, variables })
}

/// Results by messenger id and bot, since the order of the answer is nowhere promised.
fn matched(chunk: &[ClientAddress], items: &[Flex<'_>], reply: &Reply) -> Vec<Result<ClientId, Fault>> {
    let objects: Vec<Object<'_>> = items.iter().filter_map(|item| item.object()).collect();
    let by_address: BTreeMap<_, _> = objects.iter().map(|object| (answered_key(object), object)).collect();
    // One was asked for and one came: it is the one, however its id was rewritten.
    let only = (chunk.len() == 1 && objects.len() == 1).then(|| &objects[0]);
    let find = |address: &ClientAddress| by_address.get(&asked_key(address)).copied().or(only);
    chunk
        .iter()
        .map(|address| find(address).map_or_else(|| Err(unanswered(reply)), |object| loaded(object, reply)))
        .collect()
}

fn unanswered(reply: &Reply) -> Fault {
    reply.incomplete("it does not say what became of this client")
}

fn loaded(object: &Object<'_>, reply: &Reply) -> Result<ClientId, Fault> {
    let is_success = object.present("status").is_none_or(|status| status.eq_ignore_ascii_case("success"));
    match object.id("id").or_else(|| object.id("client_id")) {
        Some(id) if is_success => Ok(ClientId(id)),
        Some(_) | None if is_success => Err(unanswered(reply)),
        _ => Err(Fault::new(FaultKind::Rejected, "Salebot load_clients refused this client")),
    }
}

fn asked_key(address: &ClientAddress) -> (String, String) {
    let group = if address.client_type == TELEPHONY { "" } else { address.group_id.as_str() };
    (bare_platform_id(&address.platform_id, address.client_type), group.to_owned())
}

fn answered_key(object: &Object<'_>) -> (String, String) {
    let text = |name: &str| object.get(name).and_then(Flex::scalar).unwrap_or_default().into_owned();
    let client_type = object.get("client_type").and_then(Flex::integer).unwrap_or_default();
    (bare_platform_id(&text("platform_id"), client_type), text("group_id"))
}

/// WhatsApp ids gain or lose a suffix on their way, and come in free form (Salebot API page,
/// `load_clients`).
fn bare_platform_id(platform_id: &str, client_type: i64) -> String {
    let bare = platform_id.split('@').next().unwrap_or_default().trim();
    match client_type {
        WHATSAPP => bare.chars().filter(char::is_ascii_digit).collect(),
        _ => platform_id.trim().to_owned(),
    }
}
