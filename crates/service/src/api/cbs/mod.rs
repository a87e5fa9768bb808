//! Tencent CBS: snapshots and disks, one file per group of operations.
//!
//! A disk is a resource whose bytes are an image, a snapshot is a backup of it. CBS has no state for a
//! snapshot that failed: it is not listed, and the region's keeper removes it.

mod apply_snapshot;
mod attach;
mod attributes;
mod copy_snapshot;
mod create_disks;
mod create_snapshot;
mod disks;
mod permissions;
mod policies;
mod scheduled;
mod sharing;
mod snapshots;

use catalog::{BackupFilter, BackupRow, CatalogError, CatalogErrorKind, Quota, ResourceRow};
use engine::{EngineError, ErrorKind};
use model::{BackupId, BackupState, ResourceId, ResourceState, Service};
use wire::cbs::ids::IdForm;
use wire::cbs::{Action, CbsCode, CbsError, Request};
use wire::http::Reply;
use wire::tencent::{CommonCode, success};

use super::{Call, reason};

/// Answers a call whose parameters are in order.
pub(super) async fn answer(call: &Call, request: Request) -> Result<Reply, CbsError> {
    let action = request.action();
    try_answer(call, request).await.map_err(|error| in_words_of(action, error))
}

async fn try_answer(call: &Call, request: Request) -> Result<Reply, CbsError> {
    let asked_about = permissions::check(call, &request).await?;
    let action = format!("cbs::{}", request.action());
    let id = &call.request_id;
    let reply = match request {
        Request::CopySnapshotCrossRegions(request) => success(&copy_snapshot::copy(call, request).await?, id),
        Request::CreateSnapshot(request) => success(&create_snapshot::create(call, request).await?, id),
        Request::DescribeSnapshots(request) => success(&snapshots::describe(call, &request).await?, id),
        Request::DescribeSnapshotOverview(_) => success(&snapshots::overview(call).await?, id),
        Request::DeleteSnapshots(request) => success(&snapshots::delete(call, &request).await?, id),
        Request::ModifySnapshotAttribute(request) => success(&snapshots::modify(call, request).await?, id),
        Request::ApplySnapshot(request) => success(&apply_snapshot::apply(call, &request).await?, id),
        Request::CreateDisks(request) => success(&create_disks::create(call, &request).await?, id),
        Request::DescribeDisks(request) => success(&disks::describe(call, &request).await?, id),
        Request::TerminateDisks(request) => success(&disks::terminate(call, &request).await?, id),
        Request::AttachDisks(request) => success(&attach::attach(call, &request).await?, id),
        Request::DetachDisks(request) => success(&attach::detach(call, &request).await?, id),
        Request::ModifySnapshotsSharePermission(request) => success(&sharing::modify(call, &request).await?, id),
        Request::DescribeSnapshotSharePermission(request) => success(&sharing::describe(call, &request).await?, id),
        Request::CreateAutoSnapshotPolicy(request) => success(&policies::create(call, request).await?, id),
        Request::DescribeAutoSnapshotPolicies(request) => success(&policies::describe(call, &request).await?, id),
        Request::ModifyAutoSnapshotPolicyAttribute(request) => success(&policies::modify(call, request).await?, id),
        Request::DeleteAutoSnapshotPolicies(request) => success(&policies::delete(call, &request).await?, id),
        Request::BindAutoSnapshotPolicy(request) => success(&policies::bind(call, &request).await?, id),
        Request::UnbindAutoSnapshotPolicy(request) => success(&policies::unbind(call, &request).await?, id),
        Request::DescribeDiskAssociatedAutoSnapshotPolicy(request) => {
            success(&policies::of_disk(call, &request).await?, id)
        }
    };
    call.record(&action, asked_about, &reply).await;
    Ok(reply)
}

impl Call {
    /// The caller's own snapshot of that id: nothing but reading can be done to one that is shared with the caller.
    async fn load_snapshot(&self, id: &str) -> Result<BackupRow, CbsError> {
        self.own(self.load_readable_snapshot(id).await?)
    }

    /// [`Call::load_snapshot`], or one that is listed no more, as its removal has begun: it can be gone on with.
    async fn load_removable_snapshot(&self, id: &str) -> Result<BackupRow, CbsError> {
        let found = self.find_snapshot(id).await?.filter(is_removable);
        self.own(found.ok_or_else(|| unknown_snapshot(id))?)
    }

    fn own(&self, snapshot: BackupRow) -> Result<BackupRow, CbsError> {
        match snapshot.account == self.account.id {
            true => Ok(snapshot),
            false => Err(CbsCode::InvalidSnapshotNotSupported.into()),
        }
    }

    /// The snapshot of that id that is the caller's own, or shared with the caller.
    async fn load_readable_snapshot(&self, id: &str) -> Result<BackupRow, CbsError> {
        self.find_readable_snapshot(id).await?.ok_or_else(|| unknown_snapshot(id))
    }

    async fn find_readable_snapshot(&self, id: &str) -> Result<Option<BackupRow>, CbsError> {
        Ok(self.find_snapshot(id).await?.filter(is_listed))
    }

    async fn find_snapshot(&self, id: &str) -> Result<Option<BackupRow>, CbsError> {
        // An id of another form is nobody's.
        let Ok(id) = id.parse::<BackupId>() else { return Ok(None) };
        let own = self.ctx.catalog.find_backup(&self.account.id, &id).await.map_err(internal)?;
        let found = match own {
            Some(own) => Some(own),
            None => self.ctx.catalog.find_shared_backup(&self.account.id, &id).await.map_err(internal)?,
        };
        Ok(found.filter(|row| row.resource_kind.service() == Service::Cbs))
    }

    /// The caller's disk of that id.
    async fn find_disk(&self, id: &str) -> Result<Option<ResourceRow>, CbsError> {
        let Ok(id) = id.parse::<ResourceId>() else { return Ok(None) };
        let found = self.ctx.catalog.find_resource(&self.account.id, &id).await.map_err(internal)?;
        Ok(found.filter(|row| row.kind.service() == Service::Cbs && row.state != ResourceState::Deleting))
    }

    /// Changes disks of the caller, all or none: the first refusal of `edit` ends it.
    async fn edit_disks(
        &self,
        ids: &[String],
        edit: impl FnMut(&mut ResourceRow) -> Result<(), CbsError> + Send,
    ) -> Result<(), CbsError> {
        self.edit_disks_within(ids, &[], edit).await.map(|_| ())
    }

    /// [`Call::edit_disks`], unless a quota is exceeded then: nothing is changed, and that quota is returned.
    async fn edit_disks_within(
        &self,
        ids: &[String],
        quotas: &[Quota],
        mut edit: impl FnMut(&mut ResourceRow) -> Result<(), CbsError> + Send,
    ) -> Result<Option<Quota>, CbsError> {
        let ids = disk_ids(ids)?;
        let edit = |row: &mut ResourceRow| match row.state {
            ResourceState::Deleting => Err(CbsCode::InvalidDiskIdNotFound.into()),
            _ => edit(row),
        };
        let edited = self.ctx.catalog.edit_resources_within(&self.account.id, &ids, quotas, edit).await;
        edited.map_err(|error| not_found_as(CbsCode::InvalidDiskIdNotFound, error))?
    }

    /// Whether a snapshot of a disk is being made.
    async fn is_being_taken(&self, disk: &ResourceId) -> Result<bool, CbsError> {
        let filter = BackupFilter {
            resources: vec![disk.clone()],
            states: vec![BackupState::Creating],
            limit: 1,
            ..BackupFilter::default()
        };
        Ok(!self.ctx.catalog.list_backups(&self.account.id, &filter).await.map_err(internal)?.is_empty())
    }

    /// Refuses a project that the account does not have, if it is known which it has.
    fn check_project(&self, project: i64) -> Result<(), CbsError> {
        let is_among = |known: &Vec<u32>| project == 0 || known.iter().any(|known| i64::from(*known) == project);
        match self.account.projects.as_ref().is_none_or(is_among) {
            true => Ok(()),
            false => {
                let message = format!("The project {project} does not exist.");
                Err(CbsError::new(CbsCode::InvalidParameterProjectIdNotExist, message))
            }
        }
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

fn unknown_snapshot(id: &str) -> CbsError {
    CbsError::new(CbsCode::InvalidSnapshotIdNotFound, format!("There is no snapshot {id}."))
}

/// Whether callers see a snapshot.
fn is_listed(row: &BackupRow) -> bool {
    !matches!(row.state, BackupState::Failed | BackupState::Deleting)
}

/// Whether a snapshot may be named to be removed: also when that has begun, and is to be gone on with.
fn is_removable(row: &BackupRow) -> bool {
    is_listed(row) || row.state == BackupState::Deleting
}

/// The ids of disks; of another form they are nobody's.
fn disk_ids(given: &[String]) -> Result<Vec<ResourceId>, CbsError> {
    let of_disk = |id: &ResourceId| IdForm::Disk.matches(id.as_str());
    let unknown = |id| CbsError::new(CbsCode::InvalidDiskIdNotFound, format!("There is no disk {id}."));
    given.iter().map(|id| id.parse().ok().filter(of_disk).ok_or_else(|| unknown(id))).collect()
}

/// Why nothing can be done with a disk that could not be filled, or onto which nothing could be rolled back.
fn failed(disk: &ResourceRow) -> CbsError {
    let why = disk.failure.as_deref().map(reason).unwrap_or_default();
    CbsError::new(CbsCode::ResourceUnavailableNotSupported, format!("The disk {} has failed: {why}", disk.id))
}

/// What an operation calls it that something inside has failed, where its own list of codes has no component.
fn in_words_of(action: Action, error: CbsError) -> CbsError {
    if error.code != CbsCode::InternalErrorComponentError.into() {
        return error;
    }
    match action {
        Action::TerminateDisks => CbsCode::InternalErrorFailQueryResource.into(),
        Action::DeleteAutoSnapshotPolicies => CommonCode::InternalError.into(),
        _ => error,
    }
}

/// What went wrong in the catalog, where what is not found is not a snapshot.
fn not_found_as(code: CbsCode, error: CatalogError) -> CbsError {
    if error.is(CatalogErrorKind::NotFound) { code.into() } else { internal(error) }
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
