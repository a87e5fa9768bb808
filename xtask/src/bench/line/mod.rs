//! `cargo xtask bench --line`: a region's backup is copied over a long fat line, beside plain TCP and other programs.
//!
//! An S3 server stands at each end of the emulated line of `testkit::line`. Programs run at the target's end and pull. Each
//! finds a new server there, and a kernel that has forgotten what it had learned of the path; they take turns, so that in
//! every round each is measured once.

pub(super) mod candidate;
mod report;
pub(super) mod site;
mod tcp;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use testkit::line::LinePlan;

use super::report::{Machine, today};
use crate::{python, test, tools};
use candidate::LineCandidate;
pub(super) use report::LineReport;
use report::MeasuredLine;
use site::{Programs, Site};

/// What a long line is measured with.
const BITS_PER_SECOND: u64 = 500_000_000;
const ROUND_TRIPS_MILLISECONDS: [u64; 2] = [80, 150];
const SOURCE_BYTES: u64 = 1 << 30;
const ROUNDS: u32 = 2;

/// The same for `--quick`.
const QUICK_SOURCE_BYTES: u64 = 256 << 20;

/// Options of `cargo xtask bench --line` alone.
#[derive(Args)]
pub(super) struct LineOptions {
    /// The round trips of the lines, in milliseconds [default: 80,150; with --quick 80].
    #[arg(long, value_name = "MS", value_delimiter = ',', requires = "line")]
    round_trip: Vec<u64>,
    /// Measures these over the line, alone.
    #[arg(long, value_enum, value_delimiter = ',', requires = "line")]
    line_only: Vec<LineCandidate>,
    /// Measures this program as offsite in place of the one that the workspace builds.
    #[arg(long, value_name = "FILE", requires = "line")]
    program: Option<PathBuf>,
}

/// What the other options of the benchmark say that hold here, too.
pub(super) struct Common<'a> {
    pub(super) work: &'a Path,
    pub(super) target: &'a Path,
    pub(super) quick: bool,
    pub(super) runs: Option<u32>,
}

/// Measures all lines, and hands what was found so far to `save` after each.
pub(super) fn run(
    options: &LineOptions,
    common: &Common<'_>,
    save: impl Fn(&LineReport) -> Result<()>,
) -> Result<ExitCode> {
    ensure!(rustix::process::geteuid().is_root(), "--line is for root: it makes networks and their devices");
    let chosen = if options.line_only.is_empty() { LineCandidate::ALL.to_vec() } else { options.line_only.clone() };
    let programs = install(options, common.target)?;
    let (round_trips, source_bytes) = match common.quick {
        true => (&ROUND_TRIPS_MILLISECONDS[..1], QUICK_SOURCE_BYTES),
        false => (&ROUND_TRIPS_MILLISECONDS[..], SOURCE_BYTES),
    };
    let round_trips = if options.round_trip.is_empty() { round_trips } else { &options.round_trip };
    let rounds = common.runs.unwrap_or(ROUNDS);
    let mut report = LineReport {
        date: today(),
        again: again(common, rounds),
        machine: Machine::look(common.work),
        versions: programs.versions(&chosen),
        source_bytes,
        bits_per_second: BITS_PER_SECOND,
        congestion_control: site::congestion_control(),
        rounds,
        lines: Vec::new(),
    };
    let mut site = Site::prepare(common.work, programs, source_bytes, &plan(round_trips[0]), &chosen)?;
    for round_trip in round_trips {
        let measured = measure(&mut site, *round_trip, &chosen, rounds)?;
        report.lines.push(measured);
        save(&report)?;
    }
    print!("{}", report.tables());
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn again(common: &Common<'_>, rounds: u32) -> String {
    let quick = if common.quick { " --quick" } else { "" };
    format!("cargo xtask bench --line{quick} --runs {rounds}")
}

fn plan(round_trip_milliseconds: u64) -> LinePlan {
    LinePlan::new(Duration::from_millis(round_trip_milliseconds), BITS_PER_SECOND)
}

/// A candidate that fails is noted and shown; the others go on.
fn measure(site: &mut Site, round_trip: u64, chosen: &[LineCandidate], rounds: u32) -> Result<MeasuredLine> {
    let plan = plan(round_trip);
    let line = site.join(&plan)?;
    let mut measured = MeasuredLine::new(round_trip, plan.queue_bytes);
    for _ in 0..rounds {
        for candidate in chosen {
            match site.measure(*candidate, &line) {
                Ok(measurement) => {
                    let sample = measurement.sample;
                    eprintln!("{round_trip:>3} ms {:<12} {:>7.2} s  {sample:?}", candidate.name(), sample.wall_seconds);
                    measured.add(*candidate, measurement);
                }
                Err(error) => {
                    eprintln!("{round_trip:>3} ms {:<12} failed: {error:#}", candidate.name());
                    measured.failures.push(format!("{}: {error:#}", candidate.name()));
                }
            }
        }
    }
    Ok(measured)
}

/// Installs or builds what is missing.
fn install(options: &LineOptions, target: &Path) -> Result<Programs> {
    tools::install(&tools::FOR_LINE_BENCH)?;
    test::install_for_python(target)?;
    python::environment(target, super::kind::RCLONE_ENVIRONMENT, &[super::kind::RCLONE])?;
    let programs = Programs::in_target(target);
    match &options.program {
        Some(program) => Ok(Programs { offsite: std::path::absolute(program)?, ..programs }),
        None => super::install::build_offsite().map(|()| programs),
    }
}
