//! Sharing: other accounts of the region may make disks of a snapshot, and nothing else.

use model::{AccountId, BackupId, BackupState};
use wire::cbs::reply::{DescribeSnapshotSharePermissionReply, Empty, SharePermission as Shared};
use wire::cbs::request::{DescribeSnapshotSharePermission, ModifySnapshotsSharePermission};
use wire::cbs::time::{date_time, utc_plus_8};
use wire::cbs::values::{DiskUsage, SharePermission};
use wire::cbs::{CbsCode, CbsError, SHARES_PER_SNAPSHOT_MAX};
use wire::tencent::CommonCode;

use super::attributes::SnapshotAttributes;
use super::{Call, internal};

/// Shares snapshots with accounts, or no longer; all of them or none.
pub(super) async fn modify(call: &Call, request: &ModifySnapshotsSharePermission) -> Result<Empty, CbsError> {
    let is_sharing = request.permission == SharePermission::Share;
    let accounts = request.account_ids.iter().map(|id| account(call, id, is_sharing)).collect::<Result<Vec<_>, _>>()?;
    let mut snapshots: Vec<BackupId> = Vec::new();
    for id in &request.snapshot_ids {
        let snapshot = call.load_snapshot(id).await?;
        let can_be_shared = snapshot.state == BackupState::Available
            && SnapshotAttributes::of(&snapshot).disk_usage() == DiskUsage::DataDisk;
        if is_sharing && !can_be_shared {
            return Err(CbsCode::InvalidSnapshotNotSupported.into());
        }
        snapshots.push(snapshot.id);
    }
    let (catalog, owner) = (&call.ctx.catalog, &call.account.id);
    if !is_sharing {
        catalog.unshare_backups(owner, &snapshots, &accounts).await.map_err(internal)?;
        return Ok(Empty {});
    }
    let max = SHARES_PER_SNAPSHOT_MAX as u64;
    match catalog.share_backups(owner, &snapshots, &accounts, max).await.map_err(internal)? {
        true => Ok(Empty {}),
        false => Err(CbsCode::ResourceInsufficientOverQuota.into()),
    }
}

/// Another account. A share of one that is no longer there can still be taken back.
fn account(call: &Call, id: &str, must_exist: bool) -> Result<AccountId, CbsError> {
    let unknown = || CbsError::new(CommonCode::InvalidParameter, format!("There is no other account {id}."));
    let account: AccountId = id.parse().map_err(|_| unknown())?;
    let exists = call.server.identities.get().accounts().iter().any(|known| known.id == account);
    if account == call.account.id || (must_exist && !exists) { Err(unknown()) } else { Ok(account) }
}

pub(super) async fn describe(
    call: &Call,
    request: &DescribeSnapshotSharePermission,
) -> Result<DescribeSnapshotSharePermissionReply, CbsError> {
    // The operation has no code for a snapshot that is not there.
    let unknown = |error: CbsError| match error.code == CbsCode::InternalErrorComponentError.into() {
        true => error,
        false => CbsError::new(CommonCode::InvalidParameterValue, error.message),
    };
    let snapshot = call.load_snapshot(&request.snapshot_id).await.map_err(unknown)?;
    let shares = call.ctx.catalog.list_shares(&snapshot.id).await.map_err(internal)?;
    let zone = utc_plus_8();
    let shown = shares
        .into_iter()
        .map(|share| Shared { created_time: date_time(share.created_at, &zone), account_id: share.account.into() });
    Ok(DescribeSnapshotSharePermissionReply { share_permission_set: shown.collect() })
}
