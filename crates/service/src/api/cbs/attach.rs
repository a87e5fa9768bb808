//! Disks in use: `AttachDisks` and `DetachDisks`.
//!
//! There is no service of instances, so any id of an instance's form is one. What attaching changes is which
//! snapshots are taken by policies, and what else can be done to the disk.

use catalog::{Quota, ResourceRow};
use model::{ResourceKind, ResourceState};
use wire::cbs::ids::IdForm;
use wire::cbs::reply::Empty;
use wire::cbs::request::{AttachDisks, DetachDisks};
use wire::cbs::values::DiskChargeType;
use wire::cbs::{CbsCode, CbsError, INSTANCES_PER_DISK_MAX};
use wire::tencent::CommonCode;

use super::attributes::{DiskAttributes, INSTANCES};
use super::{Call, failed};

/// Attaches disks to an instance, all or none.
pub(super) async fn attach(call: &Call, request: &AttachDisks) -> Result<Empty, CbsError> {
    check_instance(&request.instance_id)?;
    let attach = |disk: &mut ResourceRow| {
        let mut known = ready(disk)?;
        let is_there = known.instances.contains(&request.instance_id);
        if is_there || (known.is_attached() && !known.shareable) {
            return Err(CbsCode::ResourceUnavailableAttached.into());
        }
        if known.instances.len() >= INSTANCES_PER_DISK_MAX {
            return Err(CbsCode::InvalidParameterValueLimitExceeded.into());
        }
        known.instances.push(request.instance_id.clone());
        // Of disks that are paid in advance it is ignored.
        known.delete_with_instance |=
            request.delete_with_instance == Some(true) && known.charge_type() == DiskChargeType::PostpaidByHour;
        disk.attributes = known.text();
        Ok(())
    };
    // Those of this call are among the instance's by the time it is asked.
    let quota = disks_of_instance(call, &request.instance_id, 0);
    match call.edit_disks_within(&request.disk_ids, &[quota], attach).await? {
        None => Ok(Empty {}),
        Some(_) => Err(CbsCode::LimitExceededInstanceAttachedDisk.into()),
    }
}

/// How many disks an instance may have.
pub(super) fn disks_of_instance(call: &Call, instance: &str, adding: u64) -> Quota {
    let max = call.account.limits.cbs_disks_per_instance;
    Quota::Listing { kind: ResourceKind::Disk, member: INSTANCES, value: instance.to_owned(), adding, max }
}

/// Whether there can be such an instance.
pub(super) fn check_instance(id: &str) -> Result<(), CbsError> {
    match id.starts_with(IdForm::Instance.prefix()) {
        true => Ok(()),
        false => Err(CbsCode::InvalidInstanceIdNotFound.into()),
    }
}

/// Detaches disks, all or none: from the instance that is named, or from all they are attached to.
pub(super) async fn detach(call: &Call, request: &DetachDisks) -> Result<Empty, CbsError> {
    let detach = |disk: &mut ResourceRow| {
        let mut known = ready(disk)?;
        let Some(last) = known.instances.last().cloned() else {
            return Err(CbsCode::UnsupportedOperationStateError.into());
        };
        let instance = request.instance_id.clone().unwrap_or(last);
        if !known.instances.contains(&instance) {
            let message = format!("{} is not attached to {instance}.", disk.id);
            return Err(CbsError::new(CommonCode::InvalidParameterValue, message));
        }
        known.instances.retain(|other| request.instance_id.is_some() && *other != instance);
        known.delete_with_instance &= known.is_attached();
        known.last_instance = Some(instance);
        disk.attributes = known.text();
        Ok(())
    };
    call.edit_disks(&request.disk_ids, detach).await?;
    Ok(Empty {})
}

/// What is known of a disk, if nothing else is being done to it.
fn ready(disk: &ResourceRow) -> Result<DiskAttributes, CbsError> {
    let known = DiskAttributes::of(disk);
    match disk.state {
        ResourceState::Available => Ok(known),
        ResourceState::Failed => Err(failed(disk)),
        _ if known.rollback => Err(CbsCode::ResourceInUseDiskRollbacking.into()),
        _ => Err(CbsCode::InvalidDiskBusy.into()),
    }
}
