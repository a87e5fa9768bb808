//! The columns of the tables: who is measured.

use std::path::Path;
use std::process::Command;

use clap::ValueEnum;
use serde::Serialize;

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
