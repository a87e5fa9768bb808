//! Reading a resource: walk it, merge it with the parent, and read what has changed.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::{Bytes, BytesMut};
use capture::{Found, FoundEntry, ImageSource, Piece, SMALL_FILE_BYTES, TreeOptions, TreeWalk};
use model::{ChunkHash, Entry, Extent, Inode, Omission, OmissionKind, RelPath, SourceKind};
use store::seal::hash_chunk;
use tokio::runtime::Handle;

use super::Job;
use super::assemble::{Assembled, assemble};
use super::chunk_table::{ChunkRef, ChunkTable, SmallFile};
use super::measure::{Over, measure};
use super::parent::{Parent, is_unchanged};
use super::pipeline::{Pipeline, PlainChunk};
use super::spool::{Spool, SpoolExtent, SpoolItem};
use crate::error::EngineError;

/// How often a file that changes while it is read is read again.
const READS_MAX: u32 = 3;

/// Small files are bundled until a bundle has this size, the mean of other chunks.
const BUNDLE_BYTES: usize = 1 << 20;

/// What reading a resource came to.
pub(crate) struct Taken {
    pub(crate) assembled: Assembled,
    pub(crate) omissions: Vec<Omission>,
    pub(crate) counts: Counts,
    pub(crate) parent: Option<model::BackupId>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) entries: u64,
    pub(crate) size_bytes: u64,
    pub(crate) files_read: u64,
    pub(crate) bytes_read: u64,
    pub(crate) bytes_stored: u64,
}

/// Reads the resource and stores all of it that the parent does not have. Blocks.
pub(crate) fn take_snapshot(
    job: &Job,
    parent: Option<Parent>,
    options: &TreeOptions,
    handle: Handle,
) -> Result<Taken, EngineError> {
    let total = parent.as_ref().map_or(0, |parent| parent.row.size_bytes);
    job.progress.begin("reading", total);
    let is_read = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(&is_read);
        if total == 0 && job.progress.measures() && job.resource.kind.source_kind() == SourceKind::Tree {
            let (root, options, clock) = (root_of(job), options.clone(), Arc::clone(&job.ctx.clock));
            let is_read = &is_read;
            scope.spawn(move || measure(&root, options, clock, &job.progress, is_read));
        }
        let pipeline = Pipeline::start(scope, job, &handle);
        let mut reader = Reader::new(job, parent, &handle, &pipeline)?;
        let read = reader.read_resource(options);
        let Reader { mut table, mut spool, omissions, mut counts, parent, .. } = reader;
        let (places, mut tail) = pipeline.drain();
        let read = read.and_then(|()| unallowed(job, &omissions).map_or(Ok(()), Err));
        match read.and_then(|()| Ok(places?)) {
            Ok(places) => table.settle(places),
            Err(error) => return Err(tail.blame(error)),
        }
        table.forget_hashes();
        job.progress.go_on("writing the manifest");
        let assembled = match assemble(job, &mut spool, &table, parent.as_ref(), &omissions, &mut tail.writer, &handle)
        {
            Ok(assembled) => assembled,
            Err(error) => return Err(tail.blame(error)),
        };
        counts.bytes_stored = tail.finish()?;
        let parent = parent.map(|parent| parent.row.id);
        Ok(Taken { assembled, omissions, counts, parent })
    })
}

/// Where the resource lies.
fn root_of(job: &Job) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(&job.resource.path))
}

/// The error that ends a backup which left out something it was not allowed to.
fn unallowed(job: &Job, omissions: &[Omission]) -> Option<EngineError> {
    if job.request.allow_incomplete {
        return None;
    }
    let failing = Omission::summary(omissions, OmissionKind::fails_a_backup)?;
    let message = format!("{} could not be backed up: {failing}", job.resource.id);
    let unreadable = omissions.iter().filter(|omission| omission.kind.fails_a_backup()).cloned().collect();
    Some(EngineError::Incomplete { message, unreadable })
}

struct Reader<'a, 'scope> {
    job: &'a Job,
    handle: &'a Handle,
    pipeline: &'a Pipeline<'scope>,
    parent: Option<Parent>,
    /// Whether the table has learned the parent's chunks: only once something has changed.
    parent_taught: bool,
    table: ChunkTable,
    spool: Spool,
    bundle: Bundle,
    /// Files with several names that have been read: their extents, by inode.
    linked: HashMap<Inode, (Entry, Vec<SpoolExtent>)>,
    omissions: Vec<Omission>,
    counts: Counts,
}

/// Small files that wait to become one chunk.
#[derive(Default)]
struct Bundle {
    number: Option<u32>,
    bytes: BytesMut,
}

/// A file that was read: its entry as it was when it was opened, and its content.
struct ReadFile {
    entry: Entry,
    extents: Vec<SpoolExtent>,
}

impl<'a, 'scope> Reader<'a, 'scope> {
    fn new(
        job: &'a Job,
        parent: Option<Parent>,
        handle: &'a Handle,
        pipeline: &'a Pipeline<'scope>,
    ) -> Result<Self, EngineError> {
        let mut reader = Self {
            job,
            handle,
            pipeline,
            parent,
            parent_taught: false,
            table: ChunkTable::default(),
            spool: Spool::create(&job.ctx.scratch)?,
            bundle: Bundle::default(),
            linked: HashMap::new(),
            omissions: Vec::new(),
            counts: Counts::default(),
        };
        reader.learn_earlier_packs()?;
        Ok(reader)
    }

    /// Learns what an interrupted attempt at this backup has stored.
    fn learn_earlier_packs(&mut self) -> Result<(), EngineError> {
        let job = self.job;
        for pack in &job.earlier_packs {
            let chunks = self.handle.block_on(store::chunks::read_pack_index(
                &job.ctx.store,
                &job.request.account,
                &super::pack_ref(pack),
                &job.data_key,
            ))?;
            chunks.into_iter().for_each(|chunk| self.table.learn(chunk));
        }
        Ok(())
    }

    fn read_resource(&mut self, options: &TreeOptions) -> Result<(), EngineError> {
        let path = root_of(self.job);
        let failed = || EngineError::file(format!("read {}", path.display()));
        let clock = Arc::clone(&self.job.ctx.clock);
        match self.job.resource.kind.source_kind() {
            SourceKind::Tree => {
                for found in TreeWalk::open(&path, options.clone(), clock).map_err(failed())? {
                    match found {
                        Found::Entry(found) => self.read_entry(found)?,
                        Found::Omission(omission) => self.omissions.push(omission),
                    }
                }
            }
            SourceKind::Image => {
                self.read_image(&ImageSource::open(&path, clock).map_err(failed())?).map_err(|e| match e {
                    ReadError::Engine(error) => error,
                    ReadError::Io(error) => failed()(error),
                })?
            }
        }
        self.close_bundle()
    }

    fn read_entry(&mut self, mut found: FoundEntry) -> Result<(), EngineError> {
        self.job.progress.count_entry();
        let mut extents = Vec::new();
        let collect = |extent| {
            extents.push(extent);
            Ok(())
        };
        if let Some(entry) = self.reuse(&found.entry, collect)? {
            self.job.progress.advance(entry.size());
            return self.spool_entry(entry, extents);
        }
        let known_link = self.linked.get(&found.entry.inode).filter(|(first, _)| same_file(first, &found.entry));
        if let Some((first, extents)) = known_link {
            let entry = Entry { path: found.entry.path.clone(), ..first.clone() };
            let extents = extents.clone();
            return self.spool_entry(entry, extents);
        }
        if found.entry.is_file() {
            return match self.read_file(&found)? {
                Some(ReadFile { entry, extents }) => self.spool_entry(entry, extents),
                None => Ok(()),
            };
        }
        match found.read_xattrs() {
            Ok(xattrs) => found.entry.xattrs = xattrs,
            Err(error) => return self.omit_unless_gone(&found.entry.path, &error),
        }
        self.spool_entry(found.entry, Vec::new())
    }

    /// The parent's entry, when nothing has changed since; its content goes to `take`, and is to be dropped when there is none.
    fn reuse(
        &mut self,
        now: &Entry,
        mut take: impl FnMut(SpoolExtent) -> Result<(), EngineError>,
    ) -> Result<Option<Entry>, EngineError> {
        let Some(parent) = &mut self.parent else { return Ok(None) };
        let Some(before) = parent.find_entry(&now.path, self.job, self.handle)? else { return Ok(None) };
        if !is_unchanged(now, &before.entry) {
            return Ok(None);
        }
        let mut len = 0;
        let is_read = parent.extents(&before, self.job, self.handle, |extent| {
            len += extent.len();
            take(as_spooled(extent))
        })?;
        Ok((is_read && len == now.size()).then_some(before.entry))
    }

    fn spool_entry(&mut self, entry: Entry, extents: Vec<SpoolExtent>) -> Result<(), EngineError> {
        self.counts.entries += 1;
        let first_name = !entry.is_hard_linked() || !self.linked.contains_key(&entry.inode);
        if first_name {
            self.counts.size_bytes += entry.size();
        }
        self.spool.push(&SpoolItem::Entry(entry.clone()))?;
        for extent in &extents {
            self.spool.push(&SpoolItem::Extent(*extent))?;
        }
        if entry.is_hard_linked() && first_name {
            self.linked.insert(entry.inode, (entry, extents));
        }
        Ok(())
    }

    /// Reads a file until it holds still, at most [`READS_MAX`] times.
    fn read_file(&mut self, found: &FoundEntry) -> Result<Option<ReadFile>, EngineError> {
        self.learn_parent()?;
        let path = &found.entry.path;
        let mut last = None;
        for _ in 0..READS_MAX {
            match self.read_once(found) {
                Ok((file, true)) => {
                    self.counts.files_read += 1;
                    return Ok(Some(file));
                }
                Ok((file, false)) => last = Some(file),
                Err(ReadError::Engine(error)) => return Err(error),
                Err(ReadError::Io(error)) => {
                    self.omit_unless_gone(path, &error)?;
                    return Ok(None);
                }
            }
        }
        let detail = format!("it was read {READS_MAX} times and changed each time");
        self.omissions.push(Omission { path: path.clone(), kind: OmissionKind::Changing, detail });
        self.counts.files_read += 1;
        Ok(last.map(|mut file| {
            file.entry.settled = false;
            file
        }))
    }

    /// Reads a file once; tells whether it held still meanwhile.
    fn read_once(&mut self, found: &FoundEntry) -> Result<(ReadFile, bool), ReadError> {
        let opened = found.open()?;
        let mut entry = opened.stat_to_read()?;
        entry.xattrs = opened.read_xattrs()?;
        let mut extents = Vec::new();
        let mut read = 0;
        if entry.size() < SMALL_FILE_BYTES {
            self.read_small(&opened, &entry, &mut extents, &mut read)?;
        } else {
            for piece in opened.pieces(entry.size())? {
                extents.push(self.take_piece(piece?, &mut read)?);
            }
        }
        self.counts.bytes_read += read;
        let after = opened.stat()?;
        let whole = total_len(&extents) == entry.size();
        let still = whole && same_file(&entry, &after);
        // A file that got shorter is stored as long as what was read of it.
        if !whole {
            entry.kind = model::EntryKind::File { size: total_len(&extents) };
        }
        Ok((ReadFile { entry, extents }, still))
    }

    fn read_small(
        &mut self,
        opened: &capture::OpenedFile,
        entry: &Entry,
        extents: &mut Vec<SpoolExtent>,
        read: &mut u64,
    ) -> Result<(), ReadError> {
        let pieces: Vec<Piece> = opened.pieces(entry.size())?.collect::<Result<_, _>>()?;
        match pieces.as_slice() {
            [] => {}
            [Piece::Data(bytes)] => {
                *read += bytes.len() as u64;
                self.job.progress.advance(bytes.len() as u64);
                extents.push(self.bundle_file(bytes)?);
            }
            // A small file with holes: rare, so its runs become chunks of their own.
            _ => {
                for piece in pieces {
                    extents.push(self.take_piece(piece, read)?);
                }
            }
        }
        Ok(())
    }

    fn bundle_file(&mut self, bytes: &Bytes) -> Result<SpoolExtent, EngineError> {
        let hash = hash_chunk(bytes);
        let len = u32::try_from(bytes.len()).expect("small files are far below 4 GiB");
        let file = match self.table.find_small(&hash, len) {
            Some(known) => known,
            None => self.append_to_bundle(&hash, bytes, len)?,
        };
        Ok(SpoolExtent::Slice { chunk: file.bundle, skip: file.skip, len, hash })
    }

    fn append_to_bundle(&mut self, hash: &ChunkHash, bytes: &[u8], len: u32) -> Result<SmallFile, EngineError> {
        let number = *self.bundle.number.get_or_insert_with(|| self.table.reserve());
        let skip = u32::try_from(self.bundle.bytes.len()).expect("bundles are far below 4 GiB");
        self.bundle.bytes.extend_from_slice(bytes);
        let file = SmallFile { bundle: ChunkRef::Numbered(number), skip, len };
        self.table.learn_small(hash, file);
        if self.bundle.bytes.len() >= BUNDLE_BYTES {
            self.close_bundle()?;
        }
        Ok(file)
    }

    fn close_bundle(&mut self) -> Result<(), EngineError> {
        let Some(number) = self.bundle.number.take() else { return Ok(()) };
        let plain = std::mem::take(&mut self.bundle.bytes).freeze();
        let hash = hash_chunk(&plain);
        if self.table.name(number, hash) {
            self.pipeline.push(PlainChunk { number, hash, plain })?;
        }
        Ok(())
    }

    fn take_piece(&mut self, piece: Piece, read: &mut u64) -> Result<SpoolExtent, EngineError> {
        let plain = match piece {
            Piece::Hole(len) => {
                self.job.progress.advance(len);
                return Ok(SpoolExtent::Hole { len });
            }
            Piece::Data(plain) => plain,
        };
        *read += plain.len() as u64;
        self.job.progress.advance(plain.len() as u64);
        let hash = hash_chunk(&plain);
        let len = u32::try_from(plain.len()).expect("chunks are far below 4 GiB");
        let number = match self.table.find(&hash) {
            Some(known) => known,
            None => {
                let number = self.table.reserve();
                self.table.name(number, hash);
                self.pipeline.push(PlainChunk { number, hash, plain })?;
                number
            }
        };
        Ok(SpoolExtent::Data { chunk: ChunkRef::Numbered(number), len })
    }

    /// Reads an image, whose extents may be too many for memory, until it holds still, at most [`READS_MAX`] times.
    fn read_image(&mut self, image: &ImageSource) -> Result<(), ReadError> {
        let entry = image.entry()?;
        self.job.progress.begin("reading", entry.size());
        let mut draft = self.draft()?;
        if let Some(entry) = self.reuse(&entry, |extent| draft.push(&SpoolItem::Extent(extent)))? {
            self.job.progress.advance(entry.size());
            return Ok(self.spool_image(entry, draft)?);
        }
        self.learn_parent()?;
        self.counts.files_read += 1;
        let mut last = None;
        for _ in 0..READS_MAX {
            let mut draft = self.draft()?;
            self.job.progress.begin("reading", image.entry()?.size());
            let before = image.entry()?;
            let (mut len, mut read) = (0, 0);
            for piece in image.pieces()? {
                let extent = self.take_piece(piece?, &mut read)?;
                len += extent.len();
                draft.push(&SpoolItem::Extent(extent))?;
            }
            self.counts.bytes_read += read;
            let whole = len == before.size();
            if whole && same_file(&before, &image.entry()?) {
                return Ok(self.spool_image(before, draft)?);
            }
            last = whole.then_some((before, draft));
        }
        let detail = format!("it was read {READS_MAX} times and changed each time");
        self.omissions.push(Omission { path: RelPath::root(), kind: OmissionKind::Changing, detail });
        let Some((entry, draft)) = last else {
            return Err(ReadError::Io(std::io::Error::other("the image got shorter while it was read")));
        };
        Ok(self.spool_image(Entry { settled: false, ..entry }, draft)?)
    }

    /// A spool for the extents of an image, until it is known whether they are its content.
    fn draft(&self) -> Result<Spool, EngineError> {
        Spool::create(&self.job.ctx.scratch)
    }

    fn spool_image(&mut self, entry: Entry, extents: Spool) -> Result<(), EngineError> {
        self.counts.entries += 1;
        self.counts.size_bytes += entry.size();
        self.spool.push(&SpoolItem::Entry(entry))?;
        self.spool.append(extents)
    }

    fn learn_parent(&mut self) -> Result<(), EngineError> {
        if let (Some(parent), false) = (&mut self.parent, self.parent_taught) {
            self.parent_taught = true;
            if let Err(error) = parent.teach(&mut self.table, self.handle) {
                if !error.is_damage() {
                    return Err(error.into());
                }
                let id = &parent.row.id;
                self.job.progress.note(format!("part of the earlier backup {id} is stored anew: {error}"));
            }
        }
        Ok(())
    }

    fn omit_unless_gone(&mut self, path: &RelPath, error: &std::io::Error) -> Result<(), EngineError> {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => OmissionKind::Vanished,
            _ => OmissionKind::Unreadable,
        };
        self.omissions.push(Omission { path: path.clone(), kind, detail: error.to_string() });
        Ok(())
    }
}

/// A failed read: of the source, which is listed, or of something else, which ends the backup.
enum ReadError {
    Io(std::io::Error),
    Engine(EngineError),
}

impl From<std::io::Error> for ReadError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<EngineError> for ReadError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

fn as_spooled(extent: Extent) -> SpoolExtent {
    match extent {
        Extent::Data { chunk } => SpoolExtent::Data { chunk: ChunkRef::At(chunk), len: chunk.plain_len },
        Extent::Slice { chunk, skip, len, hash } => SpoolExtent::Slice { chunk: ChunkRef::At(chunk), skip, len, hash },
        Extent::Hole { len } => SpoolExtent::Hole { len },
    }
}

fn total_len(extents: &[SpoolExtent]) -> u64 {
    extents.iter().map(SpoolExtent::len).sum()
}

/// Whether two looks at a file saw the same bytes: nothing that moves with a write has moved.
fn same_file(a: &Entry, b: &Entry) -> bool {
    a.kind == b.kind && (a.mtime, a.ctime, a.inode) == (b.mtime, b.ctime, b.inode)
}
