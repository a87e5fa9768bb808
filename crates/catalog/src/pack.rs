//! Packs and edges: which objects the store holds, and which backup keeps which of them.
//!
//! An edge is a root of gc, a line of the resume journal and a step of progress at once. It is only
//! ever added to a pack that is not being deleted, and the same transaction takes back the pack's doom.

use std::collections::HashSet;

use model::{AccountId, BackupId, DataKeyId, ObjectName, PackId, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, FromRow};

use crate::batch::{batches, parameters};
use crate::column::Columns;
use crate::database::{Catalog, Query, Write, operation};
use crate::error::CatalogError;
use crate::lease::Fence;

/// A pack.
#[derive(Debug, Clone, PartialEq)]
pub struct PackRow {
    /// Its lasting name, the same in every region.
    pub pack_id: PackId,
    /// Where it lies in this region's store.
    pub object_name: ObjectName,
    /// How long it is, sealed.
    pub bytes: u64,
    /// The data key it is sealed under.
    pub data_key: DataKeyId,
    /// Whether it is in the store, verified.
    pub landed: bool,
    /// Since when no backup names it, as far as gc has noticed.
    pub doomed_at: Option<Timestamp>,
    /// Whether its object is being deleted, or gone.
    pub deleting: bool,
}

impl FromRow<'_, AnyRow> for PackRow {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            pack_id: PackId(row.bytes("pack_id")?),
            object_name: ObjectName(row.bytes("object_name")?),
            bytes: row.count("bytes")?,
            data_key: DataKeyId(row.bytes("data_key")?),
            landed: row.flag("landed")?,
            doomed_at: row.time_or_null("doomed_at")?,
            deleting: row.flag("deleting")?,
        })
    }
}

/// One id.
pub(crate) struct PackIdRow(pub(crate) PackId);

impl FromRow<'_, AnyRow> for PackIdRow {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        row.bytes("pack_id").map(PackId).map(Self)
    }
}

impl Catalog {
    /// Those of the account's packs that are in the store to stay for now: landed, and not being deleted.
    ///
    /// The answer may be out of date when it arrives; [`Catalog::hold_packs`] is what makes it last.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn held_packs(&self, account: &AccountId, packs: &[PackId]) -> Result<Vec<PackRow>, CatalogError> {
        let mut held = Vec::new();
        for batch in batches(packs) {
            let sql = select_held(2, batch.len());
            let query = bind_packs(sqlx::query(AssertSqlSafe(sql)).bind(account.as_str()), &batch);
            held.extend(self.read("look up packs").list::<PackRow>(query).await?);
        }
        Ok(held)
    }

    /// Makes the backup keep those of these packs that are landed and not being deleted, and returns them.
    ///
    /// # Errors
    /// `LostLease` when another claimed, or the work has ended.
    pub async fn hold_packs(
        &self,
        account: &AccountId,
        backup: &BackupId,
        fence: Fence,
        packs: &[PackId],
    ) -> Result<Vec<PackRow>, CatalogError> {
        let mut write = self.write(operation!("hold_packs", "keep packs")).await?;
        write.check_fence(account, backup, fence, 0).await?;
        let mut held = Vec::new();
        for batch in batches(packs) {
            held.extend(write.hold_batch(account, backup, &batch).await?);
        }
        write.commit().await?;
        Ok(held)
    }

    /// Makes the backup keep none but these of its packs.
    ///
    /// # Errors
    /// `LostLease` when another claimed, or the work has ended.
    pub async fn keep_only(&self, backup: &BackupId, fence: Fence, packs: &[PackId]) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("keep_only", "drop packs that are not needed")).await?;
        let sql = crate::lease::fenced!("UPDATE backup SET state = state");
        write.run_fenced(backup, sqlx::query(sql).bind(backup.as_str()).bind(fence.0)).await?;
        let kept: HashSet<PackId> = packs.iter().copied().collect();
        let edges = sqlx::query("SELECT pack_id FROM backup_pack WHERE backup_id = $1").bind(backup.as_str());
        let edges: Vec<PackIdRow> = write.list(edges).await?;
        let dropped: Vec<PackId> = edges.into_iter().map(|PackIdRow(id)| id).filter(|id| !kept.contains(id)).collect();
        for batch in batches(&dropped) {
            let list = parameters(2, batch.len());
            let sql = format!("DELETE FROM backup_pack WHERE backup_id = $1 AND pack_id IN ({list})");
            write.run(bind_packs(sqlx::query(AssertSqlSafe(sql)).bind(backup.as_str()), &batch)).await?;
        }
        write.commit().await
    }

    /// Every pack that the backup keeps, by id.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn backup_packs(&self, backup: &BackupId) -> Result<Vec<PackRow>, CatalogError> {
        let sql = "SELECT p.pack_id, p.object_name, p.bytes, p.data_key, p.landed, p.doomed_at, p.deleting \
                   FROM backup_pack e JOIN pack p ON p.account = e.account AND p.pack_id = e.pack_id \
                   WHERE e.backup_id = $1 ORDER BY e.pack_id";
        self.read("list the backup's packs").list(sqlx::query(sql).bind(backup.as_str())).await
    }
}

fn select_held(first: usize, count: usize) -> String {
    format!(
        "SELECT pack_id, object_name, bytes, data_key, landed, doomed_at, deleting FROM pack \
         WHERE account = $1 AND landed = 1 AND deleting = 0 AND pack_id IN ({})",
        parameters(first, count)
    )
}

fn bind_packs<'q>(query: Query<'q>, packs: &[PackId]) -> Query<'q> {
    packs.iter().fold(query, |query, pack| query.bind(&pack.0[..]))
}

impl Write {
    async fn hold_batch(
        &mut self,
        account: &AccountId,
        backup: &BackupId,
        batch: &[PackId],
    ) -> Result<Vec<PackRow>, CatalogError> {
        // Revived before they are named: an engine with many writers locks the rows here, so that gc cannot turn one
        // of them to deleting between the two statements.
        let sql = format!(
            "UPDATE pack SET doomed_at = NULL WHERE account = $1 AND landed = 1 AND deleting = 0 \
             AND doomed_at IS NOT NULL AND pack_id IN ({})",
            parameters(2, batch.len())
        );
        self.run(bind_packs(sqlx::query(AssertSqlSafe(sql)).bind(account.as_str()), batch)).await?;
        let sql = format!(
            "INSERT INTO backup_pack (backup_id, account, pack_id) SELECT CAST($2 AS TEXT), account, pack_id FROM pack \
             WHERE account = $1 AND landed = 1 AND deleting = 0 AND pack_id IN ({}) ON CONFLICT DO NOTHING",
            parameters(3, batch.len())
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(account.as_str()).bind(backup.as_str());
        self.run(bind_packs(query, batch)).await?;
        let sql = select_held(2, batch.len());
        self.list(bind_packs(sqlx::query(AssertSqlSafe(sql)).bind(account.as_str()), batch)).await
    }

    pub(crate) async fn add_edge(
        &mut self,
        account: &AccountId,
        backup: &BackupId,
        pack: PackId,
    ) -> Result<(), CatalogError> {
        let sql = "INSERT INTO backup_pack (backup_id, account, pack_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        self.run(sqlx::query(sql).bind(backup.as_str()).bind(account.as_str()).bind(&pack.0[..])).await.map(|_| ())
    }

    /// [`Write::add_edge`] for packs that are not being deleted.
    pub(crate) async fn add_edges(
        &mut self,
        account: &AccountId,
        backup: &BackupId,
        packs: &[PackId],
    ) -> Result<(), CatalogError> {
        let row = |number| format!("($1, $2, ${})", 3 + number);
        let rows: Vec<String> = (0..packs.len()).map(row).collect();
        let sql = format!(
            "INSERT INTO backup_pack (backup_id, account, pack_id) VALUES {} ON CONFLICT DO NOTHING",
            rows.join(", ")
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(backup.as_str()).bind(account.as_str());
        self.run(bind_packs(query, packs)).await.map(|_| ())
    }

    /// A pack that the backup names and that is not in the store to stay.
    pub(crate) async fn find_absent_pack(&mut self, backup: &BackupId) -> Result<Option<PackId>, CatalogError> {
        let sql = "SELECT p.pack_id FROM backup_pack e JOIN pack p ON p.account = e.account AND p.pack_id = e.pack_id \
                   WHERE e.backup_id = $1 AND (p.landed = 0 OR p.deleting = 1) LIMIT 1";
        let found = self.find::<PackIdRow>(sqlx::query(sql).bind(backup.as_str())).await?;
        Ok(found.map(|PackIdRow(id)| id))
    }
}
