//! The look before a write. A manager may edit a record between the two, and API v4 takes an older state without a word: what
//! took long to read is read once more.

use super::amo::harmless;
use super::{Bridge, Outcome};
use crate::core::fault::Fault;
use crate::engine::portion::Portion;
use crate::ports::remote::AMO_BATCH_MAX;
use crate::ports::store::{OutboxRow, Stored};
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
    /// Reads what is to be written, portion by portion, and writes each while it is fresh. Where one cannot be read nothing more
    /// is.
    pub(super) async fn written_fresh<'a, Read>(
        &'a self,
        batch: &'a [OutboxRow],
        look: impl Fn(&'a [OutboxRow]) -> BoxFuture<'a, Result<Read, Fault>>,
        write: impl Fn(&'a [OutboxRow], Read) -> BoxFuture<'a, Stored<Vec<Outcome>>>,
    ) -> Stored<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        let mut rest = batch;
        while !rest.is_empty() {
            match self.fresh(rest, &look).await {
                Ok((rows, read)) => {
                    outcomes.extend(write(rows, read).await?);
                    rest = &rest[rows.len()..];
                }
                Err(fault) => {
                    let fault = harmless(fault);
                    outcomes.extend(rest.iter().map(|_| Outcome::Failed(fault.clone())));
                    break;
                }
            }
        }
        Ok(outcomes)
    }

    /// Reads what the first of these are about, fewer at a time where that takes long. Returns what was read with those it was
    /// read for.
    async fn fresh<'a, Read>(
        &'a self,
        all: &'a [OutboxRow],
        look: impl Fn(&'a [OutboxRow]) -> BoxFuture<'a, Result<Read, Fault>>,
    ) -> Result<(&'a [OutboxRow], Read), Fault> {
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
