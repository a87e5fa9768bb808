//! `CreateSnapshot`: accepted at once, made in the background.

use std::sync::Arc;

use catalog::{Quota, ResourceRow, Terms};
use engine::backup::{BackupRequest, accept_backup};
use engine::medium::{Access, Medium, look_at};
use engine::{Acceptance, EngineError, ErrorKind, Progress};
use model::{ResourceId, ResourceKind, ResourceState};
use wire::cbs::reply::CreateSnapshotReply;
use wire::cbs::request::CreateSnapshot;
use wire::cbs::{CbsCode, CbsError};

use super::attributes::{DiskAttributes, SnapshotAttributes};
use super::disks::tags;
use super::{Call, failed, internal};
use crate::api::is_usable_key;
use crate::config::Account;

pub(super) async fn create(call: &Call, request: CreateSnapshot) -> Result<CreateSnapshotReply, CbsError> {
    // There are no backup points, so none has the id that is named.
    let (Some(disk_id), None) = (&request.disk_id, &request.disk_backup_id) else {
        return Err(CbsError::new(CbsCode::ResourceNotFoundNotFound, "The disk backup point does not exist."));
    };
    let disk = call.find_disk(disk_id).await?.ok_or(CbsCode::InvalidDiskIdNotFound)?;
    if request.local_snap == Some(true) {
        let message = "The disk does not support instant snapshots.";
        return Err(CbsError::new(CbsCode::InvalidDiskNotSupported, message));
    }
    check_disk(&disk).await?;
    check_key(call, &disk).await?;
    call.check_project(DiskAttributes::of(&disk).project_id)?;
    call.check_balance()?;
    let attributes = SnapshotAttributes {
        name: request.snapshot_name.clone(),
        disk_usage: request.disk_usage.unwrap_or_default().as_str().to_owned(),
        ..SnapshotAttributes::of_disk(&disk)
    };
    let backup = BackupRequest {
        tags: tags(request.tags.as_deref()),
        attributes: attributes.text(),
        expires_at: request.deadline,
        call: Some(call.request_id.clone()),
        ..BackupRequest::of(call.account.id.clone(), disk.id.clone())
    };
    let terms = Terms { token: None, quotas: quotas(&disk.id, &call.account) };
    let progress = Arc::<Progress>::default();
    let accepted = accept_backup(&call.ctx, &call.server.worker, backup, &terms, Arc::clone(&progress)).await;
    match accepted.map_err(gone)? {
        Acceptance::New(job) => {
            let snapshot_id = job.id().to_string();
            call.server.jobs.run_backup(job, progress);
            Ok(CreateSnapshotReply { snapshot_id })
        }
        Acceptance::OverQuota(Quota::BeingMade { .. }) => Err(CbsCode::InvalidDiskSnapshotCreating.into()),
        Acceptance::OverQuota(Quota::AllBeingMade { .. }) => {
            Err(CbsCode::ResourceUnavailableTooManyCreatingSnapshot.into())
        }
        Acceptance::OverQuota(Quota::OfResource { .. }) => Err(CbsCode::ResourceInsufficientOverQuota.into()),
        Acceptance::OverQuota(_) | Acceptance::Earlier(_) => Err(CbsCode::InsufficientSnapshotQuota.into()),
    }
}

/// Refuses a disk of which no snapshot can be taken now.
async fn check_disk(disk: &ResourceRow) -> Result<(), CbsError> {
    let medium = look_at(disk, Access::Read).await;
    match (&medium, disk.state) {
        (Medium::Directory | Medium::Stream, _) => Err(CbsCode::InvalidDiskNotSupportSnapshot.into()),
        (_, ResourceState::Failed) => Err(failed(disk)),
        (_, ResourceState::Creating) if DiskAttributes::of(disk).rollback => {
            Err(CbsCode::ResourceInUseDiskRollbacking.into())
        }
        (_, ResourceState::Creating | ResourceState::Deleting) => Err(CbsCode::InvalidDiskBusy.into()),
        (Medium::Missing, _) => {
            let message = "The disk's image is not where it should be.";
            Err(CbsError::new(CbsCode::ResourceNotFoundNotFound, message))
        }
        (Medium::Closed(error), _) => {
            let message = format!("The disk's image cannot be read: {error}.");
            Err(CbsError::new(CbsCode::InternalErrorResourceOpFailed, message))
        }
        (Medium::Image, ResourceState::Available) => Ok(()),
    }
}

/// A snapshot is sealed under its disk's key. That of an encrypted disk is its owner's to disable.
async fn check_key(call: &Call, disk: &ResourceRow) -> Result<(), CbsError> {
    if is_usable_key(&call.ctx, &disk.kms_key).await.map_err(internal)? {
        return Ok(());
    }
    if DiskAttributes::of(disk).encrypted {
        let message = "The disk is encrypted, and its key cannot be used.";
        return Err(CbsError::new(CbsCode::UnsupportedOperationDiskEncrypt, message));
    }
    Err(CbsCode::InternalErrorComponentError.into())
}

/// What has gone between two looks is the disk.
fn gone(error: EngineError) -> CbsError {
    match error.kind() {
        ErrorKind::NotFound => CbsCode::InvalidDiskIdNotFound.into(),
        _ => internal(error),
    }
}

/// What another snapshot of a disk must not exceed, whoever asks for it.
pub(super) fn quotas(disk: &ResourceId, account: &Account) -> Vec<Quota> {
    let (kind, limits) = (ResourceKind::Disk, &account.limits);
    let at_once = limits.cbs_snapshots_in_progress.map(|max| Quota::AllBeingMade { kind, max });
    let being_made = Quota::BeingMade { resource: disk.clone(), max: 1 };
    let kept = [
        Quota::OfResource { resource: disk.clone(), max: limits.cbs_snapshots_per_disk },
        Quota::AllBackups { kind, max: limits.cbs_snapshots },
    ];
    [being_made].into_iter().chain(at_once).chain(kept).collect()
}
