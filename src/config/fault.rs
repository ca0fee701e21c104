//! What is wrong with a configuration, all of it, drawn under the lines at fault.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::fmt;
use std::ops::Range;

/// More faults than this are counted, not shown: nobody reads further, and a report has to end.
pub const SHOWN_MAX: usize = 200;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line, counted from 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// The key at fault, such as `bridge[0].amo.poll_contacts`; empty when the text is no TOML there.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would be right, where that can be told.
    pub help: Option<String>,
    /// The line's own text with secrets hidden, and the bytes of it that are meant.
    pub(super) shown: Option<(String, Range<usize>)>,
}

/// Everything that is wrong with one configuration, in the order of its lines.
///
/// Neither `Display` nor `Debug` show the value of a secret: the text of the file is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    pub(super) name: String,
    pub(super) faults: Vec<Fault>,
    pub(super) unshown: usize,
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Faults {
    /// A report of the one fault that kept the file from being read at all.
    pub(super) fn unreadable(name: &str, message: String, help: Option<String>) -> Self {
        let fault = Fault { line: 0, path: String::new(), message, help, shown: None };
        Self { name: name.to_owned(), faults: vec![fault], unshown: 0 }
    }

    /// The file, as it was named.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The faults in the order of their lines, at most [`SHOWN_MAX`].
    pub fn list(&self) -> &[Fault] {
        &self.faults
    }

    /// How many faults there are, those included that are not listed.
    pub fn count(&self) -> usize {
        self.faults.len() + self.unshown
    }

    /// The whole report; with terminal colours if `styled`.
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for fault in &self.faults {
            text.push_str(&renderer.render(&[fault.group(&self.name)]));
            text.push_str("\n\n");
        }
        let count = self.count();
        let plural = if count == 1 { "fault" } else { "faults" };
        text.push_str(&format!("{}: {count} {plural}", self.name));
        if self.unshown > 0 {
            text.push_str(&format!(", of which the first {} are shown", self.faults.len()));
        }
        text
    }
}

impl Fault {
    /// The fault as one block of the report.
    fn group<'a>(&'a self, name: &'a str) -> Group<'a> {
        let title = match self.path.as_str() {
            "" => self.message.clone(),
            path => format!("{path}: {}", self.message),
        };
        let group = Level::ERROR.primary_title(title);
        let group = match &self.shown {
            Some((text, span)) => group.element(
                Snippet::source(text.as_str())
                    .line_start(self.line)
                    .path(name)
                    .annotation(AnnotationKind::Primary.span(span.clone())),
            ),
            None if self.line > 0 => group.element(Origin::path(name).line(self.line)),
            None => group.element(Origin::path(name)),
        };
        match &self.help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        }
    }
}
