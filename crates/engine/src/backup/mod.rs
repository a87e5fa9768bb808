//! Creating a backup: find or make its row, read the resource, publish.
//!
//! A backup that was interrupted goes on where it stood when the same request is made again: the
//! packs it had stored are known by their sealed indexes, and nothing in them is stored twice.

mod assemble;
mod chunk_table;
mod measure;
mod parent;
mod pipeline;
mod publish;
mod read;
mod spool;

use std::sync::Arc;

use capture::{ExclusionRules, TreeOptions};
use catalog::{Accepted, BackupRow, Fence, NewBackup, PackRow, ResourceRow, Terms};
use model::{AccountId, BackupId, KmsKeyId, Omission, Origin, PackId, ResourceId, SnapshotId, SourceKind, Timestamp};
use serde::{Deserialize, Serialize};
use store::DataKey;
use store::keys::KeyErrorKind;

pub(crate) use publish::{pack_ref, show, write_record};

use crate::acceptance::Acceptance;
use crate::backup::parent::Parent;
use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::lease::{Lease, claim, take_over};
use crate::own::find_own;
use crate::progress::Progress;
use crate::resources::choose_key;
use crate::worker::Worker;

/// What is to be backed up, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackupRequest {
    /// Whose it is.
    pub account: AccountId,
    /// What to read.
    pub resource: ResourceId,
    /// Tags for the backup.
    pub tags: Vec<(String, String)>,
    /// The KMS key that wraps its data keys; the resource's where none is named.
    pub kms_key: Option<KmsKeyId>,
    /// Whether files that cannot be read are listed instead of failing the backup.
    pub allow_incomplete: bool,
    /// Whether file systems mounted inside the tree are read too.
    pub cross_mounts: bool,
    /// Who asks for it.
    pub origin: Origin,
    /// What only its API knows of it: a JSON object.
    pub attributes: String,
    /// When it is to be removed.
    pub expires_at: Option<Timestamp>,
    /// Names one call: two requests that are equal but for this are two backups. Without it the same request
    /// goes on with a backup that was interrupted.
    pub call: Option<String>,
}

impl BackupRequest {
    /// A plain backup of a resource.
    pub fn of(account: AccountId, resource: ResourceId) -> Self {
        Self {
            account,
            resource,
            tags: Vec::new(),
            kms_key: None,
            allow_incomplete: false,
            cross_mounts: false,
            origin: Origin::User,
            attributes: "{}".to_owned(),
            expires_at: None,
            call: None,
        }
    }

    fn text(&self) -> String {
        format!("{REQUEST_PREFIX}{}", serde_json::to_string(self).expect("serializing to memory"))
    }

    /// The request that a backup was made by, if it was made by one.
    fn of_row(row: &BackupRow) -> Option<Self> {
        serde_json::from_str(row.request.strip_prefix(REQUEST_PREFIX)?).ok()
    }
}

const REQUEST_PREFIX: &str = "backup ";

/// A finished backup and what it took.
#[derive(Clone, Debug)]
pub struct BackupReport {
    /// Its row.
    pub backup: BackupRow,
    /// What it left out.
    pub omissions: Vec<Omission>,
    /// Files whose bytes were read.
    pub files_read: u64,
    /// Bytes that were read from them.
    pub bytes_read: u64,
    /// Sealed bytes that were written to the store.
    pub bytes_stored: u64,
}

/// One backup that is being made: accepted, and leased to this process.
#[derive(Debug)]
pub struct BackupJob {
    job: Arc<Job>,
    lease: Lease,
}

/// One backup that is being made.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) ctx: RegionContext,
    pub(crate) request: BackupRequest,
    pub(crate) resource: ResourceRow,
    pub(crate) id: BackupId,
    pub(crate) fence: Fence,
    pub(crate) kms_key: KmsKeyId,
    pub(crate) data_key: DataKey,
    /// Packs that an interrupted attempt at this backup had stored.
    pub(crate) earlier_packs: Vec<PackRow>,
    pub(crate) progress: Arc<Progress>,
}

/// Backs up a resource and returns once every byte of it is stored and verified.
///
/// Safe to repeat after a crash: with the same request it goes on with the interrupted backup.
///
/// # Errors
/// `NotFound` for an unknown resource or key; `Failed` when something could not be read and the
/// request does not allow that (the backup is then `FAILED`); `Unavailable` and `Full` leave the
/// backup as it stands, to be gone on with.
pub async fn create_backup(
    ctx: &RegionContext,
    worker: &Worker,
    request: BackupRequest,
    progress: Arc<Progress>,
) -> Result<BackupReport, EngineError> {
    if let Some((row, fence)) = take_over(&ctx.catalog, &request.account, &request.text(), worker).await? {
        progress.note(format!("going on with {}, which was interrupted", row.id));
        return go_on(ctx, worker, request, row, fence, progress).await?.run().await;
    }
    match accept_backup(ctx, worker, request, &Terms::default(), progress).await? {
        Acceptance::New(job) => job.run().await,
        Acceptance::Earlier(_) | Acceptance::OverQuota(_) => unreachable!("there are no terms to refuse it by"),
    }
}

/// Accepts a backup without making it: [`BackupJob::run`] does that.
///
/// # Errors
/// `NotFound` for an unknown resource or key; `Denied` for a disabled key.
pub async fn accept_backup(
    ctx: &RegionContext,
    worker: &Worker,
    request: BackupRequest,
    terms: &Terms,
    progress: Arc<Progress>,
) -> Result<Acceptance<BackupJob>, EngineError> {
    let resource = load_resource(ctx, &request).await?;
    let named = request.kms_key.clone().or_else(|| Some(resource.kms_key.clone()));
    let kms_key = choose_key(ctx, named).await?;
    let id = BackupId::random(&mut rand::rng(), resource.kind);
    let (data_key, wrapped) = ctx.keys.generate(&kms_key, &request.account).await?;
    let new = NewBackup {
        id: id.clone(),
        account: request.account.clone(),
        resource_id: resource.id.clone(),
        resource_kind: resource.kind,
        resource_name: resource.name.clone(),
        source: None,
        parent_id: None,
        kms_key: kms_key.clone(),
        data_key: data_key.id(),
        wrapped,
        request: request.text(),
        origin: request.origin,
        attributes: request.attributes.clone(),
        expires_at: request.expires_at,
        size_bytes: 0,
        tags: request.tags.clone(),
    };
    let fence = match ctx.catalog.accept_backup(&new, &worker.lease_request(), terms).await? {
        Accepted::New(fence) => fence,
        Accepted::Earlier(earlier) => return Ok(Acceptance::Earlier(earlier)),
        Accepted::OverQuota(quota) => return Ok(Acceptance::OverQuota(quota)),
    };
    let (ctx, earlier_packs) = (ctx.clone(), Vec::new());
    let job = Job { ctx, request, resource, id, fence, kms_key, data_key, earlier_packs, progress };
    Ok(Acceptance::New(BackupJob::keep(job, worker)))
}

/// Takes over a backup that was accepted and that nobody is at work on.
///
/// `None` when someone is, or when it is no such backup.
///
/// # Errors
/// As those of [`accept_backup`].
pub async fn resume_backup(
    ctx: &RegionContext,
    worker: &Worker,
    row: BackupRow,
    progress: Arc<Progress>,
) -> Result<Option<BackupJob>, EngineError> {
    let Some(request) = BackupRequest::of_row(&row) else { return Ok(None) };
    let Some(fence) = claim(&ctx.catalog, &row, worker).await? else { return Ok(None) };
    go_on(ctx, worker, request, row, fence, progress).await.map(Some)
}

/// The job of a backup that was interrupted. One that cannot be gone on with ends as one that fails at work; if its key may not
/// be used now, it waits until that may be used again.
async fn go_on(
    ctx: &RegionContext,
    worker: &Worker,
    request: BackupRequest,
    row: BackupRow,
    fence: Fence,
    progress: Arc<Progress>,
) -> Result<BackupJob, EngineError> {
    let (account, id) = (row.account.clone(), row.id.clone());
    match interrupted_job(ctx, request, row, fence, progress).await {
        Ok(job) => Ok(BackupJob::keep(job, worker)),
        Err(EngineError::Key(error)) if matches!(error.kind, KeyErrorKind::Disabled | KeyErrorKind::Denied) => {
            drop(ctx.catalog.release(&id, fence).await);
            Err(error.into())
        }
        Err(error) => Err(give_up(ctx, &account, &id, fence, error).await),
    }
}

/// What was interrupted, with what it has stored so far.
async fn interrupted_job(
    ctx: &RegionContext,
    request: BackupRequest,
    row: BackupRow,
    fence: Fence,
    progress: Arc<Progress>,
) -> Result<Job, EngineError> {
    let resource = load_resource(ctx, &request).await?;
    let data_key = crate::keys::unwrap_any(ctx, &request.account, row.data_key).await?;
    let packs = ctx.catalog.backup_packs(&row.id).await?;
    // Packs of other data keys are the parent's, whose edges are drawn anew below.
    let earlier_packs = packs.into_iter().filter(|p| p.landed && p.data_key == row.data_key).collect();
    let (ctx, id, kms_key) = (ctx.clone(), row.id, row.kms_key);
    Ok(Job { ctx, request, resource, id, fence, kms_key, data_key, earlier_packs, progress })
}

async fn load_resource(ctx: &RegionContext, request: &BackupRequest) -> Result<ResourceRow, EngineError> {
    let found = ctx.catalog.find_resource(&request.account, &request.resource).await?;
    found.ok_or_else(|| {
        let message = format!("there is no resource {} in {}", request.resource, ctx.region);
        let hint = format!("`offsite resource ls --region {}` shows those there are", ctx.region);
        EngineError::refused(ErrorKind::NotFound, message).with_hint(hint)
    })
}

impl BackupJob {
    fn keep(job: Job, worker: &Worker) -> Self {
        let lease = Lease::keep(&job.ctx.catalog, &job.id, job.fence, worker);
        Self { job: Arc::new(job), lease }
    }

    /// The backup that is being made.
    pub fn id(&self) -> &BackupId {
        &self.job.id
    }

    /// Leaves the backup to any server of the region.
    ///
    /// # Errors
    /// When the catalog fails; then the lease runs out by itself.
    pub async fn leave(self) -> Result<(), EngineError> {
        drop(self.lease);
        Ok(self.job.ctx.catalog.release(&self.job.id, self.job.fence).await?)
    }

    /// Reads the resource, stores it and publishes the backup.
    ///
    /// # Errors
    /// As those of [`create_backup`].
    pub async fn run(self) -> Result<BackupReport, EngineError> {
        let Job { ctx, request, id, fence, .. } = &*self.job;
        let done = run(Arc::clone(&self.job)).await;
        drop(self.lease);
        match done {
            Ok(report) => Ok(report),
            Err(error) => Err(give_up(ctx, &request.account, id, *fence, error).await),
        }
    }
}

async fn run(job: Arc<Job>) -> Result<BackupReport, EngineError> {
    let parent = Parent::find(&job).await?;
    let handle = tokio::runtime::Handle::current();
    let left_out = match job.resource.kind.source_kind() {
        SourceKind::Tree => find_own(&job.ctx).await,
        SourceKind::Image => Arc::default(),
    };
    let exclusions = ExclusionRules::new(&job.resource.exclusions)
        .map_err(|bad| EngineError::refused(ErrorKind::Invalid, format!("{}: {bad}", job.resource.id)))?;
    let options = TreeOptions { cross_mounts: job.request.cross_mounts, left_out, exclusions };
    let reading = Arc::clone(&job);
    let snapshot = SnapshotId::random(&mut rand::rng());
    let taken = tokio::task::spawn_blocking(move || read::take_snapshot(&reading, parent, &options, handle))
        .await
        .expect("reading a resource does not panic")?;
    publish::publish(&job, snapshot, taken).await
}

/// Ends the work on a backup that failed: for good when trying again cannot help, else so that it can be resumed.
async fn give_up(
    ctx: &RegionContext,
    account: &AccountId,
    id: &BackupId,
    fence: Fence,
    error: EngineError,
) -> EngineError {
    // The first error is the one to tell; a lease that is not given back ends by itself.
    if error.is_worth_retrying() {
        drop(ctx.catalog.release(id, fence).await);
    } else if ctx.catalog.fail(id, fence, &describe(&error)).await.is_ok() {
        // An earlier attempt may have come as far as the record.
        drop(crate::backups::remove_record(ctx, account, id).await);
    }
    error
}

/// An error and all its causes in one line.
pub fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl Job {
    /// The ids of the packs that this backup has written itself so far.
    pub(crate) fn earlier_pack_ids(&self) -> impl Iterator<Item = PackId> + '_ {
        self.earlier_packs.iter().map(|pack| pack.pack_id)
    }
}
