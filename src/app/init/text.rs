//! The text of a new configuration: every chosen key with its reason, everything doubtful as a comment.

use super::files::secret_file;
use super::{Answers, Findings};
use crate::config::Api;
use crate::core::model::Account;
use crate::core::policy::Direction;
use crate::core::propose::{Proposal, Seen};
use crate::core::text;
use crate::remote::salebot::Channel;

/// Names longer than this say no more.
const NAME_CHARS_MAX: usize = 60;

/// The version's name in the configuration.
pub(super) fn api(api: Api) -> &'static str {
    match api {
        Api::V2 => "v2",
        Api::V4 => "v4",
    }
}

/// A text as TOML has it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Writes the whole file.
pub(super) fn compose(answers: &Answers, findings: &Findings) -> String {
    let mut text = head(answers);
    text.push_str(&services(answers, &findings.salebot.channels));
    text.push_str(&pairs(&findings.proposals()));
    text.push_str(&stages(&findings.account, &findings.salebot.seen));
    text.push_str(NOTES);
    text
}

fn head(answers: &Answers) -> String {
    let public_url = match &answers.public_url {
        Some(url) => format!("public_url = {}", quoted(url)),
        None => "#public_url = \"https://bridge.example.ru\"".to_owned(),
    };
    format!(
        "# Written by `salebridge init`. Look at what stands behind a `#`: it is proposed and not done.\n\
         # `salebridge config check` looks at this file, `salebridge doctor` tries everything it names, and\n\
         # `salebridge config default` prints every other key with its default and the reason for it.\n\n\
         [store]\n# Everything that must not be forgotten: one file, and the folder must be writable.\nurl = {}\n\n\
         [http]\n# Where this program listens; a web server in front of it brings https.\nlisten = {}\n\
         # How the world reaches it.\n{public_url}\n\n\
         [[bridge]]\n# Stands in addresses and logs; the store keeps its data under it, so it should stay.\nname = {}\n\n",
        quoted(&answers.store_url),
        quoted(&answers.listen),
        quoted(&answers.name),
    )
}

fn services(answers: &Answers, channels: &[Channel]) -> String {
    let file = |what: &str| quoted(&secret_file(&answers.name, what));
    let mut text = format!(
        "[bridge.amo]\n# The account.\nurl = {}\n# The version of the API; it can be changed at any time.\napi = \"{}\"\n\
         # The long-lived token, in a file that only its owner can read; paths count from this file's folder.\n\
         token = {{ file = {} }}\n\n\
         [bridge.salebot]\n# The installation the project is at.\nurl = {}\n# The project's API key.\napi_key = {{ file = {} }}\n\
         # The secret in the webhook's address; `salebridge doctor --addresses` prints it whole.\n\
         webhook_secret = {{ file = {} }}\n\
         # Bots that know it may call amoCRM functions under /functions/{}/…; without this key none may.\n\
         functions_token = {{ file = {} }}\n",
        quoted(&answers.amo.url),
        api(answers.amo.api),
        file("amo-token"),
        quoted(&answers.salebot.url),
        file("salebot-api-key"),
        file("salebot-webhook"),
        answers.name,
        file("salebot-functions"),
    );
    if let Some(channel) = channels.iter().find(|channel| channel.messenger == "whatsapp") {
        text.push_str(&format!(
            "# The channel in which people.create_client = \"load_clients\" would make a client: {}\n\
             #create_with = {{ group_id = {}, client_type = 6 }}\n",
            comment(channel.name.as_deref().unwrap_or("WhatsApp")),
            quoted(&channel.group_id),
        ));
    }
    text.push_str(
        "\n[bridge.people]\n# The country whose phone numbers are written without a country code.\ndefault_region = \"RU\"\n\
         # When a person who writes becomes a contact: always, with_phone_or_email or never.\ncreate_contact = \"always\"\n\n",
    );
    text
}

fn pairs(proposals: &[Proposal]) -> String {
    let mut text =
        "# Mapped values. Both ways unless a direction is named; when both sides changed a value, amoCRM's stands.\n\
                    # A pair behind `#` is proposed: take the `#` away when it is right.\n"
            .to_owned();
    for pair in proposals {
        let mark = if pair.is_certain { "" } else { "#" };
        text.push_str(&format!(
            "\n# {}: {}\n{mark}[[bridge.field]]\n{mark}amo = {}\n{mark}salebot = {}\n",
            comment(&pair.name),
            pair.why,
            quoted(&pair.amo),
            quoted(&pair.salebot),
        ));
        match pair.direction {
            Direction::Both => {}
            Direction::ToSalebot => text.push_str(&format!("{mark}direction = \"to_salebot\"\n")),
            Direction::ToAmo => text.push_str(&format!("{mark}direction = \"to_amo\"\n")),
        }
    }
    text.push('\n');
    text
}

/// Salebot's API does not list stages, so the table waits for somebody who copies their numbers.
fn stages(account: &Account, seen: &Seen) -> String {
    let states: Vec<String> = seen.states.iter().map(ToString::to_string).collect();
    let hint = if states.is_empty() { String::new() } else { format!("; orders were seen in {}", states.join(", ")) };
    let mut text = format!(
        "[bridge.orders]\n# Leads become orders of the person's client.\nenabled = true\n\n\
         # Which stage of a pipeline is which stage in Salebot. Salebot tells a stage's number in its settings window{hint}.\n\
         # Put the numbers in and take the `#` away; a stage without a row moves nothing.\n"
    );
    for (id, pipeline) in &account.pipelines {
        for (status, name) in pipeline.statuses.iter().filter(|(status, _)| !status.is_closed()) {
            text.push_str(&format!(
                "#\n# {} / {}\n#[[bridge.orders.stage]]\n#pipeline = {id}\n#status = {status}\n#state = 0\n",
                comment(&pipeline.name),
                comment(name),
            ));
        }
    }
    text.push('\n');
    text
}

const NOTES: &str = "[bridge.notes]\n# Where messages are written: contact, lead (the newest open one), or both.\non = [\"contact\"]\n\
                     # Messages of one person within this time share a note, which saves requests.\njoin_within = \"30s\"\n";

/// A name that may stand in a comment: one line, not too long.
fn comment(name: &str) -> String {
    let name = text::without_controls(&text::unified(name)).replace(['\n', '\r', '\t'], " ");
    match name.char_indices().nth(NAME_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AmoAnswers, SalebotAnswers, SalebotSeen, compose as composed};
    use super::*;
    use crate::core::id::{FieldId, PipelineId, StateId, StatusId};
    use crate::core::model::{FieldInfo, FieldKind, Pipeline};
    use secrecy::SecretString;
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    fn answers() -> Answers {
        Answers {
            name: "shop".to_owned(),
            amo: AmoAnswers {
                url: "https://example.amocrm.ru".to_owned(),
                token: SecretString::from("t"),
                api: Api::V4,
            },
            salebot: SalebotAnswers { url: super::super::SALEBOT_URL.to_owned(), api_key: SecretString::from("k") },
            public_url: Some("https://bridge.example.ru".to_owned()),
            listen: "127.0.0.1:8080".to_owned(),
            store_url: "sqlite:///var/lib/salebridge/salebridge.db".to_owned(),
        }
    }

    fn findings(name: &str) -> Findings {
        let info = FieldInfo { name: name.to_owned(), kind: FieldKind::Text, code: None, choices: BTreeMap::new() };
        let statuses = BTreeMap::from([(StatusId(1001), name.to_owned()), (StatusId(142), "Успех".to_owned())]);
        let account = Account {
            contact_fields: BTreeMap::from([(FieldId(11), info)]),
            pipelines: BTreeMap::from([(PipelineId(61), Pipeline { name: name.to_owned(), statuses })]),
            ..Account::default()
        };
        let seen = Seen {
            client_variables: BTreeSet::from(["city".to_owned()]),
            states: BTreeSet::from([StateId(35)]),
            ..Seen::default()
        };
        Findings { account, salebot: SalebotSeen { channels: Vec::new(), seen } }
    }

    #[test]
    fn what_is_written_is_a_sound_configuration() {
        for name in ["Город", "Чужое\n[[bridge]]\nname = \"x\"", "\"\\\u{7f}'''", &"я".repeat(500), "#"] {
            let text = composed(Path::new("/etc/salebridge/salebridge.toml"), &answers(), &findings(name));
            let text = text.unwrap_or_else(|error| panic!("{name}: {error:#}"));
            assert_eq!(text.lines().filter(|line| *line == "[[bridge]]").count(), 1, "{text}");
        }
    }

    #[test]
    fn the_proposals_are_sound_once_they_are_uncommented() {
        let text = composed(Path::new("x.toml"), &answers(), &findings("Город")).expect("sound");
        assert!(text.contains("\n[[bridge.field]]\namo = \"contact.field.11\"\nsalebot = \"client.city\"\n"), "{text}");
        assert!(text.contains("# Город / Город\n#[[bridge.orders.stage]]\n#pipeline = 61\n#status = 1001\n"), "{text}");
        assert!(text.contains("seen in 35") && !text.contains("#status = 142"), "{text}");
        let is_key =
            |line: &&str| line.starts_with('#') && line[1..].starts_with(|c: char| c == '[' || c.is_ascii_lowercase());
        let all: String = text
            .lines()
            .map(|line| if is_key(&line) { &line[1..] } else { line })
            .map(|line| format!("{}\n", line.replace("state = 0", "state = 35")))
            .collect();
        let checked = crate::app::settings::check_shape(Path::new("x.toml"), &all);
        assert_eq!(checked.map_err(|faults| faults.render(false)), Ok(()));
    }
}
