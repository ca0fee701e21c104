//! A call: a function with its arguments understood. It is stored as it stands here, and nothing of what it
//! wants depends on when it is carried out.

use super::arguments::is_left_out;
use super::{Answer, Arguments, Function};
use crate::core::action::NoteTarget;
use crate::core::fingerprint;
use crate::core::flex::{Flex, Kind, Object};
use crate::core::id::{ClientId, ContactId, LeadId, PipelineId, StatusId, UserId};
use crate::core::model::Lead;
use crate::core::text;
use crate::core::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Longest name of a lead or a person, in characters.
const NAME_CHARS_MAX: usize = 255;
/// Longest note, task or value.
const TEXT_CHARS_MAX: usize = 20_000;
/// Most tags, or fields, of one call.
const ITEMS_MAX: usize = 100;
/// A task without a deadline is due in a day.
const TASK_MINUTES: i64 = 24 * 60;
/// A task lies at most ten years ahead.
const TASK_MINUTES_MAX: i64 = 10 * 366 * 24 * 60;
/// A task without a type is a call, the first of amoCRM's own types (v2 tasks page).
const TASK_TYPE: u64 = 1;
/// For how long the same making call is the same call.
const ONCE_MS: i64 = 60_000;
/// For how long a call with a `request_id` is: as long as its answer is remembered.
const REQUEST_MS: i64 = i64::MAX;
/// Longest `request_id`.
const REQUEST_CHARS_MAX: usize = 200;

/// A call as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Tells it from others; the same for calls that are one and the same.
    pub ticket: String,
    /// Which function.
    pub function: Function,
    /// Whose bot calls.
    pub client: ClientId,
    /// The record it is about, once known. For a new lead: the contact it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<NoteTarget>,
    /// True where the bot named no record and we found it: one that was made a moment ago may show up late.
    #[serde(default)]
    pub is_found: bool,
    /// A record that was found for it and was gone when its turn came: merged into another one, or deleted. Another one is
    /// looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<NoteTarget>,
    /// It may have been carried out before its record was gone: what it makes is looked for before it is made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
    /// What is wanted.
    pub work: Work,
    /// When it was accepted.
    pub at: Millis,
    /// A call with the same ticket within so many milliseconds is the same call; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once_ms: Option<i64>,
    /// Until when the bot waits at another node than the one that drives the bridge; none: here, or nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_until: Option<Millis>,
}

/// With so many actions waiting no further calls are taken, at whatever node they arrive.
pub const WAITING_MAX: u32 = 50_000;

/// The journal's word for an answer that was given to a bot at another node …
pub const TOLD: &str = "told";
/// … and for a bot there whose time was up.
pub const LEFT: &str = "left";

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// A new lead of the contact.
    Lead {
        /// Its name.
        name: String,
        /// Its budget.
        budget: Option<i64>,
        /// Who is responsible; none: amoCRM chooses.
        responsible: Option<UserId>,
    },
    /// Changes of the record.
    Change(Vec<Wanted>),
    /// A note on the record.
    Note(String),
    /// A task on the lead.
    Task {
        /// What is to be done.
        text: String,
        /// Minutes from the acceptance of the call.
        minutes: i64,
        /// amoCRM's number of the type.
        task_type: u64,
        /// Who is to do it; none: amoCRM chooses.
        responsible: Option<UserId>,
    },
    /// Everything about the record.
    Info,
    /// A custom field of the record, by number or name.
    Field(String),
}

/// One value that a record is to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// The name of a lead.
    Name(String),
    /// The first name of a contact.
    FirstName(String),
    /// The last name of a contact.
    LastName(String),
    /// The stage of a lead.
    Stage {
        /// The stage.
        status: StatusId,
        /// Its pipeline; none: the lead's own, else the one that has the stage.
        pipeline: Option<PipelineId>,
    },
    /// More tags.
    MoreTags(BTreeSet<String>),
    /// These tags and no others.
    Tags(BTreeSet<String>),
    /// The budget.
    Budget(i64),
    /// The responsible user.
    Responsible(UserId),
    /// A custom field, by number or name.
    Field {
        /// Which.
        field: String,
        /// The value, as bots write it.
        value: String,
    },
}

type Read<T> = Result<T, Answer>;

impl Call {
    /// True for a lead that this call may have made: dated as we date it, and named as the bot said.
    pub fn may_have_made(&self, lead: &Lead) -> bool {
        let Work::Lead { name, .. } = &self.work else { return false };
        (lead.created_at - self.at.seconds()).abs() <= 1 && text::is_rewritten(name, &lead.name)
    }

    /// Understands the arguments of a function. The error is the answer to the bot.
    pub fn read(function: Function, arguments: &Arguments, now: Millis) -> Read<Call> {
        let reader = Reader { function, arguments };
        if function == Function::GetToken {
            return Err(Answer::refused(
                "not_offered",
                "amo_get_token is not offered: the token opens the whole account to everybody who can read the bot. Use the other functions",
            ));
        }
        let client = reader
            .id("client_id")?
            .map(ClientId)
            .ok_or_else(|| missing("client_id", "pass the built-in variable: \"client_id\": \"#{client_id}\""))?;
        let lead = reader.id("lead_id")?.map(LeadId).map(NoteTarget::Lead);
        let contact = reader.id("contact_id")?.map(ContactId).map(NoteTarget::Contact);
        let target = if function.is_about_lead() { lead } else { contact };
        let work = reader.work()?;
        let request = arguments.get("request_id").map(|id| id.chars().take(REQUEST_CHARS_MAX).collect::<String>());
        let once_ms = match &request {
            _ if function.only_reads() => None,
            Some(_) => Some(REQUEST_MS),
            None => function.makes_a_record().then_some(ONCE_MS),
        };
        let ticket = match request.filter(|_| once_ms.is_some()) {
            Some(request) => fingerprint::of(&("request", function, client, request)),
            None => fingerprint::of(&("call", function, client, target, &work)),
        };
        Ok(Call {
            ticket,
            function,
            client,
            target,
            is_found: false,
            lost: None,
            in_doubt: false,
            work,
            at: now,
            once_ms,
            waits_until: None,
        })
    }

    /// Where a task is due, in Unix seconds.
    pub fn due_at(&self, minutes: i64) -> i64 {
        self.at.plus(minutes.saturating_mul(60_000)).seconds()
    }

    /// The same call, for which a record was found.
    pub fn about(&self, target: NoteTarget) -> Call {
        Call { target: Some(target), is_found: true, ..self.clone() }
    }

    /// The same call without the record that was found for it, which is gone; none where the bot itself named it. With a lead
    /// goes what was made on it: whether that was done already can be told for contacts alone, which are merged.
    pub fn without_record(&self, in_doubt: bool) -> Option<Call> {
        let in_doubt = in_doubt || self.in_doubt;
        let is_looked_for = |target: &NoteTarget| !in_doubt || matches!(target, NoteTarget::Contact(_));
        let lost = self.target.filter(|target| self.is_found && is_looked_for(target));
        lost.map(|lost| Call { target: None, is_found: false, lost: Some(lost), in_doubt, ..self.clone() })
    }

    /// True for the record that it was about and that is gone.
    pub fn has_lost(&self, target: NoteTarget) -> bool {
        self.lost == Some(target)
    }

    /// The journal's subject for what became of it.
    pub fn subject(&self) -> String {
        format!("call:{}", self.ticket)
    }
}

/// Reads the arguments of one function.
struct Reader<'a> {
    function: Function,
    arguments: &'a Arguments,
}

impl Reader<'_> {
    fn work(&self) -> Read<Work> {
        let one = |wanted: Wanted| Work::Change(vec![wanted]);
        Ok(match self.function {
            Function::AddLead => self.new_lead()?,
            Function::SetLeadName => one(Wanted::Name(self.name("name")?)),
            Function::ChangeState => one(Wanted::Stage {
                status: StatusId(self.needed_id("status_id")?),
                pipeline: self.id("pipeline_id")?.map(PipelineId),
            }),
            Function::GetToken | Function::GetLeadInfo | Function::GetContactInfo => Work::Info,
            Function::GetLeadField | Function::GetContactField => Work::Field(self.name("var_id")?),
            Function::SetLeadFields | Function::SetContactFields => Work::Change(self.fields()?),
            Function::CreateTask => Work::Task {
                text: self.words("title")?,
                minutes: self.minutes()?,
                task_type: self.id("task_type_id")?.unwrap_or(TASK_TYPE),
                responsible: self.id("assigned_id")?.map(UserId),
            },
            Function::SetTags => one(self.tags()?),
            Function::SetBudget => one(Wanted::Budget(self.budget("budget", self.needed("budget")?)?)),
            Function::AddLeadNote | Function::AddContactNote => Work::Note(self.words("text")?),
            Function::SetContactName => {
                let mut wanted = vec![Wanted::FirstName(self.name("first_name")?)];
                if self.value("last_name").is_some() {
                    wanted.push(Wanted::LastName(self.name("last_name")?));
                }
                Work::Change(wanted)
            }
            Function::SetLeadResponsible | Function::SetContactResponsible => {
                one(Wanted::Responsible(UserId(self.needed_id("responsible_user_id")?)))
            }
        })
    }

    /// The value of an argument by its name, its other names, or its place.
    fn value(&self, name: &'static str) -> Option<&str> {
        let parameters = self.function.parameters();
        match parameters.iter().position(|parameter| parameter.name == name) {
            Some(place) => {
                let names = std::iter::once(name).chain(parameters[place].others.iter().copied());
                self.arguments.of(names, place)
            }
            None => self.arguments.get(name),
        }
    }

    fn needed(&self, name: &'static str) -> Read<&str> {
        self.value(name).ok_or_else(|| missing(name, "it is empty, or the variable in it has no value"))
    }

    fn id(&self, name: &'static str) -> Read<Option<u64>> {
        self.value(name).map(|text| number(name, text)).transpose()
    }

    fn needed_id(&self, name: &'static str) -> Read<u64> {
        number(name, self.needed(name)?)
    }

    /// A text of one line.
    fn name(&self, name: &'static str) -> Read<String> {
        line(name, self.needed(name)?)
    }

    /// A text of many lines.
    fn words(&self, name: &'static str) -> Read<String> {
        bounded(name, &storable(self.needed(name)?), TEXT_CHARS_MAX)
    }

    fn budget(&self, name: &str, value: &str) -> Read<i64> {
        let budget = text::whole(value).filter(|budget| *budget >= 0);
        budget.ok_or_else(|| wrong(name, "must be an amount of money, such as 1500"))
    }

    fn minutes(&self) -> Read<i64> {
        let Some(value) = self.value("minutes_deadline") else { return Ok(TASK_MINUTES) };
        let minutes = text::whole(value).filter(|minutes| (0..=TASK_MINUTES_MAX).contains(minutes));
        minutes.ok_or_else(|| wrong("minutes_deadline", "must be the number of minutes from now"))
    }

    fn new_lead(&self) -> Read<Work> {
        let data = self.value("lead_data").unwrap_or("{}");
        let object = Object::parse(data.trim()).map_err(|error| {
            wrong("lead_data", &format!("is not JSON ({error}): write {{\"name\": \"…\", \"budget\": 1500}}"))
        })?;
        // What stands in `lead_data` counts; the same names beside it are taken too.
        let value = |name: &str| {
            let inner = object.present(name).filter(|text| !is_left_out(text));
            inner.or_else(|| self.arguments.get(name).map(str::to_owned))
        };
        let name = value("name").ok_or_else(|| missing("name", "give lead_data a name: {\"name\": \"…\"}"))?;
        let budget = value("budget").or_else(|| value("price"));
        let responsible = value("responsible_id").or_else(|| value("responsible_user_id"));
        Ok(Work::Lead {
            name: line("name", &name)?,
            budget: budget.map(|budget| self.budget("budget", &budget)).transpose()?,
            responsible: responsible.map(|user| number("responsible_id", &user)).transpose()?.map(UserId),
        })
    }

    /// One field and its value, or an object of many.
    fn fields(&self) -> Read<Vec<Wanted>> {
        let field = self.needed("field_id")?.trim();
        if !field.starts_with('{') {
            let value = storable(self.needed("value")?);
            return Ok(vec![Wanted::Field {
                field: line("field_id", field)?,
                value: bounded("value", &value, TEXT_CHARS_MAX)?,
            }]);
        }
        let object = Object::parse(field)
            .map_err(|error| wrong("field_id", &format!("is not JSON ({error}): write {{\"582601\": \"red\"}}")))?;
        let mut wanted = Vec::new();
        for (field, value) in object.members().take(ITEMS_MAX) {
            // A variable that was never filled in must not clear what somebody typed.
            let value = if value.kind() == Kind::List { listed(value) } else { value.present() };
            if let Some(value) = value.filter(|value| !is_left_out(value)) {
                let value = bounded("value", &storable(&value), TEXT_CHARS_MAX)?;
                wanted.push(Wanted::Field { field: line("field_id", field)?, value });
            }
        }
        if wanted.is_empty() { Err(missing("value", "no field has a value")) } else { Ok(wanted) }
    }

    /// Tags are added. `mode=replace` drops the others.
    fn tags(&self) -> Read<Wanted> {
        let text = self.needed("tags")?.trim();
        let of_list = Flex::parse(text).ok().filter(|value| value.kind() == Kind::List).and_then(listed);
        let text = storable(&of_list.unwrap_or_else(|| text.to_owned()));
        let tags: BTreeSet<String> = text::listed(&text).take(ITEMS_MAX).map(str::to_owned).collect();
        if tags.is_empty() {
            return Err(missing("tags", "write them with commas between: чай, кофе"));
        }
        for tag in &tags {
            bounded("tags", tag, NAME_CHARS_MAX)?;
        }
        match self.arguments.get("mode").map(|mode| mode.trim().to_ascii_lowercase()).as_deref() {
            None | Some("add") => Ok(Wanted::MoreTags(tags)),
            Some("replace") => Ok(Wanted::Tags(tags)),
            Some(_) => Err(wrong("mode", "must be add or replace")),
        }
    }
}

/// The items of a JSON list with commas between.
fn listed(list: Flex<'_>) -> Option<String> {
    let items: Vec<String> = list.list()?.into_iter().filter_map(Flex::present).collect();
    Some(items.join(","))
}

fn number(name: &str, value: &str) -> Read<u64> {
    // Quoted once more by some constructors.
    let bare = value.trim().trim_matches(['"', '\'']);
    let whole = text::number(bare).and_then(|text| text.parse::<u64>().ok());
    whole.filter(|id| *id > 0 && i64::try_from(*id).is_ok()).ok_or_else(|| wrong(name, "must be a number above zero"))
}

fn line(name: &str, value: &str) -> Read<String> {
    let joined = storable(value).split_whitespace().collect::<Vec<_>>().join(" ");
    bounded(name, &joined, NAME_CHARS_MAX)
}

/// Without what amoCRM cuts values at.
fn storable(value: &str) -> String {
    text::without_controls(&text::without_supplementary(value, "")).trim().to_owned()
}

fn bounded(name: &str, value: &str, chars_max: usize) -> Read<String> {
    match value.chars().count() {
        0 => Err(missing(name, "nothing is left of it that amoCRM can hold")),
        chars if chars > chars_max => Err(wrong(name, &format!("is longer than {chars_max} characters"))),
        _ => Ok(value.to_owned()),
    }
}

fn missing(name: &str, help: &str) -> Answer {
    Answer::refused("missing_argument", format!("{name} is missing: {help}")).with("argument", name)
}

fn wrong(name: &str, help: &str) -> Answer {
    Answer::refused("wrong_argument", format!("{name} {help}")).with("argument", name)
}

#[cfg(test)]
mod tests;
