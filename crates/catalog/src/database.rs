//! The database: how it is opened, read and written.
//!
//! There is one writer at a time, so one connection writes and up to four read. Every write goes
//! through [`Write`]: the readers refuse to write, and nothing else reaches the writing connection,
//! so no commit can miss the [effects](model::effect) that crash tests hook.

use std::path::Path;
use std::time::Duration;

use model::Timestamp;
use model::effect::effect;
use sqlx::any::{AnyArguments, AnyConnectOptions, AnyPoolOptions, AnyRow};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions, Connection, FromRow, Transaction};

use crate::dialect::Dialect;
use crate::error::{CatalogError, CatalogErrorKind};

const READERS_MAX: u32 = 4;

/// How long a task waits for a connection of its own process: twice what one waits for other processes.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a database may take to answer for the first time: longer than SQLite waits for other processes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(40);

/// How long a connection that writes may take to show that it can be used again. It is closed otherwise: a statement that nobody waits
/// for any more may still run on it.
const REUSABLE_WITHIN: Duration = Duration::from_secs(5);

const ACTION: &str = "open the catalog";

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// One region's catalog. Clones share the same connections.
#[derive(Clone, Debug)]
pub struct Catalog {
    writer: AnyPool,
    reader: AnyPool,
    dialect: Dialect,
    /// How long the database may be silent in the middle of a statement.
    silence_max: Option<Duration>,
}

/// What to do about a catalog that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Make it.
    Create,
    /// Fail: a mistyped path must not look like an empty region.
    Refuse,
}

/// The address of the SQLite file at `path`, which should be absolute.
pub fn sqlite_url(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let encode = |byte: &u8| {
        if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") }
    };
    let path: String = path.as_os_str().as_encoded_bytes().iter().map(encode).collect();
    format!("sqlite:{path}")
}

impl Catalog {
    /// Opens the catalog at `url` (see [`sqlite_url`], or `postgres://user:password@host/database`) and brings its
    /// schema up to date.
    ///
    /// Any number of processes may open, and even create, the same catalog at once. A schema newer than this program
    /// is accepted: migrations expand before they contract. `?mode=ro` opens an existing file for reading only. A
    /// database of PostgreSQL has to be there; a new catalog is made in it where it has none.
    ///
    /// # Errors
    /// `Unavailable` when the catalog is missing and that is refused, or cannot be opened. `Corrupt` when a file is no
    /// database. `Busy` when others kept it locked.
    pub async fn open(url: &str, missing: Missing) -> Result<Self, CatalogError> {
        sqlx::any::install_default_drivers();
        let dialect = Dialect::of(url)?;
        Self::connect(url, dialect, missing, dialect.silence_max()).await
    }

    async fn connect(
        url: &str,
        dialect: Dialect,
        missing: Missing,
        silence_max: Option<Duration>,
    ) -> Result<Self, CatalogError> {
        let options = connect_options(url, missing).map_err(|cause| CatalogError::from_sql(ACTION, cause))?;
        let probed = probe(&options, dialect).await?;
        let writer = pool_options(1, dialect, dialect.writer())
            .after_release(move |connection, _| Box::pin(is_reusable(connection, silence_max)))
            .connect_with(options.clone())
            .await
            .map_err(|cause| CatalogError::from_sql(ACTION, cause))?;
        // Not before: the last connection to go folds SQLite's log into the file and removes it.
        drop(probed);
        migrate(&writer, dialect, missing).await?;
        let reader = pool_options(READERS_MAX, dialect, dialect.reader()).connect_lazy_with(options);
        Ok(Self { writer, reader, dialect, silence_max })
    }

    /// Waits for what is under way and closes every connection. Later calls are `Unavailable`.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    /// The database's clock, by which leases, holds and the grace before deletion are measured.
    ///
    /// # Errors
    /// `Busy` or `Unavailable`.
    pub async fn now(&self) -> Result<Timestamp, CatalogError> {
        self.read("read the catalog's clock")
            .one::<(i64,)>(sqlx::query(self.dialect.now()))
            .await
            .map(|(now,)| Timestamp(now))
    }

    /// The database that it is in.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Prepares to read; `action` is the verb phrase that errors will show.
    pub(crate) fn read(&self, action: &'static str) -> Read<'_> {
        Read { pool: &self.reader, action, silence_max: self.silence_max }
    }

    /// Begins a transaction, waiting for the writers before it.
    pub(crate) async fn write(&self, operation: Operation) -> Result<Write, CatalogError> {
        let begun = answered(self.silence_max, statement::begin(&self.writer, self.dialect.begin())).await;
        let tx = begun.map_err(|cause| CatalogError::from_sql(operation.action, cause))?;
        let mut write = Write { tx, operation, dialect: self.dialect, silence_max: self.silence_max };
        if let Some(lock) = self.dialect.lock() {
            write.run(sqlx::query(lock)).await?;
        }
        Ok(write)
    }
}

fn connect_options(url: &str, missing: Missing) -> sqlx::Result<AnyConnectOptions> {
    if !url.starts_with("sqlite:") {
        return Ok(url.parse::<AnyConnectOptions>()?.disable_statement_logging());
    }
    let mode = match missing {
        Missing::Create => "rwc",
        Missing::Refuse => "rw",
    };
    let url = match url.split_once('?') {
        Some((_, query)) if query.contains("mode=") => url.to_owned(),
        Some(_) => format!("{url}&mode={mode}"),
        None => format!("{url}?mode={mode}"),
    };
    // Statements are not logged: the caller logs the operation, with the ids that say whose it is.
    Ok(url.parse::<AnyConnectOptions>()?.disable_statement_logging())
}

/// Connects once: a pool would hide why it cannot connect behind a timeout.
async fn probe(options: &AnyConnectOptions, dialect: Dialect) -> Result<Option<AnyConnection>, CatalogError> {
    let connect = async {
        let mut connection = options.connect().await?;
        sqlx::raw_sql(dialect.writer()).execute(&mut connection).await?;
        Ok(connection)
    };
    match answered(Some(CONNECT_TIMEOUT), connect).await.map_err(|cause| CatalogError::from_sql(ACTION, cause)) {
        // Another process is turning a new file into a database in WAL mode: the pool will try again until that is done.
        Err(error) if error.is(CatalogErrorKind::Busy) => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Waits for what a database says, for so long at most.
async fn answered<T>(silence_max: Option<Duration>, answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    let Some(silence_max) = silence_max else { return answer.await };
    let silent = |_| Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "it does not answer")));
    tokio::time::timeout(silence_max, answer).await.unwrap_or_else(silent)
}

fn pool_options(connections_max: u32, dialect: Dialect, settings: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(dialect.goes_stale())
        .after_connect(move |connection, _| {
            Box::pin(async move { sqlx::raw_sql(settings).execute(connection).await.map(|_| ()) })
        })
}

/// Whether a connection that writes is outside any transaction, once its pending rollback is through.
///
/// One to a server that has stopped answering is closed, so that it does not keep the next writer waiting.
///
/// On a full disk SQLite rolls back by itself. The rollback that sqlx sends next then fails, and sqlx takes
/// the connection to be inside that transaction for good: every later write through it would fail.
async fn is_reusable(connection: &mut AnyConnection, silence_max: Option<Duration>) -> sqlx::Result<bool> {
    answered(silence_max.map(|silence| silence.min(REUSABLE_WITHIN)), connection.ping()).await?;
    Ok(!connection.is_in_transaction())
}

/// PostgreSQL's code for a table that is not there. A file of SQLite that is not there is not opened in the first place.
const UNDEFINED_TABLE: &str = "42P01";

/// Applies what is missing in one transaction, so that two processes that open a new catalog at once take turns.
async fn migrate(writer: &AnyPool, dialect: Dialect, missing: Missing) -> Result<(), CatalogError> {
    let failed = |cause| CatalogError::from_sql("bring the catalog up to date", cause);
    let applied = sqlx::query_as::<_, (i64,)>("SELECT COUNT(*) FROM _sqlx_migrations").fetch_one(writer).await;
    let is_new = |cause: &sqlx::Error| {
        let code = cause.as_database_error().and_then(sqlx::error::DatabaseError::code);
        code.is_some_and(|code| code == UNDEFINED_TABLE)
    };
    if missing == Missing::Refuse && applied.as_ref().is_err_and(is_new) {
        let cause = "there is no catalog in the database";
        return Err(CatalogError::new(CatalogErrorKind::Unavailable, ACTION, cause));
    }
    // An error means that there is no such table yet, or one that the next statement will meet as well.
    if applied.is_ok_and(|(count,)| usize::try_from(count).is_ok_and(|count| count >= MIGRATOR.iter().count())) {
        return Ok(());
    }
    let mut tx = writer.begin_with(dialect.begin()).await.map_err(failed)?;
    if let Some(lock) = dialect.lock_for_migration() {
        sqlx::query(lock).execute(&mut *tx).await.map_err(failed)?;
    }
    MIGRATOR.run_direct(None, &mut *tx, false).await.map_err(|cause| failed(cause.into()))?;
    effect("catalog.migrate.before");
    tx.commit().await.map_err(failed)?;
    effect("catalog.migrate.after");
    Ok(())
}

/// A query with its parameters.
pub(crate) type Query<'q> = sqlx::query::Query<'q, Any, AnyArguments>;

/// A row type that queries return.
pub(crate) trait FromAny: for<'r> FromRow<'r, AnyRow> + Send + Unpin {}
impl<T: for<'r> FromRow<'r, AnyRow> + Send + Unpin> FromAny for T {}

/// The way of a statement through sqlx.
///
/// Async code is compiled anew in every crate that awaits it. What is boxed here is compiled once, and sqlx's part is
/// by far the largest of a query.
mod statement {
    use std::future::ready;
    use std::pin::Pin;

    use futures::TryStreamExt;
    use sqlx::any::AnyRow;
    use sqlx::pool::PoolConnection;
    use sqlx::{Any, AnyConnection, AnyPool, Transaction};

    use super::Query;

    type Boxed<'a, T> = Pin<Box<dyn Future<Output = sqlx::Result<T>> + Send + 'a>>;

    /// Hands over each row as it comes: a row of [`Any`] takes about half a kibibyte, and there may be one for each pack.
    pub(super) fn each<'a>(
        connection: &'a mut AnyConnection,
        query: Query<'a>,
        take: &'a mut (dyn FnMut(&AnyRow) -> sqlx::Result<()> + Send),
    ) -> Boxed<'a, ()> {
        Box::pin(query.fetch(connection).try_for_each(move |row| ready(take(&row))))
    }

    pub(super) fn first<'a>(connection: &'a mut AnyConnection, query: Query<'a>) -> Boxed<'a, Option<AnyRow>> {
        Box::pin(query.fetch_optional(connection))
    }

    /// Returns how many rows were changed.
    pub(super) fn run<'a>(connection: &'a mut AnyConnection, query: Query<'a>) -> Boxed<'a, u64> {
        Box::pin(async { Ok(query.execute(connection).await?.rows_affected()) })
    }

    pub(super) fn acquire(pool: &AnyPool) -> Boxed<'_, PoolConnection<Any>> {
        Box::pin(pool.acquire())
    }

    pub(super) fn begin<'a>(pool: &'a AnyPool, sql: &'static str) -> Boxed<'a, Transaction<'static, Any>> {
        Box::pin(pool.begin_with(sql))
    }

    pub(super) fn commit(transaction: Transaction<'static, Any>) -> Boxed<'static, ()> {
        Box::pin(transaction.commit())
    }
}

/// A statement that nobody waits for any more may still run on the connection.
fn close_if_silent(connection: &mut PoolConnection<Any>, cause: &sqlx::Error) {
    if matches!(cause, sqlx::Error::Io(cause) if cause.kind() == std::io::ErrorKind::TimedOut) {
        connection.close_on_drop();
    }
}

/// All rows, as what they stand for.
async fn list<T: FromAny>(
    connection: &mut AnyConnection,
    query: Query<'_>,
    silence_max: Option<Duration>,
) -> sqlx::Result<Vec<T>> {
    let mut found = Vec::new();
    let mut take = |row: &AnyRow| {
        found.push(T::from_row(row)?);
        Ok(())
    };
    answered(silence_max, statement::each(connection, query, &mut take)).await?;
    Ok(found)
}

fn parse_first<T: FromAny>(row: Option<&AnyRow>) -> sqlx::Result<Option<T>> {
    row.map(T::from_row).transpose()
}

/// Reading, outside any transaction.
pub(crate) struct Read<'c> {
    pool: &'c AnyPool,
    action: &'static str,
    silence_max: Option<Duration>,
}

impl Read<'_> {
    pub(crate) async fn one<T: FromAny>(&self, query: Query<'_>) -> Result<T, CatalogError> {
        self.find(query).await?.ok_or_else(|| self.failed(sqlx::Error::RowNotFound))
    }

    pub(crate) async fn find<T: FromAny>(&self, query: Query<'_>) -> Result<Option<T>, CatalogError> {
        let mut connection = self.acquire().await?;
        let row = answered(self.silence_max, statement::first(&mut connection, query)).await;
        let row = row.inspect_err(|cause| close_if_silent(&mut connection, cause));
        row.and_then(|row| parse_first(row.as_ref())).map_err(|cause| self.failed(cause))
    }

    pub(crate) async fn list<T: FromAny>(&self, query: Query<'_>) -> Result<Vec<T>, CatalogError> {
        let mut connection = self.acquire().await?;
        let found = list(&mut connection, query, self.silence_max).await;
        found.inspect_err(|cause| close_if_silent(&mut connection, cause)).map_err(|cause| self.failed(cause))
    }

    async fn acquire(&self) -> Result<PoolConnection<Any>, CatalogError> {
        statement::acquire(self.pool).await.map_err(|cause| self.failed(cause))
    }

    pub(crate) fn failed(&self, cause: sqlx::Error) -> CatalogError {
        CatalogError::from_sql(self.action, cause)
    }

    pub(crate) fn refused(&self, kind: CatalogErrorKind, cause: String) -> CatalogError {
        CatalogError::new(kind, self.action, cause)
    }
}

/// The names of one kind of write: for people, and for the effects around its commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) action: &'static str,
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
}

/// `operation!("land_packs", "record that packs landed")`: the name in effects, the action in errors.
macro_rules! operation {
    ($name:literal, $action:literal) => {
        $crate::database::Operation {
            action: $action,
            before: concat!("catalog.", $name, ".before"),
            after: concat!("catalog.", $name, ".after"),
        }
    };
}
pub(crate) use operation;

/// A transaction. Dropped without [`commit`](Write::commit), it changes nothing.
pub(crate) struct Write {
    tx: Transaction<'static, Any>,
    operation: Operation,
    pub(crate) dialect: Dialect,
    silence_max: Option<Duration>,
}

impl Write {
    /// Runs a statement and returns how many rows it changed.
    pub(crate) async fn run(&mut self, query: Query<'_>) -> Result<u64, CatalogError> {
        answered(self.silence_max, statement::run(&mut self.tx, query)).await.map_err(|cause| self.failed(cause))
    }

    pub(crate) async fn find<T: FromAny>(&mut self, query: Query<'_>) -> Result<Option<T>, CatalogError> {
        let row = answered(self.silence_max, statement::first(&mut self.tx, query)).await;
        row.and_then(|row| parse_first(row.as_ref())).map_err(|cause| self.failed(cause))
    }

    pub(crate) async fn list<T: FromAny>(&mut self, query: Query<'_>) -> Result<Vec<T>, CatalogError> {
        list(&mut self.tx, query, self.silence_max).await.map_err(|cause| self.failed(cause))
    }

    /// Runs a query for one number that is not negative.
    pub(crate) async fn count(&mut self, query: Query<'_>) -> Result<u64, CatalogError> {
        let counted = self.find::<(i64,)>(query).await?;
        Ok(counted.and_then(|(count,)| u64::try_from(count).ok()).unwrap_or_default())
    }

    /// The database's clock.
    pub(crate) async fn now(&mut self) -> Result<Timestamp, CatalogError> {
        let now = self.find::<(i64,)>(sqlx::query(self.dialect.now())).await?;
        now.map(|(now,)| Timestamp(now)).ok_or_else(|| self.failed(sqlx::Error::RowNotFound))
    }

    pub(crate) async fn commit(self) -> Result<(), CatalogError> {
        effect(self.operation.before);
        // What is not answered may have been committed all the same, as where a connection is lost.
        let committed = answered(self.silence_max, statement::commit(self.tx)).await;
        committed.map_err(|cause| CatalogError::from_sql(self.operation.action, cause))?;
        effect(self.operation.after);
        Ok(())
    }

    /// The error for a statement that failed.
    pub(crate) fn failed(&self, cause: sqlx::Error) -> CatalogError {
        CatalogError::from_sql(self.operation.action, cause)
    }

    /// The error for a write that the rules forbid.
    pub(crate) fn refused(&self, kind: CatalogErrorKind, cause: impl Into<String>) -> CatalogError {
        CatalogError::new(kind, self.operation.action, cause.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fresh() -> (tempfile::TempDir, Catalog) {
        let folder = tempfile::tempdir().unwrap();
        let url = sqlite_url(&folder.path().join("catalog.db"));
        let catalog = Catalog::open(&url, Missing::Create).await.unwrap();
        (folder, catalog)
    }

    #[tokio::test]
    async fn a_full_disk_changes_nothing_and_says_so() {
        let (_folder, catalog) = fresh().await;
        // The file may not grow from here on: what a full disk looks like to a database.
        sqlx::raw_sql("PRAGMA max_page_count = 1").execute(&catalog.writer).await.unwrap();
        let refused = catalog.set_meta("big", &"x".repeat(1 << 20)).await.unwrap_err();
        assert!(refused.is(CatalogErrorKind::Full), "{refused:?}");
        assert_eq!(catalog.meta("big").await.unwrap(), None);
        // The limit went with its connection: there is room again.
        catalog.set_meta("big", &"x".repeat(1 << 20)).await.unwrap();
    }

    #[tokio::test]
    async fn a_database_that_stays_locked_is_busy() {
        let (folder, catalog) = fresh().await;
        let other = Catalog::open(&sqlite_url(&folder.path().join("catalog.db")), Missing::Refuse).await.unwrap();
        sqlx::raw_sql("PRAGMA busy_timeout = 1").execute(&catalog.writer).await.unwrap();
        let held = other.write(operation!("test", "hold the lock")).await.unwrap();
        let refused = catalog.set_meta("key", "value").await.unwrap_err();
        assert!(refused.is(CatalogErrorKind::Busy), "{refused:?}");
        assert_eq!(catalog.meta("key").await.unwrap(), None, "readers do not wait");
        held.commit().await.unwrap();
        catalog.set_meta("key", "value").await.unwrap();
    }

    /// A write that is dropped half-way, by an error or because its task was cancelled, leaves no trace.
    #[tokio::test]
    async fn a_write_that_does_not_commit_changes_nothing() {
        let (_folder, catalog) = fresh().await;
        let mut write = catalog.write(operation!("test", "test")).await.unwrap();
        write.run(sqlx::query("INSERT INTO meta (key, value) VALUES ('a', 'b')")).await.unwrap();
        drop(write);
        assert_eq!(catalog.meta("a").await.unwrap(), None);
        catalog.set_meta("a", "c").await.unwrap();
    }

    /// A server that stands still takes a statement and says nothing. It is given up, and so is the connection.
    #[tokio::test]
    async fn a_server_that_stops_answering_in_the_middle_of_a_statement_is_given_up() {
        let server = testkit::postgres::Postgres::start().unwrap();
        let url = server.new_database("mute").unwrap();
        Catalog::open(&url, Missing::Create).await.unwrap().close().await;
        // Also what every good statement has, on a busy machine.
        let silence_max = Some(Duration::from_secs(3));
        let catalog = Catalog::connect(&url, Dialect::Postgres, Missing::Refuse, silence_max).await.unwrap();
        catalog.set_meta("a", "before").await.unwrap();
        let mut write = catalog.write(operation!("test", "write to it")).await.unwrap();
        let paused = server.pause().unwrap();
        let write_sql = "UPDATE meta SET value = 'meanwhile' WHERE key = 'a'";
        let refused = write.run(sqlx::query(write_sql)).await.unwrap_err();
        assert!(refused.is(CatalogErrorKind::Unavailable), "{refused:?}");
        drop(write);
        // Its place is free for another connection, long before that one says anything.
        while catalog.writer.size() > 0 {
            tokio::task::yield_now().await;
        }
        drop(paused);
        assert_eq!(catalog.meta("a").await.unwrap().as_deref(), Some("before"));
        catalog.set_meta("a", "after").await.unwrap();
        assert_eq!(catalog.meta("a").await.unwrap().as_deref(), Some("after"));
        let slow = catalog.read("read from it").find::<(i64,)>(sqlx::query("SELECT 1 FROM pg_sleep(60)")).await;
        assert!(slow.unwrap_err().is(CatalogErrorKind::Unavailable));
    }

    #[tokio::test]
    async fn the_file_is_opened_as_durability_asks() {
        let (_folder, catalog) = fresh().await;
        for (pragma, value) in
            [("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 30_000), ("cache_size", -8000)]
        {
            let sql = sqlx::AssertSqlSafe(format!("PRAGMA {pragma}"));
            let (found,): (i64,) = sqlx::query_as(sql).fetch_one(&catalog.writer).await.unwrap();
            assert_eq!(found, value, "{pragma}");
        }
        let (mode,): (String,) = sqlx::query_as("PRAGMA journal_mode").fetch_one(&catalog.writer).await.unwrap();
        assert_eq!(mode, "wal");
        let write = sqlx::query("INSERT INTO meta (key, value) VALUES ('a', 'b')").execute(&catalog.reader).await;
        let refused = write.map_err(|cause| CatalogError::from_sql("write as a reader", cause)).unwrap_err();
        assert!(refused.is(CatalogErrorKind::ReadOnly), "{refused:?}");
    }
}
