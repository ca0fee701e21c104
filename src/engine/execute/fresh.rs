//! The look before a write. A manager may edit a record between the two, and API v4 takes an older state without a word: what
//! took long to read is read once more.

use super::Bridge;
use crate::core::fault::Fault;
use crate::engine::portion::Portion;
use crate::ports::remote::AMO_BATCH_MAX;
use futures::future::BoxFuture;

/// So old may a look before a write be …
const FRESH_MS: i64 = 2_000;
/// … unless amoCRM is slower than that as often as this and once more.
const AGAIN_MAX: u32 = 3;
/// How many records are read at least for one write, where each is a request.
const LOOKS_MIN: u32 = 5;

/// How many records are read again before they are written.
pub(in crate::engine) fn looks_at_once() -> Portion {
    let most = AMO_BATCH_MAX as u32;
    Portion::new(LOOKS_MIN, most, most)
}

impl Bridge {
    /// Reads what the first of these are about, fewer at a time where that takes long. Returns what was read with those it was
    /// read for.
    pub(super) async fn fresh<'a, Row, Read>(
        &'a self,
        all: &'a [Row],
        look: impl Fn(&'a [Row]) -> BoxFuture<'a, Result<Read, Fault>>,
    ) -> Result<(&'a [Row], Read), Fault> {
        let mut again = 0;
        loop {
            let rows = &all[..all.len().min(self.fresh_looks.size() as usize)];
            let began_ms = self.parts.env.elapsed_ms();
            let read = look(rows).await?;
            let took_ms = self.parts.env.elapsed_ms() - began_ms;
            self.fresh_looks.cost(took_ms, FRESH_MS / 4, FRESH_MS);
            if took_ms <= FRESH_MS || again == AGAIN_MAX {
                return Ok((rows, read));
            }
            again += 1;
        }
    }
}
