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
use sqlx::sqlite::SqliteRow;

/// Due bodies without a client, and what waits of the clients that are due first; where a dialogue is held, what is due of it.
///
/// `DISTINCT` over an index in the order of `due` stops at its limit: a long backlog is not read for
/// every batch.
pub(super) const INBOX_DUE: &str = "WITH b AS MATERIALIZED (SELECT id FROM bridges WHERE name = ?1), \
     due_first AS MATERIALIZED (SELECT DISTINCT client FROM inbox INDEXED BY inbox_due \
         WHERE bridge = (SELECT id FROM b) AND state = 0 AND due <= ?2 AND client IS NOT NULL LIMIT ?3), \
     picked AS MATERIALIZED (SELECT client, (SELECT nullif(max(head.due, ?2), ?2) FROM inbox AS head INDEXED BY inbox_dialogue \
         WHERE head.bridge = (SELECT id FROM b) AND head.state = 0 AND head.client = due_first.client \
         ORDER BY head.message, head.id LIMIT 1) AS held FROM due_first), \
     new AS MATERIALIZED (SELECT id, client, row_number() OVER (PARTITION BY client ORDER BY message, id) AS place \
         FROM (SELECT id, client, message FROM inbox INDEXED BY inbox_due WHERE bridge = (SELECT id FROM b) AND state = 0 \
         AND due <= ?2 AND client IS NOT NULL ORDER BY due LIMIT ?3 * ?4)), \
     chosen AS MATERIALIZED (SELECT waiting.id AS id, NULL AS held FROM picked CROSS JOIN inbox AS waiting ON waiting.id IN ( \
         SELECT id FROM inbox AS one INDEXED BY inbox_dialogue WHERE one.bridge = (SELECT id FROM b) \
         AND one.state = 0 AND one.client = picked.client ORDER BY one.message, one.id LIMIT ?4) WHERE picked.held IS NULL \
         UNION ALL SELECT new.id, picked.held FROM new CROSS JOIN picked ON picked.client = new.client \
         WHERE picked.held IS NOT NULL AND new.place <= ?4 \
         UNION ALL SELECT * FROM ( \
         SELECT id, NULL FROM inbox AS own INDEXED BY inbox_dialogue WHERE own.bridge = (SELECT id FROM b) \
         AND own.state = 0 AND own.client IS NULL AND own.due <= ?2 ORDER BY own.message, own.id LIMIT ?4)) \
     SELECT inbox.id AS id, source, client, message, received_at, held, body FROM chosen CROSS JOIN inbox NOT INDEXED \
     ON inbox.id = chosen.id ORDER BY client, message, inbox.id";

/// A waiting body from its row.
pub(super) fn inbox_row(row: &SqliteRow) -> Tried<InboxRow> {
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
    " FROM outbox WHERE id IN (SELECT id FROM outbox INDEXED BY outbox_key \
     WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) AND state < 2 \
     AND key IN (SELECT value FROM json_each(?2))) ORDER BY id"
);

pub(super) const PENDING_NAMED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM outbox INDEXED BY outbox_name WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) AND state < 2 \
     AND name = ?2 ORDER BY id LIMIT ?3"
);

/// The first action of a key that is ready and has nothing before it.
macro_rules! next_action {
    ($side:literal) => {
        concat!(
            "(SELECT not_before FROM outbox AS new INDEXED BY outbox_due WHERE new.bridge = (SELECT id FROM b) \
             AND new.side = ",
            $side,
            " AND new.state = 0 AND NOT EXISTS (SELECT 1 FROM outbox AS old INDEXED BY outbox_key \
             WHERE old.bridge = new.bridge AND old.key = new.key AND old.id < new.id AND old.state < 2) \
             ORDER BY not_before LIMIT 1)"
        )
    };
}

pub(super) const NEXT_DUE: &str = concat!(
    "WITH b AS MATERIALIZED (SELECT id FROM bridges WHERE name = ?1) SELECT \
     (SELECT min(due) FROM inbox INDEXED BY inbox_due WHERE bridge = (SELECT id FROM b) AND state = 0) AS inbox, \
     (SELECT min(due) FROM marks INDEXED BY marks_due WHERE bridge = (SELECT id FROM b)) AS marks, ",
    next_action!("0"),
    " AS amo, ",
    next_action!("1"),
    " AS salebot"
);

/// When each queue is next due.
pub(super) fn next_due(row: &SqliteRow) -> Tried<NextDue> {
    let row = Reading::new(row, "inbox, marks, outbox");
    Ok(NextDue {
        inbox: row.millis_if_any("inbox")?,
        marks: row.millis_if_any("marks")?,
        amo: row.millis_if_any(Side::Amo.name())?,
        salebot: row.millis_if_any(Side::Salebot.name())?,
    })
}

pub(super) const CURSORS: &str = "SELECT at, moved_at, name FROM cursors \
     WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) ORDER BY name";

pub(super) const CURSOR: &str = "SELECT at, moved_at, name FROM cursors \
     WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) AND name = ?2";

/// A cursor and its name.
pub(super) fn cursor_row(row: &SqliteRow) -> Tried<(String, Cursor)> {
    let row = Reading::new(row, "cursors");
    Ok((row.get("name")?, Cursor { at: row.millis("at")?, moved_at: row.millis("moved_at")? }))
}

pub(super) const TEXT: &str =
    "SELECT value FROM texts WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) AND name = ?2";

pub(super) const JOURNAL: &str = "SELECT id, at, subject, kind, detail FROM journal INDEXED BY journal_subject \
     WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) AND subject = ?2 ORDER BY at DESC, id DESC LIMIT ?3";

/// A line of the journal from its row.
pub(super) fn journal_row(row: &SqliteRow) -> Tried<JournalRow> {
    let row = Reading::new(row, "journal");
    Ok(JournalRow {
        at: row.millis("at")?,
        subject: row.get("subject")?,
        kind: row.get("kind")?,
        detail: row.json("detail")?,
    })
}

pub(super) const DEAD_BODIES: &str = "SELECT id, source, client, reason, received_at FROM inbox INDEXED BY inbox_dead \
     WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) AND state = 2 ORDER BY received_at DESC, id DESC LIMIT ?2";

pub(super) const DEAD_ACTIONS: &str = "SELECT id, name, key, fault, created_at, died_at, attempts \
     FROM outbox INDEXED BY outbox_dead WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) AND state = 2 \
     ORDER BY died_at DESC, id DESC LIMIT ?2";

pub(super) const DEAD_BODY: &str = "SELECT id, source, client, reason, received_at, body FROM inbox NOT INDEXED \
     WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) AND id = ?2 AND state = 2";

pub(super) const DEAD_ACTION: &str = concat!(
    "SELECT ",
    columns!(),
    ", name, key, died_at FROM outbox NOT INDEXED WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) \
     AND id = ?2 AND state = 2"
);

/// A dead body with what it holds.
pub(super) fn dead_body_detail(row: &SqliteRow) -> Tried<DeadDetail> {
    let body: Option<Vec<u8>> = Reading::new(row, "inbox").get("body")?;
    Ok(DeadDetail { letter: dead_body(row)?, content: DeadContent::Body(body.unwrap_or_default()) })
}

/// A dead action with what it holds, even where that cannot be read.
pub(super) fn dead_action_detail(row: &SqliteRow) -> Tried<DeadDetail> {
    let content = match outbox_row(row) {
        Ok(row) => DeadContent::Action(Box::new(row)),
        Err(Trouble::Told(error)) => DeadContent::Unreadable(error.to_string()),
        Err(trouble) => return Err(trouble),
    };
    Ok(DeadDetail { letter: dead_action(row)?, content })
}

/// A dead body from its row.
pub(super) fn dead_body(row: &SqliteRow) -> Tried<DeadLetter> {
    let row = Reading::new(row, "inbox");
    let received_at = row.millis("received_at")?;
    Ok(DeadLetter {
        queue: "inbox",
        id: row.get("id")?,
        what: source_name(row.word::<Source>("source")?).to_owned(),
        subject: row.id_if_any("client")?.map_or_else(String::new, |client| format!("client:{client}")),
        reason: row.get::<Option<String>>("reason")?.unwrap_or_default(),
        created_at: received_at,
        died_at: received_at,
        attempts: 0,
    })
}

/// A dead action from its row.
pub(super) fn dead_action(row: &SqliteRow) -> Tried<DeadLetter> {
    let row = Reading::new(row, "outbox");
    let fault: Option<Fault> = row.json_if_any("fault")?;
    Ok(DeadLetter {
        queue: "outbox",
        id: row.get("id")?,
        what: row.get("name")?,
        subject: key_subject(row.get("key")?),
        reason: fault.map_or_else(String::new, |fault| fault.to_string()),
        created_at: row.millis("created_at")?,
        died_at: row.millis_if_any("died_at")?.unwrap_or(Millis(0)),
        attempts: row.count("attempts")?,
    })
}

/// Counting reads whole indexes: for `status` and metrics, not for every pass.
pub(super) const COUNTS: &str = "WITH b AS MATERIALIZED (SELECT id FROM bridges WHERE name = ?1), \
     i AS MATERIALIZED (SELECT count(*) AS rows, min(received_at) AS oldest FROM inbox INDEXED BY inbox_due \
         WHERE bridge = (SELECT id FROM b) AND state = 0), \
     o AS MATERIALIZED (SELECT count(*) AS rows, min(created_at) AS oldest FROM outbox INDEXED BY outbox_key \
         WHERE bridge = (SELECT id FROM b) AND state < 2) \
     SELECT i.rows AS inbox, i.oldest AS inbox_oldest, o.rows AS outbox, o.oldest AS outbox_oldest, \
     (SELECT count(*) FROM marks INDEXED BY marks_due WHERE bridge = (SELECT id FROM b)) AS marks, \
     (SELECT count(*) FROM clients INDEXED BY clients_contact \
         WHERE bridge = (SELECT id FROM b) AND contact IS NOT NULL) AS links, \
     (SELECT count(*) FROM inbox INDEXED BY inbox_dead WHERE bridge = (SELECT id FROM b) AND state = 2) \
     + (SELECT count(*) FROM outbox INDEXED BY outbox_dead WHERE bridge = (SELECT id FROM b) AND state = 2) \
     AS dead_letters FROM i, o";

/// Numbers for `status`.
pub(super) fn counts(row: &SqliteRow) -> Tried<Counts> {
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
pub(super) const WAITING: &str = "SELECT count(*) AS waiting FROM (SELECT 1 FROM outbox INDEXED BY outbox_name \
     WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) AND state < 2 LIMIT ?2)";

/// How many there are, as far as they were counted.
pub(super) fn waiting(row: &SqliteRow) -> Tried<u64> {
    Reading::new(row, "outbox").id("waiting")
}

/// Every row, or the first that cannot be read.
pub(super) fn all<T>(rows: Vec<SqliteRow>, read: impl Fn(&SqliteRow) -> Tried<T>) -> Result<Vec<T>, Trouble> {
    rows.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::rows::Word;

    #[test]
    fn the_sides_of_the_next_action_are_those_of_the_table() {
        assert_eq!((Side::Amo.number(), Side::Salebot.number()), (0, 1));
    }
}
