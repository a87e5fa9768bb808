//! The engine through its public operations, on real stores and catalogs.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod collecting;
mod copying;
mod gated_store;
mod interleaving;
mod managed;
mod missing;
mod owners;
mod records;
mod removing;
mod resuming;
mod sharing;
mod support;
mod watched_store;
