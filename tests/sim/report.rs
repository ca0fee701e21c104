//! What happened in a run, and what a set of runs must have met to mean anything.

use std::collections::BTreeMap;
use std::fmt;

/// What happened in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Requests as they left.
    pub trace: Vec<String>,
    counts: BTreeMap<String, u64>,
}

impl Report {
    pub fn add(&mut self, other: &Report) {
        for (what, count) in &other.counts {
            *self.counts.entry(what.clone()).or_default() += count;
        }
    }

    /// How often something happened.
    pub fn counted(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    pub fn count(&mut self, what: impl Into<String>, count: u64) {
        *self.counts.entry(what.into()).or_default() += count;
    }

    /// Things a set of seeds must have met to mean anything.
    pub fn never_happened(&self) -> Vec<&'static str> {
        let needed = [
            "crashes",
            "store failures",
            "fault LostRequest",
            "fault LostAnswer",
            "fault Slow",
            "fault Status",
            "fault Html",
            "fault Truncated",
            "webhooks twice",
            "webhooks late",
            "webhooks lost",
            "outages",
            "clock leaps ahead",
            "clock leaps back",
            "whiles of 401 from Amo",
            "whiles of 403 from Amo",
            "whiles of 401 from Salebot",
            "whiles of 403 from Salebot",
            "requests refused on lane amo",
            "requests refused on lane salebot",
            "requests refused on lane variables",
            "contacts deleted",
            "contacts entered twice",
            "contacts merged",
            "leads deleted",
            "messages recovered",
            "contacts made",
            "orders made",
            "notes",
            "messages",
            "renamed",
            "clients loaded",
            "variables set",
        ];
        needed.into_iter().filter(|what| self.counts.get(*what).copied().unwrap_or(0) == 0).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.counts {
            writeln!(f, "{count:>9}  {what}")?;
        }
        Ok(())
    }
}
