//! What a mapped amoCRM value looks like: where it stands in a record, how it reads, how it is
//! compared, and how it is written.
//!
//! A rule names a value; the account's metadata says what that value is. Both together are a
//! [`Slot`], made once and used for every record.

use crate::core::action::Edit;
use crate::core::id::{EnumId, FieldId, UserId};
use crate::core::link::Content;
use crate::core::model::{Account, Contact, Element, FieldInfo, FieldKind, Fields, Lead};
use crate::core::people::{email_key, phone_key};
use crate::core::selector::{AddressPart, AmoField, AmoPart, Entity, FieldRef};
use crate::core::text;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// A record whose values are read.
#[derive(Debug, Clone, Copy)]
pub enum Record<'a> {
    /// A contact.
    Contact(&'a Contact),
    /// A lead.
    Lead(&'a Lead),
}

impl Record<'_> {
    fn fields(&self) -> &Fields {
        match self {
            Record::Contact(contact) => &contact.fields,
            Record::Lead(lead) => &lead.fields,
        }
    }
}

/// Where a value stands in a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The record's id.
    Id,
    /// The name.
    Name,
    /// The first name.
    FirstName,
    /// The last name.
    LastName,
    /// The tags.
    Tags,
    /// The responsible user.
    Responsible,
    /// The company's name.
    Company,
    /// The budget.
    Price,
    /// A custom field, or one part of an address.
    Field(FieldId, Option<AddressPart>),
}

/// How a value is read, compared and written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Text; amoCRM takes no more characters than this through the API.
    Text {
        /// None: no limit is known.
        chars_max: Option<usize>,
    },
    /// A text that amoCRM does not let be empty: the name of a record.
    Name,
    /// A number, compared by value.
    Number,
    /// A budget: whole units of money, and none is 0.
    Price,
    /// Yes or no. In Salebot `1` and `0`.
    Checkbox,
    /// A day. In Salebot `31.12.2026`; a time there says nothing.
    Day,
    /// A day or a moment in the account's time zone. In Salebot `31.12.2026` or `31.12.2026 15:30`.
    Date,
    /// One of a list.
    Choice(BTreeMap<EnumId, String>),
    /// Several of a list; in Salebot separated by commas.
    Choices(BTreeMap<EnumId, String>),
    /// Tags; in Salebot separated by commas.
    Tags,
    /// Phone numbers, compared in international form.
    Phones,
    /// E-mail addresses, compared without regard to case.
    Emails,
    /// Other values with a kind each.
    Several,
    /// A user, in Salebot by name.
    User(BTreeMap<UserId, String>),
    /// A company: written only where the contact has none.
    Company,
    /// Read only.
    ReadOnly,
}

/// A mapped value resolved against the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Where it stands.
    pub place: Place,
    /// How it reads.
    pub form: Form,
    /// What the custom field holds, as the adapter needs it for writing.
    pub kind: Option<FieldKind>,
}

/// Longest custom text field the API takes (amoCRM reference, pitfalls of writing).
const TEXT_CHARS_MAX: usize = 256;

/// Resolves a selector against the account; the error says what is missing there.
pub fn resolve(selector: &AmoField, account: &Account) -> Result<Slot, String> {
    let plain = |place, form| Ok(Slot { place, form, kind: None });
    let text = Form::Text { chars_max: None };
    match &selector.part {
        AmoPart::Id => plain(Place::Id, Form::ReadOnly),
        AmoPart::Name => plain(Place::Name, Form::Name),
        AmoPart::FirstName => plain(Place::FirstName, text),
        AmoPart::LastName => plain(Place::LastName, text),
        AmoPart::Tags => plain(Place::Tags, Form::Tags),
        AmoPart::Responsible => plain(Place::Responsible, Form::User(account.users.clone())),
        AmoPart::Company => plain(Place::Company, Form::Company),
        AmoPart::Price => plain(Place::Price, Form::Price),
        AmoPart::Phone => system_field(account, "PHONE").map(|id| multitext(id, Form::Phones)),
        AmoPart::Email => system_field(account, "EMAIL").map(|id| multitext(id, Form::Emails)),
        AmoPart::Custom { field, address } => {
            let fields = match selector.entity {
                Entity::Contact => &account.contact_fields,
                Entity::Lead => &account.lead_fields,
            };
            let (id, info) =
                find_field(fields, field).ok_or_else(|| format!("the account has no field for `{selector}`"))?;
            custom(selector, id, info, *address)
        }
    }
}

fn multitext(id: FieldId, form: Form) -> Slot {
    Slot { place: Place::Field(id, None), form, kind: Some(FieldKind::Multitext) }
}

/// The contacts' system field of this code.
pub fn system_field(account: &Account, code: &str) -> Result<FieldId, String> {
    let found = account.contact_fields.iter().find(|(_, info)| info.code.as_deref() == Some(code));
    found.map(|(id, _)| *id).ok_or_else(|| format!("the account's contacts have no system field {code}"))
}

fn find_field<'a>(fields: &'a BTreeMap<FieldId, FieldInfo>, by: &FieldRef) -> Option<(FieldId, &'a FieldInfo)> {
    match by {
        FieldRef::Id(id) => fields.get(id).map(|info| (*id, info)),
        FieldRef::Name(name) => {
            let name = text::folded(name);
            fields.iter().find(|(_, info)| text::folded(&info.name) == name).map(|(id, info)| (*id, info))
        }
    }
}

fn custom(selector: &AmoField, id: FieldId, info: &FieldInfo, part: Option<AddressPart>) -> Result<Slot, String> {
    let form = match info.kind {
        FieldKind::Text | FieldKind::Url | FieldKind::StreetAddress => Form::Text { chars_max: Some(TEXT_CHARS_MAX) },
        FieldKind::TextArea => Form::Text { chars_max: None },
        FieldKind::Numeric => Form::Number,
        FieldKind::Checkbox => Form::Checkbox,
        FieldKind::Date | FieldKind::Birthday => Form::Day,
        FieldKind::DateTime => Form::Date,
        FieldKind::Select => Form::Choice(info.choices.clone()),
        FieldKind::Multiselect => Form::Choices(info.choices.clone()),
        FieldKind::Multitext => match info.code.as_deref() {
            Some("PHONE") => Form::Phones,
            Some("EMAIL") => Form::Emails,
            _ => Form::Several,
        },
        FieldKind::SmartAddress => Form::Text { chars_max: Some(TEXT_CHARS_MAX) },
        FieldKind::Other(_) => Form::ReadOnly,
    };
    let part = match (info.kind, part) {
        (FieldKind::SmartAddress, part) => Some(part.unwrap_or(AddressPart::Line1)),
        (_, Some(part)) => {
            return Err(format!("`{selector}` names the part `{}` of a field that is no address", part.name()));
        }
        (_, None) => None,
    };
    Ok(Slot { place: Place::Field(id, part), form, kind: Some(info.kind) })
}

/// Reads a value in amoCRM's own form.
pub fn read(slot: &Slot, record: Record<'_>, zone: &TimeZone) -> Content {
    let one = |text: &str| if text.trim().is_empty() { Content::new() } else { vec![text.to_owned()] };
    match (&slot.place, record) {
        (Place::Id, Record::Contact(contact)) => vec![contact.id.to_string()],
        (Place::Id, Record::Lead(lead)) => vec![lead.id.to_string()],
        (Place::Name, Record::Contact(contact)) => one(&contact.name),
        (Place::Name, Record::Lead(lead)) => one(&lead.name),
        (Place::FirstName, Record::Contact(contact)) => one(contact.first_name.as_deref().unwrap_or_default()),
        (Place::LastName, Record::Contact(contact)) => one(contact.last_name.as_deref().unwrap_or_default()),
        (Place::Tags, Record::Contact(contact)) => contact.tags.iter().cloned().collect(),
        (Place::Tags, Record::Lead(lead)) => lead.tags.iter().cloned().collect(),
        (Place::Company, Record::Contact(contact)) => {
            one(contact.company.as_ref().and_then(|company| company.name.as_deref()).unwrap_or_default())
        }
        (Place::Price, Record::Lead(lead)) => vec![lead.price.to_string()],
        (Place::Responsible, record) => {
            let user = match record {
                Record::Contact(contact) => contact.responsible,
                Record::Lead(lead) => lead.responsible,
            };
            user.map(|user| user_text(slot, user)).into_iter().collect()
        }
        (Place::Field(id, part), record) => {
            let elements = record.fields().get(id).map(Vec::as_slice).unwrap_or_default();
            elements
                .iter()
                .filter(|element| part.is_none() || element.part == *part)
                .flat_map(|element| element_text(slot, element, zone))
                .collect()
        }
        (Place::FirstName | Place::LastName | Place::Company | Place::Price, _) => Content::new(),
    }
}

fn user_text(slot: &Slot, user: UserId) -> String {
    match &slot.form {
        Form::User(users) => users.get(&user).cloned().unwrap_or_else(|| user.to_string()),
        _ => user.to_string(),
    }
}

/// One element as text; none for an empty one and for an unchecked box.
fn element_text(slot: &Slot, element: &Element, zone: &TimeZone) -> Option<String> {
    let text = match &slot.form {
        Form::Choice(choices) | Form::Choices(choices) => {
            element.choice.and_then(|choice| choices.get(&choice).cloned()).unwrap_or_else(|| element.value.clone())
        }
        Form::Checkbox => return text::truth(&element.value).filter(|yes| *yes).map(|_| "1".to_owned()),
        Form::Date | Form::Day => text::local_date(&element.value, zone).unwrap_or_else(|| element.value.clone()),
        _ => element.value.clone(),
    };
    (!text.trim().is_empty()).then_some(text)
}

/// The form two texts are compared in; none for no value.
pub fn meaning(form: &Form, text: &str, region: &str) -> Option<String> {
    let text = text.trim();
    let meaning = match form {
        _ if text.is_empty() && *form != Form::Checkbox => return None,
        Form::Checkbox => text::truth(text).map_or_else(|| text::folded(text), |yes| yes.to_string()),
        Form::Number => text::number(text).unwrap_or_else(|| text.to_owned()),
        Form::Price => match text::whole(text) {
            Some(0) => return None,
            Some(whole) => whole.to_string(),
            None => text.to_owned(),
        },
        Form::Date => text::date(text).unwrap_or_else(|| text.to_owned()),
        Form::Day => text::day(text).unwrap_or_else(|| text.to_owned()),
        Form::Phones => phone_key(text, region).map_or_else(|| text::folded(text), |key| key.text()),
        Form::Emails => email_key(text).map_or_else(|| text::folded(text), |key| key.text()),
        Form::Choice(choices) | Form::Choices(choices) => {
            text::folded_item(&choice(choices, text).unwrap_or_else(|| text.to_owned()))
        }
        Form::User(users) => text::folded(&user(users, text).unwrap_or_else(|| text.to_owned())),
        Form::Tags => {
            // A tag is written without the characters amoCRM cuts at, and is still the same tag.
            let bare = text::folded_item(&storable(text));
            if bare.is_empty() { text::folded(text) } else { bare }
        }
        Form::Several | Form::Company => text::folded(text),
        Form::Text { .. } | Form::Name | Form::ReadOnly => text::unified(text),
    };
    Some(meaning)
}

/// The text a Salebot variable gets for one value of amoCRM.
pub fn salebot_text(form: &Form, content: &[String]) -> String {
    match form {
        Form::Checkbox => if content.is_empty() { "0" } else { "1" }.to_owned(),
        Form::Choices(_) | Form::Tags => content.join(", "),
        Form::Date => content.first().map(|text| text::shown_date(text)).unwrap_or_default(),
        Form::Day => {
            let shown = |text: &String| text::shown_date(&text::day(text).unwrap_or_else(|| text.clone()));
            content.first().map(shown).unwrap_or_default()
        }
        _ => content.first().cloned().unwrap_or_default(),
    }
}

/// Brings the text of a Salebot variable into amoCRM's form. The error says why amoCRM cannot hold
/// it, without the text itself. A text of which nothing can be stored is refused, for it is not an
/// empty one.
pub fn from_salebot(form: &Form, text: &str) -> Result<Content, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Content::new());
    }
    let one = match form {
        Form::Checkbox => match text::truth(text) {
            Some(true) => "1".to_owned(),
            Some(false) => return Ok(Content::new()),
            None => return Err("neither yes nor no".to_owned()),
        },
        Form::Number => text::number(text).ok_or("not a number")?,
        Form::Price => text::whole(text).ok_or("not an amount of money")?.to_string(),
        Form::Date => text::date(text).ok_or(NO_DATE)?,
        Form::Day => text::day(text).ok_or(NO_DATE)?,
        Form::Choice(choices) => choice(choices, text).ok_or("not one of the list's choices")?,
        Form::Choices(choices) => return choices_of(choices, text),
        Form::Tags => {
            let tags: Content = text::listed(&storable(text)).map(str::to_owned).collect();
            return if tags.is_empty() { Err(NOTHING_LEFT.to_owned()) } else { Ok(tags) };
        }
        Form::User(users) => user(users, text).ok_or("no user of that name")?,
        Form::ReadOnly => return Err("a value that cannot be written".to_owned()),
        Form::Text { chars_max } => {
            let text = storable(text);
            if let Some(max) = chars_max.filter(|max| text.chars().count() > *max) {
                return Err(format!("longer than the {max} characters amoCRM takes"));
            }
            text
        }
        Form::Phones | Form::Emails | Form::Several | Form::Company | Form::Name => storable(text),
    };
    if one.is_empty() { Err(NOTHING_LEFT.to_owned()) } else { Ok(vec![one]) }
}

const NO_DATE: &str = "not a date: write 31.12.2026 or 2026-12-31";

const NOTHING_LEFT: &str = "no character in it that amoCRM can hold";

/// The text without what amoCRM cuts values at.
fn storable(text: &str) -> String {
    text::without_controls(&text::without_supplementary(text, "")).trim().to_owned()
}

fn choices_of(choices: &BTreeMap<EnumId, String>, text: &str) -> Result<Content, String> {
    let items = text::listed_among(text, choices.values().map(String::as_str));
    let found: Option<Content> = items.iter().map(|item| choice(choices, item)).collect();
    found.ok_or_else(|| "not all of them are among the list's choices".to_owned())
}

fn choice(choices: &BTreeMap<EnumId, String>, text: &str) -> Option<String> {
    let folded = text::folded_item(text);
    let by_name = choices.values().find(|name| text::folded_item(name) == folded);
    let by_id = || text.parse().ok().and_then(|id| choices.get(&EnumId(id)));
    by_name.or_else(by_id).cloned()
}

fn user(users: &BTreeMap<UserId, String>, text: &str) -> Option<String> {
    let folded = text::folded(text);
    let by_name = users.values().find(|name| text::folded(name) == folded);
    let by_id = || text.parse().ok().and_then(|id| users.get(&UserId(id)));
    by_name.or_else(by_id).cloned()
}

/// The edit that makes the record hold this content. Elements that stay keep their kind; none where
/// the content cannot be written.
pub fn edit(slot: &Slot, content: &[String], record: Option<Record<'_>>, region: &str) -> Option<Edit> {
    let first = content.first().cloned().unwrap_or_default();
    Some(match &slot.place {
        Place::Id => return None,
        Place::Name if first.is_empty() => return None,
        Place::Name => Edit::Name(first),
        Place::FirstName => Edit::FirstName(first),
        Place::LastName => Edit::LastName(first),
        Place::Tags => Edit::Tags(content.iter().cloned().collect()),
        Place::Company => match record {
            Some(Record::Contact(contact)) if contact.company.is_some() => return None,
            _ if first.is_empty() => return None,
            _ => Edit::CompanyName(first),
        },
        Place::Price => Edit::Price(text::whole(&first)?),
        Place::Responsible => match &slot.form {
            Form::User(users) => Edit::Responsible(*users.iter().find(|(_, name)| **name == first)?.0),
            _ => return None,
        },
        Place::Field(id, part) => {
            let current = record.and_then(|record| record.fields().get(id).cloned()).unwrap_or_default();
            Edit::Field { id: *id, kind: slot.kind?, elements: elements(slot, *part, content, current, region) }
        }
    })
}

fn elements(
    slot: &Slot,
    part: Option<AddressPart>,
    content: &[String],
    current: Vec<Element>,
    region: &str,
) -> Vec<Element> {
    if let Some(part) = part {
        let mut parts: Vec<Element> = current.into_iter().filter(|element| element.part != Some(part)).collect();
        parts.extend(content.iter().map(|value| Element { part: Some(part), ..Element::text(value) }));
        parts.sort_by_key(|element| element.part);
        return parts;
    }
    let mut current: Vec<Option<Element>> =
        current.into_iter().filter(|element| !element.value.trim().is_empty()).map(Some).collect();
    let mut kept: Vec<Option<Element>> = vec![None; content.len()];
    // The same spelling goes before the same meaning, and each element serves once: of two alike
    // both keep their kind.
    for by_spelling in [true, false] {
        for (value, kept) in content.iter().zip(&mut kept).filter(|(_, kept)| kept.is_none()) {
            *kept = take_same(slot, value, by_spelling, &mut current, region);
        }
    }
    let is_in_place = current.len() == content.len();
    let replaced = current.into_iter().map(|element| element.filter(|_| is_in_place)).chain(std::iter::repeat(None));
    let values = content.iter().zip(kept).zip(replaced);
    values.map(|((value, kept), replaced)| element(slot, value, kept, replaced)).collect()
}

/// Takes the element that is there already for this value.
fn take_same(
    slot: &Slot,
    value: &str,
    by_spelling: bool,
    current: &mut [Option<Element>],
    region: &str,
) -> Option<Element> {
    let shown = |element: &Element| match &slot.form {
        Form::Choice(choices) | Form::Choices(choices) => {
            element.choice.and_then(|choice| choices.get(&choice).cloned()).unwrap_or_else(|| element.value.clone())
        }
        _ => element.value.clone(),
    };
    let key = meaning(&slot.form, value, region);
    let is_same = |text: String| match by_spelling {
        true => text == value,
        false => meaning(&slot.form, &text, region) == key,
    };
    let at = current.iter().position(|element| element.as_ref().is_some_and(|element| is_same(shown(element))))?;
    current[at].take()
}

/// One element: the one that is there already if it means the same, else the one in its place with
/// a new value (so an edited number keeps its kind), else a new one.
fn element(slot: &Slot, value: &str, kept: Option<Element>, replaced: Option<Element>) -> Element {
    match &slot.form {
        Form::Choice(choices) | Form::Choices(choices) => {
            let named = || choices.iter().find(|(_, name)| *name == value).map(|(id, _)| *id);
            Element { choice: kept.and_then(|element| element.choice).or_else(named), ..Element::text(value) }
        }
        Form::Phones | Form::Emails | Form::Several => {
            let code = match slot.form {
                Form::Phones => Some("MOB"),
                Form::Emails => Some("WORK"),
                _ => None,
            };
            let new = || Element { code: code.map(str::to_owned), ..Element::default() };
            Element { value: value.to_owned(), ..kept.or(replaced).unwrap_or_else(new) }
        }
        _ => Element::text(value),
    }
}

#[cfg(test)]
mod tests;
