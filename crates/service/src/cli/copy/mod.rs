//! `offsite copy`: copies a backup, or all that are missing, to other regions, or says what that would move.

mod missing;

use std::collections::HashSet;
use std::sync::Arc;

use catalog::{BackupRow, Terms};
use clap::Args;
use engine::backups::latest_of;
use engine::copy::{CopyPlanSummary, CopyReport, CopyRequest, accept_copy, copy_backup, plan};
use engine::{Acceptance, EngineError, RegionContext};
use model::{BackupId, ByteSize, KmsKeyId, Region, ResourceId};
use serde_json::{Value, json};

use super::Format;
use super::arguments::{BackupName, TagArgs};
use super::backup::BackupView;
use crate::app::App;
use crate::config::parse_rate;
use crate::exit::{Outcome, after_printing, print_error};
use crate::output::{Table, counted, grouped, print_json, print_line};

/// Arguments of `offsite copy`.
#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// The backup to copy, or a resource, for its latest one.
    #[arg(value_name = "BACKUP", required_unless_present = "missing")]
    name: Option<BackupName>,
    /// A region to copy it to; may be given several times, and the source is read once for all.
    #[arg(long = "to", value_name = "REGION", required = true)]
    targets: Vec<Region>,
    /// Copy every backup of --from that a target has no copy of, oldest first; run again, it copies what has come since.
    #[arg(long, requires = "from", conflicts_with = "name")]
    missing: bool,
    /// With --missing: the region whose backups are copied. Those that it has from a target itself are left there.
    #[arg(long, value_name = "REGION", requires = "missing", conflicts_with = "name")]
    from: Option<Region>,
    /// With --missing: only the backups of this resource.
    #[arg(long, value_name = "ID", requires = "missing", conflicts_with = "name")]
    resource: Option<ResourceId>,
    /// The target's KMS key that protects the copy [default: the target region's].
    #[arg(long, value_name = "KEY")]
    kms_key: Option<KmsKeyId>,
    /// Give the copy the tags of the backup, too; those of --tag win.
    #[arg(long)]
    copy_tags: bool,
    #[command(flatten)]
    tags: TagArgs,
    /// Encrypt what a target lacks anew, under a data key that is made there; what it holds stays as it is.
    #[arg(long)]
    reencrypt: bool,
    /// Read no more than this from the source, e.g. 50MB/s.
    #[arg(long, value_name = "SIZE/s", value_parser = parse_rate)]
    bandwidth: Option<ByteSize>,
    /// Only say what would be moved, to the byte.
    #[arg(long)]
    dry_run: bool,
    /// Print the ids at once, and leave the work to running servers (`offsite serve`).
    #[arg(long, conflicts_with_all = ["json", "dry_run"])]
    detach: bool,
    #[command(flatten)]
    format: Format,
}

/// How each target fared, in the order in which they were named.
type Results = Vec<(Region, anyhow::Result<CopyReport>)>;

impl CopyArgs {
    /// The request for a copy of a backup.
    fn request(&self, app: &App, backup: BackupId) -> Result<CopyRequest, clap::Error> {
        Ok(CopyRequest {
            kms_key: self.kms_key.clone(),
            tags: self.tags.clone().into_tags()?,
            copy_tags: self.copy_tags,
            reencrypt: self.reencrypt,
            bandwidth: self.bandwidth,
            ..CopyRequest::of(app.account.clone(), backup)
        })
    }

    /// The regions to copy to, each once.
    fn targets(&self) -> Vec<Region> {
        let mut seen = HashSet::new();
        self.targets.iter().filter(|region| seen.insert(*region)).cloned().collect()
    }
}

pub(super) async fn run(app: &App, args: CopyArgs) -> anyhow::Result<Outcome> {
    match (&args.from, &args.name) {
        (Some(from), _) => missing::run(app, &args, from).await,
        (None, Some(name)) => copy_one(app, &args, name).await,
        (None, None) => unreachable!("the command line has either"),
    }
}

async fn copy_one(app: &App, args: &CopyArgs, name: &BackupName) -> anyhow::Result<Outcome> {
    let regions = args.targets();
    let found = app.find_backup(name).await?;
    let request = args.request(app, found.row.id.clone())?;
    let (source, row) = found.open().await?;
    let source = Arc::new(source);
    let (mut targets, mut results) = open_targets(app, &source, &regions).await;
    if let BackupName::LatestOf(resource) = name {
        targets = lacking(app, targets, resource, &row).await?;
    }
    if args.dry_run {
        let targets: Vec<&RegionContext> = targets.iter().map(Arc::as_ref).collect();
        let printed = present_plan(&plan(&source, &targets, &request).await?, args.format);
        return after_printing(printed, Ok(succeeded(app, results).1));
    }
    if args.detach {
        let mut printed = Ok(());
        for target in &targets {
            let accepted = accept_copy(&source, target, &app.worker(), &request, &Terms::default()).await?;
            if let Acceptance::New(job) = accepted {
                // The others are to be copied to also where nobody reads their ids.
                printed = printed.and(print_line(job.id()));
                job.leave().await?;
            }
        }
        return after_printing(printed, Ok(succeeded(app, results).1));
    }
    if !targets.is_empty() {
        let copied = copy(app, &source, &targets, request).await?;
        results.extend(copied.into_iter().map(|(region, result)| (region, result.map_err(Into::into))));
    }
    results.sort_by_key(|(region, _)| regions.iter().position(|named| named == region));
    let (reports, outcome) = succeeded(app, results);
    after_printing(present(&reports, args.format), Ok(outcome))
}

/// Opens each target. One that cannot be opened has failed already, and keeps none of the others.
async fn open_targets(
    app: &App,
    source: &Arc<RegionContext>,
    regions: &[Region],
) -> (Vec<Arc<RegionContext>>, Results) {
    let (mut targets, mut failed) = (Vec::new(), Vec::new());
    for region in regions {
        if *region == source.region {
            targets.push(Arc::clone(source));
            continue;
        }
        match app.open(region).await {
            Ok(target) => targets.push(Arc::new(target)),
            Err(error) => failed.push((region.clone(), Err(error))),
        }
    }
    (targets, failed)
}

/// Those of the targets whose latest backup of a resource has not the contents of `latest`.
async fn lacking(
    app: &App,
    targets: Vec<Arc<RegionContext>>,
    resource: &ResourceId,
    latest: &BackupRow,
) -> anyhow::Result<Vec<Arc<RegionContext>>> {
    let mut lacking = Vec::new();
    for target in targets {
        match latest_of(&target.catalog, &app.account, resource).await? {
            Some(there) if there.snapshot_id == latest.snapshot_id => {
                app.note(format_args!("{} has the latest backup of {resource} already: {}", target.region, there.id));
            }
            _ => lacking.push(target),
        }
    }
    Ok(lacking)
}

/// Copies one backup and shows the progress.
pub(super) async fn copy(
    app: &App,
    source: &Arc<RegionContext>,
    targets: &[Arc<RegionContext>],
    request: CopyRequest,
) -> Result<Vec<(Region, Result<CopyReport, EngineError>)>, EngineError> {
    let worker = app.worker();
    app.watch(|progress| copy_backup(source, targets, &worker, request, progress)).await
}

/// The copies that were made, and how the command ends; says on standard error how each target fared.
fn succeeded(app: &App, results: Results) -> (Vec<(Region, CopyReport)>, Outcome) {
    let mut outcome = Outcome::Done;
    let mut reports = Vec::new();
    for (region, result) in results {
        match result {
            Ok(report) => {
                app.note(format_args!("{region}: {}", sentence(&report)));
                reports.push((region, report));
            }
            Err(error) => {
                print_error(&error.context(format!("the copy to {region} failed")));
                outcome = Outcome::Failed;
            }
        }
    }
    (reports, outcome)
}

fn present(reports: &[(Region, CopyReport)], format: Format) -> anyhow::Result<()> {
    if format.json {
        return print_json(&reports.iter().map(report_json).collect::<Vec<_>>());
    }
    Ok(reports.iter().try_for_each(|(_, report)| print_line(&report.backup.id))?)
}

fn sentence(report: &CopyReport) -> String {
    let moved = (counted(report.packs_moved, "pack"), ByteSize(report.bytes_moved));
    let held = (counted(report.packs_held, "pack"), ByteSize(report.bytes_held));
    format!("{} ({}) moved, {} ({}) there already", moved.0, moved.1, held.0, held.1)
}

fn report_json((region, report): &(Region, CopyReport)) -> Value {
    json!({
        "backup": BackupView::new(region, &report.backup),
        "packs_moved": report.packs_moved,
        "bytes_moved": report.bytes_moved,
        "packs_held": report.packs_held,
        "bytes_held": report.bytes_held,
    })
}

fn present_plan(plans: &[CopyPlanSummary], format: Format) -> anyhow::Result<()> {
    if format.json {
        return print_json(&plans.iter().map(plan_json).collect::<Vec<_>>());
    }
    let mut table = Table::new(&["TARGET", "PACKS TO MOVE", "BYTES TO MOVE", "PACKS HELD", "BYTES HELD"]);
    for plan in plans {
        let numbers = [plan.packs_to_move, plan.bytes_to_move, plan.packs_held, plan.bytes_held];
        table.push([plan.target.to_string()].into_iter().chain(numbers.map(grouped)));
    }
    Ok(table.print()?)
}

fn plan_json(plan: &CopyPlanSummary) -> Value {
    json!({
        "target": plan.target,
        "packs_to_move": plan.packs_to_move,
        "bytes_to_move": plan.bytes_to_move,
        "packs_held": plan.packs_held,
        "bytes_held": plan.bytes_held,
    })
}
