//! The spool: entries in path order with the chunks they need, kept in a nameless scratch file until
//! it is known where every chunk lies and which packs are used enough to be kept.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use model::{ChunkHash, Entry};
use serde::{Deserialize, Serialize};

use super::chunk_table::ChunkRef;
use crate::error::EngineError;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum SpoolItem {
    /// An entry; the extents after it, up to the next entry, are its content.
    Entry(Entry),
    Extent(SpoolExtent),
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum SpoolExtent {
    Data { chunk: ChunkRef, len: u32 },
    Slice { chunk: ChunkRef, skip: u32, len: u32, hash: ChunkHash },
    Hole { len: u64 },
}

impl SpoolExtent {
    /// How many bytes of the file this stands for.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Data { len, .. } | Self::Slice { len, .. } => u64::from(*len),
            Self::Hole { len } => *len,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Spool {
    file: BufWriter<File>,
    encoded: Vec<u8>,
}

impl Spool {
    /// Opens a spool in `directory`. The file has no name, so that nothing is left after a crash.
    pub(crate) fn create(directory: &Path) -> Result<Self, EngineError> {
        let action = format!("make a scratch file in {}", directory.display());
        let file = tempfile::tempfile_in(directory).map_err(EngineError::file(action))?;
        Ok(Self { file: BufWriter::with_capacity(1 << 20, file), encoded: Vec::new() })
    }

    pub(crate) fn push(&mut self, item: &SpoolItem) -> Result<(), EngineError> {
        self.encoded.clear();
        self.encoded = postcard::to_extend(item, std::mem::take(&mut self.encoded)).expect("serializing to memory");
        let len = u32::try_from(self.encoded.len()).expect("an entry is far below 4 GiB");
        let written = self.file.write_all(&len.to_le_bytes()).and_then(|()| self.file.write_all(&self.encoded));
        written.map_err(EngineError::file("write the scratch file"))
    }

    /// Takes over all items of another one, after its own.
    pub(crate) fn append(&mut self, mut other: Self) -> Result<(), EngineError> {
        let rewound = other.file.flush().and_then(|()| other.file.get_ref().rewind());
        let copied = rewound.and_then(|()| std::io::copy(&mut other.file.get_ref(), &mut self.file));
        copied.map(drop).map_err(EngineError::file("write the scratch file"))
    }

    /// Hands every item to `each`, in order. May be called again.
    pub(crate) fn replay(
        &mut self,
        mut each: impl FnMut(SpoolItem) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let failed = || EngineError::file("read the scratch file");
        self.file.flush().map_err(EngineError::file("write the scratch file"))?;
        let mut file = self.file.get_ref();
        file.rewind().map_err(failed())?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut len = [0; 4];
        loop {
            match reader.read_exact(&mut len) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(failed()(error)),
            }
            self.encoded.resize(u32::from_le_bytes(len) as usize, 0);
            reader.read_exact(&mut self.encoded).map_err(failed())?;
            each(postcard::from_bytes(&self.encoded).expect("the spool holds what was written to it"))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_taken_over() {
        let scratch = tempfile::tempdir().unwrap();
        let hole = |len| SpoolItem::Extent(SpoolExtent::Hole { len });
        let (mut spool, mut draft) = (Spool::create(scratch.path()).unwrap(), Spool::create(scratch.path()).unwrap());
        spool.push(&hole(1)).unwrap();
        for len in [3, 13] {
            draft.push(&hole(len)).unwrap();
        }
        spool.append(draft).unwrap();
        spool.push(&hole(4)).unwrap();
        for _ in 0..2 {
            let mut lens = Vec::new();
            let collect = |item| {
                let SpoolItem::Extent(extent) = item else { panic!("no entry was pushed") };
                lens.push(extent.len());
                Ok(())
            };
            spool.replay(collect).unwrap();
            assert_eq!(lens, [1, 3, 13, 4]);
        }
    }
}
