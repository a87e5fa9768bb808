//! Everything that one call of the benchmark found, and where it did.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::kind::CandidateKind;
use super::measured::Measured;
use crate::workspace;

/// What goes into the JSON file.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) scale: String,
    pub(super) runs: u32,
    /// Whether the page cache was emptied before each process.
    pub(super) cold: bool,
    /// In UTC, `2026-11-21`.
    pub(super) date: String,
    pub(super) machine: Machine,
    pub(super) versions: Vec<Version>,
    pub(super) corpora: Vec<Measured>,
}

/// What the figures hold for.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) processors: usize,
    pub(super) memory_bytes: u64,
    pub(super) file_system: String,
    pub(super) kernel: String,
}

/// What one candidate says it is.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) candidate: CandidateKind,
    pub(super) version: String,
}

impl Report {
    /// Whether every command did what it should.
    pub(super) fn is_complete(&self) -> bool {
        self.corpora.iter().all(|measured| measured.failures.is_empty())
    }

    pub(super) fn save(&self, path: &Path) -> Result<()> {
        save(self, path)
    }

    /// The same of one corpus alone.
    pub(super) fn only(&self, corpus: &Measured) -> Self {
        Self { corpora: vec![corpus.clone()], ..self.clone() }
    }
}

/// Reads what [`save`] wrote.
pub(super) fn load<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} holds no results", path.display()))
}

/// Writes what was found as JSON.
pub(super) fn save(report: &impl Serialize, path: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(report)? + "\n";
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

impl Machine {
    /// Looks at this machine, and at the file system that `folder` is on.
    pub(super) fn look(folder: &Path) -> Self {
        let memory = rustix::system::sysinfo();
        let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            processor: model.map_or("unknown", |(_, name)| name).to_owned(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory.totalram as u64 * u64::from(memory.mem_unit),
            file_system: last_line(Command::new("df").arg("--output=fstype").arg(folder)),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        }
    }
}

/// What each of `chosen` says its version is; of this workspace's binary also which commit the workspace is at.
pub(super) fn versions(chosen: &[CandidateKind], target: &Path) -> Vec<Version> {
    let version = |kind: &CandidateKind| {
        let mut version = kind.version(target);
        if *kind == CandidateKind::Offsite {
            version = format!("{version}, commit {}", version_of_workspace());
        }
        Version { candidate: *kind, version }
    };
    chosen.iter().map(version).collect()
}

/// The same as a table, in Markdown.
pub(super) fn versions_table(versions: &[Version]) -> String {
    let line = |version: &Version| format!("| {} | {} |\n", version.candidate.name(), version.version);
    format!("| measured | version |\n|---|---|\n{}", versions.iter().map(line).collect::<String>())
}

/// The commit that the workspace is at.
pub(super) fn version_of_workspace() -> String {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--exclude=*"]).current_dir(workspace::root());
    last_line(&mut git)
}

/// In UTC. A figure's day is for people, and `date` spares a dependency.
pub(super) fn today() -> String {
    last_line(Command::new("date").args(["--utc", "+%Y-%m-%d"]))
}

fn last_line(command: &mut Command) -> String {
    let stdout = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&stdout).lines().last().unwrap_or("unknown").trim().to_owned()
}
