//! How pages are asked for (v2 contacts page).

use crate::core::fault::{Fault, FaultKind};
use crate::core::time::Millis;
use crate::ports::remote::PageRequest;
use jiff::Timestamp;

/// The header of an incremental listing: only rows changed later.
pub(super) const SINCE_HEADER: &str = "if-modified-since";

/// Prints an instant as the header wants it: `Tue, 04 Mar 2025 10:00:00 UTC`, whole seconds.
pub(super) fn since(instant: Millis) -> Result<String, Fault> {
    let timestamp = Timestamp::from_second(instant.seconds())
        .map_err(|_| Fault::new(FaultKind::Broken, "the time to read from lies outside the calendar"))?;
    Ok(timestamp.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string())
}

/// The query of a page. `limit_offset` works only together with `limit_rows`, and is left out where it says nothing.
pub(super) fn query(request: PageRequest) -> Vec<(String, String)> {
    let mut query = vec![("limit_rows".to_owned(), request.limit.to_string())];
    if request.offset > 0 {
        query.push(("limit_offset".to_owned(), request.offset.to_string()));
    }
    query
}
