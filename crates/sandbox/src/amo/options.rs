//! Everything about amoCRM that the documentation leaves open, so that a test can run each variant.

pub mod hooks;
pub mod oauth;
pub mod v4;

pub use self::hooks::HookOptions;
pub use self::oauth::OAuthOptions;
pub use self::v4::V4Options;

use super::account::Account;
use super::fixture;

/// How this amoCRM behaves. The default is what is documented, or most likely where nothing is.
#[derive(Debug, Clone)]
pub struct AmoOptions {
    /// The long-lived token: accepted beside what OAuth gives.
    pub token: String,
    /// The account's settings.
    pub account: Account,
    /// The request limit and what follows a breach of it.
    pub limits: LimitOptions,
    /// How listings are ordered, paged and delayed.
    pub listing: ListingOptions,
    /// How writes are checked.
    pub writing: WriteOptions,
    /// Which of several known forms the answers take.
    pub shapes: ShapeOptions,
    /// What moves the `updated_at` of a record beside a change of its own values.
    pub touch: TouchOptions,
    /// What only API v4 has.
    pub v4: V4Options,
    /// Who may ask for tokens, and how they are given.
    pub oauth: OAuthOptions,
    /// How webhooks are sent, and who may ask for them.
    pub hooks: HookOptions,
}

impl Default for AmoOptions {
    fn default() -> Self {
        AmoOptions {
            token: "sandbox-token".into(),
            account: fixture::account(),
            limits: LimitOptions::default(),
            listing: ListingOptions::default(),
            writing: WriteOptions::default(),
            shapes: ShapeOptions::default(),
            touch: TouchOptions::default(),
            v4: V4Options::default(),
            oauth: OAuthOptions::default(),
            hooks: HookOptions::default(),
        }
    }
}

/// The request limit: documented as 7 a second, then 429, then 403 for those who go on.
#[derive(Debug, Clone)]
pub struct LimitOptions {
    /// Requests let through in any second; `None` switches the limit off.
    pub requests_per_second: Option<u32>,
    /// This many 429 answers within the window bring the block; `None`: never.
    pub block_after_rejections: Option<u32>,
    /// The window in which 429 answers are counted.
    pub rejections_window_ms: i64,
    /// How long the block lasts.
    pub block_for_ms: i64,
    /// The body of a 429.
    pub rejection_body: RejectionBody,
    /// A `Retry-After` with the 429; none is documented.
    pub retry_after_s: Option<u32>,
    /// Requests remembered in the log, oldest forgotten first.
    pub request_log_limit: usize,
}

impl Default for LimitOptions {
    fn default() -> Self {
        LimitOptions {
            requests_per_second: Some(7),
            block_after_rejections: Some(20),
            rejections_window_ms: 60_000,
            block_for_ms: 600_000,
            rejection_body: RejectionBody::Html,
            retry_after_s: None,
            request_log_limit: 10_000,
        }
    }
}

/// The body of a 429 answer: the proxy before the application has been seen to send a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectionBody {
    /// An HTML page.
    Html,
    /// The same JSON as other errors.
    Problem,
}

/// How listings are ordered, paged and delayed.
#[derive(Debug, Clone)]
pub struct ListingOptions {
    /// Rows on a page when `limit_rows` is not sent.
    pub default_page_rows: usize,
    /// The most rows of one page; documented as 500.
    pub max_page_rows: usize,
    /// The order of rows, which is not documented.
    pub order: RowOrder,
    /// Whether a row changed in the very second of `IF-MODIFIED-SINCE` is listed.
    pub since_boundary: Boundary,
    /// The answer when nothing is found.
    pub nothing_found: NothingFound,
    /// A changed row appears in listings with `IF-MODIFIED-SINCE` only after this delay.
    pub visible_after_ms: i64,
    /// The search index knows of a change only after this delay.
    pub search_visible_after_ms: i64,
    /// `IF-MODIFIED-SINCE` also thins out a listing by ids.
    pub since_applies_to_ids: bool,
    /// A deleted lead can still be read by its id, marked as deleted.
    pub deleted_leads_by_id: bool,
    /// The search also compares digits alone, so that it finds a phone written another way.
    pub search_ignores_phone_format: bool,
}

impl Default for ListingOptions {
    fn default() -> Self {
        ListingOptions {
            default_page_rows: 50,
            max_page_rows: 500,
            order: RowOrder::Id,
            since_boundary: Boundary::Later,
            nothing_found: NothingFound::NoContent,
            visible_after_ms: 0,
            search_visible_after_ms: 0,
            since_applies_to_ids: false,
            deleted_leads_by_id: false,
            search_ignores_phone_format: false,
        }
    }
}

/// The order of rows in a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOrder {
    /// By id, ascending.
    Id,
    /// Longest unchanged first: rows that change move behind a reader.
    UpdatedAscending,
    /// Latest change first: rows that change push the others down.
    UpdatedDescending,
    /// No order anybody could use, yet the same at every request. The number is the seed.
    Shuffled(u64),
}

/// Whether a moment belongs to the time after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// Strictly later.
    Later,
    /// The same second counts too.
    SameOrLater,
}

/// What a listing without rows looks like. Listings by id answer 204 whatever is chosen here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NothingFound {
    /// 204 without a body.
    NoContent,
    /// 304 where the request had `IF-MODIFIED-SINCE`, else 204.
    NotModified,
    /// 200 without a body.
    EmptyBody,
    /// 200 with an empty list of items.
    EmptyItems,
}

/// How writes are checked.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// The most items in one request; 500 in the older text, 250 in the newer.
    pub max_batch_items: usize,
    /// Larger batches get 504; `None`: never.
    pub gateway_timeout_above: Option<usize>,
    /// A batch answered with 504 was written all the same.
    pub gateway_timeout_writes: bool,
    /// What a custom field that does not exist leads to.
    pub unknown_field: UnknownField,
    /// The longest value of a one-line text field, in characters; `None`: no limit.
    pub text_limit_chars: Option<usize>,
    /// What happens to 4-byte characters in values.
    pub emoji: Emoji,
    /// How a sent `name` is split into first and last name.
    pub names: NameRecognition,
    /// Phones and e-mails also take the number of their kind instead of its name.
    pub multitext_accepts_choice_ids: bool,
    /// A responsible user who does not exist, or is switched off, is refused.
    pub refuses_unknown_users: bool,
    /// A link to a record that does not exist is refused; else it is passed over.
    pub refuses_unknown_links: bool,
    /// Updating a lead needs its name and stage too, as error 217 has it.
    pub lead_update_needs_all: bool,
    /// The most contacts of one lead, beyond which error 330 follows.
    pub max_contacts_per_lead: usize,
    /// The largest body, in bytes.
    pub max_body_bytes: usize,
}

impl Default for WriteOptions {
    fn default() -> Self {
        WriteOptions {
            max_batch_items: 500,
            gateway_timeout_above: None,
            gateway_timeout_writes: false,
            unknown_field: UnknownField::RefusesItem,
            text_limit_chars: Some(256),
            emoji: Emoji::Kept,
            names: NameRecognition::TwoWords,
            multitext_accepts_choice_ids: false,
            refuses_unknown_users: true,
            refuses_unknown_links: false,
            lead_update_needs_all: false,
            max_contacts_per_lead: 40,
            max_body_bytes: 8 * 1024 * 1024,
        }
    }
}

/// What a custom field that does not exist leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownField {
    /// An error for the one item; the others are written.
    RefusesItem,
    /// 400 for the whole request, nothing is written.
    RefusesRequest,
}

/// What happens to 4-byte characters in values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emoji {
    /// They are stored.
    Kept,
    /// The text ends before the first of them.
    Cut,
    /// A custom field value with one is not stored at all; names and notes are cut.
    Dropped,
}

/// How a sent `name` is split into first and last name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRecognition {
    /// Exactly two words are a first and a last name; anything else leaves both empty.
    TwoWords,
    /// The whole name becomes the first name.
    WholeInFirst,
    /// Nothing is recognised: both stay as they were.
    Off,
}

/// Which of several known forms the answers take.
#[derive(Debug, Clone)]
pub struct ShapeOptions {
    /// Containers without content.
    pub empty: EmptyShape,
    /// The number of a choice, in a value.
    pub choice_id: NumberShape,
    /// The name of the links in answers to writes.
    pub write_links: LinksKey,
    /// The `updated_at` in answers to writes.
    pub write_time: WriteTime,
    /// Errors of single items.
    pub item_errors: ItemErrors,
    /// Errors of whole requests.
    pub problems: ProblemShape,
    /// Values carry the code of their field (`PHONE`).
    pub field_codes: bool,
    /// Values carry the type number of their field.
    pub field_types: bool,
    /// The account answer gives the codes of fields too; its documented sample does not.
    pub account_field_codes: bool,
    /// Contacts show `first_name` and `last_name`.
    pub name_parts: bool,
    /// Field lists of the account answer.
    pub account_fields: CollectionShape,
    /// The choices of a field in the account answer.
    pub account_choices: CollectionShape,
    /// Parameters of SMS notes read back in upper case.
    pub sms_params_upper_case: bool,
    /// How date fields read back.
    pub dates: DateShape,
}

impl Default for ShapeOptions {
    fn default() -> Self {
        ShapeOptions {
            empty: EmptyShape::Object,
            choice_id: NumberShape::Text,
            write_links: LinksKey::Links,
            write_time: WriteTime::Seconds,
            item_errors: ItemErrors::Map,
            problems: ProblemShape::Problem,
            field_codes: true,
            field_types: false,
            account_field_codes: false,
            name_parts: true,
            account_fields: CollectionShape::List,
            account_choices: CollectionShape::List,
            sms_params_upper_case: false,
            dates: DateShape::AsSent,
        }
    }
}

/// Containers without content: `company`, `contacts`, `main_contact`, `leads`, `customers`, `tags`,
/// `custom_fields`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptyShape {
    /// `{}`, as seen.
    Object,
    /// `[]`.
    List,
    /// `null`.
    Null,
    /// The key is missing.
    Absent,
}

/// A number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberShape {
    /// In quotes, as documented.
    Text,
    /// Without quotes, as recorded in 2021.
    Number,
}

/// The name of the links in answers to writes: the pages differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinksKey {
    /// `_links`.
    Links,
    /// `_link`.
    Link,
}

/// The `updated_at` in answers to writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteTime {
    /// Unix seconds, the value that was stored.
    Seconds,
    /// Unix milliseconds, as recorded once.
    Milliseconds,
    /// The key is missing, as in the contacts page.
    Absent,
}

/// Errors of single items, inside a 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemErrors {
    /// A map from the id (updates) or the position (creates) to a text.
    Map,
    /// A list of objects with a numeric code.
    List,
}

/// Errors of whole requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemShape {
    /// `{"title":…,"detail":…,"status":…}`.
    Problem,
    /// `{"response":{"error":…,"error_code":…}}`.
    Legacy,
}

/// A collection in the account answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectionShape {
    /// A list of objects.
    List,
    /// A map by id.
    Map,
}

/// How date fields read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateShape {
    /// The text that was written.
    AsSent,
    /// `YYYY-MM-DD hh:mm:ss` in the account's zone, whatever was written.
    Local,
}

/// What moves the `updated_at` of a record beside a change of its own values; none of it is documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TouchOptions {
    /// A note on it.
    pub notes: bool,
    /// A task on it.
    pub tasks: bool,
    /// Its tags, changed by a manager.
    pub tags: bool,
    /// A link made or undone from the other end.
    pub links: bool,
    /// Another contact merged into it.
    pub merges: bool,
}

impl Default for TouchOptions {
    fn default() -> Self {
        TouchOptions { notes: false, tasks: false, tags: true, links: false, merges: true }
    }
}
