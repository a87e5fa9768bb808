//! File systems as callers see them: what their rows say, and the description that was made with them.

use catalog::ResourceRow;
use model::{ResourceKind, ResourceState};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wire::aws::arn::Namespace;
use wire::fsx::reply::{FailureDetails, FileSystem};
use wire::fsx::request::{CreateFileSystem, UpdateFileSystem};
use wire::fsx::settings::{automatic_backup_retention_days_default, lustre_version_default};
use wire::fsx::words::{FileSystemLifecycle, FileSystemType, LustreDeploymentType, NetworkType, StorageType};

use super::{Call, shown_tags};
use crate::api::reason;

/// When daily backups are taken where nothing is said.
pub(super) const DAILY_TIME: &str = "05:00";

/// What the storage of a file system, in GiB, is called in its description.
pub(super) const CAPACITY: &str = "StorageCapacity";

/// What a row keeps of a file system: the part of its description that callers decide.
pub(super) fn described(row: &ResourceRow) -> FileSystem {
    let kept: FileSystem = serde_json::from_str(&row.attributes).unwrap_or_default();
    // The command line registers directories without a description.
    if kept.file_system_type.is_some() { kept } else { default_of(row.kind) }
}

pub(super) fn default_of(kind: ResourceKind) -> FileSystem {
    let (members, capacity) = match kind {
        ResourceKind::Windows => {
            (json!({ "WindowsConfiguration": { "DeploymentType": "SINGLE_AZ_1", "ThroughputCapacity": 8 } }), 32)
        }
        ResourceKind::OpenZfs => {
            (json!({ "OpenZFSConfiguration": { "DeploymentType": "SINGLE_AZ_1", "ThroughputCapacity": 64 } }), 64)
        }
        _ => {
            let settings = json!({ "DeploymentType": "PERSISTENT_1", "PerUnitStorageThroughput": 50 });
            (json!({ "LustreConfiguration": settings }), 1200)
        }
    };
    FileSystem {
        file_system_type: Some(match kind {
            ResourceKind::Windows => FileSystemType::Windows,
            ResourceKind::OpenZfs => FileSystemType::OpenZfs,
            _ => FileSystemType::Lustre,
        }),
        storage_capacity: Some(capacity),
        storage_type: Some(StorageType::Ssd),
        ..read(&members)
    }
}

/// The description of a file system that is asked for.
pub(super) fn of_request(request: &CreateFileSystem) -> FileSystem {
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
            file_system.windows_configuration = given.map(|given| read(&with_alias_states(given)));
        }
        FileSystemType::OpenZfs => {
            let given = settings(request.openzfs_configuration.as_ref().map(|given| given as _));
            file_system.openzfs_configuration = given.map(|given| read(&given));
        }
        FileSystemType::Lustre => {
            let given = request.lustre_configuration.as_ref();
            let version = lustre_version_default(given);
            file_system.file_system_type_version =
                Some(request.file_system_type_version.clone().unwrap_or_else(|| version.to_owned()));
            let none = json!({ "DeploymentType": LustreDeploymentType::Scratch1 });
            let given = settings(given.map(|given| given as _)).unwrap_or_else(|| overlaid(&defaults, &none));
            file_system.lustre_configuration = Some(read(&with_repository(overlaid(&none, &given))));
        }
        FileSystemType::Ontap => {}
    }
    file_system
}

/// The description after an update: what is given replaces what was there, member by member.
pub(super) fn updated(before: &FileSystem, request: &UpdateFileSystem) -> FileSystem {
    let mut members = json_of(before);
    for (name, given) in [
        ("WindowsConfiguration", request.windows_configuration.as_ref().map(json_of)),
        ("LustreConfiguration", request.lustre_configuration.as_ref().map(json_of)),
        ("OpenZFSConfiguration", request.openzfs_configuration.as_ref().map(json_of)),
    ] {
        if let Some(given) = given {
            members[name] = overlaid(&members[name], &given);
        }
    }
    if let Ok(Some(tables)) = request.route_tables(&route_tables(before)) {
        members["OpenZFSConfiguration"]["RouteTableIds"] = json!(tables);
    }
    let after: FileSystem = read(&members);
    FileSystem {
        storage_capacity: request.storage_capacity.or(after.storage_capacity),
        storage_type: request.storage_type.or(after.storage_type),
        file_system_type_version: request.file_system_type_version.clone().or(after.file_system_type_version),
        network_type: request.network_type.or(after.network_type),
        ..after
    }
}

/// The tables that lead to it.
pub(super) fn route_tables(file_system: &FileSystem) -> Vec<String> {
    let settings = file_system.openzfs_configuration.as_ref();
    settings.and_then(|settings| settings.route_table_ids.clone()).unwrap_or_default()
}

/// The description of a file system that is made from a backup: the settings of the backup, but for those that
/// the request names.
pub(super) fn restored(before: &FileSystem, asked: &FileSystem, request: &CreateFileSystem) -> FileSystem {
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
    read(&with_aliases(members))
}

/// A file system as it is now.
pub(super) fn view(call: &Call, row: &ResourceRow) -> FileSystem {
    let id = row.id.as_str();
    FileSystem {
        lifecycle: Some(match row.state {
            ResourceState::Creating => FileSystemLifecycle::Creating,
            ResourceState::Available => FileSystemLifecycle::Available,
            ResourceState::Deleting => FileSystemLifecycle::Deleting,
            ResourceState::Failed => FileSystemLifecycle::Failed,
        }),
        failure_details: row.failure.as_deref().map(|failure| FailureDetails { message: reason(failure) }),
        creation_time: Some(row.created_at.into()),
        kms_key_id: Some(call.names().kms_key(row.kms_key.as_str())),
        dns_name: Some(format!("{id}.fsx.{}.amazonaws.com", call.ctx.region)),
        tags: shown_tags(&row.tags),
        ..frozen(call.names(), row)
    }
}

/// What a backup keeps of its file system.
pub(super) fn frozen(names: Namespace<'_>, row: &ResourceRow) -> FileSystem {
    FileSystem {
        owner_id: Some(names.account.to_owned()),
        file_system_id: Some(row.id.to_string()),
        resource_arn: Some(names.fsx_file_system(row.id.as_str())),
        ..described(row)
    }
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

fn json_of(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("descriptions are structures of plain data")
}

/// Reads a description; members of another structure's are passed over.
fn read<T: DeserializeOwned + Default>(value: &Value) -> T {
    T::deserialize(value).unwrap_or_default()
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
