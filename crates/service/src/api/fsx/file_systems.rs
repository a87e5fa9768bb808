//! `DescribeFileSystems` and `UpdateFileSystem`.

use catalog::{RequestToken, ResourceRow};
use model::{Service, Timestamp};
use wire::fsx::paging::{decode, encode, page_items};
use wire::fsx::reply::{DescribeFileSystemsReply, FileSystem, FileSystemReply};
use wire::fsx::request::{DescribeFileSystems, UpdateFileSystem};
use wire::fsx::words::{FileSystemType, LustreDeploymentType, ServiceLimit, StorageType};
use wire::fsx::{FsxCode, FsxError};

use super::file_system_view::CAPACITY;
use super::{Call, check_at_rest, daily, file_system_not_found, file_system_view, internal, limit_exceeded};

const DESCRIBE: &str = "DescribeFileSystems";

pub(super) async fn describe(call: &Call, request: &DescribeFileSystems) -> Result<DescribeFileSystemsReply, FsxError> {
    if let Some(ids) = request.file_system_ids.as_ref().filter(|ids| !ids.is_empty()) {
        let mut file_systems = Vec::new();
        for id in ids {
            file_systems.push(file_system_view::view(call, &call.load_file_system(id).await?)?);
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
    let file_systems = rows.iter().map(|row| file_system_view::listed(call, row)).collect();
    Ok(DescribeFileSystemsReply { file_systems, next_token })
}

pub(super) async fn update(
    call: &Call,
    request: &UpdateFileSystem,
    token: Option<&RequestToken>,
) -> Result<FileSystemReply, FsxError> {
    let row = match update_once(call, request, token).await {
        Err(refusal) => {
            call.earlier_or(token, refusal).await?;
            call.load_file_system(&request.file_system_id).await?
        }
        updated => updated?,
    };
    if request.automatic_backup_retention_days().is_some() {
        // Also for a call that is repeated: the one before may have failed in this.
        let days = daily::retention_days(&file_system_view::described(&row).map_err(internal)?);
        daily::apply_retention(&call.ctx, &row, days).await.map_err(internal)?;
    }
    Ok(FileSystemReply { file_system: file_system_view::view(call, &row)? })
}

async fn update_once(
    call: &Call,
    request: &UpdateFileSystem,
    token: Option<&RequestToken>,
) -> Result<ResourceRow, FsxError> {
    let id = &request.file_system_id;
    let row = call.load_file_system(id).await?;
    if call.find_earlier(token).await?.is_some() {
        return Ok(row);
    }
    check_at_rest(&row)?;
    described_after(&row, request)?;
    let now = call.ctx.catalog.now().await.map_err(internal)?;
    let token = token.map(|token| (token, id.as_str()));
    call.edit_file_systems(token, |rows| change(call, rows, request, now)).await
}

/// Changes one of the account's file systems, if it may be changed so. Pure.
fn change(
    call: &Call,
    rows: &mut [ResourceRow],
    request: &UpdateFileSystem,
    now: Timestamp,
) -> Result<ResourceRow, FsxError> {
    let (of_it, others): (Vec<_>, Vec<_>) = rows.iter_mut().partition(|row| row.id.as_str() == request.file_system_id);
    let row = of_it.into_iter().next().ok_or_else(|| file_system_not_found(&request.file_system_id))?;
    // Others may have changed it since it was looked at.
    check_at_rest(row)?;
    let (before, after) = described_after(row, request)?;
    if let (Some(asked), Some(max)) = (request.storage_capacity, call.account.limits.fsx_storage_gib) {
        let asked = u64::try_from(asked).unwrap_or_default();
        let others = others.iter().filter(|other| other.kind == row.kind).map(|other| other.number(CAPACITY));
        if others.fold(asked, u64::saturating_add) > max {
            return Err(limit_exceeded(ServiceLimit::TotalStorage));
        }
    }
    // Whoever changes it keeps it: that it could not be removed is told no longer.
    row.failure = None;
    row.next_backup_at = daily::after_update((&before, row.next_backup_at), &after, now);
    row.attributes = serde_json::to_string(&after).expect("descriptions are structures of plain data");
    Ok(row.clone())
}

/// The description of a file system before and after a change, if it may be changed so. Pure.
fn described_after(row: &ResourceRow, request: &UpdateFileSystem) -> Result<(FileSystem, FileSystem), FsxError> {
    let before = file_system_view::described(row).map_err(internal)?;
    request.check_settings(before.file_system_type.unwrap_or(FileSystemType::Lustre))?;
    request.check_version(&before)?;
    request.route_tables(&file_system_view::route_tables(&before))?;
    check_offered(&before, request)?;
    match (request.storage_capacity, before.storage_capacity) {
        // An increase of a tenth at least.
        (Some(asked), Some(now)) if asked.saturating_mul(10) < now.saturating_mul(11) => {
            return Err(FsxError::bad_request("StorageCapacity must grow by at least 10 percent."));
        }
        _ => {}
    }
    let after = file_system_view::updated(&row.id, &before, request).map_err(internal)?;
    request.check_storage(&after)?;
    Ok((before, after))
}

/// What the user guides say that some types of file systems do not do.
fn check_offered(before: &FileSystem, request: &UpdateFileSystem) -> Result<(), FsxError> {
    let refuse = |why: &str| Err(FsxError::new(FsxCode::UnsupportedOperation, why));
    let is_backed_up = request.automatic_backup_retention_days().is_some_and(|days| days > 0);
    if let Some(why) = file_system_view::why_no_backups(before).filter(|_| is_backed_up) {
        return refuse(why);
    }
    let metadata = before.lustre_configuration.as_ref().map(|settings| settings.metadata_configuration.is_some());
    let changed = request.lustre_configuration.as_ref().and_then(|settings| settings.metadata_configuration.as_ref());
    if metadata == Some(false) && changed.is_some() {
        return Err(FsxError::bad_request("The file system was made without MetadataConfiguration."));
    }
    let deployment = before.lustre_configuration.as_ref().and_then(|settings| settings.deployment_type);
    match request.storage_capacity {
        Some(_) if deployment == Some(LustreDeploymentType::Scratch1) => {
            refuse("The storage of file systems of type SCRATCH_1 does not grow.")
        }
        Some(_) if before.storage_type == Some(StorageType::IntelligentTiering) => {
            refuse("The storage type INTELLIGENT_TIERING grows by itself.")
        }
        _ => Ok(()),
    }
}
