//! Calls of bots: the HTTP side hands them over, the engine carries them out.

use crate::core::function::{Answer, Call};
use crate::ports::store::Stored;
use async_trait::async_trait;

/// Carries out the calls of one bridge's bots.
#[async_trait]
pub trait Functions: Send + Sync {
    /// Stores a call, has it carried out, and comes back with the answer, after `wait_ms` milliseconds at the
    /// latest: then [`Answer::queued`], and the bot is told of the answer by variables and a callback. A call that
    /// only reads is stored when its answer does not come in time.
    ///
    /// The same call once more (`Call::once_ms`) gets the same answer. The error: it was not stored, and nothing
    /// will happen.
    async fn call(&self, call: Call, wait_ms: i64) -> Stored<Answer>;
}
