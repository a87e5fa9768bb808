//! What can go wrong in the catalog, sorted by what the caller can do about it.

use std::error::Error;
use std::io;

/// A failed call on one region's catalog.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action}")]
pub struct CatalogError {
    /// What the caller can do about it.
    pub kind: CatalogErrorKind,
    /// What was being done, as a verb phrase: `"publish the backup"`.
    pub action: &'static str,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

/// What the caller can do about a [`CatalogError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogErrorKind {
    /// The row that the call is about does not exist.
    NotFound,
    /// The row is not in a state that allows this, or another row is in the way; read again, then decide.
    Conflict,
    /// The backup is being copied, or a resource is filled from it; ask again when its holds have been released or have
    /// run out.
    Held,
    /// A worker is at work on the backup; ask again when its lease has run out.
    Leased,
    /// The work changed hands, ended or was deleted: stop, and write nothing more about it.
    LostLease,
    /// Others kept the database locked for as long as was waited; the same call may succeed later.
    Busy,
    /// The disk is full. Nothing was changed; the same call succeeds once there is room.
    Full,
    /// The file is no database, is damaged, or holds a value that cannot be: a person needs to look.
    Corrupt,
    /// The database may be read but not written here.
    ReadOnly,
    /// Everything else: the file cannot be opened, an I/O error, a closed catalog.
    Unavailable,
}

impl CatalogError {
    /// Whether the error is of this kind.
    pub fn is(&self, kind: CatalogErrorKind) -> bool {
        self.kind == kind
    }

    /// Whether what was to be written may be written all the same: the database was not heard any more.
    pub fn is_in_doubt(&self) -> bool {
        self.is(CatalogErrorKind::Unavailable)
    }

    /// An error that this crate decided on, rather than the database.
    pub(crate) fn new(
        kind: CatalogErrorKind,
        action: &'static str,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { kind, action, source: Some(cause.into()) }
    }

    pub(crate) fn from_sql(action: &'static str, cause: sqlx::Error) -> Self {
        Self { kind: kind_of(&cause), action, source: Some(cause.into()) }
    }
}

fn kind_of(error: &sqlx::Error) -> CatalogErrorKind {
    use sqlx::Error as E;
    match error {
        E::Database(cause) if DAMAGE.iter().any(|damage| cause.message().starts_with(damage)) => {
            CatalogErrorKind::Corrupt
        }
        E::Database(cause) => cause.code().map_or(CatalogErrorKind::Unavailable, |code| kind_of_code(&code)),
        E::PoolTimedOut => CatalogErrorKind::Busy,
        E::RowNotFound => CatalogErrorKind::NotFound,
        E::ColumnDecode { .. } | E::Decode(_) | E::Encode(_) | E::ColumnNotFound(_) => CatalogErrorKind::Corrupt,
        E::Io(cause) if cause.kind() == io::ErrorKind::StorageFull => CatalogErrorKind::Full,
        E::Migrate(cause) => match cause.as_ref() {
            sqlx::migrate::MigrateError::Execute(cause) | sqlx::migrate::MigrateError::ExecuteMigration(cause, _) => {
                kind_of(cause)
            }
            _ => CatalogErrorKind::Unavailable,
        },
        _ => CatalogErrorKind::Unavailable,
    }
}

/// What SQLite says of damage that it has no codes of its own for: bytes where text should be, structures that are not there.
const DAMAGE: [&str; 3] = ["JSON cannot hold BLOB", "no such table", "no such column"];

fn kind_of_code(code: &str) -> CatalogErrorKind {
    // SQLite's have four digits at most.
    if code.len() == SQLSTATE_LEN { kind_of_state(code) } else { kind_of_result(code) }
}

const SQLSTATE_LEN: usize = 5;

/// Sorts the codes of "PostgreSQL Error Codes" in PostgreSQL's documentation: the first two characters are the class.
fn kind_of_state(state: &str) -> CatalogErrorKind {
    match (state.get(..2).unwrap_or_default(), state) {
        // A transaction that could not be serialized, a deadlock, a lock or a statement that took too long, too many
        // connections.
        (_, "40001" | "40P01" | "55P03" | "57014" | "53300") => CatalogErrorKind::Busy,
        (_, "53100") => CatalogErrorKind::Full,
        // Read only, or not this user's to write.
        (_, "25006" | "42501") => CatalogErrorKind::ReadOnly,
        // Integrity constraints.
        ("23", _) => CatalogErrorKind::Conflict,
        // Values, names and structures that cannot be.
        ("22" | "42" | "XX", _) => CatalogErrorKind::Corrupt,
        _ => CatalogErrorKind::Unavailable,
    }
}

/// Sorts SQLite's result codes, <https://www.sqlite.org/rescode.html>: the low byte is the primary one.
fn kind_of_result(code: &str) -> CatalogErrorKind {
    // "Unable to enlarge the shared-memory file": the disk is full, though the primary code says I/O error.
    const SQLITE_IOERR_SHMSIZE: i32 = 4874;
    match code.parse::<i32>() {
        Ok(SQLITE_IOERR_SHMSIZE) => CatalogErrorKind::Full,
        Ok(code) => match code & 0xff {
            5 | 6 => CatalogErrorKind::Busy,      // SQLITE_BUSY, SQLITE_LOCKED
            8 => CatalogErrorKind::ReadOnly,      // SQLITE_READONLY
            11 | 26 => CatalogErrorKind::Corrupt, // SQLITE_CORRUPT, SQLITE_NOTADB
            13 => CatalogErrorKind::Full,         // SQLITE_FULL
            19 => CatalogErrorKind::Conflict,     // SQLITE_CONSTRAINT
            _ => CatalogErrorKind::Unavailable,
        },
        Err(_) => CatalogErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_codes_sort_by_what_the_caller_can_do() {
        for (code, kind) in [
            ("5", CatalogErrorKind::Busy),
            ("517", CatalogErrorKind::Busy),
            ("13", CatalogErrorKind::Full),
            ("4874", CatalogErrorKind::Full),
            ("1", CatalogErrorKind::Unavailable),
            ("11", CatalogErrorKind::Corrupt),
            ("26", CatalogErrorKind::Corrupt),
            ("1032", CatalogErrorKind::ReadOnly),
            ("787", CatalogErrorKind::Conflict),
            ("14", CatalogErrorKind::Unavailable),
            ("4874xy", CatalogErrorKind::Unavailable),
            ("55P03", CatalogErrorKind::Busy),
            ("53100", CatalogErrorKind::Full),
            ("25006", CatalogErrorKind::ReadOnly),
            ("42501", CatalogErrorKind::ReadOnly),
            ("23505", CatalogErrorKind::Conflict),
            ("42P01", CatalogErrorKind::Corrupt),
            ("57P01", CatalogErrorKind::Unavailable),
            ("5éé", CatalogErrorKind::Unavailable),
        ] {
            assert_eq!(kind_of_code(code), kind, "{code}");
        }
    }
}
