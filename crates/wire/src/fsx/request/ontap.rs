//! Settings of ONTAP file systems.

use super::super::scalar::{
    ADMIN_PASSWORD, AUTOMATIC_BACKUP_RETENTION_DAYS, DAILY_TIME, HA_PAIRS, IP_ADDRESS_RANGE, IPV6_ADDRESS_RANGE,
    MEGABYTES_PER_SECOND, ROUTE_TABLE_IDS, SUBNET_ID, THROUGHPUT_CAPACITY_PER_HA_PAIR, WEEKLY_TIME,
};
use super::super::words::OntapDeploymentType;
use super::DiskIopsConfiguration;
use crate::aws::shape::{Secret, structure};

structure! {
    /// Settings of a new ONTAP file system.
    CreateFileSystemOntapConfiguration {
        /// 30 when there is none; 0 switches automatic backups off.
        automatic_backup_retention_days: Option<i64> =
            "AutomaticBackupRetentionDays" => &AUTOMATIC_BACKUP_RETENTION_DAYS,
        daily_automatic_backup_start_time: Option<String> = "DailyAutomaticBackupStartTime" => &DAILY_TIME,
        deployment_type: OntapDeploymentType = "DeploymentType",
        endpoint_ip_address_range: Option<String> = "EndpointIpAddressRange" => &IP_ADDRESS_RANGE,
        fsx_admin_password: Option<Secret> = "FsxAdminPassword" => &ADMIN_PASSWORD,
        disk_iops_configuration: Option<DiskIopsConfiguration> = "DiskIopsConfiguration",
        preferred_subnet_id: Option<String> = "PreferredSubnetId" => &SUBNET_ID,
        route_table_ids: Option<Vec<String>> = "RouteTableIds" => &ROUTE_TABLE_IDS,
        /// In MB/s, of all pairs together.
        throughput_capacity: Option<i64> = "ThroughputCapacity" => &MEGABYTES_PER_SECOND,
        weekly_maintenance_start_time: Option<String> = "WeeklyMaintenanceStartTime" => &WEEKLY_TIME,
        /// 1 when there is none.
        ha_pairs: Option<i64> = "HAPairs" => &HA_PAIRS,
        /// In MB/s.
        throughput_capacity_per_ha_pair: Option<i64> =
            "ThroughputCapacityPerHAPair" => &THROUGHPUT_CAPACITY_PER_HA_PAIR,
        endpoint_ipv6_address_range: Option<String> = "EndpointIpv6AddressRange" => &IPV6_ADDRESS_RANGE,
    }

    /// New settings of an ONTAP file system.
    UpdateFileSystemOntapConfiguration {
        automatic_backup_retention_days: Option<i64> =
            "AutomaticBackupRetentionDays" => &AUTOMATIC_BACKUP_RETENTION_DAYS,
        daily_automatic_backup_start_time: Option<String> = "DailyAutomaticBackupStartTime" => &DAILY_TIME,
        fsx_admin_password: Option<Secret> = "FsxAdminPassword" => &ADMIN_PASSWORD,
        weekly_maintenance_start_time: Option<String> = "WeeklyMaintenanceStartTime" => &WEEKLY_TIME,
        disk_iops_configuration: Option<DiskIopsConfiguration> = "DiskIopsConfiguration",
        throughput_capacity: Option<i64> = "ThroughputCapacity" => &MEGABYTES_PER_SECOND,
        add_route_table_ids: Option<Vec<String>> = "AddRouteTableIds" => &ROUTE_TABLE_IDS,
        remove_route_table_ids: Option<Vec<String>> = "RemoveRouteTableIds" => &ROUTE_TABLE_IDS,
        throughput_capacity_per_ha_pair: Option<i64> =
            "ThroughputCapacityPerHAPair" => &THROUGHPUT_CAPACITY_PER_HA_PAIR,
        ha_pairs: Option<i64> = "HAPairs" => &HA_PAIRS,
        endpoint_ipv6_address_range: Option<String> = "EndpointIpv6AddressRange" => &IPV6_ADDRESS_RANGE,
    }
}
