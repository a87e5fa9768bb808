//! The candidates: what each runs for each row of the table.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;

use super::corpus::Corpus;
use super::measure::{self, Meter, Sample};

/// One thing that a user of backups waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Row {
    BackupDayOne,
    BackupDayTwo,
    CopyDayOne,
    CopyDayTwo,
    CopyNothing,
    Verify,
    VerifyReadData,
    Restore,
}

impl Row {
    /// The order they are measured in; the source changes before [`Row::BackupDayTwo`].
    pub(super) const ORDER: [Self; 8] = [
        Self::BackupDayOne,
        Self::CopyDayOne,
        Self::BackupDayTwo,
        Self::CopyDayTwo,
        Self::CopyNothing,
        Self::Verify,
        Self::VerifyReadData,
        Self::Restore,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BackupDayOne => "backup day 1",
            Self::BackupDayTwo => "backup day 2",
            Self::CopyDayOne => "copy day 1",
            Self::CopyDayTwo => "copy day 2",
            Self::CopyNothing => "copy nothing to move",
            Self::Verify => "verify",
            Self::VerifyReadData => "verify --read-data",
            Self::Restore => "restore",
        }
    }
}

/// What is measured; the order of the table's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum CandidateKind {
    /// This project's binary.
    Offsite,
    /// restic, its copy being `restic copy`.
    Restic,
    /// `rclone copy` of restic's repository.
    Rclone,
    /// The same with `--checksum`.
    RcloneChecksum,
    /// `cp -r` of offsite's store, or of restic's repository without one; `cp -a` of the source as the restore.
    Cp,
}

impl CandidateKind {
    pub(super) const ALL: [Self; 5] = [Self::Offsite, Self::Restic, Self::Rclone, Self::RcloneChecksum, Self::Cp];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Offsite => "offsite",
            Self::Restic => "restic",
            Self::Rclone => "rclone",
            Self::RcloneChecksum => "rclone --checksum",
            Self::Cp => "cp -r",
        }
    }

    /// What the candidate says its version is.
    pub(super) fn version(self, offsite: &Path) -> String {
        let mut command = match self {
            Self::Offsite => Command::new(offsite),
            Self::Restic => Command::new("restic"),
            Self::Rclone | Self::RcloneChecksum => Command::new("rclone"),
            Self::Cp => Command::new("cp"),
        };
        let argument = if matches!(self, Self::Offsite | Self::Cp) { "--version" } else { "version" };
        let output = command.arg(argument).output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).lines().next().unwrap_or("unknown").to_owned()
    }
}

/// Where one run of every candidate finds and puts things.
#[derive(Clone)]
pub(super) struct Place {
    folder: PathBuf,
    source: PathBuf,
    corpus: Corpus,
    offsite: PathBuf,
}

impl Place {
    /// Makes the folder of run `number`.
    pub(super) fn create(folder: &Path, number: u32, source: &Path, corpus: Corpus, offsite: &Path) -> Result<Self> {
        let folder = folder.join(format!("run-{number}"));
        fs::create_dir(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
        Ok(Self { folder, source: source.to_owned(), corpus, offsite: offsite.to_owned() })
    }

    fn join(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn restic_repository(&self) -> PathBuf {
        self.join("restic")
    }

    fn offsite_folder(&self) -> PathBuf {
        self.join("offsite")
    }
}

/// One candidate in one run; keeps what it needs from row to row.
pub(super) trait Candidate {
    fn kind(&self) -> CandidateKind;

    /// What to run for `row`; `None` when the candidate has no such thing. Preparations, such as
    /// making a repository, are done here and not timed.
    fn command(&mut self, row: Row, meter: &Meter) -> Result<Option<Command>>;

    /// The store that `row` makes larger, if it does.
    fn store(&self, row: Row) -> Option<PathBuf>;

    /// Takes in what the command printed on standard output.
    fn finish(&mut self, _row: Row, _stdout: &str) -> Result<()> {
        Ok(())
    }
}

/// The chosen candidates, each before its first row.
pub(super) fn candidates(chosen: &[CandidateKind], place: &Place) -> Vec<Box<dyn Candidate>> {
    let with_offsite = chosen.contains(&CandidateKind::Offsite);
    chosen
        .iter()
        .map(|kind| -> Box<dyn Candidate> {
            match kind {
                CandidateKind::Offsite => Box::new(Offsite::new(place.clone())),
                CandidateKind::Restic => Box::new(Restic { place: place.clone() }),
                CandidateKind::Rclone => Box::new(Rclone { place: place.clone(), checksum: false }),
                CandidateKind::RcloneChecksum => Box::new(Rclone { place: place.clone(), checksum: true }),
                CandidateKind::Cp => Box::new(Cp { place: place.clone(), with_offsite }),
            }
        })
        .collect()
}

/// Runs one row of one candidate; `None` when it has no such row.
pub(super) fn measure(candidate: &mut dyn Candidate, row: Row, meter: &Meter) -> Result<Option<Sample>> {
    let Some(mut command) = candidate.command(row, meter)? else { return Ok(None) };
    let store = candidate.store(row);
    let size = || store.as_deref().map(measure::stored_bytes).transpose();
    let before = size()?;
    let mut finished = meter.run(&mut command)?;
    let after = size()?;
    finished.sample.stored_bytes = before.zip(after).map(|(before, after)| after.saturating_sub(before));
    candidate.finish(row, &finished.stdout)?;
    Ok(Some(finished.sample))
}

const SOURCE_REGION: &str = "us-east-1";
const TARGET_REGION: &str = "us-west-2";

/// The binary of this project, by its command line alone. The copy is what is verified and restored.
pub(super) struct Offsite {
    place: Place,
    resource: String,
    /// Of day 1 and day 2, in the source region.
    backups: Vec<String>,
    /// The same in the target region, and one more of day 2.
    copies: Vec<String>,
}

impl Offsite {
    pub(super) fn new(place: Place) -> Self {
        Self { place, resource: String::new(), backups: Vec::new(), copies: Vec::new() }
    }

    /// Makes the regions and registers the source.
    pub(super) fn prepare(&mut self, meter: &Meter) -> Result<()> {
        let mut init = Command::new(&self.place.offsite);
        meter.prepare(init.args(["-q", "init", "--dir"]).arg(self.place.offsite_folder()))?;
        let mut add = self.call(&["resource", "add"]);
        add.arg(&self.place.source).args(["--region", SOURCE_REGION]);
        if self.place.corpus == Corpus::Image {
            add.args(["--type", "disk"]);
        }
        self.resource = only_line(&meter.prepare(&mut add)?)?;
        Ok(())
    }

    fn call(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.place.offsite);
        command.arg("-q").arg("--config").arg(self.place.offsite_folder().join("offsite.toml")).args(arguments);
        command
    }

    fn copy_of(&self, day: usize) -> Result<Command> {
        Ok(self.call(&["copy", id(&self.backups, day)?, "--to", TARGET_REGION]))
    }
}

impl Candidate for Offsite {
    fn kind(&self) -> CandidateKind {
        CandidateKind::Offsite
    }

    fn command(&mut self, row: Row, meter: &Meter) -> Result<Option<Command>> {
        if row == Row::BackupDayOne {
            self.prepare(meter)?;
        }
        Ok(Some(match row {
            Row::BackupDayOne | Row::BackupDayTwo => self.call(&["backup", "create", &self.resource]),
            Row::CopyDayOne => self.copy_of(0)?,
            Row::CopyDayTwo | Row::CopyNothing => self.copy_of(1)?,
            Row::Verify => self.call(&["backup", "verify", id(&self.copies, 1)?]),
            Row::VerifyReadData => self.call(&["backup", "verify", id(&self.copies, 1)?, "--read-data"]),
            Row::Restore => {
                let mut command = self.call(&["backup", "restore", id(&self.copies, 1)?]);
                command.arg(self.place.join("offsite-restored"));
                command
            }
        }))
    }

    fn store(&self, row: Row) -> Option<PathBuf> {
        match row {
            Row::BackupDayOne | Row::BackupDayTwo => Some(self.place.offsite_folder().join(SOURCE_REGION)),
            Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing => {
                Some(self.place.offsite_folder().join(TARGET_REGION))
            }
            _ => None,
        }
    }

    fn finish(&mut self, row: Row, stdout: &str) -> Result<()> {
        match row {
            Row::BackupDayOne | Row::BackupDayTwo => self.backups.push(only_line(stdout)?),
            Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing => self.copies.push(only_line(stdout)?),
            _ => {}
        }
        Ok(())
    }
}

fn id(ids: &[String], day: usize) -> Result<&str> {
    ids.get(day).map(String::as_str).with_context(|| format!("an earlier row left no id of day {}", day + 1))
}

fn only_line(stdout: &str) -> Result<String> {
    let mut lines = stdout.lines();
    let line = lines.next().filter(|line| !line.is_empty() && lines.next().is_none());
    line.map(str::to_owned).with_context(|| format!("expected one id on standard output, found {stdout:?}"))
}

struct Restic {
    place: Place,
}

impl Restic {
    fn copy_repository(&self) -> PathBuf {
        self.place.join("restic-copy")
    }

    fn call(&self, repository: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("restic");
        command
            .args(["--quiet", "--cache-dir"])
            .arg(self.place.join("restic-cache"))
            .arg("--repo")
            .arg(repository)
            .args(arguments)
            .env("RESTIC_PASSWORD", "bench")
            .env("RESTIC_FROM_PASSWORD", "bench");
        command
    }

    /// A command that reads from the first repository and acts on the second.
    fn call_copy(&self, arguments: &[&str]) -> Command {
        let mut command = self.call(&self.copy_repository(), arguments);
        command.arg("--from-repo").arg(self.place.restic_repository());
        command
    }
}

impl Candidate for Restic {
    fn kind(&self) -> CandidateKind {
        CandidateKind::Restic
    }

    fn command(&mut self, row: Row, meter: &Meter) -> Result<Option<Command>> {
        let repository = self.place.restic_repository();
        if row == Row::BackupDayOne {
            meter.prepare(&mut self.call(&repository, &["init"]))?;
            meter.prepare(&mut self.call_copy(&["init", "--copy-chunker-params"]))?;
        }
        let mut command = match row {
            Row::BackupDayOne | Row::BackupDayTwo => self.call(&repository, &["backup"]),
            Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing => self.call_copy(&["copy"]),
            Row::Verify => self.call(&self.copy_repository(), &["check"]),
            Row::VerifyReadData => self.call(&self.copy_repository(), &["check", "--read-data"]),
            Row::Restore => self.call(&self.copy_repository(), &["restore", "latest", "--target"]),
        };
        match row {
            Row::BackupDayOne | Row::BackupDayTwo => command.arg(&self.place.source),
            Row::Restore => command.arg(self.place.join("restic-restored")),
            _ => &mut command,
        };
        Ok(Some(command))
    }

    fn store(&self, row: Row) -> Option<PathBuf> {
        match row {
            Row::BackupDayOne | Row::BackupDayTwo => Some(self.place.restic_repository()),
            Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing => Some(self.copy_repository()),
            _ => None,
        }
    }
}

struct Rclone {
    place: Place,
    checksum: bool,
}

impl Rclone {
    fn target(&self) -> PathBuf {
        self.place.join(if self.checksum { "rclone-checksum" } else { "rclone" })
    }

    fn call(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("rclone");
        command.args(["--config", "/dev/null"]).args(arguments).arg(self.place.restic_repository()).arg(self.target());
        command
    }
}

impl Candidate for Rclone {
    fn kind(&self) -> CandidateKind {
        if self.checksum { CandidateKind::RcloneChecksum } else { CandidateKind::Rclone }
    }

    fn command(&mut self, row: Row, _meter: &Meter) -> Result<Option<Command>> {
        Ok(match row {
            Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing if self.checksum => {
                Some(self.call(&["copy", "--checksum"]))
            }
            Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing => Some(self.call(&["copy"])),
            Row::Verify if !self.checksum => Some(self.call(&["check", "--size-only"])),
            Row::VerifyReadData if self.checksum => Some(self.call(&["check"])),
            _ => None,
        })
    }

    fn store(&self, row: Row) -> Option<PathBuf> {
        matches!(row, Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing).then(|| self.target())
    }
}

struct Cp {
    place: Place,
    with_offsite: bool,
}

impl Cp {
    fn source(&self) -> PathBuf {
        if self.with_offsite { self.place.offsite_folder().join(SOURCE_REGION) } else { self.place.restic_repository() }
    }

    fn target(&self) -> PathBuf {
        self.place.join("cp")
    }
}

impl Candidate for Cp {
    fn kind(&self) -> CandidateKind {
        CandidateKind::Cp
    }

    fn command(&mut self, row: Row, _meter: &Meter) -> Result<Option<Command>> {
        let mut command = Command::new("cp");
        match row {
            Row::CopyDayOne => command.arg("-r").arg(self.source()).arg(self.target()),
            // What is there already is left alone; `-T` copies onto the target, not into it.
            Row::CopyDayTwo | Row::CopyNothing => command.arg("-ruT").arg(self.source()).arg(self.target()),
            Row::Restore => command.arg("-a").arg(&self.place.source).arg(self.place.join("cp-restored")),
            _ => return Ok(None),
        };
        Ok(Some(command))
    }

    fn store(&self, row: Row) -> Option<PathBuf> {
        matches!(row, Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing).then(|| self.target())
    }
}
