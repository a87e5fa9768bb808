//! What a server counts, in the words of Prometheus.

use std::time::Duration;

use anyhow::Context;
use catalog::BackupRow;
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use model::{BackupState, Region, Timestamp};

/// Upper bounds of the latency buckets, in seconds.
const LATENCIES: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Starts counting.
pub(super) fn install() -> anyhow::Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new().set_buckets(&LATENCIES).context("the buckets are wrong")?;
    builder.install_recorder().context("something counts already")
}

/// A request was answered.
pub(crate) fn request(service: &'static str, operation: &str, code: &str, took: Duration) {
    let labels = [("service", service.to_owned()), ("operation", operation.to_owned()), ("code", code.to_owned())];
    counter!("offsite_requests_total", &labels).increment(1);
    histogram!("offsite_request_seconds", "service" => service).record(took.as_secs_f64());
}

/// A backup was made.
pub(super) fn backup_made(read: u64, stored: u64) {
    counter!("offsite_backups_total").increment(1);
    counter!("offsite_backup_read_bytes_total").increment(read);
    counter!("offsite_backup_stored_bytes_total").increment(stored);
}

/// What a region has in progress, whichever server is at work on it, and how long the oldest of it has been.
pub(super) fn in_progress(region: &Region, rows: &[BackupRow], now: Timestamp) {
    for (kind, state) in [("backup", BackupState::Creating), ("copy", BackupState::Copying)] {
        let rows = || rows.iter().filter(|row| row.state == state);
        let oldest = rows().map(|row| row.created_at.0).min().unwrap_or(now.0);
        let labels = [("region", region.to_string()), ("kind", kind.to_owned())];
        gauge!("offsite_in_progress", &labels).set(rows().count() as f64);
        gauge!("offsite_in_progress_oldest_seconds", &labels).set((now.0 - oldest).max(0) as f64 / 1000.0);
    }
}

/// A piece of accepted work that waits here for others to end, until this is dropped.
pub(super) struct Waiting(());

impl Waiting {
    pub(super) fn begin() -> Self {
        gauge!("offsite_work_waiting").increment(1.0);
        Self(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        gauge!("offsite_work_waiting").decrement(1.0);
    }
}

/// A copy was made.
pub(super) fn copy_made(moved: u64, held: u64) {
    counter!("offsite_copy_moved_bytes_total").increment(moved);
    counter!("offsite_copy_skipped_bytes_total").increment(held);
    // Last, so that whoever sees one more copy sees its bytes as well.
    counter!("offsite_copies_total").increment(1);
}
