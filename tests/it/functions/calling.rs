//! Forms of calls, tokens, and what is answered to a call that cannot be.

use super::{Shop, TOKEN, http};
use rstest::rstest;
use salebridge::app::town::BRIDGE;
use serde_json::{Value, json};

async fn answered(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    assert!(kind.starts_with("application/json"), "{kind}");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test]
async fn a_call_comes_in_many_forms() {
    let shop = Shop::acquainted().await;
    let (client, url) = (shop.client, shop.function("amo_get_contact_info"));
    let json = json!({ "client_id": client, "token": TOKEN }).to_string();
    let forms = [
        http().get(format!("{url}?client_id={client}&token={TOKEN}")),
        http().get(format!("{url}?client_id={client}")).bearer_auth(TOKEN),
        http().get(format!("{url}?client_id={client}")).header("authorization", TOKEN),
        http().post(&url).header("content-type", "application/json").body(json.clone()),
        http().post(&url).header("content-type", "text/plain").body(json!(json).to_string()),
        http().post(&url).header("content-type", "application/x-www-form-urlencoded").body(json),
        http()
            .post(&url)
            .header("content-type", "application/json")
            .body(format!("client_id={client}.0&token={TOKEN}")),
        http().post(format!("{url}?token={TOKEN}")).body(format!("{{\"CLIENT_ID\": \" {client} \", \"x\": {{}}}}")),
    ];
    for (place, form) in forms.into_iter().enumerate() {
        let (status, answer) = answered(form).await;
        assert_eq!((status, &answer["contact_id"]), (200, &json!(shop.contact)), "form {place}: {answer}");
    }
    shop.close().await;
}

#[tokio::test]
async fn without_the_token_nothing_opens() {
    let shop = Shop::acquainted().await;
    let body = |token: &str| json!({ "client_id": shop.client, "budget": 5, "token": token }).to_string();
    let url = shop.function("amo_set_budget");
    let elsewhere = url.replace(BRIDGE, "elsewhere");
    for request in [
        http().post(&url).body(body("wrong")),
        http().post(&url).body(json!({ "client_id": shop.client }).to_string()),
        http().post(&url).bearer_auth("wrong").body(body(TOKEN)),
        http().post(format!("{url}?token=wrong")).body(body(TOKEN)),
        http().post(&elsewhere).bearer_auth(TOKEN).body(body(TOKEN)),
        http().post(&url).body("no form at all"),
    ] {
        let (status, answer) = answered(request).await;
        assert_eq!((status, &answer["ok"], &answer["error"]), (401, &json!(0), &json!("wrong_token")));
        assert!(!answer.to_string().contains(TOKEN));
    }
    shop.close().await;
}

#[rstest]
#[case("amo_set_bugdet", json!({}), 404, "unknown_function")]
#[case("amo_get_token", json!({}), 200, "not_offered")]
#[case("amo_set_budget", json!({}), 200, "missing_argument")]
#[case("amo_set_budget", json!({"budget": "much"}), 200, "wrong_argument")]
#[case("amo_set_budget", json!({"budget": 5, "client_id": "#{client_id}"}), 200, "missing_argument")]
#[case("amo_set_budget", json!({"budget": 5, "client_id": 99_999_999}), 200, "client_not_found")]
#[case("amo_set_budget", json!({"budget": 5, "lead_id": 99_999_999}), 200, "lead_not_found")]
#[case("amo_get_lead_info", json!({"lead_id": 99_999_999}), 200, "lead_not_found")]
#[case("amo_add_lead", json!({"name": "x", "contact_id": 99_999_999}), 200, "contact_not_found")]
#[case("amo_set_budget", json!({"budget": 5}), 200, "lead_not_found")]
#[case("amo_set_contact_responsible_user", json!({"user_id": 99}), 200, "user_not_found")]
#[case("amo_add_contact_custom_fields", json!({"field_id": 99, "value": "x"}), 200, "field_not_found")]
#[case("amo_get_contact_custom_field", json!({"var_id": "нет такого"}), 200, "field_not_found")]
#[case("amo_set_tags", json!({"tags": "x", "wait": "long"}), 200, "wrong_argument")]
#[tokio::test]
async fn what_cannot_be_done_is_said(
    #[case] name: &str,
    #[case] arguments: Value,
    #[case] status: u16,
    #[case] error: &str,
) {
    let shop = Shop::acquainted().await;
    // Somebody without a lead.
    let stranger = shop.town.enter(2, 0).expect("another regular");
    let mut body = json!({ "client_id": stranger });
    for (name, value) in arguments.as_object().expect("arguments") {
        body[name] = value.clone();
    }
    let lone = shop.town.cast().people[2].contact.expect("a contact");
    shop.town.amo(|amo, now_ms| {
        let leads: Vec<u64> =
            amo.leads().filter(|lead| lead.contact_ids.contains(&lone)).map(|lead| lead.card.id).collect();
        for lead in leads {
            amo.delete_lead(now_ms, lead);
        }
    });
    let (answered, answer) = shop.send(name, body.to_string()).await;
    assert_eq!((answered, &answer["ok"], &answer["error"]), (status, &json!(0), &json!(error)), "{answer}");
    shop.close().await;
}

#[tokio::test]
async fn bodies_have_a_bound_and_bad_ones_an_answer() {
    let shop = Shop::acquainted().await;
    let (status, answer) = shop.send("amo_add_notes", "x".repeat(300_000)).await;
    assert_eq!((status, &answer["error"]), (413, &json!("unreadable_body")));
    for body in ["{\"client_id\": 5, \"text\": \"a\nb\"", "[[[[[", "words"] {
        let (status, answer) = shop.send("amo_add_notes", body.to_owned()).await;
        assert_eq!((status, &answer["error"]), (200, &json!("unreadable_body")), "{answer}");
    }
    let deep = format!(
        "{{\"client_id\": {}, \"text\": \"x\", \"deep\": {}{}}}",
        shop.client,
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let (status, answer) = shop.send("amo_add_contact_notes", deep).await;
    assert_eq!((status, &answer["ok"]), (200, &json!(1)), "{answer}");
    shop.close().await;
}
