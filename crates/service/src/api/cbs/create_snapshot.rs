//! `CreateSnapshot`: accepted at once, made in the background.

use std::sync::Arc;

use catalog::{Quota, Terms};
use engine::backup::{BackupRequest, accept_backup};
use engine::{Acceptance, Progress};
use model::{ResourceId, ResourceKind, ResourceState};
use wire::cbs::reply::CreateSnapshotReply;
use wire::cbs::request::CreateSnapshot;
use wire::cbs::{CbsCode, CbsError};
use wire::tencent::CommonCode;

use super::attributes::{DiskAttributes, SnapshotAttributes};
use super::disks::tags;
use super::{Call, internal};
use crate::config::Account;

pub(super) async fn create(call: &Call, request: CreateSnapshot) -> Result<CreateSnapshotReply, CbsError> {
    // Backup points and instant snapshots are other services of Tencent's.
    let (Some(disk_id), None) = (&request.disk_id, &request.disk_backup_id) else {
        return Err(CommonCode::UnsupportedOperation.into());
    };
    if request.local_snap == Some(true) {
        return Err(CommonCode::UnsupportedOperation.into());
    }
    let disk = call.find_disk(disk_id).await?.ok_or(CbsCode::InvalidDiskIdNotFound)?;
    let known = DiskAttributes::of(&disk);
    match disk.state {
        ResourceState::Available => {}
        _ if known.rollback => return Err(CbsCode::ResourceInUseDiskRollbacking.into()),
        _ => return Err(CbsCode::InvalidDiskBusy.into()),
    }
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
    match accepted.map_err(internal)? {
        Acceptance::New(job) => {
            let snapshot_id = job.id().to_string();
            call.server.jobs.run_backup(job, progress);
            Ok(CreateSnapshotReply { snapshot_id })
        }
        Acceptance::OverQuota(Quota::BeingMade { .. }) => Err(CbsCode::InvalidDiskSnapshotCreating.into()),
        Acceptance::OverQuota(Quota::OfResource { .. }) => Err(CbsCode::ResourceInsufficientOverQuota.into()),
        Acceptance::OverQuota(_) | Acceptance::Earlier(_) => Err(CbsCode::InsufficientSnapshotQuota.into()),
    }
}

/// What another snapshot of a disk must not exceed, whoever asks for it.
pub(super) fn quotas(disk: &ResourceId, account: &Account) -> Vec<Quota> {
    vec![
        Quota::BeingMade { resource: disk.clone(), max: 1 },
        Quota::OfResource { resource: disk.clone(), max: account.limits.cbs_snapshots_per_disk },
        Quota::AllBackups { kind: ResourceKind::Disk, max: account.limits.cbs_snapshots },
    ]
}
