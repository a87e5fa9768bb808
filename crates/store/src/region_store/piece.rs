//! Pieces: the runs of bytes in which packs travel from one store to others.
//!
//! A piece that is read, hashed and written before it leaves the processor's cache costs a fraction of what a whole
//! pack in fresh memory does. So buffers are used again, the one that came back last first.

use std::io::{ErrorKind, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// The length of every piece but the last of a pack. Shorter ones make more switches between threads, longer ones do
/// not stay in the cache.
pub(super) const PIECE_BYTES: usize = 512 << 10;

/// Buffers kept for the next pieces: as many as are on their way to one target. More are made when more are.
const SPARE_MAX: usize = 16;

/// Buffers that are filled again once nobody holds the piece that they were filled for.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// Reads the next piece; it is empty at the end.
    pub(super) fn fill(&self, reader: &mut impl Read) -> std::io::Result<Bytes> {
        let bytes = self.spare().pop().unwrap_or_else(|| vec![0; PIECE_BYTES]);
        let mut piece = Piece { bytes, filled: 0, home: self.clone() };
        while piece.filled < PIECE_BYTES {
            match reader.read(&mut piece.bytes[piece.filled..]) {
                Ok(0) => break,
                Ok(len) => piece.filled += len,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Bytes::from_owner(piece))
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        // What it guards is whole at every instant.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer on its way.
struct Piece {
    bytes: Vec<u8>,
    filled: usize,
    home: Buffers,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.filled]
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

    #[test]
    fn a_buffer_is_used_again_once_its_piece_is_gone_and_not_before() {
        let buffers = Buffers::default();
        let mut reader = std::io::repeat(7);
        let first = buffers.fill(&mut reader).unwrap();
        let clone = first.clone();
        let place = first.as_ptr();
        drop(first);
        assert_ne!(buffers.fill(&mut reader).unwrap().as_ptr(), place);
        drop(clone);
        let last = buffers.fill(&mut [1, 2, 3].as_slice()).unwrap();
        assert_eq!((last.as_ptr(), &last[..]), (place, &[1, 2, 3][..]), "what was there before is not seen");
        assert!(buffers.fill(&mut std::io::empty()).unwrap().is_empty());
    }

    #[test]
    fn no_more_than_a_few_buffers_are_kept() {
        let buffers = Buffers::default();
        let pieces: Vec<Bytes> = (0..3 * SPARE_MAX).map(|_| buffers.fill(&mut std::io::repeat(7)).unwrap()).collect();
        drop(pieces);
        assert_eq!(buffers.spare().len(), SPARE_MAX);
    }
}
