//! borg: one repository, since it has no copy to another.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Candidate, Place};
use crate::bench::kind::CandidateKind;
use crate::bench::measure::Meter;
use crate::bench::row::Row;

/// Encrypts with the key mode that its documentation names first, and compresses as the others do.
pub(super) struct Borg {
    pub(super) place: Place,
}

impl Borg {
    fn repository(&self) -> PathBuf {
        self.place.join("borg")
    }

    fn restored(&self) -> PathBuf {
        self.place.restored(CandidateKind::Borg)
    }

    fn call(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.call(CandidateKind::Borg);
        command.args(arguments).env("BORG_BASE_DIR", self.place.join("borg-base")).env("BORG_PASSPHRASE", "bench");
        command
    }

    fn create(&self, archive: &str) -> Command {
        let mut command = self.call(&["create", "--compression", "zstd,3"]);
        command.arg(self.archive(archive)).arg(&self.place.source);
        command
    }

    fn check(&self, how: &str) -> Command {
        let mut command = self.call(&["check", how]);
        command.arg(self.repository());
        command
    }

    fn archive(&self, name: &str) -> String {
        format!("{}::{name}", self.repository().display())
    }
}

impl Candidate for Borg {
    fn prepare(&mut self, meter: &Meter) -> Result<()> {
        meter.prepare(self.call(&["init", "--encryption", "repokey"]).arg(self.repository()))?;
        let restored = self.restored();
        fs::create_dir(&restored).with_context(|| format!("failed to make {}", restored.display()))
    }

    fn command(&mut self, row: Row) -> Result<Option<Command>> {
        Ok(match row {
            Row::BackupDayOne => Some(self.create("day-1")),
            Row::BackupDayTwo => Some(self.create("day-2")),
            Row::Verify => Some(self.check("--repository-only")),
            Row::VerifyReadData => Some(self.check("--verify-data")),
            Row::Restore => {
                let mut command = self.call(&["extract", "--sparse"]);
                // It restores into the folder that it runs in.
                command.arg(self.archive("day-2")).current_dir(self.restored());
                Some(command)
            }
            Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing | Row::Limits => None,
        })
    }

    fn backup_store(&self) -> Option<PathBuf> {
        Some(self.repository())
    }
}
