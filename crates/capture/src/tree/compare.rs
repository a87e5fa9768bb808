//! Comparing two trees, or two images: the proof that a restore gave back what was there.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::io;
use std::iter::Peekable;
use std::path::Path;
use std::sync::Arc;

use model::{Entry, EntryKind, Inode, Omission, OmissionKind, RelPath, SystemClock};

use super::content::first_difference;
use super::{Found, FoundEntry, TreeOptions, TreeWalk};
use crate::image::ImageSource;

/// How many differences are kept in words; all are counted.
const DIFFERENCES_KEPT_MAX: usize = 100;

/// How much more room a sparse file may take than its counterpart: file systems allocate ahead and
/// in units of their own, and a chunk that is partly hole is written whole.
const ALLOCATION_SLACK_BYTES: u64 = 64 * 1024;

/// One way in which two trees differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub path: RelPath,
    /// What, in words, e.g. `mode 644 became 600`.
    pub what: String,
}

/// What a comparison of two trees came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Entries of the first tree that were compared.
    pub entries: u64,
    /// Bytes of its files, holes included, each file counted once.
    pub bytes: u64,
    /// The first differences, at most 100.
    pub differences: Vec<Difference>,
    /// All differences.
    pub difference_count: u64,
    /// Sockets that the second tree lacks, as no restore makes any.
    pub not_restored: u64,
}

/// Compares the tree at `b` with the one at `a`, byte by byte and attribute by attribute.
///
/// Not compared: ctime, atime and inode numbers, which no restore gives back; modes of symbolic
/// links, which have none; what is mounted inside the trees.
///
/// # Errors
/// When a root cannot be read. What cannot be read further in is a difference.
pub fn compare_trees(a: &Path, b: &Path) -> io::Result<Comparison> {
    let walk =
        |root| Ok::<_, io::Error>(TreeWalk::open(root, TreeOptions::default(), Arc::new(SystemClock))?.peekable());
    let (mut walk_a, mut walk_b) = (walk(a)?, walk(b)?);
    let mut comparer = Comparer::default();
    loop {
        let (from_a, from_b) = (comparer.next_entry(&mut walk_a), comparer.next_entry(&mut walk_b));
        let order = match (from_a, from_b) {
            (None, None) => return Ok(comparer.comparison),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(path_a), Some(path_b)) => path_a.cmp(path_b),
        };
        let entry_a = if order.is_le() { take(&mut walk_a) } else { None };
        let entry_b = if order.is_ge() { take(&mut walk_b) } else { None };
        comparer.compare(entry_a, entry_b);
    }
}

/// Compares two images or block devices; returns the first byte in which they differ.
///
/// Where one goes on after the other has ended, that is the first byte behind the end.
///
/// # Errors
/// When either cannot be read.
pub fn compare_images(a: &Path, b: &Path) -> io::Result<Option<u64>> {
    let open = |path| ImageSource::open(path, Arc::new(SystemClock));
    let (image_a, image_b) = (open(a)?, open(b)?);
    let (size_a, size_b) = (image_a.entry()?.size(), image_b.entry()?.size());
    let common = size_a.min(size_b);
    let differs = first_difference(image_a.file(), image_b.file(), common)?;
    Ok(differs.or((size_a != size_b).then_some(common)))
}

fn take(walk: &mut Peekable<TreeWalk>) -> Option<FoundEntry> {
    match walk.next() {
        Some(Found::Entry(found)) => Some(found),
        _ => None,
    }
}

#[derive(Default)]
struct Comparer {
    comparison: Comparison,
    /// The first names of the hard-linked files of each tree, by inode.
    first_names: [HashMap<Inode, RelPath>; 2],
}

impl Comparer {
    /// The path of the walk's next entry; what comes before it and is none is noted.
    fn next_entry<'w>(&mut self, walk: &'w mut Peekable<TreeWalk>) -> Option<&'w RelPath> {
        while let Some(Found::Omission(omission)) = walk.next_if(|found| matches!(found, Found::Omission(_))) {
            self.note_omission(&omission);
        }
        match walk.peek() {
            Some(Found::Entry(found)) => Some(&found.entry.path),
            _ => None,
        }
    }

    fn note_omission(&mut self, omission: &Omission) {
        if omission.kind != OmissionKind::MountPoint {
            self.note(&omission.path, format!("{}: {}", omission.kind, omission.detail));
        }
    }

    fn note(&mut self, path: &RelPath, what: String) {
        self.comparison.difference_count += 1;
        if self.comparison.differences.len() < DIFFERENCES_KEPT_MAX {
            self.comparison.differences.push(Difference { path: path.clone(), what });
        }
    }

    fn compare(&mut self, a: Option<FoundEntry>, b: Option<FoundEntry>) {
        self.comparison.entries += u64::from(a.is_some());
        match (a, b) {
            (Some(a), Some(b)) => self.compare_entries(&a, &b),
            (Some(a), None) if a.entry.kind == EntryKind::Socket => self.comparison.not_restored += 1,
            (Some(a), None) => self.note(&a.entry.path, "is missing".to_owned()),
            (None, Some(b)) => self.note(&b.entry.path, "was not there before".to_owned()),
            (None, None) => {}
        }
    }

    fn compare_entries(&mut self, a: &FoundEntry, b: &FoundEntry) {
        self.compare_attributes(&a.entry, &b.entry);
        self.compare_xattrs(a, b);
        let first_a = self.first_name(0, &a.entry);
        let first_b = self.first_name(1, &b.entry);
        let path = &a.entry.path;
        if first_a != first_b {
            self.note(path, format!("was another name of {first_a} and is one of {first_b}"));
        }
        if a.entry.is_file() && b.entry.is_file() {
            self.compare_holes(a, b);
            // Further names of a file that was compared already need no second look.
            if first_a == *path || first_a != first_b {
                self.comparison.bytes += a.entry.size();
                self.compare_content(a, b);
            }
        }
    }

    fn compare_attributes(&mut self, a: &Entry, b: &Entry) {
        let path = &a.path;
        if a.kind != b.kind {
            self.note(path, format!("{} became {}", shown(&a.kind), shown(&b.kind)));
        }
        if a.mode != b.mode && !matches!(a.kind, EntryKind::Symlink { .. }) {
            self.note(path, format!("mode {:o} became {:o}", a.mode, b.mode));
        }
        if (a.uid, a.gid) != (b.uid, b.gid) {
            self.note(path, format!("owner {}:{} became {}:{}", a.uid, a.gid, b.uid, b.gid));
        }
        if a.mtime != b.mtime && a.kind != EntryKind::Socket {
            let (before, after) = (a.mtime, b.mtime);
            self.note(
                path,
                format!(
                    "modification time {}.{:09} became {}.{:09}",
                    before.seconds, before.nanos, after.seconds, after.nanos
                ),
            );
        }
    }

    fn compare_xattrs(&mut self, a: &FoundEntry, b: &FoundEntry) {
        let path = &a.entry.path;
        let (before, after) = match (a.read_xattrs(), b.read_xattrs()) {
            (Ok(before), Ok(after)) => (before, after),
            (Err(error), _) | (_, Err(error)) => return self.note(path, error.to_string()),
        };
        let names = |in_this: &[(Vec<u8>, Vec<u8>)], not_in: &[(Vec<u8>, Vec<u8>)]| {
            let only = in_this.iter().filter(|xattr| !not_in.contains(xattr));
            only.map(|(name, _)| name.escape_ascii().to_string()).collect::<Vec<_>>().join(", ")
        };
        if before != after {
            let (lost, gained) = (names(&before, &after), names(&after, &before));
            self.note(path, format!("extended attributes differ: before [{lost}], after [{gained}]"));
        }
    }

    /// The first name of the file in its tree, which all its names there share.
    fn first_name(&mut self, tree: usize, entry: &Entry) -> RelPath {
        if !entry.is_hard_linked() {
            return entry.path.clone();
        }
        self.first_names[tree].entry(entry.inode).or_insert_with(|| entry.path.clone()).clone()
    }

    fn compare_holes(&mut self, a: &FoundEntry, b: &FoundEntry) {
        let (before, after) = (a.allocated_bytes(), b.allocated_bytes());
        let allowed = before + before / 64 + ALLOCATION_SLACK_BYTES;
        if before < a.entry.size() && after > allowed {
            self.note(&a.entry.path, format!("holes were filled: it took {before} bytes of disk and takes {after}"));
        }
    }

    fn compare_content(&mut self, a: &FoundEntry, b: &FoundEntry) {
        let size = a.entry.size().min(b.entry.size());
        let compared = a.open().and_then(|a| Ok((a, b.open()?)));
        match compared.and_then(|(a, b)| first_difference(a.file(), b.file(), size)) {
            Ok(None) => {}
            Ok(Some(at)) => self.note(&a.entry.path, format!("content differs from byte {at} on")),
            Err(error) => self.note(&a.entry.path, error.to_string()),
        }
    }
}

fn shown(kind: &EntryKind) -> String {
    match kind {
        EntryKind::Directory => "a directory".to_owned(),
        EntryKind::File { size } => format!("a file of {size} bytes"),
        EntryKind::Symlink { target } => format!("a symbolic link to \"{}\"", target.escape_ascii()),
        EntryKind::Fifo => "a named pipe".to_owned(),
        EntryKind::Socket => "a socket".to_owned(),
        EntryKind::CharDevice(number) => format!("character device {}:{}", number.major, number.minor),
        EntryKind::BlockDevice(number) => format!("block device {}:{}", number.major, number.minor),
    }
}
