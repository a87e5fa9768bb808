//! File systems as callers see them: what their rows say, and the description that was made with them.

use std::fmt::Display;

use catalog::ResourceRow;
use engine::{EngineError, ErrorKind};
use model::{BackupId, ResourceId, ResourceKind, ResourceState};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use wire::aws::arn::Namespace;
use wire::fsx::FsxError;
use wire::fsx::reply::{
    FailureDetails, FileSystem, LustreFileSystemConfiguration, OpenZfsFileSystemConfiguration,
    WindowsFileSystemConfiguration,
};
use wire::fsx::request::{CreateFileSystem, UpdateFileSystem};
use wire::fsx::settings::{automatic_backup_retention_days_default, lustre_version_default};
use wire::fsx::words::{
    FileSystemLifecycle, FileSystemType, LustreDeploymentType, NetworkType, OpenZfsDeploymentType, StorageType,
    WindowsDeploymentType,
};

use super::{Call, internal, shown_tags};
use crate::api::reason;

/// When daily backups are taken where nothing is said.
pub(super) const DAILY_TIME: &str = "05:00";

/// What the storage of a file system, in GiB, is called in its description.
pub(super) const CAPACITY: &str = "StorageCapacity";

/// As long as the model lets it be.
const MOUNT_NAME_LEN: usize = 8;

/// What a row keeps of a file system: the part of its description that callers decide.
///
/// # Errors
/// `Damaged` for one that cannot be read. Nothing may go on with defaults in its place: their retention of 0 days would
/// have its automatic backups removed.
pub(super) fn described(row: &ResourceRow) -> Result<FileSystem, EngineError> {
    let kept = read_kept(&row.id, &row.attributes)?;
    // The command line registers directories without a description.
    Ok(if kept.file_system_type.is_some() { kept } else { default_of(row.kind) })
}

/// Reads the description that a row of that id keeps; `{}` describes nothing.
///
/// # Errors
/// `Damaged`, as [`described`] says.
pub(super) fn read_kept(id: &impl Display, attributes: &str) -> Result<FileSystem, EngineError> {
    serde_json::from_str(attributes).map_err(|cause| unreadable(id, &cause))
}

pub(super) fn default_of(kind: ResourceKind) -> FileSystem {
    let on_disks = |kind, capacity| FileSystem {
        file_system_type: Some(kind),
        storage_capacity: Some(capacity),
        storage_type: Some(StorageType::Ssd),
        ..FileSystem::default()
    };
    match kind {
        ResourceKind::Windows => FileSystem {
            windows_configuration: Some(WindowsFileSystemConfiguration {
                deployment_type: Some(WindowsDeploymentType::SingleAz1),
                throughput_capacity: Some(8),
                ..WindowsFileSystemConfiguration::default()
            }),
            ..on_disks(FileSystemType::Windows, 32)
        },
        ResourceKind::OpenZfs => FileSystem {
            openzfs_configuration: Some(OpenZfsFileSystemConfiguration {
                deployment_type: Some(OpenZfsDeploymentType::SingleAz1),
                throughput_capacity: Some(64),
                ..OpenZfsFileSystemConfiguration::default()
            }),
            ..on_disks(FileSystemType::OpenZfs, 64)
        },
        _ => FileSystem {
            lustre_configuration: Some(LustreFileSystemConfiguration {
                deployment_type: Some(LustreDeploymentType::Persistent1),
                per_unit_storage_throughput: Some(50),
                ..LustreFileSystemConfiguration::default()
            }),
            ..on_disks(FileSystemType::Lustre, 1200)
        },
    }
}

/// The description of a file system that is asked for.
///
/// # Errors
/// `Damaged` if what is asked for makes none.
pub(super) fn of_request(request: &CreateFileSystem) -> Result<FileSystem, EngineError> {
    let new = "the new file system";
    let kind = request.file_system_type;
    let defaults = json!({
        "AutomaticBackupRetentionDays": automatic_backup_retention_days_default(kind),
        "DailyAutomaticBackupStartTime": DAILY_TIME,
        "CopyTagsToBackups": false,
    });
    let settings = |given: Option<&dyn erased::Settings>| given.map(|given| overlaid(&defaults, &given.members()));
    let mut file_system = FileSystem {
        file_system_type: Some(kind),
        storage_capacity: request.storage_capacity,
        storage_type: Some(request.storage_type.unwrap_or(StorageType::Ssd)),
        subnet_ids: Some(request.subnet_ids.clone()),
        network_type: Some(request.network_type.unwrap_or(NetworkType::Ipv4)),
        ..FileSystem::default()
    };
    match kind {
        FileSystemType::Windows => {
            let given = settings(request.windows_configuration.as_ref().map(|given| given as _));
            file_system.windows_configuration = given.map(|given| read(&new, &with_alias_states(given))).transpose()?;
        }
        FileSystemType::OpenZfs => {
            let given = settings(request.openzfs_configuration.as_ref().map(|given| given as _));
            file_system.openzfs_configuration = given.map(|given| read(&new, &given)).transpose()?;
        }
        FileSystemType::Lustre => {
            let given = request.lustre_configuration.as_ref();
            let version = lustre_version_default(given);
            file_system.file_system_type_version =
                Some(request.file_system_type_version.clone().unwrap_or_else(|| version.to_owned()));
            let none = json!({ "DeploymentType": LustreDeploymentType::Scratch1 });
            let given = settings(given.map(|given| given as _)).unwrap_or_else(|| overlaid(&defaults, &none));
            file_system.lustre_configuration = Some(read(&new, &with_repository(overlaid(&none, &given)))?);
        }
        FileSystemType::Ontap => {}
    }
    Ok(file_system)
}

/// The description of a file system after an update: what is given replaces what was there, member by member, also of
/// structures within its settings.
///
/// # Errors
/// `Damaged` if the two together make no description.
pub(super) fn updated(
    id: &ResourceId,
    before: &FileSystem,
    request: &UpdateFileSystem,
) -> Result<FileSystem, EngineError> {
    let mut members = json_of(before);
    for (name, given) in [
        ("WindowsConfiguration", request.windows_configuration.as_ref().map(json_of)),
        ("LustreConfiguration", request.lustre_configuration.as_ref().map(json_of)),
        ("OpenZFSConfiguration", request.openzfs_configuration.as_ref().map(json_of)),
    ] {
        if let Some(given) = given {
            merge(&mut members[name], given);
        }
    }
    if let Ok(Some(tables)) = request.route_tables(&route_tables(before)) {
        members["OpenZFSConfiguration"]["RouteTableIds"] = json!(tables);
    }
    let after: FileSystem = read(id, &members)?;
    Ok(FileSystem {
        storage_capacity: request.storage_capacity.or(after.storage_capacity),
        storage_type: request.storage_type.or(after.storage_type),
        file_system_type_version: request.file_system_type_version.clone().or(after.file_system_type_version),
        network_type: request.network_type.or(after.network_type),
        ..after
    })
}

/// The tables that lead to it.
pub(super) fn route_tables(file_system: &FileSystem) -> Vec<String> {
    let settings = file_system.openzfs_configuration.as_ref();
    settings.and_then(|settings| settings.route_table_ids.clone()).unwrap_or_default()
}

/// The description of a file system that is made from a backup: the settings of the backup, but for those that
/// the request names. Structures within the settings of a new file system are whole as they are given.
///
/// # Errors
/// `Damaged` if these together make no description.
pub(super) fn restored(
    id: &BackupId,
    before: &FileSystem,
    asked: &FileSystem,
    request: &CreateFileSystem,
) -> Result<FileSystem, EngineError> {
    let before = json_of(before);
    let mut members = json_of(asked);
    for (name, given) in [
        ("WindowsConfiguration", request.windows_configuration.as_ref().map(json_of)),
        ("LustreConfiguration", request.lustre_configuration.as_ref().map(json_of)),
        ("OpenZFSConfiguration", request.openzfs_configuration.as_ref().map(json_of)),
    ] {
        if before.get(name).is_some() {
            members[name] = overlaid(&before[name], &given.unwrap_or_default());
        }
    }
    read(id, &with_aliases(members))
}

/// A file system among others, as it is now. One whose description cannot be read says so, and hides none of the others.
pub(super) fn listed(call: &Call, row: &ResourceRow) -> FileSystem {
    shown(call, row).unwrap_or_else(|_| FileSystem {
        file_system_id: Some(row.id.to_string()),
        file_system_type: default_of(row.kind).file_system_type,
        lifecycle: Some(match row.state {
            ResourceState::Deleting => FileSystemLifecycle::Deleting,
            _ => FileSystemLifecycle::Misconfigured,
        }),
        failure_details: Some(FailureDetails { message: "Its description cannot be read.".to_owned() }),
        owner_id: Some(call.names().account.to_owned()),
        resource_arn: Some(call.names().fsx_file_system(row.id.as_str())),
        creation_time: Some(row.created_at.into()),
        ..FileSystem::default()
    })
}

/// A file system as it is now.
pub(super) fn view(call: &Call, row: &ResourceRow) -> Result<FileSystem, FsxError> {
    shown(call, row).map_err(internal)
}

fn shown(call: &Call, row: &ResourceRow) -> Result<FileSystem, EngineError> {
    let id = row.id.as_str();
    let mut frozen = frozen(call.names(), row)?;
    if let Some(lustre) = &mut frozen.lustre_configuration {
        lustre.mount_name = Some(mount_name(lustre.deployment_type, id).to_owned());
    }
    Ok(FileSystem {
        lifecycle: Some(match row.state {
            ResourceState::Creating => FileSystemLifecycle::Creating,
            // It was to be removed, and its last backup failed.
            ResourceState::Available if row.failure.is_some() => FileSystemLifecycle::Misconfigured,
            ResourceState::Available => FileSystemLifecycle::Available,
            ResourceState::Deleting => FileSystemLifecycle::Deleting,
            ResourceState::Failed => FileSystemLifecycle::Failed,
        }),
        failure_details: row.failure.as_deref().map(|failure| FailureDetails { message: reason(failure) }),
        creation_time: Some(row.created_at.into()),
        kms_key_id: Some(call.names().kms_key(row.kms_key.as_str())),
        dns_name: Some(call.names().fsx_dns_name(id)),
        tags: shown_tags(&row.tags),
        ..frozen
    })
}

/// The name that clients mount a Lustre file system by: the end of its id, which stays and tells it from others. It is the
/// file system's own, which neither a backup nor what is made from one has.
fn mount_name(deployment: Option<LustreDeploymentType>, id: &str) -> &str {
    match deployment {
        Some(LustreDeploymentType::Scratch1) => "fsx",
        _ => id.get(id.len().saturating_sub(MOUNT_NAME_LEN)..).unwrap_or(id),
    }
}

/// What a backup keeps of its file system.
pub(super) fn frozen(names: Namespace<'_>, row: &ResourceRow) -> Result<FileSystem, EngineError> {
    Ok(FileSystem {
        owner_id: Some(names.account.to_owned()),
        file_system_id: Some(row.id.to_string()),
        resource_arn: Some(names.fsx_file_system(row.id.as_str())),
        ..described(row)?
    })
}

/// Whether its backups get its tags.
pub(super) fn copies_tags(file_system: &FileSystem) -> bool {
    let windows = file_system.windows_configuration.as_ref().and_then(|settings| settings.copy_tags_to_backups);
    let lustre = file_system.lustre_configuration.as_ref().and_then(|settings| settings.copy_tags_to_backups);
    let openzfs = file_system.openzfs_configuration.as_ref().and_then(|settings| settings.copy_tags_to_backups);
    windows.or(lustre).or(openzfs).unwrap_or_default()
}

/// Why no backup of it can be taken.
pub(super) fn why_no_backups(file_system: &FileSystem) -> Option<&'static str> {
    let lustre = file_system.lustre_configuration.as_ref()?;
    match lustre.deployment_type {
        Some(LustreDeploymentType::Scratch1 | LustreDeploymentType::Scratch2) => {
            Some("Scratch file systems cannot be backed up.")
        }
        _ if lustre.data_repository_configuration.is_some() => {
            Some("File systems that are linked to a data repository cannot be backed up.")
        }
        _ => None,
    }
}

/// New aliases come as names, and are shown with their state.
fn with_alias_states(mut settings: Value) -> Value {
    if let Some(Value::Array(aliases)) = settings.get_mut("Aliases") {
        for alias in aliases {
            *alias = json!({ "Name": alias.take(), "Lifecycle": "AVAILABLE" });
        }
    }
    settings
}

fn with_aliases(mut members: Value) -> Value {
    if let Some(settings) = members.get_mut("WindowsConfiguration") {
        let named = settings.pointer("/Aliases/0").is_some_and(Value::is_string);
        *settings = if named { with_alias_states(settings.take()) } else { settings.take() };
    }
    members
}

/// A link to a bucket is given among the settings, and is shown as a structure of its own.
fn with_repository(mut settings: Value) -> Value {
    if settings.get("ImportPath").is_some() {
        settings["DataRepositoryConfiguration"] = settings.clone();
    }
    settings
}

/// The members of both; those of `over` win.
fn overlaid(under: &Value, over: &Value) -> Value {
    let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
    Value::Object(members(under).into_iter().chain(members(over)).collect())
}

/// Changes the members that `over` has, and of structures those that the structures in it have; lists are replaced.
fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            if is_automatic_or_off(&over) {
                under.clear();
            }
            for (name, value) in over {
                merge(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

/// Whether a structure says that the service decides, or that nothing is done: what was said before of how is void then.
fn is_automatic_or_off(structure: &Map<String, Value>) -> bool {
    let says = |member: &str, values: &[&str]| {
        structure.get(member).and_then(Value::as_str).is_some_and(|value| values.contains(&value))
    };
    says("Mode", &["AUTOMATIC"])
        || says("SizingMode", &["NO_CACHE", "PROPORTIONAL_TO_THROUGHPUT_CAPACITY"])
        || says("Level", &["DISABLED"])
        || (says("FileAccessAuditLogLevel", &["DISABLED"]) && says("FileShareAccessAuditLogLevel", &["DISABLED"]))
        || structure.get("FsrmServiceEnabled") == Some(&Value::Bool(false))
}

fn json_of(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("descriptions are structures of plain data")
}

/// Reads the description of what has that id, or a part of it; members of another structure's are passed over.
fn read<T: DeserializeOwned>(id: &impl Display, value: &Value) -> Result<T, EngineError> {
    T::deserialize(value).map_err(|cause| unreadable(id, &cause))
}

pub(super) fn unreadable(id: &impl Display, cause: &serde_json::Error) -> EngineError {
    let message = format!("the description of {id} cannot be read: {cause}");
    EngineError::Refused { kind: ErrorKind::Damaged, message, hint: None }
}

/// Settings of whichever type, as JSON.
mod erased {
    use serde::Serialize;
    use serde_json::Value;

    pub(super) trait Settings {
        fn members(&self) -> Value;
    }

    impl<T: Serialize> Settings for T {
        fn members(&self) -> Value {
            super::json_of(self)
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::fsx::request::Request;
    use wire::fsx::{Parsed, parse};

    use super::*;

    const ID: &str = "fs-0123456789abcdef0";

    /// A file system of that type with those settings, after an update of some of them.
    fn after_update(name: &str, before: &Value, change: &Value) -> Value {
        let kind = name.trim_end_matches("Configuration").to_uppercase();
        let before = json!({ "FileSystemType": kind, "StorageCapacity": 1200, name: before });
        let body = json!({ "FileSystemId": ID, name: change });
        let Ok(Parsed::Served(Request::UpdateFileSystem(request))) =
            parse("UpdateFileSystem", body.to_string().as_bytes())
        else {
            panic!("the body is one of UpdateFileSystem");
        };
        let before = read_kept(&ID, &before.to_string()).unwrap();
        let mut after = json_of(&updated(&ID.parse().unwrap(), &before, &request).unwrap());
        assert_eq!(after["StorageCapacity"], 1200);
        after[name].take()
    }

    /// A structure in an update took the place of the one before, and what it left out was lost. Where it had to be
    /// there, the whole description was.
    #[test]
    fn an_update_changes_the_members_that_are_there_and_no_others() {
        let metadata = |iops: i64| json!({ "Iops": iops, "Mode": "USER_PROVISIONED" });
        let days = json!({ "AutomaticBackupRetentionDays": 7, "DeploymentType": "PERSISTENT_2" });
        let with = |name: &str, value: Value| {
            let mut settings = days.clone();
            settings[name] = value;
            settings
        };
        let before = with("MetadataConfiguration", metadata(1500));
        let change = json!({ "MetadataConfiguration": { "Iops": 3000 } });
        assert_eq!(
            after_update("LustreConfiguration", &before, &change),
            with("MetadataConfiguration", metadata(3000))
        );

        let directory = |user: &str| {
            json!({ "SelfManagedActiveDirectoryConfiguration": {
                "DomainName": "example.com", "UserName": user, "DnsIps": ["10.0.0.1", "10.0.0.2"]
            } })
        };
        let change =
            json!({ "SelfManagedActiveDirectoryConfiguration": { "UserName": "new", "Password": "correct horse" } });
        assert_eq!(after_update("WindowsConfiguration", &directory("old"), &change), directory("new"));

        let disks = |iops: i64| json!({ "DiskIopsConfiguration": { "Mode": "USER_PROVISIONED", "Iops": iops } });
        let change = json!({ "DiskIopsConfiguration": { "Iops": 6000 } });
        assert_eq!(after_update("OpenZFSConfiguration", &disks(3000), &change), disks(6000));
    }

    #[test]
    fn what_is_left_to_the_service_or_turned_off_takes_with_it_how_it_was() {
        for (settings, structure, before, change) in [
            (
                "OpenZFSConfiguration",
                "DiskIopsConfiguration",
                json!({ "Mode": "USER_PROVISIONED", "Iops": 6000 }),
                json!({ "Mode": "AUTOMATIC" }),
            ),
            (
                "OpenZFSConfiguration",
                "ReadCacheConfiguration",
                json!({ "SizingMode": "USER_PROVISIONED", "SizeGiB": 32 }),
                json!({ "SizingMode": "NO_CACHE" }),
            ),
            (
                "WindowsConfiguration",
                "AuditLogConfiguration",
                json!({ "FileAccessAuditLogLevel": "SUCCESS_ONLY", "FileShareAccessAuditLogLevel": "DISABLED",
                        "AuditLogDestination": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/fsx/audit" }),
                json!({ "FileAccessAuditLogLevel": "DISABLED", "FileShareAccessAuditLogLevel": "DISABLED" }),
            ),
        ] {
            let [before, change] = [before, change].map(|value| json!({ structure: value }));
            assert_eq!(after_update(settings, &before, &change), change);
        }
    }

    #[test]
    fn an_update_replaces_lists_whole() {
        let squash =
            |hosts: &[&str]| json!({ "RootSquashConfiguration": { "RootSquash": "0:0", "NoSquashNids": hosts } });
        let change = json!({ "RootSquashConfiguration": { "NoSquashNids": ["10.0.0.3@tcp"] } });
        let before = squash(&["10.0.0.1@tcp", "10.0.0.2@tcp"]);
        assert_eq!(after_update("LustreConfiguration", &before, &change), squash(&["10.0.0.3@tcp"]));
    }

    /// What could not be read was taken for a file system with defaults, and with a retention of 0 days.
    #[test]
    fn what_cannot_be_read_is_a_failure_that_names_it() {
        for kept in ["", "[]", r#"{"FileSystemType":"ZFS"}"#, r#"{"LustreConfiguration":{"MetadataConfiguration":{}}}"#]
        {
            let error = read_kept(&ID, kept).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Damaged, "{kept}");
            assert!(error.to_string().contains(ID), "{error}");
        }
        assert_eq!(read_kept(&ID, "{}").unwrap(), FileSystem::default());
    }

    #[test]
    fn a_mount_name_is_the_end_of_the_id_but_for_the_first_type() {
        assert_eq!(mount_name(Some(LustreDeploymentType::Scratch1), ID), "fsx");
        assert_eq!(mount_name(Some(LustreDeploymentType::Persistent2), ID), "9abcdef0");
    }

    #[test]
    fn what_has_no_description_is_the_least_of_its_type() {
        let settings = json!({ "DeploymentType": "PERSISTENT_1", "PerUnitStorageThroughput": 50 });
        let least = json!({
            "FileSystemType": "LUSTRE", "StorageCapacity": 1200, "StorageType": "SSD", "LustreConfiguration": settings
        });
        assert_eq!(json_of(&default_of(ResourceKind::Lustre)), least);
    }
}
