//! The life of a backup, and what is in it.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use serde_json::Value;

use crate::scene::{Scene, end, offsite, packs, same_trees};

#[test]
fn a_resource_gets_the_type_its_path_calls_for() {
    let scene = Scene::new();
    fs::write(scene.path("disk.img"), vec![1; 10_000]).unwrap();
    let odd = scene.path("").join(std::ffi::OsStr::from_bytes(b"odd\xff"));
    fs::create_dir(&odd).unwrap();
    let tree = scene.add_tree();
    assert!(tree.starts_with("fs-"), "{tree}");
    let disk = scene.run(&["resource", "add", "disk.img", "--region", "us-east-1"]).ok().line();
    assert!(disk.starts_with("disk-"), "{disk}");
    let refused = scene.run(&["resource", "add", "disk.img", "--region", "us-east-1", "--type", "hsm"]).with_status(1);
    assert!(refused.stdout.is_empty() && refused.stderr.contains("a directory"), "{refused:?}");

    let shown = scene.run(&["resource", "show", &tree, "--json"]).ok().json();
    let path = scene.path("tree").canonicalize().unwrap();
    assert_eq!(shown["path"], path.to_str().unwrap());
    assert_eq!((&shown["type"], &shown["name"]), (&"openzfs".into(), &"a tree".into()));

    let mut command = offsite(&["resource", "add", "--region", "us-east-1"]);
    let odd_id = end({
        command.arg(&odd).current_dir(scene.dir.path());
        command
    });
    let shown = scene.run(&["resource", "show", &odd_id.ok().line(), "--json"]).ok().json();
    assert!(shown["path"].as_str().unwrap().ends_with("odd\\xff"), "{shown}");
    assert!(shown["path_hex"].as_str().unwrap().ends_with("6f6464ff"), "{shown}");

    assert_eq!(scene.run(&["resource", "ls", "--json"]).ok().json().as_array().unwrap().len(), 3);
    scene.run(&["resource", "rm", &disk]).ok();
    scene.run(&["resource", "show", &disk]).with_status(1);
    assert_eq!(scene.run(&["resource", "ls", "--json"]).ok().json().as_array().unwrap().len(), 2);
}

#[test]
fn a_backup_is_made_listed_read_restored_and_removed() {
    let scene = Scene::new();
    let resource = scene.add_tree();
    let backup = scene.run(&["backup", "create", &resource, "--tag", "day=1", "--tag", "by=me"]).ok().line();
    assert!(backup.starts_with("backup-"), "{backup}");

    let listed = scene.run(&["backup", "ls", "--json"]).ok().json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["id"], backup.as_str());
    assert_eq!((&listed[0]["state"], &listed[0]["region"]), (&"AVAILABLE".into(), &"us-east-1".into()));
    assert!(scene.run(&["backup", "ls"]).ok().stdout.contains(&backup));
    assert_eq!(scene.run(&["backup", "ls", "--region", "us-west-2", "--json"]).ok().json(), Value::Array(vec![]));

    let again = scene.run(&["backup", "create", &resource, "--json"]).ok().json();
    assert_eq!(again["backup"]["parent_id"], backup.as_str());
    assert!(again["bytes_stored"].as_u64().unwrap() < 10_000, "{again}");
    let shown = scene.run(&["backup", "show", &backup, "--json"]).ok().json();
    assert_eq!((&shown["tags"]["day"], &shown["tags"]["by"]), (&"1".into(), &"me".into()));
    assert_eq!(shown["omissions"], Value::Array(vec![]));

    let files = scene.run(&["backup", "files", &backup, "--json"]).ok().json();
    let paths: Vec<&str> = files.as_array().unwrap().iter().filter_map(|file| file["path"].as_str()).collect();
    assert_eq!(paths, [".", "docs", "docs/link", "docs/readme", "large"]);
    let below = scene.run(&["backup", "files", &backup, "./docs/"]).ok();
    assert_eq!(below.stdout.lines().count(), 3, "{below:?}");
    assert!(below.stdout.contains("docs/link -> nowhere"), "{below:?}");
    scene.run(&["backup", "files", &backup, "nowhere"]).with_status(1);

    assert_eq!(scene.run(&["backup", "cat", &backup, "docs/readme"]).ok().stdout, "read me\n");
    scene.run(&["backup", "cat", &backup, "docs"]).with_status(1);
    for depth in [&[][..], &["--quick"], &["--read-data"]] {
        scene.run(&[&["backup", "verify", &backup], depth].concat()).ok();
    }

    scene.run(&["backup", "restore", &backup, "restored"]).ok();
    same_trees(&scene.path("tree"), &scene.path("restored"));
    scene.run(&["backup", "restore", &backup, "part", "--path", "docs/readme"]).ok();
    assert!(scene.path("part/docs/readme").exists() && !scene.path("part/large").exists());
    fs::write(scene.path("restored/docs/readme"), "changed").unwrap();
    scene.run(&["backup", "restore", &backup, "restored"]).with_status(1);
    scene.run(&["backup", "restore", &backup, "restored", "--overwrite"]).ok();
    same_trees(&scene.path("tree"), &scene.path("restored"));

    scene.run(&["backup", "rm", &backup]).ok();
    let gone = scene.run(&["backup", "show", &backup]).with_status(1);
    assert!(gone.stderr.contains(&backup) && gone.stderr.contains("hint: "), "{gone:?}");
}

#[test]
fn several_backups_are_removed_at_once_or_none_when_one_is_not_there() {
    let scene = Scene::new();
    let resource = scene.add_tree();
    let [first, second, third] = [(); 3].map(|()| scene.back_up(&resource));
    let copy = scene.run(&["copy", &first, "--to", "us-west-2"]).ok().line();
    let left = || scene.run(&["backup", "ls", "--json"]).ok().json().as_array().unwrap().len();

    let (unknown, other) = ("backup-0123456789abcdef0", "backup-0123456789abcdef1");
    let refused = scene.run(&["backup", "rm", &first, other, &copy, unknown]).with_status(1);
    assert!(refused.stderr.contains(&format!("there is no backup {unknown}, {other} in any region")), "{refused:?}");
    assert_eq!(left(), 4, "none is removed");

    // The store of one region is away; what is in the others goes nevertheless.
    let store = scene.path("us-east-1/store");
    fs::rename(&store, scene.path("away")).unwrap();
    let ended = scene.run(&["backup", "rm", &first, &copy, &first]).with_status(1);
    assert!(
        ended.stderr.contains(&format!("error: {first} could not be removed: the store of us-east-1")),
        "{ended:?}"
    );
    assert!(ended.stderr.contains(&format!("{copy} is removed")), "{ended:?}");
    fs::rename(scene.path("away"), &store).unwrap();
    assert_eq!(left(), 3);
    scene.run(&["backup", "rm", &first, &first, &third, &second, "-q"]).ok();
    assert_eq!(left(), 0);
}

#[test]
fn a_mistyped_path_leaves_the_target_of_a_restore_as_it_was() {
    let scene = Scene::new();
    let backup = scene.back_up(&scene.add_tree());
    let restore = |more: &[&str]| scene.run(&[&["backup", "restore", &backup, "target"], more].concat());
    let refused = restore(&["--path", "docs", "--path", "dosc"]).with_status(1);
    assert!(refused.stderr.contains("has nothing at dosc"), "{refused:?}");
    assert!(!scene.path("target").exists());
    restore(&["--path", "docs"]).ok();
    assert_eq!(fs::read(scene.path("target/docs/readme")).unwrap(), b"read me\n");
    let refused = restore(&[]).with_status(1);
    assert!(refused.stderr.contains("--overwrite"), "{refused:?}");
}

#[test]
fn a_socket_is_listed_as_left_out() {
    let scene = Scene::new();
    let _socket = std::os::unix::net::UnixListener::bind(scene.path("tree/socket")).unwrap();
    let resource = scene.add_tree();
    let made = scene.run(&["backup", "create", &resource]);
    let backup = made.line();
    let restored = scene.run(&["backup", "restore", &backup, "out"]).with_status(3);
    assert!(restored.stderr.contains("left out: socket"), "{restored:?}");
}

#[test]
fn what_is_offsites_own_is_left_out_of_a_tree_and_is_no_resource() {
    let scene = Scene::new();
    let all = scene.run(&["resource", "add", ".", "--region", "us-east-1"]).ok().line();
    let first = scene.run(&["backup", "create", &all]).ok();
    assert!(first.stderr.contains("places, ap-beijing/catalog.db among them"), "{first:?}");
    let stored = || packs(&scene.path("us-east-1")).iter().map(|pack| pack.metadata().unwrap().len()).sum::<u64>();
    let before = stored();
    let second = scene.run(&["backup", "create", &all, "-q"]).ok();
    assert!(second.stderr.is_empty(), "{second:?}");
    assert!(stored() - before < 20_000, "{before} bytes became {}", stored());

    let backup = second.line();
    let files = scene.run(&["backup", "files", &backup, "--json"]).ok().json();
    let paths: Vec<&str> = files.as_array().unwrap().iter().filter_map(|file| file["path"].as_str()).collect();
    let is_own = |path: &&&str| path.contains("/store/") || path.contains("/catalog.db");
    assert_eq!(paths.iter().filter(is_own).collect::<Vec<_>>(), Vec::<&&str>::new());
    for kept in ["us-east-1/store", "us-east-1/kms.json", "offsite.toml", "tree/large"] {
        assert!(paths.contains(&kept), "{kept}: {paths:?}");
    }
    let listed = scene.run(&["backup", "show", &backup, "--omissions"]).ok().stdout;
    assert!(listed.contains("us-east-1/store is offsite's own, not backed up: the store of us-east-1\n"), "{listed}");
    scene.run(&["backup", "restore", &backup, "out"]).ok();
    same_trees(&scene.path("tree"), &scene.path("out/tree"));

    std::os::unix::fs::symlink("us-east-1/store", scene.path("link")).unwrap();
    let packs_of = packs(&scene.path("us-east-1"))[0].parent().unwrap().to_str().unwrap().to_owned();
    for own in ["us-west-2/store", &packs_of, "link", "us-east-1/catalog.db"] {
        let refused = scene.run(&["resource", "add", own, "--region", "us-east-1"]).with_status(1);
        assert!(refused.stderr.contains("which is not backed up\nhint: "), "{refused:?}");
    }
    scene.run(&["resource", "add", "us-east-1", "--region", "us-west-2"]).ok();
}

#[test]
fn what_a_resource_excludes_is_left_out_of_its_backups_until_it_is_said_otherwise() {
    let scene = Scene::new();
    for (file, text) in
        [("tree/docs/a.o", "x"), ("tree/docs/keep.o", "x"), ("tree/.cache/x", "x"), ("patterns", "# objects\n*.o\n\n")]
    {
        fs::create_dir_all(scene.path(file).parent().unwrap()).unwrap();
        fs::write(scene.path(file), text).unwrap();
    }
    fs::write(scene.path("tree/.cache/CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55").unwrap();
    let resource = scene.run(&[
        "resource",
        "add",
        "tree",
        "--region",
        "us-east-1",
        "--exclude-from",
        "patterns",
        "--exclude",
        "!keep.o",
        "--exclude-caches",
    ]);
    let resource = resource.ok().line();
    let shown = scene.run(&["resource", "show", &resource, "--json"]).ok().json();
    assert_eq!(shown["exclusions"], serde_json::json!({ "patterns": ["*.o", "!keep.o"], "caches": true }));
    let made = scene.run(&["backup", "create", &resource]).ok();
    assert!(made.stderr.contains("left out as excluded: 1 by \"*.o\", the contents of 1 tagged as caches"), "{made:?}");
    let has = |backup: &str, file: &str| scene.run(&["backup", "cat", backup, file]).status == 0;
    let excluded = ["docs/a.o", ".cache/x"];
    let first = made.line();
    assert!(excluded.iter().all(|file| !has(&first, file)));
    assert!(["docs/keep.o", "docs/readme", ".cache/CACHEDIR.TAG"].iter().all(|file| has(&first, file)));

    // A new catalog knows them as well.
    fs::remove_file(scene.path("us-east-1/catalog.db")).unwrap();
    scene.run(&["rebuild", "--region", "us-east-1"]).ok();
    let second = scene.back_up(&resource);
    assert!(excluded.iter().all(|file| !has(&second, file)));
    scene.run(&["resource", "set", &resource]).with_status(2);
    scene.run(&["resource", "set", &resource, "--exclude-nothing", "--exclude", "x"]).with_status(2);
    scene.run(&["resource", "set", &resource, "--exclude-nothing"]).ok();
    let third = scene.back_up(&resource);
    assert!(excluded.iter().all(|file| has(&third, file)));
    scene.run(&["resource", "set", &resource, "--exclude", "docs/"]).ok();
    assert!(!has(&scene.back_up(&resource), "docs/readme"));
}

#[test]
fn exclusions_that_would_leave_nothing_out_are_refused() {
    let scene = Scene::new();
    let add = |path: &str, pattern: &str| {
        scene.run(&["resource", "add", path, "--region", "us-east-1", "--exclude", pattern]).with_status(1)
    };
    let tree = scene.path("tree").canonicalize().unwrap();
    let absolute = add("tree", tree.join("docs").to_str().unwrap());
    assert!(
        absolute.stderr.contains("hint: patterns begin at the directory that is backed up: write /docs\n"),
        "{absolute:?}"
    );
    assert!(add("tree", "[z-a]").stderr.contains("\"[z-a]\" is no pattern: "));
    assert!(add("tree/large", "*.o").stderr.contains("of an image nothing can be left out"));
    assert_eq!(scene.run(&["resource", "ls", "--json"]).ok().json(), serde_json::json!([]));
}

#[test]
fn a_resource_in_which_a_region_is_made_later_is_backed_up_as_before() {
    let scene = Scene::new();
    let mut resources = Vec::new();
    for path in ["far", "far/store", "far/store/deep"] {
        fs::create_dir_all(scene.path(path)).unwrap();
        fs::write(scene.path(path).join("file"), path).unwrap();
        resources.push(scene.run(&["resource", "add", path, "--region", "us-east-1"]).ok().line());
    }
    scene.run(&["region", "add", "eu-central-1", "--partition", "aws", "--dir", "far"]).ok();
    for resource in &resources {
        let backup = scene.back_up(resource);
        scene.run(&["backup", "cat", &backup, "file"]).ok();
    }
    let above = scene.run(&["backup", "create", &resources[0], "--json"]).ok().json();
    assert!(above["backup"]["omissions"].to_string().contains("the store of eu-central-1"), "{above}");
}

#[test]
fn a_file_is_no_place_for_a_directory() {
    let scene = Scene::new();
    let backup = scene.back_up(&scene.add_tree());
    fs::write(scene.path("file"), "precious").unwrap();
    for more in [&[][..], &["--overwrite"]] {
        let refused = scene.run(&[&["backup", "restore", &backup, "file"], more].concat()).with_status(1);
        assert!(refused.stderr.contains("file is not a directory"), "{refused:?}");
        assert!(!refused.stderr.contains("--overwrite"), "{refused:?}");
    }
    assert_eq!(fs::read(scene.path("file")).unwrap(), b"precious");
}
