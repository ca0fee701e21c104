//! Collects faults while a configuration is read, and turns them into a report.

use super::fault::{Fault, Faults, SHOWN_MAX};
use super::mask::{self, Openness};
use std::collections::BTreeSet;
use std::ops::Range;

/// Longer lines are named by their number only; the longest useful value is a template of 4096 bytes.
const QUOTED_BYTES_MAX: usize = 8192;

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The key's full name: `bridge[0].amo.url`.
    pub path: String,
    /// Bytes of the file.
    pub span: Range<usize>,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At<T> {
    pub value: T,
    pub place: Place,
}

/// What kind of fault it is, as far as that decides whether it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// The text is no TOML.
    Syntax,
    /// The named key is not there.
    Missing(String),
    /// A key that is not like any known one, in this table.
    Unknown(String),
    /// Any other.
    Meaning,
}

#[derive(Debug)]
struct Finding {
    kind: Kind,
    place: Place,
    message: String,
    help: Option<String>,
}

/// The faults found so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
    hidden: Vec<Range<usize>>,
}

impl Report {
    /// The text is no TOML at these bytes.
    pub fn syntax(&mut self, message: &str, span: Range<usize>) {
        let place = Place { path: String::new(), span };
        self.push(Kind::Syntax, &place, format!("this is not valid TOML: {message}"), None);
    }

    /// A required key is not there.
    pub fn missing(&mut self, place: &Place, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.push(Kind::Missing(key.to_owned()), place, message.into(), Some(help.into()));
    }

    /// A key that is not like any known one, and the table it stands in.
    pub fn unknown(&mut self, place: &Place, parent: &str, help: impl Into<String>) {
        self.push(Kind::Unknown(parent.to_owned()), place, "is no known key".to_owned(), Some(help.into()));
    }

    /// Something is wrong at a place.
    pub fn fault(&mut self, place: &Place, message: impl Into<String>) {
        self.push(Kind::Meaning, place, message.into(), None);
    }

    /// Something is wrong at a place, and this would be right.
    pub fn fault_with_help(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.push(Kind::Meaning, place, message.into(), Some(help.into()));
    }

    /// These bytes of the file must not be quoted.
    pub fn hide(&mut self, span: Range<usize>) {
        self.hidden.push(span);
    }

    /// True when a fault of this key, or of one below it, is already known.
    pub fn is_faulty(&self, path: &str) -> bool {
        let below = |found: &str| found.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.findings.iter().any(|finding| below(&finding.place.path))
    }

    /// True while nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn push(&mut self, kind: Kind, place: &Place, message: String, help: Option<String>) {
        self.findings.push(Finding { kind, place: place.clone(), message, help });
    }

    /// The report. `openness` tells of a key what may be quoted of it from a file that is no valid TOML.
    pub fn into_faults(mut self, name: &str, text: &str, openness: impl Fn(&str) -> Openness) -> Faults {
        let lines = Lines::of(text);
        self.drop_echoes(text, &lines);
        self.findings.sort_by_key(|finding| (lines.number(finding.place.span.start), finding.place.span.start));
        // Behind the first fault of syntax in a line the reader of TOML only guesses.
        self.findings.dedup_by(|later, first| {
            let line = |finding: &Finding| lines.number(finding.place.span.start);
            later.kind == Kind::Syntax && first.kind == Kind::Syntax && line(later) == line(first)
        });
        let broken = self.findings.iter().any(|finding| finding.kind == Kind::Syntax);
        let unshown = self.findings.len().saturating_sub(SHOWN_MAX);
        let findings = std::mem::take(&mut self.findings);
        let faults = findings
            .into_iter()
            .take(SHOWN_MAX)
            .map(|finding| {
                let (line, shown) = self.quote(text, &lines, &finding.place.span, broken, &openness);
                let Finding { kind, place, message, help } = finding;
                match kind {
                    // In a text that is no TOML a lost quote can make a key of a secret.
                    Kind::Unknown(parent) if broken => {
                        Fault { line, path: parent, message: "holds a key that is not known".to_owned(), help, shown }
                    }
                    _ => Fault { line, path: place.path, message, help, shown },
                }
            })
            .collect();
        Faults { name: name.to_owned(), faults, unshown }
    }

    /// Drops what only follows from a syntax fault: anything else on its line, and the lack of a key
    /// that stands on its line.
    fn drop_echoes(&mut self, text: &str, lines: &Lines) {
        let broken: BTreeSet<usize> = self
            .findings
            .iter()
            .filter(|finding| finding.kind == Kind::Syntax)
            .map(|finding| lines.number(finding.place.span.start))
            .collect();
        self.findings.retain(|finding| match &finding.kind {
            Kind::Syntax => true,
            Kind::Missing(key) => {
                !broken.iter().take(SHOWN_MAX).any(|line| text[lines.span(*line)].contains(key.as_str()))
            }
            Kind::Meaning | Kind::Unknown(_) => !broken.contains(&lines.number(finding.place.span.start)),
        });
    }

    /// The line of a span with its secrets hidden, and the part of the line that is meant.
    fn quote(
        &self,
        text: &str,
        lines: &Lines,
        span: &Range<usize>,
        broken: bool,
        openness: &impl Fn(&str) -> Openness,
    ) -> (usize, Option<(String, Range<usize>)>) {
        let number = lines.number(span.start);
        let whole = lines.span(number);
        let line = &text[whole.clone()];
        if line.len() > QUOTED_BYTES_MAX {
            return (number, None);
        }
        let mut hidden = mask::logins(line);
        hidden.extend(
            self.hidden
                .iter()
                .filter(|secret| secret.start < whole.end && secret.end > whole.start)
                .map(|secret| secret.start.saturating_sub(whole.start)..secret.end.min(whole.end) - whole.start),
        );
        hidden.extend(mask::assignments(line, openness));
        if broken {
            hidden.push(mask::quotable(line, openness)..line.len());
        }
        let mut shown = mask::hide(line, &hidden);
        let start = shown.floor_char_boundary(span.start - whole.start);
        let end = shown.floor_char_boundary(span.end.max(span.start) - whole.start);
        // A comment behind the fault adds nothing, and may be a secret that was put aside.
        if let Some(comment) = shown[end..].find('#') {
            shown.truncate(end + comment);
            shown.truncate(end.max(shown.trim_end().len()));
        }
        (number, Some((shown, start..end)))
    }
}

/// Where the lines of a text begin.
struct Lines {
    starts: Vec<usize>,
    bytes: usize,
    ends: Vec<usize>,
}

impl Lines {
    fn of(text: &str) -> Self {
        let mut starts = vec![0];
        starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        let ends = text
            .split('\n')
            .zip(&starts)
            .map(|(line, start)| start + line.strip_suffix('\r').unwrap_or(line).len())
            .collect();
        Self { starts, bytes: text.len(), ends }
    }

    /// The number of the line that holds a byte, counted from 1.
    fn number(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at.min(self.bytes)).max(1)
    }

    /// The bytes of a line without its end.
    fn span(&self, number: usize) -> Range<usize> {
        self.starts[number - 1]..self.ends[number - 1]
    }
}
