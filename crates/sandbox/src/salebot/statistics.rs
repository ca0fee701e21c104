//! What was asked of the project: counts, the busiest second, a bounded log, and the limits.

use std::collections::{BTreeMap, VecDeque};

use super::options::{RateLimit, SalebotOptions};

/// One answered request. The key is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggedRequest {
    /// The action, `unknown` for names the API does not have.
    pub action: &'static str,
    /// The status code of the answer.
    pub status: u16,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
}

/// What was asked of the project so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Every request, turned away or not.
    pub total: u64,
    /// Requests by action.
    pub by_action: BTreeMap<&'static str, u64>,
    /// The most requests in any 1,000 ms, turned away or not.
    pub peak_per_second: u64,
    /// Answers 429.
    pub throttled: u64,
    /// Answers that said the daily quota is used up.
    pub over_quota: u64,
    /// Webhooks thrown away because nobody took them.
    pub webhooks_dropped: u64,
    /// The latest requests, oldest first.
    pub log: VecDeque<LoggedRequest>,
}

/// A count over a sliding 1,000 ms, in one entry per millisecond.
#[derive(Debug, Default)]
struct Second {
    counts: VecDeque<(i64, u64)>,
    total: u64,
}

impl Second {
    fn forget_before(&mut self, now_ms: i64) {
        while let Some(&(at_ms, count)) = self.counts.front() {
            if at_ms > now_ms - 1_000 {
                break;
            }
            self.counts.pop_front();
            self.total -= count;
        }
    }

    fn add(&mut self, now_ms: i64) -> u64 {
        match self.counts.back_mut() {
            Some((at_ms, count)) if *at_ms == now_ms => *count += 1,
            _ => self.counts.push_back((now_ms, 1)),
        }
        self.total += 1;
        self.total
    }
}

/// Why a request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// Too many in this second.
    Rate(RateLimit),
    /// Too many today.
    Quota,
}

/// Counts requests and holds them to the project's limits.
#[derive(Debug, Default)]
pub(super) struct Meter {
    statistics: Statistics,
    seen: Second,
    served: Second,
    day: i64,
    served_today: u64,
}

impl Meter {
    /// The counts so far.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Counts a request in, and says whether a limit stands against it.
    pub fn enter(&mut self, options: &SalebotOptions, now_ms: i64, action: &'static str) -> Option<Limit> {
        self.statistics.total += 1;
        *self.statistics.by_action.entry(action).or_default() += 1;
        self.seen.forget_before(now_ms);
        self.statistics.peak_per_second = self.statistics.peak_per_second.max(self.seen.add(now_ms));
        let limit = self.limit(options, now_ms, action);
        match limit {
            Some(Limit::Rate(_)) => self.statistics.throttled += 1,
            Some(Limit::Quota) => self.statistics.over_quota += 1,
            None => {}
        }
        limit
    }

    /// Logs how it ended.
    pub fn leave(&mut self, options: &SalebotOptions, request: LoggedRequest) {
        self.statistics.log.push_back(request);
        while self.statistics.log.len() > options.request_log_limit {
            self.statistics.log.pop_front();
        }
    }

    /// Counts a webhook that was thrown away.
    pub fn webhook_dropped(&mut self) {
        self.statistics.webhooks_dropped += 1;
    }

    fn limit(&mut self, options: &SalebotOptions, now_ms: i64, action: &'static str) -> Option<Limit> {
        self.served.forget_before(now_ms);
        if let Some(rate) = options.rate_limit
            && self.served.total >= u64::from(rate.per_second)
        {
            return Some(Limit::Rate(rate));
        }
        let day = (now_ms + i64::from(options.zone_offset_s) * 1_000).div_euclid(86_400_000);
        if day != self.day {
            self.day = day;
            self.served_today = 0;
        }
        // The one action documented as unlimited.
        if action != "save_variables" {
            if options.daily_quota.is_some_and(|quota| self.served_today >= quota) {
                return Some(Limit::Quota);
            }
            self.served_today += 1;
        }
        self.served.add(now_ms);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_second_is_a_sliding_one() {
        let mut meter = Meter::default();
        let options = SalebotOptions::default();
        for at_ms in [0, 900, 950, 1_000, 1_899, 3_000] {
            meter.enter(&options, at_ms, "get_clients");
        }
        assert_eq!(meter.statistics().peak_per_second, 4, "900, 950, 1000 and 1899");
        assert_eq!(meter.statistics().total, 6);
        assert_eq!(meter.statistics().by_action["get_clients"], 6);
    }

    #[test]
    fn the_rate_counts_served_requests_only() {
        let mut meter = Meter::default();
        let rate = RateLimit { per_second: 2, retry_after_s: None };
        let options = SalebotOptions { rate_limit: Some(rate), ..SalebotOptions::default() };
        let limits: Vec<bool> =
            [0, 1, 2, 3, 1_000, 1_001].iter().map(|&at| meter.enter(&options, at, "message").is_some()).collect();
        assert_eq!(limits, [false, false, true, true, false, false]);
        assert_eq!(meter.statistics().throttled, 2);
    }

    #[test]
    fn the_quota_starts_anew_at_midnight_of_the_project() {
        let mut meter = Meter::default();
        let options = SalebotOptions { daily_quota: Some(1), zone_offset_s: 3_600, ..SalebotOptions::default() };
        let midnight_ms = 86_400_000 - 3_600_000;
        assert_eq!(meter.enter(&options, midnight_ms - 2, "message"), None);
        assert_eq!(meter.enter(&options, midnight_ms - 1, "message"), Some(Limit::Quota));
        assert_eq!(meter.enter(&options, midnight_ms - 1, "save_variables"), None);
        assert_eq!(meter.enter(&options, midnight_ms, "message"), None);
    }

    #[test]
    fn the_log_is_bounded() {
        let mut meter = Meter::default();
        let options = SalebotOptions { request_log_limit: 2, ..SalebotOptions::default() };
        for at_ms in 0..5 {
            meter.leave(&options, LoggedRequest { action: "message", status: 200, at_ms });
        }
        let kept: Vec<i64> = meter.statistics().log.iter().map(|request| request.at_ms).collect();
        assert_eq!(kept, [3, 4]);
    }
}
