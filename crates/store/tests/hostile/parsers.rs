//! Every parser of stored bytes, as a function from any bytes at all; `fuzz/` runs the same ones.
//!
//! Where a seal or a checksum stands before a parser, the function also seals or sums the bytes itself, as someone who
//! holds the keys could: otherwise the parser behind it would never see them. Nothing may panic, and nothing may
//! allocate what a length merely claims; what reads must also hold what its type promises.

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use bytes::Bytes;
use model::{AccountId, BackupId, BackupState, ByteSize, ChunkHash, ChunkLocation, DataKeyId, Extent, KmsKeyId};
use model::{ObjectName, Omission, PackId, Partition, Region, RelPath, ResourceId, ResourceKind, SnapshotId};
use model::{SystemClock, Timestamp};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use store::Wrapped;
use store::chunks::read_pack_index;
use store::keys::{KeyFile, KeyFileService};
use store::manifest::{Content, ManifestEntry, PageItem, Root, decode_page};
use store::pack::{HEADER_BYTES, parse_header, read_index, reencrypt};
use store::{BadSeal, ChunkError, ChunkSource, DataKey, KeyError, KeyService, Opener, PackRef, Record, RegionStore};
use tokio::runtime::{Builder, Runtime};
use zeroize::Zeroizing;

use crate::seeds;

/// One parser, with valid bytes to start from.
pub(crate) struct Parser {
    /// Its name, and that of its fuzz target.
    pub(crate) name: &'static str,
    /// Reads any bytes.
    pub(crate) read: fn(&[u8]),
    /// What the real writers make.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    /// How many bytes may be allocated for each byte of input.
    pub(crate) growth: usize,
}

/// Decoded items are larger than encoded ones: an extent of two bytes takes a hundred in memory, and while the list
/// that holds it grows, twice as many.
const GROWTH: usize = 512;
/// A block of zstd takes four bytes at least and yields 128 KiB at most (RFC 8878, 3.1.1.2).
const ZSTD_GROWTH: usize = (128 << 10) / 4;

/// All of them but the configuration file, which is the binary's.
pub(crate) const ALL: [Parser; 12] = [
    Parser { name: "pack", read: pack, seeds: seeds::packs, growth: GROWTH },
    Parser { name: "pack_index", read: pack_index, seeds: seeds::pack_indexes, growth: GROWTH },
    Parser { name: "chunk", read: chunk, seeds: seeds::chunks, growth: ZSTD_GROWTH },
    Parser { name: "location", read: location, seeds: seeds::locations, growth: GROWTH },
    Parser { name: "page", read: page, seeds: seeds::pages, growth: GROWTH },
    Parser { name: "root", read: root, seeds: seeds::roots, growth: GROWTH },
    Parser { name: "record", read: record, seeds: seeds::records, growth: GROWTH },
    Parser { name: "format_file", read: format_file, seeds: seeds::format_files, growth: GROWTH },
    Parser { name: "key_file", read: key_file, seeds: seeds::key_files, growth: GROWTH },
    Parser { name: "wrapped_key", read: wrapped_key, seeds: seeds::wrapped_keys, growth: GROWTH },
    Parser { name: "object_key", read: object_key, seeds: seeds::object_keys, growth: GROWTH },
    Parser { name: "words", read: words, seeds: seeds::words, growth: GROWTH },
];

pub(crate) const PACK: PackId = PackId([3; 16]);
pub(crate) const SNAPSHOT: SnapshotId = SnapshotId([4; 16]);
const SECRET: [u8; 32] = [2; 32];

/// The key that everything sealed here is sealed under.
pub(crate) fn key() -> DataKey {
    DataKey::from_secret(DataKeyId([1; 16]), Zeroizing::new(SECRET))
}

pub(crate) fn account() -> AccountId {
    "123456789012".parse().expect("twelve digits")
}

pub(crate) fn region() -> Region {
    "us-east-1".parse().expect("a region")
}

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime starts"));
    RUNTIME.block_on(future)
}

/// A whole pack, from memory and from a store whose record claims any length for it.
fn pack(bytes: &[u8]) {
    _ = parse_header(bytes);
    drop(read_index(PACK, &key(), bytes));
    drop(reencrypt(PACK, &key(), &DataKey::from_secret(DataKeyId([9; 16]), Zeroizing::new([9; 32])), bytes));
    wait(async {
        let (store, mut pack) = store_of(bytes).await;
        for claimed in [pack.bytes, 0, HEADER_BYTES as u64, u64::MAX] {
            pack.bytes = claimed;
            drop(read_pack_index(&store, &account(), &pack, &key()).await);
        }
    });
}

/// The plaintext of an index, in a pack that is sound but for it.
fn pack_index(bytes: &[u8]) {
    let whole = seeds::pack_around(bytes);
    pack(&whole);
    for chunk in read_index(PACK, &key(), &whole).unwrap_or_default() {
        let sealed = &whole[chunk.offset as usize..][..chunk.sealed_len as usize];
        drop(Opener::new(&key()).open_chunk(&chunk.hash, sealed, chunk.plain_len));
    }
}

/// A chunk: its length as a manifest claims it (4 bytes) and its body, codec byte and all; and sealed bytes.
fn chunk(bytes: &[u8]) {
    drop(key().open(b"", bytes));
    if let Some((claimed, _)) = bytes.split_first_chunk::<4>()
        && let Some(Ok(plain)) = open_chunk(bytes)
    {
        assert_eq!(plain.len(), u32::from_le_bytes(*claimed) as usize);
    }
}

/// Opens a chunk after sealing it; `None` when the bytes are too few to be one.
pub(crate) fn open_chunk(bytes: &[u8]) -> Option<Result<Vec<u8>, BadSeal>> {
    let (claimed, body) = bytes.split_first_chunk::<4>()?;
    let hash = seeds::chunk_hash();
    let sealed = seal_body(&hash.0, body);
    drop(key().open(&hash.0, &sealed));
    drop(key().reseal(&key(), &hash.0, &sealed));
    Some(Opener::new(&key()).open_chunk(&hash, &sealed, u32::from_le_bytes(*claimed)))
}

/// Where a chunk lies, as a manifest says, of a pack that is sound.
fn location(bytes: &[u8]) {
    drop(fetch(bytes));
}

/// Reads what lies at a location; `None` when the bytes are none.
pub(crate) fn fetch(bytes: &[u8]) -> Option<Result<Vec<Bytes>, ChunkError>> {
    let location: ChunkLocation = postcard::from_bytes(bytes).ok()?;
    Some(wait(async {
        let (store, pack) = store_of(&seeds::pack()).await;
        let source = ChunkSource::new(store, account(), [pack], [(key().id(), key())].into());
        source.fetch(&[location]).await
    }))
}

/// The plaintext of a manifest's page.
fn page(bytes: &[u8]) {
    for found in items::<ManifestEntry>(bytes) {
        check_path(&found.entry.path);
        if let Content::Inline(extents) = &found.content {
            extents.iter().for_each(|extent| _ = extent.len());
        }
    }
    items::<Extent>(bytes).iter().for_each(|extent| _ = extent.len());
    drop(items::<ChunkLocation>(bytes));
    for omission in items::<Omission>(bytes) {
        check_path(&omission.path);
        drop(omission.to_string());
    }
}

fn items<T: PageItem>(bytes: &[u8]) -> Vec<T> {
    let items: Vec<T> = decode_page(bytes).unwrap_or_default();
    items.iter().for_each(|item| _ = item.ends_page(bytes.len()));
    items
}

/// The root of a manifest: its plaintext, and sealed.
fn root(bytes: &[u8]) {
    drop(Root::open(&key(), SNAPSHOT, bytes));
    if let Ok(root) = Root::open(&key(), SNAPSHOT, &root_around(bytes)) {
        drop(root.resource_created_at.to_string());
    }
}

pub(crate) fn root_around(plain: &[u8]) -> Vec<u8> {
    key().seal(&[b"offsite root".as_slice(), &SNAPSHOT.0].concat(), plain)
}

/// A record: as it is, with the checksum mended, and with the bytes as the head of a sound one.
fn record(bytes: &[u8]) {
    let body = &bytes[..bytes.len().saturating_sub(32)];
    for bytes in [bytes, &summed(body), &summed(&seeds::record_body_around(bytes))] {
        if let Ok(record) = Record::decode(bytes) {
            assert_eq!(Record::decode(&record.encode()), Ok(record));
        }
    }
}

/// A record of `body`, with its checksum.
pub(crate) fn summed(body: &[u8]) -> Vec<u8> {
    [body, blake3::hash(body).as_bytes()].concat()
}

/// A store's format file, or the one that names its catalog: as it is, and with its checksum mended.
fn format_file(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), seeds::format_file_mended(bytes)] {
        drop(wait(async {
            let inner = InMemory::new();
            inner.put(&Path::from("format.json"), bytes.clone().into()).await.expect("memory takes it");
            RegionStore::open(&region(), Arc::new(inner)).await
        }));
        drop(wait(async {
            let inner = Arc::new(InMemory::new());
            let store = RegionStore::create(&region(), inner.clone(), "0f").await.expect("memory takes it");
            inner.put(&Path::from("catalog.json"), bytes.into()).await.expect("memory takes it");
            store.of_catalog("0c").check_owner().await
        }));
    }
}

/// A key file, and the list of keys in one that is sound but for it.
fn key_file(bytes: &[u8]) {
    drop(KeyFile::parse(bytes));
    drop(KeyFile::parse(&seeds::key_file_around(bytes)));
}

/// A wrapped data key: as it is, and sealed under the material that it names.
fn wrapped_key(bytes: &[u8]) {
    drop(unwrap(bytes));
    drop(wrapped_around(bytes).map(|wrapped| unwrap(&wrapped)));
}

pub(crate) fn unwrap(wrapped: &[u8]) -> Result<DataKey, KeyError> {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let path = directory.path().join("kms.json");
    std::fs::write(&path, seeds::key_file_around(seeds::keys_json().as_bytes())).expect("a key file is written");
    let keys = KeyFileService::open(&region(), &path, Arc::new(SystemClock));
    wait(keys.unwrap(&seeds::wrap_context(), Wrapped { by: &seeds::kms_key(), bytes: wrapped }))
}

/// A wrapped key of a version (4 bytes) and a body, which is sealed here.
pub(crate) fn wrapped_around(bytes: &[u8]) -> Option<Vec<u8>> {
    let (version, body) = bytes.split_first_chunk::<4>()?;
    Some([version.as_slice(), &seal_body(&seeds::wrap_associated(), body)].concat())
}

/// The names of objects that someone else put into a store.
fn object_key(bytes: &[u8]) {
    let inner = InMemory::new();
    wait(async {
        for line in String::from_utf8_lossy(bytes).lines().take(16) {
            if let Ok(path) = Path::parse(line) {
                inner.put(&path, Bytes::new().into()).await.expect("memory takes it");
            }
        }
        let Ok(store) = RegionStore::create(&region(), Arc::new(inner), "0f").await else { return };
        for account in store.list_accounts().await.expect("memory is listed") {
            drop(store.list_packs(&account).await.expect("memory is listed"));
        }
        drop(store.list_records().await.expect("memory is listed"));
    });
}

/// Everything that people and other programs write as text.
fn words(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    reads_back::<AccountId>(&text);
    reads_back::<ResourceId>(&text);
    reads_back::<BackupId>(&text);
    reads_back::<KmsKeyId>(&text);
    reads_back::<PackId>(&text);
    reads_back::<DataKeyId>(&text);
    reads_back::<SnapshotId>(&text);
    reads_back::<ObjectName>(&text);
    reads_back::<ChunkHash>(&text);
    reads_back::<Region>(&text);
    reads_back::<Partition>(&text);
    reads_back::<ResourceKind>(&text);
    reads_back::<BackupState>(&text);
    drop(text.parse::<ByteSize>().map(|size| size.to_string()));
    let read_time = |text: &str| serde_json::from_value::<Timestamp>(text.into());
    if let Ok(time) = read_time(&text) {
        assert_eq!(read_time(&time.to_string()).ok(), Some(time));
    }
    if let Ok(path) = RelPath::new(bytes) {
        check_path(&path);
    }
}

fn reads_back<T: FromStr + Display + Debug + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse().ok(), Some(value));
    }
}

/// What a restore relies on when it joins a path to its target.
fn check_path(path: &RelPath) {
    drop((path.to_string(), path.parent()));
    for name in path.names() {
        assert!(name != b"." && name != b".." && !name.contains(&0), "{path}");
    }
    assert!(!path.as_bytes().starts_with(b"/"), "{path}");
}

/// Seals a body as it is, codec byte and all; [`DataKey::seal`] would write that byte itself.
fn seal_body(associated: &[u8], body: &[u8]) -> Vec<u8> {
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &SECRET).expect("a key of 32 bytes"));
    let nonce = [0; NONCE_LEN];
    let mut sealed = body.to_vec();
    let nonce_once = Nonce::assume_unique_for_key(nonce);
    cipher.seal_in_place_append_tag(nonce_once, Aad::from(associated), &mut sealed).expect("a short body");
    [nonce.as_slice(), &sealed].concat()
}

/// A store that holds `pack`, and where.
async fn store_of(pack: &[u8]) -> (RegionStore, PackRef) {
    let object_name = ObjectName([5; 32]);
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let store = RegionStore::create(&region(), inner, "0f").await.expect("memory takes it");
    store.put_pack(&account(), &object_name, [Bytes::copy_from_slice(pack)]).await.expect("memory takes it");
    (store, PackRef { id: PACK, object_name, bytes: pack.len() as u64, data_key: key().id() })
}
