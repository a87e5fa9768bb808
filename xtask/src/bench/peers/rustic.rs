//! rustic: like restic, but its copy finds the second repository in a profile.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Candidate, Place};
use crate::bench::kind::CandidateKind;
use crate::bench::measure::Meter;
use crate::bench::row::Row;

/// The profiles of both repositories; the second is what is verified and restored.
const PROFILES: [&str; 2] = ["rustic", "rustic-copy"];

/// rustic with two repositories.
pub(super) struct Rustic {
    pub(super) place: Place,
}

impl Rustic {
    fn repository(&self, profile: &str) -> PathBuf {
        self.place.join(profile).join("repository")
    }

    fn profile(&self, profile: &str) -> PathBuf {
        self.place.join(profile).join("profile.toml")
    }

    fn write_profile(&self, profile: &str, copies_to: &[PathBuf]) -> Result<()> {
        let text = format!(
            "[repository]\nrepository = {:?}\ncache-dir = {:?}\npassword = \"bench\"\n[copy]\ntargets = {copies_to:?}\n",
            self.repository(profile),
            self.place.join(profile).join("cache"),
        );
        fs::create_dir(self.place.join(profile))
            .and_then(|()| fs::write(self.profile(profile), text))
            .with_context(|| format!("failed to write {}", self.profile(profile).display()))
    }

    fn call(&self, profile: &str, arguments: &[&str]) -> Command {
        let mut command = self.place.call(CandidateKind::Rustic);
        command.args(["--no-progress", "--use-profile"]).arg(self.profile(profile)).args(arguments);
        command
    }
}

impl Candidate for Rustic {
    fn prepare(&mut self, meter: &Meter) -> Result<()> {
        let [first, second] = PROFILES;
        self.write_profile(second, &[])?;
        self.write_profile(first, &[self.profile(second)])?;
        meter.prepare(&mut self.call(first, &["init"]))?;
        // Of nothing yet: it makes the second repository cut chunks at the same places.
        meter.prepare(&mut self.call(first, &["copy", "--init"]))?;
        Ok(())
    }

    fn command(&mut self, row: Row) -> Result<Option<Command>> {
        let [first, second] = PROFILES;
        Ok(match row {
            Row::BackupDayOne | Row::BackupDayTwo => {
                let mut command = self.call(first, &["backup"]);
                command.arg(&self.place.source);
                Some(command)
            }
            Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing => Some(self.call(first, &["copy"])),
            Row::Verify | Row::Limits => None,
            Row::VerifyReadData => Some(self.call(second, &["check", "--read-data"])),
            Row::Restore => {
                let mut command = self.call(second, &["restore", "latest"]);
                command.arg(self.place.restored(CandidateKind::Rustic));
                Some(command)
            }
        })
    }

    fn backup_store(&self) -> Option<PathBuf> {
        Some(self.repository(PROFILES[0]))
    }

    fn copy_store(&self) -> Option<PathBuf> {
        Some(self.repository(PROFILES[1]))
    }
}
