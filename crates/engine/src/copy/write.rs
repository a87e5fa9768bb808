//! Writing the packs of a copy as their pieces come.
//!
//! A pack becomes visible only after the reader has said that its hash was right, and counts once the catalog knows that
//! it has landed.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use catalog::{CatalogError, CopyPart, Fence, Standing};
use futures::stream::{FuturesUnordered, StreamExt};
use model::{AccountId, BackupId, PackId};
use store::{DataKey, PackRef, PackUpload, Record};
use tokio::sync::mpsc;

use super::lane::{Arrivals, Incoming, Parcel};
use super::place::{announce, new_pack};
use super::target::unwrap_source;
use crate::context::RegionContext;
use crate::error::EngineError;
use crate::progress::Progress;

/// Room that is made for a pack before its bytes have come: the longest packs have little more.
const COLLECTED_BYTES_MAX: usize = 256 << 20;

/// Landed packs that are committed together.
const COMMITS_TOGETHER: usize = 16;

/// Whoever writes packs of one copy: the holder of its lease, or of the lease on a part of it.
pub(super) struct Writer {
    pub(super) ctx: Arc<RegionContext>,
    pub(super) account: AccountId,
    pub(super) backup: BackupId,
    pub(super) right: Right,
    /// How packs are sealed anew, where they are.
    pub(super) anew: Option<Anew>,
    pub(super) progress: Arc<Progress>,
}

/// What a worker writes by.
#[derive(Clone, Debug)]
pub(super) enum Right {
    /// The lease on the copy.
    Copy(Fence),
    /// The lease on a part of it.
    Part(CopyPart),
}

/// What it takes to seal packs anew.
pub(super) struct Anew {
    pub(super) key: DataKey,
    pub(super) source: Arc<RegionContext>,
    pub(super) record: Arc<Record>,
}

impl Writer {
    /// The fence of the copy.
    pub(super) fn fence(&self) -> Fence {
        match &self.right {
            Right::Copy(fence) => *fence,
            Right::Part(part) => part.copy_fence,
        }
    }

    /// Commits that packs are there.
    pub(super) async fn land(&self, packs: &[PackId], bytes: u64) -> Result<(), CatalogError> {
        match &self.right {
            Right::Copy(fence) => self.ctx.catalog.land_packs(&self.account, &self.backup, *fence, packs, bytes).await,
            Right::Part(part) => self.ctx.catalog.land_packs_of_part(&self.account, part, packs, bytes).await,
        }
    }
}

/// Writes every pack that comes in.
///
/// Storing and committing are polled side by side: a write may hold the catalog's only writing connection, so a commit
/// that kept the writes from going on would wait for it for ever. The queue between the two is not bounded for the same
/// reason; it holds a few bytes per pack.
pub(super) async fn write_packs(writer: &Writer, arrivals: Arrivals) -> Result<(), EngineError> {
    let (written, landing) = mpsc::unbounded_channel();
    // Whether the source could be read is told once all that was written is committed: it is not to be sent again.
    let (read, ()) = tokio::try_join!(store_arriving(writer, arrivals, written), commit_landed(writer, landing))?;
    read
}

/// Stores what comes in, as many packs at once as there are turns. When the source cannot be read, what is under way by then
/// ends first, and the inner result tells why no more has come.
async fn store_arriving(
    writer: &Writer,
    mut arrivals: Arrivals,
    written: mpsc::UnboundedSender<PackRef>,
) -> Result<Result<(), EngineError>, EngineError> {
    let (mut stores, mut end) = (FuturesUnordered::new(), None);
    loop {
        tokio::select! {
            biased;
            Some(stored) = stores.next() => {
                // One that was discarded is announced still, and comes again or is not needed.
                let stored: Option<PackRef> = stored?;
                stored.into_iter().for_each(|pack| written.send(pack).expect("the committer ends after the writer"));
            }
            incoming = arrivals.next(), if end.is_none() => match incoming {
                Ok(Some(incoming)) => stores.push(store_pack(writer, incoming)),
                Ok(None) => end = Some(Ok(())),
                Err(error) => end = Some(Err(error)),
            },
            else => return Ok(end.expect("arrivals have an end")),
        }
    }
}

/// Writes a pack as its pieces come, and makes it visible once it is verified; `None` if it is not.
async fn store_pack(writer: &Writer, mut incoming: Incoming) -> Result<Option<PackRef>, EngineError> {
    let mut arriving = Arriving::begin(writer, incoming.pack);
    loop {
        match incoming.next().await {
            Some(Parcel::Piece(piece)) => {
                if is_one_request(writer, &incoming.pack) {
                    incoming.turn.make_room(piece.len() as u64).await;
                }
                arriving.take_in(writer, piece).await?;
            }
            Some(Parcel::Verified) => {
                incoming.turn.note_arrival();
                let stored = arriving.store(writer).await?;
                incoming.turn.end(stored.bytes, writer.ctx.store.busy_answers());
                return Ok(Some(stored));
            }
            None => {
                arriving.discard(writer).await;
                return Ok(None);
            }
        }
    }
}

async fn commit_landed(writer: &Writer, mut landing: mpsc::UnboundedReceiver<PackRef>) -> Result<(), EngineError> {
    let mut group = Vec::new();
    while landing.recv_many(&mut group, COMMITS_TOGETHER).await > 0 {
        let ids: Vec<PackId> = group.iter().map(|pack| pack.id).collect();
        writer.land(&ids, group.iter().map(|pack: &PackRef| pack.bytes).sum()).await?;
        group.clear();
    }
    Ok(())
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
    Verbatim(Box<PackUpload>),
    /// They are kept until the pack can be sealed anew.
    Collected(BytesMut),
}

impl Arriving {
    fn begin(writer: &Writer, pack: PackRef) -> Self {
        let form = match writer.anew {
            None => Form::Verbatim(Box::new(writer.ctx.store.begin_pack(&writer.account, &pack.object_name))),
            Some(_) => Form::Collected(BytesMut::with_capacity(collected_bytes(&pack))),
        };
        Self { pack, bytes: 0, form }
    }

    /// The last byte counts once the pack is in the store: whoever sees that all is done may rely on it.
    fn uncounted(&self) -> u64 {
        u64::from(self.bytes == self.pack.bytes)
    }

    async fn take_in(&mut self, writer: &Writer, piece: Bytes) -> Result<(), EngineError> {
        let len = piece.len() as u64;
        writer.ctx.pace.wait_for(len).await;
        match &mut self.form {
            Form::Verbatim(upload) => upload.write(piece).await?,
            Form::Collected(bytes) => bytes.extend_from_slice(&piece),
        }
        let uncounted = self.uncounted();
        self.bytes += len;
        writer.progress.advance(len + uncounted - self.uncounted());
        Ok(())
    }

    /// Gives the pack up: its other pieces do not come.
    async fn discard(self, writer: &Writer) {
        writer.progress.retreat(self.bytes - self.uncounted());
        if let Form::Verbatim(upload) = self.form {
            // What cannot be removed now, gc removes from a directory; a bucket has a rule of its own.
            drop(upload.discard().await);
        }
    }

    /// Makes the pack visible in the target.
    async fn store(self, writer: &Writer) -> Result<PackRef, EngineError> {
        match self.form {
            Form::Verbatim(upload) => upload.finish().await?,
            Form::Collected(bytes) => seal_anew(writer, self.pack, bytes.freeze()).await?,
        }
        writer.progress.advance(1);
        writer.progress.count_entry();
        Ok(self.pack)
    }
}

/// Whether a pack's pieces stay in memory until all have come, and go to the store in one request then.
fn is_one_request(writer: &Writer, pack: &PackRef) -> bool {
    writer.anew.is_none() && writer.ctx.store.is_remote() && pack.bytes <= PackUpload::PART_BYTES
}

/// Room for the whole pack at once, but no more than packs have, whatever the record says.
fn collected_bytes(pack: &PackRef) -> usize {
    usize::try_from(pack.bytes).unwrap_or(usize::MAX).min(COLLECTED_BYTES_MAX)
}

async fn seal_anew(writer: &Writer, pack: PackRef, bytes: Bytes) -> Result<(), EngineError> {
    let anew = writer.anew.as_ref().expect("only packs that are sealed anew are collected");
    let old = unwrap_source(&anew.source, &anew.record, pack.data_key).await?;
    let sealed = store::transfer::reencrypt(&anew.source.store, pack, old, anew.key.clone(), bytes).await?;
    let row = PackRef { object_name: sealed.object_name, data_key: sealed.data_key, ..pack };
    // Another copy may have landed the same pack since this one began.
    if announce(writer, &[new_pack(&row)]).await? != [Standing::Held] {
        writer.ctx.store.put_pack(&writer.account, &sealed.object_name, sealed.pieces).await?;
    }
    Ok(())
}
