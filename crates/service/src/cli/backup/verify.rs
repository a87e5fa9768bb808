//! `offsite backup verify`.

use catalog::BackupRow;
use clap::Args;
use engine::verify::verify_backup;

use crate::app::App;
use crate::cli::Format;
use crate::cli::arguments::{BackupName, DepthArgs};
use crate::cli::verify::{backup_json, print_backup, repair_hint};
use crate::exit::{Outcome, after_printing, hinted};
use crate::output::{counted, print_json};

/// Arguments of `offsite backup verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The backup to verify, or a resource, for its latest one.
    #[arg(value_name = "BACKUP")]
    name: BackupName,
    #[command(flatten)]
    depth: DepthArgs,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(app: &App, args: &VerifyArgs) -> anyhow::Result<Outcome> {
    let (ctx, BackupRow { id, .. }) = app.find_backup(&args.name).await?.open().await?;
    let scope = args.depth.scope();
    let report = app.watch(|progress| verify_backup(&ctx, &app.account, &id, scope, progress)).await?;
    let printed = match args.format.json {
        true => print_json(&backup_json(&ctx.region, &id, &report)),
        false => print_backup(&ctx.region, &id, &report).map_err(Into::into),
    };
    let judged = match report.faults.len() as u64 {
        0 => Ok(Outcome::Done),
        faults => {
            let error = anyhow::anyhow!("backup {id} in {} has {}", ctx.region, counted(faults, "fault"));
            Err(hinted(error, repair_hint(&ctx.region)))
        }
    };
    after_printing(printed, judged)
}
