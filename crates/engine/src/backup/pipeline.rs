//! From plain chunks to stored packs: sealing on every core, one packer, one uploader.
//!
//! ```text
//! reader ─jobs→ sealers (one per core) ─sealed→ packer ─packs→ uploader
//! ```
//! Every channel is bounded, so memory grows with the resource by the places of chunks alone: there are at most
//! `JOBS_WAITING` plain chunks, as many sealed ones, and three packs (open, waiting, on its way).

use std::thread::Scope;

use bytes::Bytes;
use catalog::{NewPack, Standing};
use crossbeam_channel::{Receiver, Sender, bounded};
use model::{ChunkHash, ChunkLocation, PackId};
use store::{Buffers, DataKey, PackBuilder, SealedPack, Sealer};
use tokio::runtime::Handle;

use super::Job;
use super::chunk_table::Places;
use crate::error::{EngineError, ErrorKind};

const JOBS_WAITING: usize = 8;

/// A chunk to be sealed and stored.
pub(crate) struct PlainChunk {
    pub(crate) number: u32,
    pub(crate) hash: ChunkHash,
    pub(crate) plain: Bytes,
}

struct SealedChunk {
    number: u32,
    hash: ChunkHash,
    plain_len: u32,
    sealed: Vec<u8>,
}

/// A running pipeline.
pub(crate) struct Pipeline<'scope> {
    jobs: Sender<PlainChunk>,
    packer: std::thread::ScopedJoinHandle<'scope, Packed>,
    uploader: std::thread::ScopedJoinHandle<'scope, Result<(), EngineError>>,
}

/// What the packer has done: where each chunk lies, unless it had to stop, and the writer that holds the open pack.
struct Packed {
    places: Result<Places, Stopped>,
    writer: PackWriter,
}

/// The pipeline has stopped because an upload failed; [`Tail::finish`] tells why.
#[derive(Debug)]
pub(crate) struct Stopped;

impl From<Stopped> for EngineError {
    fn from(_: Stopped) -> Self {
        Self::refused(ErrorKind::Failed, "storing packs stopped early")
    }
}

impl<'scope> Pipeline<'scope> {
    pub(crate) fn start<'env>(scope: &'scope Scope<'scope, 'env>, job: &'env Job, handle: &'env Handle) -> Self {
        let (jobs, jobs_in) = bounded::<PlainChunk>(JOBS_WAITING);
        let (sealed_out, sealed_in) = bounded::<SealedChunk>(JOBS_WAITING);
        let (packs, packs_in) = bounded::<SealedPack>(1);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..cores {
            let (jobs_in, sealed_out) = (jobs_in.clone(), sealed_out.clone());
            scope.spawn(move || seal(&job.data_key, &jobs_in, &sealed_out));
        }
        drop((jobs_in, sealed_out));
        let packer = scope.spawn(move || pack(PackWriter::new(job.data_key.clone(), packs), &sealed_in));
        let uploader = scope.spawn(move || upload_all(job, handle, &packs_in));
        Self { jobs, packer, uploader }
    }

    /// Hands a chunk to the sealers; waits while they are busy.
    pub(crate) fn push(&self, chunk: PlainChunk) -> Result<(), Stopped> {
        self.jobs.send(chunk).map_err(|_| Stopped)
    }

    /// Waits until every chunk has its place, and hands over what is left to do.
    ///
    /// The pipeline may have stopped after the last chunk was pushed: then not every chunk has a place.
    pub(crate) fn drain(self) -> (Result<Places, Stopped>, Tail<'scope>) {
        drop(self.jobs);
        let Packed { places, writer } = self.packer.join().expect("packing does not panic");
        (places, Tail { writer, uploader: self.uploader })
    }
}

/// The end of a pipeline: the open pack, which takes the manifest's pages, and the uploader.
pub(crate) struct Tail<'scope> {
    pub(crate) writer: PackWriter,
    uploader: std::thread::ScopedJoinHandle<'scope, Result<(), EngineError>>,
}

impl Tail<'_> {
    /// Closes the open pack and waits until everything has landed. Returns the stored bytes.
    pub(crate) fn finish(mut self) -> Result<u64, EngineError> {
        // When this fails the uploader has stopped, and its error is the one to tell.
        let closed = self.writer.close();
        let stored = self.writer.stored_bytes;
        drop(self.writer);
        self.uploader.join().expect("uploading does not panic")?;
        closed.map(|()| stored).map_err(EngineError::from)
    }

    /// The error that stopped the uploader, or else `error`.
    pub(crate) fn blame(self, error: EngineError) -> EngineError {
        drop(self.writer);
        self.uploader.join().expect("uploading does not panic").err().unwrap_or(error)
    }
}

/// Fills packs with sealed chunks and hands full ones to the uploader.
pub(crate) struct PackWriter {
    key: DataKey,
    open: Option<PackBuilder>,
    buffers: Buffers,
    packs: Sender<SealedPack>,
    stored_bytes: u64,
}

impl PackWriter {
    fn new(key: DataKey, packs: Sender<SealedPack>) -> Self {
        Self { key, open: None, buffers: Buffers::default(), packs, stored_bytes: 0 }
    }

    pub(crate) fn push(&mut self, hash: ChunkHash, plain_len: u32, sealed: &[u8]) -> Result<ChunkLocation, Stopped> {
        let key = self.key.id();
        let target = store::pack::target_bytes(self.stored_bytes);
        let begin = || PackBuilder::new(PackId::random(&mut rand::rng()), key, &self.buffers);
        let open = self.open.get_or_insert_with(begin);
        let location = open.push(hash, plain_len, sealed);
        if open.len() >= target {
            self.close()?;
        }
        Ok(location)
    }

    fn close(&mut self) -> Result<(), Stopped> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let pack = open.finish(&self.key);
        self.stored_bytes += pack.bytes();
        self.packs.send(pack).map_err(|_| Stopped)
    }
}

fn seal(key: &DataKey, jobs: &Receiver<PlainChunk>, out: &Sender<SealedChunk>) {
    let mut sealer = Sealer::new(key.clone());
    for PlainChunk { number, hash, plain } in jobs {
        let sealed = sealer.seal_chunk(&hash, &plain);
        let plain_len = u32::try_from(plain.len()).expect("chunks are far below 4 GiB");
        if out.send(SealedChunk { number, hash, plain_len, sealed }).is_err() {
            return;
        }
    }
}

fn pack(mut writer: PackWriter, sealed: &Receiver<SealedChunk>) -> Packed {
    let mut places = Places::default();
    let place = |SealedChunk { number, hash, plain_len, sealed }| {
        places.push(number, &writer.push(hash, plain_len, &sealed)?);
        Ok(())
    };
    // Ending early drops the receiver, which stops the sealers and then the reader.
    let placed = sealed.into_iter().try_for_each(place);
    Packed { places: placed.map(|()| places), writer }
}

fn upload_all(job: &Job, handle: &Handle, packs: &Receiver<SealedPack>) -> Result<(), EngineError> {
    packs.iter().try_for_each(|pack| handle.block_on(upload(job, pack)))
}

/// Stores one pack: the intent first, so that gc knows of the object before it exists.
async fn upload(job: &Job, pack: SealedPack) -> Result<(), EngineError> {
    let (catalog, account) = (&job.ctx.catalog, &job.request.account);
    let bytes = pack.bytes();
    let row = NewPack { pack_id: pack.id, object_name: pack.object_name, bytes, data_key: pack.data_key };
    let standing = catalog.intend_packs(account, &job.id, job.fence, &[row]).await?;
    assert_eq!(standing, [Standing::Missing], "a pack id was minted twice");
    job.ctx.store.put_pack(account, &pack.object_name, pack.pieces).await?;
    catalog.land_packs(account, &job.id, job.fence, &[pack.id], bytes).await?;
    Ok(())
}
