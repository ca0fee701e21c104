//! Was it done? An action whose answer was lost is looked for before it is sent again.

use super::Bridge;
use crate::core::action::{Action, Edit, NoteTarget, contact_key, lead_key};
use crate::core::apply;
use crate::core::fault::{Fault, FaultKind};
use crate::core::id::{ClientId, ContactId, LeadId, NoteId, OrderId};
use crate::core::model::{Contact, Element, Note};
use crate::core::plan::deal::order_mark;
use crate::core::text;
use crate::core::time::Millis;
use crate::ports::remote::{AMO_PAGE_MAX, PageRequest, Priority, Wanted};
use crate::ports::store::{OutboxRow, StoreError};
use std::collections::BTreeSet;

/// How long after an attempt a record may take to show up in listings. Only then its absence means
/// that it was not made.
const SHOWS_UP_MS: i64 = 60_000;
/// How soon to look again in the meantime; the waits grow with the time that has passed.
const LOOK_AGAIN_MS: i64 = 3_000;
/// How much further back recent contacts are looked through where our clock was set since the attempt.
const UNEVEN_MS: i64 = 3_600_000;
/// Pages of recently changed contacts that are looked through.
const PAGES_MAX: u32 = 10;
/// Journal lines that are looked through for notes already accounted for.
const JOURNAL_MAX: u32 = 500;
/// How much older than what was to be written a note may be and still be it: the clocks need not agree. What is older than
/// that was another note of the same words.
const NOTE_OLDER_SECONDS: i64 = 86_400;

/// What a look found.
pub(super) enum Found<T> {
    /// It was done.
    Done(T),
    /// Somebody else did it, in their own way.
    Theirs(T),
    /// It was not done.
    NotDone,
    /// It cannot be told yet.
    Later(i64),
}

impl<T> Found<T> {
    /// The same of something else.
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Found<U> {
        match self {
            Found::Done(found) => Found::Done(change(found)),
            Found::Theirs(found) => Found::Theirs(change(found)),
            Found::NotDone => Found::NotDone,
            Found::Later(wait_ms) => Found::Later(wait_ms),
        }
    }
}

/// A note as it was to be written.
pub(super) struct LostNote<'a> {
    /// The record it belongs to now.
    pub(super) target: NoteTarget,
    /// The record it was written for.
    pub(super) planned: NoteTarget,
    /// What it says.
    pub(super) text: &'a str,
    /// The time it was given, in Unix seconds.
    pub(super) created_at: i64,
}

/// A look can fail on either side.
pub(super) type Look<T> = Result<Result<Found<T>, Fault>, StoreError>;

impl Bridge {
    pub(super) fn not_found<T>(&self, row: &OutboxRow) -> Found<T> {
        let now = self.now();
        let started_at = self.started_at.get().copied();
        // The last attempt counts, and one that a crash cut short is no older than this start.
        let attempts = [
            row.fault.as_ref().and_then(|fault| fault.at),
            row.first_attempt_at,
            started_at,
            // It was made before the call lost the record it was about.
            has_brought_doubt(row).then_some(row.created_at),
        ];
        // Each by itself: a start that the clock has left in the future must not hide the attempt of a moment ago.
        let doubted_at = attempts.into_iter().flatten().map(|at| self.clock.comparable(at, now, started_at)).max();
        let age_ms = doubted_at.map_or(i64::MAX, |at| now.since(at));
        if age_ms >= SHOWS_UP_MS { Found::NotDone } else { Found::Later(look_again_ms(age_ms)) }
    }

    /// A contact we may have made: by its keys, else among recent ones by everything we gave it. `taken`: found for others
    /// a moment ago, of which the store knows nothing yet.
    pub(super) async fn look_for_contact(&self, row: &OutboxRow, taken: &BTreeSet<ContactId>) -> Look<ContactId> {
        let (Action::CreateContact { edits, created_at, keys, clients, .. }, Some(ground)) =
            (&row.action, self.ground())
        else {
            return Ok(Ok(Found::NotDone));
        };
        let names_its_client = |contact: &Contact| names_its_client(contact, edits, clients, *created_at);
        let is_ours = |contact: &Contact| is_what_we_made(contact, edits, *created_at) || names_its_client(contact);
        let queries = keys.iter().flat_map(|key| key.queries().into_iter().map(move |query| (key, query)));
        for (key, query) in queries {
            let page = match self.parts.amo.search_contacts(&query, Priority::Person).await {
                Ok(page) => page,
                Err(fault) => return Ok(Err(fault)),
            };
            let found = page
                .rows
                .iter()
                .filter(|contact| ground.contact_keys(contact).contains(key))
                .min_by_key(|contact| contact.id);
            if let Some(found) = found {
                // A manager may have made it meanwhile: then it holds nothing that both sides agreed on.
                return Ok(Ok(if is_ours(found) { Found::Done(found.id) } else { Found::Theirs(found.id) }));
            }
        }
        let candidates = match self.contacts_like(row, edits, clients, is_ours).await {
            Ok(candidates) => candidates,
            Err(fault) => return Ok(Err(fault)),
        };
        let ids: Vec<ContactId> = candidates.iter().map(|contact| contact.id).collect();
        let links = self.store().clients_of(self.name(), &ids).await?;
        let mut linked: BTreeSet<ContactId> = links.into_iter().filter_map(|link| link.contact).collect();
        linked.extend(taken);
        // One that only looks like it may have been made for somebody else of that name. One that names its client was
        // made for it, whoever was linked with it before this look.
        let is_it = |contact: &&Contact| names_its_client(contact) || !linked.contains(&contact.id);
        let found = candidates.iter().filter(is_it).min_by_key(|contact| (!names_its_client(contact), contact.id));
        Ok(Ok(found.map_or_else(|| self.not_found(row), |contact| Found::Done(contact.id))))
    }

    /// Contacts that may be the one: those with the client's id, where we gave it that, and recent ones. A listing may
    /// show a contact late that a manager has just edited; a search finds it.
    async fn contacts_like(
        &self,
        row: &OutboxRow,
        edits: &[Edit],
        clients: &BTreeSet<ClientId>,
        is_ours: impl Fn(&Contact) -> bool,
    ) -> Result<Vec<Contact>, Fault> {
        for client in clients.iter().map(ToString::to_string).filter(|client| gives(edits, client)) {
            let page = self.parts.amo.search_contacts(&client, Priority::Person).await?;
            let found: Vec<Contact> = page.rows.into_iter().filter(&is_ours).collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        let since = self.since_attempt(row).await?;
        self.recent_contacts(since, is_ours).await
    }

    /// From when on amoCRM's clock may have seen the attempt: ours need not agree with it.
    async fn since_attempt(&self, row: &OutboxRow) -> Result<Millis, Fault> {
        let glance = PageRequest { since: None, offset: 0, limit: 1 };
        let server = self.parts.amo.contacts(glance, Priority::Person).await?.server_time;
        let now = self.now();
        let attempted_at = row.first_attempt_at.unwrap_or(row.created_at);
        let known_since = self.clock.set_at().max(self.started_at.get().copied());
        let is_even = known_since.is_none_or(|since| since <= attempted_at && attempted_at <= now);
        let margin_ms = if is_even { SHOWS_UP_MS } else { UNEVEN_MS };
        Ok(server.unwrap_or(now).minus(now.since(attempted_at).max(0)).minus(margin_ms))
    }

    async fn recent_contacts(&self, since: Millis, wanted: impl Fn(&Contact) -> bool) -> Result<Vec<Contact>, Fault> {
        let mut found = Vec::new();
        let mut offset = 0;
        for _ in 0..PAGES_MAX {
            let request = PageRequest { since: Some(since), offset, limit: AMO_PAGE_MAX };
            let page = self.parts.amo.contacts(request, Priority::Person).await?;
            found.extend(page.rows.into_iter().filter(&wanted));
            if page.received < AMO_PAGE_MAX {
                break;
            }
            offset += page.received;
        }
        Ok(found)
    }

    /// A note we may have written: same text, not older, and not one of those already accounted for. `taken`: found for
    /// others a moment ago.
    pub(super) async fn look_for_note(
        &self,
        row: &OutboxRow,
        lost: &LostNote<'_>,
        taken: &BTreeSet<u64>,
    ) -> Look<NoteId> {
        let notes = match self.parts.amo.notes(lost.target, Priority::Person).await {
            Ok(notes) => notes,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut known = self.accounted_for(lost.target, "note").await?;
        if lost.planned != lost.target {
            // Notes accounted for under a contact that was merged into this one.
            known.extend(self.accounted_for(lost.planned, "note").await?);
        }
        known.extend(taken);
        let found =
            notes.iter().filter(|note| lost.may_be(note) && !known.contains(&note.id.0)).map(|note| note.id).min();
        Ok(Ok(found.map_or_else(|| self.not_found(row), Found::Done)))
    }

    /// Records of this kind on the record that the journal tells how they came to be.
    pub(super) async fn accounted_for(&self, target: NoteTarget, kind: &str) -> Result<BTreeSet<u64>, StoreError> {
        let lines = self.store().journal(self.name(), &note_subject(target), JOURNAL_MAX).await?;
        Ok(lines.iter().filter_map(|line| line.detail.get(kind).and_then(serde_json::Value::as_u64)).collect())
    }

    /// An order we may have made: by the mark in its description.
    pub(super) async fn look_for_order(&self, row: &OutboxRow) -> Look<OrderId> {
        let Action::CreateOrder { client, lead, .. } = &row.action else { return Ok(Ok(Found::NotDone)) };
        let orders = match self.parts.salebot.active_orders(*client, Priority::Person).await {
            Ok(orders) => orders,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut unread = None;
        for order in orders {
            match self.parts.salebot.order(*client, order, Wanted::Own, Priority::Person).await {
                Ok(Some(seen)) if carries_mark(&seen.variables, *lead) => return Ok(Ok(Found::Done(order))),
                Ok(_) => {}
                // It may be somebody else's; ours may stand behind it.
                Err(fault) if fault.kind == FaultKind::Broken => unread = Some(fault),
                Err(fault) => return Ok(Err(fault)),
            }
        }
        // Orders are read directly, not from a listing that lags behind.
        Ok(unread.map_or(Ok(Found::NotDone), Err))
    }
}

impl LostNote<'_> {
    /// Its words, and no time long before its own. Where none is told, the words decide.
    fn may_be(&self, note: &Note) -> bool {
        let is_same = note.text.trim() == self.text.trim() || text::is_rewritten(self.text, &note.text);
        is_same && (note.created_at <= 0 || note.created_at >= self.created_at - NOTE_OLDER_SECONDS)
    }
}

/// How long to wait before the next look for what may have been made so long ago. What was made shows up at once or
/// late: a minute of looks is eight requests of the account's limit, not twenty.
fn look_again_ms(age_ms: i64) -> i64 {
    let left_ms = (SHOWS_UP_MS - age_ms).max(LOOK_AGAIN_MS);
    (age_ms / 2).clamp(LOOK_AGAIN_MS, left_ms)
}

fn has_brought_doubt(row: &OutboxRow) -> bool {
    matches!(&row.action, Action::Function(call) if call.in_doubt)
}

fn carries_mark(variables: &crate::core::model::Variables, lead: LeadId) -> bool {
    variables.get("description").is_some_and(|description| description.trim() == order_mark(lead))
}

/// Everything we gave it is there, and it was made when we said.
fn is_what_we_made(contact: &Contact, edits: &[Edit], created_at: i64) -> bool {
    let mut expected = contact.clone();
    apply::to_contact(&mut expected, edits);
    let texts =
        |elements: &[Element]| elements.iter().map(|element| element.value.trim().to_owned()).collect::<Vec<_>>();
    let fields_agree = expected.fields.iter().all(|(id, elements)| {
        let seen = contact.fields.get(id).map(|seen| texts(seen)).unwrap_or_default();
        let given = texts(elements);
        seen.len() == given.len()
            && given.iter().zip(&seen).all(|(given, seen)| text::is_rewritten(given, seen) || given == seen)
    });
    (contact.created_at - created_at).abs() <= 1 && text::is_rewritten(&expected.name, &contact.name) && fields_agree
}

/// True where some field is given this text alone.
fn gives(edits: &[Edit], text: &str) -> bool {
    edits.iter().any(|edit| match edit {
        Edit::Field { elements, .. } => elements.iter().any(|element| element.value.trim() == text),
        _ => false,
    })
}

/// It has the id of a client where we gave it that, which nobody else has, and was made when we said: a manager may have
/// changed all else since.
fn names_its_client(contact: &Contact, edits: &[Edit], clients: &BTreeSet<ClientId>, created_at: i64) -> bool {
    let is_id = |text: &str| clients.iter().any(|client| client.to_string() == text.trim());
    let has_id = |elements: &[Element]| elements.iter().any(|element| is_id(&element.value));
    let is_there = |edit: &Edit| match edit {
        Edit::Field { id, elements, .. } => has_id(elements) && contact.fields.get(id).is_some_and(|seen| has_id(seen)),
        _ => false,
    };
    (contact.created_at - created_at).abs() <= 1 && edits.iter().any(is_there)
}

/// The journal's subject for notes of a record.
pub(super) fn note_subject(target: NoteTarget) -> String {
    match target {
        NoteTarget::Contact(contact) => contact_key(contact),
        NoteTarget::Lead(lead) => lead_key(lead),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::FieldId;
    use crate::core::model::FieldKind;

    #[test]
    fn who_was_renamed_meanwhile_is_known_by_its_clients_id() {
        let field = |text: &str| vec![Element { value: text.to_owned(), ..Element::default() }];
        let edits = [
            Edit::Name("Anna".to_owned()),
            Edit::Field { id: FieldId(5), kind: FieldKind::Text, elements: field("811") },
        ];
        let contact = |name: &str, id: &str, created_at: i64| Contact {
            id: ContactId(1),
            name: name.to_owned(),
            first_name: None,
            last_name: None,
            responsible: None,
            company: None,
            leads: BTreeSet::new(),
            tags: BTreeSet::new(),
            fields: [(FieldId(5), field(id))].into(),
            created_at,
            updated_at: created_at,
        };
        let clients = BTreeSet::from([ClientId(811)]);
        let is_ours = |contact: &Contact| names_its_client(contact, &edits, &clients, 100);
        assert!(!is_what_we_made(&contact("Anna K.", "811", 100), &edits, 100), "a manager knew her full name");
        assert!(is_ours(&contact("Anna K.", "811", 100)));
        assert!(!is_ours(&contact("Anna", "812", 100)), "somebody else's");
        assert!(!is_ours(&contact("Anna", "811", 5_000)), "made another time");
        assert!(!names_its_client(&contact("Anna", "811", 100), &edits[..1], &clients, 100), "we did not give it that");
    }

    #[test]
    fn a_minute_of_looks_is_few_requests_and_ends_on_time() {
        let mut ages = vec![0];
        while ages.last().is_some_and(|age_ms| *age_ms < SHOWS_UP_MS) {
            ages.extend(ages.last().map(|age_ms| age_ms + look_again_ms(*age_ms)));
        }
        assert_eq!(ages[..4], [0, 3_000, 6_000, 9_000]);
        assert!((SHOWS_UP_MS..SHOWS_UP_MS + LOOK_AGAIN_MS).contains(&ages[ages.len() - 1]), "{ages:?}");
        assert!(ages.len() <= 10, "{ages:?}");
        // A clock that was set back makes it no busier.
        assert_eq!(look_again_ms(-5_000), LOOK_AGAIN_MS);
    }
}
