//! `DescribeFileSystems` and `UpdateFileSystem`.

use catalog::{RequestToken, ResourceRow};
use engine::backups::delete_backup;
use model::{BackupState, Origin, Service};
use wire::fsx::FsxError;
use wire::fsx::paging::{decode, encode, page_items};
use wire::fsx::reply::{DescribeFileSystemsReply, FileSystem, FileSystemReply};
use wire::fsx::request::{DescribeFileSystems, UpdateFileSystem};
use wire::fsx::words::FileSystemType;

use super::{Call, check_at_rest, file_system_view, internal};

const DESCRIBE: &str = "DescribeFileSystems";
const DAY_MILLISECONDS: i64 = 24 * 60 * 60 * 1000;

pub(super) async fn describe(call: &Call, request: &DescribeFileSystems) -> Result<DescribeFileSystemsReply, FsxError> {
    if let Some(ids) = request.file_system_ids.as_ref().filter(|ids| !ids.is_empty()) {
        let mut file_systems = Vec::new();
        for id in ids {
            file_systems.push(file_system_view::view(call, &call.load_file_system(id).await?));
        }
        return Ok(DescribeFileSystemsReply { file_systems, next_token: None });
    }
    let after = match &request.next_token {
        Some(token) => decode(DESCRIBE, request, token)?,
        None => String::new(),
    };
    let items = page_items(request.max_results);
    // One more than the page tells whether there is another.
    let limit = u32::try_from(items + 1).unwrap_or(u32::MAX);
    let page = call.ctx.catalog.page_of_resources(&call.account.id, Service::Fsx, &after, limit).await;
    let mut rows = page.map_err(internal)?;
    let is_last = rows.len() <= items;
    rows.truncate(items);
    let next_token = rows.last().filter(|_| !is_last).map(|row| encode(DESCRIBE, request, row.id.as_str()));
    let file_systems = rows.iter().map(|row| file_system_view::view(call, row)).collect();
    Ok(DescribeFileSystemsReply { file_systems, next_token })
}

pub(super) async fn update(
    call: &Call,
    request: UpdateFileSystem,
    token: Option<RequestToken>,
) -> Result<FileSystemReply, FsxError> {
    let row = call.load_file_system(&request.file_system_id).await?;
    if call.find_earlier(token.as_ref()).await?.is_some() {
        return Ok(FileSystemReply { file_system: file_system_view::view(call, &row) });
    }
    check_at_rest(&row)?;
    let before = file_system_view::described(&row);
    check(&before, &request)?;
    let after = file_system_view::updated(&before, &request);
    let attributes = serde_json::to_string(&after).expect("descriptions are structures of plain data");
    let edit = |row: &mut ResourceRow| row.attributes = attributes;
    let row = call.ctx.catalog.edit_resource(&call.account.id, &row.id, edit).await.map_err(internal)?;
    if let Some(token) = &token {
        call.ctx.catalog.take_token(&call.account.id, token, row.id.as_str()).await.map_err(internal)?;
    }
    if retention_days(&after) < retention_days(&before) {
        remove_beyond(call, &row, retention_days(&after)).await?;
    }
    Ok(FileSystemReply { file_system: file_system_view::view(call, &row) })
}

fn check(before: &FileSystem, request: &UpdateFileSystem) -> Result<(), FsxError> {
    request.check_settings(before.file_system_type.unwrap_or(FileSystemType::Lustre))?;
    match (request.storage_capacity, before.storage_capacity) {
        // An increase of a tenth at least.
        (Some(asked), Some(now)) if asked.saturating_mul(10) < now.saturating_mul(11) => {
            Err(FsxError::bad_request("StorageCapacity must grow by at least 10 percent."))
        }
        _ => Ok(()),
    }
}

/// For how many days automatic backups are kept.
fn retention_days(file_system: &FileSystem) -> i64 {
    let windows = file_system.windows_configuration.as_ref().and_then(|s| s.automatic_backup_retention_days);
    let lustre = file_system.lustre_configuration.as_ref().and_then(|s| s.automatic_backup_retention_days);
    let openzfs = file_system.openzfs_configuration.as_ref().and_then(|s| s.automatic_backup_retention_days);
    windows.or(lustre).or(openzfs).unwrap_or_default()
}

/// Removes automatic backups that are older than the retention, and nothing else.
async fn remove_beyond(call: &Call, row: &ResourceRow, days: i64) -> Result<(), FsxError> {
    let filter = catalog::BackupFilter {
        resources: vec![row.id.clone()],
        states: vec![BackupState::Available],
        origin: Some(Origin::Automatic),
        limit: u32::MAX,
        ..catalog::BackupFilter::default()
    };
    let oldest = call.server.clock.now().0.saturating_sub(days.saturating_mul(DAY_MILLISECONDS));
    for backup in call.ctx.catalog.list_backups(&call.account.id, &filter).await.map_err(internal)? {
        if backup.created_at.0 < oldest && !backup.is_copy() {
            // One that is being copied goes when its time comes anyway.
            if let Err(error) = delete_backup(&call.ctx, &call.account.id, &backup.id).await {
                tracing::warn!(backup = %backup.id, %error, "a backup beyond its retention was not removed");
            }
        }
    }
    Ok(())
}
