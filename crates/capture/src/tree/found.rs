//! What a walk finds: entries that can be opened where they were found, whatever their path leads to by now.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use model::{Clock, Entry, EntryKind, Omission};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use crate::context::Context;
use crate::open::open_to_read;
use crate::piece::{Cut, Pieces};
use crate::stat::{Device, Stat, is_recent, racy_window, stat_open};
use crate::xattr;

/// One step of a walk.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are entries")]
pub enum Found {
    /// A file, directory or other node.
    Entry(FoundEntry),
    /// Something that could not be looked at, or was not to be.
    Omission(Omission),
}

/// An entry, and the directory it was found in.
///
/// Keeps that directory open: hold few of them.
#[derive(Debug)]
pub struct FoundEntry {
    /// What was seen, but for `xattrs`, which is empty: see [`FoundEntry::read_xattrs`].
    pub entry: Entry,
    pub(super) parent: Arc<OwnedFd>,
    pub(super) name: CString,
    pub(super) stat: Stat,
    pub(super) clock: Arc<dyn Clock>,
}

impl FoundEntry {
    /// Reads its extended attributes, sorted by name; a symbolic link's own.
    ///
    /// Leaves out `security.selinux`, which is the machine's and not the file's.
    ///
    /// # Errors
    /// Of kind `NotFound` when the entry is gone.
    pub fn read_xattrs(&self) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        xattr::read_xattrs(&self.parent, &self.name)
            .context(|| format!("read extended attributes of {}", self.entry.path))
    }

    /// Opens a regular file to be read.
    ///
    /// # Errors
    /// Of kind `InvalidData` when what is there by now is no regular file; `NotFound` when it is gone.
    pub fn open(&self) -> io::Result<OpenedFile> {
        let path = &self.entry.path;
        let opened = open_to_read(&self.parent, self.name.as_c_str(), OFlags::NOFOLLOW);
        let file = match opened {
            // A symbolic link or a socket has taken its place.
            Err(Errno::LOOP | Errno::NXIO) => return Err(not_regular()).context(|| format!("open {path}")),
            opened => File::from(opened.context(|| format!("open {path}"))?),
        };
        let opened =
            OpenedFile { file, entry: self.entry.clone(), device: self.stat.device(), clock: Arc::clone(&self.clock) };
        opened.stat()?;
        Ok(opened)
    }

    pub(super) fn allocated_bytes(&self) -> u64 {
        self.stat.allocated_bytes()
    }
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file (any more)")
}

/// A regular file, open to be read.
#[derive(Debug)]
pub struct OpenedFile {
    file: File,
    entry: Entry,
    device: Device,
    clock: Arc<dyn Clock>,
}

impl OpenedFile {
    /// Looks at the open file anew. `xattrs` is empty.
    ///
    /// # Errors
    /// Of kind `InvalidData` when it is no regular file.
    pub fn stat(&self) -> io::Result<Entry> {
        let path = &self.entry.path;
        let stat = stat_open(&self.file, &*self.clock).context(|| format!("look at {path}"))?;
        if stat.file_type() != FileType::RegularFile {
            return Err(not_regular()).context(|| format!("open {path}"));
        }
        // A file of another file system has come to this place: no number of this walk is its own.
        let file_system = if stat.device() == self.device { self.entry.inode.file_system } else { u32::MAX };
        Ok(stat.entry(path.clone(), EntryKind::File { size: stat.size() }, file_system))
    }

    /// As [`OpenedFile::stat`], but of a file that was changed just now the next look is waited for, once: until a
    /// write that goes on beside the read must show in ctime.
    ///
    /// # Errors
    /// As those of [`OpenedFile::stat`].
    pub fn stat_to_read(&self) -> io::Result<Entry> {
        let first = self.stat()?;
        if first.settled || !is_recent(first.ctime, self.clock.now()) {
            return Ok(first);
        }
        std::thread::sleep(racy_window(first.ctime));
        self.stat()
    }

    /// As [`FoundEntry::read_xattrs`], of the very file that is open, whatever has its name by now.
    ///
    /// # Errors
    /// When the file system cannot read them.
    pub fn read_xattrs(&self) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        xattr::read_open_xattrs(&self.file).context(|| format!("read extended attributes of {}", self.entry.path))
    }

    /// Its first `size` bytes, cut by content.
    ///
    /// # Errors
    /// When the process has too many files open.
    pub fn pieces(&self, size: u64) -> io::Result<Pieces> {
        let file = self.file.try_clone().context(|| format!("read {}", self.entry.path))?;
        Ok(Pieces::new(file, size, Cut::ByContent))
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }
}
