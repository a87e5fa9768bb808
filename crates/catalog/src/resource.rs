//! Resources: what an account has registered to be backed up.

use model::{AccountId, KmsKeyId, ResourceId, ResourceKind, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};

use crate::column::Columns;
use crate::database::{Catalog, operation};
use crate::error::CatalogError;

/// A resource.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceRow {
    /// Its id.
    pub id: ResourceId,
    /// Whose it is.
    pub account: AccountId,
    /// What it is.
    pub kind: ResourceKind,
    /// Where it is on this machine: bytes, as the file system has them.
    pub path: Vec<u8>,
    /// What people call it.
    pub name: Option<String>,
    /// The key under which its backups' data keys are wrapped.
    pub kms_key: KmsKeyId,
    /// When it was registered.
    pub created_at: Timestamp,
}

impl FromRow<'_, AnyRow> for ResourceRow {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.parsed("id")?,
            account: row.parsed("account")?,
            kind: row.parsed("kind")?,
            path: row.try_get("path")?,
            name: row.try_get("name")?,
            kms_key: row.parsed("kms_key")?,
            created_at: row.time("created_at")?,
        })
    }
}

impl Catalog {
    /// Registers a resource.
    ///
    /// # Errors
    /// `Conflict` when there is one with that id.
    pub async fn insert_resource(&self, resource: &ResourceRow) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("insert_resource", "register the resource")).await?;
        let sql = "INSERT INTO resource (id, account, kind, path, name, kms_key, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let query = sqlx::query(sql)
            .bind(resource.id.as_str())
            .bind(resource.account.as_str())
            .bind(resource.kind.as_str())
            .bind(resource.path.as_slice())
            .bind(resource.name.as_deref())
            .bind(resource.kms_key.as_str())
            .bind(resource.created_at.0);
        write.run(query).await?;
        write.commit().await
    }

    /// The account's resource of that id.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn find_resource(
        &self,
        account: &AccountId,
        id: &ResourceId,
    ) -> Result<Option<ResourceRow>, CatalogError> {
        let sql = "SELECT id, account, kind, path, name, kms_key, created_at FROM resource \
                   WHERE account = $1 AND id = $2";
        self.read("find the resource").find(sqlx::query(sql).bind(account.as_str()).bind(id.as_str())).await
    }

    /// The account's resources, by id.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn list_resources(&self, account: &AccountId) -> Result<Vec<ResourceRow>, CatalogError> {
        let sql = "SELECT id, account, kind, path, name, kms_key, created_at FROM resource \
                   WHERE account = $1 ORDER BY id";
        self.read("list resources").list(sqlx::query(sql).bind(account.as_str())).await
    }

    /// Forgets a resource; its backups stay. Returns whether there was one.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn delete_resource(&self, account: &AccountId, id: &ResourceId) -> Result<bool, CatalogError> {
        let mut write = self.write(operation!("delete_resource", "forget the resource")).await?;
        let query = sqlx::query("DELETE FROM resource WHERE account = $1 AND id = $2");
        let deleted = write.run(query.bind(account.as_str()).bind(id.as_str())).await?;
        write.commit().await?;
        Ok(deleted == 1)
    }
}
