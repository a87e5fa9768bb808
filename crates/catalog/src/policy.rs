//! Policies: schedules by which backups are taken, the resources bound to them, and the runs that are due.
//!
//! A run is claimed by moving its policy on to the next one, named by the time it had, so of any number of
//! servers one claims it. The same transaction writes the run into the policy's bindings, where it stays
//! until each backup has been accepted: a crash in between loses none.

use model::{AccountId, PolicyId, ResourceId, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, FromRow, Row};

use crate::batch::{batches, parameters};
use crate::column::Columns;
use crate::database::{Catalog, Write, operation};
use crate::error::{CatalogError, CatalogErrorKind};

/// A policy.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyRow {
    /// Its id.
    pub id: PolicyId,
    /// Whose it is.
    pub account: AccountId,
    /// What people call it.
    pub name: Option<String>,
    /// When it runs: JSON that only its API reads.
    pub rules: String,
    /// When the rules were made or last changed.
    pub rules_since: Timestamp,
    /// Whether its owner has switched it on.
    pub activated: bool,
    /// Whether its backups stay until someone removes them.
    pub permanent: bool,
    /// How many days its backups stay otherwise.
    pub retention_days: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it runs next, while it is switched on.
    pub next_run_at: Option<Timestamp>,
}

impl FromRow<'_, AnyRow> for PolicyRow {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.parsed("id")?,
            account: row.parsed("account")?,
            name: row.try_get("name")?,
            rules: row.try_get("rules")?,
            rules_since: row.time("rules_since")?,
            activated: row.flag("activated")?,
            permanent: row.flag("permanent")?,
            retention_days: row.try_get("retention_days")?,
            created_at: row.time("created_at")?,
            next_run_at: row.time_or_null("next_run_at")?,
        })
    }
}

/// A claimed run of a policy on one of its resources, whose backup is still to be accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduledRun {
    /// The policy.
    pub policy: PolicyRow,
    /// What to back up.
    pub resource: ResourceId,
    /// The time at which it was to run.
    pub run_at: Timestamp,
}

impl FromRow<'_, AnyRow> for ScheduledRun {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let (resource, run_at) = (row.parsed("resource_id")?, row.time("due_at")?);
        Ok(Self { policy: PolicyRow::from_row(row)?, resource, run_at })
    }
}

/// What became of a request to bind resources to a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// All are bound.
    Bound,
    /// This one was bound before; nothing was changed.
    AlreadyBound(ResourceId),
    /// The policy would have too many; nothing was changed.
    OverLimit,
}

/// A `SELECT` of whole policy rows.
macro_rules! select_policies {
    ($tail:literal) => {
        concat!(
            "SELECT id, account, name, rules, rules_since, activated, permanent, retention_days, created_at, \
             next_run_at FROM policy ",
            $tail
        )
    };
}

pub(crate) const DUE_POLICIES: &str = select_policies!("WHERE activated = 1 AND next_run_at <= $1");
pub(crate) const SCHEDULED_RUNS: &str = "SELECT id, account, name, rules, rules_since, activated, permanent, retention_days, \
                              created_at, next_run_at, resource_id, due_at \
                              FROM policy_resource JOIN policy ON id = policy_id WHERE due_at IS NOT NULL";

impl Catalog {
    /// Makes a policy, unless the account has `max` of them. Returns whether it was made.
    ///
    /// # Errors
    /// `Conflict` when there is one with that id.
    pub async fn insert_policy(&self, policy: &PolicyRow, max: u64) -> Result<bool, CatalogError> {
        let mut write = self.write(operation!("insert_policy", "make the policy")).await?;
        let now = write.now().await?;
        write.touch_account(&policy.account, now).await?;
        let count = sqlx::query("SELECT COUNT(*) FROM policy WHERE account = $1").bind(policy.account.as_str());
        if write.count(count).await? >= max {
            return Ok(false);
        }
        let sql = "INSERT INTO policy (id, account, name, rules, rules_since, activated, permanent, retention_days, \
                   created_at, next_run_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let query = sqlx::query(sql)
            .bind(policy.id.as_str())
            .bind(policy.account.as_str())
            .bind(policy.name.as_deref())
            .bind(policy.rules.as_str())
            .bind(policy.rules_since.0)
            .bind(i64::from(policy.activated))
            .bind(i64::from(policy.permanent))
            .bind(policy.retention_days)
            .bind(policy.created_at.0)
            .bind(policy.next_run_at.map(|time| time.0));
        write.run(query).await?;
        write.commit().await?;
        Ok(true)
    }

    /// The account's policies, oldest first.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn list_policies(&self, account: &AccountId) -> Result<Vec<PolicyRow>, CatalogError> {
        let sql = select_policies!("WHERE account = $1 ORDER BY created_at, id");
        self.read("list policies").list(sqlx::query(sql).bind(account.as_str())).await
    }

    /// What is bound to each of the account's policies.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn bound_resources(&self, account: &AccountId) -> Result<Vec<(PolicyId, ResourceId)>, CatalogError> {
        let sql = "SELECT policy_id, resource_id FROM policy JOIN policy_resource ON policy_id = id \
                   WHERE account = $1 ORDER BY created_at, policy_id, resource_id";
        let bound: Vec<Bound> = self.read("list what is bound").list(sqlx::query(sql).bind(account.as_str())).await?;
        Ok(bound.into_iter().map(|Bound(policy, resource)| (policy, resource)).collect())
    }

    /// Changes a policy's name, rules, activation, retention and next run, and returns it as it is then.
    ///
    /// # Errors
    /// `NotFound` when the account has no such policy.
    pub async fn edit_policy(
        &self,
        account: &AccountId,
        id: &PolicyId,
        edit: impl FnOnce(&mut PolicyRow) + Send,
    ) -> Result<PolicyRow, CatalogError> {
        let mut write = self.write(operation!("edit_policy", "change the policy")).await?;
        let mut row = write.lock_policy(account, id).await?;
        edit(&mut row);
        let sql = "UPDATE policy SET name = $2, rules = $3, rules_since = $4, activated = $5, permanent = $6, \
                   retention_days = $7, next_run_at = $8 WHERE id = $1";
        let query = sqlx::query(sql)
            .bind(id.as_str())
            .bind(row.name.as_deref())
            .bind(row.rules.as_str())
            .bind(row.rules_since.0)
            .bind(i64::from(row.activated))
            .bind(i64::from(row.permanent))
            .bind(row.retention_days)
            .bind(row.next_run_at.map(|time| time.0));
        write.run(query).await?;
        write.commit().await?;
        Ok(row)
    }

    /// Removes policies with what was bound to them, all or none. Backups that they made stay.
    ///
    /// # Errors
    /// `NotFound` when the account has not all of them.
    pub async fn delete_policies(&self, account: &AccountId, ids: &[PolicyId]) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("delete_policies", "remove policies")).await?;
        for id in ids {
            write.lock_policy(account, id).await?;
            for sql in ["DELETE FROM policy_resource WHERE policy_id = $1", "DELETE FROM policy WHERE id = $1"] {
                write.run(sqlx::query(sql).bind(id.as_str())).await?;
            }
        }
        write.commit().await
    }

    /// Binds resources to a policy, all or none, so that it has `max` at most.
    ///
    /// # Errors
    /// `NotFound` when the account has no such policy.
    pub async fn bind_policy(
        &self,
        account: &AccountId,
        id: &PolicyId,
        resources: &[ResourceId],
        max: u64,
    ) -> Result<Binding, CatalogError> {
        let mut write = self.write(operation!("bind_policy", "bind the policy")).await?;
        write.lock_policy(account, id).await?;
        for resource in resources {
            let sql = "INSERT INTO policy_resource (policy_id, resource_id) VALUES ($1, $2) \
                       ON CONFLICT (policy_id, resource_id) DO NOTHING";
            if write.run(sqlx::query(sql).bind(id.as_str()).bind(resource.as_str())).await? == 0 {
                return Ok(Binding::AlreadyBound(resource.clone()));
            }
        }
        let count = sqlx::query("SELECT COUNT(*) FROM policy_resource WHERE policy_id = $1").bind(id.as_str());
        if write.count(count).await? > max {
            return Ok(Binding::OverLimit);
        }
        write.commit().await?;
        Ok(Binding::Bound)
    }

    /// Takes resources off a policy; those that are not bound to it are passed over.
    ///
    /// # Errors
    /// `NotFound` when the account has no such policy.
    pub async fn unbind_policy(
        &self,
        account: &AccountId,
        id: &PolicyId,
        resources: &[ResourceId],
    ) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("unbind_policy", "unbind the policy")).await?;
        write.lock_policy(account, id).await?;
        let ids: Vec<&str> = resources.iter().map(ResourceId::as_str).collect();
        for batch in batches(&ids) {
            let sql = format!(
                "DELETE FROM policy_resource WHERE policy_id = $1 AND resource_id IN ({})",
                parameters(2, batch.len())
            );
            let query = sqlx::query(AssertSqlSafe(sql)).bind(id.as_str());
            write.run(batch.iter().fold(query, |query, id| query.bind(*id))).await?;
        }
        write.commit().await
    }

    /// Every account's policies whose next run's time has come, by the database's clock.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn due_policies(&self) -> Result<Vec<PolicyRow>, CatalogError> {
        let now = self.now().await?;
        self.read("list policies that are due").list(sqlx::query(DUE_POLICIES).bind(now.0)).await
    }

    /// Claims the next run that `policy` tells of: its resources are due, and `next_run_at` comes next. A run that
    /// one of them is due for from before is replaced. Returns whether the run was still there to be claimed.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn claim_run(&self, policy: &PolicyRow, next_run_at: Option<Timestamp>) -> Result<bool, CatalogError> {
        let mut write = self.write(operation!("claim_run", "claim the policy's run")).await?;
        if !write.move_on(policy, next_run_at).await? {
            return Ok(false);
        }
        let query = sqlx::query("UPDATE policy_resource SET due_at = $2 WHERE policy_id = $1");
        write.run(query.bind(policy.id.as_str()).bind(policy.next_run_at.map(|time| time.0))).await?;
        write.commit().await?;
        Ok(true)
    }

    /// Passes over the next run that `policy` tells of: `next_run_at` comes next. Returns whether it was still there.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn skip_run(&self, policy: &PolicyRow, next_run_at: Option<Timestamp>) -> Result<bool, CatalogError> {
        let mut write = self.write(operation!("skip_run", "pass over the policy's run")).await?;
        let skipped = write.move_on(policy, next_run_at).await?;
        write.commit().await?;
        Ok(skipped)
    }

    /// Every account's claimed runs whose backups are still to be accepted.
    ///
    /// # Errors
    /// `Busy`, `Corrupt` or `Unavailable`.
    pub async fn scheduled_runs(&self) -> Result<Vec<ScheduledRun>, CatalogError> {
        self.read("list scheduled backups").list(sqlx::query(SCHEDULED_RUNS)).await
    }

    /// Records that a run's backup was accepted, or is not to be made. A later run that has come meanwhile stays.
    ///
    /// # Errors
    /// `Busy`, `Full`, `ReadOnly`, `Corrupt` or `Unavailable`.
    pub async fn finish_run(&self, run: &ScheduledRun) -> Result<(), CatalogError> {
        let mut write = self.write(operation!("finish_run", "end the policy's run")).await?;
        let sql = "UPDATE policy_resource SET due_at = NULL \
                   WHERE policy_id = $1 AND resource_id = $2 AND due_at = $3";
        let query = sqlx::query(sql).bind(run.policy.id.as_str()).bind(run.resource.as_str()).bind(run.run_at.0);
        write.run(query).await?;
        write.commit().await
    }
}

struct Bound(PolicyId, ResourceId);

impl FromRow<'_, AnyRow> for Bound {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self(row.parsed("policy_id")?, row.parsed("resource_id")?))
    }
}

impl Write {
    /// Reads a policy and locks its row, on engines with many writers, until the transaction ends.
    async fn lock_policy(&mut self, account: &AccountId, id: &PolicyId) -> Result<PolicyRow, CatalogError> {
        let lock = sqlx::query("UPDATE policy SET name = name WHERE account = $1 AND id = $2");
        self.run(lock.bind(account.as_str()).bind(id.as_str())).await?;
        let query = sqlx::query(select_policies!("WHERE account = $1 AND id = $2"));
        let found = self.find::<PolicyRow>(query.bind(account.as_str()).bind(id.as_str())).await?;
        found.ok_or_else(|| self.refused(CatalogErrorKind::NotFound, format!("{id} does not exist")))
    }

    /// Sets a policy's next run, if it is still the one that `policy` tells of.
    async fn move_on(&mut self, policy: &PolicyRow, next_run_at: Option<Timestamp>) -> Result<bool, CatalogError> {
        let sql = "UPDATE policy SET next_run_at = $3 WHERE id = $1 AND next_run_at = $2 AND activated = 1";
        let query = sqlx::query(sql).bind(policy.id.as_str()).bind(policy.next_run_at.map(|time| time.0));
        Ok(self.run(query.bind(next_run_at.map(|time| time.0))).await? == 1)
    }
}
