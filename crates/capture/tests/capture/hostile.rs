//! Targets and manifests that try to lead a restore elsewhere.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use capture::{Existing, TreeTarget};
use model::EntryKind;

use crate::support::{entry, find, path};

fn link_to(name: &str, target: &std::path::Path) -> model::Entry {
    use std::os::unix::ffi::OsStrExt;
    entry(name, EntryKind::Symlink { target: target.as_os_str().as_bytes().to_vec() })
}

fn is_empty(dir: &std::path::Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

/// A manifest may hold `a -> /etc` and then `a/passwd`.
#[test]
fn a_link_that_was_restored_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    for existing in [Existing::Refuse, Existing::Replace] {
        fs::remove_dir_all(&root).ok();
        let mut target = TreeTarget::open(&root, existing).unwrap();
        target.make_node(&link_to("a", &outside)).unwrap();
        assert_eq!(target.create_file(&path("a/passwd"), 1).unwrap_err().kind(), ErrorKind::NotADirectory);
        assert_eq!(target.make_directory(&path("a/dir")).unwrap_err().kind(), ErrorKind::NotADirectory);
        assert!(target.make_node(&entry("a/fifo", EntryKind::Fifo)).is_err());
        assert!(target.hard_link(&path("a/passwd"), &path("b")).is_err());
        let mut file = entry("a", EntryKind::File { size: 0 });
        file.mode = 0o777;
        assert_eq!(target.set_metadata(&file).len(), 1);
        assert!(is_empty(&outside));
    }
}

#[test]
fn a_link_planted_in_the_target_is_replaced_or_refused_never_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), b"theirs").unwrap();
    let mut target = TreeTarget::open(&root, Existing::Refuse).unwrap();
    symlink(&outside, root.join("a")).unwrap();
    symlink(outside.join("file"), root.join("f")).unwrap();
    assert_eq!(target.make_directory(&path("a")).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(target.create_file(&path("f"), 0).unwrap_err().kind(), ErrorKind::AlreadyExists);
    let mut target = TreeTarget::open(&root, Existing::Replace).unwrap();
    target.make_directory(&path("a")).unwrap();
    target.create_file(&path("a/file"), 10).unwrap();
    let file = target.create_file(&path("f"), 10).unwrap();
    target.keep_file(&path("f"), &file).unwrap();
    assert!(fs::symlink_metadata(root.join("f")).unwrap().is_file());
    assert_eq!(fs::read(outside.join("file")).unwrap(), b"theirs");
    assert!(fs::symlink_metadata(root.join("a")).unwrap().is_dir());
}

#[test]
fn a_directory_is_not_replaced_by_a_file_nor_a_file_linked_to_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = TreeTarget::open(dir.path(), Existing::Replace).unwrap();
    let file = target.create_file(&path("a/file"), 0).unwrap();
    target.keep_file(&path("a/file"), &file).unwrap();
    assert_eq!(target.create_file(&path("a"), 0).unwrap_err().kind(), ErrorKind::IsADirectory);
    assert!(target.hard_link(&path("a/file"), &path("a/file")).is_err());
    assert!(dir.path().join("a/file").exists());
    assert!(target.create_file(&path(""), 0).is_err());
}

/// Entries that come in no order, or twice, reach the places they name.
#[test]
fn any_order_of_entries_is_restored() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = TreeTarget::open(dir.path(), Existing::Refuse).unwrap();
    let names = ["z/y/x", "a", "z/y", "a/b/c", "q", "z", "a/b/d", "z/y/w/v"];
    for name in names.iter().chain(&names) {
        target.make_directory(&path(*name)).unwrap();
        target.create_file(&path(format!("{name}/file")), 0).ok();
    }
    for name in names {
        assert!(dir.path().join(name).join("file").is_file(), "{name}");
    }
}

/// One thread keeps swapping a directory for a link; no file may come to lie where the link leads.
#[test]
fn a_directory_swapped_for_a_link_meanwhile_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    fs::create_dir_all(root.join("a")).unwrap();
    fs::create_dir(&outside).unwrap();
    symlink(&outside, root.join("link")).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let (a, link) = (root.join("a"), root.join("link"));
                rustix::fs::renameat_with(
                    rustix::fs::CWD,
                    &a,
                    rustix::fs::CWD,
                    &link,
                    rustix::fs::RenameFlags::EXCHANGE,
                )
                .unwrap();
            }
        });
        for number in 0..3000 {
            // A new target each time, so that nothing is held open from before.
            let mut target = TreeTarget::open(&root, Existing::Replace).unwrap();
            target.create_file(&path(format!("a/{number}")), 0).ok();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(is_empty(&outside));
}

#[test]
fn a_source_directory_swapped_for_a_link_is_not_walked() {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    fs::create_dir_all(root.join("a")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), b"secret").unwrap();
    fs::write(root.join("a/file"), b"").unwrap();
    let before = find(&root, "a/file");
    fs::rename(root.join("a"), root.join("b")).unwrap();
    symlink(&outside, root.join("a")).unwrap();
    // What was found stays what it was, and the link is a link.
    assert!(before.open().is_ok());
    assert!(matches!(find(&root, "a").entry.kind, EntryKind::Symlink { .. }));
    assert_eq!(crate::support::found(&root).len(), 4);
}
