//! Who copies over the line, and what each runs.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use testkit::seaweed::{ACCESS_KEY, SECRET_KEY};

use super::site::Programs;

/// What is measured, in the order of the tables' lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(in crate::bench) enum LineCandidate {
    /// One TCP connection that carries as many bytes.
    Tcp1,
    /// Two connections that share them.
    Tcp2,
    /// Four connections.
    Tcp4,
    /// `offsite copy` from bucket to bucket.
    Offsite,
    /// `rclone copy` of offsite's bucket to another.
    Rclone,
    /// `aws s3 sync` of offsite's bucket to a directory, for it knows one service at a time.
    Aws,
    /// `restic copy` of a repository in one bucket to one in another.
    Restic,
}

/// The buckets at the far end.
pub(in crate::bench) const SOURCE_BUCKET: &str = "source";
const RESTIC_BUCKET: &str = "restic";

/// The bucket at the near end.
pub(super) const COPY_BUCKET: &str = "copy";

impl LineCandidate {
    pub(super) const ALL: [Self; 7] =
        [Self::Tcp1, Self::Tcp2, Self::Tcp4, Self::Offsite, Self::Rclone, Self::Aws, Self::Restic];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tcp1 => "TCP × 1",
            Self::Tcp2 => "TCP × 2",
            Self::Tcp4 => "TCP × 4",
            Self::Offsite => "offsite copy",
            Self::Rclone => "rclone copy",
            Self::Aws => "aws s3 sync",
            Self::Restic => "restic copy",
        }
    }

    /// How many connections plain TCP has, if that is what it is.
    pub(super) fn connections(self) -> Option<u64> {
        match self {
            Self::Tcp1 => Some(1),
            Self::Tcp2 => Some(2),
            Self::Tcp4 => Some(4),
            _ => None,
        }
    }
}

/// What commands have to know: the programs, the servers at both ends, and a folder of their own.
pub(in crate::bench) struct Call<'a> {
    pub(in crate::bench) programs: &'a Programs,
    pub(in crate::bench) near: &'a str,
    pub(in crate::bench) far: &'a str,
    pub(in crate::bench) folder: &'a Path,
}

impl Call<'_> {
    pub(in crate::bench) fn offsite(&self, arguments: &[&str]) -> Command {
        let mut command = call(&self.programs.offsite);
        command.arg("-q").arg("--config").arg(self.folder.join("offsite.toml")).args(arguments);
        command
    }

    pub(in crate::bench) fn rclone(&self) -> Command {
        let mut command = call(&self.programs.rclone);
        for (end, endpoint) in [("FAR", self.far), ("NEAR", self.near)] {
            let settings = [
                ("TYPE", "s3"),
                ("PROVIDER", "SeaweedFS"),
                ("ENDPOINT", endpoint),
                ("ACCESS_KEY_ID", ACCESS_KEY),
                ("SECRET_ACCESS_KEY", SECRET_KEY),
            ];
            command.envs(settings.map(|(name, value)| (format!("RCLONE_CONFIG_{end}_{name}"), value)));
        }
        command.args(["--config", "/dev/null", "copy"]);
        command.args([format!("far:{SOURCE_BUCKET}"), format!("near:{COPY_BUCKET}")]);
        command
    }

    pub(super) fn aws(&self) -> Command {
        let mut command = call(&self.programs.aws);
        command.args(["--endpoint-url", self.far, "s3", "sync", "--only-show-errors"]);
        command.arg(format!("s3://{SOURCE_BUCKET}")).arg(self.folder.join("synced"));
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_DEFAULT_REGION", "us-east-1");
        command
    }

    /// restic on the repository at the far end.
    pub(in crate::bench) fn restic_far(&self, arguments: &[&str]) -> Command {
        self.restic(self.far, arguments)
    }

    /// restic on the repository at the near end, with the other to copy from.
    pub(in crate::bench) fn restic_both(&self, arguments: &[&str]) -> Command {
        let mut command = self.restic(self.near, arguments);
        command.arg("--from-repo").arg(repository(self.far));
        command
    }

    fn restic(&self, endpoint: &str, arguments: &[&str]) -> Command {
        let mut command = call(&self.programs.restic);
        command.args(["--quiet", "--cache-dir"]).arg(self.folder.join("restic-cache"));
        command.arg("--repo").arg(repository(endpoint)).args(arguments);
        command.env("RESTIC_PASSWORD", "bench").env("RESTIC_FROM_PASSWORD", "bench");
        command
    }
}

fn repository(endpoint: &str) -> String {
    format!("s3:{endpoint}/{RESTIC_BUCKET}")
}

fn call(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    command
}
