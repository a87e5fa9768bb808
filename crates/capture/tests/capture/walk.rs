//! Walking.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use capture::{ExclusionRules, Found, Place, TreeOptions, TreeWalk};
use model::{Clock, EntryKind, Exclusions, Inode, OmissionKind, RelPath, SystemClock, Timestamp};
use rustix::fs::{CWD, Mode, OFlags, XattrFlags, lsetxattr, mkdirat, openat};

use crate::support::{find, found, path, walk};

#[test]
fn entries_come_in_the_order_of_a_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let names: [&[u8]; 12] = [
        b"a",
        b"a/b",
        b"a/b/c",
        b"a/z",
        b"a-b",
        b"a-b/q",
        b"a.b",
        b"B",
        b"\xff\xfe",
        b"new\nline",
        b"caf\xc3\xa9",
        b"\x01",
    ];
    for name in names {
        fs::create_dir(dir.path().join(OsStr::from_bytes(name))).unwrap();
    }
    fs::write(dir.path().join("n".repeat(255)), b"").unwrap();
    let mut expected: Vec<RelPath> = names.map(path).to_vec();
    expected.extend([RelPath::root(), path("n".repeat(255))]);
    expected.sort();
    let walked: Vec<_> = found(dir.path()).into_iter().map(|found| found.entry.path).collect();
    assert_eq!(walked, expected);
}

#[test]
fn many_names_in_one_directory_are_all_found() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..20_000 {
        fs::write(dir.path().join(format!("{number}")), b"").unwrap();
    }
    assert_eq!(found(dir.path()).len(), 20_001);
}

/// Absolute paths in this tree are longer than the kernel takes.
#[test]
fn depth_has_no_limit_that_anybody_meets() {
    let dir = tempfile::tempdir().unwrap();
    let name = "d".repeat(255);
    let mut at = openat(CWD, dir.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..500 {
        mkdirat(&at, &name, Mode::RWXU).unwrap();
        at = openat(&at, &name, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    drop(openat(&at, "file", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap());
    let walked = found(dir.path());
    assert_eq!(walked.len(), 502);
    let last = walked.last().unwrap();
    assert_eq!(last.entry.path.as_bytes().len(), 500 * 256 + 4);
    assert!(last.open().is_ok());
    assert_eq!(last.read_xattrs().unwrap(), []);
    let restored = dir.path().join("restored");
    assert_eq!(crate::support::restore(&dir.path().join(&name), &restored, capture::Existing::Refuse), []);
    let same = capture::compare_trees(&dir.path().join(&name), &restored).unwrap();
    assert_eq!((same.entries, same.difference_count), (501, 0), "{:?}", same.differences);
}

#[test]
fn a_root_that_is_no_directory_is_an_error_with_its_name() {
    let error = TreeWalk::open(Path::new("/dev/null"), TreeOptions::default(), Arc::new(SystemClock)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotADirectory);
    assert!(error.to_string().starts_with("open directory /dev/null: Not a directory"), "{error}");
}

#[test]
fn names_that_vanish_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        fs::write(dir.path().join(name), b"").unwrap();
    }
    let mut walk = walk(dir.path());
    walk.next();
    fs::remove_file(dir.path().join("b")).unwrap();
    let rest: Vec<_> = walk.collect();
    assert!(matches!(&rest[1], Found::Omission(o) if o.path == path("b") && o.kind == OmissionKind::Vanished));
    assert!(matches!(&rest[2], Found::Entry(found) if found.entry.path == path("c")));
}

#[test]
fn a_file_that_became_something_else_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let found = find(dir.path(), "file");
    fs::remove_file(&file).unwrap();
    assert_eq!(found.open().unwrap_err().kind(), ErrorKind::NotFound);
    std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
    assert_eq!(found.open().unwrap_err().kind(), ErrorKind::InvalidData);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(found.open().unwrap_err().kind(), ErrorKind::InvalidData);
    fs::remove_dir(&file).unwrap();
    rustix::fs::mknodat(CWD, &file, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert_eq!(found.open().unwrap_err().kind(), ErrorKind::InvalidData);
}

/// /dev has at least one file system mounted in it (pts or shm) on any Linux.
#[test]
fn mount_points_are_listed_and_crossed_only_if_asked() {
    let is_mounted = |name: &str| {
        let devices = fs::read_to_string("/proc/self/mounts").unwrap();
        devices.lines().any(|line| line.split(' ').nth(1) == Some(name))
    };
    assert!(is_mounted("/dev/shm"));
    let below = |cross_mounts| {
        let options = TreeOptions { cross_mounts, ..TreeOptions::default() };
        let walk = TreeWalk::open(Path::new("/dev"), options, Arc::new(SystemClock)).unwrap();
        walk.filter_map(|found| match found {
            Found::Entry(found) => found.entry.path.starts_with(&path("pts")).then_some(Ok(found.entry)),
            Found::Omission(omission) => (omission.path == path("pts")).then_some(Err(omission.kind)),
        })
        .collect::<Vec<_>>()
    };
    let closed = below(false);
    assert!(closed[0].as_ref().unwrap().is_directory());
    assert_eq!(closed[1..], [Err(OmissionKind::MountPoint)]);
    let crossed = below(true);
    assert!(crossed.len() > 1 && crossed.iter().all(Result::is_ok));
    assert_ne!(crossed[1].as_ref().unwrap().inode.file_system, 0);
}

#[test]
fn places_that_are_left_out_are_listed_whichever_way_they_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("tree/site/store/packs")).unwrap();
    for file in ["site/store/packs/pack", "site/catalog", "site/keep", "catalog", "store"] {
        fs::write(at("tree").join(file), b"x").unwrap();
    }
    std::os::unix::fs::symlink("tree/site", at("site")).unwrap();
    std::os::unix::fs::symlink("site/store", at("tree/link")).unwrap();
    let place = |name: &str| Place::find(&at(name), name).unwrap();
    assert!(Place::find(&at("nowhere/store"), "").is_err() && Place::find(Path::new("/"), "").is_err());
    // By way of one link, of another, and of what is not there (yet).
    let left_out = [place("tree/link"), place("site/catalog"), place("site/catalog-wal")];
    assert!(place("site/store").is_same(&place("tree/site/store")) && !place("site").is_same(&place("tree/store")));
    let options = TreeOptions { left_out: left_out.into(), ..TreeOptions::default() };
    let walk = || TreeWalk::open(&at("tree"), options.clone(), Arc::new(SystemClock)).unwrap();
    let (mut entries, mut omissions) = (Vec::new(), Vec::new());
    for found in walk() {
        match found {
            Found::Entry(found) => entries.push(found.entry.path.to_string()),
            Found::Omission(omission) => omissions.push((omission.path.to_string(), omission.kind, omission.detail)),
        }
    }
    assert_eq!(entries, [".", "catalog", "link", "site", "site/keep", "site/store", "store"]);
    let own = |path: &str, what: &str| (path.to_owned(), OmissionKind::OwnPlace, what.to_owned());
    assert_eq!(omissions, [own("site/catalog", "site/catalog"), own("site/store", "tree/link")]);
    // What takes a place since is left out, too.
    fs::rename(at("tree/site/keep"), at("tree/site/catalog")).unwrap();
    fs::write(at("tree/site/catalog-wal"), b"x").unwrap();
    assert_eq!(walk().filter(|found| matches!(found, Found::Omission(_))).count(), 3);
}

fn excluding(patterns: &[&str], caches: bool) -> TreeOptions {
    let exclusions = Exclusions { patterns: patterns.iter().map(ToString::to_string).collect(), caches };
    TreeOptions { exclusions: ExclusionRules::new(&exclusions).unwrap(), ..TreeOptions::default() }
}

/// The paths that a walk finds, and what it says of what it leaves out.
fn walked(root: &Path, options: TreeOptions) -> (Vec<String>, Vec<String>) {
    let (mut paths, mut omissions) = (Vec::new(), Vec::new());
    for found in TreeWalk::open(root, options, Arc::new(SystemClock)).unwrap() {
        match found {
            Found::Entry(found) => paths.push(found.entry.path.to_string()),
            Found::Omission(omission) => omissions.push(omission.to_string()),
        }
    }
    (paths, omissions)
}

#[test]
fn what_patterns_name_is_left_out_with_all_below_it_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    for directory in ["build", "src/build", "src/deep/tmp", "logs"] {
        fs::create_dir_all(dir.path().join(directory)).unwrap();
    }
    for file in ["a.o", "build/x", "logs/keep.log", "logs/old.log", "src/b.o", "src/build/y", "src/deep/tmp/z", "tmp"] {
        fs::write(dir.path().join(file), b"x").unwrap();
    }
    fs::write(dir.path().join(OsStr::from_bytes(b"src/\xff.o")), b"x").unwrap();
    let (paths, omissions) = walked(dir.path(), excluding(&["*.o", "/build", "tmp/", "*.log", "!keep.log"], false));
    let kept = [".", "logs", "logs/keep.log", "src", "src/build", "src/build/y", "src/deep", "tmp"];
    assert_eq!(paths, kept);
    let count =
        |count: u32, pattern: &str| format!(". is backed up without what is excluded: {count} by \"{pattern}\"");
    assert_eq!(omissions, [count(1, "*.log"), count(3, "*.o"), count(1, "/build"), count(1, "tmp/")]);
    // What matches all leaves the root; what cannot be looked at may be left out as well.
    assert_eq!(walked(dir.path(), excluding(&["*"], false)).0, ["."]);
    assert_eq!(walked(dir.path(), excluding(&[], true)).1, Vec::<String>::new());
}

#[test]
fn what_lies_in_a_cache_is_left_out_but_for_its_tag() {
    let dir = tempfile::tempdir().unwrap();
    let tag = b"Signature: 8a477f597d28d172789f06886806bc55\n# by a program";
    for (name, tag) in [("cache", Some(&tag[..])), ("empty", Some(b"")), ("other", Some(&tag[1..])), ("plain", None)] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("file"), b"x").unwrap();
        if let Some(tag) = tag {
            fs::write(dir.path().join(name).join("CACHEDIR.TAG"), tag).unwrap();
        }
    }
    // A pipe is not waited for, and a link not followed.
    fs::create_dir(dir.path().join("pipe")).unwrap();
    rustix::fs::mknodat(CWD, dir.path().join("pipe/CACHEDIR.TAG"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    std::os::unix::fs::symlink("../cache/CACHEDIR.TAG", dir.path().join("plain/CACHEDIR.TAG")).unwrap();
    let (paths, omissions) = walked(dir.path(), excluding(&[], true));
    assert!(!paths.contains(&"cache/file".to_owned()) && paths.contains(&"cache/CACHEDIR.TAG".to_owned()), "{paths:?}");
    for kept in ["empty/file", "other/file", "plain/file", "pipe/CACHEDIR.TAG"] {
        assert!(paths.contains(&kept.to_owned()), "{kept}: {paths:?}");
    }
    assert_eq!(omissions, [". is backed up without what is excluded: the contents of 1 tagged as caches"]);
    assert!(walked(dir.path(), excluding(&[], false)).0.contains(&"cache/file".to_owned()));
}

#[test]
fn what_is_no_pattern_is_named() {
    for bad in ["", "  ", "# comment", "[z-a]", "{a", "{a,b}", "[[:space:]]", "/", "!", "./a", "a//b", "a/../b"] {
        let exclusions = Exclusions { patterns: vec!["*.o".to_owned(), bad.to_owned()], caches: false };
        let error = ExclusionRules::check(&exclusions).unwrap_err().to_string();
        assert!(error.starts_with(&format!("\"{bad}\" is no pattern: ")), "{error}");
    }
    let many = Exclusions { patterns: vec!["*.o".to_owned(); 1001], caches: false };
    assert!(ExclusionRules::check(&many).unwrap_err().to_string().contains("at most 1000"));
    // A brace that is meant is one, as in a .gitignore.
    let dir = tempfile::tempdir().unwrap();
    for name in ["{a,b}", "a", "b"] {
        fs::write(dir.path().join(name), b"x").unwrap();
    }
    assert_eq!(walked(dir.path(), excluding(&["\\{a,b\\}"], false)).0, [".", "a", "b"]);
}

#[derive(Debug)]
struct FixedClock(Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

#[test]
fn only_an_old_ctime_is_settled() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), b"x").unwrap();
    let now = SystemClock.now();
    for (clock, settled) in [(now.0 + 1000, true), (now.0, false), (now.0 - 1000, false)] {
        let clock = Arc::new(FixedClock(Timestamp(clock)));
        for found in TreeWalk::open(dir.path(), TreeOptions::default(), clock).unwrap() {
            let Found::Entry(found) = found else { panic!() };
            assert_eq!(found.entry.settled, settled);
            if found.entry.is_file() {
                assert_eq!(found.open().unwrap().stat().unwrap(), found.entry);
            }
        }
    }
}

#[test]
fn xattrs_are_sorted_and_a_links_are_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("file"), dir.path().join("link"));
    fs::write(&file, b"x").unwrap();
    std::os::unix::fs::symlink("file", &link).unwrap();
    let long = vec![7_u8; 3000];
    for (name, value) in [("user.b", &b""[..]), ("user.a", &b"1"[..]), ("trusted.long", &long[..])] {
        lsetxattr(&file, name, value, XattrFlags::empty()).unwrap();
    }
    lsetxattr(&link, "trusted.mine", b"m", XattrFlags::empty()).unwrap();
    let xattr = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
    let expected = [xattr("trusted.long", &long), xattr("user.a", b"1"), xattr("user.b", b"")];
    let found = find(dir.path(), "file");
    assert_eq!(found.read_xattrs().unwrap(), expected);
    assert_eq!(found.open().unwrap().read_xattrs().unwrap(), expected);
    assert_eq!(find(dir.path(), "link").read_xattrs().unwrap(), [xattr("trusted.mine", b"m")]);
}

#[test]
fn entries_tell_all_that_the_kernel_tells() {
    let dir = tempfile::tempdir().unwrap();
    crate::support::make_rich_tree(dir.path());
    let link = find(dir.path(), "dir/link").entry;
    assert_eq!(link.kind, EntryKind::Symlink { target: b"../else/where".to_vec() });
    assert_eq!((link.uid, link.gid, link.mtime.seconds, link.mtime.nanos), (12, 34, 1_000_000, 123_456_789));
    let sparse = find(dir.path(), "dir/sparse").entry;
    assert_eq!((sparse.size(), sparse.mode, sparse.uid), (64 << 20, 0o6755, 1000));
    let null = find(dir.path(), "dir/null").entry;
    assert_eq!(null.kind, EntryKind::CharDevice(model::DeviceNumber { major: 1, minor: 3 }));
    let (small, linked) = (find(dir.path(), "small").entry, find(dir.path(), "zz-linked").entry);
    assert_eq!((small.links, small.mtime.seconds), (3, -5));
    assert_eq!(small.inode, linked.inode);
    assert_eq!(small.inode, Inode { file_system: 0, ..small.inode });
}
