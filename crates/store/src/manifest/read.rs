//! Reading manifests: pages in, items out, a few pages in memory at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use model::{ChunkLocation, Extent, Omission, RelPath};

use super::page::{EntryPage, PageItem, decode_entry_page, decode_page};
use super::{Content, ManifestEntry, Root};
use crate::chunks::{ChunkError, ChunkSource};

/// Pages are fetched together up to so many bytes, so that a store's latency is paid once for several.
const BYTES_PER_FETCH: u64 = 1 << 20;

/// How deep the tree of pages is at most. Each level has an eightieth of the pages of the one below.
const LEVELS_MAX: usize = 8;

/// Reads one backup's manifest.
#[derive(Clone, Debug)]
pub struct ManifestReader {
    source: Arc<ChunkSource>,
    root: Arc<Root>,
}

/// Yields the entries of a manifest in path order.
#[derive(Debug)]
pub struct EntryReader {
    manifest: ManifestReader,
    /// What is still to be read of each level of the tree, from the root down.
    levels: Vec<VecDeque<ChunkLocation>>,
    /// Every page that was read.
    read: Vec<ChunkLocation>,
    ready: VecDeque<ManifestEntry>,
    /// Where the last of them is.
    last: Option<RelPath>,
}

impl ManifestReader {
    /// A reader of `root`'s pages, which lie in the packs of `source`.
    pub fn new(source: Arc<ChunkSource>, root: Root) -> Self {
        Self { source, root: Arc::new(root) }
    }

    /// The top of the manifest.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Where the chunks are read from.
    pub fn source(&self) -> &Arc<ChunkSource> {
        &self.source
    }

    /// The entries, from the first.
    pub fn entries(&self) -> EntryReader {
        let root = self.root.entry_pages.iter().copied().collect();
        EntryReader { manifest: self.clone(), levels: vec![root], read: Vec::new(), ready: VecDeque::new(), last: None }
    }

    /// The extents of one entry's content, in the order of the file. Ends with an error when a page cannot be read.
    pub fn extents<'c>(&'c self, content: &'c Content) -> impl Stream<Item = Result<Extent, ChunkError>> + 'c {
        let (inline, pages): (&[Extent], &[ChunkLocation]) = match content {
            Content::Empty => (&[], &[]),
            Content::Inline(extents) => (extents, &[]),
            Content::Paged(pages) => (&[], pages),
        };
        let paged = stream::iter(batches(pages))
            .then(|some| self.items::<Extent>(some))
            .map_ok(|items| stream::iter(items.into_iter().map(Ok)))
            .try_flatten();
        stream::iter(inline.iter().copied().map(Ok)).chain(paged)
    }

    /// What the backup left out.
    ///
    /// # Errors
    /// [`ChunkError`] when a page cannot be read.
    pub async fn omissions(&self) -> Result<Vec<Omission>, ChunkError> {
        self.items(&self.root.omission_pages).await
    }

    async fn items<T: PageItem>(&self, pages: &[ChunkLocation]) -> Result<Vec<T>, ChunkError> {
        let mut items = Vec::new();
        for (page, bytes) in pages.iter().zip(self.source.fetch(pages).await?) {
            items.extend(decode_page::<T>(&bytes).map_err(|_| ChunkError::damaged(self.source.region(), page))?);
        }
        Ok(items)
    }

    /// What pages of one level of the tree hold; entries, when there are none.
    async fn entry_items(&self, pages: &[ChunkLocation]) -> Result<EntryPage, ChunkError> {
        let mut items: Option<EntryPage> = None;
        for (page, bytes) in pages.iter().zip(self.source.fetch(pages).await?) {
            let damaged = || ChunkError::damaged(self.source.region(), page);
            match (&mut items, decode_entry_page(&bytes).map_err(|_| damaged())?) {
                (None, first) => items = Some(first),
                (Some(EntryPage::Entries(items)), EntryPage::Entries(more)) => items.extend(more),
                (Some(EntryPage::Pages(items)), EntryPage::Pages(more)) => items.extend(more),
                _ => return Err(damaged()),
            }
        }
        Ok(items.unwrap_or(EntryPage::Entries(Vec::new())))
    }
}

impl EntryReader {
    /// The next entry; `None` after the last.
    ///
    /// # Errors
    /// [`ChunkError`] when a page cannot be read, or its entries do not come after those before.
    pub async fn next(&mut self) -> Result<Option<ManifestEntry>, ChunkError> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(Some(entry));
            }
            let Some(level) = self.levels.last_mut() else { return Ok(None) };
            let some: Vec<ChunkLocation> = level.drain(..together(level.iter())).collect();
            let Some(first) = some.first() else {
                self.levels.pop();
                continue;
            };
            match self.manifest.entry_items(&some).await? {
                EntryPage::Entries(entries) if self.come_next(&entries) => {
                    self.last = entries.last().map(|last| last.entry.path.clone());
                    self.ready = entries.into();
                }
                EntryPage::Pages(pages) if self.levels.len() < LEVELS_MAX => self.levels.push(pages.into()),
                _ => return Err(ChunkError::damaged(self.manifest.source.region(), first)),
            }
            self.read.extend(some);
        }
    }

    /// A few pages that refer to one again and again would be a manifest without an end.
    fn come_next(&self, entries: &[ManifestEntry]) -> bool {
        let first = entries.first().map(|first| &first.entry.path);
        self.last.as_ref() < first && entries.is_sorted_by(|one, next| one.entry.path < next.entry.path)
    }

    /// The pages that were read so far, of entries and of references.
    pub fn pages_read(&self) -> &[ChunkLocation] {
        &self.read
    }
}

/// How many of these pages are fetched together: one at least, if there is one.
fn together<'p>(pages: impl Iterator<Item = &'p ChunkLocation>) -> usize {
    let mut bytes = 0;
    let fits = |(at, page): &(usize, &ChunkLocation)| {
        bytes += u64::from(page.plain_len);
        *at == 0 || bytes <= BYTES_PER_FETCH
    };
    pages.enumerate().take_while(fits).count()
}

/// Cuts pages into runs that are fetched together.
fn batches(mut pages: &[ChunkLocation]) -> impl Iterator<Item = &[ChunkLocation]> {
    std::iter::from_fn(move || {
        let (some, rest) = pages.split_at(together(pages.iter()));
        pages = rest;
        (!some.is_empty()).then_some(some)
    })
}
