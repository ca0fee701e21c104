//! The known word nearest to a mistyped one.

/// Words further away than this are no typing mistake of each other.
const DISTANCE_MAX: usize = 3;

/// Longer words are not compared: no known word is that long.
const CHARS_MAX: usize = 64;

/// The known word that takes the fewest edits to reach, where that is few enough to be a typing mistake.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(CHARS_MAX + 1).flat_map(char::to_lowercase).collect();
    if word.len() > CHARS_MAX {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.chars().collect::<Vec<_>>()), candidate))
        .filter(|(edits, candidate)| *edits <= DISTANCE_MAX.min(candidate.chars().count().div_ceil(2)))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// The number of letters to insert, drop, replace or swap with their neighbour.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, a) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in to.iter().enumerate() {
            let replaced = last[column] + usize::from(a != b);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *a == to[column - 1] && from[row - 1] == *b {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_words_find_their_neighbour() {
        let known = ["url", "api", "token", "poll_contacts", "poll_leads", "oauth"];
        for (word, expected) in [
            ("tokne", Some("token")),
            ("poll_contact", Some("poll_contacts")),
            ("POLL_LEADS", Some("poll_leads")),
            ("ur", Some("url")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"token".repeat(1000), known), None);
    }
}
