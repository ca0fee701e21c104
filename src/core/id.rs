//! One type for each kind of id and side, so that mixing them does not compile.

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// A contact of amoCRM.
    ContactId(u64);
    /// A lead (deal) of amoCRM.
    LeadId(u64);
    /// A company of amoCRM.
    CompanyId(u64);
    /// A user (employee) of amoCRM.
    UserId(u64);
    /// A custom field of amoCRM; unique in the account.
    FieldId(u64);
    /// A choice of a list field, or the kind of a phone or e-mail, of amoCRM.
    EnumId(u64);
    /// A pipeline of amoCRM.
    PipelineId(u64);
    /// A stage of an amoCRM pipeline. 142 and 143 mean won and lost in every pipeline.
    StatusId(u64);
    /// A note of amoCRM.
    NoteId(u64);
    /// A Salebot client: one person in one messenger of one connected bot.
    ClientId(u64);
    /// An order (deal) of SalebotCRM.
    OrderId(u64);
    /// A stage of a SalebotCRM funnel; unique in the project.
    StateId(u64);
    /// A message of a Salebot dialogue; 11 digits are usual, so more than 32 bits.
    MessageId(u64);
    /// A row of the outbox, in the order it was recorded.
    ActionId(i64);
    /// A row of the inbox, in the order it was received.
    InboxId(i64);
}

impl StatusId {
    /// "Won", the same id in every pipeline (amoCRM v2 leads page).
    pub const WON: StatusId = StatusId(142);
    /// "Lost", the same id in every pipeline (amoCRM v2 leads page).
    pub const LOST: StatusId = StatusId(143);

    /// True for won and lost.
    pub fn is_closed(self) -> bool {
        self == Self::WON || self == Self::LOST
    }
}
