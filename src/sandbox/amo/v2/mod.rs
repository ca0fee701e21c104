//! API v2: its addresses, its JSON and its errors, over the records of [`super::state`].
//!
//! Written from the archived v2 documentation; what it leaves open is in [`super::options`].

mod account;
pub(super) mod answer;
mod batch;
mod cards;
mod companies;
mod contacts;
mod dates;
mod fields;
mod leads;
mod listing;
mod notes;
mod read;
mod since;
mod tasks;
mod wire;

use self::batch::Subject;
use super::options::AmoOptions;
use super::state::world::World;
use crate::sandbox::http::{Request, Response};

/// One request and what is needed to answer it.
pub(super) struct Call<'a> {
    /// How this amoCRM behaves.
    pub(super) options: &'a AmoOptions,
    /// The request itself.
    pub(super) request: &'a Request,
    /// The service's clock, in Unix milliseconds.
    pub(super) now_ms: i64,
    /// The user the token belongs to.
    pub(super) author: u64,
}

impl Call<'_> {
    /// The service's clock, in Unix seconds.
    fn now_s(&self) -> i64 {
        self.now_ms.div_euclid(1_000)
    }
}

/// Answers a request that passed the limit and carries a good token. A trailing slash is accepted.
pub(super) fn serve(world: &mut World, call: &Call) -> Response {
    match call.request.path.trim_end_matches('/') {
        contacts::Contacts::PATH => dispatch::<contacts::Contacts>(world, call),
        leads::Leads::PATH => dispatch::<leads::Leads>(world, call),
        companies::Companies::PATH => dispatch::<companies::Companies>(world, call),
        notes::Notes::PATH => dispatch::<notes::Notes>(world, call),
        tasks::Tasks::PATH => dispatch::<tasks::Tasks>(world, call),
        account::PATH if call.request.method == "GET" => account::get(world, call),
        account::PATH => answer::wrong_method(call),
        _ => answer::problem(call, 404, 104, "unknown method: there is nothing at this address"),
    }
}

fn dispatch<S: Subject>(world: &mut World, call: &Call) -> Response {
    match call.request.method.as_str() {
        "GET" => S::list(world, call),
        "POST" => batch::post::<S>(world, call),
        _ => answer::wrong_method(call),
    }
}
