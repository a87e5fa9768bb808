//! A copy moves what the target lacks, proves it on arrival, and needs nothing of its source after.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;

use testkit::corpus::{self, TreeShape};

use crate::api::served::until;
use crate::world::{SOURCE, TARGET, World, assert_same_to_rsync};

/// The region that copies come into slowly.
const SLOW: &str = "eu-west-1";

fn world_with_tree(seed: u64) -> (World, PathBuf, String) {
    let world = World::new();
    let tree = world.path("tree");
    corpus::tree(&tree, seed, &TreeShape::small()).unwrap();
    let resource = world.add(&tree);
    (world, tree, resource)
}

fn names(packs: &[PathBuf]) -> BTreeSet<String> {
    packs.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn packs_are_moved_verbatim_and_keys_are_wrapped_anew() {
    let (world, _, resource) = world_with_tree(1);
    let backup = world.backup(&resource);
    let copy = world.copy(&backup);
    assert_eq!(names(&world.packs(SOURCE)), names(&world.packs(TARGET)));
    let (here, there) = (world.show(&backup), world.show(&copy));
    assert_ne!(here["kms_key"], there["kms_key"]);
    assert_eq!(there["source_backup"], backup);
    assert_eq!(there["source_region"], SOURCE);
    let head =
        |region, id: &str| String::from_utf8_lossy(&std::fs::read(world.record(region, id)).unwrap()).into_owned();
    let wrapped = |text: String| text.split("\"wrapped\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_ne!(wrapped(head(SOURCE, &backup)), wrapped(head(TARGET, &copy)));
}

#[test]
fn a_dry_run_predicts_the_bytes_exactly() {
    let (world, tree, resource) = world_with_tree(2);
    world.copy(&world.backup(&resource));
    corpus::day_two(&tree, 3).unwrap();
    let second = world.backup(&resource);
    let before = world.pack_bytes(TARGET);
    let plan = world.run(["copy", &second, "--to", TARGET, "--dry-run", "--json"]).json();
    assert_eq!(world.pack_bytes(TARGET), before, "a dry run moves nothing");
    world.copy(&second);
    let moved = world.pack_bytes(TARGET) - before;
    assert!(moved > 0);
    assert_eq!(find_number(&plan, "bytes_to_move"), Some(moved), "{plan}");
}

/// The first number under `key`, wherever it is.
fn find_number(value: &serde_json::Value, key: &str) -> Option<u64> {
    match value {
        serde_json::Value::Object(map) => {
            map.get(key).and_then(serde_json::Value::as_u64).or_else(|| map.values().find_map(|v| find_number(v, key)))
        }
        serde_json::Value::Array(list) => list.iter().find_map(|v| find_number(v, key)),
        _ => None,
    }
}

#[test]
fn a_copy_under_another_key_moves_no_pack_even_after_earlier_copies_were_removed() {
    let (world, tree, resource) = world_with_tree(4);
    let backup = world.backup(&resource);
    let first = world.copy(&backup);
    world.run(["backup", "rm", &first]).exits(0);
    let key = world.run(["kms", "create", "--region", TARGET]).id();
    let packs = world.packs(TARGET);
    let stamps =
        |packs: &[PathBuf]| -> Vec<_> { packs.iter().map(|p| p.metadata().unwrap().modified().unwrap()).collect() };
    let before = stamps(&packs);
    let second = world.run(["copy", &backup, "--to", TARGET, "--kms-key", &key]).id();
    assert_eq!(stamps(&world.packs(TARGET)), before, "a pack was written again");
    assert_eq!(world.show(&second)["kms_key"], key);
    world.lose(SOURCE);
    // The key of the copy that was removed is not needed.
    let default = world.run(["kms", "ls", "--region", TARGET, "--json"]).json();
    let default =
        default.as_array().unwrap().iter().find(|k| k["default"] == true).unwrap()["id"].as_str().unwrap().to_owned();
    world.run(["kms", "disable", &default, "--region", TARGET]).exits(0);
    let restored = world.path("restored");
    world.restore(&second, &restored).exits(0);
    assert_same_to_rsync(&tree, &restored);
}

#[test]
fn reencryption_changes_every_sealed_byte_and_stays_incremental() {
    let (world, tree, resource) = world_with_tree(5);
    let first = world.backup(&resource);
    world.run(["copy", &first, "--to", TARGET, "--reencrypt"]).id();
    let (here, there) = (world.packs(SOURCE), world.packs(TARGET));
    assert_eq!(here.len(), there.len());
    assert!(names(&here).is_disjoint(&names(&there)), "an object is the same in both regions");
    corpus::day_two(&tree, 6).unwrap();
    let second = world.backup(&resource);
    let added = world.packs(SOURCE).len() - here.len();
    let copy = world.run(["copy", &second, "--to", TARGET, "--reencrypt"]).id();
    assert_eq!(world.packs(TARGET).len(), there.len() + added, "the second copy moved more than was new");
    world.lose(SOURCE);
    world.run(["backup", "verify", &copy, "--read-data"]).exits(0);
    let restored = world.path("restored");
    world.restore(&copy, &restored).exits(0);
    assert_same_to_rsync(&tree, &restored);
}

#[test]
fn several_targets_are_served_by_one_command() {
    let (world, tree, resource) = world_with_tree(7);
    let backup = world.backup(&resource);
    let ran = world.run(["copy", &backup, "--to", TARGET, "--to", "eu-west-1"]).exits(0);
    let copies: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(copies.len(), 2);
    world.lose(SOURCE);
    for copy in copies {
        let restored = world.path(copy);
        world.restore(copy, &restored).exits(0);
        assert_same_to_rsync(&tree, &restored);
    }
}

#[test]
fn one_dead_target_does_not_fail_the_others() {
    let (world, _, resource) = world_with_tree(8);
    let backup = world.backup(&resource);
    std::fs::remove_dir_all(world.region("eu-west-1").join("store")).unwrap();
    let ran = world.run(["copy", &backup, "--to", "eu-west-1", "--to", TARGET]).exits(1);
    assert!(ran.stderr.contains("eu-west-1"), "{}", ran.stderr);
    let copy = ran.stdout.trim();
    world.run(["backup", "verify", copy, "--read-data"]).exits(0);
}

#[test]
fn a_copy_does_not_leave_its_partition() {
    let (world, _, resource) = world_with_tree(9);
    let backup = world.backup(&resource);
    let ran = world.run(["copy", &backup, "--to", "cn-north-1"]).exits(1);
    assert!(ran.stderr.contains("partition"), "{}", ran.stderr);
}

#[test]
fn tags_follow_only_when_asked_and_the_requests_win() {
    let (world, _, resource) = world_with_tree(10);
    let backup = world.run(["backup", "create", &resource, "--tag", "a=1", "--tag", "b=2"]).id();
    let tags = |id: &str| world.show(id)["tags"].clone();
    let plain = world.copy(&backup);
    assert_eq!(tags(&plain).to_string().matches('a').count(), 0, "{}", tags(&plain));
    let copy = world.run(["copy", &backup, "--to", TARGET, "--copy-tags", "--tag", "b=3"]).id();
    let text = tags(&copy).to_string();
    assert!(text.contains('1') && text.contains('3') && !text.contains('2'), "{text}");
}

#[test]
fn a_missing_or_altered_source_pack_fails_the_copy_and_names_the_files() {
    for alter in [true, false] {
        let world = World::new();
        let tree = world.path("tree");
        std::fs::create_dir(&tree).unwrap();
        // Two packs: the second backup's has only this file and the pages.
        std::fs::write(tree.join("steady"), vec![1; 3 << 20]).unwrap();
        let resource = world.add(&tree);
        world.backup(&resource);
        let first: BTreeSet<PathBuf> = world.packs(SOURCE).into_iter().collect();
        std::fs::write(tree.join("victim"), noise(400_000)).unwrap();
        let backup = world.backup(&resource);
        let pack = world.packs(SOURCE).into_iter().find(|pack| !first.contains(pack)).unwrap();
        if alter {
            flip_bit(&pack, 200);
        } else {
            std::fs::remove_file(&pack).unwrap();
        }
        let ran = world.run(["copy", &backup, "--to", TARGET]).exits(1);
        assert!(ran.stderr.contains("pack"), "{}", ran.stderr);
        if alter {
            assert!(ran.stderr.contains("victim") && !ran.stderr.contains("steady"), "{}", ran.stderr);
        }
        let listed = world.run(["backup", "ls", "--region", TARGET, "--json"]).json();
        assert_eq!(listed.as_array().map(Vec::len), Some(0), "{listed}");
    }
}

/// Each byte takes a second at first: the copy ends because the limit is lifted.
#[test]
fn a_regions_bandwidth_is_its_own_and_changes_while_a_copy_runs() {
    let (world, tree, resource) = world_with_tree(7);
    std::fs::write(tree.join("noise"), noise(1 << 20)).unwrap();
    let backup = world.backup(&resource);
    let config = world.site().join("offsite.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let limited = |bandwidth: &str| {
        let line = format!("name = \"{SLOW}\"\n");
        assert!(text.contains(&line), "{text}");
        std::fs::write(&config, text.replace(&line, &format!("{line}bandwidth = \"{bandwidth}\"\n"))).unwrap();
    };
    limited("00:00,1B/s Wed-12:00,1B/s");
    let mut copying = world.command(["copy", &backup, "--to", SLOW, "--to", TARGET, "--json"]);
    let mut copying = copying.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let states = |region| -> Vec<String> {
        let listed = world.run(["backup", "ls", "--region", region, "--all", "--json"]).json();
        let states = listed.as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap().to_owned());
        states.collect()
    };
    until(|| (states(TARGET) == ["AVAILABLE"]).then_some(()));
    assert_eq!(states(SLOW), ["COPYING"], "the others' copies are not kept");
    // What cannot be read changes nothing.
    std::fs::write(&config, "nonsense").unwrap();
    assert_eq!(copying.try_wait().unwrap(), None);
    limited("off");
    assert!(copying.wait().unwrap().success());
    assert_eq!(states(SLOW), ["AVAILABLE"]);
    world.run(["verify", "--region", SLOW, "--read-data"]).exits(0);
}

/// Bytes that do not compress.
fn noise(words: u32) -> Vec<u8> {
    (0..words).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

pub(crate) fn flip_bit(path: &std::path::Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = at.min(bytes.len() - 1);
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}
