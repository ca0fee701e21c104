//! Records to look at again.

use super::rows::{Reading, subject, subject_kind};
use super::trouble::Tried;
use super::writer::Transaction;
use crate::ports::store::{Mark, MarkRow, Subject};
use crate::store::limits::subject_id;
use sqlx::postgres::PgRow;

/// A record that is marked already gets a new revision and keeps the earlier time: revisions are never used twice.
pub(super) const MARK: &str = "INSERT INTO marks (bridge, kind, subject, due, attempts, run) \
     SELECT $1, kind, subject, due, attempts, run \
     FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[]) \
     WITH ORDINALITY AS new (kind, subject, due, attempts, run, place) ORDER BY place \
     ON CONFLICT (bridge, kind, subject) DO UPDATE SET revision = excluded.revision, \
     due = least(marks.due, excluded.due), attempts = least(marks.attempts, excluded.attempts), \
     run = coalesce(marks.run, excluded.run)";

pub(super) const UNMARK: &str = "DELETE FROM marks USING unnest($2::bigint[], $3::bigint[], $4::bigint[]) \
     AS seen (kind, subject, revision) WHERE marks.revision = seen.revision AND marks.bridge = $1 \
     AND marks.kind = seen.kind AND marks.subject = seen.subject";

/// The columns of [`mark_row`].
pub(super) const DUE: &str = "SELECT revision, kind, subject, due, attempts, run FROM marks \
     WHERE bridge = (SELECT id FROM bridges WHERE name = $1) AND due <= $2 ORDER BY due, revision LIMIT $3";

/// A mark from its row.
pub(super) fn mark_row(row: &PgRow) -> Tried<MarkRow> {
    let row = Reading::new(row, "marks");
    let run = row.text_if_any("run")?.and_then(|run| run.parse().ok());
    let mark = Mark { subject: subject(&row)?, due: row.millis("due")?, attempts: row.count("attempts")?, run };
    Ok(MarkRow { mark, revision: row.get("revision")? })
}

/// Marks records, none of them twice.
pub(super) async fn mark(tx: &mut Transaction<'_>, marks: &[&Mark]) -> Tried<()> {
    let (mut kinds, mut ids, mut dues) = (Vec::new(), Vec::new(), Vec::new());
    let (mut attempts, mut runs) = (Vec::new(), Vec::new());
    for mark in marks {
        kinds.push(subject_kind(mark.subject));
        ids.push(subject_id(mark.subject)?);
        dues.push(mark.due.0);
        attempts.push(i64::from(mark.attempts));
        runs.push(mark.run.map(|run| run.to_string()));
    }
    let query = sqlx::query(MARK).bind(tx.bridge).bind(kinds).bind(ids).bind(dues).bind(attempts).bind(runs);
    query.execute(&mut *tx.connection).await?;
    Ok(())
}

/// Clears marks that were not set again meanwhile.
pub(super) async fn unmark(tx: &mut Transaction<'_>, seen: &[(Subject, i64)]) -> Tried<()> {
    let (mut kinds, mut ids, mut revisions) = (Vec::new(), Vec::new(), Vec::new());
    for (subject, revision) in seen {
        kinds.push(subject_kind(*subject));
        ids.push(subject_id(*subject)?);
        revisions.push(*revision);
    }
    let query = sqlx::query(UNMARK).bind(tx.bridge).bind(kinds).bind(ids).bind(revisions);
    query.execute(&mut *tx.connection).await?;
    Ok(())
}
