//! The short JSON forms of links. There may be a million of them, so names are single letters, what is
//! missing is left out, and what has a column of its own is not repeated.
//!
//! Every form is taken apart and put together field by field: a field added in `core` does not
//! compile until it has a letter here.

use super::words::{Word, json};
use crate::core::action::Side;
use crate::core::echo;
use crate::core::flips::Flips;
use crate::core::id::{ClientId, ContactId, LeadId, OrderId, PipelineId, StateId, StatusId, UserId};
use crate::core::link::{Base, Bases, ClientLink, Content, DealLink};
use crate::core::model::Client;
use crate::core::time::Millis;
use crate::ports::store::Stored;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// A row of either database that is being read.
pub(super) trait Columns {
    /// What can go wrong.
    type Trouble;

    /// A whole number.
    fn number(&self, column: &'static str) -> Result<i64, Self::Trouble>;

    /// An id of a service.
    fn id(&self, column: &'static str) -> Result<u64, Self::Trouble>;

    /// An id of a service that may be missing.
    fn id_if_any(&self, column: &'static str) -> Result<Option<u64>, Self::Trouble>;

    /// A time that may be missing.
    fn millis_if_any(&self, column: &'static str) -> Result<Option<Millis>, Self::Trouble>;

    /// A structure.
    fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, Self::Trouble>;
}

#[derive(Serialize, Deserialize)]
struct ClientFacts<'a> {
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    platform_id: Option<Cow<'a, str>>,
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    group: Option<Cow<'a, str>>,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    messenger: Option<i64>,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    tag: Option<Cow<'a, str>>,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    created_at: Option<i64>,
    #[serde(rename = "u", default, skip_serializing_if = "is_false")]
    unmatched: bool,
    #[serde(rename = "k", default, skip_serializing_if = "is_empty")]
    callbacks: Cow<'a, [echo::Sent]>,
}

#[derive(Serialize, Deserialize)]
struct DealFacts<'a> {
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    order: Option<OrderId>,
    #[serde(rename = "p", default, skip_serializing_if = "is_zero")]
    spoke: u64,
    #[serde(rename = "d", default, skip_serializing_if = "is_false")]
    ordered: bool,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    stage: Option<(PipelineId, StatusId)>,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    state: Option<StateId>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    responsible: Option<UserId>,
    #[serde(rename = "w", default, skip_serializing_if = "is_false")]
    open: bool,
    #[serde(rename = "v")]
    version: i64,
    #[serde(rename = "f")]
    fingerprint: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct ShortBase<'a> {
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    amo: Option<Cow<'a, [String]>>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    salebot: Option<Cow<'a, [String]>>,
    #[serde(rename = "x", default, skip_serializing_if = "<[_]>::is_empty")]
    sent_amo: Cow<'a, [Content]>,
    #[serde(rename = "y", default, skip_serializing_if = "<[_]>::is_empty")]
    sent_salebot: Cow<'a, [Content]>,
    #[serde(rename = "o", default, skip_serializing_if = "BTreeSet::is_empty")]
    ours: Cow<'a, BTreeSet<String>>,
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    bound: Option<Cow<'a, str>>,
    #[serde(rename = "u", default, skip_serializing_if = "is_false")]
    undone: bool,
    /// Side last written, turns, since when, frozen.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    flips: Option<(Option<i64>, u32, Millis, u8)>,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::ptr_arg, reason = "serde hands over the field as it is")]
fn is_empty(sent: &Cow<'_, [echo::Sent]>) -> bool {
    sent.is_empty()
}

fn short(base: &Base) -> ShortBase<'_> {
    let Base { amo, salebot, sent_amo, sent_salebot, ours, bound, undone, flips } = base;
    ShortBase {
        amo: amo.as_deref().map(Cow::Borrowed),
        salebot: salebot.as_deref().map(Cow::Borrowed),
        sent_amo: Cow::Borrowed(sent_amo),
        sent_salebot: Cow::Borrowed(sent_salebot),
        ours: Cow::Borrowed(ours),
        bound: bound.as_deref().map(Cow::Borrowed),
        undone: *undone,
        flips: (*flips != Flips::default()).then(|| short_flips(*flips)),
    }
}

fn whole(base: ShortBase<'_>) -> Base {
    Base {
        amo: base.amo.map(Cow::into_owned),
        salebot: base.salebot.map(Cow::into_owned),
        sent_amo: base.sent_amo.into_owned(),
        sent_salebot: base.sent_salebot.into_owned(),
        ours: base.ours.into_owned(),
        bound: base.bound.map(Cow::into_owned),
        undone: base.undone,
        flips: base.flips.map(whole_flips).unwrap_or_default(),
    }
}

fn short_flips(flips: Flips) -> (Option<i64>, u32, Millis, u8) {
    let Flips { last, count, since, frozen } = flips;
    (last.map(Word::number), count, since, u8::from(frozen))
}

fn whole_flips((last, count, since, frozen): (Option<i64>, u32, Millis, u8)) -> Flips {
    Flips { last: last.and_then(Side::from_number), count, since, frozen: frozen != 0 }
}

fn bases_text(bases: &Bases) -> Stored<String> {
    json(&bases.iter().map(|(rule, base)| (rule.as_str(), short(base))).collect::<BTreeMap<_, _>>())
}

fn read_bases<R: Columns>(row: &R) -> Result<Bases, R::Trouble> {
    let bases: BTreeMap<String, ShortBase<'static>> = row.json("bases")?;
    Ok(bases.into_iter().map(|(rule, base)| (rule, whole(base))).collect())
}

/// Facts and bases of a client's link.
pub(super) fn client_texts(link: &ClientLink) -> Stored<(String, String)> {
    let ClientLink { client, contact: _, unmatched, bases, last_message_at: _, callbacks, revision: _ } = link;
    let Client { id: _, platform_id, group, messenger, name, tag, created_at } = client;
    let facts = ClientFacts {
        platform_id: platform_id.as_deref().map(Cow::Borrowed),
        group: group.as_deref().map(Cow::Borrowed),
        messenger: *messenger,
        name: name.as_deref().map(Cow::Borrowed),
        tag: tag.as_deref().map(Cow::Borrowed),
        created_at: *created_at,
        unmatched: *unmatched,
        callbacks: Cow::Borrowed(callbacks),
    };
    Ok((json(&facts)?, bases_text(bases)?))
}

/// A client's link from its row.
pub(super) fn client_link<R: Columns>(row: &R) -> Result<ClientLink, R::Trouble> {
    let facts: ClientFacts<'static> = row.json("facts")?;
    Ok(ClientLink {
        client: Client {
            id: ClientId(row.id("client")?),
            platform_id: facts.platform_id.map(Cow::into_owned),
            group: facts.group.map(Cow::into_owned),
            messenger: facts.messenger,
            name: facts.name.map(Cow::into_owned),
            tag: facts.tag.map(Cow::into_owned),
            created_at: facts.created_at,
        },
        contact: row.id_if_any("contact")?.map(ContactId),
        unmatched: facts.unmatched,
        callbacks: facts.callbacks.into_owned(),
        bases: read_bases(row)?,
        last_message_at: row.millis_if_any("last_message_at")?,
        revision: row.number("revision")?,
    })
}

/// Facts and bases of a lead's link.
pub(super) fn deal_texts(link: &DealLink) -> Stored<(String, String)> {
    let DealLink {
        lead: _,
        contact: _,
        client: _,
        revision: _,
        spoke,
        order,
        ordered,
        stage,
        state,
        responsible,
        open,
        version,
        fingerprint,
        bases,
    } = link;
    let facts = DealFacts {
        spoke: *spoke,
        order: *order,
        ordered: *ordered,
        stage: *stage,
        state: *state,
        responsible: *responsible,
        open: *open,
        version: *version,
        fingerprint: Cow::Borrowed(fingerprint),
    };
    Ok((json(&facts)?, bases_text(bases)?))
}

/// A lead's link from its row.
pub(super) fn deal_link<R: Columns>(row: &R) -> Result<DealLink, R::Trouble> {
    let facts: DealFacts<'static> = row.json("facts")?;
    Ok(DealLink {
        lead: LeadId(row.id("lead")?),
        contact: row.id_if_any("contact")?.map(ContactId),
        client: row.id_if_any("client")?.map(ClientId),
        spoke: facts.spoke,
        order: facts.order,
        ordered: facts.ordered,
        stage: facts.stage,
        state: facts.state,
        responsible: facts.responsible,
        open: facts.open,
        version: facts.version,
        fingerprint: facts.fingerprint.into_owned(),
        bases: read_bases(row)?,
        revision: row.number("revision")?,
    })
}
