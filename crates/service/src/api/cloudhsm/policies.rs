//! Resource policies: whom a backup is shared with, and what that lets others see and use.
//!
//! A policy is kept as it was written, and what it means is decided whenever someone asks. It counts while its backup is
//! `READY`.

use catalog::BackupRow;
use engine::{EngineError, ErrorKind};
use model::BackupId;
use wire::aws::arn::Arn;
use wire::cloudhsm::policy::{Caller, ResourcePolicy};
use wire::cloudhsm::reply::{Backup, GetResourcePolicyReply, ResourcePolicyReply};
use wire::cloudhsm::request::{DeleteResourcePolicy, GetResourcePolicy, PutResourcePolicy};
use wire::cloudhsm::words::BackupState;
use wire::cloudhsm::{CloudHsmError, ErrorCode};

use super::super::aws::names_of;
use super::backups::check_state;
use super::{Call, backup_not_found, backup_view, internal, load_backup};

pub(super) async fn put(call: &Call, request: PutResourcePolicy) -> Result<ResourcePolicyReply, CloudHsmError> {
    let row = load_named(call, &request.backup_arn()?).await?;
    request.parsed_policy()?;
    let put = call.ctx.catalog.put_backup_policy(&call.account.id, &row.id, &request.policy).await;
    put.map_err(|error| changed(&row, error.into()))?;
    Ok(ResourcePolicyReply { resource_arn: request.resource_arn, policy: Some(request.policy) })
}

pub(super) async fn get(call: &Call, request: &GetResourcePolicy) -> Result<GetResourcePolicyReply, CloudHsmError> {
    let row = load_named(call, &request.backup_arn()?).await?;
    let policy = call.ctx.catalog.find_backup_policy(&row.id).await.map_err(internal)?;
    Ok(GetResourcePolicyReply { policy })
}

pub(super) async fn delete(call: &Call, request: DeleteResourcePolicy) -> Result<ResourcePolicyReply, CloudHsmError> {
    let row = load_named(call, &request.backup_arn()?).await?;
    let deleted = call.ctx.catalog.delete_backup_policy(&call.account.id, &row.id).await;
    let policy = deleted.map_err(|error| changed(&row, error.into()))?;
    Ok(ResourcePolicyReply { resource_arn: request.resource_arn, policy })
}

/// The caller's backup of that name, which can only have a policy while it can be used.
async fn load_named(call: &Call, arn: &Arn) -> Result<BackupRow, CloudHsmError> {
    let id = arn.kind_and_id().map_or("", |(_, id)| id);
    if !call.names().contains(arn) {
        return Err(backup_not_found(id));
    }
    let row = load_backup(call, id).await?;
    check_state(&row, BackupState::Ready)?;
    Ok(row)
}

/// What became of a backup since it was looked up.
fn changed(row: &BackupRow, error: EngineError) -> CloudHsmError {
    match error.kind() {
        ErrorKind::NotFound => backup_not_found(row.id.as_str()),
        ErrorKind::Conflict => CloudHsmError::invalid(format!("Backup {} is being removed.", row.id)),
        _ => internal(error),
    }
}

/// Backups of other accounts that the caller may describe.
pub(super) async fn shared_backups(call: &Call) -> Result<Vec<Backup>, CloudHsmError> {
    let found = call.ctx.catalog.backups_with_policy(&call.account.id).await.map_err(internal)?;
    let mut shared = Vec::new();
    for (row, policy) in found {
        if allows(call, &row, &policy, "cloudhsm:DescribeBackups") {
            shared.push(backup_view::view(call, &row));
        }
    }
    Ok(shared)
}

/// Another account's backup that a cluster of the caller's can be made from. That there is none of that name is not told
/// apart from that it may not be used.
pub(super) async fn load_lent(call: &Call, arn: &Arn) -> Result<BackupRow, CloudHsmError> {
    let refused = || CloudHsmError::new(ErrorCode::AccessDenied, format!("You may not create a cluster from {arn}."));
    let id = arn.kind_and_id().map_or("", |(_, id)| id);
    let id: BackupId = id.parse().map_err(|_| refused())?;
    let found = call.ctx.catalog.find_backup_with_policy(&id).await.map_err(internal)?;
    let named = |row: &BackupRow| names_of(&call.ctx, &row.account).contains(arn);
    match found {
        Some((row, policy)) if named(&row) && allows(call, &row, &policy, "cloudhsm:CreateCluster") => Ok(row),
        _ => Err(refused()),
    }
}

fn allows(call: &Call, row: &BackupRow, policy: &str, action: &str) -> bool {
    if !backup_view::is_listed(row) || backup_view::state(row) != BackupState::Ready {
        return false;
    }
    let names = names_of(&call.ctx, &row.account);
    // An account's keys are all of its root: there are no users.
    let identity = format!("arn:{}:iam::{}:root", names.partition, call.account.id);
    let caller = Caller { account: call.account.id.as_str(), arn: Some(&identity) };
    let policy = policy.parse::<ResourcePolicy>();
    policy.is_ok_and(|policy| policy.allows(caller, action, &names.cloudhsm_backup(row.id.as_str())))
}
