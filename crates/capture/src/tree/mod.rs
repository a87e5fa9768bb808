//! Directory trees: walked as entries, written back, compared.

pub mod compare;
pub mod found;
pub mod new_file;
pub mod place;
pub mod source;
pub mod target;

mod beside;
mod content;
mod descent;
mod exclude;
mod metadata;

pub use exclude::{BadPattern, ExclusionRules};
pub use found::{Found, FoundEntry, OpenedFile};
pub use new_file::NewFile;
pub use place::Place;
pub use source::{TreeOptions, TreeWalk};
pub use target::{Origin, TargetDirectory, TreeTarget};
