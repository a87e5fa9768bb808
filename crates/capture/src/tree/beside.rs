//! Making something beside what it is to replace, which stays in its place until then.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, renameat, statat, unlinkat};
use rustix::io::Errno;

/// Restores that were killed have each left one at most.
const NAMES_MAX: u32 = 10_000;

/// Makes something in `parent` under a name that nothing has, and returns the name. A file with such a name that is there
/// already is somebody's, whoever that is.
///
/// # Errors
/// `ISDIR` when `name`, in whose place it is to come, is a directory, and those of `make`.
pub(super) fn make_beside<T>(
    parent: &OwnedFd,
    name: &[u8],
    make: impl Fn(&[u8]) -> Result<T, Errno>,
) -> Result<(Vec<u8>, T), Errno> {
    match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(there) if FileType::from_raw_mode(there.st_mode) == FileType::Directory => return Err(Errno::ISDIR),
        Ok(_) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error),
    }
    for number in 0..NAMES_MAX {
        let beside = format!(".offsite-restoring-{number}").into_bytes();
        if beside == name {
            continue;
        }
        match make(&beside) {
            Err(Errno::EXIST) => {}
            made => return made.map(|made| (beside, made)),
        }
    }
    Err(Errno::EXIST)
}

/// Gives what was made `beside` its own name, or removes it.
pub(super) fn put_in_place(parent: &OwnedFd, beside: &[u8], name: &[u8]) -> Result<(), Errno> {
    let put = renameat(parent, beside, parent, name);
    // Of two names of one file none is renamed to the other, and both stay.
    match unlinkat(parent, beside, AtFlags::empty()) {
        Err(error) if error != Errno::NOENT => put.and(Err(error)),
        _ => put,
    }
}
