//! What a server counts, in the words of Prometheus.

use std::time::Duration;

use anyhow::Context;
use metrics::{counter, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

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

/// A copy was made.
pub(super) fn copy_made(moved: u64, held: u64) {
    counter!("offsite_copies_total").increment(1);
    counter!("offsite_copy_moved_bytes_total").increment(moved);
    counter!("offsite_copy_skipped_bytes_total").increment(held);
}
