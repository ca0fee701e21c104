//! The six triggers: each once, whether the news came by hook, by poll or by both, with names a person can read.

use super::{By, Shop, eventually};
use crate::version;
use rstest::rstest;
use salebridge::sandbox::amo::fixture::{FIELD_POSITION, PIPELINE_MAIN, PIPELINE_SERVICE, USER_SUPPORT};

/// Every event tells everything it can.
fn triggers() -> String {
    let events =
        ["contact.created", "contact.changed", "lead.created", "lead.stage", "lead.deleted", "lead.responsible"];
    let all = events.map(|event| {
        let word = event.replace('.', "_");
        let template = format!(
            "amo_{word} {{{{ contact.id }}}}|{{{{ contact.name }}}}|{{{{ lead.id }}}}|{{{{ lead.name }}}}|{{{{ lead.pipeline }}}}|\
             {{{{ lead.stage }}}}|{{{{ lead.responsible or contact.responsible }}}}"
        );
        format!("\n[[bridge.trigger]]\non = \"{event}\"\ncallback = \"{template}\"\n")
    });
    all.concat()
}

/// Callbacks of these triggers alone.
fn told(shop: &Shop, client: i64) -> Vec<String> {
    shop.callbacks(client).into_iter().filter(|text| !text.starts_with("amo_invoice_stage")).collect()
}

#[rstest]
#[tokio::test]
async fn each_event_is_told_once(
    #[values(By::Hook, By::Poll, By::Both)] by: By,
    #[values("v2", "v4")] api: &'static str,
) {
    let shop = Shop::with(by, api, &triggers(), |_| {}).await;
    assert_eq!(told(&shop, shop.client), Vec::<String>::new(), "what was there before is no news");
    let pipeline = shop.town.look(|amo, _| amo.options().account.pipelines[&PIPELINE_MAIN].clone());
    let service = shop.town.look(|amo, _| amo.options().account.pipelines[&PIPELINE_SERVICE].clone());

    // Somebody the bot knows becomes a contact, with a lead in the same moment.
    let client = shop.newcomer("700002", Some("+7 999 555-02-02"));
    let contact = shop.contact_named("Мария Новикова", &["89995550202"]);
    let lead = shop.lead_of("Заявка", contact);
    let first = &pipeline.statuses[0].name;
    let created = [
        format!("amo_contact_created {contact}|Мария Новикова||||||").replace("||||||", "|||||Пётр Продажин"),
        format!("amo_lead_created {contact}|Мария Новикова|{lead}|Заявка|{}|{first}|Пётр Продажин", pipeline.name),
    ];
    eventually("both are told of", || async { created.iter().all(|text| told(&shop, client).contains(text)) }).await;
    shop.idle().await;

    shop.town.amo(|amo, now_ms| amo.set_contact_text(now_ms, contact, FIELD_POSITION, "Директор"));
    let changed = format!("amo_contact_changed {contact}|Мария Новикова|||||Пётр Продажин");
    eventually("the change is told of", || async { told(&shop, client).contains(&changed) }).await;
    assert_eq!(shop.variable(client, "position"), "Директор", "after the variables are saved");
    shop.idle().await;

    shop.town.amo(|amo, now_ms| amo.move_lead(now_ms, lead, PIPELINE_SERVICE, 2002));
    let second = &service.status(2002).expect("the stage").name;
    let lead_told = |word: &str, user: &str| {
        format!("amo_{word} {contact}|Мария Новикова|{lead}|Заявка|{}|{second}|{user}", service.name)
    };
    let moved = lead_told("lead_stage", "Пётр Продажин");
    eventually("the move is told of", || async { told(&shop, client).contains(&moved) }).await;
    shop.idle().await;

    shop.town.amo(|amo, now_ms| amo.set_lead_responsible(now_ms, lead, USER_SUPPORT));
    let handed = lead_told("lead_responsible", "Софья Помощь");
    eventually("who is in charge is told", || async { told(&shop, client).contains(&handed) }).await;
    shop.idle().await;

    let mut expected: Vec<String> = created.into_iter().chain([changed, moved, handed]).collect();
    // A poll alone shows no deletion: that is the sweep's business.
    if by != By::Poll {
        shop.town.amo(|amo, now_ms| amo.delete_lead(now_ms, lead));
        let gone = |text: &String| text.starts_with(&format!("amo_lead_deleted {contact}|Мария Новикова|{lead}|"));
        eventually("the deletion is told of", || async { told(&shop, client).iter().any(gone) }).await;
        shop.idle().await;
        expected.extend(told(&shop, client).into_iter().find(gone));
    }
    let mut all = told(&shop, client);
    all.sort();
    expected.sort();
    assert_eq!(all, expected, "each once");
    assert_eq!(told(&shop, shop.client), Vec::<String>::new(), "nobody else is told");
    shop.idle().await;
    let notes = shop.town.look(|amo, _| amo.notes().count());
    assert_eq!(notes, 0, "our own callbacks are no messages");
    shop.close().await;
}

/// Hooks of a lead that come before those of its contact.
#[tokio::test]
async fn a_lead_whose_person_is_found_later_is_told_then() {
    let shop = Shop::with(By::Hook, version::spoken(), &triggers(), |_| {}).await;
    let client = shop.newcomer("700003", Some("+7 999 555-03-03"));
    let contact = shop.contact_named("Пока без телефона", &[]);
    let lead = shop.lead_of("Заявка", contact);
    shop.idle().await;
    assert_eq!(told(&shop, client), Vec::<String>::new());
    shop.town.amo(|amo, now_ms| amo.add_phone(now_ms, contact, "+79995550303"));
    let head = format!("amo_lead_created {contact}|Пока без телефона|{lead}|");
    eventually("the lead is told of", || async { told(&shop, client).iter().any(|text| text.starts_with(&head)) })
        .await;
    shop.idle().await;
    assert_eq!(told(&shop, client).iter().filter(|text| text.starts_with("amo_lead_created")).count(), 1);
    shop.close().await;
}

/// A callback that reads like what a person writes comes back as a message; the person's own words are a note all the same.
#[rstest]
#[tokio::test]
async fn a_callback_in_plain_words_that_comes_back_is_no_message(#[values("v2", "v4")] api: &'static str) {
    let extra = "\n[[bridge.trigger]]\non = \"contact.changed\"\ncallback = \"Карточка обновлена\"\n";
    let shop = Shop::with(By::Hook, api, extra, |_| {}).await;
    let contact = shop.contact;
    shop.town.amo(|amo, now_ms| amo.set_contact_text(now_ms, contact, FIELD_POSITION, "Директор"));
    eventually("the bot is told", || async { told(&shop, shop.client) == ["Карточка обновлена"] }).await;
    let say = |text: &str| {
        shop.town.salebot(|salebot, now_ms| salebot.person_writes(now_ms, shop.client, Some(text), &[]));
    };
    say("Карточка обновлена?");
    let noted = || shop.town.look(|amo, _| amo.notes().map(|note| note.text.clone()).collect::<Vec<_>>());
    eventually("what the person says is a note", || async {
        noted().concat().contains("Карточка обновлена?")
    })
    .await;
    shop.idle().await;
    let lines: usize = noted().iter().map(|text| text.matches("Карточка обновлена").count()).sum();
    assert_eq!(lines, 1, "the person's question alone: {:?}", noted());
    shop.close().await;
}
