//! A backfill: everything is looked at once more, at the lowest priority, and it is told how far it is.
//!
//! The command asks by a text in the store and reads the other one; whoever drives the bridge carries it out.

use super::action::{Action, Edit};
use super::estimate::Gallop;
use super::link::Content;
use super::run::{Run, RunKind, Written, WroteLine};
use super::text;
use super::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The name under which a backfill is asked for: a [`Request`], or empty to stop it between two pages.
pub const REQUEST: &str = "backfill.request";
/// The name under which it is told how far it is: a [`Progress`].
pub const PROGRESS: &str = "backfill.progress";
/// The name under which it is kept how many rows the last whole backfill found: numbers by [`Part`].
pub const KNOWN: &str = "backfill.known";
/// Most lines of a dry run's sample.
pub const SAMPLE_MAX: usize = 20;
/// Longest value in it.
const VALUE_CHARS_MAX: usize = 60;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// amoCRM's contacts, with their clients.
    Contacts,
    /// amoCRM's leads, with their orders.
    Leads,
    /// Salebot's clients: those who have no contact find or get one.
    Clients,
}

impl Part {
    /// All of them, in the order in which they are looked at: clients find the contacts that were read before.
    pub const ALL: [Part; 3] = [Part::Contacts, Part::Leads, Part::Clients];

    /// The word for commands and tables.
    pub fn name(self) -> &'static str {
        match self {
            Part::Contacts => "contacts",
            Part::Leads => "leads",
            Part::Clients => "clients",
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// When it was asked for; tells one backfill from the next.
    pub asked_at: Millis,
    /// What is looked at.
    pub parts: BTreeSet<Part>,
    /// Only records that changed since.
    pub since: Option<Millis>,
    /// Only records that changed until then.
    pub until: Option<Millis>,
    /// How long ago `since` was, where it was asked for so: what is asked for again is known by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_span: Option<String>,
    /// The same of `until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_span: Option<String>,
    /// Nothing is written, and nothing is remembered.
    pub dry_run: bool,
}

impl Request {
    /// The run under which the journal keeps what it changed.
    pub fn run(&self) -> Run {
        Run { at: self.asked_at, kind: RunKind::Backfill }
    }

    /// True when it asks for the same, whenever that was: then it is gone on with. `2h` asked again is the same, though
    /// it means another moment by then.
    pub fn is_like(&self, other: &Request) -> bool {
        let moment = |span: &Option<String>, at| if span.is_some() { None } else { at };
        let bounds = |request: &Request| {
            let since = moment(&request.since_span, request.since);
            let until = moment(&request.until_span, request.until);
            (since, request.since_span.clone(), until, request.until_span.clone())
        };
        self.parts == other.parts && self.dry_run == other.dry_run && bounds(self) == bounds(other)
    }

    /// True for a record with this time of change, Unix seconds. amoCRM lists by `since` itself; Salebot does not.
    pub fn wants(&self, changed_at: Millis) -> bool {
        self.since.is_none_or(|since| changed_at >= since) && self.until.is_none_or(|until| changed_at <= until)
    }
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What was asked for.
    pub request: Request,
    /// When it was begun, or gone on with.
    pub started_at: Millis,
    /// Rows looked at, by part. A part is there from its first page on.
    pub looked_at: BTreeMap<Part, u64>,
    /// Rows of the current part that need not be read again.
    pub offset: u32,
    /// Parts that are through.
    pub through: BTreeSet<Part>,
    /// How many rows the last whole backfill found, by part.
    #[serde(default)]
    pub known: BTreeMap<Part, u64>,
    /// What is found out about the length of the current part, where it is not known.
    #[serde(default)]
    pub gallop: Gallop,
    /// Writes that were decided, by the action's name.
    pub planned: BTreeMap<String, u64>,
    /// Clients and contacts that were found to belong together.
    pub linked: u64,
    /// Values that are cleared.
    pub cleared: u64,
    /// Values that lost against another.
    pub conflicts: u64,
    /// Records that could not be read; they are marked and looked at again.
    pub put_off: u64,
    /// Requests to both services, of the lowest priority, while it ran: its own, but for a sweep at the same time.
    #[serde(default)]
    pub requests: u64,
    /// Answers 429 while it ran.
    #[serde(default)]
    pub throttled: u64,
    /// What a dry run would write, a line each; [`SAMPLE_MAX`] at most. Holds what people wrote.
    pub sample: Vec<String>,
    /// Why it does not go on at the moment.
    pub fault: Option<String>,
    /// When it came to its end.
    pub done_at: Option<Millis>,
}

impl Progress {
    /// The beginning.
    pub fn new(request: Request, now: Millis) -> Progress {
        Progress {
            request,
            started_at: now,
            looked_at: BTreeMap::new(),
            offset: 0,
            through: BTreeSet::new(),
            known: BTreeMap::new(),
            gallop: Gallop::default(),
            planned: BTreeMap::new(),
            linked: 0,
            cleared: 0,
            conflicts: 0,
            put_off: 0,
            requests: 0,
            throttled: 0,
            sample: Vec::new(),
            fault: None,
            done_at: None,
        }
    }

    /// Where to go on; none at the end.
    pub fn part(&self) -> Option<Part> {
        Part::ALL.into_iter().find(|part| self.request.parts.contains(part) && !self.through.contains(part))
    }

    /// Rows of a part that were looked at.
    pub fn rows(&self, part: Part) -> u64 {
        self.looked_at.get(&part).copied().unwrap_or_default()
    }

    /// About how many rows the current part has; none while nobody can tell. What the last backfill found counts as
    /// long as it was not passed; with `--since` there are fewer, and amoCRM's listings say nothing of how many.
    pub fn about(&self) -> Option<u64> {
        let part = self.part()?;
        let is_whole = part == Part::Clients || self.request.since.is_none();
        let known = self.known.get(&part).copied().filter(|known| is_whole && *known > self.rows(part));
        known.or_else(|| self.gallop.about())
    }

    /// The next offset to ask about, to find out how long the current part is.
    pub fn question(&self) -> Option<u32> {
        if self.about().is_some() { None } else { self.gallop.question() }
    }

    /// Counts a page of the current part, and remembers where the next one begins; none: it was the last. Pages share
    /// some rows, which count once.
    pub fn page(&mut self, part: Part, rows: u64, next: Option<u32>) {
        let so_far = u64::from(self.offset) + rows;
        let looked_at = self.looked_at.entry(part).or_default();
        *looked_at = so_far.max(*looked_at);
        self.gallop.read(self.rows(part));
        self.fault = None;
        match next {
            Some(offset) => self.offset = offset,
            None => {
                self.offset = 0;
                self.gallop = Gallop::default();
                self.through.insert(part);
            }
        }
    }

    /// Counts a decided write.
    pub fn plans(&mut self, action: &Action) {
        *self.planned.entry(action.name().to_owned()).or_default() += 1;
        if self.request.dry_run && self.sample.len() < SAMPLE_MAX {
            self.sample.push(format!("{}: {}", action.key(), would(action)));
        }
    }

    /// True when it decided to change values that were there before.
    pub fn changes_values(&self) -> bool {
        let writes = ["update_contact", "update_lead", "save_variables", "set_order_variables"];
        // The first values of those who are linked follow the link.
        self.linked > 0 || self.planned.keys().any(|name| writes.contains(&name.as_str()))
    }

    /// As it is kept.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Reads what is kept under one of the names; none for nothing, or for what another version wrote.
pub fn kept<T: for<'de> Deserialize<'de>>(text: Option<&str>) -> Option<T> {
    serde_json::from_str(text?).ok()
}

/// What an action would do: each value with what stands there now, or what a new record is made with.
fn would(action: &Action) -> String {
    if let Some(line) = WroteLine::of(action) {
        let one = |value: &Written| {
            let before = value.before.as_ref().map_or_else(|| "?".to_owned(), |before| quoted(before));
            format!("{} {before} → {}", line.target.place(&value.rule), quoted(&value.after))
        };
        return line.values.iter().map(one).collect::<Vec<_>>().join(", ");
    }
    match action {
        Action::CreateContact { edits, .. } => {
            let made: Vec<String> =
                edits.iter().map(|edit| format!("{} {}", edit.place(), quoted(&held(edit)))).collect();
            format!("a new contact with {}", made.join(", "))
        }
        Action::CreateOrder { lead, name, .. } => {
            format!("an order for lead {lead}, {}", quoted(std::slice::from_ref(name)))
        }
        Action::SetOrderState { order, state, .. } => format!("order {order} to stage {state}"),
        other => other.name().to_owned(),
    }
}

/// The values of an edit as people read them.
fn held(edit: &Edit) -> Content {
    match edit {
        Edit::Name(text) | Edit::FirstName(text) | Edit::LastName(text) | Edit::CompanyName(text) => vec![text.clone()],
        Edit::Tags(tags) => tags.iter().cloned().collect(),
        Edit::Responsible(user) => vec![user.to_string()],
        Edit::Contact(contact) => vec![contact.to_string()],
        Edit::Price(price) => vec![price.to_string()],
        Edit::Stage { status, .. } => vec![status.to_string()],
        Edit::Field { elements, .. } => elements.iter().map(|element| element.value.clone()).collect(),
    }
}

/// A value in quotes, on one line and not longer than a line.
fn quoted(content: &[String]) -> String {
    format!("\"{}\"", text::one_line(&content.join(" | "), VALUE_CHARS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::action::{Confirm, LinkRef, Replaced};
    use crate::core::id::{ClientId, FieldId, LeadId};
    use crate::core::link::{Base, Bases};
    use crate::core::model::{Element, FieldKind, Variables};

    fn request() -> Request {
        let (since_span, until_span) = (None, None);
        let parts = Part::ALL.into();
        Request { asked_at: Millis(1), parts, since: None, until: None, since_span, until_span, dry_run: true }
    }

    #[test]
    fn it_goes_part_by_part_and_remembers_its_place() {
        let mut progress = Progress::new(request(), Millis(5));
        assert_eq!(progress.part(), Some(Part::Contacts));
        progress.page(Part::Contacts, 500, Some(495));
        assert_eq!((progress.part(), progress.offset), (Some(Part::Contacts), 495));
        progress.page(Part::Contacts, 20, None);
        assert_eq!((progress.part(), progress.offset), (Some(Part::Leads), 0));
        progress.page(Part::Leads, 0, None);
        progress.page(Part::Clients, 0, None);
        assert_eq!(progress.part(), None);
        assert_eq!(progress.looked_at[&Part::Contacts], 515, "five rows came twice");
        assert_eq!(kept::<Progress>(Some(&progress.text())), Some(progress));
    }

    #[test]
    fn only_what_is_asked_for_is_looked_at() {
        let request =
            Request { parts: [Part::Leads].into(), since: Some(Millis(10)), until: Some(Millis(20)), ..request() };
        let progress = Progress::new(request.clone(), Millis(5));
        assert_eq!(progress.part(), Some(Part::Leads));
        assert_eq!([9, 10, 20, 21].map(|at| request.wants(Millis(at))), [false, true, true, false]);
    }

    #[test]
    fn the_same_question_asked_later_is_gone_on_with() {
        assert!(request().is_like(&Request { asked_at: Millis(9), ..request() }));
        assert!(!request().is_like(&Request { dry_run: false, ..request() }));
        assert_eq!(kept::<Request>(Some("")), None);
    }

    #[test]
    fn a_span_asked_for_again_is_the_same_although_the_clock_went_on() {
        let ago = |at: i64, since: i64, span: Option<&str>| Request {
            asked_at: Millis(at),
            since: Some(Millis(since)),
            since_span: span.map(str::to_owned),
            ..request()
        };
        assert!(ago(10, 5, Some("2h")).is_like(&ago(20, 15, Some("2h"))));
        assert!(!ago(10, 5, Some("2h")).is_like(&ago(20, 5, Some("3h"))));
        assert!(!ago(10, 5, Some("2h")).is_like(&ago(20, 5, None)), "a day is no span");
        assert!(!ago(10, 5, None).is_like(&ago(20, 6, None)));
        // As versions before the spans have kept it.
        let old = r#"{"asked_at":10,"parts":["leads"],"since":5,"until":null,"dry_run":false}"#;
        let old = kept::<Request>(Some(old)).expect("it is read");
        assert!(old.is_like(&Request { parts: [Part::Leads].into(), dry_run: false, ..ago(20, 5, None) }));
    }

    #[test]
    fn a_sample_is_short_and_only_of_dry_runs() {
        let action = Action::CreateOrder {
            client: ClientId(5),
            lead: LeadId(7),
            name: "Заказ".into(),
            budget: 0,
            state: None,
            confirms: Vec::new(),
        };
        let mut dry = Progress::new(request(), Millis(5));
        (0..SAMPLE_MAX + 5).for_each(|_| dry.plans(&action));
        assert_eq!((dry.planned["create_order"], dry.sample.len()), (25, SAMPLE_MAX));
        assert_eq!(dry.sample[0], "client:5: an order for lead 7, \"Заказ\"");
        let mut wet = Progress::new(Request { dry_run: false, ..request() }, Millis(5));
        wet.plans(&action);
        assert!(wet.sample.is_empty());
    }

    #[test]
    fn a_sample_tells_what_a_value_replaces() {
        let replaced = |before: Option<&str>, after: &str| {
            let content = |text: &str| vec![text.to_owned()];
            Some(Replaced { before: before.map(content), after: content(after) })
        };
        let confirm = |rule: &str, replaced| Confirm {
            link: LinkRef::Client(ClientId(5)),
            rule: rule.to_owned(),
            base: Base::default(),
            replaced,
        };
        let confirms = vec![
            confirm("contact.name=client.name", replaced(Some("Anna\n"), &"x".repeat(99))),
            confirm("contact.field.7=client.city", replaced(None, "Минск")),
            confirm("contact.id=client.amo_contact_id", None),
        ];
        let action = Action::SaveVariables { client: ClientId(5), variables: Variables::new(), confirms };
        let long = format!("{}…", "x".repeat(60));
        assert_eq!(would(&action), format!("client.name \"Anna \" → \"{long}\", client.city ? → \"Минск\""));
        let phones = ["+7999", "+7998"].map(Element::text).into();
        let edits = vec![
            Edit::Name("Anna".to_owned()),
            Edit::Field { id: FieldId(9), kind: FieldKind::Multitext, elements: phones },
        ];
        let made = Action::CreateContact {
            edits,
            created_at: 0,
            clients: [ClientId(5)].into(),
            keys: BTreeSet::new(),
            bases: Bases::new(),
        };
        assert_eq!(would(&made), "a new contact with name \"Anna\", field.9 \"+7999 | +7998\"");
    }
}
