//! `plan`: what would be written now, value by value. Writes nothing.

use crate::app::inspect::{Ended, Looked, Reader, TOGETHER};
use crate::core::action::{LinkRef, Side, client_key, lead_key};
use crate::core::id::{ClientId, ContactId, LeadId};
use crate::core::plan::inspect::Compared;
use crate::core::policy::{Direction, Owner};
use anyhow::anyhow;
use serde_json::{Value, json};

/// Which record is asked about; none: all that are linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A contact and its clients.
    Contact(ContactId),
    /// The contact of a client, with all its clients: they are planned together.
    Client(ClientId),
    /// A lead and its order.
    Lead(LeadId),
}

/// Looks at one record. `None`: this bridge has no link of it.
///
/// # Errors
/// A service could not be asked, or the client has no contact yet.
pub async fn one(reader: &Reader, asked: Asked) -> Result<Option<Looked>, Ended> {
    let looked = match asked {
        Asked::Contact(id) => reader.people(&[id]).await?.pop().filter(|looked| !looked.clients.is_empty()),
        Asked::Client(id) => match reader.store.clients(&reader.bridge, &[id]).await?.pop() {
            None => None,
            Some(link) => match link.contact {
                Some(contact) => reader.people(&[contact]).await?.pop(),
                None => {
                    return Err(Ended::Failed(anyhow!(
                        "client {id} has no contact yet: its next message finds or makes one, and so does salebridge backfill --only clients"
                    )));
                }
            },
        },
        Asked::Lead(id) => reader.leads(&[id]).await?.pop(),
    };
    Ok(looked)
}

/// Looks at every linked record, page by page; `tell` hears of those for which something would be written.
pub async fn all(reader: &Reader, tell: &mut dyn FnMut(&Looked)) -> Result<u64, Ended> {
    let (mut count, mut after) = (0, None);
    loop {
        let ids = reader.store.linked_contacts(&reader.bridge, after, TOGETHER as u32).await?;
        let Some(last) = ids.last() else { break };
        after = Some(*last);
        let looked = reader.people(&ids).await?;
        count += looked.len() as u64;
        looked.iter().filter(|looked| writes(looked)).for_each(&mut *tell);
    }
    let mut after = None;
    loop {
        let deals = reader.store.deals_after(&reader.bridge, after, TOGETHER as u32).await?;
        let Some(last) = deals.last() else { break };
        after = Some(last.lead);
        let ids: Vec<LeadId> = deals.iter().filter(|deal| deal.client.is_some()).map(|deal| deal.lead).collect();
        if ids.is_empty() {
            continue;
        }
        let looked = reader.leads(&ids).await?;
        count += looked.len() as u64;
        looked.iter().filter(|looked| writes(looked)).for_each(&mut *tell);
    }
    Ok(count)
}

fn writes(looked: &Looked) -> bool {
    let trouble = !looked.troubles.is_empty();
    trouble || !looked.besides.is_empty() || looked.pairs.iter().any(|pair| pair.write.is_some())
}

/// The rule of a pair, in words.
pub fn rule(pair: &Compared) -> String {
    match (pair.direction, pair.owner) {
        (Direction::Both, Owner::Amo) => "both ways, amoCRM owns it".to_owned(),
        (Direction::Both, Owner::Salebot) => "both ways, Salebot owns it".to_owned(),
        (Direction::ToSalebot, _) => "to Salebot".to_owned(),
        (Direction::ToAmo, _) => "to amoCRM".to_owned(),
    }
}

/// What is decided about a pair, in words.
pub fn decision(pair: &Compared) -> String {
    match &pair.write {
        Some((side, content)) => {
            let side = if *side == Side::Amo { "amoCRM" } else { "Salebot" };
            let value = content.join(" | ");
            if value.is_empty() { format!("clear in {side}") } else { format!("write to {side}: {value}") }
        }
        None => "nothing".to_owned(),
    }
}

/// For programs.
pub fn json(bridge: &str, looked: &Looked) -> Value {
    let pairs = looked.pairs.iter().map(|pair| {
        let record = match pair.link {
            LinkRef::Client(id) => client_key(id),
            LinkRef::Lead(id) => lead_key(id),
        };
        let write = pair.write.as_ref().map(|(side, content)| json!({ "side": side.name(), "value": content }));
        json!({
            "record": record, "pair": pair.rule, "rule": rule(pair), "amo": pair.amo, "salebot": pair.salebot,
            "base": { "amo": pair.base.amo, "salebot": pair.base.salebot }, "agrees": pair.agrees, "write": write,
            "why": pair.why.told(),
        })
    });
    let troubles = looked.troubles.iter().map(|trouble| json!({ "record": trouble.record, "told": trouble.told }));
    json!({
        "bridge": bridge, "record": looked.record, "pairs": pairs.collect::<Vec<_>>(),
        "besides": looked.besides, "troubles": troubles.collect::<Vec<_>>(),
    })
}
