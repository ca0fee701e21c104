//! Reading: one statement a call, each on a snapshot of what was committed.

use super::outbox::{columns, outbox_row};
use super::rows::Reading;
use super::trouble::{Tried, Trouble};
use crate::core::action::Side;
use crate::core::fault::Fault;
use crate::core::id::{ClientId, InboxId, MessageId};
use crate::core::time::Millis;
use crate::ports::store::{Counts, Cursor, DeadContent, DeadDetail, DeadLetter, InboxRow, JournalRow, NextDue, Source};
use crate::store::limits::{key_subject, source_name};
use sqlx::postgres::PgRow;

/// Due bodies without a client, and what waits of the clients that are due first; where a dialogue is held, what is due of it.
///
/// Clients are picked one after the other along the index: a long backlog is not read for every batch.
pub(super) const INBOX_DUE: &str = "WITH RECURSIVE b AS MATERIALIZED (SELECT id FROM bridges WHERE name = $1), \
     picked AS ( \
         (SELECT due, client, ARRAY[client] AS seen FROM inbox WHERE bridge = (SELECT id FROM b) AND state = 0 \
             AND due <= $2 AND client IS NOT NULL ORDER BY due, client LIMIT least($3, 1)) \
         UNION ALL \
         SELECT next.due, next.client, picked.seen || next.client FROM picked CROSS JOIN LATERAL ( \
             SELECT due, client FROM inbox WHERE bridge = (SELECT id FROM b) AND state = 0 AND due <= $2 \
             AND client IS NOT NULL AND (due, client) > (picked.due, picked.client) AND client <> ALL (picked.seen) \
             ORDER BY due, client LIMIT 1) AS next WHERE cardinality(picked.seen) < $3), \
     heads AS MATERIALIZED (SELECT client, (SELECT nullif(greatest(due, $2), $2) FROM inbox \
         WHERE bridge = (SELECT id FROM b) AND state = 0 AND client = picked.client \
         ORDER BY message NULLS FIRST, id LIMIT 1) AS held FROM picked), \
     chosen AS (SELECT waiting.id, held FROM heads CROSS JOIN LATERAL ( \
         SELECT id FROM inbox WHERE bridge = (SELECT id FROM b) AND state = 0 AND client = heads.client \
         AND (heads.held IS NULL OR due <= $2) ORDER BY message NULLS FIRST, id LIMIT $4) AS waiting \
         UNION ALL (SELECT id, NULL FROM inbox WHERE bridge = (SELECT id FROM b) AND state = 0 AND client IS NULL \
         AND due <= $2 ORDER BY message NULLS FIRST, id LIMIT $4)) \
     SELECT inbox.id, source, client, message, received_at, held, body FROM chosen JOIN inbox ON inbox.id = chosen.id \
     ORDER BY client NULLS FIRST, message NULLS FIRST, inbox.id";

/// A waiting body from its row.
pub(super) fn inbox_row(row: &PgRow) -> Tried<InboxRow> {
    let row = Reading::new(row, "inbox");
    Ok(InboxRow {
        id: InboxId(row.get("id")?),
        source: row.word("source")?,
        client: row.id_if_any("client")?.map(ClientId),
        message: row.id_if_any("message")?.map(MessageId),
        received_at: row.millis("received_at")?,
        held_until: row.millis_if_any("held")?,
        body: row.get("body")?,
    })
}

pub(super) const PENDING: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM outbox WHERE id IN (SELECT id FROM outbox \
     WHERE bridge = (SELECT id FROM bridges WHERE name = $1) AND state < 2 \
     AND key = ANY($2::text[])) ORDER BY id"
);

pub(super) const PENDING_NAMED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM outbox WHERE bridge = (SELECT id FROM bridges WHERE name = $1) AND state < 2 \
     AND name = $2 ORDER BY id LIMIT $3"
);

/// The first action of a key that is ready and has nothing before it.
macro_rules! next_action {
    ($side:literal) => {
        concat!(
            "(SELECT not_before FROM outbox AS new WHERE new.bridge = (SELECT id FROM b) \
             AND new.side = ",
            $side,
            " AND new.state = 0 AND NOT EXISTS (SELECT 1 FROM outbox AS old \
             WHERE old.bridge = new.bridge AND old.key = new.key AND old.id < new.id AND old.state < 2) \
             ORDER BY not_before LIMIT 1)"
        )
    };
}

pub(super) const NEXT_DUE: &str = concat!(
    "WITH b AS MATERIALIZED (SELECT id FROM bridges WHERE name = $1) SELECT \
     (SELECT min(due) FROM inbox WHERE bridge = (SELECT id FROM b) AND state = 0) AS inbox, \
     (SELECT min(due) FROM marks WHERE bridge = (SELECT id FROM b)) AS marks, ",
    next_action!("0"),
    " AS amo, ",
    next_action!("1"),
    " AS salebot"
);

/// When each queue is next due.
pub(super) fn next_due(row: &PgRow) -> Tried<NextDue> {
    let row = Reading::new(row, "inbox, marks, outbox");
    Ok(NextDue {
        inbox: row.millis_if_any("inbox")?,
        marks: row.millis_if_any("marks")?,
        amo: row.millis_if_any(Side::Amo.name())?,
        salebot: row.millis_if_any(Side::Salebot.name())?,
    })
}

pub(super) const CURSORS: &str = "SELECT at, moved_at, name FROM cursors \
     WHERE bridge = (SELECT id FROM bridges WHERE name = $1) ORDER BY name";

pub(super) const CURSOR: &str = "SELECT at, moved_at, name FROM cursors \
     WHERE bridge = (SELECT id FROM bridges WHERE name = $1) AND name = $2";

/// A cursor and its name.
pub(super) fn cursor_row(row: &PgRow) -> Tried<(String, Cursor)> {
    let row = Reading::new(row, "cursors");
    Ok((row.get("name")?, Cursor { at: row.millis("at")?, moved_at: row.millis("moved_at")? }))
}

pub(super) const TEXT: &str =
    "SELECT value FROM texts WHERE bridge = (SELECT id FROM bridges WHERE name = $1) AND name = $2";

pub(super) const JOURNAL: &str = "SELECT id, at, subject, kind, detail FROM journal \
     WHERE bridge = (SELECT id FROM bridges WHERE name = $1) AND subject = $2 ORDER BY at DESC, id DESC LIMIT $3";

/// A line of the journal from its row.
pub(super) fn journal_row(row: &PgRow) -> Tried<JournalRow> {
    let row = Reading::new(row, "journal");
    Ok(JournalRow {
        at: row.millis("at")?,
        subject: row.text("subject")?,
        kind: row.get("kind")?,
        detail: row.json("detail")?,
    })
}

pub(super) const DEAD_BODIES: &str = "SELECT id, source, client, reason, received_at FROM inbox \
     WHERE bridge = (SELECT id FROM bridges WHERE name = $1) AND state = 2 ORDER BY received_at DESC, id DESC LIMIT $2";

pub(super) const DEAD_ACTIONS: &str = "SELECT id, name, key, fault, created_at, died_at, attempts \
     FROM outbox WHERE bridge = (SELECT id FROM bridges WHERE name = $1) AND state = 2 \
     ORDER BY died_at DESC, id DESC LIMIT $2";

pub(super) const DEAD_BODY: &str = "SELECT id, source, client, reason, received_at, body FROM inbox \
     WHERE bridge = (SELECT id FROM bridges WHERE name = $1) AND id = $2 AND state = 2";

pub(super) const DEAD_ACTION: &str = concat!(
    "SELECT ",
    columns!(),
    ", name, key, died_at FROM outbox WHERE bridge = (SELECT id FROM bridges WHERE name = $1) \
     AND id = $2 AND state = 2"
);

/// A dead body with what it holds.
pub(super) fn dead_body_detail(row: &PgRow) -> Tried<DeadDetail> {
    let body: Option<Vec<u8>> = Reading::new(row, "inbox").get("body")?;
    Ok(DeadDetail { letter: dead_body(row)?, content: DeadContent::Body(body.unwrap_or_default()) })
}

/// A dead action with what it holds, even where that cannot be read.
pub(super) fn dead_action_detail(row: &PgRow) -> Tried<DeadDetail> {
    let content = match outbox_row(row) {
        Ok(row) => DeadContent::Action(Box::new(row)),
        Err(Trouble::Told(error)) => DeadContent::Unreadable(error.to_string()),
        Err(trouble) => return Err(trouble),
    };
    Ok(DeadDetail { letter: dead_action(row)?, content })
}

/// A dead body from its row.
pub(super) fn dead_body(row: &PgRow) -> Tried<DeadLetter> {
    let row = Reading::new(row, "inbox");
    let received_at = row.millis("received_at")?;
    Ok(DeadLetter {
        queue: "inbox",
        id: row.get("id")?,
        what: source_name(row.word::<Source>("source")?).to_owned(),
        subject: row.id_if_any("client")?.map_or_else(String::new, |client| format!("client:{client}")),
        reason: row.text_if_any("reason")?.unwrap_or_default(),
        created_at: received_at,
        died_at: received_at,
        attempts: 0,
    })
}

/// A dead action from its row.
pub(super) fn dead_action(row: &PgRow) -> Tried<DeadLetter> {
    let row = Reading::new(row, "outbox");
    let fault: Option<Fault> = row.json_if_any("fault")?;
    Ok(DeadLetter {
        queue: "outbox",
        id: row.get("id")?,
        what: row.get("name")?,
        subject: key_subject(&row.text("key")?),
        reason: fault.map_or_else(String::new, |fault| fault.to_string()),
        created_at: row.millis("created_at")?,
        died_at: row.millis_if_any("died_at")?.unwrap_or(Millis(0)),
        attempts: row.count("attempts")?,
    })
}

/// Counting reads whole indexes: for `status` and metrics, not for every pass.
pub(super) const COUNTS: &str = "WITH b AS MATERIALIZED (SELECT id FROM bridges WHERE name = $1), \
     i AS MATERIALIZED (SELECT count(*) AS found, min(received_at) AS oldest FROM inbox \
         WHERE bridge = (SELECT id FROM b) AND state = 0), \
     o AS MATERIALIZED (SELECT count(*) AS found, min(created_at) AS oldest FROM outbox \
         WHERE bridge = (SELECT id FROM b) AND state < 2) \
     SELECT i.found AS inbox, i.oldest AS inbox_oldest, o.found AS outbox, o.oldest AS outbox_oldest, \
     (SELECT count(*) FROM marks WHERE bridge = (SELECT id FROM b)) AS marks, \
     (SELECT count(*) FROM clients \
         WHERE bridge = (SELECT id FROM b) AND contact IS NOT NULL) AS links, \
     (SELECT count(*) FROM inbox WHERE bridge = (SELECT id FROM b) AND state = 2) \
     + (SELECT count(*) FROM outbox WHERE bridge = (SELECT id FROM b) AND state = 2) \
     AS dead_letters FROM i, o";

/// Numbers for `status`.
pub(super) fn counts(row: &PgRow) -> Tried<Counts> {
    let row = Reading::new(row, "inbox, marks, outbox, clients");
    Ok(Counts {
        inbox: row.id("inbox")?,
        marks: row.id("marks")?,
        outbox: row.id("outbox")?,
        dead_letters: row.id("dead_letters")?,
        links: row.id("links")?,
        inbox_oldest: row.millis_if_any("inbox_oldest")?,
        outbox_oldest: row.millis_if_any("outbox_oldest")?,
    })
}

/// Stops at the limit, and reads nothing but an index until then.
pub(super) const WAITING: &str = "SELECT count(*) AS waiting FROM (SELECT 1 FROM outbox \
     WHERE bridge = (SELECT id FROM bridges WHERE name = $1) AND state < 2 LIMIT $2) AS few";

/// How many there are, as far as they were counted.
pub(super) fn waiting(row: &PgRow) -> Tried<u64> {
    Reading::new(row, "outbox").id("waiting")
}

/// Every row, or the first that cannot be read.
pub(super) fn all<T>(rows: Vec<PgRow>, read: impl Fn(&PgRow) -> Tried<T>) -> Result<Vec<T>, Trouble> {
    rows.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::postgres::rows::Word;

    #[test]
    fn the_sides_of_the_next_action_are_those_of_the_table() {
        assert_eq!((Side::Amo.number(), Side::Salebot.number()), (0, 1));
    }
}
