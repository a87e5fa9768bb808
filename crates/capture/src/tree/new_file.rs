//! A regular file that is being restored: what was at its path before stays there until all of it has been written.

use std::fs::File;
use std::ops::Deref;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ftruncate, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

/// A name has up to 255 bytes on most file systems; so many of them are taken over into the name of the file beside it.
const NAME_BYTES_TAKEN: usize = 200;

/// A file that is made, open to be written. It is to be kept or discarded.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    /// Its name until it is kept, where something else has its own.
    beside: Option<Vec<u8>>,
}

impl NewFile {
    /// Makes a file of `size` bytes, all hole, where nothing is.
    pub(super) fn create(parent: &OwnedFd, name: &[u8], size: u64) -> Result<Self, Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?;
        if size > 0
            && let Err(error) = ftruncate(&file, size)
        {
            // An empty file must not be taken for the one that did not fit.
            let _unchecked = unlinkat(parent, name, AtFlags::empty());
            return Err(error);
        }
        Ok(Self { file: File::from(file), beside: None })
    }

    /// As [`Self::create`], beside what has its name, which is no directory.
    pub(super) fn create_beside(parent: &OwnedFd, name: &[u8], size: u64) -> Result<Self, Errno> {
        let there = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(there.st_mode) == FileType::Directory {
            return Err(Errno::ISDIR);
        }
        let beside = name_beside(name);
        // A restore that was interrupted has left it.
        match unlinkat(parent, &*beside, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
        let made = Self::create(parent, &beside, size)?;
        Ok(Self { beside: Some(beside), ..made })
    }

    /// Gives the file its own name, or removes it.
    pub(super) fn keep(&self, parent: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
        let Some(beside) = &self.beside else { return Ok(()) };
        renameat(parent, &**beside, parent, name).inspect_err(|_| {
            let _unchecked = self.discard(parent, name);
        })
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

/// The same each time, so that nothing gathers where restores are interrupted.
fn name_beside(name: &[u8]) -> Vec<u8> {
    let is_whole = |end: &usize| name.get(*end).is_none_or(|next| next & 0xc0 != 0x80);
    // No character is cut apart: some file systems take UTF-8 only.
    let end = (0..=name.len().min(NAME_BYTES_TAKEN)).rev().find(is_whole).unwrap_or(0);
    [b".", &name[..end], b".offsite-new"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_beside_fits_and_is_text_where_the_name_is() {
        assert_eq!(name_beside(b"report.txt"), b".report.txt.offsite-new");
        let long = name_beside("ä".repeat(127).as_bytes());
        assert_eq!(String::from_utf8(long).unwrap(), format!(".{}.offsite-new", "ä".repeat(100)));
        let odd = name_beside(&[0xbf; 255]);
        assert_eq!(odd, b"..offsite-new");
    }
}
