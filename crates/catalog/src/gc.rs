//! Garbage: packs that no backup names any more, on their way out in steps that are each safe to repeat.
//!
//! doomed → (the grace passes) → deleting → (the object is deleted) → forgotten. Until it is deleting,
//! any writer may revive a pack by naming it. A pack that is deleting makes such a writer wait, and the
//! foreign key of the edge refuses to forget a pack that a backup names, whatever a caller believes.
//!
//! One caller at a time has the right to delete the object, under a lease: a second one could come after the pack
//! was forgotten, and delete what a writer has stored anew.

use std::time::Duration;

use model::{AccountId, DataKeyId, ObjectName, PackId};
use sqlx::FromRow;
use sqlx::any::AnyRow;

use crate::column::{Columns, after, before};
use crate::database::{Catalog, operation};
use crate::error::CatalogError;
use crate::lease::{Fence, LeaseRequest};
use crate::pack::PackRow;

/// An object in the store that no row names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Orphan {
    /// A fresh id for it: what pack it was is not known.
    pub pack_id: PackId,
    /// Where it lies in the store.
    pub object_name: ObjectName,
    /// How long it is.
    pub bytes: u64,
}

/// The data key of an adopted orphan, which is not known.
pub const UNKNOWN_DATA_KEY: DataKeyId = DataKeyId([0; 16]);

struct Owned(AccountId, PackRow);

impl FromRow<'_, AnyRow> for Owned {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self(row.parsed("account")?, PackRow::from_row(row)?))
    }
}

struct ObjectNameRow(ObjectName);

impl FromRow<'_, AnyRow> for ObjectNameRow {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        row.bytes("object_name").map(ObjectName).map(Self)
    }
}

struct DataKeyRow(DataKeyId);

impl FromRow<'_, AnyRow> for DataKeyRow {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        row.bytes("data_key").map(DataKeyId).map(Self)
    }
}

impl Catalog {
    /// Dooms every pack that no backup names, of one account or of all. Returns how many were not doomed before.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn doom_unreferenced(&self, account: Option<&AccountId>) -> Result<u64, CatalogError> {
        let mut write = self.write(operation!("doom_unreferenced", "doom packs that nothing names")).await?;
        let now = write.now().await?;
        let sql = "UPDATE pack SET doomed_at = $1 WHERE doomed_at IS NULL AND deleting = 0 \
                   AND (CAST($2 AS TEXT) IS NULL OR account = $2) AND NOT EXISTS \
                   (SELECT 1 FROM backup_pack e WHERE e.account = pack.account AND e.pack_id = pack.pack_id)";
        let doomed = write.run(sqlx::query(sql).bind(now.0).bind(account.map(AccountId::as_str))).await?;
        write.commit().await?;
        Ok(doomed)
    }

    /// Every account's packs that were doomed at least `older_than` ago and are not being deleted yet.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn doomed_packs(&self, older_than: Duration) -> Result<Vec<(AccountId, PackRow)>, CatalogError> {
        let latest = before(self.now().await?, older_than);
        let sql = "SELECT account, pack_id, object_name, bytes, data_key, landed, doomed_at, deleting FROM pack \
                   WHERE doomed_at <= $1 AND deleting = 0 ORDER BY doomed_at, account, pack_id";
        let packs: Vec<Owned> = self.read("list doomed packs").list(sqlx::query(sql).bind(latest)).await?;
        Ok(packs.into_iter().map(|Owned(account, pack)| (account, pack)).collect())
    }

    /// Turns a pack to deleting, if it was doomed at least `older_than` ago and still no backup names it.
    ///
    /// Returns whether it was this caller that did. The pack is one of [`Catalog::deleting_packs`] then, until one that has
    /// claimed its removal has deleted its object and calls [`Catalog::forget_pack`].
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn begin_pack_deletion(
        &self,
        account: &AccountId,
        pack: &PackId,
        older_than: Duration,
    ) -> Result<bool, CatalogError> {
        let mut write = self.write(operation!("begin_pack_deletion", "begin to delete the pack")).await?;
        let latest = before(write.now().await?, older_than);
        let sql = "UPDATE pack SET deleting = 1 WHERE account = $1 AND pack_id = $2 AND deleting = 0 \
                   AND doomed_at <= $3 AND NOT EXISTS \
                   (SELECT 1 FROM backup_pack e WHERE e.account = pack.account AND e.pack_id = pack.pack_id)";
        let begun = write.run(sqlx::query(sql).bind(account.as_str()).bind(&pack.0[..]).bind(latest)).await?;
        write.commit().await?;
        Ok(begun == 1)
    }

    /// Every account's packs whose object is being deleted, or is gone while the row is not.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn deleting_packs(&self) -> Result<Vec<(AccountId, PackRow)>, CatalogError> {
        let sql = "SELECT account, pack_id, object_name, bytes, data_key, landed, doomed_at, deleting FROM pack \
                   WHERE deleting = 1 ORDER BY account, pack_id";
        let packs: Vec<Owned> = self.read("list packs being deleted").list(sqlx::query(sql)).await?;
        Ok(packs.into_iter().map(|Owned(account, pack)| (account, pack)).collect())
    }

    /// Who has the right to delete a pack's object, or had it last.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn pack_remover(&self, account: &AccountId, pack: &PackId) -> Result<Option<String>, CatalogError> {
        let sql = "SELECT lease_owner FROM pack WHERE account = $1 AND pack_id = $2 AND lease_owner IS NOT NULL";
        let query = sqlx::query(sql).bind(account.as_str()).bind(&pack.0[..]);
        Ok(self.read("look up who removes the pack").find::<(String,)>(query).await?.map(|(owner,)| owner))
    }

    /// Claims the right to delete the object of a deleting pack, and returns its fence.
    ///
    /// `None` when the pack is not deleting: since it was listed, another may have deleted it, and a writer have stored it
    /// anew. Also when another has the right, unless its time has run out or it is `stale_owner`: a process that the caller
    /// knows to be dead.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn claim_pack_removal(
        &self,
        account: &AccountId,
        pack: &PackId,
        request: &LeaseRequest,
        stale_owner: Option<&str>,
    ) -> Result<Option<Fence>, CatalogError> {
        let mut write = self.write(operation!("claim_pack_removal", "claim the removal of the pack")).await?;
        let now = write.now().await?;
        let sql = "UPDATE pack SET lease_owner = $3, lease_fence = lease_fence + 1, lease_expires_at = $4 \
                   WHERE account = $1 AND pack_id = $2 AND deleting = 1 \
                   AND (lease_owner IS NULL OR lease_expires_at <= $5 OR lease_owner = $6) RETURNING lease_fence";
        let query = sqlx::query(sql)
            .bind(account.as_str())
            .bind(&pack.0[..])
            .bind(request.owner.as_str())
            .bind(after(now, request.ttl))
            .bind(now.0)
            .bind(stale_owner);
        let claimed = write.find::<(i64,)>(query).await?;
        write.commit().await?;
        Ok(claimed.map(|(fence,)| Fence(fence)))
    }

    /// Lets go of the removal of a pack, for another gc to try it at once.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn release_pack_removal(
        &self,
        account: &AccountId,
        pack: &PackId,
        fence: Fence,
    ) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("release_pack_removal", "let go of the removal of the pack")).await?;
        let sql = "UPDATE pack SET lease_owner = NULL \
                   WHERE account = $1 AND pack_id = $2 AND deleting = 1 AND lease_fence = $3";
        write.run(sqlx::query(sql).bind(account.as_str()).bind(&pack.0[..]).bind(fence.0)).await?;
        write.commit().await
    }

    /// Forgets a deleting pack whose object is gone, and its wrapped data key if nothing else uses that.
    /// A pack whose removal another has claimed since, or that is forgotten already, is left alone.
    ///
    /// # Errors
    /// `Conflict` when a backup names the pack: the database refuses.
    pub async fn forget_pack(&self, account: &AccountId, pack: &PackId, fence: Fence) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("forget_pack", "forget the pack")).await?;
        let sql = "DELETE FROM pack WHERE account = $1 AND pack_id = $2 AND deleting = 1 AND lease_fence = $3 \
                   RETURNING data_key";
        let query = sqlx::query(sql).bind(account.as_str()).bind(&pack.0[..]).bind(fence.0);
        if let Some(DataKeyRow(data_key)) = write.find(query).await? {
            write.drop_unused_key(account, data_key).await?;
        }
        write.commit().await
    }

    /// Takes up objects that no row names as packs doomed now. Returns how many were still nameless.
    ///
    /// A writer that meanwhile announces one of them takes it over.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn adopt_orphans(&self, account: &AccountId, orphans: &[Orphan]) -> Result<u64, CatalogError> {
        let mut write = self.write(operation!("adopt_orphans", "take up nameless objects")).await?;
        let now = write.now().await?;
        let mut adopted = 0;
        for orphan in orphans {
            let sql = "INSERT INTO pack (account, pack_id, object_name, bytes, data_key, landed, doomed_at, deleting) \
                       VALUES ($1, $2, $3, $4, $5, 0, $6, 0) ON CONFLICT DO NOTHING";
            let query = sqlx::query(sql)
                .bind(account.as_str())
                .bind(&orphan.pack_id.0[..])
                .bind(&orphan.object_name.0[..])
                .bind(write.bigint(orphan.bytes)?)
                .bind(&UNKNOWN_DATA_KEY.0[..])
                .bind(now.0);
            adopted += write.run(query).await?;
        }
        write.commit().await?;
        Ok(adopted)
    }

    /// A page of the object names that the account's rows name, in order, after `after`.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn known_objects(
        &self,
        account: &AccountId,
        after: Option<&ObjectName>,
        limit: u32,
    ) -> Result<Vec<ObjectName>, CatalogError> {
        let sql = "SELECT object_name FROM pack WHERE account = $1 AND object_name > $2 ORDER BY object_name LIMIT CAST($3 AS BIGINT)";
        // Every name comes after that of no bytes.
        let after: &[u8] = after.map_or(&[], |name| &name.0);
        let query = sqlx::query(sql).bind(account.as_str()).bind(after).bind(i64::from(limit));
        let names: Vec<ObjectNameRow> = self.read("list known objects").list(query).await?;
        Ok(names.into_iter().map(|ObjectNameRow(name)| name).collect())
    }
}
