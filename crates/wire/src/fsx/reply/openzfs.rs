//! Settings of an OpenZFS file system as they are described.

use super::super::request::{DiskIopsConfiguration, OpenZfsReadCacheConfiguration};
use super::super::words::OpenZfsDeploymentType;
use super::output;

output! {
    /// Settings of an OpenZFS file system.
    #[derive(Default)]
    OpenZfsFileSystemConfiguration {
        always {}
        optional {
            automatic_backup_retention_days: i64,
            copy_tags_to_backups: bool,
            copy_tags_to_volumes: bool,
            daily_automatic_backup_start_time: String,
            deployment_type: OpenZfsDeploymentType,
            throughput_capacity: i64,
            weekly_maintenance_start_time: String,
            disk_iops_configuration: DiskIopsConfiguration,
            /// Made together with the file system.
            root_volume_id: String,
            preferred_subnet_id: String,
            endpoint_ip_address_range: String,
            endpoint_ipv6_address_range: String,
            route_table_ids: Vec<String>,
            endpoint_ip_address: String,
            endpoint_ipv6_address: String,
            read_cache_configuration: OpenZfsReadCacheConfiguration,
        }
    }
}
