//! Towns of the sandbox in a process of their own, so that they cost the daemon's figures nothing. One line of JSON
//! asks, one answers.

use crate::Outcome;
use crate::process::Helper;
use salebridge::app::town;
use salebridge::sandbox::amo::fixture::FIELD_POSITION;
use salebridge::sandbox::amo::records::{Element, ElementKind};
use salebridge::sandbox::faults::{Fault, Faults, ScriptedFault, ServiceName};
use salebridge::sandbox::town::{Town, TownOptions};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::BufRead;
use std::time::{Duration, Instant};

/// How towns are founded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// How many towns, all alike.
    pub towns: usize,
    /// Contacts of each amoCRM.
    pub contacts: usize,
    /// People who may write; all of them have a client.
    pub people: usize,
    /// Whether amoCRM's limit of seven requests a second holds.
    pub limited: bool,
}

/// Where a town's services are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Address {
    /// amoCRM.
    pub amo: String,
    /// Salebot.
    pub salebot: String,
    /// amoCRM's token.
    pub token: String,
    /// Clients there are.
    pub clients: usize,
}

/// What a town is told to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Order {
    /// Count requests and records.
    Count,
    /// Salebot posts its webhooks there from now on.
    Deliver(String),
    /// Everybody writes once; the bodies of the webhooks, which nobody posts.
    Bodies(String),
    /// So many messages by everybody who is a contact, in turns, the first `people` of them.
    Write { people: usize, messages: usize },
    /// A manager edits the first so many contacts that have a client.
    Edit(usize),
    /// Edits one contact after the other, each at another moment, and waits until the client has it.
    EditAndWait(usize),
    /// Lets a bot change a variable and the person write, and waits until the contact has it.
    SayAndWait(usize),
    /// Lets a person write, and waits until a note has it.
    NoteAndWait(usize),
    /// amoCRM hardly answers any more.
    Stall,
}

/// What a town was asked so far, and what it has.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Requests to amoCRM.
    pub amo: u64,
    /// The same by method and path.
    pub amo_routes: BTreeMap<String, u64>,
    /// Answers 429 of amoCRM.
    pub too_many: u64,
    /// Requests to Salebot.
    pub salebot: u64,
    /// The same by action.
    pub salebot_actions: BTreeMap<String, u64>,
    /// Lines in notes.
    pub lines: usize,
    /// Webhooks that were posted and taken.
    pub delivered: u64,
    /// When the latest note was written, in Unix milliseconds; 0 for none.
    pub latest_note_ms: i64,
}

impl Counts {
    /// What came since.
    pub fn since(&self, before: &Counts) -> Counts {
        let less = |now: &BTreeMap<String, u64>, then: &BTreeMap<String, u64>| {
            let left = now.iter().map(|(name, count)| (name.clone(), count - then.get(name).unwrap_or(&0)));
            left.filter(|(_, count)| *count > 0).collect()
        };
        Counts {
            amo: self.amo - before.amo,
            amo_routes: less(&self.amo_routes, &before.amo_routes),
            too_many: self.too_many - before.too_many,
            salebot: self.salebot - before.salebot,
            salebot_actions: less(&self.salebot_actions, &before.salebot_actions),
            lines: self.lines - before.lines,
            delivered: self.delivered - before.delivered,
            latest_note_ms: self.latest_note_ms,
        }
    }
}

/// Towns in another process.
pub struct Towns {
    helper: Helper,
    /// Where they are.
    pub addresses: Vec<Address>,
}

impl Towns {
    /// Founds them.
    pub fn found(plan: &Plan) -> Outcome<Towns> {
        let mut helper = Helper::start(&["town"])?;
        let addresses = helper.ask(plan)?;
        Ok(Towns { helper, addresses })
    }

    /// One town.
    pub fn one(contacts: usize, people: usize, limited: bool) -> Outcome<Towns> {
        Towns::found(&Plan { towns: 1, contacts, people, limited })
    }

    /// Tells a town to do something.
    pub fn ask<A: serde::de::DeserializeOwned>(&mut self, number: usize, order: Order) -> Outcome<A> {
        self.helper.ask(&(number, order))
    }

    /// What the first town was asked so far.
    pub fn counts(&mut self) -> Outcome<Counts> {
        self.ask(0, Order::Count)
    }
}

/// The other process: a plan, then orders, until nobody asks any more.
pub fn serve() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut lines = std::io::stdin().lock().lines();
    let plan: Plan = serde_json::from_str(&lines.next().ok_or("no plan")??)?;
    let towns = runtime.block_on(found(&plan))?;
    println!("{}", serde_json::to_string(&towns.iter().map(address).collect::<Vec<Address>>())?);
    for line in lines {
        let (number, order): (usize, Order) = serde_json::from_str(&line?)?;
        let town = towns.get(number).ok_or("no such town")?;
        println!("{}", runtime.block_on(carry_out(town, order))?);
    }
    Ok(())
}

async fn found(plan: &Plan) -> Outcome<Vec<Town>> {
    let mut towns = Vec::new();
    for number in 0..plan.towns {
        let mut options = TownOptions {
            seed: number as u64 + 1,
            contacts: plan.contacts,
            people: plan.people,
            ..TownOptions::new(town::clock())
        };
        if !plan.limited {
            options.amo.limits.requests_per_second = None;
        }
        // Nobody takes them while nobody posts them, and a storm of messages is not to be cut short.
        options.salebot.webhook.queue_limit = 1_000_000;
        let town = Town::found(options, Faults::none()).await?;
        for (number, person) in town.cast().people.iter().enumerate() {
            for door in 0..person.doors.len() {
                town.enter(number, door);
            }
        }
        towns.push(town);
    }
    Ok(towns)
}

fn address(town: &Town) -> Address {
    Address {
        amo: town.amo_url(),
        salebot: town.salebot_url(),
        token: town.amo(|amo, _| amo.options().token.clone()),
        clients: town.entered().len(),
    }
}

async fn carry_out(town: &Town, order: Order) -> Outcome<String> {
    let told = match order {
        Order::Count => serde_json::to_string(&counts(town)),
        Order::Deliver(url) => serde_json::to_string(&town.deliver_to(&url)?),
        Order::Bodies(path) => serde_json::to_string(&bodies(town, &path)),
        Order::Write { people, messages } => serde_json::to_string(&write(town, people, messages)),
        Order::Edit(contacts) => serde_json::to_string(&edit(town, contacts)),
        Order::EditAndWait(samples) => serde_json::to_string(&edit_and_wait(town, samples).await?),
        Order::SayAndWait(samples) => serde_json::to_string(&say_and_wait(town, samples).await?),
        Order::NoteAndWait(samples) => serde_json::to_string(&note_and_wait(town, samples).await?),
        Order::Stall => {
            let stalled = Fault::Slow { ms: 20_000 };
            town.spoil(ScriptedFault::once(ServiceName::Amo, stalled).times(u64::MAX));
            serde_json::to_string(&())
        }
    };
    Ok(told?)
}

fn counts(town: &Town) -> Counts {
    let delivered = town.deliveries().delivered;
    town.look(|amo, salebot| {
        let (asked, called) = (amo.statistics(), salebot.statistics());
        Counts {
            amo: asked.requests,
            amo_routes: asked.by_route.clone(),
            too_many: asked.too_many(),
            salebot: called.total,
            salebot_actions: called.by_action.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            lines: amo.notes().map(|note| note.words().lines().count()).sum(),
            delivered,
            latest_note_ms: amo.notes().map(|note| note.created_at * 1_000).max().unwrap_or_default(),
        }
    })
}

fn bodies(town: &Town, path: &str) -> Vec<(String, String)> {
    let people = town.cast().people.len();
    for person in 0..people {
        town.writes(person, 0, "Здравствуйте! Подскажите, когда привезут заказ?");
    }
    let webhooks = town.salebot(|salebot, _| salebot.take_webhooks());
    webhooks.into_iter().map(|webhook| (path.to_owned(), String::from_utf8_lossy(&webhook.body).into_owned())).collect()
}

/// People who are contacts: person, contact.
fn regulars(town: &Town) -> impl Iterator<Item = (usize, u64)> {
    town.cast().people.iter().enumerate().filter_map(|(number, person)| Some((number, person.contact?)))
}

fn write(town: &Town, people: usize, messages: usize) -> usize {
    let people: Vec<usize> = regulars(town).map(|(number, _)| number).take(people).collect();
    let mut written = 0;
    for number in 0..messages {
        let Some(person) = people.get(number % people.len().max(1)) else { break };
        written += usize::from(town.writes(*person, 0, &format!("Сообщение {number}")).is_some());
    }
    written
}

fn edit(town: &Town, contacts: usize) -> usize {
    let wanted: Vec<u64> = regulars(town).map(|(_, contact)| contact).take(contacts).collect();
    let change = |(number, contact): (usize, &u64)| {
        let text = format!("Должность {number}");
        town.amo(|amo, now_ms| amo.set_contact_text(now_ms, *contact, FIELD_POSITION, &text))
    };
    wanted.iter().enumerate().map(change).filter(|is_done| *is_done).count()
}

/// How often it is looked whether a value has arrived.
const LOOK: Duration = Duration::from_millis(2);
/// Longer than any value takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long a value took in all, and since the next full second: what is polled is polled at one.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Way {
    /// When the edit was made, in Unix milliseconds.
    pub began_ms: i64,
    /// Milliseconds from the edit until it was there.
    pub took_ms: f64,
}

async fn edit_and_wait(town: &Town, samples: usize) -> Outcome<Vec<Way>> {
    let people: Vec<(usize, u64)> = regulars(town).collect();
    let mut ways = Vec::new();
    for number in 0..samples {
        let (person, contact) = people[number % people.len()];
        let client = town.enter(person, 0).ok_or("nobody there")?;
        // At another moment of the second each time.
        tokio::time::sleep(Duration::from_millis(200 + (number as u64 * 137) % 1_000)).await;
        let text = format!("Ведущий {number}");
        let (began, began_ms) = (Instant::now(), town.now_ms());
        town.amo(|amo, now_ms| amo.set_contact_text(now_ms, contact, FIELD_POSITION, &text));
        let has_it = || {
            town.salebot(|salebot, _| {
                salebot
                    .client(client)
                    .and_then(|client| client.variables.get("position")?.as_str().map(|is| is == text))
            })
        };
        arrived(began, || has_it() == Some(true)).await?;
        ways.push(Way { began_ms, took_ms: began.elapsed().as_secs_f64() * 1_000.0 });
    }
    Ok(ways)
}

async fn say_and_wait(town: &Town, samples: usize) -> Outcome<Vec<Way>> {
    let people: Vec<(usize, u64)> = regulars(town).collect();
    let mut ways = Vec::new();
    for number in 0..samples {
        let (person, contact) = people[number % people.len()];
        let client = town.enter(person, 0).ok_or("nobody there")?;
        tokio::time::sleep(Duration::from_millis(200 + (number as u64 * 137) % 1_000)).await;
        let text = format!("Старший {number}");
        let (began, began_ms) = (Instant::now(), town.now_ms());
        town.salebot(|salebot, now_ms| salebot.set_variable(now_ms, client, "client.position", &text));
        town.writes(person, 0, &format!("Теперь я {text}"));
        let has_it = || {
            town.amo(|amo, _| {
                amo.contact(contact).is_some_and(|contact| contact.card.texts(FIELD_POSITION).concat() == text)
            })
        };
        arrived(began, has_it).await?;
        ways.push(Way { began_ms, took_ms: began.elapsed().as_secs_f64() * 1_000.0 });
    }
    Ok(ways)
}

async fn note_and_wait(town: &Town, samples: usize) -> Outcome<Vec<Way>> {
    let people: Vec<(usize, u64)> = regulars(town).collect();
    let mut ways = Vec::new();
    for number in 0..samples {
        let (person, contact) = people[number % people.len()];
        tokio::time::sleep(Duration::from_millis(200 + (number as u64 * 137) % 1_000)).await;
        let text = format!("Отдельное слово {number}");
        let (began, began_ms) = (Instant::now(), town.now_ms());
        town.writes(person, 0, &text);
        let element = Element { kind: ElementKind::Contact, id: contact };
        arrived(began, || town.amo(|amo, _| amo.notes_of(element).any(|note| note.words().ends_with(&text)))).await?;
        ways.push(Way { began_ms, took_ms: began.elapsed().as_secs_f64() * 1_000.0 });
    }
    Ok(ways)
}

async fn arrived(began: Instant, has_it: impl Fn() -> bool) -> Outcome<()> {
    while !has_it() {
        if began.elapsed() > DEADLINE {
            return Err("a value did not arrive within a minute".into());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
