//! Pushed bodies: decoded, kept in the dialogue's order, and turned into notes once the person's
//! contact is known.

use super::parked::Seen;
use super::portion::Portion;
use super::{Bridge, Step};
use crate::core::action::{Action, NoteTarget};
use crate::core::echo;
use crate::core::id::{ClientId, InboxId};
use crate::core::link::ClientLink;
use crate::core::model::{Client, Event, Notice as SalebotNotice};
use crate::core::note::{self, Line};
use crate::core::plan::ground::Ground;
use crate::core::policy::CreateContact;
use crate::core::run::RunKind;
use crate::core::time::Millis;
use crate::ports::remote::Priority;
use crate::ports::store::{Change, InboxRow, Mark, NewAction, Source, StoreError, Stored, Subject};
use std::collections::BTreeMap;

/// Dialogues handled in one transaction, at most and at least.
const CLIENTS_MAX: u32 = 200;
const CLIENTS_MIN: u32 = 4;
/// Bodies of one dialogue handled in one transaction.
const ROWS_MAX: u32 = 200;
/// Bodies after which a pass takes fewer dialogues the next time: whoever pushes one waits while so many are dealt with.
const PASS_ROWS: i64 = 1_000;
/// How long a dialogue waits for its contact before it is looked at again; the contact's arrival
/// wakes it earlier.
const WAIT_MS: i64 = 60_000;
/// A body that came within this is news, also where a look that was under way when it came has put it off.
const FRESH_MS: i64 = 60_000;

/// How long new messages gather after a pass that left some waiting: so many times as long as the pass took, within bounds.
const GATHER_TIMES: i64 = 4;
const GATHER_MIN_MS: i64 = 20;
const GATHER_MAX_MS: i64 = 500;

/// How many dialogues a pass takes: all that a transaction may hold, and fewer while they are long.
pub(super) fn dialogues_at_once() -> Portion {
    Portion::new(CLIENTS_MIN, CLIENTS_MAX, CLIENTS_MAX)
}

/// A message of a dialogue, the body it came in, and when that came.
pub(super) struct Said {
    pub row: InboxId,
    pub arrived: Millis,
    pub line: Line,
}

/// The bodies of one dialogue.
struct Dialogue {
    client: Client,
    lines: Vec<Said>,
    done: Vec<InboxId>,
    hints: bool,
    /// What came before these bodies waits until then.
    held_until: Option<Millis>,
    /// How many bodies they are.
    rows: u32,
    /// When the newest one came.
    arrived: Millis,
}

impl Dialogue {
    fn new(client: Client, held_until: Option<Millis>) -> Dialogue {
        let (lines, done) = (Vec::new(), Vec::new());
        Dialogue { client, lines, done, hints: false, held_until, rows: 0, arrived: Millis(i64::MIN) }
    }

    fn seen(&self, now: Millis) -> Seen {
        Seen {
            held_until: self.held_until,
            // Of a dialogue that is held there is only what is new.
            is_news: self.held_until.is_some() || now.since(self.arrived) < FRESH_MS,
            is_full: self.rows >= ROWS_MAX,
        }
    }
}

/// What becomes of the bodies of one pass: one change for all dialogues is one statement.
#[derive(Default)]
pub(super) struct Fates {
    pub done: Vec<InboxId>,
    pub wait: Vec<(InboxId, Millis)>,
}

/// New bodies wait with what came before them, where that is held, and the whole dialogue no longer than `longest`.
pub(super) fn wait_with_the_rest(
    client: ClientId,
    held_until: Option<Millis>,
    longest: Millis,
    rows: impl Iterator<Item = InboxId>,
    fates: &mut Fates,
    changes: &mut Vec<Change>,
) {
    match held_until.filter(|until| *until <= longest) {
        Some(until) => fates.wait.extend(rows.map(|row| (row, until))),
        None => changes.push(Change::InboxHold(client, longest)),
    }
}

impl Bridge {
    /// Takes the dialogues that are due.
    pub(super) async fn inbox_step(&self) -> Result<Step, StoreError> {
        let Some(ground) = self.ground() else { return Ok(Step::Idle(self.until_grounded())) };
        let (now, began_ms) = (self.now(), self.parts.env.elapsed_ms());
        let rows = self.store().inbox_due(self.name(), now, self.dialogues.size(), ROWS_MAX).await?;
        self.dialogues.cost(i64::try_from(rows.len()).unwrap_or(i64::MAX), PASS_ROWS / 4, PASS_ROWS);
        if rows.is_empty() {
            let due = self.store().next_due(self.name()).await?.inbox;
            return Ok(Step::Idle(due));
        }
        let mut changes = Vec::new();
        let dialogues = self.sort(rows, &mut changes);
        let gate = self.in_flight.lock().await;
        let ids: Vec<ClientId> = dialogues.keys().copied().collect();
        let links = self.store().clients(self.name(), &ids).await?;
        let mut links: BTreeMap<ClientId, ClientLink> = links.into_iter().map(|link| (link.client.id, link)).collect();
        let mut fates = Fates::default();
        for (id, dialogue) in dialogues {
            let link = links.remove(&id).unwrap_or_else(|| ClientLink::new(dialogue.client.clone()));
            self.take(&ground, dialogue, link, &mut fates, &mut changes).await?;
        }
        let some_wait = !fates.wait.is_empty() || changes.iter().any(|change| matches!(change, Change::InboxHold(..)));
        changes.extend((!fates.done.is_empty()).then_some(Change::InboxDone(fates.done)));
        changes.extend((!fates.wait.is_empty()).then_some(Change::InboxWait(fates.wait)));
        self.commit(changes).await?;
        drop(gate);
        if some_wait {
            self.gather(began_ms).await;
        }
        Ok(Step::More)
    }

    /// Each new message is due at once, though its dialogue waits: while people write without a break, a pass at once after the
    /// other would look at every message on its own.
    async fn gather(&self, began_ms: i64) {
        let took_ms = self.parts.env.elapsed_ms() - began_ms;
        let wait_ms = took_ms.saturating_mul(GATHER_TIMES).clamp(GATHER_MIN_MS, GATHER_MAX_MS);
        self.pause_until(self.now().plus(wait_ms)).await;
    }

    /// Decodes bodies and sorts them by dialogue, in its order.
    fn sort(&self, rows: Vec<InboxRow>, changes: &mut Vec<Change>) -> BTreeMap<ClientId, Dialogue> {
        let mut dialogues: BTreeMap<ClientId, Dialogue> = BTreeMap::new();
        for row in rows {
            if row.source == Source::Amo {
                self.take_hook(&row, changes);
                continue;
            }
            let (client, line, hints) = match self.parts.decoder.decode(&row.body) {
                Ok(Event::Message(message)) => {
                    let at = message.written_at.unwrap_or(row.received_at);
                    (message.client.clone(), Some(Line { message, at }), true)
                }
                Ok(Event::Notice { client, notice, .. }) => (client, None, notice == SalebotNotice::Order),
                Ok(Event::Nothing { .. }) => {
                    changes.push(Change::InboxDone(vec![row.id]));
                    continue;
                }
                Err(reason) => {
                    changes.push(self.unreadable(row.id, reason));
                    continue;
                }
            };
            let dialogue = dialogues.entry(client.id).or_insert_with(|| Dialogue::new(client.clone(), row.held_until));
            dialogue.client = merged(dialogue.client.clone(), client);
            dialogue.hints |= hints;
            dialogue.rows += 1;
            dialogue.arrived = dialogue.arrived.max(row.received_at);
            match line {
                Some(line) => dialogue.lines.push(Said { row: row.id, arrived: row.received_at, line }),
                None => dialogue.done.push(row.id),
            }
        }
        dialogues
    }

    /// A stored body that cannot be read.
    pub(super) fn unreadable(&self, row: InboxId, reason: String) -> Change {
        tracing::error!(
            bridge = self.name(),
            row.id = row.0,
            "a stored body cannot be read; it is a dead letter now: {reason}"
        );
        Change::InboxDead(row, reason)
    }

    /// One dialogue: its notes if the contact is known, else a hint to find out who it is.
    async fn take(
        &self,
        ground: &Ground,
        mut dialogue: Dialogue,
        mut link: ClientLink,
        fates: &mut Fates,
        changes: &mut Vec<Change>,
    ) -> Stored<()> {
        let id = link.client.id;
        let before = link.clone();
        link.client = merged(link.client, dialogue.client.clone());
        let newest = dialogue.lines.iter().map(|said| said.line.at).max();
        link.last_message_at = newest.max(link.last_message_at);
        let seen = dialogue.seen(self.now());
        // What is never written need not wait for a contact either. A contact's lines are left to who composes the notes.
        let is_over = |said: &Said| {
            echo::is_one(&link.callbacks, &said.line.message, said.line.at)
                || (link.contact.is_none() && !note::is_written(&ground.policy.notes, &said.line.message))
        };
        let (over, lines): (Vec<_>, Vec<_>) = std::mem::take(&mut dialogue.lines).into_iter().partition(is_over);
        dialogue.done.extend(over.into_iter().map(|said| said.row));
        let policy = ground.policy.people.create_contact;
        let is_unknown = link.contact.is_none() && link.unmatched;
        if link.client.is_group_chat() || (is_unknown && policy == CreateContact::Never) {
            dialogue.done.extend(lines.iter().map(|said| said.row));
        } else if lines.is_empty() {
            // Nothing to be noted.
        } else if is_unknown {
            self.park(id, lines, seen, fates, changes).await?;
        } else if link.contact.is_none() || dialogue.held_until.is_some() {
            let wait_ms = if link.contact.is_none() { WAIT_MS } else { ground.policy.notes.join_within_ms };
            let (until, rows) = (self.now().plus(wait_ms), lines.iter().map(|said| said.row));
            wait_with_the_rest(id, dialogue.held_until, until, rows, fates, changes);
        } else {
            self.write_down(ground, &link, lines, &mut dialogue.done, changes).await?;
        }
        let listens = ground.reads_client_variables() || ground.leads_listen();
        let is_wanted = listens || link.contact.is_none();
        // Whoever waited before and said nothing since is looked at when there is time.
        if dialogue.hints && !link.client.is_group_chat() && is_wanted && (!is_unknown || seen.is_news) {
            changes.push(Change::Mark(Mark {
                subject: Subject::Client(id),
                due: self.now(),
                attempts: 0,
                run: self.run_of(RunKind::Message),
            }));
        }
        fates.done.extend(dialogue.done);
        if link != before || before.revision == 0 {
            changes.push(Change::PutClient(Box::new(link)));
        }
        Ok(())
    }

    /// Messages whose window has closed become notes; the rest waits for its window.
    async fn write_down(
        &self,
        ground: &Ground,
        link: &ClientLink,
        lines: Vec<Said>,
        done: &mut Vec<InboxId>,
        changes: &mut Vec<Change>,
    ) -> Stored<()> {
        let now = self.now();
        let (ids, lines): (Vec<InboxId>, Vec<Line>) = lines.into_iter().map(|said| (said.row, said.line)).unzip();
        let composed = note::compose(&ground.policy.notes, &lines, &ground.zone, now);
        done.extend(composed.skipped.iter().map(|index| ids[*index]));
        let targets = if composed.notes.is_empty() { Vec::new() } else { self.note_targets(ground, link).await? };
        for note in composed.notes {
            done.extend(note.lines.iter().map(|index| ids[*index]));
            for target in &targets {
                let action = Action::AddNote {
                    target: *target,
                    client: link.client.id,
                    text: note.text.clone(),
                    created_at: note.at.seconds(),
                    messages: note.messages.clone(),
                };
                let new = NewAction {
                    action,
                    slot: None,
                    priority: Priority::Person,
                    not_before: now,
                    created_at: now,
                    run: None,
                };
                changes.push(Change::AddAction(Box::new(new)));
            }
        }
        if let Some(until) = composed.wait_until {
            changes.push(Change::InboxHold(link.client.id, until));
        }
        Ok(())
    }

    /// Where the policy wants this person's notes. Without an open lead they go to the contact, so
    /// that no message is without a place.
    async fn note_targets(&self, ground: &Ground, link: &ClientLink) -> Stored<Vec<NoteTarget>> {
        let Some(contact) = link.contact else { return Ok(Vec::new()) };
        let mut targets = Vec::new();
        if ground.policy.notes.on_lead {
            let deals = self.store().deals_of(self.name(), &[contact]).await?;
            let newest = deals.iter().filter(|deal| deal.open).map(|deal| deal.lead).max();
            targets.extend(newest.map(NoteTarget::Lead));
        }
        if ground.policy.notes.on_contact || targets.is_empty() {
            targets.push(NoteTarget::Contact(contact));
        }
        Ok(targets)
    }
}

/// What is known of a client, newer facts first.
fn merged(old: Client, new: Client) -> Client {
    Client {
        id: new.id,
        platform_id: new.platform_id.or(old.platform_id),
        group: new.group.or(old.group),
        messenger: new.messenger.or(old.messenger),
        name: new.name.or(old.name),
        tag: new.tag.or(old.tag),
        created_at: new.created_at.or(old.created_at),
    }
}
