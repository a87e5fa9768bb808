//! Rates: how often each account calls, in token buckets.
//!
//! A bucket is named by who calls what where, and holds as many calls as there may be in a second. Buckets are kept by
//! server, not in the catalog: with several servers of one region, each allows as much.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// The buckets, by the rate at which they fill. There are as many rates as configurations have named.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<NonZeroU32, DefaultKeyedRateLimiter<String>>>);

impl Rates {
    /// Takes a call out of a bucket that `per_second` calls fit into, and says whether it held one. Without a rate there
    /// is no bucket. Another rate begins with a full one.
    pub(super) fn allow(&self, bucket: String, per_second: Option<NonZeroU32>) -> bool {
        let Some(per_second) = per_second else { return true };
        let mut rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = rates.entry(per_second).or_insert_with(|| RateLimiter::keyed(Quota::per_second(per_second)));
        rate.check_key(&bucket).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bucket_holds_a_second_of_calls() {
        let rates = Rates::default();
        // Ten calls are over long before a bucket of three has another.
        let allowed = |bucket: &str, rate| (0..10).filter(|_| rates.allow(bucket.to_owned(), rate)).count();
        let (one, three) = (NonZeroU32::new(1), NonZeroU32::new(3));
        assert_eq!(allowed("a", None), 10);
        assert_eq!(allowed("a", one), 1);
        assert_eq!(allowed("b", one), 1);
        assert_eq!(allowed("a", three), 3);
    }
}
