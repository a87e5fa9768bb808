//! `CreateFileSystem` and `CreateFileSystemFromBackup`: accepted at once, made and filled by the region's keeper.

use catalog::{BackupRow, Quota, RequestToken, Terms};
use engine::managed::{NewManaged, accept_managed};
use engine::{Acceptance, ErrorKind};
use model::{BackupState, ResourceKind};
use wire::fsx::reply::{FileSystem, FileSystemReply};
use wire::fsx::request::{CreateFileSystem, CreateFileSystemFromBackup, Tag};
use wire::fsx::settings::Zones;
use wire::fsx::words::{
    ActiveDirectoryErrorType, FileSystemType, OpenZfsDeploymentType, ServiceLimit, StorageType, WindowsDeploymentType,
};
use wire::fsx::{FsxCode, FsxError};

use super::file_system_view::CAPACITY;
use super::permissions::KeyUse;
use super::{
    Call, as_pairs, backup_view, check_same, daily, file_system_view, internal, keys, kind_of, limit_exceeded,
};
use crate::config::Account;

/// The least that file systems must hold to be restored to magnetic disks.
const HDD_LEAST_GIB: i64 = 2000;

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
    let described = file_system_view::of_request(&request).map_err(internal)?;
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
    let mut before = backup_view::file_system(call, backup)?;
    let storage_type = request.storage_type.unwrap_or(StorageType::Ssd);
    let is_moved = before.storage_type.is_some_and(|before| before != storage_type);
    forget_replaced(&mut before, request, storage_type);
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
    request.check_version(&before)?;
    let asked = CreateFileSystem {
        client_request_token: None,
        file_system_type: kind,
        storage_capacity: request.storage_capacity.or(before.storage_capacity),
        storage_type: Some(storage_type),
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
    if is_moved {
        check_move(&asked, storage_type, &before)?;
    }
    let asked = completed(asked, &before)?;
    let described = file_system_view::of_request(&asked)
        .and_then(|described| file_system_view::restored(&backup.id, &before, &described, &asked))
        .map_err(internal)?;
    if is_moved {
        described.check_storage()?;
    }
    check_subnets(&asked, &described)?;
    Ok(described)
}

/// What is to be stored on another type of storage than before, which is SSD where none is named, needs settings for that.
fn check_move(asked: &CreateFileSystem, storage: StorageType, before: &FileSystem) -> Result<(), FsxError> {
    if storage == StorageType::Hdd && before.storage_capacity.unwrap_or_default() < HDD_LEAST_GIB {
        return Err(FsxError::bad_request(format!("StorageType {storage} is not offered for this backup.")));
    }
    if asked.file_system_type == FileSystemType::Lustre && asked.lustre_configuration.is_none() {
        let message = format!("LustreConfiguration must say what StorageType {storage} is to perform.");
        return Err(FsxError::new(FsxCode::MissingFileSystemConfiguration, message));
    }
    Ok(())
}

/// Takes out of the backup's description what cannot hold beside what is asked for: another kind of directory, a
/// preference for a subnet that is not among those of the request, and what another type of storage does not have.
fn forget_replaced(before: &mut FileSystem, request: &CreateFileSystemFromBackup, storage: StorageType) {
    let is_strange = |id: &mut String| !request.subnet_ids.contains(id);
    if let Some(known) = &mut before.windows_configuration {
        known.preferred_subnet_id.take_if(is_strange);
        let asked = request.windows_configuration.as_ref();
        if asked.is_some_and(|asked| asked.self_managed_active_directory_configuration.is_some()) {
            known.active_directory_id = None;
        }
        if asked.is_some_and(|asked| asked.active_directory_id.is_some()) {
            known.self_managed_active_directory_configuration = None;
        }
    }
    if let Some(known) = &mut before.openzfs_configuration {
        known.preferred_subnet_id.take_if(is_strange);
    }
    if let Some(known) = &mut before.lustre_configuration {
        known.drive_cache_type = known.drive_cache_type.filter(|_| storage == StorageType::Hdd);
        if storage == StorageType::IntelligentTiering {
            known.per_unit_storage_throughput = None;
        } else {
            known.throughput_capacity = None;
            known.data_read_cache_configuration = None;
        }
    }
    if storage == StorageType::IntelligentTiering {
        before.storage_capacity = None;
    }
}

/// Subnets have to suit the deployment type, also where only the backup tells it.
fn check_subnets(asked: &CreateFileSystem, described: &FileSystem) -> Result<(), FsxError> {
    let windows = described.windows_configuration.as_ref();
    let windows = windows.map(|s| (s.deployment_type == Some(WindowsDeploymentType::MultiAz1), &s.preferred_subnet_id));
    let openzfs = described.openzfs_configuration.as_ref();
    let openzfs = openzfs.map(|s| (s.deployment_type == Some(OpenZfsDeploymentType::MultiAz1), &s.preferred_subnet_id));
    let (is_multi_az, preferred) = windows.or(openzfs).unwrap_or((false, &None));
    asked.check_subnets(Zones::of(is_multi_az), preferred.as_deref())
}

/// The request with what it leaves to the backup, if it has a configuration at all: then that must be a valid one.
fn completed(mut asked: CreateFileSystem, before: &FileSystem) -> Result<CreateFileSystem, FsxError> {
    let is_same;
    if let (Some(given), Some(known)) = (&mut asked.windows_configuration, &before.windows_configuration) {
        given.deployment_type = given.deployment_type.or(known.deployment_type);
        given.preferred_subnet_id = given.preferred_subnet_id.take().or_else(|| known.preferred_subnet_id.clone());
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

/// A directory has to be one of the account's, if it is known which those are.
fn check_directory(account: &Account, described: &FileSystem) -> Result<(), FsxError> {
    let named = described.windows_configuration.as_ref().and_then(|settings| settings.active_directory_id.as_ref());
    let (Some(id), Some(known)) = (named, &account.active_directories) else { return Ok(()) };
    if known.contains(id) {
        return Ok(());
    }
    let kind = Some(ActiveDirectoryErrorType::DomainNotFound);
    let code = FsxCode::ActiveDirectoryError { active_directory_id: id.clone(), kind };
    Err(FsxError::new(code, format!("Directory '{id}' does not exist.")))
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
    check_directory(&call.account, &described)?;
    let unusable = || FsxError::bad_request("The KMS key does not exist or cannot be used.");
    let kms_key = keys::find(&call.ctx, call.names(), kms_key.as_deref()).await?.ok_or_else(unusable)?;
    if !KeyUse::to_encrypt(&call.ctx, &kms_key).ask(call).await {
        return Err(unusable());
    }
    let mut quotas = vec![Quota::Resources { kind, max: call.account.limits.fsx_file_systems }];
    if let Some(max) = call.account.limits.fsx_storage_gib {
        let adding = u64::try_from(described.storage_capacity.unwrap_or_default()).unwrap_or_default();
        quotas.push(Quota::Sum { kind, member: CAPACITY, adding, max });
    }
    let terms = Terms { token, quotas };
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
        Acceptance::New(row) => Ok(FileSystemReply { file_system: file_system_view::view(call, &row)? }),
        Acceptance::Earlier(earlier) => {
            check_same(&earlier, terms.token.as_ref())?;
            reply(call, &earlier.subject).await
        }
        Acceptance::OverQuota(Quota::Sum { .. }) => Err(limit_exceeded(ServiceLimit::TotalStorage)),
        Acceptance::OverQuota(_) => Err(limit_exceeded(ServiceLimit::FileSystemCount)),
    }
}

async fn reply(call: &Call, id: &str) -> Result<FileSystemReply, FsxError> {
    let row = call.load_file_system(id).await?;
    Ok(FileSystemReply { file_system: file_system_view::view(call, &row)? })
}
