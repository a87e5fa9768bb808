//! Random numbers of a fixed seed: every demo of the same input changes the same things.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// A stream of numbers that is the same each time.
#[derive(Debug)]
pub(super) struct Random(StdRng);

impl Random {
    /// The stream that `seed` stands for.
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A number below `limit`; 0 when that is 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { self.0.random_range(0..limit) }
    }

    /// Fills `bytes`.
    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// Puts `items` in another order.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.0.random_range(0..=last);
            items.swap(last, other);
        }
    }
}
