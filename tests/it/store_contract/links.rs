//! Links, contacts, keys, cursors, texts, the journal, and commits that are whole.

use super::{LATE, SHOP, for_every_store, new, update, variables};
use salebridge::core::action::Side;
use salebridge::core::echo::Sent;
use salebridge::core::fault::{Fault, FaultKind};
use salebridge::core::flips::Flips;
use salebridge::core::id::{ClientId, ContactId, LeadId, OrderId, PipelineId, StateId, StatusId, UserId};
use salebridge::core::link::{Base, Bases, ClientLink, ContactSeen, DealLink};
use salebridge::core::model::Client;
use salebridge::core::people::MatchKey;
use salebridge::core::time::Millis;
use salebridge::ports::store::{Change, Cursor, JournalEntry, JournalRow, Mark, Store, Subject};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

for_every_store!(
    a_client_comes_back_as_it_was,
    a_deal_comes_back_as_it_was,
    storing_a_link_raises_its_revision,
    links_are_found_by_contact,
    deals_are_found_by_the_client_whose_order_they_are,
    linked_contacts_come_page_by_page,
    deals_come_page_by_page,
    a_contact_is_found_by_its_newest_keys,
    a_key_belongs_to_one_contact,
    a_forgotten_contact_leaves_its_clients,
    cursors_and_texts_are_replaced,
    the_journal_reads_backwards,
    the_journal_is_pruned_by_age,
    a_commit_is_whole_or_nothing,
    every_kind_of_text_survives,
    bridges_do_not_meet,
    waiting_actions_are_counted_to_a_limit,
);

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A base with something everywhere.
fn full_base() -> Base {
    Base {
        amo: Some(texts(&["+79990000001", "+79990000002"])),
        salebot: Some(Vec::new()),
        sent_amo: vec![texts(&["a"]), Vec::new()],
        sent_salebot: vec![texts(&["b", "c"])],
        ours: BTreeSet::from(["b".to_owned()]),
        bound: Some("c".to_owned()),
        undone: true,
        flips: Flips { last: Some(Side::Salebot), count: 7, since: Millis(5), frozen: true },
    }
}

fn link(client: u64, contact: Option<u64>) -> ClientLink {
    ClientLink { contact: contact.map(ContactId), ..ClientLink::new(Client::unknown(ClientId(client))) }
}

fn deal(lead: u64, contact: Option<u64>) -> DealLink {
    DealLink { contact: contact.map(ContactId), open: false, ..DealLink::new(LeadId(lead)) }
}

fn phone(number: u32) -> MatchKey {
    MatchKey::Phone(format!("+7999000{number:04}"))
}

async fn commit(store: &Arc<dyn Store>, changes: Vec<Change>) {
    store.commit(SHOP, changes).await.expect("commits");
}

async fn client(store: &Arc<dyn Store>, id: u64) -> ClientLink {
    store.clients(SHOP, &[ClientId(id)]).await.expect("reads").pop().expect("is there")
}

async fn a_client_comes_back_as_it_was(store: Arc<dyn Store>) {
    let full = ClientLink {
        unmatched: true,
        client: Client {
            id: ClientId(5),
            platform_id: Some("600000001".to_owned()),
            group: Some("shop_bot".to_owned()),
            messenger: Some(6),
            name: Some("Анна \"A\"".to_owned()),
            tag: Some("spring".to_owned()),
            created_at: Some(1_700_000_000),
        },
        contact: Some(ContactId(101)),
        bases: Bases::from([("contact.phone=client.phone".to_owned(), full_base()), ("e".to_owned(), Base::default())]),
        last_message_at: Some(Millis(77)),
        callbacks: vec![Sent { text: "0123".to_owned(), at: Millis(78) }],
        revision: 40,
    };
    let bare = link(6, None);
    commit(&store, vec![Change::PutClient(Box::new(full.clone())), Change::PutClient(Box::new(bare.clone()))]).await;
    let found = store.clients(SHOP, &[ClientId(6), ClientId(9), ClientId(5), ClientId(6)]).await.expect("reads");
    assert_eq!(found, [ClientLink { revision: 1, ..full }, ClientLink { revision: 1, ..bare }]);
    assert!(store.clients(SHOP, &[]).await.expect("reads").is_empty());
}

async fn a_deal_comes_back_as_it_was(store: Arc<dyn Store>) {
    let full = DealLink {
        client: Some(ClientId(5)),
        spoke: 3,
        order: Some(OrderId(70)),
        ordered: true,
        stage: Some((PipelineId(61), StatusId(142))),
        state: Some(StateId(37)),
        responsible: Some(UserId(8)),
        open: true,
        version: 1_700_000_001,
        fingerprint: "1:abc".to_owned(),
        bases: Bases::from([("lead.price=order.budget".to_owned(), full_base())]),
        ..deal(301, Some(101))
    };
    let bare = deal(302, None);
    commit(&store, vec![Change::PutDeal(Box::new(full.clone())), Change::PutDeal(Box::new(bare.clone()))]).await;
    let found = store.deals(SHOP, &[LeadId(302), LeadId(301), LeadId(303)]).await.expect("reads");
    assert_eq!(found, [DealLink { revision: 1, ..full }, DealLink { revision: 1, ..bare }]);
}

async fn storing_a_link_raises_its_revision(store: Arc<dyn Store>) {
    let put = |revision| Change::PutClient(Box::new(ClientLink { revision, ..link(5, None) }));
    commit(&store, vec![put(7), put(7)]).await;
    assert_eq!(client(&store, 5).await.revision, 2, "what the caller gives does not count");
    commit(&store, vec![put(0)]).await;
    assert_eq!(client(&store, 5).await.revision, 3);
    commit(&store, vec![Change::PutDeal(Box::new(deal(1, None))), Change::PutDeal(Box::new(deal(1, Some(4))))]).await;
    let deals = store.deals(SHOP, &[LeadId(1)]).await.expect("reads");
    assert_eq!((deals[0].revision, deals[0].contact), (2, Some(ContactId(4))));
}

async fn links_are_found_by_contact(store: Arc<dyn Store>) {
    let clients = [link(8, Some(1)), link(5, Some(1)), link(6, Some(2)), link(7, None)];
    let deals = [deal(30, Some(2)), deal(20, Some(1)), deal(40, None), deal(10, Some(1))];
    let puts = clients.into_iter().map(|link| Change::PutClient(Box::new(link)));
    commit(&store, puts.chain(deals.into_iter().map(|deal| Change::PutDeal(Box::new(deal)))).collect()).await;
    let of = [ContactId(1), ContactId(3), ContactId(1)];
    let clients = store.clients_of(SHOP, &of).await.expect("reads");
    assert_eq!(clients.iter().map(|link| link.client.id.0).collect::<Vec<_>>(), [5, 8]);
    let deals = store.deals_of(SHOP, &of).await.expect("reads");
    assert_eq!(deals.iter().map(|deal| deal.lead.0).collect::<Vec<_>>(), [10, 20]);
    commit(&store, vec![Change::PutClient(Box::new(link(5, Some(2))))]).await;
    let clients = store.clients_of(SHOP, &[ContactId(1), ContactId(2)]).await.expect("reads");
    assert_eq!(clients.iter().map(|link| link.client.id.0).collect::<Vec<_>>(), [5, 6, 8]);
}

async fn deals_are_found_by_the_client_whose_order_they_are(store: Arc<dyn Store>) {
    let of = |lead, client: Option<u64>| DealLink { client: client.map(ClientId), ..deal(lead, Some(1)) };
    let deals = [of(30, Some(6)), of(20, Some(5)), of(40, None), of(10, Some(5)), of(50, Some(7))];
    commit(&store, deals.into_iter().map(|deal| Change::PutDeal(Box::new(deal))).collect()).await;
    let leads = |deals: Vec<DealLink>| deals.iter().map(|deal| deal.lead.0).collect::<Vec<_>>();
    let clients = [ClientId(6), ClientId(5), ClientId(8), ClientId(5)];
    assert_eq!(leads(store.deals_of_clients(SHOP, &clients).await.expect("reads")), [10, 20, 30]);
    commit(&store, vec![Change::PutDeal(Box::new(of(20, Some(7))))]).await;
    assert_eq!(leads(store.deals_of_clients(SHOP, &clients).await.expect("reads")), [10, 30]);
    assert_eq!(leads(store.deals_of_clients(SHOP, &[]).await.expect("reads")), [0; 0]);
}

async fn linked_contacts_come_page_by_page(store: Arc<dyn Store>) {
    let links = [(1, Some(9)), (2, Some(7)), (3, Some(9)), (4, None), (5, Some(8)), (6, Some(0))];
    let put = links.map(|(client, contact)| Change::PutClient(Box::new(link(client, contact))));
    store.commit(SHOP, put.to_vec()).await.expect("commits");
    let page = async |after: Option<u64>, rows_max| {
        let page = store.linked_contacts(SHOP, after.map(ContactId), rows_max).await.expect("reads");
        page.into_iter().map(|contact| contact.0).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 9).await, [0, 7, 8, 9]);
    assert_eq!(page(None, 2).await, [0, 7]);
    assert_eq!(page(Some(7), 2).await, [8, 9]);
    assert_eq!(page(Some(9), 2).await, [0_u64; 0]);
    assert_eq!(page(Some(u64::MAX), 2).await, [0_u64; 0]);
    assert!(store.linked_contacts("other", None, 9).await.expect("reads").is_empty());
    store.commit(SHOP, vec![Change::ForgetContact(ContactId(9))]).await.expect("commits");
    assert_eq!(page(Some(7), 9).await, [8]);
}

async fn deals_come_page_by_page(store: Arc<dyn Store>) {
    let put = [3, 1, 2].map(|lead| Change::PutDeal(Box::new(deal(lead, Some(1)))));
    store.commit(SHOP, put.to_vec()).await.expect("commits");
    let page = async |after: Option<u64>, rows_max| {
        let page = store.deals_after(SHOP, after.map(LeadId), rows_max).await.expect("reads");
        page.into_iter().map(|deal| deal.lead.0).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 2).await, [1, 2]);
    assert_eq!(page(Some(2), 2).await, [3]);
    assert_eq!(page(Some(3), 2).await, [0_u64; 0]);
    assert_eq!(store.deals_after(SHOP, None, 1).await.expect("reads")[0].contact, Some(ContactId(1)));
    assert!(store.deals_after("other", None, 9).await.expect("reads").is_empty());
}

async fn a_contact_is_found_by_its_newest_keys(store: Arc<dyn Store>) {
    let email = MatchKey::Email("anna@example.test".to_owned());
    commit(&store, vec![Change::PutKeys(ContactId(1), vec![phone(1), email.clone()])]).await;
    let found = store.contacts_by_key(SHOP, &[email.clone(), phone(2), phone(1)]).await.expect("reads");
    assert_eq!(found, [(email.clone(), ContactId(1)), (phone(1), ContactId(1))], "in the order asked for");
    commit(&store, vec![Change::PutKeys(ContactId(1), vec![phone(2), phone(2)])]).await;
    let found = store.contacts_by_key(SHOP, &[phone(1), phone(2), email]).await.expect("reads");
    assert_eq!(found, [(phone(2), ContactId(1))], "a number it no longer has leads nowhere");
    commit(&store, vec![Change::PutKeys(ContactId(1), vec![phone(3)]), Change::PutKeys(ContactId(1), vec![])]).await;
    assert!(store.contacts_by_key(SHOP, &[phone(2), phone(3)]).await.expect("reads").is_empty());
}

async fn a_key_belongs_to_one_contact(store: Arc<dyn Store>) {
    let put = |contact, keys: &[MatchKey]| Change::PutKeys(ContactId(contact), keys.to_vec());
    commit(&store, vec![put(1, &[phone(1), phone(2)]), put(2, &[phone(2), phone(3)])]).await;
    let all = [phone(1), phone(2), phone(3)];
    let found = store.contacts_by_key(SHOP, &all).await.expect("reads");
    assert_eq!(found.iter().map(|(_, contact)| contact.0).collect::<Vec<_>>(), [1, 2, 2]);
    commit(&store, vec![put(3, &[phone(1)]), put(3, &[])]).await;
    let found = store.contacts_by_key(SHOP, &all).await.expect("reads");
    assert_eq!(found.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), [phone(2), phone(3)]);
}

async fn a_forgotten_contact_leaves_its_clients(store: Arc<dyn Store>) {
    let seen = ContactSeen { contact: ContactId(1), fingerprint: "1:f".to_owned(), version: 9 };
    let other = ContactSeen { contact: ContactId(2), fingerprint: String::new(), version: -1 };
    commit(
        &store,
        vec![
            Change::PutContact(ContactSeen { version: 8, ..seen.clone() }),
            Change::PutContact(seen.clone()),
            Change::PutContact(other.clone()),
            Change::PutKeys(ContactId(1), vec![phone(1)]),
            Change::PutKeys(ContactId(2), vec![phone(2)]),
            Change::PutClient(Box::new(link(5, Some(1)))),
            Change::PutClient(Box::new(link(6, Some(2)))),
            Change::PutDeal(Box::new(deal(30, Some(1)))),
        ],
    )
    .await;
    let both = [ContactId(2), ContactId(1)];
    assert_eq!(store.contacts(SHOP, &both).await.expect("reads"), [seen, other.clone()]);
    let before = client(&store, 5).await;
    commit(&store, vec![Change::ForgetContact(ContactId(1))]).await;
    assert_eq!(store.contacts(SHOP, &both).await.expect("reads"), [other]);
    let found = store.contacts_by_key(SHOP, &[phone(1), phone(2)]).await.expect("reads");
    assert_eq!(found, [(phone(2), ContactId(2))]);
    let after = client(&store, 5).await;
    assert_eq!(after, ClientLink { contact: None, revision: before.revision + 1, ..before });
    assert_eq!(client(&store, 6).await.contact, Some(ContactId(2)));
    assert_eq!(store.deals_of(SHOP, &[ContactId(1)]).await.expect("reads").len(), 1, "deals are about leads");
    let again = [Change::PutClient(Box::new(link(5, Some(7)))), Change::ForgetContact(ContactId(7))];
    let put_back = Change::PutClient(Box::new(link(6, Some(7))));
    commit(&store, again.into_iter().chain([put_back]).collect()).await;
    assert_eq!(client(&store, 5).await.contact, None, "forgotten after it was stored");
    assert_eq!(client(&store, 6).await.contact, Some(ContactId(7)), "stored after it was forgotten");
}

async fn cursors_and_texts_are_replaced(store: Arc<dyn Store>) {
    let cursor = |at| Cursor { at: Millis(at), moved_at: Millis(at + 1) };
    let text = Change::PutText("account", "{\"id\":1}".to_owned());
    commit(
        &store,
        vec![
            Change::PutCursor("leads", cursor(5)),
            Change::PutCursor("contacts", cursor(10)),
            Change::PutCursor("contacts", cursor(7)),
            text,
        ],
    )
    .await;
    let cursors = store.cursors(SHOP).await.expect("reads");
    assert_eq!(cursors, [("contacts".to_owned(), cursor(7)), ("leads".to_owned(), cursor(5))]);
    assert_eq!(store.cursor(SHOP, "contacts").await.expect("reads"), Some(cursor(7)));
    assert_eq!(store.cursor(SHOP, "clients").await.expect("reads"), None);
    assert_eq!(store.text(SHOP, "account").await.expect("reads").as_deref(), Some("{\"id\":1}"));
    commit(&store, vec![Change::PutText("account", String::new())]).await;
    assert_eq!(store.text(SHOP, "account").await.expect("reads").as_deref(), Some(""));
    assert_eq!(store.text("other", "account").await.expect("reads"), None);
}

fn line(at: i64, subject: &str, detail: serde_json::Value) -> Change {
    Change::Journal(JournalEntry { at: Millis(at), subject: subject.to_owned(), kind: "notice", detail })
}

async fn the_journal_reads_backwards(store: Arc<dyn Store>) {
    let lines = [json!({"n": 1}), json!("a text"), json!(null), json!([1.5, "x"])];
    let [first, second, third, other] = lines.clone();
    commit(
        &store,
        vec![
            line(10, "client:5", first),
            line(30, "client:5", second),
            line(30, "client:5", third),
            line(40, "client:50", other),
        ],
    )
    .await;
    let rows = store.journal(SHOP, "client:5", 9).await.expect("reads");
    let expected = |at, detail: &serde_json::Value| JournalRow {
        at: Millis(at),
        subject: "client:5".to_owned(),
        kind: "notice".to_owned(),
        detail: detail.clone(),
    };
    assert_eq!(rows, [expected(30, &lines[2]), expected(30, &lines[1]), expected(10, &lines[0])]);
    assert_eq!(store.journal(SHOP, "client:5", 1).await.expect("reads"), rows[..1]);
}

async fn the_journal_is_pruned_by_age(store: Arc<dyn Store>) {
    commit(&store, [30, 10, 20, 40].map(|at| line(at, "client:5", json!(at))).to_vec()).await;
    assert_eq!(store.prune(SHOP, Millis(40), 2).await.expect("prunes"), 2);
    let rows = store.journal(SHOP, "client:5", 9).await.expect("reads");
    assert_eq!(rows.iter().map(|row| row.at.0).collect::<Vec<_>>(), [40, 30]);
    assert_eq!(store.prune(SHOP, Millis(40), 2).await.expect("prunes"), 1);
    assert_eq!(store.prune(SHOP, Millis(40), 2).await.expect("prunes"), 0);
}

async fn a_commit_is_whole_or_nothing(store: Arc<dyn Store>) {
    let unstorable =
        Change::Mark(Mark { subject: Subject::Lead(LeadId(u64::MAX)), due: Millis(1), attempts: 0, run: None });
    let body = super::stored(&store, super::body(5, 1, 100)).await;
    let changes = vec![
        Change::InboxDone(vec![body]),
        Change::PutClient(Box::new(link(5, Some(1)))),
        Change::PutKeys(ContactId(1), vec![phone(1)]),
        super::add(new(variables(5, "a"))),
        line(1, "client:5", json!(1)),
        unstorable,
        Change::PutCursor("contacts", Cursor { at: Millis(1), moved_at: Millis(1) }),
    ];
    let (bad, good) =
        tokio::join!(store.commit(SHOP, changes.clone()), store.commit(SHOP, vec![super::add(new(update(9)))]));
    bad.expect_err("cannot be stored");
    assert_eq!(good.expect("is none of its business").len(), 1);
    assert!(store.clients(SHOP, &[ClientId(5)]).await.expect("reads").is_empty());
    assert!(store.contacts_by_key(SHOP, &[phone(1)]).await.expect("reads").is_empty());
    assert!(store.journal(SHOP, "client:5", 9).await.expect("reads").is_empty());
    assert!(store.cursors(SHOP).await.expect("reads").is_empty());
    assert!(store.pending(SHOP, &["client:5".to_owned()]).await.expect("reads").is_empty());
    assert_eq!(store.inbox_due(SHOP, LATE, 9, 9).await.expect("reads").len(), 1);
    store.commit(SHOP, changes).await.expect_err("cannot be stored alone either");
    assert_eq!(store.counts(SHOP).await.expect("reads").outbox, 1);
    assert!(store.commit(SHOP, Vec::new()).await.expect("nothing to do").is_empty());
}

/// A text is stored as it is: quotes, line ends, a zero character, what is not in any table of characters.
async fn every_kind_of_text_survives(store: Arc<dyn Store>) {
    let odd = "q\" b\\ n\n t\t z\0z e😀 ж\u{feff}\u{200b} \u{e000} ' -- ?1 $[0]".to_owned();
    let base = Base { amo: Some(vec![odd.clone(), String::new()]), ..Base::default() };
    let stored = ClientLink {
        unmatched: true,
        client: Client { name: Some(odd.clone()), ..Client::unknown(ClientId(5)) },
        bases: Bases::from([(odd.clone(), base)]),
        ..link(5, None)
    };
    let key = MatchKey::Email(odd.clone());
    let seen = ContactSeen { contact: ContactId(1), fingerprint: odd.clone(), version: i64::MIN };
    let action = salebridge::ports::store::NewAction { slot: Some(odd.clone()), ..new(super::callback(5, &odd)) };
    commit(
        &store,
        vec![
            Change::PutClient(Box::new(stored.clone())),
            Change::PutContact(seen.clone()),
            Change::PutKeys(ContactId(1), vec![key.clone()]),
            Change::PutText("account", odd.clone()),
            line(i64::MAX, &odd, json!(odd)),
            super::add(action.clone()),
        ],
    )
    .await;
    assert_eq!(client(&store, 5).await, ClientLink { revision: 1, ..stored });
    assert_eq!(store.contacts(SHOP, &[ContactId(1)]).await.expect("reads"), [seen]);
    assert_eq!(store.contacts_by_key(SHOP, std::slice::from_ref(&key)).await.expect("reads"), [(key, ContactId(1))]);
    assert_eq!(store.text(SHOP, "account").await.expect("reads"), Some(odd.clone()));
    assert_eq!(store.journal(SHOP, &odd, 9).await.expect("reads")[0].detail, json!(odd));
    let pending = store.pending_named(SHOP, "callback", 9).await.expect("reads");
    assert_eq!((&pending[0].action, &pending[0].slot), (&action.action, &action.slot));
    commit(&store, vec![Change::CancelSlot(odd)]).await;
    assert_eq!(store.counts(SHOP).await.expect("reads").outbox, 0);
}

async fn waiting_actions_are_counted_to_a_limit(store: Arc<dyn Store>) {
    let waiting = async |at_most| store.outbox_waiting(SHOP, at_most).await.expect("reads");
    assert_eq!(waiting(9).await, 0);
    let five = (1..=5).map(|contact| super::add(new(update(contact)))).collect();
    let ids = store.commit(SHOP, five).await.expect("commits");
    store.commit("other", vec![super::add(new(update(9)))]).await.expect("commits");
    assert_eq!((waiting(9).await, waiting(5).await, waiting(3).await, waiting(0).await), (5, 5, 3, 0));
    store.claim(SHOP, Side::Amo, LATE, 2).await.expect("claims");
    assert_eq!(waiting(9).await, 5, "those that run count");
    let fault = Fault::new(FaultKind::Rejected, "no");
    commit(&store, vec![Change::ActionDone(ids[0]), Change::ActionDead { id: ids[4], fault, at: Millis(1) }]).await;
    assert_eq!(waiting(9).await, 3, "the dead do not");
}

async fn bridges_do_not_meet(store: Arc<dyn Store>) {
    for (bridge, contact) in [("one", 1), ("two", 2)] {
        let changes = vec![
            Change::PutClient(Box::new(link(5, Some(contact)))),
            Change::PutContact(ContactSeen { contact: ContactId(9), fingerprint: bridge.to_owned(), version: 1 }),
            Change::PutKeys(ContactId(contact), vec![phone(1)]),
            Change::Mark(Mark {
                subject: Subject::Client(ClientId(5)),
                due: Millis(contact as i64),
                attempts: 0,
                run: None,
            }),
            super::in_slot("s", variables(5, bridge)),
        ];
        store.commit(bridge, changes).await.expect("commits");
    }
    store
        .commit("two", vec![Change::CancelSlot("s".to_owned()), Change::ForgetContact(ContactId(1))])
        .await
        .expect("commits");
    let one = store.clients("one", &[ClientId(5)]).await.expect("reads");
    assert_eq!((one[0].contact, one[0].revision), (Some(ContactId(1)), 1));
    let found = store.contacts_by_key("one", &[phone(1)]).await.expect("reads");
    assert_eq!(found, [(phone(1), ContactId(1))]);
    assert_eq!(store.contacts("two", &[ContactId(9)]).await.expect("reads")[0].fingerprint, "two");
    assert_eq!(store.marks_due("two", LATE, 9).await.expect("reads")[0].mark.due, Millis(2));
    let waiting = store.pending_named("one", "save_variables", 9).await.expect("reads");
    store.commit("two", vec![Change::ActionDone(waiting[0].id)]).await.expect("commits");
    assert_eq!(store.counts("one").await.expect("reads").outbox, 1, "an id of another bridge names nothing");
    assert_eq!(store.counts("two").await.expect("reads").outbox, 0);
}
