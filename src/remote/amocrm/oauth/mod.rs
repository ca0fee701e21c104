//! Tokens that renew themselves (OAuth page): an access token for a day, and a refresh token that gets the next pair, once.
//!
//! What must not happen is that the only copy of a refresh token is lost, so:
//!
//! - the store must have taken a note that a renewal begins before it is asked for: a store that cannot write is found out
//!   while the old token is still good;
//! - one renewal at a time, in a task of its own, which no caller that loses patience can cut off;
//! - the new pair is on disk before anything is sent with it; one that could not be stored is held and stored later;
//! - an answer that was lost leaves the old access token in use until it ends (renewal is ahead of time), and the old refresh
//!   token is tried again: if the request never arrived it still works;
//! - a refusal is believed only in amoCRM's own words, from the host where the account lives now, and after another look
//!   into the store: somebody else may have renewed. Then the lane is parked until there is another pair, and the refused one
//!   is tried again rarely, since an integration that was switched off may be switched on again.
//!
//! [ADR 11](../../../../docs/adr/0011-tokens-have-three-texts.md) has the crash points one by one.

mod endpoint;
mod pair;
mod state;

pub use endpoint::Integration;
pub use pair::{Pair, PairError, Tokens, kept};

use super::auth::TokenSource;
use crate::core::fault::{Fault, FaultKind};
use crate::core::time::Millis;
use crate::core::token::{Standing, Trouble};
use crate::ports::env::Env;
use crate::ports::store::{Store, StoreError};
use crate::remote::http::{Renewal, Transport};
use crate::remote::lane::Lane;
use async_trait::async_trait;
use endpoint::{Answered, Endpoint, Grant};
use pair::{Moved, keep_trouble};
use secrecy::{ExposeSecret, SecretString};
use state::{Need, State};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OwnedMutexGuard;
use tokio_util::task::TaskTracker;

/// A token that is refused so soon after it was given is refused for another reason than its age.
const YOUNG_MS: i64 = 60_000;
/// After a refusal the store is looked at once more: whoever else renews stores the pair a moment after it is given.
const SECOND_LOOK_MS: i64 = 1_000;

/// Why it is refused, most likely.
const LOST: &str = "; the answer to an earlier renewal was lost";

/// What an [`OAuth`] works with.
pub struct Parts {
    /// The bridge's name.
    pub bridge: String,
    /// Where the pairs are kept.
    pub store: Arc<dyn Store>,
    /// The account's lane.
    pub lane: Arc<Lane>,
    /// Sends.
    pub transport: Arc<dyn Transport>,
    /// Clock and waiting.
    pub env: Arc<dyn Env>,
    /// False beside a process that renews: two that renew take the token from each other. Then the store is only read.
    pub renews: bool,
}

/// The source of tokens of one bridge.
pub struct OAuth {
    inner: Arc<Inner>,
    tasks: TaskTracker,
    flight: Arc<tokio::sync::Mutex<()>>,
}

struct Inner {
    bridge: String,
    store: Arc<dyn Store>,
    endpoint: Endpoint,
    renews: bool,
    state: Mutex<State>,
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth").field("bridge", &self.inner.bridge).finish_non_exhaustive()
    }
}

/// Exchanges what the page of consent gave for a pair, at this host.
///
/// Errors in words: amoCRM's refusal, a wrong address, the network.
pub async fn obtain(integration: Integration, parts: &Parts, host: &str, code: &str) -> Result<Pair, Fault> {
    match endpoint(integration, parts).exchange(host, Grant::Code(code)).await? {
        Answered::Pair(pair) => Ok(*pair),
        Answered::Refused(_, words) => Err(Fault::new(FaultKind::Auth, format!("amoCRM refuses the code: {words}"))),
        Answered::NotHere => Err(Fault::new(FaultKind::Auth, format!("{host} gives no tokens"))),
    }
}

fn endpoint(integration: Integration, parts: &Parts) -> Endpoint {
    let (transport, lane, env) = (Arc::clone(&parts.transport), Arc::clone(&parts.lane), Arc::clone(&parts.env));
    Endpoint { integration, transport, lane, env }
}

/// Why there is no new pair.
enum Miss {
    /// Only a human can help, and how.
    Dead(String),
    /// It is tried again.
    Later(Fault),
}

impl From<StoreError> for Miss {
    fn from(error: StoreError) -> Miss {
        Miss::Later(not_now(format!("amoCRM's token cannot be kept: {error}")))
    }
}

impl From<Miss> for Fault {
    fn from(miss: Miss) -> Fault {
        match miss {
            Miss::Dead(reason) => Fault::new(FaultKind::Auth, reason),
            Miss::Later(fault) => fault,
        }
    }
}

/// Who needs a token waits a moment; it is no attempt of its own.
fn not_now(reason: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Throttled { after_ms: None }, reason)
}

impl OAuth {
    /// Nothing is read or sent before the first request asks.
    pub fn new(integration: Integration, parts: Parts) -> OAuth {
        let endpoint = endpoint(integration, &parts);
        let Parts { bridge, store, renews, .. } = parts;
        let inner = Inner { bridge, store, endpoint, renews, state: Mutex::default() };
        OAuth { inner: Arc::new(inner), tasks: TaskTracker::new(), flight: Arc::default() }
    }

    /// Renews in a task of its own; who waits for it may go. At the end another pair is in force, or why not.
    async fn renew(&self, guard: OwnedMutexGuard<()>) -> Result<(), Miss> {
        self.begin(guard).await.unwrap_or_else(|_| Err(Miss::Later(not_now("the renewal of amoCRM's token broke off"))))
    }

    fn begin(&self, guard: OwnedMutexGuard<()>) -> tokio::task::JoinHandle<Result<(), Miss>> {
        let inner = Arc::clone(&self.inner);
        self.tasks.spawn(async move {
            let _one_at_a_time = guard;
            inner.renew().await
        })
    }

    async fn lock(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.flight).lock_owned().await
    }
}

#[async_trait]
impl TokenSource for OAuth {
    async fn ready(&self) -> Result<(), Fault> {
        self.inner.load().await?;
        match self.inner.need() {
            Need::Nothing => Ok(()),
            Need::Soon => {
                // The token still works: nobody waits for the next one.
                if let Ok(guard) = Arc::clone(&self.flight).try_lock_owned()
                    && self.inner.state().rested(self.inner.now())
                {
                    drop(self.begin(guard));
                }
                Ok(())
            }
            Need::Now => {
                let guard = self.lock().await;
                match self.inner.need() {
                    Need::Now => Ok(self.renew(guard).await?),
                    Need::Soon | Need::Nothing => Ok(()),
                }
            }
        }
    }

    async fn token(&self) -> Result<SecretString, Fault> {
        self.inner.load().await?;
        let token = self.inner.state().pair.as_ref().map(|pair| pair.access.clone());
        token.ok_or_else(|| Miss::Dead(self.inner.words()).into())
    }

    async fn refused(&self, sent: &SecretString) -> Renewal {
        if let Some(verdict) = self.inner.take_refusal(sent) {
            return verdict;
        }
        let guard = self.lock().await;
        if self.inner.need() != Need::Now {
            return Renewal::Renewed;
        }
        match self.renew(guard).await {
            Ok(()) => Renewal::Renewed,
            Err(Miss::Dead(reason)) => Renewal::Refused(reason),
            Err(Miss::Later(fault)) => Renewal::Later(fault),
        }
    }

    fn base(&self) -> Option<SecretString> {
        self.inner.base()
    }

    async fn tend(&self) {
        // Whoever renews at the moment looks into the store as well.
        let Ok(guard) = Arc::clone(&self.flight).try_lock_owned() else { return };
        if let Err(error) = self.inner.look().await {
            // A store that fails is reported by those who work on it.
            tracing::debug!(bridge = self.inner.bridge, %error, "amoCRM's token could not be read from the store");
            return;
        }
        let is_due = self.inner.need() != Need::Nothing && self.inner.state().pair.is_some();
        if is_due && self.inner.state().rested(self.inner.now()) {
            // Why it failed stands in the state, for everybody who asks.
            let _told = self.renew(guard).await;
        }
    }

    async fn settle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn standing(&self, now: Millis) -> Option<Standing> {
        let state = self.inner.state();
        state.is_loaded.then(|| self.inner.stands(&state, now))
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Millis {
        self.endpoint.env.now()
    }

    fn need(&self) -> Need {
        self.state().need(self.now())
    }

    /// Reads the store once.
    async fn load(&self) -> Result<(), Fault> {
        let is_loaded = self.state().is_loaded;
        if is_loaded { Ok(()) } else { self.look().await.map_err(|error| Miss::from(error).into()) }
    }

    /// Reads the store: a command, or another process, may have put another pair there.
    async fn look(&self) -> Result<(), StoreError> {
        let tokens = kept(self.store.as_ref(), &self.bridge).await?;
        let mut state = self.state();
        let is_other = match (&state.pair, &tokens.pair) {
            (Some(known), Some(found)) => !known.is(found),
            (None, None) => false,
            _ => true,
        };
        let is_first = !std::mem::replace(&mut state.is_loaded, true);
        if is_other {
            let had_one = state.pair.is_some();
            state.adopt(tokens);
            drop(state);
            // What was refused before says nothing of this one.
            self.endpoint.lane.unpark();
            if !is_first {
                tracing::info!(bridge = self.bridge, had_one, "a new token of amoCRM was found in the store");
            }
        }
        Ok(())
    }

    /// A 401. What follows without asking anybody; none: the pair is to be renewed.
    fn take_refusal(&self, sent: &SecretString) -> Option<Renewal> {
        let now = self.now();
        let mut state = self.state();
        let Some(pair) = &state.pair else { return Some(Renewal::Renewed) };
        if pair.access.expose_secret() != sent.expose_secret() {
            return Some(Renewal::Renewed);
        }
        let is_young = (0..YOUNG_MS).contains(&now.since(pair.obtained_at)) && now < pair.expires_at;
        if is_young && !state.is_from_store {
            let reason = format!(
                "amoCRM refuses a token that it gave a moment ago: see that amo.url is the address of the account that was authorised, else authorise again: salebridge auth login --bridge {}",
                self.bridge
            );
            return Some(Renewal::Refused(reason));
        }
        state.access_refused = true;
        None
    }

    fn host(&self) -> String {
        let (_, own) = self.endpoint.integration.address();
        let state = self.state();
        let moved = state.pair.as_ref().and_then(|pair| pair.moved.as_ref()).filter(|moved| moved.from == own);
        moved.map_or_else(|| own.to_owned(), |moved| moved.to.clone())
    }

    fn base(&self) -> Option<SecretString> {
        let (scheme, own) = self.endpoint.integration.address();
        let host = self.host();
        (host != own).then(|| SecretString::from(format!("{scheme}://{host}")))
    }

    fn stands(&self, state: &State, now: Millis) -> Standing {
        let mut standing = state.standing(&self.bridge, now);
        let (_, own) = self.endpoint.integration.address();
        let moved = state.pair.as_ref().and_then(|pair| pair.moved.as_ref()).filter(|moved| moved.from == own);
        if let Some(moved) = moved.filter(|_| standing.note.is_none()) {
            standing.note = Some(format!(
                "the account {own} was renamed and is now {}: write that into amo.url and restart the daemon; until then it is used all the same",
                moved.to
            ));
        }
        standing
    }

    /// What a human is told.
    fn words(&self) -> String {
        let state = self.state();
        self.stands(&state, self.now()).note.unwrap_or_else(|| "amoCRM's token cannot be used".to_owned())
    }

    /// One at a time.
    async fn renew(&self) -> Result<(), Miss> {
        self.look().await?;
        let unsaved = self.state().unsaved.clone();
        if let Some(pair) = unsaved {
            return self.keep(pair).await;
        }
        if self.need() == Need::Nothing {
            return Ok(());
        }
        let in_force = self.state().pair.clone();
        let Some(pair) = in_force else { return Err(self.dead()) };
        let rest = self.state().resting(self.now());
        if let Some(fault) = rest {
            let is_refused = matches!(self.state().trouble, Some(Trouble::Refused(_)));
            return Err(if is_refused { self.dead() } else { Miss::Later(fault) });
        }
        if !self.renews {
            let reason = "amoCRM's token is due to be renewed, which the daemon does";
            return Err(Miss::Later(not_now(reason)));
        }
        let before = self.state().trouble.clone();
        let since = match &before {
            Some(Trouble::Unanswered(since)) => *since,
            _ => self.now(),
        };
        let unanswered = Some(Trouble::Unanswered(since));
        self.write(&pair, unanswered.as_ref()).await?;
        match self.ask(&pair).await {
            Ok(Verdict::New(new)) => self.keep(new).await,
            Ok(Verdict::Refused(words)) => self.refused(&pair, before.as_ref(), words).await,
            Err(fault) if fault.kind == FaultKind::Uncertain => {
                self.state().trouble = unanswered;
                Err(self.later(fault))
            }
            Err(fault) => {
                // The token was surely not used up.
                let missed = self.later(fault);
                self.write(&pair, before.as_ref()).await?;
                Err(missed)
            }
        }
    }

    /// Asks at the account's host, and where that refuses or is not there, at the one where amoCRM says it lives now.
    async fn ask(&self, pair: &Pair) -> Result<Verdict, Fault> {
        let host = self.host();
        let (_, own) = self.endpoint.integration.address();
        let moved = |host: &str| (host != own).then(|| Moved { from: own.to_owned(), to: host.to_owned() });
        let answered = self.endpoint.exchange(&host, Grant::Refresh(&pair.refresh)).await?;
        let refusal = match answered {
            Answered::Pair(new) => return Ok(Verdict::New(new.follows(pair, moved(&host)))),
            // A wrong request is one at any host.
            Answered::Refused(status, words) if status != 401 => return Ok(Verdict::Refused(words)),
            Answered::Refused(_, words) => Some(words),
            Answered::NotHere => None,
        };
        let present = self.endpoint.present_host(pair).await.filter(|present| *present != host);
        let Some(present) = present else {
            return refusal.map(Verdict::Refused).ok_or_else(|| {
                let reason = format!("{host} gives no tokens: write the account's present address into amo.url");
                Fault::new(FaultKind::Auth, reason)
            });
        };
        tracing::warn!(bridge = self.bridge, from = own, to = present, "the account was renamed: change amo.url");
        match self.endpoint.exchange(&present, Grant::Refresh(&pair.refresh)).await? {
            Answered::Pair(new) => Ok(Verdict::New(new.follows(pair, moved(&present)))),
            Answered::Refused(_, words) => Ok(Verdict::Refused(words)),
            Answered::NotHere => Err(Fault::new(FaultKind::Auth, format!("neither {host} nor {present} gives tokens"))),
        }
    }

    /// Stores the new pair, and only then lets it be used.
    async fn keep(&self, pair: Pair) -> Result<(), Miss> {
        self.state().unsaved = Some(pair.clone());
        self.store.commit(&self.bridge, pair.renewed()).await?;
        {
            let mut state = self.state();
            state.adopt(Tokens { pair: Some(pair), trouble: None });
            state.is_from_store = false;
        }
        self.endpoint.lane.unpark();
        // A login of this moment may have made it the former one.
        self.look().await?;
        tracing::info!(bridge = self.bridge, "amoCRM's token was renewed");
        Ok(())
    }

    /// The refresh token is refused: unless somebody else has renewed meanwhile, a human is needed.
    async fn refused(&self, pair: &Pair, before: Option<&Trouble>, words: String) -> Result<(), Miss> {
        self.endpoint.env.sleep(SECOND_LOOK_MS).await;
        self.look().await?;
        let is_same = self.state().pair.as_ref().is_some_and(|present| present.is(pair));
        if !is_same {
            return Ok(());
        }
        let was_lost = match before {
            Some(Trouble::Unanswered(_)) => true,
            Some(Trouble::Refused(words)) => words.ends_with(LOST),
            None => false,
        };
        let trouble = Trouble::Refused(if was_lost { words + LOST } else { words });
        self.write(pair, Some(&trouble)).await?;
        {
            let mut state = self.state();
            state.trouble = Some(trouble);
            state.rest_after_refusal(self.now());
            state.rests_because_of(Fault::new(FaultKind::Auth, "amoCRM does not renew the token"));
        }
        Err(self.dead())
    }

    /// Puts what stands in the way on disk, for the process after this one.
    async fn write(&self, pair: &Pair, trouble: Option<&Trouble>) -> Result<(), Miss> {
        let change = keep_trouble(pair, trouble, self.now());
        self.store.commit(&self.bridge, vec![change]).await?;
        Ok(())
    }

    /// No other pair until a human acts. The lane is parked where the present one is of no use.
    fn dead(&self) -> Miss {
        let reason = self.words();
        if self.need() == Need::Now {
            self.endpoint.lane.park(&reason);
        }
        Miss::Dead(reason)
    }

    /// It is tried again after a rest. Whatever it was, the request that waits for the token was not sent and is not to
    /// blame: it waits as well, and that is no attempt of its own.
    fn later(&self, fault: Fault) -> Miss {
        let mut state = self.state();
        let rest_ms = state.rest(self.now());
        let kind = match fault.kind {
            FaultKind::Throttled { .. } | FaultKind::Blocked | FaultKind::Auth | FaultKind::Interrupted => fault.kind,
            FaultKind::Transient
            | FaultKind::Uncertain
            | FaultKind::Changed
            | FaultKind::Gone
            | FaultKind::Rejected
            | FaultKind::Broken => FaultKind::Throttled { after_ms: Some(rest_ms) },
        };
        let fault = Fault::new(kind, format!("amoCRM's token is not renewed yet: {}", fault.reason));
        state.rests_because_of(fault.clone());
        Miss::Later(fault)
    }
}

/// What amoCRM says to a refresh token.
enum Verdict {
    New(Pair),
    Refused(String),
}
