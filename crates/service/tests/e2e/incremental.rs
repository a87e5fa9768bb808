//! The second backup costs what has changed, and depends on nothing that may be deleted.

use testkit::corpus::{self, TreeShape};

use crate::copying::flip_bit;
use crate::world::{SOURCE, World, assert_same_to_rsync};

#[test]
fn a_backup_of_an_unchanged_tree_reads_no_file_and_stores_nothing() {
    let world = World::new();
    let tree = world.path("tree");
    corpus::tree(&tree, 1, &TreeShape::small()).unwrap();
    settle();
    let resource = world.add(&tree);
    world.backup(&resource);
    let packs = world.packs(SOURCE);
    let ran = world.run(["backup", "create", &resource, "--json"]).json();
    assert_eq!(ran["files_read"], 0, "{ran}");
    assert_eq!(ran["bytes_read"], 0, "{ran}");
    assert_eq!(world.packs(SOURCE), packs, "a pack was stored");
}

#[test]
fn a_change_of_one_percent_stores_about_one_percent() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir(&tree).unwrap();
    let mut noise = corpus::Random::new(2);
    let mut write = |file: usize| {
        let bytes: Vec<u8> = (0..2_500).flat_map(|_| noise.number().to_le_bytes()).collect();
        std::fs::write(tree.join(format!("file-{file:04}")), bytes).unwrap();
    };
    (0..2_000).for_each(&mut write);
    settle();
    let resource = world.add(&tree);
    world.backup(&resource);
    let before = world.pack_bytes(SOURCE);
    (0..2_000).step_by(100).for_each(&mut write);
    world.backup(&resource);
    let added = world.pack_bytes(SOURCE) - before;
    // One percent of the content, and the manifest pages that tell of it.
    assert!(added < before / 50, "{added} bytes added to {before}");
}

#[test]
fn scattered_changes_of_an_image_store_little() {
    let world = World::new();
    let image = world.path("disk.img");
    let written = corpus::image(&image, 4, 256 << 20, 0.5).unwrap().written_bytes;
    let resource = world.add(&image);
    world.backup(&resource);
    let before = world.pack_bytes(SOURCE);
    let changed = corpus::image_day_two(&image, 5, 0.01).unwrap().written_bytes;
    world.backup(&resource);
    let added = world.pack_bytes(SOURCE) - before;
    assert!(added < written / 4, "{added} bytes for {changed} changed of {written}");
}

#[test]
fn an_image_is_stored_anew_when_the_earlier_list_of_its_blocks_is_damaged() {
    let world = World::new();
    let image = world.path("disk.img");
    let mut noise = corpus::Random::new(9);
    let bytes: Vec<u8> = (0..2 << 20).flat_map(|_| noise.number().to_le_bytes()).collect();
    std::fs::write(&image, &bytes).unwrap();
    settle();
    let resource = world.add(&image);
    world.backup(&resource);
    let [pack] = &world.packs(SOURCE)[..] else { panic!("one pack holds 16 MiB") };
    // A pack ends with its index and the index's length (docs/format.md). Before that lies the page of entries, some hundred
    // bytes, and before that a page that lists 128 blocks, each by a hash of 32 bytes.
    let pack_bytes = std::fs::read(pack).unwrap();
    let index_len = u32::from_le_bytes(pack_bytes[pack_bytes.len() - 4..].try_into().unwrap());
    flip_bit(pack, pack_bytes.len() - 4 - index_len as usize - 1500);
    let ran = world.run(["backup", "create", &resource]);
    assert!(ran.stderr.contains("is damaged, the rest is stored anew"), "{ran:?}");
    let second = ran.id();
    world.run(["backup", "verify", &second, "--read-data"]).exits(0);
    let restored = world.path("restored");
    world.restore(&second, &restored).exits(0);
    assert!(std::fs::read(restored).unwrap() == bytes);
}

#[test]
fn a_renamed_directory_stores_next_to_nothing() {
    let world = World::new();
    let tree = world.path("tree");
    corpus::tree(&tree.join("old-name"), 6, &TreeShape::small()).unwrap();
    settle();
    let resource = world.add(&tree);
    world.backup(&resource);
    let before = world.pack_bytes(SOURCE);
    std::fs::rename(tree.join("old-name"), tree.join("new-name")).unwrap();
    let second = world.backup(&resource);
    let added = world.pack_bytes(SOURCE) - before;
    assert!(added < before / 50, "{added} of {before} bytes");
    let restored = world.path("restored");
    world.restore(&second, &restored).exits(0);
    assert_same_to_rsync(&tree, &restored);
}

#[test]
fn a_backup_survives_the_removal_of_every_earlier_one() {
    let world = World::new();
    let tree = world.path("tree");
    corpus::tree(&tree, 7, &TreeShape::small()).unwrap();
    let resource = world.add(&tree);
    let mut backups = vec![world.backup(&resource)];
    for day in 0..3 {
        corpus::day_two(&tree, 100 + day).unwrap();
        backups.push(world.backup(&resource));
    }
    let last = backups.pop().unwrap();
    for earlier in backups {
        world.run(["backup", "rm", &earlier]).exits(0);
    }
    world.run(["gc", "--region", SOURCE, "--grace", "0s"]).exits(0);
    world.run(["backup", "verify", &last, "--read-data"]).exits(0);
    let restored = world.path("restored");
    world.restore(&last, &restored).exits(0);
    assert_same_to_rsync(&tree, &restored);
}

#[test]
fn removing_everything_leaves_no_object_behind() {
    let world = World::new();
    let tree = world.path("tree");
    corpus::tree(&tree, 8, &TreeShape::small()).unwrap();
    let backup = world.backup(&world.add(&tree));
    world.run(["backup", "rm", &backup]).exits(0);
    assert!(!world.packs(SOURCE).is_empty(), "only gc deletes packs");
    world.run(["gc", "--region", SOURCE]).exits(0);
    assert!(!world.packs(SOURCE).is_empty(), "the grace is not over");
    let said = world.run(["gc", "--region", SOURCE, "--grace", "0s", "--dry-run"]).exits(0);
    assert!(!world.packs(SOURCE).is_empty(), "a dry run deletes nothing: {}", said.stdout);
    world.run(["gc", "--region", SOURCE, "--grace", "0s"]).exits(0);
    assert_eq!(world.packs(SOURCE), Vec::<std::path::PathBuf>::new());
}

/// Files whose times are closer to the present than a clock tick are read again by the next backup.
/// Waits on the file system's clock until what was written before is older than that.
fn settle() {
    let probe = tempfile::NamedTempFile::new().unwrap();
    let written = std::time::Instant::now();
    while written.elapsed() < std::time::Duration::from_millis(100) {
        std::fs::write(probe.path(), "tick").unwrap();
    }
}
