//! Multi-values: phones and e-mails of which a variable carries one, tags and choices as sets.

use super::world::*;
use crate::core::action::Side;
use crate::core::policy::{Direction, Owner};
use crate::core::shape::Form;
use rstest::rstest;

const A: &str = "+7 999 000-00-01";
const B: &str = "8 (999) 000-00-02";
const C: &str = "+79990000003";

fn phones(amo: &[&str], salebot: &[&str]) -> World {
    let mut world = World::new(Rules::plain(Form::Phones, Direction::Both, Owner::Amo), amo, salebot);
    world.settle(2 * salebot.len());
    world
}

fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[rstest]
#[case("an edit replaces the carried element alone", &[A, B], C, &[C, B], C)]
#[case("another spelling is no edit", &[A, B], "89990000001", &[A, B], "89990000001")]
#[case("choosing another element changes nothing", &[A, B], "79990000002", &[A, B], "79990000002")]
#[case("a manager's element comes back", &[A, B], "", &[A, B], A)]
#[case("nothing amoCRM could hold", &[A, B], "😀", &[A, B], "😀")]
fn an_edit_of_the_variable(
    #[case] what: &str,
    #[case] amo: &[&str],
    #[case] text: &str,
    #[case] amo_left: &[&str],
    #[case] left: &str,
) {
    let mut world = phones(amo, &[""]);
    assert_eq!(world.salebot(0), A);
    world.person_sets(0, text);
    world.settle(1);
    assert_eq!((world.amo.clone(), world.salebot(0)), (list(amo_left), left), "{what}");
}

#[rstest]
#[case("edits in place", &[A, B], &[A, C], "79990000001", C)]
#[case("edits both in place", &[A, B], &["79990000004", C], "79990000004", C)]
#[case("reorders", &[A, B], &[B, A], B, "79990000002")]
#[case("puts one before", &[A, B], &[C, A, B], C, "79990000002")]
#[case("adds one", &[A, B], &[A, B, C], "79990000001", "79990000002")]
#[case("removes the second", &[A, B], &[A], "79990000001", A)]
#[case("removes the first", &[A, B], &[B], B, "79990000002")]
#[case("removes all", &[A, B], &[], "", "")]
fn what_a_manager_does_to_two_clients(
    #[case] what: &str,
    #[case] before: &[&str],
    #[case] after: &[&str],
    #[case] first: &str,
    #[case] second: &str,
) {
    let mut world = phones(before, &["79990000001", "79990000002"]);
    assert_eq!((world.salebot(0), world.salebot(1)), ("79990000001", "79990000002"));
    world.manager_sets(list(after));
    world.settle(2);
    assert_eq!((world.amo.clone(), world.salebot(0), world.salebot(1)), (list(after), first, second), "{what}");
}

#[test]
fn a_second_client_adds_its_own_number() {
    let mut world = phones(&[], &["79990000001", "79990000002"]);
    assert_eq!(world.amo, list(&["79990000001", "79990000002"]));
    assert_eq!((world.salebot(0), world.salebot(1)), ("79990000001", "79990000002"));
    world.person_sets(1, C);
    world.settle(1);
    assert_eq!(world.amo, list(&["79990000001", C]));
    world.person_sets(1, "");
    world.settle(2);
    assert_eq!(world.amo, list(&["79990000001"]), "what came from Salebot goes with it");
    assert_eq!(world.salebot(1), "79990000001", "and the variable carries the first");
}

#[test]
fn a_removed_element_that_a_manager_types_again_is_the_managers() {
    let mut world = phones(&[], &["79990000001"]);
    world.manager_sets(list(&[]));
    world.pass(Fate::Dropped);
    world.manager_sets(list(&[A]));
    world.settle(1);
    world.person_sets(0, "");
    world.settle(1);
    assert_eq!((world.amo.clone(), world.salebot(0)), (list(&[A]), A));
}

#[rstest]
#[case(Owner::Amo, &[C, B], C, true)]
#[case(Owner::Salebot, &[C, B, "79990000004"], "79990000004", false)]
fn both_change_the_carried_element(
    #[case] owner: Owner,
    #[case] amo: &[&str],
    #[case] salebot: &str,
    #[case] is_lost: bool,
) {
    let mut world = World::new(Rules::plain(Form::Phones, Direction::Both, owner), &[A, B], &[""]);
    world.settle(1);
    world.manager_sets(list(&[C, B]));
    world.person_sets(0, "79990000004");
    let plans = world.settle(1);
    assert_eq!((world.amo.clone(), world.salebot(0)), (list(amo), salebot));
    assert_eq!(plans[0].lost, is_lost.then(|| (Side::Salebot, content("79990000004"))));
}

#[test]
fn a_variable_that_was_not_told_of_an_element_does_not_replace_it() {
    let mut world = World::new(Rules::plain(Form::Phones, Direction::ToAmo, Owner::Salebot), &[], &["79990000001"]);
    world.settle(1);
    world.manager_sets(list(&[B]));
    world.settle(0);
    world.person_sets(0, C);
    world.settle(1);
    assert_eq!(world.amo, list(&[B, C]));
}

#[test]
fn a_service_that_respells_numbers_is_no_editor() {
    let plain = Rules::plain(Form::Phones, Direction::Both, Owner::Amo);
    let rules = Rules { amo_service: Service::Respell, salebot_service: Service::Respell, ..plain };
    let mut world = World::new(rules, &[A], &["", "89990000002"]);
    world.settle(3);
    world.person_sets(1, "89990000003");
    world.settle(1);
    assert_eq!(world.amo, list(&["+7 999 0000001", "+7 999 0000003"]));
    assert_eq!((world.salebot(0), world.salebot(1)), ("+7 999 0000001", "89990000003"));
}

#[rstest]
#[case("both add", &["vip", "new"], "vip, hot", &["vip", "new", "hot"], "vip, hot, new")]
#[case("a manager removes", &[], "vip", &[], "")]
#[case("a manager's tag comes back", &["vip"], "", &["vip"], "vip")]
#[case("other spelling", &["VIP"], "vip,, vip", &["VIP"], "vip,, vip")]
#[case("a tag is written without what amoCRM cuts at", &["vip"], "vip, hot 😀 x", &["vip", "hot  x"], "vip, hot 😀 x")]
#[case("a tag of nothing else is refused", &["vip", "new"], "vip, 😀", &["vip", "new"], "vip, 😀, new")]
fn tags_are_merged_one_by_one(
    #[case] what: &str,
    #[case] amo: &[&str],
    #[case] text: &str,
    #[case] amo_left: &[&str],
    #[case] left: &str,
) {
    let mut world = World::new(Rules::plain(Form::Tags, Direction::Both, Owner::Amo), &["vip"], &["vip"]);
    world.settle(0);
    world.manager_sets(list(amo));
    world.person_sets(0, text);
    world.settle(1);
    assert_eq!((world.amo.clone(), world.salebot(0)), (list(amo_left), left), "{what}");
}

#[test]
fn a_tag_from_salebot_is_removed_from_there() {
    let mut world = World::new(Rules::plain(Form::Tags, Direction::Both, Owner::Amo), &["vip"], &[""]);
    world.settle(1);
    world.person_sets(0, "vip, hot");
    world.settle(1);
    assert_eq!(world.amo, list(&["vip", "hot"]));
    world.person_sets(0, "");
    world.settle(1);
    assert_eq!((world.amo.clone(), world.salebot(0)), (list(&["vip"]), "vip"));
}

#[test]
fn a_name_with_commas_is_one_item() {
    for form in [Form::Tags, Form::Choices(choices())] {
        let mut world = World::new(Rules::plain(form, Direction::Both, Owner::Amo), &["Blue, light"], &[""]);
        world.settle(1);
        assert_eq!(world.salebot(0), "Blue, light");
        world.person_sets(0, "Red, blue,light");
        world.settle(1);
        assert_eq!(world.amo, list(&["Blue, light", "Red"]));
        world.manager_sets(list(&["Red"]));
        world.settle(1);
        assert_eq!(world.salebot(0), "Red");
    }
}

#[test]
fn an_unknown_choice_stops_no_other() {
    let rules = Rules::plain(Form::Choices(choices()), Direction::Both, Owner::Amo);
    let mut world = World::new(rules, &["Red"], &["Pink, green"]);
    let plans = world.settle(1);
    assert_eq!(plans[0].refused.as_deref(), Some("not all of them are among the list's choices"));
    assert_eq!((world.amo.clone(), world.salebot(0)), (list(&["Red", "Green"]), "Pink, green, Red"));
    world.manager_sets(list(&["Red"]));
    assert_eq!(world.settle(1)[0].refused, None, "it is refused once");
    assert_eq!(world.salebot(0), "Pink, Red");
}

#[rstest]
#[case(true, false)]
#[case(false, true)]
fn of_two_writes_one_may_fail(#[case] amo_done: bool, #[case] salebot_done: bool) {
    let mut world = World::new(Rules::plain(Form::Tags, Direction::Both, Owner::Amo), &["vip", "old"], &["vip, old"]);
    world.settle(0);
    world.manager_sets(list(&["vip", "new"]));
    world.person_sets(0, "vip, old, hot");
    let plan = world.planned(0);
    let (amo, salebot) = (plan.write_amo.unwrap(), plan.write_salebot.unwrap());
    if amo_done {
        world.amo = amo.0;
        world.clients[0].base = amo.1;
    }
    if salebot_done {
        world.clients[0].salebot = salebot.0;
        world.clients[0].base = salebot.1;
    }
    world.settle(1);
    assert_eq!((world.amo.clone(), world.salebot(0)), (list(&["vip", "new", "hot"]), "vip, hot, new"));
    world.person_sets(0, "vip, new");
    world.settle(1);
    assert_eq!(world.amo, list(&["vip", "new"]), "what came from Salebot is still known");
}
