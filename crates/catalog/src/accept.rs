//! Accepting a backup or a resource: its client's token, the account's quotas, the row and the event, in one transaction.
//!
//! The account's row is updated first, so that of two calls that race for the last place, or that bring
//! the same token, one sees what the other has done.

use model::{AccountId, BackupId, Origin, ResourceId, ResourceKind, Service, Timestamp};
use sqlx::AssertSqlSafe;

use crate::backup::BackupRow;
use crate::batch::parameters;
use crate::column::after;
use crate::database::{Catalog, Write, operation};
use crate::error::{CatalogError, CatalogErrorKind};
use crate::lease::{Fence, LeaseRequest};
use crate::lifecycle::{NewBackup, accepted};
use crate::token::{Earlier, RequestToken};

/// A bound on how many backups or resources an account may have in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Copies that are under way into this region.
    CopiesInProgress {
        /// Of which API.
        service: Service,
        /// How many at most.
        max: u64,
    },
    /// Copies of one backup that are under way into this region.
    CopiesOf {
        /// Of which backup.
        source: BackupId,
        /// How many at most.
        max: u64,
    },
    /// Backups of one resource that are being made.
    BeingMade {
        /// Of which resource.
        resource: ResourceId,
        /// How many at most.
        max: u64,
    },
    /// Backups that are being made, of whatever resource.
    AllBeingMade {
        /// Of resources of which kind.
        kind: ResourceKind,
        /// How many at most.
        max: u64,
    },
    /// Backups of one resource, copies not counted.
    OfResource {
        /// Of which resource.
        resource: ResourceId,
        /// How many at most.
        max: u64,
    },
    /// Backups, whoever asked for them, in whatever state.
    AllBackups {
        /// Of resources of which kind.
        kind: ResourceKind,
        /// How many at most.
        max: u64,
    },
    /// Backups that callers have asked for, in whatever state.
    UserBackups {
        /// Of resources of which kinds.
        kinds: Vec<ResourceKind>,
        /// How many at most.
        max: u64,
    },
    /// Resources, in whatever state.
    Resources {
        /// Of which kind.
        kind: ResourceKind,
        /// How many at most.
        max: u64,
    },
    /// What a number among the attributes of resources comes to, in whatever state they are.
    Sum {
        /// Of which kind.
        kind: ResourceKind,
        /// What the number is called; those without it count nothing.
        member: &'static str,
        /// What is to be added.
        adding: u64,
        /// What it may come to.
        max: u64,
    },
    /// Resources among whose attributes a list has a value, in whatever state they are.
    Listing {
        /// Of which kind.
        kind: ResourceKind,
        /// What the list is called.
        member: &'static str,
        /// What it has.
        value: String,
        /// How many are to be added.
        adding: u64,
        /// How many there may be.
        max: u64,
    },
    /// Whatever there is: nothing more is accepted.
    Closed,
}

/// On what terms a backup or a resource is accepted.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// The client's token, if it sent one.
    pub token: Option<RequestToken>,
    /// What must not be exceeded, in the order in which it is checked.
    pub quotas: Vec<Quota>,
}

/// What became of a request for a backup, whose first lease the caller then has, or for a resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Accepted<T = Fence> {
    /// It was made.
    New(T),
    /// The token was used before; nothing was made.
    Earlier(Earlier),
    /// This quota is exhausted; nothing was made.
    OverQuota(Quota),
}

impl Catalog {
    /// Accepts a backup, and gives its first lease to the caller. `created_at` is the database's present time.
    ///
    /// # Errors
    /// `Conflict` when there is a backup of that id, or a tag's key comes twice.
    pub async fn accept_backup(
        &self,
        new: &NewBackup,
        lease: &LeaseRequest,
        terms: &Terms,
    ) -> Result<Accepted, CatalogError> {
        const FIRST: Fence = Fence(1);
        let mut write = self.write(operation!("accept_backup", "accept the backup")).await?;
        let now = write.now().await?;
        if let Some(refused) = write.check_terms(&new.account, terms, now).await? {
            return Ok(refused);
        }
        let row = BackupRow {
            lease_owner: Some(lease.owner.clone()),
            lease_fence: FIRST,
            lease_expires_at: Timestamp(after(now, lease.ttl)),
            ..accepted(new, now)
        };
        if !write.insert_row(&row).await? {
            return Err(write.refused(CatalogErrorKind::Conflict, format!("{} exists", new.id)));
        }
        write.replace_tags(&new.id, &new.tags).await?;
        write.put_wrapped_key(&new.account, &(new.data_key, new.kms_key.clone(), new.wrapped.clone())).await?;
        if let Some(token) = &terms.token {
            write.put_token(&new.account, token, new.id.as_str(), now).await?;
        }
        let (action, detail) = match &new.source {
            Some(source) => ("CopyBackup", format!("{} from {}", source.backup, source.region)),
            None => ("CreateBackup", new.resource_id.to_string()),
        };
        write.record_event(now, &new.account, action, new.id.as_str(), &detail).await?;
        write.commit().await?;
        Ok(Accepted::New(FIRST))
    }

    /// [`Catalog::accept_backup`] without terms.
    ///
    /// # Errors
    /// As those of [`Catalog::accept_backup`].
    pub async fn insert_backup(&self, new: &NewBackup, lease: &LeaseRequest) -> Result<Fence, CatalogError> {
        match self.accept_backup(new, lease, &Terms::default()).await? {
            Accepted::New(fence) => Ok(fence),
            Accepted::Earlier(_) | Accepted::OverQuota(_) => unreachable!("there are no terms to refuse it by"),
        }
    }
}

impl Write {
    /// Why nothing is made on these terms, if so. Whoever asks next sees what has been decided here.
    pub(crate) async fn check_terms<T>(
        &mut self,
        account: &AccountId,
        terms: &Terms,
        now: Timestamp,
    ) -> Result<Option<Accepted<T>>, CatalogError> {
        self.touch_account(account, now).await?;
        if let Some(token) = &terms.token
            && let Some(earlier) = self.find_token(account, token).await?
        {
            return Ok(Some(Accepted::Earlier(earlier)));
        }
        for quota in &terms.quotas {
            if self.is_exhausted(account, quota).await? {
                return Ok(Some(Accepted::OverQuota(quota.clone())));
            }
        }
        Ok(None)
    }

    /// Whether a quota has no room for what is to be added.
    pub(crate) async fn is_exhausted(&mut self, account: &AccountId, quota: &Quota) -> Result<bool, CatalogError> {
        let (count, max) = match quota {
            Quota::CopiesInProgress { service, max } => {
                let sql = "SELECT COUNT(*) FROM backup WHERE account = $1 AND state = 'COPYING' AND service = $2";
                let query = sqlx::query(sql).bind(account.as_str()).bind(service.as_str());
                (self.find::<(i64,)>(query).await?, max)
            }
            Quota::CopiesOf { source, max } => {
                let sql = "SELECT COUNT(*) FROM backup WHERE account = $1 AND source_backup = $2 AND state = 'COPYING'";
                (self.find::<(i64,)>(sqlx::query(sql).bind(account.as_str()).bind(source.as_str())).await?, max)
            }
            Quota::BeingMade { resource, max } => {
                let sql = "SELECT COUNT(*) FROM backup WHERE account = $1 AND resource_id = $2 AND state = 'CREATING'";
                (self.find::<(i64,)>(sqlx::query(sql).bind(account.as_str()).bind(resource.as_str())).await?, max)
            }
            Quota::AllBeingMade { kind, max } => {
                let sql = "SELECT COUNT(*) FROM backup WHERE account = $1 AND service = $2 AND resource_kind = $3 \
                           AND state = 'CREATING'";
                let query = sqlx::query(sql).bind(account.as_str()).bind(kind.service().as_str());
                (self.find::<(i64,)>(query.bind(kind.as_str())).await?, max)
            }
            Quota::OfResource { resource, max } => {
                let sql = "SELECT COUNT(*) FROM backup WHERE account = $1 AND resource_id = $2 \
                           AND source_backup IS NULL AND state IN ('CREATING', 'AVAILABLE')";
                (self.find::<(i64,)>(sqlx::query(sql).bind(account.as_str()).bind(resource.as_str())).await?, max)
            }
            Quota::AllBackups { kind, max } => {
                let sql = "SELECT COUNT(*) FROM backup WHERE account = $1 AND service = $2 AND resource_kind = $3 \
                           AND state <> 'DELETING'";
                let query = sqlx::query(sql).bind(account.as_str()).bind(kind.service().as_str());
                (self.find::<(i64,)>(query.bind(kind.as_str())).await?, max)
            }
            Quota::UserBackups { kinds, max } => {
                let sql = format!(
                    "SELECT COUNT(*) FROM backup WHERE account = $1 AND origin = $2 AND state <> 'DELETING' \
                     AND resource_kind IN ({})",
                    parameters(3, kinds.len())
                );
                let query = sqlx::query(AssertSqlSafe(sql)).bind(account.as_str()).bind(Origin::User.as_str());
                let query = kinds.iter().fold(query, |query, kind| query.bind(kind.as_str()));
                (self.find::<(i64,)>(query).await?, max)
            }
            Quota::Resources { kind, max } => {
                let sql = "SELECT COUNT(*) FROM resource WHERE account = $1 AND kind = $2";
                (self.find::<(i64,)>(sqlx::query(sql).bind(account.as_str()).bind(kind.as_str())).await?, max)
            }
            Quota::Listing { kind, member, value, adding, max } => {
                let rows = self.resources_of_kind(account, *kind).await?;
                let count = rows.iter().filter(|row| row.lists(member, value)).count() as u64;
                return Ok(count.saturating_add(*adding) > *max);
            }
            Quota::Closed => return Ok(true),
            Quota::Sum { kind, member, adding, max } => {
                let numbers = self.resources_of_kind(account, *kind).await?.into_iter().map(|row| row.number(member));
                return Ok(numbers.fold(*adding, u64::saturating_add) > *max);
            }
        };
        let count = count.map_or(0, |(count,)| count);
        Ok(u64::try_from(count).is_ok_and(|count| count >= *max))
    }
}
