//! One fully decided write. It leaves no choices to whoever carries it out.

use super::function::{Call, Work};
use super::id::{ClientId, ContactId, FieldId, LeadId, MessageId, OrderId, PipelineId, StateId, StatusId, UserId};
use super::link::{Base, Bases, Content};
use super::model::{Element, FieldKind, Variables};
use super::people::MatchKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A decided write, as the outbox keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Action {
    /// Make a contact for people who have none. Not repeatable: looked up before it is sent again.
    CreateContact {
        /// Everything it is made with.
        edits: Vec<Edit>,
        /// Unix seconds, part of what the look-up recognises it by.
        created_at: i64,
        /// The clients that are this person.
        clients: BTreeSet<ClientId>,
        /// The phone numbers and e-mail addresses it will be found by.
        keys: BTreeSet<MatchKey>,
        /// What its first client and the contact will have agreed on.
        bases: Bases,
    },
    /// Change values of a contact.
    UpdateContact {
        /// Which.
        contact: ContactId,
        /// The new values.
        edits: Vec<Edit>,
        /// Fingerprint of the edited values as the plan saw them.
        seen: String,
        /// What both sides will have agreed on.
        confirms: Vec<Confirm>,
    },
    /// Change values of a lead.
    UpdateLead {
        /// Which.
        lead: LeadId,
        /// The new values.
        edits: Vec<Edit>,
        /// Fingerprint of the edited values as the plan saw them.
        seen: String,
        /// What both sides will have agreed on.
        confirms: Vec<Confirm>,
    },
    /// Write messages under a contact or a lead. Not repeatable: looked up before it is sent again.
    AddNote {
        /// Where.
        target: NoteTarget,
        /// Whose dialogue: when the contact has gone, the note follows the client to its next one.
        client: ClientId,
        /// The text, one line a message.
        text: String,
        /// Unix seconds of the first message.
        created_at: i64,
        /// The messages it holds.
        messages: Vec<MessageId>,
    },
    /// Write variables of a client. Repeating is harmless.
    SaveVariables {
        /// Whose.
        client: ClientId,
        /// Bare names and values; an empty value clears.
        variables: Variables,
        /// What both sides will have agreed on.
        confirms: Vec<Confirm>,
    },
    /// Make an order for a lead. Not repeatable: looked up before it is sent again.
    CreateOrder {
        /// Whose.
        client: ClientId,
        /// For which lead; its mark stands in the order's description.
        lead: LeadId,
        /// The order's name.
        name: String,
        /// The order's budget.
        budget: i64,
        /// Its first stage.
        state: Option<StateId>,
        /// What both sides will have agreed on: an edit of the new order is news from its first moment on.
        #[serde(default)]
        confirms: Vec<Confirm>,
    },
    /// Write variables of an order. Repeating is harmless.
    SetOrderVariables {
        /// Whose.
        client: ClientId,
        /// Which.
        order: OrderId,
        /// For which lead.
        lead: LeadId,
        /// Bare names and values.
        variables: Variables,
        /// What both sides will have agreed on.
        confirms: Vec<Confirm>,
    },
    /// Move an order to a stage. Repeating is harmless.
    SetOrderState {
        /// Whose.
        client: ClientId,
        /// Which; must be the client's current one.
        order: OrderId,
        /// For which lead.
        lead: LeadId,
        /// The stage.
        state: StateId,
        /// What both sides will have agreed on.
        #[serde(default)]
        confirms: Vec<Confirm>,
    },
    /// Start a bot with a text. Cannot be looked up.
    Callback {
        /// Whose bot.
        client: ClientId,
        /// The text the bot's block waits for.
        text: String,
    },
    /// Make a client for a contact that has none. Finds or creates, so repeating is harmless.
    LoadClient {
        /// For which contact.
        contact: ContactId,
        /// The person's id in the messenger.
        platform_id: String,
        /// The channel.
        group_id: String,
        /// The messenger's number.
        client_type: i64,
    },
    /// What a bot asked for by calling a function. While its record is not known, finding it comes first. What
    /// makes a record is looked up before it is sent again.
    Function(Box<Call>),
}

/// Where a note is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteTarget {
    /// On a contact.
    Contact(ContactId),
    /// On a lead.
    Lead(LeadId),
}

impl NoteTarget {
    /// The order key of the notes written there.
    pub fn key(self) -> String {
        match self {
            NoteTarget::Contact(contact) => format!("notes:{}", contact_key(contact)),
            NoteTarget::Lead(lead) => format!("notes:{}", lead_key(lead)),
        }
    }
}

/// A new value of an amoCRM record. Whole: what a field is to hold, not what is added to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// The full name.
    Name(String),
    /// The first name.
    FirstName(String),
    /// The last name.
    LastName(String),
    /// All tags.
    Tags(BTreeSet<String>),
    /// The responsible user.
    Responsible(UserId),
    /// A company to be made and linked.
    CompanyName(String),
    /// The contact of a new lead.
    Contact(ContactId),
    /// A lead's budget.
    Price(i64),
    /// A lead's stage.
    Stage {
        /// The pipeline.
        pipeline: PipelineId,
        /// The stage.
        status: StatusId,
    },
    /// A custom field: all its elements, none to clear it. Dates are local, `YYYY-MM-DD[ HH:MM:SS]`.
    Field {
        /// Which field.
        id: FieldId,
        /// What it holds.
        kind: FieldKind,
        /// All its values.
        elements: Vec<Element>,
    },
}

impl Edit {
    /// Which value it changes, in the words of the configuration: fit for logs, as it names no value.
    pub fn place(&self) -> String {
        match self {
            Edit::Name(_) => "name".to_owned(),
            Edit::FirstName(_) => "first_name".to_owned(),
            Edit::LastName(_) => "last_name".to_owned(),
            Edit::Tags(_) => "tags".to_owned(),
            Edit::Responsible(_) => "responsible".to_owned(),
            Edit::CompanyName(_) => "company".to_owned(),
            Edit::Contact(_) => "contact".to_owned(),
            Edit::Price(_) => "price".to_owned(),
            Edit::Stage { .. } => "stage".to_owned(),
            Edit::Field { id, .. } => format!("field.{id}"),
        }
    }
}

/// Whose bases a confirmation changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkRef {
    /// A client's link to its contact.
    Client(ClientId),
    /// A lead's link to its order.
    Lead(LeadId),
}

/// What a field's base becomes once the write is known to have happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    /// Whose base.
    pub link: LinkRef,
    /// Of which pair (`Rule::key`).
    pub rule: String,
    /// The new base.
    pub base: Base,
    /// What the write replaces, for the journal; none where it is not known or does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Replaced>,
}

/// A value before and after a write, in the written side's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// What stood there; none where nobody had read it.
    pub before: Option<Content>,
    /// What is written.
    pub after: Content,
}

/// The remote account an action goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// amoCRM.
    Amo,
    /// Salebot.
    Salebot,
}

impl Side {
    /// The word for logs, JSON and tables.
    pub fn name(self) -> &'static str {
        match self {
            Side::Amo => "amo",
            Side::Salebot => "salebot",
        }
    }
}

impl Action {
    /// The names of all of them, for people who look for some.
    pub const NAMES: [&str; 17] = [
        "create_contact",
        "update_contact",
        "update_lead",
        "add_note",
        "save_variables",
        "create_order",
        "set_order_variables",
        "set_order_state",
        "callback",
        "load_client",
        "function",
        "function_lead",
        "function_lead_change",
        "function_contact_change",
        "function_note",
        "function_task",
        "function_read",
    ];

    /// The account it goes to.
    pub fn side(&self) -> Side {
        match self {
            Action::CreateContact { .. }
            | Action::UpdateContact { .. }
            | Action::UpdateLead { .. }
            | Action::AddNote { .. } => Side::Amo,
            Action::SaveVariables { .. }
            | Action::CreateOrder { .. }
            | Action::SetOrderVariables { .. }
            | Action::SetOrderState { .. }
            | Action::Callback { .. }
            | Action::LoadClient { .. } => Side::Salebot,
            // Who it is about is asked where bots keep it.
            Action::Function(call) if call.target.is_none() => Side::Salebot,
            Action::Function(_) => Side::Amo,
        }
    }

    /// The word for logs, tables and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Action::CreateContact { .. } => "create_contact",
            Action::UpdateContact { .. } => "update_contact",
            Action::UpdateLead { .. } => "update_lead",
            Action::AddNote { .. } => "add_note",
            Action::SaveVariables { .. } => "save_variables",
            Action::CreateOrder { .. } => "create_order",
            Action::SetOrderVariables { .. } => "set_order_variables",
            Action::SetOrderState { .. } => "set_order_state",
            Action::Callback { .. } => "callback",
            Action::LoadClient { .. } => "load_client",
            Action::Function(call) => function_name(call),
        }
    }

    /// Actions with the same key happen in the order they were recorded; others overtake freely.
    /// One key a person on Salebot's side, one a record on amoCRM's.
    pub fn key(&self) -> String {
        match self {
            Action::CreateContact { clients, .. } => match clients.first() {
                Some(client) => new_contact_key(*client),
                None => "new".to_owned(),
            },
            Action::UpdateContact { contact, .. } | Action::LoadClient { contact, .. } => contact_key(*contact),
            Action::UpdateLead { lead, .. } => lead_key(*lead),
            Action::AddNote { target, .. } => target.key(),
            Action::SaveVariables { client, .. }
            | Action::CreateOrder { client, .. }
            | Action::SetOrderVariables { client, .. }
            | Action::SetOrderState { client, .. }
            | Action::Callback { client, .. } => client_key(*client),
            Action::Function(call) => function_key(call),
        }
    }

    /// What both sides will have agreed on once it is done.
    pub fn confirms(&self) -> &[Confirm] {
        match self {
            Action::UpdateContact { confirms, .. }
            | Action::UpdateLead { confirms, .. }
            | Action::SaveVariables { confirms, .. }
            | Action::CreateOrder { confirms, .. }
            | Action::SetOrderVariables { confirms, .. }
            | Action::SetOrderState { confirms, .. } => confirms,
            Action::CreateContact { .. }
            | Action::AddNote { .. }
            | Action::Callback { .. }
            | Action::LoadClient { .. }
            | Action::Function(_) => &[],
        }
    }
}

/// The key of a contact: `contact:101`.
pub fn contact_key(id: ContactId) -> String {
    format!("contact:{id}")
}

/// The key of a lead: `lead:301`.
pub fn lead_key(id: LeadId) -> String {
    format!("lead:{id}")
}

/// The key of a client: `client:5`.
pub fn client_key(id: ClientId) -> String {
    format!("client:{id}")
}

/// The key of a contact that is being made for a client: `new:5`.
pub fn new_contact_key(id: ClientId) -> String {
    format!("new:{id}")
}

/// The key of a client's calls whose record is not known yet.
pub fn calls_key(id: ClientId) -> String {
    format!("calls:{id}")
}

/// The key of the leads that a client's calls make: what was called later may be about them. Not that of the calls,
/// since a call becomes a new lead behind calls that were recorded before.
pub fn leads_key(id: ClientId) -> String {
    format!("leads:{id}")
}

fn function_name(call: &Call) -> &'static str {
    match (&call.target, &call.work) {
        (None, _) => "function",
        (_, Work::Lead { .. }) => "function_lead",
        (Some(NoteTarget::Lead(_)), Work::Change(_)) => "function_lead_change",
        (Some(NoteTarget::Contact(_)), Work::Change(_)) => "function_contact_change",
        (_, Work::Note(_)) => "function_note",
        (_, Work::Task { .. }) => "function_task",
        (_, Work::Info | Work::Field(_)) => "function_read",
    }
}

fn function_key(call: &Call) -> String {
    let record = match call.target {
        None => return calls_key(call.client),
        Some(NoteTarget::Contact(contact)) => contact_key(contact),
        Some(NoteTarget::Lead(lead)) => lead_key(lead),
    };
    match call.work {
        Work::Lead { .. } => leads_key(call.client),
        Work::Note(_) => format!("notes:{record}"),
        Work::Task { .. } => format!("tasks:{record}"),
        Work::Change(_) | Work::Info | Work::Field(_) => record,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The names stand in two functions, where a new one is easily made and forgotten in the list.
    #[test]
    fn every_name_is_listed() {
        let functions = include_str!("action.rs").split("fn ");
        let naming = functions.filter(|text| text.starts_with("name(&self)") || text.starts_with("function_name("));
        let words = naming.flat_map(str::lines).filter_map(|line| line.split_once("=> \"")?.1.split('"').next());
        let (named, listed): (BTreeSet<&str>, _) = (words.collect(), BTreeSet::from(Action::NAMES));
        assert_eq!(named, listed);
    }
}
