//! What is restored is what was backed up, to the last attribute, and after a region is lost.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use testkit::corpus;

use crate::world::{SOURCE, TARGET, World, assert_same_to_rsync, tool};

/// Asserts that nothing differs but sockets, which are recorded and not restored.
#[track_caller]
fn assert_same(a: &Path, b: &Path) {
    let comparison = capture::compare_trees(a, b).expect("both trees can be read");
    assert!(comparison.entries > 0);
    assert_eq!(comparison.difference_count, 0, "{:?}", comparison.differences);
}

#[test]
fn every_kind_of_entry_survives_the_loss_of_its_region() {
    let world = World::new();
    let tree = world.path("tree");
    corpus::odd_tree(&tree).unwrap();
    corpus::deep_directory(&tree.join("deep"), 500).unwrap();
    let backup = world.backup(&world.add(&tree));
    let copy = world.copy(&backup);
    world.lose(SOURCE);
    let restored = world.path("restored");
    // Sockets are recorded and not restored, and that is said.
    let ran = world.restore(&copy, &restored).exits(3);
    assert!(ran.stderr.contains("is a socket, not restored"), "{}", ran.stderr);
    assert_same(&tree, &restored);
    tool("find", [tree.as_os_str(), "-type".as_ref(), "s".as_ref(), "-delete".as_ref()]);
    assert_same_contents_to_rsync(&tree, &restored);
}

/// Removing sockets touched their directories' times, which `compare_trees` has judged before.
#[track_caller]
fn assert_same_contents_to_rsync(a: &Path, b: &Path) {
    let (a, b) = (format!("{}/", a.display()), format!("{}/", b.display()));
    let options = ["-aHAXS", "--omit-dir-times", "--checksum", "--delete", "--dry-run", "--itemize-changes"];
    assert_eq!(tool("rsync", options.into_iter().chain([a.as_str(), b.as_str()])), "", "rsync sees differences");
}

#[test]
fn a_directory_of_a_hundred_thousand_entries_survives() {
    let world = World::new();
    let tree = world.path("tree");
    corpus::crowded_directory(&tree, 100_000).unwrap();
    let backup = world.backup(&world.add(&tree));
    let restored = world.path("restored");
    world.restore(&backup, &restored).exits(0);
    assert_same(&tree, &restored);
}

#[test]
fn a_realistic_tree_is_the_same_to_rsync_on_both_days() {
    let world = World::new();
    let tree = world.path("tree");
    corpus::tree(&tree, 11, &corpus::TreeShape::small()).unwrap();
    let resource = world.add(&tree);
    let first = world.copy(&world.backup(&resource));
    let day_one = world.path("day-one");
    tool("cp", ["-a".as_ref(), tree.as_os_str(), day_one.as_os_str()]);
    corpus::day_two(&tree, 12).unwrap();
    let second = world.copy(&world.backup(&resource));
    world.lose(SOURCE);
    for (backup, original) in [(first, &day_one), (second, &tree)] {
        let restored = world.path(&format!("restored-{backup}"));
        world.restore(&backup, &restored).exits(0);
        assert_same_to_rsync(original, &restored);
    }
}

#[test]
fn a_part_of_a_backup_can_be_restored_and_read() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir_all(tree.join("a/b")).unwrap();
    std::fs::write(tree.join("a/b/wanted"), "wanted").unwrap();
    std::fs::write(tree.join("a/other"), "other").unwrap();
    let backup = world.backup(&world.add(&tree));
    let part = world.path("part");
    world.run(["backup", "restore", &backup, part.to_str().unwrap(), "--path", "a/b"]).exits(0);
    assert_eq!(std::fs::read(part.join("a/b/wanted")).unwrap(), b"wanted");
    assert!(!part.join("a/other").exists());
    assert_eq!(world.run(["backup", "cat", &backup, "a/other"]).exits(0).stdout, "other");
    let none =
        world.run(["backup", "restore", &backup, world.path("x").to_str().unwrap(), "--path", "no/such"]).exits(1);
    assert!(none.stderr.contains("no/such"), "{}", none.stderr);
}

/// Restored into a system that is in use, one directory took the modes and owners of all above it along: /tmp was closed.
#[test]
fn a_restore_of_a_part_leaves_the_directories_above_it_as_they_are() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir_all(tree.join("a/b/c")).unwrap();
    std::fs::write(tree.join("a/b/c/file"), "wanted").unwrap();
    for (directory, mode) in [("", 0o700), ("a", 0o710), ("a/b", 0o711), ("a/b/c", 0o750)] {
        std::fs::set_permissions(tree.join(directory), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let backup = world.backup(&world.add(&tree));
    let target = world.path("target");
    let part =
        |path| world.run(["backup", "restore", &backup, target.to_str().unwrap(), "--path", path, "--overwrite"]);
    let state = |below: &str| {
        let directory = target.join(below);
        let theirs = rustix::fs::getxattr(&directory, "user.theirs", &mut [0; 9][..]);
        (tool("stat", ["--format=%a %u:%g".as_ref(), directory.as_os_str()]).trim().to_owned(), theirs.is_ok())
    };
    let ours = |shown: &str| (shown.to_owned(), false);
    std::fs::create_dir_all(target.join("a")).unwrap();
    for directory in [target.clone(), target.join("a")] {
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o1777)).unwrap();
        std::os::unix::fs::chown(&directory, Some(65534), Some(65534)).unwrap();
        rustix::fs::setxattr(&directory, "user.theirs", b"x", rustix::fs::XattrFlags::empty()).unwrap();
        tool("touch", ["--date=@1".as_ref(), directory.as_os_str()]);
    }
    let before = (state(""), state("a"));
    part("a/b/c").exits(0);
    assert_eq!((state(""), state("a")), before);
    assert_eq!(std::os::unix::fs::MetadataExt::mtime(&target.metadata().unwrap()), 1);
    assert_eq!(std::fs::read(target.join("a/b/c/file")).unwrap(), b"wanted");
    // One that it has made, and one that was named, are as in the backup.
    assert_eq!((state("a/b"), state("a/b/c")), (ours("711 0:0"), ours("750 0:0")));
    for directory in ["a/b", "a/b/c"] {
        std::fs::set_permissions(target.join(directory), std::fs::Permissions::from_mode(0o500)).unwrap();
    }
    part("a/b/c").exits(0);
    assert_eq!((state("a/b"), state("a/b/c")), (ours("500 0:0"), ours("750 0:0")));
    std::fs::remove_dir_all(&target).unwrap();
    part("a/b").exits(0);
    assert_eq!([state(""), state("a"), state("a/b")], [ours("700 0:0"), ours("710 0:0"), ours("711 0:0")]);
}

#[test]
fn a_restore_replaces_nothing_unless_told_to() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), "new").unwrap();
    let backup = world.backup(&world.add(&tree));
    let target = world.path("target");
    std::fs::create_dir(&target).unwrap();
    std::fs::write(target.join("file"), "precious").unwrap();
    let refused = world.restore(&backup, &target).exits(1);
    assert!(refused.stderr.contains("--overwrite"), "{}", refused.stderr);
    assert_eq!(std::fs::read(target.join("file")).unwrap(), b"precious");
    world.run(["backup", "restore", &backup, target.to_str().unwrap(), "--overwrite"]).exits(0);
    assert_eq!(std::fs::read(target.join("file")).unwrap(), b"new");
}

#[test]
fn an_image_comes_back_with_its_holes() {
    let world = World::new();
    let image = world.path("disk.img");
    corpus::image(&image, 21, 96 << 20, 0.3).unwrap();
    let resource = world.add(&image);
    assert!(resource.starts_with("disk-"));
    let first = world.backup(&resource);
    assert!(first.starts_with("snap-"));
    let day_one = world.path("day-one.img");
    tool("cp", ["--sparse=always".as_ref(), image.as_os_str(), day_one.as_os_str()]);
    corpus::image_day_two(&image, 22, 0.01).unwrap();
    let copies = [world.copy(&first), world.copy(&world.backup(&resource))];
    world.lose(SOURCE);
    for (copy, original) in copies.iter().zip([&day_one, &image]) {
        let restored = world.path(&format!("{copy}.img"));
        world.restore(copy, &restored).exits(0);
        tool(
            "qemu-img",
            [
                "compare".as_ref(),
                "-f".as_ref(),
                "raw".as_ref(),
                "-F".as_ref(),
                "raw".as_ref(),
                original.as_os_str(),
                restored.as_os_str(),
            ],
        );
        let blocks = |path: &Path| std::os::unix::fs::MetadataExt::blocks(&path.metadata().unwrap());
        assert!(blocks(&restored) <= blocks(original) + 256, "holes were filled");
    }
}

#[test]
fn a_block_device_is_backed_up_and_restored_to_another() {
    let world = World::new();
    let image = world.path("disk.img");
    corpus::image(&image, 31, 16 << 20, 0.5).unwrap();
    let source = LoopDevice::of(&image);
    let backup = world.backup(&world.add(source.path()));
    let blank = world.path("blank.img");
    std::fs::write(&blank, vec![0xaa; 16 << 20]).unwrap();
    let target = LoopDevice::of(&blank);
    let refused = world.restore(&backup, target.path()).exits(1);
    assert!(refused.stderr.contains("--overwrite"), "{}", refused.stderr);
    world.run(["backup", "restore", &backup, target.path().to_str().unwrap(), "--overwrite"]).exits(0);
    tool("cmp", [source.path(), target.path()]);
}

/// A file as a block device, until it is dropped.
struct LoopDevice(std::path::PathBuf);

impl LoopDevice {
    fn of(file: &Path) -> Self {
        Self(tool("losetup", ["--find".as_ref(), "--show".as_ref(), file.as_os_str()]).trim().into())
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        drop(Command::new("losetup").arg("--detach").arg(&self.0).status());
    }
}

#[test]
fn an_ordinary_user_restores_what_it_may_and_is_told_the_rest() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), "bytes").unwrap();
    std::fs::create_dir(tree.join("closed")).unwrap();
    std::fs::write(tree.join("closed/inside"), "inside").unwrap();
    std::fs::set_permissions(tree.join("closed"), std::fs::Permissions::from_mode(0o500)).unwrap();
    tool("mknod", [tree.join("null").as_os_str(), "c".as_ref(), "1".as_ref(), "3".as_ref()]);
    let backup = world.backup(&world.add(&tree));
    tool("chmod", ["-R".as_ref(), "a+rX".as_ref(), world.path("").as_os_str()]);
    tool("chown", ["-R".as_ref(), "65534:65534".as_ref(), world.path("").as_os_str()]);
    let target = world.path("restored");
    let mut command = world.command(["backup", "restore", &backup, target.to_str().unwrap()]);
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    std::os::unix::process::CommandExt::gid(&mut command, 65534);
    let ran = crate::world::Ran::from(command.output().unwrap()).exits(3);
    assert!(ran.stderr.contains("null"), "{}", ran.stderr);
    assert!(ran.stderr.contains("owner"), "{}", ran.stderr);
    assert_eq!(std::fs::read(target.join("closed/inside")).unwrap(), b"inside");
    assert_eq!(target.join("closed").metadata().unwrap().permissions().mode() & 0o7777, 0o500);
}

/// It took the whole download and ended as done, with a list of all there is as left out.
#[test]
fn a_target_that_cannot_be_written_fails_a_restore() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir_all(tree.join("docs/below")).unwrap();
    std::fs::write(tree.join("file"), "bytes").unwrap();
    std::fs::write(tree.join("docs/below/file"), "below").unwrap();
    tool("chown", ["-R".as_ref(), "65534:65534".as_ref(), tree.as_os_str()]);
    let backup = world.backup(&world.add(&tree));
    tool("chown", ["-R".as_ref(), "65534:65534".as_ref(), world.site().as_os_str()]);
    tool("chmod", ["a+rx".as_ref(), world.path("").as_os_str()]);
    let theirs = world.path("theirs");
    std::fs::create_dir(&theirs).unwrap();
    let as_nobody = |more: &[&str]| {
        let arguments = [&["backup", "restore", &backup, theirs.to_str().unwrap()], more].concat();
        let mut command = world.command(arguments);
        std::os::unix::process::CommandExt::uid(&mut command, 65534);
        std::os::unix::process::CommandExt::gid(&mut command, 65534);
        crate::world::Ran::from(command.output().unwrap())
    };
    let refused = |ran: crate::world::Ran, why: &str| {
        let ran = ran.exits(1);
        assert!(ran.stderr.contains(why) && ran.stderr.contains("Permission denied"), "{}", ran.stderr);
    };
    for more in [&[][..], &["--overwrite"], &["--path", "docs/below"], &["--path", "file", "--path", "docs"]] {
        refused(as_nobody(more), "failed to restore into");
    }
    // Something may be there that can be written: only trying tells.
    std::fs::create_dir(theirs.join("docs")).unwrap();
    refused(as_nobody(&["--overwrite"]), "failed to restore anything into");
    refused(as_nobody(&["--overwrite", "--path", "docs/below"]), "failed to restore into");
    assert_eq!(std::fs::read_dir(theirs.join("docs")).unwrap().count(), 0);
    std::os::unix::fs::chown(theirs.join("docs"), Some(65534), Some(65534)).unwrap();
    assert!(as_nobody(&["--overwrite"]).exits(3).stderr.contains("left out: file was not restored"));
    assert_eq!(std::fs::read(theirs.join("docs/below/file")).unwrap(), b"below");
    as_nobody(&["--overwrite", "--path", "docs/below"]).exits(0);
    as_nobody(&["--overwrite", "--path", "docs/below", "--path", "file"]).exits(3);
}

#[test]
fn a_large_sparse_file_costs_neither_time_nor_space() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir(&tree).unwrap();
    let file = std::fs::File::create(tree.join("large")).unwrap();
    file.set_len(8 << 30).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"an end", (8 << 30) - 6).unwrap();
    drop(file);
    let backup = world.backup(&world.add(&tree));
    assert!(world.pack_bytes(SOURCE) < 64 << 10);
    let copy = world.copy(&backup);
    assert_eq!(world.pack_bytes(SOURCE), world.pack_bytes(TARGET));
    let restored = world.path("restored");
    world.restore(&copy, &restored).exits(0);
    assert_same(&tree, &restored);
}
