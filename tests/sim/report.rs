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
        NEEDED.iter().copied().filter(|what| self.counts.get(*what).copied().unwrap_or(0) == 0).collect()
    }
}

/// What must happen at least once over a set of seeds.
const NEEDED: [&str; 90] = [
    "changes of the policy",
    "sources told",
    "further leads",
    "leads closed",
    "leads handed over",
    "bots started by `moved`",
    "bots started by `made`",
    "bots started by `deleted`",
    "bots started by `changed`",
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
    "hooks of amoCRM taken",
    "hooks of amoCRM lost",
    "hooks of amoCRM late",
    "hooks of amoCRM twice",
    "hooks of amoCRM at a closed door",
    "events read",
    "events refused",
    "hinted looks",
    "merges followed",
    "edits in the evening",
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
    "numbers told",
    "orders moved by hand",
    "budgets changed",
    "calls of amo_add_lead",
    "calls of amo_create_task",
    "calls of amo_add_contact_notes",
    "calls asked again",
    "planned add_note",
    "planned create_contact",
    "planned create_order",
    "planned load_client",
    "planned save_variables",
    "planned set_order_state",
    "planned set_order_variables",
    "planned update_contact",
    "slots emptied",
    "actions dead",
    "contacts found gone",
    "again after auth",
    "again after blocked",
    "again after gone",
    "again after interrupted",
    "again after throttled",
    "again after transient",
    "again after uncertain",
    "journal: conflict",
    "journal: done",
    "journal: frozen",
    "journal: linked",
    "journal: met somebody else's contact",
    "journal: recovered",
    "journal: unlinked",
    "looked for add_note: found",
    "looked for add_note: not found",
    "looked for create_contact: found",
    "looked for create_contact: not found",
    "looked for create_order: found",
    "looked for create_order: not found",
];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.counts {
            writeln!(f, "{count:>9}  {what}")?;
        }
        Ok(())
    }
}
