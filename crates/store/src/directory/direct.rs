//! Files that are written to the disk and read from it directly (`O_DIRECT`), where their file system does that.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Result};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::piece::{ALIGNMENT, Buffers, Piece};

/// A file that is written from its beginning to its end.
///
/// Disks take whole blocks, from memory that begins with one: what comes otherwise is put together first. What they do not
/// take, as the last block of most files or anything at all where a file system wants the page cache, is written through it.
#[derive(Debug)]
pub(super) struct DirectFile {
    file: File,
    at: u64,
    is_direct: bool,
    /// What comes after `at`, if anything was put together.
    waiting: Option<Piece>,
    buffers: Buffers,
}

impl DirectFile {
    /// Makes the file, which must not be there.
    pub(super) fn create_new(path: &Path, buffers: Buffers) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let file = options.clone().custom_flags(OFlags::DIRECT.bits().cast_signed()).open(path);
        let (file, is_direct) = match file {
            Err(error) if is_refusal(&error) => {
                // Some file systems refuse a file once they have made it.
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                    _ => (options.open(path)?, false),
                }
            }
            file => (file?, true),
        };
        Ok(Self { file, at: 0, is_direct, waiting: None, buffers })
    }

    /// Writes the next bytes.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        if self.waiting.is_none() && bytes.as_ptr().align_offset(ALIGNMENT) == 0 {
            let (whole, rest) = bytes.split_at(bytes.len() / ALIGNMENT * ALIGNMENT);
            self.put(whole)?;
            bytes = rest;
        }
        while !bytes.is_empty() {
            let waiting = self.waiting.get_or_insert_with(|| self.buffers.piece());
            bytes = waiting.take(bytes);
            if waiting.is_full() {
                self.put_waiting()?;
            }
        }
        Ok(())
    }

    /// Returns once all of the file is durable; its name is not yet.
    pub(super) fn finish(mut self) -> Result<()> {
        self.put_waiting()?;
        self.file.sync_all()
    }

    fn put_waiting(&mut self) -> Result<()> {
        let Some(waiting) = self.waiting.take() else { return Ok(()) };
        let (whole, rest) = waiting.as_ref().split_at(waiting.as_ref().len() / ALIGNMENT * ALIGNMENT);
        self.put(whole)?;
        if !rest.is_empty() {
            self.go_through_cache()?;
            self.put(rest)?;
        }
        Ok(())
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.file.write_at(bytes, self.at) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.at += written as u64;
                    bytes = &bytes[written..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if self.is_direct && is_refusal(&error) => self.go_through_cache()?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn go_through_cache(&mut self) -> Result<()> {
        if self.is_direct {
            go_through_cache(&self.file)?;
            self.is_direct = false;
        }
        Ok(())
    }
}

/// A file that is read from its beginning to its end: what the disk holds, whatever the page cache does.
#[derive(Debug)]
pub(crate) struct DirectReader {
    file: File,
    is_direct: bool,
}

impl DirectReader {
    pub(crate) fn new(file: File) -> Self {
        // Some file systems refuse it here, others when they are asked to read.
        let is_direct = fcntl_getfl(&file).and_then(|flags| fcntl_setfl(&file, flags | OFlags::DIRECT)).is_ok();
        Self { file, is_direct }
    }
}

impl Read for DirectReader {
    fn read(&mut self, room: &mut [u8]) -> Result<usize> {
        match self.file.read(room) {
            // Or the end was reached in the middle of a block, and the next one cannot be asked for like that.
            Err(error) if self.is_direct && is_refusal(&error) => {
                go_through_cache(&self.file)?;
                self.is_direct = false;
                self.file.read(room)
            }
            read => read,
        }
    }
}

fn go_through_cache(file: &File) -> Result<()> {
    Ok(fcntl_setfl(file, fcntl_getfl(file)? - OFlags::DIRECT)?)
}

/// Whether a file system says that it, or a disk below it, does not write like that.
fn is_refusal(error: &std::io::Error) -> bool {
    [Errno::INVAL, Errno::OPNOTSUPP].iter().any(|refusal| error.raw_os_error() == Some(refusal.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::piece::PIECE_BYTES;

    /// A piece of these bytes, and the same bytes where they begin in the middle of a block.
    fn piece_of(bytes: &[u8]) -> Piece {
        let mut piece = Buffers::default().piece();
        assert!(piece.take(bytes).is_empty());
        piece
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever the lengths, whether the memory is a disk's to take or not, and on file systems of both kinds.
        #[test]
        fn what_is_written_is_read(
            parts in proptest::collection::vec((prop_oneof![0..5_usize, 0..20_000_usize, Just(ALIGNMENT), Just(PIECE_BYTES)], any::<bool>()), 0..6),
            in_memory in any::<bool>(),
        ) {
            let folder = tempfile::tempdir_in(if in_memory { "/dev/shm" } else { "." }).unwrap();
            let path = folder.path().join("file");
            let mut file = DirectFile::create_new(&path, Buffers::default()).unwrap();
            let mut expected = Vec::new();
            for (number, (len, is_aligned)) in parts.into_iter().enumerate() {
                let bytes: Vec<u8> = (0..len).map(|at| (at ^ at >> 8 ^ number).to_le_bytes()[0]).collect();
                match is_aligned {
                    true => file.write(piece_of(&bytes).as_ref()).unwrap(),
                    false => file.write(&bytes).unwrap(),
                }
                expected.extend(bytes);
            }
            file.finish().unwrap();
            prop_assert!(std::fs::read(&path).unwrap() == expected);
            let (mut reader, mut read, buffers) = (DirectReader::new(File::open(&path).unwrap()), Vec::new(), Buffers::default());
            loop {
                let mut piece = buffers.piece();
                piece.read(&mut reader).unwrap();
                if piece.as_ref().is_empty() {
                    break;
                }
                read.extend_from_slice(piece.as_ref());
            }
            prop_assert!(read == expected);
            prop_assert!(DirectFile::create_new(&path, Buffers::default()).is_err());
        }
    }
}
