//! The channels connected to a project, and how their ids are written.

use super::SalebotApi;
use crate::core::flex::{Flex, Kind, Object};
use crate::ports::remote::Priority;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::sync::OnceCell;

/// A connected bot or account (Salebot API page, `connected_channels`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// The messenger as the answer names it: `telegram`, `whatsapp` …
    pub messenger: String,
    /// What other requests call it.
    pub group_id: String,
    /// True where `group_id` is a JSON number.
    pub is_number: bool,
    /// Its name, where the answer has one.
    pub name: Option<String>,
    /// Whether it is switched on, where the answer says so.
    pub enabled: Option<bool>,
}

/// The JSON type of each channel's id, asked for once.
#[derive(Debug, Default)]
pub(super) struct ChannelTypes(OnceCell<BTreeMap<String, bool>>);

impl SalebotApi {
    /// A channel's id with the JSON type that `connected_channels` gives it: there are numbers, and
    /// texts of digits alone. Where it is not listed, digits become a number, as in the official
    /// example of `load_clients`.
    pub(super) async fn group_value(&self, group_id: &str, priority: Priority) -> Value {
        let types = self.channel_types.0.get_or_try_init(|| async {
            let channels = self.channels(priority).await?;
            Ok::<_, crate::core::fault::Fault>(
                channels.into_iter().map(|channel| (channel.group_id, channel.is_number)).collect(),
            )
        });
        let listed = types.await.ok().and_then(|types| types.get(group_id).copied());
        match group_id.parse::<i64>() {
            Ok(number) if listed.unwrap_or(true) && number.to_string() == group_id => json!(number),
            _ => json!(group_id),
        }
    }
}

/// Every list in the answer is a messenger's; new ones appear.
pub(super) fn channels(object: &Object<'_>) -> Vec<Channel> {
    let messengers = object.members().filter_map(|(messenger, rows)| Some((messenger, rows.list()?)));
    messengers.flat_map(|(messenger, rows)| rows.into_iter().filter_map(move |row| channel(messenger, row))).collect()
}

fn channel(messenger: &str, row: Flex<'_>) -> Option<Channel> {
    let object = row.object()?;
    let group = object.get("group_id")?;
    Some(Channel {
        messenger: messenger.to_owned(),
        group_id: group.present()?,
        is_number: group.kind() == Kind::Number,
        name: ["name", "short_name", "uri", "group"].iter().find_map(|name| object.present(name)),
        enabled: object.get("enabled").and_then(Flex::truth),
    })
}
