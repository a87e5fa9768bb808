//! Assembling the manifest: from the spool to pages, without packs that are hardly used.
//!
//! The spool is first replayed without storing anything, to see how much of each of the parent's
//! packs the new backup would use. A pack of which it would use less than a quarter is not referred
//! to: what is needed of it is stored anew. Leaving one out changes pages, and so the use of others,
//! so this is repeated until it settles; the set of packs that are left out only grows. Then the
//! spool is replayed once more, and the pages are stored.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use model::{ChunkHash, ChunkLocation, Extent, Omission, PackId};
use store::Sealer;
use store::manifest::{ChunkSink, ContentWriter, ManifestEntry, PageWriter, rooted};
use store::seal::hash_chunk;
use tokio::runtime::Handle;

use super::Job;
use super::chunk_table::{ChunkRef, ChunkTable};
use super::parent::Parent;
use super::pipeline::PackWriter;
use super::spool::{Spool, SpoolExtent, SpoolItem};
use crate::error::EngineError;

/// A pack of which less than one part in this many is used is not referred to.
const LEAST_USE: u64 = 4;

/// A manifest whose pages are stored, or on their way to the uploader.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) entry_pages: Vec<ChunkLocation>,
    pub(crate) omission_pages: Vec<ChunkLocation>,
    /// Every pack that the manifest names.
    pub(crate) packs: HashSet<PackId>,
}

/// Turns the spool into stored pages. Blocks.
pub(crate) fn assemble(
    job: &Job,
    spool: &mut Spool,
    table: &ChunkTable,
    parent: Option<&Parent>,
    omissions: &[Omission],
    writer: &mut PackWriter,
    handle: &Handle,
) -> Result<Assembled, EngineError> {
    let known_pages = parent.map(|parent| parent.pages(handle)).unwrap_or_default();
    let mut sparse = HashSet::new();
    // Without a parent nothing can be sparse.
    while let Some(parent) = parent {
        let mut rehearsal = Rehearsal { known_pages: &known_pages, sparse: &sparse, used: Usage::default() };
        write_pages(spool, table, omissions, &mut rehearsal)?;
        let found = hardly_used(&rehearsal.used, parent, job);
        if found.is_subset(&sparse) {
            break;
        }
        sparse.extend(found);
    }
    let sealer = Sealer::new(job.data_key.clone());
    let moved = HashMap::new();
    let packs = HashSet::new();
    let mut storing = Storing { parent, handle, known_pages, sparse, sealer, writer, moved, packs };
    let (entry_pages, omission_pages) = write_pages(spool, table, omissions, &mut storing)?;
    Ok(Assembled { entry_pages, omission_pages, packs: storing.packs })
}

fn hardly_used(used: &Usage, parent: &Parent, job: &Job) -> HashSet<PackId> {
    let own: HashSet<PackId> = job.earlier_pack_ids().collect();
    let hardly = |(pack, used): (&PackId, &u64)| {
        let whole = parent.packs().get(pack)?.bytes;
        (used.saturating_mul(LEAST_USE) < whole && !own.contains(pack)).then_some(*pack)
    };
    used.bytes.iter().filter_map(hardly).collect()
}

/// Decides where chunks come from, and takes pages.
trait Placing: ChunkSink<Error = EngineError> {
    /// Where the manifest says that `chunk` is.
    fn place(&mut self, chunk: ChunkLocation) -> Result<ChunkLocation, EngineError>;
}

fn write_pages(
    spool: &mut Spool,
    table: &ChunkTable,
    omissions: &[Omission],
    placing: &mut impl Placing,
) -> Result<(Vec<ChunkLocation>, Vec<ChunkLocation>), EngineError> {
    let mut pages = PageWriter::<ManifestEntry>::default();
    let mut open: Option<(model::Entry, ContentWriter)> = None;
    let mut close = |open: Option<(model::Entry, ContentWriter)>, placing: &mut _| match open {
        Some((entry, content)) => {
            let content = content.finish(placing)?;
            pages.push(&ManifestEntry { entry, content }, placing)
        }
        None => Ok(()),
    };
    spool.replay(|item| match item {
        SpoolItem::Entry(entry) => close(open.replace((entry, ContentWriter::default())), placing),
        SpoolItem::Extent(extent) => {
            let extent = place_extent(extent, table, placing)?;
            let (_, content) = open.as_mut().expect("extents follow their entry");
            content.push(extent, placing)
        }
    })?;
    close(open.take(), placing)?;
    let mut omitted = PageWriter::<Omission>::default();
    for omission in omissions {
        omitted.push(omission, placing)?;
    }
    let pages = pages.finish(placing)?;
    Ok((rooted(pages, placing)?, omitted.finish(placing)?))
}

fn place_extent(extent: SpoolExtent, table: &ChunkTable, placing: &mut impl Placing) -> Result<Extent, EngineError> {
    let mut place = |chunk: ChunkRef| placing.place(table.locate(chunk));
    Ok(match extent {
        SpoolExtent::Data { chunk, .. } => Extent::Data { chunk: place(chunk)? },
        SpoolExtent::Slice { chunk, skip, len, hash } => Extent::Slice { chunk: place(chunk)?, skip, len, hash },
        SpoolExtent::Hole { len } => Extent::Hole { len },
    })
}

/// How many bytes of each pack are used, each chunk counted once.
#[derive(Debug, Default)]
struct Usage {
    bytes: HashMap<PackId, u64>,
    seen: HashSet<(PackId, u32)>,
}

impl Usage {
    fn add(&mut self, chunk: &ChunkLocation) {
        if self.seen.insert((chunk.pack, chunk.offset)) {
            *self.bytes.entry(chunk.pack).or_default() += u64::from(chunk.sealed_len);
        }
    }
}

/// Counts what would be used, and stores nothing.
struct Rehearsal<'a> {
    known_pages: &'a HashMap<ChunkHash, ChunkLocation>,
    sparse: &'a HashSet<PackId>,
    used: Usage,
}

/// A place that no chunk has: what would be stored anew.
fn nowhere(chunk: ChunkLocation) -> ChunkLocation {
    ChunkLocation { pack: PackId([0; 16]), ..chunk }
}

impl Placing for Rehearsal<'_> {
    fn place(&mut self, chunk: ChunkLocation) -> Result<ChunkLocation, EngineError> {
        if self.sparse.contains(&chunk.pack) {
            return Ok(nowhere(chunk));
        }
        self.used.add(&chunk);
        Ok(chunk)
    }
}

impl ChunkSink for Rehearsal<'_> {
    type Error = EngineError;

    fn store(&mut self, plain: &[u8]) -> Result<ChunkLocation, EngineError> {
        let hash = hash_chunk(plain);
        match self.known_pages.get(&hash).filter(|page| !self.sparse.contains(&page.pack)) {
            Some(page) => {
                self.used.add(page);
                Ok(*page)
            }
            None => Ok(ChunkLocation { pack: PackId([0; 16]), offset: 0, sealed_len: 0, plain_len: 0, hash }),
        }
    }
}

/// Stores what has to be stored.
struct Storing<'a> {
    parent: Option<&'a Parent>,
    handle: &'a Handle,
    known_pages: HashMap<ChunkHash, ChunkLocation>,
    sparse: HashSet<PackId>,
    sealer: Sealer,
    writer: &'a mut PackWriter,
    /// Chunks of sparse packs, where they are now.
    moved: HashMap<ChunkHash, ChunkLocation>,
    packs: HashSet<PackId>,
}

impl Storing<'_> {
    fn append(&mut self, hash: ChunkHash, plain: &[u8]) -> Result<ChunkLocation, EngineError> {
        let sealed = self.sealer.seal_chunk(&hash, plain);
        let len = u32::try_from(plain.len()).expect("chunks are far below 4 GiB");
        let location = self.writer.push(hash, len, &sealed)?;
        self.packs.insert(location.pack);
        Ok(location)
    }

    fn read_from_parent(&self, chunk: ChunkLocation) -> Result<Bytes, EngineError> {
        let parent = self.parent.expect("only a parent's packs can be sparse");
        Ok(self.handle.block_on(parent.manifest.source().fetch(&[chunk]))?.remove(0))
    }
}

impl Placing for Storing<'_> {
    fn place(&mut self, chunk: ChunkLocation) -> Result<ChunkLocation, EngineError> {
        if !self.sparse.contains(&chunk.pack) {
            self.packs.insert(chunk.pack);
            return Ok(chunk);
        }
        if let Some(moved) = self.moved.get(&chunk.hash) {
            return Ok(*moved);
        }
        let plain = self.read_from_parent(chunk)?;
        let moved = self.append(chunk.hash, &plain)?;
        self.moved.insert(chunk.hash, moved);
        Ok(moved)
    }
}

impl ChunkSink for Storing<'_> {
    type Error = EngineError;

    fn store(&mut self, plain: &[u8]) -> Result<ChunkLocation, EngineError> {
        let hash = hash_chunk(plain);
        let known = self.known_pages.get(&hash).filter(|page| !self.sparse.contains(&page.pack)).copied();
        let page = match known {
            Some(page) => page,
            None => self.append(hash, plain)?,
        };
        self.packs.insert(page.pack);
        self.known_pages.insert(hash, page);
        Ok(page)
    }
}
