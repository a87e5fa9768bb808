//! Events: who did what to which thing, for people who look back.

use model::{AccountId, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};

use crate::column::Columns;
use crate::database::{Catalog, Write, operation};
use crate::error::CatalogError;

/// Something that was done.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    /// Its number; later events have larger ones.
    pub id: i64,
    /// When, by the database's clock.
    pub at: Timestamp,
    /// For which account.
    pub account: AccountId,
    /// What, as a verb phrase.
    pub action: String,
    /// To what: an id.
    pub subject: String,
    /// Anything else worth knowing; no secrets.
    pub detail: String,
}

impl FromRow<'_, AnyRow> for EventRow {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            at: row.time("at")?,
            account: row.parsed("account")?,
            action: row.try_get("action")?,
            subject: row.try_get("subject")?,
            detail: row.try_get("detail")?,
        })
    }
}

impl Catalog {
    /// Records an event.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn record_event(
        &self,
        account: &AccountId,
        action: &str,
        subject: &str,
        detail: &str,
    ) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("record_event", "record an event")).await?;
        let now = write.now().await?;
        write.record_event(now, account, action, subject, detail).await?;
        write.commit().await
    }

    /// The last `limit` events, newest first.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn list_events(&self, limit: u32) -> Result<Vec<EventRow>, CatalogError> {
        let sql =
            "SELECT id, at, account, action, subject, detail FROM event ORDER BY id DESC LIMIT CAST($1 AS BIGINT)";
        self.read("list events").list(sqlx::query(sql).bind(i64::from(limit))).await
    }
}

impl Write {
    /// Records an event together with what it tells of.
    pub(crate) async fn record_event(
        &mut self,
        now: Timestamp,
        account: &AccountId,
        action: &str,
        subject: &str,
        detail: &str,
    ) -> Result<(), CatalogError> {
        let sql = "INSERT INTO event (id, at, account, action, subject, detail) \
                   SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3, $4, $5 FROM event";
        let query = sqlx::query(sql).bind(now.0).bind(account.as_str()).bind(action).bind(subject).bind(detail);
        self.run(query).await.map(|_| ())
    }
}
