//! What is done to the cluster.

use std::time::{Duration, Instant};

use testkit::cluster::{Cluster, Site};
use testkit::corpus::Random;

use crate::world::Ran;

#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// A node is killed, and started again.
    Kill,
    /// A node is told to end, and started again.
    Stop,
    /// A node stands still for longer than its leases.
    Pause,
    /// A region's database crashes.
    CrashCatalog,
    /// A region's store is killed, and started again.
    CrashStore,
    /// A region's store says for a while that it is busy.
    BusyStore,
    /// What leads from one region to the other's store and catalog is cut, with what is on its way.
    Cut,
    /// What leads from a node to its region's catalog is cut. The region's other nodes still reach it.
    CutCatalog,
    /// It is slow.
    Slow,
    /// A region's key service says for a while that it is busy.
    BusyKeys,
    /// A region's keys are disabled for a while.
    DisableKeys,
}

const ALL: [Trouble; 11] = [
    Trouble::Kill,
    Trouble::Stop,
    Trouble::Pause,
    Trouble::CrashCatalog,
    Trouble::CrashStore,
    Trouble::BusyStore,
    Trouble::Cut,
    Trouble::CutCatalog,
    Trouble::Slow,
    Trouble::BusyKeys,
    Trouble::DisableKeys,
];

/// Makes trouble until the time has come and each kind has come once, and then mends everything.
pub(super) fn make(cluster: &mut Cluster, random: &mut Random, end: Instant) {
    let mut rounds = 0;
    loop {
        let mut kinds = ALL;
        random.shuffle(&mut kinds);
        for kind in kinds {
            if rounds > 0 && Instant::now() > end {
                return;
            }
            pass(random, 200, 1_500);
            trouble(kind, cluster, random);
        }
        rounds += 1;
    }
}

fn trouble(kind: Trouble, cluster: &mut Cluster, random: &mut Random) {
    let (node, region) = (random.index(cluster.nodes.len()), random.index(cluster.sites.len()));
    eprintln!("{kind:?}, node {node}, region {region}");
    let (node, site) = (&mut cluster.nodes[node], &mut cluster.sites[region]);
    match kind {
        Trouble::Kill => {
            node.kill();
            pass(random, 100, 2_000);
            again(|| node.run());
        }
        Trouble::Stop => {
            node.stop().unwrap();
            pass(random, 100, 1_000);
            again(|| node.run());
        }
        Trouble::Pause => {
            node.pause();
            pass(random, 3_500, 5_000);
            node.resume();
        }
        Trouble::CrashCatalog => site.catalog.crash().unwrap(),
        Trouble::CrashStore => {
            site.store.stop();
            pass(random, 100, 1_000);
            again(|| site.store.run());
        }
        Trouble::BusyStore => {
            site.near.fail(10);
            pass(random, 500, 3_000);
            site.near.fail(0);
        }
        Trouble::Cut => {
            site.cut_off(true);
            pass(random, 500, 3_000);
            site.cut_off(false);
        }
        Trouble::CutCatalog => {
            let catalog = node.catalog.as_ref().expect("it is on a server");
            catalog.cut(true);
            pass(random, 500, 5_000);
            catalog.cut(false);
        }
        Trouble::Slow => {
            site.far.delay(100);
            pass(random, 1_000, 3_000);
            site.far.delay(0);
        }
        Trouble::BusyKeys => {
            site.keys.refuse(Some("ThrottlingException"));
            pass(random, 500, 2_000);
            site.keys.refuse(None);
        }
        Trouble::DisableKeys => disable_keys(cluster, &cluster.sites[region], random),
    }
}

/// Has the key service disable its keys and enable them again. It says that they are disabled, and goes on using them: for that
/// the link refuses in its place.
fn disable_keys(cluster: &Cluster, site: &Site, random: &mut Random) {
    let kms = |arguments: &[&str]| {
        let mut command = cluster.command();
        let output = command.arg("kms").args(arguments).args(["--region", site.region]).output().unwrap();
        Ran::from(output).exits(0)
    };
    let listed = || kms(&["ls", "--json"]).json().as_array().unwrap().clone();
    let keys: Vec<String> = listed().iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect();
    keys.iter().for_each(|key| drop(kms(&["disable", key])));
    assert!(listed().iter().all(|key| key["state"] == "DISABLED"));
    site.keys.refuse(Some("DisabledException"));
    pass(random, 500, 2_000);
    site.keys.refuse(None);
    keys.iter().for_each(|key| drop(kms(&["enable", key])));
}

/// Tries again for a while: another program may have taken the port for a moment.
pub(crate) fn again(mut run: impl FnMut() -> std::io::Result<()>) {
    let begun = Instant::now();
    while let Err(error) = run() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not start again: {error}");
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

/// Lets so many milliseconds pass.
fn pass(random: &mut Random, low: u64, high: u64) {
    let end = Instant::now() + Duration::from_millis(random.between(low, high));
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}
