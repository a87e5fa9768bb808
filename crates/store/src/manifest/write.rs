//! Writing manifests: items in, pages out.

use model::{ChunkLocation, Extent};

use super::Content;
use super::page::{PAGE_BYTES_MAX, PAGE_VERSION, PageItem};

/// A root of more pages than this lists pages of references to them.
const ROOT_PAGES_MAX: usize = 64;

/// A file of more extents than this keeps them in pages of their own.
const INLINE_EXTENTS_MAX: usize = 64;

/// Takes chunks and tells where they lie.
pub trait ChunkSink {
    /// Why a chunk could not be stored.
    type Error;

    /// Stores `plain`, or finds it stored already.
    ///
    /// # Errors
    /// The sink's own.
    fn store(&mut self, plain: &[u8]) -> Result<ChunkLocation, Self::Error>;
}

/// Gathers items into pages and stores each page as a chunk.
#[derive(Debug)]
pub struct PageWriter<T> {
    open: Vec<u8>,
    pages: Vec<ChunkLocation>,
    items: std::marker::PhantomData<T>,
}

impl<T> Default for PageWriter<T> {
    fn default() -> Self {
        Self { open: Vec::new(), pages: Vec::new(), items: std::marker::PhantomData }
    }
}

impl<T: PageItem> PageWriter<T> {
    /// Appends one item; stores the open page when it is full or the item ends it.
    ///
    /// # Errors
    /// The sink's.
    pub fn push<S: ChunkSink>(&mut self, item: &T, sink: &mut S) -> Result<(), S::Error> {
        if self.open.is_empty() {
            self.open.extend([PAGE_VERSION, T::KIND]);
        }
        let open = std::mem::take(&mut self.open);
        self.open = postcard::to_extend(item, open).expect("serializing to memory");
        let page_bytes = self.open.len();
        if page_bytes >= PAGE_BYTES_MAX || item.ends_page(page_bytes) { self.flush(sink) } else { Ok(()) }
    }

    /// Stores what is open and returns all pages, in order.
    ///
    /// # Errors
    /// The sink's.
    pub fn finish<S: ChunkSink>(mut self, sink: &mut S) -> Result<Vec<ChunkLocation>, S::Error> {
        self.flush(sink)?;
        Ok(self.pages)
    }

    fn flush<S: ChunkSink>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        if !self.open.is_empty() {
            self.pages.push(sink.store(&self.open)?);
            self.open.clear();
        }
        Ok(())
    }
}

/// What a root lists of these pages of entries: them, while they are few, or else pages of references to them, or of references
/// to such pages, and so on. So the day's changes make a root's worth of pages anew, and not the whole list.
///
/// # Errors
/// The sink's.
pub fn rooted<S: ChunkSink>(mut pages: Vec<ChunkLocation>, sink: &mut S) -> Result<Vec<ChunkLocation>, S::Error> {
    while pages.len() > ROOT_PAGES_MAX {
        let mut references = PageWriter::default();
        for page in &pages {
            references.push(page, sink)?;
        }
        pages = references.finish(sink)?;
    }
    Ok(pages)
}

/// Gathers one file's extents: inline while they are few, in pages once they are many.
#[derive(Debug, Default)]
pub struct ContentWriter {
    inline: Vec<Extent>,
    pages: Option<PageWriter<Extent>>,
}

impl ContentWriter {
    /// Appends the file's next extent.
    ///
    /// # Errors
    /// The sink's.
    pub fn push<S: ChunkSink>(&mut self, extent: Extent, sink: &mut S) -> Result<(), S::Error> {
        if self.pages.is_none() && self.inline.len() < INLINE_EXTENTS_MAX {
            self.inline.push(extent);
            return Ok(());
        }
        let pages = self.pages.get_or_insert_default();
        for earlier in self.inline.drain(..) {
            pages.push(&earlier, sink)?;
        }
        pages.push(&extent, sink)
    }

    /// What the manifest's entry holds of them.
    ///
    /// # Errors
    /// The sink's.
    pub fn finish<S: ChunkSink>(self, sink: &mut S) -> Result<Content, S::Error> {
        Ok(match self.pages {
            Some(pages) => Content::Paged(pages.finish(sink)?),
            None if self.inline.is_empty() => Content::Empty,
            None => Content::Inline(self.inline),
        })
    }
}
