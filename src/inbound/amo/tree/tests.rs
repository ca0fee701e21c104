//! Trees of real and of odd names, and properties of all.

use super::*;
use proptest::prelude::*;

fn tree(body: &str) -> Tree {
    Tree::of_form(body.as_bytes()).expect("within bounds")
}

fn at<'a>(tree: &'a Tree, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(tree.root(), |branch, name| branch.get(name)).and_then(Branch::text)
}

fn names(branch: Branch<'_>) -> Vec<String> {
    branch.children().map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn what_php_writes_is_read() {
    let body = "contacts%5Badd%5D%5B0%5D%5Bid%5D=101&contacts[add][0][phone]=%2B7+999&contacts[add][7][id]=102\
                &leads[x][]=a&leads[x][5]=b&leads[x][]=c&leads[x][]=d";
    let tree = tree(body);
    assert_eq!(at(&tree, &["contacts", "add", "0", "id"]), Some("101"));
    assert_eq!(at(&tree, &["contacts", "add", "0", "phone"]), Some("+7 999"), "a space and a plus");
    assert_eq!(at(&tree, &["contacts", "add", "7", "id"]), Some("102"), "indices with gaps");
    let listed = tree.root().get("leads").and_then(|leads| leads.get("x")).map(names);
    assert_eq!(listed, Some(vec!["0".into(), "5".into(), "6".into(), "7".into()]));
    assert_eq!(at(&tree, &["leads", "x", "7"]), Some("d"));
}

#[test]
fn a_name_can_be_a_value_and_a_branch() {
    for body in ["a[type]=3&a[type][uuid]=x", "a[type][uuid]=x&a[type]=3"] {
        let tree = tree(body);
        assert_eq!((at(&tree, &["a", "type"]), at(&tree, &["a", "type", "uuid"])), (Some("3"), Some("x")), "{body}");
    }
}

#[test]
fn odd_names_cost_no_neighbour() {
    for odd in
        ["", "=", "[", "]", "[]", "[a]", "a[", "a[b", "a]b[", "a[b]c", "[[a]]=1", "%FF%FE[%80]=%C3", "&&&", "a[[b]]=1"]
    {
        let body = format!("{odd}&leads[add][0][id]=5&{odd}");
        assert_eq!(at(&tree(&body), &["leads", "add", "0", "id"]), Some("5"), "{body}");
    }
    assert_eq!(at(&tree("a[b=1"), &["a[b"]), Some("1"));
    assert_eq!(at(&tree("a=1&a=2"), &["a"]), Some("2"), "the last one counts");
    let deep = format!("a{}=1&b=2", "[x]".repeat(DEPTH_MAX));
    assert_eq!((at(&tree(&deep), &["b"]), tree(&deep).value_count()), (Some("2"), 1), "too deep is passed over");
}

#[test]
fn there_are_bounds() {
    let many = |count: usize, name: fn(usize) -> String| (0..count).map(name).collect::<Vec<_>>().join("&");
    let values = many(VALUES_MAX + 1, |_| "a=1".to_owned());
    assert_eq!(Tree::of_form(values.as_bytes()), Err(format!("more than {VALUES_MAX} values")));
    let places = many(PLACES_MAX / 4, |n| format!("a{n}[b][c][d][e]=1"));
    assert_eq!(Tree::of_form(places.as_bytes()), Err(format!("more than {PLACES_MAX} places")));
    let index = format!("a[{}]=1&a[]=2&a[]=3", u64::MAX);
    assert_eq!(at(&tree(&index), &["a", &u64::MAX.to_string()]), Some("3"), "an index at its end");
}

#[test]
fn json_of_the_same_shape_is_the_same_tree() {
    let json = r#"{"contacts":{"add":[{"id":101,"name":"Анна","is":true,"none":null}],"delete":"7"}}"#;
    let form = "contacts[add][0][id]=101&contacts[add][0][name]=%D0%90%D0%BD%D0%BD%D0%B0&contacts[add][0][is]=1&contacts[delete]=7";
    let (json, form) = (Tree::of_json(json).expect("JSON"), tree(form));
    for path in [&["contacts", "add", "0", "id"][..], &["contacts", "add", "0", "name"], &["contacts", "delete"]] {
        assert_eq!(at(&json, path), at(&form, path), "{path:?}");
        assert!(at(&json, path).is_some(), "{path:?}");
    }
    assert_eq!(Tree::of_json("{\"secret words\""), Err("at line 1 column 15: no JSON".to_owned()));
}

/// Writes a path the way PHP does.
fn written(path: &[String]) -> String {
    let (first, rest) = path.split_first().expect("a path");
    rest.iter().fold(first.clone(), |name, part| format!("{name}[{part}]"))
}

proptest! {
    #[test]
    fn every_value_is_found_where_it_was_put(
        paths in prop::collection::btree_map(prop::collection::vec("[a-z0-9я]{1,3}", 1..6), "\\PC{0,8}", 0..40)
    ) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (path, value) in &paths {
            form.append_pair(&written(path), value);
        }
        let tree = tree(&form.finish());
        prop_assert_eq!(tree.value_count(), paths.len());
        for (path, value) in &paths {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            prop_assert_eq!(at(&tree, &path), Some(value.as_str()));
        }
    }

    #[test]
    fn no_bytes_break_it_and_the_same_bytes_are_the_same_tree(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let read = Tree::of_form(&body);
        prop_assert_eq!(&read, &Tree::of_form(&body));
        let tree = read.expect("within bounds");
        let mut left = vec![tree.root()];
        let mut found = 0;
        while let Some(branch) = left.pop() {
            found += usize::from(branch.text().is_some());
            left.extend(branch.children().map(|(_, child)| child));
        }
        prop_assert!(found <= tree.value_count(), "children lead everywhere, and nowhere twice");
    }

    #[test]
    fn brackets_in_any_order_break_nothing(body in "[\\[\\]ab0=&%+]{0,60}") {
        prop_assert!(Tree::of_form(body.as_bytes()).is_ok());
    }
}
