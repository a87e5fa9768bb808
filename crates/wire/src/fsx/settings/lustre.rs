//! Settings of new Lustre file systems.

use super::super::error::{FsxCode, FsxError};
use super::super::request::{CreateFileSystem, CreateFileSystemLustreConfiguration};
use super::super::words::{LustreDeploymentType, StorageType};
use super::{Zones, refuse};

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
        if self.file_system_type_version.as_deref().is_some_and(|version| !VERSIONS.contains(&version)) {
            return refuse(format!("FileSystemTypeVersion must be one of {}.", VERSIONS.join(", ")));
        }
        let deployment = settings.and_then(|settings| settings.deployment_type);
        let deployment = deployment.unwrap_or(LustreDeploymentType::Scratch1);
        let per_unit = settings.and_then(|settings| settings.per_unit_storage_throughput);
        let has_drive_cache = settings.is_some_and(|settings| settings.drive_cache_type.is_some());
        if has_drive_cache != (self.storage_type() == StorageType::Hdd) {
            return refuse("DriveCacheType is required for the storage type HDD, and only allowed there.");
        }
        self.check_lustre_throughput(deployment, per_unit)?;
        self.check_lustre_capacity(deployment, per_unit)?;
        settings.map_or(Ok(()), check_paths)
    }

    fn check_lustre_throughput(&self, deployment: LustreDeploymentType, given: Option<i64>) -> Result<(), FsxError> {
        use {LustreDeploymentType as D, StorageType as S};
        let allowed: &[i64] = match (deployment, self.storage_type()) {
            (D::Persistent1, S::Ssd) => &[50, 100, 200],
            (D::Persistent1, S::Hdd) => &[12, 40],
            (D::Persistent2, S::Ssd) => &[125, 250, 500, 1000],
            (D::Persistent2, S::IntelligentTiering) | (D::Scratch1 | D::Scratch2, S::Ssd) => &[],
            _ => return self.refuse_storage_type(),
        };
        match given {
            Some(given) if !allowed.contains(&given) => {
                let message = format!("PerUnitStorageThroughput {given} is not offered for {deployment}.");
                Err(FsxError::new(FsxCode::InvalidPerUnitStorageThroughput, message))
            }
            None if !allowed.is_empty() => refuse(format!("PerUnitStorageThroughput is required for {deployment}.")),
            _ => Ok(()),
        }
    }

    fn check_lustre_capacity(&self, deployment: LustreDeploymentType, per_unit: Option<i64>) -> Result<(), FsxError> {
        if self.storage_type() == StorageType::IntelligentTiering {
            return self.check_no_capacity();
        }
        let capacity = self.load_capacity()?;
        let (small, step): (&[i64], i64) = match (self.storage_type(), deployment, per_unit) {
            (StorageType::Hdd, _, Some(12)) => (&[], 6000),
            (StorageType::Hdd, _, _) => (&[], 1800),
            (_, LustreDeploymentType::Scratch1, _) => (&[1200, 2400], 3600),
            _ => (&[1200], 2400),
        };
        if small.contains(&capacity) || (capacity > 0 && capacity % step == 0) {
            return Ok(());
        }
        let small: String = small.iter().map(|size| format!("{size}, ")).collect();
        refuse(format!("StorageCapacity must be {small}or a multiple of {step} GiB."))
    }
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
