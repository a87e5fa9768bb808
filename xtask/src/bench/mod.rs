//! `cargo xtask bench`: whole processes timed beside their peers, all in one run on one machine.
//!
//! Absolute times hold for one machine and one day; the ratios are what is worth keeping. They are
//! only worth it if the candidates meet the same conditions, so every row is measured for all
//! candidates in turn before the next row, the order rotates, every run has a repository of its own,
//! and nothing is deleted while a corpus is measured: creating files gets slower after deletions.

mod api;
mod corpus;
mod kind;
mod measure;
mod memory;
mod peers;
mod report;
mod row;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::{tools, workspace};
use corpus::{Corpus, Scale};
use kind::CandidateKind;
use measure::Meter;
use peers::Candidate;
use report::{Failure, Measured, Report};
use row::Row;

pub(crate) use measure::touch_memory;

/// Options of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Options {
    /// Takes minutes: a tree of 300 MB, an image of 512 MiB, one run (the default).
    #[arg(long)]
    quick: bool,
    /// Takes an hour: 45,478 files of 2.25 GB, an image of 4 GiB, the median of three runs.
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// Prints the peak memory of offsite's backup and copy of a 16 GiB image and of a million files, instead of times.
    #[arg(long, conflicts_with_all = ["quick", "full"])]
    memory: bool,
    /// Measures the cloud APIs instead: requests a second with a million backups in the catalog, beside moto's server.
    #[arg(long, conflicts_with_all = ["quick", "full", "memory"])]
    api: bool,
    /// Runs of each row, in place of one or three.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..100))]
    runs: Option<u32>,
    /// Measures these alone.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = CandidateKind::ALL)]
    only: Vec<CandidateKind>,
    /// Measures this corpus alone.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Corpus::ALL)]
    corpus: Vec<Corpus>,
    /// Where corpora and repositories are put, and removed from; a new folder in there is used.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Also writes every sample to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs `cargo xtask bench`.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let target = workspace::target_dir()?;
    let parent = options.dir.clone().unwrap_or_else(|| target.join("bench"));
    let work = WorkDir::create(&parent)?;
    let offsite = target.join("release/offsite");
    if options.memory {
        build_offsite()?;
        return memory::run(work.path(), &offsite);
    }
    if options.api {
        build_offsite()?;
        return api::run(&target, &offsite, options.json.as_deref());
    }
    check_choice(&options.only)?;
    tools::install(&tools::FOR_BENCH)?;
    if options.only.contains(&CandidateKind::Offsite) {
        build_offsite()?;
    }
    let scale = if options.full { Scale::full(options.runs) } else { Scale::quick(options.runs) };
    let mut report = Report::new(scale.name, &options.only, &offsite);
    for corpus in &options.corpus {
        let folder = work.path().join(corpus.name());
        let bench = Bench { corpus: *corpus, scale: &scale, folder: &folder, offsite: &offsite };
        let measured = bench.run(&options.only)?;
        print!("{}", measured.tables());
        report.corpora.push(measured);
        fs::remove_dir_all(&folder).with_context(|| format!("failed to remove {}", folder.display()))?;
    }
    if let Some(path) = &options.json {
        fs::write(path, report.to_json()?).with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// rclone copies what restic stored, and `cp` what offsite or restic did.
fn check_choice(chosen: &[CandidateKind]) -> Result<()> {
    use CandidateKind as K;
    let restic = chosen.contains(&K::Restic);
    if !restic && (chosen.contains(&K::Rclone) || chosen.contains(&K::RcloneChecksum)) {
        bail!("rclone is measured copying restic's repository: name restic too");
    }
    ensure!(
        restic || chosen.contains(&K::Offsite) || !chosen.contains(&K::Cp),
        "cp is measured copying offsite's store or restic's repository: name one of them too"
    );
    Ok(())
}

fn build_offsite() -> Result<()> {
    let status = workspace::cargo(&["build", "--release", "--package", "offsite"]).status();
    ensure!(status.context("failed to run cargo")?.success(), "offsite did not build");
    Ok(())
}

/// One corpus and what is needed to measure it.
struct Bench<'a> {
    corpus: Corpus,
    scale: &'a Scale,
    folder: &'a Path,
    offsite: &'a Path,
}

impl Bench<'_> {
    fn run(&self, chosen: &[CandidateKind]) -> Result<Measured> {
        let source = self.folder.join("source").join(self.corpus.name());
        fs::create_dir_all(self.folder.join("source"))?;
        let mut made = vec![self.corpus.make(&source, self.scale)?];
        self.scale.check_space(self.folder, &source)?;
        let meter = Meter::new(self.folder, self.scale.touched_bytes);
        let mut candidates = Vec::new();
        for number in 0..self.scale.runs {
            let place = peers::Place::create(self.folder, number, &source, self.corpus, self.offsite)?;
            candidates.push(peers::candidates(chosen, &place));
        }
        let mut measured = Measured::new(self.corpus, chosen);
        for row in Row::ORDER {
            if row == Row::BackupDayTwo {
                made.push(self.corpus.change(&source)?);
            }
            for (number, candidates) in candidates.iter_mut().enumerate() {
                let len = candidates.len();
                candidates.rotate_left(number % len);
                for (kind, candidate) in candidates.iter_mut() {
                    measure_one(*kind, candidate.as_mut(), row, &meter, &mut measured);
                }
            }
        }
        measured.made = made;
        Ok(measured)
    }
}

/// A candidate that fails is noted and shown; the others go on.
fn measure_one(kind: CandidateKind, candidate: &mut dyn Candidate, row: Row, meter: &Meter, measured: &mut Measured) {
    match peers::measure(candidate, row, meter) {
        Ok(None) => {}
        Ok(Some(sample)) => {
            eprintln!("{:<22} {:<16} {:>9.2} s", row.name(), kind.name(), sample.wall_seconds);
            measured.add(row, kind, sample);
        }
        Err(error) => {
            eprintln!("{:<22} {:<16} failed: {error:#}", row.name(), kind.name());
            measured.failures.push(Failure { row, candidate: kind, cause: format!("{error:#}") });
        }
    }
}

/// A new folder that is removed when it is dropped.
struct WorkDir(PathBuf);

impl WorkDir {
    fn create(parent: &Path) -> Result<Self> {
        let path = parent.join(format!("run-{}", std::process::id()));
        fs::create_dir_all(parent)
            .and_then(|()| fs::create_dir(&path))
            .with_context(|| format!("failed to make {}", path.display()))?;
        Ok(Self(path.canonicalize()?))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("failed to remove {}: {error}", self.0.display());
        }
    }
}
