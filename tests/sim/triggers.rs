//! Events of amoCRM that start a bot: none starts it twice, and nothing starts it that was not said or done.

use crate::settings::TOLD;
use crate::world::World;
use salebridge::core::policy::CallbackDelivery;
use salebridge::sandbox::salebot::Salebot;
use std::collections::{BTreeMap, BTreeSet};

/// What people did that a trigger waits for.
#[derive(Debug, Clone, Default)]
pub struct Events {
    /// How often a manager moved a lead to the last stage from another one.
    pub moved: BTreeMap<u64, u64>,
    /// Leads that a manager deleted.
    pub deleted: BTreeSet<u64>,
    /// How often something was done to a person's values, on either side.
    pub touched: BTreeMap<usize, u64>,
}

impl Events {
    pub fn touched(&mut self, index: usize) {
        *self.touched.entry(index).or_default() += 1;
    }
}

/// How often a bot was started with each text.
fn started(salebot: &Salebot) -> BTreeMap<(&str, u64), u64> {
    let mut started = BTreeMap::new();
    for callback in salebot.callbacks() {
        let Some((word, id)) = callback.text.split_once(' ') else { continue };
        let Some(word) = TOLD.iter().find(|(_, told)| *told == word).map(|(_, told)| *told) else { continue };
        *started.entry((word, id.parse().expect("an id"))).or_default() += 1;
    }
    started
}

/// For the report: how often each event started a bot.
pub fn counts(salebot: &Salebot) -> BTreeMap<&str, u64> {
    let mut counts = BTreeMap::new();
    for ((word, _), count) in started(salebot) {
        *counts.entry(word).or_default() += count;
    }
    counts
}

/// Bots that were started once too often.
pub fn are_no_surprise(world: &World, salebot: &Salebot, violations: &mut Vec<String>) {
    // One that may be sent again where nothing tells whether it arrived may arrive twice.
    if world.callbacks == CallbackDelivery::AtLeastOnce && world.was_lossy {
        return;
    }
    let events = &world.events;
    let mut changed = 0;
    for ((word, id), count) in started(salebot) {
        let most = match word {
            "moved" => events.moved.get(&id).copied().unwrap_or(0),
            "made" => 1,
            "deleted" => u64::from(events.deleted.contains(&id)),
            _ => {
                changed += count;
                continue;
            }
        };
        if count > most {
            violations.push(format!("a bot was told `{word} {id}` {count} times, not {most} at most"));
        }
    }
    // Each of a person's clients hears of what is done to one of them.
    let clients = |index: usize| world.people[index].clients.len() as u64;
    let most: u64 = events.touched.iter().map(|(index, times)| clients(*index) * times).sum();
    if changed > most {
        violations
            .push(format!("bots were told {changed} times that a contact was changed, which happened {most} times"));
    }
}
