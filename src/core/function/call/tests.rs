//! Each function with its arguments: by name, by order, left out, wrong.

use super::*;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

const NOW: Millis = Millis(1_795_132_800_000);

fn read(name: &str, arguments: &Value) -> Result<Call, Answer> {
    let function = Function::find(name).unwrap();
    Call::read(function, &Arguments::read("client_id=5", arguments.to_string().as_bytes()).unwrap(), NOW)
}

fn change(wanted: Wanted) -> Work {
    Work::Change(vec![wanted])
}

fn tags(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn field(field: &str, value: &str) -> Wanted {
    Wanted::Field { field: field.to_owned(), value: value.to_owned() }
}

#[rstest]
#[case("amo_set_lead_name", json!(["Чай"]), change(Wanted::Name("Чай".into())))]
#[case("amo_change_state", json!(["1002"]), change(Wanted::Stage { status: StatusId(1002), pipeline: None }))]
#[case("amo_change_state", json!([143, "", 61]), change(Wanted::Stage { status: StatusId(143), pipeline: Some(PipelineId(61)) }))]
#[case("amo_set_budget", json!(["1 500,50"]), change(Wanted::Budget(1500)))]
#[case("amo_set_budget", json!([0]), change(Wanted::Budget(0)))]
#[case("amo_set_tags", json!(["чай, кофе,,"]), change(Wanted::MoreTags(tags(&["чай", "кофе"]))))]
#[case("amo_set_tags", json!([["чай", "кофе"]]), change(Wanted::MoreTags(tags(&["чай", "кофе"]))))]
#[case("amo_add_notes", json!(["Две\nстроки"]), Work::Note("Две\nстроки".into()))]
#[case("amo_add_contact_notes", json!(["Слово"]), Work::Note("Слово".into()))]
#[case("amo_set_lead_responsible_user", json!(["504142.0"]), change(Wanted::Responsible(UserId(504_142))))]
#[case("amo_set_contact_responsible_user", json!([504142]), change(Wanted::Responsible(UserId(504_142))))]
#[case("amo_add_lead_custom_fields", json!([582601, "red"]), change(field("582601", "red")))]
#[case("amo_add_contact_custom_fields", json!(["Должность", "Инженер"]), change(field("Должность", "Инженер")))]
#[case("amo_get_lead_custom_field", json!([682233, "None"]), Work::Field("682233".into()))]
#[case("amo_get_contact_custom_field", json!(["Должность"]), Work::Field("Должность".into()))]
#[case("amo_get_lead_info", json!([]), Work::Info)]
#[case("amo_get_contact_info", json!([]), Work::Info)]
#[case("amo_create_task", json!(["Позвонить", "504142", "30", "2"]),
    Work::Task { text: "Позвонить".into(), minutes: 30, task_type: 2, responsible: Some(UserId(504_142)) })]
#[case("amo_create_task", json!(["Позвонить"]),
    Work::Task { text: "Позвонить".into(), minutes: 1440, task_type: 1, responsible: None })]
#[case("amo_set_contact_name", json!(["Жюль", "", "7"]), change(Wanted::FirstName("Жюль".into())))]
#[case("amo_add_lead", json!(["{\"name\": \"Новый\", \"budget\": \"5\", \"responsible_id\": 504142}"]),
    Work::Lead { name: "Новый".into(), budget: Some(5), responsible: Some(UserId(504_142)) })]
#[case("amo_add_lead", json!([{"name": "Новый"}]), Work::Lead { name: "Новый".into(), budget: None, responsible: None })]
fn arguments_by_order(#[case] name: &str, #[case] arguments: Value, #[case] work: Work) {
    let call = read(name, &json!({ "args": arguments })).unwrap();
    assert_eq!((call.client, call.work), (ClientId(5), work));
}

#[test]
fn arguments_by_name_and_by_their_other_names() {
    let both = |name: &str, one: Value, other: Value| assert_eq!(read(name, &one), read(name, &other), "{name}");
    both(
        "amo_create_task",
        json!({"title": "x", "assigned_id": 3, "minutes_deadline": 5, "task_type_id": 2}),
        json!({"text": "x", "assigned_user_id": "3", "deadline": "5", "task_type": "2"}),
    );
    both("amo_set_lead_responsible_user", json!({"responsible_user_id": 3}), json!({"user_id": "3"}));
    both("amo_get_lead_custom_field", json!({"var_id": 3}), json!({"field": "3"}));
    both("amo_set_contact_name", json!({"first_name": "Анна", "last_name": "Тест"}), json!({"args": ["Анна", "Тест"]}));
    both("amo_add_lead", json!({"lead_data": {"name": "x", "budget": 5}}), json!({"name": "x", "budget": "5"}));
}

#[test]
fn many_fields_at_once_and_none_that_says_nothing() {
    let call = read(
        "amo_add_lead_custom_fields",
        &json!({"args": [r##"{"1": "a", "2": "", "3": "#{x}", "4": 7}"##, "''", 301]}),
    );
    let call = call.unwrap();
    assert_eq!(call.work, Work::Change(vec![field("1", "a"), field("4", "7")]));
    assert_eq!(call.target, Some(NoteTarget::Lead(LeadId(301))));
}

#[test]
fn the_record_is_the_one_of_the_function() {
    let target = |name: &str, arguments: Value| read(name, &arguments).unwrap().target;
    let contact = Some(NoteTarget::Contact(ContactId(101)));
    let ids = json!({"lead_id": 301, "contact_id": 101, "name": "x", "text": "x", "first": "x"});
    assert_eq!(target("amo_set_lead_name", ids.clone()), Some(NoteTarget::Lead(LeadId(301))));
    assert_eq!(target("amo_add_contact_notes", ids.clone()), contact);
    assert_eq!(target("amo_set_contact_name", ids.clone()), contact);
    assert_eq!(target("amo_add_lead", ids), contact);
    assert_eq!(target("amo_set_lead_name", json!({"name": "x", "lead_id": "None"})), None);
}

#[rstest]
#[case("amo_set_lead_name", json!({}), "missing_argument", "name")]
#[case("amo_set_lead_name", json!({"name": "🙂"}), "missing_argument", "name")]
#[case("amo_set_lead_name", json!({"name": "x".repeat(256)}), "wrong_argument", "name")]
#[case("amo_change_state", json!({"status_id": "soon"}), "wrong_argument", "status_id")]
#[case("amo_change_state", json!({"status_id": -1}), "wrong_argument", "status_id")]
#[case("amo_change_state", json!({"status_id": 1, "lead_id": "x"}), "wrong_argument", "lead_id")]
#[case("amo_set_budget", json!({"budget": "much"}), "wrong_argument", "budget")]
#[case("amo_set_budget", json!({"budget": "-5"}), "wrong_argument", "budget")]
#[case("amo_create_task", json!({"title": "x", "deadline": "soon"}), "wrong_argument", "minutes_deadline")]
#[case("amo_add_lead", json!({"lead_data": "Новый"}), "wrong_argument", "lead_data")]
#[case("amo_add_lead", json!({}), "missing_argument", "name")]
#[case("amo_add_lead_custom_fields", json!({"field_id": 1}), "missing_argument", "value")]
#[case("amo_add_lead_custom_fields", json!({"field_id": "{\"1\": \"\"}"}), "missing_argument", "value")]
#[case("amo_set_tags", json!({"tags": "a", "mode": "drop"}), "wrong_argument", "mode")]
#[case("amo_set_tags", json!({"tags": " , "}), "missing_argument", "tags")]
fn what_is_wrong_is_named(#[case] name: &str, #[case] arguments: Value, #[case] error: &str, #[case] argument: &str) {
    let answer = read(name, &arguments).unwrap_err();
    assert_eq!((answer.error(), answer.get("argument")), (Some(error), Some(&json!(argument))));
}

#[test]
fn a_call_names_its_client_and_the_token_is_never_given() {
    let nobody = Call::read(Function::GetLeadInfo, &Arguments::of_query("client_id=%23%7Bclient_id%7D"), NOW);
    assert_eq!(nobody.unwrap_err().get("argument"), Some(&json!("client_id")));
    assert_eq!(read("amo_get_token", &json!({})).unwrap_err().error(), Some("not_offered"));
}

#[test]
fn the_same_making_call_has_the_same_ticket() {
    let ticket = |arguments: Value| read("amo_add_lead", &arguments).unwrap().ticket;
    let first = ticket(json!({"lead_data": {"name": "x", "budget": 5}}));
    assert_eq!(first, ticket(json!({"args": ["{\"budget\":\"5\",\"name\":\" x \"}"]})));
    assert_ne!(first, ticket(json!({"lead_data": {"name": "y", "budget": 5}})));
    assert_ne!(first, ticket(json!({"lead_data": {"name": "x", "budget": 5}, "contact_id": 7})));
    let named = ticket(json!({"name": "x", "request_id": "r1"}));
    assert_eq!(named, ticket(json!({"name": "y", "request_id": "r1"})));
    assert_ne!(named, ticket(json!({"name": "x", "request_id": "r2"})));
}

#[test]
fn only_calls_that_make_something_happen_once() {
    let once = |name: &str, arguments: Value| read(name, &arguments).unwrap().once_ms;
    assert_eq!(once("amo_add_notes", json!({"text": "x"})), Some(ONCE_MS));
    assert_eq!(once("amo_set_budget", json!({"budget": 5})), None);
    assert_eq!(once("amo_set_budget", json!({"budget": 5, "request_id": "r"})), Some(REQUEST_MS));
    assert_eq!(once("amo_get_lead_info", json!({"request_id": "r"})), None);
}

proptest! {
    #[test]
    fn no_arguments_break_a_function(
        place in 0..Function::ALL.len(),
        values in proptest::collection::vec("[ -~а-яё🙂\"'{}]{0,20}", 0..6),
        names in proptest::collection::vec("(name|lead_id|status_id|tags|mode|lead_data|field_id|value|text|client_id)", 0..6),
    ) {
        let named: serde_json::Map<String, Value> =
            names.into_iter().zip(values.clone()).map(|(name, value)| (name, Value::from(value))).collect();
        let mut body = named;
        body.insert("args".into(), json!(values));
        let arguments = Arguments::read("client_id=5", Value::from(body).to_string().as_bytes()).unwrap();
        match Call::read(Function::ALL[place], &arguments, NOW) {
            Ok(call) => {
                let stored = serde_json::to_string(&call).unwrap();
                prop_assert_eq!(serde_json::from_str::<Call>(&stored).unwrap(), call);
            }
            Err(answer) => prop_assert!(!answer.is_ok() && answer.error().is_some()),
        }
    }
}
