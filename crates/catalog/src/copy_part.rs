//! Parts of a large copy: ranges of its packs that servers of the region share out among them.
//!
//! Whoever has the copy's lease offers parts and takes from the front; others claim from the back, each under a lease of
//! its own. A part belongs to the fence that offered it: once another has claimed the copy, nobody can write by it.

use std::ops::Range;
use std::time::Duration;

use model::{AccountId, BackupId, PackId};
use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};

use crate::column::{Columns, after};
use crate::database::{Catalog, Write, operation};
use crate::error::{CatalogError, CatalogErrorKind};
use crate::lease::{Fence, LeaseRequest, fenced};

/// A part that was claimed, or taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyPart {
    /// The copy.
    pub backup: BackupId,
    /// Which of the packs, as the source's record lists them.
    pub packs: Range<u64>,
    /// The copy's fence when the part was offered.
    pub copy_fence: Fence,
    /// Which holder of the part's lease, counted from 1.
    pub fence: Fence,
}

impl FromRow<'_, AnyRow> for CopyPart {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let first = row.count("first_pack")?;
        Ok(Self {
            backup: row.parsed("backup_id")?,
            packs: first..first.saturating_add(row.count("pack_count")?),
            copy_fence: Fence(row.try_get("copy_fence")?),
            fence: Fence(row.try_get("lease_fence")?),
        })
    }
}

/// Ends a statement about the parts of a copy: only while the copy is still that of the worker who offered them.
macro_rules! while_offered {
    ($statement:literal) => {
        concat!(
            $statement,
            " AND EXISTS (SELECT 1 FROM backup WHERE backup.id = copy_part.backup_id AND backup.state = 'COPYING' \
             AND backup.lease_fence = copy_part.copy_fence AND backup.lease_owner IS NOT NULL)"
        )
    };
}

impl Catalog {
    /// Offers parts of a copy, in place of those that were offered before.
    ///
    /// # Errors
    /// `LostLease` when another claimed, or the work has ended.
    pub async fn offer_parts(
        &self,
        account: &AccountId,
        id: &BackupId,
        fence: Fence,
        parts: &[Range<u64>],
    ) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("offer_parts", "share out the copy")).await?;
        write.check_fence(account, id, fence, 0).await?;
        write.drop_parts(id).await?;
        for part in parts {
            let (first, count) = (write.bigint(part.start)?, write.bigint(part.end.saturating_sub(part.start))?);
            let sql = "INSERT INTO copy_part (backup_id, first_pack, pack_count, copy_fence) VALUES ($1, $2, $3, $4)";
            write.run(sqlx::query(sql).bind(id.as_str()).bind(first).bind(count).bind(fence.0)).await?;
        }
        write.commit().await
    }

    /// Takes the first part that nobody is at work on, or, with `claimed`, the first one of all, for the holder of the copy's
    /// lease: to send it is up to that one from now on.
    ///
    /// # Errors
    /// `LostLease` when another claimed the copy, or the work has ended.
    pub async fn take_part(
        &self,
        id: &BackupId,
        fence: Fence,
        claimed: bool,
    ) -> Result<Option<CopyPart>, CatalogError> {
        let mut write = self.write(operation!("take_part", "take a part of the copy")).await?;
        let now = write.now().await?;
        let sql = fenced!("UPDATE backup SET state = state");
        write.run_fenced(id, sqlx::query(sql).bind(id.as_str()).bind(fence.0)).await?;
        let sql = "DELETE FROM copy_part WHERE backup_id = $1 AND first_pack = (SELECT MIN(first_pack) FROM copy_part \
                   WHERE backup_id = $1 AND (lease_owner IS NULL OR lease_expires_at <= $2 OR $3 = 1)) \
                   RETURNING backup_id, first_pack, pack_count, copy_fence, lease_fence";
        let taken =
            write.find::<CopyPart>(sqlx::query(sql).bind(id.as_str()).bind(now.0).bind(i64::from(claimed))).await?;
        write.commit().await?;
        Ok(taken)
    }

    /// How many parts of a copy are still to be done, by whomever.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn parts_left(&self, id: &BackupId) -> Result<u64, CatalogError> {
        let sql = "SELECT COUNT(*) AS parts FROM copy_part WHERE backup_id = $1";
        let (parts,) = self.read("count parts of the copy").one::<(i64,)>(sqlx::query(sql).bind(id.as_str())).await?;
        Ok(u64::try_from(parts).unwrap_or_default())
    }

    /// Copies that others than `owner` make, with parts that nobody is at work on.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn shared_copies(&self, owner: &str) -> Result<Vec<BackupId>, CatalogError> {
        let now = self.now().await?;
        let sql = concat!(
            while_offered!(
                "SELECT DISTINCT backup_id FROM copy_part WHERE (lease_owner IS NULL OR lease_expires_at <= $1) \
                 AND backup_id NOT IN (SELECT id FROM backup WHERE state = 'COPYING' AND lease_owner = $2)"
            ),
            " ORDER BY backup_id"
        );
        let query = sqlx::query(sql).bind(now.0).bind(owner);
        let found = self.read("list copies that are shared").list::<CopyRow>(query).await?;
        Ok(found.into_iter().map(|CopyRow(id)| id).collect())
    }

    /// Claims the last part of a copy that nobody is at work on. `None` when there is none.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn claim_part(&self, id: &BackupId, request: &LeaseRequest) -> Result<Option<CopyPart>, CatalogError> {
        let mut write = self.write(operation!("claim_part", "claim a part of the copy")).await?;
        let now = write.now().await?;
        let sql = concat!(
            while_offered!(
                "UPDATE copy_part SET lease_owner = $2, lease_fence = lease_fence + 1, lease_expires_at = $3 \
                 WHERE backup_id = $1 AND first_pack = (SELECT MAX(first_pack) FROM copy_part \
                 WHERE backup_id = $1 AND (lease_owner IS NULL OR lease_expires_at <= $4))"
            ),
            " RETURNING backup_id, first_pack, pack_count, copy_fence, lease_fence"
        );
        let query =
            sqlx::query(sql).bind(id.as_str()).bind(request.owner.as_str()).bind(after(now, request.ttl)).bind(now.0);
        let claimed = write.find::<CopyPart>(query).await?;
        write.commit().await?;
        Ok(claimed)
    }

    /// Lets the lease on a part run `ttl` from now.
    ///
    /// # Errors
    /// `LostLease` when another claimed the part or the copy, or the work has ended.
    pub async fn renew_part(&self, part: &CopyPart, ttl: Duration) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("renew_part", "renew the lease on a part")).await?;
        let expires_at = after(write.now().await?, ttl);
        write.check_part(part, 0).await?;
        let sql = "UPDATE copy_part SET lease_expires_at = $3 WHERE backup_id = $1 AND first_pack = $2";
        let first = write.bigint(part.packs.start)?;
        write.run(sqlx::query(sql).bind(part.backup.as_str()).bind(first).bind(expires_at)).await?;
        write.commit().await
    }

    /// Gives a part back, for anyone to claim at once.
    ///
    /// # Errors
    /// As those of [`Catalog::renew_part`].
    pub async fn release_part(&self, part: &CopyPart) -> Result<(), CatalogError> {
        let write = self.write(operation!("release_part", "give back a part of the copy")).await?;
        let sql =
            "UPDATE copy_part SET lease_owner = NULL, lease_expires_at = 0 WHERE backup_id = $1 AND first_pack = $2";
        write.end_part(part, sql).await
    }

    /// Gives back every part that `owner` has claimed. Returns how many.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn release_parts_of(&self, owner: &str) -> Result<u64, CatalogError> {
        let mut write = self.write(operation!("release_parts_of", "give back parts of copies")).await?;
        let sql = "UPDATE copy_part SET lease_owner = NULL, lease_expires_at = 0 WHERE lease_owner = $1";
        let released = write.run(sqlx::query(sql).bind(owner)).await?;
        write.commit().await?;
        Ok(released)
    }

    /// Ends a part of which every pack has landed.
    ///
    /// # Errors
    /// As those of [`Catalog::renew_part`].
    pub async fn finish_part(&self, part: &CopyPart) -> Result<(), CatalogError> {
        let write = self.write(operation!("finish_part", "end a part of the copy")).await?;
        write.end_part(part, "DELETE FROM copy_part WHERE backup_id = $1 AND first_pack = $2").await
    }

    /// [`Catalog::land_packs`] for whoever has claimed a part of the copy.
    ///
    /// # Errors
    /// As those of [`Catalog::renew_part`]. `Conflict` when the copy did not announce one of them.
    pub async fn land_packs_of_part(
        &self,
        account: &AccountId,
        part: &CopyPart,
        packs: &[PackId],
        done_bytes: u64,
    ) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("land_packs_of_part", "record that packs landed")).await?;
        write.check_part(part, done_bytes).await?;
        for pack in packs {
            write.land(account, &part.backup, *pack).await?;
        }
        write.commit().await
    }
}

/// One copy.
struct CopyRow(BackupId);

impl FromRow<'_, AnyRow> for CopyRow {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        row.parsed("backup_id").map(Self)
    }
}

impl Write {
    /// Checks that the leases on a part and on its copy are still held, and adds to the copy's progress.
    async fn check_part(&mut self, part: &CopyPart, done_bytes: u64) -> Result<(), CatalogError> {
        let sql = "UPDATE backup SET done_bytes = done_bytes + $5 WHERE id = $1 AND state = 'COPYING' \
                   AND lease_fence = $4 AND lease_owner IS NOT NULL AND EXISTS (SELECT 1 FROM copy_part \
                   WHERE backup_id = $1 AND first_pack = $2 AND lease_fence = $3 AND copy_fence = $4 \
                   AND lease_owner IS NOT NULL)";
        let query = sqlx::query(sql)
            .bind(part.backup.as_str())
            .bind(self.bigint(part.packs.start)?)
            .bind(part.fence.0)
            .bind(part.copy_fence.0)
            .bind(self.bigint(done_bytes)?);
        if self.run(query).await? == 1 {
            return Ok(());
        }
        let cause = format!("a part of {} is no longer this worker's", part.backup);
        Err(self.refused(CatalogErrorKind::LostLease, cause))
    }

    /// Ends the work on a part, for the holder of its lease alone.
    async fn end_part(mut self, part: &CopyPart, sql: &'static str) -> Result<(), CatalogError> {
        self.check_part(part, 0).await?;
        let first = self.bigint(part.packs.start)?;
        self.run(sqlx::query(sql).bind(part.backup.as_str()).bind(first)).await?;
        self.commit().await
    }

    /// Forgets what is left to do of a copy that has ended, or is shared out anew.
    pub(crate) async fn drop_parts(&mut self, id: &BackupId) -> Result<(), CatalogError> {
        self.run(sqlx::query("DELETE FROM copy_part WHERE backup_id = $1").bind(id.as_str())).await.map(|_| ())
    }
}
