//! The chunks a backup knows: its parent's and its own, by hash.
//!
//! A chunk of this backup is first a number, handed out when it is met; where it lies is known once
//! it has been packed. A few bytes per chunk, and per small file, are kept in memory.

use std::collections::HashMap;

use model::{ChunkHash, ChunkLocation};
use serde::{Deserialize, Serialize};

/// A chunk that is stored, or will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ChunkRef {
    /// It was stored before this run began.
    Known(ChunkLocation),
    /// The chunk of that number, stored by this run.
    New(u32),
}

/// A small file's place in a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SmallFile {
    pub(crate) bundle: ChunkRef,
    pub(crate) skip: u32,
    pub(crate) len: u32,
}

/// 128 bits of BLAKE3 are enough to know a small file of the same backup again, and a million files
/// take half the memory.
type ShortHash = [u8; 16];

#[derive(Debug, Default)]
pub(crate) struct ChunkTable {
    by_hash: HashMap<ChunkHash, ChunkRef>,
    small_files: HashMap<ShortHash, (u32, u32, u32)>,
    bundles: Vec<ChunkRef>,
    /// Where each new chunk lies: itself, or the chunk of the same bytes that was known already.
    places: Vec<Option<ChunkRef>>,
}

impl ChunkTable {
    pub(crate) fn find(&self, hash: &ChunkHash) -> Option<ChunkRef> {
        self.by_hash.get(hash).copied()
    }

    /// Learns of a chunk that is stored already.
    pub(crate) fn learn(&mut self, location: ChunkLocation) {
        self.by_hash.entry(location.hash).or_insert(ChunkRef::Known(location));
    }

    /// Hands out a number for a chunk whose hash is not known yet.
    pub(crate) fn reserve(&mut self) -> u32 {
        let number = u32::try_from(self.places.len()).expect("far fewer chunks than four billion");
        self.places.push(None);
        number
    }

    /// Names the chunk of number `number`; tells where it is if the same bytes are known already.
    pub(crate) fn name(&mut self, number: u32, hash: ChunkHash) -> Option<ChunkRef> {
        let known = self.find(&hash);
        match known {
            Some(_) => self.places[number as usize] = known,
            None => {
                self.by_hash.insert(hash, ChunkRef::New(number));
            }
        }
        known
    }

    /// Sets where new chunks lie, once they have been packed.
    pub(crate) fn settle(&mut self, packed: impl IntoIterator<Item = (u32, ChunkLocation)>) {
        for (number, location) in packed {
            self.places[number as usize] = Some(ChunkRef::Known(location));
        }
    }

    /// Where a chunk lies. Every chunk that was met has been packed by the time this is asked.
    pub(crate) fn locate(&self, chunk: ChunkRef) -> ChunkLocation {
        let mut at = chunk;
        loop {
            match at {
                ChunkRef::Known(location) => return location,
                ChunkRef::New(number) => {
                    at = self.places[number as usize].expect("all chunks are packed before they are located");
                }
            }
        }
    }

    /// Drops what only reading needs.
    pub(crate) fn forget_hashes(&mut self) {
        self.by_hash = HashMap::new();
        self.small_files = HashMap::new();
    }

    pub(crate) fn find_small(&self, hash: &ChunkHash, len: u32) -> Option<SmallFile> {
        let (bundle, skip, found_len) = *self.small_files.get(&short(hash))?;
        (found_len == len).then(|| SmallFile { bundle: self.bundles[bundle as usize], skip, len })
    }

    pub(crate) fn learn_small(&mut self, hash: &ChunkHash, file: SmallFile) {
        if self.bundles.last() != Some(&file.bundle) {
            self.bundles.push(file.bundle);
        }
        let bundle = u32::try_from(self.bundles.len() - 1).expect("far fewer bundles than four billion");
        self.small_files.entry(short(hash)).or_insert((bundle, file.skip, file.len));
    }
}

fn short(hash: &ChunkHash) -> ShortHash {
    hash.0[..16].try_into().expect("16 of 32 bytes")
}
