//! What lies where an image should be, seen before anything about it is accepted.
//!
//! Only what can be told at once is looked at here. What shows later, while the image is read or written, fails the
//! work itself. A file system that does not answer holds up whoever looks for ever, and nobody can call them back: so a
//! look is given up after a while, what hangs is not looked at by another, and only so many look at a time.

use std::collections::BTreeSet;
use std::fs::{File, FileType};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use catalog::ResourceRow;
use rustix::fs::statvfs;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use crate::context::RegionContext;
use crate::managed::path_of;

/// How long a look may take, with the wait for its turn.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// The turns of those who look: few beside the threads that the runtime has for work that blocks.
static TURNS: Semaphore = Semaphore::const_new(64);

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
    let looked = in_time(&path_of(row), PATIENCE, move |path| look(path, access)).await;
    looked.unwrap_or_else(|| Medium::Closed(io::ErrorKind::TimedOut.into()))
}

/// What can be told of an image without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Whether there are bytes that stay.
    pub is_image: bool,
    /// How many, where it is a file.
    pub bytes: u64,
}

impl Outline {
    /// That of a resource's image; `None` where nothing can be told.
    pub async fn of(row: &ResourceRow) -> Option<Self> {
        let found = in_time(&path_of(row), PATIENCE, Path::metadata).await?;
        found.ok().map(|found| Self { is_image: is_image(found.file_type()), bytes: found.len() })
    }
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
        kind if !is_image(kind) => Medium::Stream,
        _ => match File::options().read(access == Access::Read).write(access == Access::Write).open(path) {
            Ok(_) => Medium::Image,
            Err(error) => Medium::Closed(error),
        },
    }
}

fn is_image(kind: FileType) -> bool {
    kind.is_file() || kind.is_block_device()
}

/// What room there is in the file system in which a region's managed resources are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What is free, in bytes.
    pub free_bytes: u64,
}

impl Room {
    /// That of a region; `None` where the file system does not tell.
    pub async fn of(ctx: &RegionContext) -> Option<Self> {
        // The directory is only made with the first resource.
        let look = |managed: &Path| managed.ancestors().find_map(|dir| statvfs(dir).ok());
        let found = in_time(&ctx.managed, PATIENCE, look).await??;
        // Network file systems that do not know say 0.
        (found.f_blocks > 0).then(|| Self { free_bytes: found.f_bavail.saturating_mul(found.f_frsize) })
    }
}

/// What a look at a path finds, unless it takes too long, or another that did has not come back yet.
pub(crate) async fn in_time<T: Send + 'static>(
    path: &Path,
    patience: Duration,
    look: impl FnOnce(&Path) -> T + Send + 'static,
) -> Option<T> {
    if overdue().contains(path) {
        return None;
    }
    let (path, end) = (path.to_owned(), Instant::now() + patience);
    let turn = timeout_at(end, TURNS.acquire()).await.ok()?.expect("turns are never closed");
    let looked_at = path.clone();
    let mut looking = spawn_blocking(move || {
        let _turn = turn;
        look(&looked_at)
    });
    if let Ok(looked) = timeout_at(end, &mut looking).await {
        return Some(looked.expect("looking at a file does not panic"));
    }
    overdue().insert(path.clone());
    tokio::spawn(async move {
        drop(looking.await);
        overdue().remove(&path);
    });
    None
}

/// The paths at which a look has taken too long and has not come back.
fn overdue() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    static OVERDUE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    OVERDUE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_hangs_is_given_up_and_is_not_looked_at_by_another_until_it_has_come_back() {
        let path = Path::new("hangs");
        let (answer, answered) = mpsc::channel::<()>();
        assert_eq!(in_time(path, Duration::ZERO, move |_| answered.recv()).await, None);
        assert_eq!(in_time(path, PATIENCE, |_| ()).await, None);
        assert_eq!(in_time(Path::new("other"), PATIENCE, |_| ()).await, Some(()));
        answer.send(()).unwrap();
        while in_time(path, PATIENCE, |_| ()).await.is_none() {
            tokio::task::yield_now().await;
        }
    }

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
