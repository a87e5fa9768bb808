//! `CreateFileSystem` and `CreateFileSystemFromBackup`: accepted at once, made and filled by the region's keeper.

use catalog::{BackupRow, Quota, RequestToken, Terms};
use engine::managed::{NewManaged, accept_managed};
use engine::{Acceptance, ErrorKind};
use model::{BackupState, ResourceKind};
use wire::fsx::reply::{FileSystem, FileSystemReply};
use wire::fsx::request::{CreateFileSystem, CreateFileSystemFromBackup, Tag};
use wire::fsx::words::{FileSystemType, ServiceLimit, StorageType};
use wire::fsx::{FsxCode, FsxError};

use super::permissions::KeyUse;
use super::{
    Call, as_pairs, backup_view, check_same, daily, file_system_view, internal, keys, kind_of, limit_exceeded,
};

pub(super) async fn create(
    call: &Call,
    request: CreateFileSystem,
    token: Option<RequestToken>,
) -> Result<FileSystemReply, FsxError> {
    if let Some(earlier) = call.find_earlier(token.as_ref()).await? {
        return reply(call, &earlier.subject).await;
    }
    request.check_settings()?;
    let kind = kind_of(request.file_system_type)
        .ok_or_else(|| FsxError::bad_request("ONTAP file systems are not offered here."))?;
    let described = file_system_view::of_request(&request);
    accept(call, kind, described, request.tags, request.kms_key_id, None, token).await
}

pub(super) async fn create_from_backup(
    call: &Call,
    request: CreateFileSystemFromBackup,
    token: Option<RequestToken>,
) -> Result<FileSystemReply, FsxError> {
    if let Some(earlier) = call.find_earlier(token.as_ref()).await? {
        return reply(call, &earlier.subject).await;
    }
    let backup = call.load_backup(&request.backup_id).await?;
    if backup.state != BackupState::Available {
        return Err(FsxError::bad_request(format!("Backup '{}' is {}.", backup.id, backup.state)));
    }
    if !KeyUse::to_decrypt(&call.ctx, &backup.kms_key).ask(call).await {
        return Err(FsxError::bad_request(format!("The key of backup '{}' cannot be used.", backup.id)));
    }
    let described = of_backup(call, &request, &backup)?;
    let made_from = Some(backup.id.clone());
    accept(call, backup.resource_kind, described, request.tags, request.kms_key_id, made_from, token).await
}

/// The description in the backup, with what the request changes of it.
fn of_backup(call: &Call, request: &CreateFileSystemFromBackup, backup: &BackupRow) -> Result<FileSystem, FsxError> {
    let before = backup_view::view(call, backup).file_system;
    let kind = before.file_system_type.unwrap_or(FileSystemType::Lustre);
    let bad = |message: &str| Err(FsxError::bad_request(message));
    let foreign = [
        (FileSystemType::Windows, request.windows_configuration.is_some()),
        (FileSystemType::Lustre, request.lustre_configuration.is_some()),
        (FileSystemType::OpenZfs, request.openzfs_configuration.is_some()),
    ];
    if foreign.into_iter().any(|(other, is_given)| is_given && other != kind) {
        return bad("The configuration is that of another type of file system.");
    }
    match (request.storage_capacity, before.storage_capacity) {
        (Some(asked), Some(least)) if kind == FileSystemType::OpenZfs && asked < least => {
            return bad("StorageCapacity must not be below that of the backup.");
        }
        (Some(asked), Some(least)) if kind != FileSystemType::OpenZfs && asked != least => {
            return bad("StorageCapacity must be that of the backup.");
        }
        _ => {}
    }
    let asked = CreateFileSystem {
        client_request_token: None,
        file_system_type: kind,
        storage_capacity: request.storage_capacity.or(before.storage_capacity),
        storage_type: request.storage_type.or(Some(StorageType::Ssd)),
        subnet_ids: request.subnet_ids.clone(),
        security_group_ids: None,
        tags: None,
        kms_key_id: None,
        windows_configuration: request.windows_configuration.clone(),
        lustre_configuration: request.lustre_configuration.clone(),
        ontap_configuration: None,
        file_system_type_version: request.file_system_type_version.clone().or(before.file_system_type_version.clone()),
        openzfs_configuration: request.openzfs_configuration.clone(),
        network_type: request.network_type,
    };
    let asked = completed(asked, &before)?;
    Ok(file_system_view::restored(&before, &file_system_view::of_request(&asked), &asked))
}

/// The request with what it leaves to the backup, if it has a configuration at all: then that must be a valid one.
fn completed(mut asked: CreateFileSystem, before: &FileSystem) -> Result<CreateFileSystem, FsxError> {
    let is_same;
    if let (Some(given), Some(known)) = (&mut asked.windows_configuration, &before.windows_configuration) {
        given.deployment_type = given.deployment_type.or(known.deployment_type);
        is_same = given.deployment_type == known.deployment_type;
    } else if let (Some(given), Some(known)) = (&mut asked.lustre_configuration, &before.lustre_configuration) {
        given.deployment_type = given.deployment_type.or(known.deployment_type);
        given.per_unit_storage_throughput = given.per_unit_storage_throughput.or(known.per_unit_storage_throughput);
        given.drive_cache_type = given.drive_cache_type.or(known.drive_cache_type);
        is_same = given.deployment_type == known.deployment_type;
    } else if let (Some(given), Some(known)) = (&asked.openzfs_configuration, &before.openzfs_configuration) {
        is_same = known.deployment_type.is_none_or(|known| known == given.deployment_type);
    } else {
        return Ok(asked);
    }
    if !is_same {
        return Err(FsxError::bad_request("The deployment type must be that of the backup."));
    }
    asked.check_settings()?;
    Ok(asked)
}

async fn accept(
    call: &Call,
    kind: ResourceKind,
    described: FileSystem,
    tags: Option<Vec<Tag>>,
    kms_key: Option<String>,
    made_from: Option<model::BackupId>,
    token: Option<RequestToken>,
) -> Result<FileSystemReply, FsxError> {
    let unusable = || FsxError::bad_request("The KMS key does not exist or cannot be used.");
    let kms_key = keys::find(&call.ctx, call.names(), kms_key.as_deref()).await.ok_or_else(unusable)?;
    if !KeyUse::to_encrypt(&call.ctx, &kms_key).ask(call).await {
        return Err(unusable());
    }
    let terms = Terms { token, quotas: vec![Quota::Resources { kind, max: call.account.limits.fsx_file_systems }] };
    let new = NewManaged {
        kind,
        name: None,
        kms_key: Some(kms_key),
        made_from,
        lender: None,
        size_bytes: 0,
        tags: as_pairs(tags.as_deref().unwrap_or_default()),
        next_backup_at: daily::first_after(&described, call.ctx.catalog.now().await.map_err(internal)?),
        attributes: serde_json::to_string(&described).expect("descriptions are structures of plain data"),
    };
    let accepted = accept_managed(&call.ctx, &call.account.id, new, &terms).await;
    let accepted = accepted.map_err(|error| match error.kind() {
        // The backup was removed since it was looked up.
        ErrorKind::NotFound | ErrorKind::Conflict => {
            FsxError::new(FsxCode::BackupNotFound, "The backup does not exist any more.")
        }
        _ => internal(error),
    })?;
    match accepted {
        Acceptance::New(row) => Ok(FileSystemReply { file_system: file_system_view::view(call, &row) }),
        Acceptance::Earlier(earlier) => {
            check_same(&earlier, terms.token.as_ref())?;
            reply(call, &earlier.subject).await
        }
        Acceptance::OverQuota(_) => Err(limit_exceeded(ServiceLimit::FileSystemCount)),
    }
}

async fn reply(call: &Call, id: &str) -> Result<FileSystemReply, FsxError> {
    let row = call.load_file_system(id).await?;
    Ok(FileSystemReply { file_system: file_system_view::view(call, &row) })
}
