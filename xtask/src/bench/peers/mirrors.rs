//! Those that copy a folder as it is: rclone and rsync restic's repository, `cp` offsite's store; others where these are not there.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{Candidate, Place};
use crate::bench::kind::CandidateKind;
use crate::bench::row::Row;

/// `rclone copy`: one of the three kinds of it.
pub(super) struct Rclone {
    pub(super) place: Place,
    pub(super) kind: CandidateKind,
    pub(super) source: PathBuf,
}

impl Rclone {
    fn target(&self) -> PathBuf {
        self.place.join(match self.kind {
            CandidateKind::RcloneChecksum => "rclone-checksum",
            CandidateKind::RcloneDebian => "rclone-debian",
            _ => "rclone",
        })
    }

    fn call(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.call(self.kind);
        command.args(["--config", "/dev/null"]).args(arguments).arg(&self.source).arg(self.target());
        command
    }
}

impl Candidate for Rclone {
    fn command(&mut self, row: Row) -> Result<Option<Command>> {
        let checksum = self.kind == CandidateKind::RcloneChecksum;
        Ok(match row {
            Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing if checksum => {
                Some(self.call(&["copy", "--checksum"]))
            }
            Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing => Some(self.call(&["copy"])),
            // It would be the same command with `--checksum`.
            Row::Verify if !checksum => Some(self.call(&["check"])),
            _ => None,
        })
    }

    fn copy_source(&self) -> Option<PathBuf> {
        Some(self.source.clone())
    }

    fn copy_store(&self) -> Option<PathBuf> {
        Some(self.target())
    }
}

/// `rsync -a`.
pub(super) struct Rsync {
    pub(super) place: Place,
    pub(super) source: PathBuf,
}

impl Rsync {
    fn target(&self) -> PathBuf {
        self.place.join("rsync")
    }
}

impl Candidate for Rsync {
    fn command(&mut self, row: Row) -> Result<Option<Command>> {
        if !matches!(row, Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing) {
            return Ok(None);
        }
        let mut command = self.place.call(CandidateKind::Rsync);
        // With a slash at its end, the name stands for what is in the folder.
        command.arg("-a").arg(self.source.join("")).arg(self.target());
        Ok(Some(command))
    }

    fn copy_source(&self) -> Option<PathBuf> {
        Some(self.source.clone())
    }

    fn copy_store(&self) -> Option<PathBuf> {
        Some(self.target())
    }
}

/// `cp -r`; as the restore, `cp -a` of the source.
pub(super) struct Cp {
    pub(super) place: Place,
    pub(super) source: PathBuf,
}

impl Cp {
    fn target(&self) -> PathBuf {
        self.place.join("cp")
    }
}

impl Candidate for Cp {
    fn command(&mut self, row: Row) -> Result<Option<Command>> {
        let mut command = self.place.call(CandidateKind::Cp);
        match row {
            Row::CopyDayOne => command.arg("-r").arg(&self.source).arg(self.target()),
            // What is there already is left alone; `-T` copies onto the target, not into it.
            Row::CopyDayTwo | Row::CopyNothing => command.arg("-ruT").arg(&self.source).arg(self.target()),
            Row::Restore => command.arg("-a").arg(&self.place.source).arg(self.place.restored(CandidateKind::Cp)),
            _ => return Ok(None),
        };
        Ok(Some(command))
    }

    fn copy_source(&self) -> Option<PathBuf> {
        Some(self.source.clone())
    }

    fn copy_store(&self) -> Option<PathBuf> {
        Some(self.target())
    }
}
