//! Opening files and directories without following links, touching access times or waiting.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::path::Arg;

/// How many directories deep a tree may be.
///
/// Each level on the way down is a descriptor held open, and a path of the kernel's longest length
/// (4096 bytes) has no more names than this: what is deeper was made to do harm.
pub(crate) const DEPTH_MAX: usize = 2048;

/// Opens a file for reading. Never waits for the other end of a pipe, nor becomes a terminal's owner.
///
/// Its access time stays as it is where the kernel lets us: reading for a backup is no use of the file.
pub(crate) fn open_to_read(dir: impl AsFd, name: impl Arg + Copy, more: OFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | more;
    match openat(&dir, name, flags | OFlags::NOATIME, Mode::empty()) {
        // Only the owner and root may leave the access time alone.
        Err(Errno::PERM) => openat(&dir, name, flags, Mode::empty()),
        other => other,
    }
}

/// Opens a directory to list it. A symbolic link in its place is an error.
pub(crate) fn open_to_list(dir: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    open_to_read(dir, name, OFlags::DIRECTORY | OFlags::NOFOLLOW)
}

/// Opens a directory as a place to go on from; needs no right to read it. A symbolic link is an error.
pub(crate) fn open_to_enter(dir: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    openat(dir, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}
