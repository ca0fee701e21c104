//! The account's metadata: read at the start, kept in the store, read again now and then and when
//! something unknown turns up.

use super::Bridge;
use crate::core::model::Account;
use crate::core::plan::ground::{Ground, KEPT_ACCOUNT};
use crate::core::time::Millis;
use crate::ports::remote::Priority;
use crate::ports::store::Change;
use std::sync::Arc;

/// How long it is good for.
const FRESH_MS: i64 = 3_600_000;
/// The wait after a failure.
const RETRY_MS: i64 = 10_000;

impl Bridge {
    /// Keeps the metadata fresh.
    pub(super) async fn account_loop(&self) {
        self.load_kept_account().await;
        while !self.is_stopping() {
            let wait = match self.parts.amo.account(Priority::Person).await {
                Ok(account) => {
                    self.worked("account");
                    self.keep_account(&account).await;
                    self.set_ground(account);
                    FRESH_MS
                }
                Err(fault) => {
                    self.troubled("account", &fault, "amoCRM's fields and pipelines could not be read");
                    RETRY_MS
                }
            };
            self.pause_until(self.now().plus(wait)).await;
        }
    }

    /// Reads the metadata now, for who met something unknown in it. None where it cannot be read.
    pub(super) async fn refresh_account(&self) -> Option<Arc<Ground>> {
        let account = self.parts.amo.account(Priority::Person).await.ok()?;
        self.keep_account(&account).await;
        self.set_ground(account);
        self.ground()
    }

    /// Starts from what is in the store, so that a restart does not wait for amoCRM.
    async fn load_kept_account(&self) {
        let kept = self.store().text(self.name(), KEPT_ACCOUNT).await.ok().flatten();
        if let Some(account) = kept.and_then(|text| serde_json::from_str::<Account>(&text).ok()) {
            self.set_ground(account);
        }
    }

    async fn keep_account(&self, account: &Account) {
        let Ok(text) = serde_json::to_string(account) else { return };
        if let Err(error) = self.commit(vec![Change::PutText(KEPT_ACCOUNT, text)]).await {
            tracing::warn!(bridge = self.name(), "the account's metadata was not kept: {error}");
        }
    }

    fn set_ground(&self, account: Account) {
        let known = self.ground().is_some_and(|ground| ground.account == account);
        if known {
            return;
        }
        let ground = Ground::new(self.parts.policy.clone(), account);
        for missing in &ground.missing {
            tracing::error!(
                bridge = self.name(),
                "a mapped field does not exist: {missing}; correct the mapping or make the field"
            );
        }
        let missing = ground.missing.join("; ");
        if missing.is_empty() {
            self.worked("mapping");
        } else {
            self.health.failed("mapping", &missing, self.now());
        }
        *self.ground.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Arc::new(ground));
        self.bells.marks.ring();
        self.parts.arrived.bell.ring();
    }

    /// When a loop that needs the metadata should look again.
    pub(super) fn until_grounded(&self) -> Option<Millis> {
        Some(self.now().plus(1_000))
    }
}
