//! The needs on Salebot's side: reachable, key, permissions, clock, channels.
//!
//! Only what reads is tried. Permissions are told by their classes on Salebot's API page: RC and WC read and change
//! clients, RD and WD read and change the CRM.

use super::amo::unreachable;
use super::{Need, Subject, clock};
use crate::app::wire;
use crate::config::Bridge;
use crate::core::fault::{Fault, FaultKind};
use crate::core::id::ClientId;
use crate::core::model::{ClientRow, Variables, messenger_name};
use crate::core::nearest::nearest;
use crate::core::policy::{ClientChannel, CreateClient};
use crate::core::survey::listed;
use crate::ports::remote::{Page, Priority, Salebot};
use crate::remote::salebot::{Channel, SalebotApi};
use secrecy::ExposeSecret;

/// Clients whose variables are looked at.
const SAMPLES: u32 = 3;
/// Asked about where the project has no client: nobody is called so, and the answer tells that we may ask.
const NOBODY: ClientId = ClientId(1);
/// What rests on a good key.
const ON_KEY: [Subject; 5] = [
    Subject::SALEBOT_CLOCK,
    Subject::SALEBOT_CLIENTS,
    Subject::SALEBOT_DEALS,
    Subject::SALEBOT_WRITES,
    Subject::CHANNELS,
];
const KEYS_PLACE: &str = "in Salebot: project settings, Integrations, API keys";

/// What was found.
pub(super) struct OfSalebot {
    /// Each need.
    pub(super) needs: Vec<Need>,
    /// Variables of a few clients.
    pub(super) samples: Vec<Variables>,
}

/// Tries Salebot: three requests, and one for each sample.
pub(super) async fn examine(bridge: &Bridge, salebot: &SalebotApi, deals: &SalebotApi) -> OfSalebot {
    let without = |mut needs: Vec<Need>, reason: &str| {
        needs.extend(ON_KEY.iter().map(|subject| Need::not_tried(*subject, reason)));
        OfSalebot { needs, samples: Vec::new() }
    };
    if bridge.salebot.api_key.expose_secret().is_empty() {
        let reason = "the key could not be read";
        return without(vec![Need::not_tried(Subject::SALEBOT, reason)], reason);
    }
    let channels = match salebot.channels(Priority::Person).await {
        Ok(channels) => channels,
        Err(fault) if fault.kind == FaultKind::Auth => return refused(bridge, deals, &fault).await,
        Err(fault) => {
            let need = unreachable(Subject::SALEBOT, &bridge.salebot.url, &fault);
            return without(vec![need], "Salebot must be reachable first");
        }
    };
    let mut needs = vec![Need::fine(Subject::SALEBOT, format!("{} answers, the key is accepted", bridge.salebot.url))];
    let before = wire::now();
    let clients = salebot.clients(0, SAMPLES, false, Priority::Person).await;
    let server = clients.as_ref().ok().and_then(|page| page.server_time);
    needs.push(clock(Subject::SALEBOT_CLOCK, server, before, wire::now()));
    let (need, samples, first) = read_clients(bridge, salebot, clients).await;
    needs.push(need);
    needs.push(read_deals(bridge, deals, first).await);
    needs.push(writes(bridge));
    needs.push(connected(&channels));
    needs.extend(create_with(bridge, &channels));
    OfSalebot { needs, samples }
}

/// The key was not accepted for reading clients: is it wrong, or does it only lack this permission?
async fn refused(bridge: &Bridge, deals: &SalebotApi, fault: &Fault) -> OfSalebot {
    let mut needs = Vec::new();
    let lacks_one = match deals.active_orders(NOBODY, Priority::Person).await {
        Ok(_) => true,
        Err(fault) => matches!(fault.kind, FaultKind::Gone | FaultKind::Rejected),
    };
    if lacks_one {
        needs.push(Need::fine(Subject::SALEBOT, format!("{} answers, the key is accepted", bridge.salebot.url)));
        let remedy = format!("give the key the permission to read clients (RC), {KEYS_PLACE}");
        needs.push(Need::failed(Subject::SALEBOT_CLIENTS, "the key may not read clients (RC)", remedy));
    } else {
        let remedy = format!(
            "copy the key of this project again ({KEYS_PLACE}) to where salebot.api_key points; it needs the permissions \
             to read and change clients (RC, WC) and to read and change the CRM (RD, WD). Projects abroad have another salebot.url"
        );
        needs.push(Need::failed(Subject::SALEBOT, format!("the key is not accepted: {}", fault.reason), remedy));
    }
    let told: Vec<Subject> = needs.iter().map(|need| need.subject).collect();
    let rest = ON_KEY.iter().filter(|subject| !told.contains(subject));
    needs.extend(rest.map(|subject| Need::not_tried(*subject, "the key must be good and may read clients first")));
    OfSalebot { needs, samples: Vec::new() }
}

/// The need, a few clients' variables, and a client to ask about.
async fn read_clients(
    bridge: &Bridge,
    salebot: &SalebotApi,
    clients: Result<Page<ClientRow>, Fault>,
) -> (Need, Vec<Variables>, ClientId) {
    let page = match clients {
        Ok(page) => page,
        Err(fault) => {
            let remedy = format!("give the key the permission to read clients (RC), {KEYS_PLACE}");
            let found = format!("the list of clients cannot be read: {}", fault.reason);
            return (Need::failed(Subject::SALEBOT_CLIENTS, found, remedy), Vec::new(), NOBODY);
        }
    };
    let first = page.rows.first().map_or(NOBODY, |row| row.client.id);
    let mut samples = Vec::new();
    // Values matter only where some pair writes them into amoCRM.
    let is_wanted = bridge.policy.rules.iter().any(|rule| rule.direction.writes_amo());
    for row in page.rows.iter().filter(|_| is_wanted) {
        match salebot.variables(row.client.id, Priority::Person).await {
            Ok(variables) => samples.extend(variables),
            Err(fault) => {
                let remedy = format!("give the key the permission to read clients (RC), {KEYS_PLACE}");
                let found = format!("a client's variables cannot be read: {}", fault.reason);
                return (Need::failed(Subject::SALEBOT_CLIENTS, found, remedy), samples, first);
            }
        }
    }
    let found = match page.rows.len() {
        0 => "allowed (RC); the project has no clients yet".to_owned(),
        count => format!("allowed (RC); the newest {count} were looked at"),
    };
    (Need::fine(Subject::SALEBOT_CLIENTS, found), samples, first)
}

async fn read_deals(bridge: &Bridge, deals: &SalebotApi, client: ClientId) -> Need {
    let subject = Subject::SALEBOT_DEALS;
    if !bridge.policy.orders.enabled {
        return Need::not_tried(subject, "not needed: orders are off");
    }
    let remedy =
        format!("give the key the permission to read the CRM (RD), {KEYS_PLACE}; or set orders.enabled = false");
    match deals.active_orders(client, Priority::Person).await {
        Ok(_) => Need::fine(subject, "allowed (RD)"),
        // The question about nobody was understood.
        Err(fault) if matches!(fault.kind, FaultKind::Gone | FaultKind::Rejected) => {
            Need::fine(subject, "allowed (RD)")
        }
        Err(fault) if fault.kind == FaultKind::Auth => {
            Need::failed(subject, format!("the key may not read the CRM (RD): {}", fault.reason), remedy)
        }
        Err(fault) => Need::warning(subject, format!("orders cannot be read: {}", fault.reason), "try again later"),
    }
}

/// What only a write could tell.
fn writes(bridge: &Bridge) -> Need {
    let classes = if bridge.policy.orders.enabled { "clients (WC) and the CRM (WD)" } else { "clients (WC)" };
    Need::not_tried(
        Subject::SALEBOT_WRITES,
        format!("only a write could tell: see that the key may change {classes}, {KEYS_PLACE}"),
    )
}

fn connected(channels: &[Channel]) -> Need {
    if channels.is_empty() {
        let remedy = "connect a bot in Salebot: Channels";
        return Need::warning(Subject::CHANNELS, "no bot is connected to the project", remedy);
    }
    let names: Vec<String> = channels.iter().map(channel_words).collect();
    Need::fine(Subject::CHANNELS, listed(&names.iter().map(String::as_str).collect::<Vec<_>>()))
}

fn channel_words(channel: &Channel) -> String {
    format!("{} {}", channel.messenger, channel.name.as_deref().unwrap_or(&channel.group_id))
}

fn create_with(bridge: &Bridge, channels: &[Channel]) -> Option<Need> {
    let people = &bridge.policy.people;
    let wanted = people.create_with.as_ref().filter(|_| people.create_client == CreateClient::LoadClients)?;
    Some(new_clients_channel(wanted, channels))
}

fn new_clients_channel(wanted: &ClientChannel, channels: &[Channel]) -> Need {
    let subject = Subject::CREATE_WITH;
    let Some(channel) = channels.iter().find(|channel| channel.group_id == wanted.group_id) else {
        let groups: Vec<&str> = channels.iter().map(|channel| channel.group_id.as_str()).collect();
        let all: Vec<String> =
            channels.iter().map(|channel| format!("{} ({})", channel.group_id, channel.messenger)).collect();
        let near =
            nearest(&wanted.group_id, groups).map(|near| format!("did you mean \"{near}\"? ")).unwrap_or_default();
        let remedy = format!("{near}The project has {}", listed(&all.iter().map(String::as_str).collect::<Vec<_>>()));
        return Need::failed(subject, format!("no channel has the group_id \"{}\"", wanted.group_id), remedy);
    };
    let found = format!("{}, group_id \"{}\"", channel_words(channel), channel.group_id);
    if channel.enabled == Some(false) {
        return Need::warning(subject, format!("{found} is switched off"), "switch it on in Salebot: Channels");
    }
    let told = messenger_name(wanted.client_type).to_lowercase();
    let known = ["telegram", "viber", "whatsapp", "avito"];
    if known.contains(&channel.messenger.as_str()) && !told.starts_with(&channel.messenger) {
        let what = format!("{found}, and client_type {} is {told}", wanted.client_type);
        return Need::warning(
            subject,
            what,
            "set create_with.client_type to the number of this messenger (6 is WhatsApp, 1 Telegram)",
        );
    }
    Need::fine(subject, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Outcome;

    fn channel(messenger: &str, group: &str, enabled: Option<bool>) -> Channel {
        let (messenger, group_id) = (messenger.to_owned(), group.to_owned());
        Channel { messenger, group_id, is_number: true, name: None, enabled }
    }

    #[test]
    fn the_channel_for_new_clients_is_held_against_the_project() {
        let channels = [channel("whatsapp", "34810", None), channel("telegram", "some_bot", Some(false))];
        let of = |group: &str, client_type| {
            new_clients_channel(&ClientChannel { group_id: group.to_owned(), client_type }, &channels)
        };
        assert_eq!(of("34810", 6).outcome, Outcome::Fine);
        let typo = of("34801", 6);
        assert_eq!(typo.outcome, Outcome::Failed);
        assert!(typo.remedy.as_deref().is_some_and(|remedy| remedy.contains("did you mean \"34810\"")), "{typo:?}");
        assert_eq!(of("some_bot", 1).outcome, Outcome::Warning, "switched off");
        assert_eq!(of("34810", 1).outcome, Outcome::Warning, "WhatsApp is not Telegram");
    }
}
