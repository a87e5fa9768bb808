//! Settings of file systems: which go together, and which values each type takes.
//!
//! Follows "CreateFileSystem" in the Amazon FSx API Reference. What concerns other resources (whether subnets
//! and keys exist) is not looked at.

mod existing;
mod lustre;
mod network;
mod storage;

pub use existing::FinalBackupWish;
pub use lustre::lustre_version_default;
pub use network::Zones;

use lustre::check_version;
use network::check_route_tables;
use storage::{Deployment, Storage};

use super::error::{FsxCode, FsxError};
use super::request::{
    CreateFileSystem, CreateFileSystemOntapConfiguration, CreateFileSystemOpenZfsConfiguration,
    CreateFileSystemWindowsConfiguration,
};
use super::words::{FileSystemType, OntapDeploymentType, OpenZfsDeploymentType, StorageType, WindowsDeploymentType};

/// How long automatic backups are kept when nothing is said, in days; 0 means that there are none.
pub fn automatic_backup_retention_days_default(kind: FileSystemType) -> i64 {
    match kind {
        FileSystemType::Lustre => 0,
        FileSystemType::Windows | FileSystemType::Ontap | FileSystemType::OpenZfs => 30,
    }
}

impl CreateFileSystem {
    /// Checks what the model does not say.
    ///
    /// # Errors
    /// `MissingFileSystemConfiguration` when the type needs settings of its own and has none;
    /// `InvalidPerUnitStorageThroughput`, `InvalidImportPath`, `InvalidExportPath` for what they say, Lustre only;
    /// `InvalidNetworkSettings` for a subnet or route table that is given twice, and a preferred subnet that is not given;
    /// `BadRequest` for everything else that does not fit.
    pub fn check_settings(&self) -> Result<(), FsxError> {
        self.check_only_own_settings()?;
        let missing = || {
            let message = format!("A file system of type {} needs its configuration.", self.file_system_type);
            FsxError::new(FsxCode::MissingFileSystemConfiguration, message)
        };
        match self.file_system_type {
            FileSystemType::Windows => self.check_windows(self.windows_configuration.as_ref().ok_or_else(missing)?),
            FileSystemType::Lustre => self.check_lustre(self.lustre_configuration.as_ref()),
            FileSystemType::Ontap => self.check_ontap(self.ontap_configuration.as_ref().ok_or_else(missing)?),
            FileSystemType::OpenZfs => self.check_openzfs(self.openzfs_configuration.as_ref().ok_or_else(missing)?),
        }
    }

    fn check_only_own_settings(&self) -> Result<(), FsxError> {
        let given = [
            (FileSystemType::Windows, "WindowsConfiguration", self.windows_configuration.is_some()),
            (FileSystemType::Lustre, "LustreConfiguration", self.lustre_configuration.is_some()),
            (FileSystemType::Ontap, "OntapConfiguration", self.ontap_configuration.is_some()),
            (FileSystemType::OpenZfs, "OpenZFSConfiguration", self.openzfs_configuration.is_some()),
        ];
        let foreign = given.into_iter().find(|(kind, _, is_given)| *is_given && *kind != self.file_system_type);
        if let Some((_, name, _)) = foreign {
            return refuse(format!("{name} cannot be given for the type {}.", self.file_system_type));
        }
        self.file_system_type_version.as_deref().map_or(Ok(()), |given| check_version(self.file_system_type, given))
    }

    fn check_windows(&self, settings: &CreateFileSystemWindowsConfiguration) -> Result<(), FsxError> {
        let deployment = settings.deployment_type.unwrap_or(WindowsDeploymentType::SingleAz1);
        let zones = Zones::of(deployment == WindowsDeploymentType::MultiAz1);
        self.check_preferring_subnets(zones, settings.preferred_subnet_id.as_deref())?;
        self.storage(Deployment::Windows { kind: deployment, throughput: settings.throughput_capacity }).check()
    }

    fn check_ontap(&self, settings: &CreateFileSystemOntapConfiguration) -> Result<(), FsxError> {
        use OntapDeploymentType as D;
        let zones = Zones::of(matches!(settings.deployment_type, D::MultiAz1 | D::MultiAz2));
        self.check_preferring_subnets(zones, settings.preferred_subnet_id.as_deref())?;
        check_route_tables(settings.route_table_ids.as_ref())?;
        let pairs = settings.ha_pairs.unwrap_or(1);
        if pairs > 1 && settings.deployment_type != D::SingleAz2 {
            return refuse("More than one of HAPairs needs the deployment type SINGLE_AZ_2.");
        }
        if settings.throughput_capacity.is_some() == settings.throughput_capacity_per_ha_pair.is_some() {
            return refuse("Exactly one of ThroughputCapacity and ThroughputCapacityPerHAPair must be given.");
        }
        self.storage(Deployment::Ontap { ha_pairs: pairs }).check()
    }

    fn check_openzfs(&self, settings: &CreateFileSystemOpenZfsConfiguration) -> Result<(), FsxError> {
        use OpenZfsDeploymentType as D;
        let zones = Zones::of(settings.deployment_type == D::MultiAz1);
        self.check_subnets(zones, settings.preferred_subnet_id.as_deref())?;
        check_route_tables(settings.route_table_ids.as_ref())?;
        let (kind, throughput) = (settings.deployment_type, settings.throughput_capacity);
        self.storage(Deployment::OpenZfs { kind, throughput }).check()
    }

    fn storage(&self, deployment: Deployment) -> Storage {
        let storage_type = self.storage_type.unwrap_or(StorageType::Ssd);
        Storage { deployment, storage_type, capacity: self.storage_capacity }
    }
}

fn refuse(message: impl Into<String>) -> Result<(), FsxError> {
    Err(FsxError::bad_request(message))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fsx::request::Request;
    use crate::fsx::{Parsed, parse};

    const A: &str = "subnet-0123456789abcdef0";
    const B: &str = "subnet-0123456789abcdef1";

    /// The answer to a request with one subnet, unless `members` says otherwise.
    fn code(kind: &str, members: Value) -> &'static str {
        let mut body = json!({"FileSystemType": kind, "SubnetIds": [A]});
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        match parse("CreateFileSystem", body.to_string().as_bytes()) {
            Ok(Parsed::Served(Request::CreateFileSystem(request))) => {
                request.check_settings().map_or_else(|error| error.code.as_str(), |()| "ok")
            }
            other => panic!("{other:?}"),
        }
    }

    fn lustre(deployment: &str, storage: &str, capacity: i64, per_unit: Option<i64>) -> &'static str {
        let cache = (storage == "HDD").then_some("NONE");
        let settings =
            json!({"DeploymentType": deployment, "PerUnitStorageThroughput": per_unit, "DriveCacheType": cache});
        code("LUSTRE", json!({"StorageType": storage, "StorageCapacity": capacity, "LustreConfiguration": settings}))
    }

    fn windows(deployment: &str, storage: &str, capacity: i64, throughput: i64) -> &'static str {
        let settings = json!({"DeploymentType": deployment, "ThroughputCapacity": throughput});
        code("WINDOWS", json!({"StorageType": storage, "StorageCapacity": capacity, "WindowsConfiguration": settings}))
    }

    fn openzfs(deployment: &str, capacity: i64, throughput: i64) -> &'static str {
        let settings = json!({"DeploymentType": deployment, "ThroughputCapacity": throughput});
        code("OPENZFS", json!({"StorageCapacity": capacity, "OpenZFSConfiguration": settings}))
    }

    fn ontap(capacity: i64, settings: Value) -> &'static str {
        code("ONTAP", json!({"StorageCapacity": capacity, "OntapConfiguration": settings}))
    }

    #[test]
    fn all_types_but_lustre_need_their_settings() {
        for kind in ["WINDOWS", "ONTAP", "OPENZFS"] {
            assert_eq!(code(kind, json!({"StorageCapacity": 1024})), "MissingFileSystemConfiguration");
        }
        assert_eq!(code("LUSTRE", json!({"StorageCapacity": 1200})), "ok");
    }

    #[test]
    fn settings_of_another_type_are_bad_requests() {
        let windows = json!({"StorageCapacity": 1200, "WindowsConfiguration": {"ThroughputCapacity": 8}});
        assert_eq!(code("LUSTRE", windows.clone()), "BadRequest");
        assert_eq!(code("ONTAP", windows), "BadRequest");
        let mut version = json!({"StorageCapacity": 32, "WindowsConfiguration": {"ThroughputCapacity": 8}});
        assert_eq!(code("WINDOWS", version.clone()), "ok");
        version["FileSystemTypeVersion"] = "2.15".into();
        assert_eq!(code("WINDOWS", version), "BadRequest");
        assert_eq!(code("LUSTRE", json!({"StorageCapacity": 1200, "FileSystemTypeVersion": "2.15"})), "ok");
        assert_eq!(code("LUSTRE", json!({"StorageCapacity": 1200, "FileSystemTypeVersion": "2.11"})), "BadRequest");
    }

    #[test]
    fn lustre_capacities_come_in_steps() {
        let cases = [
            ("SCRATCH_1", "SSD", None, vec![1200, 2400, 3600, 7200], vec![0, 1000, 4800, 6000]),
            ("SCRATCH_2", "SSD", None, vec![1200, 2400, 4800], vec![0, 3600, 1201]),
            ("PERSISTENT_1", "SSD", Some(50), vec![1200, 2400, 7200], vec![3600]),
            ("PERSISTENT_2", "SSD", Some(125), vec![1200, 2400], vec![3600]),
            ("PERSISTENT_1", "HDD", Some(12), vec![6000, 12_000], vec![1800, 1200]),
            ("PERSISTENT_1", "HDD", Some(40), vec![1800, 3600], vec![1200, 2400]),
        ];
        for (deployment, storage, per_unit, good, bad) in cases {
            for capacity in good {
                assert_eq!(lustre(deployment, storage, capacity, per_unit), "ok", "{deployment} {storage} {capacity}");
            }
            for capacity in bad {
                assert_eq!(
                    lustre(deployment, storage, capacity, per_unit),
                    "BadRequest",
                    "{deployment} {storage} {capacity}"
                );
            }
        }
    }

    #[test]
    fn lustre_throughput_depends_on_the_deployment() {
        let wrong = "InvalidPerUnitStorageThroughput";
        let cases = [
            ("PERSISTENT_1", "SSD", Some(200), "ok"),
            ("PERSISTENT_1", "SSD", Some(125), wrong),
            ("PERSISTENT_2", "SSD", Some(1000), "ok"),
            ("PERSISTENT_2", "SSD", Some(50), wrong),
            ("PERSISTENT_1", "HDD", Some(50), wrong),
            ("SCRATCH_2", "SSD", Some(200), wrong),
            ("PERSISTENT_1", "SSD", None, "BadRequest"),
            ("PERSISTENT_2", "HDD", Some(12), "BadRequest"),
            ("SCRATCH_1", "HDD", None, "BadRequest"),
        ];
        for (deployment, storage, per_unit, wanted) in cases {
            assert_eq!(lustre(deployment, storage, 1200, per_unit), wanted, "{deployment} {storage} {per_unit:?}");
        }
    }

    #[test]
    fn windows_has_its_own_sizes() {
        let cases = [
            ("SINGLE_AZ_1", "SSD", 32, 8, "ok"),
            ("SINGLE_AZ_1", "SSD", 31, 8, "BadRequest"),
            ("SINGLE_AZ_2", "SSD", 65_536, 2048, "ok"),
            ("SINGLE_AZ_2", "SSD", 65_537, 8, "BadRequest"),
            ("SINGLE_AZ_2", "HDD", 2000, 16, "ok"),
            ("SINGLE_AZ_2", "HDD", 1999, 16, "BadRequest"),
            ("SINGLE_AZ_1", "HDD", 2000, 16, "BadRequest"),
            ("SINGLE_AZ_2", "SSD", 32, 24, "BadRequest"),
            ("SINGLE_AZ_2", "INTELLIGENT_TIERING", 32, 8, "BadRequest"),
        ];
        for (deployment, storage, capacity, throughput, wanted) in cases {
            assert_eq!(windows(deployment, storage, capacity, throughput), wanted, "{deployment} {storage} {capacity}");
        }
    }

    #[test]
    fn openzfs_throughput_depends_on_the_generation() {
        assert_eq!(openzfs("SINGLE_AZ_1", 64, 64), "ok");
        assert_eq!(openzfs("SINGLE_AZ_HA_2", 524_288, 160), "ok");
        assert_eq!(openzfs("SINGLE_AZ_2", 64, 64), "BadRequest");
        assert_eq!(openzfs("SINGLE_AZ_1", 63, 64), "BadRequest");
    }

    #[test]
    fn ontap_capacity_grows_with_its_pairs() {
        let pairs = |count: i64| {
            let throughput = 1536;
            json!({"DeploymentType": "SINGLE_AZ_2", "HAPairs": count, "ThroughputCapacityPerHAPair": throughput})
        };
        assert_eq!(ontap(1024, pairs(1)), "ok");
        assert_eq!(ontap(1024, pairs(2)), "BadRequest");
        assert_eq!(ontap(6_291_456, pairs(12)), "ok");
        assert_eq!(
            ontap(2048, json!({"DeploymentType": "SINGLE_AZ_1", "HAPairs": 2, "ThroughputCapacity": 128})),
            "BadRequest"
        );
        assert_eq!(ontap(1024, json!({"DeploymentType": "SINGLE_AZ_1"})), "BadRequest");
        let both =
            json!({"DeploymentType": "SINGLE_AZ_2", "ThroughputCapacity": 1536, "ThroughputCapacityPerHAPair": 1536});
        assert_eq!(ontap(1024, both), "BadRequest");
    }

    #[test]
    fn two_zones_need_two_subnets_and_a_preferred_one() {
        let multi = |subnets: &[&str], preferred: Option<&str>| {
            let settings =
                json!({"DeploymentType": "MULTI_AZ_1", "ThroughputCapacity": 8, "PreferredSubnetId": preferred});
            code("WINDOWS", json!({"StorageCapacity": 32, "SubnetIds": subnets, "WindowsConfiguration": settings}))
        };
        assert_eq!(multi(&[A, B], Some(B)), "ok");
        assert_eq!(multi(&[A], Some(A)), "BadRequest");
        assert_eq!(multi(&[A, B], None), "BadRequest");
        assert_eq!(multi(&[A, B], Some("subnet-0123456789abcdef2")), "InvalidNetworkSettings");
        assert_eq!(multi(&[A, A], Some(A)), "InvalidNetworkSettings");
        assert_eq!(code("LUSTRE", json!({"StorageCapacity": 1200, "SubnetIds": [A, B]})), "BadRequest");
        assert_eq!(code("LUSTRE", json!({"StorageCapacity": 1200, "SubnetIds": []})), "BadRequest");
    }

    #[test]
    fn only_tiered_storage_goes_without_a_capacity() {
        let tiered = |capacity: Option<i64>| {
            let settings = json!({"DeploymentType": "PERSISTENT_2", "ThroughputCapacity": 4000});
            code(
                "LUSTRE",
                json!({
                    "StorageType": "INTELLIGENT_TIERING", "StorageCapacity": capacity, "LustreConfiguration": settings
                }),
            )
        };
        assert_eq!((tiered(None), tiered(Some(1200))), ("ok", "BadRequest"));
        assert_eq!(code("LUSTRE", json!({})), "BadRequest");
    }

    #[test]
    fn buckets_have_their_own_errors() {
        let linked = |import: Option<&str>, export: Option<&str>| {
            let settings = json!({"ImportPath": import, "ExportPath": export});
            code("LUSTRE", json!({"StorageCapacity": 1200, "LustreConfiguration": settings}))
        };
        assert_eq!(linked(Some("s3://bucket/prefix"), Some("s3://bucket/out")), "ok");
        assert_eq!(linked(Some("http://bucket"), None), "InvalidImportPath");
        assert_eq!(linked(None, Some("s3://bucket")), "InvalidExportPath");
        assert_eq!(linked(Some("s3://bucket"), Some("s3://")), "InvalidExportPath");
    }

    #[test]
    fn defaults_follow_the_type() {
        assert_eq!(automatic_backup_retention_days_default(FileSystemType::Lustre), 0);
        assert_eq!(automatic_backup_retention_days_default(FileSystemType::Windows), 30);
        assert_eq!(lustre_version_default(None), "2.10");
    }
}
