//! Columns as the words of the model, and back. A column that holds what cannot be is an error, never a panic.

use std::error::Error;
use std::str::FromStr;
use std::time::Duration;

use model::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use sqlx::Row;
use sqlx::any::AnyRow;

/// Reads one column of a row by name.
pub(crate) trait Columns {
    /// A text that parses as `T`.
    fn parsed<T: FromStr<Err: Error + Send + Sync + 'static>>(&self, column: &str) -> sqlx::Result<T>;
    /// A text that parses as `T`, or NULL.
    fn parsed_or_null<T: FromStr<Err: Error + Send + Sync + 'static>>(&self, column: &str) -> sqlx::Result<Option<T>>;
    /// Exactly `N` bytes.
    fn bytes<const N: usize>(&self, column: &str) -> sqlx::Result<[u8; N]>;
    /// A number that is not negative.
    fn count(&self, column: &str) -> sqlx::Result<u64>;
    /// 0 or 1.
    fn flag(&self, column: &str) -> sqlx::Result<bool>;
    /// A time.
    fn time(&self, column: &str) -> sqlx::Result<Timestamp>;
    /// A time, or NULL.
    fn time_or_null(&self, column: &str) -> sqlx::Result<Option<Timestamp>>;
}

impl Columns for AnyRow {
    fn parsed<T: FromStr<Err: Error + Send + Sync + 'static>>(&self, column: &str) -> sqlx::Result<T> {
        self.try_get::<&str, _>(column)?.parse().map_err(|error: T::Err| damaged(column, error))
    }

    fn parsed_or_null<T: FromStr<Err: Error + Send + Sync + 'static>>(&self, column: &str) -> sqlx::Result<Option<T>> {
        let text: Option<&str> = self.try_get(column)?;
        text.map(str::parse).transpose().map_err(|error: T::Err| damaged(column, error))
    }

    fn bytes<const N: usize>(&self, column: &str) -> sqlx::Result<[u8; N]> {
        let bytes: &[u8] = self.try_get(column)?;
        bytes.try_into().map_err(|error| damaged(column, error))
    }

    fn count(&self, column: &str) -> sqlx::Result<u64> {
        u64::try_from(self.try_get::<i64, _>(column)?).map_err(|error| damaged(column, error))
    }

    fn flag(&self, column: &str) -> sqlx::Result<bool> {
        match self.try_get::<i64, _>(column)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(damaged(column, format!("{other} is neither 0 nor 1"))),
        }
    }

    fn time(&self, column: &str) -> sqlx::Result<Timestamp> {
        self.try_get(column).map(Timestamp)
    }

    fn time_or_null(&self, column: &str) -> sqlx::Result<Option<Timestamp>> {
        Ok(self.try_get::<Option<i64>, _>(column)?.map(Timestamp))
    }
}

/// A time in a row that comes as JSON.
pub(crate) fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    i64::deserialize(deserializer).map(Timestamp)
}

/// A time, or NULL, in a row that comes as JSON.
pub(crate) fn milliseconds_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<i64>::deserialize(deserializer)?.map(Timestamp))
}

/// A JSON value, as its text, in a row that comes as JSON.
pub(crate) fn json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(<&RawValue>::deserialize(deserializer)?.get().to_owned())
}

/// A list in a row that comes as JSON. PostgreSQL gathers no rows as NULL.
pub(crate) fn list_or_null<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

pub(crate) fn damaged(column: &str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: cause.into() }
}

/// A count as a BIGINT column takes it. The largest number of bytes that fits is 8 EiB, more than any
/// file system holds.
pub(crate) fn bigint(count: u64) -> sqlx::Result<i64> {
    i64::try_from(count).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// The instant `wait` after `now`; the end of time when there is no such instant.
pub(crate) fn after(now: Timestamp, wait: Duration) -> i64 {
    now.0.saturating_add(in_milliseconds(wait))
}

/// The instant `wait` before `now`; the beginning of time when there is no such instant.
pub(crate) fn before(now: Timestamp, wait: Duration) -> i64 {
    now.0.saturating_sub(in_milliseconds(wait))
}

fn in_milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
