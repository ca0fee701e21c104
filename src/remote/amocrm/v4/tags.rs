//! Tags of changed records: what is to be added and what taken away.
//!
//! A full set would replace what somebody gave the record a moment ago; `tags_to_add` and `tags_to_delete` leave it
//! alone (v4 tags page).

use super::AmoV4;
use super::edit::{Write, named};
use super::map::Entity;
use crate::core::fault::{Fault, FaultKind};
use crate::core::id::{ContactId, LeadId};
use crate::core::model::{Contact, Lead};
use crate::ports::remote::Priority;
use std::collections::{BTreeMap, BTreeSet};

/// A record with tags.
pub(super) trait Tagged: Entity {
    /// Its id, tags and last change.
    fn tagged(self) -> (u64, BTreeSet<String>, i64);
}

impl Tagged for Contact {
    fn tagged(self) -> (u64, BTreeSet<String>, i64) {
        let ContactId(id) = self.id;
        (id, self.tags, self.updated_at)
    }
}

impl Tagged for Lead {
    fn tagged(self) -> (u64, BTreeSet<String>, i64) {
        let LeadId(id) = self.id;
        (id, self.tags, self.updated_at)
    }
}

impl AmoV4 {
    /// Turns the full sets of tags into differences from what the records hold. They are read for it, so what is seen
    /// of the lock that v2 has is heeded: a record that has changed meanwhile is not written.
    pub(super) async fn compare_tags<E: Tagged>(&self, writes: &mut [Result<Write, Fault>], priority: Priority) {
        let has_tags = |write: &&Write| write.tags.is_some();
        let ids: BTreeSet<u64> = writes.iter().flatten().filter(has_tags).filter_map(|write| write.record.id).collect();
        if ids.is_empty() {
            return;
        }
        let read = self.by_id::<E>(&ids, priority).await;
        let held: Result<BTreeMap<u64, _>, Fault> = read.map(|page| {
            page.rows.into_iter().map(Tagged::tagged).map(|(id, tags, updated_at)| (id, (tags, updated_at))).collect()
        });
        for place in writes {
            let Ok(write) = place else { continue };
            let Some(wanted) = write.tags.take() else { continue };
            let found = match &held {
                Ok(held) => held.get(&write.record.id.unwrap_or(0)),
                Err(fault) => {
                    *place = Err(fault.clone());
                    continue;
                }
            };
            match found {
                None => *place = Err(Fault::new(FaultKind::Gone, "the record is not there any more")),
                Some((_, at)) if write.record.updated_at.is_some_and(|ours| ours <= *at) => {
                    *place = Err(Fault::new(FaultKind::Changed, "somebody changed the record in the meantime"));
                }
                Some((tags, _)) => {
                    write.record.tags_to_add = named(wanted.difference(tags).cloned());
                    write.record.tags_to_delete = named(tags.difference(&wanted).cloned());
                }
            }
        }
    }
}
