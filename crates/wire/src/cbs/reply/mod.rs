//! Replies of CBS, member by member as its documentation lists them.
//!
//! Members are always written, empty when there is nothing to say. Only those that the documentation
//! calls nullable may be `null`, and only those that are newer than most clients may be absent.

mod copy;
mod disk;
mod policy;
mod snapshot;

use serde::Serialize;

use crate::tencent::reading::structure;

pub use copy::{CopySnapshotCrossRegionsReply, SnapshotCopyResult};
pub use disk::{CreateDisksReply, DescribeDisksReply, Disk};
pub use policy::{
    AdvancedRetentionPolicy, AutoSnapshotPolicy, CreateAutoSnapshotPolicyReply, DescribeAutoSnapshotPoliciesReply,
};
pub use snapshot::{
    CreateSnapshotReply, DescribeSnapshotOverviewReply, DescribeSnapshotSharePermissionReply, DescribeSnapshotsReply,
    Image, SharePermission, Snapshot,
};

/// The reply of an operation without a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Empty {}

structure! {
    /// A tag, the same in requests and replies.
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    pub Tag { key: String = "Key", value: String = "Value", }
}

/// Where a snapshot or disk lies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Placement {
    /// The zone, e.g. `ap-guangzhou-3`.
    pub zone: String,
    /// The project; 0 is the default one.
    pub project_id: i64,
    /// The project's name.
    pub project_name: String,
    /// The cage of a dedicated cluster.
    pub cage_id: String,
    /// The dedicated cluster.
    pub cdc_id: String,
    /// The dedicated cluster's name.
    pub cdc_name: String,
    /// The dedicated cluster, in newer words.
    pub dedicated_cluster_id: String,
}
