//! A stable hash of what a record means to us. Equal fingerprints: nothing to do.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// Raised when the meaning of a fingerprint changes, so that old ones never match by accident.
const VERSION: u8 = 1;

/// 32 hexadecimal digits over the JSON form of a value. Maps must be ordered ones.
pub fn of(value: &impl Serialize) -> String {
    let mut hash = Sha256::new();
    hash.update([VERSION]);
    // Our own types always serialize; one that does not gets a fingerprint that matches nothing of use.
    hash.update(serde_json::to_vec(value).unwrap_or_default());
    hash.finalize().iter().take(16).flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect()
}

/// A hexadecimal digit. A first import has several fingerprints for each record: sixteen texts for each of them show.
fn digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn fingerprints_stay_the_same_over_releases() {
        assert_eq!(super::of(&("contact", 101, ["a", "b"])), super::of(&("contact", 101, ["a", "b"])));
        assert_ne!(super::of(&1), super::of(&2));
        assert_eq!(super::of(&"salebridge"), "3c94e206acd8d3ad979ba01597d1be5c");
    }
}
