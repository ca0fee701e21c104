//! Both adapters over the simulated account: the same to the engine in either dialect, under every plausible answer to
//! what is not documented.

mod reading;
mod writing;

use super::{NOW_MS, SkippingClock};
use async_trait::async_trait;
use salebridge::core::fault::{Fault, FaultKind};
use salebridge::core::id::ContactId;
use salebridge::core::model::{Account, Contact, Element, FieldKind, Lead};
use salebridge::core::text;
use salebridge::core::time::Millis;
use salebridge::ports::env::Env;
use salebridge::ports::remote::{Amo as AmoPort, Priority};
use salebridge::remote::amocrm::{AmoV2, AmoV4, Bearer, LongLivedToken};
use salebridge::remote::http::{RawAnswer, RawRequest, Transport, TransportError};
use salebridge::remote::lane::{Lane, LaneOptions};
use salebridge::sandbox::amo::options::v4::{Dates, Filters, MissingRecord, MixedBatch, NextLinks, RefusedBy};
use salebridge::sandbox::amo::options::{AmoOptions, DateShape};
use salebridge::sandbox::amo::{Amo, edit::ContactDraft};
use salebridge::sandbox::http::Request;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

const POLL: Priority = Priority::Poll;

/// Carries requests to the simulation without a socket.
struct Direct {
    amo: Arc<Mutex<Amo>>,
    clock: Arc<SkippingClock>,
    requests: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Transport for Direct {
    async fn send(&self, request: RawRequest) -> Result<RawAnswer, TransportError> {
        let url = reqwest::Url::parse(request.url.expose_secret()).expect("an address");
        let headers = request.headers.iter();
        let asked = Request {
            method: request.method.name().to_owned(),
            path: url.path().to_owned(),
            query: url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
            headers: headers.map(|(name, value)| ((*name).to_owned(), value.expose_secret().to_owned())).collect(),
            body: request.body,
        };
        let target = format!("{} {}?{}", asked.method, asked.path, url.query().unwrap_or_default());
        self.requests.lock().expect("whole").push(target);
        let answer = self.amo.lock().expect("whole").handle(self.clock.now().0, &asked);
        Ok(RawAnswer { status: answer.status, headers: answer.headers, body: answer.body })
    }
}

/// An account, and an adapter in each dialect.
struct World {
    amo: Arc<Mutex<Amo>>,
    clock: Arc<SkippingClock>,
    requests: Arc<Mutex<Vec<String>>>,
    v2: AmoV2,
    v4: AmoV4,
}

/// The version of the API a test speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    V2,
    V4,
}

impl World {
    fn new(adjust: impl FnOnce(&mut AmoOptions)) -> World {
        let mut options = AmoOptions::default();
        options.limits.requests_per_second = None;
        options.shapes.account_field_codes = true;
        adjust(&mut options);
        let token = Arc::new(Bearer(LongLivedToken(SecretString::from(options.token.clone()))));
        let amo = Arc::new(Mutex::new(Amo::new(options)));
        let clock = Arc::new(SkippingClock(AtomicI64::new(NOW_MS)));
        let requests = Arc::new(Mutex::default());
        let transport: Arc<dyn Transport> =
            Arc::new(Direct { amo: amo.clone(), clock: clock.clone(), requests: Arc::clone(&requests) });
        let env: Arc<dyn Env> = clock.clone();
        let lane = || Arc::new(Lane::new(LaneOptions::new("amoCRM", 1_000.0), env.clone()));
        let url = "https://example.test";
        let v2 = AmoV2::new(url, token.clone(), transport.clone(), lane(), env.clone());
        let v4 = AmoV4::new(url, token, transport, lane(), env.clone());
        World { amo, clock, requests, v2, v4 }
    }

    fn api(&self, dialect: Dialect) -> &dyn AmoPort {
        match dialect {
            Dialect::V2 => &self.v2,
            Dialect::V4 => &self.v4,
        }
    }

    fn edit<R>(&self, edit: impl FnOnce(&mut Amo, i64) -> R) -> R {
        edit(&mut self.amo.lock().expect("whole"), self.clock.now().0)
    }

    fn wait(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }

    fn clock_now(&self) -> Millis {
        self.clock.now()
    }

    fn now_s(&self) -> i64 {
        self.clock.now().seconds()
    }

    fn person(&self, name: &str) -> ContactId {
        let draft = ContactDraft { name: name.to_owned(), ..ContactDraft::default() };
        ContactId(self.edit(|amo, now_ms| amo.add_contact(now_ms, draft)))
    }

    /// Contacts made one second after the other.
    fn people(&self, count: usize) -> Vec<ContactId> {
        let made = (0..count).map(|number| {
            self.wait(1);
            self.person(&format!("Person {number}"))
        });
        made.collect()
    }

    fn asked(&self, part: &str) -> usize {
        self.requests.lock().expect("whole").iter().filter(|target| target.contains(part)).count()
    }

    async fn contact(&self, dialect: Dialect, id: ContactId) -> Contact {
        let page = self.api(dialect).contacts_by_id(&[id], POLL).await.expect("read");
        assert_eq!((page.rows.len(), page.broken.len()), (1, 0));
        page.rows.into_iter().next().expect("one")
    }
}

/// What the documentation of v4 leaves open, and what v2's does where it touches both.
#[derive(Debug, Clone, Copy)]
enum Variant {
    /// amocrm.ru: no filters, and the account says so.
    Documented,
    /// Filters work.
    Filters,
    /// The account says that filters work, and they do not.
    FalseFlag,
    /// The account says nothing of filters, which work.
    NoFlag,
    /// No links in lists, 404 for what is not there, samples' `enum`, RFC 3339.
    OddShapes,
    /// Refusals by place, and the good items of a refused batch are written.
    OddBatches,
    /// Deleted records are shown, the lock holds, users are not shown, fifty fields a page.
    Strict,
}

impl Variant {
    const ALL: [Variant; 7] = [
        Variant::Documented,
        Variant::Filters,
        Variant::FalseFlag,
        Variant::NoFlag,
        Variant::OddShapes,
        Variant::OddBatches,
        Variant::Strict,
    ];

    fn world(self) -> World {
        World::new(|options| self.set(options))
    }

    fn set(self, options: &mut AmoOptions) {
        let v4 = &mut options.v4;
        match self {
            Variant::Documented => {}
            Variant::Filters => (v4.filters, v4.filters_flag) = (Filters::Heeded, Some(true)),
            Variant::FalseFlag => v4.filters_flag = Some(true),
            Variant::NoFlag => (v4.filters, v4.filters_flag) = (Filters::Heeded, None),
            Variant::OddShapes => {
                (v4.next, v4.missing) = (NextLinks::Untold, MissingRecord::NotFound);
                (v4.sample_enums, v4.dates) = (true, Dates::Rfc3339);
                options.shapes.dates = DateShape::Local;
            }
            Variant::OddBatches => (v4.refused_by, v4.mixed_batch) = (RefusedBy::Place, MixedBatch::Rest),
            Variant::Strict => {
                (v4.shows_deleted, v4.locks) = (true, true);
                v4.custom_fields_rows = 5;
            }
        }
    }
}

/// A value as the engine understands it: dates in the account's zone, choices by id, no word on the kind's name.
fn meaning(account: &Account, kind: FieldKind, element: &Element) -> String {
    let zone = jiff::tz::TimeZone::get(&account.time_zone).expect("a zone");
    let value = match kind {
        FieldKind::Date | FieldKind::DateTime | FieldKind::Birthday => {
            text::local_date(&element.value, &zone).expect("a date")
        }
        _ => element.value.clone(),
    };
    format!("{value} {:?} {:?}", element.choice, element.part)
}

fn fields(account: &Account, contact: &Contact) -> BTreeMap<String, Vec<String>> {
    let infos = contact.fields.iter().map(|(id, elements)| {
        let info = &account.contact_fields[id];
        (info.name.clone(), elements.iter().map(|element| meaning(account, info.kind, element)).collect())
    });
    infos.collect()
}

/// Everything of a contact that both dialects tell, values as they are meant.
fn meant(account: &Account, contact: &Contact) -> (Contact, BTreeMap<String, Vec<String>>) {
    let bare = Contact { fields: BTreeMap::new(), ..contact.clone() };
    (bare, fields(account, contact))
}

/// A lead without the fields, whose dates differ in form.
fn bare(lead: &Lead) -> Lead {
    Lead { fields: BTreeMap::new(), ..lead.clone() }
}

fn kinds<T>(results: Vec<Result<T, Fault>>) -> Vec<Result<T, FaultKind>> {
    results.into_iter().map(|result| result.map_err(|fault| fault.kind)).collect()
}
