//! Settings of Windows file systems.

use super::super::scalar::{
    ADMINISTRATORS_GROUP, ALIASES, AUTOMATIC_BACKUP_RETENTION_DAYS, DAILY_TIME, DIRECTORY_ID, DIRECTORY_PASSWORD,
    DIRECTORY_USER_NAME, DNS_IPS, DOMAIN_NAME, GENERAL_ARN, MEGABYTES_PER_SECOND, ORGANIZATIONAL_UNIT,
    SECRETS_MANAGER_ARN, SUBNET_ID, WEEKLY_TIME,
};
use super::super::words::{WindowsAccessAuditLogLevel, WindowsDeploymentType};
use super::DiskIopsConfiguration;
use crate::aws::shape::{Secret, structure};

structure! {
    /// Settings of a new Windows file system.
    CreateFileSystemWindowsConfiguration {
        active_directory_id: Option<String> = "ActiveDirectoryId" => &DIRECTORY_ID,
        self_managed_active_directory_configuration: Option<SelfManagedActiveDirectoryConfiguration> =
            "SelfManagedActiveDirectoryConfiguration",
        /// `SINGLE_AZ_1` when there is none.
        deployment_type: Option<WindowsDeploymentType> = "DeploymentType",
        preferred_subnet_id: Option<String> = "PreferredSubnetId" => &SUBNET_ID,
        /// In MB/s.
        throughput_capacity: i64 = "ThroughputCapacity" => &MEGABYTES_PER_SECOND,
        weekly_maintenance_start_time: Option<String> = "WeeklyMaintenanceStartTime" => &WEEKLY_TIME,
        daily_automatic_backup_start_time: Option<String> = "DailyAutomaticBackupStartTime" => &DAILY_TIME,
        /// 30 when there is none; 0 switches automatic backups off.
        automatic_backup_retention_days: Option<i64> =
            "AutomaticBackupRetentionDays" => &AUTOMATIC_BACKUP_RETENTION_DAYS,
        copy_tags_to_backups: Option<bool> = "CopyTagsToBackups",
        aliases: Option<Vec<String>> = "Aliases" => &ALIASES,
        audit_log_configuration: Option<WindowsAuditLogConfiguration> = "AuditLogConfiguration",
        disk_iops_configuration: Option<DiskIopsConfiguration> = "DiskIopsConfiguration",
        fsrm_configuration: Option<WindowsFsrmConfiguration> = "FsrmConfiguration",
    }

    /// New settings of a Windows file system.
    UpdateFileSystemWindowsConfiguration {
        weekly_maintenance_start_time: Option<String> = "WeeklyMaintenanceStartTime" => &WEEKLY_TIME,
        daily_automatic_backup_start_time: Option<String> = "DailyAutomaticBackupStartTime" => &DAILY_TIME,
        automatic_backup_retention_days: Option<i64> =
            "AutomaticBackupRetentionDays" => &AUTOMATIC_BACKUP_RETENTION_DAYS,
        throughput_capacity: Option<i64> = "ThroughputCapacity" => &MEGABYTES_PER_SECOND,
        self_managed_active_directory_configuration: Option<SelfManagedActiveDirectoryConfigurationUpdates> =
            "SelfManagedActiveDirectoryConfiguration",
        audit_log_configuration: Option<WindowsAuditLogConfiguration> = "AuditLogConfiguration",
        disk_iops_configuration: Option<DiskIopsConfiguration> = "DiskIopsConfiguration",
        fsrm_configuration: Option<WindowsFsrmConfiguration> = "FsrmConfiguration",
    }

    /// The directory of a Windows file system, when its user runs it.
    SelfManagedActiveDirectoryConfiguration {
        domain_name: String = "DomainName" => &DOMAIN_NAME,
        organizational_unit_distinguished_name: Option<String> =
            "OrganizationalUnitDistinguishedName" => &ORGANIZATIONAL_UNIT,
        file_system_administrators_group: Option<String> = "FileSystemAdministratorsGroup" => &ADMINISTRATORS_GROUP,
        user_name: Option<String> = "UserName" => &DIRECTORY_USER_NAME,
        password: Option<Secret> = "Password" => &DIRECTORY_PASSWORD,
        dns_ips: Vec<String> = "DnsIps" => &DNS_IPS,
        domain_join_service_account_secret: Option<String> = "DomainJoinServiceAccountSecret" => &SECRETS_MANAGER_ARN,
    }

    /// What changes about the directory of a Windows file system.
    SelfManagedActiveDirectoryConfigurationUpdates {
        user_name: Option<String> = "UserName" => &DIRECTORY_USER_NAME,
        password: Option<Secret> = "Password" => &DIRECTORY_PASSWORD,
        dns_ips: Option<Vec<String>> = "DnsIps" => &DNS_IPS,
        domain_name: Option<String> = "DomainName" => &DOMAIN_NAME,
        organizational_unit_distinguished_name: Option<String> =
            "OrganizationalUnitDistinguishedName" => &ORGANIZATIONAL_UNIT,
        file_system_administrators_group: Option<String> = "FileSystemAdministratorsGroup" => &ADMINISTRATORS_GROUP,
        domain_join_service_account_secret: Option<String> = "DomainJoinServiceAccountSecret" => &SECRETS_MANAGER_ARN,
    }

    /// What is logged of accesses.
    #[derive(serde::Deserialize)]
    WindowsAuditLogConfiguration {
        file_access_audit_log_level: WindowsAccessAuditLogLevel = "FileAccessAuditLogLevel",
        file_share_access_audit_log_level: WindowsAccessAuditLogLevel = "FileShareAccessAuditLogLevel",
        audit_log_destination: Option<String> = "AuditLogDestination" => &GENERAL_ARN,
    }

    /// The File Server Resource Manager.
    #[derive(serde::Deserialize)]
    WindowsFsrmConfiguration {
        fsrm_service_enabled: bool = "FsrmServiceEnabled",
        event_log_destination: Option<String> = "EventLogDestination" => &GENERAL_ARN,
    }
}
