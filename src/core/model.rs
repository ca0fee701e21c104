//! Our own form of the records both services keep, free of either wire format.

use super::flex::Moment;
use super::id::{
    ClientId, CompanyId, ContactId, EnumId, FieldId, LeadId, MessageId, NoteId, OrderId, PipelineId, StateId, StatusId,
    UserId,
};
use super::selector::AddressPart;
use super::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One value of a custom field. A field holds a list of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Element {
    /// The text, as amoCRM shows it.
    pub value: String,
    /// The choice of a list, or the kind of a phone or e-mail, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<EnumId>,
    /// The kind of a phone or e-mail by name: `WORK`, `MOB`. Known on write, rarely on read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Which part of an address this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<AddressPart>,
}

impl Element {
    /// A plain text value.
    pub fn text(value: impl Into<String>) -> Element {
        Element { value: value.into(), ..Element::default() }
    }
}

/// Custom field values of a record. A field without values is not in the map.
pub type Fields = BTreeMap<FieldId, Vec<Element>>;

/// A contact as amoCRM showed it at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Its id.
    pub id: ContactId,
    /// The full name.
    pub name: String,
    /// The first name, where the answer has one; often the whole name.
    pub first_name: Option<String>,
    /// The last name, where the answer has one.
    pub last_name: Option<String>,
    /// The user responsible for it.
    pub responsible: Option<UserId>,
    /// Its company.
    pub company: Option<Company>,
    /// Its leads.
    pub leads: BTreeSet<LeadId>,
    /// Its tags by name.
    pub tags: BTreeSet<String>,
    /// Its custom fields, phones and e-mails among them.
    pub fields: Fields,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds; also the optimistic lock of API v2.
    pub updated_at: i64,
}

/// The company a contact belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Company {
    /// Its id.
    pub id: CompanyId,
    /// Its name, where the answer has it.
    pub name: Option<String>,
}

/// A lead as amoCRM showed it at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lead {
    /// Its id.
    pub id: LeadId,
    /// Its name.
    pub name: String,
    /// The budget in whole units of the account's currency.
    pub price: i64,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// Its stage.
    pub status: StatusId,
    /// The user responsible for it.
    pub responsible: Option<UserId>,
    /// Its tags by name.
    pub tags: BTreeSet<String>,
    /// The contact it is mainly about.
    pub main_contact: Option<ContactId>,
    /// All its contacts.
    pub contacts: BTreeSet<ContactId>,
    /// Its custom fields.
    pub fields: Fields,
    /// True in the trash.
    pub is_deleted: bool,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds; also the optimistic lock of API v2.
    pub updated_at: i64,
}

impl Lead {
    /// The contact whose client gets the order: the main one, else the oldest.
    pub fn person(&self) -> Option<ContactId> {
        self.main_contact.or_else(|| self.contacts.first().copied())
    }

    /// True while it is worked on: neither won, lost nor deleted.
    pub fn is_open(&self) -> bool {
        !self.is_deleted && !self.status.is_closed()
    }
}

/// A note as amoCRM showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its id.
    pub id: NoteId,
    /// Its text.
    pub text: String,
    /// Unix seconds.
    pub created_at: i64,
}

/// What an account offers: fields, people, pipelines. Cached, and read again on the first unknown id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Account {
    /// The account's id.
    pub id: u64,
    /// Name in the time zone database, `Europe/Moscow`.
    pub time_zone: String,
    /// Custom fields of contacts.
    pub contact_fields: BTreeMap<FieldId, FieldInfo>,
    /// Custom fields of leads.
    pub lead_fields: BTreeMap<FieldId, FieldInfo>,
    /// Users by id.
    pub users: BTreeMap<UserId, String>,
    /// Pipelines by id.
    pub pipelines: BTreeMap<PipelineId, Pipeline>,
}

/// A pipeline and its stages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pipeline {
    /// Its name.
    pub name: String,
    /// Names of its stages.
    pub statuses: BTreeMap<StatusId, String>,
}

/// A custom field of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldInfo {
    /// Its name as people see it.
    pub name: String,
    /// What it holds.
    pub kind: FieldKind,
    /// `PHONE`, `EMAIL`, `IM`, `POSITION` for system fields, where known.
    pub code: Option<String>,
    /// The choices of a list, or the kinds of a phone or e-mail.
    pub choices: BTreeMap<EnumId, String>,
}

/// What a custom field holds (amoCRM v2 account page, `field_type`; v4 custom fields page, `type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// One line, at most 256 characters through the API.
    Text,
    /// Several lines.
    TextArea,
    /// A number.
    Numeric,
    /// Yes or no.
    Checkbox,
    /// One choice.
    Select,
    /// Several choices.
    Multiselect,
    /// A day.
    Date,
    /// A day and a time.
    DateTime,
    /// A day of birth.
    Birthday,
    /// An address on the web.
    Url,
    /// Phones, e-mails, messengers: several values, each with a kind.
    Multitext,
    /// A postal address in one line.
    StreetAddress,
    /// A postal address in parts.
    SmartAddress,
    /// Anything else: kept as it is, never written. amoCRM's number of the type, 0 where it has none.
    Other(u32),
}

/// What is known of a Salebot client besides its variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// The person's id in the messenger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_id: Option<String>,
    /// The bot the client belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The messenger's number: 1 Telegram, 6 WhatsApp … New numbers appear; see [`messenger_name`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messenger: Option<i64>,
    /// The person's name there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The tag of the link the person came by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
}

impl Client {
    /// A client of which only the id is known.
    pub fn unknown(id: ClientId) -> Client {
        Client { id, platform_id: None, group: None, messenger: None, name: None, tag: None, created_at: None }
    }

    /// Group chats and channels are clients too; they are not people. Telegram marks them with a
    /// negative id (Salebot reference, pitfalls).
    pub fn is_group_chat(&self) -> bool {
        let numeric = |id: &str| {
            id.strip_prefix('-').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
        };
        let telegram = matches!(self.messenger, None | Some(1 | 16 | 21));
        let whatsapp_group = self.platform_id.as_deref().is_some_and(|id| id.ends_with("@g.us"));
        whatsapp_group || (telegram && self.platform_id.as_deref().is_some_and(numeric))
    }
}

/// The name of a messenger, or its number where it is not known (Salebot reference, client_type).
pub fn messenger_name(number: i64) -> String {
    let known = match number {
        0 => "VK",
        1 | 21 => "Telegram",
        2 => "Viber",
        3 => "Facebook",
        4 => "Talk-Me",
        5 => "Online chat",
        6 => "WhatsApp",
        7 => "Avito",
        8 => "OK",
        10 => "Instagram",
        11 => "JivoSite",
        12 => "Youla",
        13 => "Telephony",
        14 => "E-mail",
        16 => "Telegram Business",
        19 => "Cian",
        20 => "MAX",
        22 => "TikTok",
        _ => return format!("Messenger {number}"),
    };
    known.to_owned()
}

/// Variables by bare name. A variable that has no value is not in the map.
pub type Variables = BTreeMap<String, String>;

/// A row of Salebot's client list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRow {
    /// The client.
    pub client: Client,
    /// When Salebot last changed it, where the answer says so.
    pub updated_at: Option<Moment>,
}

/// One line of a dialogue, either way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id; none in bodies that lack one.
    pub id: Option<MessageId>,
    /// Who it is from or to.
    pub client: Client,
    /// The text; none for media without a caption.
    pub text: Option<String>,
    /// Attached files.
    pub attachments: Vec<Attachment>,
    /// True: from the person. False: from our side.
    pub incoming: bool,
    /// The number of the bot's block that wrote it; none: an operator, or a request through the API.
    pub block: Option<u64>,
    /// Variables that came along: a snapshot, perhaps older than what we know.
    pub variables: Option<Variables>,
    /// When it was written, for one that was recovered and not delivered.
    pub written_at: Option<Millis>,
}

/// A file attached to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Where it is. May carry a bot's token: see `note::public_address`.
    pub url: String,
    /// `image`, `video` …, where said.
    pub kind: Option<String>,
}

/// What a pushed body turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A line of a dialogue.
    Message(Message),
    /// A notice of Salebot's own that no person wrote (`crm_state_changed …`).
    Notice {
        /// Whose dialogue it stands in.
        client: Client,
        /// Its id.
        id: Option<MessageId>,
        /// Which notice.
        notice: Notice,
    },
    /// Nothing to do: counted and dropped.
    Nothing {
        /// Why, for the journal; never what people wrote.
        reason: &'static str,
    },
}

/// Salebot's own notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The order's stage, responsible or existence changed: look at the order.
    Order,
    /// Anything else that is no message.
    Other,
}

/// An order as Salebot showed it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Order {
    /// Its stage; many orders have none.
    pub state: Option<StateId>,
    /// Its variables.
    pub variables: Variables,
}

/// Whether an order is worked on (Salebot API page, `get_orders`). Archived ones are none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStatus {
    /// It is worked on.
    Active,
    /// It was closed with success.
    Won,
    /// It was closed without.
    Lost,
}

/// A client that a finder returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundClient {
    /// The client.
    pub client: Client,
    /// Its variables, where the finder gives them.
    pub variables: Option<Variables>,
}

/// Orders of a client and which of them is current.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientOrders {
    /// Active orders.
    pub active: BTreeSet<OrderId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_chats_are_told_from_people() {
        let client = |messenger, platform_id: &str| Client {
            messenger,
            platform_id: Some(platform_id.to_owned()),
            ..Client::unknown(ClientId(1))
        };
        assert!(client(Some(1), "-1001234567890").is_group_chat());
        assert!(client(None, "-42").is_group_chat());
        assert!(client(Some(6), "120363000000000000@g.us").is_group_chat());
        assert!(!client(Some(1), "600000001").is_group_chat());
        assert!(!client(Some(0), "-17").is_group_chat());
        assert!(!client(Some(1), "-").is_group_chat());
    }
}
