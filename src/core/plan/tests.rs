//! Properties of planning: it comes to rest, the order of input does not matter, and nothing that
//! somebody typed is dropped.

use super::arrival::{Arrival, Newcomer, arrive};
use super::deal::{self, DealSeen};
use super::ground::Ground;
use super::person::{self, ClientSeen, PersonSeen};
use crate::core::action::{Action, Edit, LinkRef};
use crate::core::apply;
use crate::core::id::{ClientId, ContactId, EnumId, FieldId, LeadId, OrderId, PipelineId, StateId, StatusId, UserId};
use crate::core::link::{ClientLink, DealLink};
use crate::core::model::{
    Account, Client, Contact, Element, FieldInfo, FieldKind, Lead, Order, OrderStatus, Pipeline, Variables,
};
use crate::core::policy::{
    CallbackDelivery, CreateClient, CreateContact, Direction, Guard, MatchBy, Notes, Orders, Outgoing, Owner, People,
    Policy, Rule, StageRow, Trigger, TriggerEvent,
};
use crate::core::time::Millis;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

mod inspect;
mod lists;
mod undo;
mod word;

const PHONE: FieldId = FieldId(1);
const EMAIL: FieldId = FieldId(2);
const POSITION: FieldId = FieldId(3);
const ADDRESS: FieldId = FieldId(4);
const LIST: FieldId = FieldId(5);
const CLIENT: FieldId = FieldId(6);

fn field(name: &str, kind: FieldKind, code: Option<&str>, choices: &[(u64, &str)]) -> FieldInfo {
    let choices = choices.iter().map(|(id, name)| (EnumId(*id), (*name).to_owned())).collect();
    FieldInfo { name: name.to_owned(), kind, code: code.map(str::to_owned), choices }
}

fn account() -> Account {
    let contact_fields = BTreeMap::from([
        (PHONE, field("Телефон", FieldKind::Multitext, Some("PHONE"), &[(21, "WORK"), (23, "MOB")])),
        (EMAIL, field("Email", FieldKind::Multitext, Some("EMAIL"), &[(31, "WORK")])),
        (POSITION, field("Должность", FieldKind::Text, None, &[])),
        (ADDRESS, field("Адрес", FieldKind::SmartAddress, None, &[])),
        (LIST, field("Интересы", FieldKind::Multiselect, None, &[(41, "red"), (42, "green"), (43, "blue")])),
        (CLIENT, field("Salebot", FieldKind::Text, None, &[])),
    ]);
    let statuses = BTreeMap::from([
        (StatusId(1001), "New".to_owned()),
        (StatusId(1002), "Talk".to_owned()),
        (StatusId::WON, "Won".to_owned()),
    ]);
    Account {
        id: 9,
        time_zone: "Europe/Moscow".to_owned(),
        contact_fields,
        lead_fields: BTreeMap::new(),
        users: BTreeMap::from([(UserId(7), "Olga".to_owned())]),
        pipelines: BTreeMap::from([(PipelineId(61), Pipeline { name: "Main".to_owned(), statuses })]),
    }
}

fn rule(amo: &str, salebot: &str, direction: Direction, owner: Owner) -> Rule {
    Rule { amo: amo.parse().unwrap(), salebot: salebot.parse().unwrap(), direction, owner }
}

fn ground(owner: Owner) -> Ground {
    let both = |amo: &str, salebot: &str| rule(amo, salebot, Direction::Both, owner);
    let policy = Policy {
        rules: vec![
            both("contact.phone", "client.phone"),
            both("contact.email", "client.email"),
            both("contact.name", "client.full"),
            both("contact.tags", "client.tags"),
            both("contact.field.3", "client.position"),
            both("contact.field.4.city", "client.city"),
            both("contact.field.4.zip", "client.zip"),
            both("contact.field.5", "client.interests"),
            rule("contact.field.6", "client.id", Direction::ToAmo, Owner::Amo),
            both("lead.price", "order.budget"),
            rule("lead.name", "client.deal", Direction::ToSalebot, Owner::Amo),
        ],
        people: People {
            default_region: "RU".to_owned(),
            match_by: vec![MatchBy::Phone, MatchBy::Email],
            create_contact: CreateContact::Always,
            create_client: CreateClient::Never,
            create_with: None,
        },
        orders: Orders {
            enabled: true,
            direction: Direction::Both,
            stages: vec![
                StageRow { pipeline: PipelineId(61), status: StatusId(1001), state: StateId(37) },
                StageRow { pipeline: PipelineId(61), status: StatusId(1002), state: StateId(38) },
            ],
        },
        triggers: vec![Trigger {
            on: TriggerEvent::LeadStage,
            pipeline: Some(PipelineId(61)),
            status: Some(StatusId(1002)),
            callback: "amo_state_changed {{ lead.pipeline }}:{{ lead.stage }}".to_owned(),
        }],
        callbacks: CallbackDelivery::AtMostOnce,
        notes: Notes {
            on_contact: true,
            on_lead: false,
            incoming: true,
            outgoing: Outgoing::All,
            join_within_ms: 0,
            template: "{{ text }}".to_owned(),
        },
        guard: Guard { max_cleared_share: 0.2, max_cleared_min: 50, freeze_after_flips: 6 },
    };
    let ground = Ground::new(policy, account());
    assert_eq!(ground.missing, Vec::<String>::new());
    ground
}

fn contact(id: u64) -> Contact {
    Contact {
        id: ContactId(id),
        name: "Anna Test".to_owned(),
        first_name: None,
        last_name: None,
        responsible: Some(UserId(7)),
        company: None,
        leads: BTreeSet::new(),
        tags: BTreeSet::new(),
        fields: BTreeMap::new(),
        created_at: 1_700_000_000,
        updated_at: 1_700_000_000,
    }
}

/// Both services in miniature: what a plan writes is there at once.
#[derive(Debug, Clone)]
struct World {
    contact: Contact,
    clients: BTreeMap<ClientId, (ClientLink, Variables)>,
}

impl World {
    fn plan(&self, ground: &Ground, reverse: bool) -> super::Plan {
        let mut seen: Vec<ClientSeen<'_>> =
            self.clients.values().map(|(link, variables)| ClientSeen { link, variables: Some(variables) }).collect();
        if reverse {
            seen.reverse();
        }
        person::plan(ground, PersonSeen { contact: &self.contact, clients: &seen, in_doubt: &[] })
    }

    fn carry_out(&mut self, plan: super::Plan) {
        for (link, rule, base) in plan.bases {
            let LinkRef::Client(id) = link else { panic!("a person's plan changes a deal") };
            self.clients.get_mut(&id).unwrap().0.bases.insert(rule, base);
        }
        for (_, action) in plan.actions {
            match &action {
                Action::UpdateContact { edits, .. } => apply::to_contact(&mut self.contact, edits),
                Action::SaveVariables { client, variables, .. } => {
                    let (_, held) = self.clients.get_mut(client).unwrap();
                    for (name, value) in variables {
                        if value.is_empty() {
                            held.remove(name)
                        } else {
                            held.insert(name.clone(), value.clone())
                        };
                    }
                }
                other => panic!("a person's plan holds {other:?}"),
            }
            for confirm in action.confirms() {
                let LinkRef::Client(id) = confirm.link else { panic!("a person's plan confirms a deal") };
                self.clients.get_mut(&id).unwrap().0.bases.insert(confirm.rule.clone(), confirm.base.clone());
            }
        }
    }

    /// Plans and carries out until nothing is left to do.
    fn settle(&mut self, ground: &Ground) {
        for _ in 0..6 {
            let plan = self.plan(ground, false);
            if plan.is_quiet() {
                self.carry_out(plan);
                assert!(self.plan(ground, false).is_quiet(), "a quiet plan is followed by a busy one");
                return;
            }
            self.carry_out(plan);
        }
        panic!("planning does not come to rest: {:#?}", self.plan(ground, false));
    }
}

#[derive(Debug, Clone)]
enum Deed {
    Rename(String),
    Phones(Vec<String>),
    Tags(BTreeSet<String>),
    Position(Option<String>),
    City(Option<String>),
    Choices(Vec<u64>),
    Variable(u64, &'static str, Option<String>),
}

fn deed() -> impl Strategy<Value = Deed> {
    let phone = prop::sample::select(vec!["+7 999 000-00-01", "89990000002", "79990000003", "+375291234567"])
        .prop_map(str::to_owned);
    let word = prop::sample::select(vec!["vip", "new", "Old", "хит"]).prop_map(str::to_owned);
    let text =
        prop::sample::select(vec!["Anna", "Анна Тест", "boss", "clerk 😀", "  spaced  out "]).prop_map(str::to_owned);
    let variable = prop_oneof![
        (Just("phone"), prop::option::of(phone.clone())),
        (Just("position"), prop::option::of(text.clone())),
        (Just("full"), prop::option::of(text.clone())),
        (Just("city"), prop::option::of(text.clone())),
        (Just("zip"), prop::option::of(Just("101010".to_owned()))),
        (Just("tags"), prop::option::of(prop::collection::vec(word.clone(), 1..3).prop_map(|words| words.join(",")))),
        (Just("interests"), prop::option::of(Just("red, blue".to_owned()))),
        (Just("interests"), Just(Some("purple".to_owned()))),
    ];
    prop_oneof![
        text.clone().prop_map(Deed::Rename),
        prop::collection::vec(phone, 0..4).prop_map(Deed::Phones),
        prop::collection::btree_set(word, 0..3).prop_map(Deed::Tags),
        prop::option::of(text.clone()).prop_map(Deed::Position),
        prop::option::of(text).prop_map(Deed::City),
        prop::sample::subsequence(vec![41, 42, 43], 0..3).prop_map(Deed::Choices),
        (5..7_u64, variable).prop_map(|(client, (name, value))| Deed::Variable(client, name, value)),
    ]
}

fn texts(elements: &[&str]) -> Vec<Element> {
    elements.iter().map(|text| Element::text(*text)).collect()
}

fn put(contact: &mut Contact, id: FieldId, elements: Vec<Element>) {
    if elements.is_empty() {
        contact.fields.remove(&id)
    } else {
        contact.fields.insert(id, elements)
    };
}

fn perform(world: &mut World, deed: Deed) {
    match deed {
        Deed::Rename(name) => world.contact.name = name,
        Deed::Phones(phones) => put(&mut world.contact, PHONE, phones.iter().map(Element::text).collect()),
        Deed::Tags(tags) => world.contact.tags = tags,
        Deed::Position(text) => put(&mut world.contact, POSITION, text.iter().map(Element::text).collect()),
        Deed::City(text) => {
            let mut parts: Vec<Element> = world.contact.fields.get(&ADDRESS).cloned().unwrap_or_default();
            parts.retain(|part| part.part != Some(crate::core::selector::AddressPart::City));
            parts.extend(
                text.map(|text| Element {
                    part: Some(crate::core::selector::AddressPart::City),
                    ..Element::text(text)
                }),
            );
            put(&mut world.contact, ADDRESS, parts);
        }
        Deed::Choices(ids) => {
            let name = |id: u64| account().contact_fields[&LIST].choices[&EnumId(id)].clone();
            put(
                &mut world.contact,
                LIST,
                ids.iter().map(|id| Element { choice: Some(EnumId(*id)), ..Element::text(name(*id)) }).collect(),
            );
        }
        Deed::Variable(client, name, value) => {
            if let Some((_, variables)) = world.clients.get_mut(&ClientId(client)) {
                match value {
                    Some(value) => variables.insert(name.to_owned(), value),
                    None => variables.remove(name),
                };
            }
        }
    }
}

fn world(clients: u64) -> World {
    let link = |id: u64| ClientLink { contact: Some(ContactId(101)), ..ClientLink::new(Client::unknown(ClientId(id))) };
    World {
        contact: contact(101),
        clients: (5..5 + clients).map(|id| (ClientId(id), (link(id), Variables::new()))).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn planning_comes_to_rest_whatever_people_do(
        clients in 1..3_u64,
        salebot_owns in any::<bool>(),
        bursts in prop::collection::vec(prop::collection::vec(deed(), 1..4), 1..6),
    ) {
        let ground = ground(if salebot_owns { Owner::Salebot } else { Owner::Amo });
        let mut world = world(clients);
        for burst in bursts {
            for deed in burst {
                perform(&mut world, deed);
            }
            world.settle(&ground);
        }
    }

    #[test]
    fn the_order_of_clients_does_not_matter(deeds in prop::collection::vec(deed(), 1..8)) {
        let ground = ground(Owner::Amo);
        let mut world = world(2);
        for deed in deeds {
            perform(&mut world, deed);
        }
        prop_assert_eq!(world.plan(&ground, false), world.plan(&ground, true));
    }

    #[test]
    fn what_a_manager_typed_into_a_list_stays_unless_a_person_edits_that_very_element(deeds in prop::collection::vec(deed(), 1..8)) {
        let ground = ground(Owner::Salebot);
        let mut world = world(1);
        put(&mut world.contact, PHONE, texts(&["+79990000011", "+79990000012"]));
        world.contact.tags = BTreeSet::from(["typed".to_owned()]);
        world.settle(&ground);
        for deed in deeds {
            if matches!(deed, Deed::Variable(..)) {
                perform(&mut world, deed);
                world.settle(&ground);
            }
        }
        let phones = &world.contact.fields[&PHONE];
        prop_assert!(phones.iter().any(|phone| phone.value == "+79990000012"), "{:?}", phones);
        prop_assert!(world.contact.tags.contains("typed"), "{:?}", world.contact.tags);
    }
}

#[test]
fn parts_of_one_address_travel_in_one_edit() {
    let ground = ground(Owner::Amo);
    let mut world = world(1);
    perform(&mut world, Deed::Variable(5, "city", Some("Москва".to_owned())));
    perform(&mut world, Deed::Variable(5, "zip", Some("101010".to_owned())));
    let plan = world.plan(&ground, false);
    let edits = plan.actions.iter().find_map(|(_, action)| {
        if let Action::UpdateContact { edits, .. } = action { Some(edits.clone()) } else { None }
    });
    let edits = edits.unwrap();
    let address: Vec<&Edit> = edits.iter().filter(|edit| matches!(edit, Edit::Field { id: ADDRESS, .. })).collect();
    assert!(matches!(address.as_slice(), [Edit::Field { elements, .. }] if elements.len() == 2), "{address:?}");
}

#[test]
fn an_edited_phone_keeps_its_kind_by_name() {
    let ground = ground(Owner::Amo);
    let mut world = world(1);
    let phone = |value: &str, kind| Element { choice: Some(EnumId(kind)), ..Element::text(value) };
    put(&mut world.contact, PHONE, vec![phone("+79990000011", 21), phone("+79990000012", 23)]);
    world.settle(&ground);
    perform(&mut world, Deed::Variable(5, "phone", Some("+79990000001".to_owned())));
    let plan = world.plan(&ground, false);
    let (_, Action::UpdateContact { edits, .. }) = &plan.actions[0] else { panic!("{plan:?}") };
    let [Edit::Field { elements, .. }] = edits.as_slice() else { panic!("{edits:?}") };
    let told: Vec<_> = elements.iter().map(|element| (element.value.as_str(), element.code.as_deref())).collect();
    assert_eq!(told, [("+79990000001", Some("WORK")), ("+79990000012", Some("MOB"))]);
}

fn newcomer<'a>(
    client: &'a Client,
    variables: &'a Variables,
    candidates: &'a [Contact],
    being_made: &'a BTreeSet<crate::core::people::MatchKey>,
) -> Newcomer<'a> {
    Newcomer { client, variables, candidates, being_made, now: Millis(1_700_000_000_000) }
}

#[test]
fn a_newcomer_is_matched_exactly_or_made_once() {
    let ground = ground(Owner::Amo);
    let client = Client { name: Some("Анна 😀".to_owned()), ..Client::unknown(ClientId(5)) };
    let variables = Variables::from([("phone".to_owned(), "89990000001".to_owned())]);
    let mut known = contact(101);
    put(&mut known, PHONE, texts(&["+7 (999) 000-00-01"]));
    let mut similar = contact(100);
    put(&mut similar, PHONE, texts(&["+79990000010"]));
    let none = BTreeSet::new();
    let candidates = [similar.clone(), known];
    let found = arrive(&ground, newcomer(&client, &variables, &candidates, &none));
    assert_eq!(found, Arrival::Known { contact: ContactId(101), others: Vec::new() });
    let candidates = [similar];
    let Arrival::New(action) = arrive(&ground, newcomer(&client, &variables, &candidates, &none)) else {
        panic!("no contact is made")
    };
    let Action::CreateContact { edits, keys, clients, .. } = action.as_ref() else { panic!("{action:?}") };
    assert!(edits.contains(&Edit::Name("Анна".to_owned())));
    assert!(
        edits.iter().any(|edit| matches!(edit, Edit::Field { id: CLIENT, elements, .. } if elements[0].value == "5"))
    );
    assert_eq!(*clients, BTreeSet::from([ClientId(5)]));
    let soon = arrive(&ground, newcomer(&client, &variables, &candidates, keys));
    assert_eq!(soon, Arrival::Soon);
}

#[test]
fn group_chats_and_the_policy_make_nobody() {
    let mut ground = ground(Owner::Amo);
    let (variables, none) = (Variables::new(), BTreeSet::new());
    let group = Client { messenger: Some(1), platform_id: Some("-100123".to_owned()), ..Client::unknown(ClientId(5)) };
    assert_eq!(arrive(&ground, newcomer(&group, &variables, &[], &none)), Arrival::Nobody);
    ground.policy.people.create_contact = CreateContact::WithPhoneOrEmail;
    let person = Client::unknown(ClientId(6));
    assert_eq!(arrive(&ground, newcomer(&person, &variables, &[], &none)), Arrival::Nobody);
    let variables = Variables::from([("email".to_owned(), "a@example.test".to_owned())]);
    assert!(matches!(arrive(&ground, newcomer(&person, &variables, &[], &none)), Arrival::New(_)));
}

fn lead() -> Lead {
    Lead {
        id: LeadId(301),
        name: "Deal".to_owned(),
        price: 1_000,
        pipeline: PipelineId(61),
        status: StatusId(1001),
        responsible: Some(UserId(7)),
        tags: BTreeSet::new(),
        main_contact: Some(ContactId(101)),
        contacts: BTreeSet::from([ContactId(101)]),
        fields: BTreeMap::new(),
        is_deleted: false,
        created_at: 1_700_000_000,
        updated_at: 1_700_000_000,
    }
}

fn seen<'a>(
    lead: &'a Lead,
    link: Option<&'a DealLink>,
    client: &'a ClientLink,
    order: Option<&'a Order>,
) -> DealSeen<'a> {
    DealSeen {
        lead,
        link,
        contact: None,
        client: Some(client),
        variables: None,
        order,
        order_status: None,
        is_current: true,
        siblings: &[],
        is_news: false,
        in_doubt: &[],
    }
}

fn names(plan: &super::Plan) -> Vec<&'static str> {
    plan.actions.iter().map(|(_, action)| action.name()).collect()
}

#[test]
fn one_lead_makes_one_order_and_its_stage_follows() {
    let ground = ground(Owner::Amo);
    let client = ClientLink { contact: Some(ContactId(101)), ..ClientLink::new(Client::unknown(ClientId(5))) };
    let mut lead = lead();
    let (plan, link) = deal::plan(&ground, seen(&lead, None, &client, None));
    assert_eq!(names(&plan), ["save_variables", "create_order"]);
    let (plan, link) = deal::plan(&ground, seen(&lead, Some(&link), &client, None));
    assert!(!names(&plan).contains(&"create_order"));
    // The stage moves before the order is there: it is not forgotten.
    lead.status = StatusId(1002);
    let (plan, mut link) = deal::plan(&ground, seen(&lead, Some(&link), &client, None));
    assert_eq!(names(&plan), ["save_variables", "callback"]);
    link.order = Some(OrderId(77));
    let order =
        Order { state: Some(StateId(37)), variables: Variables::from([("budget".to_owned(), "1000".to_owned())]) };
    let (plan, link) = deal::plan(&ground, seen(&lead, Some(&link), &client, Some(&order)));
    assert_eq!(names(&plan), ["set_order_state", "save_variables"]);
    let (plan, _) = deal::plan(&ground, seen(&lead, Some(&link), &client, Some(&order)));
    assert_eq!(names(&plan), ["set_order_state", "save_variables"], "planned until it is confirmed, callbacks once");
}

#[test]
fn what_is_edited_in_a_new_order_is_news_from_its_first_moment_on() {
    let ground = ground(Owner::Amo);
    let client = ClientLink { contact: Some(ContactId(101)), ..ClientLink::new(Client::unknown(ClientId(5))) };
    let lead = lead();
    let (plan, mut link) = deal::plan(&ground, seen(&lead, None, &client, None));
    let made = plan.actions.iter().find(|(_, action)| action.name() == "create_order").expect("an order");
    for confirm in made.1.confirms() {
        link.bases.insert(confirm.rule.clone(), confirm.base.clone());
    }
    link.order = Some(OrderId(77));
    let edited =
        Order { state: Some(StateId(37)), variables: Variables::from([("budget".to_owned(), "1500".to_owned())]) };
    let (plan, _) = deal::plan(&ground, seen(&lead, Some(&link), &client, Some(&edited)));
    let edits = plan.actions.iter().find_map(|(_, action)| match action {
        Action::UpdateLead { edits, .. } => Some(edits.clone()),
        _ => None,
    });
    assert_eq!(edits, Some(vec![Edit::Price(1_500)]), "amoCRM owns the pair, and has not changed");
    assert!(!names(&plan).contains(&"set_order_variables"));
}

#[test]
fn a_first_import_starts_no_bots() {
    let ground = ground(Owner::Amo);
    let client = ClientLink { contact: Some(ContactId(101)), ..ClientLink::new(Client::unknown(ClientId(5))) };
    let lead = Lead { status: StatusId(1002), ..lead() };
    let (plan, _) = deal::plan(&ground, seen(&lead, None, &client, None));
    assert!(!names(&plan).contains(&"callback"));
}

#[test]
fn closed_leads_get_no_order_and_a_won_one_tells_the_bot() {
    let ground = ground(Owner::Amo);
    let client = ClientLink { contact: Some(ContactId(101)), ..ClientLink::new(Client::unknown(ClientId(5))) };
    let won = Lead { status: StatusId::WON, ..lead() };
    let (plan, _) = deal::plan(&ground, seen(&won, None, &client, None));
    assert!(!names(&plan).contains(&"create_order"));
    let (_, link) = deal::plan(&ground, seen(&lead(), None, &client, None));
    let (plan, _) = deal::plan(&ground, seen(&won, Some(&link), &client, None));
    let texts: Vec<_> = plan
        .actions
        .iter()
        .filter_map(|(_, action)| if let Action::Callback { text, .. } = action { Some(text.as_str()) } else { None })
        .collect();
    assert_eq!(texts, ["amo_lead_won 301"]);
}

/// A lead whose order is made, and how both stand.
struct Deal {
    ground: Ground,
    client: ClientLink,
    lead: Lead,
    link: DealLink,
    order: Order,
    status: Option<OrderStatus>,
}

impl Deal {
    fn settled() -> Deal {
        let ground = ground(Owner::Amo);
        let client = ClientLink { contact: Some(ContactId(101)), ..ClientLink::new(Client::unknown(ClientId(5))) };
        let lead = lead();
        let (_, mut link) = deal::plan(&ground, seen(&lead, None, &client, None));
        link.order = Some(OrderId(77));
        let variables = Variables::from([("budget".to_owned(), "1000".to_owned())]);
        let order = Order { state: Some(StateId(37)), variables };
        let mut deal = Deal { ground, client, lead, link, order, status: Some(OrderStatus::Active) };
        deal.carry_out();
        deal
    }

    fn plan(&self) -> (super::Plan, DealLink) {
        let seen = seen(&self.lead, Some(&self.link), &self.client, Some(&self.order));
        deal::plan(&self.ground, DealSeen { order_status: self.status, ..seen })
    }

    /// Plans and carries out; returns what was done with stages and callbacks.
    fn carry_out(&mut self) -> Vec<String> {
        let (plan, link) = self.plan();
        self.link = link;
        let mut done = Vec::new();
        for (_, action) in &plan.actions {
            match action {
                Action::SetOrderState { state, .. } => {
                    self.order.state = Some(*state);
                    done.push(format!("order to {state}"));
                }
                Action::UpdateLead { edits, .. } => {
                    apply::to_lead(&mut self.lead, edits);
                    if let Some(Edit::Stage { pipeline, status }) = edits.first() {
                        self.link.stage = Some((*pipeline, *status));
                        done.push(format!("lead to {status}"));
                    }
                }
                Action::Callback { text, .. } => done.push(text.clone()),
                _ => {}
            }
            for confirm in action.confirms() {
                self.link.bases.insert(confirm.rule.clone(), confirm.base.clone());
            }
        }
        done
    }
}

#[test]
fn an_order_that_is_moved_moves_its_lead_and_starts_no_bot() {
    let mut deal = Deal::settled();
    assert!(deal.carry_out().is_empty());
    deal.order.state = Some(StateId(38));
    assert_eq!(deal.carry_out(), ["lead to 1002"]);
    assert!(deal.carry_out().is_empty(), "our own move is no news");
    deal.lead.status = StatusId(1001);
    assert_eq!(deal.carry_out(), ["order to 37"]);
    deal.lead.status = StatusId(1002);
    assert_eq!(deal.carry_out(), ["order to 38", "amo_state_changed Main:Talk"]);
    assert!(deal.carry_out().is_empty());
}

#[test]
fn of_two_moves_the_leads_stands_and_the_other_is_kept_in_the_journal() {
    let mut deal = Deal::settled();
    deal.ground.policy.orders.stages.push(StageRow {
        pipeline: PipelineId(61),
        status: StatusId(1003),
        state: StateId(39),
    });
    deal.order.state = Some(StateId(39));
    deal.lead.status = StatusId(1002);
    let (plan, _) = deal.plan();
    assert_eq!(plan.notices.iter().map(|notice| notice.kind).collect::<Vec<_>>(), ["conflict"]);
    assert_eq!(deal.carry_out()[0], "order to 38");
    assert!(deal.carry_out().is_empty());
}

#[test]
fn a_stage_that_the_table_does_not_know_is_no_news() {
    let mut deal = Deal::settled();
    deal.order.state = Some(StateId(99));
    assert!(deal.carry_out().is_empty());
    deal.lead.status = StatusId(1002);
    assert_eq!(deal.carry_out()[0], "order to 38", "it is moved from there all the same");
    deal.lead.status = StatusId(1009);
    assert!(deal.carry_out().is_empty());
    deal.order.state = Some(StateId(37));
    assert_eq!(deal.carry_out(), ["lead to 1001"]);
}

#[test]
fn a_lead_met_on_an_unknown_stage_follows_its_order_from_then_on() {
    let mut deal = Deal::settled();
    (deal.lead.status, deal.order.state) = (StatusId(1009), Some(StateId(37)));
    (deal.link.state, deal.link.stage) = (None, Some((PipelineId(61), StatusId(1009))));
    deal.link.bases.clear();
    assert!(deal.carry_out().is_empty(), "where the order stands at first is no news");
    deal.order.state = Some(StateId(38));
    assert_eq!(deal.carry_out(), ["lead to 1002"]);
}

#[test]
fn a_closed_order_closes_its_lead_and_opens_none() {
    let mut deal = Deal::settled();
    deal.status = Some(OrderStatus::Won);
    assert_eq!(deal.carry_out(), ["lead to 142"]);
    assert!(deal.carry_out().is_empty(), "the bot that closed it is not told");
    deal.status = Some(OrderStatus::Active);
    deal.order.state = Some(StateId(38));
    assert!(deal.carry_out().is_empty(), "people open it again");
    let mut deal = Deal::settled();
    deal.status = Some(OrderStatus::Lost);
    assert_eq!(deal.carry_out(), ["lead to 143"]);
    let mut deal = Deal::settled();
    deal.lead.status = StatusId::LOST;
    assert_eq!(deal.carry_out(), ["amo_lead_lost 301"]);
    assert!(deal.carry_out().is_empty());
    deal.lead.status = StatusId(1002);
    assert_eq!(deal.carry_out()[0], "order to 38", "opened again by a person");
}

#[test]
fn orders_that_only_follow_move_no_lead() {
    let mut deal = Deal::settled();
    deal.ground.policy.orders.direction = Direction::ToSalebot;
    deal.order.state = Some(StateId(38));
    deal.status = Some(OrderStatus::Won);
    assert!(deal.carry_out().is_empty());
    deal.lead.status = StatusId(1002);
    assert_eq!(deal.carry_out()[0], "order to 38");
}
