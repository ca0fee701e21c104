//! Single values: who wins, what is lost, and what counts as an edit.

use super::world::*;
use crate::core::action::Side;
use crate::core::link::{Base, Content};
use crate::core::merge::{Merged, Pair, merge};
use crate::core::policy::{Direction, Owner};
use crate::core::shape::Form;
use rstest::rstest;

const TEXT: Form = Form::Text { chars_max: Some(256) };

fn settled(form: Form, owner: Owner, value: &str, text: &str) -> World {
    let mut world = World::new(Rules::plain(form, Direction::Both, owner), &[value], &[text]);
    world.settle(1);
    world
}

#[rstest]
#[case(Owner::Amo, "Boris", Side::Salebot, "Clara")]
#[case(Owner::Salebot, "Clara", Side::Amo, "Boris")]
fn the_owner_wins_and_the_other_value_is_reported(
    #[case] owner: Owner,
    #[case] left: &str,
    #[case] side: Side,
    #[case] lost: &str,
) {
    let mut world = settled(TEXT, owner, "Anna", "Anna");
    world.manager_sets(content("Boris"));
    world.person_sets(0, "Clara");
    let plans = world.settle(1);
    assert_eq!((world.amo[0].as_str(), world.salebot(0)), (left, left));
    assert_eq!(plans[0].lost, Some((side, content(lost))));
}

#[test]
fn a_refused_winner_does_not_let_the_loser_overwrite_it() {
    for (owner, amo, salebot) in [(Owner::Amo, "Boris", "Clara"), (Owner::Salebot, "Boris", "Clara")] {
        let mut world = settled(TEXT, owner, "Anna", "Anna");
        world.manager_sets(content(amo));
        world.person_sets(0, salebot);
        world.pass(Fate::Refused);
        assert!(world.pass(Fate::Done).iter().all(is_quiet), "{owner:?}");
        assert_eq!((world.amo[0].as_str(), world.salebot(0)), (amo, salebot));
        world.manager_sets(content("Dora"));
        world.settle(1);
        assert_eq!(world.salebot(0), "Dora", "a new edit is carried over");
    }
}

#[test]
fn an_edit_of_case_alone_is_an_edit_even_right_after_our_write() {
    let mut world = settled(TEXT, Owner::Amo, "Anna", "Anna");
    world.person_sets(0, "anna petrova");
    world.pass(Fate::Done);
    world.manager_sets(content("Anna Petrova"));
    world.settle(1);
    assert_eq!(world.salebot(0), "Anna Petrova");
    world.person_sets(0, "ANNA PETROVA");
    world.settle(1);
    assert_eq!(world.amo, content("ANNA PETROVA"));
}

#[test]
fn an_emoji_added_right_after_our_write_is_an_edit_of_which_amocrm_keeps_the_rest() {
    let mut world = settled(TEXT, Owner::Amo, "Anna", "Anna");
    world.manager_sets(content("Boris"));
    world.pass(Fate::Done);
    world.person_sets(0, "Boris 😀!");
    world.settle(1);
    assert_eq!((world.amo[0].as_str(), world.salebot(0)), ("Boris !", "Boris 😀!"));
}

#[test]
fn what_was_observed_after_our_write_is_no_excuse_for_later_edits() {
    let mut world = World::new(
        Rules { salebot_service: Service::Cut, ..Rules::plain(TEXT, Direction::Both, Owner::Amo) },
        &["Anna 😀 B"],
        &[""],
    );
    world.settle(1);
    assert_eq!(world.salebot(0), "Anna ");
    assert!(world.clients[0].base.sent_salebot.is_empty());
    world.manager_sets(content("Anna"));
    world.settle(1);
    assert_eq!(world.salebot(0).trim(), "Anna");
    world.manager_sets(content("Anna 😀 B"));
    world.settle(1);
    world.person_sets(0, "Anna B");
    world.settle(1);
    assert_eq!(world.amo, content("Anna B"), "what a service could have made of it is an edit by now");
}

#[rstest]
#[case(Form::Number, "1200.5", "1 200,50")]
#[case(Form::Price, "1200", "1200.75")]
#[case(Form::Price, "0", "")]
#[case(Form::Checkbox, "", "0")]
#[case(Form::Checkbox, "", "нет")]
#[case(Form::Checkbox, "1", "да")]
#[case(Form::Date, "2026-12-31 15:30:00", "31.12.2026 15:30")]
#[case(Form::Date, "2026-12-31", "31.12.2026 00:00")]
#[case(Form::Day, "2026-12-31", "31.12.2026 15:30")]
#[case(Form::Choice(choices()), "Blue, light", "2")]
#[case(Form::Choice(choices()), "Blue, light", "BLUE,light")]
#[case(Form::Choices(choices()), "Blue, light", "blue,light")]
#[case(Form::Tags, "a, b", "A,b")]
#[case(Form::Phones, "8 (999) 000-00-01", "79990000001")]
#[case(Form::Emails, "A@Example.test", "a@example.TEST")]
fn one_meaning_in_two_spellings_needs_no_write(#[case] form: Form, #[case] amo: &str, #[case] salebot: &str) {
    for owner in [Owner::Amo, Owner::Salebot] {
        let rules = Rules::plain(form.clone(), Direction::Both, owner);
        let merged = merge(rules.pair(&content(amo), Some(&content(salebot)), &Base::default()));
        assert!(is_quiet(&merged), "{merged:?}");
    }
}

#[rstest]
#[case(Form::Name, "", "Anna", Some("a name cannot be emptied"))]
#[case(Form::Company, "Other", "Anna", Some("there is a company already"))]
#[case(Form::Number, "many", "5", Some("not a number"))]
#[case(TEXT, "😀", "Anna", Some("no character in it that amoCRM can hold"))]
#[case(Form::Price, "99999999999999999999", "5", Some("not an amount of money"))]
#[case(Form::Price, "", "0", None)]
#[case(TEXT, "", "", None)]
fn what_amocrm_cannot_hold_is_refused_once(
    #[case] form: Form,
    #[case] entered: &str,
    #[case] left: &str,
    #[case] reason: Option<&str>,
) {
    let start = if matches!(form, Form::Number | Form::Price) { "5" } else { "Anna" };
    let mut world = settled(form, Owner::Salebot, start, start);
    world.person_sets(0, entered);
    let plans = world.settle(1);
    assert_eq!(plans[0].refused.as_deref(), reason);
    assert_eq!(world.amo, content(left));
    assert_eq!(world.salebot(0), entered);
    assert_eq!(world.pass(Fate::Done)[0].refused, None);
}

#[test]
fn a_refused_value_gives_way_to_a_managers_edit() {
    let mut world = settled(Form::Number, Owner::Salebot, "5", "5");
    world.manager_sets(content("6"));
    world.person_sets(0, "many");
    let plans = world.settle(1);
    assert_eq!((world.amo[0].as_str(), world.salebot(0)), ("6", "6"));
    assert_eq!(plans[0].refused.as_deref(), Some("not a number"));
    assert_eq!(plans[0].lost, Some((Side::Salebot, content("many"))));
}

#[rstest]
#[case(Owner::Amo, "17")]
#[case(Owner::Salebot, "18")]
fn facts_of_two_clients_do_not_fight(#[case] owner: Owner, #[case] left: &str) {
    let rules = Rules::plain(TEXT, Direction::ToAmo, owner);
    let mut world = World::new(rules, &[], &["17", "18"]);
    world.settle(2);
    assert_eq!(world.amo, content(left));
    // Both at once, as where two plans were made before either was carried out.
    let rules = world.rules.clone();
    let plan = |text: &str| merge(rules.pair(&Content::new(), Some(&content(text)), &Base::default()));
    let mut world = World::new(rules.clone(), &["18"], &["17", "18"]);
    for (client, text) in [(0, "17"), (1, "18")] {
        world.clients[client].base = plan(text).write_amo.unwrap().1;
    }
    world.settle(0);
    assert_eq!(world.amo, content("18"));
}

#[test]
fn a_losing_edit_is_reported_where_salebot_cannot_be_written() {
    let rules = Rules::plain(TEXT, Direction::ToAmo, Owner::Amo);
    let mut world = World::new(rules, &[], &["Anna"]);
    world.settle(1);
    world.manager_sets(content("Boris"));
    world.person_sets(0, "Clara");
    let plans = world.settle(0);
    assert_eq!(plans[0].lost, Some((Side::Salebot, content("Clara"))));
    assert_eq!(world.amo, content("Boris"));
}

#[test]
fn an_unread_variable_gets_a_change_and_never_causes_one() {
    let rules = Rules::plain(TEXT, Direction::ToSalebot, Owner::Salebot);
    let merged = merge(rules.pair(&content("Anna"), None, &Base::default()));
    assert_eq!(merged.write_salebot.unwrap().0, content("Anna"));
    let rules = Rules::plain(TEXT, Direction::Both, Owner::Salebot);
    let base = Base { amo: Some(content("Anna")), salebot: Some(content("Anna")), ..Base::default() };
    let merged = merge(rules.pair(&content("Boris"), None, &base));
    assert_eq!(merged.write_salebot.unwrap().0, content("Boris"));
    let base = Base { salebot: Some(content("Clara")), ..Base::default() };
    assert_eq!(merge(rules.pair(&content("Boris"), None, &base)).write_amo, None);
}

#[test]
fn a_frozen_pair_is_left_alone_and_met_as_it_is_afterwards() {
    use crate::core::flips::Flips;
    let base = Base { amo: Some(content("Anna")), salebot: Some(content("Anna")), ..Base::default() };
    let frozen = Base { flips: Flips { frozen: true, ..Flips::default() }, ..base.clone() };
    let (amo, salebot) = (content("Anna"), content("Clara"));
    let merge_with = |base: &Base| {
        merge(Pair {
            form: &Form::Name,
            direction: Direction::Both,
            owner: Owner::Amo,
            region: "RU",
            amo: &amo,
            salebot: Some(&salebot),
            base,
        })
    };
    assert_eq!(merge_with(&frozen), Merged::default());
    assert_eq!(merge_with(&base).write_amo.expect("it travels again").0, salebot);
}
