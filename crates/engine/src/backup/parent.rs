//! The parent: the earlier backup of the same resource that a new one is compared with.

use std::collections::HashMap;
use std::pin::pin;

use catalog::BackupRow;
use futures::TryStreamExt;
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
    /// Pages of extents that were read.
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

    /// The parent's pages by their hash, as far as they can be read: a page of the same bytes need not be stored again.
    pub(crate) fn pages(&self, handle: &Handle) -> HashMap<ChunkHash, ChunkLocation> {
        let read = self.cursor.pages_read().iter().chain(&self.extent_pages);
        let of_omissions = match handle.block_on(self.manifest.omissions()) {
            Ok(_) => &self.manifest.root().omission_pages[..],
            Err(_) => &[],
        };
        read.chain(of_omissions).map(|page| (page.hash, *page)).collect()
    }

    /// The parent's entry at `path`, if it has one that can be read. Paths must be asked for in ascending order.
    ///
    /// # Errors
    /// When the store is out of reach.
    pub(crate) fn find_entry(
        &mut self,
        path: &RelPath,
        job: &Job,
        handle: &Handle,
    ) -> Result<Option<ManifestEntry>, EngineError> {
        if self.broken {
            return Ok(None);
        }
        loop {
            match &self.ahead {
                Some(ahead) if ahead.entry.path == *path => return Ok(self.ahead.take()),
                Some(ahead) if ahead.entry.path > *path => return Ok(None),
                _ => {}
            }
            match handle.block_on(self.cursor.next()) {
                Ok(Some(next)) => self.ahead = Some(next),
                Ok(None) => return Ok(None),
                Err(error) => {
                    self.give_up(job, error)?;
                    return Ok(None);
                }
            }
        }
    }

    /// Hands the extents of one of the parent's entries to `each`; `false` when they are damaged: then it has no more entries.
    ///
    /// # Errors
    /// When the store is out of reach, and those of `each`.
    pub(crate) fn extents(
        &mut self,
        found: &ManifestEntry,
        job: &Job,
        handle: &Handle,
        mut each: impl FnMut(Extent) -> Result<(), EngineError>,
    ) -> Result<bool, EngineError> {
        let read = handle.block_on(async {
            let mut extents = pin!(self.manifest.extents(&found.content));
            while let Some(extent) = extents.try_next().await? {
                if let Err(error) = each(extent) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        });
        match read {
            Ok(taken) => {
                taken?;
                self.extent_pages.extend(pages_of(found));
                Ok(true)
            }
            Err(error) => self.give_up(job, error).map(|()| false),
        }
    }

    fn give_up(&mut self, job: &Job, error: ChunkError) -> Result<(), EngineError> {
        if !error.is_damage() {
            return Err(error.into());
        }
        let id = &self.row.id;
        job.progress.note(format!("the earlier backup {id} is damaged, the rest is stored anew: {error}"));
        self.broken = true;
        Ok(())
    }

    /// Teaches `table` every chunk and small file of the parent: called when the first changed file
    /// is met, never for a backup in which nothing changed.
    pub(crate) fn teach(&mut self, table: &mut ChunkTable, handle: &Handle) -> Result<(), ChunkError> {
        handle.block_on(async {
            let mut entries = self.manifest.entries();
            while let Some(found) = entries.next().await? {
                let mut extents = pin!(self.manifest.extents(&found.content));
                while let Some(extent) = extents.try_next().await? {
                    learn_extent(table, extent);
                }
                self.extent_pages.extend(pages_of(&found));
            }
            Ok(())
        })
    }
}

fn pages_of(found: &ManifestEntry) -> &[ChunkLocation] {
    match &found.content {
        Content::Paged(pages) => pages,
        Content::Empty | Content::Inline(_) => &[],
    }
}

fn learn_extent(table: &mut ChunkTable, extent: Extent) {
    match extent {
        Extent::Data { chunk } => table.learn(chunk),
        Extent::Slice { chunk, skip, len, hash } => {
            table.learn(chunk);
            table.learn_small(&hash, SmallFile { bundle: ChunkRef::At(chunk), skip, len });
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
