//! `offsite verify`: checks every backup of a region, whosever it is, and mends it with good packs from another one.

use clap::Args;
use engine::verify::{Fault, RegionVerifyReport, VerifyReport, verify_region};
use model::{AccountId, BackupId, ByteSize, Region};
use serde_json::{Value, json};

use super::Format;
use super::arguments::DepthArgs;
use crate::app::App;
use crate::exit::{Outcome, after_printing, hinted};
use crate::output::{counted, print_json, print_line};

/// More names than this say less, not more; `--json` has them all.
const FILES_SHOWN_MAX: usize = 20;

/// Arguments of `offsite verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The region to verify.
    #[arg(long)]
    region: Region,
    #[command(flatten)]
    depth: DepthArgs,
    /// Fetch packs that are missing or damaged from this region.
    #[arg(long, value_name = "REGION")]
    repair_from: Option<Region>,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(app: &App, args: &VerifyArgs) -> anyhow::Result<Outcome> {
    let ctx = app.open(&args.region).await?;
    let other = match &args.repair_from {
        Some(region) => Some(app.open(region).await?),
        None => None,
    };
    let (accounts, scope) = (app.accounts_in(&ctx).await?, args.depth.scope());
    let report = app.watch(|progress| verify_region(&ctx, &accounts, scope, other.as_ref(), progress)).await?;
    let printed = match args.format.json {
        true => print_json(&region_json(&args.region, &report)),
        false => print_region(&args.region, &report, accounts.len() > 1).map_err(Into::into),
    };
    after_printing(printed, judge(&args.region, &report))
}

fn judge(region: &Region, report: &RegionVerifyReport) -> anyhow::Result<Outcome> {
    let damaged = report.backups.iter().filter(|(.., report)| !report.faults.is_empty()).count();
    if damaged == 0 {
        return Ok(Outcome::Done);
    }
    let all = counted(report.backups.len() as u64, "backup");
    Err(hinted(anyhow::anyhow!("{damaged} of {all} in {region} are damaged"), repair_hint(region)))
}

/// What to do about damage in `region`.
pub(super) fn repair_hint(region: &Region) -> String {
    format!("mend it from another region with `offsite verify --region {region} --repair-from <region>`")
}

fn print_region(region: &Region, report: &RegionVerifyReport, names_accounts: bool) -> std::io::Result<()> {
    let mut shown = None;
    for (account, backup, report) in &report.backups {
        if names_accounts && shown.replace(account) != Some(account) {
            print_line(format_args!("of account {account}:"))?;
        }
        print_backup(region, backup, report)?;
    }
    if !report.repaired.is_empty() {
        print_line(format_args!("{region}: {} mended", counted(report.repaired.len() as u64, "pack")))?;
    }
    print_line(format_args!("{region}: {} verified", counted(report.backups.len() as u64, "backup")))
}

/// Prints what verifying one backup found.
pub(super) fn print_backup(region: &Region, backup: &BackupId, report: &VerifyReport) -> std::io::Result<()> {
    let (packs, bytes, chunks) =
        (counted(report.packs, "pack"), ByteSize(report.bytes), counted(report.chunks, "chunk"));
    let found = match report.faults.len() as u64 {
        0 => "all good".to_owned(),
        faults => counted(faults, "fault"),
    };
    let opened = if report.chunks == 0 { String::new() } else { format!(", {chunks} opened") };
    let not_read = match report.packs_not_read {
        0 => String::new(),
        count => format!(", {count} of them not read"),
    };
    print_line(format_args!("{backup} in {region}: {packs}, {bytes}{not_read}{opened}: {found}"))?;
    report.faults.iter().try_for_each(print_fault)
}

fn print_fault(fault: &Fault) -> std::io::Result<()> {
    let pack = fault.pack.map(|pack| format!("pack {pack}, ")).unwrap_or_default();
    print_line(format_args!("  {pack}{}: {}", fault.object, fault.cause))?;
    for file in fault.files.iter().take(FILES_SHOWN_MAX) {
        print_line(format_args!("    needed by {file}"))?;
    }
    match fault.files.len().checked_sub(FILES_SHOWN_MAX) {
        Some(rest @ 1..) => print_line(format_args!("    and {rest} more: see --json")),
        _ => Ok(()),
    }
}

fn region_json(region: &Region, report: &RegionVerifyReport) -> Value {
    let backup = |(account, id, report): &(AccountId, BackupId, VerifyReport)| {
        let mut backup = backup_json(region, id, report);
        backup["account"] = json!(account);
        backup
    };
    let backups: Vec<Value> = report.backups.iter().map(backup).collect();
    json!({ "region": region, "backups": backups, "repaired": report.repaired })
}

/// What verifying one backup found, as JSON.
pub(super) fn backup_json(region: &Region, backup: &BackupId, report: &VerifyReport) -> Value {
    let fault = |fault: &Fault| json!({ "pack": fault.pack, "object": fault.object, "cause": fault.cause, "files": fault.files });
    json!({
        "backup": backup,
        "region": region,
        "packs": report.packs,
        "packs_not_read": report.packs_not_read,
        "bytes": report.bytes,
        "chunks": report.chunks,
        "faults": report.faults.iter().map(fault).collect::<Vec<_>>(),
    })
}
