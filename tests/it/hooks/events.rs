//! The list of events and the subscription: looked at seldom, and a refusal of either holds nothing up.

use super::{BRIDGE, By, SECRET, Shop, eventually};
use crate::version;
use rstest::rstest;
use salebridge::core::hint::EVENTS;
use salebridge::sandbox::amo::fixture::FIELD_POSITION;

#[rstest]
#[tokio::test]
async fn a_refused_list_of_events_is_left_alone(#[values(401, 402, 403, 404, 422)] status: u16) {
    let shop =
        Shop::with(By::Events, version::spoken(), "", |options| options.amo.hooks.events_refused_with = Some(status))
            .await;
    let events = || shop.calls("GET /api/v4/events");
    eventually("it was asked for", || async { events() >= 1 }).await;
    // The lane stays open, and what a hook tells still arrives.
    let url = shop.hook();
    shop.town.amo(|amo, now_ms| amo.subscribe(now_ms, &url, &EVENTS));
    shop.town.amo(|amo, now_ms| amo.set_contact_text(now_ms, shop.contact, FIELD_POSITION, "Всё равно"));
    eventually("the variable is there", || async { shop.variable(shop.client, "position") == "Всё равно" }).await;
    eventually("time goes by", || async { shop.town.now_ms() > 0 }).await;
    shop.idle().await;
    if status != 401 {
        assert_eq!(events(), 1, "once refused it is tried rarely");
    }
    let live = shop.status().await;
    assert_eq!(live["lanes"]["amo"]["state"], "open", "{live}");
    shop.close().await;
}

/// `public_url` is known only once the daemon listens, so these start it twice.
async fn watched(change: impl FnOnce(&mut salebridge::sandbox::town::TownOptions)) -> Shop {
    Shop::with(By::Poll, "v4", "", change).await.with_public_url("https://bridge.example.test").await
}

impl Shop {
    async fn with_public_url(mut self, url: &str) -> Shop {
        self.daemon.take().expect("it runs").stop().await;
        let mut config = self.config();
        config.http.public_url = Some(url.to_owned());
        self.daemon = Some(salebridge::app::daemon::Daemon::start(&config, None).await.expect("it starts"));
        self
    }
}

#[tokio::test]
async fn a_missing_or_switched_off_subscription_is_told_and_holds_nothing_up() {
    let shop = watched(|_| {}).await;
    let errors = || async { shop.status().await["errors"].to_string() };
    eventually("it is told", || async { errors().await.contains("salebridge hooks install --bridge town") }).await;
    assert!(!errors().await.contains(SECRET));
    eventually("it is ready: this is a note", || async {
        super::http().get(shop.url("/health/ready")).send().await.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    let destination = format!("https://bridge.example.test/hooks/amo/{BRIDGE}/{SECRET}");
    shop.town.amo(|amo, now_ms| amo.subscribe(now_ms, &destination, &EVENTS));
    shop.town.amo(|amo, _| amo.switch_hook(&destination, false));
    let shop = shop.with_public_url("https://bridge.example.test").await;
    eventually("that too", || async { shop.status().await["errors"].to_string().contains("switched our webhook off") })
        .await;
    shop.town.amo(|amo, _| amo.switch_hook(&destination, true));
    let shop = shop.with_public_url("https://bridge.example.test").await;
    eventually("it was looked at", || async { shop.calls("GET /api/v4/webhooks") >= 3 }).await;
    shop.idle().await;
    assert_eq!(shop.status().await["errors"].to_string(), "[]");
    shop.close().await;
}

#[tokio::test]
async fn who_may_not_see_subscriptions_is_not_bothered_with_them() {
    let shop = watched(|options| options.amo.hooks.refused_with = Some(403)).await;
    eventually("it was asked for", || async { shop.calls("GET /api/v4/webhooks") >= 1 }).await;
    shop.idle().await;
    let status = shop.status().await;
    assert_eq!((status["errors"].to_string(), &status["lanes"]["amo"]["state"]), ("[]".to_owned(), &"open".into()));
    shop.close().await;
}

/// Hooks that came while no daemon ran are posted again, and polls find the rest.
#[tokio::test]
async fn a_restart_loses_no_change() {
    let mut shop =
        Shop::with(By::Both, version::spoken(), "", |options| options.amo.hooks.retry_after_ms = [300; 4]).await;
    shop.daemon.take().expect("it runs").stop().await;
    shop.town.amo(|amo, now_ms| amo.set_contact_text(now_ms, shop.contact, FIELD_POSITION, "Пока никого не было"));
    eventually("the hook failed", || async { shop.town.look(|amo, _| amo.hook_counts().bad >= 1) }).await;
    shop.start().await;
    eventually("the variable is there", || async {
        shop.variable(shop.client, "position") == "Пока никого не было"
    })
    .await;
    shop.restart().await;
    assert_eq!(shop.variable(shop.client, "position"), "Пока никого не было");
    shop.close().await;
}
