//! The target's side of a copy: begun, and ended once its packs are there.

use std::collections::BTreeSet;
use std::sync::Arc;

use catalog::{BackupRow, Fence};
use model::{AccountId, BackupId, DataKeyId};
use store::record::Totals;
use store::{DataKey, Lineage, Record, RecordHead, WrapContext, Wrapped, WrappedKey};

use super::CopyReport;
use super::place::Placed;
use super::submit::CopyJob;
use super::write::{Anew, Right, Writer};
use crate::backup::{show, write_record};
use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::keys::{open_root, record_keys, rewrap_any, unwrap_all, unwrap_any};
use crate::progress::Progress;

/// One copy into one target that is running.
pub(super) struct TargetJob {
    pub(super) copy: CopyJob,
    pub(super) record: Arc<Record>,
    pub(super) writer: Writer,
}

impl TargetJob {
    /// Begins to run a copy that was accepted.
    pub(super) async fn begin(
        copy: CopyJob,
        record: &Arc<Record>,
        progress: &Arc<Progress>,
    ) -> Result<Self, (CopyJob, EngineError)> {
        let ctx = Arc::clone(&copy.target);
        let anew = match copy.request.reencrypt {
            true => match unwrap_any(&ctx, &copy.request.account, copy.data_key).await {
                Ok(key) => Some(Anew { key, source: Arc::clone(&copy.source), record: Arc::clone(record) }),
                Err(error) => return Err((copy, error)),
            },
            false => None,
        };
        let writer = Writer {
            ctx,
            account: copy.request.account.clone(),
            backup: copy.id.clone(),
            right: Right::Copy(copy.lease.fence),
            anew,
            progress: Arc::clone(progress),
        };
        Ok(Self { copy, record: Arc::clone(record), writer })
    }

    /// The target.
    pub(super) fn ctx(&self) -> &Arc<RegionContext> {
        &self.writer.ctx
    }

    /// Whether one service has both stores, and is to copy between them. What is sealed anew are other bytes.
    pub(super) fn is_in_one_service(&self) -> bool {
        self.writer.anew.is_none() && self.ctx().store.is_in_service_of(&self.copy.source.store)
    }

    pub(super) fn account(&self) -> &AccountId {
        &self.writer.account
    }

    pub(super) fn id(&self) -> &BackupId {
        &self.writer.backup
    }

    pub(super) fn fence(&self) -> Fence {
        self.copy.lease.fence
    }
}

/// A data key of the source's, unwrapped by the source's key service.
pub(super) async fn unwrap_source(
    source: &RegionContext,
    record: &Record,
    data_key: DataKeyId,
) -> Result<DataKey, EngineError> {
    let context = WrapContext { account: record.head.account.clone(), data_key };
    Ok(source.keys.unwrap(&context, source_form(record, data_key)).await?)
}

/// A data key of the source's, wrapped for the target: by their key service, if it is one, or else by the target's.
async fn rewrap_source(job: &TargetJob, data_key: DataKeyId) -> Result<WrappedKey, EngineError> {
    let context = WrapContext { account: job.account().clone(), data_key };
    let (source, target, by) = (&job.copy.source.keys, &job.ctx().keys, &job.copy.kms_key);
    if source.place() == target.place() {
        return Ok(target.rewrap(by, &context, source_form(&job.record, data_key)).await?);
    }
    Ok(target.wrap(by, &context, &unwrap_source(&job.copy.source, &job.record, data_key).await?).await?)
}

fn source_form(record: &Record, data_key: DataKeyId) -> Wrapped<'_> {
    let head = &record.head;
    let found = head.wrapped_keys.iter().find(|key| key.data_key == data_key);
    let found = found.expect("a record that was decoded has every key it needs");
    Wrapped { by: &head.kms_key, bytes: &found.wrapped }
}

/// Ends one target's job: published, failed, or given back to be gone on with.
pub(super) async fn finish(
    job: &TargetJob,
    placed: Result<Placed, EngineError>,
    written: Result<(), EngineError>,
) -> Result<CopyReport, EngineError> {
    let done = async {
        let placed = placed?;
        written?;
        // Whoever has sent them: of a copy that is shared, parts are sent by others.
        let (packs_moved, bytes_moved) = (placed.moved().count() as u64, placed.moved().map(|pack| pack.bytes).sum());
        let backup = publish(job, &placed, bytes_moved).await?;
        let Placed { packs_held, bytes_held, .. } = placed;
        Ok(CopyReport { backup, packs_moved, bytes_moved, packs_held, bytes_held })
    };
    let done: Result<CopyReport, EngineError> = done.await;
    match &done {
        Ok(_) => job.copy.release_source().await,
        Err(error) => job.copy.give_up(error).await,
    }
    done
}

fn gone(job: &TargetJob) -> EngineError {
    EngineError::refused(ErrorKind::Conflict, format!("copy {} was removed while it was being made", job.id()))
}

async fn publish(job: &TargetJob, placed: &Placed, bytes_moved: u64) -> Result<BackupRow, EngineError> {
    let (ctx, source) = (job.ctx(), &job.record.head);
    let packs = placed.landed(job).await?;
    let (root_key, sealed_root) = root(job).await?;
    let needed: BTreeSet<DataKeyId> = packs.iter().map(|pack| pack.data_key).chain([root_key]).collect();
    let wrapped_keys = record_keys(ctx, job.account(), &job.copy.kms_key, &needed, |key| async move {
        // What the target has under another of its keys, or else what the source has.
        match rewrap_any(ctx, job.account(), key, &job.copy.kms_key).await {
            Err(error) if !error.is_worth_retrying() && in_source_set(&job.record, key) => {
                rewrap_source(job, key).await
            }
            other => other,
        }
    })
    .await?;
    let row = ctx.catalog.find_backup(job.account(), job.id()).await?.ok_or_else(|| gone(job))?;
    let head = RecordHead {
        backup: job.id().clone(),
        account: job.account().clone(),
        region: ctx.region.clone(),
        resource: source.resource.clone(),
        resource_kind: source.resource_kind,
        snapshot: source.snapshot,
        created_at: row.created_at,
        completed_at: ctx.catalog.now().await?,
        lineage: Lineage {
            parent: None,
            source_region: Some(source.region.clone()),
            source_backup: Some(source.backup.clone()),
            taken_at: row.source_taken_at,
        },
        kms_key: job.copy.kms_key.clone(),
        root_key,
        wrapped_keys,
        tags: row.tags,
        origin: row.origin,
        attributes: row.attributes,
        expires_at: row.expires_at,
        totals: Totals {
            stored_bytes: packs.iter().map(|pack| pack.bytes).sum(),
            moved_bytes: bytes_moved,
            deduplicated_bytes: placed.bytes_held,
            ..source.totals
        },
    };
    let record = Record { head, packs, sealed_root };
    write_record(ctx, &record, job.fence()).await?;
    // Whoever takes the copy over from here on publishes it by the record, without the backup it was made of.
    job.copy.spend_source().await;
    show(ctx, record, job.fence()).await
}

fn in_source_set(record: &Record, key: DataKeyId) -> bool {
    record.head.wrapped_keys.iter().any(|wrapped| wrapped.data_key == key)
}

/// The root as the target keeps it: as it is, or sealed anew.
async fn root(job: &TargetJob) -> Result<(DataKeyId, Vec<u8>), EngineError> {
    let Some(Anew { key: new, .. }) = &job.writer.anew else {
        return Ok((job.record.head.root_key, job.record.sealed_root.clone()));
    };
    let keys = unwrap_all(&job.copy.source, &job.record).await?;
    let root = open_root(&job.record, &keys)?;
    Ok((new.id(), root.seal(new, job.record.head.snapshot)))
}
