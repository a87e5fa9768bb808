//! Actions: which operations of CBS are served, which exist but are not, and which are gone.

use super::{CbsError, Code};
use crate::tencent::{CommonCode, words::words};

words! {
    /// An operation that is served.
    Action {
        ApplySnapshot = "ApplySnapshot",
        AttachDisks = "AttachDisks",
        BindAutoSnapshotPolicy = "BindAutoSnapshotPolicy",
        CopySnapshotCrossRegions = "CopySnapshotCrossRegions",
        CreateAutoSnapshotPolicy = "CreateAutoSnapshotPolicy",
        CreateDisks = "CreateDisks",
        CreateSnapshot = "CreateSnapshot",
        DeleteAutoSnapshotPolicies = "DeleteAutoSnapshotPolicies",
        DeleteSnapshots = "DeleteSnapshots",
        DescribeAutoSnapshotPolicies = "DescribeAutoSnapshotPolicies",
        DescribeDiskAssociatedAutoSnapshotPolicy = "DescribeDiskAssociatedAutoSnapshotPolicy",
        DescribeDisks = "DescribeDisks",
        DescribeSnapshotOverview = "DescribeSnapshotOverview",
        DescribeSnapshotSharePermission = "DescribeSnapshotSharePermission",
        DescribeSnapshots = "DescribeSnapshots",
        DetachDisks = "DetachDisks",
        ModifyAutoSnapshotPolicyAttribute = "ModifyAutoSnapshotPolicyAttribute",
        ModifySnapshotAttribute = "ModifySnapshotAttribute",
        ModifySnapshotsSharePermission = "ModifySnapshotsSharePermission",
        TerminateDisks = "TerminateDisks",
        UnbindAutoSnapshotPolicy = "UnbindAutoSnapshotPolicy",
    }
}

/// Operations of Tencent's service that this one does not have: the rest of the list in the client
/// library `tencentcloud-sdk-python-cbs` 3.1.175.
const NOT_SERVED: [&str; 39] = [
    "ApplyDiskBackup",
    "ApplySnapshotGroup",
    "AttachRemoteDisks",
    "CopyAutoSnapshotPolicyCrossAccount",
    "CreateDiskBackup",
    "CreateRemoteDisks",
    "CreateSnapshotGroup",
    "DeleteDiskBackups",
    "DeleteSnapshotGroup",
    "DescribeDedicatedClusterDiskStatistics",
    "DescribeDiskBackups",
    "DescribeDiskConfigQuota",
    "DescribeDiskStoragePool",
    "DescribeInstancesDiskNum",
    "DescribeRemoteDiskConfigQuota",
    "DescribeRemoteDisks",
    "DescribeRemoteDisksDeniedActions",
    "DescribeSnapshotGroups",
    "DetachRemoteDisks",
    "InitializeDisks",
    "InquirePriceCreateRemoteDisks",
    "InquirePriceModifyDiskBackupQuota",
    "InquirePriceModifyDiskExtraPerformance",
    "InquirePriceRenewRemoteDisks",
    "InquiryPriceCreateDisks",
    "InquiryPriceRenewDisks",
    "InquiryPriceResizeDisk",
    "ModifyDiskAttributes",
    "ModifyDiskBackupQuota",
    "ModifyDiskExtraPerformance",
    "ModifyDisksChargeType",
    "ModifyDisksRenewFlag",
    "ModifyRemoteDiskAttributes",
    "RenewDisk",
    "RenewRemoteDisk",
    "ResizeDisk",
    "SwitchParameterCreateRemoteDisks",
    "SwitchParameterRenewRemoteDisks",
    "TerminateRemoteDisks",
];

/// Operations that Tencent has withdrawn.
const WITHDRAWN: [&str; 2] = ["DescribeSnapshotOperationLogs", "GetSnapOverview"];

impl Action {
    /// The operation of that name.
    ///
    /// # Errors
    /// `UnsupportedOperation` for one that Tencent has and this service has not, `ActionOffline` for one
    /// that is withdrawn, `InvalidAction` for any other name.
    pub fn named(name: &str) -> Result<Self, CbsError> {
        Self::find(name).ok_or_else(|| {
            let code = match name {
                _ if NOT_SERVED.contains(&name) => CommonCode::UnsupportedOperation,
                _ if WITHDRAWN.contains(&name) => CommonCode::ActionOffline,
                _ => CommonCode::InvalidAction,
            };
            CbsError::from(Code::from(code))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str) -> Code {
        Action::named(name).unwrap_err().code
    }

    #[test]
    fn the_sixty_one_operations_of_the_model_are_known() {
        let known = Action::ALL.len() + NOT_SERVED.len() + ["GetSnapOverview"].len();
        assert_eq!(known, 61);
        assert!(Action::ALL.iter().all(|action| !NOT_SERVED.contains(&action.as_str())));
    }

    #[test]
    fn what_is_not_served_is_told_apart_from_what_does_not_exist() {
        assert_eq!(Action::named("CopySnapshotCrossRegions"), Ok(Action::CopySnapshotCrossRegions));
        assert_eq!(refused("ResizeDisk"), CommonCode::UnsupportedOperation.into());
        assert_eq!(refused("GetSnapOverview"), CommonCode::ActionOffline.into());
        assert_eq!(refused("DescribeSnapshotOperationLogs"), CommonCode::ActionOffline.into());
        assert_eq!(refused("DescribeRegions"), CommonCode::InvalidAction.into());
        assert_eq!(refused("copySnapshotCrossRegions"), CommonCode::InvalidAction.into());
    }
}
