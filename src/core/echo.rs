//! Callbacks that Salebot sends back as if they were messages.
//!
//! Whether it does is not documented (Salebot reference, pitfalls: echoes). A callback whose first word only a program
//! would write is known by that word, see [`super::flex::Notices`]; any other is known by having been sent to the same client a
//! moment ago.

use super::fingerprint;
use super::model::Message;
use super::time::Millis;
use serde::{Deserialize, Serialize};

/// Most callbacks remembered for a client, the newest.
const SENT_MAX: usize = 8;
/// What a messenger delivered has an id of its own. One that has none is taken for an echo for so long …
const WITHOUT_ID_MS: i64 = 600_000;
/// … and one that has, only for so long: a person may write the same words.
const WITH_ID_MS: i64 = 60_000;
/// Salebot's clock and ours differ by this much at most.
const CLOCKS_MS: i64 = 5_000;

/// A callback that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// What was sent, as a fingerprint.
    #[serde(rename = "t")]
    pub text: String,
    /// When.
    #[serde(rename = "a")]
    pub at: Millis,
}

/// Remembers what is sent now, and forgets what is too long ago to come back.
pub fn remember(sent: &mut Vec<Sent>, text: &str, now: Millis) {
    sent.retain(|sent| now.since(sent.at) <= WITHOUT_ID_MS);
    sent.push(Sent { text: print(text), at: now });
    sent.drain(..sent.len().saturating_sub(SENT_MAX));
}

/// True for a message that is one of these callbacks coming back. `at`: when it was received, or written.
pub fn is_one(sent: &[Sent], message: &Message, at: Millis) -> bool {
    let Some(text) = message.text.as_deref().filter(|_| message.attachments.is_empty() && !sent.is_empty()) else {
        return false;
    };
    let window_ms = if message.id.is_some() { WITH_ID_MS } else { WITHOUT_ID_MS };
    let text = print(text);
    sent.iter().any(|sent| sent.text == text && (-CLOCKS_MS..=window_ms).contains(&at.since(sent.at)))
}

/// Space at the ends may be lost on the way.
fn print(text: &str) -> String {
    fingerprint::of(&text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::{ClientId, MessageId};
    use crate::core::model::Client;
    use rstest::rstest;

    const NOW: Millis = Millis(1_000_000_000);

    fn message(id: Option<u64>, text: &str) -> Message {
        Message {
            id: id.map(MessageId),
            client: Client::unknown(ClientId(5)),
            text: Some(text.to_owned()),
            attachments: Vec::new(),
            incoming: true,
            block: None,
            variables: None,
            written_at: None,
        }
    }

    #[rstest]
    #[case::at_once(Some(1), "Заказ готов", 200, true)]
    #[case::trimmed(Some(1), " Заказ готов\n", 200, true)]
    #[case::by_another_clock(Some(1), "Заказ готов", -3_000, true)]
    #[case::long_before(Some(1), "Заказ готов", -60_000, false)]
    #[case::a_person_later(Some(1), "Заказ готов", 61_000, false)]
    #[case::late_and_without_an_id(None, "Заказ готов", 61_000, true)]
    #[case::far_too_late(None, "Заказ готов", 601_000, false)]
    #[case::other_words(None, "Заказ готов?", 200, false)]
    fn what_was_sent_a_moment_ago_comes_back(
        #[case] id: Option<u64>,
        #[case] text: &str,
        #[case] after_ms: i64,
        #[case] expected: bool,
    ) {
        let mut sent = Vec::new();
        remember(&mut sent, "Заказ готов", NOW);
        assert_eq!(is_one(&sent, &message(id, text), NOW.plus(after_ms)), expected);
        assert!(!is_one(&[], &message(id, text), NOW.plus(after_ms)), "nothing was sent to this client");
    }

    #[test]
    fn what_is_remembered_stays_small() {
        let mut sent = Vec::new();
        for n in 0..20 {
            remember(&mut sent, &format!("ход {n}"), NOW.plus(n));
        }
        assert_eq!(sent.len(), SENT_MAX);
        assert!(is_one(&sent, &message(None, "ход 19"), NOW) && !is_one(&sent, &message(None, "ход 0"), NOW));
        remember(&mut sent, "позже", NOW.plus(WITHOUT_ID_MS + 100));
        assert_eq!(sent.len(), 1);
    }
}
