//! `cargo xtask instructions`: how many instructions the inner loops take, held against the numbers that are kept of them.
//!
//! A loop that got slower is seen without a clock: callgrind counts the same number each time, on whatever else the machine
//! does. It runs programs on a processor of its own, which has AVX2 and nothing later where the real one has it, so that the
//! loops take the same paths on all such machines, if not always the fastest. Between compilers and C libraries counts
//! move a little, hence a tolerance. Fewer instructions have to be written down as more have, or what
//! was gained could be lost unseen.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::{tools, workspace};

/// By how much a count may differ from the one that is kept. The same program's differs by nothing from run to run; this
/// leaves room for another release of the compiler or of the C library, whose `memcpy` is a quarter of what filling a pack takes.
const TOLERANCE: f64 = 0.05;

/// Where the numbers are kept, beside the loops.
const KEPT: &str = "crates/engine/examples/inner_loops/instructions.json";

/// Builds the loops with the features that the tests are built with, which spares building their crates again.
const BUILD: [&str; 6] = ["build", "--release", "--workspace", "--all-features", "--example", "inner_loops"];

/// Options of `cargo xtask instructions`.
#[derive(Args)]
pub(crate) struct Options {
    /// Keeps what is counted from now on.
    #[arg(long)]
    write: bool,
}

/// What is kept.
#[derive(Default, Serialize, Deserialize)]
struct Counts {
    /// The programs that may have moved counts in which nobody changed a loop.
    counted_with: String,
    loops: BTreeMap<String, u64>,
}

/// Runs `cargo xtask instructions`.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    tools::install(&[tools::VALGRIND])?;
    if !options.write {
        return check().map(|()| ExitCode::SUCCESS);
    }
    ensure!(is_comparable(), "the numbers are kept for {COMPARABLE}, which this is not");
    let path = workspace::root().join(KEPT);
    let text = serde_json::to_string_pretty(&count()?)? + "\n";
    fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    println!("wrote {KEPT}");
    Ok(ExitCode::SUCCESS)
}

/// Counts, and compares with what is kept; on a machine whose counts would be others says so, and is content.
///
/// # Errors
/// When a count is off by more than [`TOLERANCE`], or there is no number for it.
pub(crate) fn check() -> Result<()> {
    if !is_comparable() {
        println!("nothing is counted: the numbers are kept for {COMPARABLE}, which this is not");
        return Ok(());
    }
    let path = workspace::root().join(KEPT);
    let text = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let kept: Counts = serde_json::from_slice(&text).with_context(|| format!("{} holds no counts", path.display()))?;
    let counted = count()?;
    let faults = faults(&kept.loops, &counted.loops);
    ensure!(
        faults.is_empty(),
        "{}. If that is meant: cargo xtask instructions --write. Counted with {}, the numbers that are kept with {}",
        faults.join("; "),
        counted.counted_with,
        kept.counted_with
    );
    Ok(())
}

/// What callgrind's processor has to have, for which it needs the real one to have it.
const COMPARABLE: &str = "x86-64 with AVX2";

#[cfg(target_arch = "x86_64")]
fn is_comparable() -> bool {
    std::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn is_comparable() -> bool {
    false
}

fn count() -> Result<Counts> {
    let status = workspace::cargo(&BUILD).arg("--quiet").status().context("failed to run cargo")?;
    ensure!(status.success(), "the inner loops did not build: see above");
    let program = workspace::target_dir()?.join("release/examples/inner_loops");
    let names = said(&mut Command::new(&program))?;
    let mut loops = BTreeMap::new();
    for name in names.lines() {
        let instructions = count_one(&program, name)?;
        println!("{name:<12} {instructions:>12}");
        loops.insert(name.to_owned(), instructions);
    }
    let versions = [Command::new("valgrind").arg("--version"), Command::new("rustc").arg("--version")].map(said);
    let versions: Vec<String> = versions.into_iter().collect::<Result<_>>()?;
    let counted_with = versions.iter().map(|version| version.trim()).collect::<Vec<_>>().join(", ");
    Ok(Counts { counted_with, loops })
}

fn count_one(program: &Path, name: &str) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    // Inputs are made outside of this function.
    valgrind.args(["--collect-atstart=no", "--toggle-collect=*inner_loops*counted*"]).arg(program).arg(name);
    let output = valgrind.output().context("failed to run valgrind")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the loop {name:?} ended with {}: {}", output.status, stderr.trim());
    collected(&stderr).with_context(|| format!("callgrind counted nothing of the loop {name:?}: {}", stderr.trim()))
}

/// Finds the count in what callgrind says: `==9440== Collected : 188280377`.
fn collected(said: &str) -> Option<u64> {
    let count = said.lines().find_map(|line| line.split_once("Collected :"))?.1;
    count.trim().parse().ok().filter(|count| *count > 0)
}

/// What is wrong with `counted`, one text each. Pure.
fn faults(kept: &BTreeMap<String, u64>, counted: &BTreeMap<String, u64>) -> Vec<String> {
    let missing = kept.keys().filter(|name| !counted.contains_key(*name));
    let missing = missing.map(|name| format!("{name}: there is no such loop"));
    let off = counted.iter().filter_map(|(name, count)| {
        let Some(expected) = kept.get(name) else { return Some(format!("{name}: no number is kept of it")) };
        let percent = (*count as f64 / *expected as f64 - 1.0) * 100.0;
        let is_off = percent.abs() > TOLERANCE * 100.0;
        is_off.then(|| format!("{name}: {count} instructions in place of {expected}, {percent:+.1} %"))
    });
    missing.chain(off).collect()
}

fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("failed to run {command:?}"))?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
        of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn what_is_off_either_way_is_named() {
        let kept = counts(&[("hash", 1000), ("pack", 1000), ("seal", 1000)]);
        assert!(faults(&kept, &counts(&[("hash", 1049), ("pack", 951), ("seal", 1000)])).is_empty());
        let off = faults(&kept, &counts(&[("hash", 1060), ("pack", 900), ("seal", 1000)]));
        assert_eq!(
            off,
            ["hash: 1060 instructions in place of 1000, +6.0 %", "pack: 900 instructions in place of 1000, -10.0 %"]
        );
    }

    #[test]
    fn each_loop_has_a_number_and_each_number_a_loop() {
        let found = faults(&counts(&[("hash", 1)]), &counts(&[("open", 1)]));
        assert_eq!(found, ["hash: there is no such loop", "open: no number is kept of it"]);
    }

    #[test]
    fn the_count_is_found_in_what_callgrind_says() {
        let said = "==9440== Events    : Ir\n==9440== Collected : 188280377\n==9440== \n";
        assert_eq!(collected(said), Some(188_280_377));
        // The function that is to be counted was not met.
        assert_eq!(collected("==9440== Collected : 0\n"), None);
    }
}
