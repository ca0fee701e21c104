//! Mapped pairs, stages and triggers: what each may be, and what two of them may not be together.

use super::*;
use crate::core::policy::{Direction, Owner, TriggerEvent};

/// `SMALL` with pairs written as `amo salebot [direction]`, after whatever `before` holds.
fn pairs(before: &str, pairs: &[&str]) -> String {
    let mut text = format!("{SMALL}{before}");
    for pair in pairs {
        let mut parts = pair.split(' ');
        let (amo, salebot) = (parts.next().unwrap(), parts.next().unwrap());
        text.push_str(&format!("\n[[bridge.field]]\namo = '{amo}'\nsalebot = '{salebot}'\n"));
        if let Some(direction) = parts.next() {
            text.push_str(&format!("direction = '{direction}'\n"));
        }
    }
    text
}

const NO_ORDERS: &str = "\n[bridge.orders]\nenabled = false\n";

#[test]
fn refused_pairs() {
    for (before, written, path, says) in [
        ("", &["contact.colour client.x"][..], "bridge[0].field[0].amo", "first_name"),
        ("", &["phone client.x"], "bridge[0].field[0].amo", "begin with"),
        ("", &["contact.phone phone"], "bridge[0].field[0].salebot", "begin with"),
        ("", &["contact.phone client.1x"], "bridge[0].field[0].salebot", "a letter first"),
        ("", &["contact.phone client.x sideways"], "bridge[0].field[0].direction", "both, to_salebot, to_amo"),
        ("", &["contact.phone client.amo_contact_id"], "bridge[0].field[0].salebot", "kept by the bridge"),
        ("", &["contact.phone client.amo_client_id"], "bridge[0].field[0].salebot", "kept by the bridge"),
        ("", &["lead.price client.amo_lead_id"], "bridge[0].field[0].salebot", "kept by the bridge"),
        ("", &["contact.field.1 client.tag to_salebot"], "bridge[0].field[0].direction", "to_amo"),
        ("", &["contact.phone order.x"], "bridge[0].field[0].salebot", "several orders"),
        ("", &["contact.field.1 order.id to_amo"], "bridge[0].field[0].salebot", "several orders"),
        (NO_ORDERS, &["lead.price order.budget"], "bridge[0].field[0].salebot", "orders are off"),
        (NO_ORDERS, &["lead.field.1 order.id to_amo"], "bridge[0].field[0].salebot", "orders are off"),
        (
            "",
            &["contact.phone client.x", "contact.email client.x"],
            "bridge[0].field[1].salebot",
            "two values of amoCRM",
        ),
        (
            "",
            &["contact.phone client.x", "contact.email client.y", "lead.price client.x to_salebot"],
            "bridge[0].field[2].salebot",
            "see bridge[0].field[0]",
        ),
        ("", &["contact.name client.x", "contact.name client.y"], "bridge[0].field[1].amo", "two values of Salebot"),
        ("", &["lead.field.1 client.x", "lead.field.2 order.x"], "bridge[0].field[1].salebot", "hides the client's"),
        ("", &["lead.field.1 order.x", "lead.field.2 client.x"], "bridge[0].field[1].salebot", "hides the client's"),
    ] {
        let text = pairs(before, written);
        let faults = check(&text).expect_err(&format!("accepted: {written:?}"));
        assert_eq!(faults.count(), 1, "{faults}");
        let fault = &faults.list()[0];
        let key = path.rsplit('.').next().unwrap();
        let number = 1 + text.lines().enumerate().filter(|(_, line)| line.starts_with(key)).last().unwrap().0;
        assert_eq!((fault.path.as_str(), fault.line), (path, number), "{faults}");
        let told = format!("{}; {}", fault.message, fault.help.clone().unwrap_or_default());
        assert!(told.contains(says), "{says:?} is not in {told:?}");
    }
}

#[test]
fn a_fact_without_a_direction_is_refused_at_its_pair() {
    let text = pairs("", &["contact.field.1 client.id"]);
    assert_fault(&text, "bridge[0].field[0].direction", "[[bridge.field]]", "`client.id` can only be read");
}

#[test]
fn a_pair_stands_once() {
    for written in [
        ["contact.phone client.x", "contact.phone client.x"],
        ["contact.phone client.x to_amo", "contact.phone client.x to_salebot"],
        ["contact.field.\"Город\" client.x", "contact.field.\"город\" client.x"],
    ] {
        let faults = check(&pairs("", &written)).unwrap_err();
        assert_eq!((faults.count(), faults.list()[0].path.as_str()), (1, "bridge[0].field[1]"), "{faults}");
        assert!(faults.list()[0].message.contains("already mapped"), "{faults}");
    }
}

#[test]
fn accepted_pairs() {
    for (before, written) in [
        ("", &["contact.field.1 client.id to_amo", "contact.field.2 client.tag to_amo"][..]),
        ("", &["lead.field.1 order.id to_amo"]),
        ("", &["lead.field.1 client.id to_amo"]),
        (NO_ORDERS, &["lead.price client.sum"]),
        ("", &["contact.name client.name", "lead.name order.name"]),
        ("", &["contact.phone client.phone", "contact.phone client.phone_two"]),
        ("", &["contact.name client.x to_amo", "contact.first_name client.x to_salebot"]),
        ("", &["contact.name client.x", "contact.name client.y to_salebot"]),
        ("", &["contact.field.1.city client.city", "contact.field.1.zip client.zip"]),
        ("", &["contact.field.\"Должность\" client.должность"]),
    ] {
        let config = accept(&pairs(before, written));
        assert_eq!(config.bridges[0].policy.rules.len(), written.len());
    }
}

#[test]
fn rules_keep_order_direction_and_owner() {
    let text = format!("{}owner = \"salebot\"\n", pairs("", &["contact.phone client.x", "lead.price client.y to_amo"]));
    let rules = accept(&text).bridges.remove(0).policy.rules;
    assert_eq!(rules[0].key(), "contact.phone=client.x");
    assert_eq!((rules[0].direction, rules[0].owner), (Direction::Both, Owner::Amo));
    assert_eq!((rules[1].direction, rules[1].owner), (Direction::ToAmo, Owner::Salebot));
}

#[test]
fn stages_are_checked() {
    const ROW: &str = "\n[[bridge.orders.stage]]\npipeline = 61\nstatus = 1001\n";
    let rows = accept(&format!("{SMALL}{ROW}state = 37\n{ROW}state = 38\n").replacen("61", "62", 1));
    assert_eq!(rows.bridges[0].policy.orders.stages.len(), 2);
    let twins = check(&format!("{SMALL}{ROW}state = 37\n{ROW}state = 38\n")).unwrap_err();
    assert_eq!((twins.count(), twins.list()[0].path.as_str()), (1, "bridge[0].orders.stage[1]"));
    assert!(twins.list()[0].message.contains("pipeline 61 with status 1001"));
    assert_fault(
        &format!("{SMALL}{ROW}"),
        "bridge[0].orders.stage[0].state",
        "[[bridge.orders.stage]]",
        "for example: state = 37",
    );
    let zero = format!("{SMALL}{ROW}state = 0\n");
    assert_fault(&zero, "bridge[0].orders.stage[0].state", "state = 0", "a whole number from 1");
}

#[test]
fn triggers_are_checked() {
    let trigger = |lines: &str| format!("{SMALL}\n[[bridge.trigger]]\n{lines}\n");
    let config = accept(&trigger("on = \"lead.stage\"\npipeline = 61\nstatus = 1001\ncallback = \"moved\""));
    let read = &config.bridges[0].policy.triggers[0];
    assert_eq!((read.on, read.pipeline.unwrap().0, read.status.unwrap().0), (TriggerEvent::LeadStage, 61, 1001));
    accept(&trigger("on = \"contact.changed\"\ncallback = \"x\""));
    for (lines, key, line, says) in [
        ("on = \"lead.stages\"\ncallback = \"x\"", "on", "on = \"lead.stages\"", "did you mean \"lead.stage\"?"),
        ("on = \"lead.created\"", "callback", "[[bridge.trigger]]", "is required"),
        ("on = \"lead.created\"\ncallback = \"\"", "callback", "callback = \"\"", "must not be empty"),
        ("on = \"contact.created\"\ncallback = \"x\"\npipeline = 6", "pipeline", "pipeline = 6", "filters leads"),
        ("on = \"contact.changed\"\ncallback = \"x\"\nstatus = 6", "status", "status = 6", "filters leads"),
        ("on = \"lead.stage\"\ncallback = \"x\"\nstatus = -6", "status", "status = -6", "a whole number from 1"),
    ] {
        assert_fault(&trigger(lines), &format!("bridge[0].trigger[0].{key}"), line, says);
    }
    let twice = trigger(
        "on = \"lead.created\"\ncallback = \"x\"\n\n[[bridge.trigger]]\non = \"lead.created\"\ncallback = \"x\"",
    );
    let faults = check(&twice).unwrap_err();
    assert_eq!((faults.count(), faults.list()[0].path.as_str()), (1, "bridge[0].trigger[1]"), "{faults}");
}

#[test]
fn load_clients_has_its_channel() {
    let text = set("bridge.salebot", "create_with = { group_id = \"34810\", client_type = 6 }");
    let config = accept(&set_in(&text, "bridge.people", "create_client = \"load_clients\""));
    let channel = config.bridges[0].policy.people.create_with.clone().unwrap();
    assert_eq!((channel.group_id.as_str(), channel.client_type), ("34810", 6));
}

#[test]
fn bridges_have_different_names_and_secrets() {
    let second = SMALL.replace("\"shop\"", "\"second\"").replace("MARKER-salebot-webhook", "another-webhook-secret");
    assert_eq!(accept(&format!("{SMALL}\n{second}")).bridges.len(), 2);
    let same_secret = format!("{SMALL}\n{}", SMALL.replace("\"shop\"", "\"second\""));
    let faults = check(&same_secret).unwrap_err();
    assert_eq!((faults.count(), faults.list()[0].path.as_str()), (1, "bridge[1].salebot.webhook_secret"), "{faults}");
    let same_name = format!("{SMALL}\n{}", second.replace("second", "shop"));
    let faults = check(&same_name).unwrap_err();
    assert_eq!((faults.count(), faults.list()[0].path.as_str()), (1, "bridge[1].name"), "{faults}");
    assert!(faults.list()[0].message.contains("bridge[0].name"));
}
