//! The storage of a file system, of which type it is, how much, and how fast: these have to suit each other.
//!
//! The same goes for a file system that is made as for one that is changed, so both are asked about here.

use super::super::error::{FsxCode, FsxError};
use super::super::reply::FileSystem;
use super::super::words::{
    FileSystemType, LustreDeploymentType, OpenZfsDeploymentType, StorageType, WindowsDeploymentType,
};
use super::refuse;

const WINDOWS_THROUGHPUTS: &[i64] = &[8, 16, 32, 64, 128, 256, 512, 1024, 2048];
const OPENZFS_THROUGHPUTS_FIRST: &[i64] = &[64, 128, 256, 512, 1024, 2048, 3072, 4096];
const OPENZFS_THROUGHPUTS_SECOND: &[i64] = &[160, 320, 640, 1280, 2560, 3840, 5120, 7680, 10_240];

/// Storage, and what decides whether there is any such.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage {
    pub(super) deployment: Deployment,
    pub(super) storage_type: StorageType,
    /// In GiB.
    pub(super) capacity: Option<i64>,
}

impl FileSystem {
    /// Checks that there is such storage as the file system is described with.
    ///
    /// # Errors
    /// `BadRequest`, or `InvalidPerUnitStorageThroughput` for how fast Lustre is to be.
    pub fn check_storage(&self) -> Result<(), FsxError> {
        Storage::of(self).map_or(Ok(()), |storage| storage.check())
    }
}

/// How a file system is deployed, and how fast it is to be: in MB/s, Lustre in MB/s for each TiB.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deployment {
    Windows { kind: WindowsDeploymentType, throughput: i64 },
    Lustre { kind: LustreDeploymentType, throughput_per_unit: Option<i64>, has_drive_cache: bool },
    Ontap { ha_pairs: i64 },
    OpenZfs { kind: OpenZfsDeploymentType, throughput: i64 },
}

impl Storage {
    /// The storage of a file system that is described; `None` if the description leaves out what it depends on.
    pub(super) fn of(described: &FileSystem) -> Option<Self> {
        let deployment = if let Some(windows) = &described.windows_configuration {
            let kind = windows.deployment_type.unwrap_or(WindowsDeploymentType::SingleAz1);
            Deployment::Windows { kind, throughput: windows.throughput_capacity? }
        } else if let Some(lustre) = &described.lustre_configuration {
            Deployment::Lustre {
                kind: lustre.deployment_type?,
                throughput_per_unit: lustre.per_unit_storage_throughput,
                has_drive_cache: lustre.drive_cache_type.is_some(),
            }
        } else {
            let openzfs = described.openzfs_configuration.as_ref()?;
            Deployment::OpenZfs { kind: openzfs.deployment_type?, throughput: openzfs.throughput_capacity? }
        };
        let storage_type = described.storage_type.unwrap_or(StorageType::Ssd);
        Some(Self { deployment, storage_type, capacity: described.storage_capacity })
    }

    pub(super) fn check(&self) -> Result<(), FsxError> {
        self.check_type()?;
        self.check_throughput()?;
        self.check_capacity()
    }

    /// Checks that file systems that are deployed so have storage of that type.
    pub(super) fn check_type(&self) -> Result<(), FsxError> {
        use {Deployment as D, LustreDeploymentType as L, StorageType as S};
        let is_offered = match (self.deployment, self.storage_type) {
            (D::Windows { kind: WindowsDeploymentType::SingleAz1, .. }, S::Hdd) => {
                return refuse("StorageType HDD needs the deployment type SINGLE_AZ_2 or MULTI_AZ_1.");
            }
            (D::Lustre { has_drive_cache, .. }, storage_type) if has_drive_cache != (storage_type == S::Hdd) => {
                return refuse("DriveCacheType is required for the storage type HDD, and only allowed there.");
            }
            (_, S::Ssd) => true,
            (D::Windows { .. } | D::Lustre { kind: L::Persistent1, .. }, S::Hdd) => true,
            (D::OpenZfs { .. } | D::Lustre { kind: L::Persistent2, .. }, S::IntelligentTiering) => true,
            _ => false,
        };
        if is_offered {
            return Ok(());
        }
        let (storage_type, kind) = (self.storage_type, self.file_system_type());
        refuse(format!("StorageType {storage_type} is not offered for this {kind} file system."))
    }

    pub(super) fn check_throughput(&self) -> Result<(), FsxError> {
        use OpenZfsDeploymentType as Z;
        match self.deployment {
            Deployment::Windows { throughput, .. } => check_throughput(throughput, WINDOWS_THROUGHPUTS),
            Deployment::Lustre { kind, throughput_per_unit, .. } => {
                check_throughput_per_unit(kind, self.storage_type, throughput_per_unit)
            }
            Deployment::OpenZfs { kind: Z::SingleAz1 | Z::SingleAzHa1, throughput } => {
                check_throughput(throughput, OPENZFS_THROUGHPUTS_FIRST)
            }
            Deployment::OpenZfs { kind: Z::SingleAz2 | Z::SingleAzHa2 | Z::MultiAz1, throughput } => {
                check_throughput(throughput, OPENZFS_THROUGHPUTS_SECOND)
            }
            Deployment::Ontap { .. } => Ok(()),
        }
    }

    pub(super) fn check_capacity(&self) -> Result<(), FsxError> {
        if self.storage_type == StorageType::IntelligentTiering {
            return match self.capacity {
                Some(_) => refuse("StorageCapacity cannot be given for the storage type INTELLIGENT_TIERING."),
                None => Ok(()),
            };
        }
        let capacity = self.capacity.ok_or_else(|| FsxError::bad_request("StorageCapacity is required."))?;
        match self.deployment {
            Deployment::Windows { .. } if self.storage_type == StorageType::Hdd => {
                check_between(capacity, 2000, 65_536)
            }
            Deployment::Windows { .. } => check_between(capacity, 32, 65_536),
            Deployment::Lustre { kind, throughput_per_unit, .. } => {
                let (small, step): (&[i64], i64) = match (self.storage_type, kind, throughput_per_unit) {
                    (StorageType::Hdd, _, Some(12)) => (&[], 6000),
                    (StorageType::Hdd, _, _) => (&[], 1800),
                    (_, LustreDeploymentType::Scratch1, _) => (&[1200, 2400], 3600),
                    _ => (&[1200], 2400),
                };
                check_in_steps(capacity, small, step)
            }
            Deployment::Ontap { ha_pairs } => check_between(capacity, 1024 * ha_pairs, 524_288 * ha_pairs),
            Deployment::OpenZfs { .. } => check_between(capacity, 64, 524_288),
        }
    }

    fn file_system_type(&self) -> FileSystemType {
        match self.deployment {
            Deployment::Windows { .. } => FileSystemType::Windows,
            Deployment::Lustre { .. } => FileSystemType::Lustre,
            Deployment::Ontap { .. } => FileSystemType::Ontap,
            Deployment::OpenZfs { .. } => FileSystemType::OpenZfs,
        }
    }
}

fn check_throughput(throughput: i64, allowed: &[i64]) -> Result<(), FsxError> {
    if allowed.contains(&throughput) {
        return Ok(());
    }
    let allowed: Vec<String> = allowed.iter().map(i64::to_string).collect();
    refuse(format!("ThroughputCapacity must be one of {}.", allowed.join(", ")))
}

fn check_throughput_per_unit(
    deployment: LustreDeploymentType,
    storage_type: StorageType,
    given: Option<i64>,
) -> Result<(), FsxError> {
    use {LustreDeploymentType as L, StorageType as S};
    let allowed: &[i64] = match (deployment, storage_type) {
        (L::Persistent1, S::Ssd) => &[50, 100, 200],
        (L::Persistent1, S::Hdd) => &[12, 40],
        (L::Persistent2, S::Ssd) => &[125, 250, 500, 1000],
        _ => &[],
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

fn check_between(capacity: i64, least: i64, most: i64) -> Result<(), FsxError> {
    if (least..=most).contains(&capacity) {
        return Ok(());
    }
    refuse(format!("StorageCapacity must be between {least} and {most} GiB."))
}

fn check_in_steps(capacity: i64, small: &[i64], step: i64) -> Result<(), FsxError> {
    if small.contains(&capacity) || (capacity > 0 && capacity % step == 0) {
        return Ok(());
    }
    let small: String = small.iter().map(|size| format!("{size}, ")).collect();
    refuse(format!("StorageCapacity must be {small}or a multiple of {step} GiB."))
}
