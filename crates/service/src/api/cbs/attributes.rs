//! What only CBS knows of a disk or a snapshot: JSON in their rows, empty for those that the command line made.

use catalog::{BackupRow, ResourceRow};
use engine::managed::path_of;
use model::{PolicyId, Timestamp};
use serde::{Deserialize, Serialize};
use wire::cbs::time::{months_after, utc_plus_8};
use wire::cbs::values::{DiskChargeType, DiskType, DiskUsage, RenewFlag};

const GIB: u64 = 1 << 30;

/// What [`DiskAttributes::size_gib`] and [`DiskAttributes::instances`] are called in the row, where quotas count them.
pub(super) const SIZE: &str = "size_gib";
pub(super) const INSTANCES: &str = "instances";

/// What CBS knows of a disk.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct DiskAttributes {
    pub(super) size_gib: Option<i64>,
    pub(super) disk_type: String,
    pub(super) charge_type: String,
    pub(super) renew_flag: Option<String>,
    /// For how long it is paid in advance, from when it was made.
    pub(super) prepaid_months: Option<i64>,
    pub(super) zone: Option<String>,
    pub(super) project_id: i64,
    pub(super) delete_snapshot: bool,
    pub(super) encrypted: bool,
    pub(super) encrypt_type: Option<String>,
    pub(super) shareable: bool,
    pub(super) throughput: i64,
    pub(super) burst: bool,
    pub(super) backup_quota: i64,
    /// Whether a snapshot is being rolled back onto it.
    pub(super) rollback: bool,
    /// The instances that it is attached to.
    pub(super) instances: Vec<String>,
    /// The one that it was detached from at last.
    pub(super) last_instance: Option<String>,
    pub(super) delete_with_instance: bool,
}

impl DiskAttributes {
    /// Those of a disk.
    pub(super) fn of(row: &ResourceRow) -> Self {
        serde_json::from_str(&row.attributes).unwrap_or_default()
    }

    /// As its row holds them.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("serializing to memory")
    }

    /// Its size: as it was asked for, or as its image is. An image that may not answer is looked at before this.
    pub(super) fn size_gib(&self, row: &ResourceRow) -> i64 {
        self.size_gib.unwrap_or_else(|| in_gib(std::fs::metadata(path_of(row)).map_or(0, |meta| meta.len())))
    }

    /// Whether an instance uses it.
    pub(super) fn is_attached(&self) -> bool {
        !self.instances.is_empty()
    }

    pub(super) fn disk_type(&self) -> DiskType {
        DiskType::find(&self.disk_type).unwrap_or_default()
    }

    pub(super) fn charge_type(&self) -> DiskChargeType {
        DiskChargeType::find(&self.charge_type).unwrap_or_default()
    }

    /// What is to happen at its deadline, if it can have one.
    pub(super) fn renew_flag(&self) -> Option<RenewFlag> {
        let given = || self.renew_flag.as_deref().and_then(RenewFlag::find);
        (self.charge_type() == DiskChargeType::Prepaid).then(|| given().unwrap_or_default())
    }

    /// When the time is over for which it is paid, if it is paid in advance.
    pub(super) fn deadline(&self, row: &ResourceRow) -> Option<Timestamp> {
        months_after(row.created_at, self.prepaid_months?, &utc_plus_8())
    }
}

/// A number of bytes in GiB.
pub(super) fn in_gib(bytes: u64) -> i64 {
    i64::try_from(bytes.div_ceil(GIB)).unwrap_or(i64::MAX)
}

/// What CBS knows of a snapshot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SnapshotAttributes {
    pub(super) name: Option<String>,
    pub(super) disk_size: Option<i64>,
    pub(super) disk_usage: String,
    pub(super) zone: Option<String>,
    pub(super) project_id: i64,
    pub(super) encrypted: bool,
    /// The policy that took it.
    pub(super) policy: Option<PolicyId>,
}

impl SnapshotAttributes {
    /// Those of a new snapshot of a disk, before its maker says more.
    pub(super) fn of_disk(disk: &ResourceRow) -> Self {
        let known = DiskAttributes::of(disk);
        Self {
            name: None,
            disk_size: Some(known.size_gib(disk)),
            disk_usage: DiskUsage::default().as_str().to_owned(),
            zone: known.zone,
            project_id: known.project_id,
            encrypted: known.encrypted,
            policy: None,
        }
    }

    /// Those of a snapshot.
    pub(super) fn of(row: &BackupRow) -> Self {
        serde_json::from_str(&row.attributes).unwrap_or_default()
    }

    /// As its row holds them.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("serializing to memory")
    }

    /// The size of its disk in GiB: as it was when the snapshot was taken.
    pub(super) fn disk_size(&self, row: &BackupRow) -> i64 {
        self.disk_size.unwrap_or_else(|| in_gib(row.size_bytes))
    }

    pub(super) fn disk_usage(&self) -> DiskUsage {
        DiskUsage::find(&self.disk_usage).unwrap_or_default()
    }
}
