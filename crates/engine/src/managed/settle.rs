//! What the row of an unsettled resource says, done: the resource is filled, or removed.
//!
//! Of any number of servers the one with the resource's lease does it. A resource that is new is filled under a name of
//! that lease alone and appears under its own when it is whole, so a server that was paused past its lease and wakes can
//! spoil nothing that others use by then.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use catalog::{BackupFilter, BackupRow, Fence, ResourceRow, UnsettledRow};
use model::{BackupState, Origin, ResourceId, ResourceState, Service, SourceKind, Timestamp};

use super::{HOLD, holder, path_of, remove_at, remove_path, sync_managed};
use crate::backup::describe;
use crate::backups::delete_backup;
use crate::context::RegionContext;
use crate::error::EngineError;
use crate::lease::{RENEWALS_PER_LEASE, Renewal, is_lost};
use crate::progress::Progress;
use crate::restore::{RestoreRequest, restore};
use crate::worker::{Worker, is_dead, is_free};

/// What one lease on a resource has come to.
enum Settled {
    /// It is made, or has failed for good, for this reason.
    Made(Option<String>),
    /// Its row is gone.
    Removed,
    /// It has to wait for something else.
    Waits,
}

/// Does what an unsettled resource's row says, unless someone else is at work on it: makes and fills it, or removes it.
/// Safe to repeat.
///
/// # Errors
/// What may pass leaves the row as it is, to be tried again. What does not is written into the row.
pub async fn settle(ctx: &RegionContext, worker: &Worker, found: &UnsettledRow) -> Result<(), EngineError> {
    let id = &found.resource.id;
    let dead_owner = found.lease_owner.as_deref().filter(|owner| is_dead(owner));
    let claimed = ctx.catalog.claim_resource(id, &worker.lease_request(), dead_owner).await?;
    let Some((row, fence)) = claimed else { return Ok(()) };
    let settled = tokio::select! {
        settled = work(ctx, &row, fence) => settled,
        // What it has begun elsewhere ends here; another goes on, or begins anew.
        () = renew_until_lost(ctx, worker, id, fence) => return Ok(()),
    };
    let made = match &settled {
        Ok(Settled::Removed) => return Ok(()),
        Ok(Settled::Made(failure)) => Some(failure.clone()),
        Ok(Settled::Waits) | Err(_) => None,
    };
    let edit = |row: &mut ResourceRow| {
        // A removal may have begun meanwhile.
        if let (Some(failure), ResourceState::Creating) = (made, row.state) {
            row.state = if failure.is_some() { ResourceState::Failed } else { ResourceState::Available };
            row.failure = failure;
        }
    };
    ctx.catalog.release_resource(&row.account, id, fence, edit).await?;
    if let (Ok(Settled::Made(_)), Some(backup)) = (&settled, &row.made_from) {
        drop(ctx.catalog.release_hold(backup, &holder(id)).await);
    }
    settled.map(drop)
}

/// Whether nobody is at work on a resource that is not settled.
pub fn is_idle(found: &UnsettledRow, now: Timestamp) -> bool {
    is_free(found.lease_owner.as_deref(), found.lease_expires_at, now)
}

/// Keeps the lease until another has it, or may have it: while the catalog cannot be asked, nobody can tell.
async fn renew_until_lost(ctx: &RegionContext, worker: &Worker, id: &ResourceId, fence: Fence) {
    let mut renewed = Instant::now();
    while renewed.elapsed() < worker.lease {
        tokio::time::sleep(worker.lease / RENEWALS_PER_LEASE).await;
        let asked = Instant::now();
        match ctx.catalog.renew_resource(id, fence, worker.lease).await {
            Ok(()) => renewed = asked,
            Err(error) if is_lost(&error) => return,
            Err(_) => {}
        }
    }
}

async fn work(ctx: &RegionContext, row: &ResourceRow, fence: Fence) -> Result<Settled, EngineError> {
    let made = match row.state {
        ResourceState::Creating => fill(ctx, row, fence).await,
        // What its API has to do about it comes first.
        ResourceState::Deleting if row.pending => return Ok(Settled::Waits),
        ResourceState::Deleting => return remove(ctx, row).await,
        ResourceState::Available | ResourceState::Failed => return Ok(Settled::Waits),
    };
    match made {
        Err(error) if error.is_worth_retrying() => Err(error),
        other => Ok(Settled::Made(other.err().map(|error| describe(&error)))),
    }
}

async fn fill(ctx: &RegionContext, row: &ResourceRow, fence: Fence) -> Result<(), EngineError> {
    let Some(backup) = &row.made_from else { return Ok(()) };
    let holder = holder(&row.id);
    // Whether the account may read another's backup was decided when the resource was accepted; the hold has kept the
    // backup since.
    let owner = ctx.catalog.find_owner(backup).await?.unwrap_or_else(|| row.account.clone());
    ctx.catalog.place_hold(&owner, backup, &holder, HOLD).await?;
    let (catalog, held) = (ctx.catalog.clone(), backup.clone());
    let hold = Renewal::of(HOLD, move || {
        let (catalog, held, holder) = (catalog.clone(), held.clone(), holder.clone());
        async move { catalog.renew_hold(&held, &holder, HOLD).await.unwrap_or(true) }
    });
    std::fs::create_dir_all(&ctx.managed).map_err(EngineError::file(format!("make {}", ctx.managed.display())))?;
    let (region, begun) = (ctx.clone(), row.clone());
    blocking(move || remove_parts(&region, &begun)).await?;
    let (path, part) = (path_of(row), part_of(ctx, row, fence));
    // Contents that are to be rolled back are replaced where they are, whoever may have them open.
    let is_new = !path.exists();
    let request = RestoreRequest {
        account: owner,
        backup: backup.clone(),
        overwrite: !is_new,
        target: if is_new { part.clone() } else { path.clone() },
        paths: Vec::new(),
    };
    restore(ctx, request, Arc::<Progress>::default()).await?;
    if is_new {
        appear(row, &part, &path).map_err(EngineError::file(format!("make {}", path.display())))?;
        sync_managed(ctx)?;
    }
    drop(hold);
    Ok(())
}

/// Gives what is whole its own name, unless something has that already.
fn appear(row: &ResourceRow, part: &Path, path: &Path) -> io::Result<()> {
    match row.kind.source_kind() {
        // Fails where there is a directory that is not empty.
        SourceKind::Tree => std::fs::rename(part, path),
        SourceKind::Image => std::fs::hard_link(part, path).and_then(|()| std::fs::remove_file(part)),
    }
}

/// Where a resource is filled under the lease with this fence.
fn part_of(ctx: &RegionContext, row: &ResourceRow, fence: Fence) -> PathBuf {
    ctx.managed.join(format!("{}.{fence}", row.id))
}

/// Removes what earlier leases have left of a resource that was not whole.
fn remove_parts(ctx: &RegionContext, row: &ResourceRow) -> Result<(), EngineError> {
    let failed = || EngineError::file(format!("list {}", ctx.managed.display()));
    let prefix = format!("{}.", row.id);
    let listed = match std::fs::read_dir(&ctx.managed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed.map_err(failed())?,
    };
    for found in listed {
        let found = found.map_err(failed())?;
        if found.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)) {
            remove_at(row, &found.path())?;
        }
    }
    Ok(())
}

/// Removes a resource once no backup of it is being made: its bytes if they are ours, its row, and its automatic
/// backups where these go with it.
async fn remove(ctx: &RegionContext, row: &ResourceRow) -> Result<Settled, EngineError> {
    let backups = all_of(ctx, row).await?;
    if backups.iter().any(|backup| backup.state.is_in_progress()) {
        return Ok(Settled::Waits);
    }
    // Of disks and clusters, backups that were taken on a schedule stay until their own time.
    let goes = |backup: &&BackupRow| backup.origin == Origin::Automatic && !backup.is_copy();
    for backup in backups.iter().filter(goes).filter(|_| row.kind.service() == Service::Fsx) {
        // One that is being copied now goes with the next try.
        delete_backup(ctx, &row.account, &backup.id).await?;
    }
    let (region, gone) = (ctx.clone(), row.clone());
    blocking(move || remove_path(&region, &gone).and_then(|()| remove_parts(&region, &gone))).await?;
    ctx.catalog.delete_resource(&row.account, &row.id).await?;
    ctx.catalog.record_event(&row.account, "RemoveResource", row.id.as_str(), "").await?;
    Ok(Settled::Removed)
}

/// Does what may take longer than a lease, which is renewed meanwhile.
async fn blocking(work: impl FnOnce() -> Result<(), EngineError> + Send + 'static) -> Result<(), EngineError> {
    tokio::task::spawn_blocking(work).await.expect("removing files does not panic")
}

async fn all_of(ctx: &RegionContext, row: &ResourceRow) -> Result<Vec<BackupRow>, EngineError> {
    let filter = BackupFilter { resources: vec![row.id.clone()], limit: u32::MAX, ..BackupFilter::default() };
    let mut backups = ctx.catalog.list_backups(&row.account, &filter).await?;
    backups.retain(|backup| backup.state != BackupState::Deleting);
    Ok(backups)
}
