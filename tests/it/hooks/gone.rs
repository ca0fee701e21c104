//! Deleted and merged records: by hooks and by the list of events, without a sweep.

use super::{By, Shop, eventually};
use crate::version;
use rstest::rstest;
use salebridge::sandbox::amo::fixture::{FIELD_PHONE, FIELD_POSITION};

/// True when a client's link leads nowhere: what a manager writes on any contact does not reach it.
async fn contact_of(shop: &Shop, client: i64) -> Option<u64> {
    let store = shop.daemon.as_ref().expect("it runs").store();
    let id = salebridge::core::id::ClientId(u64::try_from(client).expect("an id"));
    let links = store.clients(super::BRIDGE, &[id]).await.expect("the store answers");
    links.first().and_then(|link| link.contact).map(|contact| contact.0)
}

#[rstest]
#[case::as_a_list(By::Hook, false)]
#[case::as_an_id(By::Hook, true)]
#[case::by_events(By::Events, false)]
#[tokio::test]
async fn a_deleted_contact_is_unlinked_and_comes_back(#[case] by: By, #[case] as_ids: bool) {
    // Else whoever seems to have written gets a contact of their own.
    let extra = "\n[bridge.people]\ncreate_contact = \"never\"\n";
    let shop = Shop::with(by, version::spoken(), extra, |options| options.amo.hooks.deletes_as_ids = as_ids).await;
    let before = shop.town.look(|amo, _| amo.contact_count());
    shop.town.amo(|amo, now_ms| amo.delete_contact(now_ms, shop.contact));
    eventually("the client is on its own", || async { contact_of(&shop, shop.client).await.is_none() }).await;
    shop.idle().await;
    assert_eq!(shop.town.look(|amo, _| amo.contact_count()), before - 1, "nobody is made anew");
    shop.town.amo(|amo, now_ms| amo.restore_contact(now_ms, shop.contact));
    eventually("the client is back", || async { contact_of(&shop, shop.client).await == Some(shop.contact) }).await;
    shop.town.amo(|amo, now_ms| amo.set_contact_text(now_ms, shop.contact, FIELD_POSITION, "Вернулся"));
    if by == By::Hook {
        eventually("and hears again", || async { shop.variable(shop.client, "position") == "Вернулся" }).await;
    }
    shop.close().await;
}

/// Two contacts of one person, both with the client's phone or only one of them; a manager merges them.
#[rstest]
#[case::by_hook(By::Hook, false)]
#[case::by_hook_of_the_deletion(By::Hook, true)]
#[case::by_events(By::Events, false)]
#[tokio::test]
async fn a_silent_client_follows_its_contact_into_a_merge(#[case] by: By, #[case] tells_of_deletion: bool) {
    let shop =
        Shop::with(by, version::spoken(), "", |options| options.amo.hooks.merges_tell_of_deletion = tells_of_deletion)
            .await;
    let survivor = shop.contact_named("Тот же человек", &[]);
    shop.idle().await;
    shop.town.amo(|amo, now_ms| amo.merge_contacts(now_ms, survivor, shop.contact));
    eventually("the client belongs to who is left", || async {
        contact_of(&shop, shop.client).await == Some(survivor)
    })
    .await;
    eventually("and says so", || async { shop.variable(shop.client, "amo_contact_id") == survivor.to_string() }).await;
    shop.idle().await;
    assert_eq!(shop.status().await["dead_letters"], 0);
    shop.close().await;
}

/// Another contact has the same number, is older, and was edited last; and nobody merged anything into that one.
#[tokio::test]
async fn of_several_with_one_number_the_one_that_was_merged_is_followed() {
    let shop = Shop::with(By::Events, version::spoken(), "", |_| {}).await;
    let phones: Vec<String> = shop.town.look(|amo, _| {
        let contact = amo.contact(shop.contact).expect("the contact");
        contact.card.texts(FIELD_PHONE).into_iter().map(str::to_owned).collect()
    });
    let phones: Vec<&str> = phones.iter().map(String::as_str).collect();
    let older = shop.contact_named("Однофамилец", &phones);
    shop.idle().await;
    let survivor = shop.contact_named("Тот же человек", &phones);
    shop.idle().await;
    shop.town.amo(|amo, now_ms| amo.rename_contact(now_ms, older, "Однофамилец, Пётр"));
    shop.idle().await;
    assert!(contact_of(&shop, shop.client).await == Some(shop.contact));
    shop.town.amo(|amo, now_ms| amo.merge_contacts(now_ms, survivor, shop.contact));
    eventually("the client has another contact", || async {
        contact_of(&shop, shop.client).await.is_some_and(|contact| contact != shop.contact)
    })
    .await;
    assert_eq!(contact_of(&shop, shop.client).await, Some(survivor));
    shop.close().await;
}

/// Nothing but a lead in common: taken for a merge only where amoCRM says that there was one.
#[rstest]
#[case::merged(true, false)]
#[case::merged_and_named_by_who_went(true, true)]
#[case::handed_over_by_hand(false, false)]
#[tokio::test]
async fn a_client_without_a_phone_follows_its_leads_after_a_merge_alone(
    #[case] is_merge: bool,
    #[case] names_the_loser: bool,
) {
    let shop = Shop::with(By::Events, version::spoken(), "", |options| {
        options.amo.hooks.merges_name_the_loser = names_the_loser
    })
    .await;
    let client = shop.newcomer("700009", None);
    shop.town.salebot(|salebot, now_ms| salebot.person_writes(now_ms, client, Some("Здравствуйте"), &[]));
    eventually("they are a contact", || async { contact_of(&shop, client).await.is_some() }).await;
    let loser = contact_of(&shop, client).await.expect("their contact");
    let lead = shop.lead_of("Заказ", loser);
    let other = shop.contact_named("Другая карточка", &[]);
    // Only the bot's look at the lead tells it of the lead: nothing is polled here.
    shop.town.amo(|amo, now_ms| amo.delete_lead(now_ms, lead));
    eventually("the deletion was seen", || async { shop.reads("leads") > 1 }).await;
    shop.town.amo(|amo, now_ms| amo.restore_lead(now_ms, lead));
    let store = shop.daemon.as_ref().expect("it runs").store();
    let deal = || async {
        let deals = store.deals(super::BRIDGE, &[salebridge::core::id::LeadId(lead)]).await.expect("the store answers");
        deals.first().is_some_and(|deal| deal.contact.is_some_and(|contact| contact.0 == loser))
    };
    eventually("the lead is known as theirs", || async { deal().await }).await;
    shop.idle().await;
    if is_merge {
        shop.town.amo(|amo, now_ms| amo.merge_contacts(now_ms, other, loser));
        eventually("the client follows", || async { contact_of(&shop, client).await == Some(other) }).await;
    } else {
        shop.town.amo(|amo, now_ms| {
            amo.unlink_lead(now_ms, lead, loser);
            amo.link_lead(now_ms, lead, other);
            amo.delete_contact(now_ms, loser);
        });
        eventually("the client is on its own", || async { contact_of(&shop, client).await.is_none() }).await;
    }
    shop.idle().await;
    shop.close().await;
}

/// Deletions of half of everything stop before anything is unlinked.
#[tokio::test]
async fn a_flood_of_deletions_is_stopped_by_the_guard() {
    let extra = "\n[bridge.guard]\nmax_cleared_share = 0.2\nmax_cleared_min = 3\n";
    let shop = Shop::with(By::Hook, version::spoken(), extra, |options| options.people = 40).await;
    let linked: Vec<u64> = shop.town.cast().people.iter().filter_map(|person| person.contact).collect();
    shop.town.amo(|amo, now_ms| {
        for contact in &linked {
            amo.delete_contact(now_ms, *contact);
        }
    });
    eventually("the guard stops it", || async {
        shop.status().await["errors"].to_string().contains("salebridge release")
    })
    .await;
    assert_eq!(contact_of(&shop, shop.client).await, Some(shop.contact), "nothing is unlinked");
    shop.close().await;
}
