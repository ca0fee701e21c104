//! Plain HTTP values: what the simulated services take and give, with no socket in sight.
//!
//! Both services are state machines, `handle(now, request) -> Reply`. A server puts them on
//! loopback ([`super::server`]); a simulation may call them directly, under a clock of its own.

/// A request as a service sees it: percent-decoding of the path and the query is already done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Upper case: `GET`, `POST`, `PATCH`, `DELETE`.
    pub method: String,
    /// The path alone, with its leading slash.
    pub path: String,
    /// Query pairs in order of appearance; a name may stand more than once (`id[]`).
    pub query: Vec<(String, String)>,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as sent, empty when there was none.
    pub body: Vec<u8>,
}

impl Request {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The first value of a query parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Every value of a query parameter, in order.
    pub fn params<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.query.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// What a service answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, empty for 204.
    pub body: Vec<u8>,
}

/// What becomes of the answer on its way back: the hook for scripted faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives after this many milliseconds.
    Arrives {
        /// How long the answer takes.
        after_ms: u64,
    },
    /// The connection breaks and nothing was done: a lost request.
    LostBefore,
    /// The connection breaks after the work was done: a lost answer.
    LostAfter,
}

/// An answer and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The answer; also present, unseen by the caller, where it is lost.
    pub response: Response,
    /// What becomes of it.
    pub fate: Fate,
}
