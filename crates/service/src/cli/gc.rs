//! `offsite gc`: removes the packs that no backup has named for longer than the grace.

use std::time::Duration;

use clap::Args;
use engine::gc::{GcOptions, GcReport, collect};
use model::{ByteSize, Region};
use serde_json::json;

use super::Format;
use crate::app::App;
use crate::config::parse_duration;
use crate::exit::Outcome;
use crate::output::{counted, print_json, print_line};

/// Arguments of `offsite gc`.
#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// The region to clean.
    #[arg(long)]
    region: Region,
    /// Only say what would be removed.
    #[arg(long)]
    dry_run: bool,
    /// How long a pack must have been without a backup: seconds, or 90s, 15m, 24h, 7d
    /// [default: gc_grace of the configuration].
    #[arg(long, value_parser = parse_duration)]
    grace: Option<Duration>,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(app: &App, args: &GcArgs) -> anyhow::Result<Outcome> {
    let ctx = app.open(&args.region).await?;
    let grace = args.grace.unwrap_or(app.config.gc_grace);
    let report = collect(&ctx, GcOptions { grace, dry_run: args.dry_run }).await?;
    if args.format.json {
        print_json(&to_json(&args.region, args.dry_run, &report))?;
    } else {
        print_line(sentence(&args.region, args.dry_run, &report))?;
    }
    Ok(Outcome::Done)
}

fn to_json(region: &Region, dry_run: bool, report: &GcReport) -> serde_json::Value {
    json!({
        "region": region,
        "dry_run": dry_run,
        "packs_deleted": report.packs_deleted,
        "bytes_deleted": report.bytes_deleted,
        "packs_doomed": report.packs_doomed,
        "backups_finished": report.backups_finished,
    })
}

fn sentence(region: &Region, dry_run: bool, report: &GcReport) -> String {
    let verb = if dry_run { "would remove" } else { "removed" };
    format!(
        "{region}: {verb} {} ({}); {} in their grace; {} finished",
        counted(report.packs_deleted, "pack"),
        ByteSize(report.bytes_deleted),
        counted(report.packs_doomed, "pack"),
        counted(report.backups_finished, "interrupted removal"),
    )
}
