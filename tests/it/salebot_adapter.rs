//! Each documented answer of Salebot, and each way to ask, over a server on loopback.

use crate::salebot_server::{Asked, KEY, Project};
use rstest::rstest;
use salebridge::core::fault::{Fault, FaultKind};
use salebridge::core::id::{ClientId, MessageId, OrderId, StateId};
use salebridge::core::model::{Attachment, Variables};
use salebridge::core::time::Millis;
use salebridge::ports::remote::{ClientAddress, NewOrder, Priority, Salebot, Wanted};
use salebridge::remote::salebot::DealLanguage;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const CLIENT: ClientId = ClientId(5);
const ORDER: OrderId = OrderId(301);
const POLL: Priority = Priority::Poll;
const SUCCESS: &str = include_str!("fixtures/salebot/success.json");
const NO_CLIENT: &str = include_str!("fixtures/salebot/client_not_found.json");
const NO_ORDER: &str = include_str!("fixtures/salebot/get_order_state_not_found.json");
const CHANNELS: &str = include_str!("fixtures/salebot/connected_channels.json");

fn kind<T: std::fmt::Debug>(result: Result<T, Fault>) -> FaultKind {
    result.expect_err("the case is a failure").kind
}

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn get(action: &str, query: &str) -> Asked {
    let (action, query) = (action.to_owned(), query.to_owned());
    Asked { method: "GET".to_owned(), action, query, content_type: None, body: Value::Null }
}

fn post(action: &str, body: Value) -> Asked {
    Asked {
        method: "POST".to_owned(),
        action: action.to_owned(),
        query: String::new(),
        content_type: Some("application/json".to_owned()),
        body,
    }
}

#[tokio::test]
async fn variables_are_texts_and_the_absent_are_left_out() {
    let flat = include_str!("fixtures/salebot/get_variables.json");
    let wrapped = format!(r#"{{"variables":{flat}}}"#);
    let enveloped = format!(r#"{{"status":"success","variables":{flat}}}"#);
    let project = Project::answering(&[(200, flat), (200, &wrapped), (200, &enveloped)]).await;
    let expected = variables(&[
        ("avatar", "https://files.example.test/a"),
        ("phone", "79990000001"),
        ("score", "74"),
        ("rate", "1.0"),
        ("vip", "true"),
        ("city", "Тверь"),
        ("status", "paid"),
        ("cart", r#"{"sku":[1,2]}"#),
    ]);
    for _ in 0..3 {
        assert_eq!(project.api.variables(CLIENT, POLL).await, Ok(Some(expected.clone())));
    }
    assert_eq!(project.asked()[0], get("get_variables", "client_id=5"));
}

#[rstest]
#[case(200, "{}")]
#[case(200, "[]")]
#[case(200, NO_CLIENT)]
#[case(404, NO_CLIENT)]
#[case(404, "client_not_found")]
#[tokio::test]
async fn an_unknown_client_has_no_variables(#[case] status: u16, #[case] body: &str) {
    let project = Project::answering(&[(status, body)]).await;
    assert_eq!(project.api.variables(CLIENT, POLL).await, Ok(None));
}

#[tokio::test]
async fn a_bare_404_is_nobody_only_if_the_key_is_accepted() {
    let project = Project::answering(&[(404, ""), (200, CHANNELS), (404, ""), (404, "")]).await;
    assert_eq!(project.api.variables(CLIENT, POLL).await, Ok(None));
    assert_eq!(kind(project.api.variables(CLIENT, POLL).await), FaultKind::Auth);
    let actions: Vec<String> = project.asked().into_iter().map(|asked| asked.action).collect();
    assert_eq!(actions, ["get_variables", "connected_channels", "get_variables", "connected_channels"]);
}

#[tokio::test]
async fn saved_variables_are_the_clients_own_and_go_by_their_own_lane() {
    let project = Project::answering(&[(200, SUCCESS), (200, "ok")]).await;
    let values = variables(&[("amo_contact_id", "17"), ("client.город", ""), ("phone", "+7 999 000-00-01")]);
    let wire = json!({"client.amo_contact_id": "17", "client.город": "", "client.phone": "+7 999 000-00-01"});
    assert_eq!(project.api.save_variables(&[CLIENT], &values, POLL).await, Ok(()));
    assert_eq!(project.api.save_variables(&[CLIENT, ClientId(6)], &values, POLL).await, Ok(()));
    assert_eq!(project.api.save_variables(&[], &values, POLL).await, Ok(()));
    assert_eq!(project.api.save_variables(&[CLIENT], &Variables::new(), POLL).await, Ok(()));
    let expected = vec![
        post("save_variables", json!({"client_id": 5, "variables": wire})),
        post("save_variables", json!({"clients": [5, 6], "variables": wire})),
    ];
    assert_eq!(project.asked(), expected);
    assert_eq!((project.lane.report().granted, project.save_lane.report().granted), (0, 2));
}

#[tokio::test]
async fn many_clients_are_saved_in_several_requests() {
    let project = Project::answering(&[(200, SUCCESS), (200, SUCCESS), (502, "")]).await;
    let clients: Vec<ClientId> = (1..=201).map(ClientId).collect();
    let saved = project.api.save_variables(&clients, &variables(&[("a", "1")]), POLL).await;
    assert_eq!(kind(saved), FaultKind::Transient);
    let asked = project.asked();
    let sizes: Vec<usize> = asked.iter().map(|asked| asked.body["clients"].as_array().map_or(1, Vec::len)).collect();
    assert_eq!(sizes, [100, 100, 1]);
    assert_eq!(asked[2].body["client_id"], json!(201));
}

#[tokio::test]
async fn clients_by_the_values_of_a_variable() {
    let project = Project::answering(&[
        (200, include_str!("fixtures/salebot/find_clients.json")),
        (200, include_str!("fixtures/salebot/find_clients_none.json")),
        (200, r#"{"status":"fail","message":"clients not found"}"#),
    ])
    .await;
    let values = ["79990000001", "+79990000001", "79990000001"].map(str::to_owned);
    let found = project.api.find_by_values("phone", &values, POLL).await;
    assert_eq!(found, Ok(vec![ClientId(41_203), ClientId(785_212), ClientId(5_622_354)]));
    let q = json!({"q": {"phone": {"_in": ["+79990000001", "79990000001"]}}});
    assert_eq!(project.asked(), vec![post("find_clients", q)]);
    for _ in 0..2 {
        assert_eq!(project.api.find_by_values("phone", &values, POLL).await, Ok(Vec::new()));
    }
    assert_eq!(project.api.find_by_values("phone", &[], POLL).await, Ok(Vec::new()));
    assert_eq!(project.asked().len(), 2);
}

#[tokio::test]
async fn a_search_that_failed_is_not_a_search_that_found_nobody() {
    let wrong = r#"{"status": "fail", "message": "Parameter \"q\" required"}"#;
    let wrong_key = (404, "");
    let project = Project::answering(&[
        (200, include_str!("fixtures/salebot/find_clients_fail.json")),
        (200, wrong),
        (200, SUCCESS),
        wrong_key,
        wrong_key,
    ])
    .await;
    let values = ["x".to_owned()];
    let kinds = [FaultKind::Transient, FaultKind::Rejected, FaultKind::Broken, FaultKind::Auth];
    for expected in kinds {
        assert_eq!(kind(project.api.find_by_values("phone", &values, POLL).await), expected);
    }
}

#[tokio::test]
async fn many_values_are_searched_in_several_requests() {
    let page = include_str!("fixtures/salebot/find_clients.json");
    let project = Project::answering(&[(200, page), (200, page)]).await;
    let values: Vec<String> = (0..1_001).map(|number| number.to_string()).collect();
    assert_eq!(project.api.find_by_values("phone", &values, POLL).await.map(|found| found.len()), Ok(3));
    let sizes: Vec<_> =
        project.asked().iter().map(|asked| asked.body["q"]["phone"]["_in"].as_array().map(Vec::len)).collect();
    assert_eq!(sizes, [Some(1_000), Some(1)]);
}

#[tokio::test]
async fn clients_by_their_ids_in_the_messenger() {
    let rows = include_str!("fixtures/salebot/find_client_id_by_platform_id.json");
    let none = r#"{"status":"error","message":"clients not found"}"#;
    let project = Project::answering(&[(200, CHANNELS), (200, rows), (200, "[]"), (200, none)]).await;
    let ids = ["600000001".to_owned(), "600000002".to_owned()];
    let found = project.api.find_by_platform(&ids, "some_bot", POLL).await.expect("found");
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].client.id, ClientId(15_000_001));
    assert_eq!(found[0].client.created_at, Some(1_700_000_000));
    assert_eq!(found[0].variables, Some(variables(&[("tg_username", "@anna_example")])));
    assert_eq!(found[1].client.tag.as_deref(), Some("spring"));
    let body = json!({"platform_ids": ids, "group_id": "some_bot"});
    assert_eq!(project.asked()[1], post("find_client_id_by_platform_id", body));
    for _ in 0..2 {
        assert_eq!(project.api.find_by_platform(&ids, "some_bot", POLL).await, Ok(Vec::new()));
    }
    // The channels were asked for once.
    assert_eq!(project.asked().len(), 2);
}

#[tokio::test]
async fn a_page_of_clients_keeps_its_odd_rows_apart() {
    let rows = include_str!("fixtures/salebot/get_clients.json");
    let project = Project::answering(&[]).await;
    project.answer(200, rows, &[("date", "Tue, 14 Nov 2023 22:13:20 GMT")]);
    project.answer(200, r#"{"status":"success","clients":[]}"#, &[]);
    let page = project.api.clients(500, 9_999, true, POLL).await.expect("a page");
    assert_eq!((page.received, page.rows.len(), page.broken.len()), (4, 2, 2));
    assert_eq!(page.server_time, Some(Millis(1_700_000_000_000)));
    assert_eq!(page.rows[0].client.id, ClientId(44_483));
    assert_eq!(page.rows[0].client.messenger, Some(0));
    assert_eq!(page.rows[0].updated_at.map(|moment| moment.at), Some(Millis(1_700_000_100_000)));
    assert_eq!(page.rows[1].client.platform_id.as_deref(), Some("-100500"));
    assert_eq!(page.rows[1].client.name, None);
    assert_eq!(page.rows[1].client.created_at, Some(1_779_989_622));
    assert_eq!(page.broken[0].reason, "clients[2] has no readable id");
    let last = project.api.clients(1_000, 100, false, POLL).await.expect("a page");
    assert_eq!((last.received, last.rows.len()), (0, 0));
    let expected =
        vec![get("get_clients", "offset=500&limit=500&reverse=1"), get("get_clients", "offset=1000&limit=100")];
    assert_eq!(project.asked(), expected);
}

#[tokio::test]
async fn a_page_without_its_list_is_no_last_page() {
    let project = Project::answering(&[(200, SUCCESS), (200, "[]"), (200, ""), (200, "<html>")]).await;
    for expected in [FaultKind::Broken, FaultKind::Broken, FaultKind::Transient, FaultKind::Transient] {
        assert_eq!(kind(project.api.clients(0, 500, true, POLL).await), expected);
    }
}

#[tokio::test]
async fn a_history_is_in_order_and_knows_its_notices() {
    let project = Project::answering(&[(200, include_str!("fixtures/salebot/get_history.json"))]).await;
    let lines = project.api.history(CLIENT, POLL).await.expect("a history");
    assert_eq!(project.asked(), vec![get("get_history", "client_id=5&limit=2000")]);
    let seen: Vec<_> = lines
        .iter()
        .map(|line| (line.message.id.map_or(0, |MessageId(id)| id), line.message.incoming, line.is_notice))
        .collect();
    let expected = vec![
        (11_111_111_111, true, false),
        (11_111_111_112, false, true),
        (11_111_111_113, false, false),
        (11_111_111_114, false, true),
        (11_111_111_115, false, false),
        (11_111_111_116, false, true),
        (11_111_111_117, false, true),
        (11_111_111_118, true, false),
    ];
    assert_eq!(seen, expected);
    assert_eq!(lines[0].at.map(|moment| moment.at), Some(Millis(1_700_000_000_000)));
    assert_eq!(lines[0].message.text, None);
    let file = |number: u32, kind: &str| Attachment {
        url: format!("https://files.example.test/{number}"),
        kind: Some(kind.to_owned()),
    };
    assert_eq!(lines[0].message.attachments, vec![file(1, "image")]);
    assert_eq!(lines[7].message.attachments, vec![file(2, "file")]);
    assert_eq!((lines[2].message.block, lines[4].message.block), (Some(390), None));
    assert_eq!(lines[2].message.client.id, CLIENT);
}

#[rstest]
#[case(include_str!("fixtures/salebot/get_orders.json"), &[40_338, 40_340, 40_341])]
#[case(r#"{"status":"success","order_id":40338}"#, &[40_338])]
#[case(r#"{"status":"success","order_id":["40338",null]}"#, &[40_338])]
#[case(r#"{"status":"success","order_id":null}"#, &[])]
#[case(r#"{"status":"success"}"#, &[])]
#[case(NO_ORDER, &[])]
#[tokio::test]
async fn active_orders_in_every_form(#[case] body: &str, #[case] expected: &[u64]) {
    let project = Project::answering(&[(200, body)]).await;
    let orders = project.api.active_orders(CLIENT, POLL).await;
    assert_eq!(orders, Ok(expected.iter().copied().map(OrderId).collect()));
    assert_eq!(project.asked(), vec![get("get_orders", "client_id=5&order_status=0")]);
}

#[rstest]
#[case(include_str!("fixtures/salebot/get_current_order_id.json"), Some(40_632))]
#[case(r#"{"status":"success","order_id":"40632"}"#, Some(40_632))]
#[case(r#"{"status":"success","order_id":null}"#, None)]
#[case(NO_ORDER, None)]
#[tokio::test]
async fn the_current_order(#[case] body: &str, #[case] expected: Option<u64>) {
    let project = Project::answering(&[(200, body)]).await;
    assert_eq!(project.api.current_order(CLIENT, POLL).await, Ok(expected.map(OrderId)));
    assert_eq!(project.asked(), vec![get("get_current_order_id", "client_id=5")]);
}

#[rstest]
#[case(include_str!("fixtures/salebot/get_order_state.json"), Some(123_456))]
#[case(NO_ORDER, None)]
#[case(r#"{"status":"success","state_id":null}"#, None)]
#[tokio::test]
async fn an_order_with_and_without_a_stage(#[case] state: &str, #[case] expected: Option<u64>) {
    let project =
        Project::answering(&[(200, include_str!("fixtures/salebot/get_order_vars.json")), (200, state)]).await;
    let wanted = BTreeSet::from(["source".to_owned(), "budget".to_owned()]);
    let order =
        project.api.order(CLIENT, ORDER, Wanted::Named(&wanted), POLL).await.expect("read").expect("it is there");
    assert_eq!(order.state, expected.map(StateId));
    let fields = [("name", "Заказ 1"), ("description", "lead 301"), ("budget", "1500"), ("source", "13.04.2023")];
    assert_eq!(order.variables, variables(&fields));
    let names = ["Description", "Name", "budget", "description", "name", "source", "Название", "Описание"];
    let expected = vec![
        post("get_order_vars", json!({"client_id": 5, "order_id": 301, "variables": names})),
        get("get_order_state", "client_id=5&order_id=301"),
    ];
    assert_eq!(project.asked(), expected);
}

#[rstest]
#[case(200, NO_CLIENT)]
#[case(404, NO_CLIENT)]
#[case(200, NO_ORDER)]
#[case(200, include_str!("fixtures/salebot/set_order_vars_not_found.json"))]
#[tokio::test]
async fn an_order_that_is_not_there(#[case] status: u16, #[case] body: &str) {
    let project = Project::answering(&[(status, body)]).await;
    assert_eq!(project.api.order(CLIENT, ORDER, Wanted::Own, POLL).await, Ok(None));
    assert_eq!(project.asked().len(), 1);
}

#[tokio::test]
async fn who_looks_around_names_nothing() {
    let project =
        Project::answering(&[(200, r#"{"status":"success","result":{"source":"ads"}}"#), (200, NO_ORDER)]).await;
    let order = project.api.order(CLIENT, ORDER, Wanted::Anything, POLL).await.expect("read").expect("it is there");
    assert_eq!(order.variables, variables(&[("source", "ads")]));
    assert_eq!(project.asked()[0], post("get_order_vars", json!({"client_id": 5, "order_id": 301})));
}

#[tokio::test]
async fn of_an_order_only_what_is_named_may_be_told() {
    let named = r#"{"status":"success","result":{"name":null,"Name":null,"Название":"Заказ","Описание":"lead 301",
        "description":null,"Description":null,"budget":0,"source":null}}"#;
    let project = Project::answering(&[(200, named), (200, NO_ORDER)]).await;
    let wanted = BTreeSet::from(["source".to_owned()]);
    let order =
        project.api.order(CLIENT, ORDER, Wanted::Named(&wanted), POLL).await.expect("read").expect("it is there");
    assert_eq!(order.variables, variables(&[("name", "Заказ"), ("description", "lead 301"), ("budget", "0")]));
}

/// An order of ours has its description: it would be taken for emptied.
#[rstest]
#[case(r#"{"status":"success"}"#)]
#[case(r#"{"status":"success","result":null}"#)]
#[case(r#"{"status":"success","result":{}}"#)]
#[case(r#"{"status":"success","result":[]}"#)]
#[case(r#"{"status":"success","result":"ok"}"#)]
#[case(r#"{"status":"success","result":{"source":null,"budget":null,"Описание":"NONE"}}"#)]
#[tokio::test]
async fn an_order_without_any_value_is_not_read(#[case] body: &str) {
    let wanted = BTreeSet::from(["source".to_owned()]);
    for wanted in [Wanted::Named(&wanted), Wanted::Anything] {
        let project = Project::answering(&[(200, body)]).await;
        assert_eq!(kind(project.api.order(CLIENT, ORDER, wanted, POLL).await), FaultKind::Broken);
        assert_eq!(project.asked().len(), 1);
    }
}

/// Who looks for an order of ours meets those of bots.
#[tokio::test]
async fn somebody_elses_order_may_be_without_name_and_description() {
    let nothing = r#"{"status":"success","result":{"name":null,"Описание":null,"budget":null}}"#;
    let untold = r#"{"status":"success","result":{}}"#;
    let project = Project::answering(&[(200, nothing), (200, NO_ORDER), (200, untold)]).await;
    let order = project.api.order(CLIENT, ORDER, Wanted::Own, POLL).await.expect("read").expect("it is there");
    assert_eq!(order.variables, Variables::new());
    assert_eq!(kind(project.api.order(CLIENT, ORDER, Wanted::Own, POLL).await), FaultKind::Broken);
}

#[tokio::test]
async fn english_fields_of_an_order_are_known_too() {
    let project = Project::start(DealLanguage::English, KEY).await;
    project.answer(200, r#"{"status":"success","result":{"Name":"Order","Description":"lead 301"}}"#, &[]);
    project.answer(200, NO_ORDER, &[]);
    project.answer(200, SUCCESS, &[]);
    let order = project.api.order(CLIENT, ORDER, Wanted::Own, POLL).await.expect("read").expect("it is there");
    assert_eq!(order.variables, variables(&[("name", "Order"), ("description", "lead 301")]));
    assert_eq!(project.api.set_order_variables(CLIENT, ORDER, &order.variables, POLL).await, Ok(()));
    assert_eq!(project.asked()[2].body["variables"], json!({"Name": "Order", "Description": "lead 301"}));
}

fn new_order(state: Option<StateId>) -> NewOrder {
    NewOrder { client: CLIENT, name: "Заказ".to_owned(), description: "lead 301".to_owned(), budget: 1_500, state }
}

#[tokio::test]
async fn an_order_is_made() {
    let created = include_str!("fixtures/salebot/create_order.json");
    let project = Project::answering(&[(200, created), (200, created)]).await;
    assert_eq!(project.api.create_order(&new_order(None), POLL).await, Ok(OrderId(40_654)));
    assert_eq!(project.api.create_order(&new_order(Some(StateId(37))), POLL).await, Ok(OrderId(40_654)));
    let mut body = json!({"client_id": 5, "name": "Заказ", "description": "lead 301", "budget": 1500});
    let asked = project.asked();
    assert_eq!(asked[0], post("create_order", body.clone()));
    body["state_id"] = json!(37);
    assert_eq!(asked[1], post("create_order", body));
}

#[rstest]
#[case(200, NO_CLIENT, FaultKind::Gone)]
#[case(404, NO_CLIENT, FaultKind::Gone)]
#[case(200, SUCCESS, FaultKind::Uncertain)]
#[case(200, "", FaultKind::Uncertain)]
#[case(200, "<html>", FaultKind::Uncertain)]
#[case(200, r#"{"status":"success","ord"#, FaultKind::Uncertain)]
#[case(200, r#"{"status":"error"}"#, FaultKind::Uncertain)]
#[case(502, "<html>", FaultKind::Uncertain)]
#[case(504, "", FaultKind::Uncertain)]
#[case(200, r#"{"status":"error","message":"budget must be a number"}"#, FaultKind::Rejected)]
#[case(200, r#"{"status":"error","message":"state not found"}"#, FaultKind::Rejected)]
#[case(400, "", FaultKind::Rejected)]
#[case(422, "", FaultKind::Rejected)]
#[case(401, "", FaultKind::Auth)]
#[case(403, "", FaultKind::Auth)]
#[case(404, "", FaultKind::Auth)]
#[case(200, r#"{"status":"error","message":"access denied"}"#, FaultKind::Auth)]
#[case(302, "", FaultKind::Broken)]
#[tokio::test]
async fn what_a_failed_creation_means(#[case] status: u16, #[case] body: &str, #[case] expected: FaultKind) {
    let project = Project::answering(&[(status, body)]).await;
    assert_eq!(kind(project.api.create_order(&new_order(None), POLL).await), expected);
    assert_eq!(project.asked().len(), 1);
}

#[tokio::test]
async fn a_limit_holds_the_lane_with_the_time_asked_for() {
    let project = Project::answering(&[]).await;
    project.answer(429, "", &[("retry-after", "7")]);
    let throttled = project.api.current_order(CLIENT, POLL).await;
    assert_eq!(kind(throttled), FaultKind::Throttled { after_ms: Some(7_000) });
    assert_eq!(project.lane.report().throttled, 1);
    assert_eq!(project.save_lane.report().throttled, 0);
}

#[tokio::test]
async fn a_quota_hidden_in_a_success_is_a_limit_too() {
    for body in [r#"{"status":"error","message":"Превышен лимит"}"#, r#"{"status":"quota exceeded"}"#, "request limit"]
    {
        let project = Project::answering(&[(200, body)]).await;
        let throttled = project.api.current_order(CLIENT, POLL).await;
        assert_eq!(kind(throttled), FaultKind::Throttled { after_ms: None }, "{body}");
        assert_eq!(project.lane.report().throttled, 1, "{body}");
    }
}

#[tokio::test]
async fn variables_of_an_order() {
    let not_found = include_str!("fixtures/salebot/set_order_vars_not_found.json");
    let project = Project::answering(&[(200, SUCCESS), (200, not_found), (503, ""), (200, SUCCESS)]).await;
    let values = variables(&[("budget", "1500"), ("name", "Заказ"), ("description", ""), ("source", "1")]);
    assert_eq!(project.api.set_order_variables(CLIENT, ORDER, &values, POLL).await, Ok(()));
    let wire = json!({"budget": 1500, "Название": "Заказ", "Описание": "", "source": "1"});
    let body = json!({"client_id": 5, "order_id": 301, "variables": wire});
    assert_eq!(project.asked(), vec![post("set_order_vars", body)]);
    assert_eq!(kind(project.api.set_order_variables(CLIENT, ORDER, &values, POLL).await), FaultKind::Gone);
    assert_eq!(kind(project.api.set_order_variables(CLIENT, ORDER, &values, POLL).await), FaultKind::Transient);
    let cleared = variables(&[("budget", "")]);
    assert_eq!(project.api.set_order_variables(CLIENT, ORDER, &cleared, POLL).await, Ok(()));
    assert_eq!(project.asked()[2].body["variables"], json!({"budget": 0}));
}

#[tokio::test]
async fn the_stage_of_the_current_order() {
    let project = Project::answering(&[(200, SUCCESS), (200, "ok"), (200, NO_ORDER), (504, ""), (200, "?")]).await;
    for _ in 0..2 {
        assert_eq!(project.api.set_order_state(CLIENT, StateId(37), POLL).await, Ok(()));
    }
    assert_eq!(project.asked()[0], post("set_order_state", json!({"client_id": 5, "state_id": 37})));
    for expected in [FaultKind::Gone, FaultKind::Transient, FaultKind::Transient] {
        assert_eq!(kind(project.api.set_order_state(CLIENT, StateId(37), POLL).await), expected);
    }
}

#[tokio::test]
async fn a_callback_is_sent_once_and_then_uncertain() {
    let answers = [(200, SUCCESS), (200, "ok"), (200, "queued"), (200, "{}"), (200, NO_CLIENT), (503, ""), (200, "")];
    let project = Project::answering(&answers).await;
    for _ in 0..4 {
        assert_eq!(project.api.callback(CLIENT, "amo_state_changed 61:1001", Priority::Person).await, Ok(()));
    }
    let body = json!({"client_id": 5, "message": "amo_state_changed 61:1001"});
    assert_eq!(project.asked()[0], post("callback", body));
    for expected in [FaultKind::Gone, FaultKind::Uncertain, FaultKind::Uncertain] {
        assert_eq!(kind(project.api.callback(CLIENT, "x", POLL).await), expected);
    }
    assert_eq!(project.asked().len(), 3);
}

fn address(platform_id: &str, group_id: &str, client_type: i64) -> ClientAddress {
    ClientAddress { platform_id: platform_id.to_owned(), group_id: group_id.to_owned(), client_type }
}

#[tokio::test]
async fn loaded_clients_are_matched_by_address() {
    let project =
        Project::answering(&[(200, CHANNELS), (200, include_str!("fixtures/salebot/load_clients.json"))]).await;
    let asked = [
        address("600000001", "some_bot", 1),
        address("+7 999 000-00-02", "c2FsZWJyaWRnZQ==", 6),
        address("79990000003", "ignored", 13),
        address("600000009", "143000000", 0),
        address("600000010", "11", 2),
        address("600000011", "34810", 0),
    ];
    let loaded = project.api.load_clients(&asked, POLL).await;
    assert_eq!(loaded[0], Ok(ClientId(1_001)));
    assert_eq!(loaded[1], Ok(ClientId(1_002)));
    let kinds: Vec<FaultKind> = loaded.into_iter().skip(2).map(kind).collect();
    assert_eq!(kinds, [FaultKind::Rejected, FaultKind::Broken, FaultKind::Broken, FaultKind::Broken]);
    let body = project.asked().remove(1).body;
    let groups: Vec<Value> = body.as_array().expect("a list").iter().map(|row| row["group_id"].clone()).collect();
    // Numbers stay numbers and texts of digits stay texts; an unknown id of digits becomes a number.
    assert_eq!(
        groups,
        [json!("some_bot"), json!("c2FsZWJyaWRnZQ=="), json!(""), json!("143000000"), json!(11), json!(34_810)]
    );
    assert_eq!(body[1], json!({"platform_id": "+7 999 000-00-02", "group_id": "c2FsZWJyaWRnZQ==", "client_type": 6}));
}

#[tokio::test]
async fn a_failed_load_fails_each_of_its_clients() {
    let project = Project::answering(&[(200, CHANNELS), (502, "")]).await;
    let loaded = project.api.load_clients(&[address("1", "some_bot", 1), address("2", "some_bot", 1)], POLL).await;
    assert_eq!(loaded.into_iter().map(kind).collect::<Vec<_>>(), [FaultKind::Transient, FaultKind::Transient]);
}

#[tokio::test]
async fn channels_tell_that_the_key_is_right() {
    let project = Project::answering(&[(200, CHANNELS), (401, "")]).await;
    let channels = project.api.channels(POLL).await.expect("accepted");
    let seen: Vec<_> = channels.iter().map(|channel| (channel.messenger.as_str(), channel.group_id.as_str())).collect();
    let expected =
        [("viber", "11"), ("telegram", "some_bot"), ("whatsapp", "c2FsZWJyaWRnZQ=="), ("vkontakte", "143000000")];
    assert_eq!(seen, expected);
    assert_eq!(channels[1].enabled, Some(true));
    assert_eq!(kind(project.api.channels(POLL).await), FaultKind::Auth);
}
