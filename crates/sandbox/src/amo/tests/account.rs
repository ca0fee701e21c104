//! The account answer.

use serde_json::json;

use super::*;
use crate::amo::fixture::*;
use crate::amo::options::CollectionShape;

const EVERYTHING: &str = "/api/v2/account?with=custom_fields,users,pipelines,groups,note_types,task_types";

#[test]
fn the_bare_account_has_its_settings_and_no_parts() {
    let account = body(&Bench::new().get("/api/v2/account"));
    assert_eq!(account["id"], 13_667_499);
    assert_eq!((&account["timezone"], &account["timezone_offset"]), (&json!("Europe/Moscow"), &json!("+03:00")));
    assert_eq!(account["current_user"], USER_ADMIN);
    assert_eq!(account["_embedded"], json!({}));
}

#[test]
fn parts_are_given_as_asked_for() {
    let parts = body(&Bench::new().get(EVERYTHING))["_embedded"].clone();
    assert_eq!(parts["users"][USER_SALES.to_string()]["login"], "petr@example.test");
    assert_eq!(parts["groups"][1]["id"], 7);
    assert!(parts["note_types"].as_array().expect("a list").iter().any(|t| t["code"] == "COMMON"));
    assert_eq!(parts["task_types"][0]["id"], 1);
    let main = &parts["pipelines"]["61"];
    assert_eq!((&main["is_main"], &main["statuses"]["1001"]["id"]), (&json!(true), &json!(1001)));
    for pipeline in ["61", "62"] {
        let won = &parts["pipelines"][pipeline]["statuses"]["142"];
        assert_eq!((&won["sort"], &won["editable"]), (&json!(10_000), &json!(false)));
    }
    let users_alone = body(&Bench::new().get("/api/v2/account?with=users"))["_embedded"].clone();
    assert_eq!(users_alone.as_object().map(|parts| parts.len()), Some(1));
}

#[test]
fn every_kind_of_field_has_its_number_and_lists_have_choices() {
    let parts = body(&Bench::new().get(EVERYTHING))["_embedded"].clone();
    let fields = parts["custom_fields"]["contacts"].as_array().expect("a list").clone();
    let number = |id: u64| fields.iter().find(|f| f["id"] == id).map(|f| f["field_type"].clone());
    for (id, expected) in [
        (FIELD_POSITION, 1),
        (FIELD_NUMERIC, 2),
        (FIELD_CHECKBOX, 3),
        (FIELD_SELECT, 4),
        (FIELD_MULTISELECT, 5),
        (FIELD_DATE, 6),
        (FIELD_URL, 7),
        (FIELD_PHONE, 8),
        (FIELD_TEXTAREA, 9),
        (FIELD_ADDRESS, 13),
        (FIELD_BIRTHDAY, 14),
        (FIELD_DATE_TIME, 19),
    ] {
        assert_eq!(number(id), Some(json!(expected)));
    }
    let phone = fields.iter().find(|field| field["id"] == FIELD_PHONE).expect("the phone");
    assert_eq!(phone["enums"][2], json!({ "id": PHONE_CHOICES[2], "value": "MOB" }));
    assert_eq!((phone.get("code"), &phone["is_multiple"]), (None, &json!(true)));
    assert_eq!(parts["custom_fields"]["leads"][0]["id"], FIELD_LEAD_SOURCE);
}

#[test]
fn collections_may_be_maps_and_fields_may_have_codes() {
    let mut bench = Bench::with(|options| {
        options.shapes.account_fields = CollectionShape::Map;
        options.shapes.account_choices = CollectionShape::Map;
        options.shapes.account_field_codes = true;
    });
    let contacts = body(&bench.get(EVERYTHING))["_embedded"]["custom_fields"]["contacts"].clone();
    let phone = &contacts[FIELD_PHONE.to_string()];
    assert_eq!(phone["enums"][PHONE_CHOICES[2].to_string()], "MOB");
    assert_eq!(phone["code"], "PHONE");
}

#[test]
fn free_users_are_shown_on_request() {
    let mut bench = Bench::with(|options| {
        let user = options.account.users.get_mut(&USER_SUPPORT).expect("a user");
        user.is_free = true;
    });
    let count = |response: &Response| body(response)["_embedded"]["users"].as_object().map(|users| users.len());
    assert_eq!(count(&bench.get("/api/v2/account?with=users")), Some(2));
    assert_eq!(count(&bench.get("/api/v2/account?with=users&free_users=Y")), Some(3));
}

#[test]
fn another_zone_and_an_unknown_one() {
    let offset = |zone: &str| {
        let mut bench = Bench::with(|options| options.account.timezone = zone.into());
        body(&bench.get("/api/v2/account"))["timezone_offset"].clone()
    };
    assert_eq!(offset("Asia/Vladivostok"), "+10:00");
    assert_eq!(offset("Nowhere/Atall"), "+00:00");
}
