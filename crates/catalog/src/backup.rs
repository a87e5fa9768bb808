//! Backups: their rows and tags, and the ways to look them up.
//!
//! Every list runs along an index, so that a page costs the same whether the account has a thousand
//! backups or a million.

use model::{
    AccountId, BackupId, BackupState, DataKeyId, KmsKeyId, Origin, Region, ResourceId, ResourceKind, Service,
    SnapshotId, Timestamp,
};
use serde::Deserialize;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, FromRow, Row};

use crate::batch::parameters;
use crate::column::{self, damaged};
use crate::database::{Catalog, Query, Write, operation};
use crate::dialect::Dialect;
use crate::error::{CatalogError, CatalogErrorKind};
use crate::lease::Fence;

/// A backup. Its members are in the order of `Dialect::select_backups`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BackupRow {
    /// What only its API knows of it: a JSON object.
    #[serde(deserialize_with = "column::json")]
    pub attributes: String,
    /// Its tags, in the order in which they were given.
    #[serde(deserialize_with = "column::list_or_null")]
    pub tags: Vec<(String, String)>,
    /// Its id.
    pub id: BackupId,
    /// Whose it is.
    pub account: AccountId,
    /// What it is a backup of; that resource may be gone, or in another region.
    pub resource_id: ResourceId,
    /// What kind of resource that is.
    pub resource_kind: ResourceKind,
    /// What people called it when the backup was taken.
    pub resource_name: Option<String>,
    /// Where it is in its life.
    pub state: BackupState,
    /// Which contents it holds; known once it is available.
    pub snapshot_id: Option<SnapshotId>,
    /// The backup that this one was taken as a change of.
    pub parent_id: Option<BackupId>,
    /// The key under which its data keys are wrapped.
    pub kms_key: KmsKeyId,
    /// The data key that was made for it.
    pub data_key: DataKeyId,
    /// When it was asked for.
    #[serde(deserialize_with = "column::milliseconds")]
    pub created_at: Timestamp,
    /// When it became available.
    #[serde(deserialize_with = "column::milliseconds_or_null")]
    pub completed_at: Option<Timestamp>,
    /// For a copy: the region it was copied from.
    pub source_region: Option<Region>,
    /// For a copy: the backup it is a copy of.
    pub source_backup: Option<BackupId>,
    /// The parameters it was asked for with, as JSON: by these an interrupted job is found again. Empty once it has ended.
    pub request: String,
    /// Why it failed.
    pub failure: Option<String>,
    /// How large its contents are.
    pub size_bytes: u64,
    /// How many bytes its packs hold in the store.
    pub stored_bytes: u64,
    /// How many of these had to be written or sent for it.
    pub moved_bytes: u64,
    /// How many were there already.
    pub deduplicated_bytes: u64,
    /// How many entries it has.
    pub entry_count: u64,
    /// How many things it left out.
    pub omission_count: u64,
    /// How far the work is.
    pub done_bytes: u64,
    /// How far it has to go, as far as is known.
    pub total_bytes: u64,
    /// Who is at work on it.
    pub lease_owner: Option<String>,
    /// How often the work changed hands.
    pub lease_fence: Fence,
    /// Until when nobody else may claim it; 0 when nobody is at work.
    #[serde(deserialize_with = "column::milliseconds")]
    pub lease_expires_at: Timestamp,
    /// Who asked for it.
    pub origin: Origin,
    /// When it is to be removed; never, where there is no time.
    #[serde(deserialize_with = "column::milliseconds_or_null")]
    pub expires_at: Option<Timestamp>,
    /// For a copy: when its contents were asked for, as far as is known. See [`BackupRow::taken_at`].
    #[serde(deserialize_with = "column::milliseconds_or_null")]
    pub source_taken_at: Option<Timestamp>,
}

impl BackupRow {
    /// Whether it was copied from another backup, rather than taken of a resource.
    pub fn is_copy(&self) -> bool {
        self.source_backup.is_some()
    }

    /// When its contents were asked for: of a copy, and a copy's copy, what that is of the backup that was first copied. Copies
    /// that older versions made do not tell.
    pub fn taken_at(&self) -> Option<Timestamp> {
        self.source_taken_at.or((!self.is_copy()).then_some(self.created_at))
    }
}

impl FromRow<'_, AnyRow> for BackupRow {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        serde_json::from_str(row.try_get("backup")?).map_err(|error| damaged("backup", error))
    }
}

/// Some backups in one row: what is handed over row by row between threads costs more than to be read.
struct Page(Vec<BackupRow>);

impl FromRow<'_, AnyRow> for Page {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let Some(page) = row.try_get::<Option<&str>, _>("page")? else { return Ok(Self(Vec::new())) };
        serde_json::from_str(page).map(Self).map_err(|error| damaged("backup", error))
    }
}

impl Dialect {
    /// The query of whole backups that ends with `tail`.
    pub(crate) fn backups<'q>(self, tail: &str) -> Query<'q> {
        sqlx::query(AssertSqlSafe(self.select_backups(tail)))
    }

    /// Its text. A backup is one column of JSON: sqlx copies every column's name and value for every row. The columns
    /// that are JSON already stand before the others.
    pub(crate) fn select_backups(self, tail: &str) -> String {
        let (array, rows) = (self.json_array(), self.json_array_of_rows());
        let (snapshot_id, data_key) = (self.hex("snapshot_id"), self.hex("data_key"));
        let tags = format!("SELECT {rows}({array}(key, value) ORDER BY ordinal) FROM tag WHERE backup_id = backup.id");
        format!(
            "SELECT '[' || attributes || ',' || COALESCE(CAST(({tags}) AS TEXT), 'null') || ',' || \
             substr(CAST({array}(id, account, resource_id, resource_kind, resource_name, state, {snapshot_id}, parent_id, \
             kms_key, {data_key}, created_at, completed_at, source_region, source_backup, request, failure, size_bytes, \
             stored_bytes, moved_bytes, deduplicated_bytes, entry_count, omission_count, done_bytes, total_bytes, \
             lease_owner, lease_fence, lease_expires_at, origin, expires_at, taken_at) AS TEXT), 2) AS backup FROM backup {tail}"
        )
    }
}

/// The most backups that are read as one [`Page`], which is all in memory at once.
const PAGE_MAX: u32 = 1001;

/// Which of an account's backups to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BackupFilter {
    /// Only those of this API.
    pub service: Option<Service>,
    /// Only those of these resources, if any are named.
    pub resources: Vec<ResourceId>,
    /// Only those of resources of these kinds, if any are named.
    pub kinds: Vec<ResourceKind>,
    /// Only those with these ids, if any are named.
    pub ids: Vec<BackupId>,
    /// Only copies of these backups, if any are named.
    pub sources: Vec<BackupId>,
    /// Only those in these states, if any are named.
    pub states: Vec<BackupState>,
    /// Only those that were asked for so.
    pub origin: Option<Origin>,
    /// Only those after this one, which was the last of the page before: `(created_at, id)`.
    pub after: Option<(Timestamp, BackupId)>,
    /// Oldest first, instead of newest first.
    pub ascending: bool,
    /// How many at most.
    pub limit: u32,
}

impl BackupFilter {
    /// The query of the backups, one by one.
    fn sql(&self, dialect: Dialect) -> String {
        dialect.select_backups(&self.tail())
    }

    /// The query of the same backups as one [`Page`].
    fn page_sql(&self, dialect: Dialect) -> String {
        format!("SELECT '[' || string_agg(backup, ',') || ']' AS page FROM ({}) AS listed", self.sql(dialect))
    }

    /// What follows the table in a query, with a parameter for each of [`BackupFilter::values`].
    fn tail(&self) -> String {
        let (sign, order) = if self.ascending { (">", "") } else { ("<", " DESC") };
        let mut sql = format!("WHERE account = $1 AND (created_at, id) {sign} ($2, $3)");
        // Words of ours stand in the text: SQLite prepares a statement anew whenever a parameter changes that decides
        // which partial index can be used.
        for (column, words) in self.words().into_iter().filter(|(_, words)| !words.is_empty()) {
            sql += &match words[..] {
                [word] => format!(" AND {column} = '{word}'"),
                _ => format!(" AND {column} IN ('{}')", words.join("', '")),
            };
        }
        let mut next = 5;
        for (column, values) in self.values().into_iter().filter(|(_, values)| !values.is_empty()) {
            // One value is looked up along its index, which also gives the order.
            sql += &match values.len() {
                1 => format!(" AND {column} = ${next}"),
                len => format!(" AND {column} IN ({})", parameters(next, len)),
            };
            next += values.len();
        }
        // A bare parameter as the limit would have SQLite prepare the statement anew each time.
        sql + &format!(" ORDER BY created_at{order}, id{order} LIMIT CAST($4 AS BIGINT)")
    }

    fn words(&self) -> [(&'static str, Vec<&'static str>); 4] {
        // Where resources are named, their index is the one to search along, and not that of the API's: no index has an
        // expression. A caller may have named resources of another API.
        let service = if self.resources.is_empty() { "service" } else { "service || ''" };
        [
            (service, self.service.iter().map(|service| service.as_str()).collect()),
            ("resource_kind", self.kinds.iter().map(|kind| kind.as_str()).collect()),
            ("state", self.states.iter().map(|state| state.as_str()).collect()),
            ("origin", self.origin.iter().map(|origin| origin.as_str()).collect()),
        ]
    }

    fn values(&self) -> [(&'static str, Vec<&str>); 3] {
        [
            ("resource_id", self.resources.iter().map(ResourceId::as_str).collect()),
            ("id", self.ids.iter().map(BackupId::as_str).collect()),
            ("source_backup", self.sources.iter().map(BackupId::as_str).collect()),
        ]
    }
}

/// The keeper's questions, twice a second: none may cost more than what it finds. The first leaves the state aside,
/// as a search along the index of states would go through all there are.
pub(crate) const EXPIRED: &str = "WHERE expires_at <= $1";
pub(crate) const FAILED: &str = "WHERE service = $1 AND state = 'FAILED'";
pub(crate) const IN_PROGRESS: &str = "WHERE state IN ('CREATING', 'COPYING') ORDER BY created_at, id";

const LATEST_TAKEN: &str = "WHERE account = $1 AND resource_id = $2 AND state = 'AVAILABLE' AND source_backup IS NULL \
     ORDER BY created_at DESC, id DESC LIMIT 1";
const ALL_TAKEN: &str =
    "WHERE account = $1 AND resource_id = $2 AND state = 'AVAILABLE' AND source_backup IS NULL ORDER BY created_at, id";
const LATEST_COPY: &str = "WHERE account = $1 AND resource_id = $2 AND state = 'AVAILABLE' AND source_backup IS NOT NULL \
     ORDER BY created_at DESC, id DESC LIMIT 1";
const RESUMABLE: &str =
    "WHERE account = $1 AND state IN ('CREATING', 'COPYING') AND request = $2 ORDER BY created_at, id";

impl Catalog {
    /// The account's backup of that id, in whatever state it is.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn find_backup(&self, account: &AccountId, id: &BackupId) -> Result<Option<BackupRow>, CatalogError> {
        let query = self.dialect().backups("WHERE account = $1 AND id = $2");
        Ok(self.backups("find the backup", query.bind(account.as_str()).bind(id.as_str())).await?.pop())
    }

    /// A page of the account's backups, newest first.
    ///
    /// Walking the pages by [`BackupFilter::after`] visits each backup that exists throughout once,
    /// whatever else is made or deleted meanwhile.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn list_backups(
        &self,
        account: &AccountId,
        filter: &BackupFilter,
    ) -> Result<Vec<BackupRow>, CatalogError> {
        let (created_at, id) = match &filter.after {
            Some((created_at, id)) => (created_at.0, id.as_str()),
            // Every backup comes after the end of time, or its beginning.
            None if filter.ascending => (i64::MIN, ""),
            None => (i64::MAX, ""),
        };
        let is_page = filter.limit <= PAGE_MAX;
        let sql = if is_page { filter.page_sql(self.dialect()) } else { filter.sql(self.dialect()) };
        let query = sqlx::query(AssertSqlSafe(sql)).bind(account.as_str()).bind(created_at).bind(id);
        let values = filter.values().into_iter().flat_map(|(_, values)| values);
        let query = values.fold(query.bind(i64::from(filter.limit)), |query, value| query.bind(value.to_owned()));
        if is_page {
            return self.read("list backups").one::<Page>(query).await.map(|Page(backups)| backups);
        }
        self.backups("list backups", query).await
    }

    /// How many of the account's backups a filter fits, whatever its page and limit.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn count_backups(&self, account: &AccountId, filter: &BackupFilter) -> Result<u64, CatalogError> {
        let all = BackupFilter { after: None, ascending: false, limit: u32::MAX, ..filter.clone() };
        let sql = format!("SELECT COUNT(*) FROM (SELECT id FROM backup {}) AS listed", all.tail());
        let query = sqlx::query(AssertSqlSafe(sql)).bind(account.as_str()).bind(i64::MAX).bind("");
        let values = all.values().into_iter().flat_map(|(_, values)| values);
        let query = values.fold(query.bind(i64::from(all.limit)), |query, value| query.bind(value.to_owned()));
        let counted = self.read("count backups").find::<(i64,)>(query).await?;
        Ok(counted.and_then(|(count,)| u64::try_from(count).ok()).unwrap_or_default())
    }

    /// The account's unfinished backups that were asked for with exactly this `request`, oldest first.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn find_resumable(&self, account: &AccountId, request: &str) -> Result<Vec<BackupRow>, CatalogError> {
        self.backups("find interrupted work", self.dialect().backups(RESUMABLE).bind(account.as_str()).bind(request))
            .await
    }

    /// The backup to take the resource's next one as a change of: the newest available one that was
    /// taken here, or else the newest available copy.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn latest_available(
        &self,
        account: &AccountId,
        resource: &ResourceId,
    ) -> Result<Option<BackupRow>, CatalogError> {
        for tail in [LATEST_TAKEN, LATEST_COPY] {
            let query = self.dialect().backups(tail).bind(account.as_str()).bind(resource.as_str());
            if let Some(found) = self.backups("find the latest backup", query).await?.pop() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Every account's backups whose removal was begun and not finished.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn deleting_backups(&self) -> Result<Vec<BackupRow>, CatalogError> {
        let tail = "WHERE state = 'DELETING' ORDER BY account, id";
        self.backups("list backups being removed", self.dialect().backups(tail)).await
    }

    /// Every account's backups that a worker holds an unexpired lease on, by the database's clock.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn leased_backups(&self) -> Result<Vec<BackupRow>, CatalogError> {
        let now = self.now().await?;
        let tail = "WHERE state IN ('CREATING', 'COPYING') AND lease_owner IS NOT NULL AND lease_expires_at > $1";
        self.backups("list backups at work", self.dialect().backups(tail).bind(now.0)).await
    }

    /// Every account's backups whose time has come, by the database's clock: available ones, and some that have failed.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn expired_backups(&self) -> Result<Vec<BackupRow>, CatalogError> {
        let now = self.now().await?;
        let mut expired = self.backups("list expired backups", self.dialect().backups(EXPIRED).bind(now.0)).await?;
        expired.retain(|row| matches!(row.state, BackupState::Available | BackupState::Failed));
        Ok(expired)
    }

    /// Every account's backups of an API that could not be made.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn failed_backups(&self, service: Service) -> Result<Vec<BackupRow>, CatalogError> {
        self.backups("list failed backups", self.dialect().backups(FAILED).bind(service.as_str())).await
    }

    /// Every account's backups that are being made, whoever is at work on them, oldest first.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn backups_in_progress(&self) -> Result<Vec<BackupRow>, CatalogError> {
        self.backups("list work in progress", self.dialect().backups(IN_PROGRESS)).await
    }

    /// All of the account's backups at once, oldest first: for checks and rebuilds, not for serving.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn all_backups(&self, account: &AccountId) -> Result<Vec<BackupRow>, CatalogError> {
        let tail = "WHERE account = $1 ORDER BY created_at, id";
        self.backups("list all backups", self.dialect().backups(tail).bind(account.as_str())).await
    }

    /// Changes a backup's tags, attributes and expiry, unless `edit` refuses, and returns it as it is then.
    ///
    /// # Errors
    /// `NotFound` when the account has no such backup. `Conflict` when a tag's key comes twice.
    pub async fn edit_backup<E: Send>(
        &self,
        account: &AccountId,
        id: &BackupId,
        edit: impl FnOnce(&mut BackupRow) -> Result<(), E> + Send,
    ) -> Result<Result<BackupRow, E>, CatalogError> {
        let mut write = self.write(operation!("edit_backup", "change the backup")).await?;
        let found = write.lock_backup(account, id).await?;
        let query = write.dialect.backups("WHERE account = $1 AND id = $2");
        let row = write.find::<BackupRow>(query.bind(account.as_str()).bind(id.as_str())).await?;
        let (Some(_), Some(mut row)) = (found, row) else {
            return Err(write.refused(CatalogErrorKind::NotFound, format!("{id} does not exist")));
        };
        if let Err(refusal) = edit(&mut row) {
            return Ok(Err(refusal));
        }
        write.update_backup(&row).await?;
        write.commit().await?;
        Ok(Ok(row))
    }

    /// Changes what [`Catalog::edit_backup`] changes of any of a resource's available backups that were taken here,
    /// oldest first and seen together: what is decided about one may depend on the others. Returns those that were
    /// changed.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`. `Conflict` when a tag's key comes twice.
    pub async fn edit_backups_of(
        &self,
        account: &AccountId,
        resource: &ResourceId,
        edit: impl FnOnce(&mut [BackupRow]) + Send,
    ) -> Result<Vec<BackupRow>, CatalogError> {
        let mut write = self.write(operation!("edit_backups_of", "change the backups")).await?;
        let sql = "UPDATE backup SET state = state WHERE account = $1 AND resource_id = $2 AND state = 'AVAILABLE'";
        write.run(sqlx::query(sql).bind(account.as_str()).bind(resource.as_str())).await?;
        let query = write.dialect.backups(ALL_TAKEN).bind(account.as_str()).bind(resource.as_str());
        let before: Vec<BackupRow> = write.list(query).await?;
        let mut rows = before.clone();
        edit(&mut rows);
        let changed: Vec<BackupRow> =
            rows.into_iter().zip(&before).filter(|(row, before)| row != *before).map(|(row, _)| row).collect();
        for row in &changed {
            write.update_backup(row).await?;
        }
        write.commit().await?;
        Ok(changed)
    }

    /// Gives the backup these tags and no others.
    ///
    /// # Errors
    /// `NotFound` when the account has no such backup. `Conflict` when a key comes twice.
    pub async fn set_tags(
        &self,
        account: &AccountId,
        id: &BackupId,
        tags: &[(String, String)],
    ) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("set_tags", "tag the backup")).await?;
        // An update that changes nothing: it locks the row on engines with many writers.
        let query = sqlx::query("UPDATE backup SET state = state WHERE account = $1 AND id = $2");
        if write.run(query.bind(account.as_str()).bind(id.as_str())).await? == 0 {
            return Err(write.refused(CatalogErrorKind::NotFound, format!("{id} does not exist")));
        }
        write.replace_tags(id, tags).await?;
        write.commit().await
    }

    pub(crate) async fn backups(&self, action: &'static str, query: Query<'_>) -> Result<Vec<BackupRow>, CatalogError> {
        self.read(action).list(query).await
    }
}

impl Write {
    /// Writes what of a backup can be edited.
    async fn update_backup(&mut self, row: &BackupRow) -> Result<(), CatalogError> {
        let query = sqlx::query("UPDATE backup SET attributes = $2, expires_at = $3 WHERE id = $1");
        let query = query.bind(row.id.as_str()).bind(row.attributes.as_str());
        self.run(query.bind(row.expires_at.map(|time| time.0))).await?;
        self.replace_tags(&row.id, &row.tags).await
    }

    pub(crate) async fn replace_tags(&mut self, id: &BackupId, tags: &[(String, String)]) -> Result<(), CatalogError> {
        self.run(sqlx::query("DELETE FROM tag WHERE backup_id = $1").bind(id.as_str())).await?;
        for (ordinal, (key, value)) in (0_i64..).zip(tags) {
            let query = sqlx::query("INSERT INTO tag (backup_id, key, value, ordinal) VALUES ($1, $2, $3, $4)");
            self.run(query.bind(id.as_str()).bind(key.as_str()).bind(value.as_str()).bind(ordinal)).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Missing;

    /// Every page is a search along the index that also gives the order: nothing is scanned or sorted.
    #[tokio::test]
    async fn pages_are_read_along_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let url = crate::sqlite_url(&folder.path().join("catalog.db"));
        let catalog = Catalog::open(&url, Missing::Create).await.unwrap();
        let all = BackupFilter::default();
        let of_service = BackupFilter { service: Some(Service::Fsx), ..all.clone() };
        let of_resource = BackupFilter { resources: vec!["disk-aaaaaaaa".parse().unwrap()], ..of_service.clone() };
        let dialect = catalog.dialect();
        for (sql, index) in [
            (all.sql(dialect), "backup_by_age (account=? AND (created_at,id)<(?,?))"),
            (of_service.sql(dialect), "backup_by_service (account=? AND service=? AND (created_at,id)<(?,?))"),
            (of_resource.sql(dialect), "backup_by_resource (account=? AND resource_id=? AND (created_at,id)<(?,?))"),
            (dialect.select_backups(LATEST_TAKEN), "backup_by_resource (account=? AND resource_id=?)"),
            (dialect.select_backups(LATEST_COPY), "backup_by_resource (account=? AND resource_id=?)"),
            (dialect.select_backups(ALL_TAKEN), "backup_by_resource (account=? AND resource_id=?)"),
            (dialect.select_backups(RESUMABLE), "backup_in_progress (account=?)"),
        ] {
            let query = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
            let plan: Vec<(i64, i64, i64, String)> = catalog.read("explain").list(query).await.unwrap();
            let plan: Vec<String> = plan.into_iter().map(|(.., detail)| detail).collect();
            assert_eq!(plan[0], format!("SEARCH backup USING INDEX {index}"), "{sql}");
            let tags = [
                "CORRELATED SCALAR SUBQUERY 1",
                "USE TEMP B-TREE FOR json_group_array(ORDER BY)",
                "SEARCH tag USING INDEX sqlite_autoindex_tag_1 (backup_id=?)",
            ];
            assert_eq!(plan[1..], tags, "{sql}");
        }
    }
}
