//! How long files and functions may be.

use super::scan::{closing, code, line, tokens};

/// Lines of a file.
const FILE_LINES_MAX: usize = 700;
/// Lines of a function, from its name to its closing brace.
pub(super) const FUNCTION_LINES_MAX: usize = 70;

/// Files that were longer when the rule came. This list may only shrink.
pub(super) const LONG_FILES: [&str; 0] = [];
/// Functions that were longer when the rule came, as `path: name`. This list may only shrink.
pub(super) const LONG_FUNCTIONS: [&str; 0] = [];

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) lines: usize,
}

/// The length of a file that is too long.
pub(super) fn long_file(text: &str) -> Option<usize> {
    Some(text.lines().count()).filter(|lines| *lines > FILE_LINES_MAX)
}

/// Every function of a file, inner ones too.
pub(super) fn functions(text: &str) -> Vec<Function> {
    let code = code(text);
    let tokens = tokens(&code);
    let mut found = Vec::new();
    for (index, pair) in tokens.windows(2).enumerate() {
        // `fn` without a name is the type of a pointer.
        if pair[0].text != "fn" || !pair[1].text.starts_with(|first: char| first == '_' || first.is_alphabetic()) {
            continue;
        }
        let Some(open) = body(&tokens, index) else { continue };
        let (first, last) = (line(&code, pair[0].at), line(&code, tokens[closing(&tokens, open)].at));
        found.push(Function { name: pair[1].text.to_owned(), line: first, lines: last - first + 1 });
    }
    found
}

/// The index of the brace that opens the body; none for a function that is only declared.
fn body(tokens: &[super::scan::Token<'_>], from: usize) -> Option<usize> {
    let mut index = from;
    while index < tokens.len() {
        match tokens[index].text {
            "(" | "[" => index = closing(tokens, index),
            "{" => return Some(index),
            ";" => return None,
            _ => {}
        }
        index += 1;
    }
    None
}

/// Fails on breaches that are not listed, and on listed ones that are gone.
pub(super) fn hold_shrinking(places: &[(String, Option<String>)], listed: &[&str]) {
    let (new, gone) = compare(places, listed);
    assert!(new.is_empty(), "too long:\n{}", new.join("\n"));
    assert!(gone.is_empty(), "no breach any more, take out of the list:\n{}", gone.join("\n"));
}

fn compare(places: &[(String, Option<String>)], listed: &[&str]) -> (Vec<String>, Vec<String>) {
    let breaches: Vec<_> =
        places.iter().filter_map(|(place, breach)| breach.as_ref().map(|breach| (place, breach))).collect();
    let new = breaches
        .iter()
        .filter(|(place, _)| !listed.contains(&place.as_str()))
        .map(|(place, breach)| format!("{place}: {breach}"))
        .collect();
    let gone = listed
        .iter()
        .filter(|entry| breaches.iter().all(|(place, _)| place.as_str() != **entry))
        .map(|entry| (*entry).to_owned())
        .collect();
    (new, gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(long_file(&"x\n".repeat(FILE_LINES_MAX)), None);
        assert_eq!(long_file(&"x\n".repeat(FILE_LINES_MAX + 1)), Some(FILE_LINES_MAX + 1));
    }

    #[test]
    fn functions_are_measured_whatever_stands_in_their_strings() {
        let text = "trait T {\n fn declared(&self, f: fn(u8) -> [u8; 2]);\n}\nfn short() {}\nasync fn long<F>(f: F) -> u8\nwhere\n F: Fn() -> u8,\n{\n let s = \"}\";\n fn inner() {\n }\n 1\n}\n";
        let found: Vec<_> = functions(text).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
        assert_eq!(found, [("short".into(), 4, 1), ("long".into(), 5, 9), ("inner".into(), 10, 2)]);
    }

    #[test]
    fn a_long_function_is_found() {
        let text = format!("fn planted() {{\n{}}}\n", "    // filler\n".repeat(FUNCTION_LINES_MAX));
        assert!(functions(&text)[0].lines > FUNCTION_LINES_MAX);
    }

    #[test]
    fn the_list_may_only_shrink() {
        let places = [("old".to_owned(), Some("9".to_owned())), ("new".to_owned(), Some("8".to_owned()))];
        assert_eq!(compare(&places, &["old", "mended"]), (vec!["new: 8".to_owned()], vec!["mended".to_owned()]));
    }
}
