//! What a copy costs before it moves anything stays small, however large the backup is.

use std::process::Stdio;

use model::{AccountId, BackupId, ObjectName, PackId};
use store::{PackRef, RegionStore};
use wait4::Wait4;

use crate::world::{SOURCE, TARGET, World};

/// Ten tebibytes, in packs of 32 MiB.
const PACKS: u32 = 320_000;

const PEAK_BYTES_MAX: u64 = 256 << 20;
const CPU_SECONDS_MAX: f64 = 5.0;

#[test]
fn a_copy_of_ten_tebibytes_is_planned_in_seconds_and_little_memory() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), "some bytes").unwrap();
    let backup = world.backup(&world.add(&tree));
    world.copy(&backup);
    let held = world.packs(SOURCE).len();
    enlarge(&world, &backup);
    let mut planning = world.command(["copy", &backup, "--to", TARGET, "--dry-run", "--json"]);
    let mut planning = planning.stdout(Stdio::piped()).spawn().unwrap();
    let plan: serde_json::Value = serde_json::from_reader(planning.stdout.take().unwrap()).unwrap();
    let used = planning.wait4().unwrap();
    assert!(used.status.success());
    assert_eq!(plan[0]["packs_to_move"], PACKS, "{plan}");
    assert_eq!(plan[0]["packs_held"], held, "{plan}");
    let cpu_seconds = (used.rusage.utime + used.rusage.stime).as_secs_f64();
    println!("{} bytes at most, {cpu_seconds:.2} s of processor time", used.rusage.maxrss);
    assert!(used.rusage.maxrss < PEAK_BYTES_MAX, "{} bytes", used.rusage.maxrss);
    assert!(cpu_seconds < CPU_SECONDS_MAX, "{cpu_seconds} s");
}

/// Has the record of a backup name so many packs more, which are nowhere.
#[tokio::main(flavor = "current_thread")]
async fn enlarge(world: &World, backup: &str) {
    let inner = store::region_store::open_directory(&world.region(SOURCE).join("store")).unwrap();
    let store = RegionStore::open(&SOURCE.parse().unwrap(), inner).await.unwrap();
    let account: AccountId = world.show(backup)["account"].as_str().unwrap().parse().unwrap();
    let backup: BackupId = backup.parse().unwrap();
    let mut record = store.read_record(&account, &backup).await.unwrap();
    let data_key = record.packs[0].data_key;
    record.packs.extend((0..PACKS).map(|number| {
        // As hashes are, these are spread.
        let mut name = [0; 32];
        name[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
        let id = PackId(name[..16].try_into().unwrap());
        PackRef { id, object_name: ObjectName(name), bytes: 32 << 20, data_key }
    }));
    store.put_record(&record).await.unwrap();
}
