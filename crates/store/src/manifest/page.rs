//! Pages: a version byte, a kind byte, then items one after the other in postcard's encoding.

use std::hash::Hasher;

use model::{ChunkLocation, Extent, Omission};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ManifestEntry;

pub(super) const PAGE_VERSION: u8 = 1;

/// A page ends with the item that it reaches this length with: a longer one is rewritten for every small change in it.
pub(super) const PAGE_BYTES_MAX: usize = 256 << 10;

/// More than a page of references has: it is as long as that and one reference at most. Each level of the tree waits in memory.
const REFERENCES_BYTES_MAX: usize = PAGE_BYTES_MAX + 100;

/// A chunk that is not a page of the kind that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a manifest page is not of the form this version reads")]
pub struct BadPage;

/// What pages hold.
pub trait PageItem: Serialize + DeserializeOwned {
    /// Tells pages of this kind from others.
    const KIND: u8;

    /// Whether a page that has so many bytes with this item may end after it: judged by the item alone, so that an insertion
    /// moves boundaries only near itself, once there are enough bytes. A page of fewer costs more in its reference than it
    /// saves when it stays the same. Far fewer than pages have on average, or a boundary that moves would move many after it.
    fn ends_page(&self, page_bytes: usize) -> bool;
}

/// Whether a hash is one in two to the power of `bits`.
fn is_rare(hash: u64, bits: u32) -> bool {
    hash.trailing_zeros() >= bits
}

fn head(hash: &model::ChunkHash) -> u64 {
    u64::from_le_bytes(hash.0[..8].try_into().expect("8 of 32 bytes"))
}

impl PageItem for ManifestEntry {
    const KIND: u8 = 1;

    fn ends_page(&self, page_bytes: usize) -> bool {
        let mut hash = Fnv::default();
        hash.write(self.entry.path.as_bytes());
        // Most days change few entries here and there, and each makes its page anew.
        page_bytes >= 1 << 10 && is_rare(hash.finish(), 4)
    }
}

impl PageItem for Extent {
    const KIND: u8 = 2;

    fn ends_page(&self, page_bytes: usize) -> bool {
        match self {
            Self::Data { chunk } => page_bytes >= 16 << 10 && is_rare(head(&chunk.hash), 9),
            Self::Slice { .. } | Self::Hole { .. } => false,
        }
    }
}

impl PageItem for Omission {
    const KIND: u8 = 3;

    fn ends_page(&self, _: usize) -> bool {
        false
    }
}

/// A reference to another page.
impl PageItem for ChunkLocation {
    const KIND: u8 = 4;

    fn ends_page(&self, page_bytes: usize) -> bool {
        page_bytes >= 1 << 10 && is_rare(head(&self.hash), 6)
    }
}

/// FNV-1a with a final mix: stable across versions of Rust, as page boundaries must be.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

/// What a page of the tree holds that a root's `entry_pages` begin.
pub(super) enum EntryPage {
    Entries(Vec<ManifestEntry>),
    Pages(Vec<ChunkLocation>),
}

/// Reads a page of entries, or of references to such pages.
///
/// # Errors
/// As [`decode_page`]; also when there is nothing in it, or more references than in any page that was written.
pub(super) fn decode_entry_page(bytes: &[u8]) -> Result<EntryPage, BadPage> {
    match bytes {
        [_, _] => Err(BadPage),
        [_, <ChunkLocation as PageItem>::KIND, ..] if bytes.len() > REFERENCES_BYTES_MAX => Err(BadPage),
        [_, <ChunkLocation as PageItem>::KIND, ..] => decode_page(bytes).map(EntryPage::Pages),
        _ => decode_page(bytes).map(EntryPage::Entries),
    }
}

/// Reads a page: all its items, in order.
///
/// # Errors
/// [`BadPage`] when the bytes are not a page of `T`, or end in the middle of an item.
pub fn decode_page<T: PageItem>(bytes: &[u8]) -> Result<Vec<T>, BadPage> {
    let [PAGE_VERSION, kind, rest @ ..] = bytes else { return Err(BadPage) };
    if *kind != T::KIND {
        return Err(BadPage);
    }
    let mut rest = rest;
    let mut items = Vec::new();
    while !rest.is_empty() {
        let (item, after) = postcard::take_from_bytes(rest).map_err(|_| BadPage)?;
        items.push(item);
        rest = after;
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use model::{ChunkHash, PackId};

    use super::*;

    #[test]
    fn a_page_of_more_references_than_are_ever_written_is_refused() {
        let reference =
            ChunkLocation { pack: PackId([1; 16]), offset: 0, sealed_len: 1, plain_len: 1, hash: ChunkHash([2; 32]) };
        let reference = postcard::to_stdvec(&reference).unwrap();
        let page = |count| [&[PAGE_VERSION, ChunkLocation::KIND][..], &reference.repeat(count)].concat();
        let longest = PAGE_BYTES_MAX / reference.len() + 1;
        assert!(matches!(decode_entry_page(&page(longest)), Ok(EntryPage::Pages(pages)) if pages.len() == longest));
        assert!(decode_entry_page(&page(longest + 2)).is_err());
    }
}
