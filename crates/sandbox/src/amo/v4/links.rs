//! Links of a record: read, made, undone (entity links page).

use serde_json::{Value, json};

use super::listing::written;
use super::{Refusal, batch, entity_type, kind_named, missing, only, problem};
use crate::amo::answer;
use crate::amo::call::Call;
use crate::amo::state::records::{Element, ElementKind};
use crate::amo::state::world::World;
use crate::amo::wire::Object;
use crate::http::Response;

/// `/api/v4/{kind}/{id}/links`, `…/link` and `…/unlink`.
pub(super) fn serve(world: &mut World, call: &Call, near: Element, what: &str) -> Response {
    if !world.exists(near) {
        return missing(call);
    }
    match (call.request.method.as_str(), what) {
        ("GET", "links") => read(world, call, near),
        ("POST", "link") => write(world, call, near, true),
        ("POST", "unlink") => write(world, call, near, false),
        _ => problem(call, 405, "this method is not supported here"),
    }
}

fn read(world: &World, call: &Call, near: Element) -> Response {
    let links: Vec<Value> = linked(world, near).into_iter().map(|far| item(world, near, far)).collect();
    if links.is_empty() { answer::empty(call, 204) } else { written(call, "links", links) }
}

fn linked(world: &World, near: Element) -> Vec<Element> {
    let of = |kind: ElementKind, ids: Vec<u64>| ids.into_iter().map(move |id| Element { kind, id });
    match near.kind {
        ElementKind::Contact => world.contacts.get(near.id).map_or_else(Vec::new, |contact| {
            let leads = of(ElementKind::Lead, contact.lead_ids.iter().copied().collect());
            leads.chain(of(ElementKind::Company, contact.company_id.into_iter().collect())).collect()
        }),
        ElementKind::Lead => world.leads.get(near.id).map_or_else(Vec::new, |lead| {
            let contacts = of(ElementKind::Contact, lead.contact_ids.clone());
            contacts.chain(of(ElementKind::Company, lead.company_id.into_iter().collect())).collect()
        }),
        ElementKind::Company => world.companies.get(near.id).map_or_else(Vec::new, |company| {
            let contacts = of(ElementKind::Contact, company.contact_ids.iter().copied().collect());
            contacts.chain(of(ElementKind::Lead, company.lead_ids.iter().copied().collect())).collect()
        }),
        ElementKind::Task | ElementKind::Customer => Vec::new(),
    }
}

fn item(world: &World, near: Element, far: Element) -> Value {
    let main = world.leads.get(near.id).filter(|_| near.kind == ElementKind::Lead);
    let main = main.and_then(|lead| lead.contact_ids.first().copied());
    let metadata = match far.kind {
        ElementKind::Contact if near.kind == ElementKind::Lead => json!({ "main_contact": main == Some(far.id) }),
        _ => Value::Null,
    };
    json!({ "to_entity_id": far.id, "to_entity_type": entity_type(far.kind), "metadata": metadata })
}

fn write(world: &mut World, call: &Call, near: Element, joins: bool) -> Response {
    let items = match batch::items(call) {
        Ok(items) => items,
        Err(response) => return response,
    };
    let result = batch::write(world, call, &items, |world, sent| {
        let far = far_end(world, sent)?;
        Ok(Box::new(move |world: &mut World| {
            match joins {
                true => world.connect(near, far, call.now_ms),
                false => world.disconnect(near, far, call.now_ms),
            }
            item(world, near, far)
        }))
    });
    match result {
        Ok(_) if !joins => answer::empty(call, 204),
        Ok(items) => written(call, "links", items),
        Err(response) => response,
    }
}

fn far_end(world: &World, sent: &Object) -> Result<Element, Refusal> {
    only(sent, "", &["to_entity_id", "to_entity_type", "metadata"])?;
    let kind = super::text(sent, "", "to_entity_type")?.and_then(kind_named);
    let id = super::number(sent, "", "to_entity_id")?;
    let (Some(kind), Some(id)) = (kind, id) else { return Err(Refusal::of_choice("to_entity_type")) };
    let far = kind.element(id);
    if world.exists(far) { Ok(far) } else { Err(Refusal::of_choice("to_entity_id")) }
}
