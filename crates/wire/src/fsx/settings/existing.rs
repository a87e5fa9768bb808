//! Settings in requests that change or remove a file system: they must be those of its type.

use super::super::error::{FsxCode, FsxError};
use super::super::reply::FileSystem;
use super::super::request::{DeleteFileSystem, Tag, UpdateFileSystem};
use super::super::words::FileSystemType;
use super::refuse;
use super::storage::Storage;

/// A last backup, to be taken before a file system goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalBackupWish<'a> {
    /// Given tags keep those of the file system from being inherited.
    pub tags: Option<&'a [Tag]>,
}

impl UpdateFileSystem {
    /// Checks that something is to change, of a file system of that type.
    ///
    /// # Errors
    /// `MissingFileSystemConfiguration` when nothing is; `BadRequest` for settings of another type.
    pub fn check_settings(&self, kind: FileSystemType) -> Result<(), FsxError> {
        let given = [
            (FileSystemType::Windows, self.windows_configuration.is_some()),
            (FileSystemType::Lustre, self.lustre_configuration.is_some()),
            (FileSystemType::Ontap, self.ontap_configuration.is_some()),
            (FileSystemType::OpenZfs, self.openzfs_configuration.is_some()),
        ];
        check_own(kind, &given)?;
        let changes_type_settings = given.iter().any(|(_, is_given)| *is_given);
        let changes_others = self.storage_capacity.is_some()
            || self.storage_type.is_some()
            || self.file_system_type_version.is_some()
            || self.network_type.is_some();
        if changes_type_settings || changes_others {
            return Ok(());
        }
        Err(FsxError::new(FsxCode::MissingFileSystemConfiguration, "The request names nothing to change."))
    }

    /// Checks the storage that a file system has after this, as far as this changes it.
    ///
    /// # Errors
    /// `BadRequest` for a type, a capacity or a throughput that no such file system could be made with.
    pub fn check_storage(&self, after: &FileSystem) -> Result<(), FsxError> {
        let Some(storage) = Storage::of(after) else { return Ok(()) };
        let windows = self.windows_configuration.as_ref().and_then(|settings| settings.throughput_capacity);
        let lustre = self.lustre_configuration.as_ref().and_then(|settings| settings.per_unit_storage_throughput);
        let openzfs = self.openzfs_configuration.as_ref().and_then(|settings| settings.throughput_capacity);
        if self.storage_type.is_some() {
            storage.check_type()?;
        }
        if self.storage_type.is_some() || windows.or(lustre).or(openzfs).is_some() {
            // The operation has no error for a throughput of Lustre alone.
            storage.check_throughput().map_err(|refusal| FsxError::bad_request(refusal.message))?;
        }
        // On disks of Lustre, the steps of the capacity depend on the throughput.
        if self.storage_type.is_some() || self.storage_capacity.is_some() || lustre.is_some() {
            storage.check_capacity()?;
        }
        Ok(())
    }
}

impl DeleteFileSystem {
    /// Whether a last backup is to be taken of a file system of that type. When nothing is said, one is taken of
    /// Windows and OpenZFS and none of Lustre; ONTAP has none of whole file systems.
    ///
    /// # Errors
    /// `BadRequest` for settings of another type.
    pub fn final_backup(&self, kind: FileSystemType) -> Result<Option<FinalBackupWish<'_>>, FsxError> {
        let given = [
            (FileSystemType::Windows, self.windows_configuration.is_some()),
            (FileSystemType::Lustre, self.lustre_configuration.is_some()),
            (FileSystemType::OpenZfs, self.openzfs_configuration.is_some()),
        ];
        check_own(kind, &given)?;
        let windows_or_lustre = self.windows_configuration.as_ref().or(self.lustre_configuration.as_ref());
        let skip = windows_or_lustre.and_then(|settings| settings.skip_final_backup);
        let skip = skip.or(self.openzfs_configuration.as_ref().and_then(|settings| settings.skip_final_backup));
        let skips = match kind {
            FileSystemType::Windows | FileSystemType::OpenZfs => skip.unwrap_or(false),
            FileSystemType::Lustre => skip.unwrap_or(true),
            FileSystemType::Ontap => true,
        };
        Ok((!skips).then(|| FinalBackupWish { tags: self.final_backup_tags().next() }))
    }
}

fn check_own(kind: FileSystemType, given: &[(FileSystemType, bool)]) -> Result<(), FsxError> {
    match given.iter().find(|(owner, is_given)| *is_given && *owner != kind) {
        Some((owner, _)) => refuse(format!("Settings of {owner} cannot be given for a file system of type {kind}.")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fsx::request::Request;
    use crate::fsx::{Parsed, parse};

    fn request(operation: &str, mut body: Value) -> Request {
        body["FileSystemId"] = "fs-0123456789abcdef0".into();
        match parse(operation, body.to_string().as_bytes()) {
            Ok(Parsed::Served(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn update(kind: FileSystemType, body: Value) -> &'static str {
        let Request::UpdateFileSystem(request) = request("UpdateFileSystem", body) else { panic!() };
        request.check_settings(kind).map_or_else(|error| error.code.as_str(), |()| "ok")
    }

    /// Whether a last backup is taken, and with how many tags; `None` for a refusal.
    fn delete(kind: FileSystemType, body: Value) -> Option<(bool, usize)> {
        let Request::DeleteFileSystem(request) = request("DeleteFileSystem", body) else { panic!() };
        let wish = request.final_backup(kind).ok()?;
        Some((wish.is_some(), wish.and_then(|wish| wish.tags).map_or(0, <[Tag]>::len)))
    }

    #[test]
    fn an_update_changes_something_of_the_right_type() {
        let retention = json!({"LustreConfiguration": {"AutomaticBackupRetentionDays": 5}});
        assert_eq!(update(FileSystemType::Lustre, retention.clone()), "ok");
        assert_eq!(update(FileSystemType::Windows, retention), "BadRequest");
        assert_eq!(update(FileSystemType::Windows, json!({"StorageCapacity": 64})), "ok");
        assert_eq!(update(FileSystemType::Windows, json!({})), "MissingFileSystemConfiguration");
    }

    /// The answer to an update of a file system of that description, which has these members after it.
    fn change(before: &Value, members: &Value) -> &'static str {
        let Request::UpdateFileSystem(request) = request("UpdateFileSystem", members.clone()) else { panic!() };
        let mut after = before.clone();
        for (name, value) in members.as_object().unwrap() {
            match value.as_object() {
                Some(settings) => after[name].as_object_mut().unwrap().extend(settings.clone()),
                None => after[name] = value.clone(),
            }
        }
        let read = |described: &Value| serde_json::from_value(described.clone()).unwrap();
        let checked = request.check_version(&read(before)).and_then(|()| request.check_storage(&read(&after)));
        checked.map_or_else(|error| error.code.as_str(), |()| "ok")
    }

    #[test]
    fn a_file_system_is_changed_to_what_could_be_made() {
        let windows = json!({
            "FileSystemType": "WINDOWS", "StorageCapacity": 2000, "StorageType": "HDD",
            "WindowsConfiguration": {"DeploymentType": "SINGLE_AZ_2", "ThroughputCapacity": 16}
        });
        let openzfs = json!({
            "FileSystemType": "OPENZFS", "StorageCapacity": 64,
            "OpenZFSConfiguration": {"DeploymentType": "SINGLE_AZ_2", "ThroughputCapacity": 160}
        });
        let ssd = json!({
            "FileSystemType": "LUSTRE", "StorageCapacity": 2400, "StorageType": "SSD",
            "LustreConfiguration": {"DeploymentType": "PERSISTENT_1", "PerUnitStorageThroughput": 50}
        });
        let hdd = json!({
            "FileSystemType": "LUSTRE", "StorageCapacity": 6000, "StorageType": "HDD", "LustreConfiguration": {
                "DeploymentType": "PERSISTENT_1", "PerUnitStorageThroughput": 12, "DriveCacheType": "NONE"
            }
        });
        let rows = [
            (&windows, json!({"StorageCapacity": 65_536}), "ok"),
            (&windows, json!({"StorageCapacity": 65_537}), "BadRequest"),
            (&windows, json!({"StorageType": "SSD"}), "ok"),
            (&windows, json!({"StorageType": "INTELLIGENT_TIERING"}), "BadRequest"),
            (&windows, json!({"WindowsConfiguration": {"ThroughputCapacity": 2048}}), "ok"),
            (&windows, json!({"WindowsConfiguration": {"ThroughputCapacity": 24}}), "BadRequest"),
            (&openzfs, json!({"StorageCapacity": 524_288}), "ok"),
            (&openzfs, json!({"StorageCapacity": 524_289}), "BadRequest"),
            (&openzfs, json!({"StorageType": "HDD"}), "BadRequest"),
            (&openzfs, json!({"OpenZFSConfiguration": {"ThroughputCapacity": 320}}), "ok"),
            (&openzfs, json!({"OpenZFSConfiguration": {"ThroughputCapacity": 64}}), "BadRequest"),
            (&ssd, json!({"StorageCapacity": 4800}), "ok"),
            (&ssd, json!({"StorageCapacity": 3600}), "BadRequest"),
            (&ssd, json!({"StorageType": "HDD"}), "BadRequest"),
            (&ssd, json!({"LustreConfiguration": {"PerUnitStorageThroughput": 200}}), "ok"),
            (&ssd, json!({"LustreConfiguration": {"PerUnitStorageThroughput": 125}}), "BadRequest"),
            (&hdd, json!({"StorageCapacity": 12_000}), "ok"),
            (&hdd, json!({"StorageCapacity": 7200}), "BadRequest"),
            (&hdd, json!({"LustreConfiguration": {"PerUnitStorageThroughput": 40}}), "BadRequest"),
            (&hdd, json!({"StorageCapacity": 18_000, "LustreConfiguration": {"PerUnitStorageThroughput": 40}}), "ok"),
        ];
        for (before, members, wanted) in rows {
            assert_eq!(change(before, &members), wanted, "{before} {members}");
        }
    }

    #[test]
    fn what_an_update_leaves_alone_is_not_looked_at() {
        let odd = json!({
            "FileSystemType": "LUSTRE", "StorageCapacity": 1300, "StorageType": "SSD",
            "LustreConfiguration": {"DeploymentType": "PERSISTENT_1", "PerUnitStorageThroughput": 60}
        });
        assert_eq!(change(&odd, &json!({"LustreConfiguration": {"AutomaticBackupRetentionDays": 5}})), "ok");
    }

    #[test]
    fn a_version_is_of_lustre_and_newer() {
        let lustre = json!({"FileSystemType": "LUSTRE", "FileSystemTypeVersion": "2.12", "StorageCapacity": 1200});
        for (version, wanted) in
            [("2.15", "ok"), ("2.12", "BadRequest"), ("2.10", "BadRequest"), ("2.16", "BadRequest")]
        {
            assert_eq!(change(&lustre, &json!({"FileSystemTypeVersion": version})), wanted, "{version}");
        }
        let attached = json!({"FileSystemType": "LUSTRE"});
        assert_eq!(change(&attached, &json!({"FileSystemTypeVersion": "2.10"})), "ok");
        assert_eq!(
            change(&json!({"FileSystemType": "OPENZFS"}), &json!({"FileSystemTypeVersion": "2.15"})),
            "BadRequest"
        );
    }

    #[test]
    fn a_version_of_a_restore_is_not_before_that_of_the_backup() {
        let lustre = FileSystem {
            file_system_type: Some(FileSystemType::Lustre),
            file_system_type_version: Some("2.12".to_owned()),
            ..FileSystem::default()
        };
        for (version, wanted) in [("2.15", "ok"), ("2.12", "ok"), ("2.10", "BadRequest"), ("3", "BadRequest")] {
            let body = json!({
                "BackupId": "backup-0123456789abcdef0", "SubnetIds": ["subnet-0123456789abcdef0"],
                "FileSystemTypeVersion": version
            });
            let Request::CreateFileSystemFromBackup(request) = request("CreateFileSystemFromBackup", body) else {
                panic!()
            };
            let checked = request.check_version(&lustre);
            assert_eq!(checked.map_or_else(|error| error.code.as_str(), |()| "ok"), wanted, "{version}");
        }
    }

    #[test]
    fn a_last_backup_is_taken_of_windows_and_openzfs_but_not_of_lustre() {
        let defaults = [
            (FileSystemType::Windows, true),
            (FileSystemType::OpenZfs, true),
            (FileSystemType::Lustre, false),
            (FileSystemType::Ontap, false),
        ];
        for (kind, is_taken) in defaults {
            assert_eq!(delete(kind, json!({})), Some((is_taken, 0)), "{kind}");
        }
    }

    #[test]
    fn a_wish_for_a_last_backup_counts() {
        let tags = json!([{"Key": "k", "Value": "v"}]);
        let lustre = json!({"LustreConfiguration": {"SkipFinalBackup": false, "FinalBackupTags": tags}});
        assert_eq!(delete(FileSystemType::Lustre, lustre.clone()), Some((true, 1)));
        assert_eq!(delete(FileSystemType::Windows, lustre), None);
        let openzfs = json!({"OpenZFSConfiguration": {"SkipFinalBackup": true}});
        assert_eq!(delete(FileSystemType::OpenZfs, openzfs), Some((false, 0)));
    }
}
