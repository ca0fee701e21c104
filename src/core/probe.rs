//! How a probe of the webhook's address proves that both ends hold the same secret, without sending it.
//!
//! The asker sends a text of its own choice and a proof of it; only who holds the secret can make either proof, and
//! neither can be used as the other. Nobody learns the secret, and nothing is stored.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// Longer texts are not answered.
pub const NONCE_BYTES_MAX: usize = 128;

/// What is asked: the body of the probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// A text that was not asked before.
    pub nonce: String,
    /// [`Key::question`] of it.
    pub proof: String,
}

/// What both ends make their proofs with.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// The key of a webhook's secret.
    pub fn of_secret(secret: &str) -> Key {
        Key(Sha256::digest(secret.as_bytes()).into())
    }

    /// What to ask.
    pub fn question(&self, nonce: &str) -> Question {
        Question { nonce: nonce.to_owned(), proof: self.proof("question", nonce) }
    }

    /// The answer to a question; none for one that was not asked by a holder of the secret.
    pub fn answer(&self, question: &Question) -> Option<String> {
        let is_short = question.nonce.len() <= NONCE_BYTES_MAX;
        let given = from_hex(&question.proof)?;
        // Compares in constant time.
        let is_ours = self.mac("question", &question.nonce).verify_slice(&given).is_ok();
        (is_short && is_ours).then(|| self.proof("answer", &question.nonce))
    }

    /// True when this is the answer to the question with this nonce.
    pub fn is_answer(&self, nonce: &str, answer: &str) -> bool {
        from_hex(answer.trim()).is_some_and(|given| self.mac("answer", nonce).verify_slice(&given).is_ok())
    }

    fn proof(&self, role: &str, nonce: &str) -> String {
        let bytes = self.mac(role, nonce).finalize().into_bytes();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn mac(&self, role: &str, nonce: &str) -> Hmac<Sha256> {
        // RFC 2104: a key shorter than the block is filled up with zeros.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.0);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(format!("salebridge probe {role}: {nonce}").as_bytes());
        mac
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
    is_hex.then(|| (0..text.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_holder_of_the_secret_asks_and_answers() {
        let (ours, other) = (Key::of_secret("0123456789abcdef"), Key::of_secret("0123456789abcdeg"));
        let question = ours.question("once");
        let answer = ours.answer(&question).expect("ours");
        assert!(ours.is_answer("once", &answer) && ours.is_answer("once", &format!("{answer}\n")));
        assert_eq!(other.answer(&question), None);
        assert!(!other.is_answer("once", &answer) && !ours.is_answer("twice", &answer));
        assert_ne!(answer, question.proof, "a question is no answer");
        assert!(!ours.is_answer("once", &question.proof));
    }

    #[test]
    fn what_is_no_proof_is_not_answered() {
        let key = Key::of_secret("0123456789abcdef");
        for proof in ["", "zz", &"я".repeat(32), &"0".repeat(64), &"0".repeat(63)] {
            let question = Question { nonce: "once".to_owned(), proof: proof.to_owned() };
            assert_eq!(key.answer(&question), None, "{proof}");
        }
        let long = "x".repeat(NONCE_BYTES_MAX + 1);
        assert_eq!(key.answer(&key.question(&long)), None);
        assert!(!key.is_answer("once", "not hex"));
        assert!(!format!("{key:?}").contains("01"));
    }
}
