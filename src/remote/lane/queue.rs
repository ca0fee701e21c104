//! Who waits in a lane, and who is next.

use crate::ports::remote::Priority;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;

/// A lower priority that waits gets at least every twentieth permit: a flood of people's requests
/// slows polling down and never stops it.
const GUARANTEED_EVERY: u32 = 20;

/// One waiting caller.
pub(super) struct Ticket {
    /// Its number; unique in the lane.
    pub(super) id: u64,
    /// True when the daily budget does not count it.
    pub(super) free: bool,
    /// True for work of the lowest priority.
    pub(super) is_background: bool,
    /// Wakes it.
    pub(super) bell: Arc<Notify>,
}

/// Three queues, first come first served within each.
#[derive(Default)]
pub(super) struct Queues {
    waiting: [VecDeque<Ticket>; 3],
    /// Permits that went past each queue while somebody waited there.
    passed_over: [u32; 3],
}

impl Queues {
    /// Puts a caller at the end of its queue.
    pub(super) fn push(&mut self, priority: Priority, ticket: Ticket) {
        self.waiting[index(priority)].push_back(ticket);
    }

    /// Takes out a caller that gave up.
    pub(super) fn remove(&mut self, id: u64) -> bool {
        for queue in &mut self.waiting {
            if let Some(place) = queue.iter().position(|ticket| ticket.id == id) {
                queue.remove(place);
                return true;
            }
        }
        false
    }

    /// Takes out whoever is next: the highest priority, unless a lower one has been passed over
    /// for too long.
    pub(super) fn pop(&mut self) -> Option<Ticket> {
        let starved = (0..3).find(|&queue| self.is_starved(queue));
        let chosen = starved.or_else(|| (0..3).find(|&queue| !self.waiting[queue].is_empty()))?;
        for queue in 0..3 {
            let waits = !self.waiting[queue].is_empty();
            self.passed_over[queue] = if queue == chosen || !waits { 0 } else { self.passed_over[queue] + 1 };
        }
        self.waiting[chosen].pop_front()
    }

    fn is_starved(&self, queue: usize) -> bool {
        !self.waiting[queue].is_empty() && self.passed_over[queue] >= GUARANTEED_EVERY - 1
    }

    /// Takes out all those for whom `condition` holds.
    pub(super) fn drain(&mut self, condition: impl Fn(&Ticket) -> bool) -> Vec<Ticket> {
        let mut taken = Vec::new();
        for queue in &mut self.waiting {
            let (out, stay) = std::mem::take(queue).into_iter().partition(&condition);
            *queue = stay;
            taken.extend::<VecDeque<Ticket>>(out);
        }
        taken
    }

    /// The one to be woken when somebody has to watch the clock.
    pub(super) fn first(&self) -> Option<&Ticket> {
        self.waiting.iter().find_map(VecDeque::front)
    }

    /// How many wait, most urgent priority first.
    pub(super) fn lengths(&self) -> [usize; 3] {
        [self.waiting[0].len(), self.waiting[1].len(), self.waiting[2].len()]
    }

    /// How many wait in all.
    pub(super) fn total(&self) -> usize {
        self.lengths().iter().sum()
    }
}

fn index(priority: Priority) -> usize {
    match priority {
        Priority::Person => 0,
        Priority::Poll => 1,
        Priority::Background => 2,
    }
}
