//! Request tokens: what makes a call that is repeated the same call.
//!
//! A token belongs to an account and an operation. It is free again once what it made is gone, but a
//! removal's token is kept, as what it is about is gone by its nature; [`Catalog::forget_tokens`] ends those.

use std::time::Duration;

use model::{AccountId, Timestamp};

use crate::database::{Catalog, Write, operation};
use crate::error::{CatalogError, CatalogErrorKind};

/// A token as a client sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestToken {
    /// The operation it was sent with, e.g. `fsx::CopyBackup`.
    pub operation: String,
    /// The token.
    pub token: String,
    /// The parameters beside it, in a form that is equal for equal requests.
    pub parameters: String,
    /// Whether the token stays taken when its subject is gone.
    pub outlives_subject: bool,
}

/// What a token was used for before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// The id of what the earlier call made or removed.
    pub subject: String,
    /// The parameters of the earlier call.
    pub parameters: String,
}

impl Catalog {
    /// What a token was used for, if it was.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn find_token(&self, account: &AccountId, token: &RequestToken) -> Result<Option<Earlier>, CatalogError> {
        let mut write = self.write(operation!("find_token", "look for the request")).await?;
        write.find_token(account, token).await
    }

    /// Forgets tokens that were taken longer than `age` ago and whose subject is gone. Returns how many.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn forget_tokens(&self, age: Duration) -> Result<u64, CatalogError> {
        let mut write = self.write(operation!("forget_tokens", "forget old requests")).await?;
        let now = write.now().await?;
        let millis = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let sql = "DELETE FROM request_token WHERE created_at < $1 \
                   AND NOT EXISTS (SELECT 1 FROM backup WHERE id = subject) \
                   AND NOT EXISTS (SELECT 1 FROM resource WHERE id = subject)";
        let forgotten = write.run(sqlx::query(sql).bind(now.0.saturating_sub(millis))).await?;
        write.commit().await?;
        Ok(forgotten)
    }
}

impl Write {
    /// Takes a token that nobody has taken, in the course of what it is taken for.
    pub(crate) async fn take_token(
        &mut self,
        account: &AccountId,
        token: &RequestToken,
        subject: &str,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        if self.find_token(account, token).await?.is_some() {
            let message = format!("the call with the token {} was made before", token.token);
            return Err(self.refused(CatalogErrorKind::Conflict, message));
        }
        self.put_token(account, token, subject, now).await
    }

    pub(crate) async fn find_token(
        &mut self,
        account: &AccountId,
        token: &RequestToken,
    ) -> Result<Option<Earlier>, CatalogError> {
        let sql = "SELECT subject, parameters FROM request_token WHERE account = $1 AND operation = $2 AND token = $3 \
                   AND ($4 = 1 OR EXISTS (SELECT 1 FROM backup WHERE id = subject AND state <> 'DELETING') \
                   OR EXISTS (SELECT 1 FROM resource WHERE id = subject))";
        let query = sqlx::query(sql)
            .bind(account.as_str())
            .bind(token.operation.as_str())
            .bind(token.token.as_str())
            .bind(i64::from(token.outlives_subject));
        let found = self.find::<(String, String)>(query).await?;
        Ok(found.map(|(subject, parameters)| Earlier { subject, parameters }))
    }

    pub(crate) async fn put_token(
        &mut self,
        account: &AccountId,
        token: &RequestToken,
        subject: &str,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        let sql = "INSERT INTO request_token (account, operation, token, parameters, subject, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account, operation, token) DO UPDATE \
                   SET parameters = excluded.parameters, subject = excluded.subject, created_at = excluded.created_at";
        let query = sqlx::query(sql)
            .bind(account.as_str())
            .bind(token.operation.as_str())
            .bind(token.token.as_str())
            .bind(token.parameters.as_str())
            .bind(subject)
            .bind(now.0);
        self.run(query).await.map(|_| ())
    }
}
