//! The parsers of requests, which have seeds of their own.

#[path = "../../crates/wire/tests/hostile/parsers.rs"]
pub(crate) mod parsers;
#[path = "../../crates/wire/tests/hostile/seeds.rs"]
mod seeds;
