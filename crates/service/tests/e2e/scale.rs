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
    let (world, backup) = small_backup();
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

/// All packs are announced before the first is read, which is not there.
#[test]
fn a_copy_of_ten_tebibytes_announces_its_packs_in_few_transactions_and_little_memory() {
    let (world, backup) = small_backup();
    enlarge(&world, &backup);
    let log = world.path("effects");
    let mut copying = world.command(["copy", &backup, "--to", TARGET]);
    let copying = copying.env("OFFSITE_EFFECTS_LOG", &log).stderr(Stdio::null()).stdout(Stdio::null()).spawn();
    let used = copying.unwrap().wait4().unwrap();
    assert_eq!(used.status.code(), Some(1), "the packs are nowhere");
    let effects = std::fs::read_to_string(log).unwrap();
    let announced = effects.lines().filter(|effect| *effect == "catalog.intend_packs.after").count();
    let cpu_seconds = (used.rusage.utime + used.rusage.stime).as_secs_f64();
    println!("{} bytes at most, {cpu_seconds:.2} s of processor time, {announced} transactions", used.rusage.maxrss);
    assert_eq!(announced, (PACKS as usize + world.packs(SOURCE).len()).div_ceil(512));
    assert!(effects.lines().count() < 2 * announced + 100, "{effects}");
    assert!(used.rusage.maxrss < PEAK_BYTES_MAX, "{} bytes", used.rusage.maxrss);
    let listed = world.run(["backup", "ls", "--region", TARGET, "--all", "--json"]).json();
    assert_eq!(listed[0]["state"], "FAILED", "{listed}");
}

/// A world, and a backup of one file in it.
fn small_backup() -> (World, String) {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), "some bytes").unwrap();
    let backup = world.backup(&world.add(&tree));
    (world, backup)
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
        // As random ids and hashes are, these are spread, each in its own way.
        let (mut id, mut name) = ([0; 16], [0; 32]);
        id[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
        name[..4].copy_from_slice(&number.wrapping_mul(2_246_822_519).to_be_bytes());
        PackRef { id: PackId(id), object_name: ObjectName(name), bytes: 32 << 20, data_key }
    }));
    record.packs.sort_by_key(|pack| pack.id);
    store.put_record(&record).await.unwrap();
}
