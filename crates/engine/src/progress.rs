//! How far a piece of work has come: counters that a display reads while the work goes on.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one piece of work. Cheap to advance from any thread.
#[derive(Debug, Default)]
pub struct Progress {
    done_bytes: AtomicU64,
    total_bytes: AtomicU64,
    entries: AtomicU64,
    phase: Mutex<String>,
    notes: Mutex<Vec<String>>,
    measures: bool,
}

impl Progress {
    /// Counters of work whose size is found out beside it, where it is not known before: for those who show percentages.
    pub fn measuring() -> Self {
        Self { measures: true, ..Self::default() }
    }

    /// Whether the size of the work is to be found out.
    pub(crate) fn measures(&self) -> bool {
        self.measures
    }

    /// Tells how many bytes there are in all, of work that has begun without knowing.
    pub(crate) fn expect(&self, total_bytes: u64) {
        self.total_bytes.store(total_bytes, Ordering::Relaxed);
    }

    /// Bytes dealt with so far.
    pub fn done_bytes(&self) -> u64 {
        self.done_bytes.load(Ordering::Relaxed)
    }

    /// Bytes in all; 0 while that is not known.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes.load(Ordering::Relaxed)
    }

    /// Entries (files, directories, packs) dealt with so far.
    pub fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// What is being done, e.g. `"reading"`.
    pub fn phase(&self) -> String {
        self.phase.lock().map(|phase| phase.clone()).unwrap_or_default()
    }

    /// Sentences for the user that came up since the last call.
    pub fn take_notes(&self) -> Vec<String> {
        self.notes.lock().map(|mut notes| std::mem::take(&mut *notes)).unwrap_or_default()
    }

    pub(crate) fn begin(&self, phase: &str, total_bytes: u64) {
        self.done_bytes.store(0, Ordering::Relaxed);
        self.total_bytes.store(total_bytes, Ordering::Relaxed);
        self.entries.store(0, Ordering::Relaxed);
        self.go_on(phase);
    }

    /// Goes on to another phase of the same work: what was done stays done.
    pub(crate) fn go_on(&self, phase: &str) {
        if let Ok(mut now) = self.phase.lock() {
            phase.clone_into(&mut now);
        }
    }

    pub(crate) fn advance(&self, bytes: u64) {
        self.done_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Tells that there are more bytes than was known.
    pub(crate) fn expect_more(&self, bytes: u64) {
        self.total_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Tells how much was done in all, by whomever.
    pub(crate) fn catch_up(&self, done_bytes: u64) {
        self.done_bytes.fetch_max(done_bytes, Ordering::Relaxed);
    }

    /// Takes back what was counted: it has to be done again.
    pub(crate) fn retreat(&self, bytes: u64) {
        self.done_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn count_entry(&self) {
        self.entries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note(&self, sentence: String) {
        if let Ok(mut notes) = self.notes.lock() {
            notes.push(sentence);
        }
    }
}
