//! Pairs of a lead with its client's variables, which speak of one lead of the contact at a time.

use super::*;
use crate::core::flips::Flips;
use crate::core::link::Base;
use crate::core::plan::deal::next_speaker;

/// Two leads of one contact, its client and that one's variables.
struct Talk {
    ground: Ground,
    client: ClientLink,
    leads: BTreeMap<LeadId, (Lead, Option<DealLink>)>,
    variables: Variables,
}

impl Talk {
    fn new() -> Talk {
        Talk::of(Direction::Both)
    }

    fn owned_by_salebot() -> Talk {
        let mut talk = Talk::new();
        talk.ground.lead_rules.iter_mut().for_each(|rule| rule.rule.owner = Owner::Salebot);
        talk
    }

    fn of(direction: Direction) -> Talk {
        let orders = Orders { enabled: false, ..ground(Owner::Amo).policy.orders };
        let rules = vec![rule("lead.price", "client.sum", direction, Owner::Amo)];
        let ground = Ground::new(Policy { rules, orders, ..ground(Owner::Amo).policy }, account());
        let client = ClientLink { contact: Some(ContactId(101)), ..ClientLink::new(Client::unknown(ClientId(5))) };
        Talk { ground, client, leads: BTreeMap::new(), variables: Variables::new() }
    }

    fn make(&mut self, id: u64, price: i64) {
        self.leads.insert(LeadId(id), (Lead { id: LeadId(id), price, ..lead() }, None));
        self.look(id);
    }

    fn deals(&self) -> Vec<DealLink> {
        self.leads.values().filter_map(|(_, link)| link.clone()).collect()
    }

    /// Looks at a lead until nothing is left to do.
    fn look(&mut self, id: u64) {
        for _ in 0..4 {
            let (lead, link) = self.leads[&LeadId(id)].clone();
            let deals = self.deals();
            let seen = DealSeen {
                variables: Some(&self.variables),
                is_current: deal::is_current(&lead, Some(&self.client), &deals),
                siblings: &deals,
                ..seen(&lead, link.as_ref(), &self.client, None)
            };
            let (plan, mut link) = deal::plan(&self.ground, seen);
            let mut lead = lead.clone();
            for (_, action) in &plan.actions {
                match action {
                    Action::UpdateLead { edits, .. } => apply::to_lead(&mut lead, edits),
                    Action::SaveVariables { variables, .. } => self.variables.extend(variables.clone()),
                    other => panic!("{other:?}"),
                }
                for confirm in action.confirms() {
                    let flips = Flips { last: Some(action.side()), ..Flips::default() };
                    link.bases.insert(confirm.rule.clone(), Base { flips, ..confirm.base.clone() });
                }
            }
            self.leads.insert(LeadId(id), (lead, Some(link)));
        }
    }

    /// Another client of the contact talks from now on; the variables of the one that did are given back.
    fn turn_to(&mut self, client: u64, variables: Variables) -> Variables {
        self.client.client.id = ClientId(client);
        std::mem::replace(&mut self.variables, variables)
    }

    fn close(&mut self, id: u64) {
        self.leads.get_mut(&LeadId(id)).unwrap().0.status = StatusId::WON;
        self.look(id);
    }

    fn price(&self, id: u64) -> i64 {
        self.leads[&LeadId(id)].0.price
    }

    fn says(&self, name: &str) -> &str {
        &self.variables[name]
    }
}

#[test]
fn what_a_newer_lead_said_is_not_written_to_the_older_one_once_it_is_closed() {
    let mut talk = Talk::new();
    talk.make(1, 50_000);
    assert_eq!(talk.says("sum"), "50000");
    talk.make(2, 1_000);
    assert_eq!((talk.says("sum"), talk.says("amo_lead_id")), ("1000", "2"));
    talk.close(2);
    assert_eq!(next_speaker(talk.leads[&LeadId(2)].1.as_ref().unwrap(), &talk.deals()), Some(LeadId(1)));
    talk.look(1);
    assert_eq!((talk.price(1), talk.price(2)), (50_000, 1_000));
    assert_eq!((talk.says("sum"), talk.says("amo_lead_id")), ("50000", "1"));
    // It has the word: what a bot says from now on is about it.
    talk.variables.insert("sum".to_owned(), "60000".to_owned());
    talk.look(1);
    assert_eq!(talk.price(1), 60_000);
    // And so it goes on when the newer one is opened again.
    talk.leads.get_mut(&LeadId(2)).unwrap().0.status = StatusId(1001);
    talk.look(2);
    assert_eq!((talk.price(2), talk.says("sum"), talk.says("amo_lead_id")), (1_000, "1000", "2"));
}

#[test]
fn what_was_never_told_to_a_client_is_not_cleared_in_the_lead() {
    let mut talk = Talk::new();
    talk.make(1, 50_000);
    talk.client.client.id = ClientId(6);
    talk.variables = Variables::from([("amo_lead_id".to_owned(), "9".to_owned())]);
    talk.look(1);
    assert_eq!(talk.price(1), 50_000);
    assert_eq!((talk.says("sum"), talk.says("amo_lead_id")), ("50000", "1"));
    assert_eq!(talk.leads[&LeadId(1)].1.as_ref().unwrap().client, Some(ClientId(6)));
}

#[test]
fn a_new_lead_does_not_get_what_the_older_one_said() {
    let mut talk = Talk::new();
    talk.make(1, 50_000);
    talk.make(2, 0);
    assert_eq!((talk.price(1), talk.price(2)), (50_000, 0));
    assert_eq!((talk.says("sum"), talk.says("amo_lead_id")), ("0", "2"));
}

/// A bot had it made.
fn made_by_a_bot(talk: &mut Talk, id: u64) {
    let link = DealLink { contact: Some(ContactId(101)), client: Some(ClientId(5)), ..DealLink::new(LeadId(id)) };
    talk.leads.insert(LeadId(id), (Lead { id: LeadId(id), price: 0, ..lead() }, Some(link)));
    talk.look(id);
}

#[test]
fn nor_does_one_that_a_bot_had_made() {
    let mut talk = Talk::new();
    talk.make(1, 50_000);
    made_by_a_bot(&mut talk, 2);
    assert_eq!((talk.price(1), talk.price(2), talk.says("sum")), (50_000, 0, "0"));
}

#[test]
fn what_a_bot_said_before_it_had_a_lead_made_is_about_that_one_too() {
    let mut talk = Talk::new();
    talk.make(1, 50_000);
    talk.variables.insert("sum".to_owned(), "700".to_owned());
    talk.look(1);
    made_by_a_bot(&mut talk, 2);
    assert_eq!((talk.price(1), talk.price(2), talk.says("sum")), (700, 700, "700"));
}

#[test]
fn a_new_lead_gets_what_a_bot_noted_for_it() {
    let mut talk = Talk::new();
    talk.make(1, 50_000);
    talk.variables.insert("sum".to_owned(), "700".to_owned());
    talk.make(2, 0);
    assert_eq!((talk.price(2), talk.says("sum"), talk.says("amo_lead_id")), (700, "700", "2"));
}

#[test]
fn a_new_lead_gets_what_is_known_of_its_client() {
    let mut talk = Talk::of(Direction::ToAmo);
    talk.variables = Variables::from([("sum".to_owned(), "700".to_owned())]);
    talk.make(1, 0);
    talk.make(2, 0);
    assert_eq!((talk.price(1), talk.price(2)), (700, 700));
}

#[test]
fn what_a_lead_said_that_went_to_another_contact_is_not_written_to_the_one_that_stays() {
    let mut talk = Talk::new();
    talk.make(1, 50_000);
    talk.make(2, 1_000);
    let (_, left) = talk.leads.remove(&LeadId(2)).unwrap();
    let stays = talk.deals();
    let overtaken: Vec<LeadId> = deal::outspoken(&left.unwrap(), &stays).map(|deal| deal.lead).collect();
    assert_eq!(overtaken, [LeadId(1)]);
    talk.leads.get_mut(&LeadId(1)).unwrap().1.as_mut().unwrap().spoke = 0;
    talk.look(1);
    assert_eq!((talk.price(1), talk.says("sum"), talk.says("amo_lead_id")), (50_000, "50000", "1"));
}

#[test]
fn what_another_lead_left_in_the_variables_of_its_new_client_is_not_written_to_one_that_came_later() {
    let mut talk = Talk::owned_by_salebot();
    talk.make(1, 50_000);
    let came = talk.leads.remove(&LeadId(1)).unwrap();
    // With this contact another lead has the word; the one that comes had it before, with its former client.
    talk.client.client.id = ClientId(6);
    talk.variables = Variables::new();
    talk.make(2, 1_000);
    talk.leads.insert(LeadId(1), came);
    talk.look(1);
    assert_eq!((talk.says("sum"), talk.says("amo_lead_id")), ("1000", "2"));
    talk.close(2);
    talk.look(1);
    assert_eq!((talk.price(1), talk.says("sum"), talk.says("amo_lead_id")), (50_000, "50000", "1"));
}

#[test]
fn what_one_clients_bot_says_of_a_new_lead_was_not_left_there_by_the_lead_of_another_client() {
    let mut talk = Talk::new();
    talk.make(1, 50_000);
    talk.turn_to(6, Variables::from([("sum".to_owned(), "50000".to_owned())]));
    talk.make(2, 0);
    assert_eq!((talk.price(1), talk.price(2), talk.says("sum")), (50_000, 50_000, "50000"));
}

#[test]
fn what_a_client_says_of_its_lead_while_that_of_another_one_has_the_word_is_not_overwritten() {
    let mut talk = Talk::new();
    talk.make(1, 100);
    let first = talk.turn_to(6, Variables::new());
    talk.make(2, 7);
    // The first one's bot says something that nobody asks for yet.
    let second = talk.turn_to(5, first);
    talk.variables.insert("sum".to_owned(), "150".to_owned());
    let first = talk.turn_to(6, second);
    talk.close(2);
    talk.turn_to(5, first);
    talk.look(1);
    assert_eq!((talk.price(1), talk.price(2), talk.says("sum")), (150, 7, "150"));
}

#[test]
fn an_order_that_was_given_to_another_contact_has_left_nothing_with_that_ones_client() {
    let mut talk = Talk::new();
    let order = DealLink {
        ordered: true,
        spoke: 1,
        contact: Some(ContactId(101)),
        client: Some(ClientId(9)),
        ..DealLink::new(LeadId(1))
    };
    let left =
        Base { salebot: Some(vec!["700".to_owned()]), sent_salebot: vec![vec!["700".to_owned()]], ..Base::default() };
    let order = DealLink { bases: [("lead.price=client.sum".to_owned(), left)].into(), ..order };
    talk.leads.insert(LeadId(1), (Lead { id: LeadId(1), price: 700, status: StatusId::WON, ..lead() }, Some(order)));
    talk.variables = Variables::from([("sum".to_owned(), "700".to_owned())]);
    talk.make(2, 0);
    assert_eq!((talk.price(2), talk.says("sum")), (700, "700"));
}

#[test]
fn what_waits_for_the_former_client_is_not_told_once_the_lead_has_another_one() {
    let mut talk = Talk::new();
    talk.make(1, 50_000);
    talk.turn_to(6, Variables::new());
    let (lead, link) = talk.leads[&LeadId(1)].clone();
    let look = |link: &DealLink| {
        let variables = Variables::new();
        let seen =
            DealSeen { variables: Some(&variables), is_current: true, ..seen(&lead, Some(link), &talk.client, None) };
        (deal::former_client(&seen), deal::plan(&talk.ground, seen))
    };
    let (former, (plan, next)) = look(link.as_ref().unwrap());
    assert_eq!(former, Some(ClientId(5)));
    assert!(plan.emptied.contains(&"client:5/lead:1".to_owned()), "{:?}", plan.emptied);
    let (former, (plan, _)) = look(&next);
    assert_eq!(former, None);
    assert!(!plan.emptied.contains(&"client:6/lead:1".to_owned()), "{:?}", plan.emptied);
}

#[test]
fn a_pair_that_is_taken_out_while_its_lead_changes_clients_begins_anew_once_it_is_back() {
    let mut talk = Talk::new();
    talk.make(1, 50_000);
    let rules = std::mem::take(&mut talk.ground.lead_rules);
    talk.turn_to(6, Variables::from([("sum".to_owned(), "70".to_owned())]));
    talk.look(1);
    talk.ground.lead_rules = rules;
    talk.look(1);
    assert_eq!((talk.price(1), talk.says("sum")), (50_000, "50000"), "no edit of what was agreed on with another one");
}

#[test]
fn what_was_said_of_the_older_lead_replaces_nothing_in_a_new_one() {
    let mut talk = Talk::owned_by_salebot();
    talk.make(1, 50_000);
    talk.variables.insert("sum".to_owned(), "700".to_owned());
    talk.make(2, 1_000);
    assert_eq!((talk.price(2), talk.says("sum")), (1_000, "1000"));
}

#[test]
fn a_client_of_another_contact_is_told_nothing() {
    let mut talk = Talk::new();
    talk.client.contact = Some(ContactId(102));
    talk.make(1, 50_000);
    assert_eq!(talk.variables, Variables::new());
}
