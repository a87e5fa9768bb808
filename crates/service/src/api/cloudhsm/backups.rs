//! `DeleteBackup`, `RestoreBackup` and `ModifyBackupAttributes`.
//!
//! A backup that is removed stays for a week with a time to go by itself; restoring it takes that time away.

use catalog::BackupRow;
use engine::ErrorKind;
use engine::backups::try_edit_backup;
use engine::managed::restored_resource;
use wire::cloudhsm::CloudHsmError;
use wire::cloudhsm::reply::BackupReply;
use wire::cloudhsm::request::{DeleteBackup, ModifyBackupAttributes, RestoreBackup};
use wire::cloudhsm::retention::delete_timestamp;
use wire::cloudhsm::words::BackupState;

use super::attributes::BackupAttributes;
use super::{Call, backup_not_found, backup_view, internal, load_backup, now};

pub(super) async fn delete(call: &Call, request: &DeleteBackup) -> Result<BackupReply, CloudHsmError> {
    let row = load_backup(call, &request.backup_id).await?;
    check_state(&row, BackupState::Ready)?;
    if let Some(hold) = call.ctx.catalog.active_holds(&row.id).await.map_err(internal)?.first() {
        let why = match restored_resource(&hold.holder) {
            Some(cluster) => format!("Cluster {cluster} is being created from backup {}.", row.id),
            None => format!("Backup {} is being copied to another region.", row.id),
        };
        return Err(CloudHsmError::invalid(why));
    }
    let now = now(call).await?;
    edit(call, &row, |row| {
        check_state(row, BackupState::Ready)?;
        row.expires_at = Some(delete_timestamp(now));
        Ok(())
    })
    .await
}

pub(super) async fn restore(call: &Call, request: &RestoreBackup) -> Result<BackupReply, CloudHsmError> {
    let row = load_backup(call, &request.backup_id).await?;
    let now = now(call).await?;
    edit(call, &row, |row| {
        check_state(row, BackupState::PendingDeletion)?;
        // The keeper may not have come to it yet.
        if row.expires_at.is_some_and(|end| end <= now) {
            return Err(backup_not_found(row.id.as_str()));
        }
        row.expires_at = None;
        row.attributes = BackupAttributes { restored_at: Some(now), ..BackupAttributes::of(row) }.text();
        Ok(())
    })
    .await
}

pub(super) async fn modify(call: &Call, request: &ModifyBackupAttributes) -> Result<BackupReply, CloudHsmError> {
    let row = load_backup(call, &request.backup_id).await?;
    edit(call, &row, |row| {
        check_state(row, BackupState::Ready)?;
        let never_expires = Some(request.never_expires);
        row.attributes = BackupAttributes { never_expires, ..BackupAttributes::of(row) }.text();
        Ok(())
    })
    .await
}

/// Refuses what needs a backup in another state. One that is going, since it was looked up, is not found any more.
pub(super) fn check_state(row: &BackupRow, wanted: BackupState) -> Result<(), CloudHsmError> {
    match backup_view::state(row) {
        _ if !backup_view::is_listed(row) => Err(backup_not_found(row.id.as_str())),
        state if state == wanted => Ok(()),
        state => Err(CloudHsmError::invalid(format!("Backup {} is in state {state}, not in {wanted}.", row.id))),
    }
}

async fn edit(
    call: &Call,
    row: &BackupRow,
    edit: impl FnOnce(&mut BackupRow) -> Result<(), CloudHsmError> + Send,
) -> Result<BackupReply, CloudHsmError> {
    let edited = try_edit_backup(&call.ctx, &call.account.id, &row.id, edit).await;
    let row = edited.map_err(|error| match error.kind() {
        // It has gone since it was looked up.
        ErrorKind::NotFound => backup_not_found(row.id.as_str()),
        _ => internal(error),
    })??;
    Ok(backup_view::reply(call, &row))
}
