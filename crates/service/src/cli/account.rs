//! `offsite account`: who may use the regions.

use clap::Subcommand;
use model::{Clock, SystemClock};
use serde_json::json;

use super::Format;
use crate::app::App;
use crate::config::{Account, Identities};
use crate::exit::Outcome;
use crate::output::{Table, print_json, print_line, printable};

/// The `offsite account` commands.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Make an account with an access key for each cloud, and print its id.
    Create {
        /// What people call it.
        name: String,
    },
    /// List accounts.
    Ls {
        #[command(flatten)]
        format: Format,
    },
}

pub(super) fn run(app: &App, command: AccountCommand) -> anyhow::Result<Outcome> {
    match command {
        AccountCommand::Create { name } => {
            let account = Account::generate(&name, SystemClock.now());
            let id = account.id.clone();
            Identities::edit(&app.config.identities_file, |identities| {
                identities.add(account);
                Ok(())
            })?;
            app.note(format_args!("`offsite key ls` shows its keys, `offsite key show KEY` a secret"));
            print_line(id)?;
        }
        AccountCommand::Ls { format } => list(app, format)?,
    }
    Ok(Outcome::Done)
}

fn list(app: &App, format: Format) -> anyhow::Result<()> {
    let accounts = app.config.identities.accounts();
    if format.json {
        let view = |account: &Account| json!({"id": account.id, "name": account.name, "keys": account.keys.len(), "limits": account.limits});
        return print_json(&accounts.iter().map(view).collect::<Vec<_>>());
    }
    let mut table = Table::new(&["ACCOUNT", "NAME", "KEYS"]);
    for account in accounts {
        table.push([account.id.to_string(), printable(account.name.as_bytes()), account.keys.len().to_string()]);
    }
    Ok(table.print()?)
}
