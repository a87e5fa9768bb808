//! The cloud APIs from outside: requests byte by byte, as good clients and bad ones send them, to a running server.
//!
//! What the vendors' own clients do is in `tests/clients/`, but for the one that is written in Rust.

mod acceptance;
mod away;
mod bad_input;
pub(crate) mod exchange;
mod overload;
mod recorded;
mod rust_sdk;
pub(crate) mod served;
mod sign;
