//! `GET /api/v4/events`: newest first, by type and time (amoCRM events page).

use serde_json::json;

use super::listing::Sheet;
use super::problem;
use crate::amo::call::Call;
use crate::amo::state::world::World;
use crate::http::Response;

/// The most rows of a page.
const MAX_ROWS: usize = 100;

pub(super) fn list(world: &World, call: &Call) -> Response {
    if let Some(status) = call.options.hooks.events_refused_with {
        return problem(call, status, "the list of events is not available");
    }
    let types: Vec<&str> = call.list("filter[type]").flat_map(|types| types.split(',')).collect();
    let time = |name: &str| call.request.param(name).and_then(|value| value.parse::<i64>().ok());
    let from = time("filter[created_at][from]").or_else(|| time("filter[created_at]"));
    let to = time("filter[created_at][to]");
    let wanted = world.events.newest_first().filter(|event| {
        (types.is_empty() || types.contains(&event.name))
            && from.is_none_or(|from| event.at_s >= from)
            && to.is_none_or(|to| event.at_s <= to)
    });
    Sheet::of(call, MAX_ROWS).answer(call, "events", wanted, |event| {
        json!({
            "id": format!("01sandbox{:012}", event.number),
            "type": event.name,
            "entity_id": event.entity_id,
            "entity_type": event.entity,
            "created_by": event.by,
            "created_at": event.at_s,
            "value_after": [],
            "value_before": [],
            "account_id": world.account.id,
        })
    })
}
