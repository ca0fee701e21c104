//! Tags and choices of a multi-list: sets, in a variable separated by commas.

use super::{Base, Content, Direction, Merged, Pair, Standing, variable};
use crate::core::shape;
use crate::core::text;
use std::collections::BTreeSet;

pub(super) fn split(content: &Content) -> Content {
    content.iter().flat_map(|text| text::listed(text)).map(str::to_owned).collect()
}

pub(super) fn keys(pair: &Pair<'_>, items: &Content) -> BTreeSet<String> {
    items.iter().filter_map(|item| pair.meaning(item)).collect()
}

/// Items of `items` whose meaning is (or is not) among `keys`.
fn only(pair: &Pair<'_>, items: &Content, keys: &BTreeSet<String>, within: bool) -> Content {
    let is_in = |item: &&String| pair.meaning(item).is_some_and(|meaning| keys.contains(&meaning)) == within;
    items.iter().filter(is_in).cloned().collect()
}

pub(super) fn merge(pair: Pair<'_>) -> Merged {
    if pair.direction == Direction::ToSalebot {
        return follow(&pair);
    }
    let salebot = split(&pair.salebot_now());
    let (amo_keys, salebot_keys) = (keys(&pair, pair.amo), keys(&pair, &salebot));
    let base_amo = base_keys(&pair, pair.base.amo.as_ref(), &pair.base.sent_amo, &amo_keys);
    let base_salebot = match pair.base.salebot.is_some() && pair.salebot_standing() == Standing::Same {
        true => salebot_keys.clone(),
        false => keys(&pair, &split(&pair.base.salebot.clone().unwrap_or_default())),
    };
    let ours: BTreeSet<String> = pair.base.ours.iter().filter_map(|own| pair.meaning(own)).collect();
    let removed_by_salebot: BTreeSet<_> =
        base_salebot.difference(&salebot_keys).filter(|key| ours.contains(*key)).cloned().collect();
    let removed_by_amo: BTreeSet<_> = base_amo.difference(&amo_keys).cloned().collect();
    let entered = only(&pair, &only(&pair, &salebot, &amo_keys, false), &removed_by_amo, false);
    let mut refused = None;
    let entered = writable(&pair, entered, &mut refused);
    let mut target = only(&pair, pair.amo, &removed_by_salebot, false);
    target.extend(entered.iter().cloned());
    outcome(&pair, target, &entered, refused)
}

fn base_keys(pair: &Pair<'_>, seen: Option<&Content>, sent: &[Content], now: &BTreeSet<String>) -> BTreeSet<String> {
    match sent.iter().any(|sent| keys(pair, sent) == *now) {
        true => now.clone(),
        false => keys(pair, &seen.cloned().unwrap_or_default()),
    }
}

/// New items in amoCRM's own form; those that it cannot hold are left out.
fn writable(pair: &Pair<'_>, items: Content, refused: &mut Option<String>) -> Content {
    let mut kept = Content::new();
    for item in items {
        match shape::from_salebot(pair.form, &item) {
            Ok(content) => kept.extend(content),
            Err(reason) => *refused = Some(reason),
        }
    }
    kept
}

fn outcome(pair: &Pair<'_>, target: Content, entered: &Content, refused: Option<String>) -> Merged {
    let target_keys = keys(pair, &target);
    let ours: BTreeSet<String> = pair
        .base
        .ours
        .iter()
        .chain(entered)
        .filter(|own| pair.meaning(own).is_some_and(|key| target_keys.contains(&key)))
        .cloned()
        .collect();
    let write_amo = (target_keys != keys(pair, pair.amo)).then(|| {
        let (content, base) = pair.amo_write(target.clone());
        (content, Base { ours: ours.clone(), ..base })
    });
    let is_behind = target_keys != keys(pair, &split(&pair.salebot_now())) && refused.is_none();
    let write_salebot = (is_behind && pair.direction.writes_salebot()).then(|| {
        let (content, base) = pair.salebot_write(variable(shape::salebot_text(pair.form, &target)), pair.amo);
        (content, Base { ours: ours.clone(), ..base })
    });
    let base = (write_amo.is_none() && write_salebot.is_none()).then(|| Base { ours, ..pair.settled() });
    Merged { write_amo, write_salebot, base, lost: None, refused }
}

/// One way: the variable says what amoCRM has.
fn follow(pair: &Pair<'_>) -> Merged {
    let amo = keys(pair, pair.amo);
    let is_known = pair.salebot.is_some() || pair.base.salebot.is_some();
    let agreed = is_known && amo == keys(pair, &split(&pair.salebot_now()));
    let unchanged = pair.base.amo.as_ref().is_some_and(|seen| keys(pair, seen) == amo);
    if agreed || unchanged || (amo.is_empty() && pair.base.amo.is_none()) {
        return Merged { base: Some(super::settled_where_unchanged(pair)), ..Merged::default() };
    }
    let write = pair.salebot_write(variable(shape::salebot_text(pair.form, pair.amo)), pair.amo);
    Merged { write_salebot: Some(write), ..Merged::default() }
}
