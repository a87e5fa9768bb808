//! Requests about snapshots.

use model::Timestamp;

use super::check::{bad_value, ensure, limited_names, missing, name_in_characters, names, tags};
use super::{Checked, Operation};
use crate::cbs::CbsError;
use crate::cbs::filter::{FilterGiven, SnapshotField};
use crate::cbs::listing::{CreationOrderField, Listing, ListingGiven, Order};
use crate::cbs::reply::Tag;
use crate::cbs::values::{DiskUsage, SharePermission};
use crate::tencent::reading::structure;

const DAY_MILLISECONDS: i64 = 24 * 60 * 60 * 1000;

/// How many snapshots one call can remove or share. Tencent publishes no number.
const SNAPSHOTS_PER_CALL_MAX: usize = 100;

structure! {
    /// Copies a snapshot of the region that is called into other regions.
    pub CopySnapshotCrossRegions {
        /// At least one, each once. Whether there are such regions is not checked here.
        destination_regions: Vec<String> = "DestinationRegions",
        snapshot_id: String = "SnapshotId",
        /// The name of every copy; see [`CopySnapshotCrossRegions::copy_name`].
        snapshot_name: Option<String> = "SnapshotName",
    }
}

impl CopySnapshotCrossRegions {
    /// What the copies are called, copied from `source`, a region id.
    pub fn copy_name(&self, source: &str) -> String {
        self.snapshot_name.clone().unwrap_or_else(|| format!("Copied {} from {source}", self.snapshot_id))
    }
}

impl Checked for CopySnapshotCrossRegions {
    fn check(&self, _now: Timestamp) -> Result<(), CbsError> {
        names("DestinationRegions", &self.destination_regions)?;
        name_in_characters("SnapshotName", self.snapshot_name.as_ref())
    }
}

structure! {
    /// Takes a snapshot of a disk. At least one of `disk_id` and `disk_backup_id` is there.
    pub CreateSnapshot {
        disk_id: Option<String> = "DiskId",
        snapshot_name: Option<String> = "SnapshotName",
        /// When to remove it, at least a day ahead; without it the snapshot is permanent.
        deadline: Option<Timestamp> = "Deadline",
        disk_backup_id: Option<String> = "DiskBackupId",
        tags: Option<Vec<Tag>> = "Tags",
        /// Whether to take an instant snapshot.
        local_snap: Option<bool> = "LocalSnap",
        /// What the snapshot counts as, if not what its disk is.
        disk_usage: Option<DiskUsage> = "DiskUsage",
    }
}

impl Checked for CreateSnapshot {
    fn check(&self, now: Timestamp) -> Result<(), CbsError> {
        if self.disk_id.is_none() && self.disk_backup_id.is_none() {
            return Err(missing("DiskId"));
        }
        let earliest = now.0.saturating_add(DAY_MILLISECONDS);
        ensure(
            self.deadline.is_none_or(|deadline| deadline.0 >= earliest),
            "Deadline must be at least one day ahead.",
        )?;
        tags(self.tags.as_deref())?;
        name_in_characters("SnapshotName", self.snapshot_name.as_ref())
    }
}

/// Lists snapshots, by the time they were made.
pub type DescribeSnapshots = Listing<SnapshotField>;

structure! {
    /// What callers give to `DescribeSnapshots`.
    pub(super) DescribeSnapshotsGiven {
        snapshot_ids: Option<Vec<String>> = "SnapshotIds",
        filters: Option<Vec<FilterGiven>> = "Filters",
        limit: Option<i64> = "Limit",
        offset: Option<i64> = "Offset",
        order_field: Option<CreationOrderField> = "OrderField",
        order: Option<Order> = "Order",
    }
}

impl Operation for DescribeSnapshots {
    type Given = DescribeSnapshotsGiven;

    fn accept(given: DescribeSnapshotsGiven, _now: Timestamp) -> Result<Self, CbsError> {
        let DescribeSnapshotsGiven { snapshot_ids: ids, filters, limit, offset, order_field: _, order } = given;
        Self::of(ListingGiven { ids, filters, limit, offset, order })
    }
}

structure! {
    /// Removes snapshots, all or none.
    pub DeleteSnapshots {
        /// One to a hundred, each once.
        snapshot_ids: Vec<String> = "SnapshotIds",
        /// Whether to remove machine images bound to them, too.
        delete_bind_images: Option<bool> = "DeleteBindImages",
    }
}

impl Checked for DeleteSnapshots {
    fn check(&self, _now: Timestamp) -> Result<(), CbsError> {
        at_most_a_hundred(&self.snapshot_ids)
    }
}

structure! {
    /// Changes a snapshot. At least one thing to change is there.
    pub ModifySnapshotAttribute {
        snapshot_id: String = "SnapshotId",
        snapshot_name: Option<String> = "SnapshotName",
        /// True: keep it and forget its deadline. Never true beside a deadline.
        is_permanent: Option<bool> = "IsPermanent",
        /// When to remove it, in the future; it is no longer permanent then.
        deadline: Option<Timestamp> = "Deadline",
    }
}

impl Checked for ModifySnapshotAttribute {
    fn check(&self, now: Timestamp) -> Result<(), CbsError> {
        if self.snapshot_name.is_none() && self.is_permanent.is_none() && self.deadline.is_none() {
            return Err(missing("SnapshotName"));
        }
        if self.deadline.is_some() && self.is_permanent == Some(true) {
            return Err(bad_value("A permanent snapshot cannot have a Deadline."));
        }
        ensure(self.deadline.is_none_or(|deadline| deadline > now), "Deadline must be in the future.")?;
        name_in_characters("SnapshotName", self.snapshot_name.as_ref())
    }
}

structure! {
    /// Rolls a snapshot back onto the disk it was taken from.
    pub ApplySnapshot {
        snapshot_id: String = "SnapshotId",
        disk_id: String = "DiskId",
        /// Whether to stop the disk's instance first.
        auto_stop_instance: Option<bool> = "AutoStopInstance",
        /// Whether to start it afterwards; only if it is stopped first.
        auto_start_instance: Option<bool> = "AutoStartInstance",
    }
}

impl Checked for ApplySnapshot {
    fn check(&self, _now: Timestamp) -> Result<(), CbsError> {
        let starts = self.auto_start_instance == Some(true);
        let stops = self.auto_stop_instance == Some(true);
        ensure(stops || !starts, "AutoStartInstance needs AutoStopInstance.")
    }
}

structure! {
    /// Shares snapshots with other accounts, or no longer.
    pub ModifySnapshotsSharePermission {
        /// One to a hundred, each once.
        snapshot_ids: Vec<String> = "SnapshotIds",
        /// At least one, each once.
        account_ids: Vec<String> = "AccountIds",
        permission: SharePermission = "Permission",
    }
}

impl Checked for ModifySnapshotsSharePermission {
    fn check(&self, _now: Timestamp) -> Result<(), CbsError> {
        at_most_a_hundred(&self.snapshot_ids)?;
        names("AccountIds", &self.account_ids)
    }
}

structure! {
    /// Lists the accounts that a snapshot is shared with.
    pub DescribeSnapshotSharePermission { snapshot_id: String = "SnapshotId", }
}

impl Checked for DescribeSnapshotSharePermission {}

structure! {
    /// Counts the caller's snapshots in the region.
    pub DescribeSnapshotOverview {}
}

impl Checked for DescribeSnapshotOverview {}

fn at_most_a_hundred(snapshot_ids: &[String]) -> Result<(), CbsError> {
    limited_names("SnapshotIds", snapshot_ids, SNAPSHOTS_PER_CALL_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbs::{Action, CbsCode, Code, Request, parse};
    use crate::tencent::{CommonCode, Parameters};

    const NOW: Timestamp = Timestamp(1_768_478_400_000);

    fn given(action: Action, body: &str) -> Result<Request, Code> {
        parse(action, &Parameters::from_json(body.as_bytes()).unwrap(), NOW).map_err(|refusal| refusal.code)
    }

    fn assert_codes(action: Action, codes: &[(&str, CommonCode)]) {
        for (body, code) in codes {
            assert_eq!(given(action, body), Err((*code).into()), "{action} {body}");
        }
    }

    #[test]
    fn a_copy_is_refused_in_the_order_of_its_decision_table() {
        let long = "x".repeat(61);
        let long = format!(r#"{{"DestinationRegions":["a"],"SnapshotId":"s","SnapshotName":"{long}"}}"#);
        let codes = [
            (r#"{"DestinationRegion":"a","SnapshotId":1}"#, CommonCode::UnknownParameter),
            (r#"{"DestinationRegions":"ap-beijing"}"#, CommonCode::InvalidParameter),
            (r#"{"DestinationRegions":[]}"#, CommonCode::MissingParameter),
            (r#"{"SnapshotId":"snap-ckgjwkqh"}"#, CommonCode::MissingParameter),
            (r#"{"DestinationRegions":[],"SnapshotId":"s"}"#, CommonCode::InvalidParameterValue),
            (r#"{"DestinationRegions":["a","a"],"SnapshotId":"s"}"#, CommonCode::InvalidParameterValue),
            (r#"{"DestinationRegions":["a",""],"SnapshotId":"s"}"#, CommonCode::InvalidParameterValue),
            (&long, CommonCode::InvalidParameterValue),
        ];
        assert_codes(Action::CopySnapshotCrossRegions, &codes);
    }

    #[test]
    fn copies_are_named_after_their_source_unless_told() {
        let body = r#"{"DestinationRegions":["ap-beijing"],"SnapshotId":"snap-ckgjwkqh"}"#;
        let Ok(Request::CopySnapshotCrossRegions(request)) = given(Action::CopySnapshotCrossRegions, body) else {
            panic!("a copy")
        };
        assert_eq!(request.copy_name("ap-guangzhou"), "Copied snap-ckgjwkqh from ap-guangzhou");
        let named = CopySnapshotCrossRegions { snapshot_name: Some("未".repeat(60)), ..request };
        assert_eq!(named.check(NOW), Ok(()));
        assert_eq!(named.copy_name("ap-guangzhou"), "未".repeat(60));
    }

    #[test]
    fn a_new_snapshot_names_a_disk_and_lives_for_a_day() {
        let codes = [
            (r#"{"SnapshotName":"a"}"#, CommonCode::MissingParameter),
            (r#"{"DiskId":"d","Deadline":"2026-01-16T11:59:59+00:00"}"#, CommonCode::InvalidParameterValue),
            (r#"{"DiskId":"d","Deadline":"2026-01-16"}"#, CommonCode::InvalidParameter),
            (r#"{"DiskId":"d","DiskUsage":"data"}"#, CommonCode::InvalidParameterValue),
            (r#"{"DiskId":"d","Tags":[{"Key":"a"}]}"#, CommonCode::MissingParameter),
            (
                r#"{"DiskId":"d","Tags":[{"Key":"a","Value":"b"},{"Key":"a","Value":"c"}]}"#,
                CommonCode::InvalidParameterValue,
            ),
        ];
        assert_codes(Action::CreateSnapshot, &codes);
        assert!(given(Action::CreateSnapshot, r#"{"DiskId":"d","Deadline":"2026-01-16T12:00:00+00:00"}"#).is_ok());
        assert!(given(Action::CreateSnapshot, r#"{"DiskBackupId":"d"}"#).is_ok());
    }

    #[test]
    fn a_listing_refuses_what_it_does_not_know() {
        let codes = [
            (r#"{"Limit":101}"#, CommonCode::InvalidParameterValue),
            (r#"{"Limit":"20"}"#, CommonCode::InvalidParameter),
            (r#"{"OrderField":"DEADLINE"}"#, CommonCode::InvalidParameterValue),
            (r#"{"Order":"asc"}"#, CommonCode::InvalidParameterValue),
            (r#"{"Filters":[{"Name":"zone"}]}"#, CommonCode::MissingParameter),
        ];
        assert_codes(Action::DescribeSnapshots, &codes);
        let unknown = given(Action::DescribeSnapshots, r#"{"Filters":[{"Name":"zones","Values":["a"]}]}"#);
        assert_eq!(unknown, Err(CbsCode::InvalidFilter.into()));
        assert!(given(Action::DescribeSnapshots, r#"{"Order":"ASC","OrderField":"CREATE_TIME","Limit":100}"#).is_ok());
    }

    #[test]
    fn changing_nothing_and_contradictions_are_refused() {
        let codes = [
            (r#"{"SnapshotId":"s"}"#, CommonCode::MissingParameter),
            (
                r#"{"SnapshotId":"s","IsPermanent":true,"Deadline":"2027-01-01T00:00:00Z"}"#,
                CommonCode::InvalidParameterValue,
            ),
            (
                r#"{"SnapshotId":"s","IsPermanent":false,"Deadline":"2026-01-01T00:00:00Z"}"#,
                CommonCode::InvalidParameterValue,
            ),
        ];
        assert_codes(Action::ModifySnapshotAttribute, &codes);
        assert!(given(Action::ModifySnapshotAttribute, r#"{"SnapshotId":"s","IsPermanent":true}"#).is_ok());
    }

    #[test]
    fn one_call_removes_at_most_a_hundred_snapshots() {
        let ids = |count: usize| {
            let ids: Vec<String> = (0..count).map(|i| format!("\"snap-{i}\"")).collect();
            format!(r#"{{"SnapshotIds":[{}]}}"#, ids.join(","))
        };
        assert!(given(Action::DeleteSnapshots, &ids(100)).is_ok());
        let too_many = given(Action::DeleteSnapshots, &ids(101));
        assert_eq!(too_many, Err(CbsCode::InvalidParameterValueLimitExceeded.into()));
        assert_eq!(given(Action::DeleteSnapshots, &ids(0)), Err(CommonCode::InvalidParameterValue.into()));
    }

    #[test]
    fn an_instance_is_only_started_if_it_was_stopped() {
        let body = r#"{"SnapshotId":"s","DiskId":"d","AutoStartInstance":true}"#;
        assert_codes(Action::ApplySnapshot, &[(body, CommonCode::InvalidParameterValue)]);
    }
}
