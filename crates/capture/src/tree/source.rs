//! Walking a directory tree in the order of a manifest.
//!
//! Directories are opened by name in the directory above, which stays open: however deep the tree
//! and whatever is renamed or replaced meanwhile, the walk neither leaves it nor builds a path.

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use model::{Clock, Omission, OmissionKind, RelPath};
use rustix::fs::{CWD, FileType, OFlags, RawDir, readlinkat};
use rustix::io::Errno;

use super::exclude::{Excluded, ExclusionRules};
use super::found::{Found, FoundEntry};
use super::place::Place;
use crate::context::Context;
use crate::open::{DEPTH_MAX, open_to_list, open_to_read};
use crate::stat::{Device, Stat, stat_at, stat_open};

/// One read of a directory: some hundreds of names.
const LISTING_BYTES: usize = 32 * 1024;

/// What a walk goes into.
#[derive(Clone, Debug, Default)]
pub struct TreeOptions {
    /// Whether to go into file systems mounted inside the tree. If not, each mount point is an empty directory.
    pub cross_mounts: bool,
    /// What is left out where it is met. Each directory among these is an empty one.
    pub left_out: Arc<[Place]>,
    /// What is left out because the tree's owner says so. The root of the tree never is.
    pub exclusions: ExclusionRules,
}

impl TreeOptions {
    /// What is left out of a directory.
    fn left_out_of(&self, directory: &Stat) -> Vec<Place> {
        self.left_out.iter().filter(|place| place.is_in(directory)).cloned().collect()
    }
}

/// A walk through a tree: the root first, then depth first with names in the order of their bytes.
#[derive(Debug)]
pub struct TreeWalk {
    /// The directories that the walk is inside of, outermost first.
    frames: Vec<Frame>,
    /// What comes before the next name.
    ready: VecDeque<Found>,
    options: TreeOptions,
    excluded: Excluded,
    clock: Arc<dyn Clock>,
    /// The file systems met, in the order of their numbers.
    devices: Vec<Device>,
    root: Stat,
}

#[derive(Debug)]
struct Frame {
    dir: Arc<OwnedFd>,
    path: RelPath,
    names: std::vec::IntoIter<CString>,
    /// Those of its names that are left out.
    left_out: Vec<Place>,
}

impl TreeWalk {
    /// Begins a walk at the directory `root`; only here may a symbolic link lead to it.
    ///
    /// # Errors
    /// When `root` is no directory or cannot be listed.
    pub fn open(root: &Path, options: TreeOptions, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let action = || format!("open directory {}", root.display());
        let dir = Arc::new(open_to_read(CWD, root, OFlags::DIRECTORY).context(action)?);
        let stat = stat_open(&dir, &*clock).context(action)?;
        let names = list_names(&dir).context(|| format!("list directory {}", root.display()))?;
        let left_out = options.left_out_of(&stat);
        let frame = Frame { dir: Arc::clone(&dir), path: RelPath::root(), names: names.into_iter(), left_out };
        let mut walk = Self {
            frames: vec![frame],
            ready: VecDeque::new(),
            options,
            excluded: Excluded::default(),
            clock,
            devices: Vec::new(),
            root: stat.clone(),
        };
        let found = walk.found(dir, RelPath::root(), c".".to_owned(), stat).context(action)?;
        walk.ready.push_back(Found::Entry(found));
        Ok(walk)
    }

    /// What has a name in the innermost directory; `None` where it is excluded.
    fn visit(&mut self, name: CString) -> Option<Found> {
        let frame = self.frames.last().expect("names come from the innermost frame");
        let dir = Arc::clone(&frame.dir);
        let path = match frame.path.join(name.to_bytes()) {
            Ok(path) => path,
            Err(invalid) => {
                return Some(Found::Omission(Omission {
                    path: frame.path.clone(),
                    kind: OmissionKind::Unreadable,
                    detail: invalid.to_string(),
                }));
            }
        };
        let stat = stat_at(&dir, &name, &*self.clock);
        let is_directory = stat.as_ref().ok().map(|stat| stat.file_type() == FileType::Directory);
        if self.excluded.leaves_out(&self.options.exclusions, &path, is_directory) {
            return None;
        }
        let named = frame.left_out.iter().find(|place| place.is_named(&name));
        let there = || self.options.left_out.iter().find(|place| stat.as_ref().is_ok_and(|stat| place.has(stat)));
        let left_out = named.or_else(there).map(|place| place.omission(path.clone()));
        let found = stat.and_then(|stat| self.found(Arc::clone(&dir), path.clone(), name, stat));
        Some(match (found, left_out) {
            (Ok(found), Some(omission)) if found.entry.is_directory() => {
                self.ready.push_back(Found::Omission(omission));
                Found::Entry(found)
            }
            (_, Some(omission)) => Found::Omission(omission),
            (Ok(found), None) => {
                if found.entry.is_directory() {
                    self.enter(&found);
                }
                Found::Entry(found)
            }
            (Err(error), None) => Found::Omission(omission(path, error)),
        })
    }

    fn found(&mut self, parent: Arc<OwnedFd>, path: RelPath, name: CString, stat: Stat) -> Result<FoundEntry, Errno> {
        let kind = stat.kind(|| Ok(readlinkat(&parent, &name, Vec::new())?.into_bytes()))?;
        let entry = stat.entry(path, kind, self.number_of(stat.device()));
        Ok(FoundEntry { entry, parent, name, stat, clock: Arc::clone(&self.clock) })
    }

    /// The number of a file system in this walk.
    fn number_of(&mut self, device: Device) -> u32 {
        let number = self.devices.iter().position(|met| *met == device).unwrap_or_else(|| {
            self.devices.push(device);
            self.devices.len() - 1
        });
        u32::try_from(number).expect("fewer file systems are mounted")
    }

    /// Makes the walk go on inside of a directory, or says why it does not.
    fn enter(&mut self, found: &FoundEntry) {
        let path = found.entry.path.clone();
        if !self.options.cross_mounts && !found.stat.is_on_mount_of(&self.root) {
            let omission = Omission { path, kind: OmissionKind::MountPoint, detail: String::new() };
            self.ready.push_back(Found::Omission(omission));
        } else if self.frames.len() >= DEPTH_MAX {
            let detail = format!("it is more than {DEPTH_MAX} directories deep");
            let omission = Omission { path, kind: OmissionKind::Unreadable, detail };
            self.ready.push_back(Found::Omission(omission));
        } else {
            match self.list(found) {
                Ok((dir, names)) => {
                    let left_out = self.options.left_out_of(&found.stat);
                    self.frames.push(Frame { dir: Arc::new(dir), path, names: names.into_iter(), left_out });
                }
                Err(error) => self.ready.push_back(Found::Omission(omission(path, error))),
            }
        }
    }

    fn list(&mut self, found: &FoundEntry) -> Result<(OwnedFd, Vec<CString>), Errno> {
        let dir = open_to_list(&found.parent, &found.name)?;
        // Another directory may have come to this place, with other attributes or on another mount.
        let now = stat_open(&dir, &*self.clock)?;
        if !now.is_same_inode(&found.stat) || !now.is_on_mount_of(&found.stat) {
            return Err(Errno::NOENT);
        }
        let mut names = list_names(&dir)?;
        self.excluded.empty_cache(&self.options.exclusions, &dir, &mut names);
        Ok((dir, names))
    }
}

impl Iterator for TreeWalk {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        if let Some(found) = self.ready.pop_front() {
            return Some(found);
        }
        while let Some(frame) = self.frames.last_mut() {
            match frame.names.next().map(|name| self.visit(name)) {
                Some(None) => {}
                Some(found) => return found,
                None => drop(self.frames.pop()),
            }
        }
        self.excluded.take_omission().map(Found::Omission)
    }
}

fn omission(path: RelPath, error: Errno) -> Omission {
    let kind = match error {
        // A directory that is none any more (or a link that is none) has gone just as well.
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE | Errno::INVAL => OmissionKind::Vanished,
        _ => OmissionKind::Unreadable,
    };
    Omission { path, kind, detail: io::Error::from(error).to_string() }
}

/// The names in a directory that was opened to be listed, in the order of their bytes.
pub(super) fn list_names(dir: impl AsFd) -> Result<Vec<CString>, Errno> {
    let mut buffer = Vec::<u8>::with_capacity(LISTING_BYTES);
    let mut entries = RawDir::new(dir.as_fd(), buffer.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name: &CStr = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    // A directory that changes while it is listed may tell a name twice.
    names.dedup();
    Ok(names)
}
