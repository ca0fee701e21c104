//! The report: all faults at once, in order, each under its line.

use super::*;

#[test]
fn all_faults_come_in_one_report_by_line() {
    let text = r#"[http]
listen = "8080"
lisen = "x"

[log]
level = "loud

[[bridge]]
name = "Shop"
[bridge.amo]
url = "example.amocrm.ru"
requests_per_second = 9
sweep = "0 3 * * *"
[bridge.salebot]
webhook_secret = "short"
[[bridge.field]]
amo = "contact.colour"
salebot = "client.id"
[bridge.notes]
on = ["contct"]
join_within = = "1h"
"#;
    let faults = check(text).unwrap_err();
    let found: Vec<_> = faults.list().iter().map(|fault| (fault.line, fault.path.as_str())).collect();
    let expected = [
        (2, "http.listen"),
        (3, "http.lisen"),
        (6, ""),
        (9, "bridge[0].name"),
        (10, "bridge[0].amo.token"),
        (11, "bridge[0].amo.url"),
        (12, "bridge[0].amo.requests_per_second"),
        (13, "bridge[0].amo.sweep"),
        (14, "bridge[0].salebot.api_key"),
        (15, "bridge[0].salebot.webhook_secret"),
        (17, "bridge[0].field[0].amo"),
        (20, "bridge[0].notes.on[0]"),
        (21, ""),
    ];
    assert_eq!(found, expected, "{faults}");
}

#[test]
fn a_fault_is_drawn_under_its_line() {
    let text = set("bridge.amo", "poll_leads = \"*/10 * * * *\"");
    let drawn = check(&text).unwrap_err().to_string();
    let expected = r#"error: bridge[0].amo.poll_leads: has five fields: it lacks the seconds
 --> shop.toml:5:14
  |
5 | poll_leads = "*/10 * * * *"
  |              ^^^^^^^^^^^^^^
  |
  = help: put seconds in front: 0 */10 * * * *

shop.toml: 1 fault"#;
    assert_eq!(drawn, expected);
}

#[test]
fn a_secret_is_drawn_as_stars() {
    let text = set("bridge.amo", "webhook_secret = \"hunter2\"");
    let drawn = check(&text).unwrap_err().to_string();
    assert!(drawn.contains("| webhook_secret = *********\n"), "{drawn}");
}

#[test]
fn colours_only_when_asked_for() {
    let faults = check("x = 1").unwrap_err();
    assert!(!faults.render(false).contains('\u{1b}'));
    assert!(faults.render(true).contains('\u{1b}'));
}

#[test]
fn a_lost_line_is_not_reported_twice() {
    let text = SMALL.replace("name = \"shop\"", "name = \"shop");
    let faults = check(&text).unwrap_err();
    assert_eq!((faults.count(), faults.list()[0].line), (1, 2), "{faults}");
}

#[test]
fn a_fault_of_syntax_hides_no_other() {
    let text = set("bridge.amo", "requests_per_second = 9").replace("name = \"shop\"", "name = \"shop");
    let lines: Vec<_> = check(&text).unwrap_err().list().iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [2, 5]);
}

#[test]
fn keys_defined_twice_are_refused() {
    let text = SMALL.replace("name = \"shop\"", "name = \"shop\"\nname = \"shop\"");
    let faults = check(&text).unwrap_err();
    assert_eq!((faults.count(), faults.list()[0].line), (1, 3), "{faults}");
}

#[test]
fn required_tables_and_bridges_are_asked_for() {
    for (text, path, says) in [
        ("", "bridge", "[[bridge]]"),
        ("bridge = []", "bridge", "[[bridge]]"),
        ("[bridge]\nname = \"x\"", "bridge", "double brackets"),
    ] {
        let faults = check(text).unwrap_err();
        assert_eq!((faults.count(), faults.list()[0].path.as_str()), (1, path), "{faults}");
        assert!(faults.to_string().contains(says), "{faults}");
    }
    let faults = check("[[bridge]]").unwrap_err();
    let paths: Vec<_> = faults.list().iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["bridge[0].name", "bridge[0].amo", "bridge[0].salebot"], "{faults}");
}

#[test]
fn a_report_has_an_end() {
    let text: String = (0..1000).map(|number| format!("key{number} = 1\n")).collect();
    let faults = check(&text).unwrap_err();
    assert_eq!((faults.count(), faults.list().len()), (1001, super::super::SHOWN_MAX));
    assert!(faults.to_string().ends_with("shop.toml: 1001 faults, of which the first 200 are shown"));
}

#[test]
fn overlong_lines_are_named_but_not_quoted() {
    let faults = check(&format!("x = 1\ny = \"{}\"\n", "=".repeat(100_000))).unwrap_err();
    let drawn = faults.to_string();
    assert!(drawn.contains("--> shop.toml:2") && !drawn.contains("===="), "{drawn}");
}
