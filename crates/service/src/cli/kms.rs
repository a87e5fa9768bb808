//! `offsite kms`: the keys of a region's key service, which wrap the data keys of backups.

use clap::{Args, Subcommand};
use engine::EngineError;
use model::{KmsKeyId, Region};
use store::KeyState;

use super::Format;
use crate::app::App;
use crate::exit::Outcome;
use crate::output::{Table, print_json, print_line};

/// The `offsite kms` commands.
#[derive(Debug, Subcommand)]
pub(crate) enum KmsCommand {
    /// List a region's keys, oldest first.
    Ls {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        format: Format,
    },
    /// Make a new key and print its id.
    Create {
        #[command(flatten)]
        place: Place,
    },
    /// Make a key unusable: backups under it can be neither read nor copied until it is enabled again.
    Disable {
        #[command(flatten)]
        key: Key,
    },
    /// Make a disabled key usable again.
    Enable {
        #[command(flatten)]
        key: Key,
    },
    /// Give a key new material for what it will protect from now on; what it protected before stays readable.
    Rotate {
        #[command(flatten)]
        key: Key,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The region whose keys they are.
    #[arg(long)]
    region: Region,
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    /// The key's id, as `offsite kms ls` shows it.
    #[arg(value_name = "KEY")]
    id: KmsKeyId,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn run(app: &App, command: KmsCommand) -> anyhow::Result<Outcome> {
    match command {
        KmsCommand::Ls { place, format } => list(app, &place.region, format).await?,
        KmsCommand::Create { place } => {
            let keys = app.open(&place.region).await?.keys;
            print_line(keys.create().await.map_err(EngineError::from)?)?;
        }
        KmsCommand::Disable { key } => set_state(app, &key, KeyState::Disabled).await?,
        KmsCommand::Enable { key } => set_state(app, &key, KeyState::Enabled).await?,
        KmsCommand::Rotate { key } => {
            let keys = app.open(&key.place.region).await?.keys;
            keys.rotate(&key.id).await.map_err(EngineError::from)?;
            app.note(format_args!("{} has new material", key.id));
        }
    }
    Ok(Outcome::Done)
}

async fn list(app: &App, region: &Region, format: Format) -> anyhow::Result<()> {
    let keys = app.open(region).await?.keys.list().await.map_err(EngineError::from)?;
    if format.json {
        return print_json(&keys);
    }
    let mut table = Table::new(&["KEY", "STATE", "CREATED", "VERSIONS", "DEFAULT"]);
    for key in keys {
        let state = match key.state {
            KeyState::Enabled => "ENABLED",
            KeyState::Disabled => "DISABLED",
        };
        let default = if key.default { "yes" } else { "" };
        let versions = key.versions.map(|versions| versions.to_string()).unwrap_or_default();
        let cells = [key.id.to_string(), state.into(), key.created_at.to_string(), versions];
        table.push(cells.into_iter().chain([default.into()]));
    }
    Ok(table.print()?)
}

async fn set_state(app: &App, key: &Key, state: KeyState) -> anyhow::Result<()> {
    let keys = app.open(&key.place.region).await?.keys;
    keys.set_state(&key.id, state).await.map_err(EngineError::from)?;
    let word = if state == KeyState::Enabled { "enabled" } else { "disabled" };
    app.note(format_args!("{} is {word}", key.id));
    Ok(())
}
