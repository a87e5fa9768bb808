//! Manifests: what a backup holds, as pages of entries that are chunks like any other.
//!
//! The root lies sealed in the backup's record and lists the pages, or pages of references to them: a tree, all of whose leaves
//! are equally deep. Pages are cut at boundaries that depend on what they hold and not on where it stands, so an unchanged
//! directory yields the same pages, and so the same chunks, the next day.

mod page;
mod read;
mod write;

use model::{ChunkLocation, Entry, Exclusions, Extent, SourceKind};
use serde::{Deserialize, Serialize};

pub use page::{BadPage, PageItem, decode_page};
pub use read::{EntryReader, ManifestReader};
pub use write::{ChunkSink, ContentWriter, PageWriter, rooted};

use crate::seal::{BadSeal, DataKey};

/// Where a file's bytes are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// There are none: empty files and everything that is no file.
    #[default]
    Empty,
    /// A few extents, in the order of the file.
    Inline(Vec<Extent>),
    /// Pages of extents, in the order of the file.
    Paged(Vec<ChunkLocation>),
}

/// One entry of a manifest: a file, directory or other node, and where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// All of it but its bytes.
    pub entry: Entry,
    /// Where its bytes are.
    pub content: Content,
}

/// The top of a manifest. Sealed in the backup's record: names appear nowhere in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// How the resource was read.
    pub kind: SourceKind,
    /// The path that was read, as the machine that read it has it.
    pub source_path: Vec<u8>,
    /// The resource's display name.
    pub resource_name: Option<String>,
    /// When the resource was added to its region.
    pub resource_created_at: model::Timestamp,
    /// Pages of [`ManifestEntry`], in path order, or of references to such pages. An image has one entry: the root, a file.
    pub entry_pages: Vec<ChunkLocation>,
    /// Pages of [`model::Omission`]: what was left out.
    pub omission_pages: Vec<ChunkLocation>,
    /// What the resource's backups leave out. Behind the rest, where there is any: versions that know of none read past it.
    #[serde(skip)]
    pub exclusions: Exclusions,
}

const ROOT_VERSION: u8 = 1;

impl Root {
    /// Seals the root under `key`; `context` is the snapshot's id, the same for every copy.
    pub fn seal(&self, key: &DataKey, context: model::SnapshotId) -> Vec<u8> {
        let mut plain = vec![ROOT_VERSION];
        plain = postcard::to_extend(self, plain).expect("serializing to memory");
        if !self.exclusions.is_empty() {
            plain = postcard::to_extend(&self.exclusions, plain).expect("serializing to memory");
        }
        key.seal(&root_context(context), &plain)
    }

    /// Opens a sealed root.
    ///
    /// # Errors
    /// [`BadSeal`] when it is damaged or belongs to another snapshot or key.
    pub fn open(key: &DataKey, context: model::SnapshotId, sealed: &[u8]) -> Result<Self, BadSeal> {
        let plain = key.open(&root_context(context), sealed)?;
        match plain.split_first() {
            Some((&ROOT_VERSION, rest)) => Self::decode(rest).map_err(|_| BadSeal),
            _ => Err(BadSeal),
        }
    }

    fn decode(plain: &[u8]) -> postcard::Result<Self> {
        let (root, rest) = postcard::take_from_bytes::<Self>(plain)?;
        let exclusions = if rest.is_empty() { Exclusions::default() } else { postcard::from_bytes(rest)? };
        Ok(Self { exclusions, ..root })
    }
}

fn root_context(snapshot: model::SnapshotId) -> Vec<u8> {
    [b"offsite root".as_slice(), &snapshot.0].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::sync::Arc;

    use model::{AccountId, ChunkHash, DataKeyId, EntryKind, PackId, RelPath, Timestamp};
    use object_store::memory::InMemory;
    use zeroize::Zeroizing;

    use super::*;
    use crate::pack::PackBuilder;
    use crate::piece::Buffers;
    use crate::seal::{Sealer, hash_chunk};
    use crate::{ChunkError, ChunkSource, PackRef, RegionStore};

    fn key() -> DataKey {
        DataKey::from_secret(DataKeyId([1; 16]), Zeroizing::new([2; 32]))
    }

    /// A pack that takes pages, each of them once.
    struct Sink {
        sealer: Sealer,
        pack: PackBuilder,
        stored: HashMap<ChunkHash, ChunkLocation>,
    }

    impl Sink {
        fn new() -> Self {
            let pack = PackBuilder::new(PackId([3; 16]), key().id(), &Buffers::default());
            Self { sealer: Sealer::new(key()), pack, stored: HashMap::new() }
        }

        /// Writes a manifest, and returns what its root lists.
        fn write(&mut self, entries: &[ManifestEntry]) -> Vec<ChunkLocation> {
            let mut pages = PageWriter::default();
            for entry in entries {
                let Ok(()) = pages.push(entry, self);
            }
            let Ok(pages) = pages.finish(self);
            let Ok(root) = rooted(pages, self);
            root
        }

        fn write_references(&mut self, pages: &[ChunkLocation]) -> Vec<ChunkLocation> {
            let mut writer = PageWriter::default();
            for page in pages {
                let Ok(()) = writer.push(page, self);
            }
            let Ok(references) = writer.finish(self);
            references
        }

        /// Reads what a root that lists `pages` leads to, and how many pages that were.
        async fn read(self, pages: Vec<ChunkLocation>) -> Result<(Vec<ManifestEntry>, usize), ChunkError> {
            let account: AccountId = "123456789012".parse().unwrap();
            let store = RegionStore::create(&"us-east-1".parse().unwrap(), Arc::new(InMemory::new()), "0f").await;
            let (store, pack) = (store.unwrap(), self.pack.finish(&key()));
            let held =
                PackRef { id: pack.id, object_name: pack.object_name, bytes: pack.bytes(), data_key: key().id() };
            store.put_pack(&account, &pack.object_name, pack.pieces).await.unwrap();
            let source = ChunkSource::new(store, account, [held], [(key().id(), key())].into());
            let root = Root {
                kind: SourceKind::Tree,
                source_path: Vec::new(),
                resource_name: None,
                resource_created_at: Timestamp(0),
                entry_pages: pages,
                omission_pages: Vec::new(),
                exclusions: Exclusions::default(),
            };
            let mut reader = ManifestReader::new(Arc::new(source), root).entries();
            let mut entries = Vec::new();
            while let Some(entry) = reader.next().await? {
                entries.push(entry);
            }
            let pages: HashSet<ChunkHash> = reader.pages_read().iter().map(|page| page.hash).collect();
            Ok((entries, pages.len()))
        }
    }

    impl ChunkSink for Sink {
        type Error = std::convert::Infallible;

        fn store(&mut self, plain: &[u8]) -> Result<ChunkLocation, Self::Error> {
            let hash = hash_chunk(plain);
            if let Some(stored) = self.stored.get(&hash) {
                return Ok(*stored);
            }
            let sealed = self.sealer.seal_chunk(&hash, plain);
            let location = self.pack.push(hash, u32::try_from(plain.len()).unwrap(), &sealed);
            self.stored.insert(hash, location);
            Ok(location)
        }
    }

    fn entry(number: usize) -> ManifestEntry {
        let entry = Entry {
            path: RelPath::new(format!("{:03}/{:03}", number / 1000, number % 1000)).unwrap(),
            kind: EntryKind::Directory,
            mode: 0o755,
            uid: 1000,
            gid: 1000,
            mtime: Default::default(),
            ctime: Default::default(),
            inode: Default::default(),
            links: 1,
            settled: true,
            xattrs: Vec::new(),
        };
        ManifestEntry { entry, content: Content::Empty }
    }

    #[tokio::test]
    async fn manifests_of_any_height_are_read_as_they_were_written() {
        for count in [0, 1, 1000, 20_000, 200_000] {
            let entries: Vec<ManifestEntry> = (0..count).map(entry).collect();
            let mut sink = Sink::new();
            let root = sink.write(&entries);
            assert!(root.len() <= 64, "{count} entries make a root of {} pages", root.len());
            let stored = sink.stored.len();
            let (read, pages) = sink.read(root).await.unwrap();
            assert!(read == entries, "{} of {count} entries are read, or others", read.len());
            assert_eq!(pages, stored, "with {count} entries");
        }
    }

    #[test]
    fn exclusions_stand_behind_a_root_that_is_read_without_them() {
        let plain = Root {
            kind: SourceKind::Tree,
            source_path: b"/srv".to_vec(),
            resource_name: None,
            resource_created_at: Timestamp(1),
            entry_pages: Vec::new(),
            omission_pages: Vec::new(),
            exclusions: Exclusions::default(),
        };
        let snapshot = model::SnapshotId([7; 16]);
        let exclusions = Exclusions { patterns: vec!["*.o".to_owned()], caches: true };
        let excluding = Root { exclusions, ..plain.clone() };
        for root in [&plain, &excluding] {
            assert_eq!(Root::open(&key(), snapshot, &root.seal(&key(), snapshot)).as_ref(), Ok(root));
        }
        let opened = |root: &Root| key().open(&root_context(snapshot), &root.seal(&key(), snapshot)).unwrap();
        assert!(opened(&excluding).starts_with(&opened(&plain)));
        let cut = key().seal(&root_context(snapshot), opened(&excluding).split_last().unwrap().1);
        assert_eq!(Root::open(&key(), snapshot, &cut), Err(BadSeal));
    }

    #[test]
    fn a_change_makes_few_pages_anew() {
        let mut entries: Vec<ManifestEntry> = (0..200_000).map(entry).collect();
        let mut sink = Sink::new();
        sink.write(&entries);
        let stored = sink.stored.len();
        entries[123_456].entry.mode = 0o700;
        sink.write(&entries);
        assert!(sink.stored.len() - stored <= 3, "{} pages are new", sink.stored.len() - stored);
        entries.remove(77_777);
        sink.write(&entries);
        assert!(sink.stored.len() - stored <= 8, "{} pages are new", sink.stored.len() - stored);
    }

    #[tokio::test]
    async fn pages_that_lead_nowhere_or_in_circles_are_damage() {
        let entries: Vec<ManifestEntry> = (0..100).map(entry).collect();
        // The same entries twice.
        let mut sink = Sink::new();
        let leaves = sink.write(&entries);
        let twice = sink.write_references(&[leaves.clone(), leaves.clone()].concat());
        assert!(matches!(sink.read(twice).await, Err(ChunkError::Damaged { .. })));
        // Pages of both kinds on one level.
        let mut sink = Sink::new();
        let leaves = sink.write(&entries[..50]);
        let others = sink.write(&entries[50..]);
        let references = sink.write_references(&others);
        assert!(matches!(sink.read([leaves, references].concat()).await, Err(ChunkError::Damaged { .. })));
        // As deep as may be, and deeper.
        for references in [7, 8] {
            let mut sink = Sink::new();
            let mut pages = sink.write(&entries);
            for _ in 0..references {
                pages = sink.write_references(&pages);
            }
            assert_eq!(sink.read(pages).await.is_ok(), references == 7);
        }
        // Pages without items.
        for kind in [1, 4] {
            let mut sink = Sink::new();
            let Ok(empty) = sink.store(&[1, kind]);
            assert!(matches!(sink.read(vec![empty]).await, Err(ChunkError::Damaged { .. })));
        }
    }
}
