//! Bodies of webhooks: names with brackets, in the words of API v2 whatever version the account speaks.

use std::collections::BTreeMap;

use super::Item;
use crate::amo::options::AmoOptions;
use crate::amo::state::news::{News, What};
use crate::amo::state::patch::RecordKind;
use crate::amo::state::records::Card;
use crate::amo::state::world::World;

/// What subscribers are told of a happening, by the event they ask for it with.
pub(in crate::amo) fn items(world: &World, options: &AmoOptions, news: &News) -> Vec<Item> {
    let Some(action) = action(news.what) else { return Vec::new() };
    let (word, list) = match news.kind {
        RecordKind::Contact => ("contact", "contacts"),
        RecordKind::Company => ("company", "contacts"),
        RecordKind::Lead => ("lead", "leads"),
    };
    let is_bare = action == "delete" && options.hooks.deletes_as_ids;
    let pairs = match news.what {
        What::Deleted => Some(deleted(news)),
        _ => record(world, news),
    };
    // What is gone before it could be told of is told of as gone.
    let Some(pairs) = pairs else { return Vec::new() };
    vec![Item { event: format!("{action}_{word}"), list: Some((list, action)), pairs, is_bare }]
}

fn action(what: What) -> Option<&'static str> {
    Some(match what {
        What::Added => "add",
        What::Updated => "update",
        What::Deleted => "delete",
        What::Restored => "restore",
        What::Responsible(_) => "responsible",
        What::Moved(_) => "status",
        What::Merged => return None,
    })
}

fn deleted(news: &News) -> Vec<(String, String)> {
    let kind = match news.kind {
        RecordKind::Contact => "contact",
        RecordKind::Company => "company",
        RecordKind::Lead => "lead",
    };
    vec![("[id]".to_owned(), news.id.to_string()), ("[type]".to_owned(), kind.to_owned())]
}

fn record(world: &World, news: &News) -> Option<Vec<(String, String)>> {
    let mut pairs = Pairs::default();
    match news.kind {
        RecordKind::Contact => {
            let contact = world.contacts.get(news.id)?;
            pairs.card(world, news.kind, &contact.card);
            for lead in &contact.lead_ids {
                pairs.add(format!("[linked_leads_id][{lead}][ID]"), lead);
            }
            if let Some(company) = contact.company_id {
                pairs.add("[linked_company_id]", company);
            }
            pairs.add("[type]", "contact");
        }
        RecordKind::Company => {
            pairs.card(world, news.kind, &world.companies.get(news.id)?.card);
            pairs.add("[type]", "company");
        }
        RecordKind::Lead => {
            let lead = world.leads.get(news.id)?;
            pairs.card(world, news.kind, &lead.card);
            pairs.add("[status_id]", lead.status_id);
            pairs.add("[pipeline_id]", lead.pipeline_id);
            pairs.add("[price]", lead.price);
            if let What::Moved(before) = news.what {
                pairs.add("[old_status_id]", before.status_id);
            }
        }
    }
    if let What::Responsible(before) = news.what {
        pairs.add("[old_responsible_user_id]", before);
    }
    Some(pairs.0)
}

/// Pairs of one record, their names from its own brackets on.
#[derive(Default)]
struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn add(&mut self, name: impl Into<String>, value: impl ToString) {
        self.0.push((name.into(), value.to_string()));
    }

    fn card(&mut self, world: &World, kind: RecordKind, card: &Card) {
        self.add("[id]", card.id);
        self.add("[name]", &card.name);
        self.add("[responsible_user_id]", card.responsible_user_id);
        self.add("[date_create]", card.created_at);
        self.add("[last_modified]", card.updated_at);
        self.add("[created_user_id]", card.created_by);
        self.add("[modified_user_id]", card.updated_by);
        self.add("[account_id]", world.account.id);
        self.fields(world, kind, card);
        for (place, tag) in card.tags.iter().enumerate() {
            self.add(format!("[tags][{place}][id]"), tag.id);
            self.add(format!("[tags][{place}][name]"), &tag.name);
        }
        self.add("[created_at]", card.created_at);
        self.add("[updated_at]", card.updated_at);
    }

    fn fields(&mut self, world: &World, kind: RecordKind, card: &Card) {
        let known = world.fields_of(kind).iter().filter_map(|field| Some((field, card.fields.get(&field.id)?)));
        for (place, (field, values)) in known.enumerate() {
            let at = format!("[custom_fields][{place}]");
            self.add(format!("{at}[id]"), field.id);
            self.add(format!("{at}[name]"), &field.name);
            if let Some(code) = &field.code {
                self.add(format!("{at}[code]"), code);
            }
            for (number, value) in values.iter().enumerate() {
                match value.choice_id {
                    Some(choice) => {
                        self.add(format!("{at}[values][{number}][value]"), &value.value);
                        self.add(format!("{at}[values][{number}][enum]"), choice);
                    }
                    None => self.add(format!("{at}[values][{number}][value]"), &value.value),
                }
            }
        }
    }
}

/// The body of a webhook: several records of one action stand in one list.
pub(super) fn form(items: &[Item]) -> Vec<u8> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    let mut places: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for item in items {
        let head = match item.list {
            None => String::new(),
            Some((list, action)) => {
                let place = places.entry((list, action)).or_default();
                *place += 1;
                format!("{list}[{action}][{}]", *place - 1)
            }
        };
        match item.list.filter(|_| item.is_bare) {
            // The id alone; of several there is a list after all.
            Some((list, action)) if items.len() == 1 => {
                form.append_pair(&format!("{list}[{action}]"), &item.pairs[0].1);
            }
            _ => {
                for (name, value) in &item.pairs {
                    form.append_pair(&format!("{head}{name}"), value);
                }
            }
        }
    }
    form.append_pair("account[subdomain]", "sandbox");
    form.append_pair("account[id]", "9");
    form.finish().into_bytes()
}
