//! Webhooks on their way: lost, twice, late.

use crate::world::{BRIDGE, Delivery, World};
use futures::FutureExt;
use salebridge::core::model::Event;
use salebridge::core::time::Millis;
use salebridge::ports::remote::Decoder;
use salebridge::ports::store::{NewInbox, Source, Store};
use salebridge::sandbox::salebot::Webhook;

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

    /// Hands over the webhooks that have arrived, as the HTTP side does.
    pub fn deliver(&mut self) {
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
            self.store.receive(body).now_or_never().expect("the memory store answers at once").expect("and has room");
            self.bell.ring();
        }
    }
}
