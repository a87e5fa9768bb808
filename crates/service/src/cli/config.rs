//! `offsite config`: what can be set, and whether what is set holds.

use clap::Subcommand;

use crate::app::App;
use crate::config::reference;
use crate::exit::Outcome;
use crate::output::{counted, print_line, say};

/// The `offsite config` commands.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check offsite.toml, the identities and the policies as a server does before it starts; nothing is opened.
    Check,
    /// Print what can be set, as Markdown.
    Reference,
}

pub(super) fn run(load: impl FnOnce() -> anyhow::Result<App>, command: &ConfigCommand) -> anyhow::Result<Outcome> {
    match command {
        ConfigCommand::Check => {
            let app = load()?;
            let config = &app.config;
            let policies = config.policies.load()?;
            let warnings = config.warnings();
            policies.warnings().iter().chain(&warnings).for_each(|warning| say(format_args!("warning: {warning}")));
            let regions = counted(config.regions.len() as u64, "region");
            let accounts = counted(config.identities.accounts().len() as u64, "account");
            app.note(format_args!("{regions} and {accounts} are valid"));
        }
        ConfigCommand::Reference => print_line(reference::page().trim_end())?,
    }
    Ok(Outcome::Done)
}
