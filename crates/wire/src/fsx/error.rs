//! Errors of FSx: its own, with the members that each one has, and the common ones.

use super::words::{ActiveDirectoryErrorType, ServiceLimit};
use crate::aws::error::{CommonCode, CommonError};
use crate::aws::json::{Failure, truncated};
use crate::http::Reply;

/// The longest message that the model allows, in characters.
const MESSAGE_CHARACTERS_MAX: usize = 256;

/// Why FSx refused a request. The wire names have no suffix `Exception`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FsxCode {
    /// A malformed or contradictory request.
    BadRequest,
    /// No such backup.
    BackupNotFound,
    /// No such file system.
    FileSystemNotFound,
    /// No such volume.
    VolumeNotFound,
    /// No such storage virtual machine.
    StorageVirtualMachineNotFound,
    /// A backup of that file system is running, or the backup to delete is not finished.
    BackupInProgress,
    /// The backup to delete is being copied.
    BackupBeingCopied {
        /// That backup.
        backup_id: String,
    },
    /// The backup to delete is being restored.
    BackupRestoring {
        /// The file system that is made from it.
        file_system_id: String,
    },
    /// The backup to copy is not `AVAILABLE`.
    SourceBackupUnavailable {
        /// That backup.
        backup_id: String,
    },
    /// The source region is unknown, or in another partition.
    InvalidRegion,
    /// The key of the source cannot be used.
    InvalidSourceKmsKey,
    /// The key for the copy cannot be used.
    InvalidDestinationKmsKey,
    /// The region called has no Multi-AZ Windows file systems.
    IncompatibleRegionForMultiAz,
    /// A token was used again with other parameters.
    IncompatibleParameterError {
        /// The first member that differs, as the API spells it.
        parameter: String,
    },
    /// A quota is exhausted.
    ServiceLimitExceeded {
        /// Which one.
        limit: ServiceLimit,
    },
    /// The operation is not available for this resource, or not at all.
    UnsupportedOperation,
    /// A subnet, security group or route table cannot be used.
    InvalidNetworkSettings {
        /// That subnet.
        subnet_id: Option<String>,
        /// That security group.
        security_group_id: Option<String>,
        /// That route table.
        route_table_id: Option<String>,
    },
    /// A throughput that this Lustre type does not have.
    InvalidPerUnitStorageThroughput,
    /// The path to import from cannot be used.
    InvalidImportPath,
    /// The path to export to cannot be used.
    InvalidExportPath,
    /// The settings for this file system type are absent.
    MissingFileSystemConfiguration,
    /// The settings for this volume type are absent.
    MissingVolumeConfiguration,
    /// A directory cannot be used.
    ActiveDirectoryError {
        /// That directory.
        active_directory_id: String,
        /// What is wrong with it.
        kind: Option<ActiveDirectoryErrorType>,
    },
    /// Nothing has that ARN.
    ResourceNotFound {
        /// The ARN as sent.
        resource_arn: String,
    },
    /// The ARN is another service's.
    NotServiceResourceError {
        /// The ARN as sent.
        resource_arn: String,
    },
    /// What has that ARN cannot have tags.
    ResourceDoesNotSupportTagging {
        /// The ARN as sent.
        resource_arn: String,
    },
    /// A failure on the server's side.
    InternalServerError,
    /// One that every service has.
    Common(CommonCode),
}

impl FsxCode {
    /// The name on the wire.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequest",
            Self::BackupNotFound => "BackupNotFound",
            Self::FileSystemNotFound => "FileSystemNotFound",
            Self::VolumeNotFound => "VolumeNotFound",
            Self::StorageVirtualMachineNotFound => "StorageVirtualMachineNotFound",
            Self::BackupInProgress => "BackupInProgress",
            Self::BackupBeingCopied { .. } => "BackupBeingCopied",
            Self::BackupRestoring { .. } => "BackupRestoring",
            Self::SourceBackupUnavailable { .. } => "SourceBackupUnavailable",
            Self::InvalidRegion => "InvalidRegion",
            Self::InvalidSourceKmsKey => "InvalidSourceKmsKey",
            Self::InvalidDestinationKmsKey => "InvalidDestinationKmsKey",
            Self::IncompatibleRegionForMultiAz => "IncompatibleRegionForMultiAZ",
            Self::IncompatibleParameterError { .. } => "IncompatibleParameterError",
            Self::ServiceLimitExceeded { .. } => "ServiceLimitExceeded",
            Self::UnsupportedOperation => "UnsupportedOperation",
            Self::InvalidNetworkSettings { .. } => "InvalidNetworkSettings",
            Self::InvalidPerUnitStorageThroughput => "InvalidPerUnitStorageThroughput",
            Self::InvalidImportPath => "InvalidImportPath",
            Self::InvalidExportPath => "InvalidExportPath",
            Self::MissingFileSystemConfiguration => "MissingFileSystemConfiguration",
            Self::MissingVolumeConfiguration => "MissingVolumeConfiguration",
            Self::ActiveDirectoryError { .. } => "ActiveDirectoryError",
            Self::ResourceNotFound { .. } => "ResourceNotFound",
            Self::NotServiceResourceError { .. } => "NotServiceResourceError",
            Self::ResourceDoesNotSupportTagging { .. } => "ResourceDoesNotSupportTagging",
            Self::InternalServerError => "InternalServerError",
            Self::Common(code) => code.as_str(),
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::InternalServerError => 500,
            Self::Common(code) => code.status(),
            _ => 400,
        }
    }

    /// The members that have a value, besides the message.
    fn members(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::BackupBeingCopied { backup_id } | Self::SourceBackupUnavailable { backup_id } => {
                vec![("BackupId", backup_id)]
            }
            Self::BackupRestoring { file_system_id } => vec![("FileSystemId", file_system_id)],
            Self::IncompatibleParameterError { parameter } => vec![("Parameter", parameter)],
            Self::ServiceLimitExceeded { limit } => vec![("Limit", limit.as_str())],
            Self::InvalidNetworkSettings { subnet_id, security_group_id, route_table_id } => {
                let members = [
                    ("InvalidSubnetId", subnet_id),
                    ("InvalidSecurityGroupId", security_group_id),
                    ("InvalidRouteTableId", route_table_id),
                ];
                members.into_iter().filter_map(|(name, id)| Some((name, id.as_deref()?))).collect()
            }
            Self::ActiveDirectoryError { active_directory_id, kind } => {
                let id = ("ActiveDirectoryId", active_directory_id.as_str());
                std::iter::once(id).chain(kind.map(|kind| ("Type", kind.as_str()))).collect()
            }
            Self::ResourceNotFound { resource_arn }
            | Self::NotServiceResourceError { resource_arn }
            | Self::ResourceDoesNotSupportTagging { resource_arn } => vec![("ResourceARN", resource_arn)],
            _ => Vec::new(),
        }
    }
}

/// A request that FSx refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct FsxError {
    /// What the caller's program goes by.
    pub code: FsxCode,
    /// What a person reads; cut to 256 characters on the wire.
    pub message: String,
}

impl FsxError {
    /// An error with its message.
    pub fn new(code: FsxCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// `BadRequest`.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(FsxCode::BadRequest, message)
    }

    /// `InternalServerError`, which says nothing about what happened inside.
    pub fn internal() -> Self {
        Self::new(FsxCode::InternalServerError, "The request could not be processed because of an internal error.")
    }

    /// The reply.
    pub fn reply(&self, request_id: &str) -> Reply {
        let message_name = if matches!(self.code, FsxCode::Common(_)) { "message" } else { "Message" };
        let failure = Failure {
            code: self.code.as_str(),
            status: self.code.status(),
            message_name,
            message: truncated(&self.message, MESSAGE_CHARACTERS_MAX),
            members: &self.code.members(),
        };
        failure.reply(request_id)
    }
}

impl From<CommonError> for FsxError {
    fn from(error: CommonError) -> Self {
        Self::new(FsxCode::Common(error.code), error.message)
    }
}

impl From<CommonCode> for FsxError {
    fn from(code: CommonCode) -> Self {
        CommonError::from(code).into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body(error: &FsxError) -> Value {
        serde_json::from_slice(&error.reply("id").body).unwrap()
    }

    #[test]
    fn members_stand_beside_the_message() {
        let limit = FsxCode::ServiceLimitExceeded { limit: ServiceLimit::TotalInProgressCopyBackups };
        let copied = FsxCode::BackupBeingCopied { backup_id: "backup-0abc123456789cba7".to_owned() };
        let network = FsxCode::InvalidNetworkSettings {
            subnet_id: Some("subnet-1".to_owned()),
            security_group_id: None,
            route_table_id: None,
        };
        let directory = FsxCode::ActiveDirectoryError {
            active_directory_id: "d-0123456789".to_owned(),
            kind: Some(ActiveDirectoryErrorType::WrongVpc),
        };
        let cases = [
            (
                limit,
                json!({"__type": "ServiceLimitExceeded", "Limit": "TOTAL_IN_PROGRESS_COPY_BACKUPS", "Message": "m"}),
            ),
            (copied, json!({"__type": "BackupBeingCopied", "BackupId": "backup-0abc123456789cba7", "Message": "m"})),
            (network, json!({"__type": "InvalidNetworkSettings", "InvalidSubnetId": "subnet-1", "Message": "m"})),
            (
                directory,
                json!({
                    "__type": "ActiveDirectoryError", "ActiveDirectoryId": "d-0123456789", "Type": "WRONG_VPC",
                    "Message": "m"
                }),
            ),
            (FsxCode::BackupNotFound, json!({"__type": "BackupNotFound", "Message": "m"})),
        ];
        for (code, wanted) in cases {
            let error = FsxError::new(code, "m");
            assert_eq!(body(&error), wanted);
            assert_eq!(error.reply("id").status, 400);
        }
    }

    #[test]
    fn a_long_message_is_cut_to_what_the_model_allows() {
        let message = body(&FsxError::bad_request("ä".repeat(300)));
        assert_eq!(message["Message"], "ä".repeat(256));
        assert_eq!(body(&FsxError::bad_request(""))["Message"], "BadRequest");
    }

    #[test]
    fn a_failure_of_the_server_is_500() {
        assert_eq!(FsxError::internal().reply("id").status, 500);
        assert_eq!(FsxError::from(CommonCode::UnknownEndpoint).reply("id").status, 404);
    }

    #[test]
    fn common_errors_spell_message_small() {
        let error = FsxError::from(CommonCode::AccessDenied);
        assert_eq!(
            body(&error),
            json!({"__type": "AccessDeniedException", "message": "You are not authorized to perform this operation."})
        );
    }
}
