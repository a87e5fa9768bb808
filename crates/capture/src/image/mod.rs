//! Disk images: files or block devices, read and written by blocks.

pub mod source;
pub mod target;

pub use source::ImageSource;
pub use target::ImageTarget;
