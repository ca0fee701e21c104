//! The look before a write. A manager may edit a record between the two, and API v4 takes an older state without a word: what
//! took long to read is read once more.

use super::amo::harmless;
use super::{Bridge, Outcome};
use crate::core::fault::{Fault, FaultKind};
use crate::core::time::Millis;
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

/// A change of a record that was changed a moment ago …
const ITS_SECOND: &str = "the record was changed in this very second; the next change of it waits for the next one";
/// … by amoCRM's clock, which is behind ours.
const STILL_ITS_SECOND: &str =
    "the record was changed in this very second by amoCRM's clock; the next change waits for the next one";
/// Clocks that agree differ by less than this.
const CLOCKS_MS: i64 = 50;

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

/// When a change is dated: later than the record is, as API v2 wants it, and not before now.
pub(super) fn later_than(dated: i64, server_now: Millis) -> i64 {
    server_now.seconds().max(dated + 1)
}

/// A change must be dated later than the record is. In the second in which the record was changed that would be a time to
/// come, and what a manager types in the rest of this second would be dated earlier than our change and look like a state
/// that a listing shows late. So the change waits for the next second: as our clock says, and where the server's has not come
/// to that, a whole one. Then it goes, as a server's clock may stand.
pub(super) fn in_its_second(waited: Option<&Fault>, dated: i64, server_now: Millis, now: Millis) -> Option<Outcome> {
    // One ahead: what was dated so before, by a bot's call for instance. Beyond that it is somebody's mistake.
    let ahead = dated - server_now.seconds();
    if !(0..=1).contains(&ahead) {
        return None;
    }
    let is_even = now.seconds() == server_now.seconds();
    let left_ms = if is_even { 1_000 - now.0.rem_euclid(1_000) + CLOCKS_MS } else { 1_000 };
    let (reason, wait_ms) = match waited.map(|fault| fault.reason.as_str()) {
        Some(STILL_ITS_SECOND) => return None,
        Some(ITS_SECOND) => (STILL_ITS_SECOND, 1_000),
        _ => (ITS_SECOND, left_ms),
    };
    Some(Outcome::Waits(Fault::new(FaultKind::Interrupted, reason), wait_ms + ahead * 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const SERVER: Millis = Millis(1_700_000_000_000);

    fn waits(dated: i64, now: Millis) -> Vec<i64> {
        let mut waited: Option<Fault> = None;
        let mut waits = Vec::new();
        while let Some(Outcome::Waits(fault, wait_ms)) = in_its_second(waited.as_ref(), dated, SERVER, now) {
            assert!(waits.len() < 9, "a server's clock may stand");
            waited = Some(fault);
            waits.push(wait_ms);
        }
        waits
    }

    #[rstest]
    #[case::long_ago(-5, SERVER.plus(300), &[])]
    #[case::a_second_ago(-1, SERVER.plus(300), &[])]
    #[case::now(0, SERVER.plus(300), &[750, 1_000])]
    #[case::now_and_our_clock_is_behind(0, SERVER.minus(200), &[1_000, 1_000])]
    #[case::one_second_ahead(1, SERVER.plus(300), &[1_750, 2_000])]
    #[case::far_ahead(3_600, SERVER.plus(300), &[])]
    fn a_change_waits_for_the_second_after_the_last_one(
        #[case] dated: i64,
        #[case] now: Millis,
        #[case] expected: &[i64],
    ) {
        assert_eq!(waits(SERVER.seconds() + dated, now), expected);
    }
}
