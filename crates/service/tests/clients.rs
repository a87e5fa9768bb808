//! The vendors' own clients against a running server: each module of `tests/clients/` is one test here.

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn amazon_fsx() {
    run("test_fsx");
}

#[test]
fn acceptance_list() {
    run("test_contract");
}

#[test]
fn cbs_errors() {
    run("test_cbs_errors");
}

#[test]
fn fsx_errors() {
    run("test_errors");
}

#[test]
fn aws_cloudhsm() {
    run("test_cloudhsm");
}

#[test]
fn softhsm_story() {
    run("test_cloudhsm_story");
}

#[test]
fn operations() {
    run("test_operations");
}

#[test]
fn progress_and_failures() {
    run("test_progress");
}

#[test]
fn tencent_cbs() {
    run("test_cbs");
}

#[test]
fn tencent_cbs_ids() {
    run("test_cbs_ids");
}

#[test]
fn tencent_cbs_policies() {
    run("test_cbs_policies");
}

#[test]
fn clients_for_node() {
    run("test_node");
}

#[test]
fn cedar_policies() {
    run("test_policies");
}

/// Runs the tests of a Python module in the environment that `cargo xtask test` has made.
#[track_caller]
fn run(module: &str) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target folder");
    let python = target.join("venv/bin/python");
    let node = target.join("node/node_modules");
    assert!(python.exists() && node.exists(), "the clients are not installed: run `cargo xtask test` once");
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/clients"].iter().collect();
    let mut command = Command::new(python);
    command.args(["-m", "unittest", "-v", module]).current_dir(folder);
    command.env("OFFSITE", env!("CARGO_BIN_EXE_offsite")).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("NODE_PATH", node);
    let done = command.output().expect("Python runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
