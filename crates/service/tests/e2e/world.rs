//! A world of its own per test: a directory with every region in it, and the binary that works on it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The two regions most tests copy between.
pub(crate) const SOURCE: &str = "us-east-1";
pub(crate) const TARGET: &str = "us-west-2";

/// An initialised site in a scratch directory that goes away with it.
pub(crate) struct World {
    directory: TempDir,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Asserts the exit status and hands on what was printed, for more assertions.
    #[track_caller]
    pub(crate) fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// The one line on standard output: an id.
    #[track_caller]
    pub(crate) fn id(self) -> String {
        let ran = self.exits(0);
        let id = ran.stdout.trim().to_owned();
        assert!(!id.is_empty() && !id.contains(char::is_whitespace), "not one id: {:?}", ran.stdout);
        id
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        let ran = self.exits(0);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("not JSON ({e}): {}", ran.stdout))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { directory: tempfile::tempdir().expect("a scratch directory") };
        let site = world.site();
        let init = Command::new(env!("CARGO_BIN_EXE_offsite")).arg("init").arg("--dir").arg(site).output();
        Ran::from(init.expect("the binary runs")).exits(0);
        world
    }

    /// A path in the scratch directory, outside of the site.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where `init` has made the regions.
    pub(crate) fn site(&self) -> PathBuf {
        self.path("site")
    }

    /// Everything that is one region's.
    pub(crate) fn region(&self, region: &str) -> PathBuf {
        self.site().join(region)
    }

    /// The command with the site's config, ready to be run or changed.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_offsite"));
        command.arg("--config").arg(self.site().join("offsite.toml")).args(arguments);
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        self.command(arguments).output().expect("the binary runs").into()
    }

    /// Adds a resource in the source region; the type follows from what is at `path`.
    pub(crate) fn add(&self, path: &Path) -> String {
        self.run([OsStr::new("resource"), "add".as_ref(), path.as_ref(), "--region".as_ref(), SOURCE.as_ref()]).id()
    }

    pub(crate) fn backup(&self, resource: &str) -> String {
        self.run(["backup", "create", resource]).id()
    }

    /// Copies to the target region.
    pub(crate) fn copy(&self, backup: &str) -> String {
        self.run(["copy", backup, "--to", TARGET]).id()
    }

    pub(crate) fn restore(&self, backup: &str, target: &Path) -> Ran {
        self.run([OsStr::new("backup"), "restore".as_ref(), backup.as_ref(), target.as_ref()])
    }

    /// The backup's row, as `backup show --json` tells it.
    pub(crate) fn show(&self, backup: &str) -> serde_json::Value {
        self.run(["backup", "show", backup, "--json"]).json()
    }

    /// Deletes all that is one region's: its store, its catalog, its keys.
    pub(crate) fn lose(&self, region: &str) {
        std::fs::remove_dir_all(self.region(region)).expect("a region to lose");
    }

    /// Every pack object of a region.
    pub(crate) fn packs(&self, region: &str) -> Vec<PathBuf> {
        let mut packs: Vec<PathBuf> = files_below(&self.region(region).join("store"))
            .into_iter()
            .filter(|path| path.components().any(|part| part.as_os_str() == "packs"))
            .collect();
        packs.sort();
        packs
    }

    /// Bytes of all pack objects of a region.
    pub(crate) fn pack_bytes(&self, region: &str) -> u64 {
        self.packs(region).iter().map(|path| path.metadata().expect("a pack").len()).sum()
    }

    /// The record of a backup.
    pub(crate) fn record(&self, region: &str, backup: &str) -> PathBuf {
        let mut found = files_below(&self.region(region).join("store"));
        found.retain(|path| path.ends_with(format!("{backup}/record")));
        found.pop().expect("the backup has a record")
    }
}

/// Every regular file below `directory`.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(files_below(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

/// Runs one of the system's tools and returns what it printed.
#[track_caller]
pub(crate) fn tool<S: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = S>) -> String {
    let output = Command::new(name).args(arguments).output().unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Asserts that two trees are the same to rsync: contents, attributes, ACLs, xattrs, hard links.
#[track_caller]
pub(crate) fn assert_same_to_rsync(a: &Path, b: &Path) {
    let (a, b) = (format!("{}/", a.display()), format!("{}/", b.display()));
    let options = ["-aHAXS", "--checksum", "--delete", "--dry-run", "--itemize-changes"];
    let differences = tool("rsync", options.into_iter().chain([a.as_str(), b.as_str()]));
    assert_eq!(differences, "", "rsync sees differences");
}
