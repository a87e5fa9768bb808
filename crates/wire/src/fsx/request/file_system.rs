//! Operations that make, change and remove file systems.

use super::super::scalar::{
    BACKUP_ID, CLIENT_REQUEST_TOKEN, DISK_IOPS, FILE_SYSTEM_ID, FILE_SYSTEM_TYPE_VERSION, KMS_KEY_ID,
    SECURITY_GROUP_IDS, STORAGE_CAPACITY, SUBNET_IDS, TAGS,
};
use super::super::words::{
    DeleteFileSystemOpenZfsOption, DiskIopsConfigurationMode, FileSystemType, NetworkType, StorageType,
};
use super::{
    CreateFileSystemLustreConfiguration, CreateFileSystemOntapConfiguration, CreateFileSystemOpenZfsConfiguration,
    CreateFileSystemWindowsConfiguration, Tag, UpdateFileSystemLustreConfiguration, UpdateFileSystemOntapConfiguration,
    UpdateFileSystemOpenZfsConfiguration, UpdateFileSystemWindowsConfiguration,
};
use crate::aws::shape::{Count, structure};

structure! {
    /// Makes a file system.
    CreateFileSystem {
        client_request_token: Option<String> = "ClientRequestToken" => &CLIENT_REQUEST_TOKEN,
        file_system_type: FileSystemType = "FileSystemType",
        /// In GiB.
        storage_capacity: Option<i64> = "StorageCapacity" => &STORAGE_CAPACITY,
        /// `SSD` when there is none.
        storage_type: Option<StorageType> = "StorageType",
        subnet_ids: Vec<String> = "SubnetIds" => &SUBNET_IDS,
        security_group_ids: Option<Vec<String>> = "SecurityGroupIds" => &SECURITY_GROUP_IDS,
        tags: Option<Vec<Tag>> = "Tags" => &TAGS,
        kms_key_id: Option<String> = "KmsKeyId" => &KMS_KEY_ID,
        windows_configuration: Option<CreateFileSystemWindowsConfiguration> = "WindowsConfiguration",
        lustre_configuration: Option<CreateFileSystemLustreConfiguration> = "LustreConfiguration",
        ontap_configuration: Option<CreateFileSystemOntapConfiguration> = "OntapConfiguration",
        file_system_type_version: Option<String> = "FileSystemTypeVersion" => &FILE_SYSTEM_TYPE_VERSION,
        openzfs_configuration: Option<CreateFileSystemOpenZfsConfiguration> = "OpenZFSConfiguration",
        network_type: Option<NetworkType> = "NetworkType",
    }

    /// Makes a file system with the contents and, where nothing else is said, the settings of a backup.
    CreateFileSystemFromBackup {
        backup_id: String = "BackupId" => &BACKUP_ID,
        client_request_token: Option<String> = "ClientRequestToken" => &CLIENT_REQUEST_TOKEN,
        subnet_ids: Vec<String> = "SubnetIds" => &SUBNET_IDS,
        security_group_ids: Option<Vec<String>> = "SecurityGroupIds" => &SECURITY_GROUP_IDS,
        tags: Option<Vec<Tag>> = "Tags" => &TAGS,
        windows_configuration: Option<CreateFileSystemWindowsConfiguration> = "WindowsConfiguration",
        lustre_configuration: Option<CreateFileSystemLustreConfiguration> = "LustreConfiguration",
        storage_type: Option<StorageType> = "StorageType",
        kms_key_id: Option<String> = "KmsKeyId" => &KMS_KEY_ID,
        file_system_type_version: Option<String> = "FileSystemTypeVersion" => &FILE_SYSTEM_TYPE_VERSION,
        openzfs_configuration: Option<CreateFileSystemOpenZfsConfiguration> = "OpenZFSConfiguration",
        /// In GiB.
        storage_capacity: Option<i64> = "StorageCapacity" => &STORAGE_CAPACITY,
        network_type: Option<NetworkType> = "NetworkType",
    }

    /// Changes what is given of a file system.
    UpdateFileSystem {
        file_system_id: String = "FileSystemId" => &FILE_SYSTEM_ID,
        client_request_token: Option<String> = "ClientRequestToken" => &CLIENT_REQUEST_TOKEN,
        /// In GiB.
        storage_capacity: Option<i64> = "StorageCapacity" => &STORAGE_CAPACITY,
        windows_configuration: Option<UpdateFileSystemWindowsConfiguration> = "WindowsConfiguration",
        lustre_configuration: Option<UpdateFileSystemLustreConfiguration> = "LustreConfiguration",
        ontap_configuration: Option<UpdateFileSystemOntapConfiguration> = "OntapConfiguration",
        openzfs_configuration: Option<UpdateFileSystemOpenZfsConfiguration> = "OpenZFSConfiguration",
        storage_type: Option<StorageType> = "StorageType",
        file_system_type_version: Option<String> = "FileSystemTypeVersion" => &FILE_SYSTEM_TYPE_VERSION,
        network_type: Option<NetworkType> = "NetworkType",
    }

    /// Removes a file system and its automatic backups, after a last backup if that is wanted.
    DeleteFileSystem {
        file_system_id: String = "FileSystemId" => &FILE_SYSTEM_ID,
        client_request_token: Option<String> = "ClientRequestToken" => &CLIENT_REQUEST_TOKEN,
        windows_configuration: Option<DeleteFileSystemConfiguration> = "WindowsConfiguration",
        lustre_configuration: Option<DeleteFileSystemConfiguration> = "LustreConfiguration",
        openzfs_configuration: Option<DeleteFileSystemOpenZfsConfiguration> = "OpenZFSConfiguration",
    }

    /// Whether there is to be a last backup, of Windows or Lustre.
    DeleteFileSystemConfiguration {
        /// When there is none: false for Windows, true for Lustre.
        skip_final_backup: Option<bool> = "SkipFinalBackup",
        final_backup_tags: Option<Vec<Tag>> = "FinalBackupTags" => &TAGS,
    }

    /// Whether there is to be a last backup, of OpenZFS.
    DeleteFileSystemOpenZfsConfiguration {
        /// False when there is none.
        skip_final_backup: Option<bool> = "SkipFinalBackup",
        final_backup_tags: Option<Vec<Tag>> = "FinalBackupTags" => &TAGS,
        options: Option<Vec<DeleteFileSystemOpenZfsOption>> = "Options" => &Count(0..=1),
    }

    /// The IOPS of a file system's disks.
    #[derive(serde::Deserialize)]
    DiskIopsConfiguration {
        /// `AUTOMATIC` means 3 for each GiB.
        mode: Option<DiskIopsConfigurationMode> = "Mode",
        iops: Option<i64> = "Iops" => &DISK_IOPS,
    }
}

impl UpdateFileSystem {
    /// For how many days automatic backups are to be kept from now on, if anything is said of that.
    pub fn automatic_backup_retention_days(&self) -> Option<i64> {
        let windows = self.windows_configuration.as_ref().and_then(|s| s.automatic_backup_retention_days);
        let lustre = self.lustre_configuration.as_ref().and_then(|s| s.automatic_backup_retention_days);
        let openzfs = self.openzfs_configuration.as_ref().and_then(|s| s.automatic_backup_retention_days);
        windows.or(lustre).or(openzfs)
    }
}

impl DeleteFileSystem {
    /// The tags given for a last backup, in whichever settings.
    pub fn final_backup_tags(&self) -> impl Iterator<Item = &[Tag]> {
        let plain = [&self.windows_configuration, &self.lustre_configuration];
        let plain = plain.into_iter().flatten().map(|settings| &settings.final_backup_tags);
        let openzfs = self.openzfs_configuration.iter().map(|settings| &settings.final_backup_tags);
        plain.chain(openzfs).flatten().map(Vec::as_slice)
    }
}
