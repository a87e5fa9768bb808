//! Errors of CBS: its own codes, and the common ones.

use crate::http::Reply;
use crate::tencent::{CommonCode, TencentError, error::error_codes};

error_codes! {
    /// The codes that CBS adds to the common ones, as its operations' documentation lists them.
    CbsCode {
        AuthFailure = "AuthFailure": "Whether you are authorized could not be found out.",
        InsufficientSnapshotQuota = "InsufficientSnapshotQuota": "The snapshot quota of the region is used up.",
        InternalErrorComponentError = "InternalError.ComponentError": "A dependent component failed.",
        InternalErrorFailQueryResource = "InternalError.FailQueryResource": "The resource could not be looked up.",
        InternalErrorResourceOpFailed = "InternalError.ResourceOpFailed": "An operation on the resource failed.",
        InvalidAccountInsufficientBalance = "InvalidAccount.InsufficientBalance": "The account is in arrears.",
        InvalidAutoSnapshotPolicyIdNotFound = "InvalidAutoSnapshotPolicyId.NotFound":
            "The scheduled snapshot policy does not exist.",
        InvalidDiskAlreadyBound = "InvalidDisk.AlreadyBound": "The disk is already bound to a policy.",
        InvalidDiskBusy = "InvalidDisk.Busy": "The disk is busy.",
        InvalidDiskNotSupported = "InvalidDisk.NotSupported": "The disk does not support this operation.",
        InvalidDiskNotSupportSnapshot = "InvalidDisk.NotSupportSnapshot": "The disk does not support snapshots.",
        InvalidDiskSnapshotCreating = "InvalidDisk.SnapshotCreating": "A snapshot of the disk is being created.",
        InvalidDiskIdNotFound = "InvalidDiskId.NotFound": "The disk does not exist.",
        InvalidFilter = "InvalidFilter": "The filter is not supported.",
        InvalidInstanceNotSupported = "InvalidInstance.NotSupported": "The instance does not support this operation.",
        InvalidInstanceIdNotFound = "InvalidInstanceId.NotFound": "The instance does not exist.",
        InvalidParameterDiskConfigNotSupported = "InvalidParameter.DiskConfigNotSupported":
            "Disks of this type are not offered in this zone.",
        InvalidParameterDiskSizeNotMatch = "InvalidParameter.DiskSizeNotMatch":
            "The size of the disk is not that of the snapshot.",
        InvalidParameterProjectIdNotExist = "InvalidParameter.ProjectIdNotExist": "The project does not exist.",
        InvalidParameterValueBindDiskLimitExceeded = "InvalidParameterValue.BindDiskLimitExceeded":
            "The policy cannot be bound to more disks.",
        InvalidParameterValueLimitExceeded = "InvalidParameterValue.LimitExceeded":
            "The number of values exceeds the limit.",
        InvalidSnapshotNotSupported = "InvalidSnapshot.NotSupported": "The snapshot does not support this operation.",
        InvalidSnapshotIdNotFound = "InvalidSnapshotId.NotFound": "The snapshot does not exist.",
        LimitExceededAutoSnapshotPolicyOutOfQuota = "LimitExceeded.AutoSnapshotPolicyOutOfQuota":
            "The quota of scheduled snapshot policies is used up.",
        LimitExceededInstanceAttachedDisk = "LimitExceeded.InstanceAttachedDisk":
            "No more disks can be attached to the instance.",
        ResourceBusy = "ResourceBusy": "The resource is busy. Try again later.",
        ResourceInUseCopySnapshotConflict = "ResourceInUse.CopySnapshotConflict":
            "The snapshot is already being copied to this region.",
        ResourceInUseDiskMigrating = "ResourceInUse.DiskMigrating": "The disk is being migrated.",
        ResourceInUseDiskRollbacking = "ResourceInUse.DiskRollbacking": "The disk is being rolled back.",
        ResourceInsufficientOverQuota = "ResourceInsufficient.OverQuota": "The quota is used up.",
        ResourceNotFoundNotFound = "ResourceNotFound.NotFound": "The resource does not exist.",
        ResourceUnavailableAttached = "ResourceUnavailable.Attached": "The disk is attached to another instance.",
        ResourceUnavailableNotSupported = "ResourceUnavailable.NotSupported":
            "The resource does not support this operation.",
        ResourceUnavailableSnapshotCreating = "ResourceUnavailable.SnapshotCreating":
            "The snapshot is being created.",
        ResourceUnavailableTooManyCreatingSnapshot = "ResourceUnavailable.TooManyCreatingSnapshot":
            "Too many snapshots are being created.",
        UnsupportedOperationDiskEncrypt = "UnsupportedOperation.DiskEncrypt":
            "Encrypted disks do not support this operation.",
        UnsupportedOperationSnapHasShared = "UnsupportedOperation.SnapHasShared":
            "The snapshot is shared with other accounts.",
        UnsupportedOperationSnapshotHasBindedImage = "UnsupportedOperation.SnapshotHasBindedImage":
            "Machine images are bound to the snapshot.",
        UnsupportedOperationSnapshotNotSupportCopy = "UnsupportedOperation.SnapshotNotSupportCopy":
            "The snapshot cannot be copied to other regions.",
        UnsupportedOperationStateError = "UnsupportedOperation.StateError":
            "The state of the resource does not allow this operation.",
    }
}

/// Any code that an operation of CBS can answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// One that all products have.
    Common(CommonCode),
    /// One of CBS's own.
    Cbs(CbsCode),
}

impl Code {
    /// The code on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Common(code) => code.as_str(),
            Self::Cbs(code) => code.as_str(),
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::Common(code) => code.message(),
            Self::Cbs(code) => code.message(),
        }
    }
}

impl From<CommonCode> for Code {
    fn from(code: CommonCode) -> Self {
        Self::Common(code)
    }
}

impl From<CbsCode> for Code {
    fn from(code: CbsCode) -> Self {
        Self::Cbs(code)
    }
}

/// A call of CBS that was refused. The message goes to the caller as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct CbsError {
    /// The code on the wire.
    pub code: Code,
    /// The text on the wire.
    pub message: String,
}

impl CbsError {
    /// A refusal that says more than the code's own text.
    pub fn new(code: impl Into<Code>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// The reply that carries this error.
    pub fn reply(&self, request_id: &str) -> Reply {
        crate::tencent::failure(self.code.as_str(), &self.message, request_id)
    }
}

impl<C: Into<Code>> From<C> for CbsError {
    fn from(code: C) -> Self {
        let code = code.into();
        Self::new(code, code.message())
    }
}

impl From<TencentError> for CbsError {
    fn from(error: TencentError) -> Self {
        Self::new(error.code, error.message)
    }
}
