//! Words that have no place in the repository. They are put together from pieces here, so that
//! this file does not hold them itself.

use super::Breach;
use super::scan::{code, line, tokens};

/// Calls that leave something undone.
const UNDONE: [&str; 3] = ["todo", "unimplemented", "dbg"];
/// Notes to oneself.
const NOTES: [&str; 3] = [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("X", "XX")];

/// What would tell of the place where the text was written instead of the thing it is about:
/// folders of a machine, private networks, tools.
const WORKPLACE: [&str; 16] = [
    concat!("/wor", "k/"),
    concat!("/roo", "t/"),
    concat!("/home", "/"),
    concat!("/User", "s/"),
    concat!("/tm", "p/bash"),
    concat!("work", "tree"),
    concat!("sub", "agent"),
    concat!("cla", "ude"),
    concat!("anthr", "opic"),
    concat!("chat", "gpt"),
    concat!("arti", "factory"),
    concat!("jf", "rog"),
    concat!("cargo-", "mirror"),
    concat!("://10", "."),
    concat!("://172", ".1"),
    concat!("://192.", "168."),
];
/// Followed by a number, they speak of a task and not of the thing.
const NUMBERED: [&str; 4] =
    [concat!("iss", "ue "), concat!("iss", "ue #"), concat!("tic", "ket "), concat!("mile", "stone ")];

/// Where libraries may come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// A file without a doc comment on top.
pub(super) fn heading(text: &str) -> Vec<Breach> {
    let first = text.lines().next().unwrap_or_default();
    match first.strip_prefix("//! ").is_some_and(|words| !words.trim().is_empty()) {
        true => Vec::new(),
        false => vec![Breach::new(1, "begin the file with a `//!` comment that says what it is for")],
    }
}

/// Macros that stand for missing work, silenced lints, notes to oneself.
pub(super) fn unfinished(text: &str) -> Vec<Breach> {
    let code = code(text);
    let tokens = tokens(&code);
    let mut found = Vec::new();
    for window in tokens.windows(2) {
        if UNDONE.contains(&window[0].text) && window[1].text == "!" {
            found
                .push(Breach::new(line(&code, window[0].at), format!("`{}!` stands for missing work", window[0].text)));
        }
    }
    for window in tokens.windows(4) {
        let inner = usize::from(window[1].text == "!");
        let is_attribute = window[0].text == "#" && window[1 + inner].text == "[";
        let name = tokens.iter().find(|token| token.at > window[1 + inner].at);
        if is_attribute && name.is_some_and(|name| name.text == "allow") {
            let what = "silence a lint with `#[expect(…, reason = \"…\")]`, which fails once it is not needed";
            found.push(Breach::new(line(&code, window[0].at), what));
        }
    }
    for (index, text) in text.lines().enumerate() {
        for note in NOTES.iter().filter(|note| text.split(|c: char| !c.is_alphanumeric()).any(|word| word == **note)) {
            found.push(Breach::new(index + 1, format!("`{note}`: do it, or write down where it belongs")));
        }
    }
    found
}

/// Words that tell of the workplace.
pub(super) fn workplace(text: &str) -> Vec<Breach> {
    let mut found = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let text = text.to_lowercase();
        for word in WORKPLACE.iter().filter(|word| text.contains(&word.to_lowercase())) {
            found.push(Breach::new(index + 1, format!("`{word}` tells of the place where this was written")));
        }
        for word in NUMBERED.iter().filter(|word| is_numbered(&text, word)) {
            found.push(Breach::new(index + 1, format!("`{word}` with a number: say what it is about")));
        }
    }
    found
}

fn is_numbered(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let starts = !text[..at].ends_with(char::is_alphanumeric);
        starts && text[at + word.len()..].starts_with(|next: char| next.is_ascii_digit())
    })
}

/// Libraries of a lock file that come from elsewhere.
pub(super) fn foreign_registry(text: &str) -> Vec<Breach> {
    let sources = text.lines().enumerate().filter_map(|(index, text)| Some((index, text.strip_prefix("source = ")?)));
    sources
        .filter(|(_, source)| source.trim_matches('"') != REGISTRY)
        .map(|(index, source)| Breach::new(index + 1, format!("{source} is not crates.io")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(found: Vec<Breach>) -> Vec<usize> {
        found.into_iter().map(|breach| breach.line).collect()
    }

    #[test]
    fn a_file_without_a_heading_is_found() {
        assert!(heading("//! What it is.\n").is_empty());
        for text in ["", "use a;\n//! Too late.\n", "//!\n", "// Not a doc comment.\n"] {
            assert_eq!(lines(heading(text)), [1], "{text:?}");
        }
    }

    #[test]
    fn unfinished_code_is_found_outside_of_strings_and_comments() {
        let text =
            "fn a() {\n    todo!()\n}\nfn b() { unimplemented ! (\"x\") }\n// dbg!(1)\nlet x = dbg!(\"todo!\");\n";
        assert_eq!(lines(unfinished(text)), [2, 4, 6]);
        assert!(unfinished("fn todo() { let dbg = !x; }").is_empty());
    }

    #[test]
    fn silenced_lints_are_found() {
        assert_eq!(lines(unfinished("#[allow(dead_code)]\nfn a() {}\n# ! [ allow(x) ]\n#[expect(x)]\n")), [1, 3]);
        assert!(unfinished("// #[allow(x)]\n#[derive(allow)]\nfn f() { allow(x) }").is_empty());
    }

    #[test]
    fn notes_to_oneself_are_found_in_comments() {
        assert_eq!(lines(unfinished(concat!("// FIX", "ME later\n//! TO", "DO: x\n// a todo list\n"))), [1, 2]);
    }

    #[test]
    fn words_of_the_workplace_are_found() {
        let planted = [
            concat!("see /wor", "k/x"),
            concat!("in /roo", "t/.cargo"),
            concat!("for Iss", "ue 2"),
            concat!("(iss", "ue #17)"),
            concat!("https://10", ".0.0.1/index"),
        ];
        for text in planted {
            assert_eq!(lines(workplace(&format!("fine\n{text}\n"))), [2], "{text}");
        }
        assert!(workplace("framework/x, an issue of trust, tissue 2, /var/lib/salebridge, work / home").is_empty());
    }

    #[test]
    fn a_library_from_elsewhere_is_found() {
        let text = format!("name = \"a\"\nsource = \"{REGISTRY}\"\nsource = \"registry+https://example.test/index\"\n");
        assert_eq!(lines(foreign_registry(&text)), [3]);
    }
}
