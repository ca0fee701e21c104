//! Made-up names, numbers and addresses: different for each number, and recognisably nobody's.

const FIRST: [&str; 20] = [
    "Анна",
    "Борис",
    "Вера",
    "Глеб",
    "Дарья",
    "Егор",
    "Жанна",
    "Захар",
    "Инна",
    "Кирилл",
    "Лидия",
    "Максим",
    "Нина",
    "Олег",
    "Полина",
    "Роман",
    "Софья",
    "Тимур",
    "Ульяна",
    "Фёдор",
];
/// Surnames that do not change with the person's sex.
const LAST: [&str; 20] = [
    "Бондарь",
    "Ваганян",
    "Гринько",
    "Дубовик",
    "Живаго",
    "Зозуля",
    "Карась",
    "Лысенко",
    "Мороз",
    "Нечай",
    "Ольховик",
    "Петренко",
    "Рудник",
    "Сорока",
    "Ткач",
    "Усик",
    "Франко",
    "Хитрово",
    "Чайка",
    "Шевчук",
];
const NAMED: usize = FIRST.len() * LAST.len();

/// The name of person number so-and-so: two words, a third one from 400 on.
pub(super) fn full_name(number: usize) -> String {
    let round = number % NAMED;
    let first = round % FIRST.len();
    let name = format!("{} {}", FIRST[first], LAST[(round / FIRST.len() + first) % LAST.len()]);
    match number / NAMED {
        0 => name,
        again => format!("{name} {}", again + 1),
    }
}

/// A phone number as digits: `79990000001`; different below 10,000,000. Nobody is called here.
pub(super) fn phone(number: usize) -> String {
    format!("7999{:07}", number % 10_000_000)
}

/// The same number as somebody else would type it.
pub(super) fn typed(phone: &str, style: usize) -> String {
    let part = |from: usize, to: usize| phone.get(from..to).unwrap_or_default();
    let (area, a, b, c) = (part(1, 4), part(4, 7), part(7, 9), part(9, 11));
    match style % 4 {
        0 => format!("+7 {area} {a}-{b}-{c}"),
        1 => format!("8 ({area}) {a}-{b}-{c}"),
        2 => format!("+7{area}{a}{b}{c}"),
        _ => phone.to_owned(),
    }
}

/// An e-mail address.
pub(super) fn email(number: usize) -> String {
    format!("person{number}@example.test")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_phones_and_addresses_are_all_different() {
        for name in [full_name, phone, email] {
            let all: BTreeSet<String> = (0..30_000).map(name).collect();
            assert_eq!(all.len(), 30_000);
        }
    }

    #[test]
    fn a_number_is_the_same_however_it_is_typed() {
        let digits = |text: String| text.chars().filter(char::is_ascii_digit).collect::<String>();
        for style in 0..4 {
            assert_eq!(digits(typed("79990001234", style)).get(1..), Some("9990001234"));
        }
    }
}
