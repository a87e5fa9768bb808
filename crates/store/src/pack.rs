//! Packs: one stored object holding many sealed chunks, and the sealed index of what it holds.
//!
//! Layout (`docs/format.md`, "Pack"): header (magic, version, pack id, data-key id) ‖ sealed chunks
//! back to back ‖ sealed index ‖ its length as a little-endian `u32`. Nothing between the chunks
//! tells where one ends: without the data key a pack is noise with a header.

use bytes::Bytes;
use model::{ChunkHash, ChunkLocation, DataKeyId, ObjectName, PackId};
use serde::{Deserialize, Serialize};

use crate::piece::{Buffers, Piece};
use crate::seal::{BadSeal, DataKey, Opener, PLAIN_BYTES_MAX, SEAL_OVERHEAD_BYTES};

const MAGIC: &[u8; 8] = b"OFFSPACK";
const VERSION: u8 = 1;

/// Length of a pack's header: magic (8), version (1), zeros (7), pack id (16), data-key id (16).
pub const HEADER_BYTES: usize = 48;
/// Length of what ends a pack: the length of its sealed index.
pub const TRAILER_BYTES: usize = 4;

/// How long a pack can be: the offsets of its chunks have 32 bits.
pub(crate) const LENGTHS: std::ops::RangeInclusive<u64> =
    (HEADER_BYTES + SEAL_OVERHEAD_BYTES + TRAILER_BYTES) as u64..=u32::MAX as u64;

/// The size at which a pack is closed.
const TARGET_BYTES_MIN: u64 = 32 << 20;
const TARGET_BYTES_MAX: u64 = 256 << 20;

/// The size at which the next pack of a backup is closed, when it has stored `stored_bytes` so far.
///
/// Grows with the backup so that row counts stay sane: 16,384 packs up to half a tebibyte, then
/// larger packs, 256 MiB from four tebibytes on.
pub fn target_bytes(stored_bytes: u64) -> u64 {
    (stored_bytes >> 14).clamp(TARGET_BYTES_MIN, TARGET_BYTES_MAX)
}

/// Bytes that are not a pack, or not the one that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPack {
    /// Too short, no magic, or another version.
    #[error("not a pack of this version")]
    NotAPack,
    /// The header's ids are not those expected.
    #[error("another pack or another data key than expected")]
    Another,
    /// The index does not open or makes no sense.
    #[error("its index is damaged")]
    Index,
    /// The chunk at this byte does not open, or is not the one that the index names.
    #[error("its chunk at byte {0} does not open")]
    Chunk(u32),
}

impl From<BadSeal> for BadPack {
    fn from(_: BadSeal) -> Self {
        Self::Index
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct IndexEntry {
    hash: ChunkHash,
    offset: u32,
    sealed_len: u32,
    plain_len: u32,
}

/// A pack that is being filled, in memory.
#[derive(Debug)]
pub struct PackBuilder {
    id: PackId,
    data_key: DataKeyId,
    /// Those that are full.
    pieces: Vec<Bytes>,
    open: Piece,
    len: u64,
    hasher: blake3::Hasher,
    buffers: Buffers,
    index: Vec<IndexEntry>,
}

/// A finished pack, ready to be stored.
#[derive(Clone, Debug)]
pub struct SealedPack {
    /// Its lasting name.
    pub id: PackId,
    /// BLAKE3 of its bytes: its place in a store.
    pub object_name: ObjectName,
    /// The key its chunks are sealed under.
    pub data_key: DataKeyId,
    /// Its bytes, in order.
    pub pieces: Vec<Bytes>,
}

impl SealedPack {
    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }
}

impl PackBuilder {
    /// An empty pack named `id`, to be filled with chunks sealed under `data_key`.
    pub fn new(id: PackId, data_key: DataKeyId, buffers: &Buffers) -> Self {
        let (buffers, open) = (buffers.clone(), buffers.piece());
        let (pieces, hasher, index) = (Vec::new(), blake3::Hasher::new(), Vec::new());
        let mut pack = Self { id, data_key, pieces, open, len: 0, hasher, buffers, index };
        pack.append(&[MAGIC.as_slice(), &[VERSION], &[0; 7], &id.0, &data_key.0].concat());
        pack
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it holds no chunk yet.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Appends a sealed chunk and tells where it lies.
    pub fn push(&mut self, hash: ChunkHash, plain_len: u32, sealed: &[u8]) -> ChunkLocation {
        let offset = u32::try_from(self.len).expect("packs are closed far below 4 GiB");
        let sealed_len = u32::try_from(sealed.len()).expect("chunks are far below 4 GiB");
        self.append(sealed);
        self.index.push(IndexEntry { hash, offset, sealed_len, plain_len });
        ChunkLocation { pack: self.id, offset, sealed_len, plain_len, hash }
    }

    /// Seals the index, appends it, and names the whole by its hash.
    ///
    /// # Panics
    /// When `key` is not the key the pack was begun for: a bug.
    pub fn finish(mut self, key: &DataKey) -> SealedPack {
        assert_eq!(key.id(), self.data_key, "a pack is sealed under one key");
        let index = postcard::to_stdvec(&self.index).expect("serializing to memory");
        let sealed = key.seal(&index_context(self.id, self.data_key), &index);
        self.append(&sealed);
        let len = u32::try_from(sealed.len()).expect("an index is far below 4 GiB");
        self.append(&len.to_le_bytes());
        self.hasher.update(self.open.as_ref());
        self.pieces.push(self.open.freeze());
        let object_name = ObjectName(*self.hasher.finalize().as_bytes());
        SealedPack { id: self.id, object_name, data_key: self.data_key, pieces: self.pieces }
    }

    fn append(&mut self, mut bytes: &[u8]) {
        self.len += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.open.is_full() {
                let full = std::mem::replace(&mut self.open, self.buffers.piece());
                self.hasher.update(full.as_ref());
                self.pieces.push(full.freeze());
            }
            bytes = self.open.take(bytes);
        }
    }
}

fn index_context(id: PackId, data_key: DataKeyId) -> Vec<u8> {
    [b"offsite pack index".as_slice(), &id.0, &data_key.0].concat()
}

/// Reads a pack's header.
///
/// # Errors
/// [`BadPack::NotAPack`] when it is none.
pub fn parse_header(bytes: &[u8]) -> Result<(PackId, DataKeyId), BadPack> {
    let header = bytes.get(..HEADER_BYTES).ok_or(BadPack::NotAPack)?;
    if header[..8] != *MAGIC || header[8] != VERSION || header[9..16] != [0; 7] {
        return Err(BadPack::NotAPack);
    }
    let id = |range: std::ops::Range<usize>| header[range].try_into().expect("16 bytes");
    Ok((PackId(id(16..32)), DataKeyId(id(32..48))))
}

/// The length of the sealed index, from a pack's last [`TRAILER_BYTES`].
///
/// # Errors
/// [`BadPack::Index`] when a pack of `pack_bytes` cannot hold it.
pub fn parse_trailer(trailer: [u8; TRAILER_BYTES], pack_bytes: u64) -> Result<u32, BadPack> {
    let len = u32::from_le_bytes(trailer);
    let fits = u64::from(len) + (HEADER_BYTES + TRAILER_BYTES) as u64 <= pack_bytes;
    if fits && len as usize >= SEAL_OVERHEAD_BYTES { Ok(len) } else { Err(BadPack::Index) }
}

/// Opens a sealed index: every chunk of pack `id`, in the order in which they lie.
///
/// # Errors
/// [`BadPack::Index`] when it does not open or names bytes outside of the pack's chunks.
pub fn open_index(id: PackId, key: &DataKey, sealed: &[u8], pack_bytes: u64) -> Result<Vec<ChunkLocation>, BadPack> {
    let plain = key.open(&index_context(id, key.id()), sealed)?;
    let entries: Vec<IndexEntry> = postcard::from_bytes(&plain).map_err(|_| BadPack::Index)?;
    let end_of_chunks = pack_bytes.checked_sub((sealed.len() + TRAILER_BYTES) as u64).ok_or(BadPack::Index)?;
    let sound = |e: &IndexEntry| {
        e.offset as usize >= HEADER_BYTES
            && u64::from(e.offset) + u64::from(e.sealed_len) <= end_of_chunks
            && e.plain_len <= PLAIN_BYTES_MAX
    };
    if !entries.iter().all(sound) {
        return Err(BadPack::Index);
    }
    let located = |e: IndexEntry| ChunkLocation {
        pack: id,
        offset: e.offset,
        sealed_len: e.sealed_len,
        plain_len: e.plain_len,
        hash: e.hash,
    };
    Ok(entries.into_iter().map(located).collect())
}

/// Opens the index of a whole pack in memory, after checking its header.
///
/// # Errors
/// [`BadPack`] when the bytes are not the pack `id` sealed under `key`.
pub fn read_index(id: PackId, key: &DataKey, pack: &[u8]) -> Result<Vec<ChunkLocation>, BadPack> {
    if parse_header(pack)? != (id, key.id()) {
        return Err(BadPack::Another);
    }
    let at = pack.len().checked_sub(TRAILER_BYTES).ok_or(BadPack::NotAPack)?;
    let trailer = pack[at..].try_into().expect("four bytes");
    let len = parse_trailer(trailer, pack.len() as u64)? as usize;
    open_index(id, key, &pack[at - len..at], pack.len() as u64)
}

/// Opens and checks every chunk of a whole pack in memory, whose bytes are lost. Returns them in the order in which they lie.
///
/// # Errors
/// [`BadPack`] when the bytes are not the pack `id` sealed under `key`, or one of its chunks does not open.
pub fn open_all(id: PackId, key: &DataKey, pack: &mut [u8]) -> Result<Vec<ChunkLocation>, BadPack> {
    let chunks = read_index(id, key, pack)?;
    let mut opener = Opener::new(key);
    for chunk in &chunks {
        let sealed = &mut pack[chunk.offset as usize..][..chunk.sealed_len as usize];
        opener.check_chunk(&chunk.hash, sealed, chunk.plain_len).map_err(|_| BadPack::Chunk(chunk.offset))?;
    }
    Ok(chunks)
}

/// Seals the chunks of one pack anew, under another data key; its id and all offsets stay.
///
/// Offsets stay because a chunk's sealed body is kept as it was, compressed or not.
///
/// # Errors
/// [`BadPack`] when the pack or one of its chunks does not open.
pub fn reencrypt(id: PackId, old: &DataKey, new: &DataKey, pack: &[u8]) -> Result<SealedPack, BadPack> {
    let chunks = read_index(id, old, pack)?;
    let mut builder = PackBuilder::new(id, new.id(), &Buffers::default());
    let mut opener = Opener::new(old);
    for chunk in chunks {
        let sealed = &pack[chunk.offset as usize..][..chunk.sealed_len as usize];
        opener.open_chunk(&chunk.hash, sealed, chunk.plain_len)?;
        let resealed = old.reseal(new, &chunk.hash.0, sealed)?;
        let moved = builder.push(chunk.hash, chunk.plain_len, &resealed);
        if moved.offset != chunk.offset {
            return Err(BadPack::Index);
        }
    }
    Ok(builder.finish(new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::{Sealer, hash_chunk};

    fn pack_of(chunks: &[&[u8]]) -> (DataKey, SealedPack, Vec<ChunkLocation>) {
        let key = DataKey::generate(&mut rand::rng());
        let mut sealer = Sealer::new(key.clone());
        let mut builder = PackBuilder::new(PackId::random(&mut rand::rng()), key.id(), &Buffers::default());
        let mut locations = Vec::new();
        for plain in chunks {
            let hash = hash_chunk(plain);
            let sealed = sealer.seal_chunk(&hash, plain);
            locations.push(builder.push(hash, u32::try_from(plain.len()).unwrap(), &sealed));
        }
        let sealed = builder.finish(&key);
        (key, sealed, locations)
    }

    #[test]
    fn a_trailer_gives_its_index_at_least_a_seal() {
        let len = |len: usize| parse_trailer(u32::try_from(len).unwrap().to_le_bytes(), 1000);
        assert_eq!(len(SEAL_OVERHEAD_BYTES), Ok(u32::try_from(SEAL_OVERHEAD_BYTES).unwrap()));
        for wrong in [0, SEAL_OVERHEAD_BYTES - 1, 1000 - HEADER_BYTES - TRAILER_BYTES + 1] {
            assert_eq!(len(wrong), Err(BadPack::Index));
        }
    }

    #[test]
    fn the_index_tells_where_each_chunk_lies() {
        let (key, pack, locations) = pack_of(&[b"one", &[2; 5000], b""]);
        assert_eq!(read_index(pack.id, &key, &pack.pieces.concat()), Ok(locations.clone()));
        let second = locations[1];
        let sealed = &pack.pieces.concat()[second.offset as usize..][..second.sealed_len as usize];
        assert_eq!(Opener::new(&key).open_chunk(&second.hash, sealed, second.plain_len), Ok(vec![2; 5000]));
    }

    #[test]
    fn every_chunk_of_a_whole_pack_is_opened() {
        let noise: Vec<u8> = (0..70_000).map(|_| rand::random()).collect();
        let (key, pack, locations) = pack_of(&[b"one", &[2; 5000], &noise, b""]);
        assert_eq!(open_all(pack.id, &key, &mut pack.pieces.concat()), Ok(locations.clone()));
        for chunk in locations {
            for byte in [0, chunk.sealed_len / 2, chunk.sealed_len - 1] {
                let mut damaged = pack.pieces.concat();
                damaged[(chunk.offset + byte) as usize] ^= 1;
                assert_eq!(open_all(pack.id, &key, &mut damaged), Err(BadPack::Chunk(chunk.offset)), "byte {byte}");
            }
        }
    }

    #[test]
    fn a_chunk_that_is_not_the_one_of_its_hash_is_refused() {
        let key = DataKey::generate(&mut rand::rng());
        let mut builder = PackBuilder::new(PackId::random(&mut rand::rng()), key.id(), &Buffers::default());
        let other = hash_chunk(b"other");
        let chunk = builder.push(other, 3, &Sealer::new(key.clone()).seal_chunk(&other, b"one"));
        let pack = builder.finish(&key);
        assert_eq!(open_all(pack.id, &key, &mut pack.pieces.concat()), Err(BadPack::Chunk(chunk.offset)));
    }

    #[test]
    fn a_pack_under_another_id_or_key_is_refused() {
        let (key, pack, _) = pack_of(&[b"one"]);
        let other = PackId::random(&mut rand::rng());
        assert_eq!(read_index(other, &key, &pack.pieces.concat()), Err(BadPack::Another));
        let stranger = DataKey::generate(&mut rand::rng());
        assert_eq!(read_index(pack.id, &stranger, &pack.pieces.concat()), Err(BadPack::Another));
    }

    #[test]
    fn a_pack_sealed_anew_keeps_its_id_and_offsets_but_no_byte() {
        let (old, pack, locations) = pack_of(&[b"one", &[2; 5000]]);
        let new = DataKey::generate(&mut rand::rng());
        let resealed = reencrypt(pack.id, &old, &new, &pack.pieces.concat()).unwrap();
        assert_ne!(resealed.object_name, pack.object_name);
        assert_eq!(resealed.bytes(), pack.bytes());
        assert_eq!(read_index(pack.id, &new, &resealed.pieces.concat()), Ok(locations));
    }

    #[test]
    fn cut_or_lengthened_packs_are_refused() {
        let (key, pack, _) = pack_of(&[b"one", b"two"]);
        for len in 0..pack.pieces.concat().len() {
            assert!(read_index(pack.id, &key, &pack.pieces.concat()[..len]).is_err(), "cut to {len}");
        }
        let longer = [&pack.pieces.concat()[..], b"\xff\xff\xff\xff"].concat();
        assert!(read_index(pack.id, &key, &longer).is_err());
    }
}
