//! Copying a backup to other regions: only what each lacks, verified on arrival, under its own key.
//!
//! There is one way to copy: a first run, a retry and a run after a crash all go through `run`, whether
//! they come from [`copy_backup`], [`copy_missing`], [`accept_copy`] or [`resume_copy`]. Whoever helps with a large one ([`help_copy`]) reads and
//! writes packs by the same functions, and publishes nothing. What has landed in a target is in its catalog, so that it is not
//! sent again.

mod lane;
mod missing;
mod place;
mod plan;
mod read;
mod run;
mod share;
mod submit;
mod target;
mod turns;
mod waiting;
mod width;
mod within;
mod write;

use std::sync::Arc;

use catalog::BackupRow;
use futures::future::join_all;
use model::{AccountId, BackupId, ByteSize, KmsKeyId, Region};
use serde::{Deserialize, Serialize};
use store::Record;

pub use missing::{Brought, Missing, accept_missing, copy_missing, find_missing};
pub use plan::{CopyPlanSummary, plan, plan_copy, plan_next};
pub use share::help_copy;
pub use submit::{CopyJob, accept_copy, resume_copy, source_region};
pub use waiting::{Unrenewed, renew_hold, unrenewed_holds};

use crate::context::RegionContext;
use crate::error::EngineError;
use crate::progress::Progress;
use crate::worker::Worker;

/// What is to be copied, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CopyRequest {
    /// Whose it is.
    pub account: AccountId,
    /// The backup in the source region.
    pub backup: BackupId,
    /// The target's KMS key; its default where none is named.
    pub kms_key: Option<KmsKeyId>,
    /// Tags for the copy; they win over the source's.
    pub tags: Vec<(String, String)>,
    /// Whether the source's tags are copied.
    pub copy_tags: bool,
    /// Whether packs are opened and sealed anew under a data key of the target's.
    pub reencrypt: bool,
    /// Bytes per second that may be read from the source; each target has its own pace beside.
    pub bandwidth: Option<ByteSize>,
    /// What only its API knows of the copy, a JSON object; the source's where none is given.
    pub attributes: Option<String>,
    /// Names one call: two requests that are equal but for this are two copies. Without it the same request
    /// goes on with a copy that was interrupted.
    pub call: Option<String>,
}

impl CopyRequest {
    /// A plain copy of a backup.
    pub fn of(account: AccountId, backup: BackupId) -> Self {
        Self {
            account,
            backup,
            kms_key: None,
            tags: Vec::new(),
            copy_tags: false,
            reencrypt: false,
            bandwidth: None,
            attributes: None,
            call: None,
        }
    }

    fn text(&self, source: &Region) -> String {
        format!("{REQUEST_PREFIX}{}", serde_json::to_string(&(source, self)).expect("serializing to memory"))
    }

    /// The region and the request that a copy was made by, if it was made by one.
    fn of_row(row: &BackupRow) -> Option<(Region, Self)> {
        serde_json::from_str(row.request.strip_prefix(REQUEST_PREFIX)?).ok()
    }
}

const REQUEST_PREFIX: &str = "copy ";

/// A finished copy and what it took.
#[derive(Clone, Debug)]
pub struct CopyReport {
    /// The copy's row in the target.
    pub backup: BackupRow,
    /// Packs that were sent.
    pub packs_moved: u64,
    /// Their bytes.
    pub bytes_moved: u64,
    /// Packs that the target had already.
    pub packs_held: u64,
    /// Their bytes.
    pub bytes_held: u64,
}

/// Copies a backup to each of `targets` and returns when every one is done or has failed.
///
/// The source is read once for all; one target that is slow or fails does not hold up the others.
/// Safe to repeat after a crash: with the same request it goes on with the interrupted copies.
///
/// # Errors
/// When nothing could be started: no such backup, its record is damaged. What happens to one target
/// is in its own result.
pub async fn copy_backup(
    source: &Arc<RegionContext>,
    targets: &[Arc<RegionContext>],
    worker: &Worker,
    request: CopyRequest,
    progress: Arc<Progress>,
) -> Result<Vec<(Region, Result<CopyReport, EngineError>)>, EngineError> {
    let row = crate::backups::load_available(source, &request.account, &request.backup).await?;
    let record = read_record(source, &request).await?;
    let accepting = targets.iter().map(|target| {
        let accepting = submit::go_on_or_accept(source, target, worker, &request, &row, &progress);
        async move { accepting.await.map_err(|error| (target.region.clone(), Err(error))) }
    });
    let (mut results, mut jobs) = (Vec::new(), Vec::new());
    for accepted in join_all(accepting).await {
        match accepted {
            Ok(job) => jobs.push(job),
            Err(refused) => results.push(refused),
        }
    }
    results.extend(run::run(source, Some(record), jobs, &progress).await);
    sort_by_target(&mut results, targets);
    Ok(results)
}

/// The record of a backup that was available just now.
async fn read_record(source: &RegionContext, request: &CopyRequest) -> Result<Arc<Record>, EngineError> {
    match source.store.read_record(&request.account, &request.backup).await {
        Ok(record) => Ok(Arc::new(record)),
        Err(error) => {
            // Nothing holds the source yet: one that is removed meanwhile has not been damaged.
            crate::backups::load_available(source, &request.account, &request.backup).await?;
            Err(error.into())
        }
    }
}

fn sort_by_target<T>(results: &mut [(Region, T)], targets: &[Arc<RegionContext>]) {
    results.sort_by_key(|(region, _)| targets.iter().position(|target| target.region == *region));
}

/// Runs copies of one backup that were accepted, and returns when each is done or has failed.
///
/// The source is read once for all.
pub async fn run_copies(
    jobs: Vec<CopyJob>,
    progress: &Arc<Progress>,
) -> Vec<(Region, Result<CopyReport, EngineError>)> {
    let Some(first) = jobs.first() else { return Vec::new() };
    let source = Arc::clone(&first.source);
    run::run(&source, None, jobs, progress).await
}
