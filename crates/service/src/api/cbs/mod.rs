//! Tencent CBS: snapshots and disks, one file per group of operations.
//!
//! A disk is a resource whose bytes are an image, a snapshot is a backup of it. CBS has no state for a
//! snapshot that failed: it is not listed, and the region's keeper removes it.

mod attributes;
mod copy_snapshot;
mod create_disks;
mod create_snapshot;
mod disks;
mod snapshots;

use std::sync::Arc;

use catalog::{BackupRow, ResourceRow};
use engine::{EngineError, ErrorKind, RegionContext};
use model::{BackupId, BackupState, ResourceId, ResourceState, Service};
use wire::cbs::{CbsCode, CbsError, Request};
use wire::http::Reply;
use wire::tencent::{CommonCode, success};

use crate::config::Account;
use crate::serve::Server;

/// One authenticated call.
pub(crate) struct Call {
    pub(super) server: Arc<Server>,
    pub(super) account: Account,
    /// The region that is called.
    pub(super) ctx: Arc<RegionContext>,
    pub(super) request_id: String,
}

/// Answers a call whose parameters are in order.
pub(super) async fn answer(call: &Call, request: Request) -> Result<Reply, CbsError> {
    let id = &call.request_id;
    Ok(match request {
        Request::CopySnapshotCrossRegions(request) => success(&copy_snapshot::copy(call, request).await?, id),
        Request::CreateSnapshot(request) => success(&create_snapshot::create(call, request).await?, id),
        Request::DescribeSnapshots(request) => success(&snapshots::describe(call, &request).await?, id),
        Request::DescribeSnapshotOverview(_) => success(&snapshots::overview(call).await?, id),
        Request::DeleteSnapshots(request) => success(&snapshots::delete(call, &request).await?, id),
        Request::ModifySnapshotAttribute(request) => success(&snapshots::modify(call, request).await?, id),
        Request::ApplySnapshot(request) => success(&snapshots::apply(call, &request).await?, id),
        Request::CreateDisks(request) => success(&create_disks::create(call, &request).await?, id),
        Request::DescribeDisks(request) => success(&disks::describe(call, &request).await?, id),
        Request::TerminateDisks(request) => success(&disks::terminate(call, &request).await?, id),
        Request::AttachDisks(_)
        | Request::BindAutoSnapshotPolicy(_)
        | Request::CreateAutoSnapshotPolicy(_)
        | Request::DeleteAutoSnapshotPolicies(_)
        | Request::DescribeAutoSnapshotPolicies(_)
        | Request::DescribeDiskAssociatedAutoSnapshotPolicy(_)
        | Request::DescribeSnapshotSharePermission(_)
        | Request::DetachDisks(_)
        | Request::ModifyAutoSnapshotPolicyAttribute(_)
        | Request::ModifySnapshotsSharePermission(_)
        | Request::UnbindAutoSnapshotPolicy(_) => return Err(CommonCode::UnsupportedOperation.into()),
    })
}

impl Call {
    /// The caller's snapshot of that id.
    async fn load_snapshot(&self, id: &str) -> Result<BackupRow, CbsError> {
        let unknown = || CbsError::new(CbsCode::InvalidSnapshotIdNotFound, format!("There is no snapshot {id}."));
        // An id of another form is nobody's.
        let id: BackupId = id.parse().map_err(|_| unknown())?;
        let found = self.ctx.catalog.find_backup(&self.account.id, &id).await.map_err(internal)?;
        found.filter(|row| row.resource_kind.service() == Service::Cbs && is_listed(row)).ok_or_else(unknown)
    }

    /// The caller's disk of that id.
    async fn find_disk(&self, id: &str) -> Result<Option<ResourceRow>, CbsError> {
        let Ok(id) = id.parse::<ResourceId>() else { return Ok(None) };
        let found = self.ctx.catalog.find_resource(&self.account.id, &id).await.map_err(internal)?;
        Ok(found.filter(|row| row.kind.service() == Service::Cbs && row.state != ResourceState::Deleting))
    }

    /// Refuses what would cost an account in arrears more.
    fn check_balance(&self) -> Result<(), CbsError> {
        match self.account.limits.in_arrears {
            true => Err(CbsCode::InvalidAccountInsufficientBalance.into()),
            false => Ok(()),
        }
    }

    /// The first zone of a region, where things are unless someone said otherwise.
    fn first_zone(&self) -> String {
        format!("{}-1", self.ctx.region)
    }
}

/// Whether callers see a snapshot.
fn is_listed(row: &BackupRow) -> bool {
    !matches!(row.state, BackupState::Failed | BackupState::Deleting)
}

/// What went wrong below, in CBS's words; the details stay in the log.
fn internal(error: impl Into<EngineError>) -> CbsError {
    let error = error.into();
    match error.kind() {
        ErrorKind::NotFound => CbsCode::InvalidSnapshotIdNotFound.into(),
        ErrorKind::Conflict => CbsCode::ResourceBusy.into(),
        kind => {
            tracing::error!(?kind, error = engine::describe(&error), "a request failed");
            CbsCode::InternalErrorComponentError.into()
        }
    }
}
