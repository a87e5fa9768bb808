//! How much is measured, and how often.

use super::corpus::Corpus;

/// One of the three scales.
#[derive(Debug)]
pub(super) struct Scale {
    pub(super) name: &'static str,
    pub(super) runs: u32,
    pub(super) corpora: &'static [Corpus],
    /// Memory that is touched before each run; see [`super::measure`].
    pub(super) touched_bytes: u64,
    /// What `cargo xtask corpus tree` calls it.
    pub(super) tree_size: &'static str,
    pub(super) image_bytes: u64,
    /// Whether candidates are built that are not there.
    pub(super) builds: bool,
}

pub(super) const QUICK: Scale = Scale {
    name: "quick",
    runs: 2,
    corpora: &[Corpus::Image, Corpus::Tree],
    touched_bytes: 1 << 30,
    tree_size: "quick",
    image_bytes: 512 << 20,
    builds: false,
};

pub(super) const MEDIUM: Scale =
    Scale { name: "medium", touched_bytes: 3 << 30, tree_size: "full", image_bytes: 4 << 30, ..QUICK };

pub(super) const FULL: Scale =
    Scale { name: "full", runs: 3, corpora: &[Corpus::Image, Corpus::Tree, Corpus::Usr], builds: true, ..MEDIUM };
