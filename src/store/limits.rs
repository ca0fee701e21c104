//! Bounds and wording that all adapters share.

use crate::ports::store::{Change, NewInbox, Source, StoreError, Stored, Subject};

/// Largest body that is taken in: the bound of the webhook routes.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// Waiting bodies of one bridge above which no more are taken in. A million messages are weeks of a
/// busy project; more means that nobody works on them, and the disk must not fill up unseen.
pub const INBOX_ROWS_MAX: u64 = 1_000_000;

/// An id of a service as the store keeps it.
///
/// # Errors
/// Both databases hold signed numbers; an id of 2^63 or more is refused.
pub(super) fn stored_id(what: &str, id: u64) -> Stored<i64> {
    i64::try_from(id)
        .map_err(|_| StoreError::Unavailable(format!("the {what} id {id} is larger than the store can hold")))
}

/// Checks a pushed body before anything is done with it.
pub(super) fn check_body(body: &NewInbox) -> Stored<()> {
    if body.body.len() > BODY_BYTES_MAX {
        let size = body.body.len();
        return Err(StoreError::Unavailable(format!("a body of {size} bytes is over the limit of {BODY_BYTES_MAX}")));
    }
    body.client.map(|id| stored_id("client", id.0)).transpose()?;
    body.message.map(|id| stored_id("message", id.0)).transpose()?;
    Ok(())
}

/// Checks that a change can be stored, for adapters that cannot take one back half-way.
pub(super) fn check_change(change: &Change) -> Stored<()> {
    let contact = |id: u64| stored_id("contact", id).map(drop);
    let client = |id: u64| stored_id("client", id).map(drop);
    match change {
        Change::InboxHold(id, _) => client(id.0),
        Change::PutClient(link) => {
            client(link.client.id.0)?;
            link.contact.map_or(Ok(()), |id| contact(id.0))
        }
        Change::PutDeal(link) => {
            stored_id("lead", link.lead.0)?;
            link.contact.map_or(Ok(()), |id| contact(id.0))?;
            link.client.map_or(Ok(()), |id| client(id.0))
        }
        Change::PutContact(seen) => contact(seen.contact.0),
        Change::ForgetContact(id) | Change::PutKeys(id, _) => contact(id.0),
        Change::Mark(mark) => subject_id(mark.subject).map(drop),
        Change::Unmark(subject, _) => subject_id(*subject).map(drop),
        Change::InboxDone(_)
        | Change::InboxWait(_)
        | Change::InboxDead(..)
        | Change::InboxRetry(..)
        | Change::AddAction(_)
        | Change::CancelSlot(_)
        | Change::ActionDone(_)
        | Change::ActionRetry { .. }
        | Change::ActionDead { .. }
        | Change::SetBack { .. }
        | Change::Journal(_)
        | Change::PutCursor(..)
        | Change::PutText(..) => Ok(()),
    }
}

/// The id of a marked record.
pub(super) fn subject_id(subject: Subject) -> Stored<i64> {
    match subject {
        Subject::Contact(id) | Subject::ContactHint(id) => stored_id("contact", id.0),
        Subject::Lead(id) | Subject::LeadHint(id) => stored_id("lead", id.0),
        Subject::Client(id) => stored_id("client", id.0),
    }
}

/// What the sender of a body is told when too many wait.
pub(super) fn inbox_full(bridge: &str, rows_max: u64) -> StoreError {
    StoreError::Full(format!(
        "{rows_max} bodies of bridge {bridge} wait, which is the limit; none is taken in until some are dealt with"
    ))
}

/// The record that a key of an action is about, as the journal names it: `client:5` for `new:5`,
/// `contact:101` for `notes:contact:101`, nothing for a key without a record.
pub(super) fn key_subject(key: &str) -> String {
    match (key.strip_prefix("notes:"), key.strip_prefix("new:")) {
        (Some(record), _) => record.to_owned(),
        (_, Some(client)) => format!("client:{client}"),
        _ if key.contains(':') => key.to_owned(),
        _ => String::new(),
    }
}

/// The word for the source of a body in a list of dead letters.
pub(super) fn source_name(source: Source) -> &'static str {
    match source {
        Source::Salebot => "salebot",
        Source::Amo => "amo",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("client:5", "client:5")]
    #[case("notes:lead:301", "lead:301")]
    #[case("new:5", "client:5")]
    #[case("new", "")]
    fn dead_letters_name_their_record(#[case] key: &str, #[case] subject: &str) {
        assert_eq!(key_subject(key), subject);
    }
}
