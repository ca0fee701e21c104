//! What nobody documents about Salebot, as options: each unknown has every plausible variant.
//!
//! The defaults follow the official pages where they speak, else the variant most often met in
//! public integrations. A bridge that works under all of them works with the real service.

use std::fmt;

/// What a key may do (Salebot API page, "Как сгенерировать api key").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// RC: read clients.
    ReadClients,
    /// WC: change and delete client data.
    WriteClients,
    /// DC: delete clients.
    DeleteClients,
    /// RD: read the CRM.
    ReadDeals,
    /// WD: change and delete in the CRM.
    WriteDeals,
}

/// A project key with the permissions chosen for it. Its text never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    text: String,
    permissions: Option<Vec<Permission>>,
}

impl ApiKey {
    /// A key of the old kind: it holds every permission.
    pub fn full(text: &str) -> Self {
        Self { text: text.to_owned(), permissions: None }
    }

    /// A key that holds the named permissions and no other.
    pub fn limited(text: &str, permissions: &[Permission]) -> Self {
        Self { text: text.to_owned(), permissions: Some(permissions.to_vec()) }
    }

    /// Whether this is the key that stands in the address.
    pub fn is(&self, text: &str) -> bool {
        self.text == text
    }

    /// Whether the key may do this.
    pub fn allows(&self, permission: Permission) -> bool {
        self.permissions.as_ref().is_none_or(|held| held.contains(&permission))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ApiKey").field("permissions", &self.permissions).finish_non_exhaustive()
    }
}

/// How a request with a wrong key, or a key without the permission, is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 404, as for an address that does not exist.
    NotFound,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 200 with `{"status":"error",…}`.
    StatusInBody,
}

/// How an action that has nothing to tell says that it worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledgement {
    /// `{"status":"success"}`.
    Json,
    /// The bare text `ok`.
    Text,
}

/// How `client_not_found` is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientNotFound {
    /// `{"status":"client_not_found"}` with 200.
    InBody,
    /// The same body with 404.
    With404,
}

/// What `get_variables` says about a client it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownVariables {
    /// 404 with an empty body.
    NotFound,
    /// `{"status":"client_not_found"}` with 200.
    StatusInBody,
    /// `{}` with 200.
    EmptyObject,
}

/// The shape of `get_variables`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariablesForm {
    /// One flat object.
    Flat,
    /// The flat object under the key `variables`.
    Wrapped,
}

/// How a built-in value that is not set is written in `get_variables`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbsentForm {
    /// The text `NONE`.
    NoneText,
    /// `null`.
    Null,
    /// The empty text.
    EmptyText,
}

/// What writing an empty text into a variable leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClearedForm {
    /// Nothing: the name is gone.
    Removed,
    /// The name with an empty text.
    EmptyText,
}

/// How `created_at` and `updated_at` are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeForm {
    /// Unix seconds, a number.
    UnixSeconds,
    /// `2026-05-28 17:33:42.539976` in the project's zone, with no zone said.
    NaiveText,
}

/// How message and block numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberForm {
    /// A JSON number.
    Number,
    /// The same digits as a text.
    Text,
}

/// What a finder of one client answers when there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinderMiss {
    /// 404 with an empty body.
    NotFound,
    /// `{"status":"client_not_found"}` with 200.
    StatusInBody,
    /// `{"client_id":null}` with 200.
    NullId,
}

/// What `find_client_id_by_platform_id` answers when there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlatformMiss {
    /// `[]`.
    EmptyArray,
    /// `{"status":"error",…}` with 200.
    StatusInBody,
}

/// Under which key `find_all_client_id_by_var` lists its ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdListForm {
    /// `{"status":"success","client_ids":[…]}`.
    ClientIds,
    /// `{"status":"success","result":[…]}`.
    Result,
    /// `[…]`.
    BareArray,
}

/// Which of several clients a finder of one client names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinderChoice {
    /// The one created first.
    Oldest,
    /// The one created last.
    Newest,
}

/// How forgiving the look-ups by phone are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhoneMatch {
    /// The text must be the same.
    Exact,
    /// The digits must be the same.
    Digits,
}

/// What becomes of plain variables when the client has no deal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutDeal {
    /// They are dropped, and the answer is a success all the same.
    Dropped,
    /// An implicit deal without a stage takes them.
    ImplicitDeal,
}

/// What `get_current_order_id` says of a client without a deal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoDeal {
    /// `{"status":"success","order_id":null}`.
    NullId,
    /// `{"status":"order not found"}`.
    NotFound,
}

/// Which variables `get_order_vars` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderVariables {
    /// Those that are named; all of them when none is named, as the calculator's function does.
    NamedElseAll,
    /// Those that are named; none when none is named.
    Named,
    /// All of them, whatever is named.
    All,
}

/// When a change of stage raises `crm_state_changed <funnel>:<stage>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageNotices {
    /// Never: switched off in the project's settings.
    Never,
    /// When the stage is another one than before.
    OnChange,
    /// On each write, also of the same stage.
    Always,
}

/// How a message without attachments shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptyAttachments {
    /// `null`.
    Null,
    /// `[]`.
    Array,
    /// `{}`.
    Object,
}

/// How a message with attachments shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilledAttachments {
    /// An array of addresses.
    Links,
    /// An array of `{"attachment_url","attachment_type"}`.
    Objects,
    /// A text that holds a Python list: `"['u1', 'u2']"`.
    PythonList,
}

/// The form of `attachments`, of which at least six are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttachmentsForm {
    /// When there are none.
    pub empty: EmptyAttachments,
    /// When there are some.
    pub filled: FilledAttachments,
}

/// What `error_message` says of a message that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoErrorForm {
    /// `null`.
    Null,
    /// The text `"true"`, as in the official sample.
    TrueText,
    /// The text `"false"`.
    FalseText,
}

/// How the yes-or-no members of a webhook are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagForm {
    /// `1` and `0`, as documented.
    Number,
    /// `true` and `false`.
    Boolean,
    /// `"1"` and `"0"`.
    Text,
}

/// What the project webhook carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookOptions {
    /// Off: no address is set in the project, and nothing is queued.
    pub enabled: bool,
    /// Whether the undocumented `client.variables` is there.
    pub variables: bool,
    /// Whether the undocumented `internal_id` is there.
    pub internal_id: bool,
    /// Whether callbacks sent through the API come back as messages.
    pub callbacks: bool,
    /// The form of `attachments`.
    pub attachments: AttachmentsForm,
    /// The form of `is_input` and `delivered`.
    pub flags: FlagForm,
    /// How many undelivered webhooks are kept; the oldest goes first.
    pub queue_limit: usize,
}

/// More requests than this in any second are answered with 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in any 1,000 ms.
    pub per_second: u32,
    /// Value of the `Retry-After` header, in seconds, if it is sent.
    pub retry_after_s: Option<u32>,
}

/// The language of the installation: it names the fields of a deal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installation {
    /// `Название`, `Описание`.
    Russian,
    /// `Name`, `Description`.
    International,
}

impl Installation {
    /// The variable that holds a deal's name.
    pub fn deal_name(self) -> &'static str {
        match self {
            Self::Russian => "Название",
            Self::International => "Name",
        }
    }

    /// The variable that holds a deal's description.
    pub fn deal_description(self) -> &'static str {
        match self {
            Self::Russian => "Описание",
            Self::International => "Description",
        }
    }
}

/// Everything that can differ between one project, or one guess about Salebot, and another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SalebotOptions {
    /// `project_id` in answers and webhooks.
    pub project_id: i64,
    /// The keys of the project.
    pub keys: Vec<ApiKey>,
    /// The answer to a wrong key.
    pub wrong_key: Refusal,
    /// The answer to a key without the permission.
    pub missing_permission: Refusal,
    /// A limit on requests per second, if there is one.
    pub rate_limit: Option<RateLimit>,
    /// A limit on requests per day of the project's zone; `save_variables` does not count.
    pub daily_quota: Option<u64>,
    /// How many requests the log of the statistics keeps.
    pub request_log_limit: usize,
    /// Seconds east of UTC of the project's zone.
    pub zone_offset_s: i32,
    /// The language of the installation.
    pub installation: Installation,
    /// The form of a bare success.
    pub acknowledgement: Acknowledgement,
    /// The form of `client_not_found`.
    pub client_not_found: ClientNotFound,
    /// `get_variables` for an unknown client.
    pub unknown_variables: UnknownVariables,
    /// The shape of `get_variables`.
    pub variables_form: VariablesForm,
    /// Built-in values that are not set.
    pub absent: AbsentForm,
    /// What an empty text leaves of a variable.
    pub cleared: ClearedForm,
    /// Times in clients, messages and webhooks.
    pub time_form: TimeForm,
    /// Message and block numbers.
    pub number_form: NumberForm,
    /// Finders of one client, none found. (`whatsapp_client_id` is documented: always 404.)
    pub finder_miss: FinderMiss,
    /// `find_client_id_by_platform_id`, none found.
    pub platform_miss: PlatformMiss,
    /// `find_all_client_id_by_var`.
    pub id_list_form: IdListForm,
    /// Which of several clients a finder names.
    pub finder_choice: FinderChoice,
    /// Look-ups by phone.
    pub phone_match: PhoneMatch,
    /// Whether `online_chat_client_id` makes a client for an unknown recipient.
    pub online_chat_creates: bool,
    /// Plain variables of a client without a deal.
    pub without_deal: WithoutDeal,
    /// `get_current_order_id` of a client without a deal.
    pub no_deal: NoDeal,
    /// What `get_order_vars` tells.
    pub order_variables: OrderVariables,
    /// Whether each new client gets a deal at once.
    pub deal_for_new_client: bool,
    /// Whether a new deal without a stage goes to the first stage of the first funnel.
    pub first_stage_intake: bool,
    /// When a change of stage is told.
    pub stage_notices: StageNotices,
    /// Whether WhatsApp ids carry `@s.whatsapp.net`.
    pub whatsapp_suffix: bool,
    /// Whether `get_history` starts with the newest message.
    pub history_newest_first: bool,
    /// `attachments` of `get_history`.
    pub history_attachments: AttachmentsForm,
    /// `error_message` of a message that arrived, in history and webhooks.
    pub no_error: NoErrorForm,
    /// The project webhook.
    pub webhook: WebhookOptions,
    /// How many messages are kept for each client; the oldest goes first.
    pub history_limit: usize,
    /// How many callbacks are kept for the comparison; the oldest goes first.
    pub callback_log_limit: usize,
    /// How many timed sendings may wait.
    pub schedule_limit: usize,
}

/// The key of [`SalebotOptions::default`].
pub const DEFAULT_KEY: &str = "5a1eb0750000000000000000000000aa";

impl Default for SalebotOptions {
    fn default() -> Self {
        Self {
            project_id: 400_000,
            keys: vec![ApiKey::full(DEFAULT_KEY)],
            wrong_key: Refusal::NotFound,
            missing_permission: Refusal::Forbidden,
            rate_limit: None,
            daily_quota: None,
            request_log_limit: 10_000,
            zone_offset_s: 3 * 3_600,
            installation: Installation::Russian,
            acknowledgement: Acknowledgement::Json,
            client_not_found: ClientNotFound::InBody,
            unknown_variables: UnknownVariables::StatusInBody,
            variables_form: VariablesForm::Flat,
            absent: AbsentForm::NoneText,
            cleared: ClearedForm::Removed,
            time_form: TimeForm::UnixSeconds,
            number_form: NumberForm::Number,
            finder_miss: FinderMiss::StatusInBody,
            platform_miss: PlatformMiss::EmptyArray,
            id_list_form: IdListForm::ClientIds,
            finder_choice: FinderChoice::Oldest,
            phone_match: PhoneMatch::Digits,
            online_chat_creates: true,
            without_deal: WithoutDeal::Dropped,
            no_deal: NoDeal::NullId,
            order_variables: OrderVariables::NamedElseAll,
            deal_for_new_client: false,
            first_stage_intake: true,
            stage_notices: StageNotices::OnChange,
            whatsapp_suffix: false,
            history_newest_first: true,
            history_attachments: AttachmentsForm {
                empty: EmptyAttachments::Object,
                filled: FilledAttachments::Objects,
            },
            no_error: NoErrorForm::Null,
            webhook: WebhookOptions::default(),
            history_limit: 10_000,
            callback_log_limit: 100_000,
            schedule_limit: 100_000,
        }
    }
}

impl Default for WebhookOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            variables: true,
            internal_id: true,
            callbacks: true,
            attachments: AttachmentsForm { empty: EmptyAttachments::Array, filled: FilledAttachments::Links },
            flags: FlagForm::Number,
            queue_limit: 200_000,
        }
    }
}
