//! When two names mean one thing: letters of two alphabets, other words, other languages.

use crate::core::text;

/// Names that people give to one thing in Russian and English. The first is the variable proposed for it.
const SYNONYMS: [&[&str]; 38] = [
    &["phone", "телефон", "тел", "номер телефона", "контактный телефон", "phone number", "tel", "mobile", "мобильный"],
    &["email", "почта", "электронная почта", "эл почта", "e-mail", "mail", "имейл", "емейл"],
    &["position", "должность", "job", "job title", "post"],
    &["city", "город", "town", "населённый пункт"],
    &["first_name", "имя"],
    &["last_name", "фамилия", "surname", "family name"],
    &["middle_name", "отчество", "patronymic"],
    &["birthday", "день рождения", "дата рождения", "birth date", "date of birth", "dob", "др"],
    &["address", "адрес", "адрес доставки", "delivery address"],
    &["company", "компания", "организация", "фирма", "organization", "organisation"],
    &["source", "источник", "откуда", "откуда узнали", "канал привлечения", "lead source"],
    &["comment", "комментарий", "примечание", "заметка", "comments", "note", "remark"],
    &["category", "категория", "сегмент", "segment"],
    &["gender", "пол", "sex"],
    &["age", "возраст"],
    &["country", "страна"],
    &["region", "регион", "область", "край"],
    &["site", "сайт", "website", "web", "url", "веб-сайт"],
    &["budget", "бюджет", "сумма", "стоимость", "price", "sum", "amount"],
    &["product", "товар", "продукт", "товары", "goods", "products"],
    &["service", "услуга", "услуги", "services"],
    &["tariff", "тариф", "тарифный план", "plan"],
    &["status", "статус"],
    &["language", "язык", "lang"],
    &["inn", "инн"],
    &["telegram", "телеграм", "телеграмм", "tg", "tg_username", "ник в телеграм"],
    &["instagram", "инстаграм", "инста"],
    &["whatsapp", "ватсап", "вотсап"],
    &["manager", "менеджер", "ответственный", "responsible"],
    &["payment", "оплата", "способ оплаты", "payment method"],
    &["delivery", "доставка", "способ доставки", "delivery method"],
    &["discount", "скидка"],
    &["promo_code", "промокод", "promocode", "promo", "купон", "coupon"],
    &["order_number", "номер заказа", "order number", "заказ"],
    &["bonus", "бонусы", "бонус", "баллы", "bonuses", "points"],
    &["size", "размер"],
    &["profession", "профессия", "род занятий"],
    &["time_zone", "часовой пояс", "timezone"],
];

/// The form names are compared in: letters and digits, Cyrillic in Latin, one of several ways of spelling it.
pub fn key(name: &str) -> String {
    let latin: String = text::folded(name).chars().filter(|c| c.is_alphanumeric()).map(latin).collect();
    let mut one_way = latin;
    for (from, to) in SPELLINGS {
        one_way = one_way.replace(from, to);
    }
    let mut key = String::new();
    for letter in one_way.chars() {
        if !key.ends_with(letter) || letter.is_ascii_digit() {
            key.push(letter);
        }
    }
    key
}

/// Ways people write one Russian sound in Latin letters, longer ones first.
const SPELLINGS: [(&str, &str); 18] = [
    ("shch", "sh"),
    ("sch", "sh"),
    ("kh", "h"),
    ("ts", "c"),
    ("tz", "c"),
    ("ya", "ia"),
    ("ja", "ia"),
    ("yu", "iu"),
    ("ju", "iu"),
    ("yo", "e"),
    ("jo", "e"),
    ("ye", "e"),
    ("je", "e"),
    ("y", "i"),
    ("j", "i"),
    ("w", "v"),
    ("x", "ks"),
    ("ck", "k"),
];

fn latin(letter: char) -> String {
    let known = match letter {
        'а' => "a",
        'б' => "b",
        'в' => "v",
        'г' | 'ґ' => "g",
        'д' => "d",
        'е' | 'ё' | 'э' | 'є' => "e",
        'ж' => "zh",
        'з' => "z",
        'и' | 'й' | 'ы' | 'і' => "i",
        'к' => "k",
        'л' => "l",
        'м' => "m",
        'н' => "n",
        'о' => "o",
        'п' => "p",
        'р' => "r",
        'с' => "s",
        'т' => "t",
        'у' => "u",
        'ф' => "f",
        'х' => "h",
        'ц' => "c",
        'ч' => "ch",
        'ш' | 'щ' => "sh",
        'ъ' | 'ь' => "",
        'ю' => "iu",
        'я' | 'ї' => "ia",
        other => return other.to_string(),
    };
    known.to_owned()
}

/// The variable that a known name is called by; none for a name that is in no list.
pub fn concept(name: &str) -> Option<&'static str> {
    let wanted = key(name);
    let is_meant = |names: &&&[&str]| names.iter().any(|name| key(name) == wanted);
    SYNONYMS.iter().find(is_meant).map(|names| names[0])
}

/// A name that Salebot takes for a variable: a letter, then letters, digits and `_`; at most this long.
const VARIABLE_CHARS_MAX: usize = 40;

/// A variable for a name that is in no list: its words in Latin letters.
pub fn variable(name: &str) -> String {
    let mut variable = String::new();
    for word in text::folded(name).split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let word: String = word.chars().map(latin).filter(|latin| latin.is_ascii()).collect();
        if !variable.is_empty() && !word.is_empty() {
            variable.push('_');
        }
        variable.push_str(&word);
    }
    let begins_well = variable.starts_with(|c: char| c.is_ascii_alphabetic());
    let variable = if begins_well { variable } else { format!("field_{variable}") };
    variable.chars().take(VARIABLE_CHARS_MAX).collect::<String>().trim_end_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("Город", "gorod")]
    #[case("Дата рождения", "data_rozhdeniya")]
    #[case("Щёлково", "Shchelkovo")]
    #[case("Хобби", "khobbi")]
    #[case("Цена", "tsena")]
    #[case("Юрист", "yurist")]
    #[case("Utm-Source", "utm_source")]
    #[case("Ёлка", "елка")]
    fn two_spellings_of_one_word_are_one(#[case] one: &str, #[case] other: &str) {
        assert_eq!(key(one), key(other));
    }

    #[rstest]
    #[case("Телефон", Some("phone"))]
    #[case("ДОЛЖНОСТЬ", Some("position"))]
    #[case("dolzhnost", Some("position"))]
    #[case("город", Some("city"))]
    #[case("E-Mail", Some("email"))]
    #[case("Дата  рождения", Some("birthday"))]
    #[case("Промокод", Some("promo_code"))]
    #[case("Любимый цвет", None)]
    #[case("", None)]
    fn names_that_people_use_are_known(#[case] name: &str, #[case] expected: Option<&str>) {
        assert_eq!(concept(name), expected);
    }

    #[test]
    fn no_name_means_two_things() {
        let mut seen = std::collections::BTreeMap::new();
        for names in SYNONYMS {
            for name in names {
                let twin = seen.insert(key(name), names[0]).filter(|twin| *twin != names[0]);
                assert_eq!(twin, None, "{name}");
            }
        }
    }

    #[rstest]
    #[case("Любимый цвет", "liubimii_cvet")]
    #[case("1-й платёж", "field_1_i_platezh")]
    #[case("Согласие (152-ФЗ)", "soglasie_152_fz")]
    #[case("价格", "field_")]
    fn a_variable_is_what_salebot_takes(#[case] name: &str, #[case] expected: &str) {
        assert_eq!(variable(name), expected.trim_end_matches('_'));
    }
}
