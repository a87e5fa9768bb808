//! Disks in use: `AttachDisks` and `DetachDisks`.
//!
//! There is no service of instances, so any id of an instance's form is one. What attaching changes is which
//! snapshots are taken by policies, and what else can be done to the disk.

use catalog::ResourceRow;
use model::ResourceState;
use wire::cbs::ids::IdForm;
use wire::cbs::reply::Empty;
use wire::cbs::request::{AttachDisks, DetachDisks};
use wire::cbs::values::DiskChargeType;
use wire::cbs::{CbsCode, CbsError};
use wire::tencent::CommonCode;

use super::Call;
use super::attributes::DiskAttributes;

/// How many instances can have a disk that is shareable, says Tencent's guide to shared disks.
const INSTANCES_PER_DISK_MAX: usize = 16;

/// Attaches disks to an instance, all or none.
pub(super) async fn attach(call: &Call, request: &AttachDisks) -> Result<Empty, CbsError> {
    if !request.instance_id.starts_with(IdForm::Instance.prefix()) {
        return Err(CbsCode::InvalidInstanceIdNotFound.into());
    }
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
    call.edit_disks(&request.disk_ids, attach).await?;
    Ok(Empty {})
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
        _ if known.rollback => Err(CbsCode::ResourceInUseDiskRollbacking.into()),
        _ => Err(CbsCode::InvalidDiskBusy.into()),
    }
}
