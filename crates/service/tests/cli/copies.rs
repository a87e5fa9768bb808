//! Copies: of one backup, and of all that a region lacks.

use std::fs;

use serde_json::Value;

use crate::scene::{Scene, packs, same_trees};

#[test]
fn a_copy_outlives_the_region_it_came_from() {
    let scene = Scene::new();
    let backup = scene.back_up(&scene.add_tree());
    let planned = scene.run(&["copy", &backup, "--to", "us-west-2", "--dry-run", "--json"]).ok().json();
    fs::remove_dir_all(scene.path("us-gov-west-1")).unwrap();
    let copied = scene.run(&["copy", &backup, "--to", "us-west-2", "--to", "us-gov-west-1", "--to", "eu-west-1"]);
    let copied = copied.with_status(1);
    assert!(copied.stderr.contains("the copy to us-gov-west-1 failed: the catalog"), "{copied:?}");
    let [west, europe] = copied.stdout.lines().collect::<Vec<_>>()[..] else { panic!("{copied:?}") };
    let shown = scene.run(&["backup", "show", west, "--json"]).ok().json();
    assert_eq!(shown["moved_bytes"], planned[0]["bytes_to_move"]);
    assert_eq!((&shown["source_backup"], &shown["source_region"]), (&backup.as_str().into(), &"us-east-1".into()));

    let planned = scene.run(&["copy", &backup, "--to", "us-west-2", "--dry-run", "--json"]).ok().json();
    assert_eq!(planned[0]["bytes_to_move"], 0);
    let refused = scene.run(&["copy", &backup, "--to", "cn-north-1"]).with_status(1);
    assert!(refused.stderr.contains("aws-cn"), "{refused:?}");
    scene.run(&["copy", &backup, "--to", "nowhere-1"]).with_status(1);

    fs::remove_dir_all(scene.path("us-east-1")).unwrap();
    let listed = scene.run(&["backup", "ls", "--json"]).with_status(3);
    assert!(listed.stderr.contains("us-east-1 is skipped"), "{listed:?}");
    let quiet = scene.run(&["backup", "ls", "-q"]).with_status(3);
    assert!(quiet.stderr.contains("us-east-1 is skipped"), "{quiet:?}");
    assert_eq!(listed.json().as_array().unwrap().len(), 2);
    let unknown = scene.run(&["backup", "show", &backup]).with_status(1);
    assert!(unknown.stderr.contains("it may be in us-east-1"), "{unknown:?}");
    for (copy, target) in [(west, "from-west"), (europe, "from-europe")] {
        scene.run(&["backup", "restore", copy, target]).ok();
        same_trees(&scene.path("tree"), &scene.path(target));
    }
}

#[test]
fn a_resource_stands_for_its_latest_backup_wherever_that_is() {
    let scene = Scene::new();
    let resource = scene.add_tree();
    let none = scene.run(&["backup", "show", &resource]).with_status(1);
    assert!(none.stderr.contains(&format!("there is no backup of {resource} in any region")), "{none:?}");
    scene.back_up(&resource);
    let second = scene.back_up(&resource);
    let shown = || scene.run(&["backup", "show", &resource, "--json"]).ok().json()["id"].as_str().unwrap().to_owned();
    assert_eq!(shown(), second);
    // A copy is made later, and is no later backup.
    let copy = scene.run(&["copy", &resource, "--to", "us-west-2"]).ok().line();
    assert_eq!(shown(), second);
    for _ in 0..2 {
        let again = scene.run(&["copy", &resource, "--to", "us-west-2", "--to", "us-east-1"]).ok();
        assert!(again.stdout.is_empty() && again.stderr.contains("us-east-1 has the latest backup"), "{again:?}");
    }
    scene.run(&["backup", "verify", &resource, "--read-data"]).ok();
    fs::remove_dir_all(scene.path("us-east-1")).unwrap();
    assert_eq!(shown(), copy);
    assert_eq!(scene.run(&["backup", "cat", &resource, "docs/readme"]).ok().stdout, "read me\n");
    assert!(scene.run(&["backup", "files", &resource]).ok().stdout.contains("docs/readme"));
    scene.run(&["backup", "restore", &resource, "out"]).ok();
    same_trees(&scene.path("tree"), &scene.path("out"));
}

#[test]
fn a_region_is_brought_up_to_date_with_another() {
    let scene = Scene::new();
    let resource = scene.add_tree();
    let (first, second) = (scene.back_up(&resource), scene.back_up(&resource));
    fs::create_dir(scene.path("other")).unwrap();
    fs::write(scene.path("other/file"), "of another tree").unwrap();
    let other = scene.run(&["resource", "add", "other", "--region", "us-east-1"]).ok().line();
    let third = scene.back_up(&other);
    scene.run(&["copy", &second, "--to", "us-west-2"]).ok();
    let missing = |more: &[&str]| scene.run(&[&["copy", "--missing", "--from"], more].concat());
    let names = |array: &Value, name: &str| -> Vec<String> {
        array.as_array().unwrap().iter().map(|one| one[name].as_str().unwrap().to_owned()).collect()
    };

    let both = ["us-east-1", "--to", "us-west-2", "--to", "eu-west-1"];
    let planned = missing(&[&both[..], &["--dry-run", "--json"]].concat()).ok().json();
    assert_eq!(names(&planned, "backup"), [&first[..], &first, &second, &third, &third]);
    assert_eq!(names(&planned, "target"), ["us-west-2", "eu-west-1", "eu-west-1", "us-west-2", "eu-west-1"]);
    assert_eq!(missing(&[&both[..], &["--dry-run"]].concat()).ok().stdout.lines().count(), 6);
    let bytes_of =
        |region: &str| packs(&scene.path(region)).iter().map(|pack| pack.metadata().unwrap().len()).sum::<u64>();
    let to_move = |region: &str| -> u64 {
        let of_region = planned.as_array().unwrap().iter().filter(|plan| plan["target"] == region);
        of_region.map(|plan| plan["bytes_to_move"].as_u64().unwrap()).sum()
    };
    let expected: [u64; 2] = [bytes_of("us-west-2") + to_move("us-west-2"), to_move("eu-west-1")];

    let of_one = missing(&[&both[..], &["--resource", &other, "--tag", "a=1", "--json"]].concat()).ok().json();
    let copies: Vec<&Value> = of_one.as_array().unwrap().iter().map(|report| &report["backup"]).collect();
    assert!(copies.len() == 2 && copies.iter().all(|copy| copy["source_backup"] == third.as_str()), "{of_one}");
    assert!(copies.iter().all(|copy| copy["tags"]["a"] == "1"), "{of_one}");
    // The rest, oldest first.
    let made = missing(&both).ok();
    let sources: Vec<Value> = made
        .stdout
        .lines()
        .map(|copy| scene.run(&["backup", "show", copy, "--json"]).ok().json()["source_backup"].clone())
        .collect();
    assert_eq!(sources, [&first[..], &first, &second], "{made:?}");
    assert_eq!([bytes_of("us-west-2"), bytes_of("eu-west-1")], expected, "what a dry run says is so to the byte");

    let again = missing(&both).ok();
    assert!(again.stdout.is_empty() && again.stderr.contains("us-west-2 has all"), "{again:?}");
    assert_eq!(missing(&[&both[..], &["--json"]].concat()).ok().json(), Value::Array(vec![]));
    // Neither back nor around.
    for from in ["us-west-2", "eu-west-1"] {
        assert!(missing(&[from, "--to", "us-east-1"]).ok().stdout.is_empty());
    }
    assert!(missing(&["us-west-2", "--to", "eu-west-1"]).ok().stdout.is_empty());

    let fourth = scene.back_up(&resource);
    fs::rename(scene.path("eu-west-1"), scene.path("away")).unwrap();
    let one_is_away = missing(&both).with_status(1);
    assert!(
        one_is_away.stderr.contains("error: eu-west-1 cannot be brought up to date: the catalog"),
        "{one_is_away:?}"
    );
    let copy = scene.run(&["backup", "show", &one_is_away.line(), "--json"]).ok().json();
    assert_eq!(copy["source_backup"], fourth.as_str());
    let refused = missing(&["us-east-1", "--to", "cn-north-1"]).with_status(1);
    assert!(refused.stderr.contains("aws-cn"), "{refused:?}");
    let unknown = missing(&["us-east-1", "--to", "us-west-2", "--resource", "fs-0123456789abcdef0"]).with_status(1);
    assert!(unknown.stderr.contains("there is no resource fs-0123456789abcdef0 in us-east-1"), "{unknown:?}");
    missing(&["us-east-1", "--to", "us-east-1"]).with_status(2);
}

#[test]
fn a_backup_that_cannot_be_copied_keeps_none_of_the_others() {
    let scene = Scene::new();
    let resource = scene.add_tree();
    let first = scene.back_up(&resource);
    let kept = packs(&scene.path("us-east-1"));
    fs::write(scene.path("tree/more"), "more").unwrap();
    let damaged = scene.back_up(&resource);
    let pack = packs(&scene.path("us-east-1")).into_iter().find(|pack| !kept.contains(pack)).unwrap();
    fs::remove_file(&pack).unwrap();
    fs::remove_file(scene.path("tree/more")).unwrap();
    let third = scene.back_up(&resource);
    let ended = scene.run(&["copy", "--missing", "--from", "us-east-1", "--to", "us-west-2", "--json"]).with_status(1);
    assert!(ended.stderr.contains(&format!("the copy of {damaged} to us-west-2 failed")), "{ended:?}");
    let made: Vec<Value> =
        ended.json().as_array().unwrap().iter().map(|report| report["backup"]["source_backup"].clone()).collect();
    assert_eq!(made, [&first[..], &third]);
}

#[test]
fn what_no_rule_keeps_is_forgotten_alike_in_every_region() {
    let scene = Scene::new();
    let resource = scene.add_tree();
    let other = scene.run(&["resource", "add", "tree/docs", "--region", "us-east-1"]).ok().line();
    let taken: Vec<String> = (0..3).map(|_| scene.back_up(&resource)).collect();
    let alone = scene.back_up(&other);
    scene.run(&["copy", "--missing", "--from", "us-east-1", "--to", "us-west-2", "-q"]).ok();
    let forget = |more: &[&str]| scene.run(&[&["backup", "forget", "--json"], more].concat());
    // The oldest is kept for its tag, the newest as the last.
    scene.run(&["backup", "create", &resource, "--tag", "keep=yes"]).ok();
    let planned = forget(&["--region", "us-east-1", "--keep-last", "1", "--keep-tag", "keep=yes", "--dry-run"]).ok();
    assert!(planned.stderr.contains("3 would be removed, 2 backups kept"), "{planned:?}");
    let planned = planned.json();
    let why = |id: &str| planned.as_array().unwrap().iter().find(|line| line["backup"] == id).unwrap()["keep"].clone();
    assert!(taken.iter().all(|id| why(id) == serde_json::json!([])) && why(&alone) == serde_json::json!(["last"]));
    assert_eq!(
        scene.run(&["backup", "ls", "--region", "us-east-1", "--json"]).ok().json().as_array().unwrap().len(),
        5
    );

    // Copies go by the times of what they are copies of, also once their region has a new catalog.
    fs::remove_file(scene.path("us-west-2/catalog.db")).unwrap();
    scene.run(&["rebuild", "--region", "us-west-2"]).ok();
    let copies = forget(&["--region", "us-west-2", "--keep-last", "2", "--dry-run"]).ok().json();
    let first = forget(&["--region", "us-east-1", "--keep-last", "3"]).ok().json();
    let times = |lines: &serde_json::Value, keep: bool| -> Vec<String> {
        let of = |line: &&serde_json::Value| {
            line["resource_id"] == *resource && line["keep"].as_array().unwrap().is_empty() != keep
        };
        lines.as_array().unwrap().iter().filter(of).map(|line| line["taken_at"].to_string()).collect()
    };
    assert_eq!(times(&copies, false), times(&first, false));
    assert_eq!(times(&copies, true), times(&first, true)[1..]);
    forget(&["--region", "us-west-2", "--keep-last", "2"]).ok();
    scene.run(&["copy", "--missing", "--from", "us-east-1", "--to", "us-west-2", "-q"]).ok();
    let left = scene.run(&["backup", "ls", "--region", "us-west-2", "--json"]).ok().json();
    assert_eq!(left.as_array().unwrap().len(), 4, "one newer has come, none has come back: {left}");

    let nothing = forget(&["--region", "us-east-1", "--resource", &other, "--keep-tag", "no=thing"]).with_status(1);
    assert!(nothing.stderr.contains("the rules keep no backup"), "{nothing:?}");
    scene.run(&["backup", "show", &alone]).ok();
    let unknown = forget(&["--resource", "fs-0123456789abcdef0", "--keep-last", "1"]).with_status(1);
    assert!(unknown.stderr.contains("hint: `offsite backup ls`"), "{unknown:?}");
}
