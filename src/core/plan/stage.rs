//! A lead's stage and its order's: one pair of values, merged like any other.
//!
//! Both sides are told in Salebot's stage ids, through the configured table. A stage that the table does not
//! know is no news: the other side's decides. Won and lost are stages of amoCRM without a stage of Salebot
//! (there an order is closed beside its stage), so they get numbers that no stage has.

use super::deal::DealSeen;
use super::ground::Ground;
use super::{Doubts, Notice, Plan};
use crate::core::action::{Action, Confirm, Edit, LinkRef, Replaced, lead_key};
use crate::core::id::{ClientId, PipelineId, StateId, StatusId};
use crate::core::link::{Base, Content};
use crate::core::merge::{self, Merged, Pair};
use crate::core::model::OrderStatus;
use crate::core::policy::{Direction, Orders, Owner};
use crate::core::shape::Form;
use serde_json::json;

/// The pair's name, as `Rule::key` would spell it.
pub const STAGE_PAIR: &str = "lead.stage=order.state";

/// Plans the stage: the order is moved by an action of its own, the lead by the returned edit.
pub(super) fn plan(ground: &Ground, seen: &DealSeen<'_>, client: ClientId, plan: &mut Plan) -> Option<(Edit, Confirm)> {
    let order = seen.link.and_then(|link| link.order)?;
    let link = LinkRef::Lead(seen.lead.id);
    let merged = merged(ground, seen)?;
    if let Some(base) = &merged.base {
        plan.bases.push((link, STAGE_PAIR.to_owned(), base.clone()));
    }
    if let Some((side, value)) = &merged.lost {
        let detail = json!({ "rule": STAGE_PAIR, "gave_up": side.name(), "value": value });
        plan.notices.push(Notice { subject: lead_key(seen.lead.id), kind: "conflict", detail });
    }
    let confirm = |base, before, after| {
        let replaced = Some(Replaced { before, after });
        Confirm { link, rule: STAGE_PAIR.to_owned(), base, replaced }
    };
    let moved = merged.write_salebot.and_then(|(content, base)| {
        let state = number(&content).and_then(|number| u64::try_from(number).ok()).map(StateId)?;
        let before = seen.order.and_then(|order| order.state).map(|StateId(state)| spelled_state(state));
        let confirms = vec![confirm(base, before, content)];
        Some(Action::SetOrderState { client, order, lead: seen.lead.id, state, confirms })
    });
    plan.fill(format!("order:{order}/state"), moved.filter(|_| !seen.lead.is_deleted));
    // A closed deal is opened again by people, in amoCRM.
    let (content, base) = merged.write_amo.filter(|_| seen.lead.is_open())?;
    let (pipeline, status) = stage_of(&ground.policy.orders, seen.lead.pipeline, number(&content)?)?;
    let before = here(&ground.policy.orders, seen.lead.pipeline, seen.lead.status).map(spelled);
    Some((Edit::Stage { pipeline, status }, confirm(base, before, content)))
}

/// True when the lead stands where an order's stage has put it: that is no news to tell a bot.
pub(super) fn is_ours(ground: &Ground, seen: &DealSeen<'_>) -> bool {
    let here = here(&ground.policy.orders, seen.lead.pipeline, seen.lead.status);
    here.is_some_and(|here| {
        let own = |confirm: &&Confirm| confirm.rule == STAGE_PAIR && confirm.link == LinkRef::Lead(seen.lead.id);
        seen.in_doubt.iter().filter(own).any(|confirm| confirm.base.sent_amo.contains(&spelled(here)))
    })
}

fn merged(ground: &Ground, seen: &DealSeen<'_>) -> Option<Merged> {
    let (orders, link) = (&ground.policy.orders, seen.link?);
    let mut known = link.bases.get(STAGE_PAIR).cloned().unwrap_or_else(|| {
        // What the order was made with, or was last moved to by a version that kept no base, was the lead's stage.
        let agreed = link.state.map(|StateId(state)| spelled_state(state));
        Base { amo: agreed.clone(), salebot: agreed, ..Base::default() }
    });
    let text = order_content(orders, seen, known.salebot.as_ref());
    let here = here(orders, seen.lead.pipeline, seen.lead.status).map(spelled);
    if here.is_none() && known.amo.is_none() {
        // The stage says nothing, and never did: what the order does from now on is news.
        known = Base { amo: Some(Content::new()), salebot: known.salebot.or_else(|| text.clone()), ..known };
    }
    let amo = here.or_else(|| known.amo.clone())?;
    let doubts = Doubts { link: LinkRef::Lead(seen.lead.id), key: STAGE_PAIR, confirms: seen.in_doubt };
    let base = doubts.resolve(known, &amo, text.as_ref());
    let mut merged = merge::merge(Pair {
        form: &Form::Number,
        direction: orders.direction,
        owner: Owner::Amo,
        region: ground.region(),
        amo: &amo,
        salebot: text.as_ref(),
        base: &base,
    });
    if merged.base.is_none() && link.bases.get(STAGE_PAIR) != Some(&base) {
        merged.base = Some(base);
    }
    Some(merged)
}

/// Where the lead stands and where its order does, told alike; none where the table does not compare them.
pub(super) fn sides(ground: &Ground, seen: &DealSeen<'_>) -> Option<(Content, Content)> {
    let orders = &ground.policy.orders;
    seen.link.and_then(|link| link.order).filter(|_| orders.enabled && seen.lead.is_open())?;
    let amo = here(orders, seen.lead.pipeline, seen.lead.status)?;
    let closed = match seen.order_status {
        Some(OrderStatus::Won) => Some(StatusId::WON),
        Some(OrderStatus::Lost) => Some(StatusId::LOST),
        Some(OrderStatus::Active) | None => None,
    };
    let salebot = match closed {
        Some(status) => here(orders, seen.lead.pipeline, status).map(spelled)?,
        None => {
            let state = seen.order?.state?;
            orders.stages.iter().any(|row| row.state == state).then(|| spelled_state(state.0))?
        }
    };
    Some((spelled(amo), salebot))
}

/// Where the order stands; as it was last seen, where the table does not know its stage.
fn order_content(orders: &Orders, seen: &DealSeen<'_>, known: Option<&Content>) -> Option<Content> {
    if orders.direction != Direction::Both {
        return None;
    }
    let closed = match seen.order_status {
        Some(OrderStatus::Won) => Some(StatusId::WON),
        Some(OrderStatus::Lost) => Some(StatusId::LOST),
        Some(OrderStatus::Active) | None => None,
    };
    if let Some(status) = closed {
        return here(orders, seen.lead.pipeline, status).map(spelled);
    }
    let StateId(state) = seen.order?.state?;
    let is_known = orders.stages.iter().any(|row| row.state == StateId(state));
    let now = spelled_state(state);
    Some(if is_known { now } else { known.cloned().unwrap_or(now) })
}

/// A stage of amoCRM as a number: the state of its row, else one of our own for won and lost.
fn here(orders: &Orders, pipeline: PipelineId, status: StatusId) -> Option<i64> {
    match orders.state_for(pipeline, status) {
        Some(StateId(state)) => i64::try_from(state).ok(),
        None if status.is_closed() => i64::try_from(status.0).ok().map(|number| -number),
        None => None,
    }
}

/// The stage of amoCRM for a number: in the lead's own pipeline before any other.
fn stage_of(orders: &Orders, pipeline: PipelineId, number: i64) -> Option<(PipelineId, StatusId)> {
    let Ok(state) = u64::try_from(number) else {
        return Some((pipeline, StatusId(number.unsigned_abs())));
    };
    let rows = || orders.stages.iter().filter(|row| row.state == StateId(state));
    let row = rows().find(|row| row.pipeline == pipeline).or_else(|| rows().next())?;
    Some((row.pipeline, row.status))
}

fn spelled(number: i64) -> Content {
    vec![number.to_string()]
}

fn spelled_state(state: u64) -> Content {
    vec![state.to_string()]
}

fn number(content: &Content) -> Option<i64> {
    content.first()?.parse().ok()
}
