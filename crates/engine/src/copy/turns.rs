//! Turns: how many packs may be on their way to or from one store, and how much of memory they may take.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::width::Width;

/// Hands out turns.
#[derive(Debug)]
pub(super) struct Turns {
    standing: Mutex<Standing>,
    given_back: Notify,
    memory_bytes_max: u64,
}

#[derive(Debug)]
struct Standing {
    width: Width,
    taken: usize,
    memory_bytes: u64,
}

/// The right to have one pack on its way, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    memory_bytes: u64,
}

impl Turns {
    /// As many turns as `width` says, as long as what they take of memory stays within a bound.
    pub(super) fn new(width: Width, memory_bytes_max: u64) -> Arc<Self> {
        let standing = Mutex::new(Standing { width, taken: 0, memory_bytes: 0 });
        Arc::new(Self { standing, given_back: Notify::new(), memory_bytes_max })
    }

    /// Waits for a turn, for what takes so much of memory. What takes more than there may be goes alone.
    pub(super) async fn take(self: &Arc<Self>, memory_bytes: u64) -> Turn {
        loop {
            let mut given_back = std::pin::pin!(self.given_back.notified());
            // From here on none is missed.
            given_back.as_mut().enable();
            if self.try_take(memory_bytes) {
                return Turn { turns: Arc::clone(self), memory_bytes };
            }
            given_back.await;
        }
    }

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.standing().taken == 0
    }

    fn try_take(&self, memory_bytes: u64) -> bool {
        let mut standing = self.standing();
        let fits = standing.memory_bytes.saturating_add(memory_bytes) <= self.memory_bytes_max;
        let is_free = standing.taken == 0 || (standing.taken < standing.width.now() && fits);
        if is_free {
            standing.taken += 1;
            standing.memory_bytes += memory_bytes;
        }
        is_free
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        // What it guards is whole at every instant.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Says how long the store took to begin its answer.
    pub(super) fn note_delay(&self, delay: Duration) {
        self.turns.standing().width.note_delay(delay);
    }

    /// Ends the turn of a pack that has arrived; `busy_answers` counts all that the store has given by then.
    pub(super) fn end(self, bytes: u64, busy_answers: u64) {
        self.turns.standing().width.note(bytes, Instant::now(), busy_answers);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut standing = self.turns.standing();
        standing.taken -= 1;
        standing.memory_bytes -= self.memory_bytes;
        drop(standing);
        self.turns.given_back.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn there_are_as_many_turns_as_the_width_and_the_memory_allow() {
        let turns = Turns::new(Width::fixed(3, Instant::now()), 100);
        let first = turns.take(40).await;
        let second = turns.take(60).await;
        assert!(turns.take(1).now_or_never().is_none(), "no memory");
        let third = turns.take(0).await;
        assert!(turns.take(0).now_or_never().is_none(), "no turn");
        let mut waiting = std::pin::pin!(turns.take(50));
        assert!((&mut waiting).now_or_never().is_none());
        drop(third);
        assert!((&mut waiting).now_or_never().is_none());
        first.end(1, 0);
        assert!((&mut waiting).now_or_never().is_none(), "40 are not 50");
        drop(second);
        let waited = (&mut waiting).now_or_never().expect("it is free");
        assert!(!turns.is_idle());
        drop(waited);
        assert!(turns.is_idle());
        let alone = turns.take(u64::MAX).now_or_never().expect("what is too large goes alone");
        assert!(turns.take(1).now_or_never().is_none());
        drop(alone);
    }
}
