//! `cargo xtask bench`: whole processes timed beside their peers, all in one run on one machine.
//!
//! Absolute times hold for one machine and one day; the ratios are what is worth keeping. They are
//! only worth it if the candidates meet the same conditions, so every row is measured for all
//! candidates in turn before the next row, the order rotates, every run has a repository of its own,
//! and nothing is deleted while a corpus is measured: creating files gets slower after deletions.

mod api;
mod corpus;
mod install;
mod kind;
mod measure;
mod memory;
mod peers;
mod report;
mod row;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::workspace;
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
    /// Measures these alone. Without it, those that cargo has to build first are left out until --full has built them.
    #[arg(long, value_enum, value_delimiter = ',')]
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
    if options.memory {
        install::build_offsite()?;
        return memory::run(work.path(), &target);
    }
    if options.api {
        install::build_offsite()?;
        return api::run(&target, options.json.as_deref());
    }
    let is_there = |kind: CandidateKind| kind.program(&target).exists();
    let (chosen, left_out) = install::choose(&options.only, options.full, is_there);
    for kind in left_out {
        println!("{} is left out: --full builds it, and so does naming it with --only", kind.name());
    }
    install::check_choice(&chosen)?;
    install::install(&chosen, &target)?;
    let scale = if options.full { Scale::full(options.runs) } else { Scale::quick(options.runs) };
    let mut report = Report::new(scale.name, &chosen, &target);
    for corpus in &options.corpus {
        let folder = work.path().join(corpus.name());
        let bench = Bench { corpus: *corpus, scale: &scale, folder: &folder, target: &target };
        let measured = bench.run(&chosen)?;
        print!("{}", measured.tables());
        report.corpora.push(measured);
        fs::remove_dir_all(&folder).with_context(|| format!("failed to remove {}", folder.display()))?;
    }
    if let Some(path) = &options.json {
        fs::write(path, report.to_json()?).with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One corpus and what is needed to measure it.
struct Bench<'a> {
    corpus: Corpus,
    scale: &'a Scale,
    folder: &'a Path,
    target: &'a Path,
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
            let place = peers::Place::create(self.folder, number, &source, self.corpus, self.target)?;
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
