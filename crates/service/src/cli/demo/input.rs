//! What the story is told with: real files, copied with all their attributes to a place where they may change.
//!
//! `cp -a` copies, being what people would check a restore against.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tokio::process::Command;

use super::{DemoArgs, FOUND_BYTES_MAX};
use crate::config::environment;

/// Paths handed to one `cp`, well below what a command line may hold.
const PATHS_PER_COPY: usize = 200;

/// Where the input comes from and how much of it is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Input {
    /// The directory.
    pub(super) dir: PathBuf,
    /// Bytes to take, at most.
    pub(super) bytes_max: u64,
}

impl Input {
    /// The directory that was named, or the first of some that most machines have.
    pub(super) fn choose(args: &DemoArgs) -> anyhow::Result<Self> {
        if let Some(dir) = &args.dir {
            let dir = dir.canonicalize().with_context(|| format!("failed to find {}", dir.display()))?;
            if !dir.is_dir() {
                bail!("{} is not a directory", dir.display());
            }
            return Ok(Self { dir, bytes_max: args.size.map_or(u64::MAX, |size| size.0) });
        }
        let registry = environment::cargo_home().map(|home| home.join("registry/src"));
        let usual = ["/usr/share", "/usr/lib"].map(PathBuf::from);
        let Some(dir) = registry.into_iter().chain(usual).find(|dir| dir.is_dir()) else {
            bail!("there are no files on this machine to tell the story with; name a directory");
        };
        Ok(Self { dir, bytes_max: args.size.map_or(FOUND_BYTES_MAX, |size| size.0) })
    }

    /// Copies as much as is wanted to the new directory `target`; what lies in `scratch` is not taken.
    ///
    /// Returns what `cp` complained of, if it did: files that this user may not read stay out of the story.
    pub(super) async fn copy_to(&self, target: &Path, scratch: &Path) -> anyhow::Result<Option<String>> {
        fs::create_dir_all(target).with_context(|| format!("failed to make {}", target.display()))?;
        let (root, scratch, left) = (self.dir.clone(), scratch.to_owned(), self.bytes_max);
        let choosing = tokio::task::spawn_blocking(move || Choice::make(&root, &scratch, left));
        let chosen = choosing.await?.with_context(|| format!("failed to read {}", self.dir.display()))?;
        let mut complaint = None;
        for paths in chosen.chunks(PATHS_PER_COPY) {
            let mut command = Command::new("cp");
            command.args(["-a", "-x", "--reflink=auto", "--parents", "-t"]).arg(target).arg("--").args(paths);
            complaint = complaint.or(run(command.current_dir(&self.dir)).await?);
        }
        Ok(complaint)
    }
}

/// Copies all that is in `source` to the new directory `target`, with every attribute.
pub(super) async fn copy_all(source: &Path, target: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("cp");
    command.args(["-a", "--reflink=auto", "--sparse=auto", "--"]).arg(source).arg(target);
    match run(&mut command).await? {
        Some(complaint) => bail!("failed to copy {} to {}: {complaint}", source.display(), target.display()),
        None => Ok(()),
    }
}

/// Runs a command, which ends when the demo is interrupted, and returns what it complained of if it failed.
async fn run(command: &mut Command) -> anyhow::Result<Option<String>> {
    let done = command.kill_on_drop(true).output().await.context("failed to run cp")?;
    let complaints = String::from_utf8_lossy(&done.stderr);
    let first = complaints.lines().next().unwrap_or("cp failed").to_owned();
    Ok(if done.status.success() { None } else { Some(first) })
}

/// Chooses whole files and directories, in the order of their names, until there is enough.
struct Choice<'a> {
    root: &'a Path,
    scratch: &'a Path,
    left: u64,
    paths: Vec<PathBuf>,
}

impl<'a> Choice<'a> {
    /// Chooses at most `bytes_max` of what is in `root`, relative to it.
    fn make(root: &'a Path, scratch: &'a Path, bytes_max: u64) -> io::Result<Vec<PathBuf>> {
        let mut choice = Self { root, scratch, left: bytes_max, paths: Vec::new() };
        choice.take_from(Path::new(""))?;
        Ok(choice.paths)
    }

    /// Takes what fits of the directory `relative`: children whole where they fit, parts of those that do not.
    fn take_from(&mut self, relative: &Path) -> io::Result<()> {
        let device = fs::metadata(self.root)?.dev();
        let mut names = fs::read_dir(self.root.join(relative))?
            .map(|entry| entry.map(|entry| relative.join(entry.file_name())))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        for name in names {
            let path = self.root.join(&name);
            let Ok(meta) = path.symlink_metadata() else { continue };
            if self.scratch.starts_with(&path) || meta.dev() != device {
                continue;
            }
            let bytes = if meta.is_dir() { bytes_below(&path, self.left) } else { meta.len() };
            if bytes <= self.left {
                self.left -= bytes;
                self.paths.push(name);
            } else if meta.is_dir() {
                // What cannot be listed is left out.
                drop(self.take_from(&name));
            }
        }
        Ok(())
    }
}

/// The bytes of all files below `dir`; stops counting once there are more than `enough`.
fn bytes_below(dir: &Path, enough: u64) -> u64 {
    let mut bytes: u64 = 0;
    let mut left = vec![dir.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => left.push(entry.path()),
                Ok(meta) if meta.is_file() => bytes = bytes.saturating_add(meta.len()),
                _ => {}
            }
        }
        if bytes > enough {
            break;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_is_taken_than_asked_for() {
        let scratch = tempfile::tempdir().unwrap();
        let (source, target) = (scratch.path().join("source"), scratch.path().join("target"));
        for (name, bytes) in [("a/1", 40), ("a/2", 40), ("b", 30), ("c/d/-e", 5)] {
            let path = source.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![b'x'; bytes]).unwrap();
        }
        let input = Input { dir: source.clone(), bytes_max: 75 };
        assert_eq!(input.copy_to(&target, &source.join("b")).await.unwrap(), None);
        assert!(target.join("a/1").exists() && target.join("c/d/-e").exists());
        assert!(!target.join("a/2").exists() && !target.join("b").exists());
    }
}
