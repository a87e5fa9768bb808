//! Valid bytes of every kind, made by the real writers, and frames that are sound but for one part.

use std::sync::Arc;

use model::{
    BackupId, ChunkHash, ChunkLocation, DataKeyId, Entry, EntryKind, Extent, KmsKeyId, ObjectName, Omission, Origin,
};
use model::{Exclusions, OmissionKind, RelPath, ResourceKind, SourceKind, SystemClock, Timestamp};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use serde_json::Value;
use store::keys::KeyFileService;
use store::manifest::{ChunkSink, Content, ManifestEntry, PageItem, PageWriter, Root};
use store::pack::TRAILER_BYTES;
use store::record::{RecordedKey, Totals};
use store::seal::{Sealer, hash_chunk};
use store::{Buffers, KeyService, Lineage, PackBuilder, PackRef, Record, RecordHead, RegionStore, WrapContext};

use crate::parsers::{PACK, SNAPSHOT, account, key, region, wait};

/// Compresses well, so that one of the chunks is stored as zstd.
const TEXT: &[u8] = &[7; 5000];

pub(crate) fn chunk_hash() -> ChunkHash {
    hash_chunk(TEXT)
}

/// A pack of a compressed and an uncompressed chunk, and where they lie.
fn pack_and_locations() -> (Vec<u8>, Vec<ChunkLocation>) {
    let mut sealer = Sealer::new(key());
    let mut builder = PackBuilder::new(PACK, key().id(), &Buffers::default());
    let mut push = |plain: &[u8]| {
        let hash = hash_chunk(plain);
        builder.push(hash, len_of(plain), &sealer.seal_chunk(&hash, plain))
    };
    let locations = vec![push(TEXT), push(b"short")];
    (builder.finish(&key()).pieces.concat(), locations)
}

fn len_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("far below 4 GiB")
}

pub(crate) fn pack() -> Vec<u8> {
    pack_and_locations().0
}

pub(crate) fn packs() -> Vec<Vec<u8>> {
    let empty = PackBuilder::new(PACK, key().id(), &Buffers::default()).finish(&key());
    vec![pack(), empty.pieces.concat()]
}

/// The length of a pack's sealed index.
fn index_len(pack: &[u8]) -> usize {
    let trailer = pack.last_chunk::<TRAILER_BYTES>().expect("a pack has a trailer");
    u32::from_le_bytes(*trailer) as usize
}

fn index_context() -> Vec<u8> {
    [b"offsite pack index".as_slice(), &PACK.0, &key().id().0].concat()
}

pub(crate) fn pack_indexes() -> Vec<Vec<u8>> {
    let open = |pack: Vec<u8>| {
        let end = pack.len() - TRAILER_BYTES;
        let sealed = &pack[end - index_len(&pack)..end];
        key().open(&index_context(), sealed).expect("the writer's own index opens")
    };
    packs().into_iter().map(open).collect()
}

/// A pack whose index is sealed around `index`.
pub(crate) fn pack_around(index: &[u8]) -> Vec<u8> {
    let whole = pack();
    let chunks = &whole[..whole.len() - TRAILER_BYTES - index_len(&whole)];
    let sealed = key().seal(&index_context(), index);
    [chunks, &sealed, &len_of(&sealed).to_le_bytes()].concat()
}

/// Chunks as a length of four bytes and a body, codec byte and all.
pub(crate) fn chunks() -> Vec<Vec<u8>> {
    let zstd = zstd::bulk::compress(TEXT, 3).expect("memory suffices");
    let framed = |codec: u8, body: &[u8]| [len_of(TEXT).to_le_bytes().as_slice(), &[codec], body].concat();
    vec![framed(0, TEXT), framed(1, &zstd), Sealer::new(key()).seal_chunk(&chunk_hash(), TEXT)]
}

pub(crate) fn locations() -> Vec<Vec<u8>> {
    pack_and_locations().1.iter().map(encoded).collect()
}

fn encoded(value: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("serializing to memory")
}

/// Keeps the pages that a [`PageWriter`] stores.
#[derive(Default)]
struct Pages(Vec<Vec<u8>>);

impl ChunkSink for Pages {
    type Error = std::convert::Infallible;

    fn store(&mut self, plain: &[u8]) -> Result<ChunkLocation, Self::Error> {
        self.0.push(plain.to_vec());
        Ok(pack_and_locations().1[0])
    }
}

fn page_of<T: PageItem>(items: &[T]) -> Vec<u8> {
    let mut pages = Pages::default();
    let mut writer = PageWriter::default();
    for item in items {
        let Ok(()) = writer.push(item, &mut pages);
    }
    let Ok(_) = writer.finish(&mut pages);
    pages.0.concat()
}

pub(crate) fn pages() -> Vec<Vec<u8>> {
    let chunk = pack_and_locations().1[0];
    let extents = vec![
        Extent::Data { chunk },
        Extent::Slice { chunk, skip: 1, len: 2, hash: chunk.hash },
        Extent::Hole { len: 1 << 40 },
    ];
    let file = EntryKind::File { size: 1 << 41 };
    let entries = [
        entry("", EntryKind::Directory, Content::Empty),
        entry("a", EntryKind::Directory, Content::Empty),
        entry("a/few", file.clone(), Content::Inline(extents.clone())),
        entry("a/link", EntryKind::Symlink { target: b"../b".to_vec() }, Content::Empty),
        entry("b", file, Content::Paged(vec![chunk; 5])),
    ];
    let omission =
        Omission { path: path("a/b"), kind: OmissionKind::Unreadable, detail: "permission denied".to_owned() };
    vec![
        page_of(&entries),
        page_of(&extents),
        page_of(&[omission.clone(), omission]),
        page_of(&vec![extents[2]; 4000]),
        page_of(&[chunk; 5]),
    ]
}

fn path(text: &str) -> RelPath {
    RelPath::new(text).expect("a path below the root")
}

fn entry(at: &str, kind: EntryKind, content: Content) -> ManifestEntry {
    let entry = Entry {
        path: path(at),
        kind,
        mode: 0o755,
        uid: 1000,
        gid: 1000,
        mtime: Default::default(),
        ctime: Default::default(),
        inode: Default::default(),
        links: 1,
        settled: true,
        xattrs: vec![(b"user.a".to_vec(), b"value".to_vec())],
    };
    ManifestEntry { entry, content }
}

fn root() -> Root {
    Root {
        kind: SourceKind::Tree,
        source_path: b"/srv/data".to_vec(),
        resource_name: Some("data".to_owned()),
        resource_created_at: Timestamp(1_700_000_000_000),
        entry_pages: pack_and_locations().1,
        omission_pages: Vec::new(),
        exclusions: Exclusions { patterns: vec!["*.o".to_owned()], caches: true },
    }
}

/// Roots, in plain and sealed.
pub(crate) fn roots() -> Vec<Vec<u8>> {
    let plain = [&[1], encoded(&root()).as_slice()].concat();
    vec![plain, root().seal(&key(), SNAPSHOT)]
}

fn record() -> Record {
    let backup: BackupId = "snap-0a1b2c3d".parse().expect("an id");
    let head = RecordHead {
        backup: backup.clone(),
        account: account(),
        region: region(),
        resource: "disk-0a1b2c3d".parse().expect("an id"),
        resource_kind: ResourceKind::Disk,
        snapshot: SNAPSHOT,
        created_at: Timestamp(1_700_000_000_000),
        completed_at: Timestamp(1_700_000_000_001),
        lineage: Lineage { parent: Some(backup), source_region: Some(region()), ..Lineage::default() },
        kms_key: kms_key(),
        root_key: key().id(),
        wrapped_keys: vec![RecordedKey { data_key: key().id(), wrapped: vec![1; 65] }],
        tags: vec![("team".to_owned(), "storage".to_owned())],
        origin: Origin::User,
        attributes: "{}".to_owned(),
        expires_at: None,
        totals: Totals { size_bytes: 5005, stored_bytes: u64::MAX, ..Totals::default() },
    };
    let pack = PackRef { id: PACK, object_name: ObjectName([5; 32]), bytes: 900, data_key: key().id() };
    Record { head, packs: vec![pack; 3], sealed_root: root().seal(&key(), SNAPSHOT) }
}

fn head_json() -> Vec<u8> {
    serde_json::to_vec(&record().head).expect("serializing to memory")
}

/// Records, and the head of one.
pub(crate) fn records() -> Vec<Vec<u8>> {
    vec![record().encode(), head_json()]
}

/// A record without its checksum whose head is `head`.
pub(crate) fn record_body_around(head: &[u8]) -> Vec<u8> {
    let whole = record().encode();
    let (start, end) = (b"OFFSRECD".len() + 1, whole.len() - blake3::OUT_LEN);
    let after_head = start + size_of::<u64>() + head_json().len();
    [&whole[..start], &(head.len() as u64).to_le_bytes(), head, &whole[after_head..end]].concat()
}

/// Format files, and files that name a catalog.
pub(crate) fn format_files() -> Vec<Vec<u8>> {
    wait(async {
        let inner = Arc::new(InMemory::new());
        let store = RegionStore::create(&region(), inner.clone(), "0f").await.expect("memory takes it");
        store.of_catalog("0c").take_over().await.expect("memory takes it");
        let mut written = Vec::new();
        for name in ["format.json", "catalog.json"] {
            let file = inner.get(&name.into()).await.expect("it was written");
            written.push(file.bytes().await.expect("memory is read").to_vec());
        }
        written
    })
}

/// The same file with the checksum that its values ask for.
pub(crate) fn format_file_mended(bytes: &[u8]) -> Vec<u8> {
    let Ok(mut file) = serde_json::from_slice::<Value>(bytes) else { return bytes.to_vec() };
    let text = |name: &str| file.get(name).map(|value| value.to_string().replace('"', "")).unwrap_or_default();
    let last = if file.get("catalog_id").is_some() { "catalog_id" } else { "region" };
    let summed = ["format", "version", "store_id", last].map(text).join("\n");
    if let Some(checksum) = file.get_mut("checksum") {
        *checksum = blake3::hash(summed.as_bytes()).to_string().into();
    }
    file.to_string().into_bytes()
}

/// The keys of a key file with one key, in the form its checksum is made of.
pub(crate) fn keys_json() -> String {
    let secret = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key().secret());
    format!(
        r#"[{{"id":"{}","state":"ENABLED","default":true,"created_at":"2026-01-01T00:00:00.000Z","material":["{secret}"]}}]"#,
        kms_key()
    )
}

pub(crate) fn key_file_around(keys: &[u8]) -> Vec<u8> {
    let end = format!(r#","checksum":"{}"}}"#, blake3::hash(keys));
    [br#"{"version":1,"keys":"#, keys, end.as_bytes()].concat()
}

/// Key files, and the keys of one.
pub(crate) fn key_files() -> Vec<Vec<u8>> {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let path = directory.path().join("kms.json");
    let keys = KeyFileService::create(&region(), &path, Arc::new(SystemClock)).expect("a key file is made");
    let rotated = wait(async { keys.rotate(&keys.default_key().await?).await });
    rotated.expect("a key is rotated");
    vec![std::fs::read(&path).expect("it was written"), keys_json().into_bytes()]
}

pub(crate) fn kms_key() -> KmsKeyId {
    "0f0e0d0c-0b0a-4908-8706-050403020100".parse().expect("an id")
}

pub(crate) fn wrap_context() -> WrapContext {
    WrapContext { account: account(), data_key: DataKeyId([7; 16]) }
}

/// What a wrapped key is sealed with.
pub(crate) fn wrap_associated() -> Vec<u8> {
    let context = wrap_context();
    format!("offsite data key {} of {} under {}", context.data_key, context.account, kms_key()).into_bytes()
}

/// Wrapped keys: one as it is stored, and one that is yet to be sealed.
pub(crate) fn wrapped_keys() -> Vec<Vec<u8>> {
    let sealed = key().seal(&wrap_associated(), &[6; 32]);
    vec![[&[0; 4], sealed.as_slice()].concat(), [[0; 5].as_slice(), &[6; 32]].concat()]
}

pub(crate) fn object_keys() -> Vec<Vec<u8>> {
    let name = ObjectName([5; 32]);
    let all =
        ["format.json".to_owned(), format!("123456789012/packs/05/{name}"), format!("123456789012/packs/05/{name}#1")]
            .into_iter()
            .chain(["123456789012/backups/snap-0a1b2c3d/record".to_owned(), "123456789012/backups/record".to_owned()]);
    vec![all.collect::<Vec<_>>().join("\n").into_bytes()]
}

pub(crate) fn words() -> Vec<Vec<u8>> {
    let words = [
        "123456789012",
        "fs-0123456789abcdef0",
        "disk-0a1b2c3d",
        "cluster-abcdefghijk",
        "backup-0123456789abcdef0",
        "snap-0a1b2c3d",
        "0f0e0d0c-0b0a-4908-8706-050403020100",
        "03030303030303030303030303030303",
        "0505050505050505050505050505050505050505050505050505050505050505",
        "us-east-1",
        "64KiB",
        "18446744073709551615B",
        "AVAILABLE",
        "lustre",
        "2026-01-01T00:00:00.000Z",
        "-009999-01-02T01:59:59.999Z",
        "9999-12-30T22:00:00.999999999Z",
        "a/b c/ü",
    ];
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}
