//! `offsite backup rm`.
//!
//! Every id is looked up before the first backup is removed: one that is mistyped removes nothing.

use std::fmt::Display;

use clap::Args;
use engine::RegionContext;
use engine::backups::delete_backup;
use model::BackupId;

use crate::app::App;
use crate::exit::{Outcome, print_error};

/// Arguments of `offsite backup rm`.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The backups to remove; none is, unless all are there.
    #[arg(value_name = "BACKUP", required = true)]
    ids: Vec<BackupId>,
}

pub(super) async fn run(app: &App, args: &RemoveArgs) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::Done;
    for found in app.find_backups(&args.ids).await? {
        let ids: Vec<BackupId> = found.row.iter().map(|row| row.id.clone()).collect();
        let ctx = match found.open().await {
            Ok((ctx, _)) => ctx,
            Err(error) => {
                let ids = ids.iter().map(BackupId::as_str).collect::<Vec<_>>().join(", ");
                outcome = failed(error, &ids);
                continue;
            }
        };
        for id in &ids {
            if let Err(error) = remove(app, &ctx, id).await {
                outcome = failed(error, id);
            }
        }
    }
    Ok(outcome)
}

fn failed(error: anyhow::Error, what: impl Display) -> Outcome {
    print_error(&error.context(format!("{what} could not be removed")));
    Outcome::Failed
}

async fn remove(app: &App, ctx: &RegionContext, id: &BackupId) -> anyhow::Result<()> {
    delete_backup(ctx, &app.account, id, None).await?;
    app.note(format_args!("{id} is removed; `offsite gc --region {}` frees its space", ctx.region));
    Ok(())
}
