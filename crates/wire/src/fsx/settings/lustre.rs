//! Settings of Lustre file systems: those of new ones, and versions.

use std::cmp::Ordering;

use super::super::error::{FsxCode, FsxError};
use super::super::reply::FileSystem;
use super::super::request::{
    CreateFileSystem, CreateFileSystemFromBackup, CreateFileSystemLustreConfiguration, UpdateFileSystem,
};
use super::super::words::{FileSystemType, LustreDeploymentType};
use super::storage::Deployment;
use super::{Zones, refuse};

/// In the order in which they came.
const VERSIONS: &[&str] = &["2.10", "2.12", "2.15"];

/// The Lustre version when nothing is said.
pub fn lustre_version_default(settings: Option<&CreateFileSystemLustreConfiguration>) -> &'static str {
    match settings {
        Some(settings) if settings.deployment_type == Some(LustreDeploymentType::Persistent2) => {
            if settings.metadata_configuration.is_some() { "2.15" } else { "2.12" }
        }
        _ => "2.10",
    }
}

impl CreateFileSystem {
    pub(super) fn check_lustre(&self, settings: Option<&CreateFileSystemLustreConfiguration>) -> Result<(), FsxError> {
        self.check_subnets(Zones::One, None)?;
        let deployment = Deployment::Lustre {
            kind: settings.and_then(|settings| settings.deployment_type).unwrap_or(LustreDeploymentType::Scratch1),
            throughput_per_unit: settings.and_then(|settings| settings.per_unit_storage_throughput),
            has_drive_cache: settings.is_some_and(|settings| settings.drive_cache_type.is_some()),
        };
        self.storage(deployment).check()?;
        settings.map_or(Ok(()), check_paths)
    }
}

impl CreateFileSystemFromBackup {
    /// Checks that the version that is asked for is none before that of the backup.
    ///
    /// # Errors
    /// `BadRequest` for such a one, one that there is not, and any but of Lustre.
    pub fn check_version(&self, before: &FileSystem) -> Result<(), FsxError> {
        let Some(given) = self.file_system_type_version.as_deref() else { return Ok(()) };
        match beside(before, given)? {
            Some((Ordering::Less, before)) => {
                refuse(format!("FileSystemTypeVersion must not be older than the {before} of the backup."))
            }
            _ => Ok(()),
        }
    }
}

impl UpdateFileSystem {
    /// Checks that the version that is asked for is newer than the file system's.
    ///
    /// # Errors
    /// `BadRequest` for one that is not, one that there is not, and any but of Lustre.
    pub fn check_version(&self, before: &FileSystem) -> Result<(), FsxError> {
        let Some(given) = self.file_system_type_version.as_deref() else { return Ok(()) };
        match beside(before, given)? {
            Some((Ordering::Less | Ordering::Equal, before)) => {
                refuse(format!("FileSystemTypeVersion must be newer than {before}, which the file system has."))
            }
            _ => Ok(()),
        }
    }
}

/// Checks that there is such a version of such a file system: Lustre alone has any.
pub(super) fn check_version(kind: FileSystemType, given: &str) -> Result<(), FsxError> {
    if kind != FileSystemType::Lustre {
        return refuse("FileSystemTypeVersion can be given for the type LUSTRE only.");
    }
    match place(given) {
        Some(_) => Ok(()),
        None => refuse(format!("FileSystemTypeVersion must be one of {}.", VERSIONS.join(", "))),
    }
}

/// How a version that there is compares with the one that a file system has, and that one.
fn beside<'a>(described: &'a FileSystem, given: &str) -> Result<Option<(Ordering, &'a str)>, FsxError> {
    check_version(described.file_system_type.unwrap_or(FileSystemType::Lustre), given)?;
    let before = described.file_system_type_version.as_deref();
    Ok(before.map(|before| (place(given).cmp(&place(before)), before)))
}

fn place(version: &str) -> Option<usize> {
    VERSIONS.iter().position(|known| *known == version)
}

fn check_paths(settings: &CreateFileSystemLustreConfiguration) -> Result<(), FsxError> {
    let is_bucket =
        |path: &str| path.strip_prefix("s3://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    if settings.import_path.as_deref().is_some_and(|path| !is_bucket(path)) {
        return Err(FsxError::new(FsxCode::InvalidImportPath, "ImportPath must have the form s3://bucket/prefix."));
    }
    match &settings.export_path {
        Some(_) if settings.import_path.is_none() => {
            Err(FsxError::new(FsxCode::InvalidExportPath, "ExportPath needs ImportPath."))
        }
        Some(path) if !is_bucket(path) => {
            Err(FsxError::new(FsxCode::InvalidExportPath, "ExportPath must have the form s3://bucket/prefix."))
        }
        _ => Ok(()),
    }
}
