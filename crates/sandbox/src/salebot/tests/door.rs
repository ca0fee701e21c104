//! Keys, permissions, methods, limits and the log.

use serde_json::json;

use super::super::options::{ApiKey, Permission, RateLimit, Refusal};
use super::*;

#[test]
fn a_wrong_key_is_turned_away_in_each_way() {
    for (refusal, status) in [
        (Refusal::NotFound, 404),
        (Refusal::Unauthorized, 401),
        (Refusal::Forbidden, 403),
        (Refusal::StatusInBody, 200),
    ] {
        let mut salebot = Salebot::new(SalebotOptions { wrong_key: refusal, ..SalebotOptions::default() });
        let response = salebot.handle(NOW_MS, &request("GET", "/api/wrong/connected_channels", &[], Vec::new()));
        assert_eq!(response.status, status, "{refusal:?}");
        if status == 200 {
            assert_eq!(json_of(&response)["status"], "error");
        }
    }
}

#[test]
fn addresses_outside_the_api_are_not_found() {
    let mut salebot = salebot();
    for path in ["/", "/api/", &format!("/api/{DEFAULT_KEY}"), &format!("/api/{DEFAULT_KEY}/no_such_action")] {
        assert_eq!(salebot.handle(NOW_MS, &request("GET", path, &[], Vec::new())).status, 404, "{path}");
    }
    assert_eq!(salebot.statistics().by_action["unknown"], 4);
}

#[test]
fn each_permission_opens_its_actions_alone() {
    let cases = [
        (Permission::ReadClients, "GET", "connected_channels"),
        (Permission::WriteClients, "POST", "save_variables"),
        (Permission::DeleteClients, "POST", "delete_clients"),
        (Permission::ReadDeals, "GET", "get_orders"),
        (Permission::WriteDeals, "POST", "create_order"),
    ];
    let keys = cases.iter().map(|(permission, ..)| ApiKey::limited(&format!("{permission:?}"), &[*permission]));
    let options = SalebotOptions { keys: keys.collect(), ..SalebotOptions::default() };
    let mut salebot = Salebot::new(options);
    for (held, ..) in cases {
        for (needed, method, action) in cases {
            let path = format!("/api/{held:?}/{action}");
            let status = salebot.handle(NOW_MS, &request(method, &path, &[], b"{}".to_vec())).status;
            assert_eq!(status == 403, held != needed, "{held:?} at {action}: {status}");
        }
    }
}

#[test]
fn methods_are_those_of_the_pages() {
    let mut salebot = salebot();
    let client = telegram(&mut salebot, "100", None).to_string();
    assert_eq!(get_at(&mut salebot, NOW_MS, "save_variables", &[("client_id", &client)]).status, 404);
    assert_eq!(post_at(&mut salebot, NOW_MS, "get_variables", &json!({ "client_id": client })).status, 404);
    assert_eq!(get(&mut salebot, "callback", &[("client_id", &client), ("message", "hi")])["status"], "success");
    assert_eq!(post(&mut salebot, "get_clients", &json!({ "limit": 1 }))["clients"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_body_is_json_whatever_its_type_says() {
    let mut salebot = salebot();
    let path = format!("/api/{DEFAULT_KEY}/add_to_list");
    let mut sent = request("POST", &path, &[], br#"{"list_id":1,"clients":[]}"#.to_vec());
    sent.headers.push(("content-type".to_owned(), "text/plain".to_owned()));
    assert_eq!(salebot.handle(NOW_MS, &sent).status, 200);
    sent.body = b"list_id=1".to_vec();
    assert_eq!(salebot.handle(NOW_MS, &sent).status, 400);
}

#[test]
fn too_many_requests_a_second_answer_429() {
    let rate = RateLimit { per_second: 2, retry_after_s: Some(1) };
    let mut salebot = Salebot::new(SalebotOptions { rate_limit: Some(rate), ..SalebotOptions::default() });
    let answers: Vec<u16> =
        (0..4).map(|at| get_at(&mut salebot, NOW_MS + at * 300, "get_messages", &[]).status).collect();
    assert_eq!(answers, [200, 200, 429, 429]);
    let refused = get_at(&mut salebot, NOW_MS + 901, "get_messages", &[]);
    assert!(refused.headers.contains(&("retry-after".to_owned(), "1".to_owned())));
    assert_eq!(get_at(&mut salebot, NOW_MS + 1_000, "get_messages", &[]).status, 200);
    assert_eq!(salebot.statistics().throttled, 3);
}

#[test]
fn the_daily_quota_answers_inside_a_200_and_spares_save_variables() {
    let mut salebot = Salebot::new(SalebotOptions { daily_quota: Some(1), ..SalebotOptions::default() });
    let client = telegram(&mut salebot, "100", None);
    assert_eq!(get(&mut salebot, "get_messages", &[])["status"], "success");
    assert_eq!(get(&mut salebot, "get_messages", &[])["status"], "error");
    let saved = post(&mut salebot, "save_variables", &json!({ "client_id": client, "variables": { "client.a": "1" } }));
    assert_eq!(saved["status"], "success");
    assert_eq!(salebot.statistics().over_quota, 1);
}

#[test]
fn the_log_holds_actions_and_statuses_and_never_the_key() {
    let mut salebot = salebot();
    get(&mut salebot, "get_messages", &[]);
    get_at(&mut salebot, NOW_MS + 5, DEFAULT_KEY, &[]);
    let statistics = salebot.statistics();
    let log: Vec<_> = statistics.log.iter().map(|entry| (entry.action, entry.status, entry.at_ms)).collect();
    assert_eq!(log, [("get_messages", 200, NOW_MS), ("unknown", 404, NOW_MS + 5)]);
    assert_eq!(statistics.peak_per_second, 2);
    assert!(!format!("{salebot:?}").contains(DEFAULT_KEY));
}
