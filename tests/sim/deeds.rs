//! What people, bots and managers do.

use crate::checks::{contacts_of, subscriber, variable};
use crate::clock::Random;
use crate::network::POISON;
use crate::settings::{SOURCE, STAGE_LAST};
use crate::world::{Delivery, Person, Said, World};
use salebridge::sandbox::amo::edit::{ContactDraft, LeadDraft};
use salebridge::sandbox::amo::{Amo, fixture};
use salebridge::sandbox::salebot::NewClient;
use salebridge::sandbox::salebot::state::Order;
use serde_json::Value;
use std::sync::Arc;

/// The longest that search and listings lag behind, and a poll.
pub const SHOWN_AFTER_MS: i64 = 60_000;

impl World {
    pub fn populate(&mut self) {
        let now = self.env.now_ms() - 86_400_000;
        let network = Arc::clone(&self.network);
        let mut amo = network.amo.lock().unwrap();
        let mut salebot = network.salebot.lock().unwrap();
        // An account is never without any contact and lead: a listing that is empty is a matter for the guards.
        let office = amo.add_contact(now, ContactDraft { name: "Office".to_owned(), ..ContactDraft::default() });
        self.known_contacts.insert(office);
        amo.create_lead(
            now,
            LeadDraft { name: "Rent".to_owned(), contact_ids: vec![office], price: 1, ..LeadDraft::default() },
        );
        if self.loads_clients {
            // Somebody who never wrote: only the policy makes a client for them.
            let phones = vec!["+79990009999".to_owned()];
            let silent = ContactDraft { name: "Silent".to_owned(), phones, ..ContactDraft::default() };
            self.known_contacts.insert(amo.add_contact(now, silent));
        }
        for number in 0..4 + self.random.below(6) {
            let phone = (!self.random.chance(25)).then(|| format!("+7999000{:04}", number * 11 + 1));
            let is_known = phone.is_some() && self.random.chance(50);
            if let Some(phone) = phone.as_deref().filter(|_| self.random.chance(30)) {
                // A search for the number finds this one as well.
                let name = format!("Partner of {}", &phone[2..]);
                let draft =
                    ContactDraft { name, phones: vec![format!("+4470000000{number:02}")], ..ContactDraft::default() };
                self.known_contacts.insert(amo.add_contact(now, draft));
            }
            let contact = is_known.then(|| {
                let phones = vec![spelled(&mut self.random, phone.as_deref().unwrap_or_default())];
                amo.add_contact(
                    now,
                    ContactDraft { name: format!("Known {number}"), phones, ..ContactDraft::default() },
                )
            });
            self.known_contacts.extend(contact);
            let with_deal = contact.filter(|_| self.random.chance(60));
            if let Some(contact) = with_deal {
                let is_refused = self.has_poison && amo.lead_count() == 1;
                let draft = LeadDraft {
                    name: format!("{} {number}", if is_refused { POISON } else { "Deal" }),
                    contact_ids: vec![contact],
                    price: 1_000,
                    stage: Some((61, 1001)),
                    ..LeadDraft::default()
                };
                amo.create_lead(now, draft);
            }
            let mut clients = Vec::new();
            for messenger in 0..1 + self.random.below(2) {
                let platform_id = format!("{}", 600_000_000 + number * 10 + messenger);
                let client_type = if messenger == 0 { 1 } else { 0 };
                let group = if messenger == 0 { "some_bot" } else { "club" };
                let name = format!("Person {number}");
                let new = NewClient { client_type, platform_id: &platform_id, group, name: Some(&name) };
                let id = salebot.add_client(now, new);
                if let Some(phone) = &phone {
                    salebot.set_variable(now, id, "client.phone", &spelled(&mut self.random, phone));
                }
                clients.push(id);
            }
            self.people.push(Person { contact, phone, clients, had_deal: with_deal.is_some(), ..Person::default() });
        }
    }

    /// Somebody does something.
    pub fn deed(&mut self) {
        // Several often have to do with one person at a time.
        let index =
            if self.random.chance(35) { self.last_index } else { self.random.below(self.people.len() as u64) as usize };
        self.last_index = index;
        let person = self.people[index].clone();
        let client = *self.random.pick(&person.clients);
        self.events.touched(index);
        match (self.random.below(100), self.contact_ids(index).first().copied()) {
            (0..=39, _) => self.talk(client),
            (40..=50, _) => self.tell_a_bot(client),
            (51..=58, _) if person.phone.is_none() => self.tell_number(client),
            (51..=66, Some(contact)) if self.choices.has_no_orders => self.work_on_deal(contact),
            (67..=72, _) if self.choices.has_no_orders => self.work_on_order(client),
            (51..=78, Some(contact)) => self.manage(index, contact),
            (79..=84, Some(contact)) => self.work_on_deal(contact),
            (85..=87, _) => self.work_on_order(client),
            (88..=90, _) => self.call(index, client),
            (91..=99, _) if self.is_tidied => self.tidy(index),
            (_, _) => {}
        }
        let hooks = self.network.salebot.lock().unwrap().take_webhooks();
        self.post(hooks);
    }

    /// Whom the robots quarrel about.
    pub fn quarrelled(&self) -> Option<(u64, i64)> {
        let person = self.people.iter().find(|person| person.contact.is_some()).filter(|_| self.has_robots)?;
        person.contact.zip(person.clients.first().copied())
    }

    /// The robot whose turn it is puts its own value back.
    pub fn correct(&mut self) {
        let Some((contact, client)) = self.quarrelled() else { return };
        let now = self.env.now_ms();
        self.corrections += 1;
        let index = self.people.iter().position(|person| person.contact == Some(contact)).expect("one who is there");
        self.events.touched(index);
        if self.corrections.is_multiple_of(2) {
            self.network.amo.lock().unwrap().set_contact_text(now, contact, fixture::FIELD_POSITION, "amoCRM's robot");
            self.network.note(format!("contact {contact}: corrected"));
            return;
        }
        let text = format!("corrected {}", self.messages.len());
        let mut salebot = self.network.salebot.lock().unwrap();
        salebot.set_variable(now, client, "client.position", "Salebot's robot");
        let said = salebot.bot_answers(now, client, &text, 390);
        let hooks = salebot.take_webhooks();
        drop(salebot);
        self.network.note(format!("client {client}: corrected"));
        self.messages.extend(said.map(|id| Said { id, client, text, by_bot: true, at: now }));
        self.post(hooks);
    }

    /// A manager tidies up: deletes a contact or a deal, enters somebody twice, merges who is there twice.
    fn tidy(&mut self, index: usize) {
        let now = self.env.now_ms();
        let contacts = self.contact_ids(index);
        match self.random.below(10) {
            _ if contacts.len() > 1 && self.is_shown(index) && self.random.chance(70) => self.merge(index),
            0..=2 if !contacts.is_empty() => {
                let contact = *self.random.pick(&contacts);
                self.network.amo.lock().unwrap().delete_contact(now, contact);
                self.network.note(format!("contact {contact} is deleted"));
                self.report.count("contacts deleted", 1);
                self.lost(index, contact);
            }
            3..=5 => self.delete_deal(index, &contacts),
            6..=9 if self.people[index].phone.is_some() && contacts.len() < 3 => self.enter_twice(index),
            _ => {}
        }
    }

    /// The contacts of a person as they are in amoCRM.
    pub fn contact_ids(&self, index: usize) -> Vec<u64> {
        let amo = self.network.amo.lock().unwrap();
        contacts_of(&amo, &self.people[index]).iter().map(|contact| contact.card.id).collect()
    }

    fn lost(&mut self, index: usize, contact: u64) {
        let now = self.env.now_ms();
        let person = &mut self.people[index];
        person.lost_at = Some(now);
        person.contact = person.contact.filter(|own| *own != contact);
    }

    fn delete_deal(&mut self, index: usize, contacts: &[u64]) {
        let now = self.env.now_ms();
        let mut amo = self.network.amo.lock().unwrap();
        let lead = amo.leads().find(|lead| lead.contact_ids.iter().any(|contact| contacts.contains(contact)));
        let Some(lead) = lead.map(|lead| lead.card.id) else { return };
        amo.delete_lead(now, lead);
        drop(amo);
        self.people[index].deal_lost_at = Some(now);
        self.events.deleted.insert(lead);
        self.network.note(format!("lead {lead} is deleted"));
        self.report.count("leads deleted", 1);
    }

    /// A web form, or a colleague, makes a contact for somebody who has one.
    fn enter_twice(&mut self, index: usize) {
        let now = self.env.now_ms();
        let phone = self.people[index].phone.clone().unwrap_or_default();
        let phones = vec![spelled(&mut self.random, &phone)];
        let network = Arc::clone(&self.network);
        let mut amo = network.amo.lock().unwrap();
        let draft = ContactDraft { name: format!("Twin {index}"), phones, ..ContactDraft::default() };
        let twin = amo.add_contact(now, draft);
        // Salebot moves the newest order of a client and no other: nobody here gets a second deal.
        let is_first = !std::mem::replace(&mut self.people[index].had_deal, true);
        if is_first && self.random.chance(50) {
            let name = format!("Deal of twin {index}");
            amo.create_lead(
                now,
                LeadDraft {
                    name,
                    contact_ids: vec![twin],
                    price: 700,
                    stage: Some((61, 1001)),
                    ..LeadDraft::default()
                },
            );
        }
        drop(amo);
        self.network.note(format!("contact {twin} is made for person {index}"));
        self.known_contacts.insert(twin);
        self.people[index].twins += 1;
        self.people[index].twin_at = now;
        self.report.count("contacts entered twice", 1);
    }

    /// Two contacts of a person become one.
    pub fn merge(&mut self, index: usize) {
        self.events.touched(index);
        let now = self.env.now_ms();
        let contacts = self.contact_ids(index);
        let survivor = *self.random.pick(&contacts);
        let losers: Vec<u64> = contacts.into_iter().filter(|contact| *contact != survivor).collect();
        let loser = *self.random.pick(&losers);
        self.network.amo.lock().unwrap().merge_contacts(now, survivor, loser);
        self.network.note(format!("contact {loser} is merged into {survivor}"));
        self.report.count("contacts merged", 1);
        self.entered.survivors.insert(survivor);
        let had = self.people[index].contact;
        self.lost(index, loser);
        if had == Some(loser) {
            self.people[index].contact = Some(survivor);
        }
    }

    /// The search shows whom a manager entered last. A contact that was merged into one that cannot be
    /// found yet takes its notes to where nobody can look for them.
    fn is_shown(&self, index: usize) -> bool {
        self.env.now_ms() - self.people[index].twin_at > SHOWN_AFTER_MS
    }

    /// At the end of the day nobody is there twice. True if somebody was.
    pub fn merge_twins(&mut self) -> bool {
        let mut found = false;
        for index in 0..self.people.len() {
            while self.people[index].twins > 0 && self.contact_ids(index).len() > 1 {
                self.merge(index);
                found = true;
            }
        }
        found
    }

    /// The person writes a few lines, or an operator answers.
    fn talk(&mut self, client: i64) {
        let now = self.env.now_ms();
        let number = self.messages.len();
        let network = Arc::clone(&self.network);
        let mut salebot = network.salebot.lock().unwrap();
        if self.random.chance(15) {
            let text = format!("answer {number}");
            self.network.note(format!("client {client}: {text}"));
            self.messages.extend(salebot.operator_answers(now, client, &text).map(|id| Said {
                id,
                client,
                text,
                by_bot: false,
                at: now,
            }));
            return;
        }
        for part in 0..1 + self.random.below(3) {
            let text = format!("message {number}.{part}");
            self.network.note(format!("client {client}: {text}"));
            self.messages.extend(salebot.person_writes(now, client, Some(&text), &[]).map(|id| Said {
                id,
                client,
                text,
                by_bot: false,
                at: now,
            }));
        }
    }

    /// A bot learns something and answers: that is how we hear of it.
    fn tell_a_bot(&mut self, client: i64) {
        let now = self.env.now_ms();
        let value = format!("position {}", self.random.below(5));
        let text = format!("noted {}", self.messages.len());
        let mut salebot = self.network.salebot.lock().unwrap();
        salebot.set_variable(now, client, "client.position", &value);
        let answer = salebot.bot_answers(now, client, &text, 390);
        drop(salebot);
        self.network.note(format!("client {client}: {value}"));
        self.report.count("variables set", 1);
        self.entered.told.insert(client, value);
        self.messages.extend(answer.map(|id| Said { id, client, text, by_bot: true, at: now }));
    }

    /// Somebody who had no phone number tells the bot one, or another one.
    fn tell_number(&mut self, client: i64) {
        let now = self.env.now_ms();
        let number =
            nobodys("+7999222", self.random.below(10_000), |number| self.entered.told_numbers.contains(number));
        self.entered.told_numbers.insert(number.clone());
        let text = format!("called {}", self.messages.len());
        let mut salebot = self.network.salebot.lock().unwrap();
        let before = variable(&salebot, client, "phone");
        salebot.set_variable(now, client, "client.phone", &number);
        let answer = salebot.bot_answers(now, client, &text, 390);
        drop(salebot);
        self.network.note(format!("client {client}: {number}"));
        self.report.count("numbers told", 1);
        self.entered.replaced.extend(before.and_then(|phone| subscriber(&phone)));
        self.messages.extend(answer.map(|id| Said { id, client, text, by_bot: true, at: now }));
    }

    /// A manager edits a contact.
    pub fn manage(&mut self, index: usize, contact: u64) {
        self.events.touched(index);
        let now = self.env.now_ms();
        let network = Arc::clone(&self.network);
        let mut amo = network.amo.lock().unwrap();
        let what = match self.random.below(5) {
            0 => {
                let name = format!("Renamed {}", self.random.below(9));
                amo.rename_contact(now, contact, &name);
                self.report.count("renamed", 1);
                self.entered.names.insert(contact, name.clone());
                name
            }
            1 => {
                let desk = format!("desk {}", self.random.below(5));
                amo.set_contact_text(now, contact, fixture::FIELD_POSITION, &desk);
                self.entered.positions.insert((index, contact), desk.clone());
                desk
            }
            2 => {
                let phone = nobodys("+7999111", self.random.below(10_000), |phone| {
                    self.entered.phones.values().any(|known| known.contains_key(phone))
                });
                amo.add_phone(now, contact, &phone);
                self.entered.phones.entry(contact).or_default().insert(phone.clone(), now);
                phone
            }
            3 => {
                let remark = format!("remark {}", self.random.below(100));
                amo.set_contact_text(now, contact, fixture::FIELD_TEXTAREA, &remark);
                self.entered.remarks.insert(contact, remark.clone());
                remark
            }
            _ => {
                let tags: Vec<&str> = ["vip", "new", "old"].into_iter().filter(|_| self.random.chance(50)).collect();
                amo.set_contact_tags(now, contact, &tags);
                tags.join(",")
            }
        };
        drop(amo);
        self.network.note(format!("contact {contact}: {what}"));
    }

    /// A manager moves a deal, or changes its price.
    fn work_on_deal(&mut self, contact: u64) {
        let now = self.env.now_ms();
        let network = Arc::clone(&self.network);
        let mut amo = network.amo.lock().unwrap();
        let leads = amo.leads().filter(|lead| lead.contact_ids.contains(&contact)).map(|lead| lead.card.id);
        let leads: Vec<u64> = leads.collect();
        if self.choices.has_no_orders && self.random.chance(30) {
            self.begin_or_end_a_deal(&mut amo, contact, &leads);
            return;
        }
        let Some(lead) = leads.first().copied() else { return };
        let lead = if self.choices.has_no_orders { *self.random.pick(&leads) } else { lead };
        if self.choices.carries_source && self.random.chance(40) {
            let source = format!("source {lead}.{}", self.random.below(5));
            amo.set_lead_text(now, lead, fixture::FIELD_LEAD_SOURCE, &source);
            self.network.note(format!("lead {lead}: {source}"));
            self.entered.sources.insert(lead, source);
        } else if self.random.chance(50) {
            let to = if self.random.chance(50) { 1001 } else { STAGE_LAST };
            if to == STAGE_LAST && amo.lead(lead).is_some_and(|lead| lead.status_id != to) {
                *self.events.moved.entry(lead).or_default() += 1;
            }
            amo.move_lead(now, lead, 61, to);
        } else {
            let price = self.random.between(1, 90) * 100;
            amo.set_lead_price(now, lead, price);
            self.entered.prices.insert(lead, price);
        }
    }

    /// A deal more, or one that is won or lost. Some are opened again later, by being moved.
    fn begin_or_end_a_deal(&mut self, amo: &mut Amo, contact: u64, leads: &[u64]) {
        let now = self.env.now_ms();
        if leads.is_empty() || self.random.chance(40) {
            let draft = LeadDraft {
                name: format!("Deal {} of {contact}", leads.len()),
                contact_ids: vec![contact],
                price: 900,
                stage: Some((61, 1001)),
                ..LeadDraft::default()
            };
            let lead = amo.create_lead(now, draft);
            self.network.note(format!("lead {lead} of contact {contact} is made"));
            self.report.count("further leads", 1);
            return;
        }
        let lead = *self.random.pick(leads);
        let others: Vec<u64> = self.people.iter().filter_map(|person| person.contact).collect();
        if self.random.chance(30) && !others.is_empty() {
            let other = *self.random.pick(&others);
            if other != contact && amo.lead(lead).is_some_and(|lead| lead.contact_ids == [contact]) {
                amo.unlink_lead(now, lead, contact);
                amo.link_lead(now, lead, other);
                self.network.note(format!("lead {lead} goes from contact {contact} to {other}"));
                self.report.count("leads handed over", 1);
                self.entered.handed_over.insert(lead);
                self.entered.gave_away.insert(contact);
                self.entered.took_over.insert(other);
            }
            return;
        }
        let to = if self.random.chance(50) { 142 } else { 143 };
        amo.move_lead(now, lead, 61, to);
        self.network.note(format!("lead {lead} is closed: {to}"));
        self.report.count("leads closed", 1);
    }

    /// A bot learns something about the deal that its client's variables name.
    fn tell_source(&mut self, client: i64) {
        let network = Arc::clone(&self.network);
        let mut salebot = network.salebot.lock().unwrap();
        let Some(lead) = variable(&salebot, client, "amo_lead_id").and_then(|lead| lead.parse().ok()) else { return };
        let now = self.env.now_ms();
        let number = self.messages.len();
        let (source, text) = (format!("heard {number}"), format!("sourced {number}"));
        salebot.set_variable(now, client, &format!("client.{SOURCE}"), &source);
        let answer = salebot.bot_answers(now, client, &text, 390);
        drop(salebot);
        self.network.note(format!("client {client}: {source}"));
        self.report.count("sources told", 1);
        self.entered.told_sources.entry(lead).or_default().push(source);
        self.messages.extend(answer.map(|id| Said { id, client, text, by_bot: true, at: now }));
    }

    /// An operator moves an order, or a bot changes its budget and says so.
    fn work_on_order(&mut self, client: i64) {
        if self.choices.carries_source && self.random.chance(50) {
            self.tell_source(client);
            return;
        }
        let now = self.env.now_ms();
        let network = Arc::clone(&self.network);
        let mut salebot = network.salebot.lock().unwrap();
        let Some((order, lead)) = salebot.orders(client).first().and_then(|order| Some((order.id, lead_of(order)?)))
        else {
            return;
        };
        if self.random.chance(50) {
            let state = if self.random.chance(50) { 37 } else { 38 };
            salebot.move_order_by_hand(now, order, state);
            self.report.count("orders moved by hand", 1);
            self.entered.moved.insert(client);
            drop(salebot);
            self.network.note(format!("order {order} of client {client}: to {state}"));
            return;
        }
        let budget = self.random.between(1, 90) * 100 + 1;
        let text = format!("budgeted {}", self.messages.len());
        salebot.set_order_variable(order, "budget", &Value::from(budget));
        let answer = salebot.bot_answers(now, client, &text, 390);
        drop(salebot);
        self.network.note(format!("order {order} of client {client}: budget {budget}"));
        self.report.count("budgets changed", 1);
        self.entered.budgets.insert(lead, budget);
        self.messages.extend(answer.map(|id| Said { id, client, text, by_bot: true, at: now }));
    }

    /// Where a notice of a moved order was lost nothing tells of it: only what the client does next.
    pub fn stir(&mut self) {
        let moved: Vec<i64> = self.entered.moved.intersection(&self.unheard).copied().collect();
        for client in moved {
            let now = self.env.now_ms();
            let text = format!("stirred {}", self.messages.len());
            let answer = self.network.salebot.lock().unwrap().bot_answers(now, client, &text, 390);
            self.messages.extend(answer.map(|id| Said { id, client, text, by_bot: true, at: now }));
        }
        let hooks = self.network.salebot.lock().unwrap().take_webhooks();
        let now = self.env.now_ms();
        self.deliveries.extend(hooks.into_iter().map(|hook| Delivery {
            due: now,
            client: hook.client_id,
            body: hook.body,
        }));
    }
}

/// The lead that an order was made for.
fn lead_of(order: &Order) -> Option<u64> {
    let marks = order.variables.values().filter_map(|value| value.as_str()?.strip_prefix("amoCRM lead "));
    marks.filter_map(|number| number.parse().ok()).next()
}

/// A phone number that nobody has yet: who has the number of somebody else is that person to the bridge.
fn nobodys(prefix: &str, drawn: u64, is_taken: impl Fn(&str) -> bool) -> String {
    let mut numbers = (drawn..drawn + 10_000).map(|number| format!("{prefix}{:04}", number % 10_000));
    numbers.find(|number| !is_taken(number)).expect("nobody draws ten thousand")
}

/// A phone number as people write it.
fn spelled(random: &mut Random, phone: &str) -> String {
    let national = &phone[2..];
    match random.below(4) {
        0 => phone.to_owned(),
        1 => format!("8{national}"),
        2 => format!("7{national}"),
        // amoCRM's search does not find it by its digits.
        _ => format!("8 ({}) {}-{}-{}", &national[..3], &national[3..6], &national[6..8], &national[8..]),
    }
}
