//! The keys of the configuration file: each with its meaning, and its default or an example.
//!
//! What is read here has the right shape; `check` decides whether it also makes sense.

use super::read::{Key, Need, Read, Secret, choices, section};
use super::report::{At, Place, Report};
use super::settings::{Api, LogFormat};
use crate::core::policy::{
    CallbackDelivery, CreateClient, CreateContact, Direction, MatchBy, Outgoing, Owner, TriggerEvent,
};
use toml::de::DeValue;

section! {
    /// The configuration of salebridge.
    Root {
        /// Where the bridge keeps what it must not forget.
        store: Store, Default "{}";
        /// What the bridge serves.
        http: Http, Default "{}";
        /// What the bridge tells about itself.
        log: Log, Default "{}";
        /// One amoCRM account, one Salebot project, and how they map onto each other.
        bridge: Vec<At<Bridge>>, Required "[[bridge]]";
    }
}

section! {
    /// Where the bridge keeps what it must not forget.
    Store {
        /// `sqlite:///absolute/path`, `sqlite://relative/path` or `postgres://user@host/database`.
        url: Secret, Default r#""sqlite:///var/lib/salebridge/salebridge.db""#;
    }
}

section! {
    /// What the bridge serves.
    Http {
        /// The address and port to listen on.
        listen: String, Default r#""127.0.0.1:8080""#;
        /// How the world reaches the bridge; printed by `doctor`.
        public_url: String, Optional r#""https://bridge.example.ru""#;
        /// What opens `/metrics` from other machines: `Authorization: Bearer …`. Left out: only this machine may read it.
        metrics_token: Secret, Optional r#"{ file = "/run/credentials/salebridge.service/metrics" }"#;
    }
}

section! {
    /// What the bridge tells about itself.
    Log {
        /// off, error, warn, info, debug or trace; also by module: "info,salebridge::engine=debug".
        level: String, Default r#""info""#;
        /// auto (the journal under systemd, else text), text or json.
        format: LogFormat, Default r#""auto""#;
    }
}

section! {
    /// One amoCRM account, one Salebot project, and how they map onto each other.
    Bridge {
        /// The name of the bridge: small Latin letters, digits and `-`.
        name: String, Required r#""shop""#;
        /// The amoCRM account.
        amo: Amo, Required "[bridge.amo]";
        /// The Salebot project.
        salebot: Salebot, Required "[bridge.salebot]";
        /// How people are recognised and created.
        people: People, Default "{}";
        /// The mapped pairs of values.
        field: Vec<At<Field>>, Default "[]";
        /// How leads become orders.
        orders: Orders, Default "{}";
        /// Events of amoCRM that start a bot.
        trigger: Vec<At<Trigger>>, Default "[]";
        /// How messages become notes.
        notes: Notes, Default "{}";
        /// Limits that stop a pass that would do damage.
        guard: Guard, Default "{}";
    }
}

section! {
    /// The amoCRM account.
    Amo {
        /// The account's address.
        url: String, Required r#""https://example.amocrm.ru""#;
        /// Which version of amoCRM's API contacts and leads are read with.
        api: Api, Default r#""v2""#;
        /// A long-lived token; or an [bridge.amo.oauth] table instead.
        token: Secret, Optional r#"{ file = "/run/credentials/salebridge.service/amo-token" }"#;
        /// The OAuth integration; or a `token` instead.
        oauth: Oauth, Optional "[bridge.amo.oauth]";
        /// Requests per second, 1 to 7 (amoCRM's limit is 7).
        requests_per_second: f64, Default "6";
        /// When to ask for changed contacts: cron with seconds, UTC.
        poll_contacts: String, Default r#""*/10 * * * * *""#;
        /// When to ask for changed leads: cron with seconds, UTC.
        poll_leads: String, Default r#""*/10 * * * * *""#;
        /// When to read everything and look for what the polls missed: cron with seconds, UTC.
        sweep: String, Default r#""0 30 3 * * *""#;
        /// How far every poll reads back before its own last time.
        overlap: String, Default r#""1m""#;
        /// Now and then a poll reads further back: amoCRM shows some rows late.
        recheck: Recheck, Default "{}";
        /// Turns on `POST /hooks/amo/{bridge}/{secret}`.
        webhook_secret: Secret, Optional r#"{ file = "/run/credentials/salebridge.service/amo-webhook" }"#;
    }
}

section! {
    /// The OAuth integration; `salebridge auth` obtains its tokens, which are kept in the store.
    Oauth {
        /// The id of the integration.
        client_id: String, Required r#""00000000-0000-0000-0000-000000000000""#;
        /// The secret of the integration.
        client_secret: Secret, Required r#"{ file = "/run/credentials/salebridge.service/amo-client-secret" }"#;
        /// The redirect address, letter by letter as the integration has it.
        redirect_uri: String, Required r#""https://bridge.example.ru/oauth""#;
    }
}

section! {
    /// How often and how far back a poll reads again.
    Recheck {
        /// How often.
        every: String, Default r#""5m""#;
        /// How far back.
        window: String, Default r#""10m""#;
    }
}

section! {
    /// The Salebot project.
    Salebot {
        /// Salebot's address.
        url: String, Default r#""https://chatter.salebot.pro""#;
        /// The project's API key.
        api_key: Secret, Required r#"{ file = "/run/credentials/salebridge.service/salebot-api-key" }"#;
        /// The secret in the address that Salebot delivers messages to: `POST /hooks/salebot/{bridge}/{secret}`.
        webhook_secret: Secret, Required r#"{ file = "/run/credentials/salebridge.service/salebot-webhook" }"#;
        /// Turns on `/functions/{bridge}/…` for calls from bots that know it; 16 to 256 signs.
        functions_token: Secret, Optional r#"{ file = "/run/credentials/salebridge.service/salebot-functions" }"#;
        /// Requests per second, all but `save_variables`.
        requests_per_second: f64, Default "2";
        /// `save_variables` requests per second: Salebot names no limit for them.
        save_variables_per_second: f64, Default "20";
        /// Requests per day, `save_variables` not counted; 0 for no budget.
        daily_budget: i64, Default "0";
        /// When to look for messages and changes that were never delivered: cron with seconds, UTC.
        reconcile: String, Default r#""0 */15 * * * *""#;
        /// Whether a callback whose answer was lost is sent again: nothing tells whether the bot started.
        callback_delivery: CallbackDelivery, Default r#""at_most_once""#;
        /// The channel in which `people.create_client = "load_clients"` makes a client.
        create_with: CreateWith, Optional r#"{ group_id = "34810", client_type = 6 }"#;
    }
}

section! {
    /// The channel in which a client is made from a contact.
    CreateWith {
        /// The channel, as `connected_channels` names it.
        group_id: String, Required r#""34810""#;
        /// The number of the messenger: 6 is WhatsApp.
        client_type: i64, Required "6";
    }
}

section! {
    /// How people are recognised and created.
    People {
        /// The country whose phone numbers are written without a country code: two capital letters.
        default_region: String, Default r#""RU""#;
        /// What a person is recognised by after known links, in this order.
        r#match: Vec<At<MatchBy>>, Default r#"["phone", "email"]"#;
        /// When a person who writes becomes a contact.
        create_contact: CreateContact, Default r#""always""#;
        /// Whether, and how, a contact without a client gets one.
        create_client: CreateClient, Default r#""never""#;
    }
}

section! {
    /// One mapped pair of values.
    Field {
        /// contact.{name,first_name,last_name,phone,email,tags,responsible,company}, lead.{name,price,responsible,tags},
        /// or a custom field: contact.field.ID, contact.field."Name", lead.field.ID, lead.field."Name".
        amo: String, Required r#""contact.phone""#;
        /// client.NAME, order.NAME, or a fact that is only read:
        /// client.{id,platform_id,messenger,bot,tag,created_at}, order.id.
        salebot: String, Required r#""client.phone""#;
        /// Which way values travel.
        direction: Direction, Default r#""both""#;
        /// Who wins when both sides changed.
        owner: Owner, Default r#""amo""#;
    }
}

section! {
    /// How leads become orders.
    Orders {
        /// Whether leads become orders.
        enabled: bool, Default "true";
        /// Whether an order's change goes back to its lead.
        direction: OrderDirection, Default r#""both""#;
        /// The stage table.
        stage: Vec<At<Stage>>, Default "[]";
    }
}

section! {
    /// One row of the stage table.
    Stage {
        /// The id of amoCRM's pipeline.
        pipeline: i64, Required "61";
        /// The id of amoCRM's stage in that pipeline.
        status: i64, Required "1001";
        /// The id of Salebot's stage.
        state: i64, Required "37";
    }
}

section! {
    /// An event of amoCRM that starts a bot.
    Trigger {
        /// The event.
        on: TriggerEvent, Required r#""lead.stage""#;
        /// Only in this pipeline; for events of leads.
        pipeline: i64, Optional "61";
        /// Only on this stage; for events of leads.
        status: i64, Optional "1001";
        /// The template of the text that reaches the bot.
        callback: String, Required r#""amo_state_changed {{ lead.pipeline }}:{{ lead.stage }}""#;
    }
}

section! {
    /// How messages become notes.
    Notes {
        /// Where notes are written; an empty list: nowhere.
        on: Vec<At<NoteTarget>>, Default r#"["contact"]"#;
        /// Whether what the person sent is written.
        incoming: bool, Default "true";
        /// Which messages of our side are written.
        outgoing: Outgoing, Default r#""all""#;
        /// Messages of one client within this time share a note; "0s": a note each.
        join_within: String, Default r#""30s""#;
        /// The template of one message in a note.
        template: String, Default r#""{{ arrow }} {{ channel }} {{ time }}: {{ text }}""#;
    }
}

section! {
    /// Limits that stop a pass that would do damage.
    Guard {
        /// A pass that clears or unlinks more than this share of its records stops and asks, 0 to 1 …
        max_cleared_share: f64, Default "0.2";
        /// … but only when that is more than so many records.
        max_cleared_min: i64, Default "50";
        /// A field that changed its direction more often than this is frozen.
        freeze_after_flips: i64, Default "6";
    }
}

/// Whether an order's change goes back to its lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrderDirection {
    Both,
    ToSalebot,
}

/// Where notes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoteTarget {
    Contact,
    Lead,
}

choices!(LogFormat: "auto" => Auto, "text" => Text, "json" => Json);
choices!(Api: "v2" => V2, "v4" => V4);
choices!(MatchBy: "phone" => Phone, "email" => Email);
choices!(CreateContact: "always" => Always, "with_phone_or_email" => WithPhoneOrEmail, "never" => Never);
choices!(CreateClient: "never" => Never, "load_clients" => LoadClients, "create_order" => CreateOrder);
choices!(CallbackDelivery: "at_most_once" => AtMostOnce, "at_least_once" => AtLeastOnce);
choices!(Direction: "both" => Both, "to_salebot" => ToSalebot, "to_amo" => ToAmo);
choices!(Owner: "amo" => Amo, "salebot" => Salebot);
choices!(OrderDirection: "both" => Both, "to_salebot" => ToSalebot);
choices!(TriggerEvent:
    "contact.created" => ContactCreated,
    "contact.changed" => ContactChanged,
    "lead.created" => LeadCreated,
    "lead.stage" => LeadStage,
    "lead.deleted" => LeadDeleted,
    "lead.responsible" => LeadResponsible,
);
choices!(NoteTarget: "contact" => Contact, "lead" => Lead);
choices!(Outgoing: "all" => All, "operator" => Operator, "bot" => Bot, "none" => None);
