//! The chunks a backup knows: its parent's and its own, by hash.
//!
//! Each has a number, handed out when it is met; where a chunk of this backup lies is known once it has been packed. A
//! terabyte of an image has eight million chunks, so what is kept of each is 52 bytes and its number by its hash, and 20 bytes
//! more on the way from the packer.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use model::{ChunkHash, ChunkLocation, PackId};
use serde::{Deserialize, Serialize};

/// A chunk that is stored, or will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ChunkRef {
    /// It lies where the parent's manifest says.
    At(ChunkLocation),
    /// The chunk of that number in the table.
    Numbered(u32),
}

/// A small file's place in a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SmallFile {
    pub(crate) bundle: ChunkRef,
    pub(crate) skip: u32,
    pub(crate) len: u32,
}

/// Where chunks lie that were packed one after the other.
#[derive(Debug, Default)]
pub(crate) struct Places {
    packs: Vec<PackId>,
    chunks: Vec<(u32, Place)>,
}

impl Places {
    pub(crate) fn push(&mut self, number: u32, location: &ChunkLocation) {
        if self.packs.last() != Some(&location.pack) {
            self.packs.push(location.pack);
        }
        self.chunks.push((number, Place::new(self.packs.len() - 1, location)));
    }
}

/// A chunk's place, with a pack's number for its id.
#[derive(Clone, Copy, Debug)]
struct Place {
    pack: u32,
    offset: u32,
    sealed_len: u32,
    plain_len: u32,
}

impl Place {
    fn new(pack: usize, location: &ChunkLocation) -> Self {
        let pack = u32::try_from(pack).expect("far fewer packs than four billion");
        let &ChunkLocation { offset, sealed_len, plain_len, .. } = location;
        Self { pack, offset, sealed_len, plain_len }
    }
}

#[derive(Clone, Copy, Debug)]
enum Known {
    /// It was met, and is on its way to a pack.
    Met,
    /// The same bytes as the chunk of that number.
    Same(u32),
    Placed(Place),
}

/// 128 bits of BLAKE3 are enough to know a small file of the same backup again, and a million files
/// take half the memory.
type ShortHash = [u8; 16];

#[derive(Debug, Default)]
pub(crate) struct ChunkTable {
    /// By number. The hash is one of no chunk until the chunk is named.
    chunks: Vec<(ChunkHash, Known)>,
    numbers: HashTable<u32>,
    hasher: RandomState,
    packs: Vec<PackId>,
    pack_numbers: HashMap<PackId, usize>,
    small_files: HashMap<ShortHash, (u32, u32, u32)>,
    bundles: Vec<ChunkRef>,
}

impl ChunkTable {
    /// The number of the chunk of that hash.
    pub(crate) fn find(&self, hash: &ChunkHash) -> Option<u32> {
        let is_named = |number: &u32| self.chunks[*number as usize].0 == *hash;
        self.numbers.find(self.hasher.hash_one(hash), is_named).copied()
    }

    /// Learns of a chunk that is stored already.
    pub(crate) fn learn(&mut self, location: ChunkLocation) {
        if self.find(&location.hash).is_none() {
            let number = self.reserve();
            self.insert(number, location.hash);
            let place = Place::new(self.pack_number(location.pack), &location);
            self.chunks[number as usize].1 = Known::Placed(place);
        }
    }

    /// Hands out a number for a chunk whose hash is not known yet.
    pub(crate) fn reserve(&mut self) -> u32 {
        let number = u32::try_from(self.chunks.len()).expect("far fewer chunks than four billion");
        self.chunks.push((ChunkHash([0; 32]), Known::Met));
        number
    }

    /// Names the chunk of number `number`; tells whether its bytes are new.
    pub(crate) fn name(&mut self, number: u32, hash: ChunkHash) -> bool {
        let known = self.find(&hash);
        match known {
            Some(other) => self.chunks[number as usize].1 = Known::Same(other),
            None => self.insert(number, hash),
        }
        known.is_none()
    }

    fn insert(&mut self, number: u32, hash: ChunkHash) {
        self.chunks[number as usize].0 = hash;
        let (chunks, hasher) = (&self.chunks, &self.hasher);
        let hash_of = |number: &u32| hasher.hash_one(chunks[*number as usize].0);
        self.numbers.insert_unique(hasher.hash_one(hash), number, hash_of);
    }

    /// Sets where new chunks lie, once they have been packed.
    pub(crate) fn settle(&mut self, places: Places) {
        let packs: Vec<usize> = places.packs.into_iter().map(|pack| self.pack_number(pack)).collect();
        for (number, place) in places.chunks {
            let pack = u32::try_from(packs[place.pack as usize]).expect("far fewer packs than four billion");
            self.chunks[number as usize].1 = Known::Placed(Place { pack, ..place });
        }
    }

    fn pack_number(&mut self, pack: PackId) -> usize {
        let packs = &mut self.packs;
        *self.pack_numbers.entry(pack).or_insert_with(|| {
            packs.push(pack);
            packs.len() - 1
        })
    }

    /// Where a chunk lies. Every chunk that was met has been packed by the time this is asked.
    pub(crate) fn locate(&self, chunk: ChunkRef) -> ChunkLocation {
        let mut number = match chunk {
            ChunkRef::At(location) => return location,
            ChunkRef::Numbered(number) => number,
        };
        loop {
            match self.chunks[number as usize] {
                (hash, Known::Placed(Place { pack, offset, sealed_len, plain_len })) => {
                    return ChunkLocation { pack: self.packs[pack as usize], offset, sealed_len, plain_len, hash };
                }
                (_, Known::Same(other)) => number = other,
                (_, Known::Met) => panic!("all chunks are packed before they are located"),
            }
        }
    }

    /// Drops what only reading needs.
    pub(crate) fn forget_hashes(&mut self) {
        self.numbers = HashTable::new();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(pack: u8, offset: u32, content: u8) -> ChunkLocation {
        let (pack, hash) = (PackId([pack; 16]), ChunkHash([content; 32]));
        ChunkLocation { pack, offset, sealed_len: 40, plain_len: 10, hash }
    }

    #[test]
    fn a_chunk_is_found_by_its_hash_and_located_where_it_was_packed() {
        let mut table = ChunkTable::default();
        let learned = chunk(1, 7, 1);
        table.learn(learned);
        // A second place of the same bytes is of no use.
        table.learn(chunk(2, 9, 1));
        let [first, bundle, third] = [table.reserve(), table.reserve(), table.reserve()];
        assert!(table.name(third, ChunkHash([3; 32])));
        assert!(table.name(first, ChunkHash([2; 32])));
        assert_eq!(table.find(&ChunkHash([2; 32])), Some(first));
        assert!(!table.name(bundle, learned.hash));
        let packed = [(first, chunk(3, 0, 2)), (third, chunk(1, 80, 3))];
        let mut places = Places::default();
        packed.iter().for_each(|(number, location)| places.push(*number, location));
        table.settle(places);
        table.forget_hashes();
        assert_eq!(table.find(&learned.hash), None);
        for (number, location) in packed.into_iter().chain([(bundle, learned)]) {
            assert_eq!(table.locate(ChunkRef::Numbered(number)), location);
        }
        assert_eq!(table.locate(ChunkRef::At(chunk(9, 9, 9))), chunk(9, 9, 9));
    }

    #[test]
    fn little_is_kept_of_each_chunk() {
        assert_eq!(size_of::<(ChunkHash, Known)>(), 52);
        assert_eq!(size_of::<(u32, Place)>(), 20);
    }
}
