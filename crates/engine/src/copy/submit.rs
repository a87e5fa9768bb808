//! Accepting one copy into one target: hold first, row second.
//!
//! In this order a crash between the two leaves only a hold that runs out.

use std::sync::Arc;
use std::time::Duration;

use catalog::{BackupRow, BackupSource, Fence, NewBackup};
use model::{BackupId, KmsKeyId, SourceKind};
use store::{DataKey, Record, WrapContext};

use super::CopyRequest;
use super::target::TargetJob;
use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::lease::{Lease, Renewal, take_over};
use crate::progress::Progress;
use crate::resources::choose_key;
use crate::worker::Worker;

/// How long a source stays held for a copy that has stopped renewing: long enough to run the
/// command again after a crash, short enough not to be in the way of a removal for a day.
const HOLD: Duration = Duration::from_secs(15 * 60);

/// Checks that a backup may be copied from `source` to `target` at all.
pub(super) fn check_pair(source: &RegionContext, target: &RegionContext, row: &BackupRow) -> Result<(), EngineError> {
    let refuse = |why: String| Err(EngineError::refused(ErrorKind::Invalid, why));
    if source.partition != target.partition {
        return refuse(format!(
            "{} is in partition {} and {} in {}: copies do not leave a partition",
            source.region, source.partition, target.region, target.partition
        ));
    }
    let one_region = source.region == target.region;
    if one_region
        && (row.resource_kind.source_kind() == SourceKind::Image || row.resource_kind == model::ResourceKind::Hsm)
    {
        return refuse(format!("{} is in {} already", row.id, target.region));
    }
    Ok(())
}

pub(super) async fn submit(
    source: &Arc<RegionContext>,
    target: &Arc<RegionContext>,
    worker: &Worker,
    request: &CopyRequest,
    row: &BackupRow,
    record: &Arc<Record>,
    progress: &Arc<Progress>,
) -> Result<TargetJob, EngineError> {
    check_pair(source, target, row)?;
    let text = serde_json::to_string(&(&source.region, request)).expect("serializing to memory");
    let text = format!("copy {text}");
    let (account, catalog) = (&request.account, &target.catalog);
    let (id, fence, kms_key, data_key) = match take_over(catalog, account, &text, worker).await? {
        Some((found, fence)) => {
            progress.note(format!("going on with {} in {}, which was interrupted", found.id, target.region));
            (found.id, fence, found.kms_key, found.data_key)
        }
        None => {
            let kms_key = choose_key(target, request.kms_key.clone()).await?;
            let id = BackupId::random(&mut rand::rng(), row.resource_kind);
            hold(source, request, target, &id).await?;
            let data_key = DataKey::generate(&mut rand::rng());
            let fence = insert(source, target, worker, request, row, text, &id, &kms_key, &data_key).await?;
            (id, fence, kms_key, data_key.id())
        }
    };
    let lease = Lease::keep(catalog, &id, fence, worker);
    let hold = hold(source, request, target, &id).await?;
    let new_key = match request.reencrypt {
        true => Some(crate::keys::unwrap_any(target, account, data_key).await?),
        false => None,
    };
    Ok(TargetJob {
        source: Arc::clone(source),
        ctx: Arc::clone(target),
        account: account.clone(),
        record: Arc::clone(record),
        id,
        kms_key,
        new_key,
        lease,
        _hold: hold,
        progress: Arc::clone(progress),
    })
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

#[expect(clippy::too_many_arguments, reason = "all of a row's parts, once")]
async fn insert(
    source: &RegionContext,
    target: &RegionContext,
    worker: &Worker,
    request: &CopyRequest,
    row: &BackupRow,
    request_text: String,
    id: &BackupId,
    kms_key: &KmsKeyId,
    data_key: &DataKey,
) -> Result<Fence, EngineError> {
    let context = WrapContext { account: request.account.clone(), data_key: data_key.id() };
    let wrapped = target.keys.wrap(kms_key, &context, data_key).await?;
    let new = NewBackup {
        id: id.clone(),
        account: request.account.clone(),
        resource_id: row.resource_id.clone(),
        resource_kind: row.resource_kind,
        resource_name: row.resource_name.clone(),
        source: Some(BackupSource { region: source.region.clone(), backup: row.id.clone() }),
        parent_id: None,
        kms_key: kms_key.clone(),
        data_key: data_key.id(),
        wrapped,
        request: request_text,
        tags: merge_tags(request, row),
    };
    let fence = target.catalog.insert_backup(&new, &worker.lease_request()).await?;
    let detail = format!("{} from {}", request.backup, source.region);
    target.catalog.record_event(&request.account, "CopyBackup", id.as_str(), &detail).await?;
    Ok(fence)
}

/// The source's tags where they are asked for, overlaid with the request's.
fn merge_tags(request: &CopyRequest, row: &BackupRow) -> Vec<(String, String)> {
    let asked = |key: &String| request.tags.iter().any(|(named, _)| named == key);
    let copied = row.tags.iter().filter(|(key, _)| request.copy_tags && !asked(key));
    copied.chain(&request.tags).cloned().collect()
}
