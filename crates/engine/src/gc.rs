//! gc: removes packs that nothing names. Only this deletes a pack.
//!
//! A pack without an edge is first doomed; for the grace that follows, any writer may revive it by
//! drawing an edge. After the grace, still without an edge, its row turns to deleting, the object is
//! removed, then the row. A deleting row makes a writer of the same pack wait, so none can meet a
//! deletion half-way. Each step is safe to repeat.
//!
//! The object is removed by one gc at a time, under a lease: once the row is gone the pack may be stored anew, and a second
//! gc that was only a little slower would remove that.
//!
//! What this catalog does not name another one may: before each removal, the store is asked whose it is.

use std::collections::HashSet;
use std::time::Duration;

use catalog::Orphan;
use model::{AccountId, ObjectName, PackId, Timestamp};
use store::StoreErrorKind;
use tokio::time::Instant;

use crate::backups::finish_deletion;
use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::worker::{Worker, is_dead};

/// How gc is to go about it.
#[derive(Clone, Copy, Debug)]
pub struct GcOptions {
    /// How long a pack must have been without an edge.
    pub grace: Duration,
    /// Whether only to say what would be removed.
    pub dry_run: bool,
}

/// What gc did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Packs that were removed.
    pub packs_deleted: u64,
    /// Their bytes.
    pub bytes_deleted: u64,
    /// Packs that will be removed once their grace is over, if nothing revives them.
    pub packs_doomed: u64,
    /// Removals of backups that had been interrupted and were finished.
    pub backups_finished: u64,
}

/// Orphans taken into the catalog in one transaction.
const BATCH: usize = 500;

/// Object names read from the catalog at a time.
const PAGE: u32 = 10_000;

/// How long the removal of one object may take: as long as a store that is mute is asked again.
const REMOVAL_MAX: Duration = Duration::from_secs(300);

/// How long nobody else removes that object. What a store was asked last may take a while to come there.
const REMOVAL_LEASE: Duration = Duration::from_secs(600);

/// For how many milliseconds nobody has written to a file that was left half-written. A record that is edited, or a pack that
/// is mended, is written by someone without a lease, and work may begin while files are looked at.
const STAGING_AGE_MS: i64 = 60_000;

/// Removes what nothing names. Safe to run beside anything, any number of times.
///
/// # Errors
/// When the store or the catalog fails; what was begun is finished by the next run.
pub async fn collect(ctx: &RegionContext, options: GcOptions) -> Result<GcReport, EngineError> {
    ctx.store.check_owner().await?;
    let mut report = GcReport::default();
    if !options.dry_run {
        report.backups_finished = finish_removals(ctx).await?;
        remove_staging(ctx).await?;
        adopt_orphans(ctx).await?;
        ctx.catalog.doom_unreferenced(None).await?;
    }
    let ripe = ctx.catalog.doomed_packs(options.grace).await?;
    let doomed = ctx.catalog.doomed_packs(Duration::ZERO).await?;
    // Between the two looks a writer may have revived some, or another gc begun to delete them.
    report.packs_doomed = doomed.len().saturating_sub(ripe.len()) as u64;
    for (account, pack) in ripe {
        if options.dry_run || ctx.catalog.begin_pack_deletion(&account, &pack.pack_id, options.grace).await? {
            report.packs_deleted += 1;
            report.bytes_deleted += pack.bytes;
        }
    }
    if !options.dry_run {
        for (account, pack) in ctx.catalog.deleting_packs().await? {
            remove(ctx, &account, &pack.pack_id, &pack.object_name).await?;
        }
    }
    Ok(report)
}

async fn remove(
    ctx: &RegionContext,
    account: &AccountId,
    pack: &PackId,
    object: &ObjectName,
) -> Result<(), EngineError> {
    ctx.store.check_owner().await?;
    let remover = ctx.catalog.pack_remover(account, pack).await?;
    // What a dead process has asked a directory for is done or is not; a network may still carry it.
    let stale = remover.as_deref().filter(|owner| !ctx.store.is_remote() && is_dead(owner));
    let late = Instant::now() + REMOVAL_MAX;
    let request = Worker::this_process(REMOVAL_LEASE).lease_request();
    let Some(fence) = ctx.catalog.claim_pack_removal(account, pack, &request, stale).await? else { return Ok(()) };
    // A process that was stopped meanwhile leaves it to the next gc.
    if Instant::now() >= late {
        return Ok(());
    }
    let Ok(deleted) = tokio::time::timeout_at(late, ctx.store.delete_pack(account, object)).await else {
        let message = format!("the store of {} did not remove a pack for {} s", ctx.region, REMOVAL_MAX.as_secs());
        let hint = "the removal is tried again by the next gc; check that the store is reachable";
        return Err(EngineError::refused(ErrorKind::Unavailable, message).with_hint(hint));
    };
    if deleted.is_err() && !ctx.store.is_remote() {
        // Nothing is under way any more.
        ctx.catalog.release_pack_removal(account, pack, fence).await?;
    }
    deleted?;
    Ok(ctx.catalog.forget_pack(account, pack, fence).await?)
}

async fn finish_removals(ctx: &RegionContext) -> Result<u64, EngineError> {
    let mut finished = 0;
    for row in ctx.catalog.deleting_backups().await? {
        finish_deletion(ctx, &row.account, &[row.id]).await?;
        finished += 1;
    }
    Ok(finished)
}

/// Removes half-written files, unless some worker is alive who may be writing one.
async fn remove_staging(ctx: &RegionContext) -> Result<(), EngineError> {
    let before = Timestamp(ctx.clock.now().0 - STAGING_AGE_MS);
    let leased = ctx.catalog.leased_backups().await?;
    let alive = leased.iter().any(|row| !row.lease_owner.as_deref().is_some_and(is_dead));
    if !alive {
        ctx.store.check_owner().await?;
        ctx.store.remove_staging(before).await?;
    }
    Ok(())
}

/// Takes objects that no row names (left by a rebuild, or by a worker that lost its lease while it
/// wrote) into the catalog as doomed packs. Whoever needs one of them announces it, and so revives it.
async fn adopt_orphans(ctx: &RegionContext) -> Result<(), EngineError> {
    for account in ctx.store.list_accounts().await? {
        let objects = ctx.store.list_packs(&account).await?;
        let known = known_objects(ctx, &account).await?;
        let orphan = |(object_name, bytes)| Orphan { pack_id: PackId::random(&mut rand::rng()), object_name, bytes };
        let mut unknown: Vec<(ObjectName, u64)> =
            objects.into_iter().filter(|(name, _)| !known.contains(name)).collect();
        if !unknown.is_empty() {
            let named = named_by_left_out(ctx, &account).await?;
            unknown.retain(|(name, _)| !named.contains(name));
        }
        let orphans: Vec<Orphan> = unknown.into_iter().map(orphan).collect();
        for batch in orphans.chunks(BATCH) {
            ctx.catalog.adopt_orphans(&account, batch).await?;
        }
    }
    Ok(())
}

/// What the records name that a rebuild left out, as some pack of theirs is missing: the others are still good, should that one
/// be mended and the catalog be made again.
async fn named_by_left_out(ctx: &RegionContext, account: &AccountId) -> Result<HashSet<ObjectName>, EngineError> {
    let mut named = HashSet::new();
    let records = ctx.store.list_records().await?.into_iter().filter(|(owner, _)| owner == account);
    for (_, backup) in records {
        if ctx.catalog.find_backup(account, &backup).await?.is_some() {
            continue;
        }
        match ctx.store.read_record(account, &backup).await {
            Ok(record) => named.extend(record.packs.iter().map(|pack| pack.object_name)),
            // Gone meanwhile, or it says nothing.
            Err(error) if matches!(error.kind, StoreErrorKind::Corrupt | StoreErrorKind::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(named)
}

async fn known_objects(ctx: &RegionContext, account: &AccountId) -> Result<HashSet<ObjectName>, EngineError> {
    let mut known = HashSet::new();
    let mut after = None;
    loop {
        let page = ctx.catalog.known_objects(account, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(known) };
        after = Some(*last);
        known.extend(page);
    }
}
