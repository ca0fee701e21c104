//! Records to look at again.

use super::rows::{Reading, json, subject, subject_kind};
use super::trouble::Tried;
use super::writer::Transaction;
use crate::ports::store::{Mark, MarkRow, Subject};
use crate::store::limits::subject_id;
use sqlx::sqlite::SqliteRow;

/// A record that is marked already gets a new row with the earlier time: revisions are never used twice.
pub(super) const MARK: &str = "INSERT OR REPLACE INTO marks (bridge, kind, subject, due, attempts, run) \
     SELECT ?1, new.value ->> 0, new.value ->> 1, \
     min(new.value ->> 2, coalesce(old.due, new.value ->> 2)), min(new.value ->> 3, coalesce(old.attempts, new.value ->> 3)), \
     coalesce(old.run, new.value ->> 4) \
     FROM json_each(?2) AS new LEFT JOIN marks AS old \
     ON old.bridge = ?1 AND old.kind = new.value ->> 0 AND old.subject = new.value ->> 1 ORDER BY new.key";

pub(super) const UNMARK: &str = "DELETE FROM marks NOT INDEXED WHERE revision IN ( \
     SELECT old.revision FROM json_each(?2) AS seen CROSS JOIN marks AS old ON old.revision = seen.value ->> 2 \
     WHERE old.bridge = ?1 AND old.kind = seen.value ->> 0 AND old.subject = seen.value ->> 1)";

/// The columns of [`mark_row`].
pub(super) const DUE: &str = "SELECT revision, kind, subject, due, attempts, run FROM marks INDEXED BY marks_due \
     WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) AND due <= ?2 ORDER BY due, revision LIMIT ?3";

/// A mark from its row.
pub(super) fn mark_row(row: &SqliteRow) -> Tried<MarkRow> {
    let row = Reading::new(row, "marks");
    let run = row.get::<Option<String>>("run")?.and_then(|run| run.parse().ok());
    let mark = Mark { subject: subject(&row)?, due: row.millis("due")?, attempts: row.count("attempts")?, run };
    Ok(MarkRow { mark, revision: row.get("revision")? })
}

/// Marks records, none of them twice.
pub(super) async fn mark(tx: &mut Transaction<'_>, bridge: i64, marks: &[&Mark]) -> Tried<()> {
    let mut rows = Vec::with_capacity(marks.len());
    for mark in marks {
        rows.push((subject_kind(mark.subject), subject_id(mark.subject)?, mark.due, mark.attempts, mark.run));
    }
    sqlx::query(MARK).bind(bridge).bind(json(&rows)?).execute(&mut *tx.connection).await?;
    Ok(())
}

/// Clears marks that were not set again meanwhile.
pub(super) async fn unmark(tx: &mut Transaction<'_>, bridge: i64, seen: &[(Subject, i64)]) -> Tried<()> {
    let mut rows = Vec::with_capacity(seen.len());
    for (subject, revision) in seen {
        rows.push((subject_kind(*subject), subject_id(*subject)?, revision));
    }
    sqlx::query(UNMARK).bind(bridge).bind(json(&rows)?).execute(&mut *tx.connection).await?;
    Ok(())
}
