//! Pages: a version byte, a kind byte, then items one after the other in postcard's encoding.

use std::hash::Hasher;

use model::{ChunkLocation, Extent, Omission};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ManifestEntry;

pub(super) const PAGE_VERSION: u8 = 1;

/// A chunk that is not a page of the kind that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a manifest page is not of the form this version reads")]
pub struct BadPage;

/// What pages hold.
pub trait PageItem: Serialize + DeserializeOwned {
    /// Tells pages of this kind from others.
    const KIND: u8;

    /// A page below this costs more in its reference than it saves when it stays the same. Far below what pages have on
    /// average, or a boundary that moves would move many after it.
    const PAGE_BYTES_MIN: usize;

    /// Whether a page may end after this item, judged by the item alone, so that an insertion moves boundaries only near
    /// itself.
    fn ends_page(&self) -> bool;
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
    // Most days change few entries here and there, and each makes its page anew.
    const PAGE_BYTES_MIN: usize = 1 << 10;

    fn ends_page(&self) -> bool {
        let mut hash = Fnv::default();
        hash.write(self.entry.path.as_bytes());
        is_rare(hash.finish(), 4)
    }
}

impl PageItem for Extent {
    const KIND: u8 = 2;
    const PAGE_BYTES_MIN: usize = 16 << 10;

    fn ends_page(&self) -> bool {
        match self {
            Self::Data { chunk } => is_rare(head(&chunk.hash), 9),
            Self::Slice { .. } | Self::Hole { .. } => false,
        }
    }
}

impl PageItem for Omission {
    const KIND: u8 = 3;
    const PAGE_BYTES_MIN: usize = 16 << 10;

    fn ends_page(&self) -> bool {
        false
    }
}

/// A reference to another page.
impl PageItem for ChunkLocation {
    const KIND: u8 = 4;
    const PAGE_BYTES_MIN: usize = 1 << 10;

    fn ends_page(&self) -> bool {
        is_rare(head(&self.hash), 6)
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
/// As [`decode_page`]; also when there is nothing in it.
pub(super) fn decode_entry_page(bytes: &[u8]) -> Result<EntryPage, BadPage> {
    match bytes {
        [_, _] => Err(BadPage),
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
