//! Work that was accepted, run in the background.
//!
//! Each piece keeps its lease while it waits for its turn; how far it is can be asked for by its id.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::backup::BackupJob;
use engine::copy::{CopyJob, run_copies};
use engine::{Progress, describe};
use model::BackupId;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::metrics;

/// Pieces of work that run at the same time; copies of one backup to several regions are one.
const AT_ONCE: usize = 8;

/// The work of one server.
#[derive(Debug)]
pub(crate) struct Jobs {
    turns: Arc<Semaphore>,
    running: Arc<Mutex<HashMap<BackupId, Arc<Progress>>>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Default for Jobs {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), running: Arc::default(), tasks: Mutex::default() }
    }
}

impl Jobs {
    /// Makes a backup that was accepted with this `progress`.
    pub(crate) fn run_backup(&self, job: BackupJob, progress: Arc<Progress>) {
        let id = job.id().clone();
        let listed = self.list([id.clone()], &progress);
        self.spawn(listed, async move {
            match job.run().await {
                Ok(report) => metrics::backup_made(report.bytes_read, report.bytes_stored),
                Err(error) => tracing::warn!(backup = %id, error = describe(&error), "a backup was not made"),
            }
        });
    }

    /// Makes copies of one backup.
    pub(crate) fn run_copies(&self, jobs: Vec<CopyJob>) {
        let progress = Arc::<Progress>::default();
        let listed = self.list(jobs.iter().map(|job| job.id().clone()), &progress);
        self.spawn(listed, async move {
            for (region, result) in run_copies(jobs, &progress).await {
                match result {
                    Ok(report) => metrics::copy_made(report.bytes_moved, report.bytes_held),
                    Err(error) => tracing::warn!(%region, error = describe(&error), "a copy was not made"),
                }
            }
        });
    }

    /// How far a piece of work is, if it runs here.
    pub(crate) fn progress(&self, id: &BackupId) -> Option<Arc<Progress>> {
        lock(&self.running).get(id).cloned()
    }

    /// Ends all work where it stands.
    pub(crate) async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        tasks.shutdown().await;
    }

    fn list(&self, ids: impl IntoIterator<Item = BackupId>, progress: &Arc<Progress>) -> Listed {
        let ids: Vec<BackupId> = ids.into_iter().collect();
        lock(&self.running).extend(ids.iter().map(|id| (id.clone(), Arc::clone(progress))));
        Listed { ids, running: Arc::clone(&self.running) }
    }

    /// Does something that takes no turn and is not listed.
    pub(crate) fn spawn_beside(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }

    fn spawn(&self, listed: Listed, work: impl Future<Output = ()> + Send + 'static) {
        let turns = Arc::clone(&self.turns);
        let waiting = metrics::Waiting::begin();
        self.spawn_beside(async move {
            let _turn = turns.acquire().await;
            drop(waiting);
            work.await;
            drop(listed);
        });
    }
}

/// Work that is listed as running until this is dropped.
struct Listed {
    ids: Vec<BackupId>,
    running: Arc<Mutex<HashMap<BackupId, Arc<Progress>>>>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut running = lock(&self.running);
        for id in &self.ids {
            running.remove(id);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
