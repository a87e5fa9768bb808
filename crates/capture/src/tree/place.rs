//! Places that a walk leaves out.
//!
//! A place is a name in a directory, and the directory is known by its inode: whichever path leads there, through a bind mount or past
//! a symbolic link, it is the same place, whatever has been put there since. What was there at first is known by its inode as well: it
//! may be mounted there, and have another name where it is.

use std::ffi::CString;
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use model::{Omission, OmissionKind, RelPath};
use rustix::fs::{major, minor};

use crate::context::Context;
use crate::stat::{Device, Stat};

/// A place that a walk leaves out: of a directory what is in it, of anything else all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    device: Device,
    inode: u64,
    name: CString,
    /// What has the name, by its inode: another mount shows it under another name.
    there: Option<(Device, u64)>,
    /// What is there, for people.
    what: String,
}

impl Place {
    /// The place to which `path` leads, where there need not be anything yet; `what` says what it is.
    ///
    /// # Errors
    /// When the directory is not there, or the path names none: the root of all lies in no directory.
    pub fn find(path: &Path, what: &str) -> io::Result<Self> {
        let find = || -> io::Result<Self> {
            let real = real_path(path)?;
            let (Some(directory), Some(name)) = (real.parent(), real.file_name()) else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let inode = |found: Metadata| ((major(found.dev()), minor(found.dev())), found.ino());
            let (device, of_directory) = inode(directory.metadata()?);
            Ok(Self {
                device,
                inode: of_directory,
                name: CString::new(name.as_bytes())?,
                there: real.symlink_metadata().ok().map(inode),
                what: what.to_owned(),
            })
        };
        find().context(|| format!("find {}", path.display()))
    }

    /// Whether both are one place.
    pub fn is_same(&self, other: &Self) -> bool {
        let is_there = self.there.is_some() && self.there == other.there;
        is_there || (self.device, self.inode, &self.name) == (other.device, other.inode, &other.name)
    }

    /// Whether a file or directory is what was in this place when it was found.
    pub(super) fn has(&self, found: &Stat) -> bool {
        self.there == Some((found.device(), found.inode()))
    }

    /// What is there, for people.
    pub fn what(&self) -> &str {
        &self.what
    }

    pub(super) fn is_in(&self, directory: &Stat) -> bool {
        (self.device, self.inode) == (directory.device(), directory.inode())
    }

    pub(super) fn is_named(&self, name: &CString) -> bool {
        self.name == *name
    }

    pub(super) fn omission(&self, path: RelPath) -> Omission {
        Omission { path, kind: OmissionKind::OwnPlace, detail: self.what.clone() }
    }
}

/// The path without symbolic links; of what is not there, that of its directory.
fn real_path(path: &Path) -> io::Result<PathBuf> {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Err(error), Some(directory), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            Ok(directory.canonicalize()?.join(name))
        }
        (real, ..) => real,
    }
}
