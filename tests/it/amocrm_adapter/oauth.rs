//! Tokens that renew themselves, over the simulated account: what is lost on the way, refused, renamed, or done by others.

use super::SkippingClock;
use async_trait::async_trait;
use rstest::rstest;
use salebridge::core::fault::{Fault, FaultKind};
use salebridge::core::time::Millis;
use salebridge::core::token::TokenState;
use salebridge::ports::env::Env;
use salebridge::ports::remote::{Amo as AmoPort, PageRequest, Priority};
use salebridge::ports::store::Store;
use salebridge::remote::amocrm::{
    AmoV2, AmoV4, Bearer, Integration, OAuth, OAuthParts, Pair, TokenSource, kept, obtain,
};
use salebridge::remote::http::{RawAnswer, RawRequest, Transport, TransportError};
use salebridge::remote::lane::{Lane, LaneOptions, LaneState};
use salebridge::sandbox::amo::options::AmoOptions;
use salebridge::sandbox::amo::options::oauth::{TokenForm, ToldHost};
use salebridge::sandbox::amo::{Amo, edit::ContactDraft};
use salebridge::sandbox::http::Request;
use salebridge::store::memory::MemoryStore;
use secrecy::ExposeSecret;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

const BRIDGE: &str = "shop";
const HOST: &str = "acme.amocrm.ru";
const TOKENS: &str = "/oauth2/access_token";
const DAY_S: i64 = 86_400;
/// What a request is told that waits for a token after the first failure.
const RESTS: FaultKind = FaultKind::Throttled { after_ms: Some(2_000) };

/// What happens to a request for tokens.
enum Fate {
    LostBefore,
    LostAfter,
    Answer(u16, &'static str),
}

/// Carries requests to the account, and looks into the store whenever a token is used.
struct Way {
    amo: Mutex<Amo>,
    clock: Arc<SkippingClock>,
    store: Arc<MemoryStore>,
    fates: Mutex<VecDeque<Fate>>,
    /// Requests for tokens wait here where it has no permits.
    gate: Semaphore,
    asked: Mutex<Vec<String>>,
}

impl Way {
    fn carried(&self, request: &Request) -> RawAnswer {
        let answer = self.amo.lock().unwrap().handle(self.clock.now().0, request);
        RawAnswer { status: answer.status, headers: answer.headers, body: answer.body }
    }
}

#[async_trait]
impl Transport for Way {
    async fn send(&self, request: RawRequest) -> Result<RawAnswer, TransportError> {
        let url = reqwest::Url::parse(request.url.expose_secret()).expect("an address");
        let mut headers: Vec<_> = request
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.expose_secret().to_owned()))
            .collect();
        headers.push(("host".to_owned(), url.host_str().expect("a host").to_owned()));
        let asked = Request {
            method: request.method.name().to_owned(),
            path: url.path().to_owned(),
            query: url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
            headers,
            body: request.body,
        };
        self.asked.lock().unwrap().push(format!("{}{}", url.host_str().unwrap_or_default(), asked.path));
        if asked.path != TOKENS {
            if let Some(token) = asked.header("authorization").and_then(|sent| sent.strip_prefix("Bearer ")) {
                let mut stored = String::new();
                for name in ["amo_token_given", "amo_token_renewed"] {
                    stored.extend(self.store.text(BRIDGE, name).await.unwrap());
                }
                assert!(stored.contains(token), "a token was used before it was on disk");
            }
            return Ok(self.carried(&asked));
        }
        self.gate.acquire().await.unwrap().forget();
        self.gate.add_permits(1);
        let lost = || TransportError::MaybeSent("the connection broke".to_owned());
        match self.fates.lock().unwrap().pop_front() {
            None => Ok(self.carried(&asked)),
            Some(Fate::LostBefore) => Err(lost()),
            Some(Fate::LostAfter) => {
                self.carried(&asked);
                Err(lost())
            }
            Some(Fate::Answer(status, body)) => Ok(RawAnswer { status, headers: vec![], body: body.into() }),
        }
    }
}

/// An account, a store, and one who is authorised.
struct World {
    way: Arc<Way>,
    lane: Arc<Lane>,
    token: Arc<OAuth>,
    v2: AmoV2,
    v4: AmoV4,
}

impl World {
    async fn new(adjust: impl FnOnce(&mut AmoOptions)) -> World {
        let mut options = AmoOptions::default();
        options.limits.requests_per_second = None;
        adjust(&mut options);
        let clock = Arc::new(SkippingClock(AtomicI64::new(super::NOW_MS)));
        let mut amo = Amo::new(options);
        amo.add_contact(super::NOW_MS, ContactDraft { name: "Анна Тестова".to_owned(), ..ContactDraft::default() });
        let way = Arc::new(Way {
            amo: Mutex::new(amo),
            clock,
            store: Arc::new(MemoryStore::new(100)),
            fates: Mutex::default(),
            gate: Semaphore::new(1),
            asked: Mutex::default(),
        });
        let world = World::beside(way);
        world.login().await;
        world
    }

    /// Another process with the same store.
    fn beside(way: Arc<Way>) -> World {
        let env: Arc<dyn Env> = way.clock.clone();
        let lane = Arc::new(Lane::new(LaneOptions::new("amoCRM", 1_000.0), env.clone()));
        let token = Arc::new(OAuth::new(integration(&way), parts(&way, &lane, true)));
        let (transport, bearer): (Arc<dyn Transport>, _) = (way.clone(), Arc::new(Bearer(Arc::clone(&token))));
        let url = format!("https://{HOST}");
        let v2 = AmoV2::new(&url, bearer.clone(), transport.clone(), lane.clone(), env.clone());
        let v4 = AmoV4::new(&url, bearer, transport, lane.clone(), env);
        World { way, lane, token, v2, v4 }
    }

    async fn login(&self) -> Pair {
        let code = self.way.amo.lock().unwrap().new_code(self.now().0);
        // A command has a lane of its own.
        let lane = LaneOptions::new("amoCRM", 7.0);
        let lane = Arc::new(Lane::new(lane, self.way.clock.clone() as Arc<dyn Env>));
        let parts = parts(&self.way, &lane, true);
        let pair = obtain(integration(&self.way), &parts, HOST, &code).await.unwrap();
        self.way.store.commit(BRIDGE, vec![pair.given()]).await.unwrap();
        pair
    }

    fn now(&self) -> Millis {
        self.way.clock.now()
    }

    fn wait_s(&self, seconds: i64) {
        self.way.clock.0.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }

    fn fate(&self, fate: Fate) {
        self.way.fates.lock().unwrap().push_back(fate);
    }

    async fn read(&self) -> Result<usize, Fault> {
        let page = PageRequest { since: None, offset: 0, limit: 500 };
        self.v2.contacts(page, Priority::Poll).await.map(|page| page.rows.len())
    }

    fn renewals(&self) -> (u64, u64) {
        self.way.amo.lock().unwrap().renewals()
    }

    fn state(&self) -> TokenState {
        self.token.standing(self.now()).unwrap().state
    }

    fn note(&self) -> String {
        self.token.standing(self.now()).unwrap().note.unwrap_or_default()
    }

    fn lane_is(&self) -> LaneState {
        self.lane.report().state
    }
}

fn integration(way: &Way) -> Integration {
    let options = way.amo.lock().unwrap().options().oauth.clone();
    Integration {
        url: format!("https://{HOST}"),
        client_id: options.client_id,
        client_secret: options.client_secret.into(),
        redirect_uri: options.redirect_uri,
    }
}

fn parts(way: &Arc<Way>, lane: &Arc<Lane>, renews: bool) -> OAuthParts {
    OAuthParts {
        bridge: BRIDGE.to_owned(),
        store: way.store.clone(),
        lane: lane.clone(),
        transport: way.clone(),
        env: way.clock.clone(),
        renews,
    }
}

#[tokio::test]
async fn many_requests_at_the_end_of_a_token_make_one_renewal() {
    let world = World::new(|_| {}).await;
    assert_eq!(world.read().await, Ok(1));
    world.wait_s(DAY_S + 1);
    let page = PageRequest { since: None, offset: 0, limit: 50 };
    let reads = (0..20).map(|number| {
        let port: &dyn AmoPort = if number % 2 == 0 { &world.v2 } else { &world.v4 };
        port.contacts(page, Priority::Poll)
    });
    for read in futures::future::join_all(reads).await {
        assert_eq!(read.unwrap().rows.len(), 1);
    }
    assert_eq!(world.renewals(), (1, 0));
}

#[tokio::test]
async fn a_token_is_renewed_ahead_of_its_end_and_nobody_waits_for_it() {
    let world = World::new(|_| {}).await;
    world.wait_s(DAY_S - 15 * 60 - 1);
    world.token.tend().await;
    assert_eq!((world.read().await, world.renewals()), (Ok(1), (0, 0)));
    world.wait_s(2);
    let held = world.way.gate.acquire().await.unwrap();
    assert_eq!(world.read().await, Ok(1), "the old token still works");
    drop(held);
    world.token.settle().await;
    assert_eq!((world.read().await, world.renewals()), (Ok(1), (1, 0)));
    // Without any request as well.
    world.wait_s(DAY_S - 60);
    world.token.tend().await;
    assert_eq!(world.renewals(), (2, 0));
}

#[tokio::test]
async fn who_hangs_up_does_not_lose_the_pair() {
    let world = World::new(|_| {}).await;
    world.read().await.unwrap();
    world.wait_s(DAY_S);
    let held = world.way.gate.acquire().await.unwrap();
    let mut read = Box::pin(world.read());
    let begun = || world.way.asked.lock().unwrap().last().is_some_and(|path| path.ends_with(TOKENS));
    while !begun() {
        assert!(futures::poll!(&mut read).is_pending());
        tokio::task::yield_now().await;
    }
    drop(read);
    drop(held);
    world.token.settle().await;
    assert_eq!((world.renewals(), world.read().await), ((1, 0), Ok(1)));
    let restarted = World::beside(world.way.clone());
    assert_eq!((restarted.read().await, restarted.renewals()), (Ok(1), (1, 0)));
}

#[rstest]
#[case::before_the_end(false)]
#[case::at_the_end(true)]
#[tokio::test]
async fn a_lost_answer_leaves_the_old_token_in_use_and_then_asks_for_a_human(#[case] restarts: bool) {
    let mut world = World::new(|_| {}).await;
    world.read().await.unwrap();
    world.wait_s(DAY_S - 600);
    world.fate(Fate::LostAfter);
    world.token.tend().await;
    assert_eq!(world.state(), TokenState::Uncertain);
    assert!(world.note().contains("no answer came"), "{}", world.note());
    if restarts {
        world = World::beside(world.way.clone());
    }
    assert_eq!((world.read().await, world.lane_is()), (Ok(1), LaneState::Open));
    world.token.settle().await;
    world.wait_s(5);
    world.token.tend().await;
    assert_eq!((world.read().await, world.state()), (Ok(1), TokenState::Refused));
    assert!(world.note().contains("the answer to an earlier renewal was lost") && world.note().contains("works until"));
    world.wait_s(600);
    let fault = world.read().await.unwrap_err();
    assert_eq!((fault.kind, world.lane_is()), (FaultKind::Auth, LaneState::Parked));
    assert!(fault.reason.contains("authorise again: salebridge auth login --bridge shop"), "{fault}");
    let tried = world.renewals();
    for _ in 0..20 {
        world.read().await.unwrap_err();
    }
    assert_eq!(world.renewals(), tried, "a dead token is not tried with every request");
    world.login().await;
    world.token.tend().await;
    assert_eq!((world.lane_is(), world.read().await, world.state()), (LaneState::Open, Ok(1), TokenState::Ok));
}

#[tokio::test]
async fn a_request_that_never_arrived_is_made_again() {
    let world = World::new(|_| {}).await;
    world.wait_s(DAY_S + 1);
    world.fate(Fate::LostBefore);
    assert_eq!(world.read().await.unwrap_err().kind, RESTS);
    assert_eq!(world.read().await.unwrap_err().kind, RESTS, "it waits, and that is no attempt of the request");
    world.wait_s(3);
    assert_eq!((world.read().await, world.renewals()), (Ok(1), (1, 0)));
    assert_eq!(world.state(), TokenState::Ok);
}

#[rstest]
#[case::page_for_401(401, "<html><h1>401</h1></html>", RESTS)]
#[case::page_for_400(400, "", RESTS)]
#[case::gateway(502, "<html></html>", RESTS)]
#[case::unreadable(200, "{\"access_token\":\"a", RESTS)]
#[case::too_many(429, "<html></html>", FaultKind::Throttled { after_ms: None })]
#[case::blocked(403, "<html></html>", FaultKind::Blocked)]
#[case::unpaid(402, "{\"title\":\"Payment Required\",\"status\":402}", FaultKind::Auth)]
#[tokio::test]
async fn what_is_no_refusal_of_the_token_does_not_kill_it(
    #[case] status: u16,
    #[case] body: &'static str,
    #[case] kind: FaultKind,
) {
    let world = World::new(|_| {}).await;
    world.wait_s(DAY_S + 1);
    world.fate(Fate::Answer(status, body));
    assert_eq!(world.read().await.unwrap_err().kind, kind);
    assert_ne!(world.state(), TokenState::Refused);
    let expected = match kind {
        FaultKind::Blocked => LaneState::Blocked,
        FaultKind::Throttled { after_ms: None } => LaneState::Paused,
        _ => LaneState::Open,
    };
    assert_eq!(world.lane_is(), expected);
    world.wait_s(3_600);
    assert_eq!((world.read().await, world.renewals(), world.state()), (Ok(1), (1, 0), TokenState::Ok));
}

#[rstest]
#[case(400)]
#[case(401)]
#[tokio::test]
async fn a_revoked_integration_parks_the_lane_until_somebody_logs_in(#[case] refusal: u16) {
    let world = World::new(|options| options.oauth.refusal = refusal).await;
    world.read().await.unwrap();
    world.way.amo.lock().unwrap().revoke_tokens();
    let fault = world.v4.account(Priority::Person).await.unwrap_err();
    assert_eq!((fault.kind, world.lane_is()), (FaultKind::Auth, LaneState::Parked));
    assert!(fault.reason.contains("Token has been revoked") && fault.reason.contains("auth login"), "{fault}");
    let fault = world.read().await.unwrap_err();
    assert!(fault.kind == FaultKind::Auth && fault.reason.contains("auth login"), "{fault}");
    world.login().await;
    world.token.tend().await;
    assert_eq!((world.read().await, world.lane_is()), (Ok(1), LaneState::Open));
}

#[tokio::test]
async fn a_token_that_ends_early_is_renewed_at_the_401() {
    let world = World::new(|options| options.oauth.tokens = TokenForm::Opaque).await;
    world.read().await.unwrap();
    world.wait_s(600);
    world.way.amo.lock().unwrap().expire_tokens(world.now().0);
    assert_eq!(world.read().await.unwrap_err().kind, FaultKind::Transient);
    assert_eq!((world.read().await, world.renewals(), world.lane_is()), (Ok(1), (1, 0), LaneState::Open));
}

#[tokio::test]
async fn a_pair_that_another_process_has_renewed_is_taken_from_the_store() {
    let world = World::new(|options| options.oauth.renewal_ends_access = true).await;
    let other = World::beside(world.way.clone());
    assert_eq!((world.read().await, other.read().await), (Ok(1), Ok(1)));
    world.wait_s(DAY_S - 60);
    other.token.tend().await;
    assert_eq!(other.renewals(), (1, 0));
    let first = world.read().await;
    assert!(
        first.is_ok_and(|rows| rows == 1) || world.renewals() == (1, 0),
        "its token is dead, the other one is there"
    );
    assert_eq!((world.read().await, world.renewals(), world.lane_is()), (Ok(1), (1, 0), LaneState::Open));
}

#[tokio::test]
async fn beside_a_process_that_renews_the_store_is_only_read() {
    let world = World::new(|_| {}).await;
    let guest = OAuth::new(integration(&world.way), parts(&world.way, &world.lane, false));
    world.wait_s(DAY_S + 1);
    assert_eq!(guest.ready().await.unwrap_err().kind, FaultKind::Throttled { after_ms: None });
    assert_eq!(world.renewals(), (0, 0));
    assert_eq!(world.read().await, Ok(1));
    assert!(guest.ready().await.is_ok());
}

#[tokio::test]
async fn a_login_during_a_renewal_is_what_counts() {
    let world = World::new(|_| {}).await;
    world.read().await.unwrap();
    world.wait_s(DAY_S - 60);
    let held = world.way.gate.acquire().await.unwrap();
    world.read().await.unwrap();
    while !world.way.asked.lock().unwrap().last().is_some_and(|path| path.ends_with(TOKENS)) {
        tokio::task::yield_now().await;
    }
    let given = r#"{"expires_in":3600,"access_token":"by-hand","refresh_token":"by-hand-too"}"#;
    let given = Pair::read(given.as_bytes(), world.now()).unwrap();
    world.way.store.commit(BRIDGE, vec![given.given()]).await.unwrap();
    drop(held);
    world.token.settle().await;
    assert_eq!(world.token.token().await.unwrap().expose_secret(), "by-hand");
    let stored = kept(world.way.store.as_ref(), BRIDGE).await.unwrap().pair.unwrap();
    assert_eq!(stored.expires_at, given.expires_at);
}

#[tokio::test]
async fn the_very_pair_imported_again_does_not_undo_its_renewal() {
    let world = World::new(|_| {}).await;
    let pair = world.login().await;
    world.wait_s(DAY_S);
    assert_eq!((world.read().await, world.renewals()), (Ok(1), (1, 0)));
    world.way.store.commit(BRIDGE, vec![pair.given()]).await.unwrap();
    world.token.tend().await;
    assert_eq!((world.read().await, world.renewals()), (Ok(1), (1, 0)));
}

#[rstest]
#[case::asked_with_the_refresh_token(ToldHost::Both, TokenForm::Jwt, 404)]
#[case::asked_the_old_way(ToldHost::OldOnly, TokenForm::Jwt, 401)]
#[case::tokens_tell_nothing(ToldHost::Both, TokenForm::Opaque, 404)]
#[case::redirected(ToldHost::Both, TokenForm::Jwt, 301)]
#[tokio::test]
async fn a_renamed_account_is_found_and_said(#[case] told: ToldHost, #[case] form: TokenForm, #[case] left: u16) {
    let world = World::new(|options| {
        (options.oauth.tells_host, options.oauth.tokens, options.oauth.left_host) = (told, form, left);
    })
    .await;
    world.read().await.unwrap();
    world.way.amo.lock().unwrap().rename("new.amocrm.ru");
    world.wait_s(DAY_S + 1);
    assert_eq!((world.read().await, world.renewals()), (Ok(1), (1, 0)));
    assert_eq!(world.way.asked.lock().unwrap().last().unwrap(), "new.amocrm.ru/api/v2/contacts");
    assert!(world.note().contains("new.amocrm.ru") && world.note().contains("amo.url"), "{}", world.note());
    let restarted = World::beside(world.way.clone());
    assert_eq!(restarted.read().await, Ok(1));
    restarted.wait_s(DAY_S + 1);
    assert_eq!((restarted.read().await, restarted.renewals()), (Ok(1), (2, 0)));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_leads_to_the_question_where_the_account_is() {
    let world = World::new(|options| options.oauth.left_host = 301).await;
    world.read().await.unwrap();
    world.way.amo.lock().unwrap().rename("new.amocrm.ru");
    assert_eq!(world.read().await.unwrap_err().kind, FaultKind::Transient);
    assert_eq!((world.read().await, world.renewals(), world.lane_is()), (Ok(1), (1, 0), LaneState::Open));
}

#[tokio::test]
async fn an_account_that_cannot_be_found_is_no_dead_token() {
    let world = World::new(|options| options.oauth.tells_host = ToldHost::None).await;
    world.way.amo.lock().unwrap().rename("new.amocrm.ru");
    world.wait_s(DAY_S + 1);
    let fault = world.read().await.unwrap_err();
    assert!(fault.kind == FaultKind::Auth && fault.reason.contains("amo.url"), "{fault}");
    world.way.amo.lock().unwrap().rename(HOST);
    world.wait_s(600);
    assert_eq!((world.read().await, world.renewals()), (Ok(1), (1, 0)));
}

#[tokio::test]
async fn without_a_pair_nothing_is_sent() {
    let world = World::new(|_| {}).await;
    let empty = Arc::new(MemoryStore::new(10));
    let lane = Arc::new(Lane::new(LaneOptions::new("amoCRM", 7.0), world.way.clock.clone() as Arc<dyn Env>));
    let source = OAuth::new(integration(&world.way), OAuthParts { store: empty, ..parts(&world.way, &lane, true) });
    let before = world.way.asked.lock().unwrap().len();
    let fault = source.ready().await.unwrap_err();
    assert!(fault.kind == FaultKind::Auth && fault.reason.contains("salebridge auth login --bridge shop"), "{fault}");
    assert_eq!((lane.report().state, world.way.asked.lock().unwrap().len()), (LaneState::Parked, before));
}

#[tokio::test]
async fn no_secret_is_shown() {
    let world = World::new(|_| {}).await;
    let pair = world.login().await;
    let secrets = ["sandbox-client-secret", "eyJ", "def502"];
    world.wait_s(DAY_S + 1);
    world.way.amo.lock().unwrap().revoke_tokens();
    let fault = world.read().await.unwrap_err();
    let echo = r#"{"hint":"the secret sandbox-client-secret is wrong","status":401}"#;
    world.login().await;
    world.wait_s(DAY_S + 1);
    world.fate(Fate::Answer(401, echo));
    let echoed = world.read().await.unwrap_err();
    let integration = integration(&world.way);
    for text in [
        format!("{pair:?} {:?} {integration:?} {:?}", world.token, world.v2),
        format!("{fault} {fault:?} {echoed} {echoed:?} {}", world.note()),
    ] {
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
    }
}
