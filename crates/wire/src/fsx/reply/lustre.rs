//! Settings of a Lustre file system as they are described.

use super::super::request::{
    LustreLogConfiguration, LustreMetadataConfiguration, LustreReadCacheConfiguration, LustreRootSquashConfiguration,
};
use super::super::words::{
    AutoImportPolicyType, DataCompressionType, DataRepositoryLifecycle, DriveCacheType, LustreDeploymentType,
};
use super::{FailureDetails, output};

output! {
    /// Settings of a Lustre file system.
    #[derive(Default)]
    LustreFileSystemConfiguration {
        always {}
        optional {
            weekly_maintenance_start_time: String,
            /// There when the file system is linked to a bucket; such a file system cannot be backed up.
            data_repository_configuration: DataRepositoryConfiguration,
            deployment_type: LustreDeploymentType,
            per_unit_storage_throughput: i64,
            mount_name: String,
            daily_automatic_backup_start_time: String,
            automatic_backup_retention_days: i64,
            copy_tags_to_backups: bool,
            drive_cache_type: DriveCacheType,
            data_compression_type: DataCompressionType,
            log_configuration: LustreLogConfiguration,
            root_squash_configuration: LustreRootSquashConfiguration,
            metadata_configuration: LustreMetadataConfiguration,
            efa_enabled: bool,
            throughput_capacity: i64,
            data_read_cache_configuration: LustreReadCacheConfiguration,
        }
    }

    /// The link to a bucket.
    #[derive(Default)]
    DataRepositoryConfiguration {
        always {}
        optional {
            lifecycle: DataRepositoryLifecycle,
            import_path: String,
            export_path: String,
            imported_file_chunk_size: i64,
            auto_import_policy: AutoImportPolicyType,
            failure_details: FailureDetails,
        }
    }
}
