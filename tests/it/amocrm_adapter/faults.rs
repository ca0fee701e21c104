//! What each status means, for the caller and for the lane.

use super::{Setup, TOKEN, answer, with_header};
use async_trait::async_trait;
use salebridge::core::action::Edit;
use salebridge::core::fault::{Fault, FaultKind};
use salebridge::core::id::ContactId;
use salebridge::ports::env::Env;
use salebridge::ports::remote::{Amo, Change, Draft, PageRequest, Priority};
use salebridge::remote::amocrm::{AmoV2, Bearer, TokenSource};
use salebridge::remote::http::{RawAnswer, Renewal};
use salebridge::remote::lane::{Lane, LaneOptions, LaneState};
use secrecy::SecretString;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

const ALL: PageRequest = PageRequest { since: None, offset: 0, limit: 500 };

async fn read(answer: RawAnswer) -> (Fault, LaneState) {
    let setup = Setup::always(answer);
    let fault = setup.amo.contacts(ALL, Priority::Poll).await.unwrap_err();
    (fault, setup.amo.lane().report().state)
}

async fn written(answer: RawAnswer) -> (FaultKind, FaultKind) {
    let draft = Draft { edits: vec![Edit::Name("x".to_owned())], created_at: 1 };
    let change = Change { id: ContactId(1), edits: draft.edits.clone(), updated_at: 2 };
    let made = Setup::always(answer.clone()).amo.create_contacts(&[draft], Priority::Poll).await.remove(0);
    let changed = Setup::always(answer).amo.update_contacts(&[change], Priority::Poll).await.remove(0);
    (made.unwrap_err().kind, changed.unwrap_err().kind)
}

#[tokio::test]
async fn every_status_has_its_meaning() {
    use FaultKind::{Auth, Blocked, Broken, Changed, Gone, Rejected, Transient, Uncertain};
    const THROTTLED: FaultKind = FaultKind::Throttled { after_ms: None };
    let old = r#"{"response":{"error":"no","error_code":"110"}}"#;
    let page = "<html>Forbidden</html>";
    for (status, body, made, changed, state) in [
        (301, "", Auth, Auth, LaneState::Parked),
        (400, r#"{"title":"Bad Request","status":400}"#, Rejected, Rejected, LaneState::Open),
        (400, r#"{"title":"Bad Requ"#, Uncertain, Transient, LaneState::Open),
        (401, old, Auth, Auth, LaneState::Parked),
        (401, "", Auth, Auth, LaneState::Parked),
        (402, "{}", Auth, Auth, LaneState::Parked),
        (403, page, Blocked, Blocked, LaneState::Blocked),
        (403, "", Blocked, Blocked, LaneState::Blocked),
        (403, r#"{"response":{"error":"x","error_code":403}}"#, Blocked, Blocked, LaneState::Blocked),
        (403, r#"{"response":{"error":"x","error_code":"113"}}"#, Auth, Auth, LaneState::Parked),
        (403, r#"{"response":{"error":"x","error_code":"244"}}"#, Auth, Auth, LaneState::Open),
        (403, r#"{"title":"Forbidden","code":288}"#, Auth, Auth, LaneState::Open),
        (404, page, Broken, Broken, LaneState::Open),
        (405, "", Rejected, Rejected, LaneState::Open),
        (409, "", Changed, Changed, LaneState::Open),
        (410, "", Gone, Gone, LaneState::Open),
        (422, "", Rejected, Rejected, LaneState::Open),
        (429, page, THROTTLED, THROTTLED, LaneState::Paused),
        (500, page, Uncertain, Transient, LaneState::Open),
        (501, "", Broken, Broken, LaneState::Open),
        (502, "", Uncertain, Transient, LaneState::Open),
        (503, "", Uncertain, Transient, LaneState::Open),
        (504, "", Uncertain, Transient, LaneState::Open),
        (200, old, Auth, Auth, LaneState::Parked),
        (200, r#"{"response":{"error":"x","error_code":"429"}}"#, THROTTLED, THROTTLED, LaneState::Paused),
    ] {
        assert_eq!(written(answer(status, body)).await, (made, changed), "{status} {body}");
        let (fault, condition) = read(answer(status, body)).await;
        assert_eq!((fault.kind, condition), (changed, state), "{status} {body}: {fault}");
    }
}

#[tokio::test]
async fn faults_say_what_to_do() {
    for (status, body, says) in [
        (402, "", "subscription has ended"),
        (404, "", "check the account's address"),
        (302, "", "amo.url"),
        (403, r#"{"response":{"error_code":"113"}}"#, "allowed addresses"),
        (401, r#"{"hint":"Token has been revoked","detail":"revoked"}"#, "revoked"),
        (400, r#"{"response":{"error_code":"217"}}"#, "status_id and name"),
    ] {
        let (fault, _) = read(answer(status, body)).await;
        assert!(fault.reason.contains(says), "{status}: {fault}");
    }
}

#[tokio::test]
async fn quoted_words_lose_what_people_typed() {
    let body = r#"{"detail":"Value «Анна» of field 'phone' +79990000001 for anna@example.test is bad"}"#;
    let (fault, _) = read(answer(400, body)).await;
    assert!(fault.reason.contains("is bad"), "{fault}");
    for hidden in ["Анна", "7999", "example.test", "'phone'"] {
        assert!(!fault.reason.contains(hidden), "{fault}");
    }
}

#[tokio::test]
async fn retry_after_is_read_in_both_forms_and_bounded() {
    let throttled = |value: &str| with_header(answer(429, ""), "retry-after", value);
    let dated = with_header(throttled("Tue, 04 Mar 2025 10:00:30 GMT"), "date", "Tue, 04 Mar 2025 10:00:00 GMT");
    for (answer, expected) in [
        (throttled("3"), Some(3_000)),
        (throttled("0"), Some(0)),
        (throttled("86400"), Some(300_000)),
        (throttled("18446744073709551615"), Some(300_000)),
        (dated, Some(30_000)),
        (throttled("Tue, 04 Mar 2003 10:00:30 GMT"), Some(0)),
        (throttled("later"), None),
    ] {
        let (fault, state) = read(answer).await;
        assert_eq!((fault.kind, state), (FaultKind::Throttled { after_ms: expected }, LaneState::Paused));
    }
}

#[tokio::test]
async fn a_blocked_account_is_left_alone() {
    let setup = Setup::always(answer(403, "<html></html>"));
    for _ in 0..20 {
        let fault = setup.amo.contacts(ALL, Priority::Person).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Blocked);
    }
    assert_eq!(setup.seen().len(), 1);
}

/// Gives an old token until it is told to renew.
#[derive(Default)]
struct Renewable(AtomicBool);

#[async_trait]
impl TokenSource for Renewable {
    async fn token(&self) -> Result<SecretString, Fault> {
        Ok(SecretString::from(if self.0.load(Ordering::SeqCst) { "new" } else { "old" }))
    }

    async fn refused(&self, _sent: &SecretString) -> Renewal {
        self.0.store(true, Ordering::SeqCst);
        Renewal::Renewed
    }
}

#[tokio::test]
async fn a_token_that_can_be_renewed_does_not_park_the_lane() {
    let script = Arc::new(super::Script {
        seen: Mutex::default(),
        handler: Mutex::new(Box::new(|seen| {
            Ok(answer(if seen.header("authorization") == Some("Bearer new") { 204 } else { 401 }, ""))
        })),
    });
    let env: Arc<dyn Env> = Arc::new(super::SkippingClock(AtomicI64::new(super::NOW_MS)));
    let lane = Arc::new(Lane::new(LaneOptions::new("amoCRM", 7.0), env.clone()));
    let credentials = Arc::new(Bearer(Renewable::default()));
    let amo = AmoV2::new("https://example.test", credentials, script, lane.clone(), env);
    let draft = Draft { edits: vec![Edit::Name("x".to_owned())], created_at: 1 };
    let made = amo.create_contacts(&[draft], Priority::Poll).await.remove(0);
    assert_eq!(made.unwrap_err().kind, FaultKind::Transient);
    assert_eq!(lane.report().state, LaneState::Open);
    assert!(amo.contacts(ALL, Priority::Poll).await.is_ok());
}

#[tokio::test]
async fn the_token_shows_nowhere() {
    let setup = Setup::always(answer(401, format!(r#"{{"detail":"bad token \"{TOKEN}\""}}"#)));
    let fault = setup.amo.contacts(ALL, Priority::Poll).await.unwrap_err();
    for text in [format!("{fault}"), format!("{fault:?}"), format!("{:?}", setup.amo)] {
        assert!(!text.contains(TOKEN), "{text}");
    }
}
