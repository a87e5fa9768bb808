//! `cargo xtask bench`: whole processes timed beside their peers, all in one run on one machine.
//!
//! Absolute times hold for one machine and one day; the ratios are what is worth keeping. They are only worth it if the
//! candidates meet the same conditions, so every row is measured for all candidates in turn before the next row, the
//! order rotates, every run has a source and repositories of its own, and nothing is deleted before all is measured.

mod api;
mod corpus;
mod growth;
mod install;
mod kind;
mod line;
mod measure;
mod measured;
mod memory;
mod page;
mod peers;
mod report;
mod requests;
mod row;
mod scale;
mod scratch;
mod table;
mod targets;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::workspace;
use corpus::Corpus;
use growth::GrowthReport;
use kind::CandidateKind;
use line::{LineOptions, LineReport};
use measure::Meter;
use measured::{Failure, Measured};
use peers::{Contender, Place};
use report::{Machine, Report};
use requests::RequestsReport;
use row::Row;
use scale::Scale;
use scratch::WorkDir;

pub(crate) use measure::touch_memory;

/// Options of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Options {
    /// Takes some minutes: a tree of 300 MB, an image of 512 MiB, two runs (the default).
    #[arg(long)]
    quick: bool,
    /// Takes half an hour or more: a tree of 45,478 files and 2.25 GB, an image of 4 GiB, two runs.
    #[arg(long, conflicts_with = "quick")]
    medium: bool,
    /// Takes hours: the same and /usr, three runs, and rustic and conserve, which are built first.
    #[arg(long, conflicts_with_all = ["quick", "medium"])]
    full: bool,
    /// Prints the peak memory of offsite's backup and copy of a 16 GiB image and of a million files, instead of times.
    #[arg(long, conflicts_with_all = ["quick", "medium", "full"])]
    memory: bool,
    /// Measures the cloud APIs instead: requests a second with a million backups in the catalog, beside moto's server.
    #[arg(long, conflicts_with_all = ["quick", "medium", "full", "memory"])]
    api: bool,
    /// Measures a copy from one S3 server to another over an emulated line of 500 Mbit/s instead, beside plain TCP and other
    /// programs; with --quick less of it. For root.
    #[arg(long, conflicts_with_all = ["medium", "full", "memory", "api", "only", "corpus", "cold"])]
    line: bool,
    /// Measures instead how the cost of the same change grows with the number of files and of packs; with --quick fewer of
    /// them.
    #[arg(long, conflicts_with_all = ["medium", "full", "memory", "api", "line", "only", "corpus", "cold"])]
    growth: bool,
    /// Counts instead what backups and copies ask of S3 services; with --quick a smaller tree.
    #[arg(long, conflicts_with_all = ["medium", "full", "memory", "api", "line", "growth", "only", "corpus", "cold", "runs"])]
    requests: bool,
    #[command(flatten)]
    line_options: LineOptions,
    /// Runs of each row, in place of two or three.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..100))]
    runs: Option<u32>,
    /// Measures these alone. Without it, those that cargo has to build first are left out until --full has built them.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<CandidateKind>,
    /// Measures these corpora alone.
    #[arg(long, value_enum, value_delimiter = ',')]
    corpus: Vec<Corpus>,
    /// Empties the page cache before each process, for which it has to be root. Otherwise files are read from memory.
    #[arg(long)]
    cold: bool,
    /// Where corpora and repositories are put, and removed from; a new folder in there is used.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Also writes every sample to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also puts what was found into docs/benchmarks.md, in place of earlier results of the same corpus, of --line,
    /// --growth or --requests. For
    /// an idle machine, and at least --medium.
    #[arg(long, conflicts_with_all = ["memory", "api"])]
    write_docs: bool,
    /// Measures nothing: does what --write-docs does with a file that --json wrote.
    #[arg(long, value_name = "FILE", exclusive = true)]
    docs_from: Option<PathBuf>,
}

/// What a file holds that `--json` wrote.
#[derive(Deserialize)]
#[serde(untagged)]
enum Found {
    OverLine(LineReport),
    Growth(GrowthReport),
    Requests(RequestsReport),
    OnCorpora(Report),
}

/// Runs `cargo xtask bench`.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if let Some(path) = &options.docs_from {
        let page = match report::load(path)? {
            Found::OverLine(report) => page::write_line(&report),
            Found::Growth(report) => page::write_growth(&report),
            Found::Requests(report) => page::write_requests(&report),
            Found::OnCorpora(report) => page::write(&report),
        };
        println!("wrote {}", page?.display());
        return Ok(ExitCode::SUCCESS);
    }
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
    if options.line {
        let common = line::Common { work: work.path(), target: &target, quick: options.quick, runs: options.runs };
        return line::run(&options.line_options, &common, |report| options.save_as(report, page::write_line));
    }
    let scale = options.scale();
    if options.growth {
        let runs = options.runs.unwrap_or(1);
        let touched_bytes = if options.quick { scale.touched_bytes } else { scale::MEDIUM.touched_bytes };
        let common = growth::Common { work: work.path(), target: &target, quick: options.quick, runs, touched_bytes };
        return growth::run(&common, |report| options.save_as(report, page::write_growth));
    }
    if options.requests {
        let (size, quick) = if options.quick { (scale.tree_size, " --quick") } else { (scale::MEDIUM.tree_size, "") };
        let again = format!("cargo xtask bench --requests{quick}");
        let report = requests::run(work.path(), &target, size, &again)?;
        options.save_as(&report, page::write_requests)?;
        return Ok(requests::show(&report));
    }
    let is_there = |kind: CandidateKind| kind.program(&target).exists();
    let (chosen, left_out) = install::choose(&options.only, scale.builds, is_there);
    for kind in left_out {
        println!("{} is left out: --full builds it, and so does naming it with --only", kind.name());
    }
    install::check_choice(&chosen)?;
    install::install(&chosen, &target)?;
    let runs = options.runs.unwrap_or(scale.runs);
    let mut report = Report {
        scale: scale.name.to_owned(),
        runs,
        cold: options.cold,
        date: report::today(),
        machine: Machine::look(work.path()),
        versions: report::versions(&chosen, &target),
        corpora: Vec::new(),
    };
    let bench = Bench { scale, runs, cold: options.cold, chosen, target: &target };
    for corpus in if options.corpus.is_empty() { scale.corpora } else { &options.corpus } {
        let measured = bench.run(*corpus, &work.path().join(corpus.name()))?;
        print!("{}{}", measured.heading(), measured.tables());
        report.corpora.push(measured);
        // After each corpus, so that a long run that is stopped leaves what it has found.
        options.save(&report)?;
    }
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Options {
    fn scale(&self) -> &'static Scale {
        match (self.medium, self.full) {
            (_, true) => &scale::FULL,
            (true, _) => &scale::MEDIUM,
            _ => &scale::QUICK,
        }
    }

    /// Saves what was found besides corpora.
    fn save_as<T: Serialize>(&self, found: &T, write: impl Fn(&T) -> Result<PathBuf>) -> Result<()> {
        if let Some(path) = &self.json {
            report::save(found, path)?;
        }
        if self.write_docs {
            println!("\nwrote {}", write(found)?.display());
        }
        Ok(())
    }

    fn save(&self, report: &Report) -> Result<()> {
        if let Some(path) = &self.json {
            report.save(path)?;
        }
        if self.write_docs {
            println!("\nwrote {}", page::write(report)?.display());
        }
        Ok(())
    }
}

/// What is measured with each corpus.
struct Bench<'a> {
    scale: &'static Scale,
    runs: u32,
    cold: bool,
    chosen: Vec<CandidateKind>,
    target: &'a Path,
}

impl Bench<'_> {
    fn run(&self, corpus: Corpus, folder: &Path) -> Result<Measured> {
        let mut measured = Measured::new(corpus);
        for number in 0..self.runs {
            let folder = folder.join(format!("run-{number}"));
            let source = corpus.path(&folder);
            fs::create_dir_all(folder.join("source"))
                .with_context(|| format!("failed to make {}", folder.display()))?;
            // Made of the same seeds each time, so the last run's words hold for all.
            measured.made = vec![corpus.make(&source, self.scale)?];
            let stores = self.chosen.iter().map(|kind| kind.stores()).sum();
            scratch::check_space(&folder, measure::allocated_bytes(&source)?, stores)?;
            let place = Place { folder: folder.clone(), source, corpus, target: self.target.to_owned() };
            let mut contenders = peers::contenders(&self.chosen, &place);
            let len = contenders.len();
            contenders.rotate_left(number as usize % len);
            self.run_once(&place, &mut contenders, &mut measured)?;
            scratch::empty(&folder)?;
        }
        Ok(measured)
    }

    fn run_once(&self, place: &Place, contenders: &mut [Contender], measured: &mut Measured) -> Result<()> {
        let meter = Meter::new(&place.folder, self.scale.touched_bytes, self.cold);
        for row in Row::ORDER {
            if row == Row::BackupDayTwo {
                measured.made.push(place.corpus.change(&place.source)?);
            }
            for contender in contenders.iter_mut() {
                measure_one(contender, row, &meter, measured);
            }
        }
        Ok(())
    }
}

/// A candidate that fails is noted and shown; the others go on.
fn measure_one(contender: &mut Contender, row: Row, meter: &Meter, measured: &mut Measured) {
    let kind = contender.kind;
    match contender.measure(row, meter) {
        Ok(None) => {}
        Ok(Some(measurement)) => {
            eprintln!("{:<22} {:<18} {:>9.2} s", row.name(), kind.name(), measurement.sample.wall_seconds);
            measured.add(row, kind, measurement);
        }
        Err(error) => {
            eprintln!("{:<22} {:<18} failed: {error:#}", row.name(), kind.name());
            measured.failures.push(Failure { row, candidate: kind, cause: format!("{error:#}") });
        }
    }
}
