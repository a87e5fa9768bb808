//! `offsite backup ls`.
//!
//! Rows are printed page by page as they come, so a region with a million backups needs no more memory
//! than one with ten; the columns have fixed widths for that.

use std::io::Write;

use catalog::{BackupFilter, BackupRow, Catalog};
use clap::Args;
use engine::EngineError;
use model::{BackupState, ByteSize, Region, ResourceId};

use super::view::BackupView;
use crate::app::App;
use crate::cli::Format;
use crate::exit::Outcome;
use crate::output::{JsonArray, Stdout, aligned, printable};

/// Rows read from the catalog at a time.
const PAGE: u32 = 1000;

/// Of every column but the last: the longest that ids, region names, states and times usually get.
const WIDTHS: [usize; 7] = [24, 13, 9, 24, 10, 20, 0];
const TITLES: [&str; 7] = ["BACKUP", "REGION", "STATE", "CREATED", "SIZE", "RESOURCE", "NAME"];

/// Arguments of `offsite backup ls`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only those in this region.
    #[arg(long)]
    region: Option<Region>,
    /// Only those of this resource.
    #[arg(long, value_name = "ID")]
    resource: Option<ResourceId>,
    /// Also those that failed and those that are being removed.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(app: &App, args: &ListArgs) -> anyhow::Result<Outcome> {
    let (catalogs, skipped) = app.catalogs(args.region.as_ref()).await?;
    let mut printer = Printer::open(args.format)?;
    for (settings, catalog) in &catalogs {
        list_region(app, args, &settings.region, catalog, &mut printer).await?;
    }
    printer.finish()?;
    Ok(Outcome::of_left_out(skipped > 0))
}

async fn list_region(
    app: &App,
    args: &ListArgs,
    region: &Region,
    catalog: &Catalog,
    printer: &mut Printer,
) -> anyhow::Result<()> {
    let mut filter =
        BackupFilter { resources: args.resource.iter().cloned().collect(), limit: PAGE, ..BackupFilter::default() };
    loop {
        let rows = catalog.list_backups(&app.account, &filter).await.map_err(EngineError::from)?;
        let Some(last) = rows.last() else { return Ok(()) };
        filter.after = Some((last.created_at, last.id.clone()));
        for row in rows.iter().filter(|row| args.all || is_shown(row.state)) {
            printer.push(region, row)?;
        }
    }
}

fn is_shown(state: BackupState) -> bool {
    !matches!(state, BackupState::Failed | BackupState::Deleting)
}

enum Printer {
    Json(JsonArray),
    Lines(Stdout),
}

impl Printer {
    fn open(format: Format) -> std::io::Result<Self> {
        if format.json {
            return Ok(Self::Json(JsonArray::open()?));
        }
        let mut out = Stdout::open()?;
        writeln!(out, "{}", aligned(&TITLES.map(str::to_owned), &WIDTHS))?;
        Ok(Self::Lines(out))
    }

    fn push(&mut self, region: &Region, row: &BackupRow) -> anyhow::Result<()> {
        match self {
            Self::Json(array) => array.push(&BackupView::new(region, row)),
            Self::Lines(out) => Ok(writeln!(out, "{}", aligned(&cells(region, row), &WIDTHS))?),
        }
    }

    fn finish(self) -> std::io::Result<()> {
        match self {
            Self::Json(array) => array.finish(),
            Self::Lines(mut out) => out.flush(),
        }
    }
}

fn cells(region: &Region, row: &BackupRow) -> [String; 7] {
    [
        row.id.to_string(),
        region.to_string(),
        row.state.to_string(),
        row.created_at.to_string(),
        ByteSize(row.size_bytes).to_string(),
        row.resource_id.to_string(),
        printable(row.resource_name.as_deref().unwrap_or_default().as_bytes()),
    ]
}
