//! Settings of OpenZFS file systems.

use super::super::scalar::{
    AUTOMATIC_BACKUP_RETENTION_DAYS, DAILY_TIME, INTEGER_NO_MAX, IP_ADDRESS_RANGE, IPV6_ADDRESS_RANGE,
    MEGABYTES_PER_SECOND, NFS_CLIENTS, NFS_EXPORT_OPTIONS, RECORD_SIZE_KIB, ROUTE_TABLE_IDS, STORAGE_CAPACITY,
    SUBNET_ID, WEEKLY_TIME,
};
use super::super::words::{OpenZfsDataCompressionType, OpenZfsDeploymentType, OpenZfsQuotaType, ReadCacheSizingMode};
use super::DiskIopsConfiguration;
use crate::aws::shape::{Count, structure};

structure! {
    /// Settings of a new OpenZFS file system.
    CreateFileSystemOpenZfsConfiguration {
        /// 30 when there is none; 0 switches automatic backups off.
        automatic_backup_retention_days: Option<i64> =
            "AutomaticBackupRetentionDays" => &AUTOMATIC_BACKUP_RETENTION_DAYS,
        copy_tags_to_backups: Option<bool> = "CopyTagsToBackups",
        copy_tags_to_volumes: Option<bool> = "CopyTagsToVolumes",
        daily_automatic_backup_start_time: Option<String> = "DailyAutomaticBackupStartTime" => &DAILY_TIME,
        deployment_type: OpenZfsDeploymentType = "DeploymentType",
        /// In MB/s.
        throughput_capacity: i64 = "ThroughputCapacity" => &MEGABYTES_PER_SECOND,
        weekly_maintenance_start_time: Option<String> = "WeeklyMaintenanceStartTime" => &WEEKLY_TIME,
        disk_iops_configuration: Option<DiskIopsConfiguration> = "DiskIopsConfiguration",
        root_volume_configuration: Option<OpenZfsCreateRootVolumeConfiguration> = "RootVolumeConfiguration",
        preferred_subnet_id: Option<String> = "PreferredSubnetId" => &SUBNET_ID,
        endpoint_ip_address_range: Option<String> = "EndpointIpAddressRange" => &IP_ADDRESS_RANGE,
        endpoint_ipv6_address_range: Option<String> = "EndpointIpv6AddressRange" => &IPV6_ADDRESS_RANGE,
        route_table_ids: Option<Vec<String>> = "RouteTableIds" => &ROUTE_TABLE_IDS,
        read_cache_configuration: Option<OpenZfsReadCacheConfiguration> = "ReadCacheConfiguration",
    }

    /// New settings of an OpenZFS file system.
    UpdateFileSystemOpenZfsConfiguration {
        automatic_backup_retention_days: Option<i64> =
            "AutomaticBackupRetentionDays" => &AUTOMATIC_BACKUP_RETENTION_DAYS,
        copy_tags_to_backups: Option<bool> = "CopyTagsToBackups",
        copy_tags_to_volumes: Option<bool> = "CopyTagsToVolumes",
        daily_automatic_backup_start_time: Option<String> = "DailyAutomaticBackupStartTime" => &DAILY_TIME,
        throughput_capacity: Option<i64> = "ThroughputCapacity" => &MEGABYTES_PER_SECOND,
        weekly_maintenance_start_time: Option<String> = "WeeklyMaintenanceStartTime" => &WEEKLY_TIME,
        disk_iops_configuration: Option<DiskIopsConfiguration> = "DiskIopsConfiguration",
        add_route_table_ids: Option<Vec<String>> = "AddRouteTableIds" => &ROUTE_TABLE_IDS,
        remove_route_table_ids: Option<Vec<String>> = "RemoveRouteTableIds" => &ROUTE_TABLE_IDS,
        read_cache_configuration: Option<OpenZfsReadCacheConfiguration> = "ReadCacheConfiguration",
        endpoint_ipv6_address_range: Option<String> = "EndpointIpv6AddressRange" => &IPV6_ADDRESS_RANGE,
    }

    /// The volume that a new file system starts with.
    OpenZfsCreateRootVolumeConfiguration {
        record_size_kib: Option<i64> = "RecordSizeKiB" => &RECORD_SIZE_KIB,
        data_compression_type: Option<OpenZfsDataCompressionType> = "DataCompressionType",
        nfs_exports: Option<Vec<OpenZfsNfsExport>> = "NfsExports" => &Count(0..=1),
        user_and_group_quotas: Option<Vec<OpenZfsUserOrGroupQuota>> = "UserAndGroupQuotas" => &Count(0..=500),
        copy_tags_to_snapshots: Option<bool> = "CopyTagsToSnapshots",
        read_only: Option<bool> = "ReadOnly",
    }

    /// Who may mount a volume.
    OpenZfsNfsExport {
        client_configurations: Vec<OpenZfsClientConfiguration> = "ClientConfigurations" => &Count(0..=25),
    }

    /// How some clients may mount a volume.
    OpenZfsClientConfiguration {
        clients: String = "Clients" => &NFS_CLIENTS,
        options: Vec<String> = "Options" => &NFS_EXPORT_OPTIONS,
    }

    /// How much of a volume a user or group may fill.
    OpenZfsUserOrGroupQuota {
        kind: OpenZfsQuotaType = "Type",
        id: i64 = "Id" => &INTEGER_NO_MAX,
        storage_capacity_quota_gib: i64 = "StorageCapacityQuotaGiB" => &INTEGER_NO_MAX,
    }

    /// The read cache of Intelligent-Tiering.
    #[derive(serde::Deserialize)]
    OpenZfsReadCacheConfiguration {
        sizing_mode: Option<ReadCacheSizingMode> = "SizingMode",
        size_gib: Option<i64> = "SizeGiB" => &STORAGE_CAPACITY,
    }
}
