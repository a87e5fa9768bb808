//! `cargo xtask bench --api`: requests a second and their times, beside moto's server in the same run.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use super::kind::CandidateKind;
use crate::{python, tools, workspace};

/// Both servers, and the client that asks them before wrk does.
const PACKAGES: [&str; 2] = ["boto3==1.44.5", "moto[server]==5.2.5"];

/// Runs the measurement, which is written in the language of its clients. Samples also go to `json`.
pub(super) fn run(target: &Path, json: Option<&Path>) -> Result<ExitCode> {
    tools::install(&tools::FOR_API_BENCH)?;
    let python = python::environment(target, "venv-bench", &PACKAGES)?;
    let folder = workspace::root().join("crates/service/tests/clients");
    let mut command = Command::new(python);
    command.arg("bench_api.py").args(json.map(std::path::absolute).transpose()?);
    command
        .current_dir(folder)
        .env("OFFSITE", CandidateKind::Offsite.program(target))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let status = command.status().context("failed to run Python")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
