//! Replies about scheduled snapshot policies.

use serde::Serialize;

use super::Tag;
use crate::cbs::policy::Policy;
use crate::cbs::values::AutoSnapshotPolicyState;

/// A scheduled snapshot policy. Times are texts of `cbs::time`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AutoSnapshotPolicy {
    /// `asp-…`
    pub auto_snapshot_policy_id: String,
    /// At most 60 bytes.
    pub auto_snapshot_policy_name: String,
    /// Whether it is at work.
    pub auto_snapshot_policy_state: AutoSnapshotPolicyState,
    /// Whether its owner has switched it on.
    pub is_activated: bool,
    /// Whether its snapshots stay until someone removes them.
    pub is_permanent: bool,
    /// How many days its snapshots stay otherwise.
    pub retention_days: i64,
    /// How many months; 0 if that is not how it is said.
    pub retention_months: i64,
    /// How many snapshots are kept; 0 if that is not how it is said.
    pub retention_amount: i64,
    /// How many of each kind are kept.
    pub advanced_retention_policy: Option<AdvancedRetentionPolicy>,
    /// When it runs.
    pub policy: Vec<Policy>,
    /// The disks bound to it.
    pub disk_id_set: Vec<String>,
    /// The instances bound to it.
    pub instance_id_set: Vec<String>,
    /// When it runs next.
    pub next_trigger_time: String,
    /// When it was made.
    pub create_time: String,
    /// 1 if its snapshots are copied to another account, else 0.
    pub is_copy_to_remote: i64,
    /// That account.
    pub copy_to_account_uin: Option<String>,
    /// The account it was copied from.
    pub copy_from_account_uin: Option<String>,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// How many of a policy's snapshots are kept: the latest of so many days, weeks, months and years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AdvancedRetentionPolicy {
    /// 0 to 100.
    pub days: i64,
    /// 0 to 100.
    pub weeks: i64,
    /// 0 to 100.
    pub months: i64,
    /// 0 to 100.
    pub years: i64,
}

/// The reply of `CreateAutoSnapshotPolicy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateAutoSnapshotPolicyReply {
    /// The new policy; empty after a dry run.
    pub auto_snapshot_policy_id: String,
    /// When it runs first.
    pub next_trigger_time: String,
}

/// The reply of `DescribeAutoSnapshotPolicies` and of `DescribeDiskAssociatedAutoSnapshotPolicy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeAutoSnapshotPoliciesReply {
    /// How many match, on all pages.
    pub total_count: usize,
    /// Those of this page.
    pub auto_snapshot_policy_set: Vec<AutoSnapshotPolicy>,
}

impl DescribeAutoSnapshotPoliciesReply {
    /// The policies of one disk; this operation leaves out which disks they are bound to.
    pub fn of_one_disk(mut policies: Vec<AutoSnapshotPolicy>) -> Self {
        policies.iter_mut().for_each(|policy| policy.disk_id_set.clear());
        Self { total_count: policies.len(), auto_snapshot_policy_set: policies }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_said_is_empty_or_null_but_written() {
        let disk_id_set = vec!["disk-1".to_owned()];
        let policy = AutoSnapshotPolicy { disk_id_set, ..AutoSnapshotPolicy::default() };
        let reply = DescribeAutoSnapshotPoliciesReply::of_one_disk(vec![policy]);
        let wanted = json!({
            "TotalCount": 1,
            "AutoSnapshotPolicySet": [{
                "AutoSnapshotPolicyId": "", "AutoSnapshotPolicyName": "", "AutoSnapshotPolicyState": "NORMAL",
                "IsActivated": false, "IsPermanent": false, "RetentionDays": 0, "RetentionMonths": 0,
                "RetentionAmount": 0, "AdvancedRetentionPolicy": null, "Policy": [], "DiskIdSet": [],
                "InstanceIdSet": [], "NextTriggerTime": "", "CreateTime": "", "IsCopyToRemote": 0,
                "CopyToAccountUin": null, "CopyFromAccountUin": null, "Tags": [],
            }],
        });
        assert_eq!(serde_json::to_value(reply).unwrap(), wanted);
    }
}
