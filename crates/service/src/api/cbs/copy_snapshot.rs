//! `CopySnapshotCrossRegions`: one copy into each target, all accepted before any is begun.

use catalog::{BackupRow, Quota, Terms};
use engine::Acceptance;
use engine::copy::{CopyJob, CopyRequest, accept_copy};
use futures::future::join_all;
use model::{BackupState, ResourceKind};
use wire::cbs::reply::CopySnapshotCrossRegionsReply;
use wire::cbs::request::CopySnapshotCrossRegions;
use wire::cbs::{CbsCode, CbsError};
use wire::tencent::CommonCode;

use super::attributes::SnapshotAttributes;
use super::snapshots::is_rolled_back;
use super::{Call, internal};
use crate::config::Cloud;

pub(super) async fn copy(
    call: &Call,
    request: CopySnapshotCrossRegions,
) -> Result<CopySnapshotCrossRegionsReply, CbsError> {
    for target in &request.destination_regions {
        check_target(call, target)?;
    }
    let snapshot = call.load_snapshot(&request.snapshot_id).await?;
    if snapshot.state != BackupState::Available || is_rolled_back(call, &snapshot).await? {
        return Err(CbsCode::ResourceBusy.into());
    }
    if SnapshotAttributes::of(&snapshot).encrypted {
        return Err(CbsCode::UnsupportedOperationSnapshotNotSupportCopy.into());
    }
    let name = request.copy_name(call.ctx.region.as_str());
    // One that is slow to answer keeps none of the others.
    let accepted =
        join_all(request.destination_regions.iter().map(|target| accept(call, &snapshot, target, &name))).await;
    let mut jobs = Vec::new();
    let outcomes = request.destination_regions.into_iter().zip(accepted).map(|(target, accepted)| {
        let outcome = accepted.map(|job| {
            let id = job.id().to_string();
            jobs.push(job);
            id
        });
        (target, outcome)
    });
    let outcomes: Vec<_> = outcomes.collect();
    // What was accepted runs, whatever became of the rest.
    call.server.jobs.run_copies(jobs);
    CopySnapshotCrossRegionsReply::of(outcomes)
}

/// Whether there is such a region to copy to.
fn check_target(call: &Call, target: &str) -> Result<(), CbsError> {
    let known = call.server.regions.of(Cloud::Tencent).find(|(region, _)| region.as_str() == target);
    let fits = known.is_some_and(|(region, partition)| *region != call.ctx.region && *partition == call.ctx.partition);
    if fits {
        return Ok(());
    }
    let message = format!("Snapshots of {} cannot be copied to {target}.", call.ctx.region);
    Err(CbsError::new(CommonCode::InvalidParameterValue, message))
}

async fn accept(call: &Call, snapshot: &BackupRow, target: &str, name: &str) -> Result<CopyJob, CbsError> {
    let target = call.region(target).ok_or(CbsCode::InternalErrorComponentError)?;
    let attributes = SnapshotAttributes {
        name: Some(name.to_owned()),
        zone: Some(format!("{}-1", target.region)),
        project_id: 0,
        policy: None,
        ..SnapshotAttributes::of(snapshot)
    };
    let request = CopyRequest {
        attributes: Some(attributes.text()),
        call: Some(format!("{}/{}", call.request_id, target.region)),
        ..CopyRequest::of(call.account.id.clone(), snapshot.id.clone())
    };
    let mut quotas = vec![
        Quota::CopiesOf { source: snapshot.id.clone(), max: 1 },
        Quota::AllBackups { kind: ResourceKind::Disk, max: call.account.limits.cbs_snapshots },
    ];
    if call.account.limits.in_arrears {
        quotas.push(Quota::Closed);
    }
    let terms = Terms { token: None, quotas };
    match accept_copy(&call.ctx, target, &call.server.worker, &request, &terms).await.map_err(internal)? {
        Acceptance::New(job) => Ok(job),
        Acceptance::OverQuota(Quota::CopiesOf { .. }) => Err(CbsCode::ResourceInUseCopySnapshotConflict.into()),
        Acceptance::OverQuota(Quota::Closed) => Err(CbsCode::InvalidAccountInsufficientBalance.into()),
        Acceptance::Earlier(_) | Acceptance::OverQuota(_) => Err(CbsCode::InsufficientSnapshotQuota.into()),
    }
}
