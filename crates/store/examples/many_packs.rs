//! Adds a backup of many small packs to a region, for `cargo xtask bench --growth`.
//!
//! A hundred thousand packs are terabytes when they are as large as packs are. What a copy does besides moving bytes depends on
//! how many packs a backup names, so here each holds one file of some kibibytes. All else is as a backup leaves it, but that
//! the root itself lists all pages of entries: the next day of the newest backup in the store, with that one's files and packs
//! and new ones after them, written by what writes every backup. `offsite rebuild` then makes the catalog's rows.

use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use model::{BackupId, ChunkLocation, Entry, EntryKind, Extent, PackId, RelPath, SnapshotId, SystemClock};
use store::keys::KeyFileService;
use store::manifest::{ChunkSink, Content, ManifestEntry, PageWriter, Root};
use store::region_store::open_directory;
use store::seal::hash_chunk;
use store::{Buffers, DataKey, KeyService, Lineage, PackBuilder, PackRef, Record, RegionStore, SealedPack, Sealer};
use store::{WrapContext, Wrapped};
use testkit::corpus::{Content as Bytes, Random};

/// Each pack's only chunk.
const FILE_BYTES: u32 = 2 << 10;

/// How many are written at once; each is synced.
const WRITES: usize = 16;

/// `many_packs FOLDER REGION PACKS`: the region's folder, as `offsite init` makes it, its name, and how many packs are added.
#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, region, packs] = arguments.as_slice() else { panic!("many_packs FOLDER REGION PACKS") };
    let (folder, region) = (Path::new(folder), region.parse().expect("a region's name"));
    let inner = open_directory(&folder.join("store")).expect("the region has a folder");
    let store = RegionStore::open(&region, inner).await.expect("the folder is a store");
    let keys = KeyFileService::open(&region, &folder.join("kms.json"), Arc::new(SystemClock));
    let before = newest(&store).await;
    let key = root_key(&before, &keys).await;
    let record = next_day(&store, before, key, packs.parse().expect("a number")).await;
    store.put_record(&record).await.expect("the store takes records");
    println!("{}", record.head.backup);
}

async fn newest(store: &RegionStore) -> Record {
    let mut newest: Option<Record> = None;
    for (account, backup) in store.list_records().await.expect("the store lists records") {
        let record = store.read_record(&account, &backup).await.expect("the store reads records");
        if newest.as_ref().is_none_or(|newest| newest.head.created_at < record.head.created_at) {
            newest = Some(record);
        }
    }
    newest.expect("there is a backup")
}

async fn root_key(record: &Record, keys: &KeyFileService) -> DataKey {
    let key = record.head.wrapped_keys.iter().find(|key| key.data_key == record.head.root_key);
    let key = key.expect("a record has its root's key");
    let context = WrapContext { account: record.head.account.clone(), data_key: key.data_key };
    let wrapped = Wrapped { by: &record.head.kms_key, bytes: &key.wrapped };
    keys.unwrap(&context, wrapped).await.expect("the region's keys unwrap it")
}

/// Stores the packs of the next day, and makes its record.
async fn next_day(store: &RegionStore, before: Record, key: DataKey, packs: u64) -> Record {
    let mut root = Root::open(&key, before.head.snapshot, &before.sealed_root).expect("its key opens the root");
    let Record { mut head, packs: mut table, .. } = before;
    let account = head.account.clone();
    let first = table.len() as u64;
    let buffers = Buffers::default();
    let pages = PackBuilder::new(new_pack(), key.id(), &buffers);
    let mut writer = Writer { sealer: Sealer::new(key.clone()), pages, buffers };
    let mut pages = PageWriter::default();
    let written = stream::iter(first..first + packs)
        .map(|serial| {
            let (pack, entry) = writer.pack_of(serial);
            pages.push(&entry, &mut writer).expect("memory takes all");
            let (store, account) = (store, &account);
            async move { put(store, account, pack).await }
        })
        .buffered(WRITES);
    table.extend(written.try_collect::<Vec<_>>().await.expect("the store takes packs"));
    // Their names come after those of all days before.
    root.entry_pages.extend(pages.finish(&mut writer).expect("memory takes all"));
    table.push(put(store, &account, writer.pages.finish(&key)).await.expect("the store takes packs"));
    // As backups list them.
    table.sort_unstable_by_key(|pack| pack.id);
    head.lineage = Lineage { parent: Some(head.backup), ..Lineage::default() };
    head.backup = BackupId::random(&mut rand::rng(), head.resource_kind);
    head.snapshot = SnapshotId::random(&mut rand::rng());
    head.created_at.0 += 1;
    head.totals.size_bytes += packs * u64::from(FILE_BYTES);
    head.totals.entry_count += packs;
    head.totals.stored_bytes = table.iter().map(|pack| pack.bytes).sum();
    let sealed_root = root.seal(&key, head.snapshot);
    Record { head, packs: table, sealed_root }
}

async fn put(store: &RegionStore, account: &model::AccountId, pack: SealedPack) -> Result<PackRef, store::StoreError> {
    let bytes = pack.bytes();
    let SealedPack { id, object_name, data_key, pieces } = pack;
    let row = PackRef { id, object_name, bytes, data_key };
    store.put_pack(account, &object_name, pieces).await?;
    Ok(row)
}

struct Writer {
    sealer: Sealer,
    /// Takes the manifest's pages.
    pages: PackBuilder,
    buffers: Buffers,
}

impl Writer {
    /// A file, and a pack of its own for it.
    fn pack_of(&mut self, serial: u64) -> (SealedPack, ManifestEntry) {
        let mut plain = Vec::new();
        Bytes::Incompressible.write(&mut plain, &mut Random::new(serial), FILE_BYTES.into()).expect("memory takes all");
        let key = self.sealer.key().clone();
        let mut builder = PackBuilder::new(new_pack(), key.id(), &self.buffers);
        let hash = hash_chunk(&plain);
        let chunk = builder.push(hash, FILE_BYTES, &self.sealer.seal_chunk(&hash, &plain));
        let entry = Entry {
            path: RelPath::new(format!("pack-{serial:09}")).expect("a path below the root"),
            kind: EntryKind::File { size: FILE_BYTES.into() },
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Default::default(),
            ctime: Default::default(),
            inode: Default::default(),
            links: 1,
            settled: true,
            xattrs: Vec::new(),
        };
        (builder.finish(&key), ManifestEntry { entry, content: Content::Inline(vec![Extent::Data { chunk }]) })
    }
}

impl ChunkSink for Writer {
    type Error = std::convert::Infallible;

    fn store(&mut self, plain: &[u8]) -> Result<ChunkLocation, Self::Error> {
        let (hash, plain_len) = (hash_chunk(plain), u32::try_from(plain.len()).expect("pages are far below 4 GiB"));
        Ok(self.pages.push(hash, plain_len, &self.sealer.seal_chunk(&hash, plain)))
    }
}

fn new_pack() -> PackId {
    PackId::random(&mut rand::rng())
}
