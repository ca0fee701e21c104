//! What a command has asked a bridge for, and may find replaced by what somebody else asks for: backfills and undos.

use crate::core::backfill::kept;
use crate::core::{backfill, undo};
use crate::ports::store::{Change, Store, Stored};
use serde::de::DeserializeOwned;

/// How far something is that was asked for.
pub(super) trait Kept {
    /// What was asked for.
    type Request: PartialEq;

    /// What it is that is so far.
    fn request(&self) -> &Self::Request;

    /// True once everything was looked at.
    fn is_done(&self) -> bool;
}

impl Kept for backfill::Progress {
    type Request = backfill::Request;

    fn request(&self) -> &backfill::Request {
        &self.request
    }

    fn is_done(&self) -> bool {
        self.done_at.is_some()
    }
}

impl Kept for undo::Progress {
    type Request = undo::Request;

    fn request(&self) -> &undo::Request {
        &self.request
    }

    fn is_done(&self) -> bool {
        self.done_at.is_some()
    }
}

/// How far this request is, of what is kept, and why it was lost, if it was. `what`: the word for its kind; `command`: what
/// asks for another one.
pub(super) fn own_of<P: Kept>(
    request: &P::Request,
    asked: Option<P::Request>,
    kept: Option<P>,
    what: &str,
    command: impl FnOnce(&P::Request) -> String,
) -> (Option<P>, Option<String>) {
    let (own, others) = match kept {
        Some(kept) if kept.request() == request => (Some(kept), false),
        kept => (None, kept.is_some()),
    };
    let lost = match asked {
        _ if own.as_ref().is_some_and(P::is_done) => None,
        Some(asked) if asked == *request => None,
        Some(other) => Some(format!("another {what} was asked for in its place: {}", command(&other))),
        None if own.is_some() || !others => Some("somebody stopped it; the same command goes on with it".to_owned()),
        None => Some(format!("another {what} took its place; whether this one came to its end is not known")),
    };
    (own, lost)
}

/// Takes back what is asked for under this name, unless somebody else has asked for another one since.
pub(super) async fn take_back<R: DeserializeOwned + PartialEq>(
    store: &dyn Store,
    bridge: &str,
    name: &'static str,
    request: &R,
) -> Stored<()> {
    if kept::<R>(store.text(bridge, name).await?.as_deref()).as_ref() == Some(request) {
        store.commit(bridge, vec![Change::PutText(name, String::new())]).await?;
    }
    Ok(())
}
