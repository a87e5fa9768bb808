//! Leases: a worker's time-limited right to work on one backup.
//!
//! A lease carries a fence, a number that grows each time the work changes hands. Every catalog
//! write of the work names its fence, so a worker paused past its expiry can publish nothing when it
//! wakes: its writes match no row. Expiry uses the database's clock, never the worker's.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catalog::{BackupRow, Catalog, CatalogError, Fence};
use model::BackupId;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::{EngineError, ErrorKind};
use crate::worker::{Worker, is_dead};

// Renew at a third of the lease, so that two renewals in a row can be lost before it expires.
pub(crate) const RENEWALS_PER_LEASE: u32 = 3;

/// Work that is repeated until this is dropped.
#[derive(Debug)]
pub(crate) struct Renewal(JoinHandle<()>);

impl Renewal {
    /// Does `work`, which ends when there is nothing left to renew.
    pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    /// Waits until there is nothing left to renew.
    pub(crate) async fn ended(&mut self) {
        drop((&mut self.0).await);
    }

    /// Calls `renew` several times per `ttl` until it says that there is nothing left to renew.
    pub(crate) fn of<F>(ttl: Duration, renew: impl Fn() -> F + Send + 'static) -> Self
    where
        F: Future<Output = bool> + Send,
    {
        Self::spawn(async move {
            let mut ticks = tokio::time::interval(ttl / RENEWALS_PER_LEASE);
            ticks.tick().await;
            loop {
                ticks.tick().await;
                if !renew().await {
                    return;
                }
            }
        })
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Until when a lease holds, as far as this process knows: what a fence in the catalog cannot keep from being done, in a file
/// that others use, asks here first. Clones are of the same lease.
#[derive(Clone, Debug)]
pub(crate) struct Term(Arc<Mutex<Instant>>);

impl Term {
    pub(crate) fn until(end: Instant) -> Self {
        Self(Arc::new(Mutex::new(end)))
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// `Conflict` when it does not.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        if Instant::now() < self.end() {
            return Ok(());
        }
        Err(EngineError::refused(
            ErrorKind::Conflict,
            "the lease on it has run out, and another may have it".to_owned(),
        ))
    }

    pub(crate) fn end(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn move_end(&self, to: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }
}

/// The right to work on one backup, renewed in the background until it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) fence: Fence,
    _renewal: Renewal,
}

impl Lease {
    /// Keeps the lease that `fence` stands for.
    pub(crate) fn keep(catalog: &Catalog, backup: &BackupId, fence: Fence, worker: &Worker) -> Self {
        let (catalog, backup, ttl) = (catalog.clone(), backup.clone(), worker.lease);
        let renewal = Renewal::of(ttl, move || {
            let (catalog, backup) = (catalog.clone(), backup.clone());
            // A lost lease shows in the next write; a renewal that failed is tried again.
            async move { !matches!(catalog.renew(&backup, fence, ttl).await, Err(e) if is_lost(&e)) }
        });
        Self { fence, _renewal: renewal }
    }
}

/// Whether it says that another has the lease, or that there is none any more.
pub(crate) fn is_lost(error: &CatalogError) -> bool {
    error.kind == catalog::CatalogErrorKind::LostLease
}

/// Finds interrupted work that was asked for with the same `request`, and takes it over.
pub(crate) async fn take_over(
    catalog: &Catalog,
    account: &model::AccountId,
    request: &str,
    worker: &Worker,
) -> Result<Option<(BackupRow, Fence)>, EngineError> {
    for row in catalog.find_resumable(account, request).await? {
        if let Some(fence) = claim(catalog, &row, worker).await? {
            return Ok(Some((row, fence)));
        }
    }
    Ok(None)
}

/// Claims work that nobody is at work on, or only a process that is known to be dead.
pub(crate) async fn claim(catalog: &Catalog, row: &BackupRow, worker: &Worker) -> Result<Option<Fence>, EngineError> {
    let dead_owner = row.lease_owner.as_deref().filter(|owner| is_dead(owner));
    Ok(catalog.claim(&row.id, &worker.lease_request(), dead_owner).await?)
}
