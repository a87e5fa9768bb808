//! Intent: a pack's row and edge come before its object, so that gc never meets an object it cannot place.
//!
//! A writer first says which packs it is about to store, then stores the objects, then says that they
//! landed. What it said survives it: after a crash the rows tell what may be lying in the store, and a
//! next worker that says the same carries on.

use std::collections::HashSet;

use model::{AccountId, BackupId, DataKeyId, ObjectName, PackId};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, FromRow};

use crate::batch::{batches, parameters};
use crate::column::Columns;
use crate::database::{Catalog, Write, operation};
use crate::error::{CatalogError, CatalogErrorKind};
use crate::lease::Fence;
use crate::pack::{PackIdRow, PackRow};

/// A pack that is about to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewPack {
    /// Its lasting name.
    pub pack_id: PackId,
    /// Where it will lie in the store.
    pub object_name: ObjectName,
    /// How long it is, sealed.
    pub bytes: u64,
    /// The data key it is sealed under.
    pub data_key: DataKeyId,
}

/// What a writer has to do about a pack that it intends to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Store the object, then land it. The backup keeps it from now on.
    Missing,
    /// Nothing: it has landed, perhaps under another object name. The backup keeps it from now on.
    Held,
    /// Its object is being deleted. Wait until that is done and ask again; the backup does not keep it.
    Deleting,
    /// Another backup is about to store the same pack in other bytes (sealed anew under another key). Land what is
    /// missing, wait until that one has landed or failed, and ask again; the backup does not keep it.
    Taken,
}

impl Catalog {
    /// Says which packs the backup's worker is about to store. Answers in the same order.
    ///
    /// Saying it again is how a resumed job carries on. All of them go through one transaction during which
    /// nobody else can write, so ask about some hundreds at a time.
    ///
    /// # Errors
    /// `LostLease` when another claimed, or the work has ended. `Conflict` when a backup keeps the
    /// same object under another pack id, which sealing makes impossible.
    pub async fn intend_packs(
        &self,
        account: &AccountId,
        backup: &BackupId,
        fence: Fence,
        packs: &[NewPack],
    ) -> Result<Vec<Standing>, CatalogError> {
        let mut write = self.write(operation!("intend_packs", "announce packs")).await?;
        write.check_fence(account, backup, fence, 0).await?;
        let mut new = HashSet::new();
        for batch in batches(packs) {
            new.extend(write.intend_new(account, backup, &batch).await?);
        }
        let mut standings = Vec::with_capacity(packs.len());
        for pack in packs {
            standings.push(match new.contains(&pack.pack_id) {
                true => Standing::Missing,
                false => write.intend(account, backup, pack).await?,
            });
        }
        write.commit().await?;
        Ok(standings)
    }

    /// Records that packs are in the store, verified, and adds `done_bytes` to the progress.
    ///
    /// # Errors
    /// `LostLease` when another claimed, or the work has ended. `Conflict` when the backup did not announce one of them.
    pub async fn land_packs(
        &self,
        account: &AccountId,
        backup: &BackupId,
        fence: Fence,
        packs: &[PackId],
        done_bytes: u64,
    ) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("land_packs", "record that packs landed")).await?;
        write.check_fence(account, backup, fence, done_bytes).await?;
        for pack in packs {
            write.land(account, backup, *pack).await?;
        }
        write.commit().await
    }
}

/// The row of another pack that lies under our object name.
struct Squatter {
    pack_id: PackId,
    deleting: bool,
}

impl FromRow<'_, AnyRow> for Squatter {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self { pack_id: PackId(row.bytes("pack_id")?), deleting: row.flag("deleting")? })
    }
}

impl Write {
    /// Announces those of these packs that nobody knows, which usually are all, and returns them.
    async fn intend_new(
        &mut self,
        account: &AccountId,
        backup: &BackupId,
        packs: &[NewPack],
    ) -> Result<Vec<PackId>, CatalogError> {
        let row = |number: usize| format!("($1, {}, 0, 0)", parameters(2 + 4 * number, 4));
        let rows: Vec<String> = (0..packs.len()).map(row).collect();
        let sql = format!(
            "INSERT INTO pack (account, pack_id, object_name, bytes, data_key, landed, deleting) VALUES {} \
             ON CONFLICT DO NOTHING RETURNING pack_id",
            rows.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(account.as_str());
        for pack in packs {
            let bytes = self.bigint(pack.bytes)?;
            query =
                query.bind(&pack.pack_id.0[..]).bind(&pack.object_name.0[..]).bind(bytes).bind(&pack.data_key.0[..]);
        }
        let new: Vec<PackId> = self.list::<PackIdRow>(query).await?.into_iter().map(|PackIdRow(id)| id).collect();
        for batch in batches(&new) {
            self.add_edges(account, backup, &batch).await?;
        }
        Ok(new)
    }

    /// Announces one pack. One that nobody knows takes two statements.
    pub(crate) async fn intend(
        &mut self,
        account: &AccountId,
        backup: &BackupId,
        pack: &NewPack,
    ) -> Result<Standing, CatalogError> {
        if self.insert_pack(account, pack).await? {
            self.add_edge(account, backup, pack.pack_id).await?;
            return Ok(Standing::Missing);
        }
        let standing = match self.find_pack(account, pack.pack_id).await? {
            Some(row) if row.deleting => Standing::Deleting,
            Some(row) if row.landed => Standing::Held,
            Some(row) if row.object_name == pack.object_name => Standing::Missing,
            Some(_) => self.rename_pack(account, backup, pack).await?,
            None => self.replace_squatter(account, pack).await?,
        };
        if matches!(standing, Standing::Missing | Standing::Held) {
            // Revived before it is named, for the reason given in `hold_packs`.
            let sql = "UPDATE pack SET doomed_at = NULL WHERE account = $1 AND pack_id = $2 AND doomed_at IS NOT NULL";
            self.run(sqlx::query(sql).bind(account.as_str()).bind(&pack.pack_id.0[..])).await?;
            self.add_edge(account, backup, pack.pack_id).await?;
        }
        Ok(standing)
    }

    /// Marks a pack that the backup announced as landed.
    pub(crate) async fn land(
        &mut self,
        account: &AccountId,
        backup: &BackupId,
        pack: PackId,
    ) -> Result<(), CatalogError> {
        let sql = "UPDATE pack SET landed = 1 WHERE account = $1 AND pack_id = $2 AND deleting = 0 \
                   AND EXISTS (SELECT 1 FROM backup_pack WHERE backup_id = $3 AND pack_id = $2)";
        let query = sqlx::query(sql).bind(account.as_str()).bind(&pack.0[..]).bind(backup.as_str());
        if self.run(query).await? == 1 {
            Ok(())
        } else {
            Err(self.refused(CatalogErrorKind::Conflict, format!("{backup} did not announce pack {pack}")))
        }
    }

    /// Inserts a pack that has not landed. Returns whether its id and its object name were both free.
    async fn insert_pack(&mut self, account: &AccountId, pack: &NewPack) -> Result<bool, CatalogError> {
        let sql = "INSERT INTO pack (account, pack_id, object_name, bytes, data_key, landed, deleting) \
                   VALUES ($1, $2, $3, $4, $5, 0, 0) ON CONFLICT DO NOTHING";
        let bytes = self.bigint(pack.bytes)?;
        let query = sqlx::query(sql).bind(account.as_str()).bind(&pack.pack_id.0[..]).bind(&pack.object_name.0[..]);
        Ok(self.run(query.bind(bytes).bind(&pack.data_key.0[..])).await? == 1)
    }

    async fn find_pack(&mut self, account: &AccountId, id: PackId) -> Result<Option<PackRow>, CatalogError> {
        let sql = "SELECT pack_id, object_name, bytes, data_key, landed, doomed_at, deleting FROM pack \
                   WHERE account = $1 AND pack_id = $2";
        self.find(sqlx::query(sql).bind(account.as_str()).bind(&id.0[..])).await
    }

    /// Gives a pack that has not landed the bytes that this backup is about to store, unless another counts on its own.
    /// What may lie under the old name is an orphan from now on.
    async fn rename_pack(
        &mut self,
        account: &AccountId,
        backup: &BackupId,
        pack: &NewPack,
    ) -> Result<Standing, CatalogError> {
        let sql = "SELECT 1 FROM backup_pack WHERE account = $1 AND pack_id = $2 AND backup_id <> $3 LIMIT 1";
        let query = sqlx::query(sql).bind(account.as_str()).bind(&pack.pack_id.0[..]).bind(backup.as_str());
        if self.find::<(i64,)>(query).await?.is_some() {
            return Ok(Standing::Taken);
        }
        if self.clear_object_name(account, pack).await? == Standing::Deleting {
            return Ok(Standing::Deleting);
        }
        let bytes = self.bigint(pack.bytes)?;
        let sql = "UPDATE pack SET object_name = $3, bytes = $4, data_key = $5 WHERE account = $1 AND pack_id = $2";
        let query = sqlx::query(sql).bind(account.as_str()).bind(&pack.pack_id.0[..]).bind(&pack.object_name.0[..]);
        self.run(query.bind(bytes).bind(&pack.data_key.0[..])).await?;
        Ok(Standing::Missing)
    }

    /// Inserts a pack whose object name was taken by another row.
    async fn replace_squatter(&mut self, account: &AccountId, pack: &NewPack) -> Result<Standing, CatalogError> {
        let standing = self.clear_object_name(account, pack).await?;
        if standing == Standing::Missing && !self.insert_pack(account, pack).await? {
            return Err(self.refused(CatalogErrorKind::Conflict, format!("pack {} is in the way", pack.pack_id)));
        }
        Ok(standing)
    }

    /// Forgets the row of another pack id that lies under our object name: an orphan that gc had adopted.
    /// The database refuses if a backup keeps it.
    async fn clear_object_name(&mut self, account: &AccountId, pack: &NewPack) -> Result<Standing, CatalogError> {
        let sql = "SELECT pack_id, deleting FROM pack WHERE account = $1 AND object_name = $2 AND pack_id <> $3";
        let query = sqlx::query(sql).bind(account.as_str()).bind(&pack.object_name.0[..]).bind(&pack.pack_id.0[..]);
        let Some(squatter) = self.find::<Squatter>(query).await? else {
            return Ok(Standing::Missing);
        };
        if squatter.deleting {
            return Ok(Standing::Deleting);
        }
        let query = sqlx::query("DELETE FROM pack WHERE account = $1 AND pack_id = $2");
        self.run(query.bind(account.as_str()).bind(&squatter.pack_id.0[..])).await?;
        Ok(Standing::Missing)
    }
}
