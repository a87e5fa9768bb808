//! Backups as callers see them.

use catalog::{BackupRow, ResourceRow};
use engine::{EngineError, RegionContext};
use model::{BackupState, Origin, ResourceKind};
use wire::aws::arn::Namespace;
use wire::fsx::FsxError;
use wire::fsx::reply::{
    ActiveDirectoryBackupAttributes, Backup, BackupReply, FailureDetails, FileSystem, KeptFileSystem,
};
use wire::fsx::words::{BackupLifecycle, BackupType, ResourceType};

use super::{Call, file_system_view, internal, shown_tags};
use crate::api::reason;

/// The reply that describes a backup.
pub(super) fn reply(call: &Call, row: &BackupRow) -> Result<BackupReply, FsxError> {
    Ok(BackupReply { backup: view(call, row)? })
}

/// A backup as it is now.
pub(super) fn view(call: &Call, row: &BackupRow) -> Result<Backup, FsxError> {
    let names = call.names();
    Ok(Backup {
        backup_id: row.id.to_string(),
        lifecycle: match row.state {
            BackupState::Creating => BackupLifecycle::Creating,
            BackupState::Copying => BackupLifecycle::Copying,
            BackupState::Available => BackupLifecycle::Available,
            BackupState::Failed => BackupLifecycle::Failed,
            BackupState::Deleting => BackupLifecycle::Deleted,
        },
        kind: match row.origin {
            Origin::User => BackupType::UserInitiated,
            Origin::Automatic => BackupType::Automatic,
        },
        creation_time: row.created_at.into(),
        file_system: shown_file_system(call, row),
        failure_details: row.failure.as_deref().map(|failure| FailureDetails { message: reason(failure) }),
        progress_percent: row.state.is_in_progress().then(|| percent(call, row)),
        kms_key_id: Some(names.kms_key(row.kms_key.as_str())),
        resource_arn: Some(names.fsx_backup(row.id.as_str())),
        tags: shown_tags(&row.tags),
        directory_information: directory(row),
        owner_id: Some(row.account.to_string()),
        source_backup_id: row.source_backup.as_ref().map(ToString::to_string),
        source_backup_region: row.source_region.as_ref().map(ToString::to_string),
        resource_type: Some(ResourceType::FileSystem),
        volume: None,
        // Until it is known, nothing is said.
        size_in_bytes: (row.state == BackupState::Available || row.size_bytes > 0).then_some(row.size_bytes),
    })
}

/// The same, without reading what was kept. Of one that cannot be read, what its row says: the backup is there all the same.
fn shown_file_system(call: &Call, row: &BackupRow) -> KeptFileSystem {
    KeptFileSystem::from_kept(&row.attributes).unwrap_or_else(|| {
        let described = remembered(call, row);
        (&described.unwrap_or_else(|_| undescribed(call, row))).into()
    })
}

/// The directory that a Windows file system had joined: AWS's by its id, its owner's own by its domain.
fn directory(row: &BackupRow) -> Option<ActiveDirectoryBackupAttributes> {
    if row.resource_kind != ResourceKind::Windows {
        return None;
    }
    let settings = file_system_view::read_kept(&row.id, &row.attributes).ok()?.windows_configuration?;
    let active_directory_id = settings.active_directory_id;
    let domain_name = settings.self_managed_active_directory_configuration.and_then(|own| own.domain_name);
    let has_joined = active_directory_id.is_some() || domain_name.is_some();
    has_joined.then_some(ActiveDirectoryBackupAttributes { domain_name, active_directory_id, resource_arn: None })
}

/// The file system as the backup remembers it.
pub(super) fn file_system(call: &Call, row: &BackupRow) -> Result<FileSystem, FsxError> {
    remembered(call, row).map_err(internal)
}

fn remembered(call: &Call, row: &BackupRow) -> Result<FileSystem, EngineError> {
    let kept = file_system_view::read_kept(&row.id, &row.attributes)?;
    if kept.file_system_id.is_some() {
        return Ok(kept);
    }
    // The command line makes backups without a description.
    Ok(undescribed(call, row))
}

/// A file system of which a backup has kept no description.
fn undescribed(call: &Call, row: &BackupRow) -> FileSystem {
    let region = row.source_region.as_ref().unwrap_or(&call.ctx.region);
    let names = Namespace { region: region.as_str(), ..call.names() };
    FileSystem {
        file_system_id: Some(row.resource_id.to_string()),
        owner_id: Some(row.account.to_string()),
        resource_arn: Some(names.fsx_file_system(row.resource_id.as_str())),
        ..file_system_view::default_of(row.resource_kind)
    }
}

/// The description that a backup has kept, if it has one. One that cannot be read is a failure: a copy and a restore
/// go by it.
pub(super) fn kept(row: &BackupRow) -> Result<FileSystem, FsxError> {
    file_system_view::read_kept(&row.id, &row.attributes).map_err(internal)
}

/// What a new backup keeps of its file system.
pub(super) fn frozen(names: Namespace<'_>, row: &ResourceRow) -> Result<String, EngineError> {
    let frozen = FileSystem { tags: None, ..file_system_view::frozen(names, row)? };
    Ok(serde_json::to_string(&frozen).expect("descriptions are structures of plain data"))
}

/// What a copy keeps: the same, whose names go on to point at the source's region.
pub(super) fn frozen_for_copy(call: &Call, source: &RegionContext, row: &BackupRow) -> Result<String, FsxError> {
    let mut frozen = file_system(call, row)?;
    let names = Namespace { region: source.region.as_str(), ..call.names() };
    if !row.is_copy() {
        frozen.resource_arn = Some(names.fsx_file_system(row.resource_id.as_str()));
    }
    Ok(serde_json::to_string(&frozen).expect("descriptions are structures of plain data"))
}

fn percent(call: &Call, row: &BackupRow) -> u8 {
    let known = call.server.jobs.progress(&row.id).map(|progress| (progress.done_bytes(), progress.total_bytes()));
    let (done, total) = known.unwrap_or((row.done_bytes, row.total_bytes));
    let percent = (u128::from(done.min(total)) * 100).checked_div(u128::from(total)).unwrap_or(0);
    // All of it is there only once it is available.
    u8::try_from(percent.min(99)).unwrap_or(99)
}
