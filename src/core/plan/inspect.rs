//! Every pair of a record as somebody asks about it: what both sides have, what they were last seen to have, whether
//! that agrees, and what a plan does about it. Nothing is decided here: the decisions are those of the [`Plan`].

use super::deal::DealSeen;
use super::ground::Ground;
use super::person::{PersonSeen, salebot_content};
use super::{Plan, ResolvedRule, deal, stage};
use crate::core::action::{Action, LinkRef, Side, client_key, lead_key};
use crate::core::link::{Base, Content};
use crate::core::merge::{self, Pair};
use crate::core::policy::{Direction, Owner};
use crate::core::shape::{self, Form, Record};
use crate::core::text;
use std::collections::BTreeSet;

/// One pair, looked at on both sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Whose pair.
    pub link: LinkRef,
    /// `Rule::key`.
    pub rule: String,
    /// Which way values travel.
    pub direction: Direction,
    /// Who wins when both sides changed.
    pub owner: Owner,
    /// amoCRM's value.
    pub amo: Content,
    /// Salebot's value; none where it was not read.
    pub salebot: Option<Content>,
    /// What each side was last seen to have.
    pub base: Base,
    /// True when both mean the same, as far as each service can hold it.
    pub agrees: bool,
    /// What would be written, and where; none: nothing.
    pub write: Option<(Side, Content)>,
    /// Why it stands as it stands.
    pub why: Why,
}

/// Why a pair is written or left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Both sides mean the same.
    Agreed,
    /// It changed its direction too often.
    Frozen,
    /// An undo put one side back, and nobody has edited either since.
    Undone,
    /// Salebot's value was not read.
    Unread,
    /// Both sides are met for the first time.
    FirstSight,
    /// This side alone was edited since it was last seen.
    Edited(Side),
    /// Both were edited: the value of this side is given up.
    GivenUp(Side),
    /// It was decided before and is not done yet.
    Decided,
    /// The other service cannot hold it.
    Refused(String),
    /// The pair travels the other way, or there is nothing to carry.
    NotCarried,
    /// The pair only writes to amoCRM, where what another client of the contact says stands: one value holds one of them.
    Another,
    /// Both sides are as they were last seen, and yet they differ.
    AsSeen,
}

impl Why {
    /// In words.
    pub fn told(&self) -> String {
        let of = |side: &Side| if *side == Side::Amo { "amoCRM" } else { "Salebot" };
        match self {
            Why::Agreed => "both sides agree".to_owned(),
            Why::Frozen => "the pair is frozen: it changed direction too often".to_owned(),
            Why::Undone => "an undo put one side back; the pair rests until either side is edited".to_owned(),
            Why::Unread => "Salebot's value was not read".to_owned(),
            Why::FirstSight => "the two are compared for the first time".to_owned(),
            Why::Edited(side) => format!("it was edited in {} since it was last seen", of(side)),
            Why::GivenUp(side) => format!("both sides were edited; the value of {} gives way", of(side)),
            Why::Decided => "it was decided before and is not done yet".to_owned(),
            Why::Refused(reason) => format!("it cannot be carried over: {reason}"),
            Why::NotCarried => "the pair does not carry this difference".to_owned(),
            Why::Another => "what another client of the contact says stands there".to_owned(),
            Why::AsSeen => "both sides are as they were last seen, and differ".to_owned(),
        }
    }
}

/// The pairs of a person, client by client. Only clients whose variables were read are looked at.
pub fn person(ground: &Ground, seen: PersonSeen<'_>, plan: &Plan) -> Vec<Compared> {
    let mut all = Vec::new();
    for client in seen.clients.iter().filter(|client| client.variables.is_some()) {
        for rule in &ground.contact_rules {
            let Some(salebot) = salebot_content(ground, rule, *client) else { continue };
            let base = client.link.bases.get(&rule.key).cloned().unwrap_or_default();
            let link = LinkRef::Client(client.link.client.id);
            let amo = shape::read(&rule.slot, Record::Contact(seen.contact), &ground.zone);
            all.push(compared(ground, rule, link, (amo, salebot), base, plan));
        }
    }
    agree_by_another(&mut all);
    all
}

/// Of several clients one speaks for a value that only amoCRM is written to. The others differ from it for good, and that is
/// no difference between the sides.
fn agree_by_another(all: &mut [Compared]) {
    let spoken: BTreeSet<String> =
        all.iter().filter(|pair| pair.agrees && !pair.amo.is_empty()).map(|pair| pair.rule.clone()).collect();
    let silent = |pair: &&mut Compared| pair.direction == Direction::ToAmo && pair.why == Why::AsSeen;
    for pair in all.iter_mut().filter(silent).filter(|pair| spoken.contains(&pair.rule)) {
        (pair.agrees, pair.why) = (true, Why::Another);
    }
}

/// The pairs of a lead: with its order, with its client where they speak of this lead, and its stage.
pub fn deal(ground: &Ground, seen: DealSeen<'_>, plan: &Plan) -> Vec<Compared> {
    let mut all = Vec::new();
    let Some(client) = seen.client.map(|client| client.client.id) else { return all };
    let link = LinkRef::Lead(seen.lead.id);
    for rule in &ground.lead_rules {
        let Some(Some(salebot)) = deal::salebot_content(ground, rule, &seen, client) else { continue };
        let base = seen.link.and_then(|link| link.bases.get(&rule.key)).cloned().unwrap_or_default();
        let amo = shape::read(&rule.slot, Record::Lead(seen.lead), &ground.zone);
        all.push(compared(ground, rule, link, (amo, salebot), base, plan));
    }
    all.extend(stage::sides(ground, &seen).map(|(amo, salebot)| {
        let base = seen.link.and_then(|link| link.bases.get(stage::STAGE_PAIR)).cloned().unwrap_or_default();
        let orders = &ground.policy.orders;
        let settings = (orders.direction, Owner::Amo);
        let known = Known { form: &Form::Number, rule: stage::STAGE_PAIR, settings, region: ground.region() };
        judged(&known, link, (amo, salebot), base, plan)
    }));
    all
}

/// What a pair is, wherever it comes from.
struct Known<'a> {
    form: &'a Form,
    rule: &'a str,
    settings: (Direction, Owner),
    region: &'a str,
}

fn compared(
    ground: &Ground,
    rule: &ResolvedRule,
    link: LinkRef,
    sides: (Content, Content),
    base: Base,
    plan: &Plan,
) -> Compared {
    let settings = (rule.rule.direction, rule.rule.owner);
    let known = Known { form: &rule.slot.form, rule: &rule.key, settings, region: ground.region() };
    judged(&known, link, sides, base, plan)
}

fn judged(known: &Known<'_>, link: LinkRef, sides: (Content, Content), base: Base, plan: &Plan) -> Compared {
    let (amo, salebot) = sides;
    let write = written(plan, link, known.rule);
    let agrees = write.is_none() && known.agree(&amo, &salebot, &base);
    let why = match () {
        () if agrees => Why::Agreed,
        () if base.flips.frozen => Why::Frozen,
        () if base.undone && write.is_none() => Why::Undone,
        () => refused(plan, link, known.rule)
            .map_or_else(|| known.reason(&amo, &salebot, &base, write.as_ref().map(|(side, _)| *side)), Why::Refused),
    };
    let (direction, owner) = known.settings;
    let rule = known.rule.to_owned();
    Compared { link, rule, direction, owner, amo, salebot: Some(salebot), base, agrees, write, why }
}

impl Known<'_> {
    /// True when a merge that has never seen the two would leave them alone, whoever owned them: they mean the same,
    /// or one is what its service can hold of the other.
    fn agree(&self, amo: &Content, salebot: &Content, base: &Base) -> bool {
        let carried = Base { bound: base.bound.clone(), ours: base.ours.clone(), ..Base::default() };
        let is_quiet = |owner| {
            let pair = Pair {
                form: self.form,
                direction: Direction::Both,
                owner,
                region: self.region,
                amo,
                salebot: Some(salebot),
                base: &carried,
            };
            let merged = merge::merge(pair);
            merged.write_amo.is_none() && merged.write_salebot.is_none() && merged.refused.is_none()
        };
        let shown = shape::salebot_text(self.form, amo);
        let now = salebot.first().map(String::as_str).unwrap_or_default();
        let is_held = !now.trim().is_empty() && self.is_text() && text::is_rewritten(&shown, now);
        is_held || is_quiet(Owner::Amo) || is_quiet(Owner::Salebot)
    }

    /// True for what a service may shorten or trim and still mean the same.
    fn is_text(&self) -> bool {
        matches!(self.form, Form::Text { .. } | Form::Name | Form::ReadOnly | Form::User(_) | Form::Company)
    }

    fn reason(&self, amo: &Content, salebot: &Content, base: &Base, write: Option<Side>) -> Why {
        let amo_stands = self.standing(amo, base.amo.as_ref(), &base.sent_amo);
        let salebot_stands = self.standing(salebot, base.salebot.as_ref(), &base.sent_salebot);
        match (write, amo_stands, salebot_stands) {
            (Some(_), None, None) => Why::FirstSight,
            (Some(_), Some(true), Some(true)) => Why::Decided,
            (Some(Side::Salebot), _, Some(true)) if amo_stands == Some(false) => Why::Edited(Side::Amo),
            (Some(Side::Amo), Some(true), _) if salebot_stands == Some(false) => Why::Edited(Side::Salebot),
            (Some(side), Some(false), Some(false)) => Why::GivenUp(side),
            (Some(_), _, _) => Why::Decided,
            (None, Some(true), Some(true)) if self.carries(amo, salebot) => Why::AsSeen,
            (None, _, _) if self.settings.0 != Direction::Both => Why::NotCarried,
            (None, _, _) => Why::AsSeen,
        }
    }

    /// True unless the pair travels one way and has nothing there to carry.
    fn carries(&self, amo: &Content, salebot: &Content) -> bool {
        let is_blank = |content: &Content| content.iter().all(|text| text.trim().is_empty());
        match self.settings.0 {
            Direction::Both => true,
            Direction::ToSalebot => !is_blank(amo),
            Direction::ToAmo => !is_blank(salebot),
        }
    }

    /// Whether a side is as it was last seen; none where it was never seen.
    fn standing(&self, now: &Content, seen: Option<&Content>, sent: &[Content]) -> Option<bool> {
        let meanings = |content: &Content| -> BTreeSet<String> {
            content.iter().filter_map(|text| shape::meaning(self.form, text, self.region)).collect()
        };
        let is_rewritten = |sent: &Content| {
            sent.len() == now.len() && sent.iter().zip(now).all(|(sent, now)| text::is_rewritten(sent, now))
        };
        let is_same = |then: &Content| then == now || meanings(then) == meanings(now);
        if sent.iter().any(|sent| is_same(sent) || is_rewritten(sent)) {
            return Some(true);
        }
        seen.map(is_same)
    }
}

/// What a plan writes for a pair: the side and its new value.
fn written(plan: &Plan, link: LinkRef, rule: &str) -> Option<(Side, Content)> {
    plan.actions.iter().find_map(|(_, action)| {
        let confirm = action.confirms().iter().find(|confirm| confirm.link == link && confirm.rule == rule)?;
        let side = action.side();
        let is_new_order = matches!(action, Action::CreateOrder { .. });
        let content = if side == Side::Amo { &confirm.base.amo } else { &confirm.base.salebot };
        (!is_new_order).then(|| (side, content.clone().unwrap_or_default()))
    })
}

/// Why a plan does not carry a pair's value over.
fn refused(plan: &Plan, link: LinkRef, rule: &str) -> Option<String> {
    let subject = match link {
        LinkRef::Client(id) => client_key(id),
        LinkRef::Lead(id) => lead_key(id),
    };
    let own = plan.notices.iter().filter(|notice| notice.subject == subject && notice.kind == "refused");
    let mut reasons = own.filter(|notice| notice.detail["rule"] == rule);
    reasons.find_map(|notice| notice.detail["reason"].as_str()).map(str::to_owned)
}
