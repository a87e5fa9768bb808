//! Leases: a worker's time-limited right to work on one backup.
//!
//! A lease carries a fence, a number that grows by one each time the work changes hands. Every write
//! of a worker names its fence, so a worker that slept past its expiry while another claimed can
//! change nothing: its writes match no row. Expiry uses the database's clock, never the worker's.

use std::fmt;
use std::time::Duration;

use model::{AccountId, BackupId};
use serde::Deserialize;

use crate::column::{after, bigint};
use crate::database::{Catalog, Query, Write, operation};
use crate::error::{CatalogError, CatalogErrorKind};

/// Which holder of a backup's lease, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct Fence(pub i64);

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who wants a lease, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    /// A name that no other process has or will have.
    pub owner: String,
    /// How long until others may claim the work, unless it is renewed.
    pub ttl: Duration,
}

/// Ends an `UPDATE backup` so that it changes the row only for the holder of the lease, or a `SELECT` so that it finds
/// the row only for that one: `$1` is the backup's id, `$2` the fence.
macro_rules! fenced {
    ($statement:literal) => {
        concat!(
            $statement,
            " WHERE id = $1 AND lease_fence = $2 AND lease_owner IS NOT NULL AND state IN ('CREATING', 'COPYING')"
        )
    };
}
pub(crate) use fenced;

impl Catalog {
    /// Claims an unfinished backup that nobody is at work on, and returns the new fence.
    ///
    /// `None` when the backup is not in progress, or its lease has neither been released nor run out
    /// nor belongs to `stale_owner`: a process that the caller knows to be dead.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn claim(
        &self,
        id: &BackupId,
        request: &LeaseRequest,
        stale_owner: Option<&str>,
    ) -> Result<Option<Fence>, CatalogError> {
        let mut write = self.write(operation!("claim", "claim the backup")).await?;
        let now = write.now().await?;
        let sql = "UPDATE backup SET lease_owner = $2, lease_fence = lease_fence + 1, lease_expires_at = $3 \
                   WHERE id = $1 AND state IN ('CREATING', 'COPYING') \
                   AND (lease_owner IS NULL OR lease_expires_at <= $4 OR lease_owner = $5) RETURNING lease_fence";
        let query = sqlx::query(sql)
            .bind(id.as_str())
            .bind(request.owner.as_str())
            .bind(after(now, request.ttl))
            .bind(now.0)
            .bind(stale_owner);
        let claimed = write.find::<(i64,)>(query).await?;
        write.commit().await?;
        Ok(claimed.map(|(fence,)| Fence(fence)))
    }

    /// Lets the lease run `ttl` from now.
    ///
    /// # Errors
    /// `LostLease` when another claimed, or the work has ended.
    pub async fn renew(&self, id: &BackupId, fence: Fence, ttl: Duration) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("renew", "renew the lease")).await?;
        let expires_at = after(write.now().await?, ttl);
        let sql = fenced!("UPDATE backup SET lease_expires_at = $3");
        write.run_fenced(id, sqlx::query(sql).bind(id.as_str()).bind(fence.0).bind(expires_at)).await?;
        write.commit().await
    }

    /// Gives the work back, for anyone to claim at once.
    ///
    /// # Errors
    /// `LostLease` when another claimed, or the work has ended.
    pub async fn release(&self, id: &BackupId, fence: Fence) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("release", "release the lease")).await?;
        let sql = fenced!("UPDATE backup SET lease_owner = NULL, lease_expires_at = 0");
        write.run_fenced(id, sqlx::query(sql).bind(id.as_str()).bind(fence.0)).await?;
        write.commit().await
    }

    /// Checks that nobody else has claimed the work: for what has to be done outside of the catalog, where no fence is.
    ///
    /// # Errors
    /// `LostLease` when another claimed, or the work has ended.
    pub async fn check_lease(&self, id: &BackupId, fence: Fence) -> Result<(), CatalogError> {
        let read = self.read("check the lease");
        let sql = fenced!("SELECT lease_fence FROM backup");
        match read.find::<(i64,)>(sqlx::query(sql).bind(id.as_str()).bind(fence.0)).await? {
            Some(_) => Ok(()),
            None => Err(read.refused(CatalogErrorKind::LostLease, lost(id))),
        }
    }

    /// Records how far the work is.
    ///
    /// # Errors
    /// `LostLease` when another claimed, or the work has ended.
    pub async fn set_progress(
        &self,
        id: &BackupId,
        fence: Fence,
        done_bytes: u64,
        total_bytes: u64,
    ) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("set_progress", "record progress")).await?;
        let (done, total) = (write.bigint(done_bytes)?, write.bigint(total_bytes)?);
        let sql = fenced!("UPDATE backup SET done_bytes = $3, total_bytes = $4");
        write.run_fenced(id, sqlx::query(sql).bind(id.as_str()).bind(fence.0).bind(done).bind(total)).await?;
        write.commit().await
    }
}

fn lost(id: &BackupId) -> String {
    format!("{id} is no longer this worker's")
}

impl Write {
    /// Runs an `UPDATE` that ends in [`fenced!`]: a change of no row means that the lease is lost.
    pub(crate) async fn run_fenced(&mut self, id: &BackupId, query: Query<'_>) -> Result<(), CatalogError> {
        if self.run(query).await? == 1 { Ok(()) } else { Err(self.refused(CatalogErrorKind::LostLease, lost(id))) }
    }

    /// Checks that the lease on the account's backup is still held, and adds to its progress.
    pub(crate) async fn check_fence(
        &mut self,
        account: &AccountId,
        id: &BackupId,
        fence: Fence,
        done_bytes: u64,
    ) -> Result<(), CatalogError> {
        let done = self.bigint(done_bytes)?;
        let sql = concat!(fenced!("UPDATE backup SET done_bytes = done_bytes + $3"), " AND account = $4");
        let query = sqlx::query(sql).bind(id.as_str()).bind(fence.0).bind(done).bind(account.as_str());
        self.run_fenced(id, query).await
    }

    /// A count as a column takes it.
    pub(crate) fn bigint(&self, count: u64) -> Result<i64, CatalogError> {
        bigint(count).map_err(|cause| self.failed(cause))
    }
}
