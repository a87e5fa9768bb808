//! The removal of a file system, which waits for its last backup: the file system goes once that is available, and stays as
//! it is if there is none.
//!
//! Until either is known the row is pending, so that nothing of it is removed.

use catalog::{BackupRow, ResourceRow};
use engine::{EngineError, RegionContext};
use model::{BackupId, BackupState, ResourceState, Service};
use serde_json::{Map, Value};

use super::file_system_view::unreadable;

/// What the last backup's id is called in the row, beside the description that callers see.
const LAST_BACKUP: &str = "LastBackupId";

/// Begins a removal, which waits for `last` if that is given.
///
/// # Errors
/// `Damaged` when the row keeps what cannot be read, and so cannot be added to.
pub(super) fn begin(row: &mut ResourceRow, last: Option<&str>) -> Result<(), EngineError> {
    if let Some(last) = last {
        let mut kept: Map<String, Value> =
            serde_json::from_str(&row.attributes).map_err(|cause| unreadable(&row.id, &cause))?;
        kept.insert(LAST_BACKUP.to_owned(), last.into());
        row.attributes = Value::Object(kept).to_string();
    }
    row.pending = last.is_some();
    row.state = ResourceState::Deleting;
    row.failure = None;
    Ok(())
}

/// Goes on with the removals of a region whose last backups have ended, or gives them up. Safe to repeat, and to run beside
/// others.
///
/// # Errors
/// When the catalog fails.
pub(crate) async fn tend_removals(ctx: &RegionContext) -> Result<(), EngineError> {
    for row in ctx.catalog.pending_resources(Service::Fsx).await? {
        let id = last_backup(&row);
        let last = match &id {
            Some(id) => ctx.catalog.find_backup(&row.account, id).await?,
            None => None,
        };
        let Some(ended) = end_of(last.as_ref()) else { continue };
        if let Err(why) = &ended {
            tracing::warn!(region = %ctx.region, file_system = %row.id, why, "a file system stays without a last backup");
        }
        let edit = |row: &mut ResourceRow| {
            // Another removal may have begun since.
            if row.pending && last_backup(row) == id {
                end_wait(row, ended);
            }
        };
        ctx.catalog.edit_resource(&row.account, &row.id, edit).await?;
    }
    Ok(())
}

fn last_backup(row: &ResourceRow) -> Option<BackupId> {
    let kept: Value = serde_json::from_str(&row.attributes).ok()?;
    kept[LAST_BACKUP].as_str()?.parse().ok()
}

/// What a last backup has come to, once it has ended. One that is gone may never have been whole.
fn end_of(last: Option<&BackupRow>) -> Option<Result<(), String>> {
    match last {
        Some(last) if last.state.is_in_progress() => None,
        Some(last) if last.state == BackupState::Available => Some(Ok(())),
        last => Some(Err(last.and_then(|last| last.failure.clone()).unwrap_or_else(|| "it was removed".to_owned()))),
    }
}

fn end_wait(row: &mut ResourceRow, ended: Result<(), String>) {
    row.pending = false;
    if let (ResourceState::Deleting, Err(why)) = (row.state, ended) {
        row.state = ResourceState::Available;
        row.failure = Some(format!("The last backup failed, so nothing was deleted: {why}"));
    }
}
