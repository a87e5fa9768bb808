//! `CreateDisks`: empty ones, or of a snapshot of this region, the caller's own or one that is shared with it.

use catalog::{BackupRow, RequestToken, Terms};
use engine::Acceptance;
use engine::managed::{NewManaged, accept_managed};
use model::{BackupState, KmsKeyId, ResourceKind};
use wire::cbs::reply::CreateDisksReply;
use wire::cbs::request::CreateDisks;
use wire::cbs::values::DiskUsage;
use wire::cbs::{CbsCode, CbsError};
use wire::tencent::CommonCode;

use super::attributes::{DiskAttributes, SnapshotAttributes};
use super::disks::tags;
use super::{Call, internal};
use crate::api::is_usable_key;

const GIB: u64 = 1 << 30;

pub(super) async fn create(call: &Call, request: &CreateDisks) -> Result<CreateDisksReply, CbsError> {
    call.check_balance()?;
    if !is_zone_of(call.ctx.region.as_str(), &request.placement.zone) {
        return Err(CbsCode::InvalidParameterDiskConfigNotSupported.into());
    }
    let snapshot = match &request.snapshot_id {
        Some(id) => Some(call.load_readable_snapshot(id).await?),
        None => None,
    };
    let mut size = request.disk_size;
    if let Some(snapshot) = &snapshot {
        let known = SnapshotAttributes::of(snapshot);
        if snapshot.state != BackupState::Available {
            return Err(CbsCode::ResourceBusy.into());
        }
        if known.disk_usage() == DiskUsage::SystemDisk {
            return Err(bad_value("A disk cannot be made of a system disk's snapshot."));
        }
        let least = known.disk_size(snapshot);
        if size.is_some_and(|size| size < least) {
            return Err(bad_value("DiskSize is below that of the snapshot."));
        }
        size = size.or(Some(least));
    }
    if request.auto_mount_configuration.is_some() {
        return Err(CbsCode::InvalidInstanceIdNotFound.into());
    }
    let kms_key = match &request.kms_key_id {
        Some(given) => Some(find_key(call, given).await?),
        None => None,
    };
    let size_gib = size.unwrap_or_default();
    let new = NewManaged {
        kind: ResourceKind::Disk,
        name: request.disk_name.clone(),
        kms_key,
        attributes: attributes(request, size_gib, snapshot.as_ref()).text(),
        made_from: snapshot.map(|snapshot| snapshot.id),
        lender: None,
        size_bytes: u64::try_from(size_gib).unwrap_or_default().saturating_mul(GIB),
        tags: tags(request.tags.as_deref()),
        next_backup_at: None,
    };
    let mut disk_id_set = Vec::new();
    for number in 0..request.count() {
        disk_id_set.push(accept(call, request, new.clone(), number).await?);
    }
    Ok(CreateDisksReply { disk_id_set })
}

/// Zones are named after their region: `ap-guangzhou-3`.
fn is_zone_of(region: &str, zone: &str) -> bool {
    let number = zone.strip_prefix(region).and_then(|rest| rest.strip_prefix('-'));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

/// The key that snapshots of the disks will be sealed under.
async fn find_key(call: &Call, given: &str) -> Result<KmsKeyId, CbsError> {
    match given.parse() {
        Ok(id) if is_usable_key(&call.ctx, &id).await.map_err(internal)? => Ok(id),
        _ => Err(bad_value("KmsKeyId is not a key of this region that can be used.")),
    }
}

fn attributes(request: &CreateDisks, size_gib: i64, snapshot: Option<&BackupRow>) -> DiskAttributes {
    let prepaid = request.disk_charge_prepaid.as_ref();
    DiskAttributes {
        size_gib: Some(size_gib),
        disk_type: request.disk_type.as_str().to_owned(),
        charge_type: request.disk_charge_type.as_str().to_owned(),
        renew_flag: prepaid.and_then(|prepaid| prepaid.renew_flag).map(|flag| flag.as_str().to_owned()),
        zone: Some(request.placement.zone.clone()),
        project_id: request.placement.project_id.unwrap_or_default(),
        delete_snapshot: request.delete_snapshot == Some(1),
        encrypted: request.encrypt.is_some() || snapshot.is_some_and(|row| SnapshotAttributes::of(row).encrypted),
        encrypt_type: request.encrypt_type.map(|generation| generation.as_str().to_owned()),
        shareable: request.shareable == Some(true),
        throughput: request.throughput_performance.unwrap_or_default(),
        burst: request.burst_performance == Some(true),
        backup_quota: request.disk_backup_quota.unwrap_or_default(),
        ..DiskAttributes::default()
    }
}

/// Makes one disk of the call, or tells which one an earlier call with the same token made.
async fn accept(call: &Call, request: &CreateDisks, new: NewManaged, number: usize) -> Result<String, CbsError> {
    let token = request.client_token.as_ref().map(|token| RequestToken {
        operation: "cbs::CreateDisks".to_owned(),
        token: format!("{token}/{number}"),
        // Everything but the token itself.
        parameters: format!("{:?}", CreateDisks { client_token: None, ..request.clone() }),
        outlives_subject: false,
    });
    let terms = Terms { token, quotas: Vec::new() };
    let accepted = accept_managed(&call.ctx, &call.account.id, new, &terms).await.map_err(internal)?;
    match (accepted, terms.token) {
        (Acceptance::New(row), _) => Ok(row.id.to_string()),
        (Acceptance::Earlier(earlier), Some(token)) if earlier.parameters == token.parameters => Ok(earlier.subject),
        (Acceptance::Earlier(_), _) => Err(bad_value("ClientToken was used with other parameters.")),
        (Acceptance::OverQuota(_), _) => Err(CommonCode::LimitExceeded.into()),
    }
}

fn bad_value(message: &str) -> CbsError {
    CbsError::new(CommonCode::InvalidParameterValue, message)
}
