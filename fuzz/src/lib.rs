//! The parsers of the store and of requests by name, for the fuzz targets: the same entry points that the hostile tests
//! run.

#[allow(dead_code, reason = "what may be allocated is for the hostile tests")]
#[path = "../../crates/store/tests/hostile/parsers.rs"]
mod parsers;
mod requests;
#[path = "../../crates/store/tests/hostile/seeds.rs"]
mod seeds;

/// Reads `bytes` with the parser named `name`.
///
/// # Panics
/// When there is no such parser, or the parser has a fault.
pub fn read(name: &str, bytes: &[u8]) {
    let stored = parsers::ALL.iter().find(|parser| parser.name == name).map(|parser| parser.read);
    let sent = requests::parsers::ALL.iter().find(|parser| parser.name == name).map(|parser| parser.read);
    (stored.or(sent).expect("a fuzz target is named after its parser"))(bytes);
}

/// Every parser's name, with valid bytes to start from.
pub fn seeds() -> impl Iterator<Item = (&'static str, Vec<Vec<u8>>)> {
    let stored = parsers::ALL.iter().map(|parser| (parser.name, (parser.seeds)()));
    stored.chain(requests::parsers::ALL.iter().map(|parser| (parser.name, (parser.seeds)())))
}
