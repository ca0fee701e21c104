//! Tokens, the request limit, unknown addresses, and what is counted.

use serde_json::json;

use super::*;
use crate::amo::options::{ProblemShape, RejectionBody};

const CONTACTS: &str = "/api/v2/contacts";

fn limited(adjust: impl FnOnce(&mut AmoOptions)) -> Bench {
    Bench::with(|options| {
        options.limits.requests_per_second = Some(7);
        adjust(options);
    })
}

#[test]
fn only_the_token_in_force_is_accepted() {
    let mut bench = Bench::new();
    assert_eq!(bench.get(CONTACTS).status, 204);
    bench.amo.set_token("another");
    let refused = bench.get(CONTACTS);
    assert_eq!((refused.status, code(&refused)), (401, 110));
    assert_eq!(header(&refused, "content-type"), Some("application/problem+json"));
    bench.amo.set_token("sandbox-token");
    assert_eq!(bench.get(CONTACTS).status, 204);
    bench.amo.revoke_token();
    assert_eq!(bench.get(CONTACTS).status, 401);
    let bare = Request { headers: vec![], ..request("GET", CONTACTS, None) };
    assert_eq!(bench.send(&bare).status, 401);
}

#[test]
fn a_request_without_a_bearer_is_refused() {
    let mut bench = Bench::new();
    for headers in [vec![], vec![("authorization".into(), "sandbox-token".into())]] {
        let bare = Request { headers, ..request("GET", CONTACTS, None) };
        assert_eq!(bench.send(&bare).status, 401);
    }
}

#[test]
fn seven_requests_a_second_pass_and_the_eighth_gets_a_page() {
    let mut bench = limited(|_| {});
    let statuses: Vec<u16> = (0..8).map(|_| bench.get(CONTACTS).status).collect();
    assert_eq!(statuses, [204, 204, 204, 204, 204, 204, 204, 429]);
    let page = bench.get(CONTACTS);
    assert_eq!(header(&page, "content-type"), Some("text/html"));
    assert_eq!(header(&page, "retry-after"), None);
    assert!(text(&page).starts_with("<html>"));
    assert_eq!(bench.wait(1).get(CONTACTS).status, 204);
}

#[test]
fn a_429_may_be_json_and_name_a_time() {
    let mut bench = limited(|options| {
        options.limits.requests_per_second = Some(1);
        options.limits.rejection_body = RejectionBody::Problem;
        options.limits.retry_after_s = Some(3);
    });
    bench.get(CONTACTS);
    let rejected = bench.get(CONTACTS);
    assert_eq!((rejected.status, code(&rejected)), (429, 429));
    assert_eq!(header(&rejected, "retry-after"), Some("3"));
}

#[test]
fn those_who_go_on_are_blocked_for_a_time_whatever_their_token() {
    let mut bench = limited(|options| {
        options.limits.requests_per_second = Some(1);
        options.limits.block_after_rejections = Some(3);
        options.limits.block_for_ms = 60_000;
    });
    let statuses: Vec<u16> = (0..5).map(|_| bench.get(CONTACTS).status).collect();
    assert_eq!(statuses, [204, 429, 429, 429, 403]);
    let page = bench.wait(59).get(CONTACTS);
    assert_eq!((page.status, header(&page, "content-type")), (403, Some("text/html")));
    assert_eq!(bench.wait(1).get(CONTACTS).status, 204);
    assert_eq!(bench.amo.statistics().blocked(), 2);
}

#[test]
fn a_refused_write_writes_nothing() {
    let mut bench = limited(|options| options.limits.requests_per_second = Some(1));
    bench.get(CONTACTS);
    let rejected = bench.post(CONTACTS, &json!({ "add": [{ "name": "Anna" }] }));
    assert_eq!(rejected.status, 429);
    assert_eq!(bench.amo.contact_count(), 0);
}

#[test]
fn requests_are_counted_by_route_and_status_and_at_their_peak() {
    let mut bench = limited(|_| {});
    for _ in 0..3 {
        bench.get("/api/v2/contacts/");
    }
    bench.get("/api/v2/leads");
    bench.wait(5).get("/api/v2/nothing");
    let statistics = bench.amo.statistics();
    assert_eq!(statistics.requests, 5);
    assert_eq!(statistics.calls("GET /api/v2/contacts"), 3);
    assert_eq!(statistics.calls("GET /api/v2/leads"), 1);
    assert_eq!((statistics.with_status(204), statistics.with_status(404)), (4, 1));
    assert_eq!((statistics.too_many(), statistics.peak_per_second), (0, 4));
}

#[test]
fn the_log_keeps_the_latest_requests() {
    let mut bench = Bench::with(|options| options.limits.request_log_limit = 2);
    bench.get("/api/v2/leads");
    bench.get(CONTACTS);
    bench.get_since("/api/v2/contacts?limit_rows=500", START_S);
    let log: Vec<_> = bench.amo.request_log().collect();
    assert_eq!(log.len(), 2);
    assert_eq!((log[0].path.as_str(), log[0].status, log[0].at_ms), (CONTACTS, 204, bench.now_ms));
    assert_eq!(log[1].query, [("limit_rows".to_owned(), "500".to_owned())]);
    assert_eq!(log[1].if_modified_since.as_deref(), Some("Tue, 04 Mar 2025 10:00:00 UTC"));
}

#[test]
fn unknown_addresses_wrong_methods_and_other_bodies_than_json() {
    let mut bench = Bench::new();
    assert_eq!(bench.get("/api/v2/catalogs").status, 404);
    assert_eq!(bench.send(&request("PATCH", CONTACTS, None)).status, 405);
    assert_eq!(bench.post("/api/v2/account", &json!({})).status, 405);
    let form = Request { body: b"add[0][name]=Anna".to_vec(), ..request("POST", CONTACTS, None) };
    let refused = bench.send(&form);
    assert_eq!((refused.status, code(&refused)), (400, 102));
}

#[test]
fn a_body_beyond_the_bound_is_refused() {
    let mut bench = Bench::with(|options| options.writing.max_body_bytes = 30);
    let small = json!({ "add": [{ "name": "Anna" }] });
    assert_eq!(bench.post(CONTACTS, &small).status, 200);
    let large = json!({ "add": [{ "name": "Anna Tests" }] });
    assert_eq!(bench.post(CONTACTS, &large).status, 413);
    assert_eq!(bench.amo.contact_count(), 1);
}

#[test]
fn old_style_errors_carry_their_code_as_text() {
    let mut bench = Bench::with(|options| options.shapes.problems = ProblemShape::Legacy);
    bench.amo.revoke_token();
    let refused = body(&bench.get(CONTACTS));
    assert_eq!(refused["response"]["error_code"], "110");
    assert!(refused["response"]["error"].is_string());
}

#[test]
fn answers_tell_the_clock_of_the_service() {
    let mut bench = Bench::new();
    bench.person("Anna");
    let response = bench.get(CONTACTS);
    assert_eq!(header(&response, "runtime-timestamp"), Some("1741082400"));
    assert_eq!(header(&response, "date"), Some("Tue, 04 Mar 2025 10:00:00 GMT"));
    assert_eq!(header(&response, "content-type"), Some("application/hal+json"));
}

#[test]
fn a_moment_before_the_last_one_counts_as_the_last_one() {
    let mut bench = limited(|options| options.limits.requests_per_second = Some(1));
    assert_eq!(bench.get(CONTACTS).status, 204);
    assert_eq!(bench.wait(-10).get(CONTACTS).status, 429);
}
