//! Reading chunks: from where they lie in packs to checked plaintext, many at a time.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use model::{AccountId, ChunkLocation, DataKeyId, ObjectName, PackId, Region};

use crate::error::{StoreError, StoreErrorKind};
use crate::region_store::RegionStore;
use crate::seal::{DataKey, Opener};

/// Packs read from at the same time: two keep a local disk busy, four a store with latency.
const PACKS_AT_ONCE: usize = 4;

/// Where a pack lies in one region's store, and which key opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackRef {
    /// Its lasting name.
    pub id: PackId,
    /// Its place in the store.
    pub object_name: ObjectName,
    /// Its length.
    pub bytes: u64,
    /// The key its chunks are sealed under.
    pub data_key: DataKeyId,
}

/// Unwrapped data keys by their id.
pub type KeyRing = HashMap<DataKeyId, DataKey>;

/// A chunk that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bytes are not those that were stored.
    #[error(
        "pack {pack} ({object}) in {region} is damaged at byte {offset}; mend it with `offsite verify --region {region} --repair-from <another region>`"
    )]
    Damaged {
        /// Whose store.
        region: Region,
        /// Which pack.
        pack: PackId,
        /// Its object's name, or what is known of it.
        object: String,
        /// Where in it.
        offset: u32,
    },
    /// The backup names a pack that its own record does not list.
    #[error("pack {pack} is not listed in the backup's record; the record is damaged")]
    Unlisted {
        /// Which pack.
        pack: PackId,
    },
}

impl ChunkError {
    /// Whether bytes are lost or are others than were stored, and not only out of reach.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error.kind, StoreErrorKind::NotFound | StoreErrorKind::Corrupt),
            Self::Damaged { .. } | Self::Unlisted { .. } => true,
        }
    }

    /// The chunk at `location` has been read but makes no sense.
    pub fn damaged(region: &Region, location: &ChunkLocation) -> Self {
        Self::Damaged {
            region: region.clone(),
            pack: location.pack,
            object: "a manifest page".to_owned(),
            offset: location.offset,
        }
    }
}

/// Reads and opens the index of one pack: every chunk in it.
///
/// # Errors
/// [`ChunkError`] when the pack is not there, or its end is damaged.
pub async fn read_pack_index(
    store: &RegionStore,
    account: &AccountId,
    pack: &PackRef,
    key: &DataKey,
) -> Result<Vec<ChunkLocation>, ChunkError> {
    use crate::pack::{HEADER_BYTES, TRAILER_BYTES, open_index, parse_trailer};
    let damaged = |_| ChunkError::Damaged {
        region: store.region().clone(),
        pack: pack.id,
        object: pack.object_name.to_string(),
        offset: 0,
    };
    let Some(end) = pack.bytes.checked_sub(TRAILER_BYTES as u64).filter(|end| *end >= HEADER_BYTES as u64) else {
        return Err(damaged(crate::pack::BadPack::NotAPack));
    };
    let read = async |range: Range<u64>| store.read_pack_ranges(account, &pack.object_name, &[range]).await;
    let trailer = read(end..pack.bytes).await?.remove(0);
    let trailer = trailer[..].try_into().map_err(|_| damaged(crate::pack::BadPack::NotAPack))?;
    let len = u64::from(parse_trailer(trailer, pack.bytes).map_err(damaged)?);
    let sealed = read(end - len..end).await?.remove(0);
    open_index(pack.id, key, &sealed, pack.bytes).map_err(damaged)
}

/// Reads the chunks of one backup, or of one account, from one region's store.
#[derive(Debug)]
pub struct ChunkSource {
    store: RegionStore,
    account: AccountId,
    packs: HashMap<PackId, PackRef>,
    keys: KeyRing,
}

impl ChunkSource {
    /// Reads from `packs`, opening with `keys`.
    pub fn new(
        store: RegionStore,
        account: AccountId,
        packs: impl IntoIterator<Item = PackRef>,
        keys: KeyRing,
    ) -> Self {
        let packs = packs.into_iter().map(|pack| (pack.id, pack)).collect();
        Self { store, account, packs, keys }
    }

    /// Whose store is read.
    pub fn region(&self) -> &Region {
        self.store.region()
    }

    /// The packs it reads from.
    pub fn packs(&self) -> &HashMap<PackId, PackRef> {
        &self.packs
    }

    /// The keys it opens with.
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// Reads, opens and checks `wanted`; the plaintexts come back in the same order.
    ///
    /// Each pack is asked once for all its ranges; decryption runs on blocking threads.
    ///
    /// # Errors
    /// The first that is met; nothing that failed its check is ever returned.
    pub async fn fetch(&self, wanted: &[ChunkLocation]) -> Result<Vec<Bytes>, ChunkError> {
        let mut by_pack: BTreeMap<PackId, Vec<usize>> = BTreeMap::new();
        for (at, location) in wanted.iter().enumerate() {
            by_pack.entry(location.pack).or_default().push(at);
        }
        let mut plain = vec![Bytes::new(); wanted.len()];
        let mut reads = stream::iter(by_pack)
            .map(|(pack, places)| async move {
                let chunks: Vec<ChunkLocation> = places.iter().map(|at| wanted[*at]).collect();
                Ok::<_, ChunkError>((places, self.fetch_from(pack, chunks).await?))
            })
            .buffer_unordered(PACKS_AT_ONCE);
        while let Some(read) = reads.next().await {
            let (places, chunks) = read?;
            for (at, bytes) in places.into_iter().zip(chunks) {
                plain[at] = bytes;
            }
        }
        Ok(plain)
    }

    async fn fetch_from(&self, pack: PackId, chunks: Vec<ChunkLocation>) -> Result<Vec<Bytes>, ChunkError> {
        let found = *self.packs.get(&pack).ok_or(ChunkError::Unlisted { pack })?;
        let key = self.keys.get(&found.data_key).ok_or(ChunkError::Unlisted { pack })?.clone();
        let damaged = |offset| ChunkError::Damaged {
            region: self.region().clone(),
            pack,
            object: found.object_name.to_string(),
            offset,
        };
        let mut ranges: Vec<Range<u64>> = Vec::with_capacity(chunks.len());
        for chunk in &chunks {
            let range = u64::from(chunk.offset)..u64::from(chunk.offset) + u64::from(chunk.sealed_len);
            if range.end > found.bytes || chunk.plain_len > crate::seal::PLAIN_BYTES_MAX {
                return Err(damaged(chunk.offset));
            }
            ranges.push(range);
        }
        let sealed = self.store.read_pack_ranges(&self.account, &found.object_name, &ranges).await?;
        let opened = tokio::task::spawn_blocking(move || {
            let mut opener = Opener::new(&key);
            let open = |(chunk, sealed): (&ChunkLocation, Bytes)| {
                let plain = opener.open_chunk(&chunk.hash, &sealed, chunk.plain_len);
                plain.map(Bytes::from).map_err(|_| chunk.offset)
            };
            chunks.iter().zip(sealed).map(open).collect::<Result<Vec<_>, u32>>()
        });
        opened.await.expect("opening chunks does not panic").map_err(damaged)
    }
}
