//! The operations of CloudHSM, and the errors that each may answer with.

use super::error::ErrorCode;
use crate::aws::words::words;

words! {
    /// An operation. All of the service's are served.
    Operation {
        CopyBackupToRegion = "CopyBackupToRegion",
        CreateCluster = "CreateCluster",
        CreateHsm = "CreateHsm",
        DeleteBackup = "DeleteBackup",
        DeleteCluster = "DeleteCluster",
        DeleteHsm = "DeleteHsm",
        DeleteResourcePolicy = "DeleteResourcePolicy",
        DescribeBackups = "DescribeBackups",
        DescribeClusters = "DescribeClusters",
        GetResourcePolicy = "GetResourcePolicy",
        InitializeCluster = "InitializeCluster",
        ListTags = "ListTags",
        ModifyBackupAttributes = "ModifyBackupAttributes",
        ModifyCluster = "ModifyCluster",
        PutResourcePolicy = "PutResourcePolicy",
        RestoreBackup = "RestoreBackup",
        TagResource = "TagResource",
        UntagResource = "UntagResource",
    }
}

impl Operation {
    /// Whether the model names that error for this operation, so that typed clients can catch it.
    pub fn models(self, code: ErrorCode) -> bool {
        match code {
            ErrorCode::InvalidRequest | ErrorCode::AccessDenied | ErrorCode::Service | ErrorCode::InternalFailure => {
                true
            }
            ErrorCode::ResourceNotFound => self != Self::DescribeClusters,
            ErrorCode::ResourceLimitExceeded => self == Self::TagResource,
            ErrorCode::Tag => matches!(
                self,
                Self::CopyBackupToRegion
                    | Self::DescribeBackups
                    | Self::CreateCluster
                    | Self::DescribeClusters
                    | Self::DeleteCluster
                    | Self::TagResource
                    | Self::UntagResource
                    | Self::ListTags
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_eighteen_operations() {
        assert_eq!(Operation::ALL.len(), 18);
        assert_eq!(Operation::find("CopyBackupToRegion"), Some(Operation::CopyBackupToRegion));
        assert_eq!(Operation::find("copyBackupToRegion"), None);
    }

    #[test]
    fn each_operation_has_the_errors_of_its_model() {
        let count = |operation: Operation| ErrorCode::ALL.iter().filter(|code| operation.models(**code)).count();
        assert_eq!(count(Operation::TagResource), 7);
        assert_eq!(count(Operation::CopyBackupToRegion), 6);
        assert_eq!(count(Operation::DescribeClusters), 5);
        assert_eq!(count(Operation::InitializeCluster), 5);
    }
}
