//! What amoCRM tells on its own account: which records it names, and whether it tells at all.
//!
//! A webhook and a line of the list of events are hints: they say where to look, and nothing of what they say is believed.

use super::id::{ContactId, LeadId};
use std::collections::BTreeSet;

/// The events a bridge asks for (amoCRM webhooks page, settings): everything after which a contact or a lead may mean
/// something else to it.
pub const EVENTS: [&str; 11] = [
    "add_contact",
    "update_contact",
    "delete_contact",
    "restore_contact",
    "responsible_contact",
    "add_lead",
    "update_lead",
    "delete_lead",
    "restore_lead",
    "responsible_lead",
    "status_lead",
];

/// Records that were named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hints {
    /// Contacts to look at.
    pub contacts: BTreeSet<ContactId>,
    /// Leads to look at.
    pub leads: BTreeSet<LeadId>,
    /// What else was told of and is of no concern: `customers`, `notes` …
    pub passed_over: BTreeSet<&'static str>,
}

impl Hints {
    /// True where nothing is to be looked at.
    pub fn is_empty(&self) -> bool {
        self.contacts.is_empty() && self.leads.is_empty()
    }
}

/// A line of amoCRM's list of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountEvent {
    /// The record it names.
    pub record: Named,
    /// True where records were merged: this one is left, or is the one that went.
    pub is_merge: bool,
    /// Unix seconds.
    pub at: i64,
}

/// A record that an event names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    /// A contact.
    Contact(ContactId),
    /// A lead.
    Lead(LeadId),
}

/// A subscription to webhooks as the account has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Where it posts. May hold a secret.
    pub url: String,
    /// What it is told of.
    pub events: BTreeSet<String>,
    /// Switched off: by an administrator, or by amoCRM after too many bad answers.
    pub is_disabled: bool,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "subscription of {} events, disabled: {}", self.events.len(), self.is_disabled)
    }
}

/// Our own address for webhooks: `https://bridge.example.ru/hooks/amo/shop/secret`. Never prints its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Destination {
    origin: String,
    bridge: String,
    secret: String,
}

/// Whose an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// It is this one.
    Exactly,
    /// This program's at the same place for the same bridge, with another secret: an older one.
    Older,
    /// It looks like this program's for a bridge of this name, at another place: perhaps another installation's.
    Elsewhere,
    /// Somebody else's.
    Foreign,
}

impl Destination {
    /// `origin` is scheme, host and perhaps a port.
    pub fn new(origin: &str, bridge: &str, secret: &str) -> Destination {
        let origin = origin.trim_end_matches('/').to_owned();
        Destination { origin, bridge: bridge.to_owned(), secret: secret.to_owned() }
    }

    /// The whole address, with its secret: for the service alone.
    pub fn url(&self) -> String {
        format!("{}{}{}", self.origin, self.path(), self.secret)
    }

    /// For people: without the secret.
    pub fn masked(&self) -> String {
        format!("{}{}…", self.origin, self.path())
    }

    fn path(&self) -> String {
        format!("/hooks/amo/{}/", self.bridge)
    }

    fn whose(&self, url: &str) -> Whose {
        let Some((origin, secret)) = url.split_once(&self.path()) else { return Whose::Foreign };
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if secret.is_empty() || !secret.chars().all(is_word) {
            return Whose::Foreign;
        }
        match (origin.eq_ignore_ascii_case(&self.origin), secret == self.secret) {
            (true, true) => Whose::Exactly,
            (true, false) => Whose::Older,
            (false, _) => Whose::Elsewhere,
        }
    }
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.masked())
    }
}

/// How a bridge's own subscription stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Ours, where it is there.
    pub own: Option<Subscription>,
    /// Events it lacks.
    pub missing: Vec<&'static str>,
    /// Subscriptions of an older secret of ours.
    pub older: Vec<Subscription>,
    /// Addresses that look like ours at another place, without their secret.
    pub elsewhere: Vec<String>,
    /// How many are of no concern to us.
    pub foreign: usize,
}

impl Standing {
    /// What all subscriptions of the account come to for this address.
    pub fn of(destination: &Destination, all: Vec<Subscription>) -> Standing {
        let mut standing =
            Standing { own: None, missing: EVENTS.to_vec(), older: Vec::new(), elsewhere: Vec::new(), foreign: 0 };
        for subscription in all {
            match destination.whose(&subscription.url) {
                Whose::Exactly => standing.add_own(subscription),
                Whose::Older => standing.older.push(subscription),
                Whose::Elsewhere => {
                    let (origin, _) = subscription.url.split_once(&destination.path()).unwrap_or_default();
                    standing.elsewhere.push(format!("{origin}{}…", destination.path()));
                }
                Whose::Foreign => standing.foreign += 1,
            }
        }
        standing
    }

    /// v2 may list an address once for each of its events.
    fn add_own(&mut self, subscription: Subscription) {
        self.missing.retain(|event| !subscription.events.contains(*event));
        match &mut self.own {
            Some(own) => {
                own.events.extend(subscription.events);
                own.is_disabled |= subscription.is_disabled;
            }
            own => *own = Some(subscription),
        }
    }

    /// True where everything is told.
    pub fn is_good(&self) -> bool {
        self.missing.is_empty() && self.own.as_ref().is_some_and(|own| !own.is_disabled)
    }

    /// What an operator should know and do; none where all is well.
    pub fn complaint(&self, bridge: &str) -> Option<String> {
        let install = format!("salebridge hooks install --bridge {bridge}");
        match &self.own {
            None => Some(format!("amoCRM does not post to us; subscribe with: {install}")),
            Some(own) if own.is_disabled => Some(format!(
                "amoCRM has switched our webhook off (more than 100 bad answers within two hours do that); see that \
                 our address can be reached, then switch it on in amoCRM's settings under Webhooks, or run: {install}"
            )),
            Some(_) if !self.missing.is_empty() => {
                Some(format!("amoCRM does not tell of {}; complete it with: {install}", self.missing.join(", ")))
            }
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(url: &str, events: &[&str], is_disabled: bool) -> Subscription {
        Subscription {
            url: url.to_owned(),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            is_disabled,
        }
    }

    fn ours() -> Destination {
        Destination::new("https://bridge.example.ru/", "shop", "secret-0123456789")
    }

    #[test]
    fn only_the_very_address_is_ours_and_strangers_are_counted_alone() {
        let all = vec![
            subscription(&ours().url(), &EVENTS, false),
            subscription("https://bridge.example.ru/hooks/amo/shop/older-secret-0123", &["add_lead"], false),
            subscription("https://other.example.ru/hooks/amo/shop/other-secret-0123", &["add_lead"], false),
            subscription("https://bridge.example.ru/hooks/amo/shop2/secret-0123456789", &EVENTS, false),
            subscription("https://else.example.ru/amo?next=/hooks/amo/shop/", &EVENTS, false),
            subscription("", &[], true),
        ];
        let standing = Standing::of(&ours(), all);
        assert!(standing.is_good());
        assert_eq!(standing.older.len(), 1);
        assert_eq!(standing.elsewhere, ["https://other.example.ru/hooks/amo/shop/…"]);
        assert_eq!(standing.foreign, 3);
        assert_eq!(standing.complaint("shop"), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_remedy_and_without_the_secret() {
        let of = |all| Standing::of(&ours(), all).complaint("shop").expect("something is wrong");
        let none = of(Vec::new());
        let off = of(vec![subscription(&ours().url(), &EVENTS, true)]);
        let part = of(vec![subscription(&ours().url(), &EVENTS[1..], false)]);
        assert!(none.contains("hooks install --bridge shop") && off.contains("switch it on"), "{none} {off}");
        assert!(part.contains("add_contact") && !part.contains("add_lead"), "{part}");
        for text in [none, off, part, format!("{:?}", ours()), ours().masked()] {
            assert!(!text.contains("0123456789"), "{text}");
        }
    }

    #[test]
    fn an_address_listed_once_for_each_event_is_one_subscription() {
        let all = EVENTS.iter().map(|event| subscription(&ours().url(), &[event], false)).collect();
        assert!(Standing::of(&ours(), all).is_good());
    }
}
