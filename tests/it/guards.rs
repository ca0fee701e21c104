//! Guards at work: a bridge over the memory store, between two services in miniature.

/// The simulation's clock, which skips the time that everybody sleeps.
#[expect(dead_code, reason = "the simulation uses all of it")]
#[path = "../sim/clock.rs"]
mod clock;
mod failing;
mod lasting;
mod services;
mod unknown;

use clock::SimEnv;
use salebridge::app::{env::SystemEnv, release};
use salebridge::core::action::{Action, LinkRef, Side};
use salebridge::core::backfill;
use salebridge::core::fault::FaultKind;
use salebridge::core::flips::Flips;
use salebridge::core::guard::{self, Frozen, Stop, Sweep};
use salebridge::core::id::{ClientId, ContactId, LeadId, MessageId, PipelineId, StatusId};
use salebridge::core::link::{Base, ClientLink, DealLink};
use salebridge::core::model::{Client, Event, Message};
use salebridge::core::policy::{
    CallbackDelivery, CreateClient, CreateContact, Direction, Guard, MatchBy, Notes, Orders, Outgoing, Owner, People,
    Policy, Rule, Trigger, TriggerEvent,
};
use salebridge::core::retry::RetryPolicy;
use salebridge::core::time::Millis;
use salebridge::engine::{Bridge, Parts, Timing};
use salebridge::ports::env::Env;
use salebridge::ports::remote::{Decoder, Priority};
use salebridge::ports::store::{Change, Mark, NewAction, Store, Subject};
use salebridge::store::memory::MemoryStore;
use services::{Amo, Salebot, contact, lead};
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const SHOP: &str = "shop";
const OFTEN: &str = "* * * * * *";
const NEVER: &str = "0 0 0 1 1 *";
/// Far longer than any of it takes.
const DEADLINE: Duration = Duration::from_secs(60);

struct NoBodies;

impl Decoder for NoBodies {
    fn decode(&self, _: &[u8]) -> Result<Event, String> {
        Err("none is expected".to_owned())
    }

    fn encode(&self, _: &Message, _: Millis) -> Vec<u8> {
        Vec::new()
    }

    fn dedupe(&self, message: MessageId) -> String {
        message.to_string()
    }
}

fn rule() -> Rule {
    Rule {
        amo: "contact.field.3".parse().expect("a selector"),
        salebot: "client.position".parse().expect("a selector"),
        direction: Direction::Both,
        owner: Owner::Amo,
    }
}

fn policy(freeze_after_flips: u32) -> Policy {
    Policy {
        rules: vec![rule()],
        people: People {
            default_region: "RU".to_owned(),
            match_by: vec![MatchBy::Phone],
            create_contact: CreateContact::Never,
            create_client: CreateClient::Never,
            create_with: None,
        },
        orders: Orders { enabled: false, direction: Direction::ToSalebot, stages: Vec::new() },
        triggers: vec![Trigger {
            on: TriggerEvent::LeadDeleted,
            pipeline: None,
            status: None,
            callback: "amo_lead_deleted {{ lead.id }} of {{ contact.name }}".to_owned(),
        }],
        callbacks: CallbackDelivery::AtMostOnce,
        notes: Notes {
            on_contact: true,
            on_lead: false,
            incoming: true,
            outgoing: Outgoing::All,
            join_within_ms: 0,
            template: "{{ text }}".to_owned(),
        },
        guard: Guard { max_cleared_share: 0.2, max_cleared_min: 50, freeze_after_flips },
    }
}

/// A shop, its two services and its memory.
struct Shop {
    store: Arc<MemoryStore>,
    amo: Arc<Amo>,
    salebot: Arc<Salebot>,
    bridge: Bridge,
}

impl Shop {
    fn new(polls: &str, sweep: &str, freeze_after_flips: u32) -> Shop {
        Shop::at(Arc::new(SystemEnv), polls, sweep, freeze_after_flips)
    }

    fn at(env: Arc<dyn Env>, polls: &str, sweep: &str, freeze_after_flips: u32) -> Shop {
        let store = Arc::new(MemoryStore::default());
        let seen = Arc::clone(&store) as Arc<dyn Store>;
        Shop::over(store, seen, env, (polls, sweep), freeze_after_flips)
    }

    /// The bridge sees the store as the second one shows it.
    fn over(
        store: Arc<MemoryStore>,
        seen: Arc<dyn Store>,
        env: Arc<dyn Env>,
        times: (&str, &str),
        freeze_after_flips: u32,
    ) -> Shop {
        Shop::of((store, seen), env, times, policy(freeze_after_flips), Arc::new(NoBodies))
    }

    /// It understands bodies, and has a policy of its own.
    fn told(env: Arc<dyn Env>, polls: &str, sweep: &str, policy: Policy, decoder: Arc<dyn Decoder>) -> Shop {
        let store = Arc::new(MemoryStore::default());
        let seen = Arc::clone(&store) as Arc<dyn Store>;
        Shop::of((store, seen), env, (polls, sweep), policy, decoder)
    }

    fn of(
        (store, seen): (Arc<MemoryStore>, Arc<dyn Store>),
        env: Arc<dyn Env>,
        (polls, sweep): (&str, &str),
        policy: Policy,
        decoder: Arc<dyn Decoder>,
    ) -> Shop {
        let (amo, salebot) = (Arc::default(), Arc::default());
        let bridge = Bridge::new(Parts {
            name: SHOP.to_owned(),
            policy,
            timing: Timing {
                poll_contacts: polls.to_owned(),
                poll_leads: polls.to_owned(),
                sweep: sweep.to_owned(),
                reconcile: NEVER.to_owned(),
                overlap_ms: 60_000,
                recheck_every_ms: 300_000,
                recheck_window_ms: 600_000,
            },
            retry: RetryPolicy::default(),
            store: seen,
            amo: Arc::clone(&amo) as Arc<dyn salebridge::ports::remote::Amo>,
            salebot: Arc::clone(&salebot) as Arc<dyn salebridge::ports::remote::Salebot>,
            env,
            decoder,
            arrived: Arc::default(),
            stop: CancellationToken::new(),
        });
        Shop { store, amo, salebot, bridge }
    }

    /// Lets the bridge work while this goes on.
    async fn during(&self, story: impl Future<Output = ()>) {
        tokio::select! {
            () = self.bridge.run() => panic!("nobody asked it to stop"),
            () = story => {}
        }
    }

    async fn put(&self, changes: Vec<Change>) {
        self.store.commit(SHOP, changes).await.expect("commits");
    }

    /// A client, its contact, and that both agreed on this value.
    async fn link(&self, id: u64, value: &str, flips: Flips) {
        let held = Some(vec![value.to_owned()]);
        let base = Base { amo: held.clone(), salebot: held, flips, ..Base::default() };
        let mut link = ClientLink::new(Client::unknown(ClientId(id)));
        link.contact = Some(ContactId(id));
        link.bases.insert(rule().key(), base);
        self.put(vec![Change::PutClient(Box::new(link))]).await;
        self.salebot.set(id, "position", value);
    }

    async fn contact_of(&self, client: u64) -> Option<ContactId> {
        self.store.clients(SHOP, &[ClientId(client)]).await.expect("reads")[0].contact
    }

    async fn stops(&self) -> Vec<Stop> {
        guard::kept(self.text(guard::STOPS).await.as_deref())
    }

    async fn frozen(&self) -> Vec<Frozen> {
        guard::kept(self.text(guard::FROZEN).await.as_deref())
    }

    async fn text(&self, name: &str) -> Option<String> {
        self.store.text(SHOP, name).await.expect("reads")
    }

    async fn release(&self) {
        release::ask(self.store.as_ref(), SHOP, SystemEnv.now()).await.expect("commits");
    }

    fn guard_fault(&self) -> Option<String> {
        let report = self.bridge.health().report();
        report.into_iter().find(|part| part.part == "guard")?.fault.map(|(reason, _)| reason)
    }
}

async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let look = async {
        while !holds().await {
            SystemEnv.sleep(20).await;
        }
    };
    assert!(tokio::time::timeout(DEADLINE, look).await.is_ok(), "not so in time: {what}");
}

#[tokio::test]
async fn a_pass_that_clears_too_much_stops_until_it_is_released() {
    let shop = Shop::new(OFTEN, NEVER, 6);
    for id in 1..=60 {
        shop.link(id, "manager", Flips::default()).await;
        shop.amo.put(contact(id, "", 1_000));
    }
    shop.during(async {
        eventually("the pass is stopped", || async { !shop.stops().await.is_empty() }).await;
        let stop = shop.stops().await.remove(0);
        assert_eq!((stop.pass.as_str(), stop.check.as_str()), ("contacts", "blast_radius"));
        assert_eq!(shop.store.counts(SHOP).await.expect("reads").outbox, 0);
        assert_eq!(shop.store.cursor(SHOP, "contacts").await.expect("reads"), None);
        let told = shop.guard_fault().expect("the health page tells");
        assert!(told.contains("60 values") && told.contains("salebridge release --bridge shop"), "{told}");
        assert_eq!(shop.salebot.holding("position", "manager"), 60);

        shop.release().await;
        eventually("everything is cleared", || async { shop.salebot.holding("position", "manager") == 0 }).await;
        eventually("the release is used up", || async { shop.stops().await.is_empty() }).await;
        assert!(shop.store.cursor(SHOP, "contacts").await.expect("reads").is_some());
        assert_eq!(shop.guard_fault(), None);
    })
    .await;
}

/// Each try reads everything again from where it stopped.
#[test]
fn a_backfill_that_clears_too_much_is_tried_rarely_until_it_is_released() {
    let env = SimEnv::new(1_795_132_800_000, 1);
    let mut story = Box::pin(rare_tries(&env));
    env.run_until(&mut story, i64::MAX).expect("nothing of it waits for ever");
}

async fn rare_tries(env: &Arc<SimEnv>) {
    let shop = Shop::at(Arc::clone(env) as Arc<dyn Env>, NEVER, NEVER, 6);
    for id in 1..=60 {
        shop.link(id, "manager", Flips::default()).await;
        shop.amo.put(contact(id, "", 1_000));
    }
    let parts = BTreeSet::from([backfill::Part::Contacts]);
    let request = backfill::Request {
        asked_at: env.now(),
        parts,
        since: None,
        until: None,
        since_span: None,
        until_span: None,
        dry_run: false,
    };
    shop.put(vec![Change::PutText(backfill::REQUEST, serde_json::to_string(&request).expect("JSON"))]).await;
    shop.during(async {
        env.sleep(1_198_000).await;
        assert_eq!(shop.stops().await.len(), 2, "the first listing and the backfill");
        // At once, and after five, ten and fifteen minutes; once by the first listing.
        let tries = shop.amo.listings() - 1;
        assert!((4..=5).contains(&tries), "{tries} tries in twenty minutes");
        let told: backfill::Progress = backfill::kept(shop.text(backfill::PROGRESS).await.as_deref()).expect("kept");
        assert!(told.fault.is_some_and(|fault| fault.contains("salebridge release")));

        release::ask(shop.store.as_ref(), SHOP, env.now()).await.expect("commits");
        env.sleep(10_000).await;
        assert_eq!(shop.text(backfill::REQUEST).await.as_deref(), Some(""), "it is through");
        assert_eq!(shop.salebot.holding("position", "manager"), 0);
    })
    .await;
}

#[tokio::test]
async fn a_sweep_unlinks_what_is_gone_and_nothing_else() {
    let shop = Shop::new(NEVER, OFTEN, 6);
    for id in 1..=3 {
        shop.link(id, "manager", Flips::default()).await;
    }
    shop.amo.put(contact(1, "manager", 1_000));
    shop.amo.put(contact(3, "manager", 1_000));
    shop.amo.hide(3);
    shop.amo.put_lead(lead(302));
    shop.put([301, 302].map(|id| Change::PutDeal(Box::new(deal(id)))).to_vec()).await;
    shop.during(async {
        eventually("the deleted contact is unlinked", || async { shop.contact_of(2).await.is_none() }).await;
        eventually("the deleted lead is closed", || async {
            !shop.store.deals(SHOP, &[LeadId(301)]).await.expect("reads")[0].open
        })
        .await;
        let told = "amo_lead_deleted 301 of Anna Test";
        eventually("the bot is told", || async { shop.salebot.callbacks() == [(ClientId(1), told.to_owned())] }).await;
        eventually("the sweep has told", || async { shop.text(guard::SWEEP).await.is_some() }).await;
        let found: Sweep = serde_json::from_str(&shop.text(guard::SWEEP).await.expect("a text")).expect("JSON");
        assert!(found.listed == 2 && found.missed == 0, "{found:?}");
        assert_eq!(shop.contact_of(1).await, Some(ContactId(1)));
        assert_eq!(shop.contact_of(3).await, Some(ContactId(3)), "not listed, but there");
        assert!(shop.store.deals(SHOP, &[LeadId(302)]).await.expect("reads")[0].open);
    })
    .await;
}

#[tokio::test]
async fn an_empty_listing_unlinks_nobody() {
    let shop = Shop::new(NEVER, OFTEN, 6);
    shop.link(1, "manager", Flips::default()).await;
    shop.during(async {
        eventually("the sweep is stopped", || async { !shop.stops().await.is_empty() }).await;
        assert_eq!(shop.stops().await[0].check, "empty_listing");
        assert_eq!(shop.contact_of(1).await, Some(ContactId(1)));
        shop.release().await;
        eventually("what is released is done", || async { shop.contact_of(1).await.is_none() }).await;
    })
    .await;
}

#[tokio::test]
async fn a_pair_that_turns_too_often_is_frozen_until_it_is_released() {
    let shop = Shop::new(OFTEN, NEVER, 1);
    let flips = Flips { last: Some(Side::Salebot), count: 1, since: SystemEnv.now(), frozen: false };
    shop.link(1, "a", flips).await;
    shop.amo.put(contact(1, "a", 1_000));
    shop.salebot.set(1, "position", "b");
    let mark = Mark { subject: Subject::Client(ClientId(1)), due: Millis(0), attempts: 0, run: None };
    shop.put(vec![Change::Mark(mark)]).await;
    shop.during(async {
        eventually("the pair is frozen", || async { !shop.frozen().await.is_empty() }).await;
        let pair = shop.frozen().await.remove(0);
        assert_eq!((pair.link, pair.rule), (LinkRef::Client(ClientId(1)), rule().key()));
        assert_eq!(shop.amo.position(1), "b", "the write that was one too many was still made");

        let later = SystemEnv.now().seconds() + 100;
        shop.amo.put(contact(1, "c", later));
        eventually("the edit was seen", || async {
            let seen = shop.store.contacts(SHOP, &[ContactId(1)]).await.expect("reads");
            seen.first().is_some_and(|seen| seen.version == later)
        })
        .await;
        eventually("nothing waits", || async { shop.store.counts(SHOP).await.expect("reads").outbox == 0 }).await;
        assert_eq!(shop.salebot.holding("position", "b"), 1, "frozen");

        shop.release().await;
        eventually("it travels again", || async { shop.salebot.holding("position", "c") == 1 }).await;
        assert_eq!(shop.frozen().await, Vec::new());
    })
    .await;
}

/// Five clients are to get the same value.
async fn save_for_five(shop: &Shop) {
    let saves = (1..=5).map(|id| {
        let variables = [("position".to_owned(), "manager".to_owned())].into();
        let action = Action::SaveVariables { client: ClientId(id), variables, confirms: Vec::new() };
        let (now, priority) = (SystemEnv.now(), Priority::Poll);
        Change::AddAction(Box::new(NewAction {
            action,
            slot: None,
            priority,
            not_before: now,
            created_at: now,
            run: None,
        }))
    });
    shop.put(saves.collect()).await;
}

/// The refusal of a request for several names no culprit.
#[tokio::test]
async fn a_client_that_is_refused_costs_no_other_its_values() {
    for kind in [FaultKind::Rejected, FaultKind::Gone] {
        let shop = Shop::new(NEVER, NEVER, 6);
        save_for_five(&shop).await;
        shop.salebot.refuse_client(3, kind);
        shop.during(async {
            eventually("nothing waits", || async { shop.store.counts(SHOP).await.expect("reads").outbox == 0 }).await;
        })
        .await;
        assert_eq!(shop.salebot.holding("position", "manager"), 4, "{kind:?}");
        let dead = shop.store.counts(SHOP).await.expect("reads").dead_letters;
        assert_eq!(dead, u64::from(kind == FaultKind::Rejected), "{kind:?}");
        let asked: Vec<usize> = shop.salebot.saves().iter().map(Vec::len).collect();
        assert_eq!(asked, [5, 1, 1, 1, 1, 1]);
    }
}

/// What is about the service is about everybody.
#[tokio::test]
async fn a_service_that_fails_is_not_asked_for_each_client() {
    let shop = Shop::new(NEVER, NEVER, 6);
    save_for_five(&shop).await;
    shop.salebot.refuse_client(3, FaultKind::Auth);
    shop.during(async {
        eventually("it was asked", || async { !shop.salebot.saves().is_empty() }).await;
        SystemEnv.sleep(300).await;
    })
    .await;
    assert_eq!(shop.salebot.saves().iter().map(Vec::len).collect::<Vec<_>>(), [5]);
}

/// Nothing was sent yet: what comes of a look says nothing of what waits behind it.
#[tokio::test]
async fn a_look_that_fails_condemns_no_write() {
    for kind in [FaultKind::Broken, FaultKind::Rejected] {
        let shop = Shop::new(NEVER, NEVER, 6);
        for id in 1..=3 {
            shop.link(id, "a", Flips::default()).await;
            shop.amo.put(contact(id, "a", 1_000));
            shop.salebot.set(id, "position", "b");
        }
        shop.amo.fail(&[kind; 2]);
        shop.during(async {
            let written = || (1..=3).all(|id| shop.amo.position(id) == "b");
            eventually("all of it is written", || async { written() }).await;
            eventually("nothing waits", || async { shop.store.counts(SHOP).await.expect("reads").outbox == 0 }).await;
        })
        .await;
        assert_eq!(shop.amo.failing(), 0, "it was looked, in vain");
        assert_eq!(shop.store.counts(SHOP).await.expect("reads").dead_letters, 0, "{kind:?}");
    }
}

fn deal(id: u64) -> DealLink {
    DealLink {
        contact: Some(ContactId(1)),
        client: Some(ClientId(1)),
        stage: Some((PipelineId(61), StatusId(1001))),
        version: 1,
        ..DealLink::new(LeadId(id))
    }
}
