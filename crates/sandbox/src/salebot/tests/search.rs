//! `find_clients`.

use serde_json::json;

use super::*;

fn people() -> (Salebot, [i64; 3]) {
    let mut salebot = salebot();
    let ids = ["1", "2", "3"].map(|platform_id| telegram(&mut salebot, platform_id, None));
    for (id, first_name) in ids.into_iter().zip(["Joe", "Jane", "Ann"]) {
        salebot.set_variable(NOW_MS, id, "client.first_name", first_name);
    }
    salebot.set_variable(NOW_MS, ids[0], "client.result", "ok");
    for id in [ids[1], ids[2]] {
        order(&mut salebot, id);
    }
    salebot.set_variable(NOW_MS, ids[1], "result", "ok");
    salebot.set_variable(NOW_MS, ids[2], "house", "60");
    (salebot, ids)
}

fn found(salebot: &mut Salebot, body: Value) -> Value {
    post(salebot, "find_clients", &body)["client_ids"].clone()
}

#[test]
fn equality_and_the_three_operators() {
    let (mut salebot, [joe, jane, ann]) = people();
    assert_eq!(found(&mut salebot, json!({ "q": { "first_name": "Joe" } })), json!([joe]));
    assert_eq!(found(&mut salebot, json!({ "q": { "first_name": { "_in": ["Joe", "Ann"] } } })), json!([joe, ann]));
    assert_eq!(found(&mut salebot, json!({ "q": { "first_name": { "_not_in": ["Joe", "Ann"] } } })), json!([jane]));
    assert_eq!(found(&mut salebot, json!({ "q": { "first_name": { "_not": "Joe" } } })), json!([jane, ann]));
    assert_eq!(found(&mut salebot, json!({ "q": { "first_name": "Nobody" } })), json!([]));
}

#[test]
fn all_conditions_must_hold_unless_one_is_enough() {
    let (mut salebot, [joe, jane, _]) = people();
    let q = json!({ "first_name": { "_in": ["Joe", "Jane"] }, "result": "ok" });
    assert_eq!(found(&mut salebot, json!({ "q": q })), json!([joe]));
    assert_eq!(found(&mut salebot, json!({ "q": q, "include_all": true })), json!([joe]));
    assert_eq!(found(&mut salebot, json!({ "q": q, "include_all": false })), json!([joe, jane]));
}

#[test]
fn deals_are_searched_on_demand() {
    let (mut salebot, [_, jane, ann]) = people();
    let q = json!({ "result": "ok", "house": "60" });
    assert_eq!(found(&mut salebot, json!({ "q": q, "search_in": "order" })), json!([]));
    assert_eq!(found(&mut salebot, json!({ "q": q, "search_in": "order", "include_all": false })), json!([jane, ann]));
    assert_eq!(found(&mut salebot, json!({ "q": { "result": "ok" }, "search_in": "order" })), json!([jane]));
}

#[test]
fn numbers_compare_only_where_all_values_are_numbers() {
    let (mut salebot, [joe, jane, _]) = people();
    salebot.set_variable(NOW_MS, joe, "client.age", "41");
    assert_eq!(found(&mut salebot, json!({ "q": { "age": 41 } })), json!([joe]));
    salebot.set_variable(NOW_MS, jane, "client.age", "много");
    let failed = post(&mut salebot, "find_clients", &json!({ "q": { "age": 41 } }));
    assert_eq!(failed, json!({ "status": "fail", "message": "Something went wrong" }));
    assert_eq!(found(&mut salebot, json!({ "q": { "age": "41" } })), json!([joe]), "texts always compare");
}

#[test]
fn what_cannot_be_read_fails_in_the_documented_words() {
    let (mut salebot, _) = people();
    let missing = post(&mut salebot, "find_clients", &json!({}));
    assert_eq!(missing, json!({ "status": "fail", "message": "Parameter \"q\" required" }));
    for q in
        [json!("x"), json!({}), json!({ "a": { "_like": "x" } }), json!({ "a": { "_in": "x" } }), json!({ "a": [1] })]
    {
        let failed = post(&mut salebot, "find_clients", &json!({ "q": q }));
        assert_eq!(failed, json!({ "status": "fail", "message": "Error in parameter format" }), "{q}");
    }
}
