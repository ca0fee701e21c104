//! The post of one bridge at this node: the bridge itself while it is driven here, else the way to whoever drives it.

use crate::app::guest::Guest;
use crate::app::wire::Lanes;
use crate::core::function::{Answer, Call};
use crate::core::time::Millis;
use crate::engine::Bridge;
use crate::ports::env::Arrivals;
use crate::ports::function::Functions;
use crate::ports::meter::Meter;
use crate::ports::store::{StoreError, Stored};
use crate::remote::amocrm::TokenSource;
use async_trait::async_trait;
use std::sync::{Arc, PoisonError, RwLock};

/// A bridge that is driven here.
#[derive(Clone)]
pub struct Current {
    /// The bridge.
    pub bridge: Arc<Bridge>,
    /// Its lanes.
    pub lanes: Lanes,
    /// Its token for amoCRM.
    pub token: Arc<dyn TokenSource>,
}

/// The post of one bridge.
pub struct Post {
    /// The bridge's name.
    pub name: String,
    /// Tells of what was stored for it, and what could not be.
    pub arrived: Arc<Arrivals>,
    current: RwLock<Option<Current>>,
    elsewhere: RwLock<Option<String>>,
    trouble: RwLock<Option<(String, Millis)>>,
    guest: Option<Guest>,
    meter: Option<Arc<dyn Meter>>,
}

fn set<T>(place: &RwLock<T>, value: T) {
    *place.write().unwrap_or_else(PoisonError::into_inner) = value;
}

fn get<T: Clone>(place: &RwLock<T>) -> T {
    place.read().unwrap_or_else(PoisonError::into_inner).clone()
}

impl Post {
    /// A post that nobody stands at yet. `guest`: how bots' calls get to another node, where there are several.
    pub fn new(name: &str, guest: Option<Guest>) -> Post {
        Post {
            name: name.to_owned(),
            arrived: Arc::default(),
            current: RwLock::default(),
            elsewhere: RwLock::default(),
            trouble: RwLock::default(),
            guest,
            meter: None,
        }
    }

    /// Has what the bridge does counted while it is driven here.
    #[must_use]
    pub fn metered(mut self, meter: Arc<dyn Meter>) -> Post {
        self.meter = Some(meter);
        self
    }

    /// What counts what the bridge does.
    pub fn meter(&self) -> Option<Arc<dyn Meter>> {
        self.meter.clone()
    }

    /// The bridge, while it is driven here.
    pub fn current(&self) -> Option<Current> {
        get(&self.current)
    }

    /// It is driven here from now on, or not any more.
    pub fn stand(&self, current: Option<Current>) {
        set(&self.current, current);
    }

    /// Where the node that drives it listens; none: here, or nobody does.
    pub fn elsewhere(&self) -> Option<String> {
        get(&self.elsewhere)
    }

    /// Another node drives it, or none.
    pub fn is_elsewhere(&self, at: Option<String>) {
        set(&self.elsewhere, at);
    }

    /// Why this node cannot tell who drives it, and since when.
    pub fn trouble(&self) -> Option<(String, Millis)> {
        get(&self.trouble)
    }

    /// The lease could not be asked for, or could again. True when that is news.
    pub fn is_troubled(&self, trouble: Option<(String, Millis)>) -> bool {
        let known = self.trouble();
        let is_news = known.is_some() != trouble.is_some();
        let since = known.map(|(_, since)| since);
        set(&self.trouble, trouble.map(|(reason, at)| (reason, since.unwrap_or(at))));
        is_news
    }

    /// Something was stored for it, perhaps at another node.
    pub fn wake(&self) {
        if let Some(current) = self.current() {
            current.bridge.wake();
        }
        if let Some(guest) = &self.guest {
            guest.wake();
        }
    }
}

#[async_trait]
impl Functions for Post {
    async fn call(&self, call: Call, wait_ms: i64) -> Stored<Answer> {
        if let Some(current) = self.current() {
            match current.bridge.call(call.clone(), wait_ms).await {
                // The lease went to another node in this moment.
                Err(StoreError::Driven(_)) if self.guest.is_some() => {}
                answered => return answered,
            }
        }
        match &self.guest {
            Some(guest) => guest.call(call, wait_ms).await,
            None => Err(StoreError::Unavailable(format!("bridge {} has not been started", self.name))),
        }
    }
}
