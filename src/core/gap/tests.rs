//! The pure half of recovery, case by case.

use super::*;
use crate::core::id::MessageId;

fn row(id: u64, updated_at: i64) -> Listed {
    Listed { client: Client::unknown(ClientId(id)), updated_at: Some(Millis(updated_at)) }
}

fn round() -> Round {
    Round::new(Millis(1_000 + OVERLAP_MS), Millis(2_000_000))
}

fn ids(round: &Round) -> Vec<u64> {
    round.candidates(usize::MAX).into_iter().map(|candidate| candidate.client.id.0).collect()
}

fn said(id: u64, at: Option<i64>) -> Said {
    let message = Message {
        id: Some(MessageId(id)),
        client: Client::unknown(ClientId(5)),
        text: Some("a".to_owned()),
        attachments: Vec::new(),
        incoming: true,
        block: None,
        variables: None,
        written_at: None,
    };
    (message, at.map(Millis), false)
}

fn recovered(lines: Vec<Said>, since: i64, floor: i64, now: i64) -> Vec<(u64, i64)> {
    let found = to_recover(lines, Millis(since), Millis(floor), Millis(now));
    found.into_iter().map(|(message, at)| (message.id.expect("has one").0, at.0)).collect()
}

#[test]
fn only_clients_with_news_are_read() {
    let mut round = round();
    let dateless = Listed { updated_at: None, ..row(7, 0) };
    let mut old = dateless.clone();
    old.client = Client { created_at: Some(0), ..Client::unknown(ClientId(6)) };
    let mut chat = row(8, 5_000);
    chat.client.messenger = Some(1);
    chat.client.platform_id = Some("-1001".to_owned());
    round.take(&[row(9, 999), row(5, 1_000), dateless, old, chat], 0, 5, 500);
    assert_eq!(ids(&round), [5, 7]);
}

#[test]
fn a_short_page_ends_the_list_and_the_last_history_the_round() {
    let mut round = round();
    round.take(&[row(5, 2_000)], 0, 1, 500);
    assert!(!round.wants_page() && !round.is_complete());
    round.settled(ClientId(5));
    assert!(round.is_complete());
    round.take(&[row(5, 3_000), row(6, 3_000)], 0, 2, 500);
    assert_eq!(ids(&round), [6], "who was read in this round is not read again");
}

#[test]
fn old_activity_ends_the_list_only_where_it_is_sorted_by_activity() {
    let mut by_id = round();
    by_id.take(&[row(9, 900), row(8, 800), row(7, 700)], 0, 3, 3);
    assert!(by_id.wants_page(), "an old client may have written all the same");
    let mut mixed = round();
    mixed.take(&[row(9, 900), row(7, 950), row(8, 700)], 0, 3, 3);
    assert!(mixed.wants_page());
    let mut busy = round();
    busy.take(&[row(7, 1_200), row(9, 1_100), row(8, 1_000)], 0, 3, 3);
    assert!(busy.wants_page(), "there may be more news behind");
    let mut by_activity = round();
    by_activity.take(&[row(7, 1_200), row(9, 1_100), row(8, 800)], 0, 3, 3);
    assert!(!by_activity.wants_page());
}

#[test]
fn a_page_from_elsewhere_does_not_bring_the_walk_on() {
    let mut round = round();
    let page: Vec<Listed> = (0..10).map(|id| row(100 - id, 0)).collect();
    round.take(&page, 0, 10, 10);
    assert_eq!(round.offset, 5, "pages share rows");
    round.take(&[row(200, 5_000)], 0, 1, 10);
    assert!(round.wants_page());
    assert_eq!((round.offset, ids(&round)), (5, vec![200]));
}

#[test]
fn a_history_is_given_up_after_a_few_refusals() {
    let mut round = round();
    round.take(&[row(5, 2_000)], 0, 1, 500);
    assert_eq!((1..=5).map(|_| round.failed(ClientId(5))).collect::<Vec<_>>(), [false, false, false, false, true]);
    assert!(round.is_complete());
}

#[test]
fn what_was_said_before_is_left_where_it_is() {
    let lines = || vec![said(1, Some(9_000)), said(2, Some(10_000)), said(3, None), said(4, Some(99_000))];
    assert_eq!(recovered(lines(), 10_999, 0, 50_000), [(2, 10_000), (3, 10_000), (4, 50_000)], "whole seconds count");
    assert_eq!(recovered(lines(), 0, 11_000, 50_000), [(4, 50_000)]);
    assert_eq!(recovered(vec![said(3, None)], 0, 0, 50_000), [], "nothing tells that it is new");
    let (message, at, _) = said(1, Some(9_000));
    let nameless = (Message { id: None, ..message.clone() }, at, false);
    assert_eq!(recovered(vec![(message, at, true), nameless], 0, 0, 50_000), []);
}

#[test]
fn only_an_overdue_or_unfinished_look_is_unproven() {
    let now = Millis(10_000);
    assert_eq!(unproven(Millis(9_000), true, 1_000, now), None);
    let interval = |from| Some(Interval { from: Millis(from), to: now });
    assert_eq!(unproven(Millis(8_999), true, 1_000, now), interval(8_999));
    assert_eq!(unproven(Millis(9_000), false, 1_000, now), interval(9_000));
    assert_eq!(unproven(Millis(10_000), false, 1_000, now), None);
    assert_eq!(late_after_ms("0 */15 * * * *", now), 1_800_000);
}

#[test]
fn local_times_are_told_by_those_that_lie_ahead() {
    const HOUR_MS: i64 = 3_600_000;
    let now = Millis(100 * HOUR_MS);
    let naive = |at: i64| Moment { at: Millis(at), zone_known: false };
    let mut clock = Clock::default();
    clock.learn(naive(now.0 + 60_000), now);
    clock.learn(Moment { zone_known: true, ..naive(now.0 + 3 * HOUR_MS) }, now);
    assert_eq!(clock, Clock::default(), "clocks differ, and a zone that is named is believed");
    clock.learn(naive(now.0 + 2 * HOUR_MS), now);
    assert_eq!(clock.instant(naive(now.0 + 2 * HOUR_MS)), now, "an hour ago or now, but not in the future");
    for age_s in [1, 600, 1_500] {
        clock.learn(naive(now.0 + 3 * HOUR_MS - age_s * 1_000), now);
        assert_eq!(clock.instant(naive(3 * HOUR_MS)), Millis(0));
    }
    assert_eq!(Clock::parse(&clock.text()), Some(clock));
    assert_eq!(clock.instant(Moment { zone_known: true, ..naive(5) }), Millis(5));
}
