//! What people are told when something is in the way: each message names what to do.

use super::{Daemon, Place, SECRET, eventually, found_town, salebridge, signal, text};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The user that owns nothing.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id is there");
    output.stdout.starts_with(b"0\n")
}

fn ended(output: &Output, code: i32, parts: &[&str]) {
    let told = text(output);
    assert_eq!(output.status.code(), Some(code), "{told}");
    for part in parts {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    assert!(!told.contains(SECRET) && !told.contains(super::TOKEN), "{told}");
}

#[test]
fn a_missing_configuration_names_init() {
    let output = salebridge().args(["--config", "/nonexistent/salebridge.toml", "run"]).output().expect("it runs");
    ended(&output, 78, &["/nonexistent/salebridge.toml", "--config", "salebridge init"]);
}

#[test]
fn an_unreadable_configuration_names_the_user_to_be() {
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o000)).expect("our own file");
    let mut command = place.command(&["status"]);
    if is_root() {
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("our own folder");
        command.uid(NOBODY);
    }
    let parts = ["cannot be opened", "Permission denied", "sudo -u salebridge", "chown salebridge:", "0600"];
    ended(&command.output().expect("it runs"), 78, &parts);
}

#[test]
fn a_slip_in_a_choice_names_the_nearest_one() {
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    place.write(&place.config.text().replace("owner = \"salebot\"", "owner = \"salebto\""));
    let parts = ["owner = \"salebto\"", "did you mean \"salebot\"?", "1 fault"];
    ended(&place.command(&["run"]).output().expect("it runs"), 78, &parts);
}

#[test]
fn a_port_in_use_names_the_way_out() {
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    let taken = TcpListener::bind(("127.0.0.1", place.port)).expect("it was free");
    let parts = ["cannot listen on 127.0.0.1:", "stop what uses the port, or set http.listen to another one"];
    ended(&place.command(&["run"]).output().expect("it runs"), 1, &parts);
    drop(taken);
}

#[tokio::test]
async fn a_backfill_in_trouble_sends_to_doctor() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    place.write(&place.config.text().replace(super::TOKEN, "another-token"));
    let said = place.path().join("said.txt");
    let errors = fs::File::create(&said).expect("a file");
    let child = place.command(&["backfill"]).stdout(Stdio::null()).stderr(errors).spawn().expect("it starts");
    let mut backfill = Daemon { child };
    eventually("it says what to do", || async {
        let told = fs::read_to_string(&said).unwrap_or_default();
        told.contains("token is not accepted") && told.contains("what to do: salebridge doctor --bridge town")
    })
    .await;
    signal(&backfill.child, "TERM");
    assert_eq!(backfill.ended().await.code(), Some(75));
    place.write(&place.config.text().replace("contact.field.4396817", "contact.field.4396871"));
    let mut command = place.command(&["backfill", "--restart"]);
    let output = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic");
    let parts = ["Not all of town works: ", "contact.field.4396871", "what to do: salebridge doctor --bridge town"];
    ended(&output, 0, &parts);
    town.close().await;
}

#[test]
fn an_unreadable_secret_names_the_file_and_what_to_do() {
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    let secret = place.path().join("amo-token");
    let text =
        place.config.text().replace(&format!("token = \"{}\"", super::TOKEN), "token = { file = \"amo-token\" }");
    place.write(&text);
    ended(&place.command(&["run"]).output().expect("it runs"), 78, &["amo-token", "No such file", "mode 0600"]);
    fs::write(&secret, super::TOKEN).expect("a file");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).expect("our own file");
    let mut command = place.command(&["run"]);
    if is_root() {
        // Root reads everything: somebody else tries.
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("our own folder");
        command.uid(NOBODY);
    }
    ended(&command.output().expect("it runs"), 78, &["amo-token", "Permission denied", "chown salebridge", "0600"]);
    place.write(
        &place.config.text().replace(&format!("token = \"{}\"", super::TOKEN), "token = { env = \"NO_SUCH_NAME\" }"),
    );
    ended(&place.command(&["run"]).output().expect("it runs"), 78, &["NO_SUCH_NAME", "Environment="]);
    // A copy of systemd's is nothing that anybody puts there.
    let copy = "token = { file = \"/run/credentials/salebridge.service/amo-token\" }";
    place.write(&place.config.text().replace(&format!("token = \"{}\"", super::TOKEN), copy));
    let parts = ["amo-token", "systemctl start salebridge", "LoadCredential="];
    ended(&place.command(&["doctor"]).output().expect("it runs"), 78, &parts);
}

#[test]
fn a_database_of_somebody_else_is_no_damaged_one() {
    if !is_root() {
        eprintln!("skipped: only root can give a file to somebody else");
        return;
    }
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    let made = place.command(&["migrate"]).output().expect("it runs");
    assert!(made.status.success(), "{}", text(&made));
    // The folder and the configuration are the service's, the database is root's.
    for mine in [place.path().to_owned(), place.file()] {
        std::os::unix::fs::chown(mine, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    let output = place.command(&["doctor"]).uid(NOBODY).output().expect("it runs");
    let parts = ["salebridge.db may not be written by this user", "chown salebridge: ", "salebridge.db*"];
    ended(&output, 1, &parts);
    assert!(!text(&output).contains("put back"), "{}", text(&output));
    let output = place.command(&["run"]).uid(NOBODY).output().expect("it runs");
    ended(&output, 1, &["salebridge.db", "belongs to another user", "chown it to the user that runs the daemon"]);
}

#[test]
fn what_root_makes_in_the_services_folder_is_the_services() {
    if !is_root() {
        eprintln!("skipped: only root makes files for somebody else");
        return;
    }
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    std::os::unix::fs::chown(place.path(), Some(NOBODY), Some(NOBODY)).expect("root may");
    let made = place.command(&["migrate"]).output().expect("it runs");
    assert!(made.status.success(), "{}", text(&made));
    let files = fs::read_dir(place.path()).expect("our own folder").map(|entry| entry.expect("an entry"));
    let of_database = files.filter(|entry| entry.file_name().to_string_lossy().starts_with("salebridge.db"));
    let owners: Vec<u32> = of_database.map(|entry| entry.metadata().expect("it is there").uid()).collect();
    assert!(!owners.is_empty() && owners.iter().all(|owner| *owner == NOBODY), "{owners:?}");
}

#[tokio::test]
async fn a_wrong_key_and_a_wrong_field_stand_in_the_status_with_the_way_out() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    place.write(&place.config.text().replace(super::TOKEN, "another-token"));
    let daemon = place.start();
    eventually("status sends to doctor", || async {
        let told = text(&place.command(&["status"]).output().expect("it runs"));
        told.contains("token is not accepted") && told.contains("salebridge doctor --bridge town")
    })
    .await;
    daemon.kill();
    place.write(&place.config.text().replace("contact.field.4396817", "contact.field.4396871"));
    let daemon = place.start();
    eventually("the field is named", || async {
        let told = text(&place.command(&["status"]).output().expect("it runs"));
        told.contains("contact.field.4396871") && told.contains("salebridge doctor --bridge town")
    })
    .await;
    daemon.kill();
    town.close().await;
}

/// A file system of its own that is full.
struct Full<'a>(&'a Path);

impl Full<'_> {
    /// None where none can be mounted.
    fn mounted<'a>(folder: &'a Path, size: &str) -> Option<Full<'a>> {
        let size = format!("size={size}");
        let options = ["-t", "tmpfs", "-o", &size, "tmpfs"];
        let mounted = Command::new("mount").args(options).arg(folder).output().ok()?.status.success();
        mounted.then_some(Full(folder))
    }
}

impl Drop for Full<'_> {
    fn drop(&mut self) {
        // The folder goes with the machine's next start at the latest.
        let _ = Command::new("umount").arg(self.0).output();
    }
}

/// A place whose database has a folder of its own, and that folder.
fn with_folder() -> (Place, PathBuf) {
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    let folder = place.path().join("full");
    fs::create_dir(&folder).expect("a folder");
    place.write(&place.config.text().replace("salebridge.db", "full/salebridge.db"));
    (place, folder)
}

#[test]
fn a_disk_that_is_full_at_the_start_is_told_with_what_to_do() {
    let (place, folder) = with_folder();
    // Only root can mount one.
    let Some(_full) = is_root().then(|| Full::mounted(&folder, "8m")).flatten() else { return };
    ended(&place.command(&["migrate"]).output().expect("it runs"), 0, &["up to date"]);
    assert!(fs::write(folder.join("filling"), vec![0; 16 << 20]).is_err(), "there is room for it");
    for command in ["run", "status"] {
        ended(&place.command(&[command]).output().expect("it runs"), 1, &["disk is full", "make room"]);
    }
}

#[test]
fn a_full_disk_is_told_with_what_to_do() {
    let (place, folder) = with_folder();
    match is_root().then(|| Full::mounted(&folder, "64k")).flatten() {
        Some(_full) => {
            ended(&place.command(&["run"]).output().expect("it runs"), 1, &["disk is full", "make room"]);
            let output = place.command(&["doctor"]).output().expect("it runs");
            ended(&output, 1, &["✗ disk: 0 MiB free", "make room there"]);
        }
        None => {
            // No file may grow over 16 KiB, which is less than the schema needs.
            let mut command = Command::new("sh");
            command.args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$@\"", "sh"]);
            let run = place.command(&["run"]);
            let output = command.arg(run.get_program()).args(run.get_args()).output().expect("it runs");
            ended(&output, 1, &["salebridge.db"]);
        }
    }
}
