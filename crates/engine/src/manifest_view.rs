//! Looking into a backup without restoring it.

use std::io::Write;
use std::pin::pin;
use std::sync::Arc;

use futures::TryStreamExt;
use model::{AccountId, BackupId, Extent, RelPath, SourceKind};
use store::manifest::{ManifestEntry, ManifestReader};
use store::{ChunkError, ChunkSource};

use crate::backups::load_available;
use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::keys::{OpenedRecord, open_record};

/// A reader of a backup's manifest.
///
/// # Errors
/// `NotFound`, `Conflict` when it is not available, `Denied` when its KMS key is disabled, `Damaged`.
pub async fn open_manifest(
    ctx: &RegionContext,
    account: &AccountId,
    backup: &BackupId,
) -> Result<ManifestReader, EngineError> {
    load_available(ctx, account, backup).await?;
    Ok(reader_of(ctx, open_record(ctx, account, backup).await?))
}

pub(crate) fn reader_of(ctx: &RegionContext, opened: OpenedRecord) -> ManifestReader {
    let OpenedRecord { record, keys, root } = opened;
    let source = ChunkSource::new(ctx.store.clone(), record.head.account, record.packs, keys);
    ManifestReader::new(Arc::new(source), root)
}

/// Writes one file's bytes, or a whole image's, to `out`. Holes come out as zeros.
///
/// # Errors
/// `NotFound` when the backup has no such file; `Damaged` names the pack.
pub async fn cat(
    ctx: &RegionContext,
    account: &AccountId,
    backup: &BackupId,
    path: &RelPath,
    out: &mut (dyn Write + Send),
) -> Result<(), EngineError> {
    let manifest = open_manifest(ctx, account, backup).await?;
    let found = find_entry(&manifest, path).await?;
    let Some(ManifestEntry { entry, content }) = found.filter(|found| found.entry.is_file()) else {
        let hint = format!("`offsite backup files {backup}` lists those it has");
        let message = format!("backup {backup} has no file {path}");
        return Err(EngineError::refused(ErrorKind::NotFound, message).with_hint(hint));
    };
    let mut extents = pin!(manifest.extents(&content));
    while let Some(extent) = extents.try_next().await? {
        write_extent(&manifest, extent, out).await?.map_err(EngineError::file(format!("write out {}", entry.path)))?;
    }
    out.flush().map_err(EngineError::file("write out the file"))
}

async fn find_entry(manifest: &ManifestReader, path: &RelPath) -> Result<Option<ManifestEntry>, EngineError> {
    if manifest.root().kind == SourceKind::Image && !path.is_root() {
        return Ok(None);
    }
    let mut entries = manifest.entries();
    while let Some(found) = entries.next().await? {
        if found.entry.path == *path {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

async fn write_extent(
    manifest: &ManifestReader,
    extent: Extent,
    out: &mut (dyn Write + Send),
) -> Result<std::io::Result<()>, EngineError> {
    let Some(chunk) = extent.chunk() else {
        return Ok(std::io::copy(&mut std::io::Read::take(std::io::repeat(0), extent.len()), out).map(|_| ()));
    };
    let plain = manifest.source().fetch(&[*chunk]).await?.remove(0);
    let bytes = bytes_of(&extent, &plain)
        .ok_or_else(|| EngineError::Chunk(ChunkError::damaged(manifest.source().region(), chunk)))?;
    Ok(out.write_all(bytes))
}

/// The bytes that `extent` stands for, out of its chunk's plaintext.
pub(crate) fn bytes_of<'b>(extent: &Extent, plain: &'b [u8]) -> Option<&'b [u8]> {
    match extent {
        Extent::Data { .. } => Some(plain),
        Extent::Slice { skip, len, .. } => plain.get(*skip as usize..)?.get(..*len as usize),
        Extent::Hole { .. } => None,
    }
}
