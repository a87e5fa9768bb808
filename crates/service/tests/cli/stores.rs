//! What becomes of stores and catalogs: damage, garbage, loss.

use std::fs;

use serde_json::Value;

use crate::scene::{Scene, packs};

#[test]
fn damage_is_reported_and_mended_from_another_region() {
    let scene = Scene::new();
    let backup = scene.back_up(&scene.add_tree());
    scene.run(&["copy", &backup, "--to", "us-west-2"]).ok();
    scene.run(&["verify", "--region", "us-east-1"]).ok();
    let pack = packs(&scene.path("us-east-1")).pop().unwrap();
    let mut bytes = fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&pack).unwrap();
    fs::write(&pack, bytes).unwrap();

    let damaged = scene.run(&["backup", "verify", &backup, "--json"]).with_status(1);
    assert_eq!(damaged.json()["faults"].as_array().unwrap().len(), 1, "{damaged:?}");
    assert!(damaged.stderr.contains("--repair-from"), "{damaged:?}");
    // Whosever they are, unless one account is named.
    let other = scene.run(&["account", "create", "other"]).ok().line();
    let verified = |account: &[&str]| scene.run(&[&["verify", "--region", "us-east-1"], account].concat());
    verified(&["--account", &other]).ok();
    verified(&[]).with_status(1);
    fs::create_dir(scene.path("theirs")).unwrap();
    fs::write(scene.path("theirs/file"), "of another account").unwrap();
    let theirs = ["resource", "add", "theirs", "--region", "us-east-1", "--account", &other];
    let theirs = scene.run(&theirs).ok().line();
    scene.run(&["backup", "create", &theirs, "--account", &other]).ok();
    let both = verified(&["--json"]).with_status(1).json();
    let owners: Vec<&Value> = both["backups"].as_array().unwrap().iter().map(|backup| &backup["account"]).collect();
    assert!(owners.len() == 2 && owners.contains(&&Value::from(other.as_str())), "{both}");
    let named = verified(&[]).with_status(1).stdout;
    assert!(named.contains(&format!("of account {other}:")), "{named}");
    let mended = scene.run(&["verify", "--region", "us-east-1", "--repair-from", "us-west-2", "--json"]).ok();
    assert_eq!(mended.json()["repaired"].as_array().unwrap().len(), 1, "{mended:?}");
    scene.run(&["backup", "verify", &backup, "--read-data"]).ok();
}

#[test]
fn damage_is_found_by_the_part_that_has_the_pack() {
    let scene = Scene::new();
    let resource = scene.add_tree();
    let backup = scene.back_up(&resource);
    for pack in packs(&scene.path("us-east-1")) {
        let mut bytes = fs::read(&pack).unwrap();
        bytes[100] ^= 1;
        fs::remove_file(&pack).unwrap();
        fs::write(&pack, bytes).unwrap();
    }
    for depth in [&[][..], &["--read-data"]] {
        let (mut not_read, mut faults) = (0, 0);
        for part in ["1/3", "2/3", "3/3"] {
            let verify = ["backup", "verify", &backup, "--part", part, "--json"];
            let report = scene.run(&[&verify[..], depth].concat()).json();
            not_read += report["packs_not_read"].as_u64().unwrap();
            faults += report["faults"].as_array().unwrap().iter().filter(|fault| !fault["pack"].is_null()).count();
        }
        let packs = packs(&scene.path("us-east-1")).len();
        assert_eq!((not_read, faults), (packs as u64 * 2, packs));
    }
}

#[test]
fn gc_takes_what_no_backup_needs_after_its_grace() {
    let scene = Scene::new();
    let backup = scene.back_up(&scene.add_tree());
    scene.run(&["backup", "rm", &backup]).ok();
    let gc = |more: &[&str]| scene.run(&[&["gc", "--region", "us-east-1", "--json"], more].concat()).ok().json();
    assert_eq!(gc(&["--grace", "1h"])["packs_deleted"], 0);
    assert!(!packs(&scene.path("us-east-1")).is_empty());
    gc(&["--grace", "0s"]);
    gc(&["--grace", "0s"]);
    assert!(packs(&scene.path("us-east-1")).is_empty());
}

#[test]
fn a_lost_catalog_comes_back_from_the_store() {
    let scene = Scene::new();
    let backup = scene.back_up(&scene.add_tree());
    let before = scene.run(&["backup", "show", &backup, "--json"]).ok().json();
    for lost in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        drop(fs::remove_file(scene.path("us-east-1").join(lost)));
    }
    let missing = scene.run(&["backup", "ls", "--region", "us-east-1"]).with_status(1);
    assert!(missing.stderr.contains("hint: `offsite rebuild --region us-east-1`"), "{missing:?}");
    let rebuilt = scene.run(&["rebuild", "--region", "us-east-1", "--json"]).ok().json();
    assert_eq!((&rebuilt["backups"], &rebuilt["resources"]), (&1.into(), &1.into()));
    assert_eq!(scene.run(&["backup", "show", &backup, "--json"]).ok().json(), before);
    scene.run(&["rebuild", "--region", "us-east-1"]).ok();
    assert!(scene.path("us-east-1/catalog.db.before-rebuild-1").exists());
    assert_eq!(scene.run(&["backup", "show", &backup, "--json"]).ok().json(), before);
}

#[test]
fn a_store_of_another_making_is_refused() {
    let scene = Scene::new();
    let other = Scene::new();
    fs::remove_dir_all(scene.path("us-east-1/store")).unwrap();
    fs::rename(other.path("us-east-1/store"), scene.path("us-east-1/store")).unwrap();
    let refused = scene.run(&["kms", "ls", "--region", "us-east-1"]).with_status(1);
    assert!(refused.stderr.contains("not the one its catalog was made for"), "{refused:?}");
}

#[test]
fn a_catalog_that_was_emptied_is_not_taken_for_an_empty_region() {
    let scene = Scene::new();
    let backup = scene.back_up(&scene.add_tree());
    for companion in ["catalog.db-wal", "catalog.db-shm"] {
        drop(fs::remove_file(scene.path("us-east-1").join(companion)));
    }
    fs::write(scene.path("us-east-1/catalog.db"), "").unwrap();
    let refused = scene.run(&["backup", "ls", "--region", "us-east-1"]).with_status(1);
    assert!(refused.stderr.contains("hint: `offsite rebuild --region us-east-1`"), "{refused:?}");
    scene.run(&["rebuild", "--region", "us-east-1"]).ok();
    scene.run(&["backup", "verify", &backup]).ok();
}
