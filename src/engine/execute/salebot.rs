//! Carrying out actions in Salebot: one request an action, but one for all clients that get the same
//! variables.

use super::amo::harmless;
use super::lookup::Found;
use super::under_way::{Ended, Unit};
use super::{Bridge, Outcome};
use crate::core::action::Action;
use crate::core::echo;
use crate::core::fault::{Fault, FaultKind};
use crate::core::id::ClientId;
use crate::core::link::ClientLink;
use crate::core::model::Client;
use crate::core::plan::deal::order_mark;
use crate::core::policy::CallbackDelivery;
use crate::ports::remote::{ClientAddress, NewOrder};
use crate::ports::store::{Change, OutboxRow, StoreError, Stored};

impl Bridge {
    /// Carries out one unit.
    pub(super) async fn carry_out(&self, unit: Unit) -> Ended {
        let outcomes = match unit.as_slice() {
            [row] if !matches!(row.action, Action::SaveVariables { .. }) => {
                self.execute_one(row).await.map(|outcome| vec![outcome])
            }
            rows => Ok(self.save_variables(rows).await),
        };
        (unit, outcomes)
    }

    /// Clients that get the same values, in one request. A refusal does not tell whom it is about: then each gets a request
    /// of its own, so that one client who is gone or full costs no other its values.
    async fn save_variables(&self, rows: &[OutboxRow]) -> Vec<Outcome> {
        match self.save_together(rows).await {
            Err(fault) if rows.len() > 1 && is_about_a_client(&fault) => self.save_one_by_one(rows).await,
            saved => vec![saved.map_or_else(Outcome::Failed, |()| Outcome::Done); rows.len()],
        }
    }

    async fn save_one_by_one(&self, rows: &[OutboxRow]) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for row in rows {
            match self.save_together(std::slice::from_ref(row)).await {
                Ok(()) => outcomes.push(Outcome::Done),
                Err(fault) if is_about_a_client(&fault) => outcomes.push(Outcome::Failed(fault)),
                // It is about the service: the others would hear the same.
                Err(fault) => {
                    outcomes.resize(rows.len(), Outcome::Failed(fault));
                    break;
                }
            }
        }
        outcomes
    }

    async fn save_together(&self, rows: &[OutboxRow]) -> Result<(), Fault> {
        let Some(OutboxRow { action: Action::SaveVariables { variables, .. }, priority, .. }) = rows.first() else {
            return Ok(());
        };
        let clients: Vec<ClientId> = rows.iter().filter_map(|row| client_of(&row.action)).collect();
        self.parts.salebot.save_variables(&clients, variables, *priority).await
    }

    async fn execute_one(&self, row: &OutboxRow) -> Result<Outcome, StoreError> {
        let salebot = &self.parts.salebot;
        let done = |result: Result<(), Fault>| result.map_or_else(Outcome::Failed, |()| Outcome::Done);
        Ok(match &row.action {
            Action::CreateOrder { .. } => self.create_order(row).await?,
            Action::SetOrderVariables { client, order, variables, .. } => {
                done(salebot.set_order_variables(*client, *order, variables, row.priority).await)
            }
            Action::SetOrderState { .. } => self.set_order_state(row).await,
            Action::Callback { client, text } => self.callback(row, *client, text).await?,
            Action::LoadClient { platform_id, group_id, client_type, .. } => {
                let address = ClientAddress {
                    platform_id: platform_id.clone(),
                    group_id: group_id.clone(),
                    client_type: *client_type,
                };
                match salebot.load_clients(&[address], row.priority).await.into_iter().next() {
                    Some(result) => result.map_or_else(Outcome::Failed, Outcome::Client),
                    None => Outcome::Failed(Fault::new(FaultKind::Broken, "load_clients answered nothing")),
                }
            }
            Action::Function(call) => self.find_record(row, call).await?,
            Action::SaveVariables { .. }
            | Action::CreateContact { .. }
            | Action::UpdateContact { .. }
            | Action::UpdateLead { .. }
            | Action::AddNote { .. } => Outcome::Untouched,
        })
    }

    async fn create_order(&self, row: &OutboxRow) -> Result<Outcome, StoreError> {
        let Action::CreateOrder { client, lead, name, budget, state, .. } = &row.action else {
            return Ok(Outcome::Untouched);
        };
        if row.in_doubt {
            match self.look_for_order(row).await? {
                Ok(Found::Done(order) | Found::Theirs(order)) => return Ok(Outcome::Order(order)),
                Ok(Found::Later(wait_ms)) => return Ok(Outcome::Unclear(wait_ms)),
                Ok(Found::NotDone) => {}
                Err(fault) => return Ok(Outcome::Failed(harmless(fault))),
            }
        }
        let order = NewOrder {
            client: *client,
            name: name.clone(),
            description: order_mark(*lead),
            budget: *budget,
            state: *state,
        };
        let made = self.parts.salebot.create_order(&order, row.priority).await;
        Ok(made.map_or_else(Outcome::Failed, Outcome::Order))
    }

    /// The request moves whichever order is current, so that has to be ours.
    async fn set_order_state(&self, row: &OutboxRow) -> Outcome {
        let Action::SetOrderState { client, order, state, .. } = &row.action else { return Outcome::Untouched };
        match self.parts.salebot.current_order(*client, row.priority).await {
            Ok(Some(current)) if current == *order => {}
            Ok(_) => {
                let reason = "the order is not the client's current one, and Salebot moves no other: move it by hand, or let a bot block do it";
                return Outcome::Failed(Fault::new(FaultKind::Rejected, reason));
            }
            Err(fault) => return Outcome::Failed(fault),
        }
        let moved = self.parts.salebot.set_order_state(*client, *state, row.priority).await;
        moved.map_or_else(Outcome::Failed, |()| Outcome::Done)
    }

    /// Whether a callback arrived cannot be looked up: what becomes of one whose answer was lost is the
    /// configuration's choice.
    async fn callback(&self, row: &OutboxRow, client: ClientId, text: &str) -> Stored<Outcome> {
        if row.in_doubt && self.parts.policy.callbacks == CallbackDelivery::AtMostOnce {
            let reason = "the answer to the callback was lost, and it cannot be looked up whether the bot started: start it by hand if it did not";
            return Ok(Outcome::Failed(Fault::new(FaultKind::Rejected, reason)));
        }
        self.expect_echo(client, text).await?;
        let called = self.parts.salebot.callback(client, text, row.priority).await;
        Ok(called.map_or_else(Outcome::Failed, |()| Outcome::Done))
    }

    /// Before it is sent: it may come back sooner than its answer.
    async fn expect_echo(&self, client: ClientId, text: &str) -> Stored<()> {
        let gate = self.in_flight.lock().await;
        let link = self.store().clients(self.name(), &[client]).await?.pop();
        let mut link = link.unwrap_or_else(|| ClientLink::new(Client::unknown(client)));
        echo::remember(&mut link.callbacks, text, self.now());
        self.commit(vec![Change::PutClient(Box::new(link))]).await?;
        drop(gate);
        Ok(())
    }
}

/// True for a refusal that may be about one client of several.
fn is_about_a_client(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Gone | FaultKind::Rejected)
}

fn client_of(action: &Action) -> Option<ClientId> {
    match action {
        Action::SaveVariables { client, .. } => Some(*client),
        _ => None,
    }
}
