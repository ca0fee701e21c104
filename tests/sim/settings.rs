//! What a world is made with: how the services behave, what goes wrong, what the bridge is told to do.

use crate::clock::Random;
use crate::network::Refusal;
use crate::world::START_MS;
use salebridge::core::id::{PipelineId, StateId, StatusId};
use salebridge::core::policy::{
    CallbackDelivery, ClientChannel, CreateClient, CreateContact, Direction, Guard, MatchBy, Notes, Orders, Outgoing,
    Owner, People, Policy, Rule, StageRow, Trigger, TriggerEvent,
};
use salebridge::engine::Timing;
use salebridge::sandbox::amo::fixture;
use salebridge::sandbox::amo::options::{AmoOptions, Boundary, EmptyShape, NothingFound, RowOrder};
use salebridge::sandbox::faults::{RandomFaults, ServiceName};
use salebridge::sandbox::salebot::options::SalebotOptions;

pub fn amo_options(random: &mut Random) -> AmoOptions {
    let mut options = AmoOptions::default();
    let seed = random.next();
    options.listing.order = *random.pick(&[
        RowOrder::Id,
        RowOrder::UpdatedAscending,
        RowOrder::UpdatedDescending,
        RowOrder::Shuffled(seed),
    ]);
    options.listing.nothing_found = *random.pick(&[
        NothingFound::NoContent,
        NothingFound::NotModified,
        NothingFound::EmptyBody,
        NothingFound::EmptyItems,
    ]);
    options.listing.since_boundary = *random.pick(&[Boundary::Later, Boundary::SameOrLater]);
    options.listing.visible_after_ms = *random.pick(&[0, 0, 3_000, 20_000]);
    options.listing.search_visible_after_ms = *random.pick(&[0, 0, 5_000, 30_000]);
    options.shapes.empty = *random.pick(&[EmptyShape::Object, EmptyShape::List, EmptyShape::Null, EmptyShape::Absent]);
    options
}

/// How a bridge hears of what happens in amoCRM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listens {
    /// By polls alone: an account whose list of events is refused and that nobody subscribed.
    Polls,
    /// By its list of events too.
    Events,
    /// By webhooks too.
    Hooks,
}

/// Chosen apart from all else; what the pages leave open about webhooks and events is drawn with it.
pub fn listens(random: &mut Random, options: &mut AmoOptions) -> Listens {
    options.hooks.deletes_as_ids = random.chance(50);
    options.hooks.merges_tell_of_deletion = random.chance(50);
    options.hooks.merges_name_the_loser = random.chance(50);
    if random.chance(70) {
        // The documented waits are longer than a day here.
        options.hooks.retry_after_ms = [3_000, 15_000, 45_000, 90_000];
    }
    let listens = *random.pick(&[Listens::Polls, Listens::Events, Listens::Hooks, Listens::Hooks]);
    if listens == Listens::Hooks && random.chance(25) {
        options.hooks.events_refused_with = Some(*random.pick(&[402, 403, 404]));
    }
    listens
}

pub fn salebot_options(random: &mut Random) -> SalebotOptions {
    use salebridge::sandbox::salebot::options::{
        AbsentForm, Acknowledgement, ClearedForm, OrderVariables, TimeForm, VariablesForm,
    };
    SalebotOptions {
        acknowledgement: *random.pick(&[Acknowledgement::Json, Acknowledgement::Text]),
        variables_form: *random.pick(&[VariablesForm::Flat, VariablesForm::Wrapped]),
        absent: *random.pick(&[AbsentForm::NoneText, AbsentForm::Null, AbsentForm::EmptyText]),
        cleared: *random.pick(&[ClearedForm::Removed, ClearedForm::EmptyText]),
        time_form: *random.pick(&[TimeForm::UnixSeconds, TimeForm::NaiveText]),
        // The harder of what is not documented: who does not name what it wants gets nothing.
        order_variables: OrderVariables::Named,
        ..SalebotOptions::default()
    }
}

pub fn random_faults(random: &mut Random) -> RandomFaults {
    let mut faults = RandomFaults::seeded(random.next());
    let mut rate = |most: u64| random.below(most) as u16;
    faults.lost_request = rate(60);
    faults.lost_answer = rate(60);
    faults.slow = rate(60);
    faults.server_error = rate(60);
    faults.throttled = rate(30);
    faults.html = rate(40);
    faults.truncated = rate(40);
    faults.slow_ms = 45_000;
    faults
}

/// In some worlds a service refuses everything for a while, which may outlast the other faults.
pub fn refusals(random: &mut Random) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for service in [ServiceName::Amo, ServiceName::Salebot] {
        if random.chance(20) {
            let from = START_MS + random.between(0, 130_000);
            let longest = if random.chance(30) { 900_000 } else { 150_000 };
            let until = from + random.between(5_000, longest);
            let status = *random.pick(&[401, 403]);
            refusals.push(Refusal { service, status, from, until });
        }
    }
    refusals
}

pub fn timing(sweeps_often: bool, reads_events_often: bool) -> Timing {
    Timing {
        poll_contacts: "*/10 * * * * *".to_owned(),
        poll_leads: "*/10 * * * * *".to_owned(),
        sweep: if sweeps_often { "30 */7 * * * *" } else { "0 30 3 * * *" }.to_owned(),
        reconcile: "0 * * * * *".to_owned(),
        overlap_ms: 60_000,
        recheck_every_ms: if reads_events_often { 90_000 } else { 300_000 },
        recheck_window_ms: 600_000,
    }
}

/// Where messages are noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NotedOn {
    #[default]
    Contact,
    /// On the lead, and on the contact of who has none.
    Lead,
    Both,
}

/// What an operator decides otherwise than the policy of most worlds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Choices {
    /// Only who has a number or an address gets a contact.
    pub wants_number: bool,
    pub noted_on: NotedOn,
    /// Orders follow their leads and never lead.
    pub orders_follow: bool,
    /// A field of leads and a variable of clients are carried both ways.
    pub carries_source: bool,
    /// Leads make no orders, and people have several of them: variables of their clients speak of the newest open one.
    pub has_no_orders: bool,
    /// Owners are the other way round.
    pub owners_turned: bool,
    /// Each message is a note of its own.
    pub joins_nothing: bool,
    /// What a bot says is not noted.
    pub hears_people: bool,
    /// Numbers and job titles go to amoCRM, names and tags to Salebot, and none of them the other way.
    pub is_one_way: bool,
}

impl Choices {
    /// Half of the worlds have none; drawn apart from all else.
    pub fn drawn(random: &mut Random) -> Choices {
        if random.chance(50) {
            return Choices::default();
        }
        Choices {
            wants_number: random.chance(40),
            noted_on: *random.pick(&[NotedOn::Contact, NotedOn::Lead, NotedOn::Both]),
            orders_follow: random.chance(30),
            carries_source: random.chance(50),
            owners_turned: random.chance(40),
            joins_nothing: random.chance(30),
            has_no_orders: random.chance(25),
            hears_people: random.chance(25),
            is_one_way: random.chance(25),
        }
    }

    /// What of it may be decided otherwise from one start to the next, without changing what becomes of what came before.
    pub fn before_a_change(self) -> Choices {
        Choices {
            wants_number: self.wants_number,
            noted_on: self.noted_on,
            has_no_orders: self.has_no_orders,
            hears_people: self.hears_people,
            ..Choices::default()
        }
    }

    /// Into the policy.
    pub fn ordain(self, policy: &mut Policy) {
        if self.wants_number {
            policy.people.create_contact = CreateContact::WithPhoneOrEmail;
        }
        policy.notes.on_contact = self.noted_on != NotedOn::Lead;
        policy.notes.on_lead = self.noted_on != NotedOn::Contact;
        if self.orders_follow {
            policy.orders.direction = Direction::ToSalebot;
        }
        policy.orders.enabled &= !self.has_no_orders;
        if self.carries_source {
            let amo = format!("lead.field.{}", fixture::FIELD_LEAD_SOURCE);
            policy.rules.push(rule(&amo, &format!("client.{SOURCE}"), Direction::Both, Owner::Amo));
        }
        // Which client a contact names tells whose it is: the first one, here.
        let is_turned = |rule: &&mut Rule| self.owners_turned && rule.salebot.to_string() != "client.id";
        for rule in policy.rules.iter_mut().filter(is_turned) {
            rule.owner = if rule.owner == Owner::Amo { Owner::Salebot } else { Owner::Amo };
        }
        for rule in policy.rules.iter_mut().filter(|_| self.is_one_way) {
            rule.direction = match rule.salebot.to_string().as_str() {
                "client.phone" | "client.position" => Direction::ToAmo,
                "client.full" | "client.tags" => Direction::ToSalebot,
                _ => rule.direction,
            };
        }
        if self.hears_people {
            policy.notes.outgoing = Outgoing::Operator;
        }
        if self.joins_nothing {
            policy.notes.join_within_ms = 0;
        }
    }
}

/// The variable of [`Choices::carries_source`].
pub const SOURCE: &str = "source";

/// The last stage of the stages that are mapped.
pub const STAGE_LAST: u64 = 1002;

/// Events that start a bot, and the word before the record's id that it is started with.
pub const TOLD: [(TriggerEvent, &str); 4] = [
    (TriggerEvent::LeadStage, "moved"),
    (TriggerEvent::LeadCreated, "made"),
    (TriggerEvent::LeadDeleted, "deleted"),
    (TriggerEvent::ContactChanged, "changed"),
];

/// A trigger for each.
pub fn triggers() -> Vec<Trigger> {
    TOLD.map(trigger).to_vec()
}

fn trigger((on, word): (TriggerEvent, &str)) -> Trigger {
    let record = if on == TriggerEvent::ContactChanged { "contact" } else { "lead" };
    let status = (on == TriggerEvent::LeadStage).then_some(StatusId(STAGE_LAST));
    Trigger { on, pipeline: None, status, callback: format!("{word} {{{{ {record}.id }}}}") }
}

fn rule(amo: &str, salebot: &str, direction: Direction, owner: Owner) -> Rule {
    Rule { amo: amo.parse().unwrap(), salebot: salebot.parse().unwrap(), direction, owner }
}

pub fn policy(loads_clients: bool, callbacks: CallbackDelivery, starts_bots: bool) -> Policy {
    Policy {
        rules: vec![
            rule("contact.phone", "client.phone", Direction::Both, Owner::Amo),
            rule("contact.name", "client.full", Direction::Both, Owner::Amo),
            rule(
                &format!("contact.field.{}", fixture::FIELD_POSITION),
                "client.position",
                Direction::Both,
                Owner::Salebot,
            ),
            rule("contact.tags", "client.tags", Direction::Both, Owner::Amo),
            rule(&format!("contact.field.{}", fixture::FIELD_CLIENT_ID), "client.id", Direction::ToAmo, Owner::Amo),
            rule("lead.price", "order.budget", Direction::Both, Owner::Amo),
            rule("lead.name", "client.deal", Direction::ToSalebot, Owner::Amo),
        ],
        people: People {
            default_region: "RU".to_owned(),
            match_by: vec![MatchBy::Phone, MatchBy::Email],
            create_contact: CreateContact::Always,
            create_client: if loads_clients { CreateClient::LoadClients } else { CreateClient::Never },
            create_with: loads_clients.then(|| ClientChannel { group_id: "34810".to_owned(), client_type: 6 }),
        },
        orders: Orders {
            enabled: true,
            direction: Direction::Both,
            stages: [(1001, 37), (1002, 38)]
                .map(|(status, state)| StageRow {
                    pipeline: PipelineId(61),
                    status: StatusId(status),
                    state: StateId(state),
                })
                .to_vec(),
        },
        triggers: if starts_bots { triggers() } else { Vec::new() },
        callbacks,
        notes: Notes {
            on_contact: true,
            on_lead: false,
            incoming: true,
            outgoing: Outgoing::All,
            join_within_ms: 2_000,
            template: "{{ text }}".to_owned(),
        },
        guard: Guard { max_cleared_share: 0.2, max_cleared_min: 50, freeze_after_flips: 6 },
    }
}
