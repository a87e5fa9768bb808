//! `CreateDisks`: empty ones, or of a snapshot of this region, the caller's own or one that is shared with it. All that
//! a call asks for are made, or none.

use catalog::{BackupRow, Quota, RequestToken, ResourceRow, Terms};
use engine::managed::{NewManaged, accept_all_managed};
use engine::medium::Room;
use engine::{Acceptance, EngineError, ErrorKind};
use model::{BackupState, KmsKeyId, ResourceKind};
use wire::cbs::reply::CreateDisksReply;
use wire::cbs::request::CreateDisks;
use wire::cbs::values::{DiskChargeType, DiskUsage};
use wire::cbs::{CbsCode, CbsError};
use wire::tencent::CommonCode;

use super::attach::{check_instance, disks_of_instance};
use super::attributes::{DiskAttributes, SIZE, SnapshotAttributes};
use super::disks::tags;
use super::snapshots::{filled_bytes, is_rolled_back};
use super::{Call, internal};
use crate::api::is_usable_key;

const GIB: u64 = 1 << 30;

pub(super) async fn create(call: &Call, request: &CreateDisks) -> Result<CreateDisksReply, CbsError> {
    if let Some(disk_id_set) = made_before(call, request).await? {
        return Ok(CreateDisksReply { disk_id_set });
    }
    call.check_balance()?;
    if !is_zone_of(call.ctx.region.as_str(), &request.placement.zone) {
        return Err(CbsCode::InvalidParameterDiskConfigNotSupported.into());
    }
    call.check_project(request.placement.project_id.unwrap_or_default())?;
    let snapshot = match &request.snapshot_id {
        Some(id) => Some(call.load_readable_snapshot(id).await?),
        None => None,
    };
    let size_gib = match &snapshot {
        Some(snapshot) => size_made_of(call, request, snapshot).await?,
        None => request.disk_size.unwrap_or_default(),
    };
    request.instances().iter().try_for_each(|instance| check_instance(instance))?;
    let kms_key = match &request.kms_key_id {
        Some(given) => Some(find_key(call, given).await?),
        None => None,
    };
    if let Some(snapshot) = &snapshot {
        check_room(call, request, snapshot).await?;
    }
    let new = NewManaged {
        kind: ResourceKind::Disk,
        name: request.disk_name.clone(),
        kms_key,
        attributes: attributes(request, size_gib, snapshot.as_ref()).text(),
        made_from: snapshot.map(|snapshot| snapshot.id),
        lender: None,
        size_bytes: bytes(size_gib),
        tags: tags(request.tags.as_deref()),
        next_backup_at: None,
    };
    let terms_of = |number| Terms { token: token(request, number), quotas: quotas(call, request, size_gib, number) };
    let terms: Vec<Terms> = (0..request.count()).map(terms_of).collect();
    let accepted = accept_all_managed(&call.ctx, &call.account.id, &new, &terms).await.map_err(full)?;
    let ids = accepted.into_iter().zip(terms).map(|(accepted, terms)| id_of(accepted, terms.token));
    Ok(CreateDisksReply { disk_id_set: ids.collect::<Result<_, _>>()? })
}

/// The disks that an earlier call with the same token has made, if all of them are there.
async fn made_before(call: &Call, request: &CreateDisks) -> Result<Option<Vec<String>>, CbsError> {
    let mut ids = Vec::new();
    for number in 0..request.count() {
        let Some(token) = token(request, number) else { return Ok(None) };
        let found = call.ctx.catalog.find_token(&call.account.id, &token).await.map_err(internal)?;
        let Some(earlier) = found else { return Ok(None) };
        ids.push(id_of(Acceptance::Earlier(earlier), Some(token))?);
    }
    Ok(Some(ids))
}

/// The size of a disk that is made of a snapshot, in GiB: as asked for, or the snapshot's.
async fn size_made_of(call: &Call, request: &CreateDisks, snapshot: &BackupRow) -> Result<i64, CbsError> {
    let known = SnapshotAttributes::of(snapshot);
    if snapshot.state != BackupState::Available || is_rolled_back(call, snapshot).await? {
        return Err(CbsCode::ResourceBusy.into());
    }
    if known.disk_usage() == DiskUsage::SystemDisk {
        return Err(bad_value("A disk cannot be made of a system disk's snapshot."));
    }
    let least = known.disk_size(snapshot);
    match request.disk_size {
        Some(size) if size < least => Err(bad_value("DiskSize is below that of the snapshot.")),
        asked => Ok(asked.unwrap_or(least)),
    }
}

/// Zones are named after their region: `ap-guangzhou-3`.
fn is_zone_of(region: &str, zone: &str) -> bool {
    let number = zone.strip_prefix(region).and_then(|rest| rest.strip_prefix('-'));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Disks take no room before something is written to them, however large they are. What is to be written at once has to
/// fit.
async fn check_room(call: &Call, request: &CreateDisks, snapshot: &BackupRow) -> Result<(), CbsError> {
    let filled = filled_bytes(snapshot).saturating_mul(request.count() as u64);
    match Room::of(&call.ctx).await {
        Some(room) if filled > room.free_bytes => Err(CommonCode::ResourceInsufficient.into()),
        _ => Ok(()),
    }
}

fn bytes(size_gib: i64) -> u64 {
    u64::try_from(size_gib).unwrap_or_default().saturating_mul(GIB)
}

/// The key that snapshots of the disks will be sealed under.
async fn find_key(call: &Call, given: &str) -> Result<KmsKeyId, CbsError> {
    match given.parse() {
        Ok(id) if is_usable_key(&call.ctx, &id).await.map_err(internal)? => Ok(id),
        _ => Err(bad_value("KmsKeyId is not a key of this region that can be used.")),
    }
}

fn attributes(request: &CreateDisks, size_gib: i64, snapshot: Option<&BackupRow>) -> DiskAttributes {
    let is_prepaid = request.disk_charge_type == DiskChargeType::Prepaid;
    let prepaid = request.disk_charge_prepaid.as_ref().filter(|_| is_prepaid);
    DiskAttributes {
        size_gib: Some(size_gib),
        disk_type: request.disk_type.as_str().to_owned(),
        charge_type: request.disk_charge_type.as_str().to_owned(),
        renew_flag: prepaid.and_then(|prepaid| prepaid.renew_flag).map(|flag| flag.as_str().to_owned()),
        prepaid_months: prepaid.map(|prepaid| prepaid.period),
        zone: Some(request.placement.zone.clone()),
        project_id: request.placement.project_id.unwrap_or_default(),
        delete_snapshot: request.delete_snapshot == Some(1),
        encrypted: request.encrypt.is_some() || snapshot.is_some_and(|row| SnapshotAttributes::of(row).encrypted),
        encrypt_type: request.encrypt_type.map(|generation| generation.as_str().to_owned()),
        shareable: request.shareable == Some(true),
        throughput: request.throughput_performance.unwrap_or_default(),
        burst: request.burst_performance == Some(true),
        backup_quota: request.disk_backup_quota.unwrap_or_default(),
        instances: request.instances().to_vec(),
        ..DiskAttributes::default()
    }
}

/// What a disk of the call must not exceed, together with those of the call that come after it: so that none is made if
/// not all can be.
fn quotas(call: &Call, request: &CreateDisks, size_gib: i64, number: usize) -> Vec<Quota> {
    let left = (request.count() - number) as u64;
    let adding = u64::try_from(size_gib).unwrap_or_default().saturating_mul(left);
    let kind = ResourceKind::Disk;
    let size = call.account.limits.cbs_disk_gib.map(|max| Quota::Sum { kind, member: SIZE, adding, max });
    let attached = request.instances().iter().map(|instance| disks_of_instance(call, instance, left));
    size.into_iter().chain(attached).collect()
}

/// The token under which a disk of the call is known.
fn token(request: &CreateDisks, number: usize) -> Option<RequestToken> {
    request.client_token.as_ref().map(|token| RequestToken {
        operation: "cbs::CreateDisks".to_owned(),
        token: format!("{token}/{number}"),
        parameters: request.parameters(),
        outlives_subject: false,
    })
}

/// Tells which disk was made, now or by an earlier call with the same token.
fn id_of(accepted: Acceptance<ResourceRow>, token: Option<RequestToken>) -> Result<String, CbsError> {
    match (accepted, token) {
        (Acceptance::New(row), _) => Ok(row.id.to_string()),
        (Acceptance::Earlier(earlier), Some(token)) if earlier.parameters == token.parameters => Ok(earlier.subject),
        (Acceptance::Earlier(_), _) => Err(bad_value("ClientToken was used with other parameters.")),
        (Acceptance::OverQuota(Quota::Listing { .. }), _) => Err(CbsCode::LimitExceededInstanceAttachedDisk.into()),
        (Acceptance::OverQuota(_), _) => Err(CommonCode::ResourceInsufficient.into()),
    }
}

/// A disk for which the file system has no room.
fn full(error: EngineError) -> CbsError {
    match error.kind() {
        ErrorKind::Full => CommonCode::ResourceInsufficient.into(),
        _ => internal(error),
    }
}

fn bad_value(message: &str) -> CbsError {
    CbsError::new(CommonCode::InvalidParameterValue, message)
}
