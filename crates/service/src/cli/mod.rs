//! The command line: one file per command family.
//!
//! A command parses its arguments, finds its region, calls the engine and presents what comes back.
//! Ids and reports go to standard output, everything else to standard error.

mod account;
mod arguments;
mod backup;
mod completions;
mod config;
mod copy;
mod demo;
mod event;
mod gc;
mod init;
mod key;
mod kms;
mod policy;
mod rebuild;
mod region;
mod resource;
mod verify;

use std::path::{Path, PathBuf};

pub(crate) use arguments::BackupName;
pub(crate) use init::{CLIENT_FILE, init};

use clap::{Args, Parser, Subcommand};

use crate::app::App;
use crate::config::CONFIG_FILE;
use crate::exit::Outcome;
use crate::serve::ServeArgs;

/// Cross-region backup copies, on storage you run.
///
/// Takes backups of directory trees, disk images and HSM token stores into per-region stores, copies
/// them to other regions, proves the copies, and restores them.
///
/// Exit status: 0 done, 1 failed, 2 wrong usage, 3 done with a list of what was left out, 130 interrupted,
/// 143 terminated.
#[derive(Debug, Parser)]
#[command(name = "offsite", version, max_term_width = 100, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The configuration file [default: offsite.toml].
    #[arg(long, global = true, help_heading = "Global options", env = "OFFSITE_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print no progress and no notes, only results and errors.
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// The account to act for, by id or name [default: the first in the identities file].
    #[arg(long, global = true, help_heading = "Global options", value_name = "ID|NAME")]
    pub(crate) account: Option<String>,
}

impl Global {
    /// The configuration file.
    pub(crate) fn config(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(CONFIG_FILE))
    }
}

/// Whether a report is for people or for programs.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Format {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a configuration, identities, and a directory with store, catalog and keys for each region.
    Init(init::InitArgs),
    /// List the regions, and make another.
    #[command(subcommand)]
    Region(region::RegionCommand),
    /// Register what is to be backed up.
    #[command(subcommand)]
    Resource(resource::ResourceCommand),
    /// Make, list, inspect, verify, restore and remove backups.
    #[command(subcommand)]
    Backup(backup::BackupCommand),
    /// Copy a backup to other regions: only what each of them lacks. Prints the ids of the copies.
    Copy(copy::CopyArgs),
    /// Check every backup of a region, of all accounts unless --account names one, and mend it from another region.
    Verify(verify::VerifyArgs),
    /// Remove the packs that no backup has named for a while.
    Gc(gc::GcArgs),
    /// Make a new catalog from the store alone.
    Rebuild(rebuild::RebuildArgs),
    /// List, make, disable, enable and rotate the keys that protect backups.
    #[command(subcommand)]
    Kms(kms::KmsCommand),
    /// Answer the cloud APIs, and do in the background what they ask for.
    Serve(ServeArgs),
    /// Make and list the accounts that own resources and backups.
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Make, list, disable and remove the access keys that clients of the APIs sign with.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// List what was done: by the command line, by callers of the APIs, and by itself.
    #[command(subcommand)]
    Event(event::EventCommand),
    /// Check the configuration, and print what can be set.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Check and explain the policies that decide what access keys may do.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Show the whole story in a scratch place: back up, copy, lose a region, restore, compare.
    Demo(demo::DemoArgs),
    /// Print a script that completes offsite's commands in a shell.
    Completions(completions::CompletionsArgs),
    /// Write a manual page for each command.
    Man(completions::ManArgs),
}

impl Cli {
    /// Whether the command ends by itself, and well, when a signal asks it to.
    pub(crate) fn handles_signals(&self) -> bool {
        matches!(self.command, Command::Serve(_))
    }

    /// What the same command does after a signal has ended it, as the end of a sentence; nothing where that is plain.
    pub(crate) fn when_run_again(&self) -> &'static str {
        use backup::BackupCommand as Backup;
        match self.command {
            Command::Copy(_)
            | Command::Init(_)
            | Command::Gc(_)
            | Command::Backup(Backup::Create(_) | Backup::Rm { .. }) => {
                "; run the same command again to go on from here"
            }
            Command::Backup(Backup::Restore(_)) => "; the same command begins again in its place",
            Command::Rebuild(_) => "; run it again before anything else",
            _ => "",
        }
    }

    /// Runs the command.
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
        let load = || App::load(&self.global);
        match self.command {
            Command::Init(args) => init::run(&args, self.global.quiet).await,
            Command::Region(command) => region::run(&self.global, command).await,
            Command::Resource(command) => resource::run(&load()?, command).await,
            Command::Backup(command) => backup::run(&load()?, command).await,
            Command::Copy(args) => copy::run(&load()?, args).await,
            Command::Verify(args) => verify::run(&load()?, &args).await,
            Command::Gc(args) => gc::run(&load()?, &args).await,
            Command::Rebuild(args) => rebuild::run(&load()?, &args).await,
            Command::Kms(command) => kms::run(&load()?, command).await,
            Command::Serve(args) => crate::serve::run(&self.global, args).await,
            Command::Account(command) => account::run(&load()?, command),
            Command::Key(command) => key::run(&load()?, command),
            Command::Event(command) => event::run(&load()?, command).await,
            Command::Config(command) => config::run(load, &command),
            Command::Policy(command) => policy::run(load, command).await,
            Command::Demo(args) => demo::run(args, self.global.quiet).await,
            Command::Completions(args) => completions::run(&args),
            Command::Man(args) => completions::run_man(&args),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn an_interrupted_command_promises_no_more_than_it_keeps() {
        let id = "backup-0123456789abcdef0";
        for (command, promise) in [
            (&["copy", id, "--to", "us-west-2"][..], "go on from here"),
            (&["backup", "create", "fs-0123456789abcdef0"], "go on from here"),
            (&["backup", "restore", id, "target"], "begins again"),
            (&["verify", "--region", "us-west-2"], ""),
            (&["backup", "ls"], ""),
        ] {
            let cli = super::Cli::parse_from([&["offsite"], command].concat());
            let said = cli.when_run_again();
            assert!(said.contains(promise) && said.is_empty() == promise.is_empty(), "{command:?}: {said}");
        }
    }
}
