//! `offsite backup show`.

use clap::Args;
use engine::manifest_view::open_manifest;
use engine::{EngineError, RegionContext};
use model::{AccountId, BackupId, BackupState, Omission};

use super::view::{BackupView, fields};
use crate::app::App;
use crate::cli::Format;
use crate::cli::arguments::BackupName;
use crate::exit::Outcome;
use crate::output::{print_fields, print_json, print_line};

/// Arguments of `offsite backup show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The backup to show, or a resource, for its latest one.
    #[arg(value_name = "BACKUP")]
    name: BackupName,
    /// List everything it left out, and nothing else. (JSON has that always.)
    #[arg(long)]
    omissions: bool,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(app: &App, args: &ShowArgs) -> anyhow::Result<Outcome> {
    let found = app.find_backup(&args.name).await?;
    let region = found.region().clone();
    // The row is all there is to show until there is a manifest, and shows even if the store is gone.
    let has_manifest = found.row.state == BackupState::Available && found.row.omission_count > 0;
    let (row, omissions) = if has_manifest && (args.omissions || args.format.json) {
        let (ctx, row) = found.open().await?;
        let omissions = load_omissions(&ctx, &app.account, &row.id).await?;
        (row, omissions)
    } else {
        (found.row, Vec::new())
    };
    if args.format.json {
        print_json(&BackupView::new(&region, &row).with_omissions(&omissions))?;
    } else if args.omissions {
        omissions.iter().try_for_each(print_line)?;
    } else {
        print_fields(&fields(&region, &row))?;
    }
    Ok(Outcome::Done)
}

async fn load_omissions(ctx: &RegionContext, account: &AccountId, id: &BackupId) -> anyhow::Result<Vec<Omission>> {
    let manifest = open_manifest(ctx, account, id).await?;
    Ok(manifest.omissions().await.map_err(EngineError::from)?)
}
