//! `CopyBackupToRegion`, which is sent to the source: what it refuses and in what order, and what it accepts.

use std::sync::Arc;

use catalog::{BackupRow, Terms};
use engine::copy::{CopyJob, CopyRequest, accept_copy};
use engine::{Acceptance, ErrorKind, RegionContext};
use wire::cloudhsm::copy::{Place, check_destination, check_source, is_offered};
use wire::cloudhsm::reply::{CopyBackupToRegionReply, DestinationBackup};
use wire::cloudhsm::request::CopyBackupToRegion;
use wire::cloudhsm::words::BackupState;
use wire::cloudhsm::{CloudHsmError, ErrorCode, tags};

use super::attributes::BackupAttributes;
use super::{Call, as_pairs, as_tags, backup_not_found, backup_view, find_backup, internal};
use crate::config::Cloud;

pub(super) async fn copy(call: &Call, request: CopyBackupToRegion) -> Result<CopyBackupToRegionReply, CloudHsmError> {
    check_target(call, &request.destination_region)?;
    let found = find_backup(call, &call.ctx, &request.backup_id).await?;
    check_source(&request.backup_id, found.as_ref().map(backup_view::state))?;
    let row = found.ok_or_else(|| backup_not_found(&request.backup_id))?;
    let target = call.region(&request.destination_region).ok_or_else(|| {
        let message = format!("The destination region {} cannot be reached now.", request.destination_region);
        CloudHsmError::new(ErrorCode::Service, message)
    })?;
    let tags = tags::of_copy(&as_tags(&row.tags), request.tag_list.as_deref());
    let copy = CopyRequest {
        tags: as_pairs(&tags),
        attributes: Some(kept_by_copy(&row)),
        call: Some(call.request_id.clone()),
        ..CopyRequest::of(call.account.id.clone(), row.id.clone())
    };
    let job = accept(call, target, &copy, &row).await?;
    call.server.jobs.run_copies(vec![job]);
    let source = backup_view::view(call, &row);
    Ok(CopyBackupToRegionReply { destination_backup: DestinationBackup::of(&source, call.ctx.region.as_str()) })
}

fn check_target(call: &Call, wanted: &str) -> Result<(), CloudHsmError> {
    let place = |(region, partition): (&model::Region, &model::Partition)| Place {
        region: region.clone(),
        partition: partition.clone(),
        is_open: is_offered(region, partition),
    };
    let called = place((&call.ctx.region, &call.ctx.partition));
    let known = call.server.regions.of(Cloud::Aws).find(|(region, _)| region.as_str() == wanted).map(place);
    check_destination(&called, wanted, known.as_ref())
}

/// What a copy keeps: nobody's retention reaches it, and it tells when its content was made.
fn kept_by_copy(row: &BackupRow) -> String {
    let known = BackupAttributes::of(row);
    BackupAttributes {
        hsm_type: Some(backup_view::hsm_type(&known)),
        mode: Some(backup_view::mode(&known)),
        cluster_certificate: known.cluster_certificate,
        content_made_at: Some(known.content_made_at.unwrap_or(row.created_at)),
        ..BackupAttributes::default()
    }
    .text()
}

async fn accept(
    call: &Call,
    target: &Arc<RegionContext>,
    copy: &CopyRequest,
    row: &BackupRow,
) -> Result<CopyJob, CloudHsmError> {
    let accepted = accept_copy(&call.ctx, target, &call.server.worker, copy, &Terms::default()).await;
    match accepted.map_err(|error| refusal(row, error))? {
        Acceptance::New(job) => Ok(job),
        Acceptance::Earlier(_) | Acceptance::OverQuota(_) => unreachable!("there are no terms to refuse it by"),
    }
}

fn refusal(row: &BackupRow, error: engine::EngineError) -> CloudHsmError {
    // It was removed, or its removal began, since it was looked up.
    let state = match error.kind() {
        ErrorKind::NotFound => None,
        ErrorKind::Conflict => Some(BackupState::Deleted),
        _ => return internal(error),
    };
    check_source(row.id.as_str(), state).err().unwrap_or_else(|| internal(error))
}
