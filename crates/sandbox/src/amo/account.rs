//! What an administrator sets up: users, custom fields, pipelines. Changes of it are not simulated.

use std::collections::BTreeMap;

/// One amoCRM account and its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account's number, `account_id` in every record.
    pub id: u64,
    /// The name shown in the interface.
    pub name: String,
    /// The first label of the account's host.
    pub subdomain: String,
    /// An IANA zone name; date fields without a time are meant in this zone.
    pub timezone: String,
    /// A three-letter currency code.
    pub currency: String,
    /// The user whose token the integration holds; its writes are made in this name.
    pub current_user: u64,
    /// Everybody with access, by id.
    pub users: BTreeMap<u64, User>,
    /// User groups by id; group 0 is the default one.
    pub groups: BTreeMap<u64, String>,
    /// The custom fields of each kind of record.
    pub fields: FieldCatalog,
    /// Sales pipelines by id.
    pub pipelines: BTreeMap<u64, Pipeline>,
    /// Task types by id: 1 call, 2 meeting, 3 mail, then the account's own.
    pub task_types: BTreeMap<u64, String>,
}

/// A user of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's number.
    pub id: u64,
    /// The name shown in the interface.
    pub name: String,
    /// The e-mail used to sign in.
    pub login: String,
    /// The user's group.
    pub group_id: u64,
    /// May change settings.
    pub is_admin: bool,
    /// Signed off users stay in old records and cannot be made responsible again.
    pub is_active: bool,
    /// Free users have no licence and are listed only on request (`free_users=Y`).
    pub is_free: bool,
    /// What it may not do freely, by the names of v2: `contact_edit` → `M` its own, `G` its group's, `D` nothing.
    /// What is not named is allowed (v2 account page).
    pub rights: BTreeMap<String, String>,
}

/// The verbs of rights to contacts, leads and companies (v2 account page).
pub const RIGHTS: [&str; 4] = ["add", "view", "edit", "delete"];

impl User {
    /// `A`, `M`, `G` or `D`, for a name such as `contact_edit`. Administrators may everything.
    pub fn right(&self, name: &str) -> &str {
        let limited = self.rights.get(name).filter(|_| !self.is_admin);
        limited.map_or("A", String::as_str)
    }
}

/// The custom fields of contacts, leads and companies, each in display order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldCatalog {
    /// Fields of contacts.
    pub contacts: Vec<Field>,
    /// Fields of leads.
    pub leads: Vec<Field>,
    /// Fields of companies.
    pub companies: Vec<Field>,
}

/// A custom field as the administrator defined it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The field's number, different in every account.
    pub id: u64,
    /// The name shown in the interface.
    pub name: String,
    /// `PHONE`, `EMAIL`, `POSITION`, `IM`; none for fields added by hand.
    pub code: Option<String>,
    /// What values it holds.
    pub kind: FieldKind,
    /// Made by amoCRM itself.
    pub is_system: bool,
    /// The choices of a list, or the kinds of a phone or an e-mail.
    pub choices: Vec<Choice>,
}

/// One choice of a list field, or one kind (`WORK`, `MOB`) of a multi-text field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The choice's number, different in every account.
    pub id: u64,
    /// Its text.
    pub value: String,
}

/// The types of custom fields, with the numbers of API v2 (amoCRM v2 custom fields page).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// 1: one line of text.
    Text,
    /// 2: a number, kept as text.
    Numeric,
    /// 3: on or off.
    Checkbox,
    /// 4: one of a list.
    Select,
    /// 5: any of a list.
    Multiselect,
    /// 6: a day.
    Date,
    /// 7: a web address.
    Url,
    /// 8: several texts, each of a kind: phones, e-mails, messengers.
    Multitext,
    /// 9: text of many lines.
    Textarea,
    /// 10: one of a list, drawn as buttons.
    Radio,
    /// 11: an address in one line.
    StreetAddress,
    /// 13: an address in six parts.
    SmartAddress,
    /// 14: a birthday.
    Birthday,
    /// 19: a day and a time.
    DateTime,
}

impl FieldKind {
    /// The `field_type` of the v2 account answer.
    pub fn number(self) -> u64 {
        match self {
            FieldKind::Text => 1,
            FieldKind::Numeric => 2,
            FieldKind::Checkbox => 3,
            FieldKind::Select => 4,
            FieldKind::Multiselect => 5,
            FieldKind::Date => 6,
            FieldKind::Url => 7,
            FieldKind::Multitext => 8,
            FieldKind::Textarea => 9,
            FieldKind::Radio => 10,
            FieldKind::StreetAddress => 11,
            FieldKind::SmartAddress => 13,
            FieldKind::Birthday => 14,
            FieldKind::DateTime => 19,
        }
    }
}

/// A sales pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// The pipeline's number.
    pub id: u64,
    /// The name shown in the interface.
    pub name: String,
    /// New leads without a stage land here.
    pub is_main: bool,
    /// Stages in order; the two closing ones are among them.
    pub statuses: Vec<Status>,
}

/// A stage of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The stage's number: 142 and 143 are the same in every pipeline.
    pub id: u64,
    /// The name shown in the interface.
    pub name: String,
    /// Where it stands in the pipeline.
    pub sort: u64,
}

/// The stage of leads that were won, in every pipeline.
pub const STATUS_WON: u64 = 142;

/// The stage of leads that were lost, in every pipeline.
pub const STATUS_LOST: u64 = 143;

/// True for the two stages that end a lead.
pub fn is_closing(status_id: u64) -> bool {
    matches!(status_id, STATUS_WON | STATUS_LOST)
}

impl Field {
    /// The choice with this number.
    pub fn choice(&self, id: u64) -> Option<&Choice> {
        self.choices.iter().find(|choice| choice.id == id)
    }

    /// The choice with exactly this text.
    pub fn choice_named(&self, value: &str) -> Option<&Choice> {
        self.choices.iter().find(|choice| choice.value == value)
    }
}

impl Pipeline {
    /// The stage with this number, if the pipeline has it.
    pub fn status(&self, id: u64) -> Option<&Status> {
        self.statuses.iter().find(|status| status.id == id)
    }
}

impl Account {
    /// The pipeline new leads land in: the main one, else the first.
    pub fn main_pipeline(&self) -> Option<&Pipeline> {
        self.pipelines.values().find(|p| p.is_main).or_else(|| self.pipelines.values().next())
    }

    /// The only pipeline that has this stage; the closing stages are in all of them, so `None`.
    pub fn pipeline_of(&self, status_id: u64) -> Option<&Pipeline> {
        if is_closing(status_id) {
            return None;
        }
        self.pipelines.values().find(|pipeline| pipeline.status(status_id).is_some())
    }

    /// The group of a user; 0 when the user is unknown.
    pub fn group_of(&self, user_id: u64) -> u64 {
        self.users.get(&user_id).map_or(0, |user| user.group_id)
    }
}
