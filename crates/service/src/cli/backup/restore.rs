//! `offsite backup restore`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use engine::restore::{self, RestoreReport, RestoreRequest};
use engine::{EngineError, RegionContext};
use model::{ByteSize, RelPath};
use serde_json::json;

use crate::app::App;
use crate::cli::Format;
use crate::cli::arguments::{BackupName, path_parser};
use crate::exit::{Outcome, after_printing};
use crate::output::{counted, print_json, say_omissions};
use crate::progress::rate;

/// Arguments of `offsite backup restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup to restore, or a resource, for its latest one.
    #[arg(value_name = "BACKUP")]
    name: BackupName,
    /// The directory to restore to; for a disk, the image file or block device.
    target: PathBuf,
    /// Restore only this file or directory of the backup; may be given several times. Directories above it are made where there
    /// are none, and left as they are where they are.
    #[arg(long = "path", value_name = "SUBPATH", value_parser = path_parser())]
    paths: Vec<RelPath>,
    /// Replace what is in the way at the target, each file once its successor is whole: that needs room for the largest.
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(app: &App, args: RestoreArgs) -> anyhow::Result<Outcome> {
    let (ctx, row) = app.find_backup(&args.name).await?.open().await?;
    let request = RestoreRequest {
        account: app.account.clone(),
        backup: row.id.clone(),
        target: std::path::absolute(args.target)?,
        paths: args.paths,
        overwrite: args.overwrite,
    };
    let started = Instant::now();
    let report = restore(app, &ctx, request).await?;
    let took = started.elapsed();
    let RestoreReport { entries, bytes, omissions } = &report;
    let printed = match args.format.json {
        true => print_json(
            &json!({ "backup": row.id, "region": ctx.region, "entries": entries, "bytes": bytes, "omissions": omissions }),
        ),
        false => Ok(()),
    };
    app.note(format_args!(
        "restored {}, {} in {:.1} s, {}/s, of {} in {}",
        counted(report.entries, "item"),
        ByteSize(report.bytes),
        took.as_secs_f64(),
        ByteSize(rate(report.bytes, took)),
        row.id,
        ctx.region
    ));
    after_printing(printed, Ok(say_omissions(&report.omissions, "--json has them all")))
}

/// Restores one backup and shows the progress.
pub(in crate::cli) async fn restore(
    app: &App,
    ctx: &RegionContext,
    request: RestoreRequest,
) -> Result<RestoreReport, EngineError> {
    app.watch(|progress| restore::restore(ctx, request, progress)).await
}
