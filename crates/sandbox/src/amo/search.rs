//! The search: where a text occurs.

/// The fewest digits of a search that is compared by digits alone.
const MIN_DIGITS: usize = 5;

/// What is searched for, prepared once for many texts.
pub(super) struct Needle {
    lower: String,
    needs_lowering: bool,
    digits: Option<String>,
}

impl Needle {
    /// With `ignores_format` a search for a phone finds it written another way.
    pub(super) fn new(query: &str, ignores_format: bool) -> Self {
        let lower = query.to_lowercase();
        let is_phone = ignores_format && !query.chars().any(char::is_alphabetic);
        Needle {
            needs_lowering: lower.chars().any(char::is_alphabetic),
            digits: Some(digits_of(query)).filter(|d| is_phone && d.len() >= MIN_DIGITS),
            lower,
        }
    }

    /// Whether the text is found.
    pub(super) fn is_in(&self, text: &str) -> bool {
        if let Some(digits) = &self.digits {
            return digits_of(text).contains(digits);
        }
        text.contains(&self.lower) || (self.needs_lowering && text.to_lowercase().contains(&self.lower))
    }
}

fn digits_of(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}
