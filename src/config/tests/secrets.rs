//! Secrets: the three forms, and that none is ever shown.

use super::super::{StoreUrl, load};
use super::*;
use proptest::prelude::*;
use secrecy::ExposeSecret;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

/// Writes a file that its owner alone may read.
fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
    std::fs::set_permissions(folder.join(name), Permissions::from_mode(0o600)).unwrap();
}

fn variables(name: &str) -> Option<String> {
    match name {
        "SALEBOT_KEY" => Some("key-from-variable".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

/// A configuration in a folder of its own, with the token in a file and the key in a variable.
fn elsewhere() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let text = SMALL
        .replace("\"MARKER-amo-token\"", "{ file = \"token\" }")
        .replace("\"MARKER-salebot-key\"", "{ env = \"SALEBOT_KEY\" }");
    write(folder.path(), "shop.toml", &text);
    write(folder.path(), "token", "token-from-file\r\n");
    let path = folder.path().join("shop.toml");
    (folder, path)
}

#[test]
fn secrets_come_from_files_and_variables() {
    let (_folder, path) = elsewhere();
    let config = load(&path, &Checks::new(&variables, now())).unwrap();
    let bridge = &config.bridges[0];
    assert!(matches!(&bridge.amo.auth, crate::config::AmoAuth::Token(t) if t.expose_secret() == "token-from-file"));
    assert_eq!(bridge.salebot.api_key.expose_secret(), "key-from-variable");
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn what_others_may_read_is_warned_of() {
    let (folder, path) = elsewhere();
    for name in ["token", "shop.toml"] {
        std::fs::set_permissions(folder.path().join(name), Permissions::from_mode(0o644)).unwrap();
    }
    let config = load(&path, &Checks::new(&variables, now())).unwrap();
    assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
    assert!(config.warnings[0].starts_with("bridge[0].amo.token.file: "), "{:?}", config.warnings);
    assert!(config.warnings[1].contains("shop.toml"), "{:?}", config.warnings);
}

#[test]
fn secrets_that_cannot_be_read_are_named_by_their_place() {
    let (folder, path) = elsewhere();
    std::fs::remove_file(folder.path().join("token")).unwrap();
    let faults = load(&path, &Checks::new(&no_variables, now())).unwrap_err();
    let told: Vec<_> = faults.list().iter().map(|fault| (fault.path.as_str(), fault.message.as_str())).collect();
    let [(token, file), (key, variable)] = told[..] else { panic!("{faults}") };
    assert_eq!((token, key), ("bridge[0].amo.token.file", "bridge[0].salebot.api_key.env"));
    assert!(file.contains("token cannot be opened"), "{file}");
    assert_eq!(variable, "the environment variable SALEBOT_KEY is not set");
    load(&path, &Checks::new(&no_variables, now()).secrets(Secrets::Shape)).unwrap();
}

#[test]
fn empty_and_overlong_secrets_are_refused() {
    let (folder, path) = elsewhere();
    for (content, says) in [("\n".to_owned(), "is empty"), ("x".repeat(65 * 1024), "longer than 64 KiB")] {
        write(folder.path(), "token", &content);
        let faults = load(&path, &Checks::new(&variables, now())).unwrap_err();
        assert!(faults.list()[0].message.contains(says), "{faults}");
    }
    assert_fault(
        &set("bridge.amo", "token = { env = \"\" }"),
        "bridge[0].amo.token.env",
        "token = { env = \"\" }",
        "must not be empty",
    );
    let text = SMALL.replace("\"MARKER-amo-token\"", "{ env = \"EMPTY\" }");
    let faults = check_text("shop.toml", Path::new(""), &text, &Checks::new(&variables, now())).unwrap_err();
    assert_eq!(faults.list()[0].message, "is empty");
}

#[test]
fn the_store_may_stand_elsewhere() {
    let text = set("store", "url = { env = \"DATABASE\" }");
    assert!(matches!(check_shape(&text).unwrap().store, StoreUrl::Unread));
    let database = |_: &str| Some("postgres://user:MARKER@host/db".to_owned());
    let config = check_text("shop.toml", Path::new(""), &text, &Checks::new(&database, now())).unwrap();
    assert!(!format!("{config:?}").contains("MARKER"));
    assert!(matches!(config.store, StoreUrl::Postgres(_)));
}

#[test]
fn files_that_are_no_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let checks = Checks::new(&no_variables, now());
    let missing = load(&folder.path().join("none.toml"), &checks).unwrap_err();
    assert!(missing.to_string().contains("--config"), "{missing}");
    write(folder.path(), "long.toml", &"# long\n".repeat(160_000));
    assert!(load(&folder.path().join("long.toml"), &checks).unwrap_err().to_string().contains("1 MiB"));
    std::fs::write(folder.path().join("binary.toml"), b"# a\n\xff").unwrap();
    assert!(load(&folder.path().join("binary.toml"), &checks).unwrap_err().to_string().contains("line 2 is not UTF-8"));
}

#[test]
fn debug_shows_no_secret() {
    let text = set_in(SMALL, "bridge.amo", "webhook_secret = \"MARKER-amo-webhook\"");
    let text = set_in(&text, "bridge.salebot", "functions_token = \"MARKER-functions\"");
    let config = accept(&text);
    assert!(!format!("{config:?} {config:#?}").contains("MARKER"));
}

/// A configuration in which every secret holds `MARKER`.
const FULL: &str = r#"[store]
url = "postgres://user:MARKERMARKER@host/db"

[[bridge]]
name = "shop"

[bridge.amo]
url = "https://example.amocrm.ru"
webhook_secret = "MARKERMARKERMARKERa"

[bridge.amo.oauth]
client_id = "id"
client_secret = "MARKERMARKERMARKER"
redirect_uri = "https://example.test/oauth"

[bridge.salebot]
api_key = 'MARKERMARKERMARKER'
functions_token = """MARKERMARKERMARKER"""
webhook_secret = "MARKERMARKERMARKERb"
people = { api_key = "MARKERMARKERMARKER" }
"#;

/// Asserts that neither form of the report holds a secret or the better part of one.
fn assert_silent(text: &str) {
    if let Err(faults) = check(text) {
        for shown in [faults.to_string(), faults.render(true), format!("{faults:?}")] {
            assert!(!shown.contains("MARK") && !shown.contains("RKER"), "{shown}");
        }
    }
}

#[test]
fn a_key_that_a_lost_quote_made_of_a_secret_is_not_named() {
    let text = FULL.replace("webhook_secret = \"MARKERMARKERMARKERb\"", "webhook_secret = {\"MARKERMARKERMARKERb\"");
    let text = text.replace("api_key = 'MARKERMARKERMARKER'", "api_key = 'MARKER\nMARKERMARKER'");
    assert_silent(&text);
}

#[test]
fn faults_show_no_secret_wherever_a_sign_is_lost() {
    let at = FULL.char_indices().map(|(at, _)| at);
    for at in at.collect::<Vec<_>>() {
        let mut text = FULL.to_owned();
        let lost = text.remove(at);
        assert_silent(&text);
        for other in ["\"", "\n", "=", "[", "{", "#"] {
            if !other.contains(lost) {
                text.insert_str(at, other);
                assert_silent(&text);
                text.remove(at);
            }
        }
        assert_silent(&FULL[..at]);
    }
}

#[test]
fn lines_that_run_together_show_no_secret() {
    assert_silent(&FULL.replace("\"id\"\nclient_secret = \"", "\"id client_secret = "));
    assert_silent(&FULL.replace("\"shop\"\n\n[bridge.amo]", "\"shop [bridge.amo]"));
}

#[test]
fn secrets_under_wrong_keys_or_in_wrong_forms_are_hidden() {
    for (section, line) in [
        ("bridge.amo", "tokne = \"MARKER\""),
        ("bridge.salebot", "api_key = { value = \"MARKER\" }"),
        ("bridge.salebot", "api_key = [\"MARKER\"]"),
        ("bridge.salebot", "api_key = \"MARKER with spaces\""),
        ("bridge.salebot", "webhook_secret = \"MARKER\""),
        ("bridge.people", "create_contact = { api_key = \"MARKER\" }"),
        ("store", "url = \"mysql://user:MARKER@host\""),
        ("http", "public_url = \"https://user:MARKER@host\""),
        ("bridge", "guard = \"MARKER\""),
    ] {
        let text = set(section, line);
        assert!(check(&text).is_err(), "{line}");
        assert_silent(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn faults_show_no_secret_whatever_happens_to_the_file(
        edits in prop::collection::vec((0..FULL.len(), 0..2usize, "[\"'=\\n\\[\\]{},.# a]"), 1..4),
    ) {
        let mut text = FULL.to_owned();
        for (at, removed, inserted) in edits {
            let start = at.min(text.len());
            let end = (start + removed).min(text.len());
            text.replace_range(start..end, &inserted);
        }
        assert_silent(&text);
    }

    #[test]
    fn no_text_breaks_the_check(text in "[\\PC\\n\"=\\[\\]{}]{0,200}") {
        if let Err(faults) = check(&text) {
            prop_assert!(faults.count() > 0 && !faults.to_string().is_empty());
        }
    }
}
