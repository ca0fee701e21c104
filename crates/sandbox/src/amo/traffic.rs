//! What was asked and answered: counts for proofs, and a bounded log for the reader.

use std::collections::{BTreeMap, VecDeque};

use super::limit::forget_before;
use crate::http::{Request, Response};

/// Routes counted one by one; the rest shares one entry, so that odd paths cannot fill the memory.
const MAX_ROUTES: usize = 64;

/// The entry of all further routes.
const OTHER_ROUTES: &str = "other";

/// Counts since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Every request, refused ones included.
    pub requests: u64,
    /// By method and path, such as `GET /api/v2/contacts`; ids in a path stand as `{id}`.
    pub by_route: BTreeMap<String, u64>,
    /// By status code.
    pub by_status: BTreeMap<u16, u64>,
    /// The most requests, refused ones included, that came within any 1,000 ms.
    pub peak_per_second: usize,
}

impl Statistics {
    /// How many answers had this status.
    pub fn with_status(&self, status: u16) -> u64 {
        self.by_status.get(&status).copied().unwrap_or(0)
    }

    /// Answers 429: the limit was passed.
    pub fn too_many(&self) -> u64 {
        self.with_status(429)
    }

    /// Answers 403: the caller was blocked.
    pub fn blocked(&self) -> u64 {
        self.with_status(403)
    }

    /// How often a route was called, `GET /api/v2/contacts`.
    pub fn calls(&self, route: &str) -> u64 {
        self.by_route.get(route).copied().unwrap_or(0)
    }
}

/// One request in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedRequest {
    /// When it came.
    pub at_ms: i64,
    /// The method in upper case.
    pub method: String,
    /// The path without a trailing slash.
    pub path: String,
    /// The query, decoded.
    pub query: Vec<(String, String)>,
    /// The header `IF-MODIFIED-SINCE` as sent.
    pub if_modified_since: Option<String>,
    /// The status of the answer.
    pub status: u16,
}

/// Counts and the log.
#[derive(Debug)]
pub(super) struct Traffic {
    pub(super) statistics: Statistics,
    pub(super) log: VecDeque<LoggedRequest>,
    log_limit: usize,
    recent_ms: VecDeque<i64>,
}

impl Traffic {
    pub(super) fn new(log_limit: usize) -> Self {
        Traffic { statistics: Statistics::default(), log: VecDeque::new(), log_limit, recent_ms: VecDeque::new() }
    }

    /// Notes an exchange. Times never decrease from call to call.
    pub(super) fn record(&mut self, now_ms: i64, request: &Request, response: &Response) {
        let path = request.path.trim_end_matches('/');
        self.count(now_ms, format!("{} {}", request.method, route(path)), response.status);
        if self.log_limit == 0 {
            return;
        }
        if self.log.len() >= self.log_limit {
            self.log.pop_front();
        }
        self.log.push_back(LoggedRequest {
            at_ms: now_ms,
            method: request.method.clone(),
            path: path.to_owned(),
            query: request.query.clone(),
            if_modified_since: request.header("if-modified-since").map(str::to_owned),
            status: response.status,
        });
    }

    fn count(&mut self, now_ms: i64, route: String, status: u16) {
        let statistics = &mut self.statistics;
        statistics.requests += 1;
        *statistics.by_status.entry(status).or_default() += 1;
        let known = statistics.by_route.contains_key(&route);
        let room = statistics.by_route.len() < MAX_ROUTES;
        let route = if known || room { route } else { OTHER_ROUTES.to_owned() };
        *statistics.by_route.entry(route).or_default() += 1;
        forget_before(&mut self.recent_ms, now_ms - 1_000);
        self.recent_ms.push_back(now_ms);
        statistics.peak_per_second = statistics.peak_per_second.max(self.recent_ms.len());
    }
}

/// The path without the ids in it.
fn route(path: &str) -> String {
    let is_id = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    path.split('/').map(|part| if is_id(part) { "{id}" } else { part }).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(traffic: &mut Traffic, now_ms: i64, path: &str, status: u16) {
        let request = Request { method: "GET".into(), path: path.into(), query: vec![], headers: vec![], body: vec![] };
        traffic.record(now_ms, &request, &Response { status, headers: vec![], body: vec![] });
    }

    #[test]
    fn the_peak_is_that_of_any_second_not_of_a_clock_second() {
        let mut traffic = Traffic::new(10);
        for now_ms in [0, 900, 950, 1_899, 1_950] {
            exchange(&mut traffic, now_ms, "/a", 200);
        }
        assert_eq!(traffic.statistics.peak_per_second, 3);
    }

    #[test]
    fn the_log_and_the_routes_are_bounded() {
        let mut traffic = Traffic::new(3);
        for number in 0..200 {
            exchange(&mut traffic, number, &format!("/odd{number}/7/"), 404);
        }
        assert_eq!(traffic.log.len(), 3);
        assert_eq!(traffic.log[2].path, "/odd199/7");
        assert_eq!(traffic.statistics.by_route.len(), MAX_ROUTES + 1);
        assert_eq!(traffic.statistics.calls("GET /odd0/{id}"), 1);
        assert_eq!(traffic.statistics.calls("other"), 200 - MAX_ROUTES as u64);
        assert_eq!(traffic.statistics.with_status(404), 200);
    }
}
