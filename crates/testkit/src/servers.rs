//! Servers that whoever runs the tests has named: catalogs, stores and keys are there, and not in files.
//!
//! A variable of the environment holds the address of one server, or of two with a space between them: then some of a test's
//! regions are on the one, and some on the other.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::process::Command;

use crate::program;

/// Databases of PostgreSQL in which schemas can be made, and beside which databases can; nobody misses them afterwards.
pub const CATALOGS: &str = "OFFSITE_TEST_POSTGRES";

/// S3 services, as URLs. The key for them is in the environment, too, as programs for AWS expect it.
pub const STORES: &str = "OFFSITE_TEST_S3";

/// Services that speak the protocol of AWS's key service, likewise.
pub const KEYS: &str = "OFFSITE_TEST_KMS";

/// The server of a kind for a test's region of this number, if there is one.
#[expect(clippy::disallowed_methods, reason = "which servers to test with is for whoever runs the tests to say")]
pub fn named(kind: &str, region: usize) -> Option<String> {
    let named = std::env::var(kind).unwrap_or_default();
    let servers: Vec<&str> = named.split_whitespace().collect();
    servers.get(region.checked_rem(servers.len())?).map(|server| (*server).to_owned())
}

/// Makes a schema in a database of PostgreSQL and returns the address of a catalog in it.
///
/// # Errors
/// When it cannot be made, or `psql` is missing.
pub fn new_schema(database: &str) -> io::Result<String> {
    let name = format!("test_{}", new_name());
    let psql = program::find("psql").ok_or_else(|| io::Error::other("there is no psql"))?;
    let mut command = Command::new(psql);
    command.args(["--no-psqlrc", "--quiet", "--command", &format!("CREATE SCHEMA {name}"), database]);
    let made = command.output()?;
    if !made.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()));
    }
    let separator = if database.contains('?') { '&' } else { '?' };
    Ok(format!("{database}{separator}options=-csearch_path%3D{name}"))
}

/// A name that nothing else has.
pub fn new_name() -> String {
    format!("{:016x}", RandomState::new().hash_one(()))
}
