//! The catalog through its public methods, each test on a fresh file.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod accept;
mod backups;
mod clusters;
mod copy_parts;
mod deletion;
mod gc;
mod history;
mod leases;
mod opening;
mod packs;
mod policies;
mod support;
