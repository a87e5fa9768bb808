//! Pages: a version byte, a kind byte, then items one after the other in postcard's encoding.

use std::hash::Hasher;

use model::{Extent, Omission};
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

    /// Whether a page may end after this item, judged by the item alone.
    ///
    /// About one item in 512 says yes, so an insertion moves boundaries only near itself.
    fn ends_page(&self) -> bool;
}

fn one_in_512(hash: u64) -> bool {
    hash.trailing_zeros() >= 9
}

impl PageItem for ManifestEntry {
    const KIND: u8 = 1;

    fn ends_page(&self) -> bool {
        let mut hash = Fnv::default();
        hash.write(self.entry.path.as_bytes());
        one_in_512(hash.finish())
    }
}

impl PageItem for Extent {
    const KIND: u8 = 2;

    fn ends_page(&self) -> bool {
        match self {
            Self::Data { chunk } => one_in_512(u64::from_le_bytes(chunk.hash.0[..8].try_into().expect("8 bytes"))),
            Self::Slice { .. } | Self::Hole { .. } => false,
        }
    }
}

impl PageItem for Omission {
    const KIND: u8 = 3;

    fn ends_page(&self) -> bool {
        false
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
