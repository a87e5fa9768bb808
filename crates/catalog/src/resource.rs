//! Resources: what an account has registered, or had made, to be backed up.

use std::collections::BTreeSet;

use model::{AccountId, BackupId, Exclusions, KmsKeyId, ResourceId, ResourceKind, ResourceState, Service, Timestamp};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, FromRow, Row};

use crate::accept::{Accepted, Quota, Terms};
use crate::batch::parameters;
use crate::column::{Columns, damaged};
use crate::database::{Catalog, Write, operation};
use crate::error::{CatalogError, CatalogErrorKind};
use crate::token::RequestToken;

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
    /// Where it is in its life.
    pub state: ResourceState,
    /// Why it could not be made, or not be removed.
    pub failure: Option<String>,
    /// Whether its directory or image is ours to make and to remove.
    pub managed: bool,
    /// The backup in this region that it is made from.
    pub made_from: Option<BackupId>,
    /// Whether that backup is to replace what it holds.
    pub rolls_back: bool,
    /// Its tags, in the order in which they were given.
    pub tags: Vec<(String, String)>,
    /// What only its API knows of it: a JSON object.
    pub attributes: String,
    /// When it is to be backed up next without anyone asking, while it is available.
    pub next_backup_at: Option<Timestamp>,
    /// Whether its API has steps to take about it.
    pub pending: bool,
    /// What its backups leave out, where it is a tree.
    pub exclusions: Exclusions,
}

impl ResourceRow {
    /// A number among its attributes; 0 where there is none of that name.
    pub fn number(&self, member: &str) -> u64 {
        let attributes: serde_json::Value = serde_json::from_str(&self.attributes).unwrap_or_default();
        attributes[member].as_u64().unwrap_or_default()
    }

    /// Whether a list among its attributes has a text.
    pub fn lists(&self, member: &str, text: &str) -> bool {
        let attributes: serde_json::Value = serde_json::from_str(&self.attributes).unwrap_or_default();
        attributes[member].as_array().is_some_and(|list| list.iter().any(|item| item == text))
    }
}

impl FromRow<'_, AnyRow> for ResourceRow {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let (tags, exclusions): (&str, &str) = (row.try_get("tags")?, row.try_get("exclusions")?);
        Ok(Self {
            id: row.parsed("id")?,
            account: row.parsed("account")?,
            kind: row.parsed("kind")?,
            path: row.try_get("path")?,
            name: row.try_get("name")?,
            kms_key: row.parsed("kms_key")?,
            created_at: row.time("created_at")?,
            state: row.parsed("state")?,
            failure: row.try_get("failure")?,
            managed: row.flag("managed")?,
            made_from: row.parsed_or_null("made_from")?,
            rolls_back: row.flag("rolls_back")?,
            tags: serde_json::from_str(tags).map_err(|error| damaged("tags", error))?,
            attributes: row.try_get("attributes")?,
            next_backup_at: row.time_or_null("next_backup_at")?,
            pending: row.flag("pending")?,
            exclusions: serde_json::from_str(exclusions).map_err(|error| damaged("exclusions", error))?,
        })
    }
}

/// A `SELECT` of whole resource rows, and of more columns beside.
macro_rules! select_resources {
    ($tail:literal) => {
        $crate::resource::select_resources!("", $tail)
    };
    ($more:literal, $tail:literal) => {
        concat!(
            "SELECT id, account, kind, path, name, kms_key, created_at, state, failure, managed, made_from, rolls_back, \
             tags, attributes, next_backup_at, pending, exclusions",
            $more,
            " FROM resource ",
            $tail
        )
    };
}
pub(crate) use select_resources;

pub(crate) const DUE: &str = select_resources!("WHERE next_backup_at <= $1 AND state = 'AVAILABLE'");

pub(crate) const PENDING: &str = select_resources!("WHERE pending = 1");

impl Catalog {
    /// Registers a resource.
    ///
    /// # Errors
    /// `Conflict` when there is one with that id.
    pub async fn insert_resource(&self, resource: &ResourceRow) -> Result<(), CatalogError> {
        self.accept_resource(resource, &Terms::default()).await.map(|_| ())
    }

    /// Registers a resource, if its terms allow it.
    ///
    /// # Errors
    /// `Conflict` when there is one with that id.
    pub async fn accept_resource(&self, resource: &ResourceRow, terms: &Terms) -> Result<Accepted<()>, CatalogError> {
        let mut write = self.write(operation!("insert_resource", "register the resource")).await?;
        let now = write.now().await?;
        let accepted = write.accept_resource(resource, terms, now).await?;
        if accepted == Accepted::New(()) {
            write.commit().await?;
        }
        Ok(accepted)
    }

    /// Registers resources, each if its terms allow it, all or none. Returns what became of each, in their order; one that
    /// is over a quota, or whose token was used with other parameters, is returned alone, and nothing is registered.
    ///
    /// # Errors
    /// `Conflict` when there is one with the id of one of them.
    pub async fn accept_resources(
        &self,
        resources: &[(ResourceRow, Terms)],
    ) -> Result<Vec<Accepted<()>>, CatalogError> {
        let mut write = self.write(operation!("insert_resource", "register the resources")).await?;
        let now = write.now().await?;
        let mut all = Vec::new();
        for (resource, terms) in resources {
            let accepted = write.accept_resource(resource, terms, now).await?;
            let is_refused = match (&accepted, &terms.token) {
                (Accepted::OverQuota(_), _) => true,
                (Accepted::Earlier(earlier), Some(token)) => earlier.parameters != token.parameters,
                _ => false,
            };
            if is_refused {
                return Ok(vec![accepted]);
            }
            all.push(accepted);
        }
        write.commit().await?;
        Ok(all)
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
        let sql = select_resources!("WHERE account = $1 AND id = $2");
        self.read("find the resource").find(sqlx::query(sql).bind(account.as_str()).bind(id.as_str())).await
    }

    /// The account's resources, by id.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn list_resources(&self, account: &AccountId) -> Result<Vec<ResourceRow>, CatalogError> {
        let sql = select_resources!("WHERE account = $1 ORDER BY id");
        self.read("list resources").list(sqlx::query(sql).bind(account.as_str())).await
    }

    /// A page of the account's resources that an API knows, by id, after `after`.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn page_of_resources(
        &self,
        account: &AccountId,
        service: Service,
        after: &str,
        limit: u32,
    ) -> Result<Vec<ResourceRow>, CatalogError> {
        let kinds = kinds_of(service);
        let sql = format!(
            select_resources!("WHERE account = $1 AND id > $2 AND kind IN ({}) ORDER BY id LIMIT CAST($3 AS BIGINT)"),
            parameters(4, kinds.len())
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(account.as_str()).bind(after).bind(i64::from(limit));
        let query = kinds.iter().fold(query, |query, kind| query.bind(kind.as_str()));
        self.read("list resources").list(query).await
    }

    /// Every account's available resources of an API whose next backup's time has come, by the database's clock.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn due_resources(&self, service: Service) -> Result<Vec<ResourceRow>, CatalogError> {
        let now = self.now().await?;
        let mut due: Vec<ResourceRow> = self.read("list due resources").list(sqlx::query(DUE).bind(now.0)).await?;
        due.retain(|row| row.kind.service() == service);
        Ok(due)
    }

    /// Sets when a resource is backed up next, unless that has changed since `row` was read. Returns whether it was
    /// set.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn move_next_backup(&self, row: &ResourceRow, next: Option<Timestamp>) -> Result<bool, CatalogError> {
        let mut write = self.write(operation!("move_next_backup", "set the next backup's time")).await?;
        let sql = "UPDATE resource SET next_backup_at = $3 WHERE id = $1 AND next_backup_at = $2";
        let query = sqlx::query(sql).bind(row.id.as_str()).bind(row.next_backup_at.map(|time| time.0));
        let moved = write.run(query.bind(next.map(|time| time.0))).await? == 1;
        write.commit().await?;
        Ok(moved)
    }

    /// Every account's resources of an API that it has steps to take about.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn pending_resources(&self, service: Service) -> Result<Vec<ResourceRow>, CatalogError> {
        let mut pending: Vec<ResourceRow> = self.read("list pending resources").list(sqlx::query(PENDING)).await?;
        pending.retain(|row| row.kind.service() == service);
        Ok(pending)
    }

    /// Changes what [`Catalog::edit_resource`] changes of any of the account's resources of an API, seen together: what
    /// is decided about one may depend on the others. A refusal of `edit` changes nothing. A token, if the call has one, is
    /// taken with the change, for the subject that is named.
    ///
    /// # Errors
    /// `Conflict` when the token was taken before.
    pub async fn edit_resources_of<T: Send, E: Send>(
        &self,
        account: &AccountId,
        service: Service,
        token: Option<(&RequestToken, &str)>,
        edit: impl FnOnce(&mut [ResourceRow]) -> Result<T, E> + Send,
    ) -> Result<Result<T, E>, CatalogError> {
        let mut write = self.write(operation!("edit_resources_of", "change resources")).await?;
        let now = write.now().await?;
        // Behind this, on engines with many writers, nobody else does the same.
        write.touch_account(account, now).await?;
        if let Some((token, subject)) = token {
            write.take_token(account, token, subject, now).await?;
        }
        let kinds = kinds_of(service);
        let sql =
            format!(select_resources!("WHERE account = $1 AND kind IN ({}) ORDER BY id"), parameters(2, kinds.len()));
        let query = sqlx::query(AssertSqlSafe(sql)).bind(account.as_str());
        let query = kinds.iter().fold(query, |query, kind| query.bind(kind.as_str()));
        let before: Vec<ResourceRow> = write.list(query).await?;
        let mut rows = before.clone();
        let edited = edit(&mut rows);
        if edited.is_ok() {
            for (row, _) in rows.iter().zip(&before).filter(|(row, before)| row != before) {
                write.update_resource(row).await?;
            }
            write.commit().await?;
        }
        Ok(edited)
    }

    /// Changes a resource's state, failure, source, roll-back, name, tags, attributes, next backup, pending steps and exclusions,
    /// and returns it as it is then.
    ///
    /// # Errors
    /// `NotFound` when the account has no such resource.
    pub async fn edit_resource(
        &self,
        account: &AccountId,
        id: &ResourceId,
        edit: impl FnOnce(&mut ResourceRow) + Send,
    ) -> Result<ResourceRow, CatalogError> {
        let mut write = self.write(operation!("edit_resource", "change the resource")).await?;
        let mut row = write.lock_resource(account, id).await?;
        edit(&mut row);
        write.update_resource(&row).await?;
        write.commit().await?;
        Ok(row)
    }

    /// Changes resources as [`Catalog::edit_resource`] does, all or none: the first refusal of `edit` ends it.
    ///
    /// # Errors
    /// `NotFound` when the account has not all of them.
    pub async fn edit_resources<E: Send>(
        &self,
        account: &AccountId,
        ids: &[ResourceId],
        edit: impl FnMut(&mut ResourceRow) -> Result<(), E> + Send,
    ) -> Result<Result<(), E>, CatalogError> {
        Ok(self.edit_resources_within(account, ids, &[], edit).await?.map(drop))
    }

    /// [`Catalog::edit_resources`], unless a quota is exceeded then: nothing is changed, and that quota is returned.
    ///
    /// # Errors
    /// `NotFound` when the account has not all of them.
    pub async fn edit_resources_within<E: Send>(
        &self,
        account: &AccountId,
        ids: &[ResourceId],
        quotas: &[Quota],
        mut edit: impl FnMut(&mut ResourceRow) -> Result<(), E> + Send,
    ) -> Result<Result<Option<Quota>, E>, CatalogError> {
        let mut write = self.write(operation!("edit_resources", "change resources")).await?;
        if !quotas.is_empty() {
            // Behind this, on engines with many writers, nobody else counts.
            let now = write.now().await?;
            write.touch_account(account, now).await?;
        }
        // In one order, so that of two who change the same ones neither waits for the other for ever.
        let ids: BTreeSet<&ResourceId> = ids.iter().collect();
        for id in ids {
            let mut row = write.lock_resource(account, id).await?;
            if let Err(refusal) = edit(&mut row) {
                return Ok(Err(refusal));
            }
            write.update_resource(&row).await?;
        }
        for quota in quotas {
            if write.is_exhausted(account, quota).await? {
                return Ok(Ok(Some(quota.clone())));
            }
        }
        write.commit().await?;
        Ok(Ok(None))
    }

    /// Forgets a resource and what policies it is bound to; its backups stay. Returns whether there was one.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn delete_resource(&self, account: &AccountId, id: &ResourceId) -> Result<bool, CatalogError> {
        let mut write = self.write(operation!("delete_resource", "forget the resource")).await?;
        let query = sqlx::query("DELETE FROM resource WHERE account = $1 AND id = $2");
        let deleted = write.run(query.bind(account.as_str()).bind(id.as_str())).await?;
        if deleted == 1 {
            write.unbind_resource(id).await?;
        }
        write.commit().await?;
        Ok(deleted == 1)
    }
}

impl Write {
    /// Registers a resource, if its terms allow it.
    async fn accept_resource(
        &mut self,
        resource: &ResourceRow,
        terms: &Terms,
        now: Timestamp,
    ) -> Result<Accepted<()>, CatalogError> {
        if let Some(refused) = self.check_terms(&resource.account, terms, now).await? {
            return Ok(refused);
        }
        if let Some(token) = &terms.token {
            self.put_token(&resource.account, token, resource.id.as_str(), now).await?;
        }
        let sql = "INSERT INTO resource (id, account, kind, path, name, kms_key, created_at, state, failure, \
                   managed, made_from, tags, attributes, next_backup_at, pending, rolls_back, exclusions) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
        let query = sqlx::query(sql)
            .bind(resource.id.as_str())
            .bind(resource.account.as_str())
            .bind(resource.kind.as_str())
            .bind(resource.path.as_slice())
            .bind(resource.name.as_deref())
            .bind(resource.kms_key.as_str())
            .bind(resource.created_at.0)
            .bind(resource.state.as_str())
            .bind(resource.failure.as_deref())
            .bind(i64::from(resource.managed))
            .bind(resource.made_from.as_ref().map(BackupId::as_str))
            .bind(as_json(&resource.tags))
            .bind(resource.attributes.as_str())
            .bind(resource.next_backup_at.map(|time| time.0))
            .bind(i64::from(resource.pending))
            .bind(i64::from(resource.rolls_back))
            .bind(as_json(&resource.exclusions));
        self.run(query).await?;
        if resource.managed {
            let (id, kind) = (resource.id.as_str(), resource.kind.as_str());
            self.record_event(now, &resource.account, "CreateResource", id, kind).await?;
        }
        Ok(Accepted::New(()))
    }

    /// The account's resources of one kind.
    pub(crate) async fn resources_of_kind(
        &mut self,
        account: &AccountId,
        kind: ResourceKind,
    ) -> Result<Vec<ResourceRow>, CatalogError> {
        let query = sqlx::query(select_resources!("WHERE account = $1 AND kind = $2"));
        self.list(query.bind(account.as_str()).bind(kind.as_str())).await
    }

    /// Reads a resource and locks its row, on engines with many writers, until the transaction ends.
    pub(crate) async fn lock_resource(
        &mut self,
        account: &AccountId,
        id: &ResourceId,
    ) -> Result<ResourceRow, CatalogError> {
        let lock = sqlx::query("UPDATE resource SET state = state WHERE account = $1 AND id = $2");
        self.run(lock.bind(account.as_str()).bind(id.as_str())).await?;
        let query = sqlx::query(select_resources!("WHERE account = $1 AND id = $2"));
        let found = self.find::<ResourceRow>(query.bind(account.as_str()).bind(id.as_str())).await?;
        found.ok_or_else(|| self.refused(CatalogErrorKind::NotFound, format!("{id} does not exist")))
    }

    /// Takes a resource off the policies that it is bound to.
    pub(crate) async fn unbind_resource(&mut self, id: &ResourceId) -> Result<(), CatalogError> {
        let query = sqlx::query("DELETE FROM policy_resource WHERE resource_id = $1");
        self.run(query.bind(id.as_str())).await.map(|_| ())
    }

    pub(crate) async fn update_resource(&mut self, row: &ResourceRow) -> Result<(), CatalogError> {
        let sql = "UPDATE resource SET state = $2, failure = $3, name = $4, tags = $5, attributes = $6, \
                   made_from = $7, next_backup_at = $8, pending = $9, rolls_back = $10, exclusions = $11 WHERE id = $1";
        let query = sqlx::query(sql)
            .bind(row.id.as_str())
            .bind(row.state.as_str())
            .bind(row.failure.as_deref())
            .bind(row.name.as_deref())
            .bind(as_json(&row.tags))
            .bind(row.attributes.as_str())
            .bind(row.made_from.as_ref().map(BackupId::as_str))
            .bind(row.next_backup_at.map(|time| time.0))
            .bind(i64::from(row.pending))
            .bind(i64::from(row.rolls_back))
            .bind(as_json(&row.exclusions));
        self.run(query).await.map(|_| ())
    }
}

fn kinds_of(service: Service) -> Vec<ResourceKind> {
    ResourceKind::ALL.into_iter().filter(|kind| kind.service() == service).collect()
}

fn as_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("serializing to memory")
}
