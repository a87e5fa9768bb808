//! Finding and removing backups.

use std::convert::Infallible;
use std::slice;

use catalog::{BackupFilter, BackupRow, Catalog, CatalogError, CatalogErrorKind, RequestToken};
use model::{AccountId, BackupId, BackupState, ResourceId, Service};
use store::Record;

use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::worker::is_dead;

/// Rows read from a catalog at a time.
pub(crate) const PAGE: u32 = 1000;

/// Backups of an account, newest first, a page at a time.
///
/// # Errors
/// When the catalog fails.
pub async fn list_backups(
    ctx: &RegionContext,
    account: &AccountId,
    filter: &BackupFilter,
) -> Result<Vec<BackupRow>, EngineError> {
    Ok(ctx.catalog.list_backups(account, filter).await?)
}

/// Hands each available backup to `take`, oldest first.
pub(crate) async fn each_available(
    catalog: &Catalog,
    account: &AccountId,
    resource: Option<&ResourceId>,
    mut take: impl FnMut(BackupRow),
) -> Result<(), EngineError> {
    let mut filter = BackupFilter {
        resources: resource.cloned().into_iter().collect(),
        states: vec![BackupState::Available],
        ascending: true,
        limit: PAGE,
        ..BackupFilter::default()
    };
    loop {
        let rows = catalog.list_backups(account, &filter).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        filter.after = Some((last.created_at, last.id.clone()));
        rows.into_iter().for_each(&mut take);
    }
}

/// Orders backups by when their contents were taken; of one and its copies it comes last itself.
pub fn recency(row: &BackupRow) -> impl Ord + use<> {
    (row.taken_at(), !row.is_copy())
}

/// The available backup of a resource whose contents were taken last; of one and its copies, rather itself. Copies that do not
/// tell when that was come behind all others.
///
/// # Errors
/// When the catalog fails.
pub async fn latest_of(
    catalog: &Catalog,
    account: &AccountId,
    resource: &ResourceId,
) -> Result<Option<BackupRow>, EngineError> {
    let mut latest = None::<BackupRow>;
    each_available(catalog, account, Some(resource), |row| {
        if latest.as_ref().is_none_or(|latest| recency(latest) <= recency(&row)) {
            latest = Some(row);
        }
    })
    .await?;
    Ok(latest)
}

/// One backup.
///
/// # Errors
/// When the catalog fails.
pub async fn find_backup(
    ctx: &RegionContext,
    account: &AccountId,
    id: &BackupId,
) -> Result<Option<BackupRow>, EngineError> {
    Ok(ctx.catalog.find_backup(account, id).await?)
}

/// Backups that go by themselves: whose time has come, and snapshots of disks that could not be made, as
/// their API has no state for those.
///
/// # Errors
/// When the catalog fails.
pub async fn find_due(ctx: &RegionContext) -> Result<Vec<BackupRow>, EngineError> {
    let mut due = ctx.catalog.expired_backups().await?;
    due.extend(ctx.catalog.failed_backups(Service::Cbs).await?);
    Ok(due)
}

/// One backup that can be read.
pub(crate) async fn load_available(
    ctx: &RegionContext,
    account: &AccountId,
    id: &BackupId,
) -> Result<BackupRow, EngineError> {
    let Some(row) = ctx.catalog.find_backup(account, id).await? else { return Err(missing(ctx, id)) };
    if row.state == BackupState::Available {
        return Ok(row);
    }
    let why = row.failure.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    Err(EngineError::refused(ErrorKind::Conflict, format!("backup {id} in {} is {}{why}", ctx.region, row.state))
        .with_hint("only a backup that is AVAILABLE can be read or copied"))
}

/// One backup that an account can read: its own, or one of another's that is shared with it.
pub(crate) async fn load_readable(
    ctx: &RegionContext,
    account: &AccountId,
    id: &BackupId,
) -> Result<BackupRow, EngineError> {
    match ctx.catalog.find_shared_backup(account, id).await? {
        Some(shared) => Ok(shared),
        None => load_available(ctx, account, id).await,
    }
}

fn missing(ctx: &RegionContext, id: &BackupId) -> EngineError {
    EngineError::refused(ErrorKind::NotFound, format!("there is no backup {id} in {}", ctx.region))
        .with_hint(format!("`offsite backup ls --region {}` shows those there are", ctx.region))
}

/// Changes a backup's tags, attributes and expiry, in the catalog and in the record. Returns its row as it is then.
///
/// # Errors
/// `NotFound` when there is no such backup.
pub async fn edit_backup(
    ctx: &RegionContext,
    account: &AccountId,
    id: &BackupId,
    edit: impl FnOnce(&mut BackupRow) + Send,
) -> Result<BackupRow, EngineError> {
    let edit = |row: &mut BackupRow| {
        edit(row);
        Ok::<(), Infallible>(())
    };
    match try_edit_backup(ctx, account, id, edit).await? {
        Ok(row) => Ok(row),
    }
}

/// [`edit_backup`], unless `edit` refuses: then nothing is changed.
///
/// # Errors
/// `NotFound` when there is no such backup.
pub async fn try_edit_backup<E: Send>(
    ctx: &RegionContext,
    account: &AccountId,
    id: &BackupId,
    edit: impl FnOnce(&mut BackupRow) -> Result<(), E> + Send,
) -> Result<Result<BackupRow, E>, EngineError> {
    let edited = ctx.catalog.edit_backup(account, id, edit).await.map_err(|error| match error.kind {
        CatalogErrorKind::NotFound => missing(ctx, id),
        _ => error.into(),
    })?;
    if let Ok(row) = &edited {
        rewrite_record(ctx, row).await?;
    }
    Ok(edited)
}

/// Changes any of a resource's available backups that were taken here, seen together and oldest first, as
/// [`edit_backup`] does one. Returns those that were changed.
///
/// # Errors
/// When the catalog or the store fails.
pub async fn edit_backups_of(
    ctx: &RegionContext,
    account: &AccountId,
    resource: &ResourceId,
    edit: impl FnOnce(&mut [BackupRow]) + Send,
) -> Result<Vec<BackupRow>, EngineError> {
    let changed = ctx.catalog.edit_backups_of(account, resource, edit).await?;
    for row in &changed {
        rewrite_record(ctx, row).await?;
    }
    Ok(changed)
}

/// Brings the record of an available backup in line with its row.
async fn rewrite_record(ctx: &RegionContext, row: &BackupRow) -> Result<(), EngineError> {
    if row.state != BackupState::Available {
        return Ok(());
    }
    let updated = match ctx.store.read_record(&row.account, &row.id).await {
        Ok(record) => update_record(ctx, row, record).await,
        Err(error) => Err(error.into()),
    };
    match updated {
        // It was removed since the row was changed, and so nothing of it is to be left.
        Err(_) if !is_available(ctx, row).await? => remove_record(ctx, &row.account, &row.id).await,
        updated => updated,
    }
}

async fn is_available(ctx: &RegionContext, row: &BackupRow) -> Result<bool, EngineError> {
    let found = ctx.catalog.find_backup(&row.account, &row.id).await?;
    Ok(found.is_some_and(|row| row.state == BackupState::Available))
}

/// Writes the record anew until the row's tags, attributes and expiry are those in it: of several who edit at once, and one who
/// removes the backup meanwhile, whoever writes last sees what the others have done to the row.
pub(crate) async fn update_record(ctx: &RegionContext, row: &BackupRow, mut record: Record) -> Result<(), EngineError> {
    let (account, id) = (&row.account, &row.id);
    let mut row = row.clone();
    while !is_in_line(&record, &row) {
        record.head.tags = row.tags;
        record.head.attributes = row.attributes;
        record.head.expires_at = row.expires_at;
        ctx.store.check_owner().await?;
        ctx.store.put_record(&record).await?;
        // Whoever takes the store over from here on reads this.
        ctx.store.check_owner().await?;
        match ctx.catalog.find_backup(account, id).await? {
            Some(now) if now.state == BackupState::Available => row = now,
            _ => return remove_record(ctx, account, id).await,
        }
    }
    Ok(())
}

/// Removes the record of a backup that is not, or no longer: a rebuild must not bring it back.
pub(crate) async fn remove_record(ctx: &RegionContext, account: &AccountId, id: &BackupId) -> Result<(), EngineError> {
    ctx.store.check_owner().await?;
    Ok(ctx.store.delete_record(account, id).await?)
}

fn is_in_line(record: &Record, row: &BackupRow) -> bool {
    let head = &record.head;
    head.tags == row.tags && head.attributes == row.attributes && head.expires_at == row.expires_at
}

/// Removes a backup: first the promise (its state), then its record, then its row. Its packs stay
/// until gc finds that nothing names them. A token, if the call has one, is taken with the promise.
///
/// Safe to repeat; an interrupted removal is also finished by gc.
///
/// # Errors
/// `Conflict` while it is being copied, worked on, or a resource is filled from it, and when the token was taken before.
pub async fn delete_backup(
    ctx: &RegionContext,
    account: &AccountId,
    id: &BackupId,
    token: Option<&RequestToken>,
) -> Result<(), EngineError> {
    give_up_if_abandoned(ctx, account, id).await?;
    ctx.catalog.begin_delete(account, id, token).await.map_err(|error| not_deletable(ctx, id, error))?;
    finish_deletion(ctx, account, slice::from_ref(id)).await?;
    ctx.catalog.record_event(account, "DeleteBackup", id.as_str(), "").await?;
    Ok(())
}

/// Removes backups, all of them or none, as [`delete_backup`] does one: what is promised is promised for all.
///
/// Safe to repeat with the same ones, and to be finished by gc, once that has been done; before, nothing has happened. One
/// on which a worker that has died was at work is refused as long as its lease runs.
///
/// # Errors
/// `NotFound` when one of them does not exist; `Conflict` while one is being copied or worked on.
pub async fn delete_backups(ctx: &RegionContext, account: &AccountId, ids: &[BackupId]) -> Result<(), EngineError> {
    ctx.catalog.begin_delete_all(account, ids).await?;
    finish_deletion(ctx, account, ids).await?;
    for id in ids {
        ctx.catalog.record_event(account, "DeleteBackup", id.as_str(), "").await?;
    }
    Ok(())
}

/// [`delete_backup`] for one of [`find_due`]: nothing happens to a backup that was given more time since.
///
/// # Errors
/// As those of [`delete_backup`].
pub async fn expire_backup(ctx: &RegionContext, row: &BackupRow) -> Result<(), EngineError> {
    let (account, id) = (&row.account, &row.id);
    if row.expires_at.is_none() {
        return delete_backup(ctx, account, id, None).await;
    }
    if ctx.catalog.begin_expire(account, id).await.map_err(|error| not_deletable(ctx, id, error))? {
        finish_deletion(ctx, account, slice::from_ref(id)).await?;
        ctx.catalog.record_event(account, "ExpireBackup", id.as_str(), "").await?;
    }
    Ok(())
}

fn not_deletable(ctx: &RegionContext, id: &BackupId, error: CatalogError) -> EngineError {
    match error.kind {
        CatalogErrorKind::NotFound => missing(ctx, id),
        CatalogErrorKind::Held => {
            let message = format!("backup {id} is being copied to another region, or restored into a resource");
            EngineError::refused(ErrorKind::Conflict, message).with_hint("remove it when that has ended")
        }
        CatalogErrorKind::Leased => EngineError::refused(ErrorKind::Conflict, format!("backup {id} is being made"))
            .with_hint("remove it when the work on it has ended"),
        _ => error.into(),
    }
}

/// A lease whose holder has died protects nothing: take it, and end the work.
async fn give_up_if_abandoned(ctx: &RegionContext, account: &AccountId, id: &BackupId) -> Result<(), EngineError> {
    let Some(row) = ctx.catalog.find_backup(account, id).await? else { return Ok(()) };
    let Some(owner) = row.lease_owner.filter(|owner| is_dead(owner)) else { return Ok(()) };
    let request = catalog::LeaseRequest { owner: "removal".to_owned(), ttl: std::time::Duration::ZERO };
    if let Some(fence) = ctx.catalog.claim(id, &request, Some(&owner)).await? {
        ctx.catalog.fail(id, fence, "the work on it was interrupted, and it was removed").await?;
    }
    Ok(())
}

/// The second half of a removal, for backups that are `DELETING`.
pub(crate) async fn finish_deletion(
    ctx: &RegionContext,
    account: &AccountId,
    ids: &[BackupId],
) -> Result<(), EngineError> {
    ctx.store.check_owner().await?;
    // Records before rows: a rebuild must not bring back what was acknowledged as removed. All of them before any row, so
    // that whoever repeats it finds each row, or none.
    for id in ids {
        ctx.store.delete_record(account, id).await?;
    }
    // Nor one that had begun meanwhile.
    ctx.store.check_owner().await?;
    ctx.catalog.finish_delete(ids).await?;
    Ok(())
}
