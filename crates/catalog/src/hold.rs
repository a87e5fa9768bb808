//! Holds: what keeps a backup while another region copies it, or a resource is filled from it.
//!
//! A hold runs out by itself, so that a holder that died keeps nothing forever. One that is renewed
//! in time cannot be slipped past: removal begins only when no unexpired hold exists, and from then
//! on none can be placed or renewed.
//!
//! A copy that has all it needs spends its hold before it can be seen, and releases it after: whoever sees the copy may
//! remove its source, and whoever sees that the source is not being copied any more finds the copy.

use std::time::Duration;

use model::{AccountId, BackupId, BackupState, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};

use crate::column::{Columns, after};
use crate::database::{Catalog, Write, operation};
use crate::error::{CatalogError, CatalogErrorKind};

/// A hold on a backup.
#[derive(Debug, Clone, PartialEq)]
pub struct HoldRow {
    /// The backup.
    pub backup: BackupId,
    /// Who holds it: the copy that needs it, or the resource that is filled from it.
    pub holder: String,
    /// When it runs out.
    pub expires_at: Timestamp,
    /// Whether its copy needs the backup no more.
    pub spent: bool,
}

impl FromRow<'_, AnyRow> for HoldRow {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            backup: row.parsed("backup_id")?,
            holder: row.try_get("holder")?,
            expires_at: row.time("expires_at")?,
            spent: row.flag("spent")?,
        })
    }
}

/// A hold that runs out, and the backup that it keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct RunningOut {
    /// The backup.
    pub backup: BackupId,
    /// Who holds it.
    pub holder: String,
}

impl FromRow<'_, AnyRow> for RunningOut {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self { backup: row.parsed("backup_id")?, holder: row.try_get("holder")? })
    }
}

/// Holds listed at once. What is not listed now is once these are renewed or have run out.
const LISTED_MAX: i64 = 1000;

impl Catalog {
    /// Keeps an available backup for `ttl`, or for `ttl` from now if `holder` holds it already.
    ///
    /// # Errors
    /// `NotFound` when the account has no such backup. `Conflict` when it is not available.
    pub async fn place_hold(
        &self,
        account: &AccountId,
        id: &BackupId,
        holder: &str,
        ttl: Duration,
    ) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("place_hold", "hold the backup")).await?;
        let now = write.now().await?;
        match write.lock_backup(account, id).await?.map(|backup| backup.state) {
            Some(BackupState::Available) => {}
            Some(state) => {
                return Err(write.refused(CatalogErrorKind::Conflict, format!("{id} is {state}")));
            }
            None => {
                return Err(write.refused(CatalogErrorKind::NotFound, format!("{id} does not exist")));
            }
        }
        let sql = "INSERT INTO hold (backup_id, holder, expires_at) VALUES ($1, $2, $3) \
                   ON CONFLICT (backup_id, holder) DO UPDATE SET expires_at = excluded.expires_at, spent = 0";
        write.run(sqlx::query(sql).bind(id.as_str()).bind(holder).bind(after(now, ttl))).await?;
        write.commit().await
    }

    /// Lets a hold run `ttl` from now. Returns whether it still holds: `false` when it was released, or the
    /// backup's removal has begun.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn renew_hold(&self, id: &BackupId, holder: &str, ttl: Duration) -> Result<bool, CatalogError> {
        let mut write = self.write(operation!("renew_hold", "renew the hold")).await?;
        let expires_at = after(write.now().await?, ttl);
        // Locks the backup's row, on engines with many writers, against a removal that begins meanwhile.
        let available = sqlx::query("UPDATE backup SET state = state WHERE id = $1 AND state = 'AVAILABLE'");
        if write.run(available.bind(id.as_str())).await? == 0 {
            return Ok(false);
        }
        let query = sqlx::query("UPDATE hold SET expires_at = $3 WHERE backup_id = $1 AND holder = $2");
        let renewed = write.run(query.bind(id.as_str()).bind(holder).bind(expires_at)).await?;
        write.commit().await?;
        Ok(renewed == 1)
    }

    /// Has a hold keep the backup no more, though it is still shown. Safe to repeat.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn spend_hold(&self, id: &BackupId, holder: &str) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("spend_hold", "spend the hold")).await?;
        let query = sqlx::query("UPDATE hold SET spent = 1 WHERE backup_id = $1 AND holder = $2");
        write.run(query.bind(id.as_str()).bind(holder)).await?;
        write.commit().await
    }

    /// Holds that keep a backup for less than `soon`, those that run out first before others.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn holds_running_out(&self, soon: Duration) -> Result<Vec<RunningOut>, CatalogError> {
        let now = self.now().await?;
        let sql = "SELECT backup_id, holder FROM hold WHERE expires_at > $1 AND expires_at < $2 AND spent = 0 \
                   ORDER BY expires_at LIMIT $3";
        let query = sqlx::query(sql).bind(now.0).bind(after(now, soon)).bind(LISTED_MAX);
        self.read("list holds that run out").list(query).await
    }

    /// Gives up a hold. Giving it up again does nothing.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn release_hold(&self, id: &BackupId, holder: &str) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("release_hold", "release the hold")).await?;
        write.delete_hold(id, holder).await?;
        write.commit().await
    }

    /// The holds that keep the backup.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn active_holds(&self, id: &BackupId) -> Result<Vec<HoldRow>, CatalogError> {
        let now = self.now().await?;
        let sql = "SELECT backup_id, holder, expires_at, spent FROM hold \
                   WHERE backup_id = $1 AND expires_at > $2 AND spent = 0 ORDER BY holder";
        self.read("list holds").list(sqlx::query(sql).bind(id.as_str()).bind(now.0)).await
    }

    /// The holds on an account's backups that have not run out, also those that are spent; those on one backup together.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn shown_holds(&self, account: &AccountId) -> Result<Vec<HoldRow>, CatalogError> {
        let now = self.now().await?;
        // Not a join: there are few holds, and a join may go through all of the account's backups.
        let sql = "SELECT backup_id, holder, expires_at, spent FROM hold WHERE expires_at > $2 \
                   AND (SELECT account FROM backup WHERE id = backup_id) = $1 ORDER BY backup_id, holder";
        self.read("list holds").list(sqlx::query(sql).bind(account.as_str()).bind(now.0)).await
    }
}

impl Write {
    pub(crate) async fn delete_hold(&mut self, id: &BackupId, holder: &str) -> Result<(), CatalogError> {
        let query = sqlx::query("DELETE FROM hold WHERE backup_id = $1 AND holder = $2");
        self.run(query.bind(id.as_str()).bind(holder)).await.map(drop)
    }

    /// Someone who keeps the backup at `now`.
    pub(crate) async fn find_holder(&mut self, id: &BackupId, now: Timestamp) -> Result<Option<String>, CatalogError> {
        let query =
            sqlx::query("SELECT holder FROM hold WHERE backup_id = $1 AND expires_at > $2 AND spent = 0 LIMIT 1");
        let found = self.find::<(String,)>(query.bind(id.as_str()).bind(now.0)).await?;
        Ok(found.map(|(holder,)| holder))
    }
}
