//! What is backed up, in two sizes; made by a process of its own, so that this one stays small.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use super::measure;

/// The two kinds of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Corpus {
    /// A raw disk image with holes.
    Image,
    /// A directory tree.
    Tree,
}

/// How much is measured, and how often.
#[derive(Debug)]
pub(super) struct Scale {
    pub(super) name: &'static str,
    pub(super) runs: u32,
    /// Memory that is touched before each run; see [`super::measure`].
    pub(super) touched_bytes: u64,
    tree_size: &'static str,
    image_bytes: u64,
}

impl Scale {
    pub(super) fn quick(runs: Option<u32>) -> Self {
        let runs = runs.unwrap_or(1);
        Self { name: "quick", runs, touched_bytes: 1 << 30, tree_size: "quick", image_bytes: 512 << 20 }
    }

    pub(super) fn full(runs: Option<u32>) -> Self {
        let runs = runs.unwrap_or(3);
        Self { name: "full", runs, touched_bytes: 3 << 30, tree_size: "full", image_bytes: 4 << 30 }
    }

    /// Fails when the disk would fill up half-way: each run keeps some seven stores and three restores.
    pub(super) fn check_space(&self, folder: &Path, source: &Path) -> Result<()> {
        let wanted = measure::allocated_bytes(source)? * 9 * u64::from(self.runs);
        let disk = rustix::fs::statvfs(folder).context("failed to ask for free space")?;
        let free = disk.f_bavail * disk.f_frsize;
        ensure!(free > wanted, "{} has {free} bytes free, up to {wanted} are needed: see --dir", folder.display());
        Ok(())
    }
}

impl Corpus {
    /// The image first: it leaves few deleted files behind, which would slow the tree's creation.
    pub(super) const ALL: [Self; 2] = [Self::Image, Self::Tree];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tree => "tree",
            Self::Image => "image",
        }
    }

    /// Makes the first day and says what was made.
    pub(super) fn make(self, source: &Path, scale: &Scale) -> Result<String> {
        let bytes = scale.image_bytes.to_string();
        match self {
            Self::Tree => make("tree", source, ["--size", scale.tree_size]),
            Self::Image => make("image", source, ["--bytes", &bytes]),
        }
    }

    /// Lives through the second day and says what changed.
    pub(super) fn change(self, source: &Path) -> Result<String> {
        match self {
            Self::Tree => make("tree-day-two", source, [""; 0]),
            Self::Image => make("image-day-two", source, [""; 0]),
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
