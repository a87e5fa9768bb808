//! Limits: how much an account may have and do. The defaults are those that the clouds document.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An account's limits in each region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// FSx copies under way into one region.
    pub(crate) fsx_copies_in_progress: u64,
    /// FSx backups that callers have asked for, for each type of file system.
    pub(crate) fsx_user_backups: u64,
    /// FSx file systems of each type.
    pub(crate) fsx_file_systems: u64,
    /// GiB of storage of all FSx file systems of one type, as they were asked for; as much as one likes unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fsx_storage_gib: Option<u64>,
    /// Clusters of HSMs.
    pub(crate) cloudhsm_clusters: u64,
    /// HSMs, in all clusters.
    pub(crate) cloudhsm_hsms: u64,
    /// HSMs in one cluster.
    pub(crate) cloudhsm_hsms_per_cluster: u64,
    /// Snapshots of disks.
    pub(crate) cbs_snapshots: u64,
    /// Snapshots of one disk, copies not counted.
    pub(crate) cbs_snapshots_per_disk: u64,
    /// Snapshots of disks that are being made; as many as one likes unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cbs_snapshots_in_progress: Option<u64>,
    /// GiB of all disks, as they were asked for; as much as one likes unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cbs_disk_gib: Option<u64>,
    /// Disks that are attached to one instance.
    pub(crate) cbs_disks_per_instance: u64,
    /// Policies by which snapshots are taken.
    pub(crate) cbs_policies: u64,
    /// Disks that are bound to one policy.
    pub(crate) cbs_disks_per_policy: u64,
    /// Calls a second to FSx, instead of those that the configuration allows every account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fsx_requests_per_second: Option<NonZeroU32>,
    /// Calls a second to CloudHSM, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cloudhsm_requests_per_second: Option<NonZeroU32>,
    /// Calls a second to each operation of CBS, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cbs_requests_per_second: Option<NonZeroU32>,
    /// Whether the account has not paid: CBS then makes nothing new.
    pub(crate) in_arrears: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fsx_copies_in_progress: 5,
            fsx_user_backups: 500,
            fsx_file_systems: 100,
            fsx_storage_gib: None,
            cloudhsm_clusters: 4,
            cloudhsm_hsms: 6,
            cloudhsm_hsms_per_cluster: 28,
            cbs_snapshots: 6_400,
            cbs_snapshots_per_disk: 64,
            cbs_snapshots_in_progress: None,
            cbs_disk_gib: None,
            cbs_disks_per_instance: 20,
            cbs_policies: 10,
            cbs_disks_per_policy: 80,
            fsx_requests_per_second: None,
            cloudhsm_requests_per_second: None,
            cbs_requests_per_second: None,
            in_arrears: false,
        }
    }
}

impl Limits {
    /// Whether nothing was changed.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
