//! Entries of a directory tree and the extents that say where a file's bytes are.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{ChunkHash, PackId};

/// A path below a resource's root: bytes, as the file system has them; empty for the root itself.
///
/// Made of names joined by `/`. No name is empty, `.` or `..`, holds a NUL byte or is longer than
/// 255 bytes: whatever reads a path from foreign bytes gets it through [`RelPath::new`].
///
/// Ordered depth first: a directory comes right before what is in it, names compare bytewise.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct RelPath(Vec<u8>);

/// A path that could lead out of a restore target, or that no file system has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is not a path inside a backup", .0.escape_ascii())]
pub struct InvalidPath(pub Vec<u8>);

impl RelPath {
    /// The longest name that Linux file systems take, in bytes.
    pub const NAME_BYTES_MAX: usize = 255;

    /// Checks `bytes` and makes a path of them.
    ///
    /// # Errors
    /// [`InvalidPath`] when a name is empty, `.`, `..`, too long, or holds a NUL byte.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, InvalidPath> {
        let bytes = bytes.into();
        let fine = |name: &[u8]| {
            !name.is_empty()
                && name != b"."
                && name != b".."
                && name.len() <= Self::NAME_BYTES_MAX
                && !name.contains(&0)
        };
        if bytes.is_empty() || bytes.split(|b| *b == b'/').all(fine) {
            Ok(Self(bytes))
        } else {
            Err(InvalidPath(bytes))
        }
    }

    /// The root itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// The bytes, names joined by `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, outermost first; none for the root.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/').filter(|name| !name.is_empty())
    }

    /// The last name; `None` for the root.
    pub fn name(&self) -> Option<&[u8]> {
        self.names().next_back()
    }

    /// The directory this lies in; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|b| *b == b'/').unwrap_or(0);
        Some(Self(self.0[..end].to_vec()))
    }

    /// This path with one more name.
    ///
    /// # Errors
    /// [`InvalidPath`] when `name` is not a single valid name.
    pub fn join(&self, name: &[u8]) -> Result<Self, InvalidPath> {
        let mut bytes = self.0.clone();
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        if name.contains(&b'/') { Err(InvalidPath(bytes)) } else { Self::new(bytes) }
    }

    /// Whether this is `ancestor` or lies below it.
    pub fn starts_with(&self, ancestor: &Self) -> bool {
        ancestor.is_root()
            || self.0.strip_prefix(ancestor.as_bytes()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }
}

impl Ord for RelPath {
    fn cmp(&self, other: &Self) -> Ordering {
        // A separator sorts below every byte a name can hold, which makes the order depth first.
        let key = |b: &u8| if *b == b'/' { 0 } else { *b };
        self.0.iter().map(key).cmp(other.0.iter().map(key))
    }
}

impl PartialOrd for RelPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Bytes that are not printable ASCII or UTF-8 come out escaped; the root as `.`.
impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for part in self.0.utf8_chunks() {
            for c in part.valid().chars() {
                if c.is_control() || c == '\\' { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
            }
            write!(f, "{}", part.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Escaped text (as displayed) in text formats, bytes in binary ones.
impl Serialize for RelPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        Self::new(bytes).map_err(serde::de::Error::custom)
    }
}

/// A file's time: seconds since 1970 (negative before) and nanoseconds (below 10⁹).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileTime {
    /// Whole seconds.
    pub seconds: i64,
    /// The rest, in nanoseconds.
    pub nanos: u32,
}

/// Which file this is, among those of one walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Inode {
    /// Which file system, numbered in the order in which the walk met them; 0 is the root's.
    pub file_system: u32,
    /// The inode number there.
    pub number: u64,
}

/// A device node's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceNumber {
    /// Which driver.
    pub major: u32,
    /// Which device of that driver.
    pub minor: u32,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file of `size` bytes, holes included.
    File {
        /// Length in bytes.
        size: u64,
    },
    /// A symbolic link and the bytes it holds.
    Symlink {
        /// Where it points, never interpreted.
        target: Vec<u8>,
    },
    /// A named pipe.
    Fifo,
    /// A socket: recorded only.
    Socket,
    /// A character device node.
    CharDevice(DeviceNumber),
    /// A block device node.
    BlockDevice(DeviceNumber),
}

/// One file, directory or other node of a tree, with all of it that a restore gives back but its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it is.
    pub path: RelPath,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits with setuid, setgid and sticky: 12 bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change of contents; restored.
    pub mtime: FileTime,
    /// Last change of the inode; not restored, tells the next backup whether anything changed.
    pub ctime: FileTime,
    /// Which file: entries of one backup with the same inode and `links` above 1 are one file.
    pub inode: Inode,
    /// How many names the file has.
    pub links: u32,
    /// Whether `ctime` was old enough when the file was read that any later write must show in it.
    /// An unsettled file is read again by the next backup.
    pub settled: bool,
    /// Extended attributes, sorted by name; POSIX ACLs and capabilities are among them.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// The file's length; 0 for everything else.
    pub fn size(&self) -> u64 {
        if let EntryKind::File { size } = self.kind { size } else { 0 }
    }

    /// Whether this is a regular file.
    pub fn is_file(&self) -> bool {
        matches!(self.kind, EntryKind::File { .. })
    }

    /// Whether this is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, EntryKind::Directory)
    }

    /// Whether other names of the same file may be in the backup.
    pub fn is_hard_linked(&self) -> bool {
        self.links > 1 && !self.is_directory()
    }
}

/// Where a chunk lies: in which pack, from which byte, how long sealed and plain, and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChunkLocation {
    /// The pack.
    pub pack: PackId,
    /// First byte of the sealed chunk in the pack.
    pub offset: u32,
    /// Length in the pack: nonce, ciphertext, tag.
    pub sealed_len: u32,
    /// Length of the plaintext.
    pub plain_len: u32,
    /// BLAKE3 of the plaintext.
    pub hash: ChunkHash,
}

/// A run of a file's bytes: part of a chunk, or a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extent {
    /// All of a chunk.
    Data {
        /// The chunk.
        chunk: ChunkLocation,
    },
    /// A whole small file, bundled with others in one chunk.
    Slice {
        /// The bundle.
        chunk: ChunkLocation,
        /// Where in the bundle's plaintext the file begins.
        skip: u32,
        /// Its length.
        len: u32,
        /// BLAKE3 of the file's bytes, by which a later backup knows the file again.
        hash: ChunkHash,
    },
    /// `len` zero bytes that take no space.
    Hole {
        /// How many bytes.
        len: u64,
    },
}

impl Extent {
    /// How many bytes of the file this stands for.
    pub fn len(&self) -> u64 {
        match self {
            Self::Data { chunk } => u64::from(chunk.plain_len),
            Self::Slice { len, .. } => u64::from(*len),
            Self::Hole { len } => *len,
        }
    }

    /// Whether it stands for nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The chunk it needs; `None` for a hole.
    pub fn chunk(&self) -> Option<&ChunkLocation> {
        match self {
            Self::Data { chunk } | Self::Slice { chunk, .. } => Some(chunk),
            Self::Hole { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    #[test]
    fn a_directory_sorts_right_before_its_contents() {
        let mut paths = ["b", "a-b", "a/z", "a", "a/b/c", "", "a/b"].map(path);
        paths.sort();
        assert_eq!(paths, ["", "a", "a/b", "a/b/c", "a/z", "a-b", "b"].map(path));
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        for bad in ["..", "a/../b", "/etc", "a//b", "a/", ".", "a/./b", "nul\0"] {
            assert!(RelPath::new(bad).is_err(), "{bad:?}");
        }
        assert!(RelPath::root().join(b"a/b").is_err());
        assert!(RelPath::new("n".repeat(255)).is_ok());
        assert!(RelPath::new("n".repeat(256)).is_err());
    }

    #[test]
    fn paths_display_without_control_characters() {
        let odd = RelPath::new(b"caf\xc3\xa9/new\nline/\xff".to_vec()).unwrap();
        assert_eq!(odd.to_string(), "café/new\\nline/\\xff");
        assert_eq!(RelPath::root().to_string(), ".");
    }
}
