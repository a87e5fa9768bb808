//! Giving a restored file its owner, mode, extended attributes and times.
//!
//! The order matters. The owner comes first, because a change of owner clears setuid bits and
//! capabilities. Then the attributes other than ACLs: to set them an ordinary user needs the right
//! to write, which the mode may take away. Then the mode, and after it the ACLs, whose mask it would
//! change. Times are last, as everything else may move them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use model::effect::effect;
use model::{Entry, EntryKind, FileTime, Omission, OmissionKind, SystemClock};
use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chmod, chownat, fchmod, flistxattr,
    fremovexattr, fsetxattr, futimens, listxattr, removexattr, setxattr, utimensat,
};
use rustix::io::Errno;

use crate::stat::{Stat, stat_open};
use crate::xattr::{magic_path, names_from};

const SETUID_AND_SETGID: u32 = 0o6000;
const SETGID: u32 = 0o2000;
const ACL_PREFIX: &[u8] = b"system.posix_acl_";

/// Extended attributes that are on the file and not in its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stray {
    /// Only ACLs go: one inherited from a directory above would let in people that the entry does not.
    RemoveAcls,
    /// All go that are not the kernel's security modules'.
    Remove,
}

/// The file whose metadata is set: always the very one that was opened, whatever has its name by now.
pub(super) struct Handle<'a> {
    fd: BorrowedFd<'a>,
    /// Set for a descriptor that stands for a place only (`O_PATH`), on which few calls work.
    magic: Option<String>,
}

impl<'a> Handle<'a> {
    /// From a descriptor open for reading or writing.
    pub(super) fn opened(fd: BorrowedFd<'a>) -> Self {
        Self { fd, magic: None }
    }

    /// From an `O_PATH` descriptor, which any kind of file has, also without the right to read it.
    pub(super) fn of_place(fd: BorrowedFd<'a>) -> Self {
        Self { fd, magic: Some(magic_path(fd)) }
    }

    pub(super) fn stat(&self) -> Result<Stat, Errno> {
        stat_open(self.fd, &SystemClock)
    }

    fn set_owner(&self, uid: Option<u32>, gid: u32) -> Result<(), Errno> {
        // The kernel takes the largest id for "leave as it is".
        if uid == Some(u32::MAX) || gid == u32::MAX {
            return Err(Errno::INVAL);
        }
        chownat(self.fd, c"", uid.map(Uid::from_raw), Some(Gid::from_raw(gid)), AtFlags::EMPTY_PATH)
    }

    pub(super) fn set_mode(&self, mode: u32) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(mode & 0o7777);
        match &self.magic {
            Some(path) => chmod(path, mode),
            None => fchmod(self.fd, mode),
        }
    }

    fn set_xattr(&self, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        match &self.magic {
            Some(path) => setxattr(path, name, value, XattrFlags::empty()),
            None => fsetxattr(self.fd, name, value, XattrFlags::empty()),
        }
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<(), Errno> {
        let removed = match &self.magic {
            Some(path) => removexattr(path, name),
            None => fremovexattr(self.fd, name),
        };
        if removed == Err(Errno::NODATA) { Ok(()) } else { removed }
    }

    fn list_xattrs(&self) -> Result<Vec<Vec<u8>>, Errno> {
        let names = names_from(|buffer| match &self.magic {
            Some(path) => listxattr(path, buffer),
            None => flistxattr(self.fd, buffer),
        })?;
        Ok(names.into_iter().map(std::ffi::CString::into_bytes).collect())
    }

    fn set_mtime(&self, mtime: FileTime) -> Result<(), Errno> {
        // Beyond a second the field means something else to the kernel, such as "now".
        if mtime.nanos >= 1_000_000_000 {
            return Err(Errno::INVAL);
        }
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanos.into() },
        };
        match &self.magic {
            Some(_) => utimensat(self.fd, c"", &times, AtFlags::EMPTY_PATH),
            None => futimens(self.fd, &times),
        }
    }
}

/// Sets all that `entry` says of the file; returns what could not be set.
pub(super) fn set_all(handle: &Handle<'_>, entry: &Entry, stray: Stray) -> Vec<Omission> {
    effect("restore.set_metadata");
    let mut setter = Setter { handle, entry, unset: Vec::new() };
    let owned = setter.set_owner();
    setter.set_xattrs(|name| !name.starts_with(ACL_PREFIX));
    if !matches!(entry.kind, EntryKind::Symlink { .. }) {
        setter.set_mode(owned);
    }
    setter.remove_strays(stray);
    setter.set_xattrs(|name| name.starts_with(ACL_PREFIX));
    let timed = handle.set_mtime(entry.mtime);
    setter.note(timed, || "modification time could not be set".to_owned());
    effect("restore.set_metadata");
    setter.unset
}

/// An attribute of `entry` that was not restored.
pub(super) fn lacking(entry: &Entry, detail: String) -> Omission {
    Omission { path: entry.path.clone(), kind: OmissionKind::Attribute, detail }
}

struct Setter<'a> {
    handle: &'a Handle<'a>,
    entry: &'a Entry,
    unset: Vec<Omission>,
}

impl Setter<'_> {
    fn note(&mut self, done: Result<(), Errno>, what: impl FnOnce() -> String) {
        if let Err(error) = done {
            let detail = format!("{}: {}", what(), io::Error::from(error));
            self.unset.push(lacking(self.entry, detail));
        }
    }

    /// Returns whether owner and group are now as asked.
    fn set_owner(&mut self) -> bool {
        let (uid, gid) = (self.entry.uid, self.entry.gid);
        let set = self.handle.set_owner(Some(uid), gid);
        let is_set = |handle: &Handle<'_>| handle.stat().is_ok_and(|stat| stat.owner() == (uid, gid));
        if set.is_ok() || is_set(self.handle) {
            return true;
        }
        // An ordinary user may still give a file to a group of theirs; the report below covers the rest.
        let _unchecked = self.handle.set_owner(None, gid);
        self.note(set, || format!("owner {uid}:{gid} could not be set"));
        false
    }

    fn set_mode(&mut self, owned: bool) {
        let wanted = self.entry.mode & 0o7777;
        let given = if owned { wanted } else { wanted & !SETUID_AND_SETGID };
        if given != wanted {
            // Run by another owner than meant, they would give away that owner's rights.
            let detail = format!("setuid and setgid of mode {wanted:o} were left out, as the owner could not be set");
            self.unset.push(lacking(self.entry, detail));
        }
        let set = self.handle.set_mode(given);
        let failed = set.is_err();
        self.note(set, || format!("mode {given:o} could not be set"));
        // The kernel takes setgid away without a word from whoever is not in the group.
        let is_set = || self.handle.stat().is_ok_and(|stat| stat.mode() == given);
        if !failed && given & SETGID != 0 && !is_set() {
            let detail = format!("setgid of mode {given:o} was refused");
            self.unset.push(lacking(self.entry, detail));
        }
    }

    fn set_xattrs(&mut self, chosen: impl Fn(&[u8]) -> bool) {
        let entry = self.entry;
        for (name, value) in entry.xattrs.iter().filter(|(name, _)| chosen(name)) {
            let set = self.handle.set_xattr(name, value);
            self.note(set, || format!("extended attribute {} could not be set", name.escape_ascii()));
        }
    }

    fn remove_strays(&mut self, stray: Stray) {
        let listed = match self.handle.list_xattrs() {
            Ok(listed) => listed,
            Err(error) => return self.note(Err(error), || "extended attributes could not be listed".to_owned()),
        };
        let goes =
            |name: &[u8]| name.starts_with(ACL_PREFIX) || (stray == Stray::Remove && !name.starts_with(b"security."));
        let kept = |name: &[u8]| self.entry.xattrs.iter().any(|(wanted, _)| wanted == name);
        let strays: Vec<_> = listed.into_iter().filter(|name| goes(name) && !kept(name)).collect();
        for name in strays {
            let removed = self.handle.remove_xattr(&name);
            self.note(removed, || format!("extended attribute {} could not be removed", name.escape_ascii()));
        }
    }
}

/// Makes a directory that is kept one that its owner can write into; it gets its own mode at the end.
pub(super) fn make_writable(dir: BorrowedFd<'_>) -> Result<(), Errno> {
    let handle = Handle::of_place(dir.as_fd());
    let mode = handle.stat()?.mode();
    if mode & 0o700 == 0o700 { Ok(()) } else { handle.set_mode(mode | 0o700) }
}
