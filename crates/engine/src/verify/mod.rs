//! Verifying backups, and mending their packs from another region.

mod checks;
mod part;

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;

use catalog::BackupFilter;
use checks::Checks;
use futures::StreamExt;
use model::{AccountId, BackupId, BackupState, PackId, RelPath};
use store::manifest::{Content, ManifestEntry};

use crate::backup::describe;
use crate::context::RegionContext;
use crate::error::EngineError;
use crate::keys::{open_root, unwrap_all};
use crate::manifest_view::reader_of;
use crate::progress::Progress;

pub use part::Part;

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

/// What is looked at, and how closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// How closely.
    pub depth: Depth,
    /// The packs that are read, if not all are: of the others it is only seen that they are there and have the right size.
    pub part: Option<Part>,
}

impl From<Depth> for Scope {
    fn from(depth: Depth) -> Self {
        Self { depth, part: None }
    }
}

impl Scope {
    /// How closely a pack is looked at.
    fn depth_of(&self, pack: &PackId) -> Depth {
        match self.part {
            Some(part) if !part.has(pack) => Depth::Quick,
            _ => self.depth,
        }
    }
}

/// What verifying one backup found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// Packs that were looked at.
    pub packs: u64,
    /// How many of these are not in the part that was to be read.
    pub packs_not_read: u64,
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
    /// Each backup, whose it is, and what is wrong with it, after mending. Those of one account come together.
    pub backups: Vec<(AccountId, BackupId, VerifyReport)>,
    /// Packs that were fetched from the other region.
    pub repaired: Vec<PackId>,
}

/// Rows read from the catalog at a time.
const PAGE: u32 = 1000;

/// Verifies one backup.
///
/// # Errors
/// When the backup cannot be found, or the store cannot be reached; damage is in the report.
pub async fn verify_backup(
    ctx: &RegionContext,
    account: &AccountId,
    backup: &BackupId,
    scope: impl Into<Scope>,
    progress: Arc<Progress>,
) -> Result<VerifyReport, EngineError> {
    crate::backups::load_available(ctx, account, backup).await?;
    ctx.store.still_there().await?;
    let mut checks = Checks::new(ctx, scope.into(), &progress);
    checks.verify(account, backup).await
}

/// Verifies every backup of those accounts in a region; packs that several backups share are read once.
///
/// With `repair_from`, a faulty pack is replaced by the other region's, if that is sound.
///
/// # Errors
/// When the catalog or the store cannot be reached.
pub async fn verify_region(
    ctx: &RegionContext,
    accounts: &[AccountId],
    scope: impl Into<Scope>,
    repair_from: Option<&RegionContext>,
    progress: Arc<Progress>,
) -> Result<RegionVerifyReport, EngineError> {
    let scope = scope.into();
    ctx.store.still_there().await?;
    let mut report = RegionVerifyReport::default();
    for account in accounts {
        verify_account(ctx, account, scope, repair_from, &progress, &mut report).await?;
    }
    Ok(report)
}

async fn verify_account(
    ctx: &RegionContext,
    account: &AccountId,
    scope: Scope,
    repair_from: Option<&RegionContext>,
    progress: &Progress,
    report: &mut RegionVerifyReport,
) -> Result<(), EngineError> {
    let mut checks = Checks::new(ctx, scope, progress);
    for backup in available(ctx, account).await? {
        let mut found = checks.verify(account, &backup).await?;
        if let Some(other) = repair_from.filter(|_| !found.faults.is_empty()) {
            let mut repaired = repair(ctx, other, account, &found, progress).await?;
            if !repaired.is_empty() {
                repaired.iter().for_each(|pack| checks.forget(pack));
                found = checks.verify(account, &backup).await?;
                // What was fetched may have the same fault.
                repaired.retain(|pack| found.faults.iter().all(|fault| fault.pack != Some(*pack)));
                report.repaired.extend(repaired);
            }
        }
        report.backups.push((account.clone(), backup, found));
    }
    Ok(())
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
        let mut extents = pin!(manifest.extents(&content));
        // Pages that cannot be read lie in packs that are named already.
        while let Some(Ok(extent)) = extents.next().await {
            needs.extend(extent.chunk().map(|chunk| chunk.pack));
        }
        for pack in packs.iter().filter(|pack| needs.contains(pack)) {
            files.entry(*pack).or_default().push(entry.path.clone());
        }
    }
    Ok(files)
}
