//! What people are told of a contact with several clients.

use super::*;
use crate::core::plan::inspect::{self, Compared, Why};

fn compared(world: &World, ground: &Ground) -> Vec<Compared> {
    let clients: Vec<ClientSeen<'_>> =
        world.clients.values().map(|(link, variables)| ClientSeen { link, variables: Some(variables) }).collect();
    let seen = PersonSeen { contact: &world.contact, clients: &clients, in_doubt: &[] };
    let plan = person::plan(ground, seen);
    let all = inspect::person(ground, seen, &plan);
    all.into_iter().filter(|pair| pair.rule == "contact.field.6=client.id").collect()
}

#[test]
fn of_two_clients_one_stands_in_amo_and_that_is_no_difference() {
    let ground = ground(Owner::Amo);
    let mut world = world(2);
    world.settle(&ground);
    let pairs = compared(&world, &ground);
    assert!(pairs.len() == 2 && pairs.iter().all(|pair| pair.agrees), "{pairs:?}");
    let whys = pairs.iter().map(|pair| &pair.why).collect::<Vec<_>>();
    assert!(whys.contains(&&Why::Agreed) && whys.contains(&&Why::Another), "{whys:?}");

    // What somebody typed there is neither's.
    put(&mut world.contact, CLIENT, texts(&["77"]));
    world.settle(&ground);
    let pairs = compared(&world, &ground);
    assert!(pairs.iter().all(|pair| !pair.agrees), "{pairs:?}");
    // And an id that is told nowhere yet is on its way.
    put(&mut world.contact, CLIENT, texts(&[]));
    for (link, _) in world.clients.values_mut() {
        link.bases.clear();
    }
    let pairs = compared(&world, &ground);
    assert!(pairs.iter().all(|pair| !pair.agrees) && pairs.iter().any(|pair| pair.write.is_some()), "{pairs:?}");
}
