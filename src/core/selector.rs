//! The names of mapped values: `contact.phone`, `lead.field.123`, `client.position`, `order.budget`.

use super::id::FieldId;
use std::fmt;
use std::str::FromStr;

/// A value of a contact or a lead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AmoField {
    /// Which record it belongs to.
    pub entity: Entity,
    /// Which value of the record.
    pub part: AmoPart,
}

/// The amoCRM records whose values can be mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entity {
    /// `contact.…`
    Contact,
    /// `lead.…`
    Lead,
}

/// A value within an amoCRM record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AmoPart {
    /// The record's own id; read only, used for the identifiers that are always kept.
    Id,
    /// `name`
    Name,
    /// `first_name`, of a contact
    FirstName,
    /// `last_name`, of a contact
    LastName,
    /// `phone`, of a contact: the system field PHONE
    Phone,
    /// `email`, of a contact: the system field EMAIL
    Email,
    /// `tags`
    Tags,
    /// `responsible`: the user's name
    Responsible,
    /// `company`, of a contact: the company's name
    Company,
    /// `price`, of a lead
    Price,
    /// `field.123`, `field."Должность"`, and a part of an address: `field.123.city`
    Custom {
        /// How the field is named.
        field: FieldRef,
        /// Which part of an address.
        address: Option<AddressPart>,
    },
}

/// How a custom field is named in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldRef {
    /// By its id: survives renaming.
    Id(FieldId),
    /// By its name, compared without regard to case.
    Name(String),
}

/// A part of an address field (amoCRM v2 contacts page: names on write, numbers 1–6 on read).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressPart {
    /// 1
    #[serde(rename = "address_line_1")]
    Line1,
    /// 2
    #[serde(rename = "address_line_2")]
    Line2,
    /// 3
    City,
    /// 4
    State,
    /// 5
    Zip,
    /// 6
    Country,
}

impl AddressPart {
    /// Every part in the order of amoCRM's numbers.
    pub const ALL: [AddressPart; 6] = [
        AddressPart::Line1,
        AddressPart::Line2,
        AddressPart::City,
        AddressPart::State,
        AddressPart::Zip,
        AddressPart::Country,
    ];

    /// The name used on write and in selectors.
    pub fn name(self) -> &'static str {
        match self {
            AddressPart::Line1 => "address_line_1",
            AddressPart::Line2 => "address_line_2",
            AddressPart::City => "city",
            AddressPart::State => "state",
            AddressPart::Zip => "zip",
            AddressPart::Country => "country",
        }
    }

    /// The number used on read, 1 to 6.
    pub fn number(self) -> u64 {
        match self {
            AddressPart::Line1 => 1,
            AddressPart::Line2 => 2,
            AddressPart::City => 3,
            AddressPart::State => 4,
            AddressPart::Zip => 5,
            AddressPart::Country => 6,
        }
    }

    /// From a name or a number.
    pub fn parse(text: &str) -> Option<AddressPart> {
        Self::ALL.into_iter().find(|part| part.name() == text || part.number().to_string() == text)
    }
}

/// A value of a client or an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SalebotField {
    /// `client.NAME`: a client variable; the bare name.
    Client(String),
    /// `order.NAME`: an order variable; the bare name. `name`, `description` and `budget` are the order's own.
    Order(String),
    /// `client.id` and the like: facts that cannot be written.
    Fact(Fact),
}

/// Facts of a client or an order that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// `client.id`
    ClientId,
    /// `client.platform_id`: the person's id in the messenger
    PlatformId,
    /// `client.messenger`: the messenger's name
    Messenger,
    /// `client.bot`: the bot the client belongs to
    Bot,
    /// `client.tag`
    Tag,
    /// `client.created_at`
    CreatedAt,
    /// `order.id`
    OrderId,
}

impl Fact {
    const NAMES: [(Fact, &'static str); 7] = [
        (Fact::ClientId, "client.id"),
        (Fact::PlatformId, "client.platform_id"),
        (Fact::Messenger, "client.messenger"),
        (Fact::Bot, "client.bot"),
        (Fact::Tag, "client.tag"),
        (Fact::CreatedAt, "client.created_at"),
        (Fact::OrderId, "order.id"),
    ];
}

/// Why a selector could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(String);

const CONTACT_PARTS: &str =
    "name, first_name, last_name, phone, email, tags, responsible, company, field.ID or field.\"Name\"";
const LEAD_PARTS: &str = "name, price, responsible, tags, field.ID or field.\"Name\"";

impl FromStr for AmoField {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = |known: &str| SelectorError(format!("`{text}` is no value of that record: write one of {known}"));
        let (entity, rest, known) = match text.split_once('.') {
            Some(("contact", rest)) => (Entity::Contact, rest, CONTACT_PARTS),
            Some(("lead", rest)) => (Entity::Lead, rest, LEAD_PARTS),
            _ => return Err(SelectorError(format!("`{text}` must begin with `contact.` or `lead.`"))),
        };
        let part = match (entity, rest) {
            (_, "name") => AmoPart::Name,
            (_, "tags") => AmoPart::Tags,
            (_, "responsible") => AmoPart::Responsible,
            (Entity::Contact, "first_name") => AmoPart::FirstName,
            (Entity::Contact, "last_name") => AmoPart::LastName,
            (Entity::Contact, "phone") => AmoPart::Phone,
            (Entity::Contact, "email") => AmoPart::Email,
            (Entity::Contact, "company") => AmoPart::Company,
            (Entity::Lead, "price") => AmoPart::Price,
            _ => match rest.strip_prefix("field.") {
                Some(field) => custom(text, field)?,
                None => return Err(unknown(known)),
            },
        };
        Ok(AmoField { entity, part })
    }
}

/// Reads what stands behind `field.`: an id or a quoted name, then perhaps a part of an address.
fn custom(text: &str, field: &str) -> Result<AmoPart, SelectorError> {
    let (field, rest) = match field.strip_prefix('"') {
        Some(quoted) => {
            let end = quoted
                .find('"')
                .ok_or_else(|| SelectorError(format!("`{text}` lacks the closing quote of the field's name")))?;
            (FieldRef::Name(quoted[..end].trim().to_owned()), &quoted[end + 1..])
        }
        None => {
            let end = field.find('.').unwrap_or(field.len());
            let id = field[..end].parse().map_err(|_| {
                SelectorError(format!("`{text}`: a field is named by its number or by its name in double quotes"))
            })?;
            (FieldRef::Id(FieldId(id)), &field[end..])
        }
    };
    if matches!(&field, FieldRef::Name(name) if name.is_empty()) {
        return Err(SelectorError(format!("`{text}` names a field without a name")));
    }
    let address = match rest.strip_prefix('.') {
        None if rest.is_empty() => None,
        None => return Err(SelectorError(format!("`{text}`: `{rest}` after the field is not understood"))),
        Some(part) => Some(AddressPart::parse(part).ok_or_else(|| {
            let known: Vec<_> = AddressPart::ALL.iter().map(|part| part.name()).collect();
            SelectorError(format!("`{part}` is no part of an address: write one of {}", known.join(", ")))
        })?),
    };
    Ok(AmoPart::Custom { field, address })
}

impl fmt::Display for AmoField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entity = match self.entity {
            Entity::Contact => "contact",
            Entity::Lead => "lead",
        };
        write!(f, "{entity}.")?;
        match &self.part {
            AmoPart::Id => f.write_str("id"),
            AmoPart::Name => f.write_str("name"),
            AmoPart::FirstName => f.write_str("first_name"),
            AmoPart::LastName => f.write_str("last_name"),
            AmoPart::Phone => f.write_str("phone"),
            AmoPart::Email => f.write_str("email"),
            AmoPart::Tags => f.write_str("tags"),
            AmoPart::Responsible => f.write_str("responsible"),
            AmoPart::Company => f.write_str("company"),
            AmoPart::Price => f.write_str("price"),
            AmoPart::Custom { field, address } => {
                match field {
                    FieldRef::Id(id) => write!(f, "field.{id}")?,
                    FieldRef::Name(name) => write!(f, "field.\"{name}\"")?,
                }
                address.map_or(Ok(()), |part| write!(f, ".{}", part.name()))
            }
        }
    }
}

/// Names that Salebot itself gives meaning to and that must not be written
/// (Salebot reference, variables: built-in names). `name` is the one that its own examples do write.
const BUILT_IN: [&str; 27] = [
    "none",
    "api_key",
    "attachment_url",
    "attachments",
    "avatar",
    "client_id",
    "client_type",
    "current_date",
    "current_time",
    "custom_answer",
    "message_from_outside",
    "date_of_creation",
    "time_of_creation",
    "full_name",
    "group",
    "main_client_id",
    "message_id",
    "next_day",
    "order",
    "order_id",
    "platform_id",
    "question",
    "timestamp",
    "tag",
    "wa_bot",
    "weekday",
    "messenger",
];

/// Longest name of a variable (Salebot reference, limits).
const NAME_CHARS_MAX: usize = 500;

impl FromStr for SalebotField {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((fact, _)) = Fact::NAMES.into_iter().find(|(_, name)| *name == text) {
            return Ok(SalebotField::Fact(fact));
        }
        let (scope, name) = match text.split_once('.') {
            Some((scope @ ("client" | "order"), name)) => (scope, name),
            _ => return Err(SelectorError(format!("`{text}` must begin with `client.` or `order.`"))),
        };
        let starts_well = name.chars().next().is_some_and(char::is_alphabetic);
        if !starts_well
            || !name.chars().all(|c| c.is_alphanumeric() || c == '_')
            || name.chars().count() > NAME_CHARS_MAX
        {
            return Err(SelectorError(format!(
                "`{name}` cannot name a variable: a letter first, then letters, digits and `_`, at most {NAME_CHARS_MAX}"
            )));
        }
        if BUILT_IN.contains(&name) {
            return Err(SelectorError(format!("`{name}` is one of Salebot's own names: choose another")));
        }
        Ok(match scope {
            "client" => SalebotField::Client(name.to_owned()),
            _ => SalebotField::Order(name.to_owned()),
        })
    }
}

impl fmt::Display for SalebotField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SalebotField::Client(name) => write!(f, "client.{name}"),
            SalebotField::Order(name) => write!(f, "order.{name}"),
            SalebotField::Fact(fact) => {
                let name = Fact::NAMES.iter().find(|(known, _)| known == fact).map_or("", |(_, name)| name);
                f.write_str(name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_print_as_they_are_written() {
        for text in [
            "contact.phone",
            "contact.first_name",
            "contact.field.4396817",
            "contact.field.\"Должность\"",
            "lead.price",
            "contact.field.4400115.city",
            "contact.field.\"Адрес\".zip",
            "lead.field.7",
        ] {
            assert_eq!(text.parse::<AmoField>().unwrap().to_string(), text);
        }
        for text in ["client.phone", "client.должность", "order.budget", "client.id", "order.id", "client.created_at"]
        {
            assert_eq!(text.parse::<SalebotField>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn faulty_selectors_say_what_would_be_right() {
        for (text, says) in [
            ("phone", "begin with"),
            ("lead.phone", "price"),
            ("contact.field.x", "double quotes"),
            ("contact.field.\"x", "closing quote"),
            ("contact.field.1.town", "city"),
            ("contact.field.\"\"", "without a name"),
        ] {
            assert!(text.parse::<AmoField>().unwrap_err().to_string().contains(says), "{text}");
        }
        for (text, says) in [
            ("phone", "begin with"),
            ("client.1a", "letter first"),
            ("client.tag_", ""),
            ("client.client_id", "own names"),
        ] {
            match text.parse::<SalebotField>() {
                Ok(_) => assert_eq!(says, "", "{text}"),
                Err(error) => assert!(error.to_string().contains(says), "{text}"),
            }
        }
    }
}
