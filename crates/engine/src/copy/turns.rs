//! Turns: how many packs may be on their way to or from one store, and how much of memory they may take.
//!
//! What takes memory while it arrives asks for it piece by piece. When there is none left, and nothing is under way that gives
//! some back by itself, the pack that began first goes on beyond the bound: else all would wait for each other.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::PIECE_BYTES;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::width::Width;

/// Hands out turns.
#[derive(Debug)]
pub(super) struct Turns {
    standing: Mutex<Standing>,
    /// That some turn or memory was.
    given_back: Notify,
    memory_bytes_max: u64,
}

#[derive(Debug)]
struct Standing {
    width: Width,
    taken: usize,
    memory_bytes: u64,
    /// Turns of packs of which some has not come yet, in the order in which they began.
    arriving: BTreeSet<Place>,
    given: u64,
}

impl Standing {
    /// Whether none of what is on its way has come whole, to give back what it has.
    fn all_arrive(&self) -> bool {
        self.arriving.len() == self.taken
    }
}

/// A pack's place in the order in which packs begin, and the number of its turn: one that is begun again has two for a while.
type Place = (u64, u64);

/// The right to have one pack on its way, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    place: Place,
    memory_bytes: u64,
}

impl Turns {
    /// As many turns as `width` says, as long as what they take of memory stays within a bound.
    pub(super) fn new(width: Width, memory_bytes_max: u64) -> Arc<Self> {
        let standing = Standing { width, taken: 0, memory_bytes: 0, arriving: BTreeSet::new(), given: 0 };
        Arc::new(Self { standing: Mutex::new(standing), given_back: Notify::new(), memory_bytes_max })
    }

    /// Waits for a turn, for what takes so much of memory from the beginning. What takes more than there may be goes alone.
    ///
    /// `order` is the pack's place in the order in which they begin.
    pub(super) async fn take(self: &Arc<Self>, order: u64, memory_bytes: u64) -> Turn {
        let mut place = (order, 0);
        self.wait_until(|standing| {
            let fits = standing.memory_bytes.saturating_add(memory_bytes) <= self.memory_bytes_max;
            let is_free = standing.taken == 0 || (standing.taken < standing.width.now() && fits);
            if is_free {
                standing.taken += 1;
                standing.given += 1;
                standing.memory_bytes += memory_bytes;
                place.1 = standing.given;
                standing.arriving.insert(place);
            }
            is_free
        })
        .await;
        Turn { turns: Arc::clone(self), place, memory_bytes }
    }

    /// How many there may be now.
    pub(super) fn width(&self) -> usize {
        self.standing().width.now()
    }

    /// Whether packs that still arrive have all the memory, so that what waits for some waits for their source.
    pub(super) fn is_full_of_arriving(&self) -> bool {
        let standing = self.standing();
        standing.all_arrive() && standing.memory_bytes.saturating_add(PIECE_BYTES as u64) > self.memory_bytes_max
    }

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.standing().taken == 0
    }

    /// Waits until `take` finds what it takes.
    async fn wait_until(&self, mut take: impl FnMut(&mut Standing) -> bool) {
        loop {
            let mut given_back = std::pin::pin!(self.given_back.notified());
            // From here on none is missed.
            given_back.as_mut().enable();
            if take(&mut self.standing()) {
                return;
            }
            given_back.await;
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        // What it guards is whole at every instant.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Waits for room for more of the pack.
    pub(super) async fn make_room(&mut self, bytes: u64) {
        let (turns, place) = (&self.turns, self.place);
        turns
            .wait_until(|standing| {
                let fits = standing.memory_bytes.saturating_add(bytes) <= turns.memory_bytes_max;
                let has_room = fits || (standing.all_arrive() && standing.arriving.first() == Some(&place));
                if has_room {
                    standing.memory_bytes += bytes;
                }
                has_room
            })
            .await;
        self.memory_bytes += bytes;
    }

    /// Says that all of the pack has come: from now on it needs nothing any more, and gives back what it has.
    pub(super) fn note_arrival(&self) {
        self.turns.standing().arriving.remove(&self.place);
    }

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
        standing.arriving.remove(&self.place);
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
        let first = turns.take(1, 40).await;
        let second = turns.take(2, 60).await;
        assert!(turns.take(3, 1).now_or_never().is_none(), "no memory");
        let third = turns.take(3, 0).await;
        assert!(turns.take(4, 0).now_or_never().is_none(), "no turn");
        let mut waiting = std::pin::pin!(turns.take(4, 50));
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
        let alone = turns.take(5, u64::MAX).now_or_never().expect("what is too large goes alone");
        assert!(turns.take(6, 1).now_or_never().is_none());
        drop(alone);
    }

    #[tokio::test]
    async fn room_that_is_short_goes_to_what_began_first_unless_some_is_given_back_without_that() {
        let turns = Turns::new(Width::fixed(9, Instant::now()), 100);
        let [mut first, mut second, mut third] =
            [turns.take(1, 0).await, turns.take(2, 0).await, turns.take(3, 0).await];
        for turn in [&mut first, &mut second] {
            turn.make_room(50).await;
        }
        assert!(third.make_room(1).now_or_never().is_none());
        assert!(second.make_room(1).now_or_never().is_none(), "the first may go on");
        first.make_room(60).now_or_never().expect("else none could");
        assert!(turns.is_full_of_arriving());
        first.note_arrival();
        assert!(!turns.is_full_of_arriving());
        assert!(second.make_room(1).now_or_never().is_none(), "the first gives some back by itself");
        drop(first);
        second.make_room(50).now_or_never().expect("there is room");
        assert!(third.make_room(1).now_or_never().is_none());
        drop(second);
        third.make_room(100).now_or_never().expect("all is free");
        drop(third);
        assert_eq!(turns.standing().memory_bytes, 0);
    }
}
