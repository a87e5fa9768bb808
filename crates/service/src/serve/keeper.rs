//! The keeper of a region: goes on with work that nobody is at work on, settles resources, looks after clusters, runs
//! policies, tidies up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use catalog::BackupRow;
use engine::backup::resume_backup;
use engine::copy::{help_copy, renew_hold, resume_copy, source_region, unrenewed_holds};
use engine::gc::GcOptions;
use engine::managed;
use engine::resume::is_idle;
use engine::{EngineError, Progress, RegionContext, describe};
use model::{BackupState, Region};
use rand::seq::IndexedRandom;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::{Server, metrics};

/// How often a region is looked at.
const EVERY: Duration = Duration::from_millis(500);

/// How often a region that could not be opened is tried again, and an open one's store is asked whose it is.
const TEND: Duration = Duration::from_secs(5);

/// How often packs that nothing names, old requests and backups beyond their retention are looked for, by one of a
/// region's servers.
const TIDY: Duration = Duration::from_secs(3600);

/// How often each of them asks whether it is its turn.
const ASK_TO_TIDY: Duration = Duration::from_secs(60);

/// How long a request is known by its token once what it made is gone.
const TOKEN_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Work that failed for a passing reason is tried again after this, and each time after twice as long.
const RETRY_MIN: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(300);

/// After help that failed none is given for this long.
const RETRY_AFTER_HELP: Duration = Duration::from_secs(30);

/// Keepers, which end when this is dropped.
#[derive(Debug)]
pub(super) struct Keepers(JoinSet<()>);

impl Keepers {
    /// Ends them now.
    pub(super) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

/// Starts a keeper for each region that is served; opens those that are not open yet, and closes those whose store has
/// become another catalog's.
pub(super) fn start(server: &Arc<Server>, stopping: &watch::Receiver<bool>) -> Keepers {
    let mut keepers = JoinSet::new();
    for region in server.regions.served() {
        let [helping, holding] = [(); 2].map(|()| Arc::new(Semaphore::new(1)));
        let keeper =
            Keeper { server: Arc::clone(server), region: region.clone(), tries: HashMap::new(), helping, holding };
        keepers.spawn(keeper.run(stopping.clone()));
    }
    // One that does not answer keeps none of the others closed.
    for region in server.regions.known() {
        let (server, region, mut stopping) = (Arc::clone(server), region.clone(), stopping.clone());
        keepers.spawn(async move {
            while !*stopping.borrow() {
                drop(tokio::time::timeout(TEND, stopping.changed()).await);
                if let Some(closed) = server.regions.tend(&region).await {
                    // What is still at work in it stops at its next write to the old catalog.
                    server.give_back_in(&closed).await;
                }
            }
        });
    }
    Keepers(keepers)
}

struct Keeper {
    server: Arc<Server>,
    region: Region,
    /// Work that this keeper has resumed, by the id of what it is about: how often, and when it may be again.
    tries: HashMap<String, (u32, Instant)>,
    /// For helping with one copy of another server's at a time.
    helping: Arc<Semaphore>,
    /// For asking regions that may be away, which takes long, once at a time.
    holding: Arc<Semaphore>,
}

impl Keeper {
    async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut tidied: Option<(Instant, JoinHandle<()>)> = None;
        while !*stopping.borrow() {
            if let Ok(ctx) = self.server.regions.get(self.region.as_str()) {
                let looked = self.look(&ctx).await;
                if let Err(error) = looked {
                    tracing::warn!(region = %self.region, %error, "a look at the region's work failed");
                }
                if tidied.as_ref().is_none_or(|(at, task)| at.elapsed() > ASK_TO_TIDY && task.is_finished()) {
                    tidied = Some((Instant::now(), tokio::spawn(tidy_in_turn(ctx, self.server.gc_grace))));
                }
            }
            drop(tokio::time::timeout(EVERY, stopping.changed()).await);
        }
    }

    async fn look(&mut self, ctx: &Arc<RegionContext>) -> Result<(), EngineError> {
        let now = ctx.catalog.now().await?;
        let unsettled = ctx.catalog.unsettled_resources().await?;
        let mut tried: HashSet<String> = unsettled.iter().map(|found| found.resource.id.to_string()).collect();
        for found in unsettled {
            if managed::is_due(ctx, &found, now).await? && self.may_try(found.resource.id.as_str()) {
                let (ctx, worker) = (Arc::clone(ctx), self.server.worker.clone());
                // Filling one may take long, and holds up nothing else.
                self.server.jobs.spawn_beside(async move {
                    if let Err(error) = managed::settle(&ctx, &worker, &found).await {
                        let (region, id, error) = (&ctx.region, &found.resource.id, describe(&error));
                        tracing::warn!(%region, resource = %id, error, "a resource is not settled yet");
                    }
                });
            }
        }
        for row in engine::backups::find_due(ctx).await? {
            if let Err(error) = engine::backups::expire_backup(ctx, &row).await {
                tracing::warn!(region = %self.region, backup = %row.id, %error, "a backup that is due was not removed");
            }
        }
        if let Err(error) = self.server.tend_clusters(ctx).await {
            tracing::warn!(region = %self.region, %error, "a look at the clusters failed");
        }
        if let Err(error) = crate::api::tend_removals(ctx).await {
            tracing::warn!(region = %self.region, %error, "a look at the removals failed");
        }
        if let Err(error) = self.server.take_scheduled_snapshots(ctx).await {
            tracing::warn!(region = %self.region, %error, "a look at the policies failed");
        }
        if let Err(error) = self.server.take_daily_backups(ctx).await {
            tracing::warn!(region = %self.region, %error, "a look at the daily backups failed");
        }
        self.hold_for_waiting(ctx).await?;
        let mut idle = ctx.catalog.backups_in_progress().await?;
        metrics::in_progress(&self.region, &idle, now);
        self.help(ctx, &idle).await?;
        idle.retain(|row| is_idle(row, now));
        tried.extend(idle.iter().map(|row| row.id.to_string()));
        self.tries.retain(|id, (_, next)| tried.contains(id) || next.elapsed() < RETRY_MAX);
        for row in idle {
            if !self.may_try(row.id.as_str()) {
                continue;
            }
            let id = row.id.clone();
            if let Err(error) = self.resume(ctx, row).await {
                tracing::warn!(region = %self.region, backup = %id, %error, "interrupted work was not resumed");
            }
        }
        Ok(())
    }

    async fn resume(&self, ctx: &Arc<RegionContext>, row: BackupRow) -> Result<(), EngineError> {
        let (server, id) = (&self.server, row.id.clone());
        if row.state == BackupState::Creating {
            let progress = Arc::new(Progress::measuring());
            if let Some(job) = resume_backup(ctx, &server.worker, row, Arc::clone(&progress)).await? {
                tracing::info!(backup = %id, "going on with a backup that was interrupted");
                server.jobs.run_backup(job, progress);
            }
            return Ok(());
        }
        // A source that is away now is asked again later, if it is needed at all.
        let source = source_region(&row).and_then(|region| server.regions.get(region.as_str()).ok());
        if let Some(job) = resume_copy(source.as_ref(), ctx, &server.worker, row).await? {
            tracing::info!(backup = %id, "going on with a copy that was interrupted");
            server.jobs.run_copies(vec![job]);
        }
        Ok(())
    }

    /// Sends parts of a copy that another server makes, if there is one that is shared.
    async fn help(&self, ctx: &Arc<RegionContext>, in_progress: &[BackupRow]) -> Result<(), EngineError> {
        let own = &self.server.worker.owner;
        let is_anothers = |row: &BackupRow| {
            row.state == BackupState::Copying && row.lease_owner.as_ref().is_some_and(|owner| owner != own)
        };
        if !in_progress.iter().any(is_anothers) {
            return Ok(());
        }
        let Ok(turn) = Arc::clone(&self.helping).try_acquire_owned() else { return Ok(()) };
        let shared = ctx.catalog.shared_copies(own).await?;
        let rows = in_progress.iter().filter(|row| shared.contains(&row.id));
        let opened = |row: &BackupRow| self.server.regions.get(source_region(row)?.as_str()).ok();
        let helpable: Vec<_> = rows.filter_map(|row| Some((row.clone(), opened(row)?))).collect();
        // Any of them: one that cannot be helped does not keep the others from help.
        let Some((row, source)) = helpable.choose(&mut rand::rng()).cloned() else { return Ok(()) };
        let (ctx, worker) = (Arc::clone(ctx), self.server.worker.clone());
        self.server.jobs.spawn_beside(async move {
            let (region, backup) = (&ctx.region, &row.id);
            match help_copy(&source, &ctx, &worker, &row, &Arc::default()).await {
                Ok(bytes) => tracing::info!(%region, %backup, bytes, "sent parts of a copy that another server makes"),
                Err(error) => {
                    let error = describe(&error);
                    tracing::warn!(%region, %backup, error, "a part of another server's copy was not sent");
                    // It is that server's to tell what is wrong; what passes may have passed after this.
                    tokio::time::sleep(RETRY_AFTER_HELP).await;
                }
            }
            drop(turn);
        });
        Ok(())
    }

    /// Keeps the sources of copies that wait for a region which is away.
    async fn hold_for_waiting(&self, ctx: &Arc<RegionContext>) -> Result<(), EngineError> {
        let unrenewed = unrenewed_holds(ctx).await?;
        if unrenewed.is_empty() {
            return Ok(());
        }
        let Ok(turn) = Arc::clone(&self.holding).try_acquire_owned() else { return Ok(()) };
        let (ctx, server) = (Arc::clone(ctx), Arc::clone(&self.server));
        self.server.jobs.spawn_beside(async move {
            let targets: HashSet<&Region> = unrenewed.iter().map(|hold| &hold.target).collect();
            for target in targets {
                if !server.regions.is_away(target).await {
                    continue;
                }
                for hold in unrenewed.iter().filter(|hold| hold.target == *target) {
                    if let Err(error) = renew_hold(&ctx, hold).await {
                        tracing::warn!(region = %ctx.region, %target, %error, "the source of a copy that waits is not kept");
                    }
                }
            }
            drop(turn);
        });
        Ok(())
    }

    /// Whether it is time to try again, and notes that it is tried.
    fn may_try(&mut self, id: &str) -> bool {
        let now = Instant::now();
        let (tries, next) = self.tries.entry(id.to_owned()).or_insert((0, now));
        if *next > now {
            return false;
        }
        *next = now + (RETRY_MIN * 2_u32.saturating_pow(*tries)).min(RETRY_MAX);
        *tries = (*tries + 1).min(16);
        true
    }
}

/// Tidies up, unless it is another server's turn or was so lately.
async fn tidy_in_turn(ctx: Arc<RegionContext>, grace: Duration) {
    match ctx.catalog.take_turn("tidied", TIDY).await {
        Ok(true) => tidy(ctx, grace).await,
        Ok(false) => {}
        Err(error) => tracing::warn!(region = %ctx.region, %error, "tidying up was put off"),
    }
}

/// Forgets old requests, lets go of backups beyond their retention, and collects packs that nothing names.
async fn tidy(ctx: Arc<RegionContext>, grace: Duration) {
    let forgotten = ctx.catalog.forget_tokens(TOKEN_AGE).await.map_err(EngineError::from);
    let retained = crate::api::retain_cluster_backups(&ctx).await;
    let collected = engine::gc::collect(&ctx, GcOptions { grace, dry_run: false }).await;
    for error in [forgotten.err(), retained.err(), collected.err()].into_iter().flatten() {
        tracing::warn!(region = %ctx.region, %error, "tidying up failed");
    }
}
