//! Leases on resources that are being made, filled or removed, as [`crate::lease`] has them on backups.

use std::time::Duration;

use model::{AccountId, BackupId, ResourceId, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};

use crate::column::{Columns, after};
use crate::database::{Catalog, Write, operation};
use crate::error::{CatalogError, CatalogErrorKind};
use crate::lease::{Fence, LeaseRequest};
use crate::resource::{ResourceRow, select_resources};

/// A resource that is being made or removed, and who is at work on it.
#[derive(Debug, Clone, PartialEq)]
pub struct UnsettledRow {
    /// The resource.
    pub resource: ResourceRow,
    /// Who holds its lease.
    pub lease_owner: Option<String>,
    /// Until when.
    pub lease_expires_at: Timestamp,
}

impl FromRow<'_, AnyRow> for UnsettledRow {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            resource: ResourceRow::from_row(row)?,
            lease_owner: row.try_get("lease_owner")?,
            lease_expires_at: row.time("lease_expires_at")?,
        })
    }
}

/// Ends a statement that changes a resource so that it does so only for the holder of the lease: `$1` is the resource's id, `$2`
/// the fence.
macro_rules! fenced {
    ($update:literal) => {
        concat!($update, " WHERE id = $1 AND lease_fence = $2 AND lease_owner IS NOT NULL")
    };
}

pub(crate) const UNSETTLED: &str =
    select_resources!(", lease_owner, lease_expires_at", "WHERE state IN ('CREATING', 'DELETING') ORDER BY id");

impl Catalog {
    /// Every account's resources that are being made or removed.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn unsettled_resources(&self) -> Result<Vec<UnsettledRow>, CatalogError> {
        self.read("list resources").list(sqlx::query(UNSETTLED)).await
    }

    /// Claims a resource that is being made or removed and that nobody is at work on, and returns it as it is now, with
    /// the new fence.
    ///
    /// `None` when it is settled, or its lease has neither been released nor run out nor belongs to `stale_owner`: a
    /// process that the caller knows to be dead.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn claim_resource(
        &self,
        id: &ResourceId,
        request: &LeaseRequest,
        stale_owner: Option<&str>,
    ) -> Result<Option<(ResourceRow, Fence)>, CatalogError> {
        let mut write = self.write(operation!("claim_resource", "claim the resource")).await?;
        let now = write.now().await?;
        let sql = "UPDATE resource SET lease_owner = $2, lease_fence = lease_fence + 1, lease_expires_at = $3 \
                   WHERE id = $1 AND state IN ('CREATING', 'DELETING') \
                   AND (lease_owner IS NULL OR lease_expires_at <= $4 OR lease_owner = $5) RETURNING lease_fence";
        let query = sqlx::query(sql)
            .bind(id.as_str())
            .bind(request.owner.as_str())
            .bind(after(now, request.ttl))
            .bind(now.0)
            .bind(stale_owner);
        let Some((fence,)) = write.find::<(i64,)>(query).await? else { return Ok(None) };
        let claimed = write.find(sqlx::query(select_resources!("WHERE id = $1")).bind(id.as_str())).await?;
        write.commit().await?;
        Ok(claimed.map(|row| (row, Fence(fence))))
    }

    /// Lets the lease run `ttl` from now.
    ///
    /// # Errors
    /// `LostLease` when another claimed, or it was released.
    pub async fn renew_resource(&self, id: &ResourceId, fence: Fence, ttl: Duration) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("renew_resource", "renew the resource's lease")).await?;
        let expires_at = after(write.now().await?, ttl);
        let sql = fenced!("UPDATE resource SET lease_expires_at = $3");
        let renewed = write.run(sqlx::query(sql).bind(id.as_str()).bind(fence.0).bind(expires_at)).await?;
        if renewed == 0 {
            return Err(write.lost_resource(id));
        }
        write.commit().await
    }

    /// Gives the work back, for anyone to claim at once, changes the resource as [`Catalog::edit_resource`] does, and releases
    /// the hold on the backup that it was filled from, if there is one: all or nothing.
    ///
    /// # Errors
    /// `LostLease` when another claimed, or it was released. `NotFound` when the account has no such resource.
    pub async fn release_resource(
        &self,
        account: &AccountId,
        id: &ResourceId,
        fence: Fence,
        hold: Option<(&BackupId, &str)>,
        edit: impl FnOnce(&mut ResourceRow) + Send,
    ) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("release_resource", "release the resource's lease")).await?;
        let mut row = write.lock_resource(account, id).await?;
        let sql = fenced!("UPDATE resource SET lease_owner = NULL, lease_expires_at = 0");
        if write.run(sqlx::query(sql).bind(id.as_str()).bind(fence.0)).await? == 0 {
            return Err(write.lost_resource(id));
        }
        edit(&mut row);
        write.update_resource(&row).await?;
        if let Some((backup, holder)) = hold {
            write.delete_hold(backup, holder).await?;
        }
        write.commit().await
    }

    /// Forgets a resource that was removed and what policies it is bound to, and notes the event; its backups stay.
    ///
    /// # Errors
    /// `LostLease` when another claimed, or it was released.
    pub async fn remove_resource(&self, row: &ResourceRow, fence: Fence) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("remove_resource", "forget the resource")).await?;
        let now = write.now().await?;
        let query = sqlx::query(fenced!("DELETE FROM resource")).bind(row.id.as_str()).bind(fence.0);
        if write.run(query).await? == 0 {
            return Err(write.lost_resource(&row.id));
        }
        write.unbind_resource(&row.id).await?;
        write.record_event(now, &row.account, "RemoveResource", row.id.as_str(), "").await?;
        write.commit().await
    }

    /// Gives back every resource that `owner` has claimed. Returns how many.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn release_resources_of(&self, owner: &str) -> Result<u64, CatalogError> {
        let mut write = self.write(operation!("release_resources_of", "release resources")).await?;
        let sql = "UPDATE resource SET lease_owner = NULL, lease_expires_at = 0 \
                   WHERE state IN ('CREATING', 'DELETING') AND lease_owner = $1";
        let released = write.run(sqlx::query(sql).bind(owner)).await?;
        write.commit().await?;
        Ok(released)
    }
}

impl Write {
    fn lost_resource(&self, id: &ResourceId) -> CatalogError {
        self.refused(CatalogErrorKind::LostLease, format!("{id} is no longer this worker's"))
    }
}
