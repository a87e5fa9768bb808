//! `offsite completions` and `offsite man`: what shells and `man` read, generated from the command line itself.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};

use super::Cli;
use crate::exit::Outcome;
use crate::output::Stdout;

/// Arguments of `offsite completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell to print the script for.
    shell: clap_complete::Shell,
}

/// Arguments of `offsite man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Where to write the pages; made if it does not exist.
    dir: PathBuf,
}

pub(super) fn run(args: &CompletionsArgs) -> anyhow::Result<Outcome> {
    // Into memory first: the generator panics when its output is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "offsite", &mut script);
    let mut out = Stdout::open()?;
    out.write_all(&script)?;
    out.flush()?;
    Ok(Outcome::Done)
}

pub(super) fn run_man(args: &ManArgs) -> anyhow::Result<Outcome> {
    let failed = || format!("failed to write manual pages to {}", args.dir.display());
    std::fs::create_dir_all(&args.dir).with_context(failed)?;
    clap_mangen::generate_to(Cli::command(), &args.dir).with_context(failed)?;
    Ok(Outcome::Done)
}
