//! Hostile bytes: no parser panics, or allocates what a length in them merely claims.
//!
//! Every parser sees a few thousand inputs on every run of the tests; `fuzz/` runs the same ones for as long as one
//! likes. An input that fails is left in a file, whose name the failure tells.

mod mutate;
mod parsers;
mod seeds;

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use parsers::{ALL, Parser};
use serde_json::Value;
use store::Record;
use store::keys::KeyFile;
use store::manifest::{ManifestEntry, Root, decode_page};
use store::pack::read_index;
use store::seal::PLAIN_BYTES_MAX;

const CASES: u64 = 3000;

/// What any parser may allocate, however short its input: serde reserves a mebibyte for what a list claims, and twice
/// that while the list grows.
const ALLOCATED_BYTES: usize = 4 << 20;

#[test]
fn hostile_bytes_are_refused_without_panic_or_large_allocations() {
    let failures: Vec<String> = ALL.iter().filter_map(first_failure).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn first_failure(parser: &Parser) -> Option<String> {
    let seeds = (parser.seeds)();
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
    let limit = ALLOCATED_BYTES + bytes.len() * parser.growth;
    let excess = allocated.bytes_max > limit as u64;
    excess.then(|| format!("it allocated {} bytes for {}", allocated.bytes_max, bytes.len()))
}

/// Writes an input where `cargo fuzz run` can be given it.
fn keep(parser: &Parser, bytes: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-{}", parser.name));
    std::fs::write(&path, bytes).expect("the input is written");
    path
}

/// Opening a chunk once took up to 64 MiB on the word of the length beside it and of the one in its zstd frame.
#[test]
fn a_chunk_takes_no_memory_for_a_length_that_its_body_cannot_hold() {
    let zstd = zstd::bulk::compress(&vec![0; PLAIN_BYTES_MAX as usize], 3).unwrap();
    let cut = [PLAIN_BYTES_MAX.to_le_bytes().as_slice(), &[1], &zstd[..16]].concat();
    let allocated = allocation_counter::measure(|| assert!(parsers::open_chunk(&cut).unwrap().is_err()));
    assert!(allocated.bytes_max < 1 << 20, "{} bytes", allocated.bytes_max);
}

/// Bytes that are refused at a seal or a checksum test nothing behind it.
#[test]
fn valid_bytes_get_past_every_seal_and_checksum() {
    let key = parsers::key();
    let index = &seeds::pack_indexes()[0];
    assert_eq!(read_index(parsers::PACK, &key, &seeds::pack_around(index)).unwrap().len(), 2);
    let [page, ..] = &seeds::pages()[..] else { panic!("there are pages") };
    assert_eq!(decode_page::<ManifestEntry>(page).unwrap().len(), 5);
    assert!(Root::open(&key, parsers::SNAPSHOT, &parsers::root_around(&seeds::roots()[0])).is_ok());
    let [record, head] = &seeds::records()[..] else { panic!("a record and a head") };
    assert!(Record::decode(record).is_ok());
    assert!(Record::decode(&parsers::summed(&seeds::record_body_around(head))).is_ok());
    let file = &seeds::format_files()[0];
    assert_eq!(
        serde_json::from_slice::<Value>(&seeds::format_file_mended(file)).ok(),
        serde_json::from_slice(file).ok()
    );
    assert!(KeyFile::parse(&seeds::key_file_around(seeds::keys_json().as_bytes())).is_ok());
    let [stored, unsealed] = &seeds::wrapped_keys()[..] else { panic!("a stored and an unsealed key") };
    assert!(parsers::unwrap(stored).is_ok());
    assert!(parsers::unwrap(&parsers::wrapped_around(unsealed).unwrap()).is_ok());
    assert!(parsers::fetch(&seeds::locations()[0]).unwrap().is_ok());
    let [raw, zstd, ..] = &seeds::chunks()[..] else { panic!("chunks of both codecs") };
    assert!(parsers::open_chunk(raw).unwrap().is_ok() && parsers::open_chunk(zstd).unwrap().is_ok());
}

#[test]
fn every_parser_has_its_fuzz_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let files = std::fs::read_dir(fuzz.join("fuzz_targets")).unwrap();
    let targets = files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned());
    // Requests are looked after by `crates/wire/tests/hostile`.
    let targets: BTreeSet<String> = targets.filter(|target| !target.starts_with("wire_")).collect();
    // The configuration is the binary's: see `crates/service/src/config/hostile.rs`.
    let parsers = ALL.iter().map(|parser| parser.name).chain(["config"]).map(str::to_owned).collect();
    assert_eq!(targets, parsers);
    for target in targets {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")),
            "{target} is not in fuzz/Cargo.toml"
        );
    }
}
