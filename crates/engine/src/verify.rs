//! Verifying backups, and mending their packs from another region.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use catalog::BackupFilter;
use futures::stream::{self, StreamExt};
use model::{AccountId, BackupId, BackupState, ChunkLocation, Extent, PackId, RelPath};
use store::manifest::{Content, ManifestEntry, ManifestReader};
use store::{ChunkError, KeyRing, PackRef, ReadFrom};
use tokio::sync::mpsc;

use crate::backup::describe;
use crate::context::RegionContext;
use crate::error::EngineError;
use crate::keys::{open_root, unwrap_all};
use crate::manifest_view::reader_of;
use crate::progress::Progress;

/// How closely a backup is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Every pack is there and has the right size.
    Quick,
    /// Every pack is read and hashed.
    Hash,
    /// Every chunk is opened and checked, too.
    ReadData,
}

/// What verifying one backup found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// Packs that were looked at.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Chunks that were opened.
    pub chunks: u64,
    /// What is wrong; nothing, one hopes.
    pub faults: Vec<Fault>,
}

/// One thing that is wrong with a backup.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The pack, where it is one.
    pub pack: Option<PackId>,
    /// The object's name.
    pub object: String,
    /// What is wrong with it.
    pub cause: String,
    /// The files that need it.
    pub files: Vec<RelPath>,
}

/// What verifying a region found.
#[derive(Clone, Debug, Default)]
pub struct RegionVerifyReport {
    /// Each backup and what is wrong with it, after mending.
    pub backups: Vec<(BackupId, VerifyReport)>,
    /// Packs that were fetched from the other region.
    pub repaired: Vec<PackId>,
}

/// Packs that are read and hashed at the same time: while some wait for the disk, others are hashed.
const PACKS_AT_ONCE: usize = 4;

/// Rows read from the catalog at a time.
const PAGE: u32 = 1000;

/// Bytes of chunks that are opened together, or one chunk.
const GROUP_BYTES: u64 = 8 << 20;

/// Such groups that are read and opened at the same time.
const GROUPS_AT_ONCE: usize = 4;

/// Verifies one backup.
///
/// # Errors
/// When the backup cannot be found, or the store cannot be reached; damage is in the report.
pub async fn verify_backup(
    ctx: &RegionContext,
    account: &AccountId,
    backup: &BackupId,
    depth: Depth,
    progress: Arc<Progress>,
) -> Result<VerifyReport, EngineError> {
    crate::backups::load_available(ctx, account, backup).await?;
    ctx.store.still_there().await?;
    let mut checks = Checks { ctx, depth, progress: &progress, packs: HashMap::new(), chunks: HashSet::new() };
    checks.verify(account, backup).await
}

/// Verifies every backup of an account in a region; packs that several backups share are read once.
///
/// With `repair_from`, a faulty pack is replaced by the other region's, if that is sound.
///
/// # Errors
/// When the catalog or the store cannot be reached.
pub async fn verify_region(
    ctx: &RegionContext,
    account: &AccountId,
    depth: Depth,
    repair_from: Option<&RegionContext>,
    progress: Arc<Progress>,
) -> Result<RegionVerifyReport, EngineError> {
    ctx.store.still_there().await?;
    let backups = available(ctx, account).await?;
    let mut report = RegionVerifyReport::default();
    let mut checks = Checks { ctx, depth, progress: &progress, packs: HashMap::new(), chunks: HashSet::new() };
    for backup in backups {
        let mut found = checks.verify(account, &backup).await?;
        if let Some(other) = repair_from.filter(|_| !found.faults.is_empty()) {
            let repaired = repair(ctx, other, account, &found, &progress).await?;
            if !repaired.is_empty() {
                repaired.iter().for_each(|pack| checks.forget(pack));
                report.repaired.extend(repaired);
                found = checks.verify(account, &backup).await?;
            }
        }
        report.backups.push((backup, found));
    }
    Ok(report)
}

async fn available(ctx: &RegionContext, account: &AccountId) -> Result<Vec<BackupId>, EngineError> {
    let mut ids = Vec::new();
    let mut after = None;
    loop {
        let filter = BackupFilter { after, limit: PAGE, ..BackupFilter::default() };
        let page = ctx.catalog.list_backups(account, &filter).await?;
        let Some(last) = page.last() else { return Ok(ids) };
        after = Some((last.created_at, last.id.clone()));
        ids.extend(page.into_iter().filter(|row| row.state == BackupState::Available).map(|row| row.id));
    }
}

/// Replaces faulty packs by another region's.
async fn repair(
    ctx: &RegionContext,
    other: &RegionContext,
    account: &AccountId,
    report: &VerifyReport,
    progress: &Progress,
) -> Result<Vec<PackId>, EngineError> {
    let faulty: Vec<PackId> = report.faults.iter().filter_map(|fault| fault.pack).collect();
    let rows = |ctx: &RegionContext| {
        let (catalog, faulty, account) = (ctx.catalog.clone(), faulty.clone(), account.clone());
        async move { catalog.held_packs(&account, &faulty).await }
    };
    let there: HashMap<PackId, _> = rows(other).await?.into_iter().map(|row| (row.pack_id, row)).collect();
    let mut repaired = Vec::new();
    for here in rows(ctx).await? {
        let id = here.pack_id;
        let Some(good) = there.get(&id).filter(|row| row.object_name == here.object_name) else {
            progress.note(format!("{} does not have pack {id} in the form that {} needs", other.region, ctx.region));
            continue;
        };
        match other.store.read_pack(account, &good.object_name).await {
            Ok(bytes) => {
                ctx.store.put_pack(account, &here.object_name, [bytes]).await?;
                progress.note(format!("pack {id} was fetched from {}", other.region));
                repaired.push(id);
            }
            Err(error) => progress.note(format!("pack {id} is no better in {}: {}", other.region, describe(&error))),
        }
    }
    Ok(repaired)
}

/// The files of a backup that need each of `packs`.
pub(crate) async fn files_needing(
    ctx: &RegionContext,
    account: &AccountId,
    backup: &BackupId,
    packs: &[PackId],
) -> Result<HashMap<PackId, Vec<RelPath>>, EngineError> {
    let record = ctx.store.read_record(account, backup).await?;
    let keys = unwrap_all(ctx, &record).await?;
    let root = open_root(&record, &keys)?;
    let manifest = reader_of(ctx, crate::keys::OpenedRecord { record, keys, root });
    let mut files: HashMap<PackId, Vec<RelPath>> = HashMap::new();
    let mut entries = manifest.entries();
    while let Some(ManifestEntry { entry, content }) = entries.next().await? {
        let mut needs = HashSet::new();
        if let Content::Paged(pages) = &content {
            needs.extend(pages.iter().map(|page| page.pack));
        }
        let listed = manifest.extents(&content, |extent| {
            needs.extend(extent.chunk().map(|chunk| chunk.pack));
            Ok::<_, ChunkError>(())
        });
        // Pages that cannot be read lie in packs that are named already.
        drop(listed.await);
        for pack in packs.iter().filter(|pack| needs.contains(pack)) {
            files.entry(*pack).or_default().push(entry.path.clone());
        }
    }
    Ok(files)
}

/// Checks packs and chunks, each once.
struct Checks<'a> {
    ctx: &'a RegionContext,
    depth: Depth,
    progress: &'a Progress,
    /// What is wrong with each pack that was looked at.
    packs: HashMap<PackId, Option<String>>,
    /// Chunks that were opened and found sound.
    chunks: HashSet<(PackId, u32)>,
}

impl Checks<'_> {
    fn forget(&mut self, pack: &PackId) {
        self.packs.remove(pack);
        self.chunks.retain(|(of, _)| of != pack);
    }

    async fn verify(&mut self, account: &AccountId, backup: &BackupId) -> Result<VerifyReport, EngineError> {
        let mut report = VerifyReport::default();
        let record = match self.ctx.store.read_record(account, backup).await {
            Ok(record) => record,
            Err(error) => {
                let error = EngineError::from(error);
                if error.kind() != crate::ErrorKind::Damaged {
                    return Err(error);
                }
                report.faults.push(whole_fault(backup, &error));
                return Ok(report);
            }
        };
        self.progress.begin(&format!("verifying {backup}"), record.packs.iter().map(|pack| pack.bytes).sum());
        report.packs = record.packs.len() as u64;
        report.bytes = record.packs.iter().map(|pack| pack.bytes).sum();
        self.check_packs(account, &record.packs).await?;
        report.faults.extend(self.unheld_packs(&record).await?);
        let mut faulty: BTreeMap<PackId, (String, String)> = BTreeMap::new();
        for pack in &record.packs {
            if let Some(Some(cause)) = self.packs.get(&pack.id) {
                faulty.insert(pack.id, (pack.object_name.to_string(), cause.clone()));
            }
        }
        match self.look_inside(record, &faulty, &mut report).await {
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
    async fn unheld_packs(&self, record: &store::Record) -> Result<Vec<Fault>, EngineError> {
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

    async fn check_packs(&mut self, account: &AccountId, packs: &[PackRef]) -> Result<(), EngineError> {
        let unseen: Vec<PackRef> = packs.iter().filter(|pack| !self.packs.contains_key(&pack.id)).copied().collect();
        let (store, depth, progress) = (&self.ctx.store, self.depth, self.progress);
        let mut checked = stream::iter(unseen)
            .map(|pack| async move {
                let checked = match depth {
                    Depth::Quick => match store.pack_len(account, &pack.object_name).await {
                        Ok(len) if len == pack.bytes => Ok(()),
                        Ok(len) => return (pack, Ok(Some(format!("it has {len} bytes instead of {}", pack.bytes)))),
                        Err(error) => Err(error),
                    },
                    Depth::Hash => store.verify_pack(account, &pack.object_name, ReadFrom::Disk).await,
                    // Its chunks are read from the cache afterwards.
                    Depth::ReadData => store.verify_pack(account, &pack.object_name, ReadFrom::Cache).await,
                };
                progress.advance(pack.bytes);
                match checked.map_err(EngineError::from) {
                    Ok(()) => (pack, Ok(None)),
                    Err(error) if error.kind() == crate::ErrorKind::Damaged => (pack, Ok(Some(describe(&error)))),
                    Err(error) => (pack, Err(error)),
                }
            })
            .buffer_unordered(PACKS_AT_ONCE);
        while let Some((pack, fault)) = checked.next().await {
            self.packs.insert(pack.id, fault?);
        }
        Ok(())
    }

    /// Opens the manifest; reads every chunk if that is asked for; names the files of faulty packs.
    async fn look_inside(
        &mut self,
        record: store::Record,
        faulty: &BTreeMap<PackId, (String, String)>,
        report: &mut VerifyReport,
    ) -> Result<HashMap<PackId, Vec<RelPath>>, EngineError> {
        // Whatever the depth: a backup whose keys or root do not open cannot be restored.
        let keys: KeyRing = unwrap_all(self.ctx, &record).await?;
        let root = open_root(&record, &keys)?;
        if self.depth != Depth::ReadData && faulty.is_empty() {
            return Ok(HashMap::new());
        }
        let manifest = reader_of(self.ctx, crate::keys::OpenedRecord { record, keys, root });
        if self.depth == Depth::ReadData {
            self.progress.begin("opening every chunk", 0);
        }
        let (groups, incoming) = mpsc::channel(1);
        let progress = self.progress;
        let walked = self.walk(&manifest, faulty, groups);
        let opened = open_chunks(&manifest, incoming, progress);
        let ((files, sound), chunks) = tokio::try_join!(walked, opened)?;
        report.chunks += chunks;
        self.chunks.extend(sound);
        Ok(files)
    }

    /// Reads the manifest; hands on chunks that were not opened yet, if that is asked for, and lists them; names the files
    /// of faulty packs.
    async fn walk(
        &self,
        manifest: &ManifestReader,
        faulty: &BTreeMap<PackId, (String, String)>,
        groups: mpsc::Sender<Vec<ChunkLocation>>,
    ) -> Result<(HashMap<PackId, Vec<RelPath>>, HashSet<(PackId, u32)>), EngineError> {
        let (mut files, mut handed_on) = (HashMap::<PackId, Vec<RelPath>>::new(), HashSet::new());
        let (mut group, mut group_bytes) = (Vec::new(), 0);
        let mut entries = manifest.entries();
        while let Some(ManifestEntry { entry, content }) = entries.next().await? {
            let mut needs = HashSet::new();
            for extent in extents_of(manifest, &content).await? {
                let Some(chunk) = extent.chunk() else { continue };
                needs.insert(chunk.pack);
                let place = (chunk.pack, chunk.offset);
                let is_wanted = self.depth == Depth::ReadData && !faulty.contains_key(&chunk.pack);
                if is_wanted && !self.chunks.contains(&place) && handed_on.insert(place) {
                    group_bytes += u64::from(chunk.plain_len);
                    group.push(*chunk);
                }
                if group_bytes >= GROUP_BYTES {
                    group_bytes = 0;
                    // Who opens them has stopped at an error, which is told there.
                    drop(groups.send(std::mem::take(&mut group)).await);
                }
            }
            for pack in faulty.keys().filter(|pack| needs.contains(pack)) {
                files.entry(*pack).or_default().push(entry.path.clone());
            }
        }
        drop(groups.send(group).await);
        Ok((files, handed_on))
    }
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

async fn extents_of(manifest: &ManifestReader, content: &Content) -> Result<Vec<Extent>, ChunkError> {
    let mut extents = Vec::new();
    let collect = |extent| {
        extents.push(extent);
        Ok::<_, ChunkError>(())
    };
    manifest.extents(content, collect).await?;
    Ok(extents)
}

fn whole_fault(backup: &BackupId, error: &EngineError) -> Fault {
    Fault { pack: None, object: format!("backup {backup}"), cause: describe(error), files: Vec::new() }
}
