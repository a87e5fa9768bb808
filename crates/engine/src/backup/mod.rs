//! Creating a backup: find or make its row, read the resource, publish.
//!
//! A backup that was interrupted goes on where it stood when the same request is made again: the
//! packs it had stored are known by their sealed indexes, and nothing in them is stored twice.

mod assemble;
mod chunk_table;
mod parent;
mod pipeline;
mod publish;
mod read;
mod spool;

use std::sync::Arc;

use catalog::{BackupRow, Fence, NewBackup, PackRow, ResourceRow};
use model::{AccountId, BackupId, KmsKeyId, Omission, PackId, ResourceId, SnapshotId};
use serde::Serialize;
use store::{DataKey, WrapContext};

pub(crate) use publish::{pack_ref, publish_record};

use crate::backup::parent::Parent;
use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::lease::{Lease, take_over};
use crate::progress::Progress;
use crate::resources::choose_key;
use crate::worker::Worker;

/// What is to be backed up, and how.
#[derive(Clone, Debug, Serialize)]
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
}

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

/// One backup that is being made.
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
    let found = ctx.catalog.find_resource(&request.account, &request.resource).await?;
    let resource = found.ok_or_else(|| {
        let message = format!("there is no resource {} in {}", request.resource, ctx.region);
        let hint = format!("`offsite resource ls --region {}` shows those there are", ctx.region);
        EngineError::refused(ErrorKind::NotFound, message).with_hint(hint)
    })?;
    let job = Arc::new(begin(ctx, worker, request, resource, progress).await?);
    let lease = Lease::keep(&ctx.catalog, &job.id, job.fence, worker);
    let done = run(Arc::clone(&job)).await;
    drop(lease);
    match done {
        Ok(report) => Ok(report),
        Err(error) => Err(give_up(&job, error).await),
    }
}

/// Takes over an interrupted backup of the same request, or mints a new one.
async fn begin(
    ctx: &RegionContext,
    worker: &Worker,
    request: BackupRequest,
    resource: ResourceRow,
    progress: Arc<Progress>,
) -> Result<Job, EngineError> {
    let text = serde_json::to_string(&request).expect("serializing to memory");
    let request_text = format!("backup {text}");
    if let Some((row, fence)) = take_over(&ctx.catalog, &request.account, &request_text, worker).await? {
        progress.note(format!("going on with {}, which was interrupted", row.id));
        let data_key = crate::keys::unwrap_any(ctx, &request.account, row.data_key).await?;
        let packs = ctx.catalog.backup_packs(&row.id).await?;
        // Packs of other data keys are the parent's, whose edges are drawn anew below.
        let earlier_packs = packs.into_iter().filter(|p| p.landed && p.data_key == row.data_key).collect();
        let (id, kms_key) = (row.id, row.kms_key);
        return Ok(Job { ctx: ctx.clone(), request, resource, id, fence, kms_key, data_key, earlier_packs, progress });
    }
    let named = request.kms_key.clone().or_else(|| Some(resource.kms_key.clone()));
    let kms_key = choose_key(ctx, named).await?;
    // The generator is no `Send`, so it must not live across an await.
    let (id, data_key) = {
        let mut rng = rand::rng();
        (BackupId::random(&mut rng, resource.kind), DataKey::generate(&mut rng))
    };
    let context = WrapContext { account: request.account.clone(), data_key: data_key.id() };
    let wrapped = ctx.keys.wrap(&kms_key, &context, &data_key).await?;
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
        request: request_text,
        tags: request.tags.clone(),
    };
    let fence = ctx.catalog.insert_backup(&new, &worker.lease_request()).await?;
    ctx.catalog.record_event(&request.account, "CreateBackup", id.as_str(), resource.id.as_str()).await?;
    let earlier_packs = Vec::new();
    Ok(Job { ctx: ctx.clone(), request, resource, id, fence, kms_key, data_key, earlier_packs, progress })
}

async fn run(job: Arc<Job>) -> Result<BackupReport, EngineError> {
    let parent = Parent::find(&job).await?;
    let handle = tokio::runtime::Handle::current();
    let reading = Arc::clone(&job);
    let snapshot = SnapshotId::random(&mut rand::rng());
    let taken = tokio::task::spawn_blocking(move || read::take_snapshot(&reading, parent, handle))
        .await
        .expect("reading a resource does not panic")?;
    publish::publish(&job, snapshot, taken).await
}

/// Ends a job that failed: for good when trying again cannot help, else so that it can be resumed.
async fn give_up(job: &Job, error: EngineError) -> EngineError {
    let ended = if error.is_worth_retrying() {
        job.ctx.catalog.release(&job.id, job.fence).await
    } else {
        job.ctx.catalog.fail(&job.id, job.fence, &describe(&error)).await
    };
    // The first error is the one to tell; a lease that is not given back ends by itself.
    drop(ended);
    error
}

/// An error and all its causes in one line.
pub(crate) fn describe(error: &(dyn std::error::Error + 'static)) -> String {
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
