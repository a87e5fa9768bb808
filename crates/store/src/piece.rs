//! Pieces: the runs of bytes that packs are made of in memory, while they are filled and on their way between stores.
//!
//! A piece that is read, hashed and written before it leaves the processor's cache costs a fraction of what a whole
//! pack in fresh memory does. So buffers are used again, the one that came back last first.

use std::io::{ErrorKind, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// The length of every piece but the last of a pack. Shorter ones make more switches between threads, longer ones do
/// not stay in the cache.
pub const PIECE_BYTES: usize = 512 << 10;

/// Buffers kept for the next pieces: those of a pack of the usual length. More are made when more are needed.
const SPARE_MAX: usize = 64;

/// Where pieces begin in memory: at a page, so that disks can take them from there.
pub(crate) const ALIGNMENT: usize = 4 << 10;

/// Buffers that are filled again once nobody holds the piece that they were filled for.
#[derive(Clone, Debug, Default)]
pub struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// A piece that is to be filled.
    pub fn piece(&self) -> Piece {
        let bytes = self.spare().pop().unwrap_or_else(|| vec![0; PIECE_BYTES + ALIGNMENT]);
        let begin = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Piece { bytes, begin, filled: 0, home: self.clone() }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        // What it guards is whole at every instant.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer that is being filled, or that somebody still looks at.
#[derive(Debug)]
pub struct Piece {
    bytes: Vec<u8>,
    /// Where the piece begins in the buffer.
    begin: usize,
    filled: usize,
    home: Buffers,
}

impl Piece {
    /// Whether there is room for more.
    pub fn is_full(&self) -> bool {
        self.filled == PIECE_BYTES
    }

    /// Takes in as many of `bytes` as there is room for, and returns the others.
    pub fn take<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (taken, others) = bytes.split_at(bytes.len().min(PIECE_BYTES - self.filled));
        self.room()[..taken.len()].copy_from_slice(taken);
        self.filled += taken.len();
        others
    }

    /// Reads until the piece is full or the reader has ended.
    ///
    /// # Errors
    /// The reader's own.
    pub fn read(&mut self, reader: &mut impl Read) -> std::io::Result<()> {
        while !self.is_full() {
            match reader.read(self.room()) {
                Ok(0) => break,
                Ok(len) => self.filled += len,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What it was filled with.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.begin + self.filled..self.begin + PIECE_BYTES]
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[self.begin..][..self.filled]
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut spare = self.home.spare();
        if spare.len() < SPARE_MAX {
            spare.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(buffers: &Buffers, mut reader: impl Read) -> Bytes {
        let mut piece = buffers.piece();
        piece.read(&mut reader).unwrap();
        piece.freeze()
    }

    #[test]
    fn a_buffer_is_used_again_once_its_piece_is_gone_and_not_before() {
        let buffers = Buffers::default();
        let first = read(&buffers, std::io::repeat(7));
        let clone = first.clone();
        let place = first.as_ptr();
        drop(first);
        assert_ne!(read(&buffers, std::io::repeat(7)).as_ptr(), place);
        drop(clone);
        let last = read(&buffers, [1, 2, 3].as_slice());
        assert_eq!((last.as_ptr(), &last[..]), (place, &[1, 2, 3][..]), "what was there before is not seen");
        assert!(read(&buffers, std::io::empty()).is_empty());
    }

    #[test]
    fn no_more_than_a_few_buffers_are_kept() {
        let buffers = Buffers::default();
        let pieces: Vec<Bytes> = (0..3 * SPARE_MAX).map(|_| read(&buffers, std::io::repeat(7))).collect();
        drop(pieces);
        assert_eq!(buffers.spare().len(), SPARE_MAX);
    }

    #[test]
    fn a_piece_begins_at_a_page_and_takes_what_it_has_room_for() {
        let buffers = Buffers::default();
        let mut piece = buffers.piece();
        let bytes: Vec<u8> = (0..PIECE_BYTES + 3).map(|n| n.to_le_bytes()[0]).collect();
        assert!(piece.take(&bytes[..5]).is_empty());
        assert_eq!(piece.take(&bytes[5..]), &bytes[PIECE_BYTES..]);
        assert!(piece.is_full());
        let piece = piece.freeze();
        assert_eq!(piece, bytes[..PIECE_BYTES]);
        assert_eq!(piece.as_ptr().align_offset(ALIGNMENT), 0);
    }
}
