//! What lies where an image should be, seen before anything about it is accepted.
//!
//! Only what can be told at once is looked at here. What shows later, while the image is read or written, fails the
//! work itself.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use catalog::ResourceRow;
use rustix::fs::statvfs;

use crate::context::RegionContext;
use crate::managed::path_of;

/// What lies where an image should be.
#[derive(Debug)]
pub enum Medium {
    /// A file or a block device, which can be opened for what it is wanted for.
    Image,
    /// Nothing.
    Missing,
    /// A directory.
    Directory,
    /// A terminal, pipe or socket: it has no bytes that stay.
    Stream,
    /// What cannot be looked at or opened, for this reason.
    Closed(io::Error),
}

/// What an image is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To back it up.
    Read,
    /// To restore over it.
    Write,
}

/// Looks at the image of a resource.
pub async fn look_at(row: &ResourceRow, access: Access) -> Medium {
    let path = path_of(row);
    // It may be far away.
    tokio::task::spawn_blocking(move || look(&path, access)).await.expect("looking at a file does not panic")
}

fn look(path: &Path, access: Access) -> Medium {
    let kind = match path.metadata() {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Medium::Missing,
        Err(error) => return Medium::Closed(error),
    };
    // A pipe would be waited for when it is opened.
    match kind {
        kind if kind.is_dir() => Medium::Directory,
        kind if !kind.is_file() && !kind.is_block_device() => Medium::Stream,
        _ => match File::options().read(access == Access::Read).write(access == Access::Write).open(path) {
            Ok(_) => Medium::Image,
            Err(error) => Medium::Closed(error),
        },
    }
}

/// How large the file system is in which a region's managed resources are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// All of it, in bytes.
    pub total_bytes: u64,
    /// What is free of it, in bytes.
    pub free_bytes: u64,
}

impl Room {
    /// That of a region; `None` where the file system does not tell.
    pub async fn of(ctx: &RegionContext) -> Option<Self> {
        let managed = ctx.managed.clone();
        // The directory is only made with the first resource.
        let look = move || managed.ancestors().find_map(|dir| statvfs(dir).ok());
        let found = tokio::task::spawn_blocking(look).await.expect("looking at a file system does not panic")?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        // Network file systems that do not know say 0.
        (found.f_blocks > 0).then(|| Self { total_bytes: bytes(found.f_blocks), free_bytes: bytes(found.f_bavail) })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_is_no_image_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name| dir.path().join(name);
        std::fs::write(at("file"), "bytes").unwrap();
        symlink("file", at("link")).unwrap();
        symlink("loop", at("loop")).unwrap();
        symlink("nowhere", at("broken")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        for access in [Access::Read, Access::Write] {
            assert!(matches!(look(&at("file"), access), Medium::Image));
            assert!(matches!(look(&at("link"), access), Medium::Image));
            assert!(matches!(look(&at("broken"), access), Medium::Missing));
            assert!(matches!(look(dir.path(), access), Medium::Directory));
            assert!(matches!(look(&at("socket"), access), Medium::Stream));
            assert!(matches!(look(&at("loop"), access), Medium::Closed(_)));
        }
        assert_eq!(std::fs::read(at("file")).unwrap(), b"bytes", "nothing is cut off");
    }
}
