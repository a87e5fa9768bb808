//! Restoring a backup, whole or in part, to a directory or an image.
//!
//! The manifest is read in path order and cut into windows of a bounded size. The chunks of one
//! window are fetched together, each pack once, while a thread of its own writes the windows before.
//! What cannot be restored of a tree is listed; an image is restored whole or the restore fails. No byte that failed its
//! check is ever written.

mod fetch;
mod image;
mod mark;
mod plan;
mod syncing;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{AccountId, BackupId, Omission, RelPath, SourceKind};

use crate::context::RegionContext;
use crate::error::EngineError;
use crate::lease::Term;
use crate::manifest_view::open_manifest;
use crate::progress::Progress;

/// What is to be restored, and where to.
#[derive(Clone, Debug)]
pub struct RestoreRequest {
    /// Whose backup it is.
    pub account: AccountId,
    /// Which.
    pub backup: BackupId,
    /// A directory, or for an image a file or block device.
    pub target: PathBuf,
    /// What to restore; all of it where nothing is named.
    pub paths: Vec<RelPath>,
    /// Whether what is there already may be replaced.
    pub overwrite: bool,
}

/// A finished restore.
#[derive(Clone, Debug, Default)]
pub struct RestoreReport {
    /// Entries that were made.
    pub entries: u64,
    /// Bytes of files that were restored, holes included.
    pub bytes: u64,
    /// What was left out, and why.
    pub omissions: Vec<Omission>,
}

/// Restores a backup and returns once everything is on disk.
///
/// Safe to repeat: a restore of the same backup that was interrupted is begun again in its place.
///
/// # Errors
/// `Conflict` with a hint when the target is in the way, or the backup is not available; `Denied` or `Failed` when nothing can be
/// written there, mostly before anything was fetched; `NotFound` when there is no such
/// backup, or nothing at one of the paths; `Full` when the disk is. `Damaged` when the manifest is, or a chunk of an image,
/// whose target is written up to there: mend the pack, then restore again. Damage to single files of a tree is listed in
/// the report instead.
pub async fn restore(
    ctx: &RegionContext,
    request: RestoreRequest,
    progress: Arc<Progress>,
) -> Result<RestoreReport, EngineError> {
    restore_within(ctx, request, progress, None).await
}

/// The same as long as a lease holds, which is looked at before each step: what this process does after it was stopped for longer,
/// or has not come to by then, is left undone.
pub(crate) async fn restore_within(
    ctx: &RegionContext,
    request: RestoreRequest,
    progress: Arc<Progress>,
    term: Option<Term>,
) -> Result<RestoreReport, EngineError> {
    let manifest = open_manifest(ctx, &request.account, &request.backup).await?;
    let row = crate::backups::load_available(ctx, &request.account, &request.backup).await?;
    progress.begin("restoring", if request.paths.is_empty() { row.size_bytes } else { 0 });
    match manifest.root().kind {
        SourceKind::Tree => tree::restore_tree(manifest, request, progress, term).await,
        SourceKind::Image => image::restore_image(manifest, request, progress, term).await,
    }
}

/// Whether there is still the right to change the target.
fn check(term: Option<&Term>) -> Result<(), EngineError> {
    term.map_or(Ok(()), Term::check)
}

/// The error of a target that does not keep what was written to it.
fn undurable(target: &Path) -> impl FnOnce(std::io::Error) -> EngineError + use<> {
    EngineError::file(format!("make {} durable", target.display()))
}
