//! Facts about the catalog itself: which region and store it belongs to, and whether the file is sound.

use std::time::Duration;

use model::AccountId;
use sqlx::FromRow;
use sqlx::any::AnyRow;

use crate::column::{Columns, before};
use crate::database::{Catalog, operation};
use crate::error::{CatalogError, CatalogErrorKind};

impl Catalog {
    /// The fact recorded under `key`.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn meta(&self, key: &str) -> Result<Option<String>, CatalogError> {
        let query = sqlx::query("SELECT value FROM meta WHERE key = $1").bind(key);
        let found = self.read("read a fact about the catalog").find::<(String,)>(query).await?;
        Ok(found.map(|(value,)| value))
    }

    /// Records a fact, in place of what was recorded under the same `key`.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn set_meta(&self, key: &str, value: &str) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("set_meta", "record a fact about the catalog")).await?;
        let sql =
            "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        write.run(sqlx::query(sql).bind(key).bind(value)).await?;
        write.commit().await
    }

    /// The fact recorded under `key`: `value`, if there was none. Of several that record one at once, all get the same.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn meta_or_set(&self, key: &str, value: &str) -> Result<String, CatalogError> {
        if let Some(found) = self.meta(key).await? {
            return Ok(found);
        }
        let mut write = self.write(operation!("meta_or_set", "record a fact about the catalog")).await?;
        // Changes nothing where there is one: so that the row is returned.
        let sql = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = meta.value \
                   RETURNING value";
        let found = write.find::<(String,)>(sqlx::query(sql).bind(key).bind(value)).await?;
        write.commit().await?;
        Ok(found.map_or_else(|| value.to_owned(), |(found,)| found))
    }

    /// Whether it is the caller's turn at what one of many does `every` so often. Then it is nobody else's until that time
    /// has passed again, by the database's clock; a clock that was set back keeps nobody waiting.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn take_turn(&self, what: &str, every: Duration) -> Result<bool, CatalogError> {
        let mut write = self.write(operation!("take_turn", "ask whose turn it is")).await?;
        let now = write.now().await?;
        let sql = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value \
                   WHERE CAST(meta.value AS BIGINT) <= $3 OR CAST(meta.value AS BIGINT) > $4";
        let query = sqlx::query(sql).bind(format!("{what}_at")).bind(now.0.to_string());
        let taken = write.run(query.bind(before(now, every)).bind(now.0)).await?;
        write.commit().await?;
        Ok(taken == 1)
    }

    /// Reads the whole file and checks its structure. Takes seconds per gigabyte. A server checks its own files.
    ///
    /// # Errors
    /// `Corrupt` when something is wrong with it; the cause lists the first findings.
    pub async fn integrity_check(&self) -> Result<(), CatalogError> {
        let Some(check) = self.dialect().integrity_check() else { return Ok(()) };
        let read = self.read("check the catalog's integrity");
        let findings: Vec<(String,)> = read.list(sqlx::query(check)).await?;
        let findings: Vec<String> =
            findings.into_iter().map(|(finding,)| finding).filter(|line| line != "ok").collect();
        if findings.is_empty() { Ok(()) } else { Err(read.refused(CatalogErrorKind::Corrupt, findings.join("; "))) }
    }

    /// Every account that has had something here, by id.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn list_accounts(&self) -> Result<Vec<AccountId>, CatalogError> {
        let accounts: Vec<Account> =
            self.read("list accounts").list(sqlx::query("SELECT id FROM account ORDER BY id")).await?;
        Ok(accounts.into_iter().map(|Account(id)| id).collect())
    }
}

struct Account(AccountId);

impl FromRow<'_, AnyRow> for Account {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self(row.parsed("id")?))
    }
}
