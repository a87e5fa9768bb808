//! restic: two repositories that cut chunks at the same places, and `restic copy` between them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Candidate, Place};
use crate::bench::kind::CandidateKind;
use crate::bench::measure::Meter;
use crate::bench::row::Row;

/// The second repository is what is verified and restored.
pub(super) struct Restic {
    pub(super) place: Place,
}

impl Restic {
    fn call(&self, repository: &Path, arguments: &[&str]) -> Command {
        let mut command = self.place.call(CandidateKind::Restic);
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

    /// A command that acts on the second repository.
    fn call_second(&self, arguments: &[&str]) -> Command {
        self.call(&self.place.join("restic-copy"), arguments)
    }

    /// A command that reads from the first repository and acts on the second.
    fn call_both(&self, arguments: &[&str]) -> Command {
        let mut command = self.call_second(arguments);
        command.arg("--from-repo").arg(repository(&self.place));
        command
    }
}

impl Candidate for Restic {
    fn prepare(&mut self, meter: &Meter) -> Result<()> {
        meter.prepare(&mut self.call(&repository(&self.place), &["init"]))?;
        meter.prepare(&mut self.call_both(&["init", "--copy-chunker-params"]))?;
        Ok(())
    }

    fn command(&mut self, row: Row) -> Result<Option<Command>> {
        let (mut command, argument) = match row {
            Row::BackupDayOne | Row::BackupDayTwo => {
                (self.call(&repository(&self.place), &["backup"]), Some(self.place.source.clone()))
            }
            Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing => (self.call_both(&["copy"]), None),
            // Without `--read-data` it reads no pack.
            Row::Verify | Row::Limits => return Ok(None),
            Row::VerifyReadData => (self.call_second(&["check", "--read-data"]), None),
            Row::Restore => {
                let restored = self.place.restored(CandidateKind::Restic);
                (self.call_second(&["restore", "latest", "--target"]), Some(restored))
            }
        };
        command.args(argument);
        Ok(Some(command))
    }

    fn backup_store(&self) -> Option<PathBuf> {
        Some(repository(&self.place))
    }

    fn copy_store(&self) -> Option<PathBuf> {
        Some(self.place.join("restic-copy"))
    }
}

/// The first repository, which is what rclone copies.
pub(super) fn repository(place: &Place) -> PathBuf {
    place.join("restic")
}
