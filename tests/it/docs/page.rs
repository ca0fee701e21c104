//! A page in Markdown, taken apart as far as the tests need it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A fenced block.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// The words behind the fence.
    pub(super) info: String,
    pub(super) text: String,
    /// Where it begins, counted from 1.
    pub(super) line: usize,
}

impl Block {
    /// Lines that are no comments.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    }

    /// What a configuration sets, without the values: those are translated.
    pub(super) fn keys(&self) -> BTreeSet<String> {
        let lines = self.lines().filter(|_| self.info.starts_with("toml"));
        lines.map(|line| line.split('=').next().unwrap_or_default().trim().to_owned()).collect()
    }
}

/// A page; lines are counted from 1.
#[derive(Debug, Clone)]
pub(super) struct Page {
    /// Its path from the repository's root.
    pub(super) name: String,
    /// The last part of it.
    pub(super) file: String,
    /// How deep each heading is.
    pub(super) headings: Vec<usize>,
    /// Rows of tables.
    pub(super) rows: usize,
    pub(super) blocks: Vec<Block>,
    prose: Vec<(usize, String)>,
}

/// All pages of a language, in order of name.
pub(super) fn pages(root: &Path, language: &str) -> Vec<Page> {
    let folder = root.join("docs").join(language);
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".md"))
        .collect();
    names.sort();
    names.iter().map(|name| Page::read(&folder.join(name), &format!("docs/{language}/{name}"))).collect()
}

impl Page {
    pub(super) fn read(path: &Path, name: &str) -> Page {
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut page =
            Page { name: name.to_owned(), file, headings: Vec::new(), rows: 0, blocks: Vec::new(), prose: Vec::new() };
        let mut open: Option<Block> = None;
        for (index, line) in fs::read_to_string(path).unwrap().lines().enumerate() {
            match (&mut open, line.trim_start().strip_prefix("```")) {
                (None, Some(info)) => {
                    open = Some(Block { info: info.trim().to_owned(), text: String::new(), line: index + 1 });
                }
                (Some(_), Some(_)) => page.blocks.extend(open.take()),
                (Some(block), None) => block.text.push_str(&format!("{line}\n")),
                (None, None) => page.take_prose(index + 1, line),
            }
        }
        assert!(open.is_none(), "{name}: a block is not closed");
        page
    }

    fn take_prose(&mut self, number: usize, line: &str) {
        if let Some(depth) = line.find(|c| c != '#').filter(|depth| *depth > 0) {
            self.headings.push(depth);
        }
        self.rows += usize::from(line.starts_with('|'));
        self.prose.push((number, line.to_owned()));
    }

    /// Every command of ours: in blocks of `sh`, and between backticks where it is spelled out.
    pub(super) fn commands(&self) -> Vec<(usize, Vec<String>)> {
        let mut found = Vec::new();
        for block in self.blocks.iter().filter(|block| block.info.starts_with("sh")) {
            found.extend(block.lines().flat_map(commands).map(|words| (block.line, words)));
        }
        for (number, line) in &self.prose {
            let spelled = ticked(line).filter(|text| text.contains("salebridge ") && !text.contains('…'));
            found.extend(spelled.flat_map(commands).map(|words| (*number, words)));
        }
        found
    }

    /// What stands between backticks in the first column of tables.
    pub(super) fn quotes(&self) -> Vec<(usize, String)> {
        let rows = self.prose.iter().filter(|(_, line)| line.starts_with("| `"));
        let first = |line: &str| line.trim_start_matches("| ").split(" | ").next().unwrap_or_default().to_owned();
        rows.flat_map(|(number, line)| {
            ticked(&first(line)).map(|quote| (*number, quote.to_owned())).collect::<Vec<_>>()
        })
        .collect()
    }

    /// Targets of links to files of ours.
    pub(super) fn links(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (number, line) in &self.prose {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            found.extend(targets.filter(|target| !target.contains("://")).map(|target| (*number, target.to_owned())));
        }
        found
    }
}

/// The texts between backticks.
fn ticked(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The commands of ours in a line of a shell: none, or one, whoever runs it.
pub(super) fn commands(line: &str) -> Vec<Vec<String>> {
    let line = line.trim().trim_start_matches("$ ");
    let words = words(line);
    let runs = match words.first().map(String::as_str) {
        Some("salebridge") => Some(0),
        Some("sudo") => {
            let user = words.get(1).is_some_and(|word| word == "-u");
            Some(if user { 3 } else { 1 })
        }
        _ => None,
    };
    let ours = runs.filter(|at| words.get(*at).is_some_and(|word| word == "salebridge"));
    ours.map(|at| words[at..].to_vec()).into_iter().filter(|words| words.len() > 1).collect()
}

/// Splits as a shell does, as far as quotes and comments go; what follows a pipe or a redirection is left out.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '>' | ';' | '&') => break,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}
