//! What a record looks like once edits are applied: what we expect to see next.

use super::action::Edit;
use super::model::{Contact, Fields, Lead};

/// Applies edits to a contact. A new company's id is not known, so its name is left as it was.
pub fn to_contact(contact: &mut Contact, edits: &[Edit]) {
    for edit in edits {
        match edit {
            Edit::Name(name) => contact.name.clone_from(name),
            Edit::FirstName(name) => contact.first_name = Some(name.clone()),
            Edit::LastName(name) => contact.last_name = Some(name.clone()),
            Edit::Tags(tags) => contact.tags.clone_from(tags),
            Edit::Responsible(user) => contact.responsible = Some(*user),
            Edit::Field { .. } => field(&mut contact.fields, edit),
            Edit::CompanyName(_) | Edit::Contact(_) | Edit::Price(_) | Edit::Stage { .. } => {}
        }
    }
}

/// Applies edits to a lead.
pub fn to_lead(lead: &mut Lead, edits: &[Edit]) {
    for edit in edits {
        match edit {
            Edit::Name(name) => lead.name.clone_from(name),
            Edit::Tags(tags) => lead.tags.clone_from(tags),
            Edit::Responsible(user) => lead.responsible = Some(*user),
            Edit::Price(price) => lead.price = *price,
            Edit::Stage { pipeline, status } => (lead.pipeline, lead.status) = (*pipeline, *status),
            Edit::Field { .. } => field(&mut lead.fields, edit),
            Edit::Contact(contact) => drop(lead.contacts.insert(*contact)),
            Edit::FirstName(_) | Edit::LastName(_) | Edit::CompanyName(_) => {}
        }
    }
}

fn field(fields: &mut Fields, edit: &Edit) {
    let Edit::Field { id, elements, .. } = edit else { return };
    if elements.is_empty() {
        fields.remove(id);
    } else {
        fields.insert(*id, elements.clone());
    }
}
