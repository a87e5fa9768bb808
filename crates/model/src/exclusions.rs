//! Exclusions: what the backups of a tree leave out because its owner says so.

use serde::{Deserialize, Serialize};

/// What is left out of a directory tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exclusions {
    /// Patterns with the meaning of lines in a `.gitignore` at the tree's root: the last one that matches a path decides.
    pub patterns: Vec<String>,
    /// Whether directories that are [tagged as caches](https://bford.info/cachedir/) are left out, but for themselves and their tag.
    pub caches: bool,
}

impl Exclusions {
    /// Whether all is backed up.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
