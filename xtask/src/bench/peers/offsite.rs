//! This project's binary, by its command line alone. The copy is what is verified and restored.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Candidate, Place};
use crate::bench::corpus::Corpus;
use crate::bench::kind::CandidateKind;
use crate::bench::measure::{Finished, Meter};
use crate::bench::row::Row;

pub(super) const SOURCE_REGION: &str = "us-east-1";
const TARGET_REGION: &str = "us-west-2";

/// Keeps the ids that earlier rows printed.
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

    pub(super) fn call(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.call(CandidateKind::Offsite);
        command.arg("-q").arg("--config").arg(folder(&self.place).join("offsite.toml")).args(arguments);
        command
    }

    fn copy_of(&self, day: usize) -> Result<Command> {
        Ok(self.call(&["copy", id(&self.backups, day)?, "--to", TARGET_REGION]))
    }
}

impl Candidate for Offsite {
    /// Makes the regions and registers the source.
    fn prepare(&mut self, meter: &Meter) -> Result<()> {
        let mut init = self.place.call(CandidateKind::Offsite);
        meter.prepare(init.args(["-q", "init", "--dir"]).arg(folder(&self.place)))?;
        let mut add = self.call(&["resource", "add"]);
        add.arg(&self.place.source).args(["--region", SOURCE_REGION]);
        if self.place.corpus == Corpus::Image {
            add.args(["--type", "disk"]);
        }
        self.resource = only_line(&meter.prepare(&mut add)?)?;
        Ok(())
    }

    fn command(&mut self, row: Row) -> Result<Option<Command>> {
        Ok(Some(match row {
            Row::Limits => return Ok(None),
            Row::BackupDayOne | Row::BackupDayTwo => self.call(&["backup", "create", &self.resource]),
            Row::CopyDayOne => self.copy_of(0)?,
            Row::CopyDayTwo | Row::CopyNothing => self.copy_of(1)?,
            Row::Verify => self.call(&["backup", "verify", id(&self.copies, 1)?]),
            Row::VerifyReadData => self.call(&["backup", "verify", id(&self.copies, 1)?, "--read-data"]),
            Row::Restore => {
                let mut command = self.call(&["backup", "restore", id(&self.copies, 1)?]);
                command.arg(self.place.restored(CandidateKind::Offsite));
                command
            }
        }))
    }

    fn backup_store(&self) -> Option<PathBuf> {
        Some(source_store(&self.place))
    }

    fn copy_store(&self) -> Option<PathBuf> {
        Some(folder(&self.place).join(TARGET_REGION))
    }

    fn finish(&mut self, row: Row, finished: &mut Finished) -> Result<()> {
        match row {
            Row::BackupDayOne | Row::BackupDayTwo => self.backups.push(only_line(&finished.stdout)?),
            Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing => self.copies.push(only_line(&finished.stdout)?),
            _ => {}
        }
        Ok(())
    }
}

/// What the source region keeps.
pub(super) fn source_store(place: &Place) -> PathBuf {
    folder(place).join(SOURCE_REGION)
}

fn folder(place: &Place) -> PathBuf {
    place.join("offsite")
}

fn id(ids: &[String], day: usize) -> Result<&str> {
    ids.get(day).map(String::as_str).with_context(|| format!("an earlier row left no id of day {}", day + 1))
}

fn only_line(stdout: &str) -> Result<String> {
    let mut lines = stdout.lines();
    let line = lines.next().filter(|line| !line.is_empty() && lines.next().is_none());
    line.map(str::to_owned).with_context(|| format!("expected one id on standard output, found {stdout:?}"))
}
