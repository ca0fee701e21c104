//! A whole conversation of a bot leaves amoCRM as a program leaves it that calls amoCRM's own API.

use super::{AMO_TOKEN, Shop, http, on_lead};
use rstest::rstest;
use salebridge::app::town;
use salebridge::sandbox::amo::Amo;
use salebridge::sandbox::amo::fixture::{FIELD_CLIENT_ID, FIELD_LEAD_SOURCE, FIELD_POSITION, USER_SALES, USER_SUPPORT};
use salebridge::sandbox::amo::records::{Card, Element, ElementKind};
use salebridge::sandbox::faults::Faults;
use salebridge::sandbox::town::{Town, TownOptions};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a card says, without what differs by nature: its number, its times, the numbers of its tags.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    name: String,
    responsible: u64,
    tags: Vec<String>,
    fields: BTreeMap<u64, Vec<String>>,
}

impl Said {
    /// The number of the client is written by the daemon's own mapping, not by a function.
    fn of(card: &Card) -> Said {
        let mut tags: Vec<String> = card.tags.iter().map(|tag| tag.name.clone()).collect();
        tags.sort();
        let fields = card.fields.iter().filter(|(id, _)| **id != FIELD_CLIENT_ID);
        let texts = fields.map(|(id, values)| (*id, values.iter().map(|value| value.value.clone()).collect()));
        Said { name: card.name.clone(), responsible: card.responsible_user_id, tags, fields: texts.collect() }
    }
}

/// Everything the conversation is about.
#[derive(Debug, PartialEq, Eq)]
struct State {
    lead: Said,
    price: i64,
    stage: (u64, u64),
    is_of_contact: bool,
    contact: Said,
    names: (String, String),
    /// Text, type, who is in charge, minutes from its making to its deadline, done.
    tasks: Vec<(String, u64, u64, i64, bool)>,
    /// Type and text, of the lead and of the contact.
    notes: Vec<(u64, String)>,
    contact_notes: Vec<(u64, String)>,
}

fn state(amo: &Amo, contact: u64, lead: u64) -> State {
    let notes = |element| amo.notes_of(element).map(|note| (note.note_type, note.words().to_owned())).collect();
    let (person, row) = (amo.contact(contact).expect("the contact"), amo.lead(lead).expect("the lead"));
    let tasks = amo.tasks_of(on_lead(lead)).map(|task| {
        let minutes = (task.complete_till_at - task.created_at + 30).div_euclid(60);
        (task.text.clone(), task.task_type, task.responsible_user_id, minutes, task.is_completed)
    });
    State {
        lead: Said::of(&row.card),
        price: row.price,
        stage: (row.pipeline_id, row.status_id),
        is_of_contact: row.contact_ids == [contact],
        contact: Said::of(&person.card),
        names: (person.first_name.clone(), person.last_name.clone()),
        tasks: tasks.collect(),
        notes: notes(on_lead(lead)),
        contact_notes: notes(Element { kind: ElementKind::Contact, id: contact }),
    }
}

/// The conversation in the words of the functions' page: arguments by their order.
async fn by_functions(api: &'static str) -> State {
    let shop = Shop::speaking(api).await;
    let lead_data = r#"{"name": "Новый ЛИД", "budget": 1500}"#;
    let mut lead = 0;
    for (name, args) in [
        ("amo_add_lead", json!([lead_data])),
        ("amo_set_lead_name", json!(["Новое название"])),
        ("amo_change_state", json!(["1002", "", "61"])),
        ("amo_set_budget", json!(["2500"])),
        ("amo_create_task", json!(["Перезвонить", USER_SUPPORT.to_string(), "30", "2"])),
        ("amo_set_tags", json!(["опт, чай"])),
        ("amo_set_tags", json!(["чай, срочно"])),
        ("amo_add_notes", json!(["Две\nстроки & «кавычки»"])),
        ("amo_add_contact_notes", json!(["О человеке"])),
        ("amo_add_lead_custom_fields", json!([FIELD_LEAD_SOURCE.to_string(), "Бот"])),
        ("amo_add_contact_custom_fields", json!([format!(r#"{{"{FIELD_POSITION}": "Инженер"}}"#), ""])),
        ("amo_set_contact_name", json!(["Жюль", "Тестов"])),
        ("amo_set_lead_responsible_user", json!([USER_SUPPORT.to_string()])),
        ("amo_set_contact_responsible_user", json!([USER_SALES.to_string()])),
    ] {
        let answer = shop.call(name, json!({ "args": args })).await;
        assert_eq!((&answer["ok"], &answer["queued"]), (&json!(1), &Value::Null), "{name}: {answer}");
        lead = answer["lead_id"].as_u64().unwrap_or(lead);
    }
    let state = shop.town.look(|amo, _| state(amo, shop.contact, lead));
    shop.close().await;
    state
}

/// A program that knows nothing of us.
struct Program {
    town: Town,
    contact: u64,
}

impl Program {
    async fn open() -> Program {
        let mut options = TownOptions { seed: 7, contacts: 20, people: 10, ..TownOptions::new(town::clock()) };
        options.amo.token = AMO_TOKEN.to_owned();
        options.amo.limits.requests_per_second = None;
        let town = Town::found(options, Faults::none()).await.expect("free ports");
        let contact = town.cast().people[0].contact.expect("a regular is a contact");
        Program { town, contact }
    }

    async fn send(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let request = http().request(method, format!("{}{path}", self.town.amo_url())).bearer_auth(AMO_TOKEN);
        let request = request.header("content-type", "application/json").body(body.to_string());
        let answer = request.send().await.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.expect("a text"));
        assert_eq!(status, 200, "{path}: {text}");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(answer["_embedded"]["errors"], Value::Null, "{answer}");
        answer
    }

    /// A change in v2, which takes none that is not later than what is stored.
    async fn update(&self, list: &str, id: u64, changes: Value) {
        let stored = self.town.look(|amo, _| match list {
            "leads" => amo.lead(id).map(|lead| lead.card.updated_at),
            _ => amo.contact(id).map(|contact| contact.card.updated_at),
        });
        let mut item = json!({ "id": id, "updated_at": (self.town.now_ms() / 1_000).max(stored.expect("it") + 1) });
        for (name, value) in changes.as_object().expect("changes") {
            item[name] = value.clone();
        }
        self.send(reqwest::Method::POST, &format!("/api/v2/{list}"), json!({ "update": [item] })).await;
    }

    async fn add(&self, list: &str, item: Value) -> u64 {
        let answer = self.send(reqwest::Method::POST, &format!("/api/v2/{list}"), json!({ "add": [item] })).await;
        answer["_embedded"]["items"][0]["id"].as_u64().expect("an id")
    }

    async fn patch(&self, list: &str, id: u64, changes: Value) {
        self.send(reqwest::Method::PATCH, &format!("/api/v4/{list}/{id}"), changes).await;
    }

    async fn post(&self, path: &str, item: Value) -> Value {
        self.send(reqwest::Method::POST, &format!("/api/v4/{path}"), json!([item])).await
    }
}

async fn by_v2() -> State {
    let program = Program::open().await;
    let (contact, due) = (program.contact, |minutes: i64| program.town.now_ms() / 1_000 + minutes * 60);
    let lead = program.add("leads", json!({ "name": "Новый ЛИД", "sale": 1500, "contacts_id": [contact] })).await;
    program.update("leads", lead, json!({ "name": "Новое название" })).await;
    program.update("leads", lead, json!({ "status_id": 1002, "pipeline_id": 61 })).await;
    program.update("leads", lead, json!({ "sale": 2500 })).await;
    let task = json!({ "element_id": lead, "element_type": 2, "task_type": 2, "text": "Перезвонить",
        "responsible_user_id": USER_SUPPORT, "complete_till_at": due(30) });
    program.add("tasks", task).await;
    program.update("leads", lead, json!({ "tags": "опт,чай,срочно" })).await;
    let note = |kind: u64, id: u64, text: &str| json!({ "element_id": id, "element_type": kind, "note_type": 4, "text": text });
    program.add("notes", note(2, lead, "Две\nстроки & «кавычки»")).await;
    program.add("notes", note(1, contact, "О человеке")).await;
    let field = |id: u64, value: &str| json!({ "custom_fields": [{ "id": id, "values": [{ "value": value }] }] });
    program.update("leads", lead, field(FIELD_LEAD_SOURCE, "Бот")).await;
    program.update("contacts", contact, field(FIELD_POSITION, "Инженер")).await;
    let names = json!({ "name": "Жюль Тестов", "first_name": "Жюль", "last_name": "Тестов" });
    program.update("contacts", contact, names).await;
    program.update("leads", lead, json!({ "responsible_user_id": USER_SUPPORT })).await;
    program.update("contacts", contact, json!({ "responsible_user_id": USER_SALES })).await;
    let state = program.town.look(|amo, _| state(amo, contact, lead));
    program.town.close().await;
    state
}

async fn by_v4() -> State {
    let program = Program::open().await;
    let (contact, due) = (program.contact, |minutes: i64| program.town.now_ms() / 1_000 + minutes * 60);
    let draft = json!({ "name": "Новый ЛИД", "price": 1500, "_embedded": { "contacts": [{ "id": contact, "is_main": true }] } });
    let made = program.post("leads", draft).await;
    let lead = made["_embedded"]["leads"][0]["id"].as_u64().expect("an id");
    program.patch("leads", lead, json!({ "name": "Новое название" })).await;
    program.patch("leads", lead, json!({ "status_id": 1002, "pipeline_id": 61 })).await;
    program.patch("leads", lead, json!({ "price": 2500 })).await;
    let task = json!({ "entity_id": lead, "entity_type": "leads", "task_type_id": 2, "text": "Перезвонить",
        "responsible_user_id": USER_SUPPORT, "complete_till": due(30) });
    program.post("tasks", task).await;
    program.patch("leads", lead, json!({ "tags_to_add": [{ "name": "опт" }, { "name": "чай" }] })).await;
    program.patch("leads", lead, json!({ "tags_to_add": [{ "name": "чай" }, { "name": "срочно" }] })).await;
    let note = |text: &str| json!({ "note_type": "common", "params": { "text": text } });
    program.post(&format!("leads/{lead}/notes"), note("Две\nстроки & «кавычки»")).await;
    program.post(&format!("contacts/{contact}/notes"), note("О человеке")).await;
    let field =
        |id: u64, value: &str| json!({ "custom_fields_values": [{ "field_id": id, "values": [{ "value": value }] }] });
    program.patch("leads", lead, field(FIELD_LEAD_SOURCE, "Бот")).await;
    program.patch("contacts", contact, field(FIELD_POSITION, "Инженер")).await;
    let names = json!({ "name": "Жюль Тестов", "first_name": "Жюль", "last_name": "Тестов" });
    program.patch("contacts", contact, names).await;
    program.patch("leads", lead, json!({ "responsible_user_id": USER_SUPPORT })).await;
    program.patch("contacts", contact, json!({ "responsible_user_id": USER_SALES })).await;
    let state = program.town.look(|amo, _| state(amo, contact, lead));
    program.town.close().await;
    state
}

#[rstest]
#[tokio::test]
async fn a_conversation_by_functions_leaves_what_direct_calls_leave(#[values("v2", "v4")] api: &'static str) {
    let functions = by_functions(api).await;
    let direct = if api == "v2" { by_v2().await } else { by_v4().await };
    assert_eq!(functions, direct);
    // And it is what was said, not nothing on both sides.
    assert_eq!((functions.lead.name.as_str(), functions.price, functions.stage), ("Новое название", 2500, (61, 1002)));
    assert_eq!(functions.tasks, [("Перезвонить".to_owned(), 2, USER_SUPPORT, 30, false)]);
    assert_eq!(functions.lead.tags, ["опт", "срочно", "чай"]);
    assert!(functions.is_of_contact && functions.notes.len() == 1 && functions.contact_notes.len() == 1);
}
