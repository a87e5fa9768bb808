//! Restoring a disk image to a file or a block device.

use std::sync::Arc;

use capture::ImageTarget;
use model::{Extent, Omission, OmissionKind, RelPath};
use store::ChunkError;
use store::manifest::ManifestReader;

use super::mark;
use super::{RestoreReport, RestoreRequest};
use crate::error::{EngineError, ErrorKind};
use crate::progress::Progress;

/// Extents fetched together: four mebibytes of full blocks.
const EXTENTS_TOGETHER: usize = 32;

/// Fetches on their way while another is written.
const FETCHES_AHEAD: usize = 2;

pub(super) async fn restore_image(
    manifest: ManifestReader,
    request: RestoreRequest,
    progress: Arc<Progress>,
) -> Result<RestoreReport, EngineError> {
    use futures::StreamExt;
    let shown = request.target.display().to_string();
    if !request.paths.is_empty() {
        let message = format!("{} is the backup of an image, which has no paths in it", request.backup);
        return Err(EngineError::refused(ErrorKind::Invalid, message));
    }
    let entry = manifest.entries().next().await?.ok_or_else(|| {
        EngineError::refused(ErrorKind::Damaged, format!("the manifest of {} is empty", request.backup))
    })?;
    let target = Arc::new(open_target(&request, entry.entry.size())?);
    let mut extents = Vec::new();
    manifest
        .extents(&entry.content, |extent| {
            extents.push(extent);
            Ok::<_, ChunkError>(())
        })
        .await?;
    let groups: Vec<Vec<Extent>> = extents.chunks(EXTENTS_TOGETHER).map(<[Extent]>::to_vec).collect();
    let source = manifest.source();
    let mut fetched = futures::stream::iter(groups)
        .map(|group| async move {
            let chunks: Vec<_> = group.iter().filter_map(Extent::chunk).copied().collect();
            let plain = source.fetch(&chunks).await;
            plain.map(|plain| (group, plain))
        })
        .buffered(FETCHES_AHEAD);
    let mut offset = 0;
    while let Some(next) = fetched.next().await {
        let (group, plain) = next?;
        let (target, progress) = (Arc::clone(&target), Arc::clone(&progress));
        let written = tokio::task::spawn_blocking(move || write_group(&target, offset, &group, plain, &progress));
        offset = written.await.expect("writing does not panic").map_err(EngineError::file(format!("write {shown}")))?;
    }
    drop(fetched);
    if offset != entry.entry.size() {
        let message = format!("the manifest of {} does not add up to the image's size", request.backup);
        return Err(EngineError::refused(ErrorKind::Damaged, message));
    }
    let finish = move || Arc::into_inner(target).expect("all writes have ended").finish();
    let finished = tokio::task::spawn_blocking(finish).await.expect("syncing does not panic");
    finished.map_err(EngineError::file(format!("make {shown} durable")))?;
    mark::remove(&request.target);
    let attributes = set_attributes(&request, &entry.entry);
    Ok(RestoreReport { entries: 1, bytes: offset, omissions: attributes })
}

fn open_target(request: &RestoreRequest, size: u64) -> Result<ImageTarget, EngineError> {
    let shown = request.target.display();
    let opened =
        ImageTarget::open(&request.target, size, mark::existing(request)).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                EngineError::refused(ErrorKind::Conflict, format!("{shown} exists already"))
                    .with_hint("choose another name, or replace what is there with --overwrite")
            }
            _ => EngineError::file(format!("open {shown} to restore into"))(error),
        })?;
    mark::set(request);
    Ok(opened)
}

fn write_group(
    target: &ImageTarget,
    mut offset: u64,
    group: &[Extent],
    plain: Vec<bytes::Bytes>,
    progress: &Progress,
) -> std::io::Result<u64> {
    let mut plain = plain.into_iter();
    for extent in group {
        match extent.chunk() {
            Some(_) => {
                let chunk = plain.next().expect("one chunk for each extent that needs one");
                let bytes = crate::manifest_view::bytes_of(extent, &chunk);
                let bytes = bytes.ok_or_else(|| std::io::Error::other("the manifest is damaged"))?;
                target.write_at(offset, bytes)?;
            }
            None => target.write_hole(offset, extent.len())?,
        }
        offset += extent.len();
        progress.advance(extent.len());
    }
    Ok(offset)
}

/// Gives a restored image file its owner, mode and times; a block device keeps its own.
fn set_attributes(request: &RestoreRequest, entry: &model::Entry) -> Vec<Omission> {
    let file = match std::fs::File::open(&request.target) {
        Ok(file) => file,
        Err(error) => {
            let kind = OmissionKind::Attribute;
            return vec![Omission { path: RelPath::root(), kind, detail: error.to_string() }];
        }
    };
    if file.metadata().is_ok_and(|meta| meta.is_file()) && entry.mode != 0 {
        capture::TreeTarget::set_file_metadata(&file, entry)
    } else {
        Vec::new()
    }
}
