//! The random half of a fault plan: seeded, so that a run can be played again.

use serde::Deserialize;

use super::script::SLOW_LIMIT_MS;
use super::{Fault, ServiceName};

/// Chances of each kind in a thousand requests, and the seed of the draws.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomFaults {
    /// The same seed and the same requests give the same faults.
    pub seed: u64,
    /// The service; both when left out.
    #[serde(default)]
    pub service: Option<ServiceName>,
    /// Lost requests per thousand.
    #[serde(default)]
    pub lost_request: u16,
    /// Lost answers per thousand.
    #[serde(default)]
    pub lost_answer: u16,
    /// Slow answers per thousand.
    #[serde(default)]
    pub slow: u16,
    /// The longest delay of a slow answer, in milliseconds.
    #[serde(default = "default_slow_ms")]
    pub slow_ms: u64,
    /// Answers 503 per thousand.
    #[serde(default)]
    pub server_error: u16,
    /// Answers 429 per thousand.
    #[serde(default)]
    pub throttled: u16,
    /// HTML pages per thousand.
    #[serde(default)]
    pub html: u16,
    /// Truncated bodies per thousand.
    #[serde(default)]
    pub truncated: u16,
}

fn default_slow_ms() -> u64 {
    1_000
}

impl RandomFaults {
    /// A seed, and no chance of anything yet.
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            service: None,
            lost_request: 0,
            lost_answer: 0,
            slow: 0,
            slow_ms: default_slow_ms(),
            server_error: 0,
            throttled: 0,
            html: 0,
            truncated: 0,
        }
    }

    /// What makes no sense about it.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let sum: u32 = self.chances().iter().map(|(chance, _)| u32::from(*chance)).sum();
        if sum > 1_000 {
            problems.push(format!("the chances add up to {sum} in a thousand"));
        }
        if self.slow_ms > SLOW_LIMIT_MS {
            problems.push(format!("`slow_ms` must be at most {SLOW_LIMIT_MS}"));
        }
        problems
    }

    fn chances(&self) -> [(u16, Fault); 7] {
        let status = |code, retry_after| Fault::Status { code, body: None, retry_after };
        [
            (self.lost_request, Fault::LostRequest),
            (self.lost_answer, Fault::LostAnswer),
            (self.slow, Fault::Slow { ms: self.slow_ms }),
            (self.server_error, status(503, None)),
            (self.throttled, status(429, Some(1))),
            (self.html, Fault::Html { code: 502 }),
            (self.truncated, Fault::Truncated),
        ]
    }
}

/// The draws.
#[derive(Debug)]
pub(super) struct Random {
    faults: RandomFaults,
    state: u64,
}

impl Random {
    pub fn new(faults: RandomFaults) -> Self {
        let state = faults.seed;
        Self { faults, state }
    }

    /// One draw for each request of the service, so a fault does not shift those after it.
    pub fn decide(&mut self, service: ServiceName) -> Option<Fault> {
        if self.faults.service.is_some_and(|wanted| wanted != service) {
            return None;
        }
        let (draw, delay) = (self.next(), self.next());
        let mut left = draw % 1_000;
        for (chance, fault) in self.faults.chances() {
            if left < u64::from(chance) {
                return Some(match fault {
                    Fault::Slow { ms } => Fault::Slow { ms: delay % (ms + 1) },
                    other => other,
                });
            }
            left -= u64::from(chance);
        }
        None
    }

    /// SplitMix64: a counter whose bits are well stirred.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::FaultKind;
    use super::*;

    fn drawn(faults: &RandomFaults, count: usize) -> Vec<Option<Fault>> {
        let mut random = Random::new(faults.clone());
        (0..count).map(|_| random.decide(ServiceName::Salebot)).collect()
    }

    #[test]
    fn the_generator_is_splitmix64() {
        let mut random = Random::new(RandomFaults::seeded(0));
        assert_eq!(random.next(), 0xe220_a839_7b1d_cdaf, "the first value that the algorithm gives for seed 0");
        assert_eq!(random.next(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn a_seed_replays_exactly_and_another_seed_differs() {
        let faults = RandomFaults { lost_answer: 300, html: 300, ..RandomFaults::seeded(7) };
        assert_eq!(drawn(&faults, 200), drawn(&faults, 200));
        assert_ne!(drawn(&faults, 200), drawn(&RandomFaults { seed: 8, ..faults.clone() }, 200));
    }

    #[test]
    fn chances_are_per_thousand() {
        let faults = RandomFaults { lost_request: 100, slow: 50, slow_ms: 20, ..RandomFaults::seeded(1) };
        let mut counts: BTreeMap<FaultKind, u32> = BTreeMap::new();
        for fault in drawn(&faults, 20_000).into_iter().flatten() {
            if let Fault::Slow { ms } = fault {
                assert!(ms <= 20);
            }
            *counts.entry(fault.kind()).or_default() += 1;
        }
        assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [FaultKind::LostRequest, FaultKind::Slow]);
        assert!((1_800..2_200).contains(&counts[&FaultKind::LostRequest]), "{counts:?}");
        assert!((850..1_150).contains(&counts[&FaultKind::Slow]), "{counts:?}");
    }

    #[test]
    fn another_service_is_left_alone() {
        let faults = RandomFaults { truncated: 1_000, service: Some(ServiceName::Amo), ..RandomFaults::seeded(1) };
        assert!(drawn(&faults, 50).iter().all(Option::is_none));
    }
}
