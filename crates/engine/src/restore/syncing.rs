//! Making a restored tree durable: most of it while the rest is still being restored.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Bytes after which the disk is given work again.
const UNSYNCED_BYTES_MAX: u64 = 128 << 20;

/// Syncs the file system that is restored to, in the background once enough was written.
#[derive(Debug)]
pub(super) struct Syncing {
    /// Opened before anything is written: it is told of every write that fails from then on (`syncfs(2)`).
    root: Arc<File>,
    unsynced_bytes: u64,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl Syncing {
    /// Of the file system that the directory `root` is on.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn of(root: &Path) -> io::Result<Self> {
        Ok(Self { root: Arc::new(File::open(root)?), unsynced_bytes: 0, running: None })
    }

    /// Takes note that so many bytes were written. Waits for nothing.
    ///
    /// # Errors
    /// When an earlier write has failed on its way to the disk.
    pub(super) fn wrote(&mut self, bytes: usize) -> io::Result<()> {
        self.unsynced_bytes += bytes as u64;
        let is_running = self.running.as_ref().is_some_and(|running| !running.is_finished());
        if is_running || self.unsynced_bytes < UNSYNCED_BYTES_MAX {
            return Ok(());
        }
        self.join()?;
        self.unsynced_bytes = 0;
        let root = Arc::clone(&self.root);
        self.running = Some(std::thread::spawn(move || sync(&root)));
        Ok(())
    }

    /// Returns once all that was written is durable.
    ///
    /// # Errors
    /// When some of it is not.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.join()?;
        sync(&self.root)
    }

    fn join(&mut self) -> io::Result<()> {
        self.running.take().map_or(Ok(()), |running| running.join().expect("syncing does not panic"))
    }
}

fn sync(root: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(root)?)
}
