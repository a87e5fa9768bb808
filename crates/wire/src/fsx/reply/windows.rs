//! Settings of a Windows file system as they are described.

use super::super::request::{DiskIopsConfiguration, WindowsAuditLogConfiguration, WindowsFsrmConfiguration};
use super::super::words::{AliasLifecycle, FileSystemMaintenanceOperation, WindowsDeploymentType};
use super::output;

output! {
    /// Settings of a Windows file system.
    #[derive(Default)]
    WindowsFileSystemConfiguration {
        always {}
        optional {
            active_directory_id: String,
            self_managed_active_directory_configuration: SelfManagedActiveDirectoryAttributes,
            deployment_type: WindowsDeploymentType,
            remote_administration_endpoint: String,
            preferred_subnet_id: String,
            preferred_file_server_ip: String,
            throughput_capacity: i64,
            /// `BACKING_UP` while a backup runs.
            maintenance_operations_in_progress: Vec<FileSystemMaintenanceOperation>,
            weekly_maintenance_start_time: String,
            daily_automatic_backup_start_time: String,
            automatic_backup_retention_days: i64,
            copy_tags_to_backups: bool,
            aliases: Vec<Alias>,
            audit_log_configuration: WindowsAuditLogConfiguration,
            disk_iops_configuration: DiskIopsConfiguration,
            preferred_file_server_ipv6: String,
            fsrm_configuration: WindowsFsrmConfiguration,
        }
    }

    /// The user's own directory, without its password.
    #[derive(Default)]
    SelfManagedActiveDirectoryAttributes {
        always {}
        optional {
            domain_name: String,
            organizational_unit_distinguished_name: String,
            file_system_administrators_group: String,
            user_name: String,
            dns_ips: Vec<String>,
            domain_join_service_account_secret: String,
        }
    }

    /// A DNS alias.
    Alias {
        always {}
        optional {
            name: String,
            lifecycle: AliasLifecycle,
        }
    }
}
