//! Keeps secrets out of the lines that a report quotes.

use std::ops::Range;

/// What may be quoted of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Openness {
    /// Its name and its value.
    Value,
    /// Its name: the value is a secret.
    Name,
    /// Nothing: it is not known.
    Nothing,
}

/// Hides everything of `line` that lies in one of the spans (bytes of the line), each byte by a star so
/// that the places of what remains do not move.
pub(super) fn hide(line: &str, spans: &[Range<usize>]) -> String {
    let hidden = |at: usize| spans.iter().any(|span| span.contains(&at));
    line.char_indices()
        .flat_map(|(at, character)| {
            let (shown, count) = if hidden(at) { ('*', character.len_utf8()) } else { (character, 1) };
            std::iter::repeat_n(shown, count)
        })
        .collect()
}

/// The name and password of every address in the line (`//name:password@host`), as spans to hide.
pub(super) fn logins(line: &str) -> Vec<Range<usize>> {
    line.match_indices("//")
        .filter_map(|(at, _)| {
            let start = at + 2;
            let rest = &line[start..];
            let end = rest.find(['"', '\'', ' ', '\t']).unwrap_or(rest.len());
            rest[..end].rfind('@').map(|login| start..start + login)
        })
        .collect()
}

/// What follows `token =` and the like anywhere in the line, as spans to hide: a lost quote can make a
/// line with a secret a part of a harmless value. Tables are left: what they hold is hidden by its place.
pub(super) fn assignments(line: &str, openness: impl Fn(&str) -> Openness) -> Vec<Range<usize>> {
    line.match_indices('=')
        .filter(|(at, _)| {
            let before = line[..*at].trim_end().trim_end_matches(['"', '\'']);
            let name = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').len();
            openness(&before[name..]) == Openness::Name
        })
        .filter(|(at, _)| !line[at + 1..].trim_start().starts_with('{'))
        .map(|(at, _)| line.len() - line[at + 1..].trim_start().len()..line.len())
        .collect()
}

/// How many bytes of a line may be quoted when the file is not valid TOML. There a secret can stand
/// anywhere, so only what is surely none is quoted: the head of a table, and a key that is known to
/// hold no secret with the one value that follows it.
pub(super) fn quotable(line: &str, openness: impl Fn(&str) -> Openness) -> usize {
    let start = line.len() - line.trim_start().len();
    let rest = &line[start..];
    if rest.starts_with('[') {
        return start + rest.find(|c: char| !is_head(c)).unwrap_or(rest.len());
    }
    let Some((name, value)) = rest.split_once('=') else { return start };
    let value_start = line.len() - value.trim_start().len();
    let value = value.trim_start();
    match openness(name.trim().trim_matches(['"', '\''])) {
        Openness::Value => {}
        Openness::Name => return value_start,
        Openness::Nothing => return start,
    }
    if is_address(name) && !["\"sqlite:", "\"https://", "\"http://"].iter().any(|scheme| value.starts_with(scheme)) {
        return value_start;
    }
    value_start + value_bytes(value)
}

/// True for what stands in `[bridge.amo]`.
fn is_head(character: char) -> bool {
    character.is_ascii_alphanumeric() || ['_', '-', '.', '[', ']', ' '].contains(&character)
}

/// True for the keys whose value may carry a password.
fn is_address(name: &str) -> bool {
    name.contains("url") || name.contains("uri")
}

/// The length of the first value: to its closing quote, or to what ends a bare word.
fn value_bytes(value: &str) -> usize {
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].find(quote).map_or(value.len(), |end| end + 2),
        _ => value.find(|c: char| !(c.is_ascii_alphanumeric() || "._+-:".contains(c))).unwrap_or(value.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hiding_keeps_places() {
        let secrets = [5..13, 17..18];
        assert_eq!(hide("a = \"тест\" # b", &secrets), "a = \"********\" # *");
        assert_eq!(hide("abc", &[]), "abc");
    }

    #[test]
    fn logins_in_addresses_are_found() {
        let line = "url = \"postgres://user:p@ss@host/db\" # http://x";
        assert_eq!(hide(line, &logins(line)), "url = \"postgres://*********@host/db\" # http://x");
    }

    #[test]
    fn assignments_of_secrets_are_found_within_values() {
        let openness = |name: &str| if name == "token" { Openness::Name } else { Openness::Value };
        for (line, shown) in [
            ("name = \"shop token = x\"", "name = \"shop token = **"),
            ("\"token\" = x", "\"token\" = *"),
            ("token = { env = \"X\" }", "token = { env = \"X\" }"),
            ("имяtoken=x", "имяtoken=*"),
            ("= token", "= token"),
        ] {
            assert_eq!(hide(line, &assignments(line, openness)), shown);
        }
    }

    #[test]
    fn only_what_is_surely_no_secret_is_quoted() {
        let openness = |name: &str| match name {
            "name" | "url" => Openness::Value,
            "token" => Openness::Name,
            _ => Openness::Nothing,
        };
        for (line, quoted) in [
            ("[bridge.amo", "[bridge.amo"),
            ("  name = \"shop", "  name = \"shop"),
            ("name = \"shop\" token = \"x\"", "name = \"shop\""),
            ("name = { token = \"x\" }", "name = "),
            ("\"name\" = 3 x", "\"name\" = 3"),
            ("token = \"x\"", "token = "),
            ("toke = \"x", ""),
            ("x\"", ""),
            ("[\"x\"", "["),
            ("url = \"postgres://a:b@c", "url = "),
            ("url = \"https://a", "url = \"https://a"),
        ] {
            assert_eq!(&line[..quotable(line, openness)], quoted, "{line}");
        }
    }
}
