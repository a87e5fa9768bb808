//! Reading manifests: pages in, items out, one page in memory at a time.

use std::sync::Arc;

use model::{ChunkLocation, Extent, Omission};

use super::page::{PageItem, decode_page};
use super::{Content, ManifestEntry, Root};
use crate::chunks::{ChunkError, ChunkSource};

// Fetched together, so that a store's latency is paid once for several pages.
const PAGES_PER_FETCH: usize = 8;

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
    next_page: usize,
    ready: std::collections::VecDeque<ManifestEntry>,
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
        EntryReader { manifest: self.clone(), next_page: 0, ready: std::collections::VecDeque::new() }
    }

    /// The extents of one entry's content, in the order of the file, handed to `each`.
    ///
    /// # Errors
    /// [`ChunkError`] when a page cannot be read, or what `each` returns.
    pub async fn extents<E: From<ChunkError>>(
        &self,
        content: &Content,
        mut each: impl FnMut(Extent) -> Result<(), E>,
    ) -> Result<(), E> {
        match content {
            Content::Empty => Ok(()),
            Content::Inline(extents) => extents.iter().copied().try_for_each(each),
            Content::Paged(pages) => {
                for some in pages.chunks(PAGES_PER_FETCH) {
                    for extent in self.items::<Extent>(some).await? {
                        each(extent)?;
                    }
                }
                Ok(())
            }
        }
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
}

impl EntryReader {
    /// The next entry; `None` after the last.
    ///
    /// # Errors
    /// [`ChunkError`] when a page cannot be read.
    pub async fn next(&mut self) -> Result<Option<ManifestEntry>, ChunkError> {
        while self.ready.is_empty() {
            let pages = &self.manifest.root.entry_pages;
            let Some(some) = pages.get(self.next_page..(self.next_page + PAGES_PER_FETCH).min(pages.len())) else {
                return Ok(None);
            };
            if some.is_empty() {
                return Ok(None);
            }
            self.next_page += some.len();
            self.ready = self.manifest.items(some).await?.into();
        }
        Ok(self.ready.pop_front())
    }
}
