//! Writing a tree back, below one directory and never outside of it.
//!
//! Paths come from a manifest that may be hostile, and others may change the target meanwhile: see
//! `descent` for how a path is reached. The last name is made exclusively, never opened.

use std::collections::HashSet;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use model::effect::effect;
use model::{DeviceNumber, Entry, EntryKind, Omission, RelPath};
use rustix::fs::{
    Access, AtFlags, CWD, FileType, Mode, OFlags, accessat, fstat, linkat, makedev, mknodat, openat, symlinkat,
    unlinkat,
};
use rustix::io::Errno;

use super::beside::{make_beside, put_in_place};
use super::descent::{Descent, Missing, UNFINISHED, make_private_directory};
use super::metadata::{Handle, Stray, lacking, make_writable, set_all};
use super::new_file::NewFile;
use super::source::list_names;
use crate::Existing;
use crate::context::Context;
use crate::open::{open_to_enter, open_to_list, open_to_read};

/// A directory of the target.
#[derive(Debug)]
pub struct TargetDirectory {
    /// How it came to be there.
    pub origin: Origin,
    /// The directory, where it is on a file system that none before it was on: one that is mounted there has to be made durable
    /// by itself.
    pub file_system: Option<OwnedFd>,
}

/// How a directory of the target came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was made just now.
    Made,
    /// It was there, and looks like one whose metadata an interrupted restore has not come to set.
    Unfinished,
    /// It was there.
    Kept,
}

/// A directory into which a tree is restored.
///
/// Entries in path order are cheapest. Directories above an entry that are not there are made.
#[derive(Debug)]
pub struct TreeTarget {
    descent: Descent,
    root: Origin,
    existing: Existing,
    /// The numbers of the file systems that directories were made on.
    file_systems: HashSet<u64>,
}

impl TreeTarget {
    /// Opens the directory `root`, making it and those above it if need be.
    ///
    /// # Errors
    /// Of kind `AlreadyExists` when it is not empty and nothing may be replaced, `NotADirectory` when something else is there.
    pub fn open(root: &Path, existing: Existing) -> io::Result<Self> {
        let shown = root.display();
        let made = make_root(root).context(|| format!("make directory {shown}"))?;
        let dir = open_to_read(CWD, root, OFlags::DIRECTORY).context(|| format!("open directory {shown}"))?;
        let origin = if made { Origin::Made } else { origin_of(dir.as_fd())? };
        if existing == Existing::Refuse {
            // Listed through another descriptor, as a listing moves the offset of the one it is read from.
            let names = open_to_list(&dir, c".").and_then(list_names).context(|| format!("list directory {shown}"))?;
            if !names.is_empty() {
                let why = "the directory is not empty: choose an empty directory or --overwrite";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, why))
                    .context(|| format!("restore into {shown}"));
            }
        }
        let file_systems = HashSet::from([fstat(&dir)?.st_dev]);
        Ok(Self { descent: Descent::new(dir), root: origin, existing, file_systems })
    }

    /// Finds out, without a change, whether anything could be restored as `path` or below it.
    ///
    /// # Errors
    /// Where it is certain that nothing could, what making it would end in.
    pub fn check_writable(&self, path: &RelPath) -> io::Result<()> {
        let open_below = |at: OwnedFd, name| open_to_enter(&at, name).map_err(|_| at);
        let root = open_to_enter(self.descent.root(), b".").context(|| "open the root of a restore".to_owned())?;
        let (reached, at) = match path.names().try_fold(root, open_below) {
            Ok(at) => (true, at),
            Err(at) => (false, at),
        };
        // With the rights that making something would have, capabilities among them.
        match accessat(&at, c".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS) {
            // What is there already may be open to be written in, or can be opened by its owner.
            Err(Errno::ACCESS) if reached && !(path.is_root() && is_empty(&at)) => Ok(()),
            Err(error @ (Errno::ACCESS | Errno::ROFS)) => Err(error).context(|| format!("write {path}")),
            // Older kernels and sandboxes cannot say.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Makes a directory for its owner alone, until [`Self::set_metadata`]. One that is there is kept, and opened to its owner.
    ///
    /// # Errors
    /// Of kind `AlreadyExists` when something else is there and may not be replaced.
    pub fn make_directory(&mut self, path: &RelPath) -> io::Result<TargetDirectory> {
        self.make_or_keep(path, self.existing, |kept| make_writable(kept.as_fd()))
    }

    /// Makes a directory as [`Self::make_directory`] does, but leaves alone what is there: it is only on the way.
    ///
    /// # Errors
    /// Of kind `AlreadyExists` when something else is there.
    pub fn pass_directory(&mut self, path: &RelPath) -> io::Result<TargetDirectory> {
        self.make_or_keep(path, Existing::Refuse, |_| Ok(()))
    }

    fn make_or_keep(
        &mut self,
        path: &RelPath,
        existing: Existing,
        prepare: impl FnOnce(&OwnedFd) -> Result<(), Errno>,
    ) -> io::Result<TargetDirectory> {
        if path.is_root() {
            return Ok(TargetDirectory { origin: self.root, file_system: None });
        }
        let (parent, name) = self.descent.parent(path, Missing::Make)?;
        let new = |()| TargetDirectory { origin: Origin::Made, file_system: None };
        let made = match make_private_directory(&parent, name) {
            Err(Errno::EXIST) => match open_to_enter(&parent, name) {
                Ok(kept) => self.keep_directory(&kept, prepare),
                Err(Errno::NOTDIR) => {
                    make_anew(&parent, name, existing, || make_private_directory(&parent, name)).map(new)
                }
                Err(error) => Err(error),
            },
            made => made.map(new),
        };
        made.context(|| format!("make directory {path}"))
    }

    fn keep_directory(
        &mut self,
        kept: &OwnedFd,
        prepare: impl FnOnce(&OwnedFd) -> Result<(), Errno>,
    ) -> Result<TargetDirectory, Errno> {
        let origin = origin_of(kept.as_fd())?;
        prepare(kept)?;
        Ok(TargetDirectory { origin, file_system: self.as_new_file_system(kept)? })
    }

    /// The directory, opened to be synced, where it is on a file system that was not met before.
    fn as_new_file_system(&mut self, directory: &OwnedFd) -> Result<Option<OwnedFd>, Errno> {
        let number = fstat(directory)?.st_dev;
        if self.file_systems.contains(&number) {
            return Ok(None);
        }
        match open_to_list(directory, c".") {
            Ok(opened) => {
                self.file_systems.insert(number);
                Ok(Some(opened))
            }
            // One below it will do.
            Err(Errno::ACCESS) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a regular file of `size` bytes, all hole, and opens it to be written. What is replaced stays until
    /// [`Self::keep_file`].
    ///
    /// # Errors
    /// Of kind `AlreadyExists` when something is there and may not be replaced, `IsADirectory` when a
    /// directory is.
    pub fn create_file(&mut self, path: &RelPath, size: u64) -> io::Result<NewFile> {
        let existing = self.existing;
        self.act("restore.create_file", "create", path, Missing::Make, |parent, name| {
            // Also where nothing is: a run after this one could not tell half a file from one that was there before.
            if existing == Existing::Replace {
                return NewFile::create_beside(parent, name, size);
            }
            match NewFile::create(parent, name, size) {
                Err(Errno::EXIST) => make_anew(parent, name, existing, || NewFile::create(parent, name, size)),
                made => made,
            }
        })
    }

    /// Puts a file in its place, once it has all its bytes and attributes. One for which there is no place is removed.
    ///
    /// # Errors
    /// Of kind `IsADirectory` when a directory has come to lie there.
    pub fn keep_file(&mut self, path: &RelPath, file: &NewFile) -> io::Result<()> {
        self.act("restore.keep_file", "put in place", path, Missing::Fail, |parent, name| file.keep(parent, name))
    }

    /// Removes a file that must not stay. What it was to replace does.
    ///
    /// # Errors
    /// Of kind `NotFound` when it is not there.
    pub fn discard_file(&mut self, path: &RelPath, file: &NewFile) -> io::Result<()> {
        self.act("restore.discard_file", "remove", path, Missing::Fail, |parent, name| file.discard(parent, name))
    }

    /// Makes a symbolic link, named pipe or device node.
    ///
    /// # Errors
    /// Of kind `Unsupported` for a socket, `InvalidInput` for a file or directory.
    pub fn make_node(&mut self, entry: &Entry) -> io::Result<()> {
        let path = &entry.path;
        let (file_type, device) = match &entry.kind {
            EntryKind::Symlink { target } => {
                let target = target.as_slice();
                return self.make("restore.make_node", path, |parent, name| symlinkat(target, parent, name));
            }
            EntryKind::Fifo => (FileType::Fifo, 0),
            EntryKind::CharDevice(number) => (FileType::CharacterDevice, raw_device(*number)),
            EntryKind::BlockDevice(number) => (FileType::BlockDevice, raw_device(*number)),
            EntryKind::Socket => return refuse(io::ErrorKind::Unsupported, path, "a socket is not restored"),
            EntryKind::File { .. } | EntryKind::Directory => {
                return refuse(io::ErrorKind::InvalidInput, path, "files and directories are not made as nodes");
            }
        };
        let mode = Mode::RUSR | Mode::WUSR;
        self.make("restore.make_node", path, |parent, name| mknodat(parent, name, file_type, mode, device))
    }

    /// Gives the file that was restored as `first` the further name `path`.
    ///
    /// # Errors
    /// Of kind `InvalidInput` when both are the same path, `NotFound` when `first` is not there.
    pub fn hard_link(&mut self, first: &RelPath, path: &RelPath) -> io::Result<()> {
        if first == path {
            return refuse(io::ErrorKind::InvalidInput, path, "a file is not linked to itself");
        }
        let (first_parent, first_name) = self.descent.parent(first, Missing::Fail)?;
        self.make("restore.hard_link", path, |parent, name| {
            linkat(&first_parent, first_name, parent, name, AtFlags::empty())
        })
    }

    /// Sets owner, mode, extended attributes and modification time; returns what could not be set.
    ///
    /// For directories: after all that is in them, the innermost first. A symbolic link has no mode.
    pub fn set_metadata(&mut self, entry: &Entry) -> Vec<Omission> {
        let replaced = self.existing != Existing::Refuse && entry.is_directory();
        let stray = if replaced { Stray::Remove } else { Stray::RemoveAcls };
        if entry.path.is_root() {
            return set_all(&Handle::opened(self.descent.root()), entry, stray);
        }
        match self.open_place(&entry.path) {
            Ok(place) => {
                let handle = Handle::of_place(place.as_fd());
                if has_kind_of(&handle, entry) {
                    set_all(&handle, entry, stray)
                } else {
                    vec![lacking(entry, "something else has taken its place".to_owned())]
                }
            }
            Err(error) => vec![lacking(entry, error.to_string())],
        }
    }

    /// As [`Self::set_metadata`], for a regular file that is still open.
    pub fn set_file_metadata(file: &File, entry: &Entry) -> Vec<Omission> {
        set_all(&Handle::opened(file.as_fd()), entry, Stray::RemoveAcls)
    }

    fn open_place(&mut self, path: &RelPath) -> io::Result<OwnedFd> {
        let (parent, name) = self.descent.parent(path, Missing::Fail)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&parent, name, flags, Mode::empty()).context(|| format!("open {path}"))
    }

    /// Makes a name for something that needs no time to be whole, in place of what has it if that may be replaced.
    fn make(
        &mut self,
        what: &'static str,
        path: &RelPath,
        make_at: impl Fn(&OwnedFd, &[u8]) -> Result<(), Errno>,
    ) -> io::Result<()> {
        let existing = self.existing;
        self.act(what, "create", path, Missing::Make, |parent, name| match make_at(parent, name) {
            Err(Errno::EXIST) if existing == Existing::Replace => {
                let (beside, ()) = make_beside(parent, name, |beside| make_at(parent, beside))?;
                put_in_place(parent, &beside, name)
            }
            Err(Errno::EXIST) => make_anew(parent, name, existing, || make_at(parent, name)),
            made => made,
        })
    }

    /// Calls `act_at` for the directory that `path` lies in and the last name of `path`.
    fn act<T>(
        &mut self,
        what: &'static str,
        verb: &str,
        path: &RelPath,
        missing: Missing,
        act_at: impl FnOnce(&OwnedFd, &[u8]) -> Result<T, Errno>,
    ) -> io::Result<T> {
        let (parent, name) = self.descent.parent(path, missing)?;
        effect(what);
        let done = act_at(&parent, name);
        effect(what);
        done.context(|| format!("{verb} {path}"))
    }
}

/// Makes the root of a restore, and those above it. Returns whether it was not there.
fn make_root(root: &Path) -> io::Result<bool> {
    let make = || DirBuilder::new().mode(UNFINISHED.as_raw_mode()).create(root);
    let made = match (make(), root.parent()) {
        (Err(error), Some(above)) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(above)?;
            make()
        }
        (made, _) => made,
    };
    match made {
        // Some file systems say that they are read-only before that it is there.
        Err(_) if root.is_dir() => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(io::Error::new(io::ErrorKind::NotADirectory, "something else is there"))
        }
        made => made.map(|()| true),
    }
}

/// Whether it is certain that there is nothing in a directory.
fn is_empty(dir: &OwnedFd) -> bool {
    open_to_list(dir, c".").and_then(list_names).is_ok_and(|names| names.is_empty())
}

/// How a directory that is there came to be.
fn origin_of(dir: BorrowedFd<'_>) -> Result<Origin, Errno> {
    // Where the directory above is setgid, so is each that is made in it.
    let mode = Mode::from_raw_mode(Handle::of_place(dir).stat()?.mode()) - Mode::SGID;
    Ok(if mode == UNFINISHED { Origin::Unfinished } else { Origin::Kept })
}

/// Makes what could not be made because something else was there, if that may be replaced.
fn make_anew<T>(
    parent: &OwnedFd,
    name: &[u8],
    existing: Existing,
    make: impl FnOnce() -> Result<T, Errno>,
) -> Result<T, Errno> {
    if existing == Existing::Refuse {
        return Err(Errno::EXIST);
    }
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => make(),
        Err(error) => Err(error),
    }
}

fn refuse<T>(kind: io::ErrorKind, path: &RelPath, why: &str) -> io::Result<T> {
    Err(io::Error::new(kind, why)).context(|| format!("create {path}"))
}

fn raw_device(number: DeviceNumber) -> u64 {
    makedev(number.major, number.minor)
}

/// Whether the file is of the entry's kind: a device must not get what was meant for a file.
fn has_kind_of(handle: &Handle<'_>, entry: &Entry) -> bool {
    let expected = match entry.kind {
        EntryKind::Directory => FileType::Directory,
        EntryKind::File { .. } => FileType::RegularFile,
        EntryKind::Symlink { .. } => FileType::Symlink,
        EntryKind::Fifo => FileType::Fifo,
        EntryKind::Socket => FileType::Socket,
        EntryKind::CharDevice(_) => FileType::CharacterDevice,
        EntryKind::BlockDevice(_) => FileType::BlockDevice,
    };
    handle.stat().is_ok_and(|stat| stat.file_type() == expected)
}
