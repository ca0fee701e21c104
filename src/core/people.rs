//! How people are recognised: phone numbers and e-mail addresses in one form each.
//!
//! A key is for comparing only. What a person or a manager typed is what gets written.

use super::policy::MatchBy;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, Region};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// A phone number or e-mail address in the one form it is compared in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchKey {
    /// `+79990000001`
    Phone(String),
    /// `anna@example.test`
    Email(String),
}

impl MatchKey {
    /// Which property it is.
    pub fn by(&self) -> MatchBy {
        match self {
            MatchKey::Phone(_) => MatchBy::Phone,
            MatchKey::Email(_) => MatchBy::Email,
        }
    }

    /// One text for storage: `phone:+79990000001`.
    pub fn text(&self) -> String {
        match self {
            MatchKey::Phone(phone) => format!("phone:{phone}"),
            MatchKey::Email(email) => format!("email:{email}"),
        }
    }

    /// What to type into amoCRM's search, one after the other until somebody is found. It finds substrings, so the last ten
    /// digits of a phone number meet every way of writing its country code (amoCRM reference, pitfalls of reading), but none
    /// with signs between them: the end of the usual Russian groups, `000-00-01` and `000 00 01`, meets those.
    pub fn queries(&self) -> Vec<String> {
        let phone = match self {
            MatchKey::Email(email) => return vec![email.clone()],
            MatchKey::Phone(phone) => phone,
        };
        let digits: String = phone.chars().skip(phone.chars().count().saturating_sub(10).max(1)).collect();
        let mut queries = vec![digits.clone()];
        if let (12, true, Some(end)) = (phone.len(), phone.starts_with("+7"), digits.get(3..)) {
            let part = |from: usize, to: usize| end.get(from..to).unwrap_or_default();
            queries.extend(['-', ' '].map(|sign| format!("{}{sign}{}{sign}{}", part(0, 3), part(3, 5), part(5, 7))));
        }
        queries
    }

    /// The ways this value may stand in a Salebot variable, most usual first
    /// (Salebot reference, finding clients: four forms are tried by others; people also type the
    /// usual Russian groups).
    pub fn spellings(&self) -> Vec<String> {
        match self {
            MatchKey::Email(email) => vec![email.clone()],
            MatchKey::Phone(phone) => {
                let digits = phone.trim_start_matches('+').to_owned();
                let mut forms = vec![digits.clone(), phone.clone()];
                if let (11, Some(national)) = (digits.len(), digits.strip_prefix('7')) {
                    forms.push(format!("8{national}"));
                    forms.push(national.to_owned());
                    let part = |from: usize, to: usize| national.get(from..to).unwrap_or_default();
                    let (code, first, second, third) = (part(0, 3), part(3, 6), part(6, 8), part(8, 10));
                    forms.push(format!("+7 {code} {first}-{second}-{third}"));
                    forms.push(format!("+7 ({code}) {first}-{second}-{third}"));
                    forms.push(format!("8 ({code}) {first}-{second}-{third}"));
                }
                forms
            }
        }
    }
}

/// Longest text that is looked at as a phone number.
const PHONE_CHARS_MAX: usize = 40;
/// Longest e-mail address (RFC 5321, a path of 256 without its brackets).
const EMAIL_BYTES_MAX: usize = 254;

/// The international form of a phone number, none for what is no valid number of any country.
///
/// `region`: two capital letters, the country of numbers written without a country code.
pub fn phone_key(text: &str, region: &str) -> Option<MatchKey> {
    let text = text.trim();
    let text = text.strip_prefix("whatsapp:").or_else(|| text.strip_prefix("tel:")).unwrap_or(text);
    let text = ["@s.whatsapp.net", "@c.us"].iter().find_map(|suffix| text.strip_suffix(suffix)).unwrap_or(text);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if text.chars().count() > PHONE_CHARS_MAX || !(7..=15).contains(&digits) || text.chars().any(char::is_alphabetic) {
        return None;
    }
    // People write an international number without its plus: 79990000001. Only where the text is no
    // valid number of the region is it read that way.
    let parsed = valid(text, region).or_else(|| match text.starts_with('+') {
        true => None,
        false => valid(&format!("+{text}"), region),
    })?;
    Some(MatchKey::Phone(parsed))
}

fn valid(text: &str, region: &str) -> Option<String> {
    let number = PHONE_NUMBER_UTIL.parse(text, region.parse::<Region>().ok()).ok()?;
    if !PHONE_NUMBER_UTIL.is_valid_number(&number) {
        return None;
    }
    Some(PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into_owned())
}

/// The comparable form of an e-mail address, none for what is no address.
pub fn email_key(text: &str) -> Option<MatchKey> {
    let text: String = text.trim().to_lowercase().nfc().collect();
    let (local, domain) = text.trim_start_matches("mailto:").rsplit_once('@')?;
    let is_foreign = |sign: char| sign.is_whitespace() || sign.is_control();
    if local.is_empty() || text.chars().any(is_foreign) || local.contains('@') {
        return None;
    }
    let is_host = |domain: &String| domain.bytes().all(|sign| sign.is_ascii_alphanumeric() || b"-._".contains(&sign));
    let domain = idna::domain_to_ascii(domain).ok().filter(is_host)?;
    if !domain.contains('.') || domain.starts_with('.') || local.len() + 1 + domain.len() > EMAIL_BYTES_MAX {
        return None;
    }
    Some(MatchKey::Email(format!("{local}@{domain}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("+7 999 000-00-01", "+79990000001")]
    #[case("8 (999) 000-00-01", "+79990000001")]
    #[case("9990000001", "+79990000001")]
    #[case("79990000001", "+79990000001")]
    #[case("79990000001@c.us", "+79990000001")]
    #[case("whatsapp:+79990000001", "+79990000001")]
    #[case("+7 800 555-35-35", "+78005553535")]
    #[case("+375 29 123-45-67", "+375291234567")]
    #[case("375291234567", "+375291234567")]
    #[case("+998 90 123 45 67", "+998901234567")]
    #[case("+49 30 901820", "+4930901820")]
    fn one_number_has_one_form(#[case] text: &str, #[case] key: &str) {
        assert_eq!(phone_key(text, "RU"), Some(MatchKey::Phone(key.to_owned())));
    }

    #[rstest]
    #[case("600000001a")]
    #[case("anna")]
    #[case("")]
    #[case("12")]
    #[case("+7 999 000")]
    #[case("999999999999999999999")]
    fn other_texts_are_no_numbers(#[case] text: &str) {
        assert_eq!(phone_key(text, "RU"), None);
    }

    #[rstest]
    #[case(" Anna@Example.TEST ", Some("anna@example.test"))]
    #[case("MailTo:anna@example.test", Some("anna@example.test"))]
    #[case("anna\u{7}@example.test", None)]
    #[case("anna@exam\0ple.test", None)]
    #[case("anna@пример\0.test", None)]
    #[case("anna@exam;ple.test", None)]
    #[case("mailto:a@b.ru", Some("a@b.ru"))]
    #[case("почта@пример.рф", Some("почта@xn--e1afmkfd.xn--p1ai"))]
    #[case("a@b", None)]
    #[case("@b.ru", None)]
    #[case("a b@c.ru", None)]
    #[case("a@@b.ru", None)]
    fn addresses_are_compared_in_one_form(#[case] text: &str, #[case] key: Option<&str>) {
        assert_eq!(email_key(text), key.map(|key| MatchKey::Email(key.to_owned())));
    }

    #[test]
    fn a_search_meets_every_spelling_of_the_country_code() {
        let queries = |phone: &str| MatchKey::Phone(phone.to_owned()).queries();
        assert_eq!(queries("+79990123456"), ["9990123456", "012-34-56", "012 34 56"]);
        assert_eq!(queries("+4930901820"), ["4930901820"]);
        assert_eq!(queries("+77012345678"), ["7012345678", "234-56-78", "234 56 78"]);
        assert_eq!(
            MatchKey::Phone("+79990000001".to_owned()).spellings(),
            [
                "79990000001",
                "+79990000001",
                "89990000001",
                "9990000001",
                "+7 999 000-00-01",
                "+7 (999) 000-00-01",
                "8 (999) 000-00-01"
            ]
        );
        assert_eq!(MatchKey::Phone("+375291234567".to_owned()).spellings(), ["375291234567", "+375291234567"]);
    }
}
