//! Finders of clients by messenger id, phone, e-mail or variable.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Salebot;
use super::answer::{Answer, empty_answer, error_answer, json_answer};
use super::clients::id_list;
use super::index::digits;
use super::options::{FinderChoice, IdListForm, PhoneMatch, PlatformMiss};
use super::project::{messenger, plain_text};
use super::routes::Call;
use super::state::Client;

/// Most variables in one search (Salebot API page).
const SEVERAL_LIMIT: usize = 3;

impl Salebot {
    /// `find_client_id_by_platform_id`: a top-level array, in the order of the ids asked for.
    pub(super) fn find_client_id_by_platform_id(&mut self, call: &Call) -> Answer {
        let wanted = call.arguments.list("platform_ids").ok_or_else(|| error_answer("platform_ids required"))?;
        let group = call.arguments.filled("group_id");
        let found: Vec<Value> =
            self.platform_clients(wanted, group.as_deref()).map(|client| self.found_row(client)).collect();
        if found.is_empty() && self.options.platform_miss == PlatformMiss::StatusInBody {
            return Ok(error_answer("clients not found"));
        }
        Ok(json_answer(200, &found))
    }

    /// The clients with these messenger ids, of one bot or of all.
    pub(super) fn platform_clients<'a>(
        &'a self,
        wanted: &'a [Value],
        group: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Client> {
        let ids = wanted.iter().flat_map(|platform| self.platforms.clients(&plain_text(platform)));
        ids.filter_map(|id| self.clients.get(&id)).filter(move |client| group.is_none_or(|group| client.group == group))
    }

    fn found_row(&self, client: &Client) -> Value {
        json!({
            "id": client.id,
            "tag": client.tag,
            "created_at": self.options.time(client.created_ms),
            "name": client.name,
            "avatar": client.avatar,
            "platform_id": client.platform_id,
            "group": client.group,
            "variables": client.variables,
        })
    }

    /// `online_chat_client_id`: may make a client, as one who opened the chat and wrote nothing.
    pub(super) fn online_chat_client_id(&mut self, call: &Call) -> Answer {
        let recipient = call.arguments.filled("recipient").ok_or_else(|| error_answer("recipient required"))?;
        let channel = self.project.first_channel(messenger::ONLINE_CHAT);
        let group = channel.map(|channel| channel.group()).ok_or_else(|| self.options.nobody_found())?;
        let found = self.find_client(messenger::ONLINE_CHAT, &recipient, &group);
        let id = match found {
            Some(id) => id,
            None if self.options.online_chat_creates => {
                self.make_client(call.now_ms, messenger::ONLINE_CHAT, &recipient, &group)
            }
            None => return Ok(self.options.nobody_found()),
        };
        if let Some(client) = self.clients.get_mut(&id) {
            client.name = call.arguments.filled("name").or(client.name.take());
            client.tag = call.arguments.filled("tag").or(client.tag.take());
        }
        Ok(json_answer(200, &json!({ "client_id": id })))
    }

    /// `whatsapp_client_id`: 404 when there is none, as documented.
    pub(super) fn whatsapp_client_id(&mut self, call: &Call) -> Answer {
        let phone = call.arguments.filled("phone").ok_or_else(|| empty_answer(404))?;
        let group = call.arguments.filled("group_id");
        let found = self.whatsapp_clients(&phone).find(|id| {
            group.as_ref().is_none_or(|group| self.clients.get(id).is_some_and(|client| client.group == *group))
        });
        Ok(found.map_or_else(|| empty_answer(404), |id| json_answer(200, &json!({ "client_id": id }))))
    }

    /// WhatsApp's clients with these digits, over all its bots.
    pub(super) fn whatsapp_clients(&self, phone: &str) -> impl Iterator<Item = i64> + use<'_> {
        let phone_digits = digits(phone);
        let ids: Vec<i64> = self.platforms.clients(&phone_digits).collect();
        ids.into_iter()
            .filter(|id| self.clients.get(id).is_some_and(|client| client.client_type == messenger::WHATSAPP))
    }

    /// `find_client_id_by_phone`: WhatsApp's clients and the variable `phone`.
    pub(super) fn find_client_id_by_phone(&mut self, call: &Call) -> Answer {
        let phone = call.arguments.filled("phone").ok_or_else(|| error_answer("phone required"))?;
        let found = self.clients_by_phone(&phone);
        Ok(self.one_found(&found))
    }

    /// Everybody with this phone.
    pub(super) fn clients_by_phone(&self, phone: &str) -> BTreeSet<i64> {
        let mut found: BTreeSet<i64> = match self.options.phone_match {
            PhoneMatch::Exact => self.holders_anywhere("phone", phone),
            PhoneMatch::Digits => {
                let phone_digits = digits(phone);
                let orders = self.order_values.phone_holders(&phone_digits);
                self.client_values.phone_holders(&phone_digits).chain(self.owners(orders)).collect()
            }
        };
        found.extend(self.whatsapp_clients(phone));
        found
    }

    /// `find_client_id_by_email`: the variable `email`.
    pub(super) fn find_client_id_by_email(&mut self, call: &Call) -> Answer {
        let email = call.arguments.filled("email").ok_or_else(|| error_answer("email required"))?;
        let found = self.clients_by_email(&email);
        Ok(self.one_found(&found))
    }

    /// Everybody with this e-mail: the variable, and clients of the e-mail channel.
    pub(super) fn clients_by_email(&self, email: &str) -> BTreeSet<i64> {
        let mut found = self.holders_anywhere("email", email);
        found.extend(
            self.platforms
                .clients(email)
                .filter(|id| self.clients.get(id).is_some_and(|client| client.client_type == messenger::EMAIL)),
        );
        found
    }

    /// `find_client_id_by_var`: the client's variables, or its deals' with `search_in=order`.
    pub(super) fn find_client_id_by_var(&mut self, call: &Call) -> Answer {
        let (name, value) = variable_and_value(call)?;
        let in_orders = call.arguments.text("search_in").as_deref() == Some("order");
        let mut found: BTreeSet<i64> = if in_orders {
            self.owners(self.order_values.holders(&name, &value)).collect()
        } else {
            self.client_values.holders(&name, &value).collect()
        };
        if let Some(group) = call.arguments.filled("group_id") {
            found.retain(|id| self.clients.get(id).is_some_and(|client| client.group == group));
        }
        Ok(self.one_found(&found))
    }

    /// `find_latest_client_id_by_var`: the newest client; its own variables and its deals'.
    pub(super) fn find_latest_client_id_by_var(&mut self, call: &Call) -> Answer {
        let (name, value) = variable_and_value(call)?;
        let found = self.holders_anywhere(&name, &value);
        Ok(found.last().map_or_else(|| self.options.nobody_found(), |id| found_one(*id)))
    }

    /// `find_all_client_id_by_var`.
    pub(super) fn find_all_client_id_by_var(&mut self, call: &Call) -> Answer {
        let (name, value) = variable_and_value(call)?;
        let found: Vec<i64> = self.holders_anywhere(&name, &value).into_iter().collect();
        Ok(match self.options.id_list_form {
            IdListForm::ClientIds => id_list(&found),
            IdListForm::Result => json_answer(200, &json!({ "status": "success", "result": found })),
            IdListForm::BareArray => json_answer(200, &found),
        })
    }

    /// `find_all_client_id_by_several_vars`: up to three names, all must hold.
    pub(super) fn find_all_client_id_by_several_vars(&mut self, call: &Call) -> Answer {
        let conditions: Vec<(&String, String)> =
            call.arguments.iter().map(|(name, value)| (name, plain_text(value))).collect();
        if conditions.is_empty() || conditions.len() > SEVERAL_LIMIT {
            return Err(error_answer("one to three variables are expected"));
        }
        let sets = conditions.iter().map(|(name, value)| self.holders_anywhere(name, value));
        let found = sets.reduce(|left, right| left.intersection(&right).copied().collect()).unwrap_or_default();
        Ok(id_list(&found.into_iter().collect::<Vec<_>>()))
    }

    /// Clients that have the value themselves or in one of their deals.
    fn holders_anywhere(&self, name: &str, value: &str) -> BTreeSet<i64> {
        let orders = self.order_values.holders(name, value);
        self.client_values.holders(name, value).chain(self.owners(orders)).collect()
    }

    /// Whose these deals are.
    pub(super) fn owners<'a>(&'a self, orders: impl Iterator<Item = i64> + 'a) -> impl Iterator<Item = i64> + 'a {
        orders.filter_map(|id| self.orders.get(&id).map(|order| order.client_id))
    }

    fn one_found(&self, found: &BTreeSet<i64>) -> super::Response {
        let chosen = match self.options.finder_choice {
            FinderChoice::Oldest => found.first(),
            FinderChoice::Newest => found.last(),
        };
        chosen.map_or_else(|| self.options.nobody_found(), |id| found_one(*id))
    }
}

fn found_one(id: i64) -> super::Response {
    json_answer(200, &json!({ "status": "success", "client_id": id }))
}

fn variable_and_value(call: &Call) -> Result<(String, String), super::Response> {
    let name = call.arguments.filled("var").ok_or_else(|| error_answer("var required"))?;
    let value = call.arguments.text("val").ok_or_else(|| error_answer("val required"))?;
    Ok((name, value))
}
