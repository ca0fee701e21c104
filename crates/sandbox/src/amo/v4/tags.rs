//! Tags of contacts, leads and companies: each kind has its own (tags page).

use serde_json::{Value, json};

use super::batch::{self, Checked};
use super::listing::{filter_ids, filter_texts, is_asked, sheet, written};
use super::{Refusal, only, problem, text};
use crate::amo::call::Call;
use crate::amo::state::patch::{RecordKind, TagName};
use crate::amo::state::world::World;
use crate::http::Response;

/// `/api/v4/{kind}/tags`.
pub(super) fn serve(world: &mut World, call: &Call, kind: RecordKind) -> Response {
    match call.request.method.as_str() {
        "GET" => list(world, call, kind),
        "POST" => add(world, call, kind),
        _ => problem(call, 405, "this method is not supported here"),
    }
}

fn list(world: &World, call: &Call, kind: RecordKind) -> Response {
    let (ids, names) = (filter_ids(call, "id"), filter_texts(call, "name"));
    let query = call.request.param("query").unwrap_or_default().to_lowercase();
    let tags = world.tags_of(kind).filter(|tag| {
        is_asked(ids.as_ref(), &tag.id)
            && is_asked(names.as_ref(), &tag.name)
            && tag.name.to_lowercase().contains(&query)
    });
    sheet(call).answer(call, "tags", tags, |tag| json!({ "id": tag.id, "name": tag.name, "color": null }))
}

/// A name that is there already answers with the tag that has it.
fn add(world: &mut World, call: &Call, kind: RecordKind) -> Response {
    let items = match batch::items(call) {
        Ok(items) => items,
        Err(response) => return response,
    };
    let result = batch::write(world, call, &items, |_, item| {
        only(item, "", &["name", "color", "request_id"])?;
        let blank = || Refusal::new("NotBlank", "name", "This value should not be blank.");
        let name = text(item, "", "name")?.filter(|name| !name.is_empty()).ok_or_else(blank)?.to_owned();
        let write: Checked = Box::new(move |world| {
            let tags = world.resolve_tags(kind, &[TagName::Text(name)]);
            tags.first().map_or(Value::Null, |tag| json!({ "id": tag.id, "name": tag.name, "color": null }))
        });
        Ok(write)
    });
    result.map_or_else(|response| response, |items| written(call, "tags", items))
}
