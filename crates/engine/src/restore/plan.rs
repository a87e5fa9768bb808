//! Cutting a restore into windows: a bounded run of steps and the chunks they need.

use std::collections::HashMap;

use bytes::Bytes;
use model::{ChunkLocation, Entry, Extent, RelPath};
use store::{ChunkError, ChunkSource};

use crate::manifest_view::bytes_of;

/// Plaintext that one window may need.
const WINDOW_BYTES: u64 = 12 << 20;

/// Steps that one window may hold, so that a million empty files do not become one window.
const WINDOW_STEPS: usize = 4096;

/// One thing to do in the target, in order.
#[derive(Debug)]
pub(super) enum Step {
    /// Make a directory; its attributes come last of all.
    Directory(Entry),
    /// Make a directory that is only on the way to what is restored, unless it is there.
    Passage(Entry),
    /// Begin a file.
    File(Entry),
    /// The next run of the file that was begun last.
    Run(Extent),
    /// Give the file that was begun last its attributes.
    EndFile,
    /// Another name of a file that was restored before.
    Link(Entry),
    /// A symbolic link, FIFO, device or socket.
    Node(Entry),
}

/// A bounded part of a restore.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) steps: Vec<Step>,
    /// The chunks that the steps need; one that is damaged is not in here.
    chunks: HashMap<ChunkLocation, Bytes>,
    /// Why chunks could not be had.
    damage: HashMap<ChunkLocation, String>,
    wanted: Vec<ChunkLocation>,
    bytes: u64,
}

impl Window {
    pub(super) fn push(&mut self, step: Step) {
        if let Step::Run(extent) = &step
            && let Some(chunk) = extent.chunk()
            && self.chunks.insert(*chunk, Bytes::new()).is_none()
        {
            self.wanted.push(*chunk);
            self.bytes += u64::from(chunk.plain_len);
        }
        self.steps.push(step);
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= WINDOW_BYTES || self.steps.len() >= WINDOW_STEPS
    }

    /// Fetches the chunks. Where some cannot be had, the others are; only a store that is gone ends it.
    pub(super) async fn fetch(mut self, source: &ChunkSource) -> Result<Self, ChunkError> {
        let wanted = std::mem::take(&mut self.wanted);
        match source.fetch(&wanted).await {
            Ok(plain) => {
                self.chunks.extend(wanted.into_iter().zip(plain));
                return Ok(self);
            }
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
        for chunk in wanted {
            match source.fetch(&[chunk]).await {
                Ok(mut plain) => {
                    self.chunks.insert(chunk, plain.remove(0));
                }
                Err(error) if error.is_damage() => {
                    self.chunks.remove(&chunk);
                    self.damage.insert(chunk, crate::backup::describe(&error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self)
    }

    /// The bytes that an extent stands for, or why they cannot be had; none where it is a hole.
    pub(super) fn bytes_of(&self, extent: &Extent) -> Result<Option<&[u8]>, &str> {
        let Some(chunk) = extent.chunk() else { return Ok(None) };
        let plain = self.chunks.get(chunk);
        match plain.and_then(|plain| bytes_of(extent, plain)) {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(self.damage.get(chunk).map_or("its manifest is damaged", String::as_str)),
        }
    }
}

/// Whether a restore of `wanted` restores an entry: those named and what is below them. All where nothing is named.
pub(super) fn is_wanted(entry: &Entry, wanted: &[RelPath]) -> bool {
    wanted.is_empty() || wanted.iter().any(|named| entry.path.starts_with(named))
}

/// Whether an entry is a directory on the way to what a restore of `wanted` restores.
pub(super) fn is_on_the_way(entry: &Entry, wanted: &[RelPath]) -> bool {
    entry.is_directory() && !is_wanted(entry, wanted) && wanted.iter().any(|named| named.starts_with(&entry.path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::EntryKind;

    fn entry(path: &str, kind: EntryKind) -> Entry {
        Entry {
            path: RelPath::new(path).unwrap(),
            kind,
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: Default::default(),
            ctime: Default::default(),
            inode: Default::default(),
            links: 1,
            settled: true,
            xattrs: Vec::new(),
        }
    }

    #[test]
    fn a_named_path_takes_what_is_below_and_passes_the_directories_above() {
        let wanted = [RelPath::new("a/b").unwrap()];
        let part = |path, kind| {
            let entry = entry(path, kind);
            (is_wanted(&entry, &wanted), is_on_the_way(&entry, &wanted))
        };
        let (taken, passed, left) = ((true, false), (false, true), (false, false));
        assert_eq!(part("", EntryKind::Directory), passed);
        assert_eq!(part("a", EntryKind::Directory), passed);
        assert_eq!(part("a/b", EntryKind::Directory), taken);
        assert_eq!(part("a/b", EntryKind::File { size: 0 }), taken);
        assert_eq!(part("a/b/c", EntryKind::Fifo), taken);
        assert_eq!(part("a/bc", EntryKind::File { size: 0 }), left);
        assert_eq!(part("a", EntryKind::Fifo), left);
        let all = entry("", EntryKind::Directory);
        assert!(is_wanted(&all, &[]) && !is_on_the_way(&all, &[]));
    }
}
