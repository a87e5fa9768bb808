//! Making what is restored durable: most of it while the rest is still being restored.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Bytes after which the disk is given work again.
const UNSYNCED_BYTES_MAX: u64 = 128 << 20;

type MakeDurable = dyn Fn() -> io::Result<()> + Send + Sync;

/// Syncs what is restored to, in the background once enough was written.
pub(super) struct Syncing {
    sync: Arc<MakeDurable>,
    unsynced_bytes: u64,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl Syncing {
    /// Of the file system that the directory `root` is on.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn of_file_system(root: &Path) -> io::Result<Self> {
        // Opened before anything is written: it is told of every write that fails from then on (`syncfs(2)`).
        let root = File::open(root)?;
        Ok(Self::by(move || Ok(rustix::fs::syncfs(&root)?)))
    }

    /// Of what `sync` makes durable.
    pub(super) fn by(sync: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { sync: Arc::new(sync), unsynced_bytes: 0, running: None }
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
        let sync = Arc::clone(&self.sync);
        self.running = Some(std::thread::spawn(move || sync()));
        Ok(())
    }

    /// Returns once all that was written is durable.
    ///
    /// # Errors
    /// When some of it is not.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.join()?;
        (self.sync)()
    }

    fn join(&mut self) -> io::Result<()> {
        self.running.take().map_or(Ok(()), |running| running.join().expect("syncing does not panic"))
    }
}

/// Whoever gives up a restore has nothing of it go on: a device would stay in use.
impl Drop for Syncing {
    fn drop(&mut self) {
        drop(self.join());
    }
}
