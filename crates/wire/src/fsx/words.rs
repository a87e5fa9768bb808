//! The enumerations of the FSx model that are used here.

use crate::aws::words::words;

words! {
    /// Where a backup is in its life.
    BackupLifecycle {
        /// Complete: can be copied and restored.
        Available = "AVAILABLE",
        /// Being taken.
        Creating = "CREATING",
        /// Its data is on the way to durable storage; Lustre only.
        Transferring = "TRANSFERRING",
        /// Removed; only in the reply of `DeleteBackup`.
        Deleted = "DELETED",
        /// Could not be completed.
        Failed = "FAILED",
        /// Not begun; Lustre only.
        Pending = "PENDING",
        /// The product of a copy that is still running.
        Copying = "COPYING",
    }

    /// Who asked for a backup.
    BackupType {
        /// The daily window; subject to retention.
        Automatic = "AUTOMATIC",
        /// A user; copies are of this type whatever was copied.
        UserInitiated = "USER_INITIATED",
        /// AWS Backup.
        AwsBackup = "AWS_BACKUP",
    }

    /// What a backup is of.
    ResourceType {
        FileSystem = "FILE_SYSTEM",
        Volume = "VOLUME",
    }

    /// Where a file system is in its life.
    FileSystemLifecycle {
        Available = "AVAILABLE",
        Creating = "CREATING",
        Failed = "FAILED",
        Deleting = "DELETING",
        Misconfigured = "MISCONFIGURED",
        Updating = "UPDATING",
        MisconfiguredUnavailable = "MISCONFIGURED_UNAVAILABLE",
    }

    /// The kind of a file system.
    FileSystemType {
        Windows = "WINDOWS",
        Lustre = "LUSTRE",
        Ontap = "ONTAP",
        OpenZfs = "OPENZFS",
    }

    /// What a file system is stored on.
    StorageType {
        Ssd = "SSD",
        Hdd = "HDD",
        IntelligentTiering = "INTELLIGENT_TIERING",
    }

    /// The IP versions of a file system.
    NetworkType {
        Ipv4 = "IPV4",
        Dual = "DUAL",
    }

    /// How a Windows file system is deployed.
    WindowsDeploymentType {
        MultiAz1 = "MULTI_AZ_1",
        SingleAz1 = "SINGLE_AZ_1",
        SingleAz2 = "SINGLE_AZ_2",
    }

    /// How a Lustre file system is deployed.
    LustreDeploymentType {
        Scratch1 = "SCRATCH_1",
        Scratch2 = "SCRATCH_2",
        Persistent1 = "PERSISTENT_1",
        Persistent2 = "PERSISTENT_2",
    }

    /// How an ONTAP file system is deployed.
    OntapDeploymentType {
        MultiAz1 = "MULTI_AZ_1",
        SingleAz1 = "SINGLE_AZ_1",
        SingleAz2 = "SINGLE_AZ_2",
        MultiAz2 = "MULTI_AZ_2",
    }

    /// How an OpenZFS file system is deployed.
    OpenZfsDeploymentType {
        SingleAz1 = "SINGLE_AZ_1",
        SingleAz2 = "SINGLE_AZ_2",
        SingleAzHa1 = "SINGLE_AZ_HA_1",
        SingleAzHa2 = "SINGLE_AZ_HA_2",
        MultiAz1 = "MULTI_AZ_1",
    }

    /// What a listing can be narrowed by.
    FilterName {
        FileSystemId = "file-system-id",
        BackupType = "backup-type",
        FileSystemType = "file-system-type",
        VolumeId = "volume-id",
        /// Not of backups.
        DataRepositoryType = "data-repository-type",
        /// Not of backups.
        FileCacheId = "file-cache-id",
        /// Not of backups.
        FileCacheType = "file-cache-type",
    }

    /// What volumes can be narrowed by.
    VolumeFilterName {
        FileSystemId = "file-system-id",
        StorageVirtualMachineId = "storage-virtual-machine-id",
    }

    /// What storage virtual machines can be narrowed by.
    StorageVirtualMachineFilterName {
        FileSystemId = "file-system-id",
    }

    /// The quota that is exhausted.
    ServiceLimit {
        FileSystemCount = "FILE_SYSTEM_COUNT",
        TotalThroughputCapacity = "TOTAL_THROUGHPUT_CAPACITY",
        TotalStorage = "TOTAL_STORAGE",
        TotalUserInitiatedBackups = "TOTAL_USER_INITIATED_BACKUPS",
        TotalUserTags = "TOTAL_USER_TAGS",
        TotalInProgressCopyBackups = "TOTAL_IN_PROGRESS_COPY_BACKUPS",
        StorageVirtualMachinesPerFileSystem = "STORAGE_VIRTUAL_MACHINES_PER_FILE_SYSTEM",
        VolumesPerFileSystem = "VOLUMES_PER_FILE_SYSTEM",
        TotalSsdIops = "TOTAL_SSD_IOPS",
        FileCacheCount = "FILE_CACHE_COUNT",
    }

    /// Where a volume is in its life.
    VolumeLifecycle {
        Creating = "CREATING",
        Created = "CREATED",
        Deleting = "DELETING",
        Failed = "FAILED",
        Misconfigured = "MISCONFIGURED",
        Pending = "PENDING",
        Available = "AVAILABLE",
    }

    /// The kind of a volume.
    VolumeType {
        Ontap = "ONTAP",
        OpenZfs = "OPENZFS",
    }

    /// What changes a file system.
    AdministrativeActionType {
        FileSystemUpdate = "FILE_SYSTEM_UPDATE",
        StorageOptimization = "STORAGE_OPTIMIZATION",
        FileSystemAliasAssociation = "FILE_SYSTEM_ALIAS_ASSOCIATION",
        FileSystemAliasDisassociation = "FILE_SYSTEM_ALIAS_DISASSOCIATION",
        VolumeUpdate = "VOLUME_UPDATE",
        SnapshotUpdate = "SNAPSHOT_UPDATE",
        ReleaseNfsV3Locks = "RELEASE_NFS_V3_LOCKS",
        VolumeRestore = "VOLUME_RESTORE",
        ThroughputOptimization = "THROUGHPUT_OPTIMIZATION",
        IopsOptimization = "IOPS_OPTIMIZATION",
        StorageTypeOptimization = "STORAGE_TYPE_OPTIMIZATION",
        MisconfiguredStateRecovery = "MISCONFIGURED_STATE_RECOVERY",
        VolumeUpdateWithSnapshot = "VOLUME_UPDATE_WITH_SNAPSHOT",
        VolumeInitializeWithSnapshot = "VOLUME_INITIALIZE_WITH_SNAPSHOT",
        DownloadDataFromBackup = "DOWNLOAD_DATA_FROM_BACKUP",
    }

    /// How far an administrative action has come.
    Status {
        Failed = "FAILED",
        InProgress = "IN_PROGRESS",
        Pending = "PENDING",
        Completed = "COMPLETED",
        UpdatedOptimizing = "UPDATED_OPTIMIZING",
        Optimizing = "OPTIMIZING",
        Paused = "PAUSED",
        Cancelled = "CANCELLED",
    }

    /// What is wrong with a directory.
    ActiveDirectoryErrorType {
        DomainNotFound = "DOMAIN_NOT_FOUND",
        IncompatibleDomainMode = "INCOMPATIBLE_DOMAIN_MODE",
        WrongVpc = "WRONG_VPC",
        InvalidNetworkType = "INVALID_NETWORK_TYPE",
        InvalidDomainStage = "INVALID_DOMAIN_STAGE",
    }

    /// What the service is doing to a file system.
    FileSystemMaintenanceOperation {
        Patching = "PATCHING",
        BackingUp = "BACKING_UP",
    }

    /// The cache before hard disks.
    DriveCacheType {
        None = "NONE",
        Read = "READ",
    }

    /// How Lustre compresses.
    DataCompressionType {
        None = "NONE",
        Lz4 = "LZ4",
    }

    /// What Lustre takes over from a linked bucket.
    AutoImportPolicyType {
        None = "NONE",
        New = "NEW",
        NewChanged = "NEW_CHANGED",
        NewChangedDeleted = "NEW_CHANGED_DELETED",
    }

    /// The state of a link to a bucket.
    DataRepositoryLifecycle {
        Creating = "CREATING",
        Available = "AVAILABLE",
        Misconfigured = "MISCONFIGURED",
        Updating = "UPDATING",
        Deleting = "DELETING",
        Failed = "FAILED",
    }

    /// What Lustre logs.
    LustreAccessAuditLogLevel {
        Disabled = "DISABLED",
        WarnOnly = "WARN_ONLY",
        ErrorOnly = "ERROR_ONLY",
        WarnError = "WARN_ERROR",
    }

    /// What Windows logs.
    WindowsAccessAuditLogLevel {
        Disabled = "DISABLED",
        SuccessOnly = "SUCCESS_ONLY",
        FailureOnly = "FAILURE_ONLY",
        SuccessAndFailure = "SUCCESS_AND_FAILURE",
    }

    /// Who decides on the IOPS of disks.
    DiskIopsConfigurationMode {
        Automatic = "AUTOMATIC",
        UserProvisioned = "USER_PROVISIONED",
    }

    /// Who decides on the IOPS of metadata.
    MetadataConfigurationMode {
        Automatic = "AUTOMATIC",
        UserProvisioned = "USER_PROVISIONED",
    }

    /// How large a read cache is; the same words for Lustre and OpenZFS.
    ReadCacheSizingMode {
        NoCache = "NO_CACHE",
        UserProvisioned = "USER_PROVISIONED",
        ProportionalToThroughputCapacity = "PROPORTIONAL_TO_THROUGHPUT_CAPACITY",
    }

    /// How OpenZFS compresses.
    OpenZfsDataCompressionType {
        None = "NONE",
        Zstd = "ZSTD",
        Lz4 = "LZ4",
    }

    /// Whose quota it is.
    OpenZfsQuotaType {
        User = "USER",
        Group = "GROUP",
    }

    /// What else goes when an OpenZFS file system is deleted.
    DeleteFileSystemOpenZfsOption {
        DeleteChildVolumesAndSnapshots = "DELETE_CHILD_VOLUMES_AND_SNAPSHOTS",
    }

    /// The state of a DNS alias.
    AliasLifecycle {
        Available = "AVAILABLE",
        Creating = "CREATING",
        Deleting = "DELETING",
        CreateFailed = "CREATE_FAILED",
        DeleteFailed = "DELETE_FAILED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_written_as_they_are_found() {
        for &kind in FileSystemType::ALL {
            assert_eq!(FileSystemType::find(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(serde_json::from_value::<FileSystemType>(kind.as_str().into()).unwrap(), kind);
        }
        assert_eq!(BackupLifecycle::find("available"), None);
    }
}
