//! `/metrics` of the running daemon, and the alerts and the dashboard that read it.

use super::{Place, SECRET, TOKEN, client, found_town};
use salebridge::app::town::BRIDGE;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

#[tokio::test]
async fn metrics_tell_what_was_done_and_every_alert_has_what_it_reads() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let token = "metrics-0123456789abcdef";
    let text = place.config.text().replace("[http]\n", &format!("[http]\nmetrics_token = \"{token}\"\n"));
    let text = text.replace("[bridge.salebot]\n", "[bridge.salebot]\ndaily_budget = 100000\n");
    place.write(&text);
    let daemon = place.start();
    town.deliver_to(&place.hook(SECRET)).expect("a client");
    place.ready().await;
    town.enter(0, 0).expect("a regular");
    town.writes(0, 0, "Где мой заказ?").expect("a person");
    super::eventually("the note is there", || async { town.look(|amo, _| amo.notes().count() == 1) }).await;
    place.idle().await;

    let (status, text) = place.get("/metrics").await.expect("an answer");
    assert_eq!(status, 200);
    assert_eq!(faults_of(&text), Vec::<String>::new(), "{text}");
    let value = |series: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok());
        found.unwrap_or_else(|| panic!("{series} is missing:\n{text}"))
    };
    let of = |name: &str| value(&format!("salebridge_{name}{{bridge=\"{BRIDGE}\"}}"));
    assert_eq!(value("salebridge_webhooks_total{outcome=\"stored\"}"), 1.0);
    let done = |action: &str| {
        value(&format!("salebridge_actions_total{{bridge=\"{BRIDGE}\",action=\"{action}\",outcome=\"done\"}}"))
    };
    assert_eq!(done("add_note"), 1.0);
    assert!(done("save_variables") >= 1.0);
    let answered = value(&format!("salebridge_requests_total{{bridge=\"{BRIDGE}\",lane=\"amo\",status=\"2xx\"}}"));
    assert!(answered > 3.0, "{answered}");
    assert!(value("salebridge_store_commits_total ") >= 1.0);
    assert!(value("salebridge_store_commit_seconds_total ") > 0.0);
    let waiting = [of("driven"), of("dead_letters"), of("inbox_bodies"), of("outbox_actions"), of("unproven_seconds")];
    assert_eq!(waiting, [1.0, 0.0, 0.0, 0.0, 0.0]);
    assert!(of("links") >= 1.0);
    for secret in [TOKEN, SECRET, token, "Где мой заказ", "+7"] {
        assert!(!text.contains(secret), "{secret} stands in the metrics");
    }

    // What a proxy forwards comes from elsewhere.
    let forwarded = || client().get(place.url("/metrics")).header("x-forwarded-for", "203.0.113.7");
    assert_eq!(forwarded().send().await.expect("an answer").status(), 403);
    assert_eq!(forwarded().bearer_auth(token).send().await.expect("an answer").status(), 200);

    let told: BTreeSet<String> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line[..line.find(['{', ' '])?].to_owned()))
        .collect();
    // Of what does not happen in a quiet hour there is no sample.
    let unseen = ["salebridge_token_end_timestamp_seconds"];
    for expression in expressions() {
        for name in names(&expression) {
            assert!(
                told.contains(&name) || unseen.contains(&name.as_str()),
                "{expression} reads {name}, which is not told"
            );
        }
    }
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

/// What OpenMetrics' text form does not allow: a sample without its family's type, a series twice, a value that is no
/// number, a missing end (OpenMetrics 1.0, "Text format").
fn faults_of(text: &str) -> Vec<String> {
    let (mut families, mut series, mut faults) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.split(' ');
            if let (Some("TYPE"), Some(family)) = (words.next(), words.next())
                && !families.insert(family)
            {
                faults.push(format!("{family} has two types"));
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_default();
        let family = name.split('{').next().unwrap_or_default();
        let suffixes = ["", "_total", "_bucket", "_sum", "_count", "_info"];
        let is_typed =
            suffixes.iter().any(|suffix| family.strip_suffix(suffix).is_some_and(|it| families.contains(it)));
        let is_whole = name.contains('{') == name.ends_with('}') && name.matches('"').count() % 2 == 0;
        if !is_typed || !is_whole || value.parse::<f64>().is_err() || !series.insert(name) {
            faults.push(line.to_owned());
        }
    }
    if !text.ends_with("# EOF\n") {
        faults.push("it does not end with # EOF".to_owned());
    }
    faults
}

/// Of all alerts and panels.
fn expressions() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("the file");
    let alerts: Value = serde_yaml_ng::from_str(&read("alerts.yml")).expect("YAML");
    let rules = alerts["groups"].as_array().into_iter().flatten().flat_map(|group| group["rules"].as_array());
    let rules: Vec<&Value> = rules.flatten().collect();
    assert!(rules.len() >= 8);
    for rule in &rules {
        for part in ["alert", "expr", "for"] {
            assert!(rule[part].is_string(), "{rule} lacks {part}");
        }
        assert!(rule["annotations"]["action"].is_string(), "{rule} does not say what to do");
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        for language in ["en", "ru"] {
            let page = std::fs::read_to_string(page.join(language).join("monitoring.md")).expect("the page");
            assert!(
                page.contains(rule["alert"].as_str().unwrap_or("?")),
                "{rule} is not in docs/{language}/monitoring.md"
            );
        }
    }
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let all = rules.iter().copied().chain(targets);
    all.map(|one| one["expr"].as_str().expect("an expression").replace("$bridge", ".*")).collect()
}

/// The metrics that an expression reads.
fn names(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("salebridge_")).map(str::to_owned).collect()
}
