//! The `offsite` binary: backups of directory trees and disk images, and copies of them in other regions.
//!
//! `main` sets the process up, hands the command line to [`cli`] and turns what comes back into an
//! exit status. Everything that matters happens in the engine: nothing here decides about bytes.

mod api;
mod app;
mod authorization;
mod cli;
mod config;
#[cfg(feature = "crash-points")]
mod crash;
mod exit;
mod output;
mod progress;
mod serve;

use std::process::ExitCode;

use clap::Parser;

use crate::exit::Outcome;

/// The system's allocator keeps a heap for each thread, and restores take about twice the memory with it.
/// `.cargo/config.toml` has the settings of this one.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    start_log();
    #[cfg(feature = "crash-points")]
    if let Err(error) = crash::install() {
        return exit::report(Err(error));
    }
    raise_file_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(Err(anyhow::Error::new(error).context("failed to start the runtime"))),
    };
    let ended = runtime.block_on(run_until_interrupted(cli));
    // What still runs on other threads is of no use to anyone: a lease that was not given back is
    // recognized as a dead process's.
    runtime.shutdown_background();
    exit::report(ended)
}

async fn run_until_interrupted(cli: cli::Cli) -> anyhow::Result<Outcome> {
    if cli.handles_signals() {
        return cli.run().await;
    }
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let run_again = cli.when_run_again();
    let outcome = tokio::select! {
        ended = cli.run() => return ended,
        _ = interrupt.recv() => Outcome::Interrupted,
        _ = terminate.recv() => Outcome::Terminated,
    };
    output::say(format_args!("interrupted{run_again}"));
    Ok(outcome)
}

fn start_log() {
    let filter = tracing_subscriber::EnvFilter::new(config::environment::log_filter());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// A restore or a copy keeps many files open; the soft limit of many systems, 1024, is for programs
/// that use `select`.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it the work goes on with fewer files, or says which file it could not open.
    let _refused = setrlimit(Resource::Nofile, limit);
}
