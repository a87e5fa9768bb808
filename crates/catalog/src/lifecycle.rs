//! The life of a backup once it is accepted: published or failed, removed; and brought back from its record.
//!
//! Each move is one transaction that names the state it leaves, as [`BackupState::after`] has them.
//! `publish` is the gate of invariant I1: it refuses while a pack that the backup names has not landed.

use std::collections::BTreeSet;

use model::{
    AccountId, BackupId, BackupState, DataKeyId, KmsKeyId, Origin, Region, ResourceId, ResourceKind, SnapshotId,
    Timestamp,
};
use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};

use crate::backup::BackupRow;
use crate::column::Columns;
use crate::database::{Catalog, Write, operation};
use crate::error::{CatalogError, CatalogErrorKind};
use crate::intent::{NewPack, Standing};
use crate::key::WrappedKey;
use crate::lease::{Fence, fenced};
use crate::token::RequestToken;

/// Where a copy comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupSource {
    /// The region.
    pub region: Region,
    /// The backup there.
    pub backup: BackupId,
    /// When its contents were asked for, where that is known.
    pub taken_at: Option<Timestamp>,
}

/// A backup that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBackup {
    /// Its id.
    pub id: BackupId,
    /// Whose it is.
    pub account: AccountId,
    /// What it is a backup of.
    pub resource_id: ResourceId,
    /// What kind of resource that is.
    pub resource_kind: ResourceKind,
    /// What people call it.
    pub resource_name: Option<String>,
    /// What it is a copy of, if it is one: then it begins as `COPYING`, else as `CREATING`.
    pub source: Option<BackupSource>,
    /// The backup that this one is taken as a change of.
    pub parent_id: Option<BackupId>,
    /// The key under which its data keys are wrapped.
    pub kms_key: KmsKeyId,
    /// Its data key.
    pub data_key: DataKeyId,
    /// That data key, wrapped under `kms_key`.
    pub wrapped: Vec<u8>,
    /// The parameters it was asked for with, as JSON.
    pub request: String,
    /// Who asked for it.
    pub origin: Origin,
    /// What only its API knows of it: a JSON object.
    pub attributes: String,
    /// When it is to be removed.
    pub expires_at: Option<Timestamp>,
    /// How large its contents are, where that is known from the start; else 0.
    pub size_bytes: u64,
    /// Its tags, no key twice.
    pub tags: Vec<(String, String)>,
}

/// What is known about a backup once all of it is in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// Which contents it holds.
    pub snapshot_id: SnapshotId,
    /// The backup that it was taken as a change of.
    pub parent_id: Option<BackupId>,
    /// When the last byte had landed: the same instant that its record in the store tells.
    pub completed_at: Timestamp,
    /// How large its contents are.
    pub size_bytes: u64,
    /// How many bytes its packs hold in the store.
    pub stored_bytes: u64,
    /// How many of these had to be written or sent for it.
    pub moved_bytes: u64,
    /// How many were there already.
    pub deduplicated_bytes: u64,
    /// How many entries it has.
    pub entry_count: u64,
    /// How many things it left out.
    pub omission_count: u64,
}

/// A backup as its record in the store tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoredBackup {
    /// Its row; `state` and the lease are ignored.
    pub row: BackupRow,
    /// Every pack it names; all are in the store.
    pub packs: Vec<NewPack>,
    /// Every data key it needs, wrapped.
    pub wrapped_keys: Vec<WrappedKey>,
}

impl Catalog {
    /// Makes the backup available and ends its lease. An event tells whose lease it was, and its fence.
    ///
    /// # Errors
    /// `LostLease` when another claimed, or the work has ended. `Conflict` when a pack that the backup names has not
    /// landed: nothing is changed, and the cause names one such pack.
    pub async fn publish(&self, id: &BackupId, fence: Fence, published: &Published) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("publish", "publish the backup")).await?;
        write.record_end("PublishBackup", id, fence).await?;
        let sql = fenced!(
            "UPDATE backup SET state = 'AVAILABLE', snapshot_id = $3, size_bytes = $4, stored_bytes = $5, \
             moved_bytes = $6, deduplicated_bytes = $7, entry_count = $8, omission_count = $9, completed_at = $10, \
             parent_id = $11, failure = NULL, request = '', lease_owner = NULL, lease_expires_at = 0"
        );
        let query = sqlx::query(sql)
            .bind(id.as_str())
            .bind(fence.0)
            .bind(&published.snapshot_id.0[..])
            .bind(write.bigint(published.size_bytes)?)
            .bind(write.bigint(published.stored_bytes)?)
            .bind(write.bigint(published.moved_bytes)?)
            .bind(write.bigint(published.deduplicated_bytes)?)
            .bind(write.bigint(published.entry_count)?)
            .bind(write.bigint(published.omission_count)?)
            .bind(published.completed_at.0)
            .bind(published.parent_id.as_ref().map(BackupId::as_str));
        write.run_fenced(id, query).await?;
        if let Some(pack) = write.find_absent_pack(id).await? {
            return Err(write.refused(CatalogErrorKind::Conflict, format!("pack {pack} has not landed")));
        }
        write.drop_parts(id).await?;
        write.commit().await
    }

    /// Ends the work on the backup for good. Its packs are no longer kept; `reason` is shown to callers. An event tells
    /// whose lease it was, and its fence.
    ///
    /// # Errors
    /// `LostLease` when another claimed, or the work has ended.
    pub async fn fail(&self, id: &BackupId, fence: Fence, reason: &str) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("fail", "mark the backup as failed")).await?;
        write.record_end("FailBackup", id, fence).await?;
        let sql = fenced!(
            "UPDATE backup SET state = 'FAILED', failure = $3, request = '', lease_owner = NULL, lease_expires_at = 0"
        );
        write.run_fenced(id, sqlx::query(sql).bind(id.as_str()).bind(fence.0).bind(reason)).await?;
        write.run(sqlx::query("DELETE FROM backup_pack WHERE backup_id = $1").bind(id.as_str())).await?;
        write.drop_parts(id).await?;
        write.commit().await
    }

    /// Begins the removal of a backup: from here on nobody can copy, restore or finish it.
    /// Beginning again is allowed. A token, if the call has one, is taken with it.
    ///
    /// # Errors
    /// `NotFound` when the account has no such backup. `Held` while it is being copied, or a resource
    /// is filled from it. `Leased` while a worker is at work on it. `Conflict` when the token was taken before.
    pub async fn begin_delete(
        &self,
        account: &AccountId,
        id: &BackupId,
        token: Option<&RequestToken>,
    ) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("begin_delete", "begin to remove the backup")).await?;
        if let Some(token) = token {
            let now = write.now().await?;
            write.take_token(account, token, id.as_str(), now).await?;
        }
        write.begin_delete(account, id).await?;
        write.commit().await
    }

    /// [`Catalog::begin_delete`] for several backups: that of all of them, or of none.
    ///
    /// # Errors
    /// As those of [`Catalog::begin_delete`] for any of them.
    pub async fn begin_delete_all(&self, account: &AccountId, ids: &[BackupId]) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("begin_delete_all", "begin to remove the backups")).await?;
        for id in in_order(ids) {
            write.begin_delete(account, id).await?;
        }
        write.commit().await
    }

    /// [`Catalog::begin_delete`] for a backup whose time has come. Returns whether it still had: someone may have given it
    /// more time since it was looked at.
    ///
    /// # Errors
    /// As those of [`Catalog::begin_delete`].
    pub async fn begin_expire(&self, account: &AccountId, id: &BackupId) -> Result<bool, CatalogError> {
        let mut write = self.write(operation!("begin_expire", "begin to remove the backup")).await?;
        let now = write.now().await?;
        write.begin_delete(account, id).await?;
        let due = sqlx::query("SELECT COUNT(*) FROM backup WHERE id = $1 AND expires_at <= $2");
        if write.count(due.bind(id.as_str()).bind(now.0)).await? == 0 {
            return Ok(false);
        }
        write.commit().await?;
        Ok(true)
    }

    /// Forgets backups whose records are gone from the store: all of them, or none. Forgetting them again does nothing.
    ///
    /// Their packs lose their edge, and gc may doom them; their wrapped data keys go with them if no pack needs them.
    ///
    /// # Errors
    /// `Conflict` when the removal of one was not begun.
    pub async fn finish_delete(&self, ids: &[BackupId]) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("finish_delete", "forget the backup")).await?;
        for id in in_order(ids) {
            write.finish_delete(id).await?;
        }
        write.commit().await
    }

    /// Brings back a backup from its record, as available. Bringing it back again refreshes its tags and keys.
    ///
    /// # Errors
    /// `Conflict` when the catalog knows the backup in another state, or is about to delete a pack that it
    /// names: finish that first.
    pub async fn restore_backup(&self, restored: &RestoredBackup) -> Result<(), CatalogError> {
        let row = &restored.row;
        let mut write = self.write(operation!("restore_backup", "bring the backup back")).await?;
        let now = write.now().await?;
        write.touch_account(&row.account, now).await?;
        let available = BackupRow {
            state: BackupState::Available,
            lease_owner: None,
            lease_expires_at: Timestamp(0),
            ..row.clone()
        };
        if !write.insert_row(&available).await? {
            let known = write.lock_backup(&row.account, &row.id).await?;
            if known.is_none_or(|known| known.state != BackupState::Available) {
                return Err(write.refused(CatalogErrorKind::Conflict, format!("{} is not available here", row.id)));
            }
        }
        write.replace_tags(&row.id, &row.tags).await?;
        for pack in &restored.packs {
            match write.intend(&row.account, &row.id, pack).await? {
                Standing::Held => {}
                Standing::Missing => write.land(&row.account, &row.id, pack.pack_id).await?,
                Standing::Deleting | Standing::Taken => {
                    let cause = format!("pack {} is being deleted or replaced", pack.pack_id);
                    return Err(write.refused(CatalogErrorKind::Conflict, cause));
                }
            }
        }
        for key in &restored.wrapped_keys {
            write.put_wrapped_key(&row.account, key).await?;
        }
        write.commit().await
    }
}

/// Each once and in one order, so that of two who lock the same ones neither waits for the other for ever.
fn in_order(ids: &[BackupId]) -> BTreeSet<&BackupId> {
    ids.iter().collect()
}

pub(crate) fn accepted(new: &NewBackup, now: Timestamp) -> BackupRow {
    BackupRow {
        id: new.id.clone(),
        account: new.account.clone(),
        resource_id: new.resource_id.clone(),
        resource_kind: new.resource_kind,
        resource_name: new.resource_name.clone(),
        state: if new.source.is_some() { BackupState::Copying } else { BackupState::Creating },
        snapshot_id: None,
        parent_id: new.parent_id.clone(),
        kms_key: new.kms_key.clone(),
        data_key: new.data_key,
        created_at: now,
        completed_at: None,
        source_region: new.source.as_ref().map(|source| source.region.clone()),
        source_backup: new.source.as_ref().map(|source| source.backup.clone()),
        request: new.request.clone(),
        failure: None,
        size_bytes: new.size_bytes,
        stored_bytes: 0,
        moved_bytes: 0,
        deduplicated_bytes: 0,
        entry_count: 0,
        omission_count: 0,
        done_bytes: 0,
        total_bytes: 0,
        lease_owner: None,
        lease_fence: Fence(0),
        lease_expires_at: Timestamp(0),
        origin: new.origin,
        attributes: new.attributes.clone(),
        expires_at: new.expires_at,
        source_taken_at: new.source.as_ref().and_then(|source| source.taken_at),
        tags: new.tags.clone(),
    }
}

/// The part of a backup's row that decides what may be done to it.
pub(crate) struct Lifecycle {
    pub(crate) state: BackupState,
    lease_owner: Option<String>,
    lease_expires_at: Timestamp,
}

impl Lifecycle {
    fn is_leased(&self, now: Timestamp) -> bool {
        self.lease_owner.is_some() && self.lease_expires_at > now
    }
}

impl FromRow<'_, AnyRow> for Lifecycle {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            state: row.parsed("state")?,
            lease_owner: row.try_get("lease_owner")?,
            lease_expires_at: row.time("lease_expires_at")?,
        })
    }
}

/// Who is at work on a backup, and for whom.
struct Holder {
    account: AccountId,
    owner: String,
}

impl FromRow<'_, AnyRow> for Holder {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self { account: row.parsed("account")?, owner: row.try_get("lease_owner")? })
    }
}

struct LastSeen {
    account: AccountId,
    state: BackupState,
    data_key: DataKeyId,
}

impl FromRow<'_, AnyRow> for LastSeen {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            account: row.parsed("account")?,
            state: row.parsed("state")?,
            data_key: DataKeyId(row.bytes("data_key")?),
        })
    }
}

impl Write {
    /// Records that the holder of the lease ends the work, which the statement after this does. That one refuses where
    /// there is no such holder, so that nothing is to be recorded.
    async fn record_end(&mut self, action: &str, id: &BackupId, fence: Fence) -> Result<(), CatalogError> {
        let sql = fenced!("SELECT account, lease_owner FROM backup");
        let held = self.find::<Holder>(sqlx::query(sql).bind(id.as_str()).bind(fence.0)).await?;
        let Some(Holder { account, owner }) = held else { return Ok(()) };
        let now = self.now().await?;
        self.record_event(now, &account, action, id.as_str(), &format!("fence {fence}, held by {owner}")).await
    }

    async fn begin_delete(&mut self, account: &AccountId, id: &BackupId) -> Result<(), CatalogError> {
        let now = self.now().await?;
        let Some(standing) = self.lock_backup(account, id).await? else {
            return Err(self.refused(CatalogErrorKind::NotFound, format!("{id} does not exist")));
        };
        if standing.state.is_in_progress() && standing.is_leased(now) {
            return Err(self.refused(CatalogErrorKind::Leased, format!("a worker is at work on {id}")));
        }
        if let Some(holder) = self.find_holder(id, now).await? {
            return Err(self.refused(CatalogErrorKind::Held, format!("{id} is held by {holder}")));
        }
        let sql = "UPDATE backup SET state = 'DELETING', lease_owner = NULL, lease_expires_at = 0 WHERE id = $1";
        self.run(sqlx::query(sql).bind(id.as_str())).await.map(|_| ())
    }

    async fn finish_delete(&mut self, id: &BackupId) -> Result<(), CatalogError> {
        let sql = "UPDATE backup SET state = state WHERE id = $1 RETURNING account, state, data_key";
        let Some(last) = self.find::<LastSeen>(sqlx::query(sql).bind(id.as_str())).await? else {
            return Ok(());
        };
        if last.state != BackupState::Deleting {
            return Err(self.refused(CatalogErrorKind::Conflict, format!("{id} is {}", last.state)));
        }
        for sql in [
            "DELETE FROM backup_pack WHERE backup_id = $1",
            "DELETE FROM tag WHERE backup_id = $1",
            "DELETE FROM hold WHERE backup_id = $1",
            "DELETE FROM share WHERE backup_id = $1",
            "DELETE FROM backup_policy WHERE backup_id = $1",
            "DELETE FROM backup WHERE id = $1",
        ] {
            self.run(sqlx::query(sql).bind(id.as_str())).await?;
        }
        self.drop_unused_key(&last.account, last.data_key).await
    }

    /// Updates the account's row, making it first if need be: what quotas will be decided behind.
    pub(crate) async fn touch_account(&mut self, account: &AccountId, now: Timestamp) -> Result<(), CatalogError> {
        let sql =
            "INSERT INTO account (id, created_at) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET id = excluded.id";
        self.run(sqlx::query(sql).bind(account.as_str()).bind(now.0)).await.map(|_| ())
    }

    /// Reads a backup's standing and locks its row, on engines with many writers, until the transaction ends.
    pub(crate) async fn lock_backup(
        &mut self,
        account: &AccountId,
        id: &BackupId,
    ) -> Result<Option<Lifecycle>, CatalogError> {
        let sql = "UPDATE backup SET state = state WHERE account = $1 AND id = $2 \
                   RETURNING state, lease_owner, lease_expires_at";
        self.find(sqlx::query(sql).bind(account.as_str()).bind(id.as_str())).await
    }

    /// Inserts a backup without its tags. Returns whether there was none of that id.
    pub(crate) async fn insert_row(&mut self, row: &BackupRow) -> Result<bool, CatalogError> {
        let sql = "INSERT INTO backup (id, account, resource_id, resource_kind, resource_name, state, snapshot_id, \
                   parent_id, kms_key, data_key, created_at, completed_at, source_region, source_backup, request, \
                   failure, size_bytes, stored_bytes, moved_bytes, deduplicated_bytes, entry_count, omission_count, \
                   done_bytes, total_bytes, lease_owner, lease_fence, lease_expires_at, service, origin, attributes, \
                   expires_at, taken_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, \
                   $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32) ON CONFLICT (id) DO NOTHING";
        let query = sqlx::query(sql)
            .bind(row.id.as_str())
            .bind(row.account.as_str())
            .bind(row.resource_id.as_str())
            .bind(row.resource_kind.as_str())
            .bind(row.resource_name.as_deref())
            .bind(row.state.as_str())
            .bind(row.snapshot_id.map(|id| id.0.to_vec()))
            .bind(row.parent_id.as_ref().map(BackupId::as_str))
            .bind(row.kms_key.as_str())
            .bind(&row.data_key.0[..])
            .bind(row.created_at.0)
            .bind(row.completed_at.map(|time| time.0))
            .bind(row.source_region.as_ref().map(Region::as_str))
            .bind(row.source_backup.as_ref().map(BackupId::as_str))
            .bind(row.request.as_str())
            .bind(row.failure.as_deref())
            .bind(self.bigint(row.size_bytes)?)
            .bind(self.bigint(row.stored_bytes)?)
            .bind(self.bigint(row.moved_bytes)?)
            .bind(self.bigint(row.deduplicated_bytes)?)
            .bind(self.bigint(row.entry_count)?)
            .bind(self.bigint(row.omission_count)?)
            .bind(self.bigint(row.done_bytes)?)
            .bind(self.bigint(row.total_bytes)?)
            .bind(row.lease_owner.as_deref())
            .bind(row.lease_fence.0)
            .bind(row.lease_expires_at.0)
            .bind(row.resource_kind.service().as_str())
            .bind(row.origin.as_str())
            .bind(row.attributes.as_str())
            .bind(row.expires_at.map(|time| time.0))
            .bind(row.source_taken_at.map(|time| time.0));
        Ok(self.run(query).await? == 1)
    }
}
