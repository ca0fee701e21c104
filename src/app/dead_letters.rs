//! Dead letters for people: listed, shown, retried, discarded.
//!
//! Commands work beside a running daemon: a dead row is nobody's work, so only commands change it,
//! and the daemon finds what waits again by looking into its queues.

use crate::config::Config;
use crate::core::action::{Action, Edit};
use crate::core::fault::{Fault, FaultKind};
use crate::core::id::{ActionId, InboxId};
use crate::core::time::Millis;
use crate::ports::store::{Change, DeadContent, DeadDetail, DeadLetter, JournalEntry, OutboxRow};
use anyhow::{Context, bail};
use jiff::{Span, Timestamp, civil, tz::TimeZone};
use serde_json::{Value, json};
use std::fmt;
use std::str::FromStr;

/// What the commands read from and write to.
pub use crate::ports::store::Store;

/// Most dead letters of a bridge that are looked through, the newest ones.
pub const LISTED_MAX: u32 = 10_000;

/// A dead letter's name on the command line: `outbox:12`. Rows are counted over all bridges, so it is unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterId {
    queue: String,
    row: i64,
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.queue, self.row)
    }
}

impl FromStr for LetterId {
    type Err = String;

    fn from_str(text: &str) -> Result<LetterId, String> {
        let wrong = || "write it as the list shows it: outbox:12 or inbox:3".to_owned();
        let (queue, row) = text.split_once(':').ok_or_else(wrong)?;
        let is_known = matches!(queue, "inbox" | "outbox");
        let row = row.parse().ok().filter(|row| is_known && *row > 0).ok_or_else(wrong)?;
        Ok(LetterId { queue: queue.to_owned(), row })
    }
}

/// A moment as people write it: a time, a day, or how long ago.
#[derive(Debug, Clone)]
pub enum Since {
    /// So long ago.
    Ago(Span),
    /// At this moment.
    At(Timestamp),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Since, String> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Since::At(at));
        }
        if let Some(day) = text.parse::<civil::Date>().ok().and_then(|day| day.to_zoned(TimeZone::UTC).ok()) {
            return Ok(Since::At(day.timestamp()));
        }
        let span = text.parse::<Span>().ok().filter(|span| span.is_positive());
        span.map(Since::Ago).ok_or_else(|| {
            "write how long ago (2h, 3d), a day (2025-10-09) or a time (2025-10-09T12:00:00Z)".to_owned()
        })
    }
}

/// As it is typed; another spelling of the same span reads the same.
impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Since::Ago(span) => write!(f, "{span:#}"),
            Since::At(at) => write!(f, "{at}"),
        }
    }
}

impl Since {
    /// How long ago, where it is written so: the moment that this means moves on with the clock.
    pub fn span(&self) -> Option<String> {
        matches!(self, Since::Ago(_)).then(|| self.to_string())
    }

    /// The moment, in UTC; days are whole ones.
    ///
    /// # Errors
    /// It lies before all time.
    pub fn moment(&self, now: Millis) -> anyhow::Result<Millis> {
        match self {
            Since::At(at) => Ok(Millis(at.as_millisecond())),
            Since::Ago(span) => {
                let now = Timestamp::from_millisecond(now.0)?.to_zoned(TimeZone::UTC);
                let then = now.checked_sub(*span).context("this span reaches to before all time")?;
                Ok(Millis(then.timestamp().as_millisecond()))
            }
        }
    }
}

/// Which dead letters are meant.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this bridge alone.
    pub bridge: Option<String>,
    /// Given up at or after this.
    pub since: Option<Millis>,
    /// `inbox` or `outbox`.
    pub queue: Option<String>,
    /// An action's name, or a body's source.
    pub what: Option<String>,
}

impl Filter {
    fn fits(&self, letter: &DeadLetter) -> bool {
        self.since.is_none_or(|since| letter.died_at >= since)
            && self.queue.as_deref().is_none_or(|queue| letter.queue == queue)
            && self.what.as_deref().is_none_or(|what| letter.what == what)
    }
}

/// The bridges that are meant.
///
/// # Errors
/// The configuration has no bridge of this name.
pub fn bridges<'c>(config: &'c Config, only: Option<&'c str>) -> anyhow::Result<Vec<&'c str>> {
    let all: Vec<&str> = config.bridges.iter().map(|bridge| bridge.name.as_str()).collect();
    match only {
        None => Ok(all),
        Some(name) if all.contains(&name) => Ok(vec![name]),
        Some(name) => bail!("there is no bridge {name}; the configuration has {}", all.join(", ")),
    }
}

/// Dead letters, newest first within a bridge, as `list --json` prints them.
pub async fn list(config: &Config, store: &dyn Store, filter: &Filter) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    for bridge in bridges(config, filter.bridge.as_deref())? {
        let letters = store.dead_letters(bridge, LISTED_MAX).await?;
        all.extend(letters.iter().filter(|letter| filter.fits(letter)).map(|letter| line(bridge, letter)));
    }
    Ok(all)
}

/// The names of the dead letters that fit.
pub async fn matching(config: &Config, store: &dyn Store, filter: &Filter) -> anyhow::Result<Vec<LetterId>> {
    let listed = list(config, store, filter).await?;
    Ok(listed.iter().filter_map(|letter| letter["id"].as_str()?.parse().ok()).collect())
}

fn line(bridge: &str, letter: &DeadLetter) -> Value {
    json!({
        "id": format!("{}:{}", letter.queue, letter.id),
        "bridge": bridge,
        "queue": letter.queue,
        "what": letter.what,
        "subject": letter.subject,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "created_at": moment(letter.created_at),
        "died_at": moment(letter.died_at),
    })
}

/// Everything known about one. With `values` what people wrote stands in it too.
pub async fn show(config: &Config, store: &dyn Store, id: &LetterId, values: bool) -> anyhow::Result<Value> {
    let found = find(config, store, std::slice::from_ref(id)).await?;
    let Some(Found { bridge, detail, .. }) = found.into_iter().next() else { bail!("there is no dead letter {id}") };
    let mut shown = line(&bridge, &detail.letter);
    match &detail.content {
        DeadContent::Action(row) => {
            shown["first_attempt_at"] = row.first_attempt_at.map(moment).into();
            shown["last_attempt_at"] = moment(detail.letter.died_at).into();
            shown["in_doubt"] = was_in_doubt(row).into();
            shown["places"] = places(&row.action).into();
            shown["remedy"] = row.fault.as_ref().map(|fault| fault.kind.remedy()).into();
            if values {
                shown["content"] = serde_json::to_value(&row.action)?;
            }
        }
        DeadContent::Body(body) => {
            shown["size_bytes"] = body.len().into();
            shown["remedy"] = BODY_REMEDY.into();
            if values {
                shown["content"] = String::from_utf8_lossy(body).into_owned().into();
            }
        }
        DeadContent::Unreadable(reason) => {
            shown["unreadable"] = reason.as_str().into();
            shown["remedy"] = UNREADABLE_REMEDY.into();
        }
    }
    Ok(shown)
}

const BODY_REMEDY: &str = "This version cannot read the body. A newer one may: update, then retry. If it is no message of Salebot (somebody tried the address out), discard it.";
const UNREADABLE_REMEDY: &str = "What was to be done cannot be read back from the database. Discard it; what the record lacks is planned again when it next changes.";

/// A dead letter and the bridge it belongs to.
struct Found {
    bridge: String,
    detail: DeadDetail,
}

/// All of these, or the name of the first that is not there.
async fn find(config: &Config, store: &dyn Store, ids: &[LetterId]) -> anyhow::Result<Vec<Found>> {
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        let mut found = None;
        for bridge in &config.bridges {
            if let Some(detail) = store.dead_letter(&bridge.name, &id.queue, id.row).await? {
                found = Some(Found { bridge: bridge.name.clone(), detail });
                break;
            }
        }
        all.push(found.with_context(|| format!("there is no dead letter {id}; nothing was done"))?);
    }
    Ok(all)
}

/// Puts these back to wait, all or none of a bridge. A running daemon finds them within seconds.
pub async fn retry(config: &Config, store: &dyn Store, ids: &[LetterId], now: Millis) -> anyhow::Result<usize> {
    let found = find(config, store, ids).await?;
    for Found { bridge, detail } in &found {
        if let DeadContent::Unreadable(reason) = &detail.content {
            let letter = &detail.letter;
            bail!(
                "{bridge}: {}:{} cannot be read and only be discarded ({reason}); nothing was done",
                letter.queue,
                letter.id
            );
        }
    }
    commit(store, &found, |detail| retried(detail, now)).await
}

/// Drops these for good; the journal keeps a line about each.
pub async fn discard(config: &Config, store: &dyn Store, ids: &[LetterId], now: Millis) -> anyhow::Result<usize> {
    let found = find(config, store, ids).await?;
    commit(store, &found, |detail| discarded(detail, now)).await
}

async fn commit(
    store: &dyn Store,
    found: &[Found],
    changes: impl Fn(&DeadDetail) -> Vec<Change>,
) -> anyhow::Result<usize> {
    for of_bridge in found.chunk_by(|a, b| a.bridge == b.bridge) {
        let all = of_bridge.iter().flat_map(|found| changes(&found.detail)).collect();
        if let Some(first) = of_bridge.first() {
            store.commit(&first.bridge, all).await?;
        }
    }
    Ok(found.len())
}

fn retried(detail: &DeadDetail, now: Millis) -> Vec<Change> {
    let change = match &detail.content {
        DeadContent::Body(_) => Change::InboxRetry(InboxId(detail.letter.id), now),
        DeadContent::Action(row) => Change::ActionRetry {
            id: row.id,
            not_before: now,
            attempts: 0,
            // Who retries a callback has decided that it may be sent: looking it up is impossible.
            in_doubt: was_in_doubt(row) && !matches!(row.action, Action::Callback { .. }),
            fault: row.fault.clone().unwrap_or_else(|| Fault::new(FaultKind::Interrupted, "it was a dead letter")),
        },
        DeadContent::Unreadable(_) => return Vec::new(),
    };
    vec![change, journal(detail, "retried", now)]
}

fn discarded(detail: &DeadDetail, now: Millis) -> Vec<Change> {
    let change = match &detail.content {
        DeadContent::Body(_) => Change::InboxDone(vec![InboxId(detail.letter.id)]),
        DeadContent::Action(_) | DeadContent::Unreadable(_) => Change::ActionDone(ActionId(detail.letter.id)),
    };
    vec![change, journal(detail, "discarded", now)]
}

fn journal(detail: &DeadDetail, kind: &'static str, at: Millis) -> Change {
    let letter = &detail.letter;
    let rules: Vec<&str> = match &detail.content {
        DeadContent::Action(row) => row.action.confirms().iter().map(|confirm| confirm.rule.as_str()).collect(),
        DeadContent::Body(_) | DeadContent::Unreadable(_) => Vec::new(),
    };
    let what = json!({ "dead_letter": letter.what, "reason": letter.reason, "rules": rules });
    let subject = letter.subject.clone();
    Change::Journal(JournalEntry { at, subject, kind, detail: what })
}

/// The attempt that was its last may be the one whose outcome is unknown.
fn was_in_doubt(row: &OutboxRow) -> bool {
    row.in_doubt || row.fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Uncertain)
}

/// Where an action writes, without what.
fn places(action: &Action) -> Vec<String> {
    match action {
        Action::CreateContact { edits, .. }
        | Action::UpdateContact { edits, .. }
        | Action::UpdateLead { edits, .. } => edits.iter().map(Edit::place).collect(),
        Action::AddNote { messages, .. } => vec![format!("a note of {} messages", messages.len())],
        Action::SaveVariables { variables, .. } => variables.keys().map(|name| format!("client.{name}")).collect(),
        Action::SetOrderVariables { variables, order, .. } => {
            variables.keys().map(|name| format!("order {order}: {name}")).collect()
        }
        Action::CreateOrder { lead, .. } => vec![format!("an order for lead {lead}")],
        Action::SetOrderState { order, state, .. } => vec![format!("order {order}: state {state}")],
        Action::Callback { .. } => vec!["the bot's callback".to_owned()],
        Action::Function(call) => vec![format!("the bot's call of {}", call.function.name())],
        Action::LoadClient { group_id, client_type, .. } => {
            vec![format!("a client in channel {group_id}, messenger {client_type}")]
        }
    }
}

fn moment(at: Millis) -> String {
    Timestamp::from_millisecond(at.0).map(|at| at.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
