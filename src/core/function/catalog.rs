//! Names, arguments and their order, as the page of the calculator's functions has them (Salebot
//! calculator page, section AMOCRM; `amo_set_contact_responsible_user` is known from the constructor alone).

use crate::core::nearest::nearest;
use serde::{Deserialize, Serialize};

/// A function by what it does; its name is that of the calculator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// `amo_get_token()`: refused, since it would hand the whole account to whoever can read a bot.
    GetToken,
    /// `amo_add_lead(lead_data, contact_id)`
    AddLead,
    /// `amo_set_lead_name(name, lead_id)`
    SetLeadName,
    /// `amo_change_state(status_id, lead_id, pipeline_id)`
    ChangeState,
    /// `amo_get_lead_info(lead_id)`
    GetLeadInfo,
    /// `amo_get_lead_custom_field(var_id, lead_id)`
    GetLeadField,
    /// `amo_add_lead_custom_fields(field_id, value, lead_id)`
    SetLeadFields,
    /// `amo_get_contact_info(contact_id)`
    GetContactInfo,
    /// `amo_get_contact_custom_field(var_id, contact_id)`
    GetContactField,
    /// `amo_add_contact_custom_fields(field_id, value, contact_id)`
    SetContactFields,
    /// `amo_create_task(title, assigned_id, minutes_deadline, task_type_id, lead_id)`
    CreateTask,
    /// `amo_set_tags(tags, lead_id)`
    SetTags,
    /// `amo_set_budget(budget, lead_id)`
    SetBudget,
    /// `amo_add_notes(text, lead_id)`
    AddLeadNote,
    /// `amo_add_contact_notes(text, contact_id)`
    AddContactNote,
    /// `amo_set_contact_name(first_name, last_name, contact_id)`
    SetContactName,
    /// `amo_set_lead_responsible_user(responsible_user_id, lead_id)`
    SetLeadResponsible,
    /// `amo_set_contact_responsible_user(responsible_user_id, contact_id)`
    SetContactResponsible,
}

/// An argument of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Other names under which it is taken: the page itself calls some arguments by two names.
    pub others: &'static [&'static str],
    /// True where the function makes no sense without it.
    pub required: bool,
}

const fn needed(name: &'static str, others: &'static [&'static str]) -> Parameter {
    Parameter { name, others, required: true }
}

const fn optional(name: &'static str, others: &'static [&'static str]) -> Parameter {
    Parameter { name, others, required: false }
}

const LEAD: Parameter = optional("lead_id", &["amo_lead_id"]);
const CONTACT: Parameter = optional("contact_id", &["amo_contact_id", "amo_client_id"]);
const FIELD: Parameter = needed("var_id", &["field", "field_id"]);
const FIELDS: Parameter = needed("field_id", &["fields", "var_id", "field"]);
const VALUE: Parameter = optional("value", &[]);
const USER: Parameter = needed("responsible_user_id", &["user_id", "responsible_id"]);
const TEXT: Parameter = needed("text", &["note"]);

impl Function {
    /// All eighteen, in the order of the page.
    pub const ALL: [Function; 18] = [
        Function::GetToken,
        Function::AddLead,
        Function::SetLeadName,
        Function::ChangeState,
        Function::GetLeadInfo,
        Function::GetLeadField,
        Function::SetLeadFields,
        Function::GetContactInfo,
        Function::GetContactField,
        Function::SetContactFields,
        Function::CreateTask,
        Function::SetTags,
        Function::SetBudget,
        Function::AddLeadNote,
        Function::AddContactNote,
        Function::SetContactName,
        Function::SetLeadResponsible,
        Function::SetContactResponsible,
    ];

    /// The name a bot calls it by.
    pub fn name(self) -> &'static str {
        match self {
            Function::GetToken => "amo_get_token",
            Function::AddLead => "amo_add_lead",
            Function::SetLeadName => "amo_set_lead_name",
            Function::ChangeState => "amo_change_state",
            Function::GetLeadInfo => "amo_get_lead_info",
            Function::GetLeadField => "amo_get_lead_custom_field",
            Function::SetLeadFields => "amo_add_lead_custom_fields",
            Function::GetContactInfo => "amo_get_contact_info",
            Function::GetContactField => "amo_get_contact_custom_field",
            Function::SetContactFields => "amo_add_contact_custom_fields",
            Function::CreateTask => "amo_create_task",
            Function::SetTags => "amo_set_tags",
            Function::SetBudget => "amo_set_budget",
            Function::AddLeadNote => "amo_add_notes",
            Function::AddContactNote => "amo_add_contact_notes",
            Function::SetContactName => "amo_set_contact_name",
            Function::SetLeadResponsible => "amo_set_lead_responsible_user",
            Function::SetContactResponsible => "amo_set_contact_responsible_user",
        }
    }

    /// Its arguments in their order.
    pub fn parameters(self) -> &'static [Parameter] {
        match self {
            Function::GetToken => &[],
            Function::AddLead => const { &[optional("lead_data", &[]), CONTACT] },
            Function::SetLeadName => const { &[needed("name", &["lead_name"]), LEAD] },
            Function::ChangeState => const { &[needed("status_id", &["status"]), LEAD, optional("pipeline_id", &[])] },
            Function::GetLeadInfo => const { &[LEAD] },
            Function::GetLeadField => const { &[FIELD, LEAD] },
            Function::SetLeadFields => const { &[FIELDS, VALUE, LEAD] },
            Function::GetContactInfo => const { &[CONTACT] },
            Function::GetContactField => const { &[FIELD, CONTACT] },
            Function::SetContactFields => const { &[FIELDS, VALUE, CONTACT] },
            Function::CreateTask => {
                const {
                    &[
                        needed("title", &["text"]),
                        optional("assigned_id", &["assigned_user_id", "responsible_user_id"]),
                        optional("minutes_deadline", &["deadline", "minutes"]),
                        optional("task_type_id", &["task_type"]),
                        LEAD,
                    ]
                }
            }
            Function::SetTags => const { &[needed("tags", &["tag"]), LEAD] },
            Function::SetBudget => const { &[needed("budget", &["price", "sale"]), LEAD] },
            Function::AddLeadNote => const { &[TEXT, LEAD] },
            Function::AddContactNote => const { &[TEXT, CONTACT] },
            Function::SetContactName => {
                const { &[needed("first_name", &["first", "name"]), optional("last_name", &["last"]), CONTACT] }
            }
            Function::SetLeadResponsible => const { &[USER, LEAD] },
            Function::SetContactResponsible => const { &[USER, CONTACT] },
        }
    }

    /// True where the record it is about is a lead that is there already. `amo_add_lead` is about a contact.
    pub fn is_about_lead(self) -> bool {
        self.parameters().iter().any(|parameter| parameter.name == LEAD.name)
    }

    /// True for those that change nothing.
    pub fn only_reads(self) -> bool {
        matches!(
            self,
            Function::GetToken
                | Function::GetLeadInfo
                | Function::GetLeadField
                | Function::GetContactInfo
                | Function::GetContactField
        )
    }

    /// True for those that make a record: the same call twice would make two.
    pub fn makes_a_record(self) -> bool {
        matches!(self, Function::AddLead | Function::CreateTask | Function::AddLeadNote | Function::AddContactNote)
    }

    /// The function of this name, in any case. The error is the nearest name, where one is near.
    pub fn find(name: &str) -> Result<Function, Option<&'static str>> {
        let name = name.trim();
        let found = Function::ALL.into_iter().find(|function| function.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| nearest(name, Function::ALL.map(Function::name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn eighteen_names_find_their_functions() {
        let names: BTreeSet<&str> = Function::ALL.map(Function::name).into();
        assert_eq!(names.len(), 18);
        for function in Function::ALL {
            assert_eq!(Function::find(&function.name().to_uppercase()), Ok(function));
        }
    }

    #[test]
    fn a_mistyped_name_finds_its_neighbour() {
        for (typed, near) in [
            ("amo_add_led", Some("amo_add_lead")),
            ("amo_set_tag", Some("amo_set_tags")),
            ("amo_add_note", Some("amo_add_notes")),
            ("telegram_send", None),
            ("", None),
        ] {
            assert_eq!(Function::find(typed), Err(near), "{typed}");
        }
    }

    #[test]
    fn arguments_stand_in_the_order_of_the_calculator() {
        let order =
            |function: Function| function.parameters().iter().map(|one| one.name).collect::<Vec<_>>().join(", ");
        assert_eq!(order(Function::ChangeState), "status_id, lead_id, pipeline_id");
        assert_eq!(order(Function::CreateTask), "title, assigned_id, minutes_deadline, task_type_id, lead_id");
        assert_eq!(order(Function::SetContactName), "first_name, last_name, contact_id");
        assert_eq!(order(Function::SetLeadFields), "field_id, value, lead_id");
        assert_eq!(order(Function::AddLead), "lead_data, contact_id");
    }
}
