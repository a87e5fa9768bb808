//! Policies by which snapshots are taken: made, shown, changed, removed, and bound to disks.
//!
//! Times are the catalog's clock, by which the region's keeper runs them ([`super::scheduled`]).

use catalog::{Binding, PolicyRow, ResourceRow};
use engine::medium::{Access, Medium, look_at};
use model::{PolicyId, ResourceId, ResourceState, Timestamp};
use wire::cbs::listing::Order;
use wire::cbs::policy::Policy;
use wire::cbs::reply::{AutoSnapshotPolicy, CreateAutoSnapshotPolicyReply, DescribeAutoSnapshotPoliciesReply, Empty};
use wire::cbs::request::{
    BindAutoSnapshotPolicy, CreateAutoSnapshotPolicy, DeleteAutoSnapshotPolicies, DescribeAutoSnapshotPolicies,
    DescribeDiskAssociatedAutoSnapshotPolicy, ModifyAutoSnapshotPolicyAttribute, UnbindAutoSnapshotPolicy,
};
use wire::cbs::schedule::Schedule;
use wire::cbs::time::{date_time, utc_plus_8};
use wire::cbs::values::AutoSnapshotPolicyState;
use wire::cbs::{CbsCode, CbsError, UNNAMED};
use wire::tencent::CommonCode;

use super::{Call, disk_ids, failed, internal, not_found_as};

/// Makes a policy; after a dry run there is none, only the time of its first run.
pub(super) async fn create(
    call: &Call,
    request: CreateAutoSnapshotPolicy,
) -> Result<CreateAutoSnapshotPolicyReply, CbsError> {
    let now = call.ctx.catalog.now().await.map_err(internal)?;
    let retention_days = request.retention_days();
    let policy = PolicyRow {
        id: PolicyId::random(&mut rand::rng()),
        account: call.account.id.clone(),
        name: request.auto_snapshot_policy_name,
        rules: rules_text(&request.policy),
        rules_since: now,
        activated: request.is_activated.unwrap_or(true),
        permanent: request.is_permanent.unwrap_or_default(),
        retention_days,
        created_at: now,
        next_run_at: None,
    };
    let first = next_run(&policy, now);
    if request.dry_run == Some(true) {
        return Ok(CreateAutoSnapshotPolicyReply {
            auto_snapshot_policy_id: String::new(),
            next_trigger_time: shown(first),
        });
    }
    call.check_balance()?;
    let policy = PolicyRow { next_run_at: first.filter(|_| policy.activated), ..policy };
    if !call.ctx.catalog.insert_policy(&policy, call.account.limits.cbs_policies).await.map_err(internal)? {
        return Err(CbsCode::LimitExceededAutoSnapshotPolicyOutOfQuota.into());
    }
    let next_trigger_time = shown(policy.next_run_at);
    Ok(CreateAutoSnapshotPolicyReply { auto_snapshot_policy_id: policy.id.into(), next_trigger_time })
}

pub(super) async fn describe(
    call: &Call,
    request: &DescribeAutoSnapshotPolicies,
) -> Result<DescribeAutoSnapshotPoliciesReply, CbsError> {
    let mut policies = all(call).await?;
    if request.order == Order::Desc {
        policies.reverse();
    }
    policies.retain(|policy| request.selects(&policy.auto_snapshot_policy_id, policy));
    let page = request.page.of_items(&policies).to_vec();
    Ok(DescribeAutoSnapshotPoliciesReply { total_count: policies.len(), auto_snapshot_policy_set: page })
}

/// The policies that a disk is bound to. Nothing is bound to a disk that is not there.
pub(super) async fn of_disk(
    call: &Call,
    request: &DescribeDiskAssociatedAutoSnapshotPolicy,
) -> Result<DescribeAutoSnapshotPoliciesReply, CbsError> {
    let mut policies = all(call).await?;
    policies.retain(|policy| policy.disk_id_set.contains(&request.disk_id));
    Ok(DescribeAutoSnapshotPoliciesReply::of_one_disk(policies))
}

/// The caller's policies, oldest first.
async fn all(call: &Call) -> Result<Vec<AutoSnapshotPolicy>, CbsError> {
    let policies = call.ctx.catalog.list_policies(&call.account.id).await.map_err(internal)?;
    let bound = call.ctx.catalog.bound_resources(&call.account.id).await.map_err(internal)?;
    Ok(policies.iter().map(|policy| view(call, policy, &bound)).collect())
}

fn view(call: &Call, row: &PolicyRow, bound: &[(PolicyId, ResourceId)]) -> AutoSnapshotPolicy {
    let of_policy = bound.iter().filter(|(policy, _)| *policy == row.id);
    AutoSnapshotPolicy {
        auto_snapshot_policy_id: row.id.to_string(),
        auto_snapshot_policy_name: row.name.clone().unwrap_or_else(|| UNNAMED.to_owned()),
        auto_snapshot_policy_state: state(call),
        is_activated: row.activated,
        is_permanent: row.permanent,
        retention_days: row.retention_days,
        policy: rules(row),
        disk_id_set: of_policy.map(|(_, disk)| disk.to_string()).collect(),
        next_trigger_time: shown(row.next_run_at),
        create_time: shown(Some(row.created_at)),
        ..AutoSnapshotPolicy::default()
    }
}

/// The state of all of an account's policies.
fn state(call: &Call) -> AutoSnapshotPolicyState {
    match call.account.limits.in_arrears {
        true => AutoSnapshotPolicyState::Isolated,
        false => AutoSnapshotPolicyState::Normal,
    }
}

/// Changes a policy. New rules count from now on, and so does one that is switched on again: runs that would have
/// been meanwhile are not made up for.
pub(super) async fn modify(call: &Call, request: ModifyAutoSnapshotPolicyAttribute) -> Result<Empty, CbsError> {
    // A new name costs nothing, nor does a policy that is switched off.
    let costs = request.policy.is_some() || request.is_permanent.is_some() || request.retention_days.is_some();
    if costs || request.is_activated == Some(true) {
        call.check_balance()?;
    }
    let id = policy_id(&request.auto_snapshot_policy_id)?;
    let policies = call.ctx.catalog.list_policies(&call.account.id).await.map_err(internal)?;
    let policy = policies.into_iter().find(|policy| policy.id == id).ok_or_else(unknown_policy)?;
    if state(call) == AutoSnapshotPolicyState::Isolated {
        let message = format!("{id} is isolated, as the account is in arrears.");
        return Err(CbsError::new(CbsCode::UnsupportedOperationStateError, message));
    }
    let permanent = request.is_permanent.unwrap_or(policy.permanent);
    if permanent && request.retention_days.is_some() {
        let message = "The policy's snapshots are permanent: RetentionDays needs IsPermanent false.";
        return Err(CbsError::new(CommonCode::InvalidParameter, message));
    }
    let now = call.ctx.catalog.now().await.map_err(internal)?;
    let edit = |row: &mut PolicyRow| {
        row.name = request.auto_snapshot_policy_name.or(row.name.take());
        row.permanent = permanent;
        row.retention_days = request.retention_days.unwrap_or(row.retention_days);
        let switched_on = request.is_activated == Some(true) && !row.activated;
        row.activated = request.is_activated.unwrap_or(row.activated);
        if let Some(rules) = &request.policy {
            row.rules = rules_text(rules);
            row.rules_since = now;
        }
        if switched_on || request.policy.is_some() {
            row.next_run_at = next_run(row, now);
        }
        // One that is switched off has no next run.
        row.next_run_at = row.next_run_at.filter(|_| row.activated);
    };
    let edited = call.ctx.catalog.edit_policy(&call.account.id, &id, edit).await;
    edited.map_err(|error| not_found_as(CbsCode::InvalidAutoSnapshotPolicyIdNotFound, error))?;
    Ok(Empty {})
}

/// Removes policies, all or none.
pub(super) async fn delete(call: &Call, request: &DeleteAutoSnapshotPolicies) -> Result<Empty, CbsError> {
    let ids: Vec<PolicyId> =
        request.auto_snapshot_policy_ids.iter().map(|id| policy_id(id)).collect::<Result<_, _>>()?;
    let deleted = call.ctx.catalog.delete_policies(&call.account.id, &ids).await;
    deleted.map_err(|error| not_found_as(CbsCode::InvalidAutoSnapshotPolicyIdNotFound, error))?;
    Ok(Empty {})
}

/// Binds disks to a policy, all or none. A disk can be bound to several policies, to each once.
pub(super) async fn bind(call: &Call, request: &BindAutoSnapshotPolicy) -> Result<Empty, CbsError> {
    let (id, disks) = (policy_id(&request.auto_snapshot_policy_id)?, disk_ids(&request.disk_ids)?);
    for disk in &request.disk_ids {
        let disk = call.find_disk(disk).await?.ok_or(CbsCode::InvalidDiskIdNotFound)?;
        check_bindable(&disk).await?;
    }
    let bound = call.ctx.catalog.bind_policy(&call.account.id, &id, &disks, call.account.limits.cbs_disks_per_policy);
    let bound = bound.await.map_err(|error| not_found_as(CbsCode::InvalidAutoSnapshotPolicyIdNotFound, error))?;
    match bound {
        Binding::Bound => Ok(Empty {}),
        Binding::AlreadyBound(disk) => {
            Err(CbsError::new(CbsCode::InvalidDiskAlreadyBound, format!("{disk} is already bound to {id}.")))
        }
        Binding::OverLimit => Err(CbsCode::InvalidParameterValueBindDiskLimitExceeded.into()),
    }
}

/// Refuses a disk of which no run of a policy could take a snapshot. One that is still being filled will do.
async fn check_bindable(disk: &ResourceRow) -> Result<(), CbsError> {
    match (look_at(disk, Access::Read).await, disk.state) {
        (Medium::Directory | Medium::Stream, _) => Err(CbsCode::InvalidDiskNotSupported.into()),
        (_, ResourceState::Failed) => Err(failed(disk)),
        (_, ResourceState::Creating) | (Medium::Image, _) => Ok(()),
        (Medium::Missing, _) => {
            let message = format!("The image of {} is not where it should be.", disk.id);
            Err(CbsError::new(CbsCode::ResourceNotFoundNotFound, message))
        }
        (Medium::Closed(error), _) => {
            let message = format!("The image of {} cannot be read: {error}.", disk.id);
            Err(CbsError::new(CbsCode::ResourceUnavailableNotSupported, message))
        }
    }
}

/// Takes disks off a policy. No instance is ever bound to one, so those that are named are passed over.
pub(super) async fn unbind(call: &Call, request: &UnbindAutoSnapshotPolicy) -> Result<Empty, CbsError> {
    let id = policy_id(&request.auto_snapshot_policy_id)?;
    let disks = disk_ids(request.disk_ids.as_deref().unwrap_or_default())?;
    let unbound = call.ctx.catalog.unbind_policy(&call.account.id, &id, &disks).await;
    unbound.map_err(|error| not_found_as(CbsCode::InvalidAutoSnapshotPolicyIdNotFound, error))?;
    Ok(Empty {})
}

fn shown(time: Option<Timestamp>) -> String {
    time.map(|time| date_time(time, &utc_plus_8())).unwrap_or_default()
}

/// An id of another form is nobody's.
fn policy_id(id: &str) -> Result<PolicyId, CbsError> {
    id.parse().map_err(|_| unknown_policy())
}

fn unknown_policy() -> CbsError {
    CbsCode::InvalidAutoSnapshotPolicyIdNotFound.into()
}

fn rules(row: &PolicyRow) -> Vec<Policy> {
    serde_json::from_str(&row.rules).unwrap_or_default()
}

fn rules_text(rules: &[Policy]) -> String {
    serde_json::to_string(rules).expect("serializing to memory")
}

/// The first run of a policy after `after`, whether it is switched on or not.
pub(super) fn next_run(row: &PolicyRow, after: Timestamp) -> Option<Timestamp> {
    Schedule { policies: &rules(row), since: row.rules_since, zone: &utc_plus_8() }.next_run(after)
}
