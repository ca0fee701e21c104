//! Every door for strangers' bytes, over its seeds and thousands of mutations of them.
//!
//! The same doors are the fuzz targets; here they are tried on the stable toolchain, in a second or two.

#[path = "../../fuzz/src/lib.rs"]
mod doors;

use salebridge::sandbox::town::Dice;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Mutations of each door's seeds.
const MUTATIONS: usize = 300;
/// The longest input: longer ones find little and take long.
const BYTES_MAX: usize = 4_096;
/// Pieces that readers have stumbled over, here or elsewhere.
const PIECES: [&[u8]; 22] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"\\ud83d",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\0",
    b"{{",
    b"{%",
    b"'''",
    b"\"\"",
    b"\n",
    "ё".as_bytes(),
    "🙂".as_bytes(),
    "\u{202E}".as_bytes(),
];

/// Inputs of a door: its own seeds, and what the adapters' tests have of saved answers.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = root.join("fuzz/seeds").join(name);
    let saved = match name {
        "salebot_wire" => Some("salebot"),
        "amo_wire" => Some("amocrm_v2"),
        "amo_v4_wire" => Some("amocrm_v4"),
        _ => None,
    };
    let saved = saved.map(|saved| root.join("tests/it/fixtures").join(saved));
    let mut paths: Vec<_> = [Some(own), saved]
        .into_iter()
        .flatten()
        .flat_map(|folder| fs::read_dir(folder).expect("a folder of seeds"))
        .map(|entry| entry.expect("a seed").path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 2, "{name} has no seeds");
    paths.iter().map(|path| fs::read(path).expect("a seed")).collect()
}

/// One small damage, of the kinds that a fuzzer begins with.
fn damage(dice: &mut Dice, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    let at = dice.below(bytes.len() + 1);
    let end = (at + 1 + dice.below(32)).min(bytes.len()).max(at);
    match dice.below(8) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
        3 => {
            let copy = bytes[at..end].to_vec();
            let to = dice.below(bytes.len() + 1);
            bytes.splice(to..to, copy);
        }
        4 => {
            let other = dice.choose(others).cloned().unwrap_or_default();
            let from = dice.below(other.len() + 1);
            bytes.splice(at.., other[from..].iter().copied());
        }
        5 => {
            let piece = dice.choose(&PIECES).copied().unwrap_or_default();
            let times = if dice.percent(5) { 300 } else { 1 };
            bytes.splice(at..at, piece.repeat(times));
        }
        _ => {
            let piece = dice.choose(&PIECES).copied().unwrap_or_default();
            bytes.splice(at..end, piece.iter().copied());
        }
    }
    bytes.truncate(BYTES_MAX);
}

/// Tries one input; a panic is told with the input that brings it.
fn knock(name: &str, door: doors::Door, bytes: &[u8], origin: &str) {
    if catch_unwind(AssertUnwindSafe(|| door(bytes))).is_err() {
        panic!("{name} failed on {origin}: {:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn no_seed_and_no_damaged_seed_breaks_a_door() {
    for (number, (name, door)) in doors::DOORS.into_iter().enumerate() {
        let seeds = seeds(name);
        for (place, seed) in seeds.iter().enumerate() {
            knock(name, door, seed, &format!("seed {place}"));
        }
        for round in 0..MUTATIONS {
            let mut dice = Dice::seeded((number * MUTATIONS + round) as u64);
            let mut bytes = dice.choose(&seeds).cloned().unwrap_or_default();
            for _ in 0..=dice.below(6) {
                damage(&mut dice, &mut bytes, &seeds);
            }
            knock(name, door, &bytes, &format!("mutation {round}"));
        }
    }
}

#[test]
fn every_door_has_its_fuzz_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("the manifest");
    for (name, _) in doors::DOORS {
        assert!(root.join(format!("fuzz_targets/{name}.rs")).exists(), "{name} has no target");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in the manifest");
    }
}
