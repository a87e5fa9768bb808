//! Hostile bytes: no parser of requests panics, or makes much more of its input than it is.
//!
//! Every parser sees a few thousand inputs on every run of the tests; `fuzz/` runs the same ones for as long as one
//! likes. An input that fails is left in a file, whose name the failure tells.

#[path = "../../../store/tests/hostile/mutate.rs"]
mod mutate;
mod parsers;
mod seeds;

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use parsers::{ALL, Parser};

const CASES: u64 = 3000;

/// What any parser may allocate, however short its input.
const ALLOCATED_BYTES: usize = 1 << 20;

/// How much more: a number of JSON takes two bytes at least, and in memory, while the list that holds it grows, a
/// hundred.
const GROWTH: usize = 256;

#[test]
fn hostile_requests_are_refused_without_panic_or_large_allocations() {
    let failures: Vec<String> = ALL.iter().filter_map(first_failure).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn first_failure(parser: &Parser) -> Option<String> {
    let seeds = (parser.seeds)();
    // Patterns are compiled when they are first needed, and kept.
    seeds.iter().for_each(|seed| (parser.read)(seed));
    let hostile = (0..CASES).map(|case| (Some(case), mutate::hostile(case, &seeds)));
    let mut all = seeds.iter().map(|seed| (None, seed.clone())).chain(hostile);
    all.find_map(|(case, bytes)| {
        let why = fault(parser, &bytes)?;
        Some(format!("{}, case {case:?}: {why}; the input is {}", parser.name, keep(parser, &bytes).display()))
    })
}

/// What is wrong with how `parser` reads `bytes`. Only what this thread allocates is counted.
fn fault(parser: &Parser, bytes: &[u8]) -> Option<String> {
    let Ok(allocated) = catch_unwind(|| allocation_counter::measure(|| (parser.read)(bytes))) else {
        return Some("it panicked".to_owned());
    };
    let excess = allocated.bytes_max > (ALLOCATED_BYTES + bytes.len() * GROWTH) as u64;
    excess.then(|| format!("it allocated {} bytes for {}", allocated.bytes_max, bytes.len()))
}

/// Writes an input where `cargo fuzz run` can be given it.
fn keep(parser: &Parser, bytes: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-{}", parser.name));
    std::fs::write(&path, bytes).expect("the input is written");
    path
}

/// Bytes that are refused at the door test nothing behind it.
#[test]
fn sound_requests_get_past_every_check() {
    for seed in seeds::fsx() {
        assert!(parsers::read_fsx(&seed).is_ok(), "{}", seed.escape_ascii());
    }
    for seed in seeds::cloudhsm() {
        assert!(parsers::read_cloudhsm(&seed).is_ok(), "{}", seed.escape_ascii());
    }
    for seed in seeds::cbs() {
        assert!(parsers::read_cbs(&seed).is_ok(), "{}", seed.escape_ascii());
    }
    for seed in seeds::aws() {
        assert_eq!(parsers::believe_aws(&seed), Ok(()), "{}", seed.escape_ascii());
    }
    for seed in seeds::tencent() {
        assert_eq!(parsers::believe_tencent(&seed), Ok(()), "{}", seed.escape_ascii());
    }
    for seed in seeds::policies() {
        assert!(parsers::read_policy(&seed).is_ok(), "{}", seed.escape_ascii());
    }
    let [whole, ..] = &seeds::certificates()[..] else { panic!("there are certificates") };
    assert_eq!(parsers::check_certificates(whole), Some(Ok(())));
    let [whole, ..] = &seeds::ders()[..] else { panic!("there are certificates") };
    assert_eq!(parsers::check_certificates(&parsers::as_pem(whole)), Some(Ok(())));
}

#[test]
fn every_parser_has_its_fuzz_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let files = std::fs::read_dir(fuzz.join("fuzz_targets")).unwrap();
    let targets = files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned());
    let targets: BTreeSet<String> = targets.filter(|target| target.starts_with("wire_")).collect();
    assert_eq!(targets, ALL.iter().map(|parser| parser.name.to_owned()).collect());
    for target in targets {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")),
            "{target} is not in fuzz/Cargo.toml"
        );
    }
}
