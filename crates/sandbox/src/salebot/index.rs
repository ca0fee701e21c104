//! Look-ups that stay fast with many clients: by messenger id and by the value of a variable.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::project::plain_text;

/// The end WhatsApp ids may or may not carry.
pub(super) const WHATSAPP_SUFFIX: &str = "@s.whatsapp.net";

/// A name no variable can have: the digits of `phone` stand under it.
const PHONE_DIGITS: &str = "\u{0}phone_digits";

/// The digits of a text, in order.
pub(super) fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// A messenger id without the end that WhatsApp ids may carry.
pub(super) fn bare_platform_id(text: &str) -> &str {
    text.trim().trim_end_matches(WHATSAPP_SUFFIX)
}

/// Which holders (clients, or deals) have a value in a variable.
#[derive(Debug, Default)]
pub(super) struct ValueIndex {
    names: HashMap<String, HashMap<String, BTreeSet<i64>>>,
}

impl ValueIndex {
    /// Remembers that the holder has this value.
    pub fn insert(&mut self, name: &str, value: &Value, holder: i64) {
        let text = plain_text(value);
        if name == "phone" {
            self.insert_text(PHONE_DIGITS, digits(&text), holder);
        }
        self.insert_text(name, text, holder);
    }

    /// Forgets it again.
    pub fn remove(&mut self, name: &str, value: &Value, holder: i64) {
        let text = plain_text(value);
        if name == "phone" {
            self.remove_text(PHONE_DIGITS, &digits(&text), holder);
        }
        self.remove_text(name, &text, holder);
    }

    /// The holders of this value, in the order of their numbers.
    pub fn holders(&self, name: &str, text: &str) -> impl Iterator<Item = i64> + use<'_> {
        self.names.get(name).and_then(|values| values.get(text)).into_iter().flatten().copied()
    }

    /// The holders whose `phone` has these digits.
    pub fn phone_holders(&self, phone_digits: &str) -> impl Iterator<Item = i64> + use<'_> {
        self.holders(PHONE_DIGITS, phone_digits)
    }

    /// Whether every value of this variable reads as a number.
    pub fn all_numbers(&self, name: &str) -> bool {
        self.names.get(name).is_none_or(|values| values.keys().all(|text| text.parse::<f64>().is_ok()))
    }

    fn insert_text(&mut self, name: &str, text: String, holder: i64) {
        self.names.entry(name.to_owned()).or_default().entry(text).or_default().insert(holder);
    }

    fn remove_text(&mut self, name: &str, text: &str, holder: i64) {
        let Some(values) = self.names.get_mut(name) else { return };
        let Some(holders) = values.get_mut(text) else { return };
        holders.remove(&holder);
        if holders.is_empty() {
            values.remove(text);
        }
    }
}

/// Which clients have a messenger id, over all messengers and bots.
#[derive(Debug, Default)]
pub(super) struct PlatformIndex {
    clients: HashMap<String, BTreeSet<i64>>,
}

impl PlatformIndex {
    /// Remembers a client's messenger id.
    pub fn insert(&mut self, platform_id: &str, client_id: i64) {
        self.clients.entry(bare_platform_id(platform_id).to_owned()).or_default().insert(client_id);
    }

    /// Forgets it again.
    pub fn remove(&mut self, platform_id: &str, client_id: i64) {
        let bare = bare_platform_id(platform_id);
        let Some(clients) = self.clients.get_mut(bare) else { return };
        clients.remove(&client_id);
        if clients.is_empty() {
            self.clients.remove(bare);
        }
    }

    /// The clients with this messenger id, in the order of their numbers.
    pub fn clients(&self, platform_id: &str) -> impl Iterator<Item = i64> + use<'_> {
        self.clients.get(bare_platform_id(platform_id)).into_iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_found_until_it_is_removed() {
        let mut index = ValueIndex::default();
        index.insert("city", &json!("Псков"), 7);
        index.insert("city", &json!("Псков"), 3);
        assert_eq!(index.holders("city", "Псков").collect::<Vec<_>>(), [3, 7]);
        index.remove("city", &json!("Псков"), 3);
        assert_eq!(index.holders("city", "Псков").collect::<Vec<_>>(), [7]);
        assert_eq!(index.holders("town", "Псков").count(), 0);
    }

    #[test]
    fn a_phone_is_found_by_its_digits_and_forgotten_with_its_text() {
        let mut index = ValueIndex::default();
        index.insert("phone", &json!("+7 999 000-00-01"), 1);
        assert_eq!(index.phone_holders("79990000001").collect::<Vec<_>>(), [1]);
        index.remove("phone", &json!("+7 999 000-00-01"), 1);
        assert_eq!(index.phone_holders("79990000001").count(), 0);
    }

    #[test]
    fn numbers_are_told_from_texts() {
        let mut index = ValueIndex::default();
        index.insert("age", &json!(30), 1);
        index.insert("age", &json!("41.5"), 2);
        assert!(index.all_numbers("age"));
        index.insert("age", &json!("старый"), 3);
        assert!(!index.all_numbers("age"));
    }

    #[test]
    fn whatsapp_ids_match_with_and_without_their_end() {
        let mut index = PlatformIndex::default();
        index.insert("79990000001@s.whatsapp.net", 5);
        assert_eq!(index.clients("79990000001").collect::<Vec<_>>(), [5]);
        index.remove("79990000001", 5);
        assert_eq!(index.clients("79990000001@s.whatsapp.net").count(), 0);
    }
}
