//! conserve: one archive, neither encrypted nor copied.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Candidate, Place};
use crate::bench::corpus::Corpus;
use crate::bench::kind::CandidateKind;
use crate::bench::measure::Meter;
use crate::bench::row::Row;

/// Backs up the folder that an image is in, as it takes folders alone.
pub(super) struct Conserve {
    pub(super) place: Place,
}

impl Conserve {
    fn archive(&self) -> PathBuf {
        self.place.join("conserve")
    }

    fn source(&self) -> Result<&Path> {
        match self.place.corpus {
            Corpus::Image => self.place.source.parent().context("an image lies in a folder"),
            Corpus::Tree | Corpus::Usr => Ok(&self.place.source),
        }
    }

    fn call(&self, task: &str) -> Command {
        let mut command = self.place.call(CandidateKind::Conserve);
        command.args(["--no-progress", task]).arg(self.archive());
        command
    }
}

impl Candidate for Conserve {
    fn prepare(&mut self, meter: &Meter) -> Result<()> {
        meter.prepare(&mut self.call("init"))?;
        Ok(())
    }

    fn command(&mut self, row: Row) -> Result<Option<Command>> {
        let (task, argument) = match row {
            Row::BackupDayOne | Row::BackupDayTwo => ("backup", Some(self.source()?.to_owned())),
            Row::VerifyReadData => ("validate", None),
            Row::Restore => ("restore", Some(self.place.restored(CandidateKind::Conserve))),
            Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing | Row::Verify | Row::Limits => return Ok(None),
        };
        let mut command = self.call(task);
        command.args(argument);
        Ok(Some(command))
    }

    fn backup_store(&self) -> Option<PathBuf> {
        Some(self.archive())
    }
}
