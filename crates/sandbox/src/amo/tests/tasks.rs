//! Tasks.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::amo::fixture::USER_SALES;
use crate::amo::options::ItemErrors;
use crate::amo::records::{Element, ElementKind};

const TASKS: &str = "/api/v2/tasks";

fn call(person: u64) -> Value {
    json!({
        "element_id": person,
        "element_type": 1,
        "complete_till_at": START_S + 3_600,
        "task_type": 1,
        "text": "Call",
    })
}

#[test]
fn a_task_is_made_listed_and_completed() {
    let mut bench = Bench::new();
    let person = bench.person("Anna");
    let mut item = call(person);
    item["responsible_user_id"] = USER_SALES.into();
    let id = bench.add(TASKS, item);
    let task = bench.item(TASKS, id);
    assert_eq!((&task["element_id"], &task["complete_till_at"]), (&json!(person), &json!(START_S + 3_600)));
    assert_eq!((&task["is_completed"], &task["responsible_user_id"]), (&json!(false), &json!(USER_SALES)));
    assert_eq!(bench.contact(person)["closest_task_at"], START_S + 3_600);
    let done = json!({ "update": [{ "id": id, "updated_at": START_S, "text": "Called", "is_completed": true }] });
    assert!(bench.write(TASKS, &done).get("errors").is_none());
    assert_eq!(bench.item(TASKS, id)["is_completed"], true);
    assert_eq!(bench.contact(person)["closest_task_at"], 0);
}

#[rstest]
#[case::no_time(json!({ "text": "Later" }))]
#[case::no_text(json!({ "updated_at": START_S + 5 }))]
#[case::older(json!({ "text": "Later", "updated_at": START_S - 1 }))]
fn an_update_without_a_good_time_or_text_changes_nothing(#[case] changes: Value) {
    let mut bench = Bench::new();
    let id = bench.person("Anna");
    let task = bench.add(TASKS, call(id));
    let mut item = changes;
    item["id"] = task.into();
    item["is_completed"] = true.into();
    let embedded = bench.write(TASKS, &json!({ "update": [item] }));
    assert!(embedded["errors"]["update"][task.to_string()].is_string());
    let contact = Element { kind: ElementKind::Contact, id };
    assert!(bench.amo.tasks_of(contact).all(|task| !task.is_completed && task.text == "Call"));
}

#[rstest]
#[case::no_contact("element_id", json!(5), 236)]
#[case::no_kind("element_type", json!(null), 235)]
#[case::on_a_task("element_type", json!(4), 235)]
#[case::no_lead("element_type", json!(2), 237)]
#[case::no_type("task_type", json!(99), 400)]
#[case::no_text("text", json!(""), 400)]
#[case::no_deadline("complete_till_at", json!(null), 400)]
fn unsuitable_tasks_are_refused(#[case] key: &str, #[case] value: Value, #[case] expected: u16) {
    let mut bench = Bench::with(|options| options.shapes.item_errors = ItemErrors::List);
    let person = bench.person("Anna");
    let mut item = call(person);
    item[key] = value;
    let embedded = bench.write(TASKS, &json!({ "add": [item] }));
    assert_eq!(embedded["errors"]["add"][0]["code"], expected);
}

#[test]
fn the_deadline_has_two_names() {
    let mut bench = Bench::new();
    let person = bench.person("Anna");
    let mut item = call(person);
    let fields = item.as_object_mut().expect("an object");
    fields.remove("complete_till_at");
    fields.insert("complete_till".into(), (START_S + 9).into());
    let id = bench.add(TASKS, item);
    assert_eq!(bench.item(TASKS, id)["complete_till_at"], START_S + 9);
}

#[test]
fn listings_thin_out_by_kind_element_and_state() {
    let mut bench = Bench::new();
    let people = bench.people(2);
    let first = bench.add(TASKS, call(people[0]));
    let second = bench.add(TASKS, call(people[1]));
    bench.amo.complete_task(bench.now_ms, second);
    assert_eq!(bench.ids("/api/v2/tasks?type=contact"), [first, second]);
    assert_eq!(bench.get("/api/v2/tasks?type=lead").status, 204);
    assert_eq!(bench.ids(&format!("/api/v2/tasks?element_id={}", people[1])), [second]);
    assert_eq!(bench.ids("/api/v2/tasks?filter[status][]=0"), [first]);
    assert_eq!(bench.ids("/api/v2/tasks?filter[status][]=1"), [second]);
    assert_eq!(bench.ids("/api/v2/tasks?filter[task_type][]=2"), NOTHING);
}

#[test]
fn a_task_moves_the_time_of_its_contact_only_by_choice() {
    for touches in [false, true] {
        let mut bench = Bench::with(|options| options.touch.tasks = touches);
        let person = bench.person("Anna");
        bench.wait(10).add(TASKS, call(person));
        assert_eq!(bench.contact(person)["updated_at"] != START_S, touches);
    }
}
