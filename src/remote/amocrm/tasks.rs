//! A task as either version of the API shows it.

use super::loose::{Text, Whole};
use super::page::Wire;
use crate::ports::remote::Task;
use serde::Deserialize;

/// A task (v2 tasks page: `element_id`, `complete_till_at`; v4 tasks page: `entity_id`, `complete_till`).
#[derive(Deserialize)]
pub(super) struct TaskRow {
    id: Whole,
    #[serde(default, alias = "entity_id")]
    element_id: Whole,
    #[serde(default)]
    text: Text,
    #[serde(default, alias = "complete_till")]
    complete_till_at: Whole,
}

impl Wire for TaskRow {
    type Record = Task;

    fn record(self) -> Result<Task, String> {
        Ok(Task {
            id: self.id.positive().ok_or("the id is missing")?,
            element: self.element_id.positive(),
            text: self.text.or_empty(),
            due_at: self.complete_till_at.seconds(),
        })
    }
}
