//! People whom nobody in amoCRM knows: what is kept of what they say, and how patiently they are looked at.

use super::clock::SimEnv;
use super::services::contact;
use super::{NEVER, SHOP, Shop, policy};
use rstest::rstest;
use salebridge::core::action::{Action, NoteTarget};
use salebridge::core::id::{ClientId, ContactId, InboxId, MessageId};
use salebridge::core::link::ClientLink;
use salebridge::core::model::{Client, Event, Message};
use salebridge::core::parked;
use salebridge::core::policy::{CreateContact, Outgoing, Policy};
use salebridge::core::time::Millis;
use salebridge::ports::env::Env;
use salebridge::ports::remote::{Decoder, Priority};
use salebridge::ports::store::{Change, DeadContent, DeadDetail, NewAction, NewInbox, Received, Source, Store};
use std::future::Future;
use std::sync::Arc;

const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;
/// Who is looked at in these tests.
const ANNA: ClientId = ClientId(5);

/// Bodies of these tests: the client, the message, and who said it.
struct Words;

impl Decoder for Words {
    fn decode(&self, body: &[u8]) -> Result<Event, String> {
        let text = String::from_utf8_lossy(body);
        let mut words = text.split(' ');
        let mut number = || words.next().and_then(|word| word.parse().ok()).ok_or("no number");
        let (client, id) = (ClientId(number()?), MessageId(number()?));
        let is_bot = words.next() == Some("bot");
        Ok(Event::Message(Message {
            id: Some(id),
            client: Client::unknown(client),
            text: Some(format!("message {id}")),
            attachments: Vec::new(),
            incoming: !is_bot,
            block: is_bot.then_some(3),
            variables: None,
            written_at: None,
        }))
    }

    fn encode(&self, _: &Message, _: Millis) -> Vec<u8> {
        Vec::new()
    }

    fn dedupe(&self, message: MessageId) -> String {
        message.to_string()
    }
}

fn people(create_contact: CreateContact) -> Policy {
    let mut policy = policy(6);
    policy.people.create_contact = create_contact;
    policy.notes.outgoing = Outgoing::Operator;
    policy
}

/// Plays a story in a time that passes at once.
fn play<F: Future<Output = ()>>(create_contact: CreateContact, story: impl FnOnce(Tale) -> F) {
    let env = SimEnv::new(1_795_132_800_000, 1);
    let shop = Shop::told(Arc::clone(&env) as Arc<dyn Env>, NEVER, NEVER, people(create_contact), Arc::new(Words));
    let shop = Arc::new(shop);
    let tale = Tale { env: Arc::clone(&env), shop: Arc::clone(&shop) };
    let mut whole = Box::pin(async move { shop.during(story(tale)).await });
    env.run_until(&mut whole, i64::MAX).expect("nothing of it waits for ever");
}

struct Tale {
    env: Arc<SimEnv>,
    shop: Arc<Shop>,
}

impl Tale {
    async fn passes(&self, millis: i64) {
        self.env.sleep(millis).await;
    }

    async fn says(&self, client: ClientId, message: u64, who: &str) -> InboxId {
        let body = NewInbox {
            bridge: SHOP.to_owned(),
            source: Source::Salebot,
            dedupe: Some(format!("{client}/{message}")),
            client: Some(client),
            message: Some(MessageId(message)),
            received_at: self.env.now(),
            body: format!("{client} {message} {who}").into_bytes(),
            broken: None,
        };
        match self.shop.store.receive(body).await.expect("receives") {
            Received::Stored(id) => id,
            Received::Known => panic!("each is said once"),
        }
    }

    async fn waiting(&self) -> u64 {
        self.shop.store.counts(SHOP).await.expect("reads").inbox
    }

    async fn link(&self, client: ClientId) -> ClientLink {
        self.shop.store.clients(SHOP, &[client]).await.expect("reads").remove(0)
    }

    /// How many messages were given up, by line of the journal, the newest first.
    async fn given_up(&self, client: ClientId) -> Vec<u64> {
        let lines = self.shop.store.journal(SHOP, &format!("client:{client}"), 99).await.expect("reads");
        let lines = lines.into_iter().filter(|line| line.kind == "unwritten");
        lines.map(|line| line.detail["messages"].as_u64().expect("a number")).collect()
    }

    async fn dead(&self) -> Option<DeadDetail> {
        let letter = self.shop.store.dead_letters(SHOP, 9).await.expect("reads").pop()?;
        self.shop.store.dead_letter(SHOP, letter.queue, letter.id).await.expect("reads")
    }
}

#[test]
fn what_is_never_written_does_not_wait_for_a_contact() {
    play(CreateContact::WithPhoneOrEmail, |tale| async move {
        for message in 1..=20 {
            tale.says(ANNA, message, "bot").await;
        }
        tale.passes(MINUTE).await;
        assert_eq!(tale.waiting().await, 0, "a bot's lines, which no note would hold");
        assert!(!tale.shop.salebot.asked().is_empty(), "who that is was looked for all the same");
        assert_eq!(tale.link(ANNA).await.last_message_at, Some(tale.env.now().plus(-MINUTE)));
        tale.says(ANNA, 21, "person").await;
        tale.says(ANNA, 22, "bot").await;
        tale.passes(MINUTE).await;
        assert_eq!(tale.waiting().await, 1, "what the person said is kept");
        assert_eq!(tale.given_up(ANNA).await, [0_u64; 0], "nothing that would have been written");
    });
}

#[test]
fn of_somebody_unknown_the_newest_hundred_messages_are_kept_for_a_month() {
    play(CreateContact::WithPhoneOrEmail, |tale| async move {
        for message in 1..=450 {
            tale.says(ANNA, message, "person").await;
        }
        tale.passes(MINUTE).await;
        assert_eq!(tale.waiting().await, parked::LINES_MAX as u64);
        assert_eq!(tale.given_up(ANNA).await.iter().sum::<u64>(), 350, "and it is told");
        tale.env.jump(29 * DAY);
        tale.passes(MINUTE).await;
        tale.says(ANNA, 451, "person").await;
        tale.passes(MINUTE).await;
        assert_eq!(tale.waiting().await, parked::LINES_MAX as u64 + 1, "there is room again at the next daily look");
        tale.env.jump(DAY);
        tale.passes(MINUTE).await;
        assert_eq!(tale.waiting().await, 1, "a month is over");
        // Somebody makes a contact of the person, who says nothing.
        tale.shop.amo.put(contact(7, "", 1_000));
        tale.shop.salebot.set(ANNA.0, "amo_contact_id", "7");
        tale.env.jump(DAY);
        tale.passes(MINUTE).await;
        assert_eq!(tale.shop.amo.notes(), [(NoteTarget::Contact(ContactId(7)), "message 451".to_owned())]);
        assert_eq!(tale.waiting().await, 0);
    });
}

#[test]
fn whose_contact_was_refused_loses_nothing_meanwhile() {
    play(CreateContact::Always, |tale| async move {
        // As it is while the creation is a dead letter.
        let refused = ClientLink { unmatched: true, ..ClientLink::new(Client::unknown(ANNA)) };
        tale.shop.put(vec![Change::PutClient(Box::new(refused))]).await;
        for message in 1..=450 {
            tale.says(ANNA, message, "person").await;
        }
        tale.passes(MINUTE).await;
        assert_eq!(tale.given_up(ANNA).await, [0_u64; 0]);
    });
}

#[test]
fn whoever_writes_every_day_has_no_more_kept() {
    play(CreateContact::WithPhoneOrEmail, |tale| async move {
        tale.says(ANNA, 1, "person").await;
        tale.passes(MINUTE).await;
        for day in 1..=4 {
            tale.env.jump(DAY / 2 + 60 * MINUTE);
            for message in 0..60 {
                tale.says(ANNA, 100 * day + message, "person").await;
            }
            tale.passes(MINUTE).await;
        }
        assert_eq!(tale.waiting().await, parked::LINES_MAX as u64, "a look at what is new puts off no daily one");
    });
}

#[test]
fn in_a_crowd_nothing_of_somebody_unknown_is_kept_for_longer_than_a_day() {
    play(CreateContact::WithPhoneOrEmail, |tale| async move {
        tale.says(ANNA, 1, "person").await;
        tale.passes(MINUTE).await;
        let (later, others) = (tale.env.now().plus(30 * DAY), ClientId(9));
        for message in 1..=parked::ROWS_MAX {
            tale.says(others, message, "person").await;
        }
        tale.shop.put(vec![Change::InboxHold(others, later)]).await;
        tale.env.jump(DAY);
        tale.says(ANNA, 2, "person").await;
        tale.passes(10_000).await;
        assert_eq!(tale.given_up(ANNA).await, [1], "what was said a day ago");
        assert_eq!(tale.waiting().await, parked::ROWS_MAX + 1);
    });
}

#[test]
fn nobody_waits_for_the_daily_look_at_people_whom_nobody_knows() {
    play(CreateContact::WithPhoneOrEmail, |tale| async move {
        let people: Vec<ClientId> = (1..=300).map(ClientId).collect();
        for client in &people {
            tale.says(*client, 1_000 + client.0, "person").await;
        }
        tale.passes(10 * MINUTE).await;
        let asked = tale.shop.salebot.asked();
        assert!(asked.contains(&(people[0], Priority::Person)), "who writes is looked for at once");

        tale.env.jump(DAY);
        tale.passes(MINUTE).await;
        let mut asked = tale.shop.salebot.asked();
        asked.sort_unstable();
        let patient: Vec<_> = people.iter().map(|client| (*client, Priority::Poll)).collect();
        assert_eq!(asked, patient, "each once a day, behind all that somebody waits for");
        assert_eq!(tale.shop.store.counts(SHOP).await.expect("reads").marks, 0);

        tale.says(people[7], 5_000, "person").await;
        tale.passes(MINUTE).await;
        assert_eq!(tale.shop.salebot.asked(), [(people[7], Priority::Person)], "a new message is news");
        assert_eq!(tale.waiting().await, 301);
    });
}

impl Tale {
    /// A person whose contact is deleted while a note for it waits.
    async fn loses_its_contact(&self) {
        let mut link = ClientLink::new(Client::unknown(ANNA));
        link.contact = Some(ContactId(7));
        let action = Action::AddNote {
            target: NoteTarget::Contact(ContactId(7)),
            client: ANNA,
            text: "what was said".to_owned(),
            created_at: self.env.now().seconds(),
            messages: vec![MessageId(1)],
        };
        let now = self.env.now();
        let new =
            NewAction { action, slot: None, priority: Priority::Person, not_before: now, created_at: now, run: None };
        self.shop.put(vec![Change::PutClient(Box::new(link)), Change::AddAction(Box::new(new))]).await;
    }

    async fn has_a_contact_again(&self) {
        self.shop.amo.put(contact(8, "", 1_000));
        let link = ClientLink { contact: Some(ContactId(8)), unmatched: false, ..self.link(ANNA).await };
        self.shop.put(vec![Change::PutClient(Box::new(link))]).await;
    }

    async fn is_retried(&self) {
        let Some(DeadDetail { content: DeadContent::Action(row), .. }) = self.dead().await else { panic!("none") };
        let fault = row.fault.expect("a reason");
        let (not_before, attempts, in_doubt) = (self.env.now(), 0, false);
        self.shop.put(vec![Change::ActionRetry { id: row.id, not_before, attempts, in_doubt, fault }]).await;
    }

    /// The reason of the dead letter, if there is one.
    async fn reason(&self) -> Option<String> {
        self.dead().await.map(|dead| dead.letter.reason)
    }

    async fn outbox(&self) -> u64 {
        self.shop.store.counts(SHOP).await.expect("reads").outbox
    }

    fn is_written(&self) -> bool {
        self.shop.amo.notes() == [(NoteTarget::Contact(ContactId(8)), "what was said".to_owned())]
    }
}

#[test]
fn a_note_for_whom_no_contact_is_ever_made_becomes_a_dead_letter_and_can_be_retried() {
    play(CreateContact::Never, |tale| async move {
        tale.loses_its_contact().await;
        tale.passes(MINUTE).await;
        let reason = tale.reason().await.expect("a dead letter");
        assert!(reason.contains("people.create_contact makes no other: make or link one"), "{reason}");
        assert_eq!(tale.outbox().await, 0, "nothing waits");

        tale.is_retried().await;
        tale.passes(MINUTE).await;
        assert!(tale.reason().await.is_some() && tale.outbox().await == 0, "there is still none");

        tale.has_a_contact_again().await;
        tale.is_retried().await;
        tale.passes(MINUTE).await;
        assert!(tale.is_written() && tale.reason().await.is_none());
    });
}

#[rstest]
#[case::for_long(false)]
#[case::until_one_comes(true)]
fn a_note_waits_ever_longer_for_a_contact_that_may_come(#[case] comes: bool) {
    play(CreateContact::WithPhoneOrEmail, |tale| async move {
        tale.loses_its_contact().await;
        tale.passes(MINUTE).await;
        tale.env.jump(DAY / 2);
        tale.passes(MINUTE).await;
        assert!(tale.reason().await.is_none() && tale.outbox().await == 1);
        let due = tale.shop.store.next_due(SHOP).await.expect("reads").amo.expect("it waits");
        assert!((50 * MINUTE..=60 * MINUTE).contains(&due.since(tale.env.now())), "it is tried once an hour");
        if comes {
            tale.has_a_contact_again().await;
            tale.passes(60 * MINUTE).await;
            assert!(tale.is_written() && tale.outbox().await == 0);
            return;
        }
        tale.env.jump(6 * DAY);
        tale.passes(MINUTE).await;
        assert!(tale.reason().await.is_none(), "six days and a half");
        tale.env.jump(DAY);
        tale.passes(MINUTE).await;
        let reason = tale.reason().await.expect("a dead letter");
        assert!(reason.contains("no other came for seven days: make or link one"), "{reason}");
        tale.has_a_contact_again().await;
        tale.is_retried().await;
        tale.passes(MINUTE).await;
        assert!(tale.is_written() && tale.reason().await.is_none());
    });
}
