//! Several servers of one region.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use testkit::cluster::{Cluster, ClusterPlan, REGIONS};
use testkit::corpus::{Content, Random};

use crate::api::served::until;
use crate::chaos::client::Client;
use crate::world::Ran;

const FILE_SYSTEMS: usize = 6;

/// How often the backups of all of them are due.
const ROUNDS: usize = 3;

/// Bytes that make some nine packs.
const LARGE: u64 = 300 << 20;

/// Two regions with two nodes each.
fn cluster(settings: Vec<(&'static str, &'static str)>) -> Cluster {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target folder");
    let (offsite, programs) = (PathBuf::from(env!("CARGO_BIN_EXE_offsite")), target.join("venv/bin"));
    Cluster::start(&ClusterPlan { offsite, programs, nodes_per_region: 2, settings }).unwrap()
}

/// Runs a command on the cluster.
fn run(cluster: &Cluster, arguments: &[&str]) -> Ran {
    Ran::from(cluster.command().args(arguments).output().unwrap())
}

/// While one node waits for the first packs, which are long on their way, the other one has taken some.
#[test]
fn the_nodes_of_a_region_share_a_large_copy() {
    let cluster = cluster(vec![("copy_part_packs", "1")]);
    let tree = cluster.folder().join("tree");
    fs::create_dir(&tree).unwrap();
    let mut noise = fs::File::create(tree.join("noise")).unwrap();
    Content::Incompressible.write(&mut noise, &mut Random::new(1), LARGE).unwrap();
    let resource = run(&cluster, &["resource", "add", tree.to_str().unwrap(), "--region", REGIONS[0]]).id();
    let backup = run(&cluster, &["backup", "create", &resource]).id();
    cluster.sites[0].far.delay(1500);
    let copy = run(&cluster, &["copy", &backup, "--to", REGIONS[1], "--detach"]).id();
    until(|| {
        let state = format!("SELECT state FROM backup WHERE id = '{copy}'");
        (cluster.sites[1].catalog.ask_in("offsite", &state).unwrap() == "AVAILABLE").then_some(())
    });
    run(&cluster, &["backup", "verify", &copy, "--read-data"]).exits(0);
    let helped = cluster.nodes.iter().filter(|node| {
        let log = fs::read_to_string(&node.log).unwrap();
        log.contains("sent parts of a copy that another server makes")
    });
    assert_eq!(helped.count(), 1);
    let left = cluster.sites[1].catalog.ask_in("offsite", "SELECT COUNT(*) FROM copy_part").unwrap();
    assert_eq!(left, "0");
}

/// Both nodes look for what is due, twice a second each.
#[test]
fn what_is_due_is_done_once_whatever_the_number_of_nodes() {
    let mut cluster = cluster(Vec::new());
    let mut client = Client::new(&cluster, 1, 1);
    let openzfs = json!({"DeploymentType": "SINGLE_AZ_1", "ThroughputCapacity": 64, "AutomaticBackupRetentionDays": 7});
    for _ in 0..FILE_SYSTEMS {
        client.make_file_system(openzfs.clone()).unwrap();
    }
    let catalog = &cluster.sites[0].catalog;
    for round in 1..=ROUNDS {
        catalog.ask_in("offsite", &format!("UPDATE resource SET next_backup_at = created_at - {round}")).unwrap();
        until(|| {
            let is_done = "SELECT (SELECT COUNT(*) FROM resource WHERE next_backup_at < created_at) \
                           + (SELECT COUNT(*) FROM backup WHERE state <> 'AVAILABLE')";
            (catalog.ask_in("offsite", is_done).unwrap() == "0").then_some(())
        });
    }
    // What a node has begun it has ended, or given back, when it stops.
    cluster.nodes.iter_mut().for_each(|node| node.stop().unwrap());
    let listed = cluster.command().args(["backup", "ls", "--region", REGIONS[0], "--json"]).output().unwrap();
    let backups = Ran::from(listed).json();
    assert_eq!(backups.as_array().map(Vec::len), Some(FILE_SYSTEMS * ROUNDS), "{backups}");
    let made = "SELECT COUNT(*) FROM event WHERE action = 'CreateBackup'";
    let made = cluster.sites[0].catalog.ask_in("offsite", made).unwrap();
    assert_eq!(made, (FILE_SYSTEMS * ROUNDS).to_string());
}
