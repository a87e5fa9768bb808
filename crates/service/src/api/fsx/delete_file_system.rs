//! `DeleteFileSystem`: a last backup where one is wanted, then the region's keeper removes the rest.

use catalog::{RequestToken, ResourceRow};
use model::ResourceState;
use wire::fsx::FsxError;
use wire::fsx::reply::{DeleteFileSystemReply, FinalBackup};
use wire::fsx::request::DeleteFileSystem;
use wire::fsx::words::{FileSystemLifecycle, FileSystemType};

use super::{Call, as_pairs, as_tags, create_backup, file_system_view, internal};

pub(super) async fn delete(
    call: &Call,
    request: &DeleteFileSystem,
    token: Option<RequestToken>,
) -> Result<DeleteFileSystemReply, FsxError> {
    let id = &request.file_system_id;
    if call.find_earlier(token.as_ref()).await?.is_some() {
        return Ok(deleting(id));
    }
    let row = call.load_file_system(id).await?;
    if row.state == ResourceState::Deleting {
        return Ok(deleting(id));
    }
    let described = file_system_view::described(&row);
    let kind = described.file_system_type.unwrap_or(FileSystemType::Lustre);
    let wish = request.final_backup(kind)?;
    let mut reply = deleting(id);
    // Nothing of a file system that could not be made is worth keeping.
    let can_be_backed_up =
        row.state == ResourceState::Available && file_system_view::why_no_backups(&described).is_none();
    if let Some(wish) = wish.filter(|_| can_be_backed_up) {
        let tags = wish.tags.map_or_else(|| create_backup::inherited(&row), as_pairs);
        let made = create_backup::accept(call, &row, tags.clone(), None).await?;
        let last = FinalBackup {
            final_backup_id: Some(made.backup.backup_id),
            final_backup_tags: (!tags.is_empty()).then(|| as_tags(&tags)),
        };
        match kind {
            FileSystemType::Windows => reply.windows_response = Some(last),
            FileSystemType::OpenZfs => reply.openzfs_response = Some(last),
            FileSystemType::Lustre | FileSystemType::Ontap => reply.lustre_response = Some(last),
        }
    }
    let edit = |row: &mut ResourceRow| row.state = ResourceState::Deleting;
    call.ctx.catalog.edit_resource(&call.account.id, &row.id, edit).await.map_err(internal)?;
    if let Some(token) = &token {
        call.ctx.catalog.take_token(&call.account.id, token, id).await.map_err(internal)?;
    }
    Ok(reply)
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
