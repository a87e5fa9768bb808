//! Restoring trees and comparing them.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use capture::{Existing, TreeTarget, compare_trees};
use model::{EntryKind, OmissionKind};
use rustix::fs::{XattrFlags, removexattr, setxattr};

use crate::support::{acl, entry, make_rich_tree, noise, path, restore, rich_pair, set_mode, set_mtime};

#[test]
fn a_restored_tree_equals_its_source() {
    let (_dir, a, b) = rich_pair();
    let same = compare_trees(&a, &b).unwrap();
    assert_eq!(same.differences, []);
    assert_eq!((same.difference_count, same.not_restored), (0, 1));
    assert_eq!(same.entries, 16);
    assert_eq!(same.bytes, 5 + (9 << 20) + 3 + (64 << 20));
    assert!(fs::metadata(b.join("dir/sparse")).unwrap().blocks() * 512 < 1 << 20);
    assert_eq!(fs::metadata(b.join("small")).unwrap().ino(), fs::metadata(b.join("dir/inner/linked")).unwrap().ino());
}

#[test]
fn each_single_difference_is_found() {
    let at = |seconds| move |file: &Path| set_mtime(file, seconds, 0);
    type Damage = Box<dyn Fn(&Path)>;
    let damages: Vec<(&str, &str, Damage)> = vec![
        ("dir", "mode 755 became 700", Box::new(|file| set_mode(file, 0o700))),
        ("fifo", "modification time", Box::new(at(77))),
        ("dir/link", "modification time", Box::new(at(77))),
        (
            "dir/null",
            "owner 0:0 became 5:6",
            Box::new(|file| std::os::unix::fs::chown(file, Some(5), Some(6)).unwrap()),
        ),
        ("dir/large", "[user.long], after []", Box::new(|file| removexattr(file, "user.long").unwrap())),
        (
            "dir/large",
            "[user.long], after [user.long]",
            Box::new(|f| setxattr(f, "user.long", b"x", XattrFlags::empty()).unwrap()),
        ),
        ("dir/inner", "after [user.more]", Box::new(|f| setxattr(f, "user.more", b"", XattrFlags::empty()).unwrap())),
        (
            "dir/large",
            "content differs from byte 7654321 on",
            Box::new(|file| {
                let mtime = fs::metadata(file).unwrap();
                let open = File::options().write(true).read(true).open(file).unwrap();
                let mut byte = [0];
                open.read_exact_at(&mut byte, 7_654_321).unwrap();
                open.write_all_at(&[!byte[0]], 7_654_321).unwrap();
                set_mtime(file, mtime.mtime(), mtime.mtime_nsec());
            }),
        ),
        (
            "dir/sparse",
            "holes were filled",
            Box::new(|file| {
                let mtime = fs::metadata(file).unwrap();
                File::options().write(true).open(file).unwrap().write_all_at(&vec![0; 1 << 20], 0).unwrap();
                set_mtime(file, mtime.mtime(), mtime.mtime_nsec());
            }),
        ),
    ];
    let (_dir, a, b) = rich_pair();
    for (name, what, damage) in damages {
        fs::remove_dir_all(&b).unwrap();
        assert_eq!(restore(&a, &b, Existing::Refuse), []);
        damage(&b.join(name));
        let found = compare_trees(&a, &b).unwrap();
        assert_eq!(found.difference_count, 1, "{name}: {:?}", found.differences);
        assert_eq!(found.differences[0].path, path(name));
        assert!(found.differences[0].what.contains(what), "{:?}", found.differences[0]);
    }
}

/// These also move the times of the directories above.
#[test]
fn missing_extra_changed_and_unlinked_entries_are_found() {
    let (_dir, a, b) = rich_pair();
    fs::remove_file(b.join("dir/loop")).unwrap();
    fs::write(b.join("dir/new"), b"").unwrap();
    fs::remove_file(b.join("dir/link")).unwrap();
    std::os::unix::fs::symlink("../else/here", b.join("dir/link")).unwrap();
    fs::remove_file(b.join("zz-linked")).unwrap();
    fs::copy(b.join("small"), b.join("zz-linked")).unwrap();
    let found = compare_trees(&a, &b).unwrap().differences;
    for (name, what) in [
        ("dir/loop", "is missing"),
        ("dir/new", "was not there before"),
        ("dir/link", "a symbolic link to \"../else/where\" became a symbolic link to \"../else/here\""),
        ("zz-linked", "was another name of dir/inner/linked and is one of zz-linked"),
    ] {
        assert!(found.iter().any(|d| d.path == path(name) && d.what == what), "{name}: {found:?}");
    }
}

#[test]
fn a_shorter_file_and_many_differences_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    fs::create_dir(&a).unwrap();
    fs::create_dir(&b).unwrap();
    for number in 0..150 {
        fs::write(a.join(format!("{number}")), noise(100, number)).unwrap();
        fs::write(b.join(format!("{number}")), noise(99, number)).unwrap();
    }
    let found = compare_trees(&a, &b).unwrap();
    assert!(found.difference_count >= 150);
    assert_eq!(found.differences.len(), 100);
    assert!(found.differences.iter().any(|d| d.what == "a file of 100 bytes became a file of 99 bytes"));
    assert!(!found.differences.iter().any(|d| d.what.contains("content")));
}

#[test]
fn a_target_that_is_not_empty_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), b"mine").unwrap();
    let error = TreeTarget::open(dir.path(), Existing::Refuse).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("choose an empty directory or --overwrite"), "{error}");
    TreeTarget::open(&dir.path().join("new/below"), Existing::Refuse).unwrap();
}

#[test]
fn restoring_over_a_restored_tree_changes_nothing() {
    let (_dir, a, b) = rich_pair();
    // What a first restore, or others, left behind.
    setxattr(b.join("dir"), "user.mark", b"begun", XattrFlags::empty()).unwrap();
    setxattr(b.join("dir"), "system.posix_acl_default", &acl(), XattrFlags::empty()).unwrap();
    fs::remove_file(b.join("small")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", b.join("small")).unwrap();
    let before = fs::read("/etc/passwd").unwrap();
    assert_eq!(restore(&a, &b, Existing::Replace), []);
    let same = compare_trees(&a, &b).unwrap();
    assert_eq!(same.differences, []);
    assert!(fs::read("/etc/passwd").unwrap() == before);
}

/// A default ACL on the target would let people in that the backup does not know.
#[test]
fn acls_of_the_target_are_not_inherited() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    fs::create_dir(&a).unwrap();
    fs::create_dir(&b).unwrap();
    make_rich_tree(&a);
    setxattr(&b, "system.posix_acl_default", &acl(), XattrFlags::empty()).unwrap();
    assert_eq!(restore(&a, &b, Existing::Refuse), []);
    assert_eq!(compare_trees(&a, &b).unwrap().differences, []);
}

#[test]
fn what_cannot_be_made_or_set_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = TreeTarget::open(dir.path(), Existing::Refuse).unwrap();
    let socket = target.make_node(&entry("socket", EntryKind::Socket)).unwrap_err();
    assert_eq!(socket.kind(), ErrorKind::Unsupported);
    let unset = target.set_metadata(&entry("absent", EntryKind::Fifo));
    assert_eq!((unset.len(), unset[0].kind), (1, OmissionKind::Attribute));
    let file = target.create_file(&path("file"), 0).unwrap();
    let mut odd = entry("file", EntryKind::File { size: 0 });
    odd.uid = u32::MAX;
    odd.mode = 0o104_755;
    odd.mtime.nanos = 0x3fff_ffff;
    odd.xattrs = vec![(b"no-namespace".to_vec(), b"".to_vec()), (b"user.nul\0".to_vec(), b"".to_vec())];
    let details: Vec<_> = TreeTarget::set_file_metadata(&file, &odd).into_iter().map(|o| o.detail).collect();
    assert_eq!(details.len(), 5, "{details:?}");
    assert_eq!(fs::metadata(dir.path().join("file")).unwrap().mode() & 0o7777, 0o755);
    let error = target.create_file(&path("huge"), u64::MAX).unwrap_err();
    assert!(error.to_string().starts_with("create huge: "), "{error}");
    assert!(!dir.path().join("huge").exists());
}

#[test]
fn an_entry_below_nothing_gets_the_directories_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = TreeTarget::open(dir.path(), Existing::Refuse).unwrap();
    target.create_file(&path("a/b/file"), 3).unwrap();
    target.make_directory(&path("a/c/d")).unwrap();
    target.hard_link(&path("a/b/file"), &path("z/y")).unwrap();
    target.make_directory(&path("a/b")).unwrap();
    assert_eq!(fs::metadata(dir.path().join("z/y")).unwrap().len(), 3);
    assert_eq!(fs::metadata(dir.path().join("a/c")).unwrap().mode() & 0o777, 0o700);
    let twice = target.create_file(&path("a/b/file"), 3).unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::AlreadyExists);
    let file = target.create_file(&path("z/x"), 3).unwrap();
    target.discard_file(&path("z/x"), &file).unwrap();
    assert_eq!(target.discard_file(&path("z/x"), &file).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!dir.path().join("z/x").exists());
}

/// A restore may find that it cannot have a file's bytes, or be interrupted, at any time.
#[test]
fn what_is_replaced_stays_until_its_successor_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    let (long, theirs) = ("x".repeat(255), ".offsite-restoring-0");
    fs::write(dir.path().join(theirs), b"precious").unwrap();
    let mut target = TreeTarget::open(dir.path(), Existing::Replace).unwrap();
    for name in ["old", &long, theirs] {
        fs::write(dir.path().join(name), b"theirs").unwrap();
        let file = target.create_file(&path(name), 8).unwrap();
        file.write_all_at(b"restored", 0).unwrap();
        assert_eq!(read(name), b"theirs");
        target.discard_file(&path(name), &file).unwrap();
        assert_eq!(read(name), b"theirs");
        let [file, other] = [(); 2].map(|()| target.create_file(&path(name), 8).unwrap());
        file.write_all_at(b"restored", 0).unwrap();
        other.write_all_at(b"half", 0).unwrap();
        target.keep_file(&path(name), &file).unwrap();
        target.discard_file(&path(name), &other).unwrap();
        assert_eq!(read(name), b"restored", "two restores do not take each other's files");
    }
    // One that is to have such a name itself, and is not there yet.
    let named = ".offsite-restoring-1";
    let file = target.create_file(&path(named), 8).unwrap();
    target.keep_file(&path(named), &file).unwrap();
    assert_eq!(read(named).len(), 8);
    fs::remove_file(dir.path().join(named)).unwrap();
    // A name that nothing has gets no half file either.
    let half = target.create_file(&path("new"), 8).unwrap();
    assert!(!dir.path().join("new").exists());
    target.discard_file(&path("new"), &half).unwrap();
    fs::write(dir.path().join("pipe"), b"theirs").unwrap();
    target.make_node(&entry("pipe", EntryKind::Fifo)).unwrap();
    fs::write(dir.path().join("linked"), b"theirs").unwrap();
    for _ in 0..2 {
        target.hard_link(&path("old"), &path("linked")).unwrap();
    }
    assert_eq!(read("linked"), b"restored");
    assert!(target.hard_link(&path("absent"), &path("linked")).is_err());
    assert_eq!(read("linked"), b"restored", "what cannot be made replaces nothing");
    let (file, old) = (target.create_file(&path("old"), 8).unwrap(), dir.path().join("old"));
    fs::remove_file(&old).unwrap();
    fs::create_dir(&old).unwrap();
    assert_eq!(target.keep_file(&path("old"), &file).unwrap_err().kind(), ErrorKind::IsADirectory);
    assert_eq!(target.create_file(&path("old"), 8).unwrap_err().kind(), ErrorKind::IsADirectory);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 5, "nothing is left beside them");
}

/// What a restore has begun itself takes no room twice, and is gone where its bytes are.
#[test]
fn a_restore_that_goes_on_removes_its_own_first() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("half"), b"hal").unwrap();
    let mut target = TreeTarget::open(dir.path(), Existing::Resume).unwrap();
    let file = target.create_file(&path("half"), 4).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(fs::read(dir.path().join("half")).unwrap(), [0; 4]);
    target.discard_file(&path("half"), &file).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// What is written to a file system that is mounted in the target is not durable when the target's own is.
#[test]
fn each_file_system_of_the_target_is_told_once() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mounted = dir.path().join("mounted");
    fs::create_dir_all(dir.path().join("own")).unwrap();
    fs::create_dir(&mounted).unwrap();
    let run = |program, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).arg(&mounted).status().unwrap();
        assert!(status.success(), "{program} ended with {status}");
    };
    run("mount", &["-t", "tmpfs", "tmpfs"]);
    let told: Vec<bool> = {
        fs::create_dir(mounted.join("below")).unwrap();
        let mut target = TreeTarget::open(dir.path(), Existing::Replace).unwrap();
        let paths = ["", "own", "new", "mounted", "mounted/below", "mounted"];
        paths.map(|at| target.make_directory(&path(at)).unwrap().file_system.is_some()).into()
    };
    run("umount", &[]);
    assert_eq!(told, [false, false, false, true, false, false]);
}

/// Run again by this test as an ordinary user; does nothing otherwise.
#[test]
fn an_ordinary_user_restores_what_they_may() {
    const ROOT: &str = "/tmp/offsite-capture-ordinary-user";
    if rustix::process::geteuid().is_root() {
        use std::os::unix::process::CommandExt;
        fs::remove_dir_all(ROOT).ok();
        fs::create_dir(ROOT).unwrap();
        let program = Path::new(ROOT).join("test");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        std::os::unix::fs::chown(ROOT, Some(4242), Some(4242)).unwrap();
        let mut again = Command::new(program);
        again.args(["--exact", "trees::an_ordinary_user_restores_what_they_may", "--nocapture"]);
        let status = again.uid(4242).gid(4242).current_dir(ROOT).status().unwrap();
        fs::remove_dir_all(ROOT).unwrap();
        assert!(status.success());
        return;
    }
    let me = |name, kind| model::Entry { uid: 4242, gid: 4242, ..entry(name, kind) };
    let mut target = TreeTarget::open(&Path::new(ROOT).join("target"), Existing::Refuse).unwrap();
    let mut root = model::Entry { mode: 0o755, ..me("", EntryKind::Directory) };
    let shut = model::Entry { mode: 0, ..me("shut", EntryKind::Directory) };
    let inner = model::Entry { mode: 0, ..me("shut/inner", EntryKind::Directory) };
    for directory in [&root, &shut, &inner] {
        target.make_directory(&directory.path).unwrap();
    }
    let mut read_only = model::Entry { mode: 0o6444, ..me("shut/inner/file", EntryKind::File { size: 0 }) };
    read_only.xattrs = vec![(b"user.kept".to_vec(), b"1".to_vec())];
    let file = target.create_file(&read_only.path, 0).unwrap();
    assert_eq!(TreeTarget::set_file_metadata(&file, &read_only), []);
    assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o6444);
    let of_root = model::Entry { mode: 0o6755, ..entry("shut/inner/file", EntryKind::File { size: 0 }) };
    let unset = TreeTarget::set_file_metadata(&file, &of_root);
    assert_eq!(unset.len(), 2, "{unset:?}");
    assert!(unset[0].detail.starts_with("owner 0:0 could not be set: "), "{unset:?}");
    assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o755);
    for directory in [&inner, &shut] {
        assert_eq!(target.set_metadata(directory), []);
    }
    root.uid = 0;
    assert_eq!(target.set_metadata(&root).len(), 1);
    assert_eq!(fs::metadata(Path::new(ROOT).join("target/shut")).unwrap().mode() & 0o7777, 0);
    let below = target.create_file(&path("shut/new"), 0).unwrap_err();
    assert_eq!(below.kind(), ErrorKind::PermissionDenied);
}
