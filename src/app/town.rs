//! A configuration for a town of the sandbox: every kind of pair, both pipelines, a trigger.

use crate::app::wire;
use crate::config::{Checks, Config, Faults, TemplateKind, check_text};
use crate::core::template;
use crate::sandbox::server::Clock;
use std::path::Path;
use std::sync::Arc;

/// What differs from town to town.
#[derive(Debug, Clone)]
pub struct TownConfig {
    /// The database, as `store.url` has it.
    pub store_url: String,
    /// The address to listen on.
    pub listen: String,
    /// amoCRM's address.
    pub amo_url: String,
    /// amoCRM's token.
    pub token: String,
    /// Salebot's address.
    pub salebot_url: String,
    /// Salebot's key.
    pub api_key: String,
    /// In the address of the webhook, 16 signs or more.
    pub webhook_secret: String,
    /// How often the bridge looks.
    pub pace: Pace,
}

/// How often a bridge looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As for a real account.
    Usual,
    /// So that a change is seen within seconds, and nothing asks for patience.
    Lively,
}

/// The bridge's name in these configurations.
pub const BRIDGE: &str = "town";
/// How a line of a note reads: the client's number tells whose dialogue it is.
pub const NOTE_TEMPLATE: &str = "{{ arrow }} {{ channel }} {{ time }} [{{ client_id }}]: {{ text }}";
/// What a stage of amoCRM is in Salebot: pipeline, status, state.
pub const STAGES: [(u64, u64, i64); 5] =
    [(61, 1001, 35), (61, 1002, 36), (61, 1003, 37), (62, 2001, 41), (62, 2002, 42)];
/// The stage whose reaching starts a bot, and what the callback begins with.
pub const TRIGGER: (u64, u64, &str) = (61, 1003, "amo_invoice_stage");

impl TownConfig {
    /// The configuration file.
    pub fn text(&self) -> String {
        let mut text = self.services();
        text.push_str(MAPPING);
        for (pipeline, status, state) in STAGES {
            text.push_str(&format!(
                "[[bridge.orders.stage]]\npipeline = {pipeline}\nstatus = {status}\nstate = {state}\n\n"
            ));
        }
        let (pipeline, status, callback) = TRIGGER;
        text.push_str(&format!(
            "[[bridge.trigger]]\non = \"lead.stage\"\npipeline = {pipeline}\nstatus = {status}\n\
             callback = \"{callback} {{{{ lead.id }}}}\"\n\n\
             [bridge.notes]\njoin_within = \"{}\"\ntemplate = \"{NOTE_TEMPLATE}\"\n",
            match self.pace {
                Pace::Usual => "30s",
                Pace::Lively => "1s",
            }
        ));
        text
    }

    fn services(&self) -> String {
        let Self { store_url, listen, amo_url, token, salebot_url, api_key, webhook_secret, pace } = self;
        let (amo_pace, salebot_pace) = match pace {
            Pace::Usual => ("", ""),
            Pace::Lively => (LIVELY_AMO, LIVELY_SALEBOT),
        };
        format!(
            "[store]\nurl = \"{store_url}\"\n\n[http]\nlisten = \"{listen}\"\n\n[[bridge]]\nname = \"{BRIDGE}\"\n\n\
             [bridge.amo]\nurl = \"{amo_url}\"\ntoken = \"{token}\"\n{amo_pace}\n\
             [bridge.salebot]\nurl = \"{salebot_url}\"\napi_key = \"{api_key}\"\nwebhook_secret = \"{webhook_secret}\"\n{salebot_pace}\n"
        )
    }

    /// The same, checked like any other configuration. `name` stands in reports of faults.
    pub fn checked(&self, name: &str) -> Result<Config, Faults> {
        let env = |_: &str| None;
        let compile = |kind: TemplateKind, source: &str| match kind {
            TemplateKind::Note => template::check(template::TemplateKind::Note, source),
            TemplateKind::Callback => template::check(template::TemplateKind::Callback, source),
        };
        let now = jiff::Timestamp::from_millisecond(wire::now().0).unwrap_or_default();
        check_text(name, Path::new(""), &self.text(), &Checks::new(&env, now).template(&compile))
    }
}

/// One configuration for many towns, with bridges `town-0` and so on, each with a secret of its own. Store and address are
/// the first one's.
pub fn crowd(towns: &[TownConfig]) -> String {
    const BEGIN: &str = "[[bridge]]\n";
    let mut all = String::new();
    for (number, town) in towns.iter().enumerate() {
        let text = TownConfig { webhook_secret: secret_of(town, number), ..town.clone() }.text();
        let (head, bridge) = text.split_once(BEGIN).unwrap_or_default();
        if number == 0 {
            all.push_str(head);
        }
        let name = (format!("name = \"{BRIDGE}\""), format!("name = \"{BRIDGE}-{number}\""));
        all.push_str(&format!("{BEGIN}{}\n", bridge.replacen(&name.0, &name.1, 1)));
    }
    all
}

/// The secret of a town's webhooks in a [`crowd`]: no two bridges may have the same.
pub fn secret_of(town: &TownConfig, number: usize) -> String {
    format!("{}-{number}", town.webhook_secret)
}

/// The wall clock for a town.
pub fn clock() -> Clock {
    Arc::new(|| wire::now().0)
}

const LIVELY_AMO: &str = r#"poll_contacts = "*/2 * * * * *"
poll_leads = "1/2 * * * * *"
overlap = "10s"
"#;
const LIVELY_SALEBOT: &str = r#"requests_per_second = 50
save_variables_per_second = 50
reconcile = "*/5 * * * * *"
"#;

const MAPPING: &str = r#"[[bridge.field]]
amo = "contact.name"
salebot = "client.crm_name"
direction = "to_salebot"

[[bridge.field]]
amo = "contact.phone"
salebot = "client.phone"

[[bridge.field]]
amo = "contact.email"
salebot = "client.email"

[[bridge.field]]
amo = "contact.field.4396817"
salebot = "client.position"

[[bridge.field]]
amo = 'contact.field."Категория"'
salebot = "client.category"

[[bridge.field]]
amo = "contact.responsible"
salebot = "client.manager"
direction = "to_salebot"

[[bridge.field]]
amo = "contact.field.4400204"
salebot = "client.id"
direction = "to_amo"

[[bridge.field]]
amo = "lead.price"
salebot = "order.budget"

[[bridge.field]]
amo = "lead.field.4500301"
salebot = "order.source"
owner = "salebot"

"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_paces_are_sound_configurations() {
        for pace in [Pace::Usual, Pace::Lively] {
            let config = TownConfig {
                store_url: "sqlite:///tmp/town.db".to_owned(),
                listen: "127.0.0.1:8080".to_owned(),
                amo_url: "http://127.0.0.1:8071".to_owned(),
                token: "sandbox-token".to_owned(),
                salebot_url: "http://127.0.0.1:8072".to_owned(),
                api_key: "5a1eb0750000000000000000000000aa".to_owned(),
                webhook_secret: "0123456789abcdef0123456789abcdef".to_owned(),
                pace,
            };
            let checked = config.checked("town.toml").map_err(|faults| faults.render(false));
            assert_eq!(checked.map(|config| config.bridges.len()), Ok(1));
        }
    }
}
