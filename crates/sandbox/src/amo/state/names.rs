//! First and last names: what amoCRM makes of a name.

use crate::amo::options::NameRecognition;

/// The parts recognised in a name; `None` leaves what was there.
pub(in crate::amo) fn recognised(name: &str, recognition: NameRecognition) -> Option<(String, String)> {
    match recognition {
        NameRecognition::Off => None,
        NameRecognition::WholeInFirst => Some((name.to_owned(), String::new())),
        NameRecognition::TwoWords => {
            let words: Vec<&str> = name.split_whitespace().collect();
            match words[..] {
                [first, last] => Some((first.to_owned(), last.to_owned())),
                _ => Some((String::new(), String::new())),
            }
        }
    }
}

/// The whole name of two parts, either of which may be empty.
pub(in crate::amo) fn joined(first_name: &str, last_name: &str) -> String {
    format!("{first_name} {last_name}").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_words_are_a_first_and_a_last_name_and_three_are_not() {
        let parts = |name| recognised(name, NameRecognition::TwoWords);
        assert_eq!(parts("Анна  Тестова"), Some(("Анна".into(), "Тестова".into())));
        assert_eq!(parts("Анна Ивановна Тестова"), Some((String::new(), String::new())));
    }

    #[test]
    fn the_other_recognitions() {
        assert_eq!(recognised("Anna Test", NameRecognition::Off), None);
        assert_eq!(recognised("Anna Test", NameRecognition::WholeInFirst), Some(("Anna Test".into(), String::new())));
    }

    #[test]
    fn parts_join_without_stray_blanks() {
        assert_eq!(joined("Anna", ""), "Anna");
        assert_eq!(joined("", "Test"), "Test");
        assert_eq!(joined("Anna", "Test"), "Anna Test");
    }
}
