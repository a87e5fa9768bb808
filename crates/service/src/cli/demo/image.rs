//! The demo's disk image: stretches of real content at scattered places, holes between them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::random::Random;
use super::tree::TreeFile;

const MIB: u64 = 1 << 20;
const STRETCH_BYTES: u64 = MIB;
const BLOCK_BYTES: u64 = 4 << 10;

/// The largest image the demo makes.
const IMAGE_BYTES_MAX: u64 = 256 * MIB;
/// The smallest: with fewer stretches chance would decide whether there are any.
const IMAGE_BYTES_MIN: u64 = 16 * MIB;

/// A disk image and where something is written in it.
#[derive(Debug)]
pub(super) struct Image {
    /// Its length.
    pub(super) bytes: u64,
    /// The first byte of each written stretch.
    stretches: Vec<u64>,
}

impl Image {
    /// Makes an image at `path`, of at most `bytes_max` if that is not too small, with what is in `files`.
    pub(super) fn make(path: &Path, bytes_max: u64, files: &[TreeFile], random: &mut Random) -> io::Result<Self> {
        let bytes = bytes_max.clamp(IMAGE_BYTES_MIN, IMAGE_BYTES_MAX) / STRETCH_BYTES * STRETCH_BYTES;
        let image = File::create_new(path)?;
        image.set_len(bytes)?;
        let mut content = Content { files, open: None };
        let mut stretches = Vec::new();
        let mut stretch = vec![0; usize::try_from(STRETCH_BYTES).unwrap_or(0)];
        for start in (0..bytes).step_by(stretch.len()) {
            // Two places in five are written, the first of all for certain.
            if start == 0 || random.below(5) < 2 {
                content.fill(&mut stretch, random);
                image.write_all_at(&stretch, start)?;
                stretches.push(start);
            }
        }
        image.sync_all()?;
        Ok(Self { bytes, stretches })
    }

    /// How many bytes are written.
    pub(super) fn written_bytes(&self) -> u64 {
        self.stretches.len() as u64 * STRETCH_BYTES
    }

    /// Rewrites 1 % of the written blocks, scattered; returns how many.
    pub(super) fn live_through_a_day(&self, path: &Path, random: &mut Random) -> io::Result<u64> {
        let image = File::options().write(true).open(path)?;
        let blocks = (self.written_bytes() / BLOCK_BYTES / 100).max(1);
        let mut block = vec![0; usize::try_from(BLOCK_BYTES).unwrap_or(0)];
        for _ in 0..blocks {
            let place = usize::try_from(random.below(self.stretches.len() as u64)).unwrap_or(0);
            let start = self.stretches.get(place).copied().unwrap_or(0);
            random.fill(&mut block);
            image.write_all_at(&block, start + random.below(STRETCH_BYTES / BLOCK_BYTES) * BLOCK_BYTES)?;
        }
        image.sync_all()?;
        Ok(blocks)
    }
}

/// The bytes of some files, one after the other.
struct Content<'a> {
    files: &'a [TreeFile],
    open: Option<File>,
}

impl Content<'_> {
    /// Fills `bytes` with the next ones; with random ones once all files have been read.
    fn fill(&mut self, bytes: &mut [u8], random: &mut Random) {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.read(&mut bytes[filled..]) {
                Some(0) => self.open = None,
                Some(len) => filled += len,
                None => {
                    random.fill(&mut bytes[filled..]);
                    return;
                }
            }
        }
    }

    /// Reads on in the open file or the next; 0 at the end of one, `None` after the last.
    fn read(&mut self, bytes: &mut [u8]) -> Option<usize> {
        if self.open.is_none() {
            let (first, rest) = self.files.split_first()?;
            self.files = rest;
            self.open = File::open(&first.path).ok();
        }
        // A file that cannot be read counts as an empty one.
        Some(self.open.as_mut().and_then(|open| open.read(bytes).ok()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn an_image_has_holes_and_a_day_touches_none_of_them() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("image");
        std::fs::write(scratch.path().join("file"), b"content").unwrap();
        let files = [TreeFile { path: scratch.path().join("file"), bytes: 7 }];
        let image = Image::make(&path, 0, &files, &mut Random::new(1)).unwrap();
        assert!(std::fs::read(&path).unwrap().starts_with(b"content"));
        let before = std::fs::metadata(&path).unwrap();
        assert_eq!(before.len(), IMAGE_BYTES_MIN);
        assert!(before.blocks() * 512 < IMAGE_BYTES_MIN);
        assert_eq!(image.live_through_a_day(&path, &mut Random::new(2)).unwrap(), image.written_bytes() / 4096 / 100);
        assert_eq!(std::fs::metadata(&path).unwrap().blocks(), before.blocks());
    }
}
