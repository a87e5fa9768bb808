//! What has to be true once the trouble has ended.

use std::ffi::OsStr;

use serde_json::{Value, json};
use testkit::cluster::{Cluster, REGIONS, Site};

use super::client::{Client, assert_holds};
use crate::world::Ran;

/// Everything that was acknowledged is there, whole and once; nothing that was removed is; nothing is stuck.
pub(super) fn assert_all_is_there(cluster: &Cluster, clients: &mut [Client]) {
    let run = |arguments: &[&OsStr]| Ran::from(cluster.command().args(arguments).output().expect("the binary runs"));
    let (mut promised, mut restores) = ([Vec::new(), Vec::new()], 0);
    for client in clients.iter_mut() {
        for (region, promises) in [(0, client.backups.clone()), (1, client.copies.clone())] {
            for promise in promises {
                if !client.wait_for(region, "Backup", &promise.id) {
                    continue;
                }
                let target = cluster.folder().join(&promise.id);
                run(&["backup".as_ref(), "restore".as_ref(), promise.id.as_ref(), target.as_ref()]).exits(0);
                assert_holds(&target, &promise.files);
                promised[region].push(promise.id);
            }
        }
        for promise in client.restored.clone() {
            if client.wait_for(1, "FileSystem", &promise.id) {
                assert_holds(&client.directory(1, &promise.id), &promise.files);
                restores += 1;
            }
        }
        for id in client.removed.clone() {
            assert_eq!(client.state(0, "Backup", &id), "BackupNotFound");
        }
    }
    let failed = clients.iter().map(|client| client.failed.len()).sum::<usize>();
    let removed = clients.iter().map(|client| client.removed.len()).sum::<usize>();
    let [backups, copies] = promised.each_ref().map(Vec::len);
    eprintln!(
        "{backups} backups, {copies} copies, {restores} restored, {removed} removed, {failed} failed for want of a key"
    );
    assert!(backups > 0 && copies > 0, "nobody got anything done");

    for (site, promised) in cluster.sites.iter().zip(&mut promised) {
        promised.sort();
        let region = site.region;
        let listed = run(&["backup", "ls", "--region", region, "--json"].map(OsStr::new)).json();
        let is_failed = |id: &str| clients.iter().any(|client| client.failed.iter().any(|failed| failed == id));
        let rows = strings(&listed, "id").zip(strings(&listed, "state"));
        let (failed, made): (Vec<_>, Vec<_>) = rows.partition(|(id, _)| is_failed(id));
        assert!(failed.iter().all(|(_, state)| *state == "FAILED"), "{failed:?}");
        assert!(made.iter().all(|(_, state)| *state == "AVAILABLE"), "{made:?}");
        let mut ids: Vec<&str> = made.into_iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        assert_eq!(ids, *promised, "what is in {region} and what was promised");
        run(&["verify", "--region", region, "--read-data"].map(OsStr::new)).exits(0);
        // Each was accepted once, however often it was asked for.
        let accepted = "SELECT subject FROM event WHERE action IN ('CreateBackup', 'CopyBackup')";
        let accepted = site.catalog.ask_in("offsite", accepted).unwrap();
        for id in promised.iter() {
            assert_eq!(accepted.lines().filter(|line| line == id).count(), 1, "{id}");
        }
    }
    for (site, promised) in cluster.sites.iter().zip(&promised) {
        assert_published_by_the_last_holder(site, promised);
    }
    // No place among the copies in progress was lost.
    let client = &mut clients[0];
    let source = client.backups.first().map(|backup| backup.id.clone());
    for _ in 0..5 {
        let wanted = json!({"SourceBackupId": source, "SourceRegion": REGIONS[0]});
        client.make(1, "CopyBackup", wanted).unwrap_or_else(|code| panic!("a copy is refused with {code}"));
    }
}

/// Each backup was published once, under the highest fence that anyone has claimed it with.
fn assert_published_by_the_last_holder(site: &Site, promised: &[String]) {
    let ask = |query| site.catalog.ask_in("offsite", query).unwrap();
    let fences = ask("SELECT id, 'fence ' || lease_fence FROM backup WHERE state = 'AVAILABLE'");
    let published = ask("SELECT subject, split_part(detail, ',', 1) FROM event WHERE action = 'PublishBackup'");
    for id in promised {
        let of = |lines: &str| -> Vec<String> {
            lines.lines().filter(|line| line.starts_with(&format!("{id}|"))).map(str::to_owned).collect()
        };
        let fence = of(&fences);
        assert_eq!(fence.len(), 1, "{id}");
        assert_eq!(of(&published), fence, "{id} was published by a worker that had lost its lease, or twice");
    }
}

fn strings<'a>(rows: &'a Value, member: &'a str) -> impl Iterator<Item = &'a str> {
    rows.as_array().into_iter().flatten().filter_map(move |row| row[member].as_str())
}
