//! Reaching a directory of the restore target without ever following a symbolic link.
//!
//! Each name on the way is opened on its own, from the root that is held open. What was opened last
//! stays open, so that entries that come in path order cost one name each, and so that a directory
//! that its owner may no longer enter is still at hand.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use model::RelPath;
use model::effect::effect;
use rustix::fs::{Mode, mkdirat};
use rustix::io::Errno;

use crate::context::Context;
use crate::open::{DEPTH_MAX, open_to_enter};

/// What to do about a directory on the way that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Make,
    Fail,
}

#[derive(Debug)]
pub(super) struct Descent {
    root: Arc<OwnedFd>,
    /// The names below the root that lead to the directory reached last, each with its directory.
    held: Vec<(Vec<u8>, Arc<OwnedFd>)>,
}

impl Descent {
    pub(super) fn new(root: OwnedFd) -> Self {
        Self { root: Arc::new(root), held: Vec::new() }
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The directory in which `path` lies, and its name there.
    pub(super) fn parent<'p>(&mut self, path: &'p RelPath, missing: Missing) -> io::Result<(Arc<OwnedFd>, &'p [u8])> {
        let mut names = path.names();
        let Some(name) = names.next_back() else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the root of a restore lies in no directory of it",
            ));
        };
        let mut depth = 0;
        for above in names {
            self.hold(depth, above, missing)
                .context(|| format!("open directory \"{}\" on the way to {path}", above.escape_ascii()))?;
            depth += 1;
        }
        self.held.truncate(depth);
        Ok((Arc::clone(self.at(depth)), name))
    }

    fn at(&self, depth: usize) -> &Arc<OwnedFd> {
        depth.checked_sub(1).map_or(&self.root, |above| &self.held[above].1)
    }

    /// Makes `name` the directory held at `depth`, below those held already.
    fn hold(&mut self, depth: usize, name: &[u8], missing: Missing) -> Result<(), Errno> {
        if self.held.get(depth).is_some_and(|(held, _)| held == name) {
            return Ok(());
        }
        if depth >= DEPTH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        self.held.truncate(depth);
        let above = self.at(depth);
        let opened = match open_to_enter(above, name) {
            Err(Errno::NOENT) if missing == Missing::Make => {
                make_private_directory(above, name)?;
                open_to_enter(above, name)
            }
            opened => opened,
        };
        self.held.push((name.to_vec(), Arc::new(opened?)));
        Ok(())
    }
}

/// The mode of a directory whose metadata is still to be set: only its owner may enter it. It is sticky besides, which is of no
/// use in such a directory and so tells one that an interrupted restore has made from most that were there before.
pub(super) const UNFINISHED: Mode = Mode::RWXU.union(Mode::SVTX);

/// Makes a directory that only its owner may enter, until its metadata is set.
pub(super) fn make_private_directory(parent: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    effect("restore.make_directory");
    let made = mkdirat(parent, name, UNFINISHED);
    effect("restore.make_directory");
    made
}
