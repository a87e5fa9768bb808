//! `cargo xtask corpus`: makes one corpus, or lives through its second day.
//!
//! The benchmark runs it as a process of its own: a child starts with its parent's peak memory, so
//! the process that measures has to stay small.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use testkit::corpus::{self, TreeShape};

/// What to make. Prints what was made; the same seed makes the same bytes.
#[derive(Subcommand)]
pub(crate) enum Task {
    /// A directory tree of text, incompressible, sparse and linked files.
    Tree {
        /// Where; created when missing.
        dir: PathBuf,
        /// How much.
        #[arg(long, value_enum, default_value_t = Size::Small)]
        size: Size,
        /// Makes so many files of up to a kibibyte instead.
        #[arg(long, value_name = "COUNT", conflicts_with = "size")]
        tiny_files: Option<u32>,
        /// What the random numbers start from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Edits about 1 % of a tree; adds, removes, renames.
    TreeDayTwo {
        /// The tree.
        dir: PathBuf,
        /// Edits so many of the small files that were made first, and does nothing else.
        #[arg(long, value_name = "COUNT")]
        first_files: Option<u64>,
        /// What the random numbers start from.
        #[arg(long, default_value_t = 2)]
        seed: u64,
    },
    /// A raw disk image with holes.
    Image {
        /// The image; replaced when it exists.
        path: PathBuf,
        /// Its size, holes included.
        #[arg(long, default_value_t = 512 << 20)]
        bytes: u64,
        /// How much of it is data.
        #[arg(long, default_value_t = 0.57)]
        filled: f64,
        /// What the random numbers start from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Rewrites scattered blocks of an image.
    ImageDayTwo {
        /// The image.
        path: PathBuf,
        /// How much of its data.
        #[arg(long, default_value_t = 0.01)]
        fraction: f64,
        /// What the random numbers start from.
        #[arg(long, default_value_t = 2)]
        seed: u64,
    },
    /// A tree with one of everything that a file system can hold.
    Odd {
        /// Where; created when missing.
        dir: PathBuf,
    },
}

/// The presets of `TreeShape`.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Size {
    /// About 200 files, 10 MB.
    Small,
    /// About 6,300 files, 300 MB.
    Quick,
    /// 45,478 files, 2.25 GB.
    Full,
}

/// Runs `cargo xtask corpus`.
pub(crate) fn run(task: &Task) -> Result<ExitCode> {
    match task {
        Task::Tree { dir, size, tiny_files, seed } => {
            let shape = match (tiny_files, size) {
                (Some(files), _) => TreeShape::many_tiny(*files),
                (None, Size::Small) => TreeShape::small(),
                (None, Size::Quick) => TreeShape::quick(),
                (None, Size::Full) => TreeShape::full(),
            };
            let made = corpus::tree(dir, *seed, &shape)?;
            println!(
                "{} files, {} directories, {} symlinks, {} hard links, {:.1} MB and {:.1} MB of holes",
                made.files,
                made.directories,
                made.symlinks,
                made.hard_links,
                megabytes(made.data_bytes),
                megabytes(made.bytes - made.data_bytes.min(made.bytes)),
            );
        }
        Task::TreeDayTwo { dir, first_files, seed } => {
            let done = match first_files {
                Some(files) => corpus::edit_first_files(dir, *seed, *files)?,
                None => corpus::day_two(dir, *seed)?,
            };
            println!(
                "{:.1} MB changed: {} files edited, {} added, {} removed, {} renamed, {} directory renamed",
                megabytes(done.changed_bytes),
                done.files_edited,
                done.files_added,
                done.files_removed,
                done.files_renamed,
                done.directories_renamed,
            );
        }
        Task::Image { path, bytes, filled, seed } => {
            let made = corpus::image(path, *seed, *bytes, *filled)?;
            let [size, data] = [*bytes, made.written_bytes].map(megabytes);
            println!("{size:.1} MB of which {data:.1} MB are data, in {} runs", made.runs);
        }
        Task::ImageDayTwo { path, fraction, seed } => {
            let done = corpus::image_day_two(path, *seed, *fraction)?;
            println!("{:.1} MB rewritten in {} places", megabytes(done.written_bytes), done.runs);
        }
        Task::Odd { dir } => corpus::odd_tree(dir)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
