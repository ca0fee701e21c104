//! Hooks bring a change at once, cost little, and lose nothing where they are lost.

use super::{By, Shop, eventually, http};
use crate::version;
use rstest::rstest;
use salebridge::sandbox::amo::HookFault;
use salebridge::sandbox::amo::fixture::{FIELD_POSITION, PIPELINE_MAIN, USER_SUPPORT};
use salebridge::sandbox::faults::{Fault, ScriptedFault, ServiceName};
use std::time::Instant;

#[rstest]
#[tokio::test]
async fn a_managers_edit_becomes_a_variable_without_a_poll(#[values("v2", "v4")] api: &'static str) {
    let shop = Shop::with(By::Hook, api, "", |_| {}).await;
    for round in 0..3 {
        let position = format!("Директор {round}");
        shop.town.amo(|amo, now_ms| amo.set_contact_text(now_ms, shop.contact, FIELD_POSITION, &position));
        eventually("the variable is there", || async { shop.variable(shop.client, "position") == position }).await;
    }
    shop.close().await;
}

#[tokio::test]
async fn a_change_of_a_lead_reaches_its_order() {
    let shop = Shop::open(By::Hook).await;
    let lead = shop.lead("Заказ");
    let order = || shop.town.look(|_, salebot| salebot.orders(shop.client).last().map(|order| order.state_id));
    eventually("the lead is an order", || async { order() == Some(Some(35)) }).await;
    shop.town.amo(|amo, now_ms| amo.move_lead(now_ms, lead, PIPELINE_MAIN, 1002));
    eventually("the order follows", || async { order() == Some(Some(36)) }).await;
    shop.idle().await;
    assert_eq!(shop.town.look(|_, salebot| salebot.orders(shop.client).len()), 1);
    shop.close().await;
}

#[rstest]
#[case::lost(HookFault::Lost, By::Both)]
#[case::doubled(HookFault::Doubled, By::Hook)]
#[case::late(HookFault::Late { ms: 1_500 }, By::Hook)]
#[case::merged_with_the_next(HookFault::Merged, By::Hook)]
#[tokio::test]
async fn no_misfortune_of_a_hook_loses_a_change(#[case] fault: HookFault, #[case] by: By) {
    let shop = Shop::open(by).await;
    shop.town.amo(|amo, now_ms| {
        amo.spoil_hook(fault);
        amo.set_contact_text(now_ms, shop.contact, FIELD_POSITION, "Новая");
    });
    let other = shop.town.cast().contacts[5];
    if fault == HookFault::Merged {
        shop.town.amo(|amo, now_ms| amo.set_contact_text(now_ms, other, FIELD_POSITION, "Другая"));
    }
    eventually("the variable is there", || async { shop.variable(shop.client, "position") == "Новая" }).await;
    shop.idle().await;
    assert_eq!(shop.status().await["dead_letters"], 0);
    shop.close().await;
}

#[tokio::test]
async fn a_storm_of_hooks_costs_few_reads() {
    let shop = Shop::with_filters(By::Hook).await;
    let (reads, requests) = (shop.reads("contacts"), shop.amo_requests());
    let began = Instant::now();
    for number in 0..300 {
        shop.town.amo(|amo, now_ms| {
            amo.set_contact_text(now_ms, shop.contact, FIELD_POSITION, &format!("Должность {number}"))
        });
        tokio::task::yield_now().await;
    }
    eventually("every hook was delivered", || async { shop.town.look(|amo, _| amo.hook_counts().delivered) >= 300 })
        .await;
    eventually("the last value is there", || async {
        shop.variable(shop.client, "position") == "Должность 299"
    })
    .await;
    shop.idle().await;
    let seconds = began.elapsed().as_secs();
    let (reads, requests) = (shop.reads("contacts") - reads, shop.amo_requests() - requests);
    // Two seconds apart for the hooks, and the schedule of this pace every five.
    assert!(reads <= 3 + seconds, "{reads} reads for three hundred hooks of one contact in {seconds} s");
    assert!(requests <= 4 + 2 * seconds, "{requests} requests in {seconds} s");
    assert_eq!(shop.town.look(|amo, _| amo.statistics().too_many()), 0);
    shop.close().await;
}

/// A hundred contacts edited at once travel in a few requests, not in a hundred.
#[tokio::test]
async fn hooks_of_many_contacts_share_their_reads() {
    let shop = Shop::with_filters(By::Hook).await;
    let requests = shop.amo_requests();
    let contacts = shop.town.cast().contacts.clone();
    for round in 0..5 {
        for contact in &contacts {
            shop.town
                .amo(|amo, now_ms| amo.set_contact_text(now_ms, *contact, FIELD_POSITION, &format!("Роль {round}")));
        }
    }
    eventually("the last value is there", || async { shop.variable(shop.client, "position") == "Роль 4" }).await;
    shop.idle().await;
    let requests = shop.amo_requests() - requests;
    assert!(requests <= 12, "{requests} requests for {} hooks", contacts.len() * 5);
    shop.close().await;
}

/// Our own write comes back as a hook: the contact is read with others, and that is all.
#[tokio::test]
async fn our_own_write_coming_back_costs_a_shared_read_and_no_more() {
    let shop = Shop::with_filters(By::Hook).await;
    shop.town.salebot(|salebot, now_ms| salebot.set_variable(now_ms, shop.client, "client.position", "От бота"));
    shop.town.writes(0, 0, "Здравствуйте").expect("a person");
    eventually("the contact has it", || async {
        shop.town.look(|amo, _| amo.contact(shop.contact).expect("it").card.texts(FIELD_POSITION) == ["От бота"])
    })
    .await;
    eventually("the note is there", || async { shop.town.look(|amo, _| amo.notes().count() == 1) }).await;
    shop.idle().await;
    eventually("the hook of our write was delivered", || async {
        shop.town.look(|amo, _| amo.hook_counts().delivered >= 1)
    })
    .await;
    shop.idle().await;
    // From here on only an echo could cause anything: the same hook again.
    let (amo, salebot) = (shop.amo_requests(), shop.salebot_requests());
    let writes = || shop.calls(&format!("{} /api/{}/contacts", version::changing(), version::spoken()));
    let updates = writes();
    shop.town.amo(|amo, now_ms| {
        let id = shop.contact.to_string();
        amo.tell_subscribers(now_ms, "update_contact", &[("contacts[update][0][id]", &id)]);
    });
    eventually("the echo was read", || async { shop.amo_requests() > amo }).await;
    shop.idle().await;
    assert_eq!(writes(), updates, "no loop");
    // The schedule of this pace may look at the client once more meanwhile.
    assert!(shop.amo_requests() - amo <= 3, "a read, and perhaps the schedule's");
    assert!(shop.salebot_requests() - salebot <= 10, "nothing but the schedule asks Salebot");
    shop.close().await;
}

/// Hooks that came while amoCRM did not answer are not lost: the records are looked at again.
#[tokio::test]
async fn a_hook_whose_record_cannot_be_read_is_looked_at_again() {
    let shop = Shop::open(By::Hook).await;
    for _ in 0..2 {
        shop.town.spoil(ScriptedFault::once(ServiceName::Amo, Fault::Html { code: 502 }).on("/contacts").by("GET"));
    }
    shop.town.amo(|amo, now_ms| amo.set_contact_text(now_ms, shop.contact, FIELD_POSITION, "После сбоя"));
    eventually("the variable is there", || async { shop.variable(shop.client, "position") == "После сбоя" }).await;
    shop.close().await;
}

#[tokio::test]
async fn other_things_are_answered_and_cost_nothing() {
    let shop = Shop::open(By::Hook).await;
    let requests = shop.amo_requests();
    for body in
        ["customers[add][0][id]=5", "task[add][0][id]=5", "contacts[add][0][id]=55&contacts[add][0][type]=company"]
    {
        let answer = http().post(shop.hook()).body(body).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{body}");
    }
    let broken = http().post(shop.hook()).body("<html>").send().await.expect("an answer");
    assert_eq!(broken.status(), 200);
    let wrong = http().post(shop.hook() + "x").body("leads[add][0][id]=1").send().await.expect("an answer");
    assert_eq!(wrong.status(), 404);
    let status = shop.status().await;
    assert_eq!((&status["dead_letters"], &status["inbox"], &status["marks"]), (&1.into(), &0.into(), &0.into()));
    assert_eq!(shop.amo_requests(), requests);
    shop.close().await;
}

/// A write of ours and a manager who takes it back before a poll has shown it.
#[tokio::test]
async fn a_manager_who_undoes_our_write_at_once_is_heard() {
    let shop = Shop::open(By::Poll).await;
    let lead = shop.lead("Заказ");
    let order = || shop.town.look(|_, salebot| salebot.orders(shop.client).last().map(|order| order.id));
    eventually("the lead is an order", || async { order().is_some() }).await;
    shop.idle().await;
    let order = order().expect("the order");
    let budget = || {
        shop.town.look(|_, salebot| {
            let orders = salebot.orders(shop.client);
            let order = orders.iter().find(|one| one.id == order).expect("the order");
            order.variables.get("budget").map(|value| value.to_string().replace('"', ""))
        })
    };
    for _ in 0..3 {
        shop.town.salebot(|salebot, _| salebot.set_order_variable(order, "budget", &5_000.into()));
        shop.town.writes(0, 0, "Оформляем").expect("a person");
        let price = || shop.town.look(|amo, _| amo.lead(lead).map(|lead| (lead.price, lead.card.updated_at)));
        eventually("the lead has the bot's price", || async { price().is_some_and(|(price, _)| price == 5_000) }).await;
        // amoCRM tells times in seconds: within one, nobody could say who came first.
        let written_at = price().expect("the lead").1;
        eventually("a second is over", || async { shop.town.now_ms() / 1_000 >= written_at }).await;
        shop.town.amo(|amo, now_ms| amo.set_lead_price(now_ms, lead, 100));
        eventually("the order has the manager's", || async { budget().as_deref() == Some("100") }).await;
        shop.idle().await;
    }
    shop.close().await;
}

#[tokio::test]
async fn a_hook_for_somebody_unknown_links_them_now() {
    let shop = Shop::open(By::Hook).await;
    let client = shop.newcomer("700001", Some("+7 999 555-01-01"));
    let contact = shop.contact_named("Мария", &["8 (999) 555-01-01"]);
    eventually("the client knows its contact", || async {
        shop.variable(client, "amo_contact_id") == contact.to_string()
    })
    .await;
    shop.town.amo(|amo, now_ms| amo.set_contact_responsible(now_ms, contact, USER_SUPPORT));
    eventually("and who is in charge", || async { shop.variable(client, "manager") == "Софья Помощь" }).await;
    shop.close().await;
}
