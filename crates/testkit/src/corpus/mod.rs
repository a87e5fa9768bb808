//! Seeded corpora: directory trees, disk images and the day of changes that follows each.
//!
//! One seed gives the same names, bytes, modes, links and holes on every machine and with every
//! version of every library, which is why the random numbers are made here. Builders stream: none
//! holds a file in memory.

mod content;
mod day_two;
mod image;
mod odd;
mod tree;

use std::io;
use std::path::Path;

pub use content::{Content, Random};
pub use day_two::{DayTwoSummary, day_two, edit_first_files};
pub use image::{ImageSummary, image, image_day_two};
pub use odd::{crowded_directory, deep_directory, odd_tree};
pub use tree::{CorpusSummary, TreeShape, tree};

/// Puts the path into an error, which the operating system leaves out.
fn at<T>(path: &Path, result: Result<T, impl Into<io::Error>>) -> io::Result<T> {
    result.map_err(|error| {
        let error = error.into();
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    })
}
