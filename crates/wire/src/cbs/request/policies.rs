//! Requests about scheduled snapshot policies.

use model::Timestamp;

use super::check::{ensure, limited_names, missing, name_in_bytes, names};
use super::{Checked, Operation};
use crate::cbs::filter::{AutoSnapshotPolicyField, FilterGiven};
use crate::cbs::ids::IdForm;
use crate::cbs::listing::{CreationOrderField, Listing, ListingGiven, Order};
use crate::cbs::policy::Policy;
use crate::cbs::{CbsCode, CbsError};
use crate::tencent::CommonCode;
use crate::tencent::reading::structure;

const DISKS_PER_BINDING_MAX: usize = 80;
const POLICIES_PER_DELETION_MAX: usize = 100;
/// Tencent publishes no number; this keeps the search for the next run short.
const RULES_PER_POLICY_MAX: usize = 100;
const RETENTION_DAYS_DEFAULT: i64 = 7;
/// A hundred years; Tencent publishes no number. Deadlines stay within the calendar.
const RETENTION_DAYS_MAX: i64 = 36_500;
const CONTRADICTION: &str = "RetentionDays cannot be given with IsPermanent true.";

structure! {
    /// Makes a policy.
    pub CreateAutoSnapshotPolicy {
        /// At least one rule.
        policy: Vec<Policy> = "Policy",
        /// True: only say when it would run first.
        dry_run: Option<bool> = "DryRun",
        /// True if absent.
        is_activated: Option<bool> = "IsActivated",
        auto_snapshot_policy_name: Option<String> = "AutoSnapshotPolicyName",
        /// False if absent. Never true beside `retention_days`.
        is_permanent: Option<bool> = "IsPermanent",
        /// See [`CreateAutoSnapshotPolicy::retention_days`].
        retention_days: Option<i64> = "RetentionDays",
    }
}

impl CreateAutoSnapshotPolicy {
    /// How many days its snapshots stay; without effect on permanent ones.
    pub fn retention_days(&self) -> i64 {
        self.retention_days.unwrap_or(RETENTION_DAYS_DEFAULT)
    }
}

impl Checked for CreateAutoSnapshotPolicy {
    fn check(&self, _now: Timestamp) -> Result<(), CbsError> {
        check_rules(&self.policy)?;
        name_in_bytes("AutoSnapshotPolicyName", self.auto_snapshot_policy_name.as_ref())?;
        check_retention_days(self.retention_days)?;
        let contradicts = self.is_permanent == Some(true) && self.retention_days.is_some();
        ensure(!contradicts, CONTRADICTION)
    }
}

structure! {
    /// Changes a policy: what is given replaces what was.
    pub ModifyAutoSnapshotPolicyAttribute {
        auto_snapshot_policy_id: String = "AutoSnapshotPolicyId",
        auto_snapshot_policy_name: Option<String> = "AutoSnapshotPolicyName",
        is_activated: Option<bool> = "IsActivated",
        /// Never true beside `retention_days`.
        is_permanent: Option<bool> = "IsPermanent",
        retention_days: Option<i64> = "RetentionDays",
        /// At least one rule.
        policy: Option<Vec<Policy>> = "Policy",
    }
}

impl Checked for ModifyAutoSnapshotPolicyAttribute {
    fn check(&self, _now: Timestamp) -> Result<(), CbsError> {
        let changes = self.auto_snapshot_policy_name.is_some()
            || self.is_activated.is_some()
            || self.is_permanent.is_some()
            || self.retention_days.is_some()
            || self.policy.is_some();
        if !changes {
            return Err(CbsError::new(CommonCode::MissingParameter, "The request names nothing to change."));
        }
        if self.is_permanent == Some(true) && self.retention_days.is_some() {
            return Err(CbsError::new(CommonCode::InvalidParameter, CONTRADICTION));
        }
        self.policy.as_deref().map_or(Ok(()), check_rules)?;
        name_in_bytes("AutoSnapshotPolicyName", self.auto_snapshot_policy_name.as_ref())?;
        check_retention_days(self.retention_days)
    }
}

structure! {
    /// Removes policies, all or none. Their snapshots stay.
    pub DeleteAutoSnapshotPolicies {
        /// One to a hundred, each once.
        auto_snapshot_policy_ids: Vec<String> = "AutoSnapshotPolicyIds",
    }
}

impl Checked for DeleteAutoSnapshotPolicies {
    fn check(&self, _now: Timestamp) -> Result<(), CbsError> {
        limited_names("AutoSnapshotPolicyIds", &self.auto_snapshot_policy_ids, POLICIES_PER_DELETION_MAX)
    }
}

structure! {
    /// Binds disks to a policy.
    pub BindAutoSnapshotPolicy {
        auto_snapshot_policy_id: String = "AutoSnapshotPolicyId",
        /// One to eighty, each once.
        disk_ids: Vec<String> = "DiskIds",
    }
}

impl Checked for BindAutoSnapshotPolicy {
    fn check(&self, _now: Timestamp) -> Result<(), CbsError> {
        limited_names("DiskIds", &self.disk_ids, DISKS_PER_BINDING_MAX)
    }
}

structure! {
    /// Takes disks off a policy; those that are not bound to it are passed over. One list is there.
    pub UnbindAutoSnapshotPolicy {
        auto_snapshot_policy_id: String = "AutoSnapshotPolicyId",
        disk_ids: Option<Vec<String>> = "DiskIds",
        instance_ids: Option<Vec<String>> = "InstanceIds",
    }
}

impl Checked for UnbindAutoSnapshotPolicy {
    fn check(&self, _now: Timestamp) -> Result<(), CbsError> {
        if self.disk_ids.is_none() && self.instance_ids.is_none() {
            return Err(missing("DiskIds"));
        }
        self.disk_ids.as_ref().map_or(Ok(()), |ids| names("DiskIds", ids))?;
        self.instance_ids.as_ref().map_or(Ok(()), |ids| names("InstanceIds", ids))
    }
}

structure! {
    /// Lists the policies that a disk is bound to.
    pub DescribeDiskAssociatedAutoSnapshotPolicy { disk_id: String = "DiskId", }
}

impl Checked for DescribeDiskAssociatedAutoSnapshotPolicy {
    fn check(&self, _now: Timestamp) -> Result<(), CbsError> {
        // A disk that is not there has no policies. What cannot be a disk's id is a mistake.
        ensure(IdForm::Disk.matches(&self.disk_id), "DiskId is not the id of a disk.")
    }
}

/// Lists policies, by the time they were made.
pub type DescribeAutoSnapshotPolicies = Listing<AutoSnapshotPolicyField>;

structure! {
    /// What callers give to `DescribeAutoSnapshotPolicies`.
    pub(super) DescribeAutoSnapshotPoliciesGiven {
        auto_snapshot_policy_ids: Option<Vec<String>> = "AutoSnapshotPolicyIds",
        filters: Option<Vec<FilterGiven>> = "Filters",
        limit: Option<i64> = "Limit",
        offset: Option<i64> = "Offset",
        order_field: Option<CreationOrderField> = "OrderField",
        order: Option<Order> = "Order",
    }
}

impl Operation for DescribeAutoSnapshotPolicies {
    type Given = DescribeAutoSnapshotPoliciesGiven;

    fn accept(given: DescribeAutoSnapshotPoliciesGiven, _now: Timestamp) -> Result<Self, CbsError> {
        let DescribeAutoSnapshotPoliciesGiven { auto_snapshot_policy_ids: ids, filters, limit, offset, order, .. } =
            given;
        Self::of(ListingGiven { ids, filters, limit, offset, order })
    }
}

fn check_rules(policy: &[Policy]) -> Result<(), CbsError> {
    if policy.len() > RULES_PER_POLICY_MAX {
        return Err(CbsCode::InvalidParameterValueLimitExceeded.into());
    }
    ensure(!policy.is_empty(), "Policy must not be empty.")?;
    policy.iter().try_for_each(Policy::check)
}

fn check_retention_days(days: Option<i64>) -> Result<(), CbsError> {
    let is_good = days.is_none_or(|days| (1..=RETENTION_DAYS_MAX).contains(&days));
    ensure(is_good, "RetentionDays must be between 1 and 36500.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbs::{Action, Code, Request, parse};
    use crate::tencent::Parameters;

    fn given(action: Action, body: &str) -> Result<Request, Code> {
        let parameters = Parameters::from_json(body.as_bytes()).unwrap();
        parse(action, &parameters, Timestamp(0)).map_err(|refusal| refusal.code)
    }

    fn assert_codes(action: Action, codes: &[(&str, CommonCode)]) {
        for (body, code) in codes {
            assert_eq!(given(action, body), Err((*code).into()), "{action} {body}");
        }
    }

    #[test]
    fn a_policy_of_a_form_is_that_of_json() {
        let pairs = [("Policy.0.Hour.0", "3"), ("Policy.0.DayOfWeek.0", "0"), ("DryRun", "True")];
        let flat = parse(Action::CreateAutoSnapshotPolicy, &Parameters::from_pairs(pairs).unwrap(), Timestamp(0));
        let json =
            given(Action::CreateAutoSnapshotPolicy, r#"{"Policy":[{"Hour":[3],"DayOfWeek":[0]}],"DryRun":true}"#);
        assert_eq!(flat.map_err(|refusal| refusal.code), json);
        let Ok(Request::CreateAutoSnapshotPolicy(request)) = json else { panic!("a policy") };
        assert_eq!(request.retention_days(), 7);
    }

    #[test]
    fn retention_contradicts_permanence() {
        let create = r#"{"Policy":[{"Hour":[3],"IntervalDays":1}],"IsPermanent":true,"RetentionDays":7}"#;
        let modify = r#"{"AutoSnapshotPolicyId":"asp-1","IsPermanent":true,"RetentionDays":7}"#;
        assert_codes(Action::CreateAutoSnapshotPolicy, &[(create, CommonCode::InvalidParameterValue)]);
        let nothing = r#"{"AutoSnapshotPolicyId":"asp-1"}"#;
        let codes = [(modify, CommonCode::InvalidParameter), (nothing, CommonCode::MissingParameter)];
        assert_codes(Action::ModifyAutoSnapshotPolicyAttribute, &codes);
    }

    #[test]
    fn rules_that_never_run_are_refused() {
        let codes = [
            ("{}", CommonCode::MissingParameter),
            (r#"{"Policy":[{}]}"#, CommonCode::MissingParameter),
            (r#"{"Policy":{"Hour":[3]}}"#, CommonCode::InvalidParameter),
            (r#"{"Policy":[]}"#, CommonCode::InvalidParameterValue),
            (r#"{"Policy":[{"Hour":[3]}]}"#, CommonCode::InvalidParameterValue),
            (r#"{"Policy":[{"Hour":[24],"IntervalDays":1}]}"#, CommonCode::InvalidParameterValue),
            (r#"{"Policy":[{"Hour":[3],"IntervalDays":1}],"RetentionDays":0}"#, CommonCode::InvalidParameterValue),
            (r#"{"Policy":[{"Hour":[3],"IntervalDays":1}],"RetentionDays":36501}"#, CommonCode::InvalidParameterValue),
        ];
        assert_codes(Action::CreateAutoSnapshotPolicy, &codes);
    }

    #[test]
    fn bindings_name_disks_within_their_limit() {
        let ids: Vec<String> = (0..81).map(|i| format!("\"disk-{i}\"")).collect();
        let too_many = format!(r#"{{"AutoSnapshotPolicyId":"asp-1","DiskIds":[{}]}}"#, ids.join(","));
        let refusal = given(Action::BindAutoSnapshotPolicy, &too_many);
        assert_eq!(refusal, Err(CbsCode::InvalidParameterValueLimitExceeded.into()));
        let nothing = r#"{"AutoSnapshotPolicyId":"asp-1"}"#;
        assert_codes(Action::BindAutoSnapshotPolicy, &[(nothing, CommonCode::MissingParameter)]);
        assert_codes(Action::UnbindAutoSnapshotPolicy, &[(nothing, CommonCode::MissingParameter)]);
        let instances = r#"{"AutoSnapshotPolicyId":"asp-1","InstanceIds":["ins-1"]}"#;
        assert!(given(Action::UnbindAutoSnapshotPolicy, instances).is_ok());
    }
}
