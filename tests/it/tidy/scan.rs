//! A reader of Rust good enough for rules: it blanks comments and literals, finds words and paths,
//! and matches braces. It does not parse.

/// The text with comments and the contents of literals blanked out: every other byte stands where
/// it stood, line ends included.
pub(super) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = skipped(bytes, at);
        for (byte, from) in out[at..end.max(at)].iter_mut().zip(&bytes[at..]) {
            *byte = if *from == b'\n' { b'\n' } else { b' ' };
        }
        at = end.max(at + 1);
    }
    String::from_utf8(out).expect("blanking replaces whole comments and literals, so whole characters")
}

/// The end of the comment or literal that begins here; here itself where none does.
fn skipped(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let starts_word = at == 0 || !is_word(bytes[at - 1]);
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => at + block_comment(rest),
        [b'"', ..] => at + quoted(rest, b'"'),
        [b'\'', ..] => at + character(rest),
        [b'r', ..] | [b'b' | b'c', b'r', ..] if starts_word => at + raw_string(rest),
        _ => at,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of a literal between two quotes.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of a character literal; 0 for a lifetime.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        return quoted(rest, b'\'');
    }
    // One character of up to four bytes, then the closing quote.
    let width = match rest.get(1) {
        Some(byte) if *byte >= 0xF0 => 4,
        Some(byte) if *byte >= 0xE0 => 3,
        Some(byte) if *byte >= 0xC0 => 2,
        _ => 1,
    };
    if rest.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 }
}

/// The length of `r"…"`, `r#"…"#`, `br#"…"#`; 0 for a word that only begins so.
fn raw_string(rest: &[u8]) -> usize {
    let prefix = if rest[0] == b'r' { 1 } else { 2 };
    let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&b'"') {
        return 0;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = &rest[open + 1..];
    body.windows(close.len()).position(|window| window == close).map_or(rest.len(), |at| open + 1 + at + close.len())
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// The line of a byte, counted from 1.
pub(super) fn line(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
}

/// A word or a sign of blanked code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) at: usize,
    pub(super) text: &'a str,
}

/// Words, `::`, and single signs.
pub(super) fn tokens(code: &str) -> Vec<Token<'_>> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let length = match bytes[at] {
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            byte if is_word(byte) => bytes[at..].iter().take_while(|byte| is_word(**byte)).count(),
            b':' if bytes.get(at + 1) == Some(&b':') => 2,
            _ => 1,
        };
        found.push(Token { at, text: &code[at..at + length] });
        at += length;
    }
    found
}

/// The index of the sign that closes the one at `open`; the last token where none does.
pub(super) fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    tokens.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_stay() {
        let text = "a /* { /* } */ { */ b // }\nc \"}\\\"{\" d 'x' '\\'' '{' 'life e r#\"} \" \n\"# f br\"{\" 'я' g";
        let code = code(text);
        assert_eq!(code.len(), text.len());
        assert_eq!(code.matches('\n').count(), text.matches('\n').count());
        assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "b", "c", "d", "'life", "e", "f", "g"]);
    }

    #[test]
    fn words_that_begin_like_raw_strings_are_words() {
        assert_eq!(code("return r; break br#type for\"x\""), "return r; break br#type for   ");
        assert_eq!(code("fn f<'a>(a: &'a str) -> &'a str { a }"), "fn f<'a>(a: &'a str) -> &'a str { a }");
    }

    #[test]
    fn literals_without_an_end_do_not_run_over() {
        for text in ["\"", "'\\", "r#\"x", "/* x", "b'", "\"\\"] {
            assert_eq!(code(text).len(), text.len());
        }
    }

    #[test]
    fn braces_are_matched() {
        let tokens = tokens("a { b ( c ) { d } } e");
        assert_eq!(tokens[closing(&tokens, 1)].at, 18);
        assert_eq!(line("a\nb\nc", 4), 3);
    }
}
