//! What is seen of the demo: on a terminal events above a panel that is redrawn, else plain lines.

use anstyle::{AnsiColor, Style};
use std::io::{IsTerminal, Write};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const ACT: Style = AnsiColor::Cyan.on_default().bold();
const WRONG: Style = AnsiColor::Red.on_default().bold();

/// Lines of the panel are this wide at most, so that a terminal of 80 columns breaks none.
const WIDTH: usize = 78;

/// Both sides and the daemon at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Snapshot {
    pub contacts: usize,
    pub leads: usize,
    pub notes: usize,
    pub amo_requests: u64,
    pub amo_peak: usize,
    pub amo_lane: String,
    pub clients: usize,
    pub orders: usize,
    pub messages: usize,
    pub salebot_requests: u64,
    pub salebot_lane: String,
    pub delivered: u64,
    pub inbox: u64,
    pub outbox: u64,
    pub links: u64,
    pub dead_letters: u64,
}

/// Shows the demo.
pub(super) struct View {
    is_live: bool,
    drawn: usize,
    latest: Snapshot,
}

impl View {
    /// Live on a terminal, plain in a pipe or a file.
    pub fn of_stdout() -> View {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        View { is_live: std::io::stdout().is_terminal() && !is_dumb, drawn: 0, latest: Snapshot::default() }
    }

    /// A new act begins.
    pub fn act(&mut self, title: &str) {
        self.line(&format!("{ACT}{title}{ACT:#}"));
    }

    /// Something happened.
    pub fn event(&mut self, text: &str) {
        self.line(&format!("  {text}"));
    }

    /// Something did not happen in time.
    pub fn wrong(&mut self, text: &str) {
        self.line(&format!("  {WRONG}{text}{WRONG:#}"));
    }

    /// How both sides are now. Plain output says so only when asked with [`View::totals`].
    pub fn show(&mut self, snapshot: Snapshot) {
        let is_news = snapshot != self.latest;
        self.latest = snapshot;
        if self.is_live && (is_news || self.drawn == 0) {
            self.erase();
            self.draw();
        }
    }

    /// One line with the numbers of both sides, for plain output.
    pub fn totals(&mut self) {
        if !self.is_live {
            let seen = &self.latest;
            let text = format!(
                "amoCRM: {} contacts, {} leads, {} notes | Salebot: {} clients, {} orders, {} messages | {} linked",
                seen.contacts, seen.leads, seen.notes, seen.clients, seen.orders, seen.messages, seen.links
            );
            self.line(&format!("  {DIM}{text}{DIM:#}"));
        }
    }

    /// Takes the panel away.
    pub fn end(&mut self) {
        self.erase();
    }

    fn line(&mut self, text: &str) {
        self.erase();
        // Nobody is left to tell when standard output is closed.
        let _ = writeln!(anstream::stdout(), "{text}");
        if self.is_live {
            self.draw();
        }
    }

    /// Goes back up over the panel and clears from there.
    fn erase(&mut self) {
        if self.drawn > 0 {
            let _ = write!(anstream::stdout(), "\x1b[{}A\x1b[0J", self.drawn);
            self.drawn = 0;
        }
    }

    fn draw(&mut self) {
        let lines = panel(&self.latest);
        let mut out = anstream::stdout().lock();
        for line in &lines {
            let _ = writeln!(out, "{line}");
        }
        let _ = out.flush();
        self.drawn = lines.len();
    }
}

fn panel(seen: &Snapshot) -> Vec<String> {
    let rule = "─".repeat(WIDTH);
    let row = |left: String, right: String| format!("  {left:<37}{right}");
    let head = row("amoCRM".to_owned(), "Salebot".to_owned());
    vec![
        format!("{DIM}{rule}{DIM:#}"),
        format!("{BOLD}{head}{BOLD:#}"),
        row(format!("{:>6} contacts", seen.contacts), format!("{:>6} clients", seen.clients)),
        row(format!("{:>6} leads", seen.leads), format!("{:>6} orders", seen.orders)),
        row(format!("{:>6} notes", seen.notes), format!("{:>6} messages", seen.messages)),
        row(
            format!("{:>6} requests, peak {}/s, {}", seen.amo_requests, seen.amo_peak, seen.amo_lane),
            format!("{:>6} requests, {}", seen.salebot_requests, seen.salebot_lane),
        ),
        format!(
            "  {DIM}bridge: {} delivered, {} linked, inbox {}, outbox {}, dead letters {}{DIM:#}",
            seen.delivered, seen.links, seen.inbox, seen.outbox, seen.dead_letters
        ),
        format!("{DIM}{rule}{DIM:#}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_the_panel_is_wider_than_a_terminal() {
        let many = Snapshot {
            contacts: 999_999,
            amo_requests: 999_999,
            amo_lane: "blocked".to_owned(),
            salebot_requests: 999_999,
            salebot_lane: "parked".to_owned(),
            delivered: 99_999,
            inbox: 9_999,
            outbox: 9_999,
            links: 9_999,
            ..Snapshot::default()
        };
        for line in panel(&many) {
            let plain = anstream::adapter::strip_str(&line).to_string();
            assert!(plain.chars().count() <= 80, "{plain}");
        }
    }
}
