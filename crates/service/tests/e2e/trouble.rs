//! Sources that change, disks that fill, stores that vanish: a clear error or correct work.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use testkit::corpus::{self, TreeShape};

use crate::world::{Ran, SOURCE, TARGET, World, assert_same_to_rsync, tool};

/// A small file system of its own, mounted until it is dropped.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn tmpfs(at: &Path, size: &str) -> Self {
        std::fs::create_dir_all(at).unwrap();
        tool(
            "mount",
            [
                "-t".as_ref(),
                "tmpfs".as_ref(),
                "-o".as_ref(),
                format!("size={size}").as_ref(),
                "none".as_ref(),
                at.as_os_str(),
            ],
        );
        Self(at.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

#[test]
fn a_file_that_never_holds_still_is_listed() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir(&tree).unwrap();
    let restless = tree.join("restless");
    std::fs::write(&restless, vec![0; 24 << 20]).unwrap();
    std::fs::write(tree.join("steady"), "steady").unwrap();
    let resource = world.add(&tree);
    let stop = AtomicBool::new(false);
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = std::fs::File::options().write(true).open(&restless).unwrap();
            let mut n = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                n += 1;
                std::os::unix::fs::FileExt::write_all_at(&file, &n.to_le_bytes(), (n * 4096) % (24 << 20)).unwrap();
            }
        });
        let ran = world.run(["backup", "create", &resource]);
        stop.store(true, Ordering::Relaxed);
        ran
    })
    .exits(3);
    assert!(ran.stderr.contains("restless") && ran.stderr.contains("changed"), "{}", ran.stderr);
    let backup = ran.stdout.trim();
    assert_eq!(world.show(backup)["omission_count"], 1);
    assert_eq!(world.run(["backup", "cat", backup, "steady"]).exits(0).stdout, "steady");
    // The next backup does not trust what it knows of that file.
    let second = world.backup(&resource);
    let restored = world.path("restored");
    world.restore(&second, &restored).exits(0);
    assert_same_to_rsync(&tree, &restored);
}

/// Files are edited, cut, replaced and deleted as fast as a thread can. Whatever the backup met, each
/// file is either in it, or listed, or was gone; and what is in it can be restored.
#[test]
fn a_tree_in_upheaval_leaves_no_silent_gap() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir(&tree).unwrap();
    for file in 0..400 {
        std::fs::write(tree.join(format!("steady-{file}")), vec![1; 5_000]).unwrap();
        std::fs::write(tree.join(format!("restless-{file}")), vec![2; 50_000]).unwrap();
    }
    let resource = world.add(&tree);
    let stop = AtomicBool::new(false);
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = corpus::Random::new(77);
            while !stop.load(Ordering::Relaxed) {
                let path = tree.join(format!("restless-{}", random.below(400)));
                match random.below(4) {
                    0 => drop(std::fs::write(&path, vec![3; 60_000])),
                    1 => drop(std::fs::File::options().write(true).open(&path).and_then(|file| file.set_len(100))),
                    2 => {
                        let fresh = tree.join("fresh");
                        drop(std::fs::write(&fresh, vec![4; 40_000]).and_then(|()| std::fs::rename(&fresh, &path)));
                    }
                    _ => drop(std::fs::remove_file(&path)),
                }
            }
        });
        let ran = world.run(["backup", "create", &resource, "--json"]);
        stop.store(true, Ordering::Relaxed);
        ran
    });
    assert!(matches!(ran.status, Some(0 | 3)), "{ran:?}");
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let report = &report["backup"];
    let backup = report["id"].as_str().unwrap();
    world.run(["backup", "verify", backup, "--read-data"]).exits(0);
    let restored = world.path("restored");
    world.restore(backup, &restored).exits(0);
    for file in 0..400 {
        assert_eq!(std::fs::read(restored.join(format!("steady-{file}"))).unwrap(), vec![1; 5_000]);
        let Ok(bytes) = std::fs::read(restored.join(format!("restless-{file}"))) else { continue };
        // An edit that was in the middle is listed; all else is one of the versions there were.
        let name = format!("restless-{file}");
        let listed = report["omissions"].as_array().unwrap().iter().any(|omission| omission["path"] == *name);
        let uniform = bytes.windows(2).all(|pair| pair[0] == pair[1]);
        assert!(listed || uniform, "{name} mixes versions and is not listed");
    }
}

#[test]
fn an_unreadable_file_fails_the_backup_unless_that_was_allowed() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("secret"), "secret").unwrap();
    std::fs::write(tree.join("open"), "open").unwrap();
    let resource = world.add(&tree);
    std::fs::set_permissions(tree.join("secret"), std::fs::Permissions::from_mode(0o0)).unwrap();
    tool("chown", ["65534:65534".as_ref(), tree.as_os_str(), tree.join("open").as_os_str()]);
    tool("chown", ["-R".as_ref(), "65534:65534".as_ref(), world.site().as_os_str()]);
    tool("chmod", ["a+rx".as_ref(), world.path("").as_os_str()]);
    let as_nobody = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        std::os::unix::process::CommandExt::uid(&mut command, 65534);
        std::os::unix::process::CommandExt::gid(&mut command, 65534);
        Ran::from(command.output().unwrap())
    };
    let failed = as_nobody(&["backup", "create", &resource]).exits(1);
    assert!(failed.stderr.contains("secret") && failed.stderr.contains("--allow-incomplete"), "{}", failed.stderr);
    let listed = as_nobody(&["backup", "ls", "--region", SOURCE, "--json"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(0), "a failed backup is not shown");
    let done = as_nobody(&["backup", "create", &resource, "--allow-incomplete"]).exits(3);
    assert!(done.stderr.contains("secret"), "{}", done.stderr);
    assert_eq!(as_nobody(&["backup", "cat", done.stdout.trim(), "open"]).exits(0).stdout, "open");
}

/// The error named five of them, and a restore twenty: those who had to mend the rest had to do it all again to see them.
#[test]
fn everything_that_is_left_out_is_named() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir_all(tree.join("files")).unwrap();
    let name = |number: u32| format!("files/of-them-{number:04}");
    for number in 0..1010 {
        std::fs::write(tree.join(name(number)), "secret").unwrap();
        std::fs::set_permissions(tree.join(name(number)), std::fs::Permissions::from_mode(0o0)).unwrap();
    }
    let as_nobody = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        std::os::unix::process::CommandExt::uid(&mut command, 65534);
        std::os::unix::process::CommandExt::gid(&mut command, 65534);
        Ran::from(command.output().unwrap())
    };
    let listed = |ran: &Ran, lines: &str| {
        let named =
            |number| ran.stderr.lines().filter(|line| line.starts_with(&format!("{lines}: {} ", name(number)))).count();
        assert!((0..1000).all(|number| named(number) == 1), "{}", ran.stderr);
        assert!(named(1000) == 0 && ran.stderr.contains(" more: "), "{}", ran.stderr);
    };
    let resource = world.add(&tree);
    let whole = world.backup(&resource);
    tool("chown", ["-R".as_ref(), "65534:65534".as_ref(), world.site().as_os_str()]);
    tool("chmod", ["a+rx".as_ref(), world.path("").as_os_str()]);
    // What the backup of root knows already is not read again.
    tool("touch", (0..1010).map(|number| tree.join(name(number))));
    listed(&as_nobody(&["backup", "create", &resource]).exits(1), "unreadable");
    let target = world.path("target");
    std::fs::create_dir_all(target.join("files")).unwrap();
    std::os::unix::fs::chown(&target, Some(65534), Some(65534)).unwrap();
    let restored = as_nobody(&["backup", "restore", &whole, target.to_str().unwrap(), "--overwrite", "-q"]);
    assert_eq!(restored.status, Some(1), "nothing could be made: {}", restored.stderr);
    std::os::unix::fs::chown(target.join("files"), Some(65534), Some(65534)).unwrap();
    let restored = as_nobody(&["backup", "restore", &whole, target.to_str().unwrap(), "--overwrite", "-q"]).exits(3);
    listed(&restored, "left out");
}

#[test]
fn a_mount_point_is_crossed_only_when_told() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir(&tree).unwrap();
    let mounted = Mounted::tmpfs(&tree.join("mounted"), "1m");
    std::fs::write(mounted.0.join("inside"), "inside").unwrap();
    let resource = world.add(&tree);
    let ran = world.run(["backup", "create", &resource]).exits(3);
    assert!(ran.stderr.contains("mounted") && ran.stderr.contains("mount point"), "{}", ran.stderr);
    world.run(["backup", "cat", ran.stdout.trim(), "mounted/inside"]).exits(1);
    let crossed = world.run(["backup", "create", &resource, "--cross-mounts"]).id();
    assert_eq!(world.run(["backup", "cat", &crossed, "mounted/inside"]).exits(0).stdout, "inside");
}

#[test]
fn a_full_target_stops_the_copy_and_the_same_command_goes_on_when_there_is_room() {
    let world = World::new();
    let tree = world.path("tree");
    corpus::tree(&tree, 1, &TreeShape::small()).unwrap();
    let backup = world.backup(&world.add(&tree));
    let whole = world.region(TARGET);
    let aside = world.path("aside");
    tool("cp", ["-a".as_ref(), whole.as_os_str(), aside.as_os_str()]);
    let mounted = Mounted::tmpfs(&whole, "1m");
    tool("cp", ["-a".as_ref(), format!("{}/.", aside.display()).as_ref(), mounted.0.as_os_str()]);
    let ran = world.run(["copy", &backup, "--to", TARGET]).exits(1);
    assert!(
        ran.stderr.contains("no more data")
            || ran.stderr.to_lowercase().contains("full")
            || ran.stderr.contains("space"),
        "{}",
        ran.stderr
    );
    tool("mount", ["-o".as_ref(), "remount,size=256m".as_ref(), mounted.0.as_os_str()]);
    let copy = world.copy(&backup);
    world.run(["backup", "verify", &copy, "--read-data"]).exits(0);
    let restored = world.path("restored");
    world.restore(&copy, &restored).exits(0);
    assert_same_to_rsync(&tree, &restored);
}

#[test]
fn a_full_disk_stops_a_backup_and_loses_nothing() {
    let world = World::new();
    let tree = world.path("tree");
    corpus::tree(&tree, 2, &TreeShape::small()).unwrap();
    let resource = world.add(&tree);
    let region = world.region(SOURCE);
    let aside = world.path("aside");
    tool("cp", ["-a".as_ref(), region.as_os_str(), aside.as_os_str()]);
    let mounted = Mounted::tmpfs(&region, "1m");
    tool("cp", ["-a".as_ref(), format!("{}/.", aside.display()).as_ref(), mounted.0.as_os_str()]);
    world.run(["backup", "create", &resource]).exits(1);
    tool("mount", ["-o".as_ref(), "remount,size=256m".as_ref(), mounted.0.as_os_str()]);
    let backup = world.backup(&resource);
    world.run(["backup", "verify", &backup, "--read-data"]).exits(0);
}

#[test]
fn a_full_disk_stops_a_restore_with_a_clear_error() {
    let world = World::new();
    let tree = world.path("tree");
    corpus::tree(&tree, 3, &TreeShape::small()).unwrap();
    let backup = world.backup(&world.add(&tree));
    let mounted = Mounted::tmpfs(&world.path("small"), "1m");
    let ran = world.restore(&backup, &mounted.0.join("restored")).exits(1);
    assert!(ran.stderr.contains("No space left"), "{}", ran.stderr);
}

#[test]
fn a_store_that_has_vanished_is_not_taken_for_an_empty_one() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), "bytes").unwrap();
    let resource = world.add(&tree);
    let store = world.region(SOURCE).join("store");
    std::fs::rename(&store, world.path("unmounted")).unwrap();
    std::fs::create_dir(&store).unwrap();
    let ran = world.run(["backup", "create", &resource]).exits(1);
    assert!(ran.stderr.contains("not available"), "{}", ran.stderr);
    assert_eq!(std::fs::read_dir(&store).unwrap().count(), 0, "something was written to the empty place");
}

#[test]
fn a_store_that_vanishes_in_the_middle_fails_the_backup_which_goes_on_when_it_is_back() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir(&tree).unwrap();
    let mut noise = corpus::Random::new(9);
    for file in 0..24 {
        let bytes: Vec<u8> = (0..524_288).flat_map(|_| noise.number().to_le_bytes()).collect();
        std::fs::write(tree.join(format!("file-{file}")), bytes).unwrap();
    }
    let resource = world.add(&tree);
    let (store, aside) = (world.region(SOURCE).join("store"), world.path("unmounted"));
    let mut child = world.command(["backup", "create", &resource, "-q"]);
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while world.packs(SOURCE).is_empty() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    std::fs::rename(&store, &aside).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap()).exits(1);
    assert!(ran.stderr.contains("check that it is mounted"), "{}", ran.stderr);
    let listed = world.run(["backup", "ls", "--region", SOURCE, "--json"]);
    assert!(!listed.stdout.contains("AVAILABLE"), "{}", listed.stdout);
    drop(std::fs::remove_dir_all(&store));
    std::fs::rename(&aside, &store).unwrap();
    let backup = world.backup(&resource);
    world.run(["backup", "verify", &backup, "--read-data"]).exits(0);
}

#[test]
fn a_store_that_takes_no_writes_is_a_clear_error() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), "bytes").unwrap();
    let backup = world.backup(&world.add(&tree));
    let store = world.region(TARGET).join("store");
    tool("mount", ["--bind".as_ref(), store.as_os_str(), store.as_os_str()]);
    let mounted = Mounted(store.clone());
    tool("mount", ["-o".as_ref(), "remount,bind,ro".as_ref(), store.as_os_str()]);
    let ran = world.run(["copy", &backup, "--to", TARGET]).exits(1);
    assert!(ran.stderr.to_lowercase().contains("read-only"), "{}", ran.stderr);
    drop(mounted);
    let copy = world.copy(&backup);
    world.run(["backup", "verify", &copy, "--read-data"]).exits(0);
}

#[test]
fn a_target_on_a_read_only_file_system_fails_a_restore() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir_all(tree.join("inner")).unwrap();
    std::fs::write(tree.join("file"), "bytes").unwrap();
    std::fs::write(tree.join("inner/file"), "bytes").unwrap();
    let backup = world.backup(&world.add(&tree));
    let target = world.path("target");
    // A file system of its own that is mounted in the target does not keep the rest from being restored.
    let refused = |mounted: &Path, why: &str, whole: i32| {
        tool("mount", ["--bind".as_ref(), mounted.as_os_str(), mounted.as_os_str()]);
        let mounted = Mounted(mounted.to_owned());
        tool("mount", ["-o".as_ref(), "remount,bind,ro".as_ref(), mounted.0.as_os_str()]);
        for (more, status) in [(&[][..], whole), (&["--path", "inner/file"], 1)] {
            let arguments = ["backup", "restore", &backup, target.to_str().unwrap(), "--overwrite"];
            let ran = world.run([&arguments[..], more].concat()).exits(status);
            assert!(ran.stderr.contains(why) && ran.stderr.contains("Read-only file system"), "{}", ran.stderr);
        }
    };
    std::fs::create_dir_all(target.join("inner")).unwrap();
    refused(&target, "failed to restore into", 1);
    refused(&target.join("inner"), "inner", 3);
    assert_eq!(std::fs::read(target.join("file")).unwrap(), b"bytes");
}

#[test]
fn two_processes_at_once_on_the_same_resource_both_end_well() {
    let world = World::new();
    let tree = world.path("tree");
    corpus::tree(&tree, 4, &TreeShape::small()).unwrap();
    let resource = world.add(&tree);
    let backups: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| world.backup(&resource))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let copies: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = backups.iter().map(|backup| scope.spawn(|| world.copy(backup))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let distinct: std::collections::BTreeSet<&String> = copies.iter().collect();
    assert_eq!(distinct.len(), 3);
    world.run(["verify", "--region", TARGET, "--read-data"]).exits(0);
    let restored = world.path("restored");
    world.restore(&copies[2], &restored).exits(0);
    assert_same_to_rsync(&tree, &restored);
}

#[test]
fn a_clock_set_back_by_a_day_changes_nothing() {
    let world = World::new();
    let tree = world.path("tree");
    corpus::tree(&tree, 5, &TreeShape::small()).unwrap();
    let resource = world.add(&tree);
    world.backup(&resource);
    let faked = |arguments: &[&str]| {
        let real = world.command(arguments);
        let mut command = Command::new("faketime");
        command.arg("-f").arg("-1d").arg(real.get_program()).args(real.get_args());
        Ran::from(command.output().unwrap())
    };
    corpus::day_two(&tree, 6).unwrap();
    let backup = faked(&["backup", "create", &resource]).id();
    let copy = faked(&["copy", &backup, "--to", TARGET]).id();
    faked(&["gc", "--region", TARGET, "--grace", "0s"]).exits(0);
    world.run(["gc", "--region", SOURCE, "--grace", "0s"]).exits(0);
    world.run(["backup", "verify", &copy, "--read-data"]).exits(0);
    let restored = world.path("restored");
    world.restore(&copy, &restored).exits(0);
    assert_same_to_rsync(&tree, &restored);
}

#[test]
fn a_disabled_key_is_named_and_works_again_once_enabled() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), "bytes").unwrap();
    let backup = world.backup(&world.add(&tree));
    let key = world.show(&backup)["kms_key"].as_str().unwrap().to_owned();
    world.run(["kms", "disable", &key, "--region", SOURCE]).exits(0);
    for arguments in [vec!["backup", "cat", &backup, "file"], vec!["copy", &backup, "--to", TARGET]] {
        let ran = world.run(arguments).exits(1);
        assert!(ran.stderr.contains("disabled") && ran.stderr.contains(&key), "{}", ran.stderr);
    }
    world.run(["kms", "enable", &key, "--region", SOURCE]).exits(0);
    world.run(["kms", "rotate", &key, "--region", SOURCE]).exits(0);
    assert_eq!(world.run(["backup", "cat", &backup, "file"]).exits(0).stdout, "bytes");
}
