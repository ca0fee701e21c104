//! Bots that call functions: they ask again, with the same number, when nobody answers.

use crate::checks::variable;
use crate::network::Network;
use crate::world::World;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use salebridge::core::function::{Answer, Arguments, Call, Function};
use salebridge::core::time::Millis;
use salebridge::engine::Bridge;
use salebridge::ports::env::Bell;
use salebridge::ports::function::Functions;
use salebridge::sandbox::amo::Amo;
use salebridge::sandbox::amo::records::{Element, ElementKind};
use serde_json::json;
use std::sync::Mutex;

/// As long as the HTTP side waits.
const WAIT_MS: i64 = 4_500;
/// A bot that got no answer asks again after so long.
pub const AGAIN_MS: i64 = 10_000;

/// A call of a bot.
#[derive(Debug, Clone)]
pub struct Asked {
    pub function: Function,
    /// Whose bot.
    pub client: i64,
    /// Tells its record from all others.
    pub mark: String,
    /// Its person had told a number by then.
    had_number: bool,
    /// When it was sent last.
    pub sent_at: i64,
    /// True until a daemon has taken it.
    is_on_its_way: bool,
    /// The last answer.
    pub answer: Option<Answer>,
}

/// All calls, and those that a daemon is to take.
#[derive(Default)]
pub struct Bots {
    calls: Mutex<Vec<Asked>>,
    bell: Bell,
}

impl Bots {
    pub fn calls(&self) -> Vec<Asked> {
        self.calls.lock().unwrap().clone()
    }

    /// A call is sent.
    pub fn ask(&self, function: Function, client: i64, mark: String, had_number: bool, now: i64) {
        let asked = Asked { function, client, mark, had_number, sent_at: now, is_on_its_way: true, answer: None };
        self.calls.lock().unwrap().push(asked);
        self.bell.ring();
    }

    /// A daemon takes calls until it dies; those that were under way then are never answered.
    pub async fn serve(&self, bridge: &Bridge, network: &Network) {
        let mut under_way = FuturesUnordered::new();
        loop {
            for number in self.take() {
                under_way.push(self.call(bridge, network, number));
            }
            tokio::select! {
                biased;
                () = self.bell.heard() => {}
                Some(()) = under_way.next(), if !under_way.is_empty() => {}
            }
        }
    }

    fn take(&self) -> Vec<usize> {
        let mut calls = self.calls.lock().unwrap();
        let sent = calls.iter_mut().map(|call| std::mem::take(&mut call.is_on_its_way)).enumerate();
        sent.filter_map(|(number, is_sent)| is_sent.then_some(number)).collect()
    }

    async fn call(&self, bridge: &Bridge, network: &Network, number: usize) {
        let asked = self.calls.lock().unwrap()[number].clone();
        let mut body = json!({ "client_id": asked.client, "request_id": format!("r{number}") });
        let (name, value) = match asked.function {
            Function::AddLead => ("lead_data", json!({ "name": asked.mark, "budget": 300 })),
            Function::CreateTask => ("title", json!(asked.mark)),
            _ => ("text", json!(asked.mark)),
        };
        body[name] = value;
        let arguments = Arguments::read("", body.to_string().as_bytes()).expect("it is JSON");
        let call = Call::read(asked.function, &arguments, Millis(asked.sent_at)).expect("nothing is missing");
        // The store is full now and then: the bot hears nothing of use.
        if let Ok(answer) = bridge.call(call, WAIT_MS).await {
            network.note(format!("client {}: `{}` is answered {}", asked.client, asked.mark, answer.text()));
            self.calls.lock().unwrap()[number].answer = Some(answer);
        }
    }
}

impl World {
    /// A bot wants a record made.
    pub fn call(&mut self, index: usize, client: i64) {
        let now = self.env.now_ms();
        let number = self.bots.calls.lock().unwrap().len();
        // Salebot moves the newest order of a client and no other: nobody here gets a second deal.
        let has_orders = !self.choices.has_no_orders;
        let function = match self.random.below(3) {
            0 if !(std::mem::replace(&mut self.people[index].had_deal, true) && has_orders) => Function::AddLead,
            1 => Function::CreateTask,
            _ => Function::AddContactNote,
        };
        let mark = format!("called for {number}");
        self.report.count(format!("calls of {}", function.name()), 1);
        self.network.note(format!("client {client}: {} `{mark}`", function.name()));
        let had_number = variable(&self.network.salebot.lock().unwrap(), client, "phone").is_some();
        self.bots.ask(function, client, mark, had_number, now);
    }

    /// Who got no answer asks again.
    pub fn ask_again(&mut self) {
        let now = self.env.now_ms();
        let mut calls = self.bots.calls.lock().unwrap();
        let unheard = calls.iter_mut().filter(|call| call.answer.is_none() && now - call.sent_at >= AGAIN_MS);
        for call in unheard {
            (call.sent_at, call.is_on_its_way) = (now, true);
            self.report.count("calls asked again", 1);
        }
        drop(calls);
        self.bots.bell.ring();
    }
}

/// How often it stands on a record that is gone.
fn made_on_gone(amo: &Amo, call: &Asked) -> usize {
    let is_gone = |element: Element| match element.kind {
        ElementKind::Contact => amo.contact(element.id).is_none(),
        ElementKind::Lead => amo.lead(element.id).is_none(),
        _ => false,
    };
    let tasks = amo.tasks().filter(|task| task.text == call.mark && is_gone(task.element)).count();
    tasks + amo.notes().filter(|note| note.words() == call.mark && is_gone(note.element)).count()
}

/// What was made is there once; what was refused is not there.
pub fn make_one_record(world: &World, amo: &Amo, violations: &mut Vec<String>) {
    for call in world.bots.calls() {
        let made = match call.function {
            Function::AddLead => amo.leads().filter(|lead| lead.card.name == call.mark).count(),
            Function::CreateTask => amo.tasks().filter(|task| task.text == call.mark).count(),
            _ => amo.notes().filter(|note| note.words() == call.mark).count(),
        };
        let answer = call.answer.as_ref();
        let is_queued = answer.is_some_and(|answer| answer.get("queued").is_some());
        let is_right = match answer {
            Some(answer) if answer.get("error") == Some(&json!("uncertain")) => made <= 1,
            Some(answer) if answer.get("error") == Some(&json!("contact_not_found")) => made == 0 && !call.had_number,
            // What was made on a record that was deleted before the answer came went with it.
            Some(answer) if !answer.is_ok() => made == 0 || made_on_gone(amo, &call) == made,
            // Deleted since, or before it was made; what went with a contact is made again on the next one.
            Some(_) if world.is_tidied => made - made_on_gone(amo, &call) <= 1,
            // What was asked about was not there when its turn came.
            Some(_) if is_queued && call.function == Function::CreateTask => made <= 1,
            // Nobody gets a contact without a number, which the bot was told later.
            Some(_) if is_queued && world.choices.wants_number && !call.had_number => made <= 1,
            Some(_) => made == 1,
            None => false,
        };
        if !is_right {
            let told = answer.map(Answer::text);
            violations.push(format!(
                "`{}` by {} is there {made} times, told {told:?}",
                call.mark,
                call.function.name()
            ));
        }
    }
}
