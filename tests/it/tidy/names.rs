//! What has to be there, and how migrations are named.

/// Files that others rely on: readers, packagers, the checks.
const EXPECTED: [&str; 12] = [
    "README.md",
    "README.ru.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "config/default.toml",
    "config/salebridge.toml",
    "docs/outbox.md",
    "docs/logging.md",
    "systemd/salebridge.service",
    "systemd/salebridge.socket",
];

/// What is missing or empty. `text` is the content of a file.
pub(super) fn missing<'a>(text: &dyn Fn(&str) -> Option<&'a str>) -> Vec<String> {
    let is_there = |path: &&&str| text(path).is_some_and(|text| !text.trim().is_empty());
    EXPECTED.iter().filter(|path| !is_there(path)).map(|path| format!("{path} is missing or empty")).collect()
}

/// The first block of TOML of a page.
pub(super) fn toml_block(page: &str) -> Option<&str> {
    let (_, block) = page.split_once("\n```toml\n")?;
    block.split_once("\n```").map(|(block, _)| block)
}

/// What is wrong with the migrations of two databases; a folder that is not there is left out.
pub(super) fn migrations(sqlite: Option<&[String]>, postgres: Option<&[String]>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (folder, names) in [("sqlite", sqlite), ("postgres", postgres)] {
        let names = names.unwrap_or_default();
        let mut numbers = Vec::new();
        for name in names.iter().filter(|name| name.as_str() != "README.md") {
            match number(name) {
                Some(number) => numbers.push(number),
                None => wrong.push(format!("{folder}/{name}: name it NNNN_what_it_does.sql")),
            }
        }
        numbers.sort_unstable();
        if numbers.iter().copied().ne(1..=numbers.len()) {
            wrong.push(format!("{folder}: numbers begin at 1, without gaps and repeats: {numbers:?}"));
        }
    }
    if let (Some(sqlite), Some(postgres)) = (sqlite, postgres) {
        let alone = |of: &[String], other: &[String]| {
            of.iter().filter(|name| !other.contains(name)).cloned().collect::<Vec<_>>()
        };
        let alone = [alone(sqlite, postgres), alone(postgres, sqlite)].concat();
        wrong.extend(alone.into_iter().map(|name| format!("{name} stands in one folder alone")));
    }
    wrong
}

/// The number in `0001_initial.sql`.
fn number(name: &str) -> Option<usize> {
    let (number, what) = name.strip_suffix(".sql")?.split_once('_')?;
    let is_name = !what.is_empty() && what.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    (number.len() == 4 && is_name).then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_missing_file_is_found() {
        assert_eq!(missing(&|_| Some("text")), Vec::<String>::new());
        let found =
            missing(&|path| (path != "README.md").then_some(if path == "LICENSE-MIT" { " \n" } else { "text" }));
        assert_eq!(found, ["README.md is missing or empty", "LICENSE-MIT is missing or empty"]);
    }

    #[test]
    fn a_block_is_cut_out_of_its_page() {
        assert_eq!(toml_block("a\n```toml\nb = 1\nc = 2\n```\nd\n"), Some("b = 1\nc = 2"));
        assert_eq!(toml_block("a\n```sh\nb\n```\n"), None);
    }

    #[test]
    fn migrations_that_drift_apart_are_found() {
        let two = names(&["0002_more.sql", "0001_initial.sql", "README.md"]);
        let one = names(&["0001_initial.sql"]);
        let other = names(&["0001_initial.sql", "0002_less.sql", "README.md"]);
        assert_eq!(migrations(Some(&two), None), Vec::<String>::new());
        assert_eq!(migrations(Some(&two), Some(&two)), Vec::<String>::new());
        assert_eq!(migrations(Some(&two), Some(&other)).len(), 2);
        assert_eq!(migrations(None, None), Vec::<String>::new());
        assert_eq!(
            migrations(Some(&two), Some(&one)),
            ["0002_more.sql stands in one folder alone", "README.md stands in one folder alone"]
        );
    }

    #[test]
    fn gaps_repeats_and_odd_names_are_found() {
        for planted in [&["0001_a.sql", "0003_b.sql"], &["0001_a.sql", "0001_b.sql"], &["0001_a.sql", "2_b.sql"]] {
            assert_eq!(migrations(Some(&names(planted)), None).len(), 1, "{planted:?}");
        }
    }
}
