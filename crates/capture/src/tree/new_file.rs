//! A regular file that is being restored: what was at its path before may stay there until all of it has been written.

use std::fs::File;
use std::ops::Deref;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags, ftruncate, openat, unlinkat};
use rustix::io::Errno;

use super::beside::{make_beside, put_in_place};

/// A file that is made, open to be written. It is to be kept or discarded.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    /// Its name until it is kept, if that is not its own.
    beside: Option<Vec<u8>>,
}

impl NewFile {
    /// Makes a file of `size` bytes, all hole, where nothing is.
    pub(super) fn create(parent: &OwnedFd, name: &[u8], size: u64) -> Result<Self, Errno> {
        open_new(parent, name, size).map(|file| Self { file, beside: None })
    }

    /// As [`Self::create`], to be put in the place of what may have its name, which is no directory.
    pub(super) fn create_beside(parent: &OwnedFd, name: &[u8], size: u64) -> Result<Self, Errno> {
        let (beside, file) = make_beside(parent, name, |beside| open_new(parent, beside, size))?;
        Ok(Self { file, beside: Some(beside) })
    }

    /// Gives the file its own name, or removes it.
    pub(super) fn keep(&self, parent: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
        self.beside.as_ref().map_or(Ok(()), |beside| put_in_place(parent, beside, name))
    }

    /// Removes the file.
    pub(super) fn discard(&self, parent: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
        unlinkat(parent, self.beside.as_deref().unwrap_or(name), AtFlags::empty())
    }
}

impl Deref for NewFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

fn open_new(parent: &OwnedFd, name: &[u8], size: u64) -> Result<File, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?;
    if size > 0
        && let Err(error) = ftruncate(&file, size)
    {
        // An empty file must not be taken for the one that did not fit.
        let _unchecked = unlinkat(parent, name, AtFlags::empty());
        return Err(error);
    }
    Ok(File::from(file))
}
