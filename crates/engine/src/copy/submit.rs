//! Accepting one copy into one target: hold first, row second.
//!
//! In this order a crash between the two leaves only a hold that runs out.

use std::sync::Arc;
use std::time::Duration;

use catalog::{Accepted, BackupRow, BackupSource, Fence, NewBackup, Terms};
use model::{AccountId, BackupId, DataKeyId, KmsKeyId, Origin, Region, SourceKind};
use store::{Record, StoreErrorKind};

use super::CopyRequest;
use crate::acceptance::Acceptance;
use crate::backup::{describe, show};
use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::lease::{Lease, Renewal, claim, take_over};
use crate::progress::Progress;
use crate::resources::choose_key;
use crate::worker::Worker;

/// How long a source stays held for a copy that has stopped renewing: long enough to run the
/// command again after a crash, short enough not to be in the way of a removal for a day.
pub(super) const HOLD: Duration = Duration::from_secs(15 * 60);

/// How long a copy that is done waits for its source's catalog: a write there takes a small fraction of that.
const SPENDING_MAX: Duration = Duration::from_secs(5);

/// Checks that a backup may be copied from `source` to `target` at all.
pub(super) fn check_pair(source: &RegionContext, target: &RegionContext, row: &BackupRow) -> Result<(), EngineError> {
    check_partition(source, target)?;
    let one_region = source.region == target.region;
    if one_region
        && (row.resource_kind.source_kind() == SourceKind::Image || row.resource_kind == model::ResourceKind::Hsm)
    {
        let why = format!("{} is in {} already", row.id, target.region);
        return Err(EngineError::refused(ErrorKind::Invalid, why));
    }
    Ok(())
}

/// Checks that copies may be made between the two at all.
pub(super) fn check_partition(source: &RegionContext, target: &RegionContext) -> Result<(), EngineError> {
    if source.partition == target.partition {
        return Ok(());
    }
    let why = format!(
        "{} is in partition {} and {} in {}: copies do not leave a partition",
        source.region, source.partition, target.region, target.partition
    );
    Err(EngineError::refused(ErrorKind::Invalid, why))
}

/// One copy into one target: accepted, leased to this process, its source held.
#[derive(Debug)]
pub struct CopyJob {
    pub(super) source: Arc<RegionContext>,
    pub(super) target: Arc<RegionContext>,
    pub(super) request: CopyRequest,
    pub(super) id: BackupId,
    pub(super) kms_key: KmsKeyId,
    /// The data key that was made for the copy.
    pub(super) data_key: DataKeyId,
    pub(super) lease: Lease,
    /// Packs that make a part, where it is shared.
    pub(super) part_packs: usize,
    _hold: Renewal,
}

impl CopyJob {
    /// The copy that is being made.
    pub fn id(&self) -> &BackupId {
        &self.id
    }

    /// The region that it is made in.
    pub fn target(&self) -> &Region {
        &self.target.region
    }

    /// Leaves the copy to any server of the target's region. The source stays held for a while.
    ///
    /// # Errors
    /// When the catalog fails; then the lease runs out by itself.
    pub async fn leave(self) -> Result<(), EngineError> {
        let fence = self.lease.fence;
        drop(self.lease);
        Ok(self.target.catalog.release(&self.id, fence).await?)
    }

    /// Ends a job that failed: for good when trying again cannot help, else so that it can be resumed.
    pub(super) async fn give_up(&self, error: &EngineError) {
        let may_be_resumed = end(&self.target, &self.request.account, &self.id, self.lease.fence, error).await;
        if !may_be_resumed {
            self.release_source().await;
        }
    }

    /// Lets the source be removed.
    pub(super) async fn spend_source(&self) {
        spend_source(&self.source, &self.target, &self.request.backup, &self.id).await;
    }

    /// Lets go of the source.
    pub(super) async fn release_source(&self) {
        release_source(&self.source, &self.target, &self.request.backup, &self.id).await;
    }
}

/// Lets the source of a copy be removed. One whose catalog is away is held a while longer, but does not hold up the copy.
async fn spend_source(source: &RegionContext, target: &RegionContext, backup: &BackupId, id: &BackupId) {
    let holder = holder(target, id);
    let spending = source.catalog.spend_hold(backup, &holder);
    drop(tokio::time::timeout(SPENDING_MAX, spending).await);
}

/// Ends the work on a copy that failed, and says whether it may be gone on with: by whoever takes it over, or has.
async fn end(target: &RegionContext, account: &AccountId, id: &BackupId, fence: Fence, error: &EngineError) -> bool {
    let may_be_resumed = error.is_worth_retrying() || may_be_written(target, account, id).await;
    let ended = match may_be_resumed {
        true => target.catalog.release(id, fence).await,
        false => target.catalog.fail(id, fence, &describe(error)).await,
    };
    // The first error is the one to tell. What could not be said now ends with the lease; if that is another's by now, so is the
    // hold on the source.
    may_be_resumed || ended.is_err()
}

/// Whether the record of a copy is in the target, or may be. Such a copy is never given up: it needs no source to be
/// published, and its source may be gone.
async fn may_be_written(target: &RegionContext, account: &AccountId, id: &BackupId) -> bool {
    match written(target, account, id).await {
        Ok(record) => record.is_some(),
        // Where the store does not say, the catalog may: no record is written before all packs have landed.
        Err(_) => !target.catalog.backup_packs(id).await.is_ok_and(|packs| packs.iter().any(|pack| !pack.landed)),
    }
}

/// Lets go of the source of a copy. A hold that is not released runs out by itself.
pub(super) async fn release_source(source: &RegionContext, target: &RegionContext, backup: &BackupId, id: &BackupId) {
    drop(source.catalog.release_hold(backup, &holder(target, id)).await);
}

/// Takes over an interrupted copy of the same request, or accepts a new one.
pub(super) async fn go_on_or_accept(
    source: &Arc<RegionContext>,
    target: &Arc<RegionContext>,
    worker: &Worker,
    request: &CopyRequest,
    row: &BackupRow,
    progress: &Arc<Progress>,
) -> Result<CopyJob, EngineError> {
    check_pair(source, target, row)?;
    let text = request.text(&source.region);
    if let Some((found, fence)) = take_over(&target.catalog, &request.account, &text, worker).await? {
        progress.note(format!("going on with {} in {}, which was interrupted", found.id, target.region));
        return go_on(source, target, worker, request.clone(), found, fence).await;
    }
    match accept(source, target, worker, request, row, &Terms::default()).await? {
        Acceptance::New(job) => Ok(job),
        Acceptance::Earlier(_) | Acceptance::OverQuota(_) => unreachable!("there are no terms to refuse it by"),
    }
}

/// Accepts a copy without making it: [`super::run_copies`] does that.
///
/// # Errors
/// `NotFound` when there is no such backup or key, `Conflict` when the backup is not available, `Invalid` when
/// it may not be copied there, `Denied` when the key is disabled.
pub async fn accept_copy(
    source: &Arc<RegionContext>,
    target: &Arc<RegionContext>,
    worker: &Worker,
    request: &CopyRequest,
    terms: &Terms,
) -> Result<Acceptance<CopyJob>, EngineError> {
    let row = crate::backups::load_available(source, &request.account, &request.backup).await?;
    check_pair(source, target, &row)?;
    accept(source, target, worker, request, &row, terms).await
}

/// The region that an interrupted copy was being made from, if `row` is one.
pub fn source_region(row: &BackupRow) -> Option<Region> {
    CopyRequest::of_row(row).map(|(region, _)| region)
}

/// Takes over a copy that was accepted and that nobody is at work on.
///
/// Without a source, which may be away or lost, it is taken over only if its record is written: then it needs none.
///
/// `None` when someone is at work on it, when it is no such copy, when it has to wait for its source, or when all that was
/// left to do was to publish it, which is done then.
///
/// # Errors
/// As those of [`accept_copy`].
pub async fn resume_copy(
    source: Option<&Arc<RegionContext>>,
    target: &Arc<RegionContext>,
    worker: &Worker,
    row: BackupRow,
) -> Result<Option<CopyJob>, EngineError> {
    let Some((_, request)) = CopyRequest::of_row(&row) else { return Ok(None) };
    if source.is_none() && written(target, &row.account, &row.id).await?.is_none() {
        return Ok(None);
    }
    let Some(fence) = claim(&target.catalog, &row, worker).await? else { return Ok(None) };
    let published = publish_written(source.map(Arc::as_ref), target, &row, fence).await;
    match (published, source) {
        (Ok(true), _) => Ok(None),
        // What stands in the way of that, the usual way meets, too, which does not give up a copy that may be written.
        (_, Some(source)) => go_on(source, target, worker, request, row, fence).await.map(Some),
        (published, None) => {
            // What could not be given back now is free once its lease has run out.
            drop(target.catalog.release(&row.id, fence).await);
            published.map(|_| None)
        }
    }
}

/// Publishes a copy that was interrupted once its record was written, without its source backup, which may be gone by now.
/// Says whether it was one.
async fn publish_written(
    source: Option<&RegionContext>,
    target: &RegionContext,
    row: &BackupRow,
    fence: Fence,
) -> Result<bool, EngineError> {
    let Some(record) = written(target, &row.account, &row.id).await? else { return Ok(false) };
    target.store.check_owner().await?;
    // In a region that cannot be reached the hold runs out by itself.
    let held = source.zip(row.source_backup.as_ref());
    if let Some((source, backup)) = held {
        spend_source(source, target, backup, &row.id).await;
    }
    show(target, record, fence).await?;
    if let Some((source, backup)) = held {
        release_source(source, target, backup, &row.id).await;
    }
    Ok(true)
}

/// The record of a copy, if it is in the target.
async fn written(target: &RegionContext, account: &AccountId, id: &BackupId) -> Result<Option<Record>, EngineError> {
    match target.store.read_record(account, id).await {
        Ok(record) => Ok(Some(record)),
        Err(error) if error.kind == StoreErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn go_on(
    source: &Arc<RegionContext>,
    target: &Arc<RegionContext>,
    worker: &Worker,
    request: CopyRequest,
    row: BackupRow,
    fence: Fence,
) -> Result<CopyJob, EngineError> {
    let lease = Lease::keep(&target.catalog, &row.id, fence, worker);
    let hold = match hold(source, &request, target, &row.id).await {
        Ok(hold) => hold,
        Err(error) => {
            end(target, &row.account, &row.id, fence, &error).await;
            return Err(error);
        }
    };
    let (source, target) = (Arc::clone(source), Arc::clone(target));
    Ok(CopyJob {
        source,
        target,
        request,
        id: row.id,
        kms_key: row.kms_key,
        data_key: row.data_key,
        lease,
        part_packs: worker.part_packs,
        _hold: hold,
    })
}

async fn accept(
    source: &Arc<RegionContext>,
    target: &Arc<RegionContext>,
    worker: &Worker,
    request: &CopyRequest,
    row: &BackupRow,
    terms: &Terms,
) -> Result<Acceptance<CopyJob>, EngineError> {
    let kms_key = choose_key(target, request.kms_key.clone()).await?;
    let id = BackupId::random(&mut rand::rng(), row.resource_kind);
    let (data_key, wrapped) = target.keys.generate(&kms_key, &request.account).await?;
    let new = NewBackup {
        id: id.clone(),
        account: request.account.clone(),
        resource_id: row.resource_id.clone(),
        resource_kind: row.resource_kind,
        resource_name: row.resource_name.clone(),
        source: Some(BackupSource { region: source.region.clone(), backup: row.id.clone(), taken_at: row.taken_at() }),
        parent_id: None,
        kms_key: kms_key.clone(),
        data_key: data_key.id(),
        wrapped,
        request: request.text(&source.region),
        origin: Origin::User,
        attributes: request.attributes.clone().unwrap_or_else(|| row.attributes.clone()),
        expires_at: None,
        size_bytes: row.size_bytes,
        tags: merge_tags(request, row),
    };
    let hold = hold(source, request, target, &id).await?;
    let refused = match target.catalog.accept_backup(&new, &worker.lease_request(), terms).await {
        Ok(Accepted::New(fence)) => {
            let lease = Lease::keep(&target.catalog, &id, fence, worker);
            let (source, target, request) = (Arc::clone(source), Arc::clone(target), request.clone());
            let (data_key, part_packs) = (data_key.id(), worker.part_packs);
            return Ok(Acceptance::New(CopyJob {
                source,
                target,
                request,
                id,
                kms_key,
                data_key,
                lease,
                part_packs,
                _hold: hold,
            }));
        }
        Ok(Accepted::Earlier(earlier)) => Ok(Acceptance::Earlier(earlier)),
        Ok(Accepted::OverQuota(quota)) => Ok(Acceptance::OverQuota(quota)),
        // The copy may be there to be made, and needs its source. If not, the hold runs out.
        Err(error) if error.is_in_doubt() => return Err(error.into()),
        Err(error) => Err(error.into()),
    };
    drop(hold);
    // Nothing was begun, so nothing needs the source.
    release_source(source, target, &request.backup, &id).await;
    refused
}

/// Keeps the source backup from being removed, until the returned value is dropped and the hold ends.
async fn hold(
    source: &Arc<RegionContext>,
    request: &CopyRequest,
    target: &RegionContext,
    id: &BackupId,
) -> Result<Renewal, EngineError> {
    let holder = holder(target, id);
    source.catalog.place_hold(&request.account, &request.backup, &holder, HOLD).await?;
    let (source, backup) = (Arc::clone(source), request.backup.clone());
    Ok(Renewal::of(HOLD, move || {
        let (source, backup, holder) = (Arc::clone(&source), backup.clone(), holder.clone());
        // A region that does not answer now may answer the next time.
        async move { source.catalog.renew_hold(&backup, &holder, HOLD).await.unwrap_or(true) }
    }))
}

pub(super) fn holder(target: &RegionContext, id: &BackupId) -> String {
    format!("{}/{id}", target.region)
}

/// The source's tags where they are asked for, overlaid with the request's.
fn merge_tags(request: &CopyRequest, row: &BackupRow) -> Vec<(String, String)> {
    let asked = |key: &String| request.tags.iter().any(|(named, _)| named == key);
    let copied = row.tags.iter().filter(|(key, _)| request.copy_tags && !asked(key));
    copied.chain(&request.tags).cloned().collect()
}
