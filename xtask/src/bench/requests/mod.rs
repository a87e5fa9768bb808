//! `cargo xtask bench --requests`: what backups and copies ask of S3 services, which is what is paid for there.
//!
//! The two services are servers on this machine, which count for themselves. How often they are asked does not depend on the
//! machine, so each command runs once, and times are by the way.

mod report;

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use testkit::seaweed::Seaweed;

use super::corpus;
use super::install;
use super::kind::CandidateKind;
use super::line::candidate::{Call, SOURCE_BUCKET};
use super::line::site::{Programs, packs_moved};
use super::measure::Meter;
use super::report::{Machine, today, versions};
use super::row::Row;
use crate::test;
pub(super) use report::RequestsReport;
use report::{Asked, Cell};

/// Who is asked for what; rclone copies the bucket of offsite's source region.
const CANDIDATES: [CandidateKind; 3] = [CandidateKind::Offsite, CandidateKind::Restic, CandidateKind::Rclone];

const ROWS: [Row; 5] = [Row::BackupDayOne, Row::CopyDayOne, Row::BackupDayTwo, Row::CopyDayTwo, Row::CopyNothing];

const SOURCE_REGION: &str = "far";
const TARGET_REGION: &str = "near";

/// What offsite's copies are put into; rclone's have a bucket of their own.
const TARGET_BUCKET: &str = "target";

/// Counts all rows. `tree_size` is what `cargo xtask corpus tree` calls it.
pub(super) fn run(work: &Path, target: &Path, tree_size: &str, again: &str) -> Result<RequestsReport> {
    install::install(&CANDIDATES, target)?;
    test::install_for_python(target)?;
    let programs = Programs::in_target(target);
    let [far, near] = [Seaweed::start(&programs.weed)?, Seaweed::start(&programs.weed)?];
    let mut report = RequestsReport {
        date: today(),
        again: again.to_owned(),
        machine: Machine::look(work),
        versions: versions(&CANDIDATES, target),
        servers: programs.server_version(),
        made: Vec::new(),
        cells: Vec::new(),
        failures: Vec::new(),
    };
    let source = work.join("tree");
    report.made.push(corpus::make("tree", &source, ["--size", tree_size])?);
    let [far_endpoint, near_endpoint] = [far.endpoint(), near.endpoint()];
    let call = Call { programs: &programs, near: &near_endpoint, far: &far_endpoint, folder: work };
    let meter = Meter::new(work, 0, false).until_exit();
    let mut site = Site { call, source: &source, meter, far, near, resource: String::new(), backup: String::new() };
    site.prepare()?;
    for row in ROWS {
        if row == Row::BackupDayTwo {
            report.made.push(corpus::make("tree-day-two", &source, [""; 0])?);
        }
        for candidate in CANDIDATES {
            match site.measure(row, candidate) {
                Ok(cell) => report.cells.extend(cell),
                Err(error) => {
                    let failure = format!("{} of {}: {error:#}", row.name(), candidate.name());
                    eprintln!("failed: {failure}");
                    report.failures.push(failure);
                }
            }
        }
    }
    Ok(report)
}

/// Prints what was found.
pub(super) fn show(report: &RequestsReport) -> ExitCode {
    print!("{}", report.tables());
    if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The two services, and those that ask them.
struct Site<'a> {
    call: Call<'a>,
    source: &'a Path,
    meter: Meter,
    far: Seaweed,
    near: Seaweed,
    resource: String,
    /// offsite's newest.
    backup: String,
}

impl Site<'_> {
    /// Makes regions and repositories.
    fn prepare(&mut self) -> Result<()> {
        let (call, meter) = (&self.call, &self.meter);
        let mut init = Command::new(&call.programs.offsite);
        init.args(["-q", "init", "--dir"]).arg(call.folder);
        meter.prepare(&mut init)?;
        for (region, bucket, endpoint) in
            [(SOURCE_REGION, SOURCE_BUCKET, call.far), (TARGET_REGION, TARGET_BUCKET, call.near)]
        {
            let store = format!("s3://{bucket}?endpoint={endpoint}");
            meter.prepare(&mut call.offsite(&["region", "add", region, "--partition", "aws", "--store", &store]))?;
        }
        let mut add = call.offsite(&["resource", "add", "--region", SOURCE_REGION]);
        self.resource = meter.prepare(add.arg(self.source))?.trim().to_owned();
        meter.prepare(&mut call.restic_far(&["init"]))?;
        meter.prepare(&mut call.restic_both(&["init", "--copy-chunker-params"]))?;
        Ok(())
    }

    /// Runs one row; `None` when the candidate has no such row.
    fn measure(&mut self, row: Row, candidate: CandidateKind) -> Result<Option<Cell>> {
        let Some(mut command) = self.command(row, candidate)? else { return Ok(None) };
        let before = self.answered()?;
        let finished = self.meter.run(&mut command)?;
        let asked = self.answered()?.since(before);
        let is_backup = matches!(row, Row::BackupDayOne | Row::BackupDayTwo);
        let mut packs = None;
        if candidate == CandidateKind::Offsite && is_backup {
            finished.stdout.trim().clone_into(&mut self.backup);
        } else if candidate == CandidateKind::Offsite {
            packs = Some(packs_moved(&finished.stdout)?);
        }
        eprintln!("{:<22} {:<10} {asked:?}", row.name(), candidate.name());
        let wall_seconds = finished.sample.wall_seconds;
        Ok(Some(Cell { row, candidate, command: self.shown(&command), asked, packs, wall_seconds }))
    }

    fn command(&self, row: Row, candidate: CandidateKind) -> Result<Option<Command>> {
        let call = &self.call;
        let is_backup = matches!(row, Row::BackupDayOne | Row::BackupDayTwo);
        Ok(Some(match (candidate, is_backup) {
            (CandidateKind::Offsite, true) => call.offsite(&["backup", "create", &self.resource]),
            (CandidateKind::Offsite, false) => call.offsite(&["copy", &self.backup, "--to", TARGET_REGION, "--json"]),
            (CandidateKind::Restic, true) => {
                let mut backup = call.restic_far(&["backup"]);
                backup.arg(self.source);
                backup
            }
            (CandidateKind::Restic, false) => call.restic_both(&["copy"]),
            (CandidateKind::Rclone, true) => return Ok(None),
            (CandidateKind::Rclone, false) => call.rclone(),
            (other, _) => bail!("{} asks no services", other.name()),
        }))
    }

    fn answered(&self) -> Result<Asked> {
        let failed = "an S3 server does not say what it was asked";
        Ok(Asked { source: self.far.requests().context(failed)?, target: self.near.requests().context(failed)? })
    }

    /// What was run, without the folders and ports that are only this run's.
    fn shown(&self, command: &Command) -> String {
        let program = Path::new(command.get_program()).file_name().unwrap_or_default();
        let words: Vec<_> =
            std::iter::once(program).chain(command.get_args()).map(|word| word.to_string_lossy()).collect();
        let text = words.join(" ").replace(&format!("{}/", self.call.folder.display()), "");
        text.replace(self.call.near, "http://near").replace(self.call.far, "http://far")
    }
}
