//! `offsite copy --missing`: brings regions up to date with another.
//!
//! Backups are copied one after the other, each to all targets that lack it, so that what was done when the command ends before its
//! time is done for good. One that cannot be copied is named and keeps none of the others; a target that is away or full is left alone
//! from then on, as each further backup would be waited for in vain.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use clap::CommandFactory;
use clap::error::ErrorKind as UsageError;
use engine::backups::list_backups;
use engine::copy::{Brought, CopyReport, Missing, accept_missing, copy_missing, find_missing, plan_next};
use engine::resources::find_resource;
use engine::{EngineError, ErrorKind, RegionContext};
use model::{BackupId, PackId, Region, Timestamp};
use serde_json::Value;

use super::{CopyArgs, open_targets, plan_json, report_json, sentence};
use crate::app::App;
use crate::cli::Cli;
use crate::exit::{Outcome, after_printing, hinted, print_error};
use crate::output::{JsonArray, Table, counted, grouped, print_line, say};

/// The targets that lack a backup, by when it was made: the oldest comes first.
type Lacking = BTreeMap<(Timestamp, BackupId), Vec<Arc<RegionContext>>>;

pub(super) async fn run(app: &App, args: &CopyArgs, from: &Region) -> anyhow::Result<Outcome> {
    // Wrong usage is told even where there is nothing to copy.
    args.tags.clone().into_tags()?;
    let regions = args.targets();
    if regions.contains(from) {
        let message = format!("{from} is named both by --from and by --to");
        return Err(Cli::command().error(UsageError::ArgumentConflict, message).into());
    }
    let source = Arc::new(app.open(from).await?);
    check_resource(app, args, &source).await?;
    let (given_up, printed) = (HashSet::new(), Ok(()));
    let mut run = Run { app, args, source, given_up, printed, has_failed: false, has_left_out: false };
    let (targets, failed) = open_targets(app, &run.source, &regions).await;
    for (region, error) in failed.into_iter().filter_map(|(region, opened)| Some((region, opened.err()?))) {
        run.fail(error, &format!("{region} cannot be brought up to date"));
    }
    let lacking = run.find_lacking(&targets).await;
    match (args.dry_run, args.detach) {
        (true, _) => run.plan(&lacking).await?,
        (_, true) => run.detach(&lacking).await?,
        _ => run.copy(&lacking).await?,
    }
    let outcome = run.outcome();
    after_printing(run.printed, Ok(outcome))
}

/// A mistyped resource must not look like one that is up to date.
async fn check_resource(app: &App, args: &CopyArgs, source: &RegionContext) -> anyhow::Result<()> {
    let Some(id) = &args.resource else { return Ok(()) };
    let filter = catalog::BackupFilter { resources: vec![id.clone()], limit: 1, ..Default::default() };
    let is_known = find_resource(source, &app.account, id).await?.is_some()
        || !list_backups(source, &app.account, &filter).await?.is_empty();
    if is_known {
        return Ok(());
    }
    let error = anyhow::anyhow!("there is no resource {id} in {}, nor a backup of one", source.region);
    Err(hinted(error, format!("`offsite backup ls --region {}` shows whose backups there are", source.region)))
}

struct Run<'a> {
    app: &'a App,
    args: &'a CopyArgs,
    source: Arc<RegionContext>,
    /// Targets that are away or full.
    given_up: HashSet<Region>,
    /// Copies go on also where nobody reads their ids.
    printed: anyhow::Result<()>,
    has_failed: bool,
    has_left_out: bool,
}

impl Run<'_> {
    async fn find_lacking(&mut self, targets: &[Arc<RegionContext>]) -> Lacking {
        let mut lacking = Lacking::new();
        for target in targets {
            match find_missing(&self.source, target, &self.app.account, self.args.resource.as_ref()).await {
                Ok(Missing { backups, own }) => {
                    let (here, there) = (&target.region, &self.source.region);
                    if backups.is_empty() {
                        self.app.note(format_args!("{here} has all that there is to be copied from {there}"));
                    }
                    if own > 0 {
                        let own = counted(own, "backup");
                        let how = format!("`offsite copy ID --to {here}` brings one back");
                        self.app
                            .note(format_args!("left in {there}: {own} that {here} had first and has no more; {how}"));
                    }
                    for backup in backups {
                        lacking.entry(backup).or_default().push(Arc::clone(target));
                    }
                }
                Err(error) => self.fail(error, &format!("{} cannot be brought up to date", target.region)),
            }
        }
        lacking
    }

    async fn copy(&mut self, lacking: &Lacking) -> anyhow::Result<()> {
        let mut printer = Printer::open(self.args)?;
        for ((_, id), targets) in lacking {
            let targets = self.not_given_up(targets);
            if targets.is_empty() {
                continue;
            }
            let (request, worker) = (self.args.request(self.app, id.clone())?, self.app.worker());
            let source = Arc::clone(&self.source);
            let copied = self.app.watch(|progress| copy_missing(&source, &targets, &worker, request, progress)).await;
            match copied {
                Ok(results) => {
                    for (region, result) in results {
                        self.take(&mut printer, id, &targets, region, result).await;
                    }
                }
                Err(error) => {
                    self.fail(error, &format!("the copy of {id} failed"));
                    if is_away(&source).await {
                        break;
                    }
                }
            }
        }
        self.note_printed(printer.finish());
        Ok(())
    }

    /// Tells how a backup fared in one target.
    async fn take(
        &mut self,
        printer: &mut Printer,
        id: &BackupId,
        targets: &[Arc<RegionContext>],
        region: Region,
        result: Result<Brought, EngineError>,
    ) {
        match result {
            Ok(Brought::Copied(report)) => {
                self.app.note(format_args!("{region}: {id} is copied: {}", sentence(&report)));
                self.note_printed(printer.push(region, *report));
            }
            Ok(Brought::There) => {}
            Ok(Brought::UnderWay(copy)) => {
                say(format_args!("left out: {id}: another is at work on its copy {copy} in {region}"));
                self.has_left_out = true;
            }
            Err(error) => {
                let what = format!("the copy of {id} to {region} failed");
                let target = targets.iter().find(|target| target.region == region).expect("it is one of them");
                self.fail_in(target, error, &what).await;
            }
        }
    }

    async fn detach(&mut self, lacking: &Lacking) -> anyhow::Result<()> {
        for ((_, id), targets) in lacking {
            let request = self.args.request(self.app, id.clone())?;
            for target in self.not_given_up(targets) {
                match accept_missing(&self.source, &target, &self.app.worker(), &request).await {
                    Ok(Some(job)) => {
                        self.note_printed(print_line(job.id()).map_err(Into::into));
                        // What cannot be handed over now is taken over once its lease has run out.
                        drop(job.leave().await);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        let what = format!("the copy of {id} to {} failed", target.region);
                        self.fail_in(&target, error, &what).await;
                    }
                }
            }
        }
        Ok(())
    }

    /// Says what copies would move, each after the ones before it.
    async fn plan(&mut self, lacking: &Lacking) -> anyhow::Result<()> {
        let mut coming: HashMap<Region, HashSet<PackId>> = HashMap::new();
        let mut table = Table::new(&["BACKUP", "TARGET", "PACKS TO MOVE", "BYTES TO MOVE", "PACKS HELD", "BYTES HELD"]);
        let mut array = if self.args.format.json { Some(JsonArray::open()?) } else { None };
        for ((_, id), targets) in lacking {
            let request = self.args.request(self.app, id.clone())?;
            for target in self.not_given_up(targets) {
                let coming = coming.entry(target.region.clone()).or_default();
                let plan = match plan_next(&self.source, &target, &request, coming).await {
                    Ok(plan) => plan,
                    Err(error) => {
                        let what = format!("the copy of {id} to {} cannot be planned", target.region);
                        self.fail_in(&target, error, &what).await;
                        continue;
                    }
                };
                let numbers = [plan.packs_to_move, plan.bytes_to_move, plan.packs_held, plan.bytes_held];
                match &mut array {
                    Some(array) => array.push(&named(id, plan_json(&plan)))?,
                    None => {
                        let words = [id.to_string(), plan.target.to_string()];
                        table.push(words.into_iter().chain(numbers.map(grouped)));
                    }
                }
            }
        }
        match array {
            Some(array) => array.finish()?,
            None => table.print()?,
        }
        Ok(())
    }

    fn note_printed(&mut self, printed: anyhow::Result<()>) {
        if self.printed.is_ok() {
            self.printed = printed;
        }
    }

    fn not_given_up(&self, targets: &[Arc<RegionContext>]) -> Vec<Arc<RegionContext>> {
        targets.iter().filter(|target| !self.given_up.contains(&target.region)).cloned().collect()
    }

    /// Tells what failed in one target, which is given up if every other backup would meet the same.
    async fn fail_in(&mut self, target: &RegionContext, error: EngineError, what: &str) {
        let meets_all = match error.kind() {
            ErrorKind::Full => true,
            // Also said of one pack that a disk cannot read.
            ErrorKind::Unavailable => is_away(target).await || is_away(&self.source).await,
            _ => false,
        };
        if !meets_all {
            return self.fail(error, what);
        }
        self.given_up.insert(target.region.clone());
        self.fail(error, &format!("{what}, and none is tried there after it"));
    }

    fn fail(&mut self, error: impl Into<anyhow::Error>, what: &str) {
        print_error(&error.into().context(what.to_owned()));
        self.has_failed = true;
    }

    fn outcome(&self) -> Outcome {
        if self.has_failed { Outcome::Failed } else { Outcome::of_left_out(self.has_left_out) }
    }
}

/// Whether a region cannot be reached at all.
async fn is_away(region: &RegionContext) -> bool {
    region.catalog.now().await.is_err() || region.store.still_there().await.is_err()
}

fn named(id: &BackupId, mut plan: Value) -> Value {
    plan["backup"] = id.as_str().into();
    plan
}

/// Prints each copy as it is made.
enum Printer {
    Json(JsonArray),
    Lines,
}

impl Printer {
    fn open(args: &CopyArgs) -> std::io::Result<Self> {
        if args.format.json { JsonArray::open().map(Self::Json) } else { Ok(Self::Lines) }
    }

    fn push(&mut self, region: Region, report: CopyReport) -> anyhow::Result<()> {
        match self {
            Self::Lines => Ok(print_line(&report.backup.id)?),
            Self::Json(array) => array.push(&report_json(&(region, report))),
        }
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Lines => Ok(()),
            Self::Json(array) => Ok(array.finish()?),
        }
    }
}
