//! Making what is restored durable: most of it while the rest is still being restored.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Bytes after which the disk is given work again.
const UNSYNCED_BYTES_MAX: u64 = 128 << 20;

type MakeDurable = dyn Fn() -> io::Result<()> + Send + Sync;

/// Syncs what is restored to, in the background once enough was written.
pub(super) struct Syncing {
    /// Each makes a part of it durable.
    parts: Vec<Arc<MakeDurable>>,
    unsynced_bytes: u64,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl Syncing {
    /// Of the file system that the directory `root` is on.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn of_file_system(root: &Path) -> io::Result<Self> {
        let mut syncing = Self { parts: Vec::new(), unsynced_bytes: 0, running: None };
        syncing.add_file_system(File::open(root)?);
        Ok(syncing)
    }

    /// Of what `sync` makes durable.
    pub(super) fn by(sync: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { parts: vec![Arc::new(sync)], unsynced_bytes: 0, running: None }
    }

    /// From now on also of the file system that `directory` is on.
    ///
    /// Opened before anything is written there: it is told of every write that fails from then on (`syncfs(2)`).
    pub(super) fn add_file_system(&mut self, directory: impl AsFd + Send + Sync + 'static) {
        self.parts.push(Arc::new(move || Ok(rustix::fs::syncfs(&directory)?)));
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
        let parts = self.parts.clone();
        self.running = Some(std::thread::spawn(move || parts.iter().try_for_each(|sync| sync())));
        Ok(())
    }

    /// Returns once all that was written is durable.
    ///
    /// # Errors
    /// When some of it is not.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.join()?;
        self.parts.iter().try_for_each(|sync| sync())
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
