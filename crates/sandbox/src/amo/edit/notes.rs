//! Managers, notes and tasks.

use std::collections::BTreeMap;

use crate::amo::Amo;
use crate::amo::state::records::{Element, Note, Task};

/// Notes and tasks.
impl Amo {
    /// Adds a note of any type, also of those only amoCRM itself writes; its number, or `None` when there
    /// is no such record.
    pub fn add_note(&mut self, now_ms: i64, element: Element, note_type: u64, text: &str) -> Option<u64> {
        if !self.world.exists(element) {
            return None;
        }
        let now_s = now_ms.div_euclid(1_000);
        let note = Note {
            id: 0,
            element,
            note_type,
            text: text.to_owned(),
            params: BTreeMap::new(),
            created_at: now_s,
            updated_at: now_s,
            created_by: self.manager,
            responsible_user_id: self.manager,
            changed_at_ms: now_ms,
        };
        Some(self.world.add_note(note, now_ms))
    }

    /// Adds a task to call; its number, or `None` when there is no such record.
    pub fn add_task(&mut self, now_ms: i64, element: Element, text: &str, complete_till_at: i64) -> Option<u64> {
        if !self.world.exists(element) {
            return None;
        }
        let now_s = now_ms.div_euclid(1_000);
        let task = Task {
            id: 0,
            element,
            task_type: 1,
            text: text.to_owned(),
            complete_till_at,
            is_completed: false,
            result: None,
            created_at: now_s,
            updated_at: now_s,
            created_by: self.manager,
            responsible_user_id: self.manager,
            changed_at_ms: now_ms,
        };
        Some(self.world.add_task(task, now_ms))
    }

    /// Ticks a task off.
    pub fn complete_task(&mut self, now_ms: i64, id: u64) -> bool {
        let done = self.world.tasks.change(id, now_ms, |task| {
            task.is_completed = true;
            task.updated_at = now_ms.div_euclid(1_000);
            task.changed_at_ms = now_ms;
        });
        done.is_some()
    }
}
