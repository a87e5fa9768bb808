//! How the services of buckets are connected to: how long that may take, and what is sent to them again.

use std::time::Duration;

use object_store::{BackoffConfig, ClientOptions, RetryConfig};

/// How long a service may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a request is sent again that a service did not answer, or answered with a fault of its own (500 and more).
/// With waits of 0.1 to 5 seconds between them, or those that a busy service asks for; who called waits and tries again for longer, where that makes sense.
const RETRIES_MAX: usize = 6;

/// After this nothing is sent again. It counts from when a request was made and signed, its wait for a turn and the sending included,
/// which on a slow line take long: S3 takes a signature for 15 minutes.
const RETRY_TIMEOUT: Duration = Duration::from_secs(12 * 60);

/// Connects to an endpoint; without one, to that of the service's vendor, which is not asked in plain HTTP.
pub(super) fn client_options(endpoint: Option<&str>) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(endpoint.is_some_and(|endpoint| endpoint.starts_with("http:")))
        .with_connect_timeout(CONNECT_TIMEOUT)
        // What makes progress may take as long as it takes; of what does not, `silence` tells.
        .with_timeout_disabled()
}

pub(super) fn retry() -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(5),
        ..BackoffConfig::default()
    };
    RetryConfig { backoff, max_retries: RETRIES_MAX, retry_timeout: RETRY_TIMEOUT }
}
