//! Checking the packs and chunks of a region's backups, each once.
//!
//! To open every chunk, packs are read whole, once: hashed as they come, and opened chunk by chunk while the next ones are
//! read. What is left then is that the manifest names no other chunks than those. Chunks of the longest packs, which would
//! take too much memory, and any that no pack's index names, are read one by one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::stream::{self, StreamExt, TryStreamExt};
use model::{AccountId, BackupId, ChunkLocation, PackId, RelPath};
use store::manifest::{ManifestEntry, ManifestReader};
use store::{DataKey, KeyRing, PackRef, ReadFrom, Record};
use tokio::sync::mpsc;

use super::{Depth, Fault, Scope, VerifyReport};
use crate::backup::describe;
use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::keys::{OpenedRecord, open_root, unwrap_all};
use crate::manifest_view::reader_of;
use crate::progress::Progress;

/// Packs that are checked at the same time: while some wait for the disk, others are hashed and opened.
const PACKS_AT_ONCE: usize = 4;

/// Packs up to this length are opened whole: the usual length and what a last chunk may add.
const WHOLE_BYTES_MAX: u64 = 40 << 20;

/// Bytes of chunks that are opened together, or one chunk.
const GROUP_BYTES: u64 = 8 << 20;

/// Such groups that are read and opened at the same time.
const GROUPS_AT_ONCE: usize = 4;

/// What was checked, and how it was found.
pub(super) struct Checks<'a> {
    ctx: &'a RegionContext,
    scope: Scope,
    progress: &'a Progress,
    /// What is wrong with each pack that was looked at.
    packs: HashMap<PackId, Option<String>>,
    /// Chunks that were opened and found sound.
    sound: HashMap<PackId, HashSet<SoundChunk>>,
}

/// A chunk of some pack: where it lies, and enough of its hash to see that a manifest means this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct SoundChunk {
    offset: u32,
    sealed_len: u32,
    plain_len: u32,
    hash: [u8; 8],
}

impl SoundChunk {
    fn at(location: &ChunkLocation) -> Self {
        let &ChunkLocation { offset, sealed_len, plain_len, hash, .. } = location;
        Self { offset, sealed_len, plain_len, hash: hash.0[..8].try_into().expect("8 of 32 bytes") }
    }
}

impl<'a> Checks<'a> {
    pub(super) fn new(ctx: &'a RegionContext, scope: Scope, progress: &'a Progress) -> Self {
        Self { ctx, scope, progress, packs: HashMap::new(), sound: HashMap::new() }
    }

    /// Has a pack looked at again.
    pub(super) fn forget(&mut self, pack: &PackId) {
        self.packs.remove(pack);
        self.sound.remove(pack);
    }

    /// Checks a backup; damage is in the report.
    pub(super) async fn verify(&mut self, account: &AccountId, backup: &BackupId) -> Result<VerifyReport, EngineError> {
        let mut report = VerifyReport::default();
        let record = match self.ctx.store.read_record(account, backup).await {
            Ok(record) => record,
            Err(error) => {
                let error = EngineError::from(error);
                if error.kind() != ErrorKind::Damaged {
                    return Err(error);
                }
                report.faults.push(whole_fault(backup, &error));
                return Ok(report);
            }
        };
        self.progress.begin(&format!("verifying {backup}"), record.packs.iter().map(|pack| pack.bytes).sum());
        report.packs = record.packs.len() as u64;
        let is_not_read = |pack: &&PackRef| self.scope.part.is_some_and(|part| !part.has(&pack.id));
        report.packs_not_read = record.packs.iter().filter(is_not_read).count() as u64;
        report.bytes = record.packs.iter().map(|pack| pack.bytes).sum();
        // Whatever the depth: a backup whose keys or root do not open cannot be restored.
        let keys = unwrap_all(self.ctx, &record).await;
        report.chunks += self.check_packs(account, &record.packs, keys.as_ref().ok()).await?;
        report.faults.extend(self.unheld_packs(&record).await?);
        let mut faulty: BTreeMap<PackId, (String, String)> = BTreeMap::new();
        for pack in &record.packs {
            if let Some(Some(cause)) = self.packs.get(&pack.id) {
                faulty.insert(pack.id, (pack.object_name.to_string(), cause.clone()));
            }
        }
        let looked = match keys {
            Ok(keys) => self.look_inside(record, keys, &faulty, &mut report).await,
            Err(error) => Err(error),
        };
        match looked {
            Ok(files) => report.faults.extend(faulty.into_iter().map(|(pack, (object, cause))| Fault {
                pack: Some(pack),
                object,
                cause,
                files: files.get(&pack).cloned().unwrap_or_default(),
            })),
            Err(error) => {
                let unnamed = |(pack, (object, cause))| Fault { pack: Some(pack), object, cause, files: Vec::new() };
                report.faults.extend(faulty.into_iter().map(unnamed));
                report.faults.push(whole_fault(backup, &error));
            }
        }
        Ok(report)
    }

    /// Packs that the record names and the catalog does not: gc would not know that they are needed.
    async fn unheld_packs(&self, record: &Record) -> Result<Vec<Fault>, EngineError> {
        let edges = self.ctx.catalog.backup_packs(&record.head.backup).await?;
        let held: HashMap<PackId, _> = edges.into_iter().map(|row| (row.pack_id, row.object_name)).collect();
        let unheld = record.packs.iter().filter(|pack| held.get(&pack.id) != Some(&pack.object_name));
        Ok(unheld
            .map(|pack| Fault {
                pack: Some(pack.id),
                object: pack.object_name.to_string(),
                cause: "the catalog does not say that this backup needs it; rebuild the catalog".to_owned(),
                files: Vec::new(),
            })
            .collect())
    }

    /// Checks those packs that were not looked at yet. Returns how many chunks of them were opened.
    async fn check_packs(
        &mut self,
        account: &AccountId,
        packs: &[PackRef],
        keys: Option<&KeyRing>,
    ) -> Result<u64, EngineError> {
        let unseen: Vec<PackRef> = packs.iter().filter(|pack| !self.packs.contains_key(&pack.id)).copied().collect();
        let (check, progress) = (PackCheck::new(self.ctx, account, self.scope, keys), self.progress);
        let mut checked = stream::iter(unseen)
            .map(|pack| {
                let check = &check;
                async move {
                    let checked = check.check(&pack).await;
                    progress.advance(pack.bytes);
                    (pack.id, checked)
                }
            })
            .buffer_unordered(PACKS_AT_ONCE);
        let mut opened = 0;
        while let Some((pack, checked)) = checked.next().await {
            let fault = match checked {
                Ok(chunks) => {
                    opened += chunks.len() as u64;
                    self.sound.insert(pack, chunks);
                    None
                }
                Err(error) if error.kind() == ErrorKind::Damaged => Some(describe(&error)),
                Err(error) => return Err(error),
            };
            self.packs.insert(pack, fault);
        }
        Ok(opened)
    }

    /// Opens the manifest; reads every chunk that was not opened yet, if that is asked for; names the files of faulty packs.
    async fn look_inside(
        &mut self,
        record: Record,
        keys: KeyRing,
        faulty: &BTreeMap<PackId, (String, String)>,
        report: &mut VerifyReport,
    ) -> Result<HashMap<PackId, Vec<RelPath>>, EngineError> {
        let root = open_root(&record, &keys)?;
        if self.scope.depth != Depth::ReadData && faulty.is_empty() {
            return Ok(HashMap::new());
        }
        let manifest = reader_of(self.ctx, OpenedRecord { record, keys, root });
        if self.scope.depth == Depth::ReadData {
            self.progress.begin("comparing with the manifest", 0);
        }
        let (groups, incoming) = mpsc::channel(1);
        let progress = self.progress;
        let walked = self.walk(&manifest, faulty, groups);
        let opened = open_chunks(&manifest, incoming, progress);
        let ((files, handed_on), chunks) = tokio::try_join!(walked, opened)?;
        report.chunks += chunks;
        for (pack, chunk) in handed_on {
            self.sound.entry(pack).or_default().insert(chunk);
        }
        Ok(files)
    }

    /// Reads the manifest; hands on chunks that were not opened yet, if that is asked for, and lists them; names the files
    /// of faulty packs.
    async fn walk(
        &self,
        manifest: &ManifestReader,
        faulty: &BTreeMap<PackId, (String, String)>,
        groups: mpsc::Sender<Vec<ChunkLocation>>,
    ) -> Result<(HashMap<PackId, Vec<RelPath>>, HashSet<(PackId, SoundChunk)>), EngineError> {
        let (mut files, mut handed_on) = (HashMap::<PackId, Vec<RelPath>>::new(), HashSet::new());
        let (mut group, mut group_bytes) = (Vec::new(), 0);
        let mut entries = manifest.entries();
        while let Some(ManifestEntry { entry, content }) = entries.next().await? {
            let mut needs = HashSet::new();
            let mut extents = pin!(manifest.extents(&content));
            while let Some(extent) = extents.try_next().await? {
                let Some(chunk) = extent.chunk() else { continue };
                if faulty.contains_key(&chunk.pack) {
                    needs.insert(chunk.pack);
                }
                let is_wanted =
                    self.scope.depth_of(&chunk.pack) == Depth::ReadData && !faulty.contains_key(&chunk.pack);
                // One that the record does not list cannot be restored, though another backup's may.
                let is_sound = manifest.source().packs().contains_key(&chunk.pack) && self.is_sound(chunk);
                if is_wanted && !is_sound && handed_on.insert((chunk.pack, SoundChunk::at(chunk))) {
                    group_bytes += u64::from(chunk.plain_len);
                    group.push(*chunk);
                }
                if group_bytes >= GROUP_BYTES {
                    group_bytes = 0;
                    // Who opens them has stopped at an error, which is told there.
                    drop(groups.send(std::mem::take(&mut group)).await);
                }
            }
            for pack in needs {
                files.entry(pack).or_default().push(entry.path.clone());
            }
        }
        drop(groups.send(group).await);
        Ok((files, handed_on))
    }

    fn is_sound(&self, chunk: &ChunkLocation) -> bool {
        self.sound.get(&chunk.pack).is_some_and(|sound| sound.contains(&SoundChunk::at(chunk)))
    }
}

/// How the packs of one backup are checked.
struct PackCheck<'a> {
    ctx: &'a RegionContext,
    account: &'a AccountId,
    scope: Scope,
    keys: Option<&'a KeyRing>,
    /// What packs are read into, one after the other.
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl<'a> PackCheck<'a> {
    fn new(ctx: &'a RegionContext, account: &'a AccountId, scope: Scope, keys: Option<&'a KeyRing>) -> Self {
        Self { ctx, account, scope, keys, buffers: Mutex::default() }
    }

    /// Returns the chunks that were opened.
    async fn check(&self, pack: &PackRef) -> Result<HashSet<SoundChunk>, EngineError> {
        let (store, account) = (&self.ctx.store, self.account);
        match (self.scope.depth_of(&pack.id), self.keys.and_then(|keys| keys.get(&pack.data_key))) {
            (Depth::Quick, _) => match store.pack_len(account, &pack.object_name).await? {
                len if len == pack.bytes => {}
                len => return Err(of_wrong_length(pack, len)),
            },
            (Depth::ReadData, Some(key)) if pack.bytes <= WHOLE_BYTES_MAX => return self.open(pack, key).await,
            // Its chunks are read from the cache afterwards.
            (Depth::ReadData, _) => store.verify_pack(account, &pack.object_name, ReadFrom::Cache).await?,
            (Depth::Hash, _) => store.verify_pack(account, &pack.object_name, ReadFrom::Disk).await?,
        }
        Ok(HashSet::new())
    }

    /// Reads a whole pack and opens all its chunks.
    async fn open(&self, pack: &PackRef, key: &DataKey) -> Result<HashSet<SoundChunk>, EngineError> {
        let mut bytes = self.buffers().pop().unwrap_or_default();
        bytes.clear();
        bytes.reserve(usize::try_from(pack.bytes.min(WHOLE_BYTES_MAX)).expect("it is far below 4 GiB"));
        let read = self.ctx.store.read_pack_into(self.account, &pack.object_name, ReadFrom::Disk, bytes).await;
        let mut bytes = read?;
        if bytes.len() as u64 != pack.bytes {
            return Err(of_wrong_length(pack, bytes.len() as u64));
        }
        let (id, key) = (pack.id, key.clone());
        let opened = tokio::task::spawn_blocking(move || (store::pack::open_all(id, &key, &mut bytes), bytes));
        let (opened, bytes) = opened.await.expect("opening a pack does not panic");
        self.buffers().push(bytes);
        let chunks = opened.map_err(|error| damaged(error.to_string()))?;
        Ok(chunks.iter().map(SoundChunk::at).collect())
    }

    fn buffers(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        // What it guards is whole at every instant.
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_wrong_length(pack: &PackRef, bytes: u64) -> EngineError {
    damaged(format!("it has {bytes} bytes instead of {}", pack.bytes))
}

fn damaged(cause: String) -> EngineError {
    EngineError::refused(ErrorKind::Damaged, cause)
}

/// Opens chunks, several groups at the same time. Returns how many there were.
async fn open_chunks(
    manifest: &ManifestReader,
    mut groups: mpsc::Receiver<Vec<ChunkLocation>>,
    progress: &Progress,
) -> Result<u64, EngineError> {
    let mut opened = stream::poll_fn(move |context| groups.poll_recv(context))
        .map(|group| async move { manifest.source().fetch(&group).await.map(|_| group) })
        .buffer_unordered(GROUPS_AT_ONCE);
    let mut chunks = 0;
    while let Some(group) = opened.next().await {
        let group = group?;
        chunks += group.len() as u64;
        progress.advance(group.iter().map(|chunk| u64::from(chunk.plain_len)).sum());
    }
    Ok(chunks)
}

fn whole_fault(backup: &BackupId, error: &EngineError) -> Fault {
    Fault { pack: None, object: format!("backup {backup}"), cause: describe(error), files: Vec::new() }
}
