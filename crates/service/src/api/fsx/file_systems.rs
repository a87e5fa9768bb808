//! `DescribeFileSystems` and `UpdateFileSystem`.

use catalog::{RequestToken, ResourceRow};
use model::Service;
use wire::fsx::FsxError;
use wire::fsx::paging::{decode, encode, page_items};
use wire::fsx::reply::{DescribeFileSystemsReply, FileSystem, FileSystemReply};
use wire::fsx::request::{DescribeFileSystems, UpdateFileSystem};
use wire::fsx::words::FileSystemType;

use super::{Call, check_at_rest, daily, file_system_view, internal};

const DESCRIBE: &str = "DescribeFileSystems";

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
    check(&file_system_view::described(&row), &request)?;
    let now = call.ctx.catalog.now().await.map_err(internal)?;
    let (mut days, mut refused) = (0, None);
    let edit = |row: &mut ResourceRow| {
        let before = file_system_view::described(row);
        // Others may have changed it since it was looked at.
        if let Err(refusal) = check(&before, &request) {
            refused = Some(refusal);
            return;
        }
        let after = file_system_view::updated(&before, &request);
        days = daily::retention_days(&after);
        row.next_backup_at = daily::after_update((&before, row.next_backup_at), &after, now);
        row.attributes = serde_json::to_string(&after).expect("descriptions are structures of plain data");
    };
    let row = call.ctx.catalog.edit_resource(&call.account.id, &row.id, edit).await.map_err(internal)?;
    if let Some(refusal) = refused {
        return Err(refusal);
    }
    if let Some(token) = &token {
        call.ctx.catalog.take_token(&call.account.id, token, row.id.as_str()).await.map_err(internal)?;
    }
    daily::apply_retention(&call.ctx, &row, days).await.map_err(internal)?;
    Ok(FileSystemReply { file_system: file_system_view::view(call, &row) })
}

fn check(before: &FileSystem, request: &UpdateFileSystem) -> Result<(), FsxError> {
    request.check_settings(before.file_system_type.unwrap_or(FileSystemType::Lustre))?;
    request.route_tables(&file_system_view::route_tables(before))?;
    match (request.storage_capacity, before.storage_capacity) {
        // An increase of a tenth at least.
        (Some(asked), Some(now)) if asked.saturating_mul(10) < now.saturating_mul(11) => {
            Err(FsxError::bad_request("StorageCapacity must grow by at least 10 percent."))
        }
        _ => Ok(()),
    }
}
