//! What is usual of a store over a network, so that what is not can be told, and how much may be asked of it twice.
//!
//! A store that is slow altogether is not to be asked for everything twice: patience grows with what is usual, and second
//! requests are a small share of all.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How many times the usual silence is an unusual one.
const UNUSUAL: u32 = 4;

/// Below this, a silence is one of the network, which sends again itself what was lost.
const PATIENCE_MIN: Duration = Duration::from_secs(2);

/// Above this, another request can hardly be worse.
const PATIENCE_MAX: Duration = Duration::from_secs(20);

/// Of how many reads one may be asked for twice.
const READS_PER_HEDGE: u32 = 20;

/// Second requests that may come together after a time without any.
const HEDGES_MAX: u32 = 4;

/// The longest silences of reads weigh half after about five more reads.
const WEIGHT: u32 = 8;

/// What all readers of a store have learnt together.
#[derive(Clone, Debug, Default)]
pub(super) struct Habits(Arc<Mutex<Usual>>);

impl Habits {
    /// A read begins. So many of these make up for a second request.
    pub(super) fn begin_read(&self) {
        self.with(Usual::begin_read);
    }

    /// A read is at its end, in which the store was silent for so long at most.
    pub(super) fn end_read(&self, silence: Duration) {
        self.with(|usual| usual.end_read(silence));
    }

    /// How long a silence may last before it is unusual.
    pub(super) fn patience(&self) -> Duration {
        self.with(|usual| usual.patience())
    }

    /// Whether something may be asked for twice now. If so, it counts as done.
    pub(super) fn take_hedge(&self) -> bool {
        self.with(Usual::take_hedge)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Usual) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Debug)]
struct Usual {
    silence: Duration,
    /// In reads.
    credit: u32,
}

impl Default for Usual {
    fn default() -> Self {
        Self { silence: Duration::ZERO, credit: READS_PER_HEDGE }
    }
}

impl Usual {
    fn begin_read(&mut self) {
        self.credit = (self.credit + 1).min(HEDGES_MAX * READS_PER_HEDGE);
    }

    fn end_read(&mut self, silence: Duration) {
        self.silence = (self.silence * (WEIGHT - 1) + silence) / WEIGHT;
    }

    fn patience(&self) -> Duration {
        (self.silence * UNUSUAL).clamp(PATIENCE_MIN, PATIENCE_MAX)
    }

    fn take_hedge(&mut self) -> bool {
        let left = self.credit.checked_sub(READS_PER_HEDGE);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_follows_what_is_usual_within_bounds() {
        let mut usual = Usual::default();
        assert_eq!(usual.patience(), PATIENCE_MIN);
        let mut after = |reads: u32, silence| {
            (0..reads).for_each(|_| usual.end_read(silence));
            usual.patience()
        };
        assert_eq!(after(1, Duration::from_secs(3)), PATIENCE_MIN, "one slow read says little");
        let slow = after(50, Duration::from_secs(3));
        assert!(slow > Duration::from_secs(11) && slow <= Duration::from_secs(12), "{slow:?}");
        assert_eq!(after(50, Duration::from_secs(60)), PATIENCE_MAX);
        assert_eq!(after(50, Duration::from_millis(5)), PATIENCE_MIN);
    }

    #[test]
    fn one_of_twenty_reads_is_asked_for_twice() {
        let mut usual = Usual::default();
        let hedges = (0..1000).filter(|_| {
            usual.begin_read();
            usual.take_hedge()
        });
        assert_eq!(hedges.count(), 1 + 50);
        (0..1000).for_each(|_| usual.begin_read());
        assert_eq!((0..1000).filter(|_| usual.take_hedge()).count(), 4, "what was saved up is bounded");
    }
}
