//! A hundred thousand contacts.

use rstest::rstest;

use super::*;
use crate::amo::options::RowOrder;

const PEOPLE: usize = 100_000;

/// The rows of one page of 500.
fn page(bench: &mut Bench, since_s: i64, offset: usize) -> Vec<u64> {
    let target = format!("/api/v2/contacts?limit_rows=500&limit_offset={offset}");
    bench.ids_since(&target, since_s)
}

#[rstest]
#[case::id(RowOrder::Id)]
#[case::ascending(RowOrder::UpdatedAscending)]
#[case::descending(RowOrder::UpdatedDescending)]
#[case::shuffled(RowOrder::Shuffled(7))]
fn a_hundred_thousand_contacts_can_be_read_anywhere_in_any_order(#[case] order: RowOrder) {
    let mut bench = Bench::with(|options| options.listing.order = order);
    let mut latest = Vec::new();
    for number in 0..PEOPLE {
        let now_ms = bench.now_ms + number as i64 * 100;
        latest.push(bench.amo.add_contact(now_ms, draft("Person")));
    }
    latest.drain(..PEOPLE - 1_000);
    bench.wait(PEOPLE as i64 / 10);
    let sizes = [0, 50_000, PEOPLE - 3, PEOPLE].map(|offset| page(&mut bench, 0, offset).len());
    assert_eq!(sizes, [500, 500, 3, 0]);
    let since_s = bench.now_s() - 101;
    let mut seen: Vec<u64> = [0, 500, 1_000].into_iter().flat_map(|offset| page(&mut bench, since_s, offset)).collect();
    seen.sort_unstable();
    assert_eq!(seen, latest);
    assert_eq!(bench.get("/api/v2/contacts?query=Nobody").status, 204);
}

#[test]
fn reading_page_by_page_finds_every_row_once() {
    let mut bench = Bench::with(|options| options.listing.order = RowOrder::Shuffled(3));
    let all = bench.people(2_000);
    let pages = [0, 500, 1_000, 1_500].map(|offset| page(&mut bench, 0, offset));
    let mut seen = pages.concat();
    seen.sort_unstable();
    assert_eq!(seen, all);
}
