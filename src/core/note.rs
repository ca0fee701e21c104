//! Messages become notes: which are written, how a line reads, which lines share a note.

use super::id::MessageId;
use super::model::{Attachment, Message, messenger_name};
use super::policy::{Notes, Outgoing};
use super::template::{self, LineNames};
use super::text;
use super::time::Millis;
use jiff::tz::TimeZone;

/// A message and when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The message.
    pub message: Message,
    /// When it came, or was written where that is known.
    pub at: Millis,
}

/// A note to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteText {
    /// One line a message.
    pub text: String,
    /// When the first message came.
    pub at: Millis,
    /// The messages in it.
    pub messages: Vec<MessageId>,
    /// Indices of the lines in it.
    pub lines: Vec<usize>,
}

/// Notes whose window has closed, and when the next one's will.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Composed {
    /// Ready to be written, in the dialogue's order.
    pub notes: Vec<NoteText>,
    /// Indices of lines the policy leaves out.
    pub skipped: Vec<usize>,
    /// When to look again at the lines that still wait.
    pub wait_until: Option<Millis>,
}

/// Joined notes end before this many characters; one message is never cut. amoCRM documents no
/// limit for the text of a note, so this stays well below what was seen to work.
const JOINED_CHARS_MAX: usize = 4_000;

/// Windows close at whole multiples of this, or of a tenth of the window where that is less.
const GRID_MAX_MS: i64 = 2_000;

/// What stands for characters that amoCRM was seen to cut a text at.
const EMOJI_STAND_IN: &str = "☺";

/// True when the policy writes this message down.
pub fn is_written(notes: &Notes, message: &Message) -> bool {
    let wanted = match (message.incoming, notes.outgoing) {
        (true, _) => notes.incoming,
        (false, Outgoing::All) => true,
        (false, Outgoing::Operator) => message.block.is_none(),
        (false, Outgoing::Bot) => message.block.is_some(),
        (false, Outgoing::None) => false,
    };
    let has_content =
        message.text.as_deref().is_some_and(|text| !text.trim().is_empty()) || !message.attachments.is_empty();
    wanted && has_content && (notes.on_contact || notes.on_lead)
}

/// Puts lines of one client, in the dialogue's order, into notes.
pub fn compose(notes: &Notes, lines: &[Line], zone: &TimeZone, now: Millis) -> Composed {
    let mut composed = Composed::default();
    let mut open: Option<NoteText> = None;
    let mut chars = 0;
    for (index, line) in lines.iter().enumerate() {
        if !is_written(notes, &line.message) {
            composed.skipped.push(index);
            continue;
        }
        let text = line_text(notes, line, zone);
        let more = text.chars().count();
        match &mut open {
            Some(note) if joins(notes, note, line) && chars + more < JOINED_CHARS_MAX => {
                chars += more + 1;
                note.text.push('\n');
                note.text.push_str(&text);
                note.messages.extend(line.message.id);
                note.lines.push(index);
            }
            _ => {
                chars = more;
                let note =
                    NoteText { text, at: line.at, messages: line.message.id.into_iter().collect(), lines: vec![index] };
                composed.notes.extend(open.replace(note));
            }
        }
    }
    if let Some(note) = open {
        let closes = closes(notes, &note);
        // What came before the clock was set back is from a time to come, and no window is as long as that.
        let is_from_afar = closes.since(now) > notes.join_within_ms.saturating_add(GRID_MAX_MS);
        if closes <= now || is_from_afar {
            composed.notes.push(note);
        } else {
            composed.wait_until = Some(closes);
        }
    }
    composed
}

/// When a note's window is over: a little late, so that windows that close one after the other close together, and their
/// notes travel in one request.
fn closes(notes: &Notes, note: &NoteText) -> Millis {
    let grid_ms = (notes.join_within_ms / 10).clamp(1, GRID_MAX_MS);
    let over = note.at.plus(notes.join_within_ms);
    over.plus((grid_ms - over.0.rem_euclid(grid_ms)).rem_euclid(grid_ms))
}

fn joins(notes: &Notes, note: &NoteText, line: &Line) -> bool {
    line.at.since(note.at) < notes.join_within_ms
}

/// One line as the template writes it. A template that fails on this message falls back to the
/// plain form: a message is never lost to a template.
fn line_text(notes: &Notes, line: &Line, zone: &TimeZone) -> String {
    let names = names(line, zone);
    let plain = || format!("{} {} {}: {}", names.arrow, names.channel, names.time, names.text);
    let text =
        template::render(&notes.template, &names).ok().filter(|text| !text.trim().is_empty()).unwrap_or_else(plain);
    text::without_supplementary(&text, EMOJI_STAND_IN)
}

fn names(line: &Line, zone: &TimeZone) -> LineNames {
    let message = &line.message;
    let client = &message.client;
    let time = jiff::Timestamp::from_millisecond(line.at.0).unwrap_or_default().to_zoned(zone.clone());
    LineNames {
        arrow: if message.incoming { "←" } else { "→" },
        direction: if message.incoming { "in" } else { "out" },
        author: match (message.incoming, message.block) {
            (true, _) => "client",
            (false, Some(_)) => "bot",
            (false, None) => "operator",
        },
        channel: client.messenger.map(messenger_name).unwrap_or_else(|| "Salebot".to_owned()),
        bot: client.group.clone().unwrap_or_default(),
        time: time.strftime("%d.%m.%Y %H:%M").to_string(),
        name: client.name.clone().unwrap_or_default(),
        client_id: client.id.to_string(),
        text: content(message),
    }
}

/// The text and its attachments as links.
fn content(message: &Message) -> String {
    let text = message.text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let attachments = message.attachments.iter().map(shown_attachment);
    text.into_iter().chain(attachments).collect::<Vec<_>>().join("\n")
}

fn shown_attachment(attachment: &Attachment) -> String {
    match public_address(&attachment.url) {
        Some(url) => url.to_owned(),
        None => format!("[{}]", attachment.kind.as_deref().unwrap_or("attachment")),
    }
}

/// The address of a file where it may be shown to others; none where it carries a secret.
///
/// Telegram's file addresses hold the bot's token in their path (Salebot reference, history), and
/// whoever has that token owns the bot.
pub fn public_address(url: &str) -> Option<&str> {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    let lower = url.to_ascii_lowercase();
    let holds_token = lower.contains("api.telegram.org") || lower.split(['/', '?', '&', '=']).any(is_bot_token);
    (is_web && !holds_token && !url.contains(char::is_whitespace)).then_some(url)
}

/// `bot123456:AA…` or `123456:AA…`, percent-encoded or not.
fn is_bot_token(part: &str) -> bool {
    let part = part.replace("%3a", ":");
    let part = part.strip_prefix("file").unwrap_or(&part);
    let part = part.strip_prefix("bot").unwrap_or(part);
    part.split_once(':')
        .is_some_and(|(id, secret)| id.len() >= 6 && id.bytes().all(|b| b.is_ascii_digit()) && secret.len() >= 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::ClientId;
    use crate::core::model::Client;

    fn line(id: u64, at: i64, text: &str) -> Line {
        let client = Client { messenger: Some(1), ..Client::unknown(ClientId(5)) };
        let message = Message {
            id: Some(MessageId(id)),
            client,
            text: Some(text.to_owned()),
            attachments: Vec::new(),
            incoming: true,
            block: None,
            variables: None,
            written_at: None,
        };
        Line { message, at: Millis(at) }
    }

    fn notes(join_within_ms: i64) -> Notes {
        Notes {
            on_contact: true,
            on_lead: false,
            incoming: true,
            outgoing: Outgoing::All,
            join_within_ms,
            template: "{{ arrow }} {{ channel }} {{ time }}: {{ text }}".to_owned(),
        }
    }

    #[test]
    fn messages_within_the_window_share_a_note() {
        let lines = [line(1, 0, "a"), line(2, 29_999, "b"), line(3, 30_000, "c")];
        let composed = compose(&notes(30_000), &lines, &TimeZone::UTC, Millis(40_000));
        assert_eq!(composed.notes.len(), 1);
        assert_eq!(composed.notes[0].text, "← Telegram 01.01.1970 00:00: a\n← Telegram 01.01.1970 00:00: b");
        assert_eq!(composed.wait_until, Some(Millis(60_000)));
        let later = compose(&notes(30_000), &lines, &TimeZone::UTC, Millis(60_000));
        assert_eq!(later.notes.iter().map(|note| note.lines.clone()).collect::<Vec<_>>(), [vec![0, 1], vec![2]]);
        assert_eq!(later.wait_until, None);
    }

    #[test]
    fn a_window_of_a_time_to_come_is_over() {
        let lines = [line(1, 3_600_000, "a"), line(2, 3_605_000, "b")];
        let composed = compose(&notes(30_000), &lines, &TimeZone::UTC, Millis(10_000));
        assert_eq!((composed.notes.len(), composed.wait_until), (1, None), "our clock was set back by an hour");
        let early = compose(&notes(30_000), &lines, &TimeZone::UTC, Millis(3_604_000));
        assert_eq!((early.notes.len(), early.wait_until), (0, Some(Millis(3_630_000))), "and by a second here");
    }

    #[test]
    fn without_a_window_each_message_is_a_note() {
        let lines = [line(1, 5, "a"), line(2, 5, "b")];
        assert_eq!(compose(&notes(0), &lines, &TimeZone::UTC, Millis(5)).notes.len(), 2);
    }

    #[test]
    fn joined_notes_stay_short_and_no_message_is_cut() {
        let long = "x".repeat(9_000);
        let lines = [line(1, 0, "a"), line(2, 0, &long), line(3, 0, "b")];
        let composed = compose(&notes(1_000), &lines, &TimeZone::UTC, Millis(2_000));
        assert_eq!(composed.notes.len(), 3);
        assert!(composed.notes[1].text.ends_with(&long));
    }

    #[test]
    fn the_policy_decides_what_is_written() {
        let mut bot = line(1, 0, "a").message;
        bot.incoming = false;
        bot.block = Some(7);
        let operator = Message { block: None, ..bot.clone() };
        let with = |outgoing| Notes { outgoing, ..notes(0) };
        assert!(is_written(&with(Outgoing::All), &bot));
        assert!(!is_written(&with(Outgoing::Operator), &bot));
        assert!(is_written(&with(Outgoing::Operator), &operator));
        assert!(!is_written(&with(Outgoing::Bot), &operator));
        assert!(!is_written(&with(Outgoing::None), &operator));
        assert!(!is_written(&notes(0), &Message { text: None, ..operator }));
    }

    #[test]
    fn addresses_with_a_bot_token_are_never_shown() {
        let token = "https://api.telegram.org/file/bot123456789:AAabcdefghijklmnopqrstuvwxyz012345/photos/file_1.jpg";
        assert_eq!(public_address(token), None);
        assert_eq!(public_address("https://mirror.test/file/bot123456789:AAabcdefghijklmnopqrstuvwxyz012345/a"), None);
        assert_eq!(public_address("https://mirror.test/a?u=bot123456789%3AAAabcdefghijklmnopqrstuvwxyz012345"), None);
        assert_eq!(public_address("javascript:alert(1)"), None);
        assert_eq!(public_address("https://files.test/a.jpg"), Some("https://files.test/a.jpg"));
        let attachment = Attachment { url: token.to_owned(), kind: Some("image".to_owned()) };
        let message = Message { attachments: vec![attachment], text: None, ..line(1, 0, "").message };
        let composed = compose(&notes(0), &[Line { message, at: Millis(0) }], &TimeZone::UTC, Millis(0));
        assert!(composed.notes[0].text.ends_with("[image]"));
    }
}
