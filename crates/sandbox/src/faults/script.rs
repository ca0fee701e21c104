//! The scripted half of a fault plan, and its TOML.

use serde::Deserialize;

use super::{Fault, FaultKind, RandomFaults, ServiceName};
use crate::http::Request;

/// Statuses a gateway can answer with; 1xx are no answers.
const STATUSES: std::ops::RangeInclusive<u16> = 200..=599;
/// Longest delay: an hour is longer than any patience.
pub(super) const SLOW_LIMIT_MS: u64 = 3_600_000;

/// A fault script that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// Not TOML, an unknown key, or a value of the wrong type; the text names the line.
    #[error("the fault script cannot be read: {0}")]
    Toml(#[from] toml::de::Error),
    /// Readable, but it makes no sense; one line for each problem.
    #[error("the fault script makes no sense:\n{}", .0.join("\n"))]
    Meaning(Vec<String>),
}

/// One entry of a script: which requests, which of them in order, and what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptedFault {
    /// The service; both when left out.
    pub service: Option<ServiceName>,
    /// A part of the path; every path when left out.
    pub route: Option<String>,
    /// The method in upper case; every method when left out.
    pub method: Option<String>,
    /// How many matching requests pass first.
    pub skip: u64,
    /// How many after them are spoilt.
    pub count: u64,
    /// What happens.
    pub fault: Fault,
}

impl ScriptedFault {
    /// The next request of this service, whatever it is.
    pub fn once(service: ServiceName, fault: Fault) -> Self {
        Self { service: Some(service), route: None, method: None, skip: 0, count: 1, fault }
    }

    /// Only where the path holds this text.
    pub fn on(mut self, route: &str) -> Self {
        self.route = Some(route.to_owned());
        self
    }

    /// Only requests of this method.
    pub fn by(mut self, method: &str) -> Self {
        self.method = Some(method.to_ascii_uppercase());
        self
    }

    /// Lets so many matching requests through first.
    pub fn skipping(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// As many matching requests as this, instead of one.
    pub fn times(mut self, count: u64) -> Self {
        self.count = count;
        self
    }

    fn matches(&self, service: ServiceName, request: &Request) -> bool {
        self.service.is_none_or(|wanted| wanted == service)
            && self.route.as_ref().is_none_or(|route| request.path.contains(route.as_str()))
            && self.method.as_ref().is_none_or(|method| request.method == *method)
    }
}

/// A script with how far each entry has come.
#[derive(Debug, Default)]
pub(super) struct Script {
    entries: Vec<Progress>,
}

#[derive(Debug)]
struct Progress {
    entry: ScriptedFault,
    seen: u64,
    fired: u64,
}

impl Script {
    pub fn new(entries: Vec<ScriptedFault>) -> Self {
        Self { entries: entries.into_iter().map(|entry| Progress { entry, seen: 0, fired: 0 }).collect() }
    }

    pub fn add(&mut self, entry: ScriptedFault) {
        self.entries.push(Progress { entry, seen: 0, fired: 0 });
    }

    /// The first entry that is due fires; every entry counts the request if it matches.
    pub fn decide(&mut self, service: ServiceName, request: &Request) -> Option<Fault> {
        let mut chosen = None;
        for progress in &mut self.entries {
            if !progress.entry.matches(service, request) {
                continue;
            }
            progress.seen += 1;
            let due = progress.seen > progress.entry.skip && progress.fired < progress.entry.count;
            if due && chosen.is_none() {
                progress.fired += 1;
                chosen = Some(progress.entry.fault.clone());
            }
        }
        chosen
    }

    pub fn fired(&self) -> Vec<u64> {
        self.entries.iter().map(|progress| progress.fired).collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScript {
    #[serde(default)]
    fault: Vec<RawFault>,
    random: Option<RandomFaults>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFault {
    service: Option<ServiceName>,
    route: Option<String>,
    method: Option<String>,
    #[serde(default)]
    skip: u64,
    #[serde(default = "one")]
    count: u64,
    kind: FaultKind,
    ms: Option<u64>,
    code: Option<u16>,
    body: Option<String>,
    retry_after: Option<u32>,
}

fn one() -> u64 {
    1
}

/// Reads a script; all problems of meaning are reported together.
pub(super) fn parse(text: &str) -> Result<(Vec<ScriptedFault>, Option<RandomFaults>), FaultError> {
    let raw: RawScript = toml::from_str(text)?;
    let mut problems = Vec::new();
    let mut script = Vec::new();
    for (place, raw) in raw.fault.into_iter().enumerate() {
        match raw.check() {
            Ok(entry) => script.push(entry),
            Err(found) => problems.extend(found.into_iter().map(|problem| format!("fault {}: {problem}", place + 1))),
        }
    }
    if let Some(random) = &raw.random {
        problems.extend(random.problems().into_iter().map(|problem| format!("random: {problem}")));
    }
    if problems.is_empty() { Ok((script, raw.random)) } else { Err(FaultError::Meaning(problems)) }
}

impl RawFault {
    fn check(self) -> Result<ScriptedFault, Vec<String>> {
        let mut problems = self.misplaced();
        let fault = self.fault().map_err(|problem| problems.push(problem.to_owned())).ok();
        if self.count == 0 {
            problems.push("`count` must be at least 1".to_owned());
        }
        match fault {
            Some(fault) if problems.is_empty() => Ok(ScriptedFault {
                service: self.service,
                route: self.route,
                method: self.method.map(|method| method.to_ascii_uppercase()),
                skip: self.skip,
                count: self.count,
                fault,
            }),
            _ => Err(problems),
        }
    }

    fn fault(&self) -> Result<Fault, &'static str> {
        let code = |default: Option<u16>| match self.code.or(default) {
            Some(code) if STATUSES.contains(&code) => Ok(code),
            Some(_) => Err("`code` must be between 200 and 599"),
            None => Err("kind \"status\" needs `code`"),
        };
        Ok(match self.kind {
            FaultKind::LostRequest => Fault::LostRequest,
            FaultKind::LostAnswer => Fault::LostAnswer,
            FaultKind::Truncated => Fault::Truncated,
            FaultKind::ExpireTokens => Fault::ExpireTokens,
            FaultKind::RevokeTokens => Fault::RevokeTokens,
            FaultKind::Html => Fault::Html { code: code(Some(502))? },
            FaultKind::Status => {
                Fault::Status { code: code(None)?, body: self.body.clone(), retry_after: self.retry_after }
            }
            FaultKind::Slow => match self.ms {
                Some(ms) if ms <= SLOW_LIMIT_MS => Fault::Slow { ms },
                Some(_) => return Err("`ms` must be at most 3600000"),
                None => return Err("kind \"slow\" needs `ms`"),
            },
        })
    }

    /// Keys that stand there but belong to another kind.
    fn misplaced(&self) -> Vec<String> {
        let is_status = self.kind == FaultKind::Status;
        let keys = [
            ("ms", self.ms.is_some(), self.kind == FaultKind::Slow, "slow"),
            ("code", self.code.is_some(), is_status || self.kind == FaultKind::Html, "status"),
            ("body", self.body.is_some(), is_status, "status"),
            ("retry_after", self.retry_after.is_some(), is_status, "status"),
        ];
        let misplaced = keys.into_iter().filter(|(_, given, allowed, _)| *given && !allowed);
        misplaced.map(|(key, _, _, owner)| format!("`{key}` belongs to kind \"{owner}\"")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Faults;
    use super::*;

    fn request(method: &str, path: &str) -> Request {
        Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn problem(text: &str) -> String {
        Faults::parse(text).expect_err("a bad script").to_string()
    }

    #[test]
    fn skip_and_count_choose_the_requests() {
        let mut faults = Faults::parse("[[fault]]\nkind = \"truncated\"\nskip = 1\ncount = 2").expect("good");
        let spoilt: Vec<bool> =
            (0..5).map(|_| faults.decide(ServiceName::Amo, &request("GET", "/")).is_some()).collect();
        assert_eq!(spoilt, [false, true, true, false, false]);
        assert_eq!(faults.script_fired(), [2]);
    }

    #[test]
    fn service_route_and_method_must_all_match() {
        let script = "[[fault]]\nservice = \"salebot\"\nroute = \"/create_order\"\nmethod = \"post\"\ncount = 9\nkind = \"html\"";
        let mut faults = Faults::parse(script).expect("good");
        assert_eq!(faults.decide(ServiceName::Amo, &request("POST", "/api/k/create_order")), None);
        assert_eq!(faults.decide(ServiceName::Salebot, &request("GET", "/api/k/create_order")), None);
        assert_eq!(faults.decide(ServiceName::Salebot, &request("POST", "/api/k/message")), None);
        assert!(faults.decide(ServiceName::Salebot, &request("POST", "/api/k/create_order")).is_some());
    }

    #[test]
    fn the_first_due_entry_fires_and_the_others_still_count() {
        let script = "[[fault]]\nkind = \"html\"\n[[fault]]\nkind = \"truncated\"\nskip = 1";
        let mut faults = Faults::parse(script).expect("good");
        let decided: Vec<Option<FaultKind>> =
            (0..3).map(|_| faults.decide(ServiceName::Amo, &request("GET", "/")).map(|fault| fault.kind())).collect();
        assert_eq!(decided, [Some(FaultKind::Html), Some(FaultKind::Truncated), None]);
    }

    #[test]
    fn unknown_keys_services_and_kinds_are_refused_with_their_place() {
        let unknown = problem("[[fault]]\nkind = \"html\"\ncolour = 1");
        assert!(unknown.contains("colour") && unknown.contains("line 3"), "{unknown}");
        assert!(problem("[[faults]]\nkind = \"html\"").contains("faults"));
        assert!(problem("[[fault]]\nkind = \"gone\"").contains("gone"));
        assert!(problem("[[fault]]\nservice = \"bitrix\"\nkind = \"html\"").contains("bitrix"));
        assert!(problem("[[fault]]\nroute = \"/\"").contains("kind"));
        assert!(problem("[random]\nseed = 1\nlost = 2").contains("lost"));
    }

    #[test]
    fn all_problems_of_meaning_are_told_together() {
        let script = "[[fault]]\nkind = \"slow\"\ncode = 500\n[[fault]]\nkind = \"status\"\ncode = 99\ncount = 0\n\
                      [random]\nseed = 1\nhtml = 700\nslow = 700";
        let told = problem(script);
        for part in [
            "fault 1: `code` belongs to kind \"status\"",
            "fault 1: kind \"slow\" needs `ms`",
            "fault 2: `code` must be between 200 and 599",
            "fault 2: `count` must be at least 1",
            "random: the chances add up to 1400 in a thousand",
        ] {
            assert!(told.contains(part), "{part} is missing in {told}");
        }
    }
}
