//! `cargo xtask bench --memory`: the peak memory of offsite does not grow with what is backed up.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::corpus::{self, Corpus};
use super::kind::CandidateKind;
use super::measure::Meter;
use super::peers::{self, Place};
use super::row::Row;

/// What the peak of a backup and of a copy must stay under.
const PEAK_BYTES_MAX: u64 = 256 << 20;

/// Backs up and copies a 16 GiB image, half of it holes, and then a tree of 1,000,000 files.
pub(super) fn run(work: &Path, target: &Path) -> Result<ExitCode> {
    let mut within = true;
    for (kind, task, options) in [
        (Corpus::Image, "image", ["--bytes=17179869184", "--filled=0.5"].as_slice()),
        (Corpus::Tree, "tree", ["--tiny-files=1000000"].as_slice()),
    ] {
        let folder = work.join(kind.name());
        fs::create_dir(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
        let source = folder.join("source");
        corpus::make(task, &source, options)?;
        let meter = Meter::new(&folder, 0, false);
        let place = Place { folder: folder.clone(), source, corpus: kind, target: target.to_owned() };
        let mut offsite = peers::contenders(&[CandidateKind::Offsite], &place).remove(0);
        for row in [Row::BackupDayOne, Row::CopyDayOne] {
            let sample = offsite.measure(row, &meter)?.context("offsite has every row")?.sample;
            let verdict = if sample.peak_bytes < PEAK_BYTES_MAX { "fine" } else { "TOO MUCH" };
            within &= sample.peak_bytes < PEAK_BYTES_MAX;
            println!(
                "{} of the {}: peak {:.1} MiB of {} allowed, {:.1} s: {verdict}",
                row.name(),
                kind.name(),
                sample.peak_bytes as f64 / f64::from(1 << 20),
                PEAK_BYTES_MAX >> 20,
                sample.wall_seconds,
            );
        }
        fs::remove_dir_all(&folder).with_context(|| format!("failed to remove {}", folder.display()))?;
    }
    Ok(if within { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
