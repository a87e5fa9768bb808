//! `cargo xtask bench --growth`: cost grows with the change, not with the backup.
//!
//! The same small change is backed up and copied with few files and with many, and copied with few packs and with many. What is worth comparing is one candidate's figure with few beside the same with many.

mod report;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::corpus::{self, Corpus};
use super::kind::CandidateKind;
use super::measure::Meter;
use super::measured::Measured;
use super::peers::{self, Contender, Place};
use super::report::{Machine, today, versions};
use super::row::Row;
use super::{install, measure_one, scratch};
pub(super) use report::GrowthReport;
use report::{Side, What};

/// Few and many.
const FILES: [u64; 2] = [100_000, 1_000_000];
const PACKS: [u64; 2] = [1_000, 100_000];

/// The same for `--quick`.
const QUICK_FILES: [u64; 2] = [60_000, 300_000];
const QUICK_PACKS: [u64; 2] = [100, 10_000];

/// Of the files, how many are edited before the second day.
const EDITED_FILES: u64 = 1_000;

const FILE_ROWS: [Row; 5] = [Row::BackupDayOne, Row::CopyDayOne, Row::BackupDayTwo, Row::CopyDayTwo, Row::CopyNothing];

/// What the other options of the benchmark say that hold here, too.
pub(super) struct Common<'a> {
    pub(super) work: &'a Path,
    pub(super) target: &'a Path,
    pub(super) quick: bool,
    pub(super) runs: u32,
    pub(super) touched_bytes: u64,
}

/// Measures few and many of both, and hands what was found so far to `save` after each.
pub(super) fn run(common: &Common<'_>, save: impl Fn(&GrowthReport) -> Result<()>) -> Result<ExitCode> {
    let (files, packs) = if common.quick { (QUICK_FILES, QUICK_PACKS) } else { (FILES, PACKS) };
    let chosen = chosen(common.target);
    install::install(&chosen, common.target)?;
    peers::build_many_packs()?;
    let quick = if common.quick { " --quick" } else { "" };
    let mut report = GrowthReport {
        date: today(),
        again: format!("cargo xtask bench --growth{quick} --runs {}", common.runs),
        machine: Machine::look(common.work),
        versions: versions(&chosen, common.target),
        edited_files: EDITED_FILES,
        sides: Vec::new(),
    };
    for (what, counts) in [(What::Files, files), (What::Packs, packs)] {
        for count in counts {
            let mut side = Side { what, count, measured: Measured::new(Corpus::Tree) };
            for number in 0..common.runs {
                let folder = common.work.join(format!("{count}-{}-{number}", what.name()));
                run_once(&mut side, &folder, common, &chosen)?;
                scratch::empty(&folder)?;
            }
            report.sides.push(side);
            save(&report)?;
        }
    }
    print!("{}", report.tables());
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// restic stands for those that make backups, rustic too where it has been built; the others copy folders.
fn chosen(target: &Path) -> Vec<CandidateKind> {
    use CandidateKind as K;
    let mut chosen = vec![K::Offsite, K::Restic, K::Rustic, K::Rclone, K::Rsync, K::Cp];
    chosen.retain(|kind| *kind != K::Rustic || kind.program(target).exists());
    chosen
}

fn run_once(side: &mut Side, folder: &Path, common: &Common<'_>, chosen: &[CandidateKind]) -> Result<()> {
    fs::create_dir_all(folder.join("source")).with_context(|| format!("failed to make {}", folder.display()))?;
    let source = Corpus::Tree.path(folder);
    let place = Place { folder: folder.to_owned(), source, corpus: Corpus::Tree, target: common.target.to_owned() };
    let meter = Meter::new(folder, common.touched_bytes, false);
    let contenders = match side.what {
        What::Files => {
            let count = side.count.to_string();
            side.measured.made = vec![corpus::make("tree", &place.source, ["--tiny-files", &count])?];
            peers::contenders(chosen, &place)
        }
        What::Packs => peers::pack_contenders(&place, side.count),
    };
    measure(side, contenders, &place, &meter)
}

fn measure(side: &mut Side, mut contenders: Vec<Contender>, place: &Place, meter: &Meter) -> Result<()> {
    for row in FILE_ROWS {
        let is_backup = matches!(row, Row::BackupDayOne | Row::BackupDayTwo);
        if row == Row::BackupDayTwo && side.what == What::Files {
            let count = EDITED_FILES.to_string();
            side.measured.made.push(corpus::make("tree-day-two", &place.source, ["--first-files", &count])?);
        }
        for contender in &mut contenders {
            if is_backup && side.what == What::Packs {
                // Packs are made, which says nothing of offsite.
                contender.measure(row, meter)?;
            } else {
                measure_one(contender, row, meter, &mut side.measured);
            }
        }
    }
    Ok(())
}
