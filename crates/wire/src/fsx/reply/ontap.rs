//! Settings of an ONTAP file system as they are described.

use super::super::request::DiskIopsConfiguration;
use super::super::words::OntapDeploymentType;
use super::output;

output! {
    /// Settings of an ONTAP file system. Its password is never described.
    #[derive(Default)]
    OntapFileSystemConfiguration {
        always {}
        optional {
            automatic_backup_retention_days: i64,
            daily_automatic_backup_start_time: String,
            deployment_type: OntapDeploymentType,
            endpoint_ip_address_range: String,
            endpoints: FileSystemEndpoints,
            disk_iops_configuration: DiskIopsConfiguration,
            preferred_subnet_id: String,
            route_table_ids: Vec<String>,
            throughput_capacity: i64,
            weekly_maintenance_start_time: String,
            #[serde(rename = "HAPairs")]
            ha_pairs: i64,
            #[serde(rename = "ThroughputCapacityPerHAPair")]
            throughput_capacity_per_ha_pair: i64,
            endpoint_ipv6_address_range: String,
        }
    }

    /// Where a file system is reached.
    FileSystemEndpoints {
        always {}
        optional {
            intercluster: FileSystemEndpoint,
            management: FileSystemEndpoint,
        }
    }

    /// A name and its addresses.
    FileSystemEndpoint {
        always {}
        optional {
            #[serde(rename = "DNSName")]
            dns_name: String,
            ip_addresses: Vec<String>,
            ipv6_addresses: Vec<String>,
        }
    }
}
