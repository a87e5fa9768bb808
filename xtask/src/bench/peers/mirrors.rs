//! Those that copy a folder as it is: `rclone copy` of restic's repository, and `cp -r`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{Candidate, Place, offsite, restic};
use crate::bench::row::Row;

/// `rclone copy`, with or without `--checksum`.
pub(super) struct Rclone {
    pub(super) place: Place,
    pub(super) checksum: bool,
}

impl Rclone {
    fn target(&self) -> PathBuf {
        self.place.join(if self.checksum { "rclone-checksum" } else { "rclone" })
    }

    fn call(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("rclone");
        command.args(["--config", "/dev/null"]).args(arguments).arg(restic::repository(&self.place)).arg(self.target());
        command
    }
}

impl Candidate for Rclone {
    fn command(&mut self, row: Row) -> Result<Option<Command>> {
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

    fn copy_store(&self) -> Option<PathBuf> {
        Some(self.target())
    }
}

/// `cp -r` of offsite's store, or of restic's repository without one; as the restore, `cp -a` of the source.
pub(super) struct Cp {
    pub(super) place: Place,
    pub(super) with_offsite: bool,
}

impl Cp {
    fn source(&self) -> PathBuf {
        if self.with_offsite { offsite::source_store(&self.place) } else { restic::repository(&self.place) }
    }

    fn target(&self) -> PathBuf {
        self.place.join("cp")
    }
}

impl Candidate for Cp {
    fn command(&mut self, row: Row) -> Result<Option<Command>> {
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

    fn copy_store(&self) -> Option<PathBuf> {
        Some(self.target())
    }
}
