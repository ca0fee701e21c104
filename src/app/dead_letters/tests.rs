//! How names and moments are read, and what a retry does to an action.

use super::*;
use crate::core::id::ClientId;
use crate::ports::remote::Priority;
use crate::ports::store::{ActionState, NewAction};
use crate::store::memory::MemoryStore;
use rstest::rstest;

const NOW: Millis = Millis(1_760_000_000_000);

#[rstest]
#[case("outbox:12", Some("outbox:12"))]
#[case("inbox:3", Some("inbox:3"))]
#[case("12", None)]
#[case("outbox", None)]
#[case("outbox:", None)]
#[case("outbox:-1", None)]
#[case("marks:1", None)]
fn a_name_is_read_as_the_list_shows_it(#[case] text: &str, #[case] read: Option<&str>) {
    assert_eq!(text.parse::<LetterId>().ok().map(|id| id.to_string()).as_deref(), read);
}

#[rstest]
#[case("2h", Some(NOW.0 - 7_200_000))]
#[case("3d", Some(NOW.0 - 3 * 86_400_000))]
#[case("1970-01-02", Some(86_400_000))]
#[case("1970-01-01T00:00:01Z", Some(1_000))]
#[case("-2h", None)]
#[case("soon", None)]
#[case("", None)]
fn a_moment_is_read_as_people_write_it(#[case] text: &str, #[case] at: Option<i64>) {
    let read = text.parse::<Since>().ok().map(|since| since.moment(NOW).expect("in time").0);
    assert_eq!(read, at);
}

fn row(action: Action, in_doubt: bool, kind: FaultKind) -> DeadDetail {
    let fault = Fault::new(kind, "odd");
    let row = OutboxRow {
        id: ActionId(7),
        action,
        slot: None,
        priority: Priority::Person,
        state: ActionState::Dead,
        attempts: 40,
        in_doubt,
        not_before: Millis(0),
        created_at: Millis(0),
        first_attempt_at: None,
        fault: Some(fault),
        run: None,
    };
    let letter = DeadLetter {
        queue: "outbox",
        id: 7,
        what: row.action.name().to_owned(),
        subject: String::new(),
        reason: "odd".to_owned(),
        created_at: Millis(0),
        died_at: Millis(0),
        attempts: 40,
    };
    DeadDetail { letter, content: DeadContent::Action(Box::new(row)) }
}

fn order() -> Action {
    Action::CreateOrder {
        client: ClientId(5),
        lead: crate::core::id::LeadId(1),
        name: "x".to_owned(),
        budget: 0,
        state: None,
        confirms: Vec::new(),
    }
}

fn callback() -> Action {
    Action::Callback { client: ClientId(5), text: "go".to_owned() }
}

#[rstest]
#[case::refused(order(), false, FaultKind::Rejected, false)]
#[case::looked_up_again(order(), true, FaultKind::Rejected, true)]
#[case::the_last_answer_was_lost(order(), false, FaultKind::Uncertain, true)]
#[case::a_callback_is_sent_because_somebody_said_so(callback(), true, FaultKind::Uncertain, false)]
fn a_retry_keeps_the_doubt(
    #[case] action: Action,
    #[case] in_doubt: bool,
    #[case] kind: FaultKind,
    #[case] expected: bool,
) {
    let changes = retried(&row(action, in_doubt, kind), NOW);
    assert!(
        matches!(changes[0], Change::ActionRetry { attempts: 0, not_before: NOW, in_doubt, .. } if in_doubt == expected)
    );
}

#[tokio::test]
async fn what_people_wrote_is_shown_on_request_alone() {
    let store = MemoryStore::default();
    let new = NewAction {
        action: callback(),
        slot: None,
        priority: Priority::Person,
        not_before: NOW,
        created_at: NOW,
        run: None,
    };
    let ids = store.commit("shop", vec![Change::AddAction(Box::new(new))]).await.expect("commits");
    let dead = Change::ActionDead { id: ids[0], fault: Fault::new(FaultKind::Rejected, "odd"), at: NOW };
    store.commit("shop", vec![dead]).await.expect("commits");
    let detail = store.dead_letter("shop", "outbox", ids[0].0).await.expect("reads").expect("is there");
    assert_eq!(places(&callback()), ["the bot's callback"]);
    let listed = line("shop", &detail.letter).to_string();
    assert!(!listed.contains("go\"") && listed.contains("callback"), "{listed}");
}
