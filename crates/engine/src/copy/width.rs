//! Width: how many packs are on their way at once to or from one store. Pure.
//!
//! One connection does not fill a long line: what it may have under way is bounded, and each answer takes a round trip.
//! So several packs are on their way at once, as many as the product of the measured bandwidth and delay asks for, and one
//! more each time as long as one more makes it faster. A store that asks to be left alone gets half as many.

use std::time::Duration;

use tokio::time::Instant;

/// What one connection can have under way: half of what Linux lets it grow to.
const CONNECTION_BYTES: f64 = 2.0 * 1024.0 * 1024.0;

/// How many times what a line holds its connections should be able to have under way: with just as much, the line is idle
/// whenever one of them begins, ends, or has lost packets.
const AMPLE: f64 = 2.0;

/// One more was worth it if that made it faster by so much. Less is noise.
const WORTH_IT: f64 = 1.05;

/// At first, after one more was in vain, and after a store was busy, nothing is tried for so many spans: each new connection
/// begins slowly, and a burst of its packets drops those of others.
const REST: u32 = 8;

/// The number of packs on their way, and what it is decided by.
#[derive(Debug)]
pub(super) struct Width {
    now: usize,
    max: usize,
    span: Span,
    /// The rate before the last pack was added, if it has not been found out yet whether that was worth it.
    before: Option<f64>,
    rest: u32,
    /// Whether it rests as a store was busy.
    is_backing_off: bool,
    /// The shortest time that a store took to begin its answer.
    delay: Option<Duration>,
    busy_answers: u64,
}

/// As many packs as are on their way at once: the shortest time that tells a rate.
#[derive(Debug)]
struct Span {
    began: Instant,
    bytes: u64,
    packs: usize,
}

impl Span {
    fn begin(at: Instant) -> Self {
        Self { began: at, bytes: 0, packs: 0 }
    }
}

impl Width {
    /// Always `width`.
    pub(super) fn fixed(width: usize, at: Instant) -> Self {
        Self::between((width, width), at)
    }

    /// `start` to begin with, and no more than `max`.
    pub(super) fn between((start, max): (usize, usize), at: Instant) -> Self {
        let span = Span::begin(at);
        Self { now: start, max, span, before: None, rest: REST, is_backing_off: false, delay: None, busy_answers: 0 }
    }

    /// The same, where the store has given so many busy answers before.
    pub(super) fn after(self, busy_answers: u64) -> Self {
        Self { busy_answers, ..self }
    }

    /// How many packs may be on their way now.
    pub(super) fn now(&self) -> usize {
        self.now
    }

    /// Takes in how long a store took to begin its answer.
    pub(super) fn note_delay(&mut self, delay: Duration) {
        self.delay = Some(self.delay.map_or(delay, |shortest| shortest.min(delay)));
    }

    /// Takes in that a pack of so many bytes has arrived; `busy_answers` counts all that the stores have given by then.
    pub(super) fn note(&mut self, bytes: u64, at: Instant, busy_answers: u64) {
        self.span.bytes += bytes;
        self.span.packs += 1;
        if busy_answers > self.busy_answers {
            self.busy_answers = busy_answers;
            self.change(self.now / 2);
            (self.before, self.rest, self.span) = (None, REST, Span::begin(at));
            self.is_backing_off = true;
        } else if self.span.packs >= self.now {
            let rate = rate(self.span.bytes, at.saturating_duration_since(self.span.began));
            self.span = Span::begin(at);
            self.decide(rate);
        }
    }

    fn decide(&mut self, rate: f64) {
        match self.before.take() {
            Some(before) if rate < before * WORTH_IT => {
                self.rest = REST;
                self.change(self.now - 1);
            }
            None if self.rest > 0 => {
                self.rest -= 1;
                self.is_backing_off &= self.rest > 0;
                if !self.is_backing_off {
                    self.change(self.now.max(self.wanted(rate)));
                }
            }
            _ => {
                self.before = Some(rate).filter(|_| self.now < self.max);
                self.change((self.now + 1).max(self.wanted(rate)));
            }
        }
    }

    /// As many as it takes to have amply the product of bandwidth and delay under way, and one that is between two answers.
    fn wanted(&self, rate: f64) -> usize {
        let product = rate * self.delay.unwrap_or_default().as_secs_f64();
        let connections = (AMPLE * product / CONNECTION_BYTES).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let connections = connections as usize;
        connections.saturating_add(1)
    }

    fn change(&mut self, to: usize) {
        self.now = to.clamp(1, self.max);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
fn rate(bytes: u64, taken: Duration) -> f64 {
    bytes as f64 / taken.as_secs_f64().max(1e-6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACK: u64 = 32 << 20;

    /// A line on which each connection has so much under way, up to what the line itself lets through.
    struct Line {
        bytes_per_second: f64,
        delay: Duration,
    }

    impl Line {
        /// Lets packs arrive as fast as they do with the width there is, and returns the largest width of the last half.
        fn carry(&self, width: &mut Width, packs: usize) -> usize {
            let mut at = width.span.began;
            let mut widest = 0;
            width.note_delay(self.delay);
            for pack in 0..packs {
                let connections = f64::from(u32::try_from(width.now()).unwrap());
                let rate = (connections * CONNECTION_BYTES * 1.5 / self.delay.as_secs_f64()).min(self.bytes_per_second);
                at += Duration::from_secs_f64(32.0 * 1024.0 * 1024.0 / rate);
                width.note(PACK, at, 0);
                widest = widest.max(if pack > packs / 2 { width.now() } else { 0 });
            }
            widest
        }
    }

    #[test]
    fn it_grows_until_the_line_is_full_and_not_much_further() {
        for (megabits, milliseconds, enough) in [(500, 80, 2), (500, 150, 4), (1000, 150, 7), (100, 20, 1)] {
            let line =
                Line { bytes_per_second: f64::from(megabits) * 125_000.0, delay: Duration::from_millis(milliseconds) };
            let mut width = Width::between((1, 16), Instant::now());
            let widest = line.carry(&mut width, 400);
            assert!((enough..=enough * 2 + 3).contains(&widest), "{megabits} Mbit/s, {milliseconds} ms: {widest}");
        }
    }

    #[test]
    fn a_store_that_is_busy_halves_it_and_it_rests() {
        let at = Instant::now();
        let mut width = Width::between((8, 16), at).after(2);
        width.note(PACK, at, 2);
        assert_eq!(width.now(), 8, "that was before");
        width.note(PACK, at + Duration::from_secs(1), 3);
        assert_eq!(width.now(), 4);
        // The same answers are not counted twice, and for a while nothing is tried.
        for pack in 2..30 {
            width.note(PACK, at + Duration::from_secs(pack), 3);
        }
        assert_eq!(width.now(), 4);
        for _ in 0..5 {
            let busy = width.busy_answers + 1;
            width.note(PACK, at + Duration::from_secs(40), busy);
        }
        assert_eq!(width.now(), 1, "one is always on its way");
    }

    #[test]
    fn a_width_that_is_fixed_stays() {
        let at = Instant::now();
        let mut width = Width::fixed(2, at);
        width.note_delay(Duration::from_secs(1));
        for pack in 1..50 {
            width.note(PACK, at + Duration::from_millis(pack), 0);
            assert_eq!(width.now(), 2);
        }
    }
}
