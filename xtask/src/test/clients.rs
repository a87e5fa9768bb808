//! The vendors' own clients, which the API tests run unmodified: a Python environment in the target folder.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// What is installed, each at the version that the tests were written with.
const PACKAGES: [&str; 4] =
    ["boto3==1.44.5", "awscli==1.46.2", "tencentcloud-sdk-python-cbs==3.1.175", "tccli==3.1.189.1"];

/// Makes `<target>/venv` unless it holds these packages already.
pub(super) fn install(target: &Path) -> Result<()> {
    let (venv, wanted) = (target.join("venv"), PACKAGES.join("\n"));
    let stamp = venv.join("offsite-packages");
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        println!("the clients' Python environment is there");
        return Ok(());
    }
    println!("installing {}", PACKAGES.join(", "));
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let mut pip = Command::new(venv.join("bin/pip"));
    run(pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-compile"]).args(PACKAGES))?;
    fs::write(&stamp, wanted).with_context(|| format!("failed to write {}", stamp.display()))
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("failed to run {command:?}"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}
