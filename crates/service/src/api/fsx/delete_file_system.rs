//! `DeleteFileSystem`: a last backup where one is wanted; once that is available, the region's keeper removes the rest.

use catalog::{Earlier, RequestToken, ResourceRow};
use model::{BackupId, BackupState, ResourceState};
use wire::fsx::reply::{DeleteFileSystemReply, FileSystem, FinalBackup};
use wire::fsx::request::DeleteFileSystem;
use wire::fsx::settings::FinalBackupWish;
use wire::fsx::words::{FileSystemLifecycle, FileSystemType};
use wire::fsx::{FsxCode, FsxError};

use super::{
    Call, as_pairs, as_tags, backup_view, create_backup, file_system_not_found, file_system_view, internal, removal,
    shown_tags,
};

pub(super) async fn delete(
    call: &Call,
    request: &DeleteFileSystem,
    token: Option<RequestToken>,
) -> Result<DeleteFileSystemReply, FsxError> {
    match remove(call, request, token.as_ref()).await {
        Err(refusal) => again(call, request, &call.earlier_or(token.as_ref(), refusal).await?).await,
        removed => removed,
    }
}

async fn remove(
    call: &Call,
    request: &DeleteFileSystem,
    token: Option<&RequestToken>,
) -> Result<DeleteFileSystemReply, FsxError> {
    let id = &request.file_system_id;
    if let Some(earlier) = call.find_earlier(token).await? {
        return again(call, request, &earlier).await;
    }
    let row = call.load_file_system(id).await?;
    if row.state == ResourceState::Deleting {
        return Ok(deleting(id));
    }
    let kind = type_of(&file_system_view::described(&row).map_err(internal)?);
    // Nothing of a file system that could not be made is worth keeping.
    let Some(wish) = last_backup(request, &row)?.filter(|_| row.state == ResourceState::Available) else {
        mark(call, id, None, token).await?;
        return Ok(deleting(id));
    };
    let tags = match wish.tags {
        Some(tags) => as_pairs(tags),
        None => create_backup::inherited(&row).map_err(internal)?,
    };
    // The token is taken with the last backup, which a call that is repeated goes on from.
    let made = create_backup::accept(call, &row, tags.clone(), token.cloned()).await.map_err(|refusal| {
        let in_progress = refusal.code == FsxCode::BackupInProgress;
        if in_progress { FsxError::bad_request(refusal.message) } else { refusal }
    })?;
    mark(call, id, Some(&made.backup.backup_id), None).await?;
    let tags = (!tags.is_empty()).then(|| as_tags(&tags));
    Ok(with_last(id, kind, FinalBackup { final_backup_id: Some(made.backup.backup_id), final_backup_tags: tags }))
}

/// The last backup that is to be taken of a file system, if it can be backed up, or may be a moment later.
pub(super) fn last_backup<'a>(
    request: &'a DeleteFileSystem,
    row: &ResourceRow,
) -> Result<Option<FinalBackupWish<'a>>, FsxError> {
    let described = file_system_view::described(row).map_err(internal)?;
    let wish = request.final_backup(type_of(&described))?;
    let is_whole = !matches!(row.state, ResourceState::Failed | ResourceState::Deleting);
    Ok(wish.filter(|_| is_whole && file_system_view::why_no_backups(&described).is_none()))
}

fn type_of(described: &FileSystem) -> FileSystemType {
    described.file_system_type.unwrap_or(FileSystemType::Lustre)
}

/// The reply to a call that was made before. A crash may have come between its last backup and the rest.
async fn again(call: &Call, request: &DeleteFileSystem, earlier: &Earlier) -> Result<DeleteFileSystemReply, FsxError> {
    let id = &request.file_system_id;
    let Ok(last) = earlier.subject.parse::<BackupId>() else { return Ok(deleting(id)) };
    let backup = call.ctx.catalog.find_backup(&call.account.id, &last).await.map_err(internal)?;
    if call.find_file_system(id).await?.is_some_and(|row| row.state != ResourceState::Deleting) {
        if backup.as_ref().is_none_or(|backup| backup.state == BackupState::Failed) {
            let message =
                "The last backup of the earlier call failed, and nothing was deleted: call with another token.";
            return Err(FsxError::bad_request(message));
        }
        mark(call, id, Some(last.as_str()), None).await?;
    }
    let described = backup.as_ref().map(|row| backup_view::file_system(call, row)).transpose()?;
    let kind = described.and_then(|described| described.file_system_type);
    let last = FinalBackup {
        final_backup_id: Some(last.to_string()),
        final_backup_tags: backup.and_then(|row| shown_tags(&row.tags)),
    };
    Ok(kind.map_or_else(|| deleting(id), |kind| with_last(id, kind, last)))
}

/// From here on the region's keeper removes the file system, once its last backup is available, if there is to be one.
async fn mark(call: &Call, id: &str, last: Option<&str>, token: Option<&RequestToken>) -> Result<(), FsxError> {
    let edit = |rows: &mut [ResourceRow]| {
        let row = rows.iter_mut().find(|row| row.id.as_str() == id).ok_or_else(|| file_system_not_found(id))?;
        removal::begin(row, last).map_err(internal)
    };
    let token = token.map(|token| (token, id));
    call.edit_file_systems(token, edit).await
}

fn with_last(id: &str, kind: FileSystemType, last: FinalBackup) -> DeleteFileSystemReply {
    let mut reply = deleting(id);
    match kind {
        FileSystemType::Windows => reply.windows_response = Some(last),
        FileSystemType::OpenZfs => reply.openzfs_response = Some(last),
        FileSystemType::Lustre | FileSystemType::Ontap => reply.lustre_response = Some(last),
    }
    reply
}

fn deleting(id: &str) -> DeleteFileSystemReply {
    DeleteFileSystemReply {
        file_system_id: id.to_owned(),
        lifecycle: FileSystemLifecycle::Deleting,
        windows_response: None,
        lustre_response: None,
        openzfs_response: None,
    }
}
