//! Backfills: asked for through the store, carried out by the daemon, or here where none runs.

use crate::app::asked;
use crate::app::driven::{self, Driven};
use crate::app::nodes::Task;
use crate::app::opened::Opened;
use crate::app::status::spelled;
use crate::app::undo;
use crate::app::wire;
use crate::config::Config;
use crate::core::backfill::{self, PROGRESS, Part, Progress, REQUEST, Request};
use crate::core::time::Millis;
use crate::ports::store::{Change, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Marks further ahead are not waited for.
const NEAR_MS: i64 = 600_000;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Of this bridge alone.
    pub bridge: Option<String>,
    /// What is looked at.
    pub parts: BTreeSet<Part>,
    /// Only what changed since.
    pub since: Option<Millis>,
    /// Only what changed until then.
    pub until: Option<Millis>,
    /// How long ago that is, where it is asked for so.
    pub since_span: Option<String>,
    /// The same of `until`.
    pub until_span: Option<String>,
    /// Nothing is written.
    pub dry_run: bool,
    /// From the beginning, in place of whatever is unfinished.
    pub restart: bool,
}

impl Wish {
    fn request(&self, asked_at: Millis) -> Request {
        Request {
            asked_at,
            parts: self.parts.clone(),
            since: self.since,
            until: self.until,
            since_span: self.since_span.clone(),
            until_span: self.until_span.clone(),
            dry_run: self.dry_run,
        }
    }
}

/// How a bridge's backfill stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The bridge.
    pub bridge: String,
    /// How far it is; none before the first page.
    pub progress: Option<Progress>,
    /// Writes that wait or are under way.
    pub outbox: u64,
    /// True once everything was looked at, and what it led to was written.
    pub is_over: bool,
    /// Its own writes that were given up; counted at its end ([`Backfills::ended`]).
    pub dead_letters: u64,
    /// Dead letters of the bridge, whatever they come from.
    pub all_dead_letters: u64,
    /// What does not work at the moment: at the bridge, where it is carried out here; else that there is no daemon.
    pub fault: Option<String>,
    /// Why it will not come to its end: somebody stopped it, or asked for another one in its place.
    pub lost: Option<String>,
}

/// How what is asked for stands to what was asked for before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It begins.
    Anew,
    /// The very same is under way in a daemon: it is watched.
    Joined,
    /// An unfinished one is gone on with.
    GoesOn,
}

/// Backfills of one or several bridges.
pub struct Backfills {
    opened: Opened,
    store: Arc<dyn Store>,
    bridges: Vec<(String, Request)>,
    own: Option<Driven>,
    /// Those that were seen at their end: the next one takes the place where that stands.
    done: Mutex<BTreeMap<String, Progress>>,
}

impl Backfills {
    /// Asks for backfills, and drives the bridges unless a daemon does. With each bridge stands how it begins there.
    pub async fn begin(config: &Config, wish: &Wish) -> anyhow::Result<(Backfills, Vec<(String, Begun)>)> {
        let bridges: Vec<String> =
            crate::app::dead_letters::bridges(config, wish.bridge.as_deref())?.into_iter().map(str::to_owned).collect();
        let (opened, is_driven) = driven::reach(config, &bridges).await?;
        let store = opened.store();
        // Nothing is driven before all is asked for: what is refused must not go on with somebody else's meanwhile.
        let asked = match ask_all(store.as_ref(), &bridges, wish, is_driven).await {
            Ok(asked) => asked,
            Err(error) => {
                opened.close().await;
                return Err(error);
            }
        };
        let own = if is_driven { None } else { Some(driven::drive(config, &bridges, &opened, Task::Backfill)?) };
        let told = asked.iter().map(|(bridge, _, begun)| (bridge.clone(), *begun)).collect();
        let bridges = asked.into_iter().map(|(bridge, request, _)| (bridge, request)).collect();
        Ok((Backfills { opened, store, bridges, own, done: Mutex::default() }, told))
    }

    /// True when a daemon carries it out.
    pub fn is_of_daemon(&self) -> bool {
        self.own.is_none()
    }

    /// How all of them stand.
    pub async fn standings(&self) -> anyhow::Result<Vec<Standing>> {
        let mut all = Vec::new();
        for (bridge, request) in &self.bridges {
            // In this order: what is asked for goes in the commit that tells of the end.
            let asked = backfill::kept::<Request>(self.store.text(bridge, REQUEST).await?.as_deref());
            let kept = backfill::kept::<Progress>(self.store.text(bridge, PROGRESS).await?.as_deref());
            let (progress, lost) = self.own_of(bridge, request, asked, kept);
            let counts = self.store.counts(bridge).await?;
            let done_at = progress.as_ref().and_then(|progress| progress.done_at);
            // What a write led to is marked in its turn. Beside a daemon there are always others' marks, which come later.
            let marks = self.store.next_due(bridge).await?.marks;
            let is_written = |done_at: Millis| match self.is_of_daemon() {
                true => {
                    let is_looked_at = marks.is_none_or(|due| due > done_at);
                    is_looked_at && counts.outbox_oldest.is_none_or(|oldest| oldest > done_at)
                }
                false => counts.outbox == 0 && marks.is_none_or(|due| due.since(wire::now()) > NEAR_MS),
            };
            let is_over = done_at.is_some_and(is_written);
            all.push(Standing {
                bridge: bridge.clone(),
                is_over,
                outbox: counts.outbox,
                dead_letters: 0,
                all_dead_letters: counts.dead_letters,
                // A daemon that carried it out may have ended with it.
                fault: if is_over && self.is_of_daemon() { None } else { self.fault(bridge).await },
                progress,
                lost,
            });
        }
        Ok(all)
    }

    /// How all of them stand at the end, with the writes that were given up: to find those each dead letter is read.
    pub async fn ended(&self) -> anyhow::Result<Vec<Standing>> {
        let mut all = self.standings().await?;
        for (standing, (bridge, request)) in all.iter_mut().zip(&self.bridges) {
            // A dry run writes nothing.
            if !request.dry_run && standing.all_dead_letters > 0 {
                standing.dead_letters = undo::given_up(self.store.as_ref(), bridge, request.run()).await?;
            }
        }
        Ok(all)
    }

    /// Bridges whose backfill changed values, so that there is something to put back under its name.
    pub async fn undoable(&self) -> anyhow::Result<BTreeSet<String>> {
        let mut undoable = BTreeSet::new();
        for (bridge, request) in &self.bridges {
            if undo::is_known(self.store.as_ref(), bridge, request.run()).await? {
                undoable.insert(bridge.clone());
            }
        }
        Ok(undoable)
    }

    /// Requests and answers 429 so far: all that were sent from here, or what the daemon tells with each page.
    pub fn requests(&self, standings: &[Standing]) -> (u64, u64) {
        let told = standings.iter().filter_map(|standing| standing.progress.as_ref());
        let of_daemon =
            || told.fold((0, 0), |(sent, throttled), told| (sent + told.requests, throttled + told.throttled));
        self.own.as_ref().map_or_else(of_daemon, Driven::requests)
    }

    async fn fault(&self, bridge: &str) -> Option<String> {
        match &self.own {
            Some(own) => own.fault(bridge),
            None => driven::absence(&self.opened, bridge).await,
        }
    }

    /// How far this request is, of what is kept, and whether it was lost.
    fn own_of(
        &self,
        bridge: &str,
        request: &Request,
        asked: Option<Request>,
        kept: Option<Progress>,
    ) -> (Option<Progress>, Option<String>) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(progress) = done.get(bridge) {
            return (Some(progress.clone()), None);
        }
        let (own, lost) = asked::own_of(request, asked, kept, "backfill", |other| command(bridge, other));
        if let Some(progress) = own.as_ref().filter(|progress| progress.done_at.is_some()) {
            done.insert(bridge.to_owned(), progress.clone());
        }
        (own, lost)
    }

    /// Takes back what is not finished: it stops between two pages and can be gone on with. What somebody else has asked
    /// for since is left.
    pub async fn leave(&self) -> anyhow::Result<()> {
        for (bridge, request) in &self.bridges {
            asked::take_back(self.store.as_ref(), bridge, REQUEST, request).await?;
        }
        Ok(())
    }

    /// Ends what is driven here: what is under way is finished.
    pub async fn end(self) {
        if let Some(own) = self.own {
            own.end().await;
        }
        self.opened.close().await;
    }
}

/// Asks for all bridges or for none.
async fn ask_all(
    store: &dyn Store,
    bridges: &[String],
    wish: &Wish,
    is_driven: bool,
) -> anyhow::Result<Vec<(String, Request, Begun)>> {
    for bridge in bridges {
        may_ask(store, bridge, wish, is_driven).await?;
    }
    let mut asked: Vec<(String, Request, Begun)> = Vec::new();
    for bridge in bridges {
        match ask(store, bridge, wish, is_driven, wire::now()).await {
            Ok((request, begun)) => asked.push((bridge.clone(), request, begun)),
            Err(error) => {
                // Nobody would watch those.
                for (bridge, request, _) in asked.iter().filter(|(_, _, begun)| *begun == Begun::Anew) {
                    asked::take_back(store, bridge, REQUEST, request).await?;
                }
                return Err(error);
            }
        }
    }
    Ok(asked)
}

/// What is asked for already, and is the same or must not be replaced.
///
/// # Errors
/// Another one is: it would be stopped at its next page, and its place would be lost.
async fn may_ask(store: &dyn Store, bridge: &str, wish: &Wish, is_driven: bool) -> anyhow::Result<Option<Request>> {
    let asked = backfill::kept::<Request>(store.text(bridge, REQUEST).await?.as_deref());
    // A dry run that nobody carries out was abandoned, and has nothing that is worth keeping.
    let asked = asked.filter(|asked| !wish.restart && (is_driven || !asked.dry_run));
    match asked {
        Some(asked) if !asked.is_like(&wish.request(asked.asked_at)) => Err(in_the_way(bridge, &asked)),
        asked => Ok(asked),
    }
}

fn in_the_way(bridge: &str, asked: &Request) -> anyhow::Error {
    anyhow::anyhow!(
        "another backfill of {bridge}, asked for at {}, is not finished yet. Let it end, go on with it, or stop it there \
         with Ctrl-C: {}. To give it up, add --restart to what you typed",
        spelled(asked.asked_at),
        command(bridge, asked)
    )
}

/// Asks for one bridge.
async fn ask(
    store: &dyn Store,
    bridge: &str,
    wish: &Wish,
    is_driven: bool,
    now: Millis,
) -> anyhow::Result<(Request, Begun)> {
    if let Some(asked) = may_ask(store, bridge, wish, is_driven).await? {
        return Ok((asked, if is_driven { Begun::Joined } else { Begun::GoesOn }));
    }
    let request = wish.request(now);
    let text = store.text(bridge, PROGRESS).await?;
    let left = backfill::kept::<Progress>(text.as_deref())
        .filter(|left| left.done_at.is_none() && left.request.is_like(&request) && !wish.restart && !wish.dry_run);
    let begun = if left.is_some() { Begun::GoesOn } else { Begun::Anew };
    let request = left.map_or(request, |left| left.request);
    store.commit(bridge, vec![Change::PutText(REQUEST, serde_json::to_string(&request)?)]).await?;
    // Of two who ask at once the last one has it.
    match backfill::kept::<Request>(store.text(bridge, REQUEST).await?.as_deref()) {
        Some(asked) if asked != request => Err(in_the_way(bridge, &asked)),
        _ => Ok((request, begun)),
    }
}

/// What asks for the very same.
fn command(bridge: &str, request: &Request) -> String {
    let mut text = format!("salebridge backfill --bridge {bridge}");
    if !Part::ALL.iter().all(|part| request.parts.contains(part)) {
        let parts: Vec<&str> = request.parts.iter().map(|part| part.name()).collect();
        text.push_str(&format!(" --only {}", parts.join(",")));
    }
    // As it was typed: a span means another moment by now, and is known by its words.
    let bounds = [("since", request.since, &request.since_span), ("until", request.until, &request.until_span)];
    for (flag, at, span) in bounds {
        let typed = span.clone().or_else(|| at.map(spelled));
        text.extend(typed.map(|typed| format!(" --{flag} {typed}")));
    }
    text.push_str(if request.dry_run { " --dry-run" } else { "" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::dead_letters::Since;
    use crate::store::memory::MemoryStore;

    fn wish(dry_run: bool) -> Wish {
        let (since_span, until_span) = (None, None);
        let parts = Part::ALL.into();
        Wish { bridge: None, parts, since: None, until: None, since_span, until_span, dry_run, restart: false }
    }

    async fn asked(store: &MemoryStore) -> Option<Request> {
        backfill::kept(store.text("shop", REQUEST).await.expect("reads").as_deref())
    }

    #[tokio::test]
    async fn one_that_runs_is_joined_by_the_same_and_replaced_by_no_other() {
        let store = MemoryStore::default();
        let (first, begun) = ask(&store, "shop", &wish(false), true, Millis(1)).await.expect("nothing is asked for");
        assert_eq!(begun, Begun::Anew);
        // Before its first page, too.
        assert_eq!(
            ask(&store, "shop", &wish(false), true, Millis(2)).await.expect("alike"),
            (first.clone(), Begun::Joined)
        );
        let recent = Wish { since: Some(Millis(5)), ..wish(false) };
        for other in [wish(true), recent] {
            let error = ask(&store, "shop", &other, true, Millis(3)).await.expect_err("another one runs").to_string();
            assert!(
                error.contains("1970-01-01T00:00:00.001Z") && error.contains("backfill --bridge shop. "),
                "{error}"
            );
            assert_eq!(asked(&store).await.as_ref(), Some(&first));
        }
        let other = Wish { restart: true, ..wish(true) };
        let (other, _) = ask(&store, "shop", &other, true, Millis(4)).await.expect("it is meant so");
        asked::take_back(&store, "shop", REQUEST, &first).await.expect("commits");
        assert_eq!(asked(&store).await.as_ref(), Some(&other), "who was replaced takes back nothing of others");
        asked::take_back(&store, "shop", REQUEST, &other).await.expect("commits");
        assert_eq!(asked(&store).await, None);
    }

    #[tokio::test]
    async fn what_was_killed_where_no_daemon_runs_keeps_its_place_but_a_dry_run_has_none() {
        let store = MemoryStore::default();
        ask(&store, "shop", &wish(true), false, Millis(1)).await.expect("nothing is asked for");
        let (real, begun) =
            ask(&store, "shop", &wish(false), false, Millis(2)).await.expect("nobody watches the other");
        assert_eq!((real.asked_at, begun), (Millis(2), Begun::Anew));
        let error = ask(&store, "shop", &wish(true), false, Millis(3)).await.expect_err("its place would be lost");
        assert!(error.to_string().contains("--restart"), "{error}");
        assert_eq!(ask(&store, "shop", &wish(false), false, Millis(4)).await.expect("the same"), (real, Begun::GoesOn));
    }

    #[tokio::test]
    async fn several_bridges_are_asked_for_together_or_not_at_all() {
        let store = MemoryStore::default();
        ask(&store, "other", &wish(true), true, Millis(1)).await.expect("nothing is asked for");
        let bridges = ["shop".to_owned(), "other".to_owned()];
        ask_all(&store, &bridges, &wish(false), true).await.expect_err("the second one is taken");
        assert_eq!(asked(&store).await, None);
    }

    #[test]
    fn the_command_that_is_named_asks_for_the_very_same() {
        let request = Request { since: Some(Millis(1_760_000_000_123)), ..wish(true).request(Millis(1)) };
        let request = Request { parts: [Part::Contacts, Part::Clients].into(), ..request };
        let told = command("shop", &request);
        assert_eq!(
            told,
            "salebridge backfill --bridge shop --only contacts,clients --since 2025-10-09T08:53:20.123Z --dry-run"
        );
        let since: Since = "2025-10-09T08:53:20.123Z".parse().expect("a time");
        assert_eq!(since.moment(Millis(0)).ok(), request.since);
    }
}
