//! A full run with everything logged: what is said outside holds no secret and nothing of people.

use super::hooks::AMO_SECRET;
use super::{Place, SECRET, TOKEN, eventually, found_town, oauth, text};
use rstest::rstest;
use salebridge::app::town::BRIDGE;
use salebridge::sandbox::amo::fixture::FIELD_POSITION;
use salebridge::sandbox::faults::{Fault, ScriptedFault, ServiceName};
use salebridge::sandbox::salebot::options::DEFAULT_KEY;
use salebridge::sandbox::salebot::state::Attachment;
use salebridge::sandbox::town::Town;

/// What a person wrote.
const WORDS: &str = "слова только для двоих";
/// What a manager typed.
const POSITION: &str = "Технический директор";
/// In the address of a file: whoever has it owns the bot.
const BOT_TOKEN: &str = "7000000001:AAsyntheticsyntheticsyntheticsynth";
/// A guess at the webhook's secret; a real secret may be mistyped like this.
const GUESS: &str = "blackbox-guess-0123456789abcdef";
/// In a body that nobody can read.
const BROKEN: &str = "нечитаемое письмо";

/// Everything that may not be said, with what it is.
fn unsayable(town: &Town) -> Vec<(&'static str, String)> {
    let fixed = [
        ("the token", TOKEN),
        ("the key", DEFAULT_KEY),
        ("the webhook's secret", SECRET),
        ("the secret of amoCRM's webhook", AMO_SECRET),
        ("a guessed secret", GUESS),
        ("a message", WORDS),
        ("a value", POSITION),
        ("a bot's token", BOT_TOKEN),
        ("an unreadable body", BROKEN),
        ("a phone number as typed", "+7 999"),
        ("a phone number", "7999000"),
    ];
    let mut all: Vec<(&'static str, String)> = fixed.map(|(what, text)| (what, text.to_owned())).into();
    for person in &town.cast().people {
        all.push(("a person's name", person.name.clone()));
        all.extend(person.phone.clone().map(|phone| ("a person's phone number", phone)));
        all.extend(person.email.clone().map(|email| ("a person's e-mail address", email)));
    }
    all
}

/// Messages, files, values, lost answers, refusals, errors of the gateway, and bodies nobody can read.
async fn live(town: &Town, place: &Place) {
    for fault in [Fault::LostAnswer, Fault::Truncated, Fault::Html { code: 502 }] {
        town.spoil(ScriptedFault::once(ServiceName::Amo, fault).on("/contacts").by("GET"));
    }
    let refusal = Fault::Status { code: 400, body: Some(format!("{{\"detail\":\"{WORDS}\"}}")), retry_after: None };
    town.spoil(ScriptedFault::once(ServiceName::Salebot, refusal));
    let file =
        Attachment { url: format!("https://api.telegram.org/file/bot{BOT_TOKEN}/photo.jpg"), kind: "image".into() };
    for person in 0..town.cast().people.len() {
        let client = town.enter(person, 0).expect("a person");
        town.salebot(|salebot, now_ms| salebot.person_writes(now_ms, client, Some(WORDS), std::slice::from_ref(&file)));
    }
    for contact in town.cast().contacts.clone() {
        town.amo(|amo, now_ms| amo.set_contact_text(now_ms, contact, FIELD_POSITION, POSITION));
    }
    assert_eq!(place.post(&place.hook(GUESS), WORDS.into()).await, Some(404));
    let amo_hook = |secret: &str| place.url(&format!("/hooks/amo/{BRIDGE}/{secret}"));
    assert_eq!(place.post(&amo_hook(GUESS), WORDS.into()).await, Some(404));
    let hints = [format!("contacts[update][0][id]=1&contacts[update][0][name]={WORDS}"), BROKEN.to_owned()];
    for body in hints {
        assert_eq!(place.post(&amo_hook(AMO_SECRET), body.into()).await, Some(200));
    }
    for body in [BROKEN.to_owned(), format!("{{\"client\":{{\"id\":\"{BROKEN}\"}}}}"), format!("{{\"{BROKEN}\":")] {
        assert_eq!(place.post(&place.hook(SECRET), body.into()).await, Some(200));
    }
    let people = town.cast().people.len();
    let notes = || async { town.look(|amo, _| amo.notes().count()) >= people };
    eventually("everybody's words are in a note", notes).await;
    // Without its token the bridge has much to say.
    town.amo(|amo, _| amo.revoke_token());
    eventually("the token is missed", || async { !place.is_ready().await }).await;
    town.amo(|amo, _| amo.set_token(TOKEN));
}

/// What commands and health pages say.
async fn said(place: &Place) -> String {
    let mut said = String::new();
    let hooks = [["hooks", "status"].as_slice(), &["hooks", "install"], &["hooks", "status"]];
    for arguments in hooks {
        said.push_str(&text(&place.command(arguments).output().expect("the command runs")));
    }
    for arguments in [["status", "--json"].as_slice(), &["status"], &["config", "check"], &["migrate"]] {
        said.push_str(&text(&place.command(arguments).output().expect("the command runs")));
    }
    for path in ["/health/live", "/health/ready", "/health", "/metrics", &format!("/hooks/{SECRET}")] {
        said.extend(place.get(path).await.map(|(_, body)| body));
    }
    said
}

#[rstest]
#[case("debug", "text")]
#[case("trace", "json")]
#[case("trace", "text")]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_said(#[case] level: &str, #[case] format: &str) {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let amo = format!("[bridge.amo]\nwebhook_secret = \"{AMO_SECRET}\"\n");
    let http = format!("[http]\npublic_url = \"http://127.0.0.1:{}\"\n", place.port);
    let config = place.config.text().replace("[bridge.amo]\n", &amo).replace("[http]\n", &http);
    place.write_logging(level, format, &config);
    let daemon = place.start();
    town.deliver_to(&place.hook(SECRET)).expect("a client");
    place.ready().await;
    live(&town, &place).await;
    let mut everything = said(&place).await;
    daemon.kill();
    // A rescue after a crash has words of its own.
    let daemon = place.start();
    place.live().await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    everything.push_str(&place.logged());
    assert!(everything.contains("salebridge listens") && everything.contains("DEBUG"), "{everything}");
    for (what, secret) in unsayable(&town) {
        let line = everything.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "{what} was said");
    }
    let notes = town.look(|amo, _| amo.notes().map(|note| note.words().to_owned()).collect::<String>());
    assert!(notes.contains(WORDS) && !notes.contains(BOT_TOKEN), "{notes}");
    town.close().await;
}

/// Nothing that opens an account is said: not the secret of the integration, no code, no token in force or out of it.
#[rstest]
#[case("json")]
#[case("text")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_of_oauth_is_said(#[case] format: &str) {
    let (town, place) = oauth::found(8).await;
    place.write_logging("trace", format, &oauth::authorising(&place, &town));
    let mut everything = String::new();
    let daemon = place.start();
    place.live().await;
    let mut secrets = vec![town.look(|amo, _| amo.options().oauth.client_secret.clone())];
    secrets.push(place.login().await);
    place.ready().await;
    for fault in [Fault::LostRequest, Fault::Html { code: 401 }, Fault::Truncated] {
        town.spoil(ScriptedFault::once(ServiceName::Amo, fault).on("/oauth2/access_token"));
    }
    eventually("the token is lost", || async { place.status()["token"]["state"] == "refused" }).await;
    everything.push_str(&said(&place).await);
    for pasted in ["def502-wrong-code", "https://x.test/?code=def502-wrong-code&state=x&referer=y"] {
        everything.push_str(&text(&place.said(&["auth", "login", "--code", pasted])));
    }
    for arguments in [["auth", "status"].as_slice(), &["auth", "status", "--json"], &["auth", "import", "/nowhere"]] {
        everything.push_str(&text(&place.said(arguments)));
    }
    secrets.push(place.login().await);
    place.ready().await;
    town.amo(|amo, _| amo.revoke_tokens());
    eventually("access is taken away", || async { place.status()["token"]["state"] == "refused" }).await;
    everything.push_str(&said(&place).await);
    assert_eq!(daemon.stop().await.code(), Some(0));
    everything.push_str(&place.logged());
    assert!(everything.contains("POST /oauth2/access_token 200"), "{everything}");
    let codes = secrets.iter().filter_map(|said| said.split("code=").nth(1)?.split('&').next()).map(str::to_owned);
    let all: Vec<String> = codes.chain([secrets[0].clone(), "eyJ".to_owned(), "def502".to_owned()]).collect();
    assert_eq!(all.len(), 5);
    for secret in all {
        assert_eq!(everything.lines().find(|line| line.contains(&secret)), None, "{secret} was said");
    }
    town.close().await;
}
