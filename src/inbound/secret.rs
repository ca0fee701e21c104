//! Comparing secrets without telling how much of a guess was right.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// The digest of a secret. Digests have one length, so a comparison takes the same time whatever
/// the guess.
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of_secret(secret: &SecretString) -> Digest {
        Digest::of(secret.expose_secret())
    }

    fn of(text: &str) -> Digest {
        Digest(Sha256::digest(text.as_bytes()).into())
    }

    /// True for the same secret.
    pub(super) fn is(&self, guess: &str) -> bool {
        self.0.ct_eq(&Digest::of(guess).0).into()
    }

    /// What an unknown door is compared with, so that it takes as long as a known one. Nothing
    /// hashes to it.
    pub(super) const NOBODY: Digest = Digest([0; 32]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_opens() {
        let digest = Digest::of_secret(&SecretString::from("long-and-random"));
        assert!(digest.is("long-and-random"));
        for guess in ["", "long-and-rando", "long-and-random ", "LONG-AND-RANDOM"] {
            assert!(!digest.is(guess), "{guess}");
        }
        assert!(!Digest::NOBODY.is(""));
    }
}
