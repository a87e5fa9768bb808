//! `DeleteBackup`: gone at once, and the same answer for a day to whoever asks with the same token.

use catalog::RequestToken;
use engine::ErrorKind;
use engine::backups::delete_backup;
use engine::managed::restored_resource;
use model::BackupState;
use wire::fsx::reply::DeleteBackupReply;
use wire::fsx::request::DeleteBackup;
use wire::fsx::words::BackupLifecycle;
use wire::fsx::{FsxCode, FsxError};

use super::{Call, backup_not_found, internal};

pub(super) async fn delete(
    call: &Call,
    request: &DeleteBackup,
    token: Option<&RequestToken>,
) -> Result<DeleteBackupReply, FsxError> {
    let id = &request.backup_id;
    if let Err(refusal) = remove(call, id, token).await {
        call.earlier_or(token, refusal).await?;
    }
    Ok(DeleteBackupReply { backup_id: id.clone(), lifecycle: BackupLifecycle::Deleted })
}

async fn remove(call: &Call, id: &str, token: Option<&RequestToken>) -> Result<(), FsxError> {
    let (ctx, account) = (&call.ctx, &call.account.id);
    if let Some(earlier) = call.find_earlier(token).await? {
        // The call before this one may have failed half-way.
        let Ok(begun) = earlier.subject.parse() else { return Ok(()) };
        return match delete_backup(ctx, account, &begun, None).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(internal(error)),
            _ => Ok(()),
        };
    }
    let row = call.load_backup(id).await?;
    match row.state {
        BackupState::Creating => {
            return Err(FsxError::new(FsxCode::BackupInProgress, format!("Backup '{id}' is being taken.")));
        }
        BackupState::Copying => return Err(being_copied(id)),
        _ => {}
    }
    if let Some(hold) = call.ctx.catalog.active_holds(&row.id).await.map_err(internal)?.first() {
        return Err(match restored_resource(&hold.holder) {
            Some(file_system) => {
                let message = format!("File system '{file_system}' is being made from backup '{id}'.");
                FsxError::new(FsxCode::BackupRestoring { file_system_id: file_system.to_string() }, message)
            }
            None => being_copied(id),
        });
    }
    delete_backup(ctx, account, &row.id, token).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => backup_not_found(id),
        // A hold was placed since it was looked for, or the same call was made.
        ErrorKind::Conflict => being_copied(id),
        _ => internal(error),
    })
}

fn being_copied(id: &str) -> FsxError {
    let code = FsxCode::BackupBeingCopied { backup_id: id.to_owned() };
    FsxError::new(code, format!("Backup '{id}' is being copied."))
}
