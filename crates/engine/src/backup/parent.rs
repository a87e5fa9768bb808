//! The parent: the earlier backup of the same resource that a new one is compared with.

use std::collections::HashMap;
use std::sync::Arc;

use catalog::BackupRow;
use model::{ChunkHash, ChunkLocation, Entry, Extent, PackId, RelPath};
use store::manifest::{Content, EntryReader, ManifestEntry, ManifestReader};
use store::{ChunkError, PackRef};
use tokio::runtime::Handle;

use super::chunk_table::{ChunkRef, ChunkTable, SmallFile};
use super::{Job, describe};
use crate::error::EngineError;
use crate::keys::open_record;
use crate::manifest_view::reader_of;

/// An earlier backup, all of whose packs this backup holds on to while it runs.
pub(crate) struct Parent {
    pub(crate) row: BackupRow,
    pub(crate) manifest: ManifestReader,
    cursor: EntryReader,
    /// Pages of extents that its entries up to here name.
    extent_pages: Vec<ChunkLocation>,
    ahead: Option<ManifestEntry>,
    broken: bool,
}

impl Parent {
    /// The newest backup of the job's resource that can be read, if there is one.
    ///
    /// One that cannot be read costs time and space, not correctness: it is left aside, with a note.
    pub(crate) async fn find(job: &Job) -> Result<Option<Self>, EngineError> {
        let (ctx, account) = (&job.ctx, &job.request.account);
        let Some(row) = ctx.catalog.latest_available(account, &job.resource.id).await? else { return Ok(None) };
        let id = row.id.clone();
        match Self::open(job, row).await {
            Ok(Some(parent)) => Ok(Some(parent)),
            Ok(None) => Ok(None),
            Err(error) if error.is_worth_retrying() => Err(error),
            Err(error) => {
                let why = describe(&error);
                job.progress.note(format!("the earlier backup {id} cannot be read, so all is stored anew: {why}"));
                Ok(None)
            }
        }
    }

    async fn open(job: &Job, row: BackupRow) -> Result<Option<Self>, EngineError> {
        let (ctx, account) = (&job.ctx, &job.request.account);
        let opened = open_record(ctx, account, &row.id).await?;
        let packs: Vec<PackId> = opened.record.packs.iter().map(|pack| pack.id).collect();
        // Held from here on, so that the parent may be removed meanwhile. If it is going already, do without.
        let held = ctx.catalog.hold_packs(account, &job.id, job.fence, &packs).await?;
        if held.len() < packs.len() {
            return Ok(None);
        }
        let manifest = reader_of(ctx, opened);
        let cursor = manifest.entries();
        Ok(Some(Self { row, manifest, cursor, extent_pages: Vec::new(), ahead: None, broken: false }))
    }

    /// The parent's packs.
    pub(crate) fn packs(&self) -> &HashMap<PackId, PackRef> {
        self.manifest.source().packs()
    }

    /// The parent's pages by their hash, as far as its entries were asked for: a page of the same bytes need not be stored
    /// again.
    pub(crate) fn pages(&self) -> HashMap<ChunkHash, ChunkLocation> {
        let pages =
            self.cursor.pages_read().iter().chain(&self.extent_pages).chain(&self.manifest.root().omission_pages);
        pages.map(|page| (page.hash, *page)).collect()
    }

    /// The parent's entry at `path`. Paths must be asked for in ascending order.
    pub(crate) fn find_entry(&mut self, path: &RelPath, job: &Job, handle: &Handle) -> Option<ManifestEntry> {
        if self.broken {
            return None;
        }
        loop {
            match &self.ahead {
                Some(ahead) if ahead.entry.path == *path => return self.ahead.take(),
                Some(ahead) if ahead.entry.path > *path => return None,
                _ => {}
            }
            match handle.block_on(self.cursor.next()) {
                Ok(Some(next)) => {
                    if let Content::Paged(pages) = &next.content {
                        self.extent_pages.extend(pages);
                    }
                    self.ahead = Some(next);
                }
                Ok(None) => return None,
                Err(error) => {
                    let id = &self.row.id;
                    job.progress.note(format!("the earlier backup {id} is damaged, the rest is stored anew: {error}"));
                    self.broken = true;
                    return None;
                }
            }
        }
    }

    /// The extents of one of the parent's entries.
    pub(crate) fn extents(&self, found: &ManifestEntry, handle: &Handle) -> Result<Vec<Extent>, ChunkError> {
        let mut extents = Vec::new();
        handle.block_on(self.manifest.extents(&found.content, |extent| {
            extents.push(extent);
            Ok::<_, ChunkError>(())
        }))?;
        Ok(extents)
    }

    /// Teaches `table` every chunk and small file of the parent: called when the first changed file
    /// is met, never for a backup in which nothing changed.
    pub(crate) fn teach(&self, table: &mut ChunkTable, handle: &Handle) -> Result<(), ChunkError> {
        let manifest = Arc::new(self.manifest.clone());
        handle.block_on(async {
            let mut entries = manifest.entries();
            while let Some(found) = entries.next().await? {
                let learn = |extent| {
                    learn_extent(table, extent);
                    Ok::<_, ChunkError>(())
                };
                manifest.extents(&found.content, learn).await?;
            }
            Ok(())
        })
    }
}

fn learn_extent(table: &mut ChunkTable, extent: Extent) {
    match extent {
        Extent::Data { chunk } => table.learn(chunk),
        Extent::Slice { chunk, skip, len, hash } => {
            table.learn(chunk);
            table.learn_small(&hash, SmallFile { bundle: ChunkRef::Known(chunk), skip, len });
        }
        Extent::Hole { .. } => {}
    }
}

/// Whether a file is as it was when the parent was made, judged without reading it.
///
/// `ctime` moves with every write and every change of attributes; it must have been settled when the
/// parent read the file, or a write in the same clock tick could hide behind it.
pub(crate) fn is_unchanged(now: &Entry, before: &Entry) -> bool {
    before.settled
        && now.kind == before.kind
        && (now.mtime, now.ctime, now.inode) == (before.mtime, before.ctime, before.inode)
        && (now.mode, now.uid, now.gid, now.links) == (before.mode, before.uid, before.gid, before.links)
}
