//! The record that a call is about is gone when its turn comes: merged into another one, or deleted.

use super::{Shop, eventually, on_contact};
use crate::version;
use salebridge::sandbox::amo::edit::ContactDraft;
use salebridge::sandbox::amo::fixture::FIELD_PHONE;
use salebridge::sandbox::faults::{Fault, ScriptedFault, ServiceName};
use serde_json::{Value, json};

impl Shop {
    /// A colleague's contact for the same person, into which a manager merges the one that the bridge knows.
    fn merge_away(&self) -> u64 {
        self.town.amo(|amo, now_ms| {
            let phones = amo.contact(self.contact).expect("the contact").card.texts(FIELD_PHONE);
            let phones: Vec<String> = phones.into_iter().map(str::to_owned).collect();
            let survivor =
                amo.add_contact(now_ms, ContactDraft { name: "Двойник".into(), phones, ..Default::default() });
            assert!(amo.merge_contacts(now_ms, survivor, self.contact), "both are there");
            survivor
        })
    }

    fn delete_contact(&self) {
        self.town.amo(|amo, now_ms| amo.delete_contact(now_ms, self.contact));
    }

    /// The contacts of the leads of this name.
    fn owners(&self, name: &str) -> Vec<Vec<u64>> {
        self.town.look(|amo, _| {
            amo.leads().filter(|lead| lead.card.name == name).map(|lead| lead.contact_ids.clone()).collect()
        })
    }

    /// The bot knows, at once or by a callback, that its call was carried out.
    async fn is_told_of(&self, function: &str, answer: &Value) {
        assert_eq!(answer["ok"], 1, "{answer}");
        let callback = format!("amo_function_done {function}");
        eventually("the bot is told", || async { answer["queued"].is_null() || self.callbacks(&callback) == 1 }).await;
    }
}

#[tokio::test]
async fn a_lead_asked_for_after_a_merge_is_the_survivors() {
    let shop = Shop::acquainted().await;
    let survivor = shop.merge_away();
    let answer = shop.call("amo_add_lead", json!({ "lead_data": { "name": "После слияния" } })).await;
    shop.is_told_of("amo_add_lead", &answer).await;
    assert_eq!(shop.owners("После слияния"), [[survivor]]);
    eventually("the client names the survivor", || async { shop.variable("amo_contact_id") == survivor.to_string() })
        .await;
    shop.close().await;
}

#[tokio::test]
async fn a_note_asked_for_after_a_deletion_is_on_a_new_contact() {
    let shop = Shop::acquainted().await;
    shop.delete_contact();
    let answer = shop.call("amo_add_contact_notes", json!({ "text": "После удаления" })).await;
    shop.is_told_of("amo_add_contact_notes", &answer).await;
    eventually("the client names a new contact", || async {
        ![String::new(), shop.contact.to_string()].contains(&shop.variable("amo_contact_id"))
    })
    .await;
    let new = shop.variable("amo_contact_id").parse().expect("a number");
    assert_eq!(shop.notes(on_contact(new)), ["После удаления"]);
    shop.close().await;
}

#[tokio::test]
async fn who_is_named_by_the_bot_and_gone_is_nobody_else() {
    let shop = Shop::acquainted().await;
    shop.merge_away();
    let lead = json!({ "lead_data": { "name": "Чужой" }, "contact_id": shop.contact });
    let answer = shop.call("amo_add_lead", lead).await;
    assert_eq!((&answer["ok"], &answer["error"]), (&json!(0), &json!("contact_not_found")), "{answer}");
    assert_eq!(shop.lead_count("Чужой"), 0);
    shop.close().await;
}

#[tokio::test]
async fn the_newest_lead_is_gone_and_the_one_before_it_is_taken() {
    let shop = Shop::acquainted().await;
    let (older, newer) = (shop.lead("Первая"), shop.lead("Вторая"));
    eventually("the bridge knows both", || async {
        let answer = shop.call("amo_set_budget", json!({ "budget": 7 })).await;
        answer["lead_id"] == newer
    })
    .await;
    shop.town.amo(|amo, now_ms| amo.delete_lead(now_ms, newer));
    let answer = shop.call("amo_set_budget", json!({ "budget": 900 })).await;
    shop.is_told_of("amo_set_budget", &answer).await;
    assert_eq!(shop.look_lead(older, |lead| lead.price), 900);
    shop.close().await;
}

/// The answer to the making of a lead is lost, and its contact is merged before it can be looked for.
#[tokio::test]
async fn what_was_made_before_a_merge_is_not_made_again_after_it() {
    let shop = Shop::acquainted().await;
    shop.town.spoil(ScriptedFault::once(ServiceName::Amo, Fault::LostAnswer).on("/leads").by("POST"));
    let call = shop.call("amo_add_lead", json!({ "lead_data": { "name": "Одна" } }));
    let (answer, survivor) = futures::future::join(call, async {
        eventually("it is made, and nobody knows", || async { shop.lead_count("Одна") == 1 }).await;
        shop.merge_away()
    })
    .await;
    shop.is_told_of("amo_add_lead", &answer).await;
    assert_eq!(shop.owners("Одна"), [[survivor]], "{}", version::spoken());
    shop.close().await;
}
