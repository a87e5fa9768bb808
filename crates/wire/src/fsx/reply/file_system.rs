//! A file system as it is described.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::request::Tag;
use super::super::words::{
    AdministrativeActionType, FileSystemLifecycle, FileSystemType, NetworkType, Status, StorageType,
};
use super::{
    LustreFileSystemConfiguration, OntapFileSystemConfiguration, OpenZfsFileSystemConfiguration, Volume,
    WindowsFileSystemConfiguration, output,
};
use crate::aws::json::EpochSeconds;

output! {
    /// A file system, now or as a backup remembers it.
    #[derive(Default)]
    FileSystem {
        always {}
        optional {
            owner_id: String,
            creation_time: EpochSeconds,
            file_system_id: String,
            file_system_type: FileSystemType,
            lifecycle: FileSystemLifecycle,
            failure_details: FailureDetails,
            /// In GiB.
            storage_capacity: i64,
            storage_type: StorageType,
            vpc_id: String,
            subnet_ids: Vec<String>,
            network_interface_ids: Vec<String>,
            #[serde(rename = "DNSName")]
            dns_name: String,
            /// The ARN of the key.
            kms_key_id: String,
            #[serde(rename = "ResourceARN")]
            resource_arn: String,
            /// Absent when there are none.
            tags: Vec<Tag>,
            windows_configuration: WindowsFileSystemConfiguration,
            lustre_configuration: LustreFileSystemConfiguration,
            administrative_actions: Vec<AdministrativeAction>,
            ontap_configuration: OntapFileSystemConfiguration,
            file_system_type_version: String,
            #[serde(rename = "OpenZFSConfiguration")]
            openzfs_configuration: OpenZfsFileSystemConfiguration,
            network_type: NetworkType,
        }
    }

    /// Why something failed.
    FailureDetails {
        always {
            message: String,
        }
        optional {}
    }

    /// A change in progress.
    #[derive(Default)]
    AdministrativeAction {
        always {}
        optional {
            administrative_action_type: AdministrativeActionType,
            progress_percent: u8,
            request_time: EpochSeconds,
            status: Status,
            target_file_system_values: Box<FileSystem>,
            failure_details: FailureDetails,
            target_volume_values: Volume,
            total_transfer_bytes: u64,
            remaining_transfer_bytes: u64,
            message: String,
        }
    }
}

/// The description of a file system that a backup keeps, as JSON. Most of a listing is these, and they are passed on as
/// they stand.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeptFileSystem(Box<RawValue>);

impl KeptFileSystem {
    /// One that was kept. `None` for `{}`, which describes nothing, and for what is no JSON.
    pub fn from_kept(text: &str) -> Option<Self> {
        let text = text.trim();
        RawValue::from_string(text.to_owned()).ok().filter(|_| text.starts_with('{') && text != "{}").map(Self)
    }

    /// The JSON.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl From<&FileSystem> for KeptFileSystem {
    fn from(described: &FileSystem) -> Self {
        Self(serde_json::value::to_raw_value(described).expect("descriptions are structures of plain data"))
    }
}

impl PartialEq for KeptFileSystem {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn irregular_names_are_the_apis_own() {
        let file_system = FileSystem {
            dns_name: Some("fs-1.fsx.us-west-1.amazonaws.com".to_owned()),
            openzfs_configuration: Some(OpenZfsFileSystemConfiguration::default()),
            administrative_actions: Some(vec![AdministrativeAction {
                administrative_action_type: Some(AdministrativeActionType::FileSystemUpdate),
                status: Some(Status::Pending),
                target_file_system_values: Some(Box::default()),
                ..AdministrativeAction::default()
            }]),
            ..FileSystem::default()
        };
        let wanted = json!({
            "DNSName": "fs-1.fsx.us-west-1.amazonaws.com",
            "OpenZFSConfiguration": {},
            "AdministrativeActions": [
                {"AdministrativeActionType": "FILE_SYSTEM_UPDATE", "Status": "PENDING", "TargetFileSystemValues": {}}
            ]
        });
        assert_eq!(serde_json::to_value(&file_system).unwrap(), wanted);
        let kept = KeptFileSystem::from(&file_system);
        assert_eq!(serde_json::to_value(&kept).unwrap(), wanted);
        assert_eq!(serde_json::from_str::<FileSystem>(kept.as_str()).unwrap(), file_system);
    }

    #[test]
    fn only_what_describes_is_passed_on() {
        let kept = r#"{"FileSystemId":"fs-0123456789abcdef0"}"#;
        assert_eq!(KeptFileSystem::from_kept(kept).unwrap().as_str(), kept);
        for other in ["{}", "", "null", "[]", "{\"a\":", "{} {}"] {
            assert_eq!(KeptFileSystem::from_kept(other), None, "{other}");
        }
    }
}
