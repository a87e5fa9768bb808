//! What a region lacks of another's backups, and bringing it there.
//!
//! Backups are told apart by their snapshots, which all copies of one share: whichever way it came to the target, it is not copied
//! again. By the backup that a copy was made of alone, regions that are brought up to date from each other in a ring would hand on copies
//! of copies without end.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use catalog::{BackupFilter, BackupRow, Quota, Terms};
use futures::future::join_all;
use model::{AccountId, BackupId, BackupState, Region, ResourceId, ResourceKind, Timestamp};

use super::submit::{CopyJob, accept_copy, check_partition, resume_copy};
use super::{CopyReport, CopyRequest, read_record, run, sort_by_target};
use crate::acceptance::Acceptance;
use crate::backups::{PAGE, each_available, find_backup};
use crate::context::RegionContext;
use crate::error::EngineError;
use crate::progress::Progress;
use crate::resources::find_resource;
use crate::worker::Worker;

/// How a backup stands in a target that it was to be brought to.
#[derive(Clone, Debug)]
pub enum Brought {
    /// It was copied.
    Copied(Box<CopyReport>),
    /// It is there by now.
    There,
    /// Another is at work on this copy of it.
    UnderWay(BackupId),
}

/// What a region lacks of another's backups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// When each was made, and its id, oldest first. Of several copies of one backup it is the first.
    pub backups: Vec<(Timestamp, BackupId)>,
    /// How many are left where they are, as the region had them first and has removed them.
    pub own: u64,
}

/// What `target` lacks of an account's available backups in `source`, or of those of one resource. Those that were copied from
/// `target`, by whatever way, are its own; those that are about to be removed are nobody's.
///
/// # Errors
/// `Invalid` when no copies may be made between the two; when a catalog fails.
pub async fn find_missing(
    source: &RegionContext,
    target: &RegionContext,
    account: &AccountId,
    resource: Option<&ResourceId>,
) -> Result<Missing, EngineError> {
    check_partition(source, target)?;
    let now = source.catalog.now().await?;
    let mut there = HashSet::new();
    each_available(&target.catalog, account, resource, |row| there.extend(row.snapshot_id)).await?;
    let mut lacked = Vec::new();
    each_available(&source.catalog, account, resource, |row| {
        if will_stay(&row, now)
            && let Some(snapshot) = row.snapshot_id
            && there.insert(snapshot)
        {
            lacked.push(row);
        }
    })
    .await?;
    let (mut missing, mut homes) = (Missing::default(), HashMap::new());
    for row in lacked {
        let is_own = row.source_region.as_ref() == Some(&target.region)
            || is_home(target, account, &row.resource_id, &mut homes).await?;
        match is_own {
            true => missing.own += 1,
            false => missing.backups.push((row.created_at, row.id)),
        }
    }
    Ok(missing)
}

/// Whether a region has the resource that backups are of: they were made there.
async fn is_home(
    ctx: &RegionContext,
    account: &AccountId,
    resource: &ResourceId,
    known: &mut HashMap<ResourceId, bool>,
) -> Result<bool, EngineError> {
    if let Some(known) = known.get(resource) {
        return Ok(*known);
    }
    let found = find_resource(ctx, account, resource).await?.is_some();
    known.insert(resource.clone(), found);
    Ok(found)
}

/// Whether a backup has not come to its end, and is no HSM's that waits for it: a copy would outlive what its owner has removed.
fn will_stay(row: &BackupRow, now: Timestamp) -> bool {
    row.expires_at.is_none_or(|end| end > now && row.resource_kind != ResourceKind::Hsm)
}

/// The backup that is to be copied, unless it has been removed since, or is about to be.
async fn find_wanted(source: &RegionContext, request: &CopyRequest) -> Result<Option<BackupRow>, EngineError> {
    let now = source.catalog.now().await?;
    let found = find_backup(source, &request.account, &request.backup).await?;
    Ok(found.filter(|row| row.state == BackupState::Available && will_stay(row, now)))
}

/// Copies a backup to those of `targets` that have no copy of it by now, and returns when each is done or has failed.
///
/// A copy that was interrupted is gone on with as it was asked for, but for the pace, which is that of `request`. A backup that has been
/// removed meanwhile is brought nowhere, and the list is empty.
///
/// # Errors
/// When nothing could be started: the source is away, or the backup's record is damaged. What happens to one target is in its own
/// result.
pub async fn copy_missing(
    source: &Arc<RegionContext>,
    targets: &[Arc<RegionContext>],
    worker: &Worker,
    request: CopyRequest,
    progress: Arc<Progress>,
) -> Result<Vec<(Region, Result<Brought, EngineError>)>, EngineError> {
    if find_wanted(source, &request).await?.is_none() {
        return Ok(Vec::new());
    }
    let record = read_record(source, &request).await?;
    let beginning = targets.iter().map(|target| begin(source, target, worker, &request, &progress));
    let (mut results, mut jobs) = (Vec::new(), Vec::new());
    for (target, begun) in targets.iter().zip(join_all(beginning).await) {
        match begun {
            Ok(Begun::Job(job)) => jobs.push(*job),
            Ok(Begun::Not(why)) => results.push((target.region.clone(), Ok(why))),
            Err(error) => results.push((target.region.clone(), Err(error))),
        }
    }
    let copied = run::run(source, Some(record), jobs, &progress).await;
    results.extend(copied.into_iter().map(|(region, result)| (region, result.map(Box::new).map(Brought::Copied))));
    sort_by_target(&mut results, targets);
    Ok(results)
}

/// Accepts the copy of a backup that `target` lacks, unless it has been removed meanwhile, or there is a copy by now, or one that is
/// being made or was interrupted, which any server of the target's region goes on with.
///
/// # Errors
/// As those of [`accept_copy`].
pub async fn accept_missing(
    source: &Arc<RegionContext>,
    target: &Arc<RegionContext>,
    worker: &Worker,
    request: &CopyRequest,
) -> Result<Option<CopyJob>, EngineError> {
    if find_wanted(source, request).await?.is_none() || !copies_in(target, &source.region, request).await?.is_empty() {
        return Ok(None);
    }
    accept_first(source, target, worker, request).await
}

/// Accepts a copy, unless another has accepted one of the same backup since it was looked up.
async fn accept_first(
    source: &Arc<RegionContext>,
    target: &Arc<RegionContext>,
    worker: &Worker,
    request: &CopyRequest,
) -> Result<Option<CopyJob>, EngineError> {
    let quotas = vec![Quota::CopiesOf { source: request.backup.clone(), max: 1 }];
    match accept_copy(source, target, worker, request, &Terms { token: None, quotas }).await? {
        Acceptance::New(job) => Ok(Some(job)),
        Acceptance::Earlier(_) | Acceptance::OverQuota(_) => Ok(None),
    }
}

enum Begun {
    Job(Box<CopyJob>),
    Not(Brought),
}

/// Begins to copy a backup, or goes on with a copy that was interrupted.
async fn begin(
    source: &Arc<RegionContext>,
    target: &Arc<RegionContext>,
    worker: &Worker,
    request: &CopyRequest,
    progress: &Arc<Progress>,
) -> Result<Begun, EngineError> {
    // Looked up again: since it was found missing, another may have brought it here.
    let mut copies = copies_in(target, &source.region, request).await?;
    if copies.is_empty() {
        if let Some(job) = accept_first(source, target, worker, request).await? {
            return Ok(Begun::Job(Box::new(job)));
        }
        copies = copies_in(target, &source.region, request).await?;
    }
    if copies.iter().any(|copy| copy.state == BackupState::Available) {
        return Ok(Begun::Not(Brought::There));
    }
    // Another has accepted one and removed it again.
    let Some(copy) = copies.into_iter().next() else { return Ok(Begun::Not(Brought::There)) };
    let id = copy.id.clone();
    if let Some(mut job) = resume_copy(Some(source), target, worker, copy).await? {
        progress.note(format!("going on with {id} in {}, which was interrupted", target.region));
        job.request.bandwidth = request.bandwidth;
        return Ok(Begun::Job(Box::new(job)));
    }
    let now = find_backup(target, &request.account, &id).await?;
    let is_there = now.is_some_and(|row| row.state == BackupState::Available);
    Ok(Begun::Not(if is_there { Brought::There } else { Brought::UnderWay(id) }))
}

/// The copies of a backup in a target that are there or on their way.
async fn copies_in(
    target: &RegionContext,
    source: &Region,
    request: &CopyRequest,
) -> Result<Vec<BackupRow>, EngineError> {
    let filter = BackupFilter {
        sources: vec![request.backup.clone()],
        states: vec![BackupState::Available, BackupState::Copying],
        ascending: true,
        limit: PAGE,
        ..BackupFilter::default()
    };
    let mut copies = target.catalog.list_backups(&request.account, &filter).await?;
    copies.retain(|copy| copy.source_region.as_ref() == Some(source));
    Ok(copies)
}
