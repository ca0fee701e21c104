//! What published clients send to v4 beside what our own adapter does: one record by its address, whole records sent
//! back, tags, calls, results of tasks. The bodies are those that such clients were seen to send.

use serde_json::json;

use super::*;
use crate::amo::fixture::*;

fn patch(bench: &mut Bench, target: &str, content: Value) -> Response {
    bench.send(&request("PATCH", target, Some(&content)))
}

fn got(bench: &mut Bench, target: &str) -> Value {
    let response = bench.get(target);
    assert_eq!(response.status, 200, "{target}: {}", text(&response));
    body(&response)
}

fn made(bench: &mut Bench, path: &str, item: Value) -> Value {
    let response = bench.post(path, &json!([item]));
    assert_eq!(response.status, 200, "{}", text(&response));
    let lists = body(&response)["_embedded"].clone();
    lists.as_object().expect("lists").values().next().expect("a list")[0].clone()
}

#[test]
fn a_whole_record_may_be_sent_back() {
    let mut bench = Bench::new();
    let id = bench.person("Anna");
    let phone = json!([{ "field_code": "PHONE", "values": [{ "value": "+79990000001", "enum_code": "MOB" }] }]);
    assert_eq!(
        patch(&mut bench, &format!("/api/v4/contacts/{id}"), json!({ "custom_fields_values": phone })).status,
        200
    );
    bench.wait(1);
    let mut whole = got(&mut bench, &format!("/api/v4/contacts/{id}?with=leads"));
    whole["name"] = "Anna Test".into();
    whole["custom_fields_values"][0]["values"][0]["value"] = "+79990000002".into();
    whole["_embedded"]["tags"] = json!([{ "name": "vip" }]);
    let answer = patch(&mut bench, &format!("/api/v4/contacts/{id}"), whole.clone());
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let read = got(&mut bench, &format!("/api/v4/contacts/{id}"));
    assert_eq!((&read["name"], &read["_embedded"]["tags"][0]["name"]), (&json!("Anna Test"), &json!("vip")));
    assert_eq!(read["custom_fields_values"][0]["values"][0]["value"], "+79990000002");
    let lead =
        made(&mut bench, "/api/v4/leads", json!({ "name": "Lead", "_embedded": { "contacts": [{ "id": id }] } }));
    let mut whole = got(&mut bench, &format!("/api/v4/leads/{}?with=contacts", lead["id"]));
    whole["price"] = 700.into();
    whole["_embedded"]["contacts"] = json!([]);
    assert_eq!(patch(&mut bench, &format!("/api/v4/leads/{}", lead["id"]), whole).status, 200);
    let read = got(&mut bench, &format!("/api/v4/leads/{}?with=contacts", lead["id"]));
    assert_eq!(read["_embedded"]["loss_reason"], Value::Null);
    let asked = got(&mut bench, &format!("/api/v4/leads/{}?with=loss_reason", lead["id"]));
    assert_eq!(asked["_embedded"]["loss_reason"], json!([]));
    assert_eq!((&read["price"], &read["_embedded"]["contacts"][0]["id"]), (&json!(700), &json!(id)), "links stay");
}

#[test]
fn what_nobody_knows_is_still_refused_and_the_strict_account_refuses_echoes_too() {
    let mut bench = Bench::new();
    let id = bench.person("Anna");
    let target = format!("/api/v4/contacts/{id}");
    for unknown in [json!({ "phone": "5" }), json!({ "custom_fields_values": [{ "id": FIELD_PHONE, "values": [] }] })] {
        assert_eq!(patch(&mut bench, &target, unknown).status, 400);
    }
    assert_eq!(bench.post("/api/v4/contacts", &json!([{ "name": "x", "account_id": 5 }])).status, 400);
    let mut strict = Bench::with(|options| options.v4.refuses_echo = true);
    let id = strict.person("Anna");
    for echoed in [
        json!({ "account_id": 5 }),
        json!({ "_embedded": { "companies": [] } }),
        json!({ "custom_fields_values": [{ "field_id": FIELD_POSITION, "field_name": "x", "values": [{ "value": "y" }] }] }),
    ] {
        assert_eq!(patch(&mut strict, &format!("/api/v4/contacts/{id}"), echoed.clone()).status, 400, "{echoed}");
    }
}

#[test]
fn notes_are_read_and_changed_one_by_one() {
    let mut bench = Bench::new();
    let (person, other) = (bench.person("Anna"), bench.person("Boris"));
    let note = made(
        &mut bench,
        &format!("/api/v4/contacts/{person}/notes"),
        json!({ "note_type": "common", "params": { "text": "a" } }),
    );
    let id = note["id"].as_u64().expect("an id");
    bench.wait(5);
    for (target, words) in
        [(format!("/api/v4/contacts/{person}/notes/{id}"), "b"), (format!("/api/v4/contacts/notes/{id}"), "c")]
    {
        let answer = patch(&mut bench, &target, json!({ "params": { "text": words } }));
        let answer = (answer.status, body(&answer)["entity_id"].clone(), body(&answer)["updated_at"].clone());
        assert_eq!(answer, (200, json!(person), json!(bench.now_s())));
        assert_eq!(got(&mut bench, &target)["params"]["text"], words);
    }
    let many = json!([{ "id": id, "params": { "text": "d" } }]);
    assert_eq!(patch(&mut bench, "/api/v4/contacts/notes", many).status, 200);
    assert_eq!(got(&mut bench, &format!("/api/v4/contacts/notes/{id}"))["params"]["text"], "d");
    assert_eq!(bench.get(&format!("/api/v4/contacts/{other}/notes/{id}")).status, 204, "it is somebody else's");
    assert_eq!(bench.get(&format!("/api/v4/leads/notes/{id}")).status, 204);
}

#[test]
fn calls_are_notes_without_a_text() {
    let mut bench = Bench::new();
    let person = bench.person("Anna");
    let params = json!({ "uniq": "u1", "duration": 60, "source": "s", "link": "https://calls.example.test/1.mp3", "phone": "+79990000001" });
    let path = format!("/api/v4/contacts/{person}/notes");
    for kind in ["call_in", "call_out"] {
        let id = made(&mut bench, &path, json!({ "note_type": kind, "params": params }))["id"].clone();
        let read = got(&mut bench, &format!("{path}/{id}"));
        assert_eq!((&read["note_type"], &read["params"]), (&json!(kind), &params));
    }
    let unknown = json!([{ "note_type": "call_in", "params": { "colour": "red" } }]);
    assert_eq!(bench.post(&path, &unknown).status, 400);
    assert_eq!(bench.post(&path, &json!([{ "note_type": "common", "params": {} }])).status, 400, "others have one");
}

#[test]
fn tasks_are_read_changed_and_closed_one_by_one() {
    let mut bench = Bench::new();
    let person = bench.person("Anna");
    // A time with a point is what one of the clients makes of every time.
    let task =
        json!({ "text": "call", "complete_till": 1_900_000_000.0, "entity_id": person, "entity_type": "contacts" });
    let id = made(&mut bench, "/api/v4/tasks", task)["id"].clone();
    let target = format!("/api/v4/tasks/{id}");
    let read = got(&mut bench, &target);
    assert_eq!((&read["complete_till"], &read["result"]), (&json!(1_900_000_000), &json!([])));
    let mut whole = read;
    whole["text"] = "call again".into();
    whole["_embedded"] = json!({});
    assert_eq!(patch(&mut bench, &target, whole).status, 200);
    assert_eq!(patch(&mut bench, &target, json!({ "is_completed": true, "result": { "text": "done" } })).status, 200);
    let read = got(&mut bench, &target);
    assert_eq!((&read["text"], &read["is_completed"]), (&json!("call again"), &json!(true)));
    assert_eq!(read["result"], json!({ "text": "done" }));
    assert_eq!(bench.get("/api/v4/tasks/5").status, 204);
    assert_eq!(patch(&mut bench, &target, json!([{ "text": "x" }])).status, 405);
    let half = json!([{ "text": "call", "complete_till": 1.5, "entity_id": person, "entity_type": "contacts" }]);
    assert_eq!(bench.post("/api/v4/tasks", &half).status, 400);
}

#[test]
fn each_kind_has_its_own_tags() {
    let mut bench = Bench::new();
    assert_eq!(bench.get("/api/v4/leads/tags").status, 204);
    let first = made(&mut bench, "/api/v4/leads/tags", json!({ "name": "vip", "request_id": "t" }));
    let again = made(&mut bench, "/api/v4/leads/tags", json!({ "name": "vip" }));
    assert_eq!((&first["id"], &first["request_id"]), (&again["id"], &json!("t")), "a name is there once");
    made(&mut bench, "/api/v4/leads/tags", json!({ "name": "late" }));
    let names = |list: Value| list["_embedded"]["tags"].as_array().map_or(0, Vec::len);
    assert_eq!(names(got(&mut bench, "/api/v4/leads/tags")), 2);
    assert_eq!(names(got(&mut bench, "/api/v4/leads/tags?query=LAT")), 1);
    assert_eq!(bench.get("/api/v4/contacts/tags").status, 204);
    assert_eq!(bench.post("/api/v4/leads/tags", &json!([{ "name": "" }])).status, 400);
}

#[test]
fn the_account_and_one_pipeline_are_told() {
    let mut bench = Bench::new();
    let pipeline = got(&mut bench, &format!("/api/v4/leads/pipelines/{PIPELINE_MAIN}?with=statuses"));
    assert_eq!((&pipeline["id"], pipeline["_embedded"]["statuses"].is_array()), (&json!(PIPELINE_MAIN), true));
    assert_eq!(bench.get("/api/v4/leads/pipelines/5").status, 404);
    let plain = got(&mut bench, "/api/v4/account");
    assert_eq!((&plain["version"], &plain["_embedded"]), (&Value::Null, &Value::Null));
    let account = got(&mut bench, "/api/v4/account?with=version,users_groups");
    assert!(account["version"].is_number() && account["_embedded"]["users_groups"][0]["id"].is_number(), "{account}");
}
