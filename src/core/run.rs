//! Runs: one pass over records, or one command, under a name that people can type. Each value that a run changed
//! stands in the journal under that name, so that it can be told, and undone.

use super::action::{Action, Confirm, LinkRef};
use super::id::{ClientId, ContactId, LeadId, OrderId};
use super::link::Content;
use super::time::Millis;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The subject under which the journal lists runs: a line for each commit of a run that decided to change values.
pub const RUNS: &str = "runs";
/// The kind of those lines.
pub const DECIDED: &str = "run";
/// The kind of the lines there about undos that came to their end.
pub const UNDID: &str = "undid";
/// The kind of the lines about what a run wrote.
pub const WROTE: &str = "wrote";

/// What a run looked at, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// A listing of what changed in amoCRM.
    Poll,
    /// The full sweep.
    Sweep,
    /// A backfill.
    Backfill,
    /// amoCRM named a record: by a hook, or in its list of events.
    Hook,
    /// A person wrote.
    Message,
    /// Salebot's newest clients were looked through.
    Reconcile,
    /// A bot called a function.
    Call,
    /// A record to be looked at again, because something was written or linked before.
    Mark,
    /// An undo.
    Undo,
}

impl RunKind {
    const ALL: [RunKind; 9] = [
        RunKind::Poll,
        RunKind::Sweep,
        RunKind::Backfill,
        RunKind::Hook,
        RunKind::Message,
        RunKind::Reconcile,
        RunKind::Call,
        RunKind::Mark,
        RunKind::Undo,
    ];

    /// The word at the end of a run's name.
    pub fn name(self) -> &'static str {
        match self {
            RunKind::Poll => "poll",
            RunKind::Sweep => "sweep",
            RunKind::Backfill => "backfill",
            RunKind::Hook => "hook",
            RunKind::Message => "message",
            RunKind::Reconcile => "reconcile",
            RunKind::Call => "call",
            RunKind::Mark => "mark",
            RunKind::Undo => "undo",
        }
    }

    /// What it was, in words.
    pub fn told(self) -> &'static str {
        match self {
            RunKind::Poll => "a poll of amoCRM",
            RunKind::Sweep => "the full sweep",
            RunKind::Backfill => "a backfill",
            RunKind::Hook => "a hook or an event of amoCRM",
            RunKind::Message => "a message",
            RunKind::Reconcile => "a look through Salebot's newest clients",
            RunKind::Call => "a bot's call",
            RunKind::Mark => "an earlier change",
            RunKind::Undo => "an undo",
        }
    }
}

/// One run of a bridge. Its name is its beginning in UTC and its kind: `20261121-174708-123-backfill`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// When it was begun, or asked for.
    pub at: Millis,
    /// What it was.
    pub kind: RunKind,
}

impl Run {
    /// The subject of its lines in the journal.
    pub fn subject(self) -> String {
        format!("run:{self}")
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = jiff::Timestamp::from_millisecond(self.at.0).unwrap_or_default().to_zoned(TimeZone::UTC);
        write!(f, "{}-{:03}-{}", at.strftime("%Y%m%d-%H%M%S"), at.millisecond(), self.kind.name())
    }
}

impl FromStr for Run {
    type Err = String;

    fn from_str(text: &str) -> Result<Run, String> {
        let wrong = || format!("{text:?} is no run; one looks like 20261121-174708-123-backfill");
        let (rest, kind) = text.rsplit_once('-').ok_or_else(wrong)?;
        let kind = RunKind::ALL.into_iter().find(|one| one.name() == kind).ok_or_else(wrong)?;
        let (moment, millis) = rest.rsplit_once('-').ok_or_else(wrong)?;
        let millis: i64 =
            Some(millis).filter(|text| text.len() == 3).and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
        let moment = DateTime::strptime("%Y%m%d-%H%M%S", moment).map_err(|_| wrong())?;
        let at = moment.to_zoned(TimeZone::UTC).map_err(|_| wrong())?.timestamp().as_millisecond();
        Ok(Run { at: Millis(at).plus(millis.max(0)), kind })
    }
}

impl Serialize for Run {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Run, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A record that values were written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A contact of amoCRM.
    Contact(ContactId),
    /// A lead of amoCRM.
    Lead(LeadId),
    /// A client's variables.
    Client(ClientId),
    /// An order's variables, or its stage.
    Order(ClientId, OrderId),
}

impl Target {
    /// The record that an action writes values to; none where it writes none.
    pub fn of(action: &Action) -> Option<Target> {
        match action {
            Action::UpdateContact { contact, .. } => Some(Target::Contact(*contact)),
            Action::UpdateLead { lead, .. } => Some(Target::Lead(*lead)),
            Action::SaveVariables { client, .. } => Some(Target::Client(*client)),
            Action::SetOrderVariables { client, order, .. } | Action::SetOrderState { client, order, .. } => {
                Some(Target::Order(*client, *order))
            }
            Action::CreateContact { .. }
            | Action::AddNote { .. }
            | Action::CreateOrder { .. }
            | Action::Callback { .. }
            | Action::LoadClient { .. }
            | Action::Function(_) => None,
        }
    }

    /// The side of a pair (`Rule::key`) that is written here: `contact.phone` or `client.phone`.
    pub fn place(self, rule: &str) -> &str {
        let (amo, salebot) = rule.rsplit_once('=').unwrap_or((rule, rule));
        match self {
            Target::Contact(_) | Target::Lead(_) => amo,
            Target::Client(_) | Target::Order(..) => salebot,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Contact(id) => write!(f, "contact:{id}"),
            Target::Lead(id) => write!(f, "lead:{id}"),
            Target::Client(id) => write!(f, "client:{id}"),
            Target::Order(_, id) => write!(f, "order:{id}"),
        }
    }
}

/// One value that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Whose pair.
    pub link: LinkRef,
    /// Which (`Rule::key`).
    pub rule: String,
    /// What stood there; none where nobody had read it.
    pub before: Option<Content>,
    /// What was written.
    pub after: Content,
}

/// A line of the journal about what a run wrote to one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WroteLine {
    /// Where.
    pub target: Target,
    /// What.
    pub values: Vec<Written>,
}

impl WroteLine {
    /// What an action wrote; none for one that wrote no values.
    pub fn of(action: &Action) -> Option<WroteLine> {
        let target = Target::of(action)?;
        let written = |confirm: &Confirm| {
            let replaced = confirm.replaced.as_ref()?;
            Some(Written {
                link: confirm.link,
                rule: confirm.rule.clone(),
                before: replaced.before.clone(),
                after: replaced.after.clone(),
            })
        };
        let values: Vec<Written> = action.confirms().iter().filter_map(written).collect();
        (!values.is_empty()).then_some(WroteLine { target, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0, RunKind::Poll, "19700101-000000-000-poll")]
    #[case(1_795_283_228_007, RunKind::Backfill, "20261121-174708-007-backfill")]
    #[case(1_795_283_228_999, RunKind::Undo, "20261121-174708-999-undo")]
    fn a_name_reads_back_as_the_run(#[case] at: i64, #[case] kind: RunKind, #[case] name: &str) {
        let run = Run { at: Millis(at), kind };
        assert_eq!(run.to_string(), name);
        assert_eq!(name.parse::<Run>(), Ok(run));
    }

    #[rstest]
    #[case("")]
    #[case("backfill")]
    #[case("20261121-174708-123-nothing")]
    #[case("20261121-174708-1-backfill")]
    #[case("20261121-174708--12-backfill")]
    #[case("20261321-174708-123-backfill")]
    #[case("20261121-174708-backfill")]
    fn what_is_no_name_is_refused_with_an_example(#[case] text: &str) {
        let error = text.parse::<Run>().expect_err("no run");
        assert!(error.contains("20261121-174708-123-backfill"), "{error}");
    }
}
