//! What holds for every story of edits, settings, and rewriting services.

use super::world::*;
use crate::core::flips::Flips;
use crate::core::link::{Base, Content};
use crate::core::merge::merge;
use crate::core::policy::{Direction, Owner};
use crate::core::shape::{self, Form};
use crate::core::text;
use proptest::prelude::*;

/// Why both sides may mean different things although nothing is left to do.
fn is_explained(world: &World, client: usize) -> bool {
    let rules = &world.rules;
    let text = world.salebot(client);
    let amo = world.amo.first().map_or("", String::as_str);
    let shown = |content: &[String]| {
        let shown = shape::salebot_text(&rules.form, content);
        rules.salebot_service.kept(&vec![shown]).pop().unwrap_or_default()
    };
    let means = |a: &str, b: &str| rules.meaning(a) == rules.meaning(b);
    let holds = |text: &str| means(amo, text) || world.amo.iter().any(|element| means(element, text));
    let sent_amo = shape::from_salebot(&rules.form, text);
    let sent_salebot = shape::salebot_text(&rules.form, &world.amo);
    // An edit right after our write that looks like a service's rewriting of it is taken for one.
    let is_taken_for_rewritten = || {
        let sent_amo = sent_amo.as_ref().ok().and_then(|content| content.first()).map_or("", String::as_str);
        text::is_rewritten(sent_amo, amo) || text::is_rewritten(&sent_salebot, text)
    };
    rules.direction != Direction::Both
        || means(amo, text)
        || means(&shown(&world.amo), text)
        || match &sent_amo {
            Ok(content) => holds(rules.amo_kept(content).first().map_or("", String::as_str)),
            Err(_) => true,
        }
        || matches!(rules.form, Form::Name | Form::User(_) | Form::Company)
        || (matches!(rules.form, Form::Text { .. }) && is_taken_for_rewritten())
        || (rules.is_list()
            && world
                .amo
                .iter()
                .any(|element| means(element, text) || means(&shown(std::slice::from_ref(element)), text)))
}

/// True when something a service may cut at was ever set: right after our write, an edit that looks
/// like such a cut is taken for one.
fn may_be_cut(world: &World, steps: &[Step]) -> bool {
    let is_wide = |text: &str| text.chars().any(|c| u32::from(c) > 0xFFFF);
    let any_wide = |content: &Content| content.iter().any(|text| is_wide(text));
    let is_step_wide = |step: &Step| match step {
        Step::Manager(list) => any_wide(list),
        Step::Person(_, text) => is_wide(text),
        Step::Pass(_) => false,
    };
    any_wide(&world.amo)
        || world.clients.iter().any(|client| any_wide(&client.salebot))
        || steps.iter().any(is_step_wide)
}

fn is_set_explained(world: &World, client: usize) -> bool {
    let rules = &world.rules;
    let held: Content = text::listed_among(
        world.salebot(client),
        choices().values().map(String::as_str).chain(world.amo.iter().map(String::as_str)),
    );
    let amo = rules.keys(&world.amo);
    let missing_here = |item: &String| {
        rules.meaning(item).is_some_and(|key| !amo.contains(&key)) && shape::from_salebot(&rules.form, item).is_ok()
    };
    rules.direction != Direction::Both || (!held.iter().any(missing_here) && amo.is_subset(&rules.keys(&held)))
}

/// Enough for every form, direction and service to meet; `PROPTEST_CASES` asks for more.
const CASES_MIN: u32 = 800;

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(CASES_MIN), ..ProptestConfig::default() })]

    /// Whatever happened, three rounds of writes at most, then silence, and both sides agree.
    #[test]
    fn every_story_settles(
        (mut world, steps) in any_story(vec![Fate::Done, Fate::Done, Fate::Dropped, Fate::Unheard])
    ) {
        let may_be_cut = may_be_cut(&world, &steps);
        world.live(&steps);
        world.settle(3 * world.clients.len());
        for client in 0..world.clients.len() {
            let explained = match world.rules.is_set() {
                true => may_be_cut || is_set_explained(&world, client),
                false => is_explained(&world, client),
            };
            prop_assert!(explained || steps.iter().any(|step| matches!(step, Step::Pass(Fate::Unheard))), "{world:?}");
        }
    }

    /// A write refused for good is not planned again until its source changes.
    #[test]
    fn a_refused_write_is_not_repeated(
        (mut world, steps) in any_story(vec![Fate::Done, Fate::Dropped, Fate::Refused])
    ) {
        world.clients.truncate(1);
        let steps: Vec<Step> = steps.into_iter().filter(|step| !matches!(step, Step::Person(1, _))).collect();
        world.live(&steps);
        world.pass(Fate::Refused);
        // The other side may have a change of its own; after that there is none.
        world.pass(Fate::Refused);
        let again = world.pass(Fate::Refused);
        prop_assert!(again.iter().all(is_quiet), "{world:?}: {again:?}");
    }

    /// An empty side that was never seen erases nothing on the other.
    #[test]
    fn emptiness_never_seen_erases_nothing(
        (world, value, text) in any_story(Vec::from([Fate::Done])).prop_flat_map(|(world, _)| {
            let amo = world.amo.clone();
            let text = world.clients[0].salebot.clone();
            (Just(world), Just(amo), Just(text))
        })
    ) {
        let blank = |content: &Content| world.rules.keys(content).is_empty() || content.is_empty();
        let one = |amo: Content, salebot: Content| {
            let mut world = World::new(world.rules.clone(), &[], &[""]);
            world.manager_sets(amo);
            world.clients[0].salebot = salebot;
            world.settle(2);
            (world.amo.clone(), world.clients[0].salebot.clone())
        };
        prop_assert_eq!(one(value.clone(), Content::new()).0, value.clone());
        if blank(&value) && matches!(world.rules.form, Form::Price) {
            return Ok(());
        }
        prop_assert_eq!(one(Content::new(), text.clone()).1, text);
    }

    /// What nobody read is no ground for writing to amoCRM, and a change of amoCRM is not forgotten.
    #[test]
    fn an_unread_variable_decides_nothing(
        (mut world, steps) in any_story(vec![Fate::Done, Fate::Dropped]),
    ) {
        world.live(&steps);
        let client = &world.clients[0];
        let merged = merge(world.rules.pair(&world.amo, None, &client.base));
        prop_assert!(merged.write_amo.is_none());
        if client.base.salebot.is_none() && world.rules.direction != Direction::ToSalebot {
            prop_assert_eq!(&merged, &Default::default());
        }
        let now = client.base.salebot.clone().unwrap_or_default();
        let read = merge(world.rules.pair(&world.amo, Some(&now), &client.base));
        if read.write_amo.is_none() && client.base.salebot.is_some() {
            prop_assert_eq!(merged.write_salebot.map(|write| write.0), read.write_salebot.map(|write| write.0));
        }
    }

    /// No text whatever makes it panic, and the same input gives the same answer.
    #[test]
    fn any_text_is_merged(
        (rules, _, _) in any_rules(),
        contents in prop::collection::vec(prop::collection::vec(any_text(), 0..4), 6),
        known in any::<[bool; 3]>(),
    ) {
        let contents: Vec<Content> = contents;
        let base = Base {
            amo: known[0].then(|| contents[0].clone()),
            salebot: known[1].then(|| contents[1].clone()),
            sent_amo: vec![contents[2].clone()],
            sent_salebot: vec![contents[3].clone()],
            ours: contents[0].iter().cloned().collect(),
            bound: contents[2].first().cloned(),
            undone: known[0] && known[1],
            flips: Flips::default(),
        };
        let merged = || merge(rules.pair(&contents[4], known[2].then_some(&contents[5]), &base));
        prop_assert_eq!(merged(), merged());
        for text in contents.iter().flatten() {
            let _ = shape::from_salebot(&rules.form, text);
            let _ = shape::salebot_text(&rules.form, std::slice::from_ref(text));
        }
    }

    /// One side edited: its value is on the other side afterwards. Both edited: the owner's is, and
    /// the other one is reported.
    #[test]
    fn the_right_value_survives(
        (rules, first, manager, person) in any_single_rules().prop_flat_map(|(rules, words, texts)| {
            let first = managers(&rules, words.clone());
            let manager = managers(&rules, words);
            (Just(rules), first, manager, prop::sample::select(texts))
        })
    ) {
        let rules = Rules::plain(rules.form, Direction::Both, rules.owner);
        let mut world = World::new(rules.clone(), &[], &[""]);
        world.manager_sets(first);
        world.settle(1);
        let (amo, salebot) = (world.amo.clone(), world.clients[0].salebot.clone());
        let meaning = |content: &Content| rules.meaning(content.first().map_or("", String::as_str));
        let moved = |a: &Content, b: &Content| meaning(a) != meaning(b);
        world.manager_sets(manager.clone());
        world.person_sets(0, person);
        let person = content(person);
        let (manager_moved, person_moved) = (moved(&amo, &manager), moved(&salebot, &person));
        let writable = shape::from_salebot(&rules.form, person.first().map_or("", String::as_str));
        let takes = |form: &Form, content: &Content| match form {
            Form::Name | Form::User(_) => !content.is_empty(),
            Form::Company => manager.is_empty(),
            _ => true,
        };
        let writable = writable.ok().filter(|content| takes(&rules.form, content));
        let plans = world.settle(2);
        let differ = manager_moved && person_moved && moved(&manager, &person);
        let salebot_wins = person_moved && (!manager_moved || rules.owner == Owner::Salebot);
        let salebot_lost = !salebot_wins || writable.is_none();
        let expected = match (salebot_wins, writable) {
            (true, Some(content)) if moved(&manager, &person) => meaning(&content),
            _ => meaning(&manager),
        };
        prop_assert_eq!(meaning(&world.amo), expected.clone(), "{:?}", &world);
        if !salebot_wins || differ && rules.owner == Owner::Amo {
            prop_assert_eq!(meaning(&world.clients[0].salebot), expected, "{:?}", &world);
        }
        let lost_is_blank = meaning(if salebot_lost { &person } else { &manager }).is_none();
        if differ && !lost_is_blank && rules.form != Form::Checkbox && meaning(&world.amo) == meaning(&world.clients[0].salebot) {
            prop_assert!(plans[0].lost.is_some(), "{:?}", &plans);
        }
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[0-9+() .,:TZ-]{0,24}",
        "\\PC{0,6},\\PC{0,6}",
        Just("😀".repeat(400)),
        Just("a\u{300}\u{301}\0\u{202e}\u{feff}".to_owned()),
        Just("9".repeat(5000)),
        Just("-99999999999999999".to_owned()),
    ]
}
