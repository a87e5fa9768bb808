//! Restoring a disk image to a file or a block device.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use capture::ImageTarget;
use futures::TryStreamExt;
use model::{Extent, Omission, OmissionKind, RelPath};
use store::ChunkError;
use store::manifest::{Content, ManifestReader};
use tokio::sync::mpsc;

use super::fetch::fetch_windows;
use super::mark;
use super::plan::{Step, Window};
use super::syncing::Syncing;
use super::{RestoreReport, RestoreRequest, undurable};
use crate::error::{EngineError, ErrorKind};
use crate::lease::Term;
use crate::progress::Progress;

pub(super) async fn restore_image(
    manifest: ManifestReader,
    request: RestoreRequest,
    progress: Arc<Progress>,
    term: Option<Term>,
) -> Result<RestoreReport, EngineError> {
    if !request.paths.is_empty() {
        let message = format!("{} is the backup of an image, which has no paths in it", request.backup);
        return Err(EngineError::refused(ErrorKind::Invalid, message));
    }
    let damaged =
        |what: &str| EngineError::refused(ErrorKind::Damaged, format!("the manifest of {} {what}", request.backup));
    let entry = manifest.entries().next().await?.ok_or_else(|| damaged("is empty"))?;
    super::check(term.as_ref())?;
    let target = open_target(&request, entry.entry.size())?;
    let (planned, to_fetch) = mpsc::channel(1);
    let (fetched, to_write) = mpsc::channel(1);
    let writer = Writer::new(target, &request, progress, term);
    let writing = tokio::task::spawn_blocking(move || writer.write_windows(to_write));
    let planning = plan_windows(&manifest, &entry.content, planned);
    let (planned, fetched) = tokio::join!(planning, fetch_windows(manifest.source(), to_fetch, fetched));
    let writer = writing.await.expect("writing does not panic")?;
    fetched?;
    planned?;
    let written = writer.offset;
    if written != entry.entry.size() {
        return Err(damaged("does not add up to the image's size"));
    }
    super::check(writer.term.as_ref())?;
    let term = writer.term.clone();
    let finished = tokio::task::spawn_blocking(move || writer.finish()).await.expect("syncing does not panic");
    finished.map_err(undurable(&request.target))?;
    super::check(term.as_ref())?;
    mark::remove(&request.target);
    let attributes = set_attributes(&request, &entry.entry);
    Ok(RestoreReport { entries: 1, bytes: written, omissions: attributes })
}

/// Sends the image's extents on, window by window.
async fn plan_windows(
    manifest: &ManifestReader,
    content: &Content,
    windows: mpsc::Sender<Window>,
) -> Result<(), ChunkError> {
    let mut window = Window::default();
    let mut extents = pin!(manifest.extents(content));
    while let Some(extent) = extents.try_next().await? {
        window.push(Step::Run(extent));
        if window.is_full() && windows.send(std::mem::take(&mut window)).await.is_err() {
            return Ok(());
        }
    }
    // Whoever is not there any more has failed, and says why.
    drop(windows.send(window).await);
    Ok(())
}

fn open_target(request: &RestoreRequest, size: u64) -> Result<ImageTarget, EngineError> {
    let (shown, existing) = (request.target.display(), mark::existing(request));
    let opened = ImageTarget::open(&request.target, size, existing).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            EngineError::refused(ErrorKind::Conflict, format!("{shown} exists already"))
                .with_hint("choose another name, or replace what is there with --overwrite")
        }
        _ => EngineError::file(format!("open {shown} to restore into"))(error),
    })?;
    mark::set(request, existing);
    Ok(opened)
}

/// Writes one extent after the other. Lives on a blocking thread.
struct Writer {
    target: Arc<ImageTarget>,
    shown: String,
    syncing: Syncing,
    progress: Arc<Progress>,
    term: Option<Term>,
    offset: u64,
}

impl Writer {
    fn new(target: ImageTarget, request: &RestoreRequest, progress: Arc<Progress>, term: Option<Term>) -> Self {
        let target = Arc::new(target);
        let synced = Arc::clone(&target);
        let syncing = Syncing::by(move || synced.sync());
        Self { target, shown: request.target.display().to_string(), syncing, progress, term, offset: 0 }
    }

    fn write_windows(mut self, mut windows: mpsc::Receiver<Window>) -> Result<Self, EngineError> {
        while let Some(mut window) = windows.blocking_recv() {
            for step in std::mem::take(&mut window.steps) {
                let Step::Run(extent) = step else { unreachable!("an image has nothing but extents") };
                let bytes = window.bytes_of(&extent).map_err(|why| {
                    let message = format!("{} cannot be restored from byte {} on: {why}", self.shown, self.offset);
                    EngineError::refused(ErrorKind::Damaged, message)
                })?;
                super::check(self.term.as_ref())?;
                let written = self.write(&extent, bytes);
                written.map_err(EngineError::file(format!("write {}", self.shown)))?;
            }
        }
        Ok(self)
    }

    fn write(&mut self, extent: &Extent, bytes: Option<&[u8]>) -> io::Result<()> {
        match bytes {
            Some(bytes) => {
                self.target.write_at(self.offset, bytes)?;
                self.syncing.wrote(bytes.len())?;
            }
            None => self.target.write_hole(self.offset, extent.len())?,
        }
        self.offset += extent.len();
        self.progress.advance(extent.len());
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.syncing.finish()?;
        self.target.sync_name()
    }
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
