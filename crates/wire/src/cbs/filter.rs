//! Filters of the listing operations: which names there are, and what each compares.
//!
//! Filters are joined by "and", the values of one filter by "or". Texts are compared exactly, the
//! booleans of `encrypt` and `portable` in any case.

use super::reply::{AutoSnapshotPolicy, Disk, Snapshot};
use super::{CbsCode, CbsError};
use crate::tencent::CommonCode;
use crate::tencent::reading::structure;
use crate::tencent::words::words;

structure! {
    /// A filter as callers give it.
    pub(super) FilterGiven { name: String = "Name", values: Vec<String> = "Values", }
}

/// A filter whose name is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter<F> {
    /// What is compared.
    pub field: F,
    /// The values that match.
    pub values: Vec<String>,
}

/// What filters of one operation compare.
pub trait Field: Sized {
    /// What is listed.
    type Item;

    /// The field of a filter's name.
    fn named(name: &str) -> Option<Self>;

    /// Whether it is known here what items have in this field. Else the listing is refused: an empty one would be a lie.
    fn is_known(&self) -> bool {
        true
    }

    /// How many values one filter can have.
    fn values_max(&self) -> usize {
        usize::MAX
    }

    /// Whether `value` is what `item` has in this field.
    fn has(&self, item: &Self::Item, value: &str) -> bool;
}

impl<F: Field> Filter<F> {
    pub(super) fn of(given: FilterGiven) -> Result<Self, CbsError> {
        let FilterGiven { name, values } = given;
        let unknown = || CbsError::new(CbsCode::InvalidFilter, format!("The filter {name} is not supported."));
        let field = F::named(&name).ok_or_else(unknown)?;
        if !field.is_known() {
            let message = format!("There is nothing here to find disks by {name} with.");
            return Err(CbsError::new(CommonCode::UnsupportedOperation, message));
        }
        if values.is_empty() || values.len() > field.values_max() {
            let message = format!("The filter {name} has too few or too many values.");
            return Err(CbsError::new(CommonCode::InvalidParameterValue, message));
        }
        Ok(Self { field, values })
    }

    /// Whether `item` has one of the values.
    pub fn matches(&self, item: &F::Item) -> bool {
        self.values.iter().any(|value| self.field.has(item, value))
    }
}

words! {
    /// What `DescribeSnapshots` can filter by.
    SnapshotField {
        SnapshotId = "snapshot-id",
        SnapshotName = "snapshot-name",
        SnapshotState = "snapshot-state",
        DiskUsage = "disk-usage",
        DiskId = "disk-id",
        ProjectId = "project-id",
        Encrypt = "encrypt",
        SnapshotType = "snapshot-type",
        Zone = "zone",
    }
}

impl Field for SnapshotField {
    type Item = Snapshot;

    fn named(name: &str) -> Option<Self> {
        Self::find(name)
    }

    fn values_max(&self) -> usize {
        if *self == Self::DiskId { 10 } else { usize::MAX }
    }

    fn has(&self, snapshot: &Snapshot, value: &str) -> bool {
        match self {
            Self::SnapshotId => snapshot.snapshot_id == value,
            Self::SnapshotName => snapshot.snapshot_name == value,
            Self::SnapshotState => snapshot.snapshot_state.as_str() == value,
            Self::DiskUsage => snapshot.disk_usage.as_str() == value,
            Self::DiskId => snapshot.disk_id == value,
            Self::ProjectId => snapshot.placement.project_id.to_string() == value,
            Self::Encrypt => is_flag(snapshot.encrypt, value),
            Self::SnapshotType => snapshot.snapshot_type.as_str() == value,
            Self::Zone => snapshot.placement.zone == value,
        }
    }
}

words! {
    /// What `DescribeDisks` can filter by, but for single tags.
    DiskMember {
        DiskUsage = "disk-usage",
        DiskChargeType = "disk-charge-type",
        Portable = "portable",
        ProjectId = "project-id",
        DiskId = "disk-id",
        DiskName = "disk-name",
        DiskType = "disk-type",
        DiskState = "disk-state",
        InstanceId = "instance-id",
        Zone = "zone",
        /// Refused: no instance has an address here.
        InstanceIpAddress = "instance-ip-address",
        /// Refused: no instance has a name here.
        InstanceName = "instance-name",
        TagKey = "tag-key",
        TagValue = "tag-value",
        DedicatedClusterId = "dedicated-cluster-id",
        /// Refused: there are no cluster groups here.
        ClusterGroupId = "cluster-group-id",
    }
}

/// What `DescribeDisks` can filter by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskField {
    /// A member of the disk.
    Member(DiskMember),
    /// `tag:<key>`: the value of that tag.
    Tag(String),
}

impl Field for DiskField {
    type Item = Disk;

    fn named(name: &str) -> Option<Self> {
        match name.strip_prefix("tag:") {
            Some(key) => Some(Self::Tag(key.to_owned())),
            None => DiskMember::find(name).map(Self::Member),
        }
    }

    fn is_known(&self) -> bool {
        use DiskMember as M;
        !matches!(self, Self::Member(M::InstanceIpAddress | M::InstanceName | M::ClusterGroupId))
    }

    fn has(&self, disk: &Disk, value: &str) -> bool {
        use DiskMember as M;
        let member = match self {
            Self::Tag(key) => return disk.tags.iter().any(|tag| tag.key == *key && tag.value == value),
            Self::Member(member) => member,
        };
        match member {
            M::DiskUsage => disk.disk_usage.as_str() == value,
            M::DiskChargeType => disk.disk_charge_type.as_str() == value,
            M::Portable => is_flag(disk.portable, value),
            M::ProjectId => disk.placement.project_id.to_string() == value,
            M::DiskId => disk.disk_id == value,
            M::DiskName => disk.disk_name == value,
            M::DiskType => disk.disk_type.as_str() == value,
            M::DiskState => disk.disk_state.as_str() == value,
            M::InstanceId => disk.instance_id_list.iter().any(|id| id == value),
            M::Zone => disk.placement.zone == value,
            M::TagKey => disk.tags.iter().any(|tag| tag.key == value),
            M::TagValue => disk.tags.iter().any(|tag| tag.value == value),
            M::DedicatedClusterId => disk.placement.dedicated_cluster_id == value,
            M::InstanceIpAddress | M::InstanceName | M::ClusterGroupId => false,
        }
    }
}

words! {
    /// What `DescribeAutoSnapshotPolicies` can filter by.
    AutoSnapshotPolicyField {
        Id = "auto-snapshot-policy-id",
        State = "auto-snapshot-policy-state",
        Name = "auto-snapshot-policy-name",
    }
}

impl Field for AutoSnapshotPolicyField {
    type Item = AutoSnapshotPolicy;

    fn named(name: &str) -> Option<Self> {
        Self::find(name)
    }

    fn has(&self, policy: &AutoSnapshotPolicy, value: &str) -> bool {
        match self {
            Self::Id => policy.auto_snapshot_policy_id == value,
            Self::State => policy.auto_snapshot_policy_state.as_str() == value,
            Self::Name => policy.auto_snapshot_policy_name == value,
        }
    }
}

fn is_flag(flag: bool, value: &str) -> bool {
    value.eq_ignore_ascii_case(if flag { "true" } else { "false" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbs::reply::{Placement, Tag};
    use crate::cbs::values::SnapshotState;

    fn filter<F: Field>(name: &str, values: &[&str]) -> Filter<F> {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Filter::of(FilterGiven { name: name.to_owned(), values }).unwrap()
    }

    fn refused<F: Field + std::fmt::Debug>(name: &str, values: usize) -> super::super::Code {
        let values = vec!["x".to_owned(); values];
        Filter::<F>::of(FilterGiven { name: name.to_owned(), values }).unwrap_err().code
    }

    #[test]
    fn snapshots_match_by_any_of_the_values() {
        let placement = Placement { zone: "ap-guangzhou-3".to_owned(), project_id: 12, ..Placement::default() };
        let snapshot = Snapshot { snapshot_state: SnapshotState::Normal, placement, ..Snapshot::default() };
        let matches = |name: &str, values: &[&str]| filter::<SnapshotField>(name, values).matches(&snapshot);
        assert!(matches("snapshot-state", &["CREATING", "NORMAL"]));
        assert!(!matches("snapshot-state", &["normal"]));
        assert!(matches("encrypt", &["False"]) && !matches("encrypt", &["true"]));
        assert!(matches("project-id", &["12"]) && matches("zone", &["ap-guangzhou-3"]));
        assert!(matches("disk-usage", &["DATA_DISK"]) && matches("snapshot-type", &["PRIVATE_SNAPSHOT"]));
    }

    #[test]
    fn disks_match_by_their_tags() {
        let tags = vec![Tag { key: "env".to_owned(), value: "prod".to_owned() }];
        let disk = Disk { tags, portable: true, instance_id_list: vec!["ins-1".to_owned()], ..Disk::default() };
        let matches = |name: &str, value: &str| filter::<DiskField>(name, &[value]).matches(&disk);
        assert!(matches("tag:env", "prod") && !matches("tag:env", "test") && !matches("tag:", "prod"));
        assert!(matches("tag-key", "env") && matches("tag-value", "prod"));
        assert!(matches("portable", "TRUE") && matches("instance-id", "ins-1"));
    }

    #[test]
    fn unknown_names_and_wrong_numbers_of_values_are_refused() {
        assert_eq!(refused::<SnapshotField>("snapshotid", 1), CbsCode::InvalidFilter.into());
        assert_eq!(refused::<DiskField>("tags", 1), CbsCode::InvalidFilter.into());
        assert_eq!(refused::<AutoSnapshotPolicyField>("zone", 1), CbsCode::InvalidFilter.into());
        for name in ["instance-name", "instance-ip-address", "cluster-group-id"] {
            assert_eq!(refused::<DiskField>(name, 1), CommonCode::UnsupportedOperation.into());
        }
        assert_eq!(refused::<SnapshotField>("disk-id", 11), CommonCode::InvalidParameterValue.into());
        assert_eq!(refused::<SnapshotField>("zone", 0), CommonCode::InvalidParameterValue.into());
    }
}
