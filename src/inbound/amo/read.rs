//! What a body of amoCRM's webhooks names (amoCRM webhooks page, format; recorded bodies).
//!
//! One body may hold several kinds of records and several actions. Companies come under `contacts` with a `type` of
//! their own. A deletion comes as a list of records or as the id alone. A pipeline's own hook is the same in short:
//! `leads[add][0][id]` and where it stands.

use super::tree::{Branch, Tree};
use crate::core::hint::Hints;
use crate::core::id::{ContactId, LeadId};
use crate::ports::watch::HintReader;

/// Reads bodies in every form that was seen: forms with brackets, and JSON of the same shape.
#[derive(Debug, Clone, Copy, Default)]
pub struct AmoReader;

/// What the log calls what is of no concern. The service's own words may be anything.
const PASSED_OVER: [(&str, &str); 11] = [
    ("companies", "companies"),
    ("customers", "customers"),
    ("catalogs", "catalogs"),
    ("task", "tasks"),
    ("tasks", "tasks"),
    ("note", "notes"),
    ("unsorted", "unsorted"),
    ("message", "messages"),
    ("talk", "talks"),
    ("talks", "talks"),
    ("chat_template_review", "templates"),
];

impl HintReader for AmoReader {
    fn hints(&self, body: &[u8]) -> Result<Hints, String> {
        let tree = tree(body)?;
        let mut hints = Hints::default();
        let mut is_known = false;
        for (name, branch) in tree.root().children() {
            match name {
                "contacts" => contacts(branch, &mut hints),
                "leads" => leads(branch, &mut hints),
                "account" => {}
                other => match PASSED_OVER.iter().find(|(known, _)| *known == other) {
                    Some((_, told)) => {
                        hints.passed_over.insert(told);
                    }
                    None => continue,
                },
            }
            is_known = true;
        }
        if is_known { Ok(hints) } else { Err("at the body: nothing that amoCRM sends".to_owned()) }
    }
}

fn tree(body: &[u8]) -> Result<Tree, String> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii();
    let tree = match body.first() {
        None => return Err("the body is empty".to_owned()),
        Some(b'{' | b'[') => Tree::of_json(&String::from_utf8_lossy(body)),
        Some(_) => Tree::of_form(body),
    };
    tree.map_err(|reason| format!("at the body: {reason}"))
}

fn contacts(branch: Branch<'_>, hints: &mut Hints) {
    each(branch, hints, |item, id, hints| {
        let is_company = item.get("type").and_then(Branch::text).is_some_and(|kind| kind == "company");
        if is_company {
            hints.passed_over.insert("companies");
        } else {
            hints.contacts.insert(ContactId(id));
        }
    });
}

fn leads(branch: Branch<'_>, hints: &mut Hints) {
    each(branch, hints, |_, id, hints| {
        hints.leads.insert(LeadId(id));
    });
}

/// Each record of each action: an item with an `id`, or an item or a whole action that is nothing but ids.
fn each(branch: Branch<'_>, hints: &mut Hints, mut take: impl FnMut(Branch<'_>, u64, &mut Hints)) {
    for (action, items) in branch.children() {
        if action == "note" {
            // It stands on the record and changes nothing of it.
            hints.passed_over.insert("notes");
            continue;
        }
        let mut records = vec![items];
        // `{"delete":{"id":"7"}}` is one record without a list around it.
        if items.get("id").is_none() {
            records.extend(items.children().map(|(_, item)| item));
        }
        for item in records {
            let spelled = item.get("id").and_then(Branch::text).or_else(|| item.text()).unwrap_or_default();
            for id in spelled.split(',').filter_map(|id| id.trim().parse().ok()).filter(|id| is_id(*id)) {
                take(item, id, hints);
            }
        }
    }
}

/// The store keeps ids as signed numbers; no real one is near their end.
fn is_id(id: u64) -> bool {
    id > 0 && id < 1 << 62
}

#[cfg(test)]
mod tests;
