//! `DescribeVolumes` and `DescribeStorageVirtualMachines`: there are none, as those of ONTAP are not served.

use model::Service;
use wire::fsx::reply::{DescribeStorageVirtualMachinesReply, DescribeVolumesReply};
use wire::fsx::request::{DescribeStorageVirtualMachines, DescribeVolumes};
use wire::fsx::{FsxCode, FsxError};

use super::{Call, internal, volume_not_found};

pub(super) async fn describe(call: &Call, request: &DescribeVolumes) -> Result<DescribeVolumesReply, FsxError> {
    check_catalog(call).await?;
    match request.volume_ids.iter().flatten().next() {
        Some(volume) => Err(volume_not_found(volume)),
        None => Ok(DescribeVolumesReply::default()),
    }
}

pub(super) async fn describe_machines(
    call: &Call,
    request: &DescribeStorageVirtualMachines,
) -> Result<DescribeStorageVirtualMachinesReply, FsxError> {
    check_catalog(call).await?;
    match request.storage_virtual_machine_ids.iter().flatten().next() {
        Some(machine) => {
            let message = format!("Storage virtual machine '{machine}' does not exist.");
            Err(FsxError::new(FsxCode::StorageVirtualMachineNotFound, message))
        }
        None => Ok(DescribeStorageVirtualMachinesReply::default()),
    }
}

/// Only a region that can read its file systems says that they have none: who cleans up takes an empty list for the
/// truth.
async fn check_catalog(call: &Call) -> Result<(), FsxError> {
    let page = call.ctx.catalog.page_of_resources(&call.account.id, Service::Fsx, "", 1).await;
    page.map(drop).map_err(internal)
}
