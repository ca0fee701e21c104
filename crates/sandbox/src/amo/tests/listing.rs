//! Listings: pages, orders, `IF-MODIFIED-SINCE`, ids, the search, and delays.

use std::collections::BTreeSet;

use rstest::rstest;

use super::*;
use crate::amo::fixture::{FIELD_PHONE, USER_SALES, USER_SUPPORT};
use crate::amo::options::{Boundary, NothingFound, RowOrder};

const CONTACTS: &str = "/api/v2/contacts";

#[test]
fn a_page_has_the_default_size_unless_rows_are_asked_for_and_never_more_than_500() {
    let mut bench = Bench::new();
    let all = bench.people(510);
    assert_eq!(bench.ids(CONTACTS), all[..50]);
    assert_eq!(bench.ids("/api/v2/contacts?limit_rows=3"), all[..3]);
    assert_eq!(bench.ids("/api/v2/contacts/?limit_rows=1000").len(), 500);
    assert_eq!(bench.ids("/api/v2/contacts?limit_rows=500&limit_offset=500"), all[500..]);
}

#[test]
fn an_offset_works_only_together_with_rows() {
    let mut bench = Bench::new();
    let all = bench.people(4);
    assert_eq!(bench.ids("/api/v2/contacts?limit_offset=2"), all);
    assert_eq!(bench.ids("/api/v2/contacts?limit_rows=9&limit_offset=2"), all[2..]);
}

#[test]
fn beyond_the_last_row_there_is_nothing() {
    let mut bench = Bench::new();
    bench.people(3);
    let response = bench.get("/api/v2/contacts?limit_rows=3&limit_offset=3");
    assert_eq!((response.status, response.body.len()), (204, 0));
}

#[rstest]
#[case::id(RowOrder::Id, &[0, 1, 2])]
#[case::ascending(RowOrder::UpdatedAscending, &[1, 2, 0])]
#[case::descending(RowOrder::UpdatedDescending, &[0, 2, 1])]
fn rows_come_in_the_chosen_order(#[case] order: RowOrder, #[case] expected: &[usize]) {
    let mut bench = Bench::with(|options| options.listing.order = order);
    let all = bench.people(3);
    bench.wait(1);
    bench.amo.rename_contact(bench.now_ms, all[0], "Renamed");
    let expected: Vec<u64> = expected.iter().map(|&place| all[place]).collect();
    assert_eq!(bench.ids(CONTACTS), expected);
    assert_eq!(bench.ids_since(CONTACTS, 0), expected);
    let by_id = format!("/api/v2/contacts?id[]={}&id[]={}&id[]={}", all[2], all[1], all[0]);
    assert_eq!(bench.ids(&by_id), expected);
}

#[test]
fn a_shuffled_order_is_the_same_at_every_request_and_differs_by_seed() {
    let order_with = |seed| {
        let mut bench = Bench::with(|options| options.listing.order = RowOrder::Shuffled(seed));
        let all = bench.people(40);
        let seen = bench.ids(CONTACTS);
        assert_eq!(bench.ids(CONTACTS), seen);
        assert_eq!(bench.ids_since(CONTACTS, 0), seen);
        assert_ne!(seen, all);
        assert_eq!(seen.iter().collect::<BTreeSet<_>>(), all.iter().collect());
        seen
    };
    assert_ne!(order_with(1), order_with(2));
}

#[test]
fn a_row_that_changes_while_pages_are_read_hides_another_one() {
    let mut bench = Bench::with(|options| options.listing.order = RowOrder::UpdatedAscending);
    let all = bench.people(6);
    let mut seen = bench.ids("/api/v2/contacts?limit_rows=3&limit_offset=0");
    bench.wait(1);
    bench.amo.rename_contact(bench.now_ms, all[0], "Moved behind");
    seen.extend(bench.ids("/api/v2/contacts?limit_rows=3&limit_offset=3"));
    assert!(!seen.contains(&all[3]), "the row that slid forward is missed");
    assert_eq!(seen.iter().filter(|id| **id == all[0]).count(), 2);
}

#[rstest]
#[case::later(Boundary::Later, false)]
#[case::same_or_later(Boundary::SameOrLater, true)]
fn the_second_of_the_header_is_a_boundary(#[case] boundary: Boundary, #[case] listed: bool) {
    let mut bench = Bench::with(|options| options.listing.since_boundary = boundary);
    let id = bench.person("Anna");
    assert_eq!(bench.ids_since(CONTACTS, START_S - 1), [id]);
    assert_eq!(!bench.ids_since(CONTACTS, START_S).is_empty(), listed);
    assert_eq!(bench.get_since(CONTACTS, START_S + 1).status, 204);
}

#[test]
fn only_rows_changed_since_are_listed_page_by_page() {
    let mut bench = Bench::new();
    let all = bench.people(10);
    let since = START_S + 7;
    assert_eq!(bench.ids_since(CONTACTS, since), all[7..]);
    let second_page = "/api/v2/contacts?limit_rows=2&limit_offset=2";
    assert_eq!(bench.ids_since(second_page, since), all[9..]);
}

#[test]
fn a_header_that_is_no_date_is_passed_over() {
    let mut bench = Bench::new();
    let id = bench.person("Anna");
    let mut request = request("GET", CONTACTS, None);
    request.headers.push(("if-modified-since".into(), "yesterday".into()));
    assert_eq!(ids_of(&bench.send(&request)), [id]);
}

#[rstest]
#[case::no_content(NothingFound::NoContent, 204, 204)]
#[case::not_modified(NothingFound::NotModified, 304, 204)]
#[case::empty_body(NothingFound::EmptyBody, 200, 200)]
fn nothing_found_has_no_body(#[case] nothing_found: NothingFound, #[case] with_header: u16, #[case] without: u16) {
    let mut bench = Bench::with(|options| options.listing.nothing_found = nothing_found);
    let conditional = bench.get_since(CONTACTS, START_S);
    assert_eq!((conditional.status, conditional.body.len()), (with_header, 0));
    let plain = bench.get(CONTACTS);
    assert_eq!((plain.status, plain.body.len()), (without, 0));
    assert_eq!(bench.get("/api/v2/contacts?id=5").status, 204);
}

#[test]
fn nothing_found_may_be_an_empty_list() {
    let mut bench = Bench::with(|options| options.listing.nothing_found = NothingFound::EmptyItems);
    let response = bench.get_since(CONTACTS, START_S);
    assert_eq!((response.status, &body(&response)["_embedded"]), (200, &json!({ "items": [] })));
}

#[test]
fn ids_switch_off_all_other_parameters() {
    let mut bench = Bench::new();
    let all = bench.people(3);
    let target =
        format!("/api/v2/contacts?id={}&query=nobody&limit_rows=1&limit_offset=1&responsible_user_id=1", all[1]);
    assert_eq!(bench.ids(&target), [all[1]]);
    let indexed = format!("/api/v2/contacts?id[0]={}&id[1]={}&id[2]=77", all[2], all[0]);
    assert_eq!(bench.ids(&indexed), [all[0], all[2]]);
    assert_eq!(bench.get("/api/v2/contacts?id=77").status, 204);
}

#[rstest]
#[case::passed_over(false, 1)]
#[case::applied(true, 0)]
fn the_header_with_ids_is_undocumented(#[case] applies: bool, #[case] found: usize) {
    let mut bench = Bench::with(|options| options.listing.since_applies_to_ids = applies);
    let id = bench.person("Anna");
    let target = format!("/api/v2/contacts?id={id}");
    assert_eq!(bench.ids_since(&target, START_S + 5).len(), found);
}

#[test]
fn listings_can_be_thinned_out_by_the_user_in_charge() {
    let mut bench = Bench::new();
    let all = bench.people(3);
    bench.amo.set_contact_responsible(bench.now_ms, all[1], USER_SUPPORT);
    let one = format!("/api/v2/contacts?responsible_user_id={USER_SUPPORT}");
    assert_eq!(bench.ids(&one), [all[1]]);
    let both = format!("/api/v2/contacts?responsible_user_id[]={USER_SUPPORT}&responsible_user_id[]={USER_SALES}");
    assert_eq!(bench.ids(&both), all);
}

#[rstest]
#[case::name("Anna", true)]
#[case::part_of_a_name("nna tE", true)]
#[case::phone_as_typed("999 000-00-01", true)]
#[case::email("ANNA@EXAMPLE", true)]
#[case::tag("vip", true)]
#[case::phone_written_another_way("9990000001", false)]
#[case::elsewhere("Boris", false)]
fn the_search_looks_for_text_in_filled_fields(#[case] query: &str, #[case] found: bool) {
    let mut bench = Bench::new();
    let anna = ContactDraft {
        phones: vec!["+7 999 000-00-01".into()],
        emails: vec!["anna@example.test".into()],
        tags: vec!["VIP".into()],
        ..draft("Anna Test")
    };
    let id = bench.amo.add_contact(bench.now_ms, anna);
    let expected: &[u64] = if found { &[id] } else { &[] };
    assert_eq!(bench.ids(&format!("/api/v2/contacts?query={query}")), expected);
}

#[test]
fn the_search_may_compare_digits_alone() {
    let mut bench = Bench::with(|options| options.listing.search_ignores_phone_format = true);
    let id = bench.person("Anna");
    bench.amo.add_phone(bench.now_ms, id, "8 (999) 000-00-01");
    assert_eq!(bench.ids("/api/v2/contacts?query=+7 999-000-00-01"), NOTHING);
    assert_eq!(bench.ids("/api/v2/contacts?query=999-000-00-01"), [id]);
}

#[test]
fn a_changed_row_shows_late_in_conditional_listings_alone() {
    let mut bench = Bench::with(|options| options.listing.visible_after_ms = 3_000);
    let id = bench.person("Anna");
    assert_eq!(bench.ids_since(CONTACTS, START_S - 10), NOTHING);
    assert_eq!(bench.ids(CONTACTS), [id]);
    assert_eq!(bench.ids(&format!("/api/v2/contacts?id={id}")), [id]);
    assert_eq!(bench.wait(3).ids_since(CONTACTS, START_S - 10), [id]);
    bench.amo.rename_contact(bench.now_ms, id, "Anna Test");
    assert_eq!(bench.wait(2).ids_since(CONTACTS, START_S - 10), NOTHING);
    assert_eq!(bench.wait(1).ids_since(CONTACTS, START_S - 10), [id]);
}

#[test]
fn the_search_index_lags_behind_and_meanwhile_knows_the_old_text() {
    let mut bench = Bench::with(|options| options.listing.search_visible_after_ms = 5_000);
    let (old, new) = ("/api/v2/contacts?query=Anna", "/api/v2/contacts?query=Boris");
    let id = bench.person("Anna");
    assert_eq!(bench.ids(old), NOTHING);
    assert_eq!(bench.wait(5).ids(old), [id]);
    bench.amo.rename_contact(bench.now_ms, id, "Boris");
    assert_eq!((bench.ids(old), bench.ids(new)), (vec![id], vec![]));
    bench.wait(5);
    assert_eq!((bench.ids(old), bench.ids(new)), (vec![], vec![id]));
}

#[test]
fn a_deleted_contact_leaves_listings_and_cannot_be_read() {
    let mut bench = Bench::new();
    let all = bench.people(2);
    bench.amo.delete_contact(bench.now_ms, all[0]);
    assert_eq!(bench.ids(CONTACTS), [all[1]]);
    assert_eq!(bench.ids_since(CONTACTS, 0), [all[1]]);
    assert_eq!(bench.get(&format!("/api/v2/contacts?id={}", all[0])).status, 204);
}

#[test]
fn a_write_with_a_time_in_the_future_is_listed_under_that_time() {
    let mut bench = Bench::new();
    let id = bench.person("Anna");
    let embedded =
        bench.write(CONTACTS, &json!({ "update": [{ "id": id, "updated_at": START_S + 1_000, "name": "Later" }] }));
    assert_eq!(embedded["items"][0]["updated_at"], START_S + 1_000);
    assert_eq!(bench.ids_since(CONTACTS, START_S + 999), [id]);
    assert_eq!(bench.amo.contact(id).map(|row| row.card.texts(FIELD_PHONE).len()), Some(0));
}

#[test]
fn a_listing_names_its_own_address() {
    let mut bench = Bench::new();
    let id = bench.person("Anna");
    let answer = body(&bench.get(&format!("/api/v2/contacts/?id={id}")));
    let expected = json!({ "href": format!("/api/v2/contacts?id={id}"), "method": "get" });
    assert_eq!(answer["_links"]["self"], expected);
}
