//! Replies about snapshots.

use serde::Serialize;

use super::{Placement, Tag};
use crate::cbs::values::{DiskUsage, SnapshotMode, SnapshotState, SnapshotType};

/// A snapshot. Times are texts of `cbs::time`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Snapshot {
    /// `snap-…`
    pub snapshot_id: String,
    /// At most 60 characters.
    pub snapshot_name: String,
    /// Where it is in its life.
    pub snapshot_state: SnapshotState,
    /// 0 to 100; 100 for ever once it is complete.
    pub percent: i64,
    /// Whether it was copied from another region.
    pub copy_from_remote: bool,
    /// The targets of copies that still run.
    pub copying_to_regions: Vec<String>,
    /// The disk it was taken from; for a copy, the original disk.
    pub disk_id: String,
    /// The size of that disk in GiB.
    pub disk_size: i64,
    /// What that disk was used for.
    pub disk_usage: DiskUsage,
    /// Whether that disk was encrypted.
    pub encrypt: bool,
    /// Whether it stays until someone removes it.
    pub is_permanent: bool,
    /// When it will be removed; empty if it is permanent.
    pub deadline_time: String,
    /// When it was made; for a copy, when it was copied.
    pub create_time: String,
    /// Whether it is the caller's own.
    pub snapshot_type: SnapshotType,
    /// How many accounts it is shared with.
    pub share_reference: i64,
    /// The date since when it is shared; empty if it is not.
    pub time_start_share: String,
    /// How many machine images are built on it.
    pub image_count: i64,
    /// Those images.
    pub images: Vec<Image>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Where it lies.
    pub placement: Placement,
    /// Newer; unknown to clients of the international site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_mode: Option<SnapshotMode>,
    /// Newer; unknown to clients of the international site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_locked: Option<bool>,
    /// ISO 8601 with an offset. Newer; unknown to clients of the international site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_modify_time: Option<String>,
    /// The policy that made it. Newer; unknown to clients of the international site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_snapshot_policy_id: Option<String>,
}

/// A machine image that is built on a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Image {
    /// `img-…`
    pub image_id: String,
    /// Its name.
    pub image_name: String,
}

/// The reply of `CreateSnapshot`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateSnapshotReply {
    /// The new snapshot.
    pub snapshot_id: String,
}

/// The reply of `DescribeSnapshots`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSnapshotsReply {
    /// How many match, on all pages.
    pub total_count: usize,
    /// Those of this page.
    pub snapshot_set: Vec<Snapshot>,
}

/// The reply of `DescribeSnapshotOverview`. Sizes are in GiB.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSnapshotOverviewReply {
    /// How many snapshots there are.
    pub total_nums: i64,
    /// What they hold.
    pub total_size: f64,
    /// What is free of charge.
    pub free_quota: f64,
    /// What is charged.
    pub real_trade_size: f64,
}

/// The reply of `DescribeSnapshotSharePermission`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSnapshotSharePermissionReply {
    /// The accounts it is shared with.
    pub share_permission_set: Vec<SharePermission>,
}

/// One account that a snapshot is shared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SharePermission {
    /// Since when.
    pub created_time: String,
    /// The account.
    pub account_id: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_copy_on_its_way_is_written_as_the_documentation_has_it() {
        let snapshot = Snapshot {
            snapshot_id: "snap-d012rm6t".to_owned(),
            snapshot_name: "Copied snap-ckgjwkqh from ap-guangzhou".to_owned(),
            snapshot_state: SnapshotState::CopyingFromRemote,
            percent: 35,
            copy_from_remote: true,
            disk_id: "disk-omp7wl2m".to_owned(),
            disk_size: 70,
            is_permanent: true,
            create_time: "2026-01-15 20:00:00".to_owned(),
            placement: Placement { zone: "ap-beijing-1".to_owned(), ..Placement::default() },
            ..Snapshot::default()
        };
        let reply = DescribeSnapshotsReply { total_count: 1, snapshot_set: vec![snapshot] };
        let wanted = json!({
            "TotalCount": 1,
            "SnapshotSet": [{
                "SnapshotId": "snap-d012rm6t", "SnapshotName": "Copied snap-ckgjwkqh from ap-guangzhou",
                "SnapshotState": "COPYING_FROM_REMOTE", "Percent": 35, "CopyFromRemote": true, "CopyingToRegions": [],
                "DiskId": "disk-omp7wl2m", "DiskSize": 70, "DiskUsage": "DATA_DISK", "Encrypt": false,
                "IsPermanent": true, "DeadlineTime": "", "CreateTime": "2026-01-15 20:00:00",
                "SnapshotType": "PRIVATE_SNAPSHOT", "ShareReference": 0, "TimeStartShare": "", "ImageCount": 0,
                "Images": [], "Tags": [],
                "Placement": {
                    "Zone": "ap-beijing-1", "ProjectId": 0, "ProjectName": "", "CageId": "", "CdcId": "",
                    "CdcName": "", "DedicatedClusterId": "",
                },
            }],
        });
        assert_eq!(serde_json::to_value(reply).unwrap(), wanted);
    }
}
