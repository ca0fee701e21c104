//! amoCRM's hooks at the door: the same care as for Salebot's messages.

use super::{Mood, Site, post, read_to_end, status, within};
use salebridge::inbound::{BodyLimits, PushCounts, ServerLimits};
use salebridge::ports::store::Source;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const HOOK: &str = "/hooks/amo/shop/another-long-random-secret";
const LEAD: &[u8] = b"leads[update][0][id]=301&leads[update][0][name]=%FF";

#[tokio::test]
async fn a_hook_is_stored_as_it_came_and_the_same_again_too() {
    let site = Site::open(Mood::Takes).await;
    for _ in 0..2 {
        assert_eq!(status(&site.post(HOOK, LEAD).await), 200);
    }
    within(site.arrivals.bell.heard()).await;
    let rows = site.store.rows();
    assert_eq!(rows.len(), 2, "a pipeline's hook has no time: the same words may be two moves");
    let row = &rows[0];
    assert_eq!((row.bridge.as_str(), row.source, row.body.as_slice()), ("shop", Source::Amo, LEAD));
    assert_eq!((row.client, row.message, row.dedupe.as_deref(), row.broken.as_deref()), (None, None, None, None));
    assert_eq!(site.close().await, PushCounts { stored: 2, ..PushCounts::default() });
}

#[tokio::test]
async fn no_hook_is_answered_before_it_is_stored() {
    let site = Site::open(Mood::Waits).await;
    let mut stream = site.connect().await;
    stream.write_all(&post(HOOK, LEAD)).await.expect("the server reads");
    within(site.store.entered.notified()).await;
    let early = tokio::time::timeout(Duration::from_millis(50), stream.readable()).await;
    assert!(early.is_err(), "an answer left before the body was stored");
    site.store.gate.add_permits(1);
    assert_eq!(status(&read_to_end(stream).await), 200);
}

#[tokio::test]
async fn a_store_that_is_full_is_told_in_the_way_that_brings_the_hook_back() {
    let site = Site::open(Mood::Full).await;
    assert_eq!(status(&site.post(HOOK, LEAD).await), 503);
    assert_eq!(site.close().await, PushCounts { failed: 1, ..PushCounts::default() });
}

#[tokio::test]
async fn what_cannot_be_read_is_kept_and_what_is_of_no_concern_is_not() {
    let site = Site::open(Mood::Takes).await;
    for body in ["", "hello", "{\"leads\":"] {
        assert_eq!(status(&site.post(HOOK, body.as_bytes()).await), 200, "{body:?}");
    }
    for body in ["customers[add][0][id]=1", "account[id]=9"] {
        assert_eq!(status(&site.post(HOOK, body.as_bytes()).await), 200, "{body:?}");
    }
    assert!(site.store.rows().iter().all(|row| row.broken.is_some()));
    assert_eq!(site.close().await, PushCounts { stored: 3, broken: 3, dropped: 2, ..PushCounts::default() });
}

#[tokio::test]
async fn secrets_open_their_own_doors_alone_and_giants_stay_outside() {
    let limits = BodyLimits { bytes_max: 1_000, ..BodyLimits::default() };
    let site = Site::with(Mood::Takes, limits, ServerLimits::default()).await;
    for path in [
        "/hooks/amo/shop/a-long-random-secret",
        "/hooks/salebot/shop/another-long-random-secret",
        "/hooks/amo/other/another-long-random-secret",
        "/hooks/amo/shop/another-long-random-secre",
        "/hooks/amo/shop/%FF",
    ] {
        assert_eq!(status(&site.post(path, LEAD).await), 404, "{path}");
    }
    assert_eq!(status(&site.post(HOOK, &[b'a'; 1_001]).await), 413);
    assert_eq!(site.store.rows(), []);
    assert_eq!(site.close().await, PushCounts { refused: 6, ..PushCounts::default() });
}
