//! Webhooks of both services on their way: lost, twice, late.

use crate::settings::Listens;
use crate::world::{BRIDGE, Delivery, World};
use salebridge::core::hint::{Destination, EVENTS};
use salebridge::core::model::Event;
use salebridge::core::time::Millis;
use salebridge::engine::Watch;
use salebridge::inbound::AmoReader;
use salebridge::ports::remote::Decoder;
use salebridge::ports::store::{NewInbox, Source};
use salebridge::ports::watch::HintReader;
use salebridge::remote::amocrm::Watcher;
use salebridge::sandbox::salebot::Webhook;
use salebridge::sandbox::server::{OutgoingWebhook, Service, WebhookOutcome};
use std::sync::Arc;

/// Where amoCRM posts to.
fn destination() -> Destination {
    Destination::new("https://bridge.test", BRIDGE, "0123456789abcdef")
}

impl World {
    /// Puts webhooks on their way: in order, unless this world is disorderly.
    pub fn post(&mut self, hooks: Vec<Webhook>) {
        let now = self.env.now_ms();
        for hook in hooks {
            let client = hook.client_id;
            if self.is_lossy && self.random.chance(5) {
                self.lose(client);
                continue;
            }
            let order = self.deliveries.iter().map(|delivery| delivery.due).max().unwrap_or(now);
            let due = if self.is_disorderly && self.random.chance(20) {
                self.report.count("webhooks late", 1);
                now + self.random.between(10, 30_000)
            } else if self.is_disorderly {
                now + self.random.between(1, 200)
            } else {
                order.max(now) + self.random.between(1, 50)
            };
            if self.is_lossy && self.random.chance(5) {
                self.report.count("webhooks twice", 1);
                let again = due + self.random.between(1, 60_000);
                self.deliveries.push(Delivery { due: again, client, body: hook.body.clone() });
                if !self.is_disorderly {
                    // The second copy must not hold up the ones behind it.
                    let last = self.deliveries.len() - 1;
                    self.deliveries[last].due = due + 1;
                }
            }
            self.deliveries.push(Delivery { due, client, body: hook.body });
        }
        self.deliveries.sort_by_key(|delivery| delivery.due);
    }

    /// What the engine is told by amoCRM on its own account.
    pub fn watch(&self, watcher: Watcher) -> Option<Watch> {
        let destination = (self.listens == Listens::Hooks).then(destination);
        let watch = Watch { reader: Arc::new(AmoReader), amo: Arc::new(watcher), destination };
        (self.listens != Listens::Polls).then_some(watch)
    }

    /// An administrator has amoCRM post to us.
    pub fn subscribe(&mut self) {
        if self.listens == Listens::Hooks {
            let now = self.env.now_ms();
            self.network.amo.lock().unwrap().subscribe(now, &destination().url(), &EVENTS);
        }
    }

    /// Puts amoCRM's webhooks on their way, in whatever order; its own repetitions as well.
    pub fn post_hooks(&mut self) {
        let now = self.env.now_ms();
        let mut amo = self.network.amo.lock().unwrap();
        amo.advance(now);
        let hooks = amo.take_webhooks();
        drop(amo);
        for hook in hooks {
            if self.is_lossy && self.random.chance(12) {
                self.report.count("hooks of amoCRM lost", 1);
                self.hook_ended(&hook, Some(200));
                continue;
            }
            let due = if self.is_lossy && self.random.chance(20) {
                self.report.count("hooks of amoCRM late", 1);
                now + self.random.between(500, 60_000)
            } else {
                now + self.random.between(1, 400)
            };
            if self.is_lossy && self.random.chance(8) {
                self.report.count("hooks of amoCRM twice", 1);
                self.hooks.push((due + self.random.between(0, 20_000), hook.clone()));
            }
            self.hooks.push((due, hook));
        }
        self.hooks.sort_by_key(|(due, hook)| (*due, hook.id));
    }

    fn hook_ended(&self, hook: &OutgoingWebhook, status: Option<u16>) {
        let outcome = WebhookOutcome { id: hook.id, status, at_ms: self.env.now_ms() };
        self.network.amo.lock().unwrap().webhook_posted(&outcome);
    }

    fn hooks_due(&mut self) -> Vec<OutgoingWebhook> {
        let now = self.env.now_ms();
        let (arrived, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.hooks).into_iter().partition(|(due, _)| *due <= now);
        self.hooks = rest;
        arrived.into_iter().map(|(_, hook)| hook).collect()
    }

    /// Nobody is there to take them; amoCRM tries again later.
    pub fn turn_hooks_away(&mut self) {
        for hook in self.hooks_due() {
            self.report.count("hooks of amoCRM at a closed door", 1);
            self.hook_ended(&hook, None);
        }
    }

    /// Takes the webhooks of amoCRM that have arrived, as the HTTP side does.
    fn deliver_hooks(&mut self) {
        for hook in self.hooks_due() {
            self.hook_ended(&hook, Some(200));
            let hints = AmoReader.hints(&hook.body).expect("the sandbox posts what can be read");
            if hints.is_empty() {
                self.report.count("hooks of amoCRM passed over", 1);
                continue;
            }
            self.report.count("hooks of amoCRM taken", 1);
            let body = NewInbox {
                bridge: BRIDGE.to_owned(),
                source: Source::Amo,
                dedupe: None,
                client: None,
                message: None,
                received_at: Millis(self.env.our_now_ms()),
                body: hook.body,
                broken: None,
            };
            self.kept.wait(self.kept.store.receive(body)).expect("has room");
            self.arrivals.bell.ring();
        }
    }

    /// When the next webhook arrives.
    pub fn next_delivery(&self) -> i64 {
        let hooks = self.hooks.iter().map(|(due, _)| *due);
        self.deliveries.iter().map(|delivery| delivery.due).chain(hooks).min().unwrap_or(i64::MAX)
    }

    /// Hands over the webhooks that have arrived, as the HTTP side does.
    pub fn deliver(&mut self) {
        self.deliver_hooks();
        let now = self.env.now_ms();
        let (arrived, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.deliveries).into_iter().partition(|delivery| delivery.due <= now);
        self.deliveries = rest;
        for delivery in arrived {
            let Ok(event) = self.decoder.decode(&delivery.body) else { panic!("the sandbox sent what cannot be read") };
            let (client, message) = match &event {
                Event::Message(message) => (Some(message.client.id), message.id),
                Event::Notice { client, id, .. } => (Some(client.id), *id),
                Event::Nothing { .. } => (None, None),
            };
            let body = NewInbox {
                bridge: BRIDGE.to_owned(),
                source: Source::Salebot,
                dedupe: message.map(|message| self.decoder.dedupe(message)),
                client,
                message,
                received_at: Millis(self.env.our_now_ms()),
                body: delivery.body,
                broken: None,
            };
            self.kept.wait(self.kept.store.receive(body)).expect("has room");
            self.arrivals.bell.ring();
        }
    }
}
