//! Commands that need no daemon: configuration, sandbox, demo.

use super::{Daemon, Place, eventually, salebridge, text};
use std::fs::File;
use std::process::Stdio;

#[test]
fn a_faulty_configuration_ends_with_78_and_all_faults() {
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    place.write(
        &place
            .config
            .text()
            .replace("[bridge.notes]", "[bridge.nots]")
            .replace("direction = \"to_amo\"", "direction = \"up\""),
    );
    let output = place.command(&["run"]).output().expect("the command runs");
    assert_eq!(output.status.code(), Some(78));
    let told = text(&output);
    for part in ["nots", "direction", "salebridge.toml"] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    assert!(!told.contains(super::TOKEN) && !told.contains(super::SECRET), "{told}");
}

#[test]
fn a_missing_configuration_says_how_to_name_one() {
    let output = salebridge().args(["--config", "/nonexistent/salebridge.toml", "run"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output).contains("--config"), "{}", text(&output));
}

#[test]
fn default_configuration_and_schema_can_be_read() {
    let default = salebridge().args(["config", "default"]).output().expect("it runs");
    assert!(default.status.success());
    let read: toml::Table = String::from_utf8(default.stdout).expect("UTF-8").parse().expect("TOML");
    assert!(read.contains_key("bridge"));
    let schema = salebridge().args(["config", "schema"]).output().expect("it runs");
    assert!(schema.status.success());
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).expect("JSON");
    assert!(schema["properties"]["bridge"].is_object());
}

#[test]
fn no_command_is_a_question_of_usage() {
    assert_eq!(salebridge().output().expect("it runs").status.code(), Some(2));
}

#[tokio::test]
async fn the_sandbox_prints_a_configuration_that_is_sound() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (out, faults) = (folder.path().join("out.txt"), folder.path().join("faults.toml"));
    std::fs::write(&faults, "[[fault]]\nkind = \"slow\"\nms = 1\n").expect("a file");
    let mut command = salebridge();
    command
        .args(["sandbox", "--amo-port", "0", "--salebot-port", "0", "--people", "10", "--chatter", "--faults"])
        .arg(&faults);
    let child = command.stdin(Stdio::null()).stdout(File::create(&out).expect("a file")).spawn().expect("it starts");
    let sandbox = Daemon { child };
    let printed = || std::fs::read_to_string(&out).unwrap_or_default();
    eventually("it has told everything", || async { printed().contains("Ctrl-C ends it.") }).await;
    let text = printed();
    let config =
        text.split("A configuration for it:").nth(1).and_then(|rest| rest.split("Ctrl-C").next()).expect("one");
    let file = folder.path().join("salebridge.toml");
    std::fs::write(&file, config).expect("a file");
    let checked = salebridge().arg("--config").arg(&file).args(["config", "check"]).output().expect("it runs");
    assert!(checked.status.success(), "{}", super::text(&checked));
    assert_eq!(sandbox.stop().await.code(), Some(0));
}

#[test]
fn a_script_of_faults_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let faults = folder.path().join("faults.toml");
    std::fs::write(&faults, "[[fault]]\nkind = \"gone\"\n").expect("a file");
    let arguments = ["sandbox", "--amo-port", "0", "--salebot-port", "0", "--faults"];
    let output = salebridge().args(arguments).arg(&faults).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("faults.toml"), "{}", text(&output));
}

#[test]
fn the_demo_keeps_every_promise() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let keep = folder.path().join("demo");
    let output = salebridge().args(["demo", "--seed", "7", "--people", "20", "--keep"]).arg(&keep).output();
    let output = output.expect("it runs");
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("Every promise was kept."), "{told}");
    assert!(!told.contains('\u{1b}') && !told.contains('✗'), "{told}");
    let log = std::fs::read_to_string(keep.join("salebridge.log")).expect("the log stays");
    for secret in ["sandbox-token", "demo-0123456789abcdef", "5a1eb0750000", "Здравствуйте", "Всем привет"]
    {
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
    // A demo begins with an empty database.
    let again = salebridge().args(["demo", "--people", "20", "--keep"]).arg(&keep).output().expect("it runs");
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again).contains("empty folder"), "{}", text(&again));
}

#[test]
fn completions_and_manual_pages_are_printed() {
    let completions = salebridge().args(["completions", "bash"]).output().expect("it runs");
    assert!(completions.status.success() && text(&completions).contains("dead-letters"));
    assert_eq!(salebridge().args(["completions", "tea"]).output().expect("it runs").status.code(), Some(2));
    let page = salebridge().arg("man").output().expect("it runs");
    assert!(page.status.success() && text(&page).contains(".TH salebridge 1"), "{}", text(&page));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pages = folder.path().join("man1");
    assert!(salebridge().args(["man", "--dir"]).arg(&pages).output().expect("it runs").status.success());
    let check = std::fs::read_to_string(pages.join("salebridge-config-check.1")).expect("a page for each command");
    assert!(check.contains("no\\-secrets"), "{check}");
}

#[tokio::test]
async fn a_watched_status_is_plain_blocks_in_a_pipe() {
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    assert!(place.command(&["migrate"]).output().expect("it runs").status.success());
    let out = place.path().join("watched.txt");
    let mut command = place.command(&["status", "--watch", "1"]);
    let child = command.stdin(Stdio::null()).stdout(File::create(&out).expect("a file")).spawn().expect("it starts");
    let watch = Daemon { child };
    let printed = || std::fs::read_to_string(&out).unwrap_or_default();
    eventually("two blocks", || async { printed().matches("One thing needs you:").count() >= 2 }).await;
    assert!(!printed().contains('\u{1b}'), "{}", printed());
    super::signal(&watch.child, "INT");
    let mut watch = watch;
    assert_eq!(watch.ended().await.code(), Some(0));
    let both = place.command(&["status", "--watch", "--json"]).output().expect("it runs");
    assert_eq!(both.status.code(), Some(2));
}
