//! `offsite event`: what was done in a region, by whom, and what came of it.

use clap::{Args, Subcommand};
use model::Region;
use serde_json::json;

use super::Format;
use crate::app::App;
use crate::exit::Outcome;
use crate::output::{JsonArray, Table, printable};

/// Commands of `offsite event`.
#[derive(Debug, Subcommand)]
pub(crate) enum EventCommand {
    /// List what was done in a region, newest first.
    Ls(ListArgs),
}

/// Arguments of `offsite event ls`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The region.
    #[arg(long)]
    region: Region,
    /// How many to list at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(app: &App, command: EventCommand) -> anyhow::Result<Outcome> {
    let EventCommand::Ls(args) = command;
    let ctx = app.open(&args.region).await?;
    let events = ctx.catalog.list_events(args.limit).await?;
    if args.format.json {
        let mut array = JsonArray::open()?;
        for event in &events {
            array.push(&json!({
                "id": event.id,
                "at": event.at,
                "account": event.account,
                "action": event.action,
                "subject": event.subject,
                "detail": event.detail,
            }))?;
        }
        array.finish()?;
        return Ok(Outcome::Done);
    }
    let mut table = Table::new(&["TIME", "ACCOUNT", "ACTION", "SUBJECT", "DETAIL"]);
    for event in events {
        let told = [event.action, event.subject, event.detail].map(|text| printable(text.as_bytes()));
        table.push([event.at.to_string(), event.account.to_string()].into_iter().chain(told));
    }
    table.print()?;
    Ok(Outcome::Done)
}
