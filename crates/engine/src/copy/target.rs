//! The target's side of a copy: write packs as they come, then publish.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use catalog::{BackupRow, Fence, Standing};
use futures::StreamExt;
use futures::stream;
use model::{AccountId, BackupId, DataKeyId, PackId};
use store::record::Totals;
use store::{DataKey, Lineage, PackRef, Record, RecordHead, WrapContext};
use tokio::sync::mpsc;

use super::CopyReport;
use super::place::{Placed, announce, new_pack};
use super::submit::CopyJob;
use crate::backup::{pack_ref, publish_record};
use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::keys::{open_root, record_keys, unwrap_all, unwrap_any};
use crate::progress::Progress;

/// Writes on their way at once: one waits for the disk while the other is written.
const WRITES_AT_ONCE: usize = 2;

/// Landed packs that are committed together.
const COMMITS_TOGETHER: usize = 16;

/// A pack on its way from the reader.
pub(super) type Parcel = (PackRef, Bytes);

/// One copy into one target that is running.
pub(super) struct TargetJob {
    pub(super) copy: CopyJob,
    pub(super) ctx: Arc<RegionContext>,
    pub(super) record: Arc<Record>,
    /// The data key that packs are sealed under anew, in re-encrypting mode.
    pub(super) new_key: Option<DataKey>,
    pub(super) progress: Arc<Progress>,
}

impl TargetJob {
    /// Begins to run a copy that was accepted.
    pub(super) async fn begin(
        copy: CopyJob,
        record: &Arc<Record>,
        progress: &Arc<Progress>,
    ) -> Result<Self, (CopyJob, EngineError)> {
        let ctx = Arc::clone(&copy.target);
        let new_key = match copy.request.reencrypt {
            true => match unwrap_any(&ctx, &copy.request.account, copy.data_key).await {
                Ok(key) => Some(key),
                Err(error) => return Err((copy, error)),
            },
            false => None,
        };
        Ok(Self { copy, ctx, record: Arc::clone(record), new_key, progress: Arc::clone(progress) })
    }

    pub(super) fn account(&self) -> &AccountId {
        &self.copy.request.account
    }

    pub(super) fn id(&self) -> &BackupId {
        &self.copy.id
    }

    pub(super) fn fence(&self) -> Fence {
        self.copy.lease.fence
    }
}

/// Writes every parcel that comes in; returns how many packs and bytes were written.
///
/// Writing and committing are polled side by side: a write may hold the catalog's only writing connection,
/// so a commit that kept the writes from going on would wait for it for ever. The queue between the two
/// is not bounded for the same reason; it holds a few bytes per pack.
pub(super) async fn write_parcels(job: &TargetJob, parcels: mpsc::Receiver<Parcel>) -> Result<(u64, u64), EngineError> {
    let (written, landing) = mpsc::unbounded_channel();
    let incoming = stream::unfold(parcels, |mut parcels| async move { Some((parcels.recv().await?, parcels)) });
    let write = async move {
        let writes = incoming.map(|(pack, bytes)| async move { write_pack(job, pack, bytes).await.map(|()| pack) });
        let mut writes = std::pin::pin!(writes.buffer_unordered(WRITES_AT_ONCE));
        while let Some(pack) = writes.next().await {
            written.send(pack?).expect("the committer ends after the writer");
        }
        Ok(())
    };
    let ((), moved) = tokio::try_join!(write, commit_landed(job, landing))?;
    Ok(moved)
}

async fn commit_landed(
    job: &TargetJob,
    mut landing: mpsc::UnboundedReceiver<PackRef>,
) -> Result<(u64, u64), EngineError> {
    let (mut packs, mut bytes) = (0, 0);
    let mut group = Vec::new();
    while landing.recv_many(&mut group, COMMITS_TOGETHER).await > 0 {
        let ids: Vec<PackId> = group.iter().map(|pack| pack.id).collect();
        let group_bytes = group.iter().map(|pack: &PackRef| pack.bytes).sum();
        job.ctx.catalog.land_packs(job.account(), job.id(), job.fence(), &ids, group_bytes).await?;
        packs += ids.len() as u64;
        bytes += group_bytes;
        group.clear();
    }
    Ok((packs, bytes))
}

async fn write_pack(job: &TargetJob, pack: PackRef, bytes: Bytes) -> Result<(), EngineError> {
    let len = bytes.len() as u64;
    match &job.new_key {
        None => job.ctx.store.put_pack(job.account(), &pack.object_name, bytes).await?,
        Some(new) => {
            let old = unwrap_source(job, pack.data_key).await?;
            let sealed = store::transfer::reencrypt(&job.copy.source.store, pack, old, new.clone(), bytes).await?;
            let row = PackRef { object_name: sealed.object_name, data_key: sealed.data_key, ..pack };
            // Another copy may have landed the same pack since this one began.
            if announce(job, &[new_pack(&row)]).await? != [Standing::Held] {
                job.ctx.store.put_pack(job.account(), &sealed.object_name, sealed.bytes).await?;
            }
        }
    }
    job.progress.advance(len);
    job.progress.count_entry();
    Ok(())
}

/// A data key of the source's, unwrapped by the source's key service.
async fn unwrap_source(job: &TargetJob, data_key: DataKeyId) -> Result<DataKey, EngineError> {
    let head = &job.record.head;
    let found = head.wrapped_keys.iter().find(|key| key.data_key == data_key);
    let found = found.expect("a record that was decoded has every key it needs");
    let context = WrapContext { account: job.account().clone(), data_key };
    Ok(job.copy.source.keys.unwrap(&head.kms_key, &context, &found.wrapped).await?)
}

/// Ends one target's job: published, failed, or given back to be gone on with.
pub(super) async fn finish(
    job: &TargetJob,
    placed: Result<Placed, EngineError>,
    written: Result<(u64, u64), EngineError>,
) -> Result<CopyReport, EngineError> {
    let done = async {
        let (placed, (packs_moved, bytes_moved)) = (placed?, written?);
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
    let (ctx, source) = (&job.ctx, &job.record.head);
    let packs = landed_packs(job).await?;
    let (root_key, sealed_root) = root(job).await?;
    let needed: BTreeSet<DataKeyId> = packs.iter().map(|pack| pack.data_key).chain([root_key]).collect();
    let wrapped_keys = record_keys(ctx, job.account(), &job.copy.kms_key, &needed, |key| async move {
        // What the target has under another of its keys, or else what the source has.
        match unwrap_any(ctx, job.account(), key).await {
            Err(_) if in_source_set(&job.record, key) => unwrap_source(job, key).await,
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
    publish_record(ctx, Record { head, packs, sealed_root }, job.fence()).await
}

fn in_source_set(record: &Record, key: DataKeyId) -> bool {
    record.head.wrapped_keys.iter().any(|wrapped| wrapped.data_key == key)
}

/// The target's pack table: exactly the source's pack ids, each landed.
async fn landed_packs(job: &TargetJob) -> Result<Vec<PackRef>, EngineError> {
    let rows = job.ctx.catalog.backup_packs(job.id()).await?;
    let landed: HashMap<PackId, PackRef> =
        rows.into_iter().filter(|row| row.landed && !row.deleting).map(|row| (row.pack_id, pack_ref(&row))).collect();
    let find = |pack: &PackRef| {
        landed.get(&pack.id).copied().ok_or_else(|| {
            let message = format!("pack {} has not landed in {}", pack.id, job.ctx.region);
            EngineError::refused(ErrorKind::Failed, message)
        })
    };
    job.record.packs.iter().map(find).collect()
}

/// The root as the target keeps it: as it is, or sealed anew.
async fn root(job: &TargetJob) -> Result<(DataKeyId, Vec<u8>), EngineError> {
    let Some(new) = &job.new_key else {
        return Ok((job.record.head.root_key, job.record.sealed_root.clone()));
    };
    let keys = unwrap_all(&job.copy.source, &job.record).await?;
    let root = open_root(&job.record, &keys)?;
    Ok((new.id(), root.seal(new, job.record.head.snapshot)))
}
