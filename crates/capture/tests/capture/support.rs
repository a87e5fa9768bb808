//! Trees to test with, and a restore as the engine does it: walk, make, write, set metadata.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capture::{Cut, Existing, Found, FoundEntry, Piece, Pieces, TreeOptions, TreeTarget, TreeWalk};
use model::{Entry, EntryKind, FileTime, Inode, Omission, RelPath, SystemClock};
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, mknodat, setxattr, utimensat};

pub(crate) fn path(text: impl Into<Vec<u8>>) -> RelPath {
    RelPath::new(text).unwrap()
}

pub(crate) fn walk(root: &Path) -> TreeWalk {
    TreeWalk::open(root, TreeOptions::default(), Arc::new(SystemClock)).unwrap()
}

/// All entries of a tree, which must be without omissions.
pub(crate) fn found(root: &Path) -> Vec<FoundEntry> {
    let entry = |found| match found {
        Found::Entry(found) => found,
        Found::Omission(omission) => panic!("{omission}"),
    };
    walk(root).map(entry).collect()
}

pub(crate) fn find(root: &Path, wanted: &str) -> FoundEntry {
    found(root).into_iter().find(|found| found.entry.path == path(wanted)).unwrap()
}

pub(crate) fn pieces_of(file: &Path, cut: Cut) -> Vec<Piece> {
    let file = File::open(file).unwrap();
    let size = file.metadata().unwrap().len();
    Pieces::new(file, size, cut).collect::<Result<_, _>>().unwrap()
}

pub(crate) fn write_pieces(file: &File, pieces: Pieces) {
    let mut offset = 0;
    for piece in pieces {
        let piece = piece.unwrap();
        if let Piece::Data(bytes) = &piece {
            file.write_all_at(bytes, offset).unwrap();
        }
        offset += piece.len();
    }
}

/// Bytes that no two places share.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

pub(crate) fn set_mtime(file: &Path, seconds: i64, nanos: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, file, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// An ACL as the kernel keeps it: version 2; owner rwx, user 1234 rw-, group r-x, mask rwx, others r--.
pub(crate) fn acl() -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, perm, id) in
        [(1_u16, 7_u16, u32::MAX), (2, 6, 1234), (4, 5, u32::MAX), (16, 7, u32::MAX), (32, 4, u32::MAX)]
    {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(perm.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// A tree with one of everything.
pub(crate) fn make_rich_tree(root: &Path) {
    let at = |name: &str| root.join(name);
    fs::create_dir_all(at("dir/inner/empty")).unwrap();
    fs::write(at("small"), b"hello").unwrap();
    fs::write(at("nothing"), b"").unwrap();
    fs::write(at("dir/large"), noise(9 << 20, 1)).unwrap();
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"odd\n\xff\\name")), b"odd").unwrap();
    let sparse = File::create(at("dir/sparse")).unwrap();
    sparse.set_len(64 << 20).unwrap();
    sparse.write_all_at(&noise(300_000, 2), 10 << 20).unwrap();
    fs::hard_link(at("small"), at("dir/inner/linked")).unwrap();
    fs::hard_link(at("small"), at("zz-linked")).unwrap();
    std::os::unix::fs::symlink("../else/where", at("dir/link")).unwrap();
    mknodat(CWD, at("fifo"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
    mknodat(CWD, at("dir/null"), FileType::CharacterDevice, Mode::RUSR, rustix::fs::makedev(1, 3)).unwrap();
    mknodat(CWD, at("dir/loop"), FileType::BlockDevice, Mode::RUSR, rustix::fs::makedev(7, 300)).unwrap();
    drop(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
    for (name, key, value) in [
        ("small", "user.plain", b"value".to_vec()),
        ("small", "user.empty", Vec::new()),
        ("dir/large", "user.long", noise(3000, 3)),
        ("dir/large", "system.posix_acl_access", acl()),
        ("dir/inner", "system.posix_acl_default", acl()),
        ("dir", "trusted.thing", b"\0\xff".to_vec()),
        // vfs_cap_data, revision 2: cap_net_raw permitted and effective.
        ("nothing", "security.capability", [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].to_vec()),
    ] {
        setxattr(at(name), key, &value, XattrFlags::empty()).unwrap();
    }
    std::os::unix::fs::lchown(at("dir/link"), Some(12), Some(34)).unwrap();
    std::os::unix::fs::chown(at("dir/sparse"), Some(1000), Some(1000)).unwrap();
    set_mode(&at("dir/sparse"), 0o6755);
    set_mode(&at("dir/inner/empty"), 0o1777);
    set_mtime(&at("dir/link"), 1_000_000, 123_456_789);
    set_mtime(&at("small"), -5, 1);
    set_mtime(&at("dir/inner"), 2_000_000_000, 999_999_999);
}

pub(crate) fn set_mode(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

/// Restores `source` to `target`; returns what could not be set.
pub(crate) fn restore(source: &Path, target: &Path, existing: Existing) -> Vec<Omission> {
    let mut target = TreeTarget::open(target, existing).unwrap();
    let mut first_names: Vec<(Inode, RelPath)> = Vec::new();
    let mut directories: Vec<Entry> = Vec::new();
    let mut unset = Vec::new();
    for found in found(source) {
        let mut entry = found.entry.clone();
        entry.xattrs = found.read_xattrs().unwrap();
        let first = first_names.iter().find(|(inode, _)| *inode == entry.inode && entry.is_hard_linked());
        match &entry.kind {
            EntryKind::Directory => {
                target.make_directory(&entry.path).unwrap();
                directories.push(entry);
            }
            EntryKind::Socket => {}
            _ if first.is_some() => target.hard_link(&first.unwrap().1, &entry.path).unwrap(),
            EntryKind::File { size } => {
                let file = target.create_file(&entry.path, *size).unwrap();
                write_pieces(&file, found.open().unwrap().pieces(*size).unwrap());
                unset.extend(TreeTarget::set_file_metadata(&file, &entry));
                target.keep_file(&entry.path, &file).unwrap();
                first_names.push((entry.inode, entry.path));
            }
            _ => {
                target.make_node(&entry).unwrap();
                unset.extend(target.set_metadata(&entry));
                first_names.push((entry.inode, entry.path));
            }
        }
    }
    for directory in directories.iter().rev() {
        unset.extend(target.set_metadata(directory));
    }
    unset
}

/// A restored copy of a rich tree, beside it.
pub(crate) fn rich_pair() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    fs::create_dir(&a).unwrap();
    make_rich_tree(&a);
    assert_eq!(restore(&a, &b, Existing::Refuse), []);
    (dir, a, b)
}

pub(crate) fn entry(name: &str, kind: EntryKind) -> Entry {
    Entry {
        path: path(name),
        kind,
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: FileTime { seconds: 1, nanos: 2 },
        ctime: FileTime::default(),
        inode: Inode::default(),
        links: 1,
        settled: true,
        xattrs: Vec::new(),
    }
}
