//! Pieces: a file's bytes as chunks to store and holes to remember.
//!
//! Memory is bounded by one window and what the caller still holds of earlier ones: chunks are
//! slices of the window they were read into, never copies.

use std::fs::File;
use std::io;

use bytes::Bytes;
use fastcdc::v2020::FastCDC;
use rustix::buffer::spare_capacity;
use rustix::fs::{SeekFrom, fstat, seek};
use rustix::io::{Errno, pread};

use crate::context::Context;

/// No chunk cut by content is shorter, but the last before a hole or the end.
pub const CHUNK_BYTES_MIN: usize = 256 * 1024;
/// What chunks cut by content measure on average.
pub const CHUNK_BYTES_MEAN: usize = 1024 * 1024;
/// No chunk cut by content is longer.
pub const CHUNK_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The block by which disk images are cut.
pub const IMAGE_BLOCK_BYTES: usize = 128 * 1024;
/// Files below this size come as a single piece unless they have holes.
pub const SMALL_FILE_BYTES: u64 = 256 * 1024;

// The longest chunk and more: the rest that is carried over to the next window is less than one chunk. Memory of 8 MiB is given
// back at once by the allocator, and has to be made anew for the next window.
const CONTENT_WINDOW_BYTES: usize = CHUNK_BYTES_MAX + 3 * CHUNK_BYTES_MEAN;
// A chunk that waits keeps its whole window in memory, so windows of small chunks are small.
const FIXED_WINDOW_BYTES: usize = 2 * 1024 * 1024;

/// How a file's bytes are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Where the content says so (FastCDC v2020), so that an insertion moves few boundaries.
    ByContent,
    /// At multiples of so many bytes. Blocks that are all zero become holes.
    Fixed(usize),
}

/// A run of a file's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes to store.
    Data(Bytes),
    /// So many zero bytes that need not be stored. The next piece is never a hole too.
    Hole(u64),
}

impl Piece {
    /// How many bytes of the file this stands for.
    pub fn len(&self) -> u64 {
        match self {
            Self::Data(bytes) => bytes.len() as u64,
            Self::Hole(len) => *len,
        }
    }

    /// Whether it stands for nothing; no piece of a file does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The pieces of a file, from its first byte to the size it is said to have.
///
/// They add up to exactly that size, unless the file got shorter: then they end early. What a file
/// grew by meanwhile is left out. After an error nothing more comes.
#[derive(Debug)]
pub struct Pieces {
    file: File,
    cut: Cut,
    /// Where the last piece ends; comes down when the file turns out to be shorter.
    size: u64,
    /// Up to where the file was read or skipped. The window ends here.
    position: u64,
    /// Up to where there is data from `position` on.
    run_end: u64,
    window: Bytes,
    /// What came after a hole, met while looking for the hole's end.
    held: Option<io::Result<Piece>>,
}

impl Pieces {
    /// Begins at the first byte of `file`, wherever its own offset is.
    pub fn new(file: File, size: u64, cut: Cut) -> Self {
        Self { file, cut, size, position: 0, run_end: 0, window: Bytes::new(), held: None }
    }

    /// The next piece, where holes that touch may come one by one.
    fn step(&mut self) -> io::Result<Option<Piece>> {
        loop {
            if let Some(piece) = self.take_from_window() {
                return Ok(Some(piece));
            }
            if self.position >= self.size {
                return Ok(None);
            }
            if self.position < self.run_end {
                self.fill_window()?;
                continue;
            }
            let hole = self.find_run()?;
            if hole > 0 {
                return Ok(Some(Piece::Hole(hole)));
            }
        }
    }

    /// Cuts one piece off the window; `None` when that takes more bytes than it has.
    fn take_from_window(&mut self) -> Option<Piece> {
        let at_end = self.position >= self.run_end;
        let (len, len_max) = match self.cut {
            Cut::ByContent => {
                let chunker = FastCDC::new(&self.window, CHUNK_BYTES_MIN, CHUNK_BYTES_MEAN, CHUNK_BYTES_MAX);
                (chunker.cut(0, self.window.len()).1, CHUNK_BYTES_MAX)
            }
            Cut::Fixed(block) => (block.min(self.window.len()), block),
        };
        // A cut at the window's end may be no boundary: more bytes could put it further on.
        if len == 0 || (len == self.window.len() && len < len_max && !at_end) {
            return None;
        }
        let bytes = self.window.split_to(len);
        let skip = matches!(self.cut, Cut::Fixed(_)) && is_zero(&bytes);
        Some(if skip { Piece::Hole(len as u64) } else { Piece::Data(bytes) })
    }

    /// Reads on behind what is left in the window.
    fn fill_window(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.window);
        let room = (self.window_bytes() - rest.len()) as u64;
        let wanted = rest.len() + capped(room.min(self.run_end - self.position));
        let mut buffer = Vec::with_capacity(wanted);
        buffer.extend_from_slice(&rest);
        while buffer.len() < wanted {
            match pread(&self.file, spare_capacity(&mut buffer), self.position) {
                Ok(0) => {
                    self.end_here();
                    break;
                }
                Ok(read) => self.position += read as u64,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error).context(|| format!("read at byte {}", self.position)),
            }
        }
        // A vector may be given more room than it asked for.
        self.position -= buffer.len().saturating_sub(wanted) as u64;
        buffer.truncate(wanted);
        self.window = Bytes::from(buffer);
        Ok(())
    }

    fn window_bytes(&self) -> usize {
        match self.cut {
            Cut::ByContent => CONTENT_WINDOW_BYTES,
            Cut::Fixed(block) => block * (FIXED_WINDOW_BYTES / block).max(1),
        }
    }

    /// Finds the next run of data and skips the hole before it; returns how long the hole was.
    fn find_run(&mut self) -> io::Result<u64> {
        let found = next_run(&self.file, self.position, self.size);
        let Some((start, end)) = found.context(|| format!("look for holes at byte {}", self.position))? else {
            self.end_here();
            return Ok(0);
        };
        // Blocks that are partly hole are read whole, so that boundaries do not depend on holes.
        let block = if let Cut::Fixed(block) = self.cut { block as u64 } else { 1 };
        let start = if start == self.size { start } else { start - start % block };
        let hole = start - self.position;
        self.position = start;
        self.run_end = end.checked_next_multiple_of(block).unwrap_or(u64::MAX).min(self.size);
        Ok(hole)
    }

    /// The file ends at `position`: it got shorter, or is no longer to be read.
    fn end_here(&mut self) {
        self.size = self.position;
        self.run_end = self.position;
    }
}

impl Iterator for Pieces {
    type Item = io::Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        let mut hole = 0;
        loop {
            match self.step() {
                Ok(Some(Piece::Hole(len))) => hole += len,
                Ok(None) => return (hole > 0).then_some(Ok(Piece::Hole(hole))),
                other => {
                    if other.is_err() {
                        self.end_here();
                    }
                    let next = other.transpose();
                    if hole == 0 {
                        return next;
                    }
                    self.held = next;
                    return Some(Ok(Piece::Hole(hole)));
                }
            }
        }
    }
}

/// The first run of data at or after `position`, as its first byte and the byte behind it.
///
/// `(size, size)` when nothing but hole is left, `None` when the file ends at or before `position`.
/// Where the file system or device knows no holes, all of it is data.
pub(crate) fn next_run(file: &File, position: u64, size: u64) -> Result<Option<(u64, u64)>, Errno> {
    let hole = match seek(file, SeekFrom::Hole(position)) {
        Ok(hole) => hole,
        Err(Errno::NXIO) => return Ok(None),
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((position, size))),
        Err(error) => return Err(error),
    };
    // In most files the only hole is the one that all have at their end: one call tells.
    if hole > position {
        return Ok(Some((position, hole.min(size))));
    }
    let start = match seek(file, SeekFrom::Data(position)) {
        Ok(start) if start < size => start,
        Ok(_) => return Ok(Some((size, size))),
        Err(Errno::NXIO) => {
            // No more data: a hole up to the end, which may have come nearer.
            let end = u64::try_from(fstat(file)?.st_size).unwrap_or(0).min(size);
            return Ok((end > position).then_some((end, end)));
        }
        Err(error) => return Err(error),
    };
    let end = match seek(file, SeekFrom::Hole(start)) {
        // A hole punched meanwhile must not make an empty run, which would be looked for forever.
        Ok(end) => end.max(start + 1),
        Err(Errno::NXIO) => size,
        Err(error) => return Err(error),
    };
    Ok(Some((start, end.min(size))))
}

fn is_zero(bytes: &[u8]) -> bool {
    static ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|part| part == &ZEROS[..part.len()])
}

fn capped(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
