//! The store's parsers by name, for the fuzz targets: the same entry points that its hostile tests run.

#[allow(dead_code, reason = "what may be allocated is for the hostile tests")]
#[path = "../../crates/store/tests/hostile/parsers.rs"]
mod parsers;
#[path = "../../crates/store/tests/hostile/seeds.rs"]
mod seeds;

/// Reads `bytes` with the parser named `name`.
///
/// # Panics
/// When there is no such parser, or the parser has a fault.
pub fn read(name: &str, bytes: &[u8]) {
    let parser = parsers::ALL.iter().find(|parser| parser.name == name);
    (parser.expect("a fuzz target is named after its parser").read)(bytes);
}

/// Every parser's name, with valid bytes to start from.
pub fn seeds() -> impl Iterator<Item = (&'static str, Vec<Vec<u8>>)> {
    parsers::ALL.iter().map(|parser| (parser.name, (parser.seeds)()))
}
