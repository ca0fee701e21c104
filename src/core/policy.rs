//! What a bridge is told to do: mapped fields, people, orders, triggers, notes, guards.
//!
//! Values of these types are valid by construction of the configuration check; core only reads them.

use super::id::{PipelineId, StateId, StatusId};
use super::selector::{AmoField, SalebotField};

/// Everything the planner needs to know about a bridge's configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The mapped pairs, in the order of the configuration.
    pub rules: Vec<Rule>,
    /// How people are recognised and created.
    pub people: People,
    /// How leads become orders.
    pub orders: Orders,
    /// amoCRM events that start a bot.
    pub triggers: Vec<Trigger>,
    /// What becomes of a callback whose answer was lost.
    pub callbacks: CallbackDelivery,
    /// How messages become notes.
    pub notes: Notes,
    /// Limits that stop a pass.
    pub guard: Guard,
}

/// One mapped pair of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The amoCRM side.
    pub amo: AmoField,
    /// The Salebot side.
    pub salebot: SalebotField,
    /// Which way values travel.
    pub direction: Direction,
    /// Who wins when both sides changed.
    pub owner: Owner,
}

impl Rule {
    /// The name under which bases and journal entries of this pair are kept. It survives
    /// reordering of the configuration: `contact.phone=client.phone`.
    pub fn key(&self) -> String {
        format!("{}={}", self.amo, self.salebot)
    }
}

/// Which way the values of a pair travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// amoCRM is read, Salebot is written.
    ToSalebot,
    /// Salebot is read, amoCRM is written.
    ToAmo,
}

impl Direction {
    /// True when amoCRM may be written.
    pub fn writes_amo(self) -> bool {
        self != Direction::ToSalebot
    }

    /// True when Salebot may be written.
    pub fn writes_salebot(self) -> bool {
        self != Direction::ToAmo
    }
}

/// The side whose value wins when both changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owner {
    /// amoCRM wins.
    #[default]
    Amo,
    /// Salebot wins.
    Salebot,
}

/// How people are recognised and created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct People {
    /// Two capital letters: the country whose phone numbers are written without a country code.
    pub default_region: String,
    /// Tried in this order after known links.
    pub match_by: Vec<MatchBy>,
    /// When a person who writes becomes a contact.
    pub create_contact: CreateContact,
    /// Whether, and how, a contact without a client gets one.
    pub create_client: CreateClient,
    /// The channel for `CreateClient::LoadClients`.
    pub create_with: Option<ClientChannel>,
}

/// A property by which a person is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchBy {
    /// The phone number in its international form.
    Phone,
    /// The e-mail address in lower case.
    Email,
}

/// When a person who writes becomes a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CreateContact {
    /// With the first message.
    #[default]
    Always,
    /// As soon as a phone number or an e-mail address is known.
    WithPhoneOrEmail,
    /// Never: messages of unknown people make no notes.
    Never,
}

/// How a contact without a client gets one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CreateClient {
    /// Not at all.
    #[default]
    Never,
    /// `load_clients` with the phone number as the messenger's id.
    LoadClients,
    /// `create_order` with the phone number or e-mail address.
    CreateOrder,
}

/// The channel in which `load_clients` makes a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientChannel {
    /// As `connected_channels` names it.
    pub group_id: String,
    /// The messenger's number, 6 for WhatsApp.
    pub client_type: i64,
}

/// How leads become orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orders {
    /// False: leads are not turned into orders.
    pub enabled: bool,
    /// `Both` or `ToSalebot`.
    pub direction: Direction,
    /// The stage table.
    pub stages: Vec<StageRow>,
}

/// One row of the stage table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageRow {
    /// amoCRM's pipeline.
    pub pipeline: PipelineId,
    /// amoCRM's stage in that pipeline.
    pub status: StatusId,
    /// Salebot's stage.
    pub state: StateId,
}

impl Orders {
    /// Salebot's stage for an amoCRM stage, where the table has one.
    pub fn state_for(&self, pipeline: PipelineId, status: StatusId) -> Option<StateId> {
        self.stages.iter().find(|row| row.pipeline == pipeline && row.status == status).map(|row| row.state)
    }
}

/// An amoCRM event that starts a bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// The event.
    pub on: TriggerEvent,
    /// Only in this pipeline.
    pub pipeline: Option<PipelineId>,
    /// Only on this stage.
    pub status: Option<StatusId>,
    /// The template of the callback's text.
    pub callback: String,
}

/// What becomes of a callback whose answer was lost: nothing tells whether the bot started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallbackDelivery {
    /// It is not sent again and becomes a dead letter: a bot that runs twice may sell twice.
    #[default]
    AtMostOnce,
    /// It is sent again: for bots that may run twice and must not stay silent.
    AtLeastOnce,
}

/// The events a trigger can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TriggerEvent {
    /// `contact.created`
    ContactCreated,
    /// `contact.changed`
    ContactChanged,
    /// `lead.created`
    LeadCreated,
    /// `lead.stage`
    LeadStage,
    /// `lead.deleted`
    LeadDeleted,
    /// `lead.responsible`
    LeadResponsible,
}

/// How messages become notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notes {
    /// Write them on the contact.
    pub on_contact: bool,
    /// Write them on the contact's newest open lead.
    pub on_lead: bool,
    /// Write what the person sent.
    pub incoming: bool,
    /// Which of our side's messages are written.
    pub outgoing: Outgoing,
    /// Messages of one client within this many milliseconds share a note; 0: a note each.
    pub join_within_ms: i64,
    /// The template of one line.
    pub template: String,
}

/// Which of our side's messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outgoing {
    /// All.
    #[default]
    All,
    /// Only those a person wrote.
    Operator,
    /// Only those a bot block wrote.
    Bot,
    /// None.
    None,
}

/// Limits that stop a pass or a link.
#[derive(Debug, Clone, PartialEq)]
pub struct Guard {
    /// A pass that clears or unlinks more than this share of its records stops.
    pub max_cleared_share: f64,
    /// … but only if it is more than this many.
    pub max_cleared_min: u64,
    /// A field that changed direction more often than this is frozen.
    pub freeze_after_flips: u32,
}
