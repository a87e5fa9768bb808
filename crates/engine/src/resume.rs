//! Work that was accepted and that nobody is at work on: found, to be gone on with, and given back.
//!
//! What a worker does not finish, because it was stopped or killed or the region was away, is found here by
//! any other that serves the region.

use catalog::BackupRow;
use model::Timestamp;

use crate::context::RegionContext;
use crate::error::EngineError;
use crate::worker::{Worker, is_free};

/// Whether nobody is at work on a backup or copy that is in progress.
pub fn is_idle(row: &BackupRow, now: Timestamp) -> bool {
    is_free(row.lease_owner.as_deref(), row.lease_expires_at, now)
}

/// Gives back everything that this worker holds a lease on, so that others need not wait for the leases to run out.
/// What of it still runs here can write nothing from then on. Returns how much it was.
///
/// # Errors
/// When the catalog fails.
pub async fn give_back(ctx: &RegionContext, worker: &Worker) -> Result<u64, EngineError> {
    let rows = ctx.catalog.backups_in_progress().await?;
    let mut given_back = 0;
    for row in rows.into_iter().filter(|row| row.lease_owner.as_ref() == Some(&worker.owner)) {
        // One that ended meanwhile needs no giving back.
        given_back += u64::from(ctx.catalog.release(&row.id, row.lease_fence).await.is_ok());
    }
    given_back += ctx.catalog.release_parts_of(&worker.owner).await?;
    Ok(given_back + ctx.catalog.release_resources_of(&worker.owner).await?)
}
