//! `offsite key`: the access keys that clients sign their requests with. A running server sees changes at once.

use anyhow::anyhow;
use clap::{Args, Subcommand};
use model::{Clock, SystemClock};
use serde_json::json;

use super::Format;
use crate::app::App;
use crate::config::{AccessKey, Cloud, Identities};
use crate::exit::{Outcome, hinted};
use crate::output::{Stdout, Table, print_json};

/// The `offsite key` commands.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make an access key and print what a client needs in its environment.
    Create {
        /// The account, by id or name.
        account: String,
        /// Whose clients it is for.
        #[arg(long, value_enum, default_value = "aws")]
        cloud: Cloud,
    },
    /// List access keys, without their secrets.
    Ls {
        #[command(flatten)]
        format: Format,
    },
    /// Print what a client needs in its environment to use a key.
    Show(KeyArgs),
    /// Refuse requests that are signed with a key.
    Disable(KeyArgs),
    /// Accept requests that are signed with a disabled key again.
    Enable(KeyArgs),
    /// Forget a key.
    Rm(KeyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// The key's id, as `offsite key ls` shows it.
    #[arg(value_name = "KEY")]
    id: String,
}

pub(super) fn run(app: &App, command: KeyCommand) -> anyhow::Result<Outcome> {
    match command {
        KeyCommand::Create { account, cloud } => {
            let key = AccessKey::generate(cloud, SystemClock.now());
            let made = key.clone();
            Identities::edit(&app.config.identities_file, |identities| {
                identities.keys_of_mut(&account)?.push(made);
                Ok(())
            })?;
            print_environment(&key)?;
        }
        KeyCommand::Ls { format } => list(app, format)?,
        KeyCommand::Show(key) => {
            let found = app.config.identities.keys().find(|(_, known)| known.id == key.id);
            print_environment(found.ok_or_else(|| unknown(&key.id))?.1)?;
        }
        KeyCommand::Disable(key) => edit(app, &key.id, |keys, at| keys[at].disabled = true)?,
        KeyCommand::Enable(key) => edit(app, &key.id, |keys, at| keys[at].disabled = false)?,
        KeyCommand::Rm(key) => edit(app, &key.id, |keys, at| drop(keys.remove(at)))?,
    }
    Ok(Outcome::Done)
}

fn edit(app: &App, id: &str, edit: impl FnOnce(&mut Vec<AccessKey>, usize)) -> anyhow::Result<()> {
    Identities::edit(&app.config.identities_file, |identities| {
        let (account, _) = identities.keys().find(|(_, key)| key.id == id).ok_or_else(|| unknown(id))?;
        let account = account.id.to_string();
        let keys = identities.keys_of_mut(&account)?;
        let at = keys.iter().position(|key| key.id == id).ok_or_else(|| unknown(id))?;
        edit(keys, at);
        Ok(())
    })?;
    Ok(())
}

fn unknown(id: &str) -> anyhow::Error {
    hinted(anyhow!("there is no access key {id}"), "`offsite key ls` shows those there are")
}

fn print_environment(key: &AccessKey) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = Stdout::open()?;
    out.write_all(key.environment().as_bytes())?;
    Ok(out.flush()?)
}

fn list(app: &App, format: Format) -> anyhow::Result<()> {
    let keys = app.config.identities.keys();
    if format.json {
        let view = keys.map(|(account, key)| {
            json!({
                "id": key.id,
                "account": account.id,
                "cloud": key.cloud,
                "created_at": key.created_at,
                "disabled": key.disabled,
            })
        });
        return print_json(&view.collect::<Vec<_>>());
    }
    let mut table = Table::new(&["KEY", "ACCOUNT", "CLOUD", "CREATED", "STATE"]);
    for (account, key) in keys {
        let state = if key.disabled { "DISABLED" } else { "ENABLED" };
        let cells = [key.id.as_str(), account.id.as_str(), key.cloud.as_str(), &key.created_at.to_string(), state];
        table.push(cells.map(str::to_owned));
    }
    Ok(table.print()?)
}
