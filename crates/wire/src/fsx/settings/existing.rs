//! Settings in requests that change or remove a file system: they must be those of its type.

use super::super::error::{FsxCode, FsxError};
use super::super::request::{DeleteFileSystem, Tag, UpdateFileSystem};
use super::super::words::FileSystemType;
use super::refuse;

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
