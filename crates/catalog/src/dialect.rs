//! The SQL that SQLite and PostgreSQL do not have in common. All other text is shared.

use std::time::Duration;

use crate::error::CatalogError;

/// How long a server may take over a statement before it is given up: somewhat longer than the `statement_timeout` below,
/// after which a server that is only slow says so itself.
const SILENCE_MAX: Duration = Duration::from_secs(130);

/// The database that a catalog is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// A file.
    Sqlite,
    /// A server that speaks PostgreSQL's protocol. Tables are in the first schema of the connection's search path.
    Postgres,
}

impl Dialect {
    /// That of an address.
    ///
    /// # Errors
    /// `Unavailable` for an address of another kind.
    pub(crate) fn of(url: &str) -> Result<Self, CatalogError> {
        match url.split_once(':') {
            Some(("sqlite", _)) => Ok(Self::Sqlite),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres),
            _ => {
                let cause = "the address of a catalog begins with sqlite: or postgres:";
                Err(CatalogError::from_sql("open the catalog", sqlx::Error::Configuration(cause.into())))
            }
        }
    }

    /// The database's clock, in milliseconds since 1970. In PostgreSQL the statement's, not the transaction's, which may
    /// have waited for its turn.
    pub(crate) fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT CAST(unixepoch('subsec') * 1000 AS BIGINT)",
            Self::Postgres => "SELECT CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS BIGINT)",
        }
    }

    /// Begins a transaction that writes. SQLite takes its write lock at once: a transaction that read first and wrote
    /// later could not wait for it.
    pub(crate) fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED",
        }
    }

    /// The first statement of a transaction that writes, where beginning it has not waited for the writers before it.
    /// So both databases have one writer at a time, and what a writer reads stays true until it commits.
    ///
    /// It is a statement of its own, inside of the transaction: one that fails, or is not waited for any more, is
    /// rolled back with it.
    pub(crate) fn lock(self) -> Option<&'static str> {
        (self == Self::Postgres).then_some("SELECT 1 FROM writer FOR UPDATE")
    }

    /// As [`Dialect::lock`], for a transaction that brings the schema up to date: there may be no table yet. Any number
    /// will do.
    pub(crate) fn lock_for_migration(self) -> Option<&'static str> {
        (self == Self::Postgres).then_some("SELECT pg_advisory_xact_lock(7381240983214)")
    }

    /// Settings of a connection that writes.
    ///
    /// For SQLite, the first waits for other processes, `FULL` survives power loss, the last allows 8 MB of cache. For
    /// PostgreSQL, nobody waits for long for a writer that was paused: its transaction ends, and its connection.
    pub(crate) fn writer(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "PRAGMA busy_timeout = 30000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                 PRAGMA foreign_keys = ON; PRAGMA cache_size = -8000"
            }
            Self::Postgres => {
                "SET lock_timeout = '30s'; SET statement_timeout = '120s'; \
                 SET idle_in_transaction_session_timeout = '20s'; SET synchronous_commit = on"
            }
        }
    }

    /// Settings of a connection that reads, which in both neither waits nor keeps anyone waiting.
    pub(crate) fn reader(self) -> &'static str {
        match self {
            Self::Sqlite => "PRAGMA busy_timeout = 30000; PRAGMA query_only = ON; PRAGMA cache_size = -8000",
            Self::Postgres => "SET default_transaction_read_only = on; SET statement_timeout = '120s'",
        }
    }

    /// Lists what is wrong with the database's structure, or says `ok`.
    pub(crate) fn integrity_check(self) -> Option<&'static str> {
        (self == Self::Sqlite).then_some("PRAGMA quick_check(10)")
    }

    /// The function that makes a JSON array of its arguments.
    pub(crate) fn json_array(self) -> &'static str {
        match self {
            Self::Sqlite => "json_array",
            Self::Postgres => "json_build_array",
        }
    }

    /// The function that makes a JSON array of rows.
    pub(crate) fn json_array_of_rows(self) -> &'static str {
        match self {
            Self::Sqlite => "json_group_array",
            Self::Postgres => "json_agg",
        }
    }

    /// A column of bytes as hex digits, NULL as NULL.
    pub(crate) fn hex(self, column: &str) -> String {
        match self {
            Self::Sqlite => format!("nullif(hex({column}), '')"),
            Self::Postgres => format!("encode({column}, 'hex')"),
        }
    }

    /// How long the database may be silent. A file is read and written by this process itself.
    pub(crate) fn silence_max(self) -> Option<Duration> {
        (self == Self::Postgres).then_some(SILENCE_MAX)
    }

    /// Whether a connection that is not in use can end without anyone being told.
    pub(crate) fn goes_stale(self) -> bool {
        self == Self::Postgres
    }
}
