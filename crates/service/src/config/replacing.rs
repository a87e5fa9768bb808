//! Replacing a file of the configuration: whole, durable, and still the one that its readers may read.
//!
//! A server runs as a user of its own, and an administrator who changes its files as root must not take them away from it:
//! mode, owner, group and ACL stay. Behind a symbolic link, the file that it leads to is replaced.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, XattrFlags, fsetxattr, getxattr, openat};
use rustix::io::Errno;

/// Gives the file at `path` another text.
///
/// # Errors
/// When it cannot be written, or cannot be given to the owner that it has.
pub(crate) fn replace_text(path: &Path, text: &str) -> io::Result<()> {
    let real = path.canonicalize()?;
    let dir = real.parent().ok_or(io::ErrorKind::IsADirectory)?;
    let before = real.metadata()?;
    let mut fresh = tempfile::NamedTempFile::new_in(dir)?;
    fresh.write_all(text.as_bytes())?;
    give_to_owner_of(&before, fresh.as_file())?;
    fresh.as_file().set_permissions(before.permissions())?;
    keep_acl(&real, fresh.as_file())?;
    fresh.as_file().sync_all()?;
    fresh.persist(&real).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()
}

/// Without its ACL, what a file lets some users do, its mode would let its group.
fn keep_acl(from: &Path, to: &File) -> io::Result<()> {
    const ACL: &str = "system.posix_acl_access";
    // As long as an extended attribute can be.
    let mut acl = vec![0; 64 << 10];
    match getxattr(from, ACL, &mut acl[..]) {
        Ok(len) => Ok(fsetxattr(to, ACL, &acl[..len], XattrFlags::empty())?),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits until nobody else changes the file at `path`, and keeps others from it until the returned file is dropped.
///
/// # Errors
/// When the lock cannot be opened.
pub(crate) fn lock_text(path: &Path) -> io::Result<File> {
    let real = path.canonicalize()?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let lock = File::from(openat(CWD, real.with_extension("lock"), flags, Mode::RUSR | Mode::WUSR)?);
    // Made by root, it would keep out the owner of the file. Whoever may write to the directory could put another name of
    // something precious here, so only an empty file of one name is given away.
    let made = lock.metadata()?;
    if made.is_file() && made.len() == 0 && made.nlink() == 1 {
        // Who may not give the lock away may not give the file away either, which is said then.
        let _refused = give_to_owner_of(&fs::metadata(&real)?, &lock);
    }
    lock.lock()?;
    Ok(lock)
}

fn give_to_owner_of(other: &Metadata, file: &File) -> io::Result<()> {
    let own = file.metadata()?;
    match (own.uid(), own.gid()) == (other.uid(), other.gid()) {
        true => Ok(()),
        false => fchown(file, Some(other.uid()), Some(other.gid())),
    }
}
