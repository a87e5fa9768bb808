//! Pace: how fast bytes may pass, together, for all who wait for it.

use std::time::Duration;

use model::ByteSize;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

/// A limit of bytes per second that may change while there are those who wait.
///
/// A leaky bucket: what has passed flows off at the rate, and the next passes once the bucket is empty. Whoever waits
/// goes in the order in which they came.
#[derive(Debug)]
pub struct Pace {
    rate: watch::Sender<Option<ByteSize>>,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    bytes: f64,
    at: Instant,
}

impl Pace {
    /// A pace of so many bytes per second; any number where there is none.
    pub fn new(rate: Option<ByteSize>) -> Self {
        Self { rate: watch::Sender::new(rate), bucket: Mutex::new(Bucket { bytes: 0.0, at: Instant::now() }) }
    }

    /// Changes the rate, also for those who wait. Returns whether it was another one.
    pub fn set(&self, rate: Option<ByteSize>) -> bool {
        self.rate.send_if_modified(|current| std::mem::replace(current, rate) != rate)
    }

    /// Whether there is a limit now.
    pub(crate) fn is_limited(&self) -> bool {
        self.rate.borrow().is_some()
    }

    /// Waits until so many more bytes may pass.
    pub(crate) async fn wait_for(&self, bytes: u64) {
        let mut changes = self.rate.subscribe();
        let mut bucket = self.bucket.lock().await;
        loop {
            let Some(rate) = *changes.borrow_and_update() else {
                bucket.bytes = 0.0;
                return;
            };
            let rate = as_f64(rate.0.max(1));
            bucket.flow(rate);
            if bucket.bytes <= 0.0 {
                bucket.bytes = as_f64(bytes);
                return;
            }
            // Longer than anyone waits, and short enough to be added to the present.
            let empty_in = Duration::from_secs_f64((bucket.bytes / rate).min(LONGEST_SECONDS));
            let changed = tokio::time::timeout(empty_in, changes.changed()).await.is_ok();
            if changed {
                bucket.flow(rate);
            }
        }
    }
}

const LONGEST_SECONDS: f64 = 3600.0;

impl Bucket {
    /// Lets flow off what has gone since it was looked at last.
    fn flow(&mut self, rate: f64) {
        let now = Instant::now();
        self.bytes = (self.bytes - rate * (now - self.at).as_secs_f64()).max(0.0);
        self.at = now;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a pace need not be exact")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// How many seconds it takes until so many pieces have passed. The clock is tokio's, which jumps while all wait.
    async fn seconds(pace: &Pace, pieces: &[u64]) -> f64 {
        let began = Instant::now();
        for bytes in pieces {
            pace.wait_for(*bytes).await;
        }
        began.elapsed().as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_pass_at_the_rate() {
        let pace = Pace::new(Some(ByteSize(100)));
        // The last piece is not waited for.
        let taken = seconds(&pace, &[200, 300, 500]).await;
        assert!((4.9..5.2).contains(&taken), "{taken}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        let taken = seconds(&pace, &[100, 100]).await;
        assert!((0.9..1.2).contains(&taken), "what was not used in time is not made up for: {taken}");
        let taken = seconds(&Pace::new(None), &[u64::MAX, u64::MAX]).await;
        assert!(taken < 0.1, "{taken}");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_share_the_rate() {
        let pace = Arc::new(Pace::new(Some(ByteSize(100))));
        let began = Instant::now();
        let one = || {
            let pace = Arc::clone(&pace);
            tokio::spawn(async move { seconds(&pace, &[100; 5]).await })
        };
        for task in [one(), one(), one()] {
            task.await.unwrap();
        }
        let taken = began.elapsed().as_secs_f64();
        assert!((13.5..15.5).contains(&taken), "{taken}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_rate_holds_for_those_who_wait() {
        let pace = Arc::new(Pace::new(Some(ByteSize(1))));
        pace.wait_for(1_000_000).await;
        let waiting = {
            let pace = Arc::clone(&pace);
            tokio::spawn(async move { seconds(&pace, &[1]).await })
        };
        tokio::time::sleep(Duration::from_secs(7200)).await;
        assert!(!waiting.is_finished());
        assert!(pace.set(Some(ByteSize(1_000_000))));
        assert!(!pace.set(Some(ByteSize(1_000_000))), "it is the same");
        let taken = waiting.await.unwrap();
        assert!((7200.5..7202.0).contains(&taken), "{taken}");
        pace.wait_for(u64::MAX).await;
        let waiting = {
            let pace = Arc::clone(&pace);
            tokio::spawn(async move { seconds(&pace, &[1, 1]).await })
        };
        tokio::time::sleep(Duration::from_secs(1)).await;
        pace.set(None);
        assert!(waiting.await.unwrap() < 1.5);
    }
}
