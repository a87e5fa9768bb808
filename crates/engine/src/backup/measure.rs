//! How much there is to read of a tree that has no backup yet: walked beside the reading, for those who watch it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use capture::{Found, TreeOptions, TreeWalk};
use model::Clock;

use crate::progress::Progress;

/// Tells that the reading has ended, however it did, when it is dropped.
pub(super) struct Over<'a>(pub(super) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Walks the tree at `root` and tells `progress` how large its files are together, unless the reading ends before.
pub(super) fn measure(
    root: &Path,
    options: TreeOptions,
    clock: Arc<dyn Clock>,
    progress: &Progress,
    is_over: &AtomicBool,
) {
    // What cannot be walked is for the reader to tell of.
    let Ok(walk) = TreeWalk::open(root, options, clock) else { return };
    let mut total = 0_u64;
    for found in walk {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        if let Found::Entry(found) = found {
            total = total.saturating_add(found.entry.size());
        }
    }
    progress.expect(total);
}
