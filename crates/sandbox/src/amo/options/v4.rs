//! What the documentation of API v4 leaves open.

/// How API v4 behaves. The default is what is documented for amocrm.ru, or most likely where nothing is.
#[derive(Debug, Clone)]
pub struct V4Options {
    /// Whether listings of contacts, leads and companies heed `filter[…]`.
    pub filters: Filters,
    /// What the account says of it in `is_api_filter_enabled`; `None`: nothing.
    pub filters_flag: Option<bool>,
    /// Listings keep the order asked for, else they have their own.
    pub keeps_order: bool,
    /// Whether lists say where they go on.
    pub next: NextLinks,
    /// What becomes of the good items of a batch in which one is refused.
    pub mixed_batch: MixedBatch,
    /// What refused items are called by.
    pub refused_by: RefusedBy,
    /// A change with an `updated_at` not later than the stored one is refused, as in v2.
    pub locks: bool,
    /// The answer to the address of a record that does not exist.
    pub missing: MissingRecord,
    /// A record in the trash can still be read by its address, marked as deleted.
    pub shows_deleted: bool,
    /// The kind of a value stands under `enum`, as in official samples, not under `enum_code`.
    pub sample_enums: bool,
    /// How dates are read.
    pub dates: Dates,
    /// The token's user may see the users.
    pub shows_users: bool,
    /// A change that sends back what only reading has (`account_id`, `_links`, a field's name) is refused;
    /// published clients send whole records back, so by default such members are ignored.
    pub refuses_echo: bool,
    /// The most custom fields of one page: 50 in the text, 250 in the table.
    pub custom_fields_rows: usize,
}

impl Default for V4Options {
    fn default() -> Self {
        V4Options {
            filters: Filters::Ignored,
            filters_flag: Some(false),
            keeps_order: true,
            next: NextLinks::Told,
            mixed_batch: MixedBatch::Nothing,
            refused_by: RefusedBy::RequestId,
            locks: false,
            missing: MissingRecord::NoContent,
            shows_deleted: false,
            sample_enums: false,
            dates: Dates::Unix,
            shows_users: true,
            refuses_echo: false,
            custom_fields_rows: 250,
        }
    }
}

/// Whether filters are heeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filters {
    /// They are.
    Heeded,
    /// All rows come, without a word.
    Ignored,
}

/// Whether lists say where they go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextLinks {
    /// `_links.next`, until the last page.
    Told,
    /// No links at all: only a page's length tells.
    Untold,
}

/// What becomes of the good items of a batch in which one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MixedBatch {
    /// Nothing is written.
    Nothing,
    /// They are written, and the answer does not say so.
    Rest,
}

/// What refused items are called by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedBy {
    /// Their request id.
    RequestId,
    /// Their place in the request.
    Place,
}

/// The answer to the address of a record that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingRecord {
    /// 204 without a body.
    NoContent,
    /// 404 in JSON.
    NotFound,
}

/// How dates are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dates {
    /// Unix seconds.
    Unix,
    /// RFC 3339 with the account's offset.
    Rfc3339,
}
