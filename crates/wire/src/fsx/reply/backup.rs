//! A backup as it is described.

use super::super::request::Tag;
use super::super::words::{BackupLifecycle, BackupType, ResourceType, VolumeLifecycle, VolumeType};
use super::{FailureDetails, KeptFileSystem, output};
use crate::aws::json::EpochSeconds;

output! {
    /// A backup.
    Backup {
        always {
            backup_id: String,
            lifecycle: BackupLifecycle,
            #[serde(rename = "Type")]
            kind: BackupType,
            /// When this record was made; for a copy, when the copy was asked for.
            creation_time: EpochSeconds,
            /// The file system as it was when the backup was taken. It outlives the file system itself.
            file_system: KeptFileSystem,
        }
        optional {
            /// Only with `FAILED`.
            failure_details: FailureDetails,
            progress_percent: u8,
            /// The ARN of the key.
            kms_key_id: String,
            /// In the backup's own region.
            #[serde(rename = "ResourceARN")]
            resource_arn: String,
            /// Absent when there are none.
            tags: Vec<Tag>,
            /// Windows only.
            directory_information: ActiveDirectoryBackupAttributes,
            owner_id: String,
            /// Only on copies.
            source_backup_id: String,
            /// Only on copies.
            source_backup_region: String,
            resource_type: ResourceType,
            /// Only for backups of volumes.
            volume: Volume,
            /// What a restore would bring back, not what is stored.
            size_in_bytes: u64,
        }
    }

    /// The directory that a Windows file system had joined.
    ActiveDirectoryBackupAttributes {
        always {}
        optional {
            domain_name: String,
            active_directory_id: String,
            #[serde(rename = "ResourceARN")]
            resource_arn: String,
        }
    }

    /// A volume.
    Volume {
        always {}
        optional {
            creation_time: EpochSeconds,
            file_system_id: String,
            lifecycle: VolumeLifecycle,
            name: String,
            ontap_configuration: OntapVolumeConfiguration,
            #[serde(rename = "ResourceARN")]
            resource_arn: String,
            tags: Vec<Tag>,
            volume_id: String,
            volume_type: VolumeType,
        }
    }

    /// Settings of an ONTAP volume that matter to its backups.
    OntapVolumeConfiguration {
        always {}
        optional {
            junction_path: String,
            size_in_megabytes: u64,
            size_in_bytes: u64,
            storage_efficiency_enabled: bool,
            storage_virtual_machine_id: String,
            storage_virtual_machine_root: bool,
            #[serde(rename = "UUID")]
            uuid: String,
            snapshot_policy: String,
            copy_tags_to_backups: bool,
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::fsx::reply::{BackupReply, FileSystem, LustreFileSystemConfiguration};
    use crate::fsx::words::{FileSystemType, LustreDeploymentType, StorageType};

    fn described() -> Value {
        json!({"Backup":{
          "BackupId":"backup-0c5f1e2d3a4b59687","Lifecycle":"COPYING","Type":"USER_INITIATED","ProgressPercent":0,
          "CreationTime":1768478400.127,
          "KmsKeyId":"arn:aws:kms:us-west-1:111122223333:key/0f0e0d0c-0b0a-4908-8706-050403020100",
          "ResourceARN":"arn:aws:fsx:us-west-1:111122223333:backup/backup-0c5f1e2d3a4b59687",
          "OwnerId":"111122223333","ResourceType":"FILE_SYSTEM",
          "SourceBackupId":"backup-0abc123456789cba7","SourceBackupRegion":"us-east-2",
          "Tags":[{"Key":"Name","Value":"dr"}],
          "FileSystem":{"FileSystemId":"fs-0123456789abcdef0","FileSystemType":"LUSTRE","OwnerId":"111122223333",
            "StorageCapacity":1200,"StorageType":"SSD",
            "ResourceARN":"arn:aws:fsx:us-east-2:111122223333:file-system/fs-0123456789abcdef0",
            "LustreConfiguration":{"DeploymentType":"PERSISTENT_1","PerUnitStorageThroughput":50,
              "DailyAutomaticBackupStartTime":"05:00","AutomaticBackupRetentionDays":0,"CopyTagsToBackups":false}}}})
    }

    fn backup() -> Backup {
        let text = |text: &str| Some(text.to_owned());
        let lustre = LustreFileSystemConfiguration {
            deployment_type: Some(LustreDeploymentType::Persistent1),
            per_unit_storage_throughput: Some(50),
            daily_automatic_backup_start_time: text("05:00"),
            automatic_backup_retention_days: Some(0),
            copy_tags_to_backups: Some(false),
            ..LustreFileSystemConfiguration::default()
        };
        let file_system = FileSystem {
            file_system_id: text("fs-0123456789abcdef0"),
            file_system_type: Some(FileSystemType::Lustre),
            owner_id: text("111122223333"),
            storage_capacity: Some(1200),
            storage_type: Some(StorageType::Ssd),
            resource_arn: text("arn:aws:fsx:us-east-2:111122223333:file-system/fs-0123456789abcdef0"),
            lustre_configuration: Some(lustre),
            ..FileSystem::default()
        };
        Backup {
            backup_id: "backup-0c5f1e2d3a4b59687".to_owned(),
            lifecycle: BackupLifecycle::Copying,
            kind: BackupType::UserInitiated,
            creation_time: EpochSeconds(Timestamp(1_768_478_400_127)),
            file_system: KeptFileSystem::from(&file_system),
            failure_details: None,
            progress_percent: Some(0),
            kms_key_id: text("arn:aws:kms:us-west-1:111122223333:key/0f0e0d0c-0b0a-4908-8706-050403020100"),
            resource_arn: text("arn:aws:fsx:us-west-1:111122223333:backup/backup-0c5f1e2d3a4b59687"),
            tags: Some(vec![Tag { key: "Name".to_owned(), value: "dr".to_owned() }]),
            directory_information: None,
            owner_id: text("111122223333"),
            source_backup_id: text("backup-0abc123456789cba7"),
            source_backup_region: text("us-east-2"),
            resource_type: Some(ResourceType::FileSystem),
            volume: None,
            size_in_bytes: None,
        }
    }

    #[test]
    fn a_copy_is_described_as_the_service_describes_it() {
        assert_eq!(serde_json::to_value(BackupReply { backup: backup() }).unwrap(), described());
    }
}
