//! `offsite backup forget`: removes the backups that no rule keeps.

use std::time::Duration;

use clap::{ArgGroup, Args};
use engine::EngineError;
use engine::backups::delete_backup;
use engine::forget::{KeepRules, Period, Reason, candidates, keep_shared, plan};
use model::{BackupId, Region, ResourceId, Timestamp};
use serde::Serialize;

use crate::app::App;
use crate::cli::Format;
use crate::cli::arguments::parse_tag;
use crate::config::{RegionSettings, parse_duration};
use crate::exit::{Outcome, after_printing, hinted, print_error};
use crate::output::{Table, counted, print_json};

/// Arguments of `offsite backup forget`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("keep").required(true).multiple(true).args([
    "keep_last", "keep_hourly", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly", "keep_within", "keep_tags",
]))]
pub(crate) struct ForgetArgs {
    /// Only those in this region.
    #[arg(long)]
    region: Option<Region>,
    /// Only those of this resource.
    #[arg(long, value_name = "ID")]
    resource: Option<ResourceId>,
    /// Keep the newest N of each resource.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    keep_last: Option<u64>,
    /// Keep the newest of each of the last N hours that have one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    keep_hourly: Option<u64>,
    /// Keep the newest of each of the last N days (UTC) that have one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    keep_daily: Option<u64>,
    /// Keep the newest of each of the last N weeks that have one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    keep_weekly: Option<u64>,
    /// Keep the newest of each of the last N months that have one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    keep_monthly: Option<u64>,
    /// Keep the newest of each of the last N years that have one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    keep_yearly: Option<u64>,
    /// Keep all that were taken so long before the newest of their resource: seconds, or 90s, 15m, 24h, 7d.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    keep_within: Option<Duration>,
    /// Keep all that have this tag; may be given several times.
    #[arg(long = "keep-tag", value_name = "KEY=VALUE", value_parser = parse_tag)]
    keep_tags: Vec<(String, String)>,
    /// Only say what would be removed.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    format: Format,
}

impl ForgetArgs {
    fn rules(&self) -> KeepRules {
        let periods = [
            (Period::Hour, self.keep_hourly),
            (Period::Day, self.keep_daily),
            (Period::Week, self.keep_weekly),
            (Period::Month, self.keep_monthly),
            (Period::Year, self.keep_yearly),
        ];
        KeepRules {
            last: self.keep_last.unwrap_or(0),
            periods: periods.into_iter().filter_map(|(period, most)| Some((period, most?))).collect(),
            within: self.keep_within,
            tags: self.keep_tags.clone(),
        }
    }
}

/// What is decided about one backup, and what became of it.
#[derive(Serialize)]
struct Judged<'a> {
    backup: BackupId,
    region: &'a Region,
    resource_id: ResourceId,
    taken_at: Timestamp,
    /// Empty where it is not kept.
    keep: Vec<Reason>,
    removed: bool,
}

pub(super) async fn run(app: &App, args: &ForgetArgs) -> anyhow::Result<Outcome> {
    let (catalogs, skipped) = app.catalogs(args.region.as_ref()).await?;
    let (rules, mut outcome) = (args.rules(), Outcome::of_left_out(skipped > 0));
    let (mut all, mut any) = (Vec::new(), false);
    for (settings, catalog) in &catalogs {
        let now = catalog.now().await.map_err(EngineError::from)?;
        let mut judged = Vec::new();
        for (resource, rows) in candidates(catalog, &app.account, args.resource.as_ref()).await? {
            any = true;
            let mut reasons = plan(&rows, &rules, now);
            if reasons.iter().all(Vec::is_empty) {
                say_refused(&settings.region, &resource);
                outcome = Outcome::Failed;
                continue;
            }
            keep_shared(catalog, &rows, &mut reasons).await?;
            judged.extend(rows.into_iter().zip(reasons).map(|(row, keep)| Judged {
                backup: row.id,
                region: &settings.region,
                resource_id: resource.clone(),
                taken_at: row.taken_at,
                keep,
                removed: false,
            }));
        }
        if !args.dry_run && !remove(app, settings, &mut judged).await {
            outcome = Outcome::Failed;
        }
        all.extend(judged);
    }
    if let (Some(resource), false) = (&args.resource, any) {
        let error = anyhow::anyhow!("there is no backup of {resource} that could be forgotten");
        return Err(hinted(error, "`offsite backup ls` shows the backups there are and what they are of"));
    }
    let printed = print(args.format, &all);
    let kept = counted(all.iter().filter(|judged| !judged.keep.is_empty()).count() as u64, "backup");
    app.note(match args.dry_run {
        true => format!("{} would be removed, {kept} kept", all.iter().filter(|judged| judged.keep.is_empty()).count()),
        false => {
            let removed = all.iter().filter(|judged| judged.removed).count();
            format!("{removed} removed, {kept} kept; `offsite gc` frees their space")
        }
    });
    after_printing(printed, Ok(outcome))
}

/// Rules that keep nothing of a resource were not meant so.
fn say_refused(region: &Region, resource: &ResourceId) {
    let message = format!("the rules keep no backup of {resource} in {region}: nothing of it is removed");
    print_error(&anyhow::anyhow!(message));
}

/// Removes those backups of a region that are not kept. Returns whether none failed.
async fn remove(app: &App, settings: &RegionSettings, judged: &mut [Judged<'_>]) -> bool {
    if judged.iter().all(|judged| !judged.keep.is_empty()) {
        return true;
    }
    let ctx = match settings.open().await {
        Ok(ctx) => ctx,
        Err(error) => {
            print_error(&error);
            return false;
        }
    };
    let mut is_done = true;
    for judged in judged.iter_mut().filter(|judged| judged.keep.is_empty()) {
        match delete_backup(&ctx, &app.account, &judged.backup, None).await {
            Ok(()) => judged.removed = true,
            Err(error) => {
                print_error(&anyhow::Error::from(error).context(format!("{} could not be removed", judged.backup)));
                is_done = false;
            }
        }
    }
    is_done
}

fn print(format: Format, all: &[Judged<'_>]) -> anyhow::Result<()> {
    if format.json {
        return print_json(&all);
    }
    let mut table = Table::new(&["BACKUP", "REGION", "RESOURCE", "TAKEN", "KEPT"]);
    for judged in all {
        let why: Vec<String> = judged.keep.iter().map(ToString::to_string).collect();
        let kept = if why.is_empty() { "no".to_owned() } else { why.join(", ") };
        let words = [judged.backup.to_string(), judged.region.to_string(), judged.resource_id.to_string()];
        table.push(words.into_iter().chain([judged.taken_at.to_string(), kept]));
    }
    Ok(table.print()?)
}
