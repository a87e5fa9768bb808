//! Settings of Lustre file systems.

use super::super::scalar::{
    ARCHIVE_PATH, AUTOMATIC_BACKUP_RETENTION_DAYS, DAILY_TIME, GENERAL_ARN, MEGABYTES, METADATA_IOPS, NO_SQUASH_NIDS,
    PER_UNIT_STORAGE_THROUGHPUT, ROOT_SQUASH, STORAGE_CAPACITY, THROUGHPUT_CAPACITY_MBPS, WEEKLY_TIME,
};
use super::super::words::{
    AutoImportPolicyType, DataCompressionType, DriveCacheType, LustreAccessAuditLogLevel, LustreDeploymentType,
    MetadataConfigurationMode, ReadCacheSizingMode,
};
use crate::aws::shape::structure;

structure! {
    /// Settings of a new Lustre file system.
    CreateFileSystemLustreConfiguration {
        weekly_maintenance_start_time: Option<String> = "WeeklyMaintenanceStartTime" => &WEEKLY_TIME,
        /// Links the file system to a bucket, after which it cannot be backed up.
        import_path: Option<String> = "ImportPath" => &ARCHIVE_PATH,
        export_path: Option<String> = "ExportPath" => &ARCHIVE_PATH,
        imported_file_chunk_size: Option<i64> = "ImportedFileChunkSize" => &MEGABYTES,
        /// `SCRATCH_1` when there is none.
        deployment_type: Option<LustreDeploymentType> = "DeploymentType",
        auto_import_policy: Option<AutoImportPolicyType> = "AutoImportPolicy",
        /// In MB/s for each TiB.
        per_unit_storage_throughput: Option<i64> = "PerUnitStorageThroughput" => &PER_UNIT_STORAGE_THROUGHPUT,
        daily_automatic_backup_start_time: Option<String> = "DailyAutomaticBackupStartTime" => &DAILY_TIME,
        /// 0 when there is none.
        automatic_backup_retention_days: Option<i64> =
            "AutomaticBackupRetentionDays" => &AUTOMATIC_BACKUP_RETENTION_DAYS,
        copy_tags_to_backups: Option<bool> = "CopyTagsToBackups",
        drive_cache_type: Option<DriveCacheType> = "DriveCacheType",
        data_compression_type: Option<DataCompressionType> = "DataCompressionType",
        efa_enabled: Option<bool> = "EfaEnabled",
        log_configuration: Option<LustreLogConfiguration> = "LogConfiguration",
        root_squash_configuration: Option<LustreRootSquashConfiguration> = "RootSquashConfiguration",
        metadata_configuration: Option<LustreMetadataConfiguration> = "MetadataConfiguration",
        throughput_capacity: Option<i64> = "ThroughputCapacity" => &THROUGHPUT_CAPACITY_MBPS,
        data_read_cache_configuration: Option<LustreReadCacheConfiguration> = "DataReadCacheConfiguration",
    }

    /// New settings of a Lustre file system.
    UpdateFileSystemLustreConfiguration {
        weekly_maintenance_start_time: Option<String> = "WeeklyMaintenanceStartTime" => &WEEKLY_TIME,
        daily_automatic_backup_start_time: Option<String> = "DailyAutomaticBackupStartTime" => &DAILY_TIME,
        automatic_backup_retention_days: Option<i64> =
            "AutomaticBackupRetentionDays" => &AUTOMATIC_BACKUP_RETENTION_DAYS,
        auto_import_policy: Option<AutoImportPolicyType> = "AutoImportPolicy",
        data_compression_type: Option<DataCompressionType> = "DataCompressionType",
        log_configuration: Option<LustreLogConfiguration> = "LogConfiguration",
        root_squash_configuration: Option<LustreRootSquashConfiguration> = "RootSquashConfiguration",
        per_unit_storage_throughput: Option<i64> = "PerUnitStorageThroughput" => &PER_UNIT_STORAGE_THROUGHPUT,
        metadata_configuration: Option<UpdateFileSystemLustreMetadataConfiguration> = "MetadataConfiguration",
        throughput_capacity: Option<i64> = "ThroughputCapacity" => &THROUGHPUT_CAPACITY_MBPS,
        data_read_cache_configuration: Option<LustreReadCacheConfiguration> = "DataReadCacheConfiguration",
    }

    /// What is logged.
    #[derive(serde::Deserialize)]
    LustreLogConfiguration {
        level: LustreAccessAuditLogLevel = "Level",
        destination: Option<String> = "Destination" => &GENERAL_ARN,
    }

    /// Whom root on a client is taken for.
    #[derive(serde::Deserialize)]
    LustreRootSquashConfiguration {
        /// `<user id>:<group id>`.
        root_squash: Option<String> = "RootSquash" => &ROOT_SQUASH,
        no_squash_nids: Option<Vec<String>> = "NoSquashNids" => &NO_SQUASH_NIDS,
    }

    /// The IOPS of metadata.
    #[derive(serde::Deserialize)]
    LustreMetadataConfiguration {
        iops: Option<i64> = "Iops" => &METADATA_IOPS,
        mode: MetadataConfigurationMode = "Mode",
    }

    /// New IOPS of metadata.
    UpdateFileSystemLustreMetadataConfiguration {
        iops: Option<i64> = "Iops" => &METADATA_IOPS,
        mode: Option<MetadataConfigurationMode> = "Mode",
    }

    /// The read cache of Intelligent-Tiering.
    #[derive(serde::Deserialize)]
    LustreReadCacheConfiguration {
        sizing_mode: Option<ReadCacheSizingMode> = "SizingMode",
        size_gib: Option<i64> = "SizeGiB" => &STORAGE_CAPACITY,
    }
}
