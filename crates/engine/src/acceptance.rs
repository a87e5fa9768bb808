//! What becomes of a request for a backup or a copy before any work on it is done.

use catalog::{Earlier, Quota};

/// A request that was looked at.
#[derive(Debug)]
pub enum Acceptance<T> {
    /// It was accepted: this is to be run.
    New(T),
    /// Its token was used before, for this.
    Earlier(Earlier),
    /// This quota is exhausted.
    OverQuota(Quota),
}
