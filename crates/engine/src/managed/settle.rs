//! What the row of an unsettled resource says, done: the resource is filled, or removed.
//!
//! Of any number of servers the one with the resource's lease does it. A managed resource is filled under a name of that
//! lease alone, and takes its own once it is whole and the catalog has said that the lease still holds. One that is new
//! never takes the place of anything. So a server that was paused past its lease, and wakes, spoils nothing that others
//! use by then.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use catalog::{BackupFilter, BackupRow, Fence, ResourceRow, UnsettledRow};
use model::{BackupState, Omission, OmissionKind, Origin, ResourceId, ResourceState, Service, SourceKind, Timestamp};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use tokio::time::Instant;

use super::{HOLD, holder, path_of, remove_at, remove_path, sync_managed};
use crate::backup::describe;
use crate::backups::delete_backup;
use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::lease::{RENEWALS_PER_LEASE, Renewal, Term, is_lost};
use crate::restore::{RestoreRequest, restore_within};
use crate::worker::{Worker, is_dead, is_free};

/// What one lease on a resource has come to.
enum Settled {
    /// It is made, or has failed for good, for this reason.
    Made(Option<String>),
    /// Its row is gone.
    Removed,
    /// It has to wait for its backups to end.
    Waits,
}

/// A resource and the lease on it.
struct Claim<'a> {
    ctx: &'a RegionContext,
    row: ResourceRow,
    fence: Fence,
    lease: Duration,
    /// Until when it holds.
    term: Term,
}

/// Whether there is something to do for a resource that is not settled: nobody is at work on it, and it waits for nothing.
///
/// # Errors
/// When the catalog fails.
pub async fn is_due(ctx: &RegionContext, found: &UnsettledRow, now: Timestamp) -> Result<bool, EngineError> {
    let row = &found.resource;
    if !is_free(found.lease_owner.as_deref(), found.lease_expires_at, now) {
        return Ok(false);
    }
    // What its API has to do about it comes first.
    Ok(row.state != ResourceState::Deleting || !row.pending && !is_being_backed_up(ctx, row).await?)
}

/// Does what an unsettled resource's row says, unless someone else is at work on it: makes and fills it, or removes it.
/// Safe to repeat.
///
/// # Errors
/// What may pass leaves the row as it is, to be tried again. What does not is written into the row.
pub async fn settle(ctx: &RegionContext, worker: &Worker, found: &UnsettledRow) -> Result<(), EngineError> {
    let (id, asked) = (&found.resource.id, Instant::now());
    let dead_owner = found.lease_owner.as_deref().filter(|owner| is_dead(owner));
    let claimed = ctx.catalog.claim_resource(id, &worker.lease_request(), dead_owner).await?;
    let Some((row, fence)) = claimed else { return Ok(()) };
    let term = Term::until(asked + worker.lease);
    let mut renewal = Renewal::spawn(renew_until_lost(ctx.clone(), id.clone(), fence, worker.lease, term.clone()));
    let claim = Claim { ctx, row, fence, lease: worker.lease, term };
    let settled = tokio::select! {
        settled = claim.work() => settled,
        () = renewal.ended() => {
            // Another goes on, or begins anew.
            claim.remove_part().await;
            let message = format!("{id} is another server's to settle by now");
            return Err(EngineError::refused(ErrorKind::Conflict, message));
        }
    };
    let made = match &settled {
        Ok(Settled::Removed) => return Ok(()),
        Ok(Settled::Made(failure)) => Some(failure.clone()),
        Ok(Settled::Waits) | Err(_) => None,
    };
    let is_made = made.is_some();
    if !matches!(made, Some(None)) {
        claim.remove_part().await;
    }
    let edit = |row: &mut ResourceRow| {
        // A removal may have begun meanwhile.
        if let (Some(failure), ResourceState::Creating) = (made, row.state) {
            row.state = if failure.is_some() { ResourceState::Failed } else { ResourceState::Available };
            row.failure = failure;
            row.rolls_back = false;
        }
    };
    let holder = holder(id);
    // With the row: once that is settled, the same backup may be held by the same name for another roll-back.
    let hold = claim.row.made_from.as_ref().filter(|_| is_made).map(|backup| (backup, holder.as_str()));
    ctx.catalog.release_resource(&claim.row.account, id, fence, hold, edit).await?;
    settled.map(drop)
}

/// Keeps the lease until another has it or may have it. While the catalog does not answer, nobody can tell.
async fn renew_until_lost(ctx: RegionContext, id: ResourceId, fence: Fence, lease: Duration, term: Term) {
    loop {
        tokio::time::sleep(lease / RENEWALS_PER_LEASE).await;
        let asked = Instant::now();
        match tokio::time::timeout_at(term.end(), ctx.catalog.renew_resource(&id, fence, lease)).await {
            Ok(Ok(())) => term.move_end(asked + lease),
            Ok(Err(error)) if !is_lost(&error) && asked < term.end() => {}
            _ => return term.move_end(asked),
        }
    }
}

impl Claim<'_> {
    async fn work(&self) -> Result<Settled, EngineError> {
        if self.row.state == ResourceState::Deleting {
            return self.remove().await;
        }
        match self.fill().await {
            Err(error) if error.is_worth_retrying() => Err(error),
            done => Ok(Settled::Made(done.err().map(|error| describe(&error)))),
        }
    }

    /// Restores the backup that the resource is made from; one that is made from none was made when it was accepted.
    async fn fill(&self) -> Result<(), EngineError> {
        let (ctx, row) = (self.ctx, &self.row);
        let Some(backup) = &row.made_from else { return Ok(()) };
        let holder = holder(&row.id);
        // Whether the account may read another's backup was decided when the resource was accepted; the hold has kept the
        // backup since.
        let owner = ctx.catalog.find_owner(backup).await?.unwrap_or_else(|| row.account.clone());
        ctx.catalog.place_hold(&owner, backup, &holder, HOLD).await?;
        let (catalog, held) = (ctx.catalog.clone(), backup.clone());
        let _hold = Renewal::of(HOLD, move || {
            let (catalog, held, holder) = (catalog.clone(), held.clone(), holder.clone());
            async move { catalog.renew_hold(&held, &holder, HOLD).await.unwrap_or(true) }
        });
        let fill = async |target: PathBuf, overwrite| {
            let (account, backup, paths) = (owner, backup.clone(), Vec::new());
            let request = RestoreRequest { account, backup, target, paths, overwrite };
            let report = restore_within(ctx, request, Arc::default(), Some(self.term.clone())).await?;
            // Nobody is there to be shown a list, and what lacks files must not be taken for what was backed up.
            match Omission::summary(&report.omissions, OmissionKind::fails_a_resource) {
                Some(lost) => Err(EngineError::refused(ErrorKind::Damaged, format!("not all of it is there: {lost}"))),
                None => Ok(()),
            }
        };
        let path = path_of(row);
        // What its owner has attached may be a device, or be open: its bytes are replaced where they are.
        if !row.managed || row.rolls_back && row.kind.source_kind() == SourceKind::Tree {
            ctx.catalog.renew_resource(&row.id, self.fence, self.lease).await?;
            return fill(path, true).await;
        }
        let (region, begun, fence, part) = (ctx.clone(), row.clone(), self.fence, self.part());
        if blocking(move || prepare(&region, &begun, fence)).await? {
            return Ok(());
        }
        fill(part.clone(), false).await?;
        ctx.catalog.renew_resource(&row.id, self.fence, self.lease).await?;
        let (region, rolls_back) = (ctx.clone(), row.rolls_back);
        blocking(move || {
            let appeared = appear(&part, &path, rolls_back);
            appeared.map_err(EngineError::file(format!("make {}", path.display())))?;
            sync_managed(&region)
        })
        .await
    }

    /// Removes a resource once no backup of it is being made: its bytes if they are ours, its row, and its automatic
    /// backups where these go with it.
    async fn remove(&self) -> Result<Settled, EngineError> {
        let (ctx, row) = (self.ctx, &self.row);
        if row.pending || is_being_backed_up(ctx, row).await? {
            return Ok(Settled::Waits);
        }
        // Of disks and clusters, backups that were taken on a schedule stay until their own time.
        let goes = |backup: &&BackupRow| backup.origin == Origin::Automatic && !backup.is_copy();
        for backup in all_of(ctx, row).await?.iter().filter(goes).filter(|_| row.kind.service() == Service::Fsx) {
            // One that is being copied now goes with the next try.
            delete_backup(ctx, &row.account, &backup.id, None).await?;
        }
        let (region, gone, fence) = (ctx.clone(), row.clone(), self.fence);
        blocking(move || {
            remove_path(&region, &gone)?;
            remove_parts(&region, &gone, fence)
        })
        .await?;
        ctx.catalog.remove_resource(row, self.fence).await?;
        Ok(Settled::Removed)
    }

    /// Where the resource is filled under this lease.
    fn part(&self) -> PathBuf {
        self.ctx.managed.join(format!("{}.{}", self.row.id, self.fence))
    }

    /// Removes what was filled in vain. What cannot be removed now goes with the resource.
    async fn remove_part(&self) {
        let part = self.part();
        drop(blocking(move || remove_at(&part)).await);
    }
}

/// Does what may take long with files.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(work).await.expect("working with files does not panic")
}

/// Makes room for a resource. Says whether it is there already: a server has stopped after it had appeared.
fn prepare(ctx: &RegionContext, row: &ResourceRow, fence: Fence) -> Result<bool, EngineError> {
    std::fs::create_dir_all(&ctx.managed).map_err(EngineError::file(format!("make {}", ctx.managed.display())))?;
    // Someone may still be writing there, whom nobody heeds any more.
    drop(remove_parts(ctx, row, fence));
    Ok(!row.rolls_back && path_of(row).exists())
}

/// Gives what is whole its own name.
fn appear(part: &Path, path: &Path, replaces: bool) -> io::Result<()> {
    if replaces {
        return std::fs::rename(part, path);
    }
    match renameat_with(CWD, part, CWD, path, RenameFlags::NOREPLACE) {
        // Network file systems do not know of this.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if !path.exists() => std::fs::rename(part, path),
        renamed => Ok(renamed?),
    }
}

/// Removes what the leases before this one have left of a resource that was not whole. What a later one makes stays: this
/// server may have been paused since its own was given.
fn remove_parts(ctx: &RegionContext, row: &ResourceRow, lease: Fence) -> Result<(), EngineError> {
    let failed = || EngineError::file(format!("list {}", ctx.managed.display()));
    let listed = match std::fs::read_dir(&ctx.managed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed.map_err(failed())?,
    };
    for found in listed {
        let found = found.map_err(failed())?;
        let name = found.file_name();
        let fence = name.to_str().and_then(|name| name.strip_prefix(row.id.as_str())?.strip_prefix('.'));
        let fence = fence.and_then(|fence| fence.parse::<u64>().ok());
        if fence.is_some_and(|fence| fence < lease.0.cast_unsigned()) {
            remove_at(&found.path())?;
        }
    }
    Ok(())
}

/// Whether the resource is being read. A copy of one of its backups reads that alone.
async fn is_being_backed_up(ctx: &RegionContext, row: &ResourceRow) -> Result<bool, EngineError> {
    let filter = BackupFilter {
        resources: vec![row.id.clone()],
        states: vec![BackupState::Creating],
        limit: 1,
        ..BackupFilter::default()
    };
    Ok(!ctx.catalog.list_backups(&row.account, &filter).await?.is_empty())
}

async fn all_of(ctx: &RegionContext, row: &ResourceRow) -> Result<Vec<BackupRow>, EngineError> {
    let filter = BackupFilter { resources: vec![row.id.clone()], limit: u32::MAX, ..BackupFilter::default() };
    let mut backups = ctx.catalog.list_backups(&row.account, &filter).await?;
    backups.retain(|backup| backup.state != BackupState::Deleting);
    Ok(backups)
}
