//! Checks what a bridge is told to do besides its mapped pairs: people, orders, triggers, notes, guard.

use super::Checker;
use crate::config::TemplateKind;
use crate::config::raw;
use crate::config::report::{At, Place};
use crate::core::id::{PipelineId, StateId, StatusId};
use crate::core::policy::{
    CreateClient, Direction, Guard, MatchBy, Notes, Orders, People, Policy, StageRow, Trigger, TriggerEvent,
};

/// A longer template makes a longer note than amoCRM takes.
const TEMPLATE_BYTES_MAX: usize = 4096;

impl Checker<'_> {
    pub(super) fn policy(&mut self, raw: &raw::Bridge) -> Option<Policy> {
        let orders = raw.orders.as_ref().and_then(|orders| self.orders(&orders.value));
        let rules = self.rules(raw);
        let people = self.people(raw);
        let triggers = raw.trigger.as_ref().and_then(|triggers| self.triggers(&triggers.value));
        let notes = raw.notes.as_ref().and_then(|notes| self.notes(&notes.value));
        let guard = raw.guard.as_ref().and_then(|guard| self.guard(&guard.value));
        Some(Policy {
            rules: rules?,
            people: people?,
            orders: orders?,
            triggers: triggers?,
            callbacks: raw.salebot.as_ref()?.value.callback_delivery.as_ref()?.value,
            notes: notes?,
            guard: guard?,
        })
    }

    fn people(&mut self, raw: &raw::Bridge) -> Option<People> {
        let people = &raw.people.as_ref()?.value;
        let region = people.default_region.as_ref().and_then(|region| self.region(region));
        let match_by = people.r#match.as_ref().and_then(|words| self.match_by(words));
        let channel = raw.salebot.as_ref().and_then(|salebot| {
            let create_with = salebot.value.create_with.as_ref();
            self.optional(create_with, |checker, channel| checker.create_with(&channel.value))
        });
        let create_client = people.create_client.as_ref()?;
        let faulty = raw
            .salebot
            .as_ref()
            .is_some_and(|salebot| self.report.is_faulty(&format!("{}.create_with", salebot.place.path)));
        if create_client.value == CreateClient::LoadClients && matches!(channel, Some(None)) && !faulty {
            let help = "add to [bridge.salebot]: create_with = { group_id = \"34810\", client_type = 6 }";
            let message = "\"load_clients\" needs `salebot.create_with`, the channel in which clients are made";
            self.report.fault_with_help(&create_client.place, message, help);
            return None;
        }
        Some(People {
            default_region: region?,
            match_by: match_by?,
            create_contact: people.create_contact.as_ref()?.value,
            create_client: create_client.value,
            create_with: channel?,
        })
    }

    fn region(&mut self, region: &At<String>) -> Option<String> {
        let fits = region.value.len() == 2 && region.value.chars().all(|c| c.is_ascii_uppercase());
        if !fits {
            self.report.fault_with_help(
                &region.place,
                "must be a country in two capital letters",
                "for example: RU, KZ, BY",
            );
        }
        fits.then(|| region.value.clone())
    }

    fn match_by(&mut self, words: &At<Vec<At<MatchBy>>>) -> Option<Vec<MatchBy>> {
        self.without_twins(&words.value)
    }

    /// The values of a list in which each may stand once.
    fn without_twins<T: Copy + PartialEq>(&mut self, items: &[At<T>]) -> Option<Vec<T>> {
        let mut values = Vec::new();
        for item in items {
            if values.contains(&item.value) {
                self.report.fault(&item.place, "stands twice in the list");
                return None;
            }
            values.push(item.value);
        }
        Some(values)
    }

    fn orders(&mut self, raw: &raw::Orders) -> Option<Orders> {
        let stages = raw.stage.as_ref().and_then(|stages| self.stages(&stages.value));
        let direction = match raw.direction.as_ref()?.value {
            raw::OrderDirection::Both => Direction::Both,
            raw::OrderDirection::ToSalebot => Direction::ToSalebot,
        };
        Some(Orders { enabled: raw.enabled.as_ref()?.value, direction, stages: stages? })
    }

    fn stages(&mut self, raw: &[At<raw::Stage>]) -> Option<Vec<StageRow>> {
        let mut rows: Vec<Option<StageRow>> = Vec::new();
        for stage in raw {
            let row = self.stage(&stage.value);
            if let Some(row) = row {
                self.refuse_stage_twin(&rows, row, &stage.place);
            }
            rows.push(row);
        }
        rows.into_iter().collect()
    }

    fn stage(&mut self, raw: &raw::Stage) -> Option<StageRow> {
        let pipeline = raw.pipeline.as_ref().and_then(|id| self.id(id));
        let status = raw.status.as_ref().and_then(|id| self.id(id));
        let state = raw.state.as_ref().and_then(|id| self.id(id));
        Some(StageRow { pipeline: PipelineId(pipeline?), status: StatusId(status?), state: StateId(state?) })
    }

    fn refuse_stage_twin(&mut self, rows: &[Option<StageRow>], row: StageRow, place: &Place) {
        let same = |other: &&StageRow| other.pipeline == row.pipeline && other.status == row.status;
        if rows.iter().flatten().any(|other| same(&other)) {
            let message = format!("pipeline {} with status {} already has a row", row.pipeline, row.status);
            self.report.fault_with_help(place, message, "keep one row for each pipeline and status");
        }
    }

    fn triggers(&mut self, raw: &[At<raw::Trigger>]) -> Option<Vec<Trigger>> {
        let mut triggers: Vec<Option<Trigger>> = Vec::new();
        for item in raw {
            let trigger = self.trigger(&item.value);
            if trigger.is_some() && triggers.contains(&trigger) {
                self.report.fault(&item.place, "stands twice: the bot would be called twice");
            }
            triggers.push(trigger);
        }
        triggers.into_iter().collect()
    }

    fn trigger(&mut self, raw: &raw::Trigger) -> Option<Trigger> {
        let pipeline = self.optional(raw.pipeline.as_ref(), Self::id);
        let status = self.optional(raw.status.as_ref(), Self::id);
        let callback = raw.callback.as_ref().and_then(|text| self.template(TemplateKind::Callback, text));
        let on = raw.on.as_ref()?.value;
        if matches!(on, TriggerEvent::ContactCreated | TriggerEvent::ContactChanged) {
            let filters = [raw.pipeline.as_ref(), raw.status.as_ref()];
            for filter in filters.into_iter().flatten() {
                let help = "drop the filter, or wait for an event of a lead such as \"lead.stage\"";
                self.report.fault_with_help(&filter.place, "filters leads, but the event is a contact's", help);
            }
        }
        Some(Trigger { on, pipeline: pipeline?.map(PipelineId), status: status?.map(StatusId), callback: callback? })
    }

    fn template(&mut self, kind: TemplateKind, text: &At<String>) -> Option<String> {
        let fault = if text.value.trim().is_empty() {
            Some("must not be empty".to_owned())
        } else if text.value.len() > TEMPLATE_BYTES_MAX {
            Some(format!("must not be longer than {TEMPLATE_BYTES_MAX} bytes"))
        } else {
            (self.checks.template)(kind, &text.value).err()
        };
        match fault {
            Some(message) => {
                self.report.fault(&text.place, message);
                None
            }
            None => Some(text.value.clone()),
        }
    }

    fn notes(&mut self, raw: &raw::Notes) -> Option<Notes> {
        let on = raw.on.as_ref().and_then(|targets| self.without_twins(&targets.value));
        let join_within = raw.join_within.as_ref().and_then(|text| self.duration(text, "0s", "10m"));
        let template = raw.template.as_ref().and_then(|text| self.template(TemplateKind::Note, text));
        let on = on?;
        Some(Notes {
            on_contact: on.contains(&raw::NoteTarget::Contact),
            on_lead: on.contains(&raw::NoteTarget::Lead),
            incoming: raw.incoming.as_ref()?.value,
            outgoing: raw.outgoing.as_ref()?.value,
            join_within_ms: i64::try_from(join_within?.as_millis()).ok()?,
            template: template?,
        })
    }

    fn guard(&mut self, raw: &raw::Guard) -> Option<Guard> {
        let share = raw.max_cleared_share.as_ref().and_then(|share| self.number(share, 0.0..=1.0, ""));
        let min = raw.max_cleared_min.as_ref().and_then(|min| self.whole(min, 0..=1_000_000));
        let flips = raw.freeze_after_flips.as_ref().and_then(|flips| self.whole(flips, 1..=1000));
        Some(Guard {
            max_cleared_share: share?,
            max_cleared_min: min?,
            freeze_after_flips: u32::try_from(flips?).ok()?,
        })
    }
}
