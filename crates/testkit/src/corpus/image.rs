//! A raw disk image with holes, and a day of scattered writes to it.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::SeekFrom;

use super::at;
use super::content::{Content, Random};

/// What was written to an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageSummary {
    /// Bytes written, zeros included.
    pub written_bytes: u64,
    /// Runs they were written in.
    pub runs: u64,
}

const BLOCK_BYTES: u64 = 4096;
/// Runs of data and of holes are 16 to 512 of these long.
const REGION_UNIT_BYTES: u64 = 16 << 10;
/// A day's writes are 1 to 16 blocks long, as a guest's file system makes them.
const BLOCKS_PER_WRITE_MAX: u64 = 16;

/// Makes a sparse image of `size` bytes at `path`, of which about `filled_fraction` is written: half
/// of that random bytes, the rest text and a tenth zeros. What was at `path` is replaced.
///
/// # Errors
/// What the file system answers, with the path.
pub fn image(path: &Path, seed: u64, size: u64, filled_fraction: f64) -> io::Result<ImageSummary> {
    let mut random = Random::new(seed);
    let mut file = at(path, File::create(path))?;
    at(path, file.set_len(size))?;
    let mut done = ImageSummary::default();
    let mut position = 0;
    while position < size {
        let region = (random.between(16, 512) * REGION_UNIT_BYTES).min(size - position);
        // Whichever is behind its share comes next; the lengths are what is random.
        if (done.written_bytes as f64) < filled_fraction * (position + region) as f64 {
            at(path, file.seek(io::SeekFrom::Start(position)))?;
            at(path, some_content(&mut random).write(&mut file, &mut random, region))?;
            done.written_bytes += region;
            done.runs += 1;
        }
        position += region;
    }
    Ok(done)
}

/// Rewrites about `fraction` of the image's data, in scattered runs of 1 to 16 blocks of 4 KiB.
///
/// Holes stay holes where the file system can tell them. Depends on the image and `seed` alone.
///
/// # Errors
/// What the file system answers, with the path; `InvalidInput` when the image holds no data.
pub fn image_day_two(path: &Path, seed: u64, fraction: f64) -> io::Result<ImageSummary> {
    let mut random = Random::new(seed);
    let file = at(path, OpenOptions::new().read(true).write(true).open(path))?;
    let data = data_blocks(path, &file)?;
    let blocks: u64 = data.iter().map(|run| run.count).sum();
    if blocks == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{}: no data to change", path.display())));
    }
    let mut done = ImageSummary::default();
    let mut bytes = Vec::new();
    while (done.written_bytes as f64) < fraction * (blocks * BLOCK_BYTES) as f64 {
        let run = nth_block(&data, random.below(blocks));
        let count = random.between(1, BLOCKS_PER_WRITE_MAX + 1).min(run.count);
        bytes.clear();
        let content = if random.one_in(2) { Content::Text } else { Content::Incompressible };
        content.write(&mut bytes, &mut random, count * BLOCK_BYTES)?;
        at(path, file.write_all_at(&bytes, run.first * BLOCK_BYTES))?;
        done.written_bytes += count * BLOCK_BYTES;
        done.runs += 1;
    }
    Ok(done)
}

fn some_content(random: &mut Random) -> Content {
    match random.below(10) {
        0..5 => Content::Incompressible,
        5..9 => Content::Text,
        _ => Content::Zero,
    }
}

#[derive(Clone, Copy)]
struct BlockRun {
    first: u64,
    count: u64,
}

/// The runs of whole blocks that hold data.
fn data_blocks(path: &Path, file: &File) -> io::Result<Vec<BlockRun>> {
    let size = at(path, file.metadata())?.len();
    let mut runs = Vec::new();
    let mut position = 0;
    while position < size {
        let start = match rustix::fs::seek(file, SeekFrom::Data(position)) {
            Err(rustix::io::Errno::NXIO) => break,
            found => at(path, found)?,
        };
        let end = at(path, rustix::fs::seek(file, SeekFrom::Hole(start)))?;
        let first = start.div_ceil(BLOCK_BYTES);
        let count = (end / BLOCK_BYTES).saturating_sub(first);
        if count > 0 {
            runs.push(BlockRun { first, count });
        }
        position = end;
    }
    Ok(runs)
}

/// The rest of the run that the block with this number, counted through all runs, lies in.
fn nth_block(runs: &[BlockRun], number: u64) -> BlockRun {
    let mut left = number;
    for run in runs {
        if left < run.count {
            return BlockRun { first: run.first + left, count: run.count - left };
        }
        left -= run.count;
    }
    unreachable!("the number is below the sum of the counts")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const SIZE: u64 = 64 << 20;

    #[test]
    fn one_seed_gives_one_image_with_holes() {
        let scratch = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| scratch.path().join(name));
        for path in &paths {
            let done = image(path, 5, SIZE, 0.5).unwrap();
            let share = done.written_bytes as f64 / SIZE as f64;
            assert!((0.4..0.6).contains(&share), "{share}");
            let metadata = fs::metadata(path).unwrap();
            assert_eq!(metadata.len(), SIZE);
            assert!(metadata.blocks() * 512 <= done.written_bytes + (1 << 20), "holes were filled");
        }
        assert!(fs::read(&paths[0]).unwrap() == fs::read(&paths[1]).unwrap());
    }

    #[test]
    fn a_day_rewrites_the_fraction_of_the_data_and_no_hole() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("image");
        let made = image(&path, 5, SIZE, 0.5).unwrap();
        let before = fs::read(&path).unwrap();
        let blocks_before = fs::metadata(&path).unwrap().blocks();
        image_day_two(&path, 6, 0.01).unwrap();
        let after = fs::read(&path).unwrap();
        assert!(fs::metadata(&path).unwrap().blocks() <= blocks_before);
        let differing = before.chunks(4096).zip(after.chunks(4096)).filter(|(a, b)| a != b).count() * 4096;
        let share = differing as f64 / made.written_bytes as f64;
        assert!((0.008..0.012).contains(&share), "{share}");
    }
}
