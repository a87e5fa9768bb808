//! Shares: backups that other accounts of the same region may read.
//!
//! A share gives nothing but reading, only while the backup is available, and goes with it.

use model::{AccountId, BackupId, BackupState, Timestamp};
use sqlx::FromRow;
use sqlx::any::AnyRow;

use crate::backup::BackupRow;
use crate::column::Columns;
use crate::database::{Catalog, operation};
use crate::error::{CatalogError, CatalogErrorKind};

/// A share of one backup.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareRow {
    /// Who may read it.
    pub account: AccountId,
    /// Since when.
    pub created_at: Timestamp,
}

impl FromRow<'_, AnyRow> for ShareRow {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self { account: row.parsed("account")?, created_at: row.time("created_at")? })
    }
}

impl Catalog {
    /// Shares backups with other accounts, all or none, so that each has `max` shares at most. Returns whether there
    /// was room. Sharing again changes nothing.
    ///
    /// # Errors
    /// `NotFound` when `owner` has not all of the backups. `Conflict` when one is not available.
    pub async fn share_backups(
        &self,
        owner: &AccountId,
        backups: &[BackupId],
        accounts: &[AccountId],
        max: u64,
    ) -> Result<bool, CatalogError> {
        let mut write = self.write(operation!("share_backups", "share backups")).await?;
        let now = write.now().await?;
        for id in backups {
            let found = write.lock_backup(owner, id).await?;
            let Some(found) = found else {
                return Err(write.refused(CatalogErrorKind::NotFound, format!("{id} does not exist")));
            };
            if found.state != BackupState::Available {
                return Err(write.refused(CatalogErrorKind::Conflict, format!("{id} is {}", found.state)));
            }
            for account in accounts {
                let sql = "INSERT INTO share (backup_id, account, created_at) VALUES ($1, $2, $3) \
                           ON CONFLICT (backup_id, account) DO NOTHING";
                write.run(sqlx::query(sql).bind(id.as_str()).bind(account.as_str()).bind(now.0)).await?;
            }
            let count = sqlx::query("SELECT COUNT(*) FROM share WHERE backup_id = $1").bind(id.as_str());
            if write.count(count).await? > max {
                return Ok(false);
            }
        }
        write.commit().await?;
        Ok(true)
    }

    /// Shares backups with these accounts no longer. What was not shared stays so.
    ///
    /// # Errors
    /// `NotFound` when `owner` has not all of the backups.
    pub async fn unshare_backups(
        &self,
        owner: &AccountId,
        backups: &[BackupId],
        accounts: &[AccountId],
    ) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("unshare_backups", "share backups no longer")).await?;
        for id in backups {
            if write.lock_backup(owner, id).await?.is_none() {
                return Err(write.refused(CatalogErrorKind::NotFound, format!("{id} does not exist")));
            }
            for account in accounts {
                let query = sqlx::query("DELETE FROM share WHERE backup_id = $1 AND account = $2");
                write.run(query.bind(id.as_str()).bind(account.as_str())).await?;
            }
        }
        write.commit().await
    }

    /// Whom a backup is shared with, since the longest first.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn list_shares(&self, backup: &BackupId) -> Result<Vec<ShareRow>, CatalogError> {
        let sql = "SELECT account, created_at FROM share WHERE backup_id = $1 ORDER BY created_at, account";
        self.read("list shares").list(sqlx::query(sql).bind(backup.as_str())).await
    }

    /// Available backups of others that are shared with an account, oldest first.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn backups_shared_with(&self, account: &AccountId) -> Result<Vec<BackupRow>, CatalogError> {
        let tail = "WHERE id IN (SELECT backup_id FROM share WHERE share.account = $1) AND state = 'AVAILABLE' \
             ORDER BY created_at, id";
        self.backups("list shared backups", self.dialect().backups(tail).bind(account.as_str())).await
    }

    /// The available backup of that id, of another account, if it is shared with this one.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn find_shared_backup(
        &self,
        account: &AccountId,
        id: &BackupId,
    ) -> Result<Option<BackupRow>, CatalogError> {
        let tail = "WHERE id = $2 AND state = 'AVAILABLE' \
             AND id IN (SELECT backup_id FROM share WHERE share.account = $1)";
        let query = self.dialect().backups(tail).bind(account.as_str()).bind(id.as_str());
        Ok(self.backups("find the shared backup", query).await?.pop())
    }

    /// Whose backup it is.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn find_owner(&self, id: &BackupId) -> Result<Option<AccountId>, CatalogError> {
        let query = self.dialect().backups("WHERE id = $1").bind(id.as_str());
        Ok(self.backups("find the backup's owner", query).await?.pop().map(|row| row.account))
    }
}
