//! What people do in the web interface: no limit, no lock, the service's own clock.

mod contacts;
mod leads;
mod notes;

pub use self::contacts::ContactDraft;
pub use self::leads::LeadDraft;

use super::Amo;
use super::state::patch::{Patch, RecordKind, TagName};
use super::state::records::{Card, Element, FieldValue, Tag};
use super::state::table::Carded;

impl Amo {
    /// Sets the user in whose name the following edits are made.
    pub fn act_as(&mut self, user_id: u64) {
        self.manager = user_id;
    }

    /// Who is named for a change of tags, where that counts as one.
    fn touches_tags(&self) -> Option<u64> {
        self.world.touch.tags.then_some(self.manager)
    }

    /// Writes an edit of the manager.
    fn edit(&mut self, kind: RecordKind, now_ms: i64, id: u64, patch: Patch) -> bool {
        self.world.update(kind, id, patch, self.manager, now_ms).is_some()
    }
}

fn one_text(text: &str) -> Vec<FieldValue> {
    if text.is_empty() { Vec::new() } else { vec![FieldValue::plain(text)] }
}

fn tag_names(tags: &[&str]) -> Vec<TagName> {
    tags.iter().map(|&tag| TagName::Text(tag.to_owned())).collect()
}

fn retag<T: Carded>(row: &mut T, tags: Vec<Tag>, touches: Option<u64>, now_ms: i64) {
    let card: &mut Card = row.card_mut();
    card.tags = tags;
    if let Some(user_id) = touches {
        card.touch(user_id, now_ms);
    }
}

fn lead_and_contact(lead_id: u64, contact_id: u64) -> (Element, Element) {
    (RecordKind::Lead.element(lead_id), RecordKind::Contact.element(contact_id))
}
