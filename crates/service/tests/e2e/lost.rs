//! A region that is lost, or away for a while, with its database, its store and its key service at once.

use std::process::Stdio;

use model::{Clock, SystemClock};
use serde_json::json;
use testkit::cluster::{IN_FILES, REGIONS};

use crate::api::served::until;
use crate::chaos::client::{Client, assert_holds, on_subnet, openzfs, text};
use crate::chaos::trouble::again;
use crate::nodes::{cluster, run};
use crate::world::Ran;

/// The regions, as a client numbers them.
const FIRST: usize = 0;
const SECOND: usize = 1;
const THIRD: usize = 2;

/// Makes a backup.
fn back_up(client: &mut Client, region: usize, file_system: &str) -> String {
    let made = client.make(region, "CreateBackup", json!({"FileSystemId": file_system})).unwrap();
    let backup = text(&made["Backup"]["BackupId"]);
    assert!(client.wait_for(region, "Backup", &backup));
    backup
}

/// Copies a backup of a region into another one.
fn copy(client: &mut Client, backup: &str, source: &str, target: usize) -> String {
    let wanted = json!({"SourceBackupId": backup, "SourceRegion": source});
    let copy = text(&client.make(target, "CopyBackup", wanted).unwrap()["Backup"]["BackupId"]);
    assert!(client.wait_for(target, "Backup", &copy));
    copy
}

/// Makes a file system from a backup.
fn restore(client: &mut Client, region: usize, backup: &str) -> String {
    let wanted = on_subnet(json!({"BackupId": backup, "OpenZFSConfiguration": openzfs()}));
    let made = client.make(region, "CreateFileSystemFromBackup", wanted).unwrap();
    let restored = text(&made["FileSystem"]["FileSystemId"]);
    assert!(client.wait_for(region, "FileSystem", &restored));
    restored
}

/// All through the API of the region that is left, and then of one that takes the place of the lost one.
#[test]
fn what_was_copied_outlives_its_region() {
    let mut cluster = cluster(Vec::new());
    let mut client = Client::new(&cluster, 4, 4);
    let file_system = client.make_file_system(openzfs()).unwrap();
    let files = client.files(&file_system).clone();
    let backup = back_up(&mut client, FIRST, &file_system);
    cluster.sites.iter().for_each(|site| drop(site.keys.actions()));
    let copied = copy(&mut client, &backup, REGIONS[FIRST], SECOND);
    // Each has its own key service: what the one unwraps the other wraps.
    let asked = [FIRST, SECOND].map(|site| cluster.sites[site].keys.actions());
    let was_asked = |site: usize, what: &str| asked[site].iter().any(|action| action == what);
    assert!(was_asked(FIRST, "TrentService.Decrypt") && was_asked(SECOND, "TrentService.Encrypt"), "{asked:?}");
    assert!(!was_asked(FIRST, "TrentService.ReEncrypt") && !was_asked(SECOND, "TrentService.ReEncrypt"), "{asked:?}");

    cluster.lose(REGIONS[FIRST]).unwrap();
    assert_eq!(client.state(SECOND, "Backup", &copied), "AVAILABLE");
    let restored = restore(&mut client, SECOND, &copied);
    assert_holds(&client.directory(SECOND, &restored), &files);
    let new = back_up(&mut client, SECOND, &restored);

    cluster.add_region().unwrap();
    let mut client = Client::new(&cluster, 5, 5);
    for backup in [copied, new] {
        let copied = copy(&mut client, &backup, REGIONS[SECOND], THIRD);
        let restored = restore(&mut client, THIRD, &copied);
        assert_holds(&client.directory(THIRD, &restored), &files);
    }
    for region in [REGIONS[SECOND], IN_FILES] {
        run(&cluster, &["verify", "--region", region, "--read-data"]).exits(0);
    }
}

/// One request names two targets, and one of them goes in the middle.
#[test]
fn a_copy_whose_target_is_gone_waits_for_it_and_keeps_no_other_waiting() {
    let mut cluster = cluster(vec![("lease_seconds", "3")]);
    let config = cluster.add_region().unwrap();
    let mut client = Client::new(&cluster, 6, 6);
    let file_system = client.make_file_system(openzfs()).unwrap();
    let files = client.files(&file_system).clone();
    let backup = back_up(&mut client, FIRST, &file_system);
    // Its nodes would take nothing over while the request runs; so they are gone from the beginning.
    let nodes_of_second = |node: &&mut testkit::cluster::Node| node.region == REGIONS[SECOND];
    cluster.nodes.iter_mut().filter(nodes_of_second).for_each(testkit::cluster::Node::kill);
    let site = &cluster.sites[SECOND];
    site.far.delay(1500);
    let ask = |what: &str| site.catalog.ask_in("offsite", &format!("SELECT {what} FROM backup")).unwrap();
    let mut copying = cluster.command_with(&config);
    copying.args(["copy", &backup, "--to", REGIONS[SECOND], "--to", IN_FILES]);
    let copying = copying.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let away = until(|| Some(ask("id")).filter(|id| !id.is_empty()));
    site.cut_off(true);
    site.keys.cut(true);

    let ended = Ran::from(copying.wait_with_output().unwrap()).exits(1);
    assert!(ended.stderr.contains(REGIONS[SECOND]), "{}", ended.stderr);
    let listed = run(&cluster, &["backup", "ls", "--region", IN_FILES, "--json"]).json();
    let other = text(&listed[0]["id"]);
    assert_eq!(client.state(THIRD, "Backup", &other), "AVAILABLE", "{}", ended.stderr);
    let restored = restore(&mut client, THIRD, &other);
    assert_holds(&client.directory(THIRD, &restored), &files);
    assert_eq!(ask("state"), "COPYING");
    // Nobody can be at work on the copy, and its source stays held.
    let source = &cluster.sites[FIRST].catalog;
    let runs_out = SystemClock.now().0 + 60_000;
    source.ask_in("offsite", &format!("UPDATE hold SET expires_at = {runs_out}")).unwrap();
    until(|| {
        let held = source.ask_in("offsite", &format!("SELECT COUNT(*) FROM hold WHERE expires_at > {runs_out}"));
        (held.unwrap() == "1").then_some(())
    });
    run(&cluster, &["backup", "rm", &backup]).exits(1);

    site.cut_off(false);
    site.keys.cut(false);
    site.far.delay(0);
    for node in cluster.nodes.iter_mut().filter(nodes_of_second) {
        again(|| node.run());
    }
    assert!(client.wait_for(SECOND, "Backup", &away));
    let restored = restore(&mut client, SECOND, &away);
    assert_holds(&client.directory(SECOND, &restored), &files);
    let made = cluster.sites[SECOND].catalog.ask_in("offsite", "SELECT COUNT(*) FROM backup").unwrap();
    assert_eq!(made, "1", "it is the copy that was begun");
}
