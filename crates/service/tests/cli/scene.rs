//! A site with a small tree to back up, and what a command printed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A directory with a configuration and a small tree to back up.
pub(crate) struct Scene {
    pub(crate) dir: TempDir,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn offsite(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offsite"));
    command.args(args).env_remove("OFFSITE_CONFIG").env_remove("OFFSITE_LOG").stdin(Stdio::null());
    command
}

pub(crate) fn end(mut command: Command) -> Ended {
    let Output { status, stdout, stderr } = command.output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ended { status: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
}

impl Ended {
    #[track_caller]
    pub(crate) fn with_status(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.with_status(0)
    }

    /// The one line on standard output.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        assert_eq!(self.stdout.lines().count(), 1, "{self:#?}");
        self.stdout.trim_end().to_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("JSON")
    }
}

impl Scene {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        end(offsite(&["init", "--dir", dir.path().to_str().expect("UTF-8")])).ok();
        let scene = Self { dir };
        let tree = scene.path("tree");
        fs::create_dir_all(tree.join("docs")).expect("a directory");
        fs::write(tree.join("docs/readme"), "read me\n").expect("a file");
        let numbers: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
        fs::write(tree.join("large"), numbers).expect("a file");
        std::os::unix::fs::symlink("nowhere", tree.join("docs/link")).expect("a link");
        scene
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        let mut command = offsite(args);
        command.current_dir(self.dir.path());
        end(command)
    }

    /// As `run`, with nobody to read standard output.
    pub(crate) fn run_unread(&self, args: &[&str]) -> Ended {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = offsite(args);
        command.current_dir(self.dir.path()).stdout(writer);
        end(command)
    }

    pub(crate) fn add_tree(&self) -> String {
        self.run(&["resource", "add", "tree", "--region", "us-east-1", "--name", "a tree"]).ok().line()
    }

    pub(crate) fn back_up(&self, resource: &str) -> String {
        self.run(&["backup", "create", resource, "-q"]).ok().line()
    }
}

pub(crate) fn same_trees(a: &Path, b: &Path) {
    let compared = Command::new("diff").args(["-r", "--no-dereference"]).args([a, b]).output().expect("diff runs");
    assert!(compared.status.success(), "{compared:?}");
}

/// Every pack in a region's store.
pub(crate) fn packs(region: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![region.join("store")];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() { left.push(path) } else { found.push(path) }
        }
    }
    found.retain(|path| path.components().any(|part| part.as_os_str() == "packs"));
    found
}
