//! The environment: the one place that reads it.

#![expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]

use std::ffi::OsString;
use std::path::PathBuf;

/// What is logged on standard error, as `tracing` filters say it: `OFFSITE_LOG`, e.g. `info` or `engine=debug`.
pub(crate) fn log_filter() -> String {
    std::env::var("OFFSITE_LOG").unwrap_or_else(|_| "warn".to_owned())
}

/// All of it that is text: credentials for what a region's parts are kept on are among it.
pub(crate) fn variables() -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

/// Where scratch files of the demo go: `TMPDIR`, or `/tmp`.
pub(crate) fn temporary_directory() -> PathBuf {
    std::env::temp_dir()
}

/// Where cargo keeps its registry: `CARGO_HOME`, or `~/.cargo`.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home)
}

/// The number of the effect to die at: `OFFSITE_CRASH_AT`.
#[cfg(feature = "crash-points")]
pub(crate) fn crash_at() -> anyhow::Result<Option<u64>> {
    use anyhow::Context;
    let given = std::env::var("OFFSITE_CRASH_AT").ok().filter(|given| !given.is_empty());
    given.map(|given| given.parse().context("OFFSITE_CRASH_AT is not a number")).transpose()
}

/// Where the names of effects are appended: `OFFSITE_EFFECTS_LOG`.
#[cfg(feature = "crash-points")]
pub(crate) fn effects_log() -> Option<PathBuf> {
    std::env::var_os("OFFSITE_EFFECTS_LOG").filter(|path| !path.is_empty()).map(PathBuf::from)
}
