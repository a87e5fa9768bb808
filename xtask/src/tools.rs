//! Outside programs: which are missing, and their installation from Debian's packages or crates.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::workspace;

/// A program and the Debian package that brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

/// A program and the release of a crate that it is built from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CrateTool {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
    /// What `cargo install` is told besides.
    pub(crate) options: &'static [&'static str],
}

impl CrateTool {
    /// Where [`cargo_install`] puts the program.
    pub(crate) fn path(&self, target: &Path) -> PathBuf {
        target.join(CRATE_TOOLS).join("bin").join(self.program)
    }
}

/// Holds built programs; in the target folder.
const CRATE_TOOLS: &str = "tools";

/// Counts instructions.
pub(crate) const VALGRIND: Tool = Tool { program: "valgrind", package: "valgrind" };

/// What the tests call.
pub(crate) const FOR_TESTS: [Tool; 19] = [
    Tool { program: "rsync", package: "rsync" },
    Tool { program: "setfacl", package: "acl" },
    Tool { program: "getfattr", package: "attr" },
    Tool { program: "getcap", package: "libcap2-bin" },
    Tool { program: "qemu-img", package: "qemu-utils" },
    Tool { program: "faketime", package: "faketime" },
    Tool { program: "mkfs.ext4", package: "e2fsprogs" },
    Tool { program: "losetup", package: "mount" },
    Tool { program: "unshare", package: "util-linux" },
    Tool { program: "ip", package: "iproute2" },
    Tool { program: "python3", package: "python3-venv" },
    Tool { program: "openssl", package: "openssl" },
    Tool { program: "softhsm2-util", package: "softhsm2" },
    Tool { program: "pkcs11-tool", package: "opensc" },
    Tool { program: "node", package: "nodejs" },
    Tool { program: "npm", package: "npm" },
    Tool { program: "initdb", package: "postgresql" },
    Tool { program: "systemd-analyze", package: "systemd" },
    VALGRIND,
];

/// What `bench --api` runs beside offsite.
pub(crate) const FOR_API_BENCH: [Tool; 2] =
    [Tool { program: "wrk", package: "wrk" }, Tool { program: "python3", package: "python3-venv" }];

/// What `bench --line` runs, and makes the ends of the line with.
pub(crate) const FOR_LINE_BENCH: [Tool; 4] = [
    Tool { program: "restic", package: "restic" },
    Tool { program: "unshare", package: "util-linux" },
    Tool { program: "ip", package: "iproute2" },
    Tool { program: "python3", package: "python3-venv" },
];

/// Installs what is missing of `tools`; touches nothing when all are there.
///
/// # Errors
/// When something is missing and this user may not install it: the message is the command to run.
pub(crate) fn install(tools: &[Tool]) -> Result<()> {
    let packages: Vec<&str> = tools.iter().filter(|tool| !is_there(tool.program)).map(|tool| tool.package).collect();
    if packages.is_empty() {
        println!("every outside program is there");
        return Ok(());
    }
    let wanted = packages.join(" ");
    if !is_there("apt-get") {
        bail!("some outside programs are missing and there is no apt-get: install {wanted} (Debian's names)");
    }
    if !rustix::process::geteuid().is_root() {
        bail!("some outside programs are missing, run: sudo apt-get install --no-install-recommends {wanted}");
    }
    println!("installing {wanted}");
    apt_get(&["update"])?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"], &packages[..]].concat())?;
    for tool in tools {
        ensure!(is_there(tool.program), "package {} did not bring {}", tool.package, tool.program);
    }
    Ok(())
}

/// Builds `tool` into the target folder unless that version is there already, which cargo knows without a network.
///
/// # Errors
/// When it does not build; cargo has said why.
pub(crate) fn cargo_install(target: &Path, tool: &CrateTool) -> Result<()> {
    let release = format!("{}@{}", tool.package, tool.version);
    if !tool.path(target).exists() {
        println!("building {release}, which takes minutes");
    }
    let mut command = workspace::cargo(&["install", "--locked", "--quiet", &release]);
    let status = command.arg("--root").arg(target.join(CRATE_TOOLS)).args(tool.options).status();
    ensure!(status.context("failed to run cargo")?.success(), "cargo install {release} failed: see above");
    Ok(())
}

fn is_there(program: &str) -> bool {
    testkit::program::find(program).is_some()
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.arg("--quiet=2").args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    let status = command.status().context("failed to run apt-get")?;
    ensure!(status.success(), "apt-get {} failed: {status}", arguments.join(" "));
    Ok(())
}
