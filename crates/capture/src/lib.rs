//! Reads directory trees and disk images as entries and pieces of bytes, writes them back, compares them.
//!
//! Everything that is read here may be hostile: trees change while they are walked, names are any
//! bytes, and a manifest may ask for paths that lead elsewhere. Directories are therefore opened one
//! name at a time, without following symbolic links, relative to a directory that is held open.

pub mod image;
pub mod piece;
pub mod tree;

mod context;
mod open;
mod stat;
mod xattr;

pub use context::os_error_code;
pub use image::{ImageSource, ImageTarget};
pub use piece::{
    CHUNK_BYTES_MAX, CHUNK_BYTES_MEAN, CHUNK_BYTES_MIN, Cut, IMAGE_BLOCK_BYTES, Piece, Pieces, SMALL_FILE_BYTES,
};
pub use tree::compare::{Comparison, Difference, compare_images, compare_trees};
pub use tree::{
    BadPattern, ExclusionRules, Found, FoundEntry, NewFile, OpenedFile, Origin, Place, TargetDirectory, TreeOptions,
    TreeTarget, TreeWalk,
};

/// What a restore does about what is at its target already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Writes only where nothing is.
    Refuse,
    /// Goes on where a restore of the same was interrupted that began in an empty target: what is there is its own, and is removed
    /// before it is made again.
    Resume,
    /// Replaces what has the name of something restored, once that is whole; keeps the rest.
    Replace,
}
