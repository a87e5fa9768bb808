//! Several servers of one region.

use std::path::{Path, PathBuf};

use serde_json::json;
use testkit::cluster::{Cluster, ClusterPlan, REGIONS};

use crate::api::served::until;
use crate::chaos::client::Client;
use crate::world::Ran;

const FILE_SYSTEMS: usize = 6;

/// How often the backups of all of them are due.
const ROUNDS: usize = 3;

/// Both nodes look for what is due, twice a second each.
#[test]
fn what_is_due_is_done_once_whatever_the_number_of_nodes() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target folder");
    let plan = ClusterPlan {
        offsite: PathBuf::from(env!("CARGO_BIN_EXE_offsite")),
        programs: target.join("venv/bin"),
        nodes_per_region: 2,
        settings: Vec::new(),
    };
    let mut cluster = Cluster::start(&plan).unwrap();
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
