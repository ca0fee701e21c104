//! Values that were never seen before.

use super::world::*;
use crate::core::action::Side;
use crate::core::policy::{Direction, Owner};
use crate::core::shape::Form;
use rstest::rstest;

const TEXT: Form = Form::Text { chars_max: None };

#[rstest]
#[case(Direction::Both, Owner::Amo, &["Anna"], "", "Anna", "Anna", None)]
#[case(Direction::Both, Owner::Amo, &[], "Anna", "Anna", "Anna", None)]
#[case(Direction::Both, Owner::Salebot, &["Anna"], " ", "Anna", "Anna", None)]
#[case(Direction::Both, Owner::Amo, &["Anna"], "Boris", "Anna", "Anna", Some((Side::Salebot, "Boris")))]
#[case(Direction::Both, Owner::Salebot, &["Anna"], "Boris", "Boris", "Boris", Some((Side::Amo, "Anna")))]
#[case(Direction::ToSalebot, Owner::Amo, &[], "Boris", "", "Boris", None)]
#[case(Direction::ToSalebot, Owner::Salebot, &["Anna"], "Boris", "Anna", "Anna", Some((Side::Salebot, "Boris")))]
#[case(Direction::ToAmo, Owner::Amo, &["Anna"], "Boris", "Anna", "Boris", None)]
#[case(Direction::ToAmo, Owner::Salebot, &["Anna"], "Boris", "Boris", "Boris", Some((Side::Amo, "Anna")))]
#[case(Direction::ToAmo, Owner::Salebot, &["Anna"], "", "Anna", "", None)]
fn a_value_goes_where_there_is_none(
    #[case] direction: Direction,
    #[case] owner: Owner,
    #[case] amo: &[&str],
    #[case] salebot: &str,
    #[case] amo_left: &str,
    #[case] salebot_left: &str,
    #[case] lost: Option<(Side, &str)>,
) {
    let mut world = World::new(Rules::plain(TEXT, direction, owner), amo, &[salebot]);
    let plans = world.settle(1);
    assert_eq!(world.amo, content(amo_left));
    assert_eq!(world.salebot(0), salebot_left);
    assert_eq!(plans[0].lost, lost.map(|(side, text)| (side, content(text))));
}

#[rstest]
#[case(Fate::Dropped, "Clara")]
#[case(Fate::Refused, "")]
fn a_write_given_up_stays_given_up_and_a_dropped_one_is_planned_again(#[case] fate: Fate, #[case] amo: &str) {
    let rules = Rules::plain(TEXT, Direction::Both, Owner::Amo);
    let mut world = World::new(rules, &[], &["Clara"]);
    world.pass(fate);
    world.settle(1);
    assert_eq!(world.amo, content(amo));
    world.person_sets(0, "Dora");
    world.settle(1);
    assert_eq!(world.amo, content("Dora"));
}

#[test]
fn a_budget_of_nothing_does_not_erase_one() {
    let mut world = World::new(Rules::plain(Form::Price, Direction::Both, Owner::Amo), &["0"], &["5000"]);
    world.settle(1);
    assert_eq!((world.amo[0].as_str(), world.salebot(0)), ("5000", "5000"));
    world.manager_sets(content("0"));
    world.settle(1);
    assert_eq!(world.salebot(0), "0");
}

#[test]
fn an_unset_variable_is_not_an_unchecked_box() {
    let mut world = World::new(Rules::plain(Form::Checkbox, Direction::Both, Owner::Salebot), &["1"], &[""]);
    world.settle(1);
    assert_eq!((world.amo.len(), world.salebot(0)), (1, "1"));
    world.person_sets(0, "");
    world.settle(1);
    assert!(world.amo.is_empty(), "emptied later, it is");
}
