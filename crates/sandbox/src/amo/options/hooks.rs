//! What the documentation leaves open about webhooks and events, and what a test must be able to shorten.

/// How webhooks are sent, and who may ask for them. The default is what is documented.
#[derive(Debug, Clone)]
pub struct HookOptions {
    /// Waits before the second, third, fourth and fifth attempt, in milliseconds.
    pub retry_after_ms: [i64; 4],
    /// More bad answers than this within the window, the latest among them, switch a subscription off …
    pub bad_answers_max: usize,
    /// … within so many milliseconds.
    pub bad_answers_window_ms: i64,
    /// The plan has no webhooks: their addresses answer with this status.
    pub refused_with: Option<u16>,
    /// Subscribing an address that was switched off switches it on again; not documented.
    pub subscribing_switches_on: bool,
    /// Deletions are told of as an id alone, as documented; else as a list of records, as recorded.
    pub deletes_as_ids: bool,
    /// A contact that was merged away is told of as deleted; not documented.
    pub merges_tell_of_deletion: bool,
    /// The event of a merge names the contact that went, not the one that is left; not documented.
    pub merges_name_the_loser: bool,
    /// The list of events is not available: it answers with this status.
    pub events_refused_with: Option<u16>,
}

impl Default for HookOptions {
    fn default() -> Self {
        HookOptions {
            retry_after_ms: [300_000, 900_000, 900_000, 3_600_000],
            bad_answers_max: 100,
            bad_answers_window_ms: 7_200_000,
            refused_with: None,
            subscribing_switches_on: false,
            deletes_as_ids: false,
            merges_tell_of_deletion: false,
            merges_name_the_loser: false,
            events_refused_with: None,
        }
    }
}
