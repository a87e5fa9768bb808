//! The AWS SDK for Rust: the whole life of a backup, and refusals as the SDK's own errors.

mod cloudhsm;
mod fsx;

use std::time::{Duration, Instant};

/// Looks until there is something, and returns it.
async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < end, "nothing came of it in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
