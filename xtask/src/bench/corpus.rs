//! What is backed up; made by a process of its own, so that this one stays small.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::measure;
use super::scale::Scale;

/// The kinds of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Corpus {
    /// A raw disk image with holes.
    Image,
    /// A directory tree.
    Tree,
    /// `/usr` of this machine as it is, the same on both days.
    Usr,
}

impl Corpus {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tree => "tree",
            Self::Image => "image",
            Self::Usr => "usr",
        }
    }

    /// Where it is made for a run that has `folder`, or is already.
    pub(super) fn path(self, folder: &Path) -> PathBuf {
        match self {
            Self::Tree | Self::Image => folder.join("source").join(self.name()),
            Self::Usr => PathBuf::from("/usr"),
        }
    }

    /// Makes the first day and says what was made.
    pub(super) fn make(self, source: &Path, scale: &Scale) -> Result<String> {
        let bytes = scale.image_bytes.to_string();
        match self {
            Self::Tree => make("tree", source, ["--size", scale.tree_size]),
            Self::Image => make("image", source, ["--bytes", &bytes]),
            Self::Usr => Ok(format!("{:.1} MB as they are", measure::allocated_bytes(source)? as f64 / 1e6)),
        }
    }

    /// Lives through the second day and says what changed.
    pub(super) fn change(self, source: &Path) -> Result<String> {
        match self {
            Self::Tree => make("tree-day-two", source, [""; 0]),
            Self::Image => make("image-day-two", source, [""; 0]),
            Self::Usr => Ok("nothing changed".to_owned()),
        }
    }
}

/// Runs `cargo xtask corpus` in a process of its own and returns what it printed.
pub(super) fn make(task: &str, path: &Path, options: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String> {
    let mut command = Command::new(std::env::current_exe().context("failed to find xtask itself")?);
    command.args(["corpus", task]).arg(path).args(options);
    let output = command.output().context("failed to run xtask itself")?;
    ensure!(output.status.success(), "corpus {task} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    let said = String::from_utf8(output.stdout).context("corpus printed no text")?.trim().to_owned();
    eprintln!("{task}: {said}");
    Ok(said)
}
