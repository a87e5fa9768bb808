//! The verdict on a restore: is it equal to its original, byte by byte and attribute by attribute?

use std::path::Path;

use anyhow::Context;
use capture::{compare_images, compare_trees};
use model::SourceKind;

use crate::output::counted;

/// What a comparison came to.
#[derive(Debug)]
pub(super) struct Verdict {
    /// In a few words.
    pub(super) text: String,
    /// A line for each difference, the first hundred of them; none when all is equal.
    pub(super) differences: Vec<String>,
}

/// Compares what was restored with its original.
pub(super) fn compare(kind: SourceKind, original: &Path, restored: &Path) -> anyhow::Result<Verdict> {
    let context = || format!("failed to compare {} with {}", restored.display(), original.display());
    match kind {
        SourceKind::Image => {
            let at = compare_images(original, restored).with_context(context)?;
            let differences = at.map(|at| format!("    they differ at byte {at}")).into_iter().collect::<Vec<_>>();
            let text = if differences.is_empty() { "equal in every byte" } else { "DIFFERENT" };
            Ok(Verdict { text: text.to_owned(), differences })
        }
        SourceKind::Tree => {
            let found = compare_trees(original, restored).with_context(context)?;
            let differences: Vec<String> = found
                .differences
                .iter()
                .map(|difference| format!("    {}: {}", difference.path, difference.what))
                .collect();
            let text = match found.difference_count {
                0 => format!("{} equal in every byte and attribute", counted(found.entries, "item")),
                count => format!("DIFFERENT: {}", counted(count, "difference")),
            };
            Ok(Verdict { text, differences })
        }
    }
}
