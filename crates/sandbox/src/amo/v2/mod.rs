//! API v2: its addresses, its JSON and its errors, over the records of [`super::state`].
//!
//! Written from the archived v2 documentation; what it leaves open is in [`super::options`].

mod account;
mod batch;
mod cards;
mod companies;
mod contacts;
mod fields;
mod leads;
mod listing;
mod notes;
mod read;
mod since;
mod tasks;

use self::batch::Subject;
use super::answer;
use super::call::Call;
use super::hooks::manage;
use super::state::world::World;
use super::{dates, wire};
use crate::http::Response;

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
        "/api/v2/webhooks" | "/api/v2/webhooks/subscribe" | "/api/v2/webhooks/unsubscribe" => webhooks(world, call),
        _ => answer::problem(call, 404, 104, "unknown method: there is nothing at this address"),
    }
}

fn webhooks(world: &mut World, call: &Call) -> Response {
    if let Some((status, words)) = manage::barred(world, call) {
        let code = if status == 403 { 244 } else { status };
        return answer::problem(call, status, code, words);
    }
    match (call.request.method.as_str(), call.request.path.rsplit('/').find(|part| !part.is_empty())) {
        ("GET", Some("webhooks")) => manage::v2_list(world, call),
        ("POST", Some(verb @ ("subscribe" | "unsubscribe"))) => manage::v2_change(world, call, verb),
        _ => answer::wrong_method(call),
    }
}

fn dispatch<S: Subject>(world: &mut World, call: &Call) -> Response {
    match call.request.method.as_str() {
        "GET" => S::list(world, call),
        "POST" => batch::post::<S>(world, call),
        _ => answer::wrong_method(call),
    }
}
