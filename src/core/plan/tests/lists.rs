//! Several pairs on one list: each adds what it has, and none takes away what another one brought.

use super::*;

fn ground_of(rules: Vec<Rule>) -> Ground {
    let ground = Ground::new(Policy { rules, ..ground(Owner::Amo).policy }, account());
    assert_eq!(ground.missing, Vec::<String>::new());
    ground
}

fn both(amo: &str, salebot: &str) -> Rule {
    rule(amo, salebot, Direction::Both, Owner::Amo)
}

#[test]
fn tags_of_a_variable_and_of_the_client_both_arrive() {
    let ground = ground_of(vec![
        both("contact.tags", "client.crm_tags"),
        rule("contact.tags", "client.tag", Direction::ToAmo, Owner::Amo),
    ]);
    let mut world = world(1);
    world.contact.tags = BTreeSet::from(["vip".to_owned()]);
    let (link, variables) = world.clients.get_mut(&ClientId(5)).unwrap();
    link.client.tag = Some("promo".to_owned());
    variables.insert("crm_tags".to_owned(), "hot".to_owned());
    world.settle(&ground);
    assert_eq!(world.contact.tags.iter().map(String::as_str).collect::<Vec<_>>(), ["hot", "promo", "vip"]);
    assert!(world.clients[&ClientId(5)].1["crm_tags"].contains("hot"), "{:?}", world.clients[&ClientId(5)].1);
}

#[test]
fn two_numbers_that_come_at_once_are_both_kept() {
    let ground = ground_of(vec![both("contact.phone", "client.phone"), both("contact.phone", "client.phone2")]);
    let mut world = world(1);
    put(&mut world.contact, PHONE, texts(&["+79990000011"]));
    // Known of a client that is linked only now.
    for (name, number) in [("phone", "+79990000012"), ("phone2", "+79990000013")] {
        perform(&mut world, Deed::Variable(5, name, Some(number.to_owned())));
    }
    let plan = world.plan(&ground, false);
    let written = plan.actions.iter().find_map(|(_, action)| match action {
        Action::UpdateContact { edits, .. } => Some(edits.len()),
        _ => None,
    });
    assert_eq!(written, Some(1), "one field is one edit");
    world.settle(&ground);
    let held: Vec<&str> = world.contact.fields[&PHONE].iter().map(|element| element.value.as_str()).collect();
    for number in ["+79990000011", "+79990000012", "+79990000013"] {
        assert!(held.contains(&number), "{number} is missing in {held:?}");
    }
    let variables = &world.clients[&ClientId(5)].1;
    assert_eq!((variables["phone"].as_str(), variables["phone2"].as_str()), ("+79990000012", "+79990000013"));
}

#[test]
fn a_second_variable_that_only_tells_adds_its_number() {
    let second = rule("contact.phone", "client.phone2", Direction::ToAmo, Owner::Amo);
    let ground = ground_of(vec![both("contact.phone", "client.phone"), second]);
    let mut world = world(1);
    put(&mut world.contact, PHONE, texts(&["+79990000011"]));
    world.settle(&ground);
    assert!(!world.clients[&ClientId(5)].1.contains_key("phone2"), "it does not follow the first number");
    for number in ["+79990000012", "+79990000013"] {
        perform(&mut world, Deed::Variable(5, "phone2", Some(number.to_owned())));
        world.settle(&ground);
        let held: Vec<&str> = world.contact.fields[&PHONE].iter().map(|element| element.value.as_str()).collect();
        assert_eq!(held, ["+79990000011", number]);
        assert_eq!(world.clients[&ClientId(5)].1["phone"], "+79990000011");
    }
}

#[test]
fn tags_of_a_lead_come_from_its_order_and_from_the_client() {
    let ground =
        ground_of(vec![both("lead.tags", "order.tags"), rule("lead.tags", "client.tag", Direction::ToAmo, Owner::Amo)]);
    let mut client = Client::unknown(ClientId(5));
    client.tag = Some("promo".to_owned());
    let client = ClientLink { contact: Some(ContactId(101)), ..ClientLink::new(client) };
    let lead = Lead { tags: BTreeSet::from(["vip".to_owned()]), ..lead() };
    let (_, mut link) = deal::plan(&ground, seen(&lead, None, &client, None));
    link.order = Some(OrderId(77));
    let order = Order { state: None, variables: Variables::from([("tags".to_owned(), "hot".to_owned())]) };
    let (plan, _) = deal::plan(&ground, seen(&lead, Some(&link), &client, Some(&order)));
    let mut after = lead.clone();
    for (_, action) in &plan.actions {
        if let Action::UpdateLead { edits, .. } = action {
            apply::to_lead(&mut after, edits);
        }
    }
    assert_eq!(after.tags.iter().map(String::as_str).collect::<Vec<_>>(), ["hot", "promo", "vip"]);
}
