//! The request limit: so many in any second, then 429, then a block for those who do not stop.

use std::collections::VecDeque;

use super::options::LimitOptions;

/// The length of the window in which requests are counted.
const WINDOW_MS: i64 = 1_000;

/// Why a request was turned away before it reached the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Too many in this second: 429.
    TooMany,
    /// Blocked for going on regardless: 403.
    Blocked,
}

/// Counts requests and decides which of them pass. Only those that passed use up the limit.
#[derive(Debug)]
pub(super) struct Gate {
    passed_at_ms: VecDeque<i64>,
    rejected_at_ms: VecDeque<i64>,
    blocked_until_ms: Option<i64>,
}

impl Gate {
    pub(super) fn new() -> Self {
        Gate { passed_at_ms: VecDeque::new(), rejected_at_ms: VecDeque::new(), blocked_until_ms: None }
    }

    /// Lets a request pass or not. Times never decrease from call to call.
    pub(super) fn admit(&mut self, options: &LimitOptions, now_ms: i64) -> Result<(), Refusal> {
        if self.is_blocked(now_ms) {
            return Err(Refusal::Blocked);
        }
        let Some(limit) = options.requests_per_second else {
            return Ok(());
        };
        forget_before(&mut self.passed_at_ms, now_ms - WINDOW_MS);
        if self.passed_at_ms.len() < limit as usize {
            self.passed_at_ms.push_back(now_ms);
            return Ok(());
        }
        self.reject(options, now_ms);
        Err(Refusal::TooMany)
    }

    /// Blocks every request until then.
    pub(super) fn block_until(&mut self, until_ms: i64) {
        self.blocked_until_ms = Some(until_ms);
    }

    /// Ends a block, as amoCRM's support does.
    pub(super) fn lift_block(&mut self) {
        self.blocked_until_ms = None;
        self.rejected_at_ms.clear();
    }

    fn is_blocked(&self, now_ms: i64) -> bool {
        self.blocked_until_ms.is_some_and(|until_ms| now_ms < until_ms)
    }

    fn reject(&mut self, options: &LimitOptions, now_ms: i64) {
        let Some(tolerated) = options.block_after_rejections else {
            return;
        };
        forget_before(&mut self.rejected_at_ms, now_ms - options.rejections_window_ms);
        self.rejected_at_ms.push_back(now_ms);
        if self.rejected_at_ms.len() >= tolerated as usize {
            self.rejected_at_ms.clear();
            self.block_until(now_ms + options.block_for_ms);
        }
    }
}

/// Drops the moments at or before `limit_ms` from a queue in ascending order.
pub(super) fn forget_before(moments: &mut VecDeque<i64>, limit_ms: i64) {
    while moments.front().is_some_and(|&at_ms| at_ms <= limit_ms) {
        moments.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(gate: &mut Gate, options: &LimitOptions, moments: &[i64]) -> Vec<bool> {
        moments.iter().map(|&now_ms| gate.admit(options, now_ms).is_ok()).collect()
    }

    #[test]
    fn the_eighth_request_of_a_second_is_refused_and_the_window_slides() {
        let mut gate = Gate::new();
        let options = LimitOptions::default();
        assert_eq!(passed(&mut gate, &options, &[0, 1, 2, 3, 4, 5, 900]), [true; 7]);
        assert_eq!(passed(&mut gate, &options, &[999, 1_000, 1_000]), [false, true, false]);
    }

    #[test]
    fn repeated_breaches_bring_a_block_that_ends() {
        let mut gate = Gate::new();
        let options = LimitOptions {
            requests_per_second: Some(1),
            block_after_rejections: Some(2),
            block_for_ms: 5_000,
            ..LimitOptions::default()
        };
        assert_eq!(gate.admit(&options, 0), Ok(()));
        assert_eq!(gate.admit(&options, 1), Err(Refusal::TooMany));
        assert_eq!(gate.admit(&options, 2), Err(Refusal::TooMany));
        assert_eq!(gate.admit(&options, 3_000), Err(Refusal::Blocked));
        assert_eq!(gate.admit(&options, 5_002), Ok(()));
    }

    #[test]
    fn breaches_far_apart_bring_no_block() {
        let mut gate = Gate::new();
        let options = LimitOptions {
            requests_per_second: Some(1),
            block_after_rejections: Some(2),
            rejections_window_ms: 1_000,
            ..LimitOptions::default()
        };
        assert_eq!(passed(&mut gate, &options, &[0, 1, 2_000, 2_001]), [true, false, true, false]);
        assert_eq!(gate.admit(&options, 4_000), Ok(()));
    }

    #[test]
    fn a_block_can_be_lifted() {
        let mut gate = Gate::new();
        gate.block_until(1_000_000);
        assert_eq!(gate.admit(&LimitOptions::default(), 1), Err(Refusal::Blocked));
        gate.lift_block();
        assert_eq!(gate.admit(&LimitOptions::default(), 2), Ok(()));
    }
}
