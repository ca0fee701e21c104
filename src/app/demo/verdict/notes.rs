//! Messages and notes: every message is one line, in the right contact, in the dialogue's order.

use super::{Row, Truth};
use crate::sandbox::amo::records::ElementKind;
use std::collections::BTreeMap;

/// One line of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    contact: u64,
    from_person: bool,
    text: String,
}

pub(super) fn rows(truth: &Truth<'_>) -> Vec<Row> {
    let lines = lines(truth);
    let linked = &truth.linked;
    let mut expected: BTreeMap<i64, Vec<(bool, &str)>> = BTreeMap::new();
    for said in truth.said.iter().filter(|said| linked.contains_key(&said.client)) {
        expected.entry(said.client).or_default().push((said.from_person, said.text.as_str()));
    }
    let of_people = |client: &i64| linked.contains_key(client);
    let found: usize = lines.iter().filter(|(client, _)| of_people(client)).map(|(_, lines)| lines.len()).sum();
    let mut out_of_order = Vec::new();
    let mut misplaced = Vec::new();
    for (client, messages) in &expected {
        let lines = lines.get(client).map(Vec::as_slice).unwrap_or_default();
        let read: Vec<(bool, &str)> = lines.iter().map(|line| (line.from_person, line.text.as_str())).collect();
        if read != *messages {
            out_of_order.push(format!("client {client}: {} lines for {} messages", read.len(), messages.len()));
        }
        if lines.iter().any(|line| Some(&line.contact) != linked.get(client)) {
            misplaced.push(format!("client {client}"));
        }
    }
    let strangers: Vec<String> =
        truth.groups.iter().filter(|group| lines.contains_key(group)).map(|group| format!("client {group}")).collect();
    vec![
        Row::equal("messages written = lines in notes", expected.values().map(Vec::len).sum(), found),
        Row::all("dialogues word for word and in order", expected.len(), &out_of_order),
        Row::none("dialogues in a wrong contact", &misplaced),
        Row::none("notes from group chats", &strangers),
    ]
}

/// The lines of all notes by client, as they stand. A line without a head belongs to the one before.
fn lines(truth: &Truth<'_>) -> BTreeMap<i64, Vec<Line>> {
    let mut lines: BTreeMap<i64, Vec<Line>> = BTreeMap::new();
    for note in truth.amo.notes().filter(|note| note.element.kind == ElementKind::Contact) {
        let mut current = None;
        for raw in note.words().lines() {
            match head(raw) {
                Some((client, from_person, text)) => {
                    let line = Line { contact: note.element.id, from_person, text: text.to_owned() };
                    lines.entry(client).or_default().push(line);
                    current = Some(client);
                }
                None => {
                    let last = current.and_then(|client| lines.get_mut(&client)).and_then(|lines| lines.last_mut());
                    if let Some(last) = last {
                        last.text.push('\n');
                        last.text.push_str(raw);
                    }
                }
            }
        }
    }
    lines
}

/// Client, direction and words of `← Telegram 28.05.2026 17:33 [811000001]: words`.
fn head(line: &str) -> Option<(i64, bool, &str)> {
    let from_person = match line.chars().next()? {
        '←' => true,
        '→' => false,
        _ => return None,
    };
    let (head, text) = line.split_once("]: ")?;
    let (_, client) = head.rsplit_once('[')?;
    Some((client.parse().ok()?, from_person, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart() {
        assert_eq!(head("← Telegram 28.05.2026 17:33 [811000001]: a [b]: c"), Some((811_000_001, true, "a [b]: c")));
        assert_eq!(head("→ VK 28.05.2026 17:33 [5]: "), Some((5, false, "")));
        assert_eq!(head("second line [5]: of a message"), None);
    }
}
