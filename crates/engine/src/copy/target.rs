//! The target's side of a copy: write packs as their pieces come, then publish.
//!
//! A pack becomes visible only after the reader has said that its hash was right.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use catalog::{BackupRow, Fence, Standing};
use futures::stream::{FuturesUnordered, StreamExt};
use model::{AccountId, BackupId, DataKeyId, PackId};
use store::record::Totals;
use store::{DataKey, Lineage, PackRef, PackUpload, Record, RecordHead, WrapContext, Wrapped, WrappedKey};
use tokio::sync::mpsc;

use super::CopyReport;
use super::lane::{Arrivals, Incoming, Parcel};
use super::place::{Placed, announce, new_pack};
use super::submit::CopyJob;
use crate::backup::{pack_ref, publish_record};
use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::keys::{open_root, record_keys, rewrap_any, unwrap_all, unwrap_any};
use crate::progress::Progress;

/// Room that is made for a pack before its bytes have come: the longest packs have little more.
const COLLECTED_BYTES_MAX: usize = 256 << 20;

/// Landed packs that are committed together.
const COMMITS_TOGETHER: usize = 16;

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

/// Writes every pack that comes in; returns how many packs and bytes were written.
///
/// Storing and committing are polled side by side: a write may hold the catalog's only writing connection, so a commit
/// that kept the writes from going on would wait for it for ever. The queue between the two is not bounded for the same
/// reason; it holds a few bytes per pack.
pub(super) async fn write_packs(job: &TargetJob, arrivals: Arrivals) -> Result<(u64, u64), EngineError> {
    let (written, landing) = mpsc::unbounded_channel();
    let ((), moved) = tokio::try_join!(store_arriving(job, arrivals, written), commit_landed(job, landing))?;
    Ok(moved)
}

/// Stores what comes in, as many packs at once as there are turns.
async fn store_arriving(
    job: &TargetJob,
    mut arrivals: Arrivals,
    written: mpsc::UnboundedSender<PackRef>,
) -> Result<(), EngineError> {
    let (mut stores, mut is_all) = (FuturesUnordered::new(), false);
    loop {
        tokio::select! {
            biased;
            Some(stored) = stores.next() => {
                // One that was discarded is announced still, and comes again or is not needed.
                let stored: Option<PackRef> = stored?;
                stored.into_iter().for_each(|pack| written.send(pack).expect("the committer ends after the writer"));
            }
            incoming = arrivals.next(), if !is_all => match incoming? {
                Some(incoming) => stores.push(store_pack(job, incoming)),
                None => is_all = true,
            },
            else => return Ok(()),
        }
    }
}

/// Writes a pack as its pieces come, and makes it visible once it is verified; `None` if it is not.
async fn store_pack(job: &TargetJob, mut incoming: Incoming) -> Result<Option<PackRef>, EngineError> {
    let mut arriving = Arriving::begin(job, incoming.pack);
    loop {
        match incoming.next().await {
            Some(Parcel::Piece(piece)) => arriving.take_in(job, piece).await?,
            Some(Parcel::Verified) => {
                let stored = arriving.store(job).await?;
                incoming.turn.end(stored.bytes, job.ctx.store.busy_answers());
                return Ok(Some(stored));
            }
            None => {
                arriving.discard(job).await;
                return Ok(None);
            }
        }
    }
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

/// A pack of which some pieces have come in.
#[derive(Debug)]
struct Arriving {
    pack: PackRef,
    bytes: u64,
    form: Form,
}

/// What becomes of a pack's pieces.
#[derive(Debug)]
enum Form {
    /// They are written as they come.
    Verbatim(PackUpload),
    /// They are kept until the pack can be sealed anew.
    Collected(BytesMut),
}

impl Arriving {
    fn begin(job: &TargetJob, pack: PackRef) -> Self {
        let form = match job.new_key {
            None => Form::Verbatim(job.ctx.store.begin_pack(job.account(), &pack.object_name)),
            Some(_) => Form::Collected(BytesMut::with_capacity(collected_bytes(&pack))),
        };
        Self { pack, bytes: 0, form }
    }

    async fn take_in(&mut self, job: &TargetJob, piece: Bytes) -> Result<(), EngineError> {
        let len = piece.len() as u64;
        job.ctx.pace.wait_for(len).await;
        match &mut self.form {
            Form::Verbatim(upload) => upload.write(piece).await?,
            Form::Collected(bytes) => bytes.extend_from_slice(&piece),
        }
        self.bytes += len;
        job.progress.advance(len);
        Ok(())
    }

    /// Gives the pack up: its other pieces do not come.
    async fn discard(self, job: &TargetJob) {
        job.progress.retreat(self.bytes);
        if let Form::Verbatim(upload) = self.form {
            // What cannot be removed now, gc removes from a directory; a bucket has a rule of its own.
            drop(upload.discard().await);
        }
    }

    /// Makes the pack visible in the target.
    async fn store(self, job: &TargetJob) -> Result<PackRef, EngineError> {
        match self.form {
            Form::Verbatim(upload) => upload.finish().await?,
            Form::Collected(bytes) => seal_anew(job, self.pack, bytes.freeze()).await?,
        }
        job.progress.count_entry();
        Ok(self.pack)
    }
}

/// Room for the whole pack at once, but no more than packs have, whatever the record says.
fn collected_bytes(pack: &PackRef) -> usize {
    usize::try_from(pack.bytes).unwrap_or(usize::MAX).min(COLLECTED_BYTES_MAX)
}

async fn seal_anew(job: &TargetJob, pack: PackRef, bytes: Bytes) -> Result<(), EngineError> {
    let new = job.new_key.clone().expect("only packs that are sealed anew are collected");
    let old = unwrap_source(job, pack.data_key).await?;
    let sealed = store::transfer::reencrypt(&job.copy.source.store, pack, old, new, bytes).await?;
    let row = PackRef { object_name: sealed.object_name, data_key: sealed.data_key, ..pack };
    // Another copy may have landed the same pack since this one began.
    if announce(job, &[new_pack(&row)]).await? != [Standing::Held] {
        job.ctx.store.put_pack(job.account(), &sealed.object_name, sealed.bytes).await?;
    }
    Ok(())
}

/// A data key of the source's, unwrapped by the source's key service.
async fn unwrap_source(job: &TargetJob, data_key: DataKeyId) -> Result<DataKey, EngineError> {
    let context = WrapContext { account: job.account().clone(), data_key };
    Ok(job.copy.source.keys.unwrap(&context, source_form(job, data_key)).await?)
}

/// A data key of the source's, wrapped for the target: by their key service, if it is one, or else by the target's.
async fn rewrap_source(job: &TargetJob, data_key: DataKeyId) -> Result<WrappedKey, EngineError> {
    let context = WrapContext { account: job.account().clone(), data_key };
    let (source, target, by) = (&job.copy.source.keys, &job.ctx.keys, &job.copy.kms_key);
    if source.place() == target.place() {
        return Ok(target.rewrap(by, &context, source_form(job, data_key)).await?);
    }
    Ok(target.wrap(by, &context, &unwrap_source(job, data_key).await?).await?)
}

fn source_form(job: &TargetJob, data_key: DataKeyId) -> Wrapped<'_> {
    let head = &job.record.head;
    let found = head.wrapped_keys.iter().find(|key| key.data_key == data_key);
    let found = found.expect("a record that was decoded has every key it needs");
    Wrapped { by: &head.kms_key, bytes: &found.wrapped }
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
