//! Policies of backups: texts that say who else may use a backup, kept as their owners wrote them.
//!
//! What a policy means is its API's to say. It goes with its backup.

use model::{AccountId, BackupId, BackupState};

use crate::backup::BackupRow;
use crate::database::{Catalog, Write, operation};
use crate::error::{CatalogError, CatalogErrorKind};

impl Catalog {
    /// Gives an available backup a policy, in place of the one that it may have.
    ///
    /// # Errors
    /// `NotFound` when the account has no such backup. `Conflict` when it is not available.
    pub async fn put_backup_policy(&self, owner: &AccountId, id: &BackupId, policy: &str) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("put_backup_policy", "share the backup")).await?;
        write.lock_available(owner, id).await?;
        let sql = "INSERT INTO backup_policy (backup_id, policy) VALUES ($1, $2) \
                   ON CONFLICT (backup_id) DO UPDATE SET policy = excluded.policy";
        write.run(sqlx::query(sql).bind(id.as_str()).bind(policy)).await?;
        write.commit().await
    }

    /// Takes a backup's policy away and returns it, if it had one.
    ///
    /// # Errors
    /// `NotFound` when the account has no such backup. `Conflict` when it is not available.
    pub async fn delete_backup_policy(&self, owner: &AccountId, id: &BackupId) -> Result<Option<String>, CatalogError> {
        let mut write = self.write(operation!("delete_backup_policy", "share the backup no longer")).await?;
        write.lock_available(owner, id).await?;
        let query = sqlx::query("DELETE FROM backup_policy WHERE backup_id = $1 RETURNING policy");
        let policy = write.find::<(String,)>(query.bind(id.as_str())).await?;
        write.commit().await?;
        Ok(policy.map(|(policy,)| policy))
    }

    /// The policy of a backup, if it has one.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn find_backup_policy(&self, id: &BackupId) -> Result<Option<String>, CatalogError> {
        let query = sqlx::query("SELECT policy FROM backup_policy WHERE backup_id = $1").bind(id.as_str());
        Ok(self.read("find the backup's policy").find::<(String,)>(query).await?.map(|(policy,)| policy))
    }

    /// Available backups of other accounts that have a policy, oldest first, with it.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn backups_with_policy(&self, reader: &AccountId) -> Result<Vec<(BackupRow, String)>, CatalogError> {
        const ACTION: &str = "list shared backups";
        let tail = "WHERE id IN (SELECT backup_id FROM backup_policy) AND account <> $1 AND state = 'AVAILABLE' \
             ORDER BY created_at, id";
        let rows = self.backups(ACTION, self.dialect().backups(tail).bind(reader.as_str())).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            // One that was taken away meanwhile shares nothing.
            if let Some(policy) = self.find_backup_policy(&row.id).await? {
                found.push((row, policy));
            }
        }
        Ok(found)
    }

    /// The available backup of that id, whoever has it, with its policy: what an account that is not its owner may see
    /// of it depends on that.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn find_backup_with_policy(&self, id: &BackupId) -> Result<Option<(BackupRow, String)>, CatalogError> {
        let query = self.dialect().backups("WHERE id = $1 AND state = 'AVAILABLE'").bind(id.as_str());
        let Some(row) = self.backups("find the shared backup", query).await?.pop() else { return Ok(None) };
        Ok(self.find_backup_policy(id).await?.map(|policy| (row, policy)))
    }
}

impl Write {
    async fn lock_available(&mut self, owner: &AccountId, id: &BackupId) -> Result<(), CatalogError> {
        match self.lock_backup(owner, id).await?.map(|backup| backup.state) {
            Some(BackupState::Available) => Ok(()),
            Some(state) => Err(self.refused(CatalogErrorKind::Conflict, format!("{id} is {state}"))),
            None => Err(self.refused(CatalogErrorKind::NotFound, format!("{id} does not exist"))),
        }
    }
}
