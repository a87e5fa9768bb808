//! Restoring a tree: an async side that plans and fetches, a thread that writes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use capture::{NewFile, Origin, TargetDirectory, TreeTarget};
use futures::TryStreamExt;
use model::{Entry, EntryKind, Extent, FileTime, Inode, Omission, OmissionKind, RelPath};
use store::manifest::{Content, ManifestEntry, ManifestReader};
use tokio::sync::mpsc;

use super::fetch::fetch_windows;
use super::mark;
use super::plan::{Step, Window, is_on_the_way, is_wanted};
use super::syncing::Syncing;
use super::{RestoreReport, RestoreRequest, undurable};
use crate::error::{EngineError, ErrorKind};
use crate::lease::Term;
use crate::progress::Progress;

pub(super) async fn restore_tree(
    manifest: ManifestReader,
    request: RestoreRequest,
    progress: Arc<Progress>,
    term: Option<Term>,
) -> Result<RestoreReport, EngineError> {
    let (planned, to_fetch) = mpsc::channel(1);
    let (fetched, to_write) = mpsc::channel(1);
    if let Some(missing) = find_missing(&manifest, &request).await? {
        let message = format!("backup {} has nothing at {missing}", request.backup);
        let hint = format!("`offsite backup files {}` lists what it has", request.backup);
        return Err(EngineError::refused(ErrorKind::NotFound, message).with_hint(hint));
    }
    let writer = open_writer(&request, progress, term)?;
    let writing = tokio::task::spawn_blocking(move || writer.write_windows(to_write));
    let planning = plan_windows(&manifest, &request, planned);
    let (planned, fetched) = tokio::join!(planning, fetch_windows(manifest.source(), to_fetch, fetched));
    let mut writer = writing.await.expect("restoring does not panic")?;
    fetched?;
    planned?;
    writer.refuse_if_nothing_was_made(&request.target)?;
    for directory in directories(&manifest, &request, &writer.made_on_the_way).await? {
        writer.finish_directories_before(Some(&directory.path));
        writer.open_directories.push(directory);
    }
    tokio::task::spawn_blocking(move || writer.finish(&request.target)).await.expect("restoring does not panic")
}

fn open_writer(request: &RestoreRequest, progress: Arc<Progress>, term: Option<Term>) -> Result<Writer, EngineError> {
    super::check(term.as_ref())?;
    let target = &request.target;
    let (begun, existing) = (mark::begun(request).is_some(), mark::existing(request));
    let opened = TreeTarget::open(target, existing).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let message = format!("{} is not empty", target.display());
            EngineError::refused(ErrorKind::Conflict, message)
                .with_hint("choose an empty or new directory, or replace what is there with --overwrite")
        }
        std::io::ErrorKind::NotADirectory if target.symlink_metadata().is_ok() => {
            let message = format!("{} is not a directory, which is what {} is of", target.display(), request.backup);
            EngineError::refused(ErrorKind::Conflict, message).with_hint("choose an empty or new directory")
        }
        _ => EngineError::file(format!("open {} to restore into", target.display()))(error),
    })?;
    check_writable(&opened, request)?;
    mark::set(request, existing);
    Ok(Writer {
        target: opened,
        syncing: Syncing::of_file_system(target).map_err(undurable(target))?,
        progress,
        term,
        report: RestoreReport::default(),
        open: None,
        first_names: HashMap::new(),
        open_directories: Vec::new(),
        begun,
        made_on_the_way: HashSet::new(),
        has_made_any: false,
        first_denied: None,
    })
}

/// Looked for before anything is fetched: where nothing can be written, that would be for nothing. A file system that is
/// read-only ends a restore; a place of somebody else's is left out, unless there is no other.
fn check_writable(target: &TreeTarget, request: &RestoreRequest) -> Result<(), EngineError> {
    let root = [RelPath::root()];
    let places = if request.paths.is_empty() { &root[..] } else { &request.paths };
    let refusals = places.iter().filter_map(|path| target.check_writable(path).err());
    let refusals: Vec<std::io::Error> = refusals.collect();
    let none_is_left = refusals.len() == places.len();
    let ends_it = |error: &std::io::Error| none_is_left || is_read_only(error);
    match refusals.into_iter().find(ends_it) {
        Some(error) => Err(EngineError::file(format!("restore into {}", request.target.display()))(error)),
        None => Ok(()),
    }
}

fn is_read_only(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::ReadOnlyFilesystem
}

/// A named path that the backup does not have. Looked for before anything is written: whoever has mistyped one finds the target
/// as it was.
async fn find_missing(manifest: &ManifestReader, request: &RestoreRequest) -> Result<Option<RelPath>, EngineError> {
    let mut missing: BTreeSet<&RelPath> = request.paths.iter().collect();
    let mut entries = manifest.entries();
    while !missing.is_empty()
        && let Some(ManifestEntry { entry, .. }) = entries.next().await?
    {
        missing.remove(&entry.path);
    }
    Ok(missing.first().map(|path| (*path).clone()))
}

/// Sends the whole restore to the writer, window by window.
async fn plan_windows(
    manifest: &ManifestReader,
    request: &RestoreRequest,
    windows: mpsc::Sender<Window>,
) -> Result<(), EngineError> {
    let mut planner = Planner { manifest, windows, window: Window::default(), linked: HashSet::new() };
    let mut entries = manifest.entries();
    while let Some(ManifestEntry { entry, content }) = entries.next().await? {
        if is_on_the_way(&entry, &request.paths) {
            planner.window.push(Step::Passage(entry));
        } else if is_wanted(&entry, &request.paths) && !planner.plan_entry(entry, &content).await? {
            break;
        }
    }
    planner.send().await;
    Ok(())
}

/// What the names of one file have in common. The number of an inode alone is not enough: it may have been given to another file
/// while the tree was read.
type LinkedFile = (Inode, FileTime, FileTime);

fn linked_file(entry: &Entry) -> LinkedFile {
    (entry.inode, entry.mtime, entry.ctime)
}

struct Planner<'a> {
    manifest: &'a ManifestReader,
    windows: mpsc::Sender<Window>,
    window: Window,
    linked: HashSet<LinkedFile>,
}

impl Planner<'_> {
    /// Returns `false` when the writer has stopped.
    async fn plan_entry(&mut self, entry: Entry, content: &Content) -> Result<bool, EngineError> {
        if entry.is_directory() {
            self.window.push(Step::Directory(entry));
        } else if entry.is_hard_linked() && !self.linked.insert(linked_file(&entry)) {
            self.window.push(Step::Link(entry));
        } else if entry.is_file() {
            self.window.push(Step::File(entry));
            let mut extents = pin!(self.manifest.extents(content));
            while let Some(extent) = extents.try_next().await? {
                self.window.push(Step::Run(extent));
                if self.window.is_full() && !self.send().await {
                    return Ok(false);
                }
            }
            self.window.push(Step::EndFile);
        } else {
            self.window.push(Step::Node(entry));
        }
        Ok(!self.window.is_full() || self.send().await)
    }

    async fn send(&mut self) -> bool {
        self.windows.send(std::mem::take(&mut self.window)).await.is_ok()
    }
}

/// The directories whose attributes a restore sets, in path order: those it restores, and those it has made on the way to them.
async fn directories(
    manifest: &ManifestReader,
    request: &RestoreRequest,
    made_on_the_way: &HashSet<RelPath>,
) -> Result<Vec<Entry>, EngineError> {
    let mut directories = Vec::new();
    let mut entries = manifest.entries();
    while let Some(ManifestEntry { entry, .. }) = entries.next().await? {
        if entry.is_directory() && (is_wanted(&entry, &request.paths) || made_on_the_way.contains(&entry.path)) {
            directories.push(entry);
        }
    }
    Ok(directories)
}

/// Makes what the steps say. Lives on a blocking thread.
struct Writer {
    target: TreeTarget,
    syncing: Syncing,
    progress: Arc<Progress>,
    term: Option<Term>,
    report: RestoreReport,
    open: Option<OpenFile>,
    /// The first name under which each hard-linked file was restored.
    first_names: HashMap<LinkedFile, RelPath>,
    /// The directories whose attributes are still to be set, outermost first.
    open_directories: Vec<Entry>,
    /// Whether an earlier run of this restore was interrupted here.
    begun: bool,
    /// The directories above what is restored that this restore has made.
    made_on_the_way: HashSet<RelPath>,
    /// Whether anything is in the target by now that was not there.
    has_made_any: bool,
    /// Why the first was not made of those that there was no right to make.
    first_denied: Option<std::io::Error>,
}

/// The file that is being written.
struct OpenFile {
    entry: Entry,
    file: NewFile,
    offset: u64,
    /// Why it cannot be restored whole, once that is known.
    damage: Option<String>,
}

impl Writer {
    fn write_windows(mut self, windows: mpsc::Receiver<Window>) -> Result<Self, EngineError> {
        let written = self.take_windows(windows);
        // Whatever ended it: half a file is none. After the term the place may be another's.
        if let Some(open) = self.open.take()
            && super::check(self.term.as_ref()).is_ok()
        {
            let _unchecked = self.target.discard_file(&open.entry.path, &open.file);
        }
        written.map(|()| self)
    }

    fn take_windows(&mut self, mut windows: mpsc::Receiver<Window>) -> Result<(), EngineError> {
        while let Some(mut window) = windows.blocking_recv() {
            for step in std::mem::take(&mut window.steps) {
                super::check(self.term.as_ref())?;
                self.take_step(step, &window)?;
            }
        }
        Ok(())
    }

    fn take_step(&mut self, step: Step, window: &Window) -> Result<(), EngineError> {
        match step {
            Step::Directory(entry) => {
                let made = self.target.make_directory(&entry.path).map(|made| {
                    self.note_directory(made);
                });
                self.count(&entry, made)
            }
            Step::Passage(entry) => self.pass_directory(&entry),
            Step::File(entry) => self.begin_file(entry),
            Step::Run(extent) => self.write_run(&extent, window),
            Step::EndFile => self.end_file(),
            Step::Link(entry) => {
                let Some(first) = self.first_names.get(&linked_file(&entry)) else {
                    self.omit(
                        &entry.path,
                        OmissionKind::NotRestored,
                        "the file it is another name of was not restored",
                    );
                    return Ok(());
                };
                let made = self.target.hard_link(first, &entry.path);
                self.count(&entry, made)
            }
            Step::Node(entry) if entry.kind == EntryKind::Socket => {
                self.omit(&entry.path, OmissionKind::Socket, "");
                Ok(())
            }
            Step::Node(entry) => {
                let made = self.target.make_node(&entry);
                if made.is_ok() {
                    let unset = self.target.set_metadata(&entry);
                    self.report.omissions.extend(unset);
                    self.remember_name(&entry);
                }
                self.count(&entry, made)
            }
        }
    }

    /// Makes a directory on the way where there is none. One that was there before belongs to somebody else and stays as it is,
    /// but one that an interrupted run of this restore has made does not stay closed to all but its owner.
    fn pass_directory(&mut self, entry: &Entry) -> Result<(), EngineError> {
        match self.target.pass_directory(&entry.path).map(|passed| self.note_directory(passed)) {
            Ok(false) => Ok(()),
            Ok(true) => {
                self.made_on_the_way.insert(entry.path.clone());
                self.count(entry, Ok(()))
            }
            Err(error) => self.count(entry, Err(error)),
        }
    }

    /// Returns whether this restore has made the directory, in this run or an earlier one.
    fn note_directory(&mut self, directory: TargetDirectory) -> bool {
        directory.file_system.into_iter().for_each(|at| self.syncing.add_file_system(at));
        let is_ours = match directory.origin {
            Origin::Made => true,
            Origin::Unfinished => self.begun,
            Origin::Kept => false,
        };
        self.has_made_any |= is_ours;
        is_ours
    }

    fn begin_file(&mut self, entry: Entry) -> Result<(), EngineError> {
        match self.target.create_file(&entry.path, entry.size()) {
            Ok(file) => {
                self.open = Some(OpenFile { entry, file, offset: 0, damage: None });
                Ok(())
            }
            Err(error) => self.count(&entry, Err(error)),
        }
    }

    fn write_run(&mut self, extent: &Extent, window: &Window) -> Result<(), EngineError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        match window.bytes_of(extent) {
            Ok(None) => {}
            Ok(Some(bytes)) => {
                let written = open.file.write_all_at(bytes, open.offset);
                let noted = written.and_then(|()| self.syncing.wrote(bytes.len()));
                noted.map_err(EngineError::file(format!("write {}", open.entry.path)))?;
            }
            Err(why) => {
                open.damage.get_or_insert_with(|| why.to_owned());
            }
        }
        open.offset += extent.len();
        self.progress.advance(extent.len());
        Ok(())
    }

    fn end_file(&mut self) -> Result<(), EngineError> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        if open.offset != open.entry.size() {
            open.damage.get_or_insert_with(|| "its extents do not add up to its size".to_owned());
        }
        if let Some(why) = open.damage {
            // A file with a hole in place of its bytes must not be taken for the file.
            self.omit(&open.entry.path, OmissionKind::NotRestored, &why);
            let discarded = self.target.discard_file(&open.entry.path, &open.file);
            return discarded.map_err(EngineError::file(format!("restore {}", open.entry.path)));
        }
        let unset = TreeTarget::set_file_metadata(&open.file, &open.entry);
        let kept = self.target.keep_file(&open.entry.path, &open.file);
        if kept.is_ok() {
            self.report.omissions.extend(unset);
            self.remember_name(&open.entry);
            self.report.bytes += open.entry.size();
        }
        self.count(&open.entry, kept)
    }

    fn remember_name(&mut self, entry: &Entry) {
        if entry.is_hard_linked() {
            self.first_names.insert(linked_file(entry), entry.path.clone());
        }
    }

    /// That all is left out is no restore with a list of what was left out.
    fn refuse_if_nothing_was_made(&mut self, target: &Path) -> Result<(), EngineError> {
        match self.first_denied.take() {
            Some(error) if !self.has_made_any => {
                if !self.begun {
                    mark::remove(target);
                }
                Err(EngineError::file(format!("restore anything into {}", target.display()))(error))
            }
            _ => Ok(()),
        }
    }

    /// Counts an entry that was made, or lists one that was not. A disk that takes nothing more ends the restore.
    fn count(&mut self, entry: &Entry, made: std::io::Result<()>) -> Result<(), EngineError> {
        match made {
            Ok(()) => {
                // Directories may have been there.
                self.has_made_any |= !entry.is_directory();
                self.report.entries += 1;
                self.progress.count_entry();
                Ok(())
            }
            Err(error) => {
                let full = matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
                if full {
                    return Err(EngineError::file(format!("restore {}", entry.path))(error));
                }
                let is_device = matches!(entry.kind, EntryKind::CharDevice(_) | EntryKind::BlockDevice(_));
                let kind = match is_device && error.kind() == std::io::ErrorKind::PermissionDenied {
                    true => OmissionKind::Device,
                    false => OmissionKind::NotRestored,
                };
                self.omit(&entry.path, kind, &error.to_string());
                if kind == OmissionKind::NotRestored && error.kind() == std::io::ErrorKind::PermissionDenied {
                    self.first_denied.get_or_insert(error);
                }
                Ok(())
            }
        }
    }

    fn omit(&mut self, path: &RelPath, kind: OmissionKind, detail: &str) {
        self.report.omissions.push(Omission { path: path.clone(), kind, detail: detail.to_owned() });
    }

    /// Sets the attributes of directories that are complete: those that `next` is not in.
    fn finish_directories_before(&mut self, next: Option<&RelPath>) {
        while let Some(innermost) = self.open_directories.last() {
            if next.is_some_and(|next| next.starts_with(&innermost.path)) {
                return;
            }
            let unset = self.target.set_metadata(innermost);
            self.report.omissions.extend(unset);
            self.open_directories.pop();
        }
    }

    fn finish(mut self, target: &Path) -> Result<RestoreReport, EngineError> {
        // Files were not synced one by one: that all of their file systems are durable is known only here.
        // The mark goes after that, and the root's attributes are last, as they may forbid to remove it.
        super::check(self.term.as_ref())?;
        self.finish_directories_before(Some(&RelPath::root()));
        self.syncing.finish().map_err(undurable(target))?;
        super::check(self.term.as_ref())?;
        mark::remove(target);
        self.finish_directories_before(None);
        Ok(self.report)
    }
}
