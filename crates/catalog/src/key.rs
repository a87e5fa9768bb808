//! Wrapped keys: data keys as a key service gave them back, one row per data key and KMS key.

use model::{AccountId, DataKeyId, KmsKeyId};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, FromRow, Row};

use crate::batch::{batches, parameters};
use crate::column::Columns;
use crate::database::{Catalog, Write, operation};
use crate::error::CatalogError;

/// A data key, the KMS key it is wrapped under, and the wrapped bytes.
pub type WrappedKey = (DataKeyId, KmsKeyId, Vec<u8>);

/// A wrapped data key.
#[derive(Debug, Clone, PartialEq)]
pub struct WrappedKeyRow {
    /// The data key.
    pub data_key: DataKeyId,
    /// What it is wrapped under.
    pub kms_key: KmsKeyId,
    /// The wrapped bytes, which only the key service understands.
    pub wrapped: Vec<u8>,
}

impl FromRow<'_, AnyRow> for WrappedKeyRow {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            data_key: DataKeyId(row.bytes("data_key")?),
            kms_key: row.parsed("kms_key")?,
            wrapped: row.try_get("wrapped")?,
        })
    }
}

impl Catalog {
    /// Records wrapped keys, in place of what was recorded for the same pairs of keys.
    ///
    /// A key is kept for as long as a pack or a backup uses its data key, so record keys after the edges
    /// to the packs that they are for.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn put_wrapped_keys(&self, account: &AccountId, keys: &[WrappedKey]) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("put_wrapped_keys", "record wrapped keys")).await?;
        for key in keys {
            write.put_wrapped_key(account, key).await?;
        }
        write.commit().await
    }

    /// What is recorded for these data keys: under `kms_key`, or under every KMS key.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn wrapped_keys(
        &self,
        account: &AccountId,
        data_keys: &[DataKeyId],
        kms_key: Option<&KmsKeyId>,
    ) -> Result<Vec<WrappedKeyRow>, CatalogError> {
        let mut found = Vec::new();
        for batch in batches(data_keys) {
            let sql = format!(
                "SELECT data_key, kms_key, wrapped FROM wrapped_key WHERE account = $1 \
                 AND (CAST($2 AS TEXT) IS NULL OR kms_key = $2) AND data_key IN ({}) ORDER BY data_key, kms_key",
                parameters(3, batch.len())
            );
            let query = sqlx::query(AssertSqlSafe(sql)).bind(account.as_str()).bind(kms_key.map(KmsKeyId::as_str));
            let query = batch.iter().fold(query, |query, key| query.bind(&key.0[..]));
            found.extend(self.read("read wrapped keys").list::<WrappedKeyRow>(query).await?);
        }
        Ok(found)
    }
}

impl Write {
    pub(crate) async fn put_wrapped_key(
        &mut self,
        account: &AccountId,
        (data_key, kms_key, wrapped): &WrappedKey,
    ) -> Result<(), CatalogError> {
        let sql = "INSERT INTO wrapped_key (account, data_key, kms_key, wrapped) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (account, data_key, kms_key) DO UPDATE SET wrapped = excluded.wrapped";
        let query = sqlx::query(sql).bind(account.as_str()).bind(&data_key.0[..]);
        self.run(query.bind(kms_key.as_str()).bind(wrapped.as_slice())).await.map(|_| ())
    }

    /// Forgets a data key that no pack and no backup uses any more.
    pub(crate) async fn drop_unused_key(
        &mut self,
        account: &AccountId,
        data_key: DataKeyId,
    ) -> Result<(), CatalogError> {
        let sql = "DELETE FROM wrapped_key WHERE account = $1 AND data_key = $2 \
                   AND NOT EXISTS (SELECT 1 FROM pack WHERE account = $1 AND data_key = $2) \
                   AND NOT EXISTS (SELECT 1 FROM backup WHERE account = $1 AND data_key = $2)";
        self.run(sqlx::query(sql).bind(account.as_str()).bind(&data_key.0[..])).await.map(|_| ())
    }
}
