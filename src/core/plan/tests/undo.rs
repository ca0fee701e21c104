//! Properties of undoing: what a run wrote is as it was before, what somebody edited since stays, the pairs rest, and
//! an undo is undone in the same way.

use super::*;
use crate::core::link::{Base, Content};
use crate::core::plan::undo::{self, Around, Changed, Decided, Earlier, Now};
use crate::core::run::{Target, Written, WroteLine};
use crate::core::shape::{self, Record};
use crate::core::undo::{Line, What};

const CONTACT: Target = Target::Contact(ContactId(101));

impl World {
    /// Plans and carries out until nothing is left to do, as one run. Returns what the journal keeps of it.
    fn run(&mut self, ground: &Ground) -> Vec<WroteLine> {
        let mut wrote = Vec::new();
        for _ in 0..7 {
            let plan = self.plan(ground, false);
            wrote.extend(plan.actions.iter().filter_map(|(_, action)| WroteLine::of(action)));
            let is_quiet = plan.is_quiet();
            self.carry_out(plan);
            if is_quiet {
                return wrote;
            }
        }
        panic!("planning does not come to rest");
    }

    fn links(&self) -> Vec<ClientLink> {
        self.clients.values().map(|(link, _)| link.clone()).collect()
    }

    fn decide(&self, ground: &Ground, target: Target, changed: &[Changed]) -> Decided {
        let now = match target {
            Target::Contact(_) => Now::Contact(&self.contact),
            Target::Client(id) => Now::Client(&self.clients[&id].1),
            other => panic!("a person's run wrote to {other}"),
        };
        let around = Around { clients: &self.links(), deals: &[], waiting: &[] };
        undo::decide(ground, target, Some(now), changed, around)
    }

    /// Undoes what was written; the lines about it, and what the journal keeps of the undo.
    fn undo(&mut self, ground: &Ground, wrote: Vec<WroteLine>) -> (Vec<Line>, Vec<WroteLine>) {
        let (mut lines, mut undid) = (Vec::new(), Vec::new());
        for (target, changed) in undo::gathered(ground, wrote) {
            let decided = self.decide(ground, target, &changed);
            lines.extend(decided.lines);
            if let Some((_, action)) = decided.action {
                undid.extend(WroteLine::of(&action));
                self.put_back(&action);
            }
        }
        (lines, undid)
    }

    fn put_back(&mut self, action: &Action) {
        let side = action.side();
        let plan = super::super::Plan { actions: vec![(None, action.clone())], ..Default::default() };
        let before: Vec<ClientLink> = self.links();
        self.carry_out(plan);
        for confirm in action.confirms() {
            let LinkRef::Client(id) = confirm.link else { panic!("a person's undo confirms a deal") };
            let held = before.iter().find(|link| link.client.id == id).and_then(|link| link.bases.get(&confirm.rule));
            let base = undo::settled(&held.cloned().unwrap_or_default(), side, &confirm.base);
            self.clients.get_mut(&id).unwrap().0.bases.insert(confirm.rule.clone(), base);
        }
    }

    fn held(&self, ground: &Ground, line: &Line) -> Content {
        match line.target {
            Target::Client(id) => {
                let name = line.place.split_once('.').unwrap().1;
                self.clients[&id].1.get(name).cloned().into_iter().collect()
            }
            _ => {
                let rule = ground.contact_rules.iter().find(|rule| rule.key == line.rule).unwrap();
                shape::read(&rule.slot, Record::Contact(&self.contact), &ground.zone)
            }
        }
    }

    fn state(&self) -> (Contact, BTreeMap<ClientId, Variables>) {
        let variables = self.clients.iter().map(|(id, (_, variables))| (*id, variables.clone()));
        (self.contact.clone(), variables.collect())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_a_run_wrote_is_put_back_and_stays_so(
        clients in 1..3_u64,
        salebot_owns in any::<bool>(),
        earlier in prop::collection::vec(deed(), 0..5),
        deeds in prop::collection::vec(deed(), 1..6),
    ) {
        let ground = ground(if salebot_owns { Owner::Salebot } else { Owner::Amo });
        let mut world = world(clients);
        for deed in earlier {
            perform(&mut world, deed);
        }
        world.settle(&ground);
        for deed in deeds {
            perform(&mut world, deed);
        }
        let wrote = world.run(&ground);
        let after = world.state();
        let (lines, undid) = world.undo(&ground, wrote);
        for line in &lines {
            prop_assert!(matches!(line.what, What::PutBack | What::Already | What::Refused), "{:?}", line);
            if line.what == What::PutBack {
                prop_assert_eq!(Some(world.held(&ground, line)), line.before.clone(), "{:?}", line);
            }
        }
        let undone = world.state();
        let wrote = world.run(&ground);
        prop_assert!(wrote.is_empty(), "an undone value is written again: {:?}", wrote);
        prop_assert_eq!(world.state(), undone);
        let (lines, _) = world.undo(&ground, undid);
        prop_assert!(lines.iter().all(|line| matches!(line.what, What::PutBack | What::Refused)), "{:?}", lines);
        if lines.iter().all(|line| line.what == What::PutBack) {
            for (variables, then) in world.state().1.values().zip(after.1.values()) {
                prop_assert_eq!(variables, then);
            }
            prop_assert!(world.run(&ground).is_empty());
        }
    }

    #[test]
    fn what_somebody_edited_since_is_left(
        deeds in prop::collection::vec(deed(), 1..6),
        since in prop::collection::vec(deed(), 1..4),
    ) {
        let ground = ground(Owner::Amo);
        let mut world = world(2);
        for deed in deeds {
            perform(&mut world, deed);
        }
        let wrote = world.run(&ground);
        let after = world.clone();
        for deed in since {
            perform(&mut world, deed);
        }
        let now = world.clone();
        for line in world.undo(&ground, wrote).0 {
            let (left, edited) = (after.held(&ground, &line), now.held(&ground, &line));
            if line.what == What::PutBack {
                let form = ground.contact_rules.iter().find(|rule| rule.key == line.rule).map(|rule| &rule.slot.form);
                let is_same = crate::core::merge::is_as_left(form.unwrap(), ground.region(), &left, &edited);
                prop_assert!(is_same, "an edit is lost: {:?}", line);
            } else {
                prop_assert_eq!(world.held(&ground, &line), edited, "{:?}", line);
            }
        }
    }
}

fn position(before: Option<&str>, after: &str) -> WroteLine {
    let content = |text: &str| if text.is_empty() { Content::new() } else { vec![text.to_owned()] };
    let value = Written {
        link: LinkRef::Client(ClientId(5)),
        rule: "contact.field.3=client.position".to_owned(),
        before: before.map(content),
        after: content(after),
    };
    WroteLine { target: CONTACT, values: vec![value] }
}

fn gathered(lines: &[WroteLine]) -> Vec<(Option<Content>, Content)> {
    let all = undo::gathered(&ground(Owner::Amo), lines.to_vec());
    all.into_values().flatten().map(|changed| (changed.before, changed.after)).collect()
}

#[test]
fn of_several_writes_the_first_and_the_last_count_unless_somebody_edited_in_between() {
    let content = |text: &str| vec![text.to_owned()];
    let told = |before: &str, after: &str| vec![(Some(content(before)), content(after))];
    assert_eq!(gathered(&[position(Some("a"), "b"), position(Some("b"), "c")]), told("a", "c"));
    assert_eq!(gathered(&[position(Some("a"), "b"), position(Some("typed"), "c")]), told("typed", "c"));
    // What a service made of our write is no edit.
    assert_eq!(gathered(&[position(Some("a"), "b 😀"), position(Some("b"), "c")]), told("a", "c"));
    assert_eq!(gathered(&[position(Some("a"), "b"), position(Some("b"), "a")]), []);
    let mut kept = position(Some("a"), "b");
    kept.values[0].rule = "contact.id=client.amo_contact_id".to_owned();
    assert_eq!(gathered(&[kept]), [], "identifiers are kept");
}

fn decided(world: &World, changed: Changed) -> Line {
    world.decide(&ground(Owner::Amo), CONTACT, &[changed]).lines.remove(0)
}

fn changed(rule: &str, before: Option<&str>, after: &str) -> Changed {
    let content = |text: &str| if text.is_empty() { Content::new() } else { vec![text.to_owned()] };
    Changed { rule: rule.to_owned(), before: before.map(content), after: content(after) }
}

#[test]
fn an_orders_variable_is_known_from_its_pair_alone() {
    let name = |rule| changed(rule, None, "x").order_variable().map(str::to_owned);
    assert_eq!(name("lead.field.\"a=b\"=order.source").as_deref(), Some("source"));
    assert_eq!((name("lead.price=client.source"), name("stage")), (None, None));
}

#[test]
fn what_cannot_be_put_back_says_why() {
    let mut world = world(1);
    put(&mut world.contact, POSITION, texts(&["boss"]));
    let pair = "contact.field.3=client.position";
    for (changed, what, told) in [
        (changed(pair, None, "boss"), What::Unknown, "never read"),
        (changed(pair, Some("clerk"), "chief"), What::Edited, "edited since"),
        (changed(pair, Some("boss"), "chief"), What::Already, ""),
        (changed(pair, Some("clerk"), "boss"), What::PutBack, ""),
        (changed("contact.name=client.full", Some(""), "Anna Test"), What::Refused, "no way"),
        (changed("contact.field.99=client.position", Some("a"), "b"), What::Refused, "99"),
        (changed("lead.stage=order.state", Some("37"), "38"), What::Refused, "stages"),
    ] {
        let line = decided(&world, changed.clone());
        assert_eq!(line.what, what, "{changed:?}");
        assert!(line.told.contains(told), "{changed:?}: {}", line.told);
    }
    let around = Around { clients: &[], deals: &[], waiting: &[] };
    let gone = undo::decide(&ground(Owner::Amo), CONTACT, None, &[changed(pair, Some("a"), "b")], around);
    assert_eq!((gone.lines[0].what, gone.action), (What::Gone, None));
}

#[test]
fn every_pair_on_the_place_learns_what_was_put_back() {
    let mut world = world(1);
    put(&mut world.contact, POSITION, texts(&["boss"]));
    let (link, _) = world.clients.get_mut(&ClientId(5)).unwrap();
    let seen = Base { amo: Some(vec!["boss".to_owned()]), salebot: Some(Vec::new()), ..Base::default() };
    for pair in ["contact.field.3=client.position", "contact.field.3=client.gone", "contact.name=client.full"] {
        link.bases.insert(pair.to_owned(), seen.clone());
    }
    let decided =
        world.decide(&ground(Owner::Amo), CONTACT, &[changed("contact.field.3=client.gone", Some("clerk"), "boss")]);
    let (slot, action) = decided.action.expect("a write");
    assert_eq!(slot, "contact:101/undo", "no pass empties it");
    let rules: Vec<&str> = action.confirms().iter().map(|confirm| confirm.rule.as_str()).collect();
    assert_eq!(rules, ["contact.field.3=client.gone", "contact.field.3=client.position"]);
    for confirm in action.confirms() {
        assert_eq!(confirm.base.amo, Some(vec!["clerk".to_owned()]));
        assert_eq!((confirm.base.salebot.clone(), confirm.base.undone), (seen.salebot.clone(), true));
    }
}

fn told(place: &str, what: What) -> Line {
    Line {
        target: CONTACT,
        place: place.to_owned(),
        rule: format!("{place}=client.x"),
        what,
        told: String::new(),
        before: None,
        after: Vec::new(),
        now: None,
    }
}

#[test]
fn what_an_undo_decided_before_it_was_killed_stands() {
    let written = |place: &str| {
        let link = LinkRef::Client(ClientId(1));
        let values = vec![Written { link, rule: format!("{place}=client.x"), before: None, after: Vec::new() }];
        WroteLine { target: CONTACT, values }
    };
    let places = ["contact.name", "contact.phone", "contact.email", "contact.tags"];
    let decided = || Decided { action: None, lines: places.map(|place| told(place, What::PutBack)).into() };
    let mut earlier = Earlier::default();
    assert!(!earlier.settles(CONTACT, &mut decided()), "nothing was decided");
    earlier.wrote(&written("contact.name"));
    earlier.left(Line { told: "gone by now".to_owned(), ..told("contact.phone", What::Unknown) });
    let mut now = decided();
    earlier.wrote(&written("contact.email"));
    assert!(earlier.settles(CONTACT, &mut now));
    let whats: Vec<What> = now.lines.iter().map(|line| line.what).collect();
    assert_eq!(whats, [What::PutBack, What::Unknown, What::PutBack, What::Edited], "{now:?}");
    assert_eq!(now.lines[1].told, "gone by now");
    assert!(!earlier.settles(Target::Contact(ContactId(102)), &mut decided()), "another record");
}
