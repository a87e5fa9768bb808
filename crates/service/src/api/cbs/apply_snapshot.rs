//! `ApplySnapshot`: a snapshot's bytes are put back in place of its disk's. The disk is unsettled until the region's
//! keeper has done it.

use catalog::{BackupRow, ResourceRow};
use engine::ErrorKind;
use engine::managed::roll_back;
use engine::medium::{Access, Medium, Room, look_at};
use model::{BackupState, ResourceState};
use wire::cbs::reply::Empty;
use wire::cbs::request::ApplySnapshot;
use wire::cbs::{CbsCode, CbsError};
use wire::tencent::CommonCode;

use super::attributes::{DiskAttributes, SnapshotAttributes};
use super::snapshots::filled_bytes;
use super::{Call, failed, internal};

pub(super) async fn apply(call: &Call, request: &ApplySnapshot) -> Result<Empty, CbsError> {
    let (snapshot, disk) = find(call, request).await?;
    let mark = |disk: &mut ResourceRow| {
        disk.attributes = DiskAttributes { rollback: true, ..DiskAttributes::of(disk) }.text();
    };
    match roll_back(&call.ctx, &disk, &snapshot.id, mark).await {
        // Another call has come between: what it has done is told as if it had come before.
        Err(error) if error.kind() == ErrorKind::Conflict => {
            find(call, request).await?;
            Err(CbsCode::ResourceBusy.into())
        }
        rolled_back => rolled_back.map(|()| Empty {}).map_err(internal),
    }
}

/// The snapshot and its disk, if the one can be rolled back onto the other.
async fn find(call: &Call, request: &ApplySnapshot) -> Result<(BackupRow, ResourceRow), CbsError> {
    let snapshot = call.load_snapshot(&request.snapshot_id).await?;
    let disk = call.find_disk(&request.disk_id).await?.ok_or(CbsCode::InvalidDiskIdNotFound)?;
    if snapshot.resource_id != disk.id || snapshot.is_copy() {
        let message = format!("{} is not a snapshot of {}.", snapshot.id, disk.id);
        return Err(CbsError::new(CommonCode::InvalidParameterValue, message));
    }
    check_image(&disk).await?;
    let known = DiskAttributes::of(&disk);
    if SnapshotAttributes::of(&snapshot).disk_size(&snapshot) != known.size_gib(&disk) {
        return Err(CbsCode::InvalidParameterDiskSizeNotMatch.into());
    }
    match (snapshot.state, disk.state) {
        (BackupState::Available, ResourceState::Available) => {}
        (BackupState::Creating, _) => return Err(CbsCode::ResourceUnavailableSnapshotCreating.into()),
        (_, ResourceState::Creating) if known.rollback => return Err(CbsCode::ResourceInUseDiskRollbacking.into()),
        (_, ResourceState::Failed) => return Err(failed(&disk)),
        _ => return Err(CbsCode::ResourceBusy.into()),
    }
    check_attachment(&known, request)?;
    // What is being read must not change.
    if call.is_being_taken(&disk.id).await? {
        return Err(CbsCode::InvalidDiskSnapshotCreating.into());
    }
    check_room(call, &snapshot, &disk).await?;
    Ok((snapshot, disk))
}

/// Refuses a disk over whose bytes none can be written. An image of ours that is lost is made again.
async fn check_image(disk: &ResourceRow) -> Result<(), CbsError> {
    match look_at(disk, Access::Write).await {
        Medium::Image => Ok(()),
        Medium::Missing if disk.managed => Ok(()),
        Medium::Missing => Err(CbsCode::ResourceNotFoundNotFound.into()),
        Medium::Directory | Medium::Stream => Err(CbsCode::InvalidDiskNotSupported.into()),
        Medium::Closed(error) => {
            let message = format!("The disk's bytes cannot be replaced: {error}.");
            Err(CbsError::new(CbsCode::ResourceUnavailableNotSupported, message))
        }
    }
}

/// Every disk here is elastic: it has to be detached, there being no instance that could be stopped.
fn check_attachment(disk: &DiskAttributes, request: &ApplySnapshot) -> Result<(), CbsError> {
    match (disk.is_attached(), request.auto_stop_instance == Some(true)) {
        (false, false) => Ok(()),
        (true, false) => Err(CbsCode::InvalidDiskBusy.into()),
        (true, true) => {
            let message = "Instances cannot be stopped here. Detach the disk.";
            Err(CbsError::new(CbsCode::InvalidInstanceNotSupported, message))
        }
        (false, true) => {
            let message = "The disk is attached to no instance that could be stopped.";
            Err(CbsError::new(CbsCode::InvalidInstanceIdNotFound, message))
        }
    }
}

/// An image of ours is filled beside the one that is there, which goes when the other is whole.
async fn check_room(call: &Call, snapshot: &BackupRow, disk: &ResourceRow) -> Result<(), CbsError> {
    match Room::of(&call.ctx).await {
        Some(room) if disk.managed && filled_bytes(snapshot) > room.free_bytes => {
            Err(CommonCode::ResourceInsufficient.into())
        }
        _ => Ok(()),
    }
}
