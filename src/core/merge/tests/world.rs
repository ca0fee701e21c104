//! A small model of everything around a merge: two services that rewrite what they are sent, people
//! who edit, and an engine that stores bases and carries out writes, or fails to.

use crate::core::id::{EnumId, UserId};
use crate::core::link::{Base, Content};
use crate::core::merge::{Merged, Pair, merge};
use crate::core::people::phone_key;
use crate::core::policy::{Direction, Owner};
use crate::core::shape::{Form, meaning};
use crate::core::text;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// What a service makes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Exact,
    Trim,
    Cut,
    DropWide,
    Respell,
}

impl Service {
    pub const ALL: [Service; 5] = [Service::Exact, Service::Trim, Service::Cut, Service::DropWide, Service::Respell];

    pub fn kept(self, content: &Content) -> Content {
        content.iter().map(|text| self.text(text)).filter(|text| !text.trim().is_empty()).collect()
    }

    fn text(self, text: &str) -> String {
        match self {
            Service::Exact => text.to_owned(),
            Service::Trim => text.trim().to_owned(),
            Service::Cut => text.chars().take_while(|c| u32::from(*c) <= 0xFFFF).collect(),
            Service::DropWide => text::without_supplementary(text, ""),
            Service::Respell => phone_key(text, "RU").map_or_else(
                || text.to_owned(),
                |key| {
                    let digits = key.text().chars().filter(char::is_ascii_digit).collect::<String>();
                    format!("+{} {} {}", &digits[..1], &digits[1..4], &digits[4..])
                },
            ),
        }
    }
}

/// What becomes of a planned write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Done,
    Dropped,
    /// Carried out, but nobody heard of it.
    Unheard,
    Refused,
}

/// The settings of a pair.
#[derive(Debug, Clone)]
pub struct Rules {
    pub form: Form,
    pub direction: Direction,
    pub owner: Owner,
    pub amo_service: Service,
    pub salebot_service: Service,
}

impl Rules {
    pub fn plain(form: Form, direction: Direction, owner: Owner) -> Rules {
        Rules { form, direction, owner, amo_service: Service::Exact, salebot_service: Service::Exact }
    }

    pub fn pair<'a>(&'a self, amo: &'a Content, salebot: Option<&'a Content>, base: &'a Base) -> Pair<'a> {
        Pair { form: &self.form, direction: self.direction, owner: self.owner, region: "RU", amo, salebot, base }
    }

    pub fn is_list(&self) -> bool {
        matches!(self.form, Form::Phones | Form::Emails | Form::Several | Form::Tags | Form::Choices(_))
    }

    pub fn is_set(&self) -> bool {
        matches!(self.form, Form::Tags | Form::Choices(_))
    }

    pub fn meaning(&self, text: &str) -> Option<String> {
        meaning(&self.form, text, "RU")
    }

    pub fn keys(&self, list: &Content) -> BTreeSet<String> {
        list.iter().filter_map(|text| self.meaning(text)).collect()
    }

    /// What amoCRM shows after this was written.
    pub fn amo_kept(&self, content: &Content) -> Content {
        match self.form {
            Form::Price => vec![text::whole(content.first().map_or("", String::as_str)).unwrap().to_string()],
            _ => self.amo_service.kept(content),
        }
    }
}

/// One client of the contact.
#[derive(Debug, Clone, Default)]
pub struct Client {
    pub salebot: Content,
    pub base: Base,
}

/// One value of a contact and the variables of its clients.
#[derive(Debug, Clone)]
pub struct World {
    pub rules: Rules,
    pub amo: Content,
    pub clients: Vec<Client>,
    /// Meanings of the elements that a manager typed.
    pub typed: BTreeSet<String>,
    /// amoCRM's list as of the last pass: what comes and goes in between is seen by nobody.
    seen: Content,
}

impl World {
    pub fn new(rules: Rules, amo: &[&str], salebot: &[&str]) -> World {
        let client = |text: &&str| Client { salebot: content(text), base: Base::default() };
        let mut world = World {
            rules,
            amo: Content::new(),
            clients: salebot.iter().map(client).collect(),
            typed: BTreeSet::new(),
            seen: Content::new(),
        };
        world.manager_sets(amo.iter().map(|text| (*text).to_owned()).collect());
        world
    }

    pub fn manager_sets(&mut self, list: Content) {
        let (before, now) = (self.rules.keys(&self.seen), self.rules.keys(&list));
        self.typed.retain(|key| now.contains(key));
        self.typed.extend(now.difference(&before).cloned());
        self.amo = list;
    }

    pub fn person_sets(&mut self, client: usize, text: &str) {
        self.clients[client].salebot = content(text);
    }

    pub fn salebot(&self, client: usize) -> &str {
        self.clients[client].salebot.first().map_or("", String::as_str)
    }

    /// One pass over all clients. Plans first; a write to amoCRM whose plan is out of date is dropped.
    pub fn pass(&mut self, fate: Fate) -> Vec<Merged> {
        let amo = self.amo.clone();
        let plans: Vec<Merged> = (0..self.clients.len()).map(|client| self.planned(client)).collect();
        for (client, plan) in plans.iter().enumerate() {
            let is_stale = self.amo != amo;
            if let Some((content, base)) = &plan.write_amo {
                self.carry_to_amo(client, content, base, if is_stale { Fate::Dropped } else { fate });
            }
            if let Some((content, base)) = &plan.write_salebot {
                self.carry_to_salebot(client, content, base, fate);
            }
        }
        self.seen = self.amo.clone();
        let both = |plan: &Merged| plan.write_amo.is_some() && plan.write_salebot.is_some();
        if fate == Fate::Unheard || plans.iter().any(both) || self.clients.len() > 1 {
            self.seen.extend(amo);
        }
        plans
    }

    pub fn planned(&mut self, client: usize) -> Merged {
        let Client { salebot, base } = &self.clients[client];
        let merged = merge(self.rules.pair(&self.amo, Some(salebot), base));
        assert_eq!(merged, merge(self.rules.pair(&self.amo, Some(salebot), base)));
        if let Some(base) = &merged.base {
            self.clients[client].base = base.clone();
        }
        merged
    }

    fn carry_to_amo(&mut self, client: usize, content: &Content, base: &Base, fate: Fate) {
        assert!(self.rules.direction.writes_amo(), "amoCRM is not written in this direction");
        if fate != Fate::Dropped {
            self.check_removals(client, content);
        }
        let link = &mut self.clients[client];
        match fate {
            Fate::Done => link.base = base.clone(),
            Fate::Dropped => return,
            Fate::Unheard => link.base.sent_amo.push(content.clone()),
            Fate::Refused => {
                link.base.salebot = Some(link.salebot.clone());
                return;
            }
        }
        self.amo = self.rules.amo_kept(content);
        let now = self.rules.keys(&self.amo);
        self.typed.retain(|key| now.contains(key));
    }

    fn carry_to_salebot(&mut self, client: usize, content: &Content, base: &Base, fate: Fate) {
        assert!(self.rules.direction.writes_salebot(), "Salebot is not written in this direction");
        assert!(content.len() <= 1, "a variable holds one text");
        let kept = self.rules.salebot_service.kept(content);
        let link = &mut self.clients[client];
        match fate {
            Fate::Done => link.base = base.clone(),
            Fate::Dropped => return,
            Fate::Unheard => link.base.sent_salebot.push(content.clone()),
            Fate::Refused => {
                link.base.amo = Some(self.amo.clone());
                return;
            }
        }
        link.salebot = kept;
    }

    /// Nothing a manager typed is removed, but for one element replaced by the variable's new value.
    fn check_removals(&self, client: usize, content: &Content) {
        if !self.rules.is_list() {
            return;
        }
        let now = self.rules.keys(content);
        let removed: Vec<usize> = (0..self.amo.len())
            .filter(|at| {
                let key = self.rules.meaning(&self.amo[*at]);
                key.is_some_and(|key| !now.contains(&key) && self.typed.contains(&key))
            })
            .collect();
        let value = text::without_controls(&text::without_supplementary(self.salebot(client), ""));
        let is_edit = |at: usize| {
            content.len() == self.amo.len() && self.rules.meaning(&content[at]) == self.rules.meaning(&value)
        };
        let is_fine = removed.is_empty() || (!self.rules.is_set() && removed.len() == 1 && is_edit(removed[0]));
        assert!(is_fine, "a manager's element is removed: {self:?} gets {content:?}");
        let mut spellings = content.iter().filter(|text| self.amo.iter().any(|old| self.is_respelled(old, text)));
        assert_eq!(spellings.next(), None, "a manager's spelling is changed: {self:?} gets {content:?}");
    }

    fn is_respelled(&self, old: &str, new: &str) -> bool {
        old != new && self.rules.meaning(old) == self.rules.meaning(new) && !self.amo.iter().any(|other| other == new)
    }

    /// Passes until nothing is written; more than `rounds` with writes are too many.
    pub fn settle(&mut self, rounds: usize) -> Vec<Merged> {
        let mut plans = Vec::new();
        for _ in 0..=rounds {
            let round = self.pass(Fate::Done);
            let was_quiet = round.iter().all(is_quiet);
            plans.extend(round);
            if was_quiet {
                assert!(self.pass(Fate::Done).iter().all(is_quiet), "quiet once, and then not: {self:?}");
                return plans;
            }
        }
        panic!("still writing after {rounds} rounds: {self:?}: {:?}", plans.last());
    }
}

pub fn is_quiet(merged: &Merged) -> bool {
    merged.write_amo.is_none() && merged.write_salebot.is_none()
}

/// A variable with this text.
pub fn content(text: &str) -> Content {
    if text.is_empty() { Content::new() } else { vec![text.to_owned()] }
}

/// A list with a comma in one of its names.
pub fn choices() -> std::collections::BTreeMap<EnumId, String> {
    [(1, "Red"), (2, "Blue, light"), (3, "Green")].map(|(id, name)| (EnumId(id), name.to_owned())).into()
}

/// Every form with what a manager may set and what a variable may hold.
pub fn vocabulary() -> Vocabulary {
    let words = vec!["Anna", "anna", "Anna 😀 B", "Anna B", "Bo\u{301}ris", "\u{202e}abc", "Anna\nB"];
    let texts = vec!["", "Anna", "anna", " Anna ", "Anna 😀 B", "😀", "Bóris", "a\0b", "\u{feff}", "  "];
    let users = [(UserId(1), "Anna".to_owned()), (UserId(2), "Boris".to_owned())].into();
    vec![
        (Form::Text { chars_max: Some(8) }, words.clone(), [texts.clone(), vec!["longer than that"]].concat()),
        (Form::Name, words.clone(), texts.clone()),
        (Form::Number, vec!["5", "1200.5", "0"], vec!["", "5,0", "1 200,50", "1200", "0", "many"]),
        (Form::Price, vec!["5", "1200", "0"], vec!["", "5.4", "1 200,50", "0", "many"]),
        (Form::Checkbox, vec!["1"], vec!["", "0", "1", "да", "maybe"]),
        (Form::Day, vec!["2026-12-31", "2026-01-01"], vec!["", "31.12.2026 15:30", "2026-01-01", "soon"]),
        (
            Form::Date,
            vec!["2026-12-31", "2026-12-31 15:30:00", "2026-01-01"],
            vec!["", "31.12.2026", "2026-12-31", "31.12.2026 15:30", "soon"],
        ),
        (Form::Choice(choices()), vec!["Red", "Blue, light"], vec!["", "red", "2", "Blue,light", "Pink"]),
        (Form::User(users), vec!["Anna", "Boris"], vec!["", "anna", "2", "Nobody"]),
        (Form::Company, words, texts.clone()),
        (Form::ReadOnly, vec!["1", "2"], vec!["", "1", "3"]),
        (
            Form::Phones,
            vec!["+79990000001", "8 (999) 000-00-02", "+7 999 000-00-03", "12-34", "9990000001"],
            vec![
                "",
                "89990000001",
                "+7 999 000 00 02",
                "79990000003",
                "12-34",
                "79990000004",
                "😀",
                "+7999 000-00-05 😀",
            ],
        ),
        (
            Form::Emails,
            vec!["a@example.test", "B@Example.test", "c@example.test"],
            vec!["", "A@example.test", "b@example.test", "d@example.test", "none"],
        ),
        (Form::Several, vec!["one", "Two", "three 😀"], vec!["", "ONE", "two", "four 😀 4", "😀"]),
        (
            Form::Tags,
            vec!["vip", "New", "a, b", "hot 😀 x", "🔥"],
            vec!["", "VIP, new", "new", "a,b", "b, vip", "hot 😀 x, vip", "🔥", "vip,vip ,"],
        ),
        (
            Form::Choices(choices()),
            vec!["Red", "Blue, light", "Green"],
            vec!["", "red", "blue,light, green", "light", "Pink, Red", "3", "Green, Pink"],
        ),
    ]
}

/// Any settings, and values that go with the form.
pub fn any_rules() -> impl Strategy<Value = (Rules, Vec<&'static str>, Vec<&'static str>)> {
    rules_of(vocabulary())
}

/// As [`any_rules`], for values that are one text and can be written.
pub fn any_single_rules() -> impl Strategy<Value = (Rules, Vec<&'static str>, Vec<&'static str>)> {
    let is_single = |form: &Form| !Rules::plain(form.clone(), Direction::Both, Owner::Amo).is_list();
    rules_of(vocabulary().into_iter().filter(|(form, ..)| is_single(form) && *form != Form::ReadOnly).collect())
}

type Vocabulary = Vec<(Form, Vec<&'static str>, Vec<&'static str>)>;

fn rules_of(vocabulary: Vocabulary) -> impl Strategy<Value = (Rules, Vec<&'static str>, Vec<&'static str>)> {
    let directions = prop::sample::select(vec![Direction::Both, Direction::ToAmo, Direction::ToSalebot]);
    let owners = prop::sample::select(vec![Owner::Amo, Owner::Salebot]);
    let services = || prop::sample::select(Service::ALL.to_vec());
    (prop::sample::select(vocabulary), directions, owners, services(), services()).prop_map(
        |((form, managers, people), direction, owner, amo_service, salebot_service)| {
            (Rules { form, direction, owner, amo_service, salebot_service }, managers, people)
        },
    )
}

/// Something that happens.
#[derive(Debug, Clone)]
pub enum Step {
    Manager(Content),
    Person(usize, &'static str),
    Pass(Fate),
}

/// What a manager may set: one value, none, or a list.
pub fn managers(rules: &Rules, words: Vec<&'static str>) -> BoxedStrategy<Content> {
    let most = if rules.is_list() { words.len() } else { 1 };
    let least = usize::from(matches!(rules.form, Form::Name | Form::Price | Form::User(_) | Form::ReadOnly));
    prop::sample::subsequence(words, least..=most)
        .prop_shuffle()
        .prop_map(|list| list.into_iter().map(str::to_owned).collect())
        .boxed()
}

/// A story of one or two clients.
pub fn any_story(fates: Vec<Fate>) -> impl Strategy<Value = (World, Vec<Step>)> {
    (any_rules(), 1..=2_usize).prop_flat_map(move |((rules, words, texts), clients)| {
        let manager = managers(&rules, words);
        let step = prop_oneof![
            2 => manager.clone().prop_map(Step::Manager),
            2 => (0..clients, prop::sample::select(texts.clone())).prop_map(|(client, text)| Step::Person(client, text)),
            3 => prop::sample::select(fates.clone()).prop_map(Step::Pass),
        ];
        let salebot = prop::collection::vec(prop::sample::select(texts), clients);
        let start = (manager, salebot).prop_map(move |(amo, salebot)| {
            let amo: Vec<&str> = amo.iter().map(String::as_str).collect();
            World::new(rules.clone(), &amo, &salebot)
        });
        (start, prop::collection::vec(step, 0..10))
    })
}

impl World {
    pub fn live(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Manager(list) => self.manager_sets(list.clone()),
                Step::Person(client, text) => self.person_sets(*client, text),
                Step::Pass(fate) => drop(self.pass(*fate)),
            }
        }
    }
}
