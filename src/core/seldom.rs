//! What is done for the same thing once in a while only.

use super::time::Millis;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// When it was last done for what, if that was less than `EVERY_MS` ago; nothing older is kept. Lost at a restart.
#[derive(Debug)]
pub struct Seldom<K, const EVERY_MS: i64>(Mutex<BTreeMap<K, Millis>>);

impl<K, const EVERY_MS: i64> Default for Seldom<K, EVERY_MS> {
    fn default() -> Self {
        Seldom(Mutex::default())
    }
}

impl<K: Ord, const EVERY_MS: i64> Seldom<K, EVERY_MS> {
    /// True if it was not done for so long; from now on it was.
    pub fn asks(&self, key: K, now: Millis) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|_, at| (0..EVERY_MS).contains(&now.since(*at)));
        let is_due = !last.contains_key(&key);
        if is_due {
            last.insert(key, now);
        }
        is_due
    }

    /// It is done now, due or not.
    pub fn done(&self, key: K, now: Millis) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, now);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Everything is due.
    pub fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
