//! Several servers of one region.

use std::fs;
use std::path::{Path, PathBuf};

use model::{Clock, SystemClock};
use serde_json::json;
use testkit::cluster::{Cluster, ClusterPlan, REGIONS};
use testkit::corpus::{Content, Random};

use crate::api::exchange::Raw;
use crate::api::served::{Keys, until};
use crate::chaos::client::{Client, assert_holds};
use crate::world::Ran;

const FILE_SYSTEMS: usize = 6;

/// How often the backups of all of them are due.
const ROUNDS: usize = 3;

/// Bytes that make some nine packs.
const LARGE: u64 = 300 << 20;

/// Two regions with two nodes each.
pub(crate) fn cluster(settings: Vec<(&'static str, &'static str)>) -> Cluster {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target folder");
    let (offsite, programs) = (PathBuf::from(env!("CARGO_BIN_EXE_offsite")), target.join("venv/bin"));
    Cluster::start(&ClusterPlan { offsite, programs, nodes_per_region: 2, settings }).unwrap()
}

/// Runs a command on the cluster.
pub(crate) fn run(cluster: &Cluster, arguments: &[&str]) -> Ran {
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

/// The nodes of the old catalog are at work on a backup and have garbage to collect when another one takes their store.
#[test]
fn nodes_whose_region_was_rebuilt_into_another_database_refuse_and_harm_nothing() {
    let mut cluster = cluster(vec![("lease_seconds", "3"), ("gc_grace", "\"0s\"")]);
    let [region, _] = REGIONS;
    let mut client = Client::new(&cluster, 2, 2);
    let openzfs = json!({"DeploymentType": "SINGLE_AZ_1", "ThroughputCapacity": 64});
    let file_system = client.make_file_system(openzfs.clone()).unwrap();
    let [removed, kept] = [(); 2].map(|()| {
        let made = client.make(0, "CreateBackup", json!({"FileSystemId": file_system})).unwrap();
        let id = made["Backup"]["BackupId"].as_str().unwrap().to_owned();
        assert!(client.wait_for(0, "Backup", &id));
        id
    });
    client.make(0, "DeleteBackup", json!({"BackupId": removed})).unwrap();
    // Nothing reaches the store but what does not go through the link.
    cluster.sites[0].near.cut(true);
    let begun = client.make(0, "CreateBackup", json!({"FileSystemId": file_system})).unwrap();
    let begun = begun["Backup"]["BackupId"].as_str().unwrap().to_owned();
    let config = rebuilt(&cluster);
    cluster.sites[0].near.cut(false);

    let keys = Keys::read(&cluster.client_env());
    for node in cluster.nodes.iter().filter(|node| node.region == region) {
        let ready = Raw::parse(&format!("GET /readyz HTTP/1.1\nHost: {}\n\n", node.host));
        let said = until(|| ready.send(&node.host).ok().filter(|reply| reply.status == 503));
        assert!(said.text().contains(&format!("{region}: its store belongs to another catalog")), "{}", said.text());
        let target = "AWSSimbaAPIService_v20180301.DescribeBackups";
        let describe = Raw::aws(&node.host, region, "fsx", target, "{}");
        let reply = describe.signed(&keys, SystemClock.now().0 / 1000).send(&node.host).unwrap();
        assert_eq!(reply.status, 503, "{}", reply.text());
        // What it says goes through a pipe, and may come after what it answers.
        until(|| {
            let log = std::fs::read_to_string(&node.log).unwrap();
            (log.contains("the region is closed") && log.contains("offsite rebuild --region")).then_some(())
        });
    }
    let refused = Ran::from(cluster.command().args(["gc", "--region", region]).output().unwrap()).exits(1);
    assert!(refused.stderr.contains("belongs to another catalog"), "{}", refused.stderr);
    let standing = format!("SELECT state, COALESCE(lease_owner, 'nobody') FROM backup WHERE id = '{begun}'");
    // A node gives back what it was at work on a moment after it has closed the region.
    until(|| (cluster.sites[0].catalog.ask_in("offsite", &standing).unwrap() == "CREATING|nobody").then_some(()));

    // The new catalog's node has all of it, and goes on.
    cluster.nodes.retain(|node| node.region != region);
    cluster.start_node(region, &config).unwrap();
    let run = |arguments: &[&str]| Ran::from(cluster.command_with(&config).args(arguments).output().unwrap());
    let listed = run(&["backup", "ls", "--region", region, "--json"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    run(&["gc", "--region", region, "--grace", "0s"]).exits(0);
    run(&["verify", "--region", region, "--read-data"]).exits(0);
    let mut again = Client::new(&cluster, 3, 3);
    assert_eq!(again.state(0, "Backup", &kept), "AVAILABLE");
    assert_eq!(again.state(0, "Backup", &begun), "BackupNotFound");
    let subnet = ["subnet-0123456789abcdef0"];
    let wanted = json!({"BackupId": kept, "SubnetIds": subnet, "OpenZFSConfiguration": openzfs});
    let restored = again.make(0, "CreateFileSystemFromBackup", wanted).unwrap();
    let restored = restored["FileSystem"]["FileSystemId"].as_str().unwrap().to_owned();
    assert!(again.wait_for(0, "FileSystem", &restored));
    assert_holds(&again.directory(0, &restored), client.files(&file_system));
    let made = again.make(0, "CreateBackup", json!({"FileSystemId": restored})).unwrap();
    assert!(again.wait_for(0, "Backup", made["Backup"]["BackupId"].as_str().unwrap()));
}

/// Has the first region's catalog made anew in another database, and returns the configuration with that.
fn rebuilt(cluster: &Cluster) -> PathBuf {
    let site = &cluster.sites[0];
    let (old, new) = (site.catalog.address("offsite"), site.catalog.new_database("again").unwrap());
    let text = std::fs::read_to_string(cluster.config()).unwrap();
    assert!(text.contains(&old) && text.contains(&site.near.address()), "{text}");
    let store = site.store.endpoint();
    let text = text.replace(&old, &new).replace(&format!("http://{}", site.near.address()), &store);
    let config = cluster.folder().join("rebuilt.toml");
    std::fs::write(&config, text).unwrap();
    let rebuilt = cluster.command_with(&config).args(["rebuild", "--region", site.region]).output().unwrap();
    Ran::from(rebuilt).exits(0);
    config
}
