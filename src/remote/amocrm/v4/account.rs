//! What an account offers: time zone, fields, users, pipelines, and whether its listings can be filtered.

use super::AmoV4;
use super::wire::{AccountRow, FieldInfoRow, PipelineRow};
use crate::core::fault::{Fault, FaultKind};
use crate::core::id::{FieldId, UserId};
use crate::core::model::{Account, FieldInfo};
use crate::ports::remote::Priority;
use crate::remote::amocrm::loose::decode;
use crate::remote::amocrm::page::{self, Wire};
use crate::remote::amocrm::values::NamedRow;
use crate::remote::lane::LaneState;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

const ACCOUNT: &str = "/api/v4/account";
const CONTACT_FIELDS: &str = "/api/v4/contacts/custom_fields";
const LEAD_FIELDS: &str = "/api/v4/leads/custom_fields";
const PIPELINES: &str = "/api/v4/leads/pipelines";
const USERS: &str = "/api/v4/users";
/// Rows of a full page of these lists, by the smaller of two documented numbers (v4 custom fields page).
const FULL_ROWS: u32 = 50;
/// Pages of the account's own lists: 10,000 users or fields even where a page holds but fifty of them.
const PAGES_MAX: u32 = 200;

/// Whether listings of contacts, leads and companies heed `filter[…]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filters {
    /// The account says so, and no answer belied it.
    Work,
    /// The account says that they do not.
    Off,
    /// The account said so, and an answer held rows that a filter would have left out.
    Belied,
    /// The account does not say.
    Unsaid,
}

/// What the adapter keeps of the account.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The zone that dates are meant in.
    pub(super) zone: TimeZone,
    /// See [`Filters`].
    pub(super) filters: Filters,
}

impl AmoV4 {
    /// Reads everything that is told of the account.
    pub(super) async fn read_account(&self, priority: Priority) -> Result<Account, Fault> {
        let (id, time_zone) = self.probe(priority).await?;
        let contact_fields = self.all::<FieldInfoRow>(CONTACT_FIELDS, "custom_fields", priority).await?;
        let lead_fields = self.all::<FieldInfoRow>(LEAD_FIELDS, "custom_fields", priority).await?;
        let pipelines = self.all::<PipelineRow>(PIPELINES, "pipelines", priority).await?;
        Ok(Account {
            id,
            time_zone,
            contact_fields: contact_fields.into_iter().collect::<BTreeMap<FieldId, FieldInfo>>(),
            lead_fields: lead_fields.into_iter().collect(),
            users: self.users(priority).await?,
            pipelines: pipelines.into_iter().collect(),
        })
    }

    /// Reads the account itself: its id and the name of its zone. What the adapter needs of it is kept.
    async fn probe(&self, priority: Priority) -> Result<(u64, String), Fault> {
        let query = vec![("with".to_owned(), "datetime_settings,is_api_filter_enabled".to_owned())];
        let answer = self.get(ACCOUNT, query, priority).await?;
        if answer.status != 200 || !answer.looks_like_json() {
            return Err(Fault::new(FaultKind::Transient, "no account in the answer"));
        }
        let row: AccountRow = decode(&String::from_utf8_lossy(&answer.body)).map_err(|error| {
            let kind = if error.is_cut { FaultKind::Transient } else { FaultKind::Broken };
            Fault::new(kind, format!("the account cannot be read: {}", error.reason))
        })?;
        let id = row.id.positive().ok_or_else(|| Fault::new(FaultKind::Broken, "the account has no id"))?;
        let settings = row.embedded.0.and_then(|parts| parts.datetime_settings.0).unwrap_or_default();
        let time_zone = settings.timezone.or_empty();
        let filters = match row.is_api_filter_enabled.0 {
            Some(0) => Filters::Off,
            Some(_) => Filters::Work,
            None => Filters::Unsaid,
        };
        let zone = TimeZone::get(&time_zone).unwrap_or(TimeZone::UTC);
        self.know(Known { zone, filters });
        Ok((id, time_zone))
    }

    /// What is kept of the account, asked for where nothing is yet: the engine may begin with the account as its store
    /// has it.
    pub(super) async fn known(&self, priority: Priority) -> Result<Known, Fault> {
        if let Some(known) = self.remembered() {
            return Ok(known);
        }
        self.probe(priority).await?;
        self.remembered().ok_or_else(|| Fault::new(FaultKind::Transient, "the account was not read"))
    }

    fn remembered(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// That an answer belied the account's word is remembered longer than the word.
    fn know(&self, new: Known) {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let was_belied = known.as_ref().is_some_and(|known| known.filters == Filters::Belied);
        let filters = if was_belied { Filters::Belied } else { new.filters };
        *known = Some(Known { filters, ..new });
    }

    /// An answer held what a filter would have left out.
    pub(super) fn filters_were_ignored(&self) {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = known.as_mut().filter(|known| known.filters != Filters::Belied) {
            tracing::warn!(
                "amoCRM ignores filters in this account: listings are read by their order, records one by one"
            );
            known.filters = Filters::Belied;
        }
    }

    /// The users; none where the token may not see them: it must be an administrator's (v4 users page).
    async fn users(&self, priority: Priority) -> Result<BTreeMap<UserId, String>, Fault> {
        match self.all::<NamedRow>(USERS, "users", priority).await {
            Ok(users) => Ok(users.into_iter().map(|(id, name)| (UserId(id), name)).collect()),
            Err(fault) if fault.kind == FaultKind::Auth && self.lane().report().state == LaneState::Open => {
                tracing::warn!("the users of the account are not shown to us; they stand as numbers: {fault}");
                Ok(BTreeMap::new())
            }
            Err(fault) => Err(fault),
        }
    }

    /// All rows of one of the account's own lists. One that cannot be read is left out.
    async fn all<W: Wire>(
        &self,
        path: &'static str,
        list: &'static str,
        priority: Priority,
    ) -> Result<Vec<W::Record>, Fault> {
        let mut all = Vec::new();
        for number in 1..=PAGES_MAX {
            let query = super::page_query(number);
            let rows = page::rows::<W>(&self.get(path, query, priority).await?, list)?;
            let goes_on = rows.goes_on(FULL_ROWS);
            for row in rows.rows {
                match row {
                    Ok(row) => all.push(row),
                    Err(broken) => {
                        tracing::warn!(row = broken.id, "a row of {path} cannot be read: {}", broken.reason);
                    }
                }
            }
            if !goes_on {
                break;
            }
        }
        Ok(all)
    }
}
