//! Which records belong together, and what both sides were last seen to have.

use super::echo;
use super::flips::Flips;
use super::id::{ClientId, ContactId, LeadId, OrderId, PipelineId, StateId, StatusId, UserId};
use super::model::Client;
use super::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A value in one side's own form: no entry is no value, several entries a multi-value.
pub type Content = Vec<String>;

/// What each side was last seen to have for one pair of values.
///
/// A side has changed only if it differs from its own entry here: what a service made of our write
/// (a trimmed phone, a cut emoji) is not an edit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Base {
    /// amoCRM's value; none: never seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amo: Option<Content>,
    /// Salebot's value; none: never seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salebot: Option<Content>,
    /// Values written to amoCRM and not seen there since: seeing one of them, or what the service made of it, is no edit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent_amo: Vec<Content>,
    /// The same for Salebot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent_salebot: Vec<Content>,
    /// Elements of a multi-value that came from Salebot: only these may be removed from there.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ours: BTreeSet<String>,
    /// The element of a multi-value that this client's variable carries, when it is its own and not simply the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<String>,
    /// True once an undo put one side back: the pair rests, though the sides differ, until one of them is edited.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undone: bool,
    /// How often it changed the direction in which it is carried.
    #[serde(default, skip_serializing_if = "is_default")]
    pub flips: Flips,
}

fn is_default(flips: &Flips) -> bool {
    *flips == Flips::default()
}

/// Bases by `Rule::key`.
pub type Bases = BTreeMap<String, Base>;

/// A client, the contact it belongs to, and what both were last seen to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientLink {
    /// The client.
    pub client: Client,
    /// The contact; none while the person is unknown to amoCRM.
    pub contact: Option<ContactId>,
    /// True once it was found that no contact matches and none is to be made.
    #[serde(default)]
    pub unmatched: bool,
    /// Bases of the pairs between client and contact.
    pub bases: Bases,
    /// When the newest message was received.
    pub last_message_at: Option<Millis>,
    /// Callbacks sent lately, which may come back as messages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callbacks: Vec<echo::Sent>,
    /// Counts changes of this row; the store raises it.
    pub revision: i64,
}

impl ClientLink {
    /// A client met for the first time.
    pub fn new(client: Client) -> ClientLink {
        ClientLink {
            client,
            contact: None,
            unmatched: false,
            bases: Bases::new(),
            last_message_at: None,
            callbacks: Vec::new(),
            revision: 0,
        }
    }

    /// The same client, now of this contact or of none. What was agreed on with another one counts no more, and who has none
    /// agrees with nobody.
    #[must_use]
    pub fn of_contact(self, contact: Option<ContactId>) -> ClientLink {
        ClientLink { contact, unmatched: false, bases: Bases::new(), ..self }
    }
}

/// A lead, the order it became, and what both were last seen to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DealLink {
    /// The lead.
    pub lead: LeadId,
    /// The contact it is about.
    pub contact: Option<ContactId>,
    /// The client whose order it became, or whose variables spoke of it last.
    pub client: Option<ClientId>,
    /// Its place in the order in which the leads of its contact took the word in the client's variables; 0: it never did.
    /// Where another one has a higher place, the variables hold what is that one's.
    pub spoke: u64,
    /// The order; none until it is made.
    pub order: Option<OrderId>,
    /// True from the moment a creation is recorded: one lead never makes two orders.
    pub ordered: bool,
    /// The stage last seen.
    pub stage: Option<(PipelineId, StatusId)>,
    /// The stage the order was made with.
    pub state: Option<StateId>,
    /// The responsible user last seen.
    pub responsible: Option<UserId>,
    /// False once won, lost or deleted.
    pub open: bool,
    /// amoCRM's `updated_at` of the newest observation: older rows are stale.
    pub version: i64,
    /// Fingerprint of the newest observation: equal rows cost nothing.
    pub fingerprint: String,
    /// Bases of the pairs between lead and order, or lead and client.
    pub bases: Bases,
    /// Counts changes of this row; the store raises it.
    pub revision: i64,
}

impl DealLink {
    /// A lead of which nothing is known but that it is there.
    pub fn new(lead: LeadId) -> DealLink {
        DealLink {
            lead,
            contact: None,
            client: None,
            spoke: 0,
            order: None,
            ordered: false,
            stage: None,
            state: None,
            responsible: None,
            open: true,
            version: 0,
            fingerprint: String::new(),
            bases: Bases::new(),
            revision: 0,
        }
    }
}

/// What is remembered of a contact, linked or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactSeen {
    /// The contact.
    pub contact: ContactId,
    /// Fingerprint of its newest observation: equal rows cost nothing.
    pub fingerprint: String,
    /// amoCRM's `updated_at` of the newest observation or of our own write: older rows are stale.
    pub version: i64,
}
