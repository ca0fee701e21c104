//! Names with brackets, as PHP writes them, as a tree: `contacts[add][0][id]=101`.
//!
//! What a real body does and a strict reader refuses is taken: a name that is a value and a branch at once
//! (`[type]=3` beside `[type][uuid]=…`), indices with gaps, ids for names, bytes that are no UTF-8. Everything
//! has a bound; a name that is nested too deep is passed over, for its neighbours' sake.

use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Deepest nesting: a note's details in a contact are eight deep.
const DEPTH_MAX: usize = 16;
/// Most values of one body: the largest record has about a thousand.
const VALUES_MAX: usize = 32_768;
/// Most places of one body, branches included.
const PLACES_MAX: usize = 65_536;

/// The place of everything.
const ROOT: usize = 0;

/// A body as a tree. Places are numbers; `ways` leads from a place and a name to the next place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tree {
    ways: BTreeMap<(usize, String), usize>,
    places: Vec<Place>,
    values: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Place {
    value: Option<String>,
    /// What `[]` stands for next: one more than the largest index so far.
    next_index: u64,
}

/// A place of a tree with everything below it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Branch<'a> {
    tree: &'a Tree,
    place: usize,
}

impl Tree {
    /// Reads a form. An error names the bound that was passed.
    pub(super) fn of_form(body: &[u8]) -> Result<Tree, String> {
        let mut tree = Tree::with_root();
        for (name, value) in form_urlencoded::parse(body) {
            tree.put(&name, value)?;
        }
        Ok(tree)
    }

    /// Reads JSON of the same shape.
    pub(super) fn of_json(text: &str) -> Result<Tree, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            // The message itself may quote the body.
            format!("at line {} column {}: no JSON", error.line(), error.column())
        })?;
        let mut tree = Tree::with_root();
        tree.put_json(ROOT, 0, value)?;
        Ok(tree)
    }

    fn with_root() -> Tree {
        Tree { places: vec![Place::default()], ..Tree::default() }
    }

    /// The whole of it.
    pub(super) fn root(&self) -> Branch<'_> {
        Branch { tree: self, place: ROOT }
    }

    /// How many values it holds.
    #[cfg(test)]
    fn value_count(&self) -> usize {
        self.values
    }

    fn put(&mut self, name: &str, value: Cow<'_, str>) -> Result<(), String> {
        let parts = parts(name);
        if parts.len() > DEPTH_MAX {
            return Ok(());
        }
        let mut place = ROOT;
        for part in parts {
            place = self.step(place, part)?;
        }
        self.set(place, value.into_owned())
    }

    fn put_json(&mut self, place: usize, depth: usize, value: Value) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Ok(());
        }
        match value {
            Value::Null => Ok(()),
            Value::Bool(flag) => self.set(place, if flag { "1" } else { "0" }.to_owned()),
            Value::Number(number) => self.set(place, number.to_string()),
            Value::String(text) => self.set(place, text),
            Value::Array(items) => {
                for item in items {
                    let next = self.step(place, "")?;
                    self.put_json(next, depth + 1, item)?;
                }
                Ok(())
            }
            Value::Object(members) => {
                for (name, member) in members {
                    let next = self.step(place, &name)?;
                    self.put_json(next, depth + 1, member)?;
                }
                Ok(())
            }
        }
    }

    /// The place behind a name; `""` is the next free index, as `[]` is for PHP.
    fn step(&mut self, place: usize, name: &str) -> Result<usize, String> {
        let name = if name.is_empty() { self.places[place].next_index.to_string() } else { name.to_owned() };
        if let Ok(index) = name.parse::<u64>() {
            let next = &mut self.places[place].next_index;
            *next = (*next).max(index.saturating_add(1));
        }
        let way = (place, name);
        if let Some(known) = self.ways.get(&way) {
            return Ok(*known);
        }
        if self.places.len() >= PLACES_MAX {
            return Err(format!("more than {PLACES_MAX} places"));
        }
        let new = self.places.len();
        self.places.push(Place::default());
        self.ways.insert(way, new);
        Ok(new)
    }

    /// The last of several values counts, as for PHP.
    fn set(&mut self, place: usize, value: String) -> Result<(), String> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(format!("more than {VALUES_MAX} values"));
        }
        self.places[place].value = Some(value);
        Ok(())
    }
}

/// `a[b][][c]` is a, b, nothing, c. What is no proper bracket belongs to the name before it.
fn parts(name: &str) -> Vec<&str> {
    let Some((first, mut rest)) = name.find('[').filter(|at| *at > 0).map(|at| name.split_at(at)) else {
        return vec![name];
    };
    let mut parts = vec![first];
    while let Some((part, after)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        parts.push(part);
        rest = after;
    }
    if rest.is_empty() { parts } else { vec![name] }
}

impl<'a> Branch<'a> {
    /// What stands below a name.
    pub(super) fn get(self, name: &str) -> Option<Branch<'a>> {
        let place = *self.tree.ways.get(&(self.place, name.to_owned()))?;
        Some(Branch { tree: self.tree, place })
    }

    /// Everything below, by name.
    pub(super) fn children(self) -> impl Iterator<Item = (&'a str, Branch<'a>)> {
        let tree = self.tree;
        let below = tree.ways.range((self.place, String::new())..).take_while(move |((at, _), _)| *at == self.place);
        below.map(move |((_, name), place)| (name.as_str(), Branch { tree, place: *place }))
    }

    /// Its own value.
    pub(super) fn text(self) -> Option<&'a str> {
        self.tree.places[self.place].value.as_deref()
    }
}

#[cfg(test)]
mod tests;
